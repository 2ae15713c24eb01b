/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle.h - the worker's state, and what becomes of a batch: written, refused and buried, counted,
 * given back.
 *
 * Process: worker.  Owner: struct worker, on worker_run's stack.  Concurrency: one thread.
 */
#ifndef WORKER_SETTLE_H
#define WORKER_SETTLE_H

#include "lib/backoff.h"
#include "lib/log.h"
#include "store/store.h"
#include "batch/batch.h"
#include "kafka/consume.h"
#include "worker/worker.h"

struct worker {
    const struct worker_args *args;
    const struct config *cfg;
    struct recorder *recorder;
    struct store_look look;
    struct store_hooks store_hooks;
    struct store *store;
    struct store_load *load;
    struct consumer *consumer;
    struct decoder *decoder;
    struct dead_letters *dead;
    struct batch batch;
    struct store_position *ends; /* of the batch's partitions, for a store that keeps the offsets */
    size_t n_ends, capacity_ends;
    struct backoff backoff;
    struct log_limit reject_limit;
    int64_t give_up_ms; /* when waits for the store have to end; INT64_MAX: never */
    int64_t stop_ms;    /* when everything has to have ended; INT64_MAX until a stop is asked for */
    int64_t levels_due_ms, memory_due_ms;
    const char *wait_on; /* where the present attempt is: the store's name, or the dead letters */
    unsigned tries;    /* attempts at the present batch that failed */
    bool sick;         /* the last attempt failed; said once until it succeeds */
    bool in_write;     /* an attempt is under way */
    bool excused;      /* others have taken over: leave */
    bool careful;      /* there are offsets ahead that no worker survives */
    bool broken;       /* out of memory or a fatal error: leave, the master starts another */
    struct errbuf sickness;
};

/* A row is refused before any store has seen it. Takes: the worker; the row; why. */
void settle_refused(struct worker *w, uint32_t row, const struct reject *why);

/*
 * One attempt at making the whole batch durable.
 * Returns: STORE_DONE if all of it is; STORE_SICK and STORE_FENCED as the store says; STORE_STOPPED
 * if it was ended, or memory is out.
 */
enum store_status settle_attempt(struct worker *w);

/*
 * Moves the counters, releases the messages, empties batch and store.
 * Takes: why unsettled rows are returned, if there are any.
 */
void settle_end_batch(struct worker *w, enum stat_value why);

/* Notes what may be committed, then ends the batch: completed is counted before Kafka hears of it.
 */
void settle_finish_batch(struct worker *w, enum stat_value why);

/* The last attempt at writing, or at taking partitions over, failed; or it succeeded. */
void settle_note_sick(struct worker *w, const struct errbuf *err);
void settle_note_recovered(struct worker *w);

#endif
