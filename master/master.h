/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master.h - the master's loop: forks processes into the slots of the segment and supervises them
 * until told to stop.
 *
 *   TERM, INT   stop; a second one hurries (also if INT was ignored when we were started)
 *   USR1        opens the log anew, and has the workers do the same
 *   HUP         reads the configuration again (reload.h); if it is good, another crew may take over
 *               (roster.h)
 *
 * What to do is decided in pool.c and roster.c; crew.c does it.  Signals stay blocked and come
 * through a signalfd, so nothing ever runs in a handler.
 *
 * Process: master.  Owner: the caller of master_run.  Concurrency: one thread.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "lib/base.h"
#include "lib/log.h"
#include "master/notify.h"
#include "master/pool.h"
#include "master/reload.h"
#include "master/roster.h"
#include "master/statsd_sender.h"
#include "shm/hands.h"
#include "shm/ledger.h"

enum { MASTER_FDS = 2 };

/* What a configuration says to the master. */
struct master_plan {
    const struct seat *seats; /* n of them, at most the segment's slots */
    size_t n;
    const bool *same; /* as roster_change takes it */
    struct pool_timing timing;
    int64_t period_ms;       /* length of a period of the figures, 1.. */
    struct statsd_sender *sender; /* tells the figures by StatsD; NULL: nobody does */
};

struct master_options {
    struct segment *segment;
    struct ledger *ledger;
    struct shm_reader *reader; /* of our own segment */
    /*
     * What the process for a seat does; its result is the exit code. Runs in the child. Takes: how
     * long to wait before it joins its group, counted from when it could, 0 for not at all.
     */
    int (*run)(void *arg, const struct seat *seat, unsigned slot, int64_t hold_ms);
    void *arg;
    /* In effect. The reload's `take` changes what it points to; the loop follows when it returns.
     */
    const struct master_plan *plan;
    struct hands *hands; /* where workers write down what they have in hand; NULL: they do not */
    const struct reload_ops *reload; /* NULL: HUP is refused */
    struct notify *notify;
    int64_t totals_ms;              /* between two lines of totals in the log, 1.. */
    enum log_level totals_per_each; /* level of the lines per process */
    int fds[MASTER_FDS];            /* closed in the children; -1 for none */
};

/*
 * Runs until stopped.
 * Takes: options, which outlive the call. The process must have one thread.
 * Returns: 0 if all workers ended by themselves, 1 if one had to be killed or the loop could not be
 * started (logged). The signal mask is as before; SIGCHLD is at its default, SIGPIPE ignored.
 */
int master_run(const struct master_options *options) MUST_CHECK;

#endif
