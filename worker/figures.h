/* SPDX-License-Identifier: Apache-2.0 */
/*
 * figures.h - what a worker's batch means in figures: request times, delays, reasons, levels.
 *
 * Process: workers.  Owner: the caller's recorder and batch.  Concurrency: one thread.
 */
#ifndef WORKER_FIGURES_H
#define WORKER_FIGURES_H

#include "batch/account.h"
#include "batch/window.h"
#include "shm/recorder.h"

/*
 * Counts a batch that leaves the window by its account.  What is completed has a request time each
 * (from the poll to stored_ns) and a delay (from creation to stored_ns, if the creation is known);
 * messages that came with one poll and were stored with one write are recorded in one step.
 * Takes: the figure that says why the returned ones are (STAT_RETURNED_STOPPED); what has to be
 * added to a time of the monotonic clock to make it one of the wall clock, ns.
 */
void figures_end_batch(struct recorder *recorder, const struct batch *batch,
                       const struct account *account, enum stat_value why,
                       int64_t mono_to_wall_ns);

/*
 * Sets the levels that describe the batches in hand, and the oldest of them.
 * Takes: now by clock_mono_ms and clock_wall_ms.
 */
void figures_show_window(struct recorder *recorder, struct window *window, int64_t now_ms,
                         int64_t wall_ms);

#endif
