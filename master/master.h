/*
 * master.h - the master's loop: forks workers into fixed slots and supervises them until told to
 * stop.
 *
 *   TERM, INT   stop; a second one hurries (also if INT was ignored when we were started)
 *   USR1        opens the log anew, and has the workers do the same
 *   HUP         nothing yet, and says so
 *
 * What to do is decided in pool.c; here it is done.  Signals stay blocked and come through a
 * signalfd, so nothing ever runs in a handler.
 *
 * Process: master.  Owner: the caller of master_run.  Concurrency: one thread.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include "lib/base.h"
#include "lib/log.h"
#include "master/pool.h"
#include "master/telling.h"
#include "shm/ledger.h"

struct master_options {
    size_t n;                 /* workers, 1.. */
    const char *const *names; /* n of them: "metrics-0" */
    const bool *silent;       /* n of them: gives no sign of life but that it runs; NULL: none */
    struct ledger *ledger;    /* worker i is assigned to slot i + 1 */
    /* What worker number i does; its result is the exit code. Runs in the child. */
    int (*run)(void *arg, size_t i);
    void *arg;
    struct pool_timing timing;
    int64_t period_ms;              /* length of a period of the figures, 1.. */
    int64_t totals_ms;              /* between two lines of totals in the log, 1.. */
    enum log_level totals_per_each; /* level of the lines per process */
    struct shm_reader *reader;      /* of our own segment, for these lines */
    struct telling *telling;        /* tells the figures by StatsD; NULL: nobody does */
    int fds[2];                     /* closed in the children; -1 for none */
};

/*
 * Runs until stopped.
 * Takes: options, which outlive the call. The process must have one thread.
 * Returns: 0 if all workers ended by themselves, 1 if one had to be killed or the loop could not be
 * started (logged). The signal mask is as before; SIGCHLD is at its default, SIGPIPE ignored.
 */
int master_run(const struct master_options *options) MUST_CHECK;

#endif
