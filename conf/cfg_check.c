/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg_check.c - what no single option can tell: the drivers, names, and how options fit together.
 *
 * Process: the master, before any fork.  Owner: the caller's structures.  Concurrency: one thread.
 */
#include "conf/cfg_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

enum { MAX_INSTANCE = 64, MAX_TOPIC = 249 /* Kafka's own bound */ };

static const char stores[] = "allowed: influxdb, postgresql, cassandra, discard";

static const struct {
    const char *name;
    enum store_driver driver;
} drivers[] = {
    {"influxdb", DRIVER_INFLUXDB},
    {"discard", DRIVER_DISCARD},
    {"postgresql", DRIVER_POSTGRESQL},
    {"cassandra", DRIVER_CASSANDRA},
    {"monasca_persister.repositories.influxdb.metrics_repository:MetricInfluxdbRepository",
     DRIVER_INFLUXDB},
    {"monasca_persister.repositories.influxdb.alarm_state_history_repository:"
     "AlarmStateHistInfluxdbRepository",
     DRIVER_INFLUXDB},
    {"monasca_persister.repositories.cassandra.metrics_repository:MetricCassandraRepository",
     DRIVER_CASSANDRA},
    {"monasca_persister.repositories.cassandra.alarm_state_history_repository:"
     "AlarmStateHistCassandraRepository",
     DRIVER_CASSANDRA},
};

enum store_driver
cfg_topic_driver(const struct config *cfg, enum topic_kind kind)
{
    assert(kind != TOPIC_EVENTS);
    return kind == TOPIC_METRICS ? cfg->metrics_driver : cfg->alarm_state_history_driver;
}

/* --- notices --- */

static void tell(const struct cfg_loading *l, const char *format, ...) PRINTF_LIKE(2, 3);

static void
tell(const struct cfg_loading *l, const char *format, ...)
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

static void
tell_ignored_option(const struct cfg_loading *l, size_t i)
{
    const struct cfg_raw *raw = &l->raw[i];
    char line[16] = "";
    if (raw->line > 0)
        snprintf(line, sizeof(line), ":%u", raw->line);
    tell(l, "%s%s: [%s] %s has no meaning here and is ignored", raw->file, line,
         cfg_options[i].section, cfg_options[i].name);
}

static void
tell_ignored(const struct cfg_loading *l)
{
    for (size_t i = 0; i < cfg_n_options; i++)
        if (l->raw[i].text != NULL && (cfg_options[i].flags & CFG_IGNORED))
            tell_ignored_option(l, i);
}

/* Does what is sent to that host stay on this one? */
static bool
is_local(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0 ||
           strcmp(host, "::1") == 0 || strcmp(host, "[::1]") == 0;
}

static void
tell_risks(const struct cfg_loading *l)
{
    const struct config *cfg = l->cfg;
    const struct cfg_topic *metrics = &cfg->topic[TOPIC_METRICS];
    const struct cfg_topic *alarms = &cfg->topic[TOPIC_ALARM_HISTORY];
    bool influxdb = (metrics->enabled && cfg->metrics_driver == DRIVER_INFLUXDB) ||
                    (alarms->enabled && cfg->alarm_state_history_driver == DRIVER_INFLUXDB);
    if (influxdb && cfg->influxdb.ssl && !cfg->influxdb.verify_ssl)
        tell(l,
             "%s: [influxdb] verify_ssl is off: whoever answers as the server gets the password "
             "and the data",
             cfg->file);
    if (influxdb && !cfg->influxdb.ssl && cfg->influxdb.user[0] != '\0' &&
        cfg->influxdb.password[0] != '\0' && !is_local(cfg->influxdb.ip_address))
        tell(l, "%s: [influxdb] ssl is off: the password goes to %s in clear, and so does the data",
             cfg->file, cfg->influxdb.ip_address);
    if (metrics->enabled && alarms->enabled && strcmp(metrics->topic, alarms->topic) == 0)
        tell(l,
             "%s: [kafka_metrics] and [kafka_alarm_history] read the same topic, %s: each rejects "
             "the other's messages",
             cfg->file, metrics->topic);
}

/* --- checks --- */

static int
fail(const struct cfg_loading *l, const char *section, const char *name, const char *what)
{
    int i = cfg_find_option(section, name);
    assert(i != -1);
    return cfg_fail_option(l, (size_t)i, what);
}

static bool
is_name(const char *text, size_t most)
{
    size_t n = strspn(text, NAME_CHARACTERS);
    return text[n] == '\0' && n > 0 && n <= most && strcmp(text, ".") != 0 &&
           strcmp(text, "..") != 0;
}

