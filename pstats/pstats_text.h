/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_text.h - a snapshot as plain aligned text: `pstats -1`. Pure.
 *
 * Process: pstats.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef SHM_PSTATS_TEXT_H
#define SHM_PSTATS_TEXT_H

#include "pstats/pstats_source.h"

/*
 * Appends the instance: its state, counters and levels, timings; then a line for each process, with
 * what it counted in its lifetime and what it timed in the last period.
 * Takes: a source with a snapshot. choice may be NULL: all figures of the instance, and the most
 * important ones of the processes.
 */
void pstats_write_text(struct buf *out, const struct source *source,
                       const struct figures_choice *choice);

/*
 * Appends the state of an instance in words: "running", "running; no sign of life for 40s",
 * "stale: master 17 died; its last sign of life was at ...".
 */
void pstats_add_state(struct buf *out, const struct source *source);

#endif
