/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_reload.h - one running program: what it holds, and how it takes another configuration over.
 * Part of the wiring, like main.c.
 *
 * Process: master.  Owner: struct persister, on run's stack in main.c.  Concurrency: one thread;
 * children have a copy as it was at their fork.
 */
#ifndef MASTER_MAIN_RELOAD_H
#define MASTER_MAIN_RELOAD_H

#include "conf/cfg.h"
#include "lib/log.h"
#include "main/main_plan.h"
#include "master/reload.h"
#include "shm/segment.h"

struct persister {
    struct config *cfg;    /* in effect; freed by its owner here */
    struct main_plan plan; /* of it */
    struct segment segment;
    struct ledger *ledger;
    struct hands *hands; /* NULL with --single: nobody would look */
    struct shm_reader *reader;        /* of that segment */
    const struct cfg_source *sources; /* n_sources of them: what a reload reads, too */
    size_t n_sources;
    const char *log_file;       /* --default-log-file, or NULL */
    struct config *next;        /* being checked, or NULL */
    struct main_plan next_plan; /* of it */
};

/* Returns: what a configuration asks for as the log, with pointers into it; see below. */
struct log_options main_reload_log_options(const struct config *cfg, const char *log_file);

/*
 * Opens the log that a configuration asks for.
 * Takes: the file for one that asks for neither a file nor syslog; NULL: standard error then.
 * Returns: 0, or -1 with a text: it stays as it was.
 */
int main_reload_log(const struct config *cfg, const char *log_file, struct errbuf *err) MUST_CHECK;

/*
 * Has the figures told as a configuration asks for, or not at all.
 * Takes: the plan in effect, whose sender may be NULL. Returns: 0, or -1 with a text if memory is
 * out: nothing has changed.
 */
int main_reload_statsd(const struct persister *p, const struct config *cfg,
                        struct master_plan *plan, struct errbuf *err) MUST_CHECK;

/* Returns: the operations of master/reload.h for p, which outlives them. */
struct reload_ops main_reload_ops(struct persister *p);

#endif
