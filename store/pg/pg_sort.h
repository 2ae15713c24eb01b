/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_sort.h - the order in which the rows of a batch are written (pure).
 *
 * Process: workers.  Owner: the caller's rows.  Concurrency: any thread.
 */
#ifndef STORE_PG_SORT_H
#define STORE_PG_SORT_H

#include "store/pg/pg_copy.h"

/*
 * Sorts by series, time and row, so that all writers lock in one order, and of equals the last is
 * the one that came last.  Takes time in proportion to n, whatever the order; without memory for
 * that it takes longer.
 */
void pg_sort_entries(struct pg_entry *entries, size_t n);

#endif
