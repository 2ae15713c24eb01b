/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.h - servers that say yes at once, in the place of store/http.c and store/pg/pg_conn.c.
 *
 * Process: replay-driver.  Owner: none.  Concurrency: one thread.
 */
#ifndef TESTS_REPLAY_H
#define TESTS_REPLAY_H

#include "lib/base.h"

/* Returns: rows that were sent so far. */
uint64_t replay_rows(void);

/* Counts rows that were sent. */
void replay_note_rows(uint64_t rows);

#endif
