/* SPDX-License-Identifier: Apache-2.0 */
/* cass_time.c - see cass_time.h. */
#include "store/cassandra/cass_time.h"

/* 2001-09-09T01:46:40Z, 2100-01-01: between them is Kafka's time. */
static const int64_t first_ms = 1000000000000, end_ms = 4102444800000;

static int64_t
bound(int64_t ms)
{
    return ms < first_ms || ms >= end_ms ? first_ms : ms;
}

static int64_t
hour_of(int64_t ms)
{
    return ms - (ms % CASS_HOUR_MS + CASS_HOUR_MS) % CASS_HOUR_MS;
}

/* The same for any time, within what can be counted in us. */
static int64_t
clamp(int64_t ms)
{
    return ms < first_ms ? first_ms : ms > end_ms ? end_ms : ms;
}

int64_t
cass_time_of_value(int64_t kafka_ms, int32_t partition, int64_t offset)
{
    uint64_t mixed = (uint64_t)offset + 619 * (uint64_t)(uint32_t)partition;
    return bound(kafka_ms) * 1000 + (int64_t)(mixed % 1000);
}

int64_t
cass_time_of_hour(int64_t time_ms)
{
    return hour_of(clamp(time_ms)) * 1000;
}

int64_t
cass_time_of_update(int64_t time_ms, int64_t kafka_ms)
{
    int64_t hour = hour_of(clamp(time_ms)), latest = hour_of(bound(kafka_ms));
    if (hour <= latest)
        return hour * 1000;
    /* A time ahead of Kafka's: the further, the later, as far as that fits beneath the next hour. */
    int64_t ahead = (hour - latest) / CASS_HOUR_MS;
    return latest * 1000 + (ahead < 1000000 ? ahead : 1000000);
}

int64_t
cass_time_of_creation(int64_t created_ms)
{
    const int64_t most = 1000000000000000; /* in us: 2001-09-09 */
    if (created_ms >= end_ms)
        return 1;
    return created_ms <= end_ms - most ? most : end_ms - created_ms;
}

int64_t
cass_time_updated_at(int64_t time_ms)
{
    return time_ms > INT64_MAX - CASS_HOUR_MS ? INT64_MAX : hour_of(time_ms) + CASS_HOUR_MS;
}
