/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.h - persister-dead's command line.
 *
 * Process: persister-dead.  Owner: the caller; texts point into argv.  Concurrency: one thread.
 */
#ifndef DEAD_ARGS_H
#define DEAD_ARGS_H

#include "dead/filter.h"
#include "conf/cfg.h"

enum { ARGS_PROPERTIES_MAX = 64, ARGS_SOURCES_MAX = 64, ARGS_TEXT_BYTES_MAX = 1 << 30 };

enum verb { VERB_LIST, VERB_SHOW, VERB_REPLAY };

enum dead_exit {
    DEAD_DONE = 0,
    DEAD_FAILED = 1,
    DEAD_USAGE = 2,
    DEAD_PARTLY = 3, /* all went well but for letters that cannot be replayed */
    DEAD_NOTHING = 4 /* no such letter */
};

struct arguments {
    enum verb verb;
    struct cfg_source sources[ARGS_SOURCES_MAX]; /* --config-file and --config-dir, in order */
    size_t n_sources;
    const char *file, *dead_topic, *state, *brokers, *to;
    enum topic_kind section; /* TOPIC_KINDS: not given */
    struct filter filter;
    bool accepted, again, each, json, raw, dry_run, yes;
    int64_t rate, limit; /* 0: none */
    const char *properties[ARGS_PROPERTIES_MAX];
    size_t n_properties;
    bool done; /* --help or --version was printed */
};

/* Returns: 0, or -1 after a line on standard error. */
int args_parse(struct arguments *a, int argc, char **argv) MUST_CHECK;

#endif
