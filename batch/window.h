/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window.h - the batches in hand: one is being filled while those before it are written.
 *
 * Batches stand in the order in which they were closed, and so do the offsets of a partition: a
 * batch is written when nothing of those before it is pending, so that of two values of a series
 * the later one wins, and leaves at the head only, so that what is committed is an unbroken run.
 * Where the store keeps the offsets (transactional) a batch is written when all before it are
 * durable.  Burying does not hold up the next batch's write, but there.
 *
 * Pure: it is given the time, and touches neither Kafka nor the store.
 *
 * Process: workers.  Owner: the pipeline.  Concurrency: one thread.
 */
#ifndef BATCH_WINDOW_H
#define BATCH_WINDOW_H

#include "batch/batch.h"

enum { WINDOW_DEPTH_MAX = 16 };

struct window {
    struct batch batches[WINDOW_DEPTH_MAX]; /* a ring */
    unsigned depth, first, n;
    bool transactional;
};

/*
 * Takes: how many batches there may be, 1..WINDOW_DEPTH_MAX; the limits of each; whether the store
 * keeps the offsets. Allocates nothing yet.
 */
void window_init(struct window *window, unsigned depth, const struct batch_limits *limits,
                 bool transactional);

/* Frees all; messages and loads that are still in it are forgotten, not released. */
void window_free(struct window *window);

/* Returns: the i-th batch in hand, the oldest is 0; 0 <= i < window->n. */
struct batch *window_at(struct window *window, unsigned i);

/* Returns: the batch that the next message goes into; NULL if the window is full. */
struct batch *window_filling(struct window *window);

/*
 * Ends the filling of a batch: by its limits, or whatever is in it.
 * Takes: now by the clock that batch_add is given.
 * Returns: whether there is one more to be written.
 */
bool window_close_due(struct window *window, int64_t now_ms);
bool window_close_all(struct window *window);

/* Returns: ms until age makes the filling batch due; INT64_MAX if there is none. */
int64_t window_wait_ms(struct window *window, int64_t now_ms);

/* Returns: the batch to be written now, READY, none of its letters being written; or NULL. */
struct batch *window_to_write(struct window *window);

/* Returns: the batch whose refused rows are to be buried now, JUDGED; or NULL. */
struct batch *window_to_bury(struct window *window);

/* Moves a batch on, or back from WRITING or JUDGED to READY. */
void window_note(struct window *window, struct batch *batch, enum batch_stage stage);

/* Returns: the oldest batch if it is DURABLE, or NULL. To be followed by window_retire. */
struct batch *window_to_retire(struct window *window);
void window_retire(struct window *window);

/* Returns: the youngest batch that is not held, while none is younger; or NULL. It is given back
 * by window_drop, with whatever is settled of it. */
struct batch *window_to_drop(struct window *window);
void window_drop(struct window *window);

/*
 * Finds what may be committed, over all batches: sets run_end and run_ms of each part, -1 where a
 * batch before it breaks the partition's run.
 */
void window_find_runs(struct window *window);

/* Returns: messages in hand. */
uint32_t window_rows(struct window *window);

/* Returns: batches with messages in hand. */
unsigned window_batches(struct window *window);

#endif
