/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals.h - what a worker is told by signals: TERM and INT to stop, a second one to hurry, USR1
 * to open its files anew, USR2 to leave when its partitions are revoked the next time.
 *
 * Process: workers and the retention process.  Owner: none, signals are the process's.
 * Concurrency: one thread; the handler only counts.
 */
#ifndef WORKER_SIGNALS_H
#define WORKER_SIGNALS_H

#include "lib/base.h"

/* Sets the handlers and unblocks the signals. INT stays ignored where it is: below a master. */
void signals_catch(void);

/* Returns: requests to stop so far. Two within half a second are one: a TERM to the process group
 * and the master's own. */
unsigned signals_stops(void);

/* Returns: whether USR2 has come: others take over, see master/roster.h. */
bool signals_excused(void);

/* Returns: whether USR1 has come since the last call. */
bool signals_take_reopen(void);

#endif
