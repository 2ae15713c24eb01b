/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transactions.h - what the simulated store that keeps the offsets knows of them.
 *
 * Process: tests/sim/sim.  Owner: transactions.c.  Concurrency: one thread.
 */
#ifndef TESTS_SIM_TRANSACTIONS_H
#define TESTS_SIM_TRANSACTIONS_H

#include "lib/base.h"

/* Returns: where a partition stands in the database; -1: nobody has written of it. */
int64_t transactions_next(int32_t partition);

#endif
