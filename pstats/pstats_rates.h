/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_rates.h - how much per second, from one snapshot to the next. Pure.
 *
 * A total that is less than before (a new master, a worker that took a slot over) makes no negative
 * rate: it has none until the next snapshot.  Before there is a second snapshot, rates are those of
 * the last period.
 *
 * Process: pstats.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef SHM_PSTATS_RATES_H
#define SHM_PSTATS_RATES_H

#include "shm/snapshot.h"

/* Of one process: by slot and name. */
struct rates_process {
    unsigned slot;
    char name[SHM_PROCESS_BYTES];
    uint64_t received, completed;                     /* of its lifetime, at the last snapshot */
    double received_per_second, completed_per_second; /* negative: not known */
};

struct rates {
    int64_t taken_ms, started_ms; /* of the last snapshot; 0: none yet */
    int32_t master_pid;
    uint64_t values[STAT_VALUES];
    double per_second[STAT_VALUES]; /* counters of the instance; negative: not known */
    struct rates_process *processes;
    size_t n;
};

/*
 * Takes the next snapshot in.
 * Takes: rates that were zeroed once.
 * Returns: 0, or -1 if memory is out; what was known before is then kept.
 */
int rates_update(struct rates *rates, const struct snapshot *snapshot) MUST_CHECK;

/* Returns: the rates of a process of the last snapshot; NULL if it is not in it. */
const struct rates_process *rates_find(const struct rates *rates,
                                       const struct snapshot_process *process);

void rates_free(struct rates *rates);

#endif