static int
check_instance(const struct cfg_loading *l)
{
    char host[256];
    char **instance = &l->cfg->persister.instance;
    if ((*instance)[0] == '\0') {
        if (gethostname(host, sizeof(host)) == -1)
            return fail(l, "persister", "instance", "the host's name is unknown; set one here");
        host[sizeof(host) - 1] = '\0';
        if (cfg_set_string(l, instance, host) == -1)
            return -1;
    }
    /* It becomes part of file names: a leading dot would hide them. */
    if (!is_name(*instance, MAX_INSTANCE) || (*instance)[0] == '.')
        return fail(l, "persister", "instance",
                    "allowed: 1 to 64 letters, digits, _ . -, not a dot at first");
    return 0;
}

/* [DEFAULT] log_file becomes the whole path, and log_dir is cleared. */
static int
check_log(const struct cfg_loading *l)
{
    struct config *cfg = l->cfg;
    struct buf path;
    const char *file = cfg->DEFAULT.log_file, *dir = cfg->DEFAULT.log_dir;
    buf_init(&path, 1 << 12);
    if (dir[0] != '\0' && file[0] != '/')
        buf_printf(&path, "%s/%s", dir, file[0] != '\0' ? file : "monasca-persister.log");
    else
        buf_add_text(&path, file);
    buf_add_char(&path, '\0');
    int result = path.failed ? fail(l, "DEFAULT", "log_file", "too long; allowed: 4095 bytes")
                             : cfg_set_string(l, &cfg->DEFAULT.log_file, path.data);
    buf_free(&path);
    cfg->DEFAULT.log_dir[0] = '\0';
    return result;
}

static int
check_dead_letters(const struct cfg_loading *l)
{
    char path[256];
    const char *topic = l->cfg->dead_letter.topic;
    if (topic[0] != '\0' && !is_name(topic, MAX_TOPIC))
        return fail(l, "dead_letter", "topic", "allowed: at most 249 letters, digits, _ . -");
    if (l->cfg->dead_letter.file[0] != '\0')
        return 0;
    snprintf(path, sizeof(path), "/var/lib/monasca-persister/%s.dead.jsonl",
             l->cfg->persister.instance);
    return cfg_set_string(l, &l->cfg->dead_letter.file, path);
}

static int
check_driver(const struct cfg_loading *l, const char *name, const char *text,
             enum store_driver *driver)
{
    char what[400], subject[160] = "it";
    int option = cfg_find_option("repositories", name);
    assert(option != -1);
    for (size_t i = 0; i < COUNT_OF(drivers); i++)
        if (strcmp(text, drivers[i].name) == 0) {
            *driver = drivers[i].driver;
            return 0;
        }
    if (cfg_may_quote(l, (size_t)option))
        snprintf(subject, sizeof(subject), "'%.150s'", text);
    snprintf(what, sizeof(what), "%s is no store that is known here; %s", subject, stores);
    return cfg_fail_option(l, (size_t)option, what);
}

static int
check_drivers(const struct cfg_loading *l)
{
    struct config *cfg = l->cfg;
    return check_driver(l, "metrics_driver", cfg->repositories.metrics_driver,
                        &cfg->metrics_driver) == -1 ||
                   check_driver(l, "alarm_state_history_driver",
                                cfg->repositories.alarm_state_history_driver,
                                &cfg->alarm_state_history_driver) == -1
               ? -1
               : 0;
}

/* Removes blanks and empty elements from a list that commas separate, in place. */
static void
tidy_list(char *list)
{
    char *out = list;
    for (char *p = list; *p != '\0';) {
        p += strspn(p, ", \t");
        size_t n = strcspn(p, ", \t");
        if (n > 0 && out > list)
            *out++ = ',';
        memmove(out, p, n);
        out += n;
        p += n;
    }
    *out = '\0';
}

/* Where num_processors of a topic is said: in its section, or in [kafka]. */
static size_t
find_processors(const struct cfg_loading *l, enum topic_kind kind)
{
    int own = cfg_find_option(cfg_topic_section(kind), "num_processors");
    int common = cfg_find_option("kafka", "num_processors");
    assert(own != -1 && common != -1);
    return (size_t)(l->raw[own].text != NULL ? own : common);
}

/*
 * No processors are what deployment tools set to switch a topic off; the Python persister starts
 * none then.  Returns: the kinds that were enabled and are not any more, a bit each.
 */
