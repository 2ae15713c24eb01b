/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger_priv.h - what ledger.c and ledger_close.c share.
 *
 * Process: master.  Owner: struct ledger.  Concurrency: one thread.
 */
#ifndef SHM_LEDGER_PRIV_H
#define SHM_LEDGER_PRIV_H

#include "shm/ledger.h"
#include "shm/span.h"

/* What the master knows about a slot. */
struct account {
    bool live;      /* a generation runs that is not folded yet */
    bool died;      /* the last one died unasked: the next one is a restart */
    bool open;      /* the epoch before `epoch` ended but could not be collected yet */
    uint64_t epoch; /* what the slot has been told to count into */
    uint64_t seen[SHM_COPY_WORDS]; /* of this generation, when it was collected last */
    struct span period;            /* since the last close, over all generations */
};

struct ledger {
    struct segment *segment;
    struct shm_header *header;
    struct recorder *recorder; /* of slot 0 */
    struct account *accounts;  /* n_slots + 1 */
    struct span left;          /* of processes that lost their slot in this period */
    bool barrier;
    uint64_t period; /* number of the last closed one */
    int64_t closed_ms;
};

/*
 * Adds the difference between a state and the one seen before to the account's period.
 * Takes: the words of a copy, of whose buckets only the low halves need be right, and of whose
 * extremes those that are in no closed period yet.
 */
void ledger_book_state(struct account *account, const uint64_t *state);

/* Nothing published in an epoch: it has no extremes. */
void ledger_drop_extremes(uint64_t *state);

#endif
