/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg_former.c - the table of former names: what they are called now.
 *
 * Process: the master.  Owner: constant data.  Concurrency: one thread.
 */
#include "conf/cfg_priv.h"

#include <stdio.h>

/* clang-format off */
const struct cfg_former cfg_formers[] = {
#define FORMER(section, name, now_section, now_name) {#section, #name, #now_section, #now_name},
#define FORMER_IGNORED(section, name) {#section, #name, NULL, NULL},
#include "conf/cfg_former.def"
#undef FORMER
#undef FORMER_IGNORED
};
/* clang-format on */

const size_t cfg_n_formers = COUNT_OF(cfg_formers);

const struct cfg_former *
cfg_find_former(const char *section, const char *name)
{
    for (size_t i = 0; i < cfg_n_formers; i++)
        if (strcmp(cfg_formers[i].section, section) == 0 && strcmp(cfg_formers[i].name, name) == 0)
            return &cfg_formers[i];
    return NULL;
}

bool
cfg_is_section(const char *name)
{
    for (size_t i = 0; i < cfg_n_options; i++)
        if (strcmp(cfg_options[i].section, name) == 0)
            return true;
    for (size_t i = 0; i < cfg_n_formers; i++)
        if (strcmp(cfg_formers[i].section, name) == 0)
            return true;
    return false;
}

/* Returns: the number of the option that it is now, or -1. */
static int
find_now(const struct cfg_former *f)
{
    if (f->now_name == NULL)
        return -1;
    int i = cfg_find_option(f->now_section, f->now_name);
    assert(i != -1); /* a test goes through the table */
    return i;
}

static void
note(struct cfg_loading *l, unsigned line, const struct cfg_former *f, const char *what)
{
    buf_add_text(&l->former, l->reading);
    if (line > 0) /* else an option of the command line */
        buf_printf(&l->former, ":%u", line);
    buf_printf(&l->former, ": [%s] %s %s\n", f->section, f->name, what);
}

/* Its value goes to the option, unless that stands in this file by its own name. */
static int
take(struct cfg_loading *l, const struct cfg_former *f, const char *text, unsigned line)
{
    char what[256];
    size_t i = (size_t)find_now(f);
    struct cfg_raw *raw = &l->raw[i];
    bool is_set = raw->text != NULL && raw->rank == l->rank && !raw->former;
    snprintf(what, sizeof(what), "is a former name of [%s] %s%s", f->now_section, f->now_name,
             is_set ? ", which is set as well: ignored" : "");
    note(l, line, f, what);
    return is_set ? 0 : cfg_set_raw(l, i, text, line, true);
}

int
cfg_take_former(struct cfg_loading *l, const char *section, const char *name, const char *text,
                unsigned line)
{
    const struct cfg_former *first = cfg_find_former(section, name);
    assert(first != NULL);
    if (first->now_name == NULL)
        note(l, line, first, "has no meaning here and is ignored");
    for (size_t i = 0; i < cfg_n_formers; i++) {
        const struct cfg_former *f = &cfg_formers[i];
        if (f->now_name != NULL && strcmp(f->section, section) == 0 &&
            strcmp(f->name, name) == 0 && take(l, f, text, line) == -1)
            return -1;
    }
    return 0;
}
