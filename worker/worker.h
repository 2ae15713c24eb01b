/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - the life of a worker process: consume, decode, store, commit, until told to stop.
 *
 * Process: a worker, after the fork (or the main process with --single).  Owner: the caller of
 * worker_run.  Concurrency: one thread, besides librdkafka's own.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "lib/base.h"
#include "conf/cfg.h"
#include "shm/hands.h"
#include "shm/segment.h"

/* How a worker ends; the master's respawn follows from it. */
enum { WORKER_EXIT_DONE = 0, WORKER_EXIT_SICK = 75 /* EX_TEMPFAIL */ };

struct worker_args {
    const struct config *cfg; /* outlives the worker */
    enum topic_kind kind;
    unsigned number;         /* within the topic, 0.. */
    struct segment *segment; /* where its figures go */
    unsigned slot;           /* prepared by ledger_start */
    struct hands *hands;     /* where its positions are written down; NULL: nobody would look */
    int64_t hold_ms;         /* as consumer_open takes it */
};

/*
 * Runs until TERM or INT.  A first one finishes the batch, commits and leaves the group within
 * shutdown_timeout_seconds; a second one gives the batch back at once.  USR1 reopens the log and
 * the dead letters.  Changes signal handlers and the signal mask of the process. Returns:
 * WORKER_EXIT_DONE or WORKER_EXIT_SICK (logged).
 */
int worker_run(const struct worker_args *args) MUST_CHECK;

#endif
