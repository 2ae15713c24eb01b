/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.h - when the next message may go out under --rate (pure).
 *
 * Time that was not used, as a broker was away or few letters were meant, is not made up for:
 * what comes after it would be faster than the rate.
 *
 * Process: persister-dead; the tests.  Owner: the caller.  Concurrency: any thread.
 */
#ifndef DEAD_PACE_H
#define DEAD_PACE_H

#include "lib/base.h"

/* So much is made up for: a wait may be longer than was asked for. */
#define PACE_SLACK_NS ((int64_t)20000000)

/*
 * Takes: when the message that goes out now was due, and now (both monotonic, in nanoseconds, now
 * not before due by more than a millisecond); messages a second, 1 or more.
 * Returns: when the one after it is due.
 */
static inline int64_t
pace_next(int64_t due_ns, int64_t now_ns, int64_t rate)
{
    int64_t from = due_ns < now_ns - PACE_SLACK_NS ? now_ns - PACE_SLACK_NS : due_ns;
    return from + 1000000000 / rate;
}

#endif
