/*
 * cfg.c - the option table, and how raw texts become a validated configuration.
 *
 * cfg_load: read the file (cfg_file.c), expand references, convert by type and bounds, then check
 * what no single option can tell.  All into a fresh structure; an error leaves nothing behind.
 *
 * Process: the master, before any fork.  Owner: the caller.  Concurrency: one thread.
 */
#include "lib/cfg_priv.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/num.h"

enum { MAX_VALUE_BYTES = 1 << 20, MAX_DEPTH = 16 };

/* clang-format off */
const struct cfg_option cfg_options[] = {
#define SECTION(name)
#define END_SECTION(name)
#define OPTION(section, name, type, min, max, text, flags, help) \
    {#section, #name, CFG_TYPE_##type, min, max, text, flags, help, offsetof(struct config, section.name)},
#include "lib/cfg.def"
#undef SECTION
#undef END_SECTION
#undef OPTION

#define TOPIC_OPTION(name, type, min, max, text, flags, help) \
    {"kafka_metrics", #name, CFG_TYPE_##type, min, max, text, flags, help, \
     offsetof(struct config, topic[TOPIC_METRICS].name)},
#include "lib/cfg_topic.def"
#undef TOPIC_OPTION
#define TOPIC_OPTION(name, type, min, max, text, flags, help) \
    {"kafka_alarm_history", #name, CFG_TYPE_##type, min, max, text, flags, help, \
     offsetof(struct config, topic[TOPIC_ALARM_HISTORY].name)},
#include "lib/cfg_topic.def"
#undef TOPIC_OPTION
#define TOPIC_OPTION(name, type, min, max, text, flags, help) \
    {"kafka_events", #name, CFG_TYPE_##type, min, max, text, flags, help, \
     offsetof(struct config, topic[TOPIC_EVENTS].name)},
#include "lib/cfg_topic.def"
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

static const struct {
    const char *name;
    enum store_driver driver;
} drivers[] = {
    {"influxdb", DRIVER_INFLUXDB},
    {"discard", DRIVER_DISCARD},
    {"postgresql", DRIVER_POSTGRESQL},
    {"monasca_persister.repositories.influxdb.metrics_repository:MetricInfluxdbRepository",
     DRIVER_INFLUXDB},
    {"monasca_persister.repositories.influxdb.alarm_state_history_repository:"
     "AlarmStateHistInfluxdbRepository",
     DRIVER_INFLUXDB},
};

/* What one cfg_load works on. */
struct loading {
    struct config *cfg;
    struct cfg_raw *raw;
    void (*notice)(const char *text);
    struct errbuf *err;
};

const char *
cfg_topic_section(enum topic_kind kind)
{
    assert((unsigned)kind < TOPIC_KINDS);
    return topic_sections[kind];
}

enum store_driver
cfg_topic_driver(const struct config *cfg, enum topic_kind kind)
{
    assert(kind != TOPIC_EVENTS);
    return kind == TOPIC_METRICS ? cfg->metrics_driver : cfg->alarm_state_history_driver;
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

/* --- references --- */

/* "FILE:LINE: [section] option: what", or without a line where the file does not have the option.
 */
static int
fail_option(const struct loading *l, size_t i, const char *what)
{
    const struct cfg_option *o = &cfg_options[i];
    if (l->raw[i].line > 0)
        return errbuf_set(l->err, "%s:%u: [%s] %s: %s", l->cfg->file, l->raw[i].line, o->section,
                          o->name, what);
    return errbuf_set(l->err, "%s: [%s] %s: %s", l->cfg->file, o->section, o->name, what);
}

static size_t
name_length(const char *p)
{
    size_t n = 0;
    while (isalnum((unsigned char)p[n]) || p[n] == '_')
        n++;
    return n > 0 && !isdigit((unsigned char)p[0]) ? n : 0;
}

/* A reference at p (behind the dollar): *length bytes, which option it names; -1 if none. */
static int
parse_reference(const char *p, const char *section, size_t *length)
{
    char first[64], second[64] = "";
    bool braces = *p == '{';
    const char *start = p;
    p += braces;
    size_t n = name_length(p), m = 0;
    if (n == 0 || n >= sizeof(first))
        return -1;
    snprintf(first, sizeof(first), "%.*s", (int)n, p);
    p += n;
    if (*p == '.' && (m = name_length(p + 1)) > 0 && m < sizeof(second)) {
        snprintf(second, sizeof(second), "%.*s", (int)m, p + 1);
        p += m + 1;
    }
    if (braces && *p++ != '}')
        return -1;
    *length = (size_t)(p - start);
    if (second[0] != '\0')
        return cfg_find_option(first, second);
    int i = cfg_find_option(section, first);
    return i != -1 ? i : cfg_find_option("DEFAULT", first);
}

static int expand(const struct loading *l, size_t i, struct buf *out, int depth);

/* Expands one dollar; *p is behind it and is moved on. */
static int
expand_dollar(const struct loading *l, size_t i, const char **p, struct buf *out, int depth)
{
    size_t length = 0;
    if (**p == '$') {
        buf_add_char(out, '$');
        (*p)++;
        return 0;
    }
    if (**p != '{' && name_length(*p) == 0) {
        buf_add_char(out, '$'); /* not a reference at all: as oslo.config takes it */
        return 0;
    }
    int target = parse_reference(*p, cfg_options[i].section, &length);
    if (target == -1)
        return fail_option(l, i,
                           "a reference ($name or $section.name) to an option that does not "
                           "exist; $$ is a dollar");
    if (depth >= MAX_DEPTH)
        return fail_option(l, i, "the references go round in a circle");
    *p += length;
    return expand(l, (size_t)target, out, depth + 1);
}

static int
expand(const struct loading *l, size_t i, struct buf *out, int depth)
{
    const char *p = l->raw[i].text != NULL ? l->raw[i].text : cfg_option_default(&cfg_options[i]);
    while (*p != '\0') {
        const char *dollar = strchrnul(p, '$');
        buf_add(out, p, (size_t)(dollar - p));
        p = dollar;
        if (*p == '\0')
            break;
        p++;
        if (expand_dollar(l, i, &p, out, depth) == -1)
            return -1;
    }
    return 0;
}

/* --- types --- */

static int
parse_bool(const char *text, bool *out)
{
    static const char *const words[2][5] = {{"false", "0", "no", "off", "n"},
                                            {"true", "1", "yes", "on", "y"}};
    for (int value = 0; value < 2; value++)
        for (size_t i = 0; i < COUNT_OF(words[value]); i++)
            if (strcasecmp(text, words[value][i]) == 0) {
                *out = value == 1;
                return 0;
            }
    return -1;
}

static int
fail_value(const struct loading *l, size_t i, const char *text)
{
    const struct cfg_option *o = &cfg_options[i];
    char what[400];
    const char *shown = o->flags & CFG_SECRET ? "****" : text;
    if (o->type == CFG_TYPE_bool)
        snprintf(what, sizeof(what), "'%.100s' is no boolean; allowed: True or False", shown);
    else
        snprintf(what, sizeof(what),
                 "'%.100s' is no such number; allowed: a whole number from %lld to %lld", shown,
                 (long long)o->min, (long long)o->max);
    return fail_option(l, i, what);
}

static int
convert(const struct loading *l, size_t i, const char *text)
{
    const struct cfg_option *o = &cfg_options[i];
    void *field = (char *)l->cfg + o->offset;
    if (o->type == CFG_TYPE_string) {
        char *copy = strdup(text);
        if (copy == NULL)
            return errbuf_set(l->err, "out of memory");
        free(*(cfg_string *)field);
        *(cfg_string *)field = copy;
        return 0;
    }
    int result = o->type == CFG_TYPE_bool ? parse_bool(text, field)
                                          : num_parse_int(text, o->min, o->max, field);
    return result == 0 ? 0 : fail_value(l, i, text);
}

static int
resolve_option(const struct loading *l, size_t i, struct buf *text)
{
    buf_clear(text);
    if (expand(l, i, text, 0) == -1)
        return -1;
    buf_add_char(text, '\0');
    if (text->failed)
        return fail_option(l, i, "the value is too long; allowed: at most 1 MiB");
    return convert(l, i, text->data);
}

static int
resolve(const struct loading *l)
{
    struct buf text;
    int result = 0;
    buf_init(&text, MAX_VALUE_BYTES + 1);
    for (size_t i = 0; i < cfg_n_options && result == 0; i++)
        result = resolve_option(l, i, &text);
    buf_free(&text);
    return result;
}

/* --- what no single option can tell --- */

static void tell(const struct loading *l, const char *format, ...) PRINTF_LIKE(2, 3);

static void
tell(const struct loading *l, const char *format, ...)
{
    char text[1024];
    va_list args;
    if (l->notice == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    l->notice(text);
}

static int
set_string(const struct loading *l, char **field, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return errbuf_set(l->err, "out of memory");
    free(*field);
    *field = copy;
    return 0;
}

static int
fail(const struct loading *l, const char *section, const char *name, const char *what)
{
    int i = cfg_find_option(section, name);
    assert(i >= 0);
    return fail_option(l, (size_t)i, what);
}

static void
tell_ignored(const struct loading *l)
{
    for (size_t i = 0; i < cfg_n_options; i++)
        if (l->raw[i].text != NULL && (cfg_options[i].flags & CFG_IGNORED))
            tell(l, "%s:%u: [%s] %s has no meaning here and is ignored", l->cfg->file,
                 l->raw[i].line, cfg_options[i].section, cfg_options[i].name);
}

static int
check_instance(const struct loading *l)
{
    char host[256];
    char **instance = &l->cfg->persister.instance;
    if ((*instance)[0] == '\0') {
        if (gethostname(host, sizeof(host)) == -1)
            return fail(l, "persister", "instance", "cannot find the host's name; set it here");
        host[sizeof(host) - 1] = '\0';
        if (set_string(l, instance, host) == -1)
            return -1;
    }
    size_t n =
        strspn(*instance, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
    if ((*instance)[n] != '\0' || n == 0 || n > 64 || (*instance)[0] == '.')
        return fail(l, "persister", "instance",
                    "allowed: 1 to 64 letters, digits, _ . -, not beginning with a dot");
    return 0;
}

/* [DEFAULT] log_file becomes the whole path, from whichever of its four options are set. */
static int
check_log(const struct loading *l)
{
    struct config *cfg = l->cfg;
    char path[4096];
    const char *file =
        cfg->DEFAULT.log_file[0] != '\0' ? cfg->DEFAULT.log_file : cfg->DEFAULT.logfile;
    const char *dir = cfg->DEFAULT.log_dir[0] != '\0' ? cfg->DEFAULT.log_dir : cfg->DEFAULT.logdir;
    if (dir[0] == '\0' || file[0] == '/')
        snprintf(path, sizeof(path), "%s", file);
    else
        snprintf(path, sizeof(path), "%s/%s", dir,
                 file[0] != '\0' ? file : "monasca-persister.log");
    return set_string(l, &cfg->DEFAULT.log_file, path);
}

static int
check_dead_letters(const struct loading *l)
{
    char path[256];
    if (l->cfg->dead_letter.file[0] != '\0')
        return 0;
    snprintf(path, sizeof(path), "/var/lib/monasca-persister/%s.dead.jsonl",
             l->cfg->persister.instance);
    return set_string(l, &l->cfg->dead_letter.file, path);
}

static int
check_driver(const struct loading *l, const char *name, const char *text, enum store_driver *driver)
{
    for (size_t i = 0; i < COUNT_OF(drivers); i++)
        if (strcmp(text, drivers[i].name) == 0) {
            *driver = drivers[i].driver;
            return 0;
        }
    return fail(
        l, "repositories", name,
        strstr(text, "cassandra") != NULL
            ? "there is no Cassandra store here; allowed: influxdb, postgresql, discard"
            : "unknown store; allowed: influxdb, postgresql, discard, or upstream's name for "
              "influxdb");
}

static int
check_topic(const struct loading *l, enum topic_kind kind)
{
    const struct cfg_topic *t = &l->cfg->topic[kind];
    const char *section = topic_sections[kind];
    if (!t->enabled)
        return 0;
    if (kind == TOPIC_EVENTS)
        return fail(l, section, "enabled", "events are not supported; allowed: False");
    if (t->uri[strspn(t->uri, ", ")] == '\0')
        return fail(l, section, "uri", "allowed: HOST:PORT, several separated by commas");
    if (t->topic[0] == '\0')
        return fail(l, section, "topic", "allowed: the name of a topic");
    if (t->group_id[0] == '\0')
        return fail(l, section, "group_id", "allowed: the name of a consumer group");
    if (cfg_topic_driver(l->cfg, kind) == DRIVER_INFLUXDB && l->cfg->influxdb.ip_address[0] == '\0')
        return fail(l, "influxdb", "ip_address", "must be set: an address or a name");
    if (strcmp(t->topic, l->cfg->dead_letter.topic) == 0)
        return fail(l, "dead_letter", "topic",
                    "rejected messages cannot go to a topic that is read");
    return 0;
}

static int
check_topics(const struct loading *l)
{
    const struct cfg_topic *a = &l->cfg->topic[TOPIC_METRICS];
    const struct cfg_topic *b = &l->cfg->topic[TOPIC_ALARM_HISTORY];
    for (enum topic_kind kind = 0; kind < TOPIC_KINDS; kind++)
        if (check_topic(l, kind) == -1)
            return -1;
    if (!a->enabled && !b->enabled)
        return fail(l, "kafka_metrics", "enabled", "no topic is enabled; there is nothing to do");
    if (a->enabled && b->enabled && strcmp(a->topic, b->topic) == 0)
        return fail(l, "kafka_alarm_history", "topic", "is the same as that of [kafka_metrics]");
    return 0;
}

static int
check_all(const struct loading *l)
{
    struct config *cfg = l->cfg;
    if (check_instance(l) == -1 || check_log(l) == -1 || check_dead_letters(l) == -1 ||
        check_driver(l, "metrics_driver", cfg->repositories.metrics_driver, &cfg->metrics_driver) ==
            -1 ||
        check_driver(l, "alarm_state_history_driver", cfg->repositories.alarm_state_history_driver,
                     &cfg->alarm_state_history_driver) == -1 ||
        check_topics(l) == -1)
        return -1;
    if (strcmp(cfg->statsd.dialect, "monasca") != 0 &&
        strcmp(cfg->statsd.dialect, "dogstatsd") != 0)
        return fail(l, "statsd", "dialect", "allowed: monasca, dogstatsd");
    if (cfg->persister.max_message_bytes > cfg->persister.memory_limit_mb << 17)
        return fail(l, "persister", "max_message_bytes", "allowed: an eighth of memory_limit_mb");
    if (cfg->influxdb.ssl && !cfg->influxdb.verify_ssl)
        tell(l, "%s: [influxdb] verify_ssl is off: the server's certificate is not verified",
             cfg->file);
    tell_ignored(l);
    return 0;
}

/* --- life --- */

static void
free_raw(struct cfg_raw *raw)
{
    for (size_t i = 0; raw != NULL && i < cfg_n_options; i++)
        free(raw[i].text);
    free(raw);
}

struct config *
cfg_load(const char *path, void (*notice)(const char *text), struct errbuf *err)
{
    struct loading l = {.cfg = calloc(1, sizeof(struct config)),
                        .raw = calloc(cfg_n_options, sizeof(struct cfg_raw)),
                        .notice = notice,
                        .err = err};
    bool good = false;
    if (l.cfg == NULL || l.raw == NULL || (l.cfg->file = strdup(path)) == NULL)
        errbuf_set(err, "out of memory");
    else
        good = cfg_file_read(l.cfg, l.raw, err) == 0 && resolve(&l) == 0 && check_all(&l) == 0;
    free_raw(l.raw);
    if (!good)
        cfg_free(&l.cfg);
    return l.cfg;
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
    free((*cfg)->file);
    free(*cfg);
    *cfg = NULL;
}
