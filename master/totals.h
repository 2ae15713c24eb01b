/* SPDX-License-Identifier: Apache-2.0 */
/*
 * totals.h - the counters of all workers as log lines, for people.
 *
 *   totals: received=N completed=N rejected=N returned=N in_flight=N workers=RUNNING/WANTED
 *   process metrics-0: state=consuming pid=N received=N completed=N rejected=N returned=N
 *       in_flight=N partitions=N restarts=N                              (in one line)
 *
 * Process: master.  Owner: the caller's snapshot.  Concurrency: none needed.
 */
#ifndef MASTER_TOTALS_H
#define MASTER_TOTALS_H

#include "lib/log.h"
#include "shm/snapshot.h"

/*
 * Logs both kinds of line; a process's counters are those of all its generations.
 * Takes: the level of the lines per process. The totals are logged as a notice.
 */
void totals_log(const struct snapshot *snapshot, enum log_level each_level);

#endif
