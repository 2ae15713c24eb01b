/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cass_time.h - the write timestamps of what is written, by which Cassandra settles which of two
 * values stays (pure).
 *
 * They follow from the message alone, never from the time of writing: so whoever writes what a
 * message says, however often and in whatever order, leaves the same state.  All of them are no later
 * than the message's own time in Kafka (by the hour, or by the millisecond), so that what an operator
 * deletes, with the server's present time, stays deleted, and what comes after that is seen again.
 *
 *  - A measurement's value and an alarm's: Kafka's milliseconds, and in the last three digits the
 *    offset and the partition, so that of two messages of one millisecond in one partition the later
 *    one wins. (Two of one series, one time and one millisecond of Kafka's, from different partitions,
 *    may meet in these digits, once in a thousand: then the one written last stays.)
 *  - updated_at, and what describes a series: the beginning of the hour that the measurement is of,
 *    but no later than Kafka's; the latest hour wins.
 *  - created_at: the earlier the time, the higher; the earliest wins. These are all of 1970, below
 *    any that somebody deletes with.
 *
 * What is no time of Kafka's (none is known, before 2001-09-09, after 2100) counts as the earliest:
 * the one rule that keeps a producer's broken clock within bounds, and it looks at no other clock.
 * A producer's clock that is merely ahead is believed.
 *
 * Process: workers.  Owner: none.  Concurrency: any thread.
 */
#ifndef STORE_CASSANDRA_CASS_TIME_H
#define STORE_CASSANDRA_CASS_TIME_H

#include "lib/base.h"

#define CASS_HOUR_MS INT64_C(3600000)

/* All take: Kafka's time in ms since 1970, -1 for unknown; return us since 1970. */

int64_t cass_time_of_value(int64_t kafka_ms, int32_t partition, int64_t offset);

/* Takes: the measurement's own time, in ms. */
int64_t cass_time_of_update(int64_t time_ms, int64_t kafka_ms);

/* Returns: what cass_time_of_update is no later than, whatever Kafka's time. */
int64_t cass_time_of_hour(int64_t time_ms);

int64_t cass_time_of_creation(int64_t created_ms);

/* Returns: updated_at for a measurement's time: the end of its hour, in ms. */
int64_t cass_time_updated_at(int64_t time_ms);

#endif
