/* SPDX-License-Identifier: Apache-2.0 */
/*
 * figures.h - what a worker's batch means in figures: request times, delays, reasons, levels.
 *
 * Process: workers.  Owner: the caller's recorder and batch.  Concurrency: one thread.
 */
#ifndef WORKER_FIGURES_H
#define WORKER_FIGURES_H

#include "shm/recorder.h"
#include "batch/window.h"

/*
 * Counts a batch whose messages are all dealt with: those stored as completed, with a request time
 * each (from the poll to stored_ns) and a delay (from creation to stored_ns, if the creation is
 * known); those in the dead letters as rejected, each by its reason.  Messages that came with one
 * poll and were stored with one write are recorded in one step.
 * Takes: what has to be added to a time of the monotonic clock to make it one of the wall clock,
 * ns.
 */
void figures_settle_batch(struct recorder *recorder, const struct batch *batch,
                          int64_t mono_to_wall_ns);

/*
 * Sets the levels that describe the batches in hand, and the oldest of them.
 * Takes: now by clock_mono_ms and clock_wall_ms.
 */
void figures_show_window(struct recorder *recorder, struct window *window, int64_t now_ms,
                         int64_t wall_ms);

#endif
