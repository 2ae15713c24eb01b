/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account.h - what a batch that leaves the window means in figures: each of its messages is counted
 * once, as completed, rejected or returned.
 *
 * Pure.
 *
 * Process: workers.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef BATCH_ACCOUNT_H
#define BATCH_ACCOUNT_H

#include "batch/batch.h"

struct account {
    uint64_t completed;               /* stored */
    uint64_t rejected;                /* in the dead letters */
    uint64_t reasons[REJECT_REASONS]; /* of the rejected, why; they add up */
    uint64_t returned;                /* whoever has the partition next reads them again */
    bool whole;                       /* nothing is returned, and there was something */
};

/*
 * Takes: a batch that nobody works on any more; whether what it holds is durable wholly or not at
 * all (the store keeps the offsets): then anything but DURABLE is returned, the stored and the
 * buried, too.
 * Returns: its account; completed + rejected + returned are its messages.
 */
struct account account_of(const struct batch *batch, bool all_or_nothing);

#endif
