/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg.c - the option table, and how raw texts become a validated configuration.
 *
 * cfg_load_sources: read the files (cfg_source.c, cfg_file.c, cfg_lines.c), expand references,
 * convert by type and bounds, then check what no single option can tell (cfg_check.c).  All into a
 * fresh structure; an error leaves nothing behind.
 *
 * References are oslo.config's (ConfigOpts._substitute): $name is in the same section, else in
 * [DEFAULT]; $section.name; both in braces, too; $$ and \$ are a dollar; a dollar before anything
 * else is itself.
 *
 * Process: the master, before any fork.  Owner: the caller.  Concurrency: one thread.
 */
#include "conf/cfg_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "lib/num.h"

enum { MAX_VALUE_BYTES = 1 << 20, MAX_DEPTH = 16, MAX_REFERENCES = 1000 };

/* clang-format off */
const struct cfg_option cfg_options[] = {
#define SECTION(name)
#define END_SECTION(name)
#define OPTION(section, name, type, min, max, text, flags, help) \
    {#section, #name, CFG_TYPE_##type, min, max, text, flags, help, offsetof(struct config, section.name)},
#include "conf/cfg.def"
#undef SECTION
#undef END_SECTION
#undef OPTION

#define TOPIC_OPTION(name, type, min, max, text, flags, help) \
    {"kafka_metrics", #name, CFG_TYPE_##type, min, max, text, flags, help, \
     offsetof(struct config, topic[TOPIC_METRICS].name)},
#include "conf/cfg_topic.def"
#undef TOPIC_OPTION
#define TOPIC_OPTION(name, type, min, max, text, flags, help) \
    {"kafka_alarm_history", #name, CFG_TYPE_##type, min, max, text, flags, help, \
     offsetof(struct config, topic[TOPIC_ALARM_HISTORY].name)},
#include "conf/cfg_topic.def"
#undef TOPIC_OPTION
#define TOPIC_OPTION(name, type, min, max, text, flags, help) \
    {"kafka_events", #name, CFG_TYPE_##type, min, max, text, flags, help, \
     offsetof(struct config, topic[TOPIC_EVENTS].name)},
#include "conf/cfg_topic.def"
#undef TOPIC_OPTION
};
/* clang-format on */

const size_t cfg_n_options = COUNT_OF(cfg_options);

static const char *const topic_sections[TOPIC_KINDS] = {"kafka_metrics", "kafka_alarm_history",
                                                        "kafka_events"};

/* The defaults that differ between the topics' sections. */
static const struct {
    const char *name, *text[TOPIC_KINDS];
} topic_defaults[] = {
    {"enabled", {"True", "True", "False"}},
    {"group_id", {"1_metrics", "1_alarm-state-transitions", "1_events"}},
    {"topic", {"metrics", "alarm-state-transitions", "monevents"}},
    {"batch_size", {"20000", "1", "1"}},
};

const char *
cfg_topic_section(enum topic_kind kind)
{
    assert((unsigned)kind < TOPIC_KINDS);
    return topic_sections[kind];
}

int
cfg_find_option(const char *section, const char *name)
{
    for (size_t i = 0; i < cfg_n_options; i++)
        if (strcmp(cfg_options[i].section, section) == 0 && strcmp(cfg_options[i].name, name) == 0)
            return (int)i;
    return -1;
}

const char *
cfg_option_default(const struct cfg_option *option)
{
    for (size_t kind = 0; kind < TOPIC_KINDS; kind++)
        for (size_t i = 0; i < COUNT_OF(topic_defaults); i++)
            if (strcmp(option->section, topic_sections[kind]) == 0 &&
                strcmp(option->name, topic_defaults[i].name) == 0)
                return topic_defaults[i].text[kind];
    return option->text;
}

/* A URL, or USER:PASSWORD@HOST. */
static bool
may_have_password(const char *text)
{
    return strchr(text, '@') != NULL || strstr(text, "://") != NULL;
}

bool
cfg_may_quote(const struct cfg_loading *l, size_t i)
{
    const char *text = l->raw[i].text;
    return text == NULL || (strchr(text, '$') == NULL && !may_have_password(text));
}

int
cfg_fail_option(const struct cfg_loading *l, size_t i, const char *what)
{
    const struct cfg_option *o = &cfg_options[i];
    const struct cfg_raw *raw = &l->raw[i];
    if (raw->line > 0)
        return errbuf_set(l->err, "%s:%u: [%s] %s: %s", raw->file, raw->line, o->section, o->name,
                          what);
    return errbuf_set(l->err, "%s: [%s] %s: %s", raw->file != NULL ? raw->file : l->cfg->file,
                      o->section, o->name, what);
}

/* --- references --- */

/* One option's text in the making. */
struct expansion {
    const struct cfg_loading *l;
    struct buf *out;
    unsigned depth, references;
    bool secret; /* something of it came from a secret option */
};

/* The length of the name at p, 0 if there is none. */
static size_t
name_length(const char *p)
{
    size_t n = 0;
    while (isalnum((unsigned char)p[n]) || p[n] == '_')
        n++;
    return n > 0 && !isdigit((unsigned char)p[0]) ? n : 0;
}

static int
find_target(const char *section, struct slice first, struct slice second)
{
    char a[64], b[64];
    if (first.n >= sizeof(a) || second.n >= sizeof(b))
        return -1;
    snprintf(a, sizeof(a), "%.*s", (int)first.n, first.p);
    snprintf(b, sizeof(b), "%.*s", (int)second.n, second.n > 0 ? second.p : "");
    if (second.n > 0)
        return cfg_find_option(a, b);
    int i = cfg_find_option(section, a);
    return i != -1 ? i : cfg_find_option("DEFAULT", a);
}

/*
 * Takes: what is behind the dollar, the section it is in.
 * Returns: the bytes that the reference takes, and the option it names or -1; 0 if it is none.
 */
static size_t
parse_reference(const char *text, const char *section, int *target)
{
    bool braces = *text == '{';
    const char *p = text + braces;
    struct slice first = {p, name_length(p)}, second = {NULL, 0};
    if (first.n == 0)
        return 0;
    p += first.n;
    if (*p == '.' && name_length(p + 1) > 0) {
        second = (struct slice){p + 1, name_length(p + 1)};
        p += 1 + second.n;
    }
    if (braces && *p != '}')
        return 0;
    *target = find_target(section, first, second);
    return (size_t)(p + braces - text);
}

static int expand(struct expansion *x, size_t i);

/* Expands what follows a dollar; *p is moved over it. */
static int
expand_dollar(struct expansion *x, size_t i, const char **p)
{
    int target = -1;
    if (**p == '$') {
        buf_add_char(x->out, '$');
        (*p)++;
        return 0;
    }
    size_t n = parse_reference(*p, cfg_options[i].section, &target);
    if (n == 0) {
        buf_add_char(x->out, '$');
        return 0;
    }
    if (target == -1)
        return cfg_fail_option(x->l, i,
                               "refers to an option that does not exist; allowed: $name, "
                               "$section.name, and $$ for a dollar");
    if (x->depth == MAX_DEPTH)
        return cfg_fail_option(x->l, i, "refers to itself in the end");
    if (x->references++ == MAX_REFERENCES)
        return cfg_fail_option(x->l, i, "too many references");
    *p += n;
    x->depth++;
    int result = expand(x, (size_t)target);
    x->depth--;
    return result;
}

static int
expand(struct expansion *x, size_t i)
{
    const char *text = x->l->raw[i].text;
    x->secret |= (cfg_options[i].flags & CFG_SECRET) != 0;
    const char *p = text != NULL ? text : cfg_option_default(&cfg_options[i]);
    while (*p != '\0') {
        const char *dollar = strchrnul(p, '$');
        bool escaped = *dollar == '$' && dollar > p && dollar[-1] == '\\';
        buf_add(x->out, p, (size_t)(dollar - p) - escaped);
        p = dollar + (*dollar == '$');
        if (escaped)
            buf_add_char(x->out, '$');
        else if (*dollar == '$' && expand_dollar(x, i, &p) == -1)
            return -1;
    }
    return 0;
}

/* --- types --- */

/* The words of oslo_config.types.Boolean. */
static int
parse_bool(const char *text, bool *out)
{
    static const char *const words[2][4] = {{"false", "0", "no", "off"},
                                            {"true", "1", "yes", "on"}};
    for (int value = 0; value < 2; value++)
        for (size_t i = 0; i < COUNT_OF(words[value]); i++)
            if (strcasecmp(text, words[value][i]) == 0) {
                *out = value == 1;
                return 0;
            }
    return -1;
}

static int
fail_value(const struct cfg_loading *l, size_t i, const char *text)
{
    const struct cfg_option *o = &cfg_options[i];
    char what[400];
    if (o->type == CFG_TYPE_bool)
        snprintf(what, sizeof(what), "'%.100s' is neither true nor false; allowed: True, False",
                 text);
    else
        snprintf(what, sizeof(what),
                 "'%.100s' cannot be used; allowed: a whole number from %lld to %lld", text,
                 (long long)o->min, (long long)o->max);
    return cfg_fail_option(l, i, what);
}

int
cfg_set_string(const struct cfg_loading *l, char **field, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return errbuf_set(l->err, "out of memory");
    free(*field);
    *field = copy;
    return 0;
}

/* Returns: 0, or -1 without a text. */
static int
parse_field(const struct cfg_option *o, const char *text, void *field)
{
    return o->type == CFG_TYPE_bool ? parse_bool(text, field)
                                    : num_parse_int(text, o->min, o->max, field);
}

static int
resolve_option(const struct cfg_loading *l, size_t i, struct buf *text)
{
    const struct cfg_option *o = &cfg_options[i];
    void *field = (char *)l->cfg + o->offset;
    struct expansion x = {.l = l, .out = text};
    buf_clear(text);
    if (o->flags & CFG_IGNORED) /* whatever it says */
        return o->type == CFG_TYPE_string ? cfg_set_string(l, field, "") : 0;
    if (expand(&x, i) == -1)
        return -1;
    buf_add_char(text, '\0');
    if (text->failed)
        return cfg_fail_option(l, i, "too long; allowed: 1 MiB");
    if (o->type == CFG_TYPE_string)
        return cfg_set_string(l, field, text->data);
    return parse_field(o, text->data, field) == 0
               ? 0
               : fail_value(l, i, x.secret || may_have_password(text->data) ? "****" : text->data);
}

int
cfg_resolve(const struct cfg_loading *l, size_t begin, size_t end)
{
    struct buf text;
    int result = 0;
    buf_init(&text, MAX_VALUE_BYTES + 1);
    for (size_t i = begin; i < end && result == 0; i++)
        result = resolve_option(l, i, &text);
    buf_free(&text);
    return result;
}

/* --- life --- */

void
cfg_forget_secrets(struct config *cfg)
{
    for (size_t i = 0; i < cfg_n_options; i++) {
        cfg_string *text = (cfg_string *)((char *)cfg + cfg_options[i].offset);
        if (cfg_options[i].type == CFG_TYPE_string && (cfg_options[i].flags & CFG_SECRET) != 0)
            explicit_bzero(*text, strlen(*text));
    }
    for (size_t i = 0; i < cfg->n_properties; i++)
        if (cfg_is_secret_property(cfg->properties[i].name))
            explicit_bzero(cfg->properties[i].value, strlen(cfg->properties[i].value));
}

void
cfg_free(struct config **cfg)
{
    if (*cfg == NULL)
        return;
    for (size_t i = 0; i < cfg_n_options; i++)
        if (cfg_options[i].type == CFG_TYPE_string)
            free(*(cfg_string *)((char *)*cfg + cfg_options[i].offset));
    for (size_t i = 0; i < (*cfg)->n_properties; i++) {
        free((*cfg)->properties[i].name);
        free((*cfg)->properties[i].value);
    }
    free((*cfg)->properties);
    for (size_t i = 0; i < (*cfg)->n_files; i++)
        free((*cfg)->files[i]);
    free((*cfg)->files);
    free((*cfg)->file);
    free(*cfg);
    *cfg = NULL;
}
