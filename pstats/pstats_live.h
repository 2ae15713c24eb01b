/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_live.h - the live view: one screen that is drawn anew every interval, and its keys.
 *
 * What is on the screen is made by pstats_page; here is curses, the clock and the keyboard.
 *
 * Process: pstats.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef SHM_PSTATS_LIVE_H
#define SHM_PSTATS_LIVE_H

#include "shm/pstats_find.h"
#include "pstats/pstats_source.h"

/*
 * Shows the figures until the user quits, or the terminal goes away.
 * Takes: ms between two snapshots, 1..
 * Returns: true, and how to exit: PSTATS_LIVE or PSTATS_STALE, or PSTATS_FAILED with a text. False
 * if curses cannot use this terminal; nothing has been shown then.
 */
bool pstats_run_live(struct source *source, int64_t interval_ms, enum pstats_exit *result,
                     struct errbuf *err) MUST_CHECK;

#endif
