/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg.h - the configuration: parsed, resolved and validated into one fresh structure.
 *
 * cfg.def and cfg_topic.def hold every option once; from them come the structure below, the parser,
 * --dump-config, the sample file and the documentation.
 *
 * Process: the master reads it before any fork; workers inherit it and never write to it.
 * Owner: whoever called cfg_load; cfg_free ends it.  Concurrency: read-only after loading.
 */
#ifndef LIB_CFG_H
#define LIB_CFG_H

#include <stdio.h>

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/errbuf.h"

/* The three kinds of topic, each a section of upstream's file. */
enum topic_kind { TOPIC_METRICS, TOPIC_ALARM_HISTORY, TOPIC_EVENTS, TOPIC_KINDS };

/* Flags of an option. */
enum {
    CFG_SECRET = 1,  /* masked in dumps and messages */
    CFG_IGNORED = 2, /* means nothing here: its field is "", 0 or false whatever the file says */
    CFG_RELOAD = 4,  /* can change without new workers */
    CFG_FIXED = 8    /* cannot change while the program runs; strings only */
};

/* Bounds of [statsd] that others rely on. */
enum {
    CFG_STATSD_DIMENSIONS = 64, /* pairs in `dimensions`, at most */
    CFG_STATSD_PERIODS = 60     /* interval and window in periods, at most: that many are kept */
};

enum store_driver { DRIVER_INFLUXDB, DRIVER_DISCARD, DRIVER_POSTGRESQL, DRIVER_CASSANDRA };

/* What an option's field is in C. */
typedef char *cfg_string; /* never NULL; "" if unset */
typedef int64_t cfg_int;  /* within the bounds of its line */
typedef bool cfg_bool;

/* One [kafka_metrics], [kafka_alarm_history] or [kafka_events] section, inheritance resolved. */
struct cfg_topic {
#define TOPIC_OPTION(name, type, min, max, text, flags, help) cfg_##type name;
#include "conf/cfg_topic.def"
#undef TOPIC_OPTION
};

/* `librdkafka.NAME = VALUE` in [kafka], passed through as it is; checked by the worker's code. */
struct cfg_property {
    char *name, *value;
    const char *file; /* one of the configuration's files */
    unsigned line;
};

/* What a configuration is put together from; what is read later wins. */
enum cfg_source_kind {
    CFG_FROM_FILE,
    CFG_FROM_DIRECTORY, /* its *.conf in the order of their names; it may be empty */
    CFG_FROM_OPTION     /* one [DEFAULT] option of the command line */
};

struct cfg_source {
    enum cfg_source_kind kind;
    const char *path;         /* of the file or the directory; "--log-file" and the like */
    const char *name, *value; /* CFG_FROM_OPTION: the option, maybe a former one, and its text */
};

struct config {
    char *file;   /* where it came from, for people: the paths, separated by commas */
    char **files; /* what was read, and the options of the command line; n_files of them */
    size_t n_files;
    /*
     * Resolved at load: persister.instance and dead_letter.file are never empty; DEFAULT.log_file
     * is the whole path or "", log_dir is always "".
     */
#define SECTION(name) struct {
#define OPTION(section, name, type, min, max, text, flags, help) cfg_##type name;
#define END_SECTION(name)                                                                          \
    }                                                                                              \
    name;
#include "conf/cfg.def"
#undef SECTION
#undef OPTION
#undef END_SECTION
    struct cfg_topic topic[TOPIC_KINDS];
    struct cfg_property *properties; /* n_properties of them, in the file's order */
    size_t n_properties;             /* at most 1000 */
    enum store_driver metrics_driver, alarm_state_history_driver; /* from [repositories] */
};

/*
 * Reads, resolves and validates.  Format: oslo.config's (oslo_config/iniparser.py), at most 4 MiB a
 * file; values at most 1 MiB, references resolved, across files too.  topic[].uri comes without
 * blanks.
 * Takes: n sources, at least one, in their order; called for each notice (an option that means
 * nothing here, a former name, a risky setting), with one line of text; may be NULL.
 * Returns: a fresh configuration that the caller frees, or NULL with one line that names file, line
 * (where there is one), section and option, and what is allowed.
 */
struct config *cfg_load_sources(const struct cfg_source *sources, size_t n,
                                void (*notice)(const char *text), struct errbuf *err) MUST_CHECK;

/* The same with one file. */
struct config *cfg_load(const char *path, void (*notice)(const char *text),
                        struct errbuf *err) MUST_CHECK;

/* Frees it all and nulls the pointer. NULL is fine. */
void cfg_free(struct config **cfg);

/* Overwrites passwords and the like, and leaves "" in their place: for a process that needs none.
 */
void cfg_forget_secrets(struct config *cfg);

/*
 * Writes the effective values as a file that cfg_load reads again, except that secrets that are set
 * are written as ****.
 */
void cfg_dump(const struct config *cfg, FILE *out);

/*
 * Writes the sample file: every option with its default, commented out, its help above it; only
 * [influxdb] ip_address, which has none and must be set, is set to 127.0.0.1.
 * Upstream's options that mean nothing here are left out.
 */
void cfg_sample(FILE *out);

/*
 * Appends the list of all options in man(7)'s macros, and the names of those that mean nothing
 * here: the part of doc/monasca-persister.conf.5 between its two comments.
 */
void cfg_write_man(struct buf *out);

/*
 * Compares two configurations for a reload.
 * cfg_same_for_workers: everything that a worker of that kind (not TOPIC_EVENTS) goes by, but not
 * whether there are any and how many.  cfg_same_section: one section.  cfg_same: all options.
 * Returns: true if there is no difference.
 */
bool cfg_same_for_workers(const struct config *a, const struct config *b, enum topic_kind kind);
bool cfg_same_section(const struct config *a, const struct config *b, const char *section);
bool cfg_same(const struct config *a, const struct config *b);

/* Returns: 0, or -1 with a text that names an option which cannot change while the program runs. */
int cfg_check_reload(const struct config *now, const struct config *next,
                     struct errbuf *err) MUST_CHECK;

/* Returns: "kafka_metrics", "kafka_alarm_history" or "kafka_events"; static. */
const char *cfg_topic_section(enum topic_kind kind);

/* Returns: the store of that kind's messages. Not for TOPIC_EVENTS. */
enum store_driver cfg_topic_driver(const struct config *cfg, enum topic_kind kind);

#endif
