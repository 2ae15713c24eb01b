/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg_man.c - the options as monasca-persister.conf(5) lists them.
 *
 * Process: monasca-persister --man.  Owner: nothing.  Concurrency: one thread.
 */
#include "conf/cfg_priv.h"
#include "lib/roff.h"

/* The topics' sections have the same options: the first one's entry tells them all. */
static bool
is_told_elsewhere(const struct cfg_option *o)
{
    return strcmp(o->section, cfg_topic_section(TOPIC_ALARM_HISTORY)) == 0 ||
           strcmp(o->section, cfg_topic_section(TOPIC_EVENTS)) == 0;
}

static void
write_heading(struct buf *out, const char *section)
{
    buf_printf(out, "[%s]", section);
    if (strcmp(section, cfg_topic_section(TOPIC_METRICS)) == 0)
        buf_printf(out, " and [%s]", cfg_topic_section(TOPIC_ALARM_HISTORY));
    buf_add_char(out, '\n');
}

static void
write_default(struct buf *out, const struct cfg_option *o)
{
    const char *text = cfg_option_default(o), *other = text;
    int twin = cfg_find_option(cfg_topic_section(TOPIC_ALARM_HISTORY), o->name);
    if (twin >= 0 && strcmp(o->section, cfg_topic_section(TOPIC_METRICS)) == 0)
        other = cfg_option_default(&cfg_options[twin]);
    buf_add_text(out, ".br\nDefault: ");
    roff_add(out, text[0] != '\0' ? text : "empty");
    if (strcmp(text, other) != 0) {
        buf_add_text(out, ", of the alarm history ");
        roff_add(out, other);
    }
    buf_add_text(out, ".\n");
}

static void
write_option(struct buf *out, const struct cfg_option *o)
{
    static const char *const types[] = {
        [CFG_TYPE_string] = "text", [CFG_TYPE_int] = "number", [CFG_TYPE_bool] = "True or False"};
    buf_printf(out, ".TP\n.BR %s \" (%s", o->name, types[o->type]);
    if (o->type == CFG_TYPE_int)
        buf_printf(out, " from %lld to %lld", (long long)o->min, (long long)o->max);
    buf_add_text(out, o->flags & CFG_SECRET ? ", secret)\"\n" : ")\"\n");
    roff_add(out, o->help);
    buf_add_char(out, '\n');
    write_default(out, o);
    if (o->flags & CFG_RELOAD)
        buf_add_text(out, "A reload changes it in place.\n");
    if (o->flags & CFG_FIXED)
        buf_add_text(out, "A reload cannot change it.\n");
}

static void
write_ignored(struct buf *out)
{
    const char *section = "";
    for (size_t i = 0; i < cfg_n_options; i++) {
        const struct cfg_option *o = &cfg_options[i];
        if (!(o->flags & CFG_IGNORED) || is_told_elsewhere(o))
            continue;
        if (strcmp(section, o->section) != 0) {
            buf_add_text(out, "\n.TP\n");
            write_heading(out, o->section);
        } else
            buf_add_text(out, ",\n");
        section = o->section;
        roff_add(out, o->name);
    }
    buf_add_char(out, '\n');
}

/* Where a name sets several options each is told. */
static void
write_formers(struct buf *out)
{
    const char *section = "";
    for (size_t i = 0; i < cfg_n_formers; i++) {
        const struct cfg_former *f = &cfg_formers[i];
        if (strcmp(section, f->section) != 0)
            buf_printf(out, "\n.TP\n[%s]\n", f->section);
        else
            buf_add_text(out, ",\n");
        section = f->section;
        roff_add(out, f->name);
        if (f->now_name == NULL)
            continue;
        buf_add_text(out, " (now ");
        if (strcmp(f->section, f->now_section) != 0)
            buf_printf(out, "[%s] ", f->now_section);
        roff_add(out, f->now_name);
        buf_add_char(out, ')');
    }
    buf_add_char(out, '\n');
}

void
cfg_write_man(struct buf *out)
{
    const char *section = "";
    for (size_t i = 0; i < cfg_n_options; i++) {
        const struct cfg_option *o = &cfg_options[i];
        if ((o->flags & CFG_IGNORED) || is_told_elsewhere(o))
            continue;
        if (strcmp(section, o->section) != 0) {
            buf_add_text(out, ".SS ");
            write_heading(out, o->section);
        }
        section = o->section;
        write_option(out, o);
    }
    buf_add_text(out, ".SS Options that mean nothing here\n"
                      "Upstream's; they are accepted, with a notice if they are set.");
    write_ignored(out);
    buf_add_text(out, ".SS Former names\n"
                      "Of earlier releases, of oslo.log and others, and of deployment tools; they are "
                      "accepted with a notice. Where\nit says so, they set the option that is named; "
                      "the others mean nothing here.");
    write_formers(out);
}