static unsigned
disable_idle_topics(const struct cfg_loading *l)
{
    unsigned disabled = 0;
    for (enum topic_kind kind = 0; kind < TOPIC_KINDS; kind++) {
        struct cfg_topic *t = &l->cfg->topic[kind];
        if (t->enabled && t->num_processors == 0) {
            t->enabled = false;
            disabled |= 1u << kind;
        }
    }
    return disabled;
}

static void
tell_disabled(const struct cfg_loading *l, unsigned disabled)
{
    for (enum topic_kind kind = 0; kind < TOPIC_KINDS; kind++) {
        if ((disabled & 1u << kind) == 0)
            continue;
        size_t i = find_processors(l, kind);
        tell(l, "%s:%u: [%s] num_processors = 0 is taken as enabled = False in [%s]",
             l->raw[i].file, l->raw[i].line, cfg_options[i].section, cfg_topic_section(kind));
    }
}

static int
fail_events(const struct cfg_loading *l)
{
    bool others = l->cfg->topic[TOPIC_METRICS].enabled || l->cfg->topic[TOPIC_ALARM_HISTORY].enabled;
    return fail(l, cfg_topic_section(TOPIC_EVENTS), "enabled",
                others ? "events are not supported; allowed: False"
                       : "events are not supported, and no other topic is enabled (num_processors "
                         "= 0 is enabled = False, too): there is nothing to do here");
}

static int
fail_no_topic(const struct cfg_loading *l, unsigned disabled)
{
    if ((disabled & 1u << TOPIC_METRICS) == 0)
        return fail(l, "kafka_metrics", "enabled", "no topic is enabled: there is nothing to do");
    return cfg_fail_option(l, find_processors(l, TOPIC_METRICS),
                           "0 is taken as enabled = False, so no topic is enabled and there is "
                           "nothing to do; allowed: 1 or more for a topic");
}

static int
check_topic(const struct cfg_loading *l, enum topic_kind kind)
{
    const struct cfg_topic *t = &l->cfg->topic[kind];
    const char *section = cfg_topic_section(kind);
    tidy_list(t->uri);
    if (!t->enabled)
        return 0;
    if (kind == TOPIC_EVENTS)
        return fail_events(l);
    if (t->uri[0] == '\0')
        return fail(l, section, "uri", "allowed: HOST:PORT, several separated by commas");
    if (!is_name(t->topic, MAX_TOPIC))
        return fail(l, section, "topic", "allowed: 1 to 249 letters, digits, _ . -");
    if (t->group_id[0] == '\0')
        return fail(l, section, "group_id", "allowed: the name of a consumer group");
    if (strcmp(t->topic, l->cfg->dead_letter.topic) == 0)
        return fail(l, "dead_letter", "topic",
                    "rejected messages cannot go to a topic that is read");
    if (cfg_topic_driver(l->cfg, kind) != DRIVER_INFLUXDB)
        return 0;
    if (l->cfg->influxdb.database_name[0] == '\0')
        return fail(l, "influxdb", "database_name", "must not be empty");
    return 0;
}

static int
check_topics(const struct cfg_loading *l, unsigned disabled)
{
    const struct cfg_topic *a = &l->cfg->topic[TOPIC_METRICS];
    const struct cfg_topic *b = &l->cfg->topic[TOPIC_ALARM_HISTORY];
    for (enum topic_kind kind = 0; kind < TOPIC_KINDS; kind++)
        if (check_topic(l, kind) == -1)
            return -1;
    if (!a->enabled && !b->enabled)
        return fail_no_topic(l, disabled);
    if (a->enabled && b->enabled && strcmp(a->topic, b->topic) == 0 &&
        strcmp(a->group_id, b->group_id) == 0)
        return fail(l, "kafka_alarm_history", "group_id",
                    "topic and group are those of [kafka_metrics]");
    return 0;
}

int
cfg_check(const struct cfg_loading *l)
{
    const struct config *cfg = l->cfg;
    unsigned disabled = disable_idle_topics(l);
    if (check_instance(l) == -1 || check_log(l) == -1 || check_dead_letters(l) == -1 ||
        check_drivers(l) == -1 || check_topics(l, disabled) == -1)
        return -1;
    if (cfg->persister.max_message_bytes > (cfg->persister.memory_limit_mb << 20) / 8)
        return fail(l, "persister", "max_message_bytes",
                    "allowed: at most an eighth of memory_limit_mb");
    if (cfg_check_hosts(l) == -1 || cfg_check_cassandra(l) == -1 || cfg_check_statsd(l) == -1)
        return -1;
    tell_risks(l);
    tell_disabled(l, disabled);
    tell_ignored(l);
    cfg_tell_lines(l, &l->former);
    cfg_tell_lines(l, &l->unknown);
    return 0;
}
