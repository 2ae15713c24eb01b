/*
 * totals.h - the counters of all workers as log lines, which people and tests read.
 *
 *   totals: received=N completed=N rejected=N returned=N in_flight=N workers=RUNNING/WANTED
 *   process metrics-0: state=consuming pid=N received=N completed=N rejected=N returned=N
 *       in_flight=N partitions=N restarts=N                              (in one line)
 *
 * Workers count on while the lines are made, so the identity received = completed + rejected +
 * returned + in_flight is exact only for those that are between two batches, or gone.
 *
 * Process: master.  Owner: the caller's slots.  Concurrency: reads atomics that workers write.
 */
#ifndef MASTER_TOTALS_H
#define MASTER_TOTALS_H

#include "lib/base.h"
#include "lib/log.h"
#include "shm/slot.h"

/*
 * Logs both kinds of line.
 * Takes: n slots and the names of their workers; the level of the lines per process. The totals
 * are logged as a notice.
 */
void totals_log(const char *const *names, const struct slot *slots, size_t n,
                enum log_level each_level);

/*
 * Settles a slot whose worker has ended, so that received = completed + rejected + returned: what
 * it had in hand counts as returned.  That is reckoned from the counters and not from in_flight: a
 * worker that was killed between two stores may have left that behind or ahead.
 * Returns: the number of messages given back by that; -1 if the counters contradict each other.
 */
int64_t totals_settle(struct slot *slot);

#endif
