/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.h - the messages that persister-load sends: metrics and alarm transitions as Monasca's
 * agent and threshold engine make them, repeated ones, and bad ones of every kind that the
 * persister has to reject.
 *
 * Pure: the same options, number and time give the same bytes.
 *
 * Process: persister-load.  Owner: none.  Concurrency: any thread.
 */
#ifndef PERF_PAYLOAD_H
#define PERF_PAYLOAD_H

#include "lib/base.h"

enum payload_kind { PAYLOAD_METRICS, PAYLOAD_ALARMS };

enum {
    PAYLOAD_MAX = 8192,      /* bytes that any payload fits into */
    PAYLOAD_DIMENSIONS = 50, /* a series may have more, at most */
    PAYLOAD_RUN_BYTES = 64   /* of the dimension "run" */
};

struct payload_options {
    enum payload_kind kind;
    uint64_t seed;
    uint32_t tenants;           /* 1..; a host belongs to one */
    uint32_t hosts, names;      /* 1..; each host sends each name */
    uint32_t dimensions;        /* more for each series, 0..PAYLOAD_DIMENSIONS */
    uint32_t bad_percent;       /* 0..100 */
    uint32_t duplicate_percent; /* 0..100: of the good ones, about; see payload_original */
    bool distinct;              /* see payload_format */
    int64_t start_ms;           /* time of number 0 */
    int64_t step_us;            /* from a message's time to the next one's */
    const char *run;            /* dimension "run" of metrics, if not ""; plain ASCII */
};

/*
 * Formats message `number`. Its time is start_ms + number * step_us / 1000.
 *
 * With `distinct` each good message that is not a repetition is one row of its own in any store:
 * its time is start_ms + number, and it says its number: a metric as its value, an alarm transition
 * as the last 12 digits (decimal) of alarmId.  So a test that sent the numbers 0..n-1 has to find,
 * over all measurements, exactly the set { i : 0 <= i < n, !payload_is_bad(i), payload_original(i)
 * == i }, each once, and time - start_ms == i.
 *
 * Returns: bytes written to out, at most PAYLOAD_MAX; no NUL is added.
 */
size_t payload_format(const struct payload_options *o, uint64_t number, char out[PAYLOAD_MAX]);

/* Returns: whether that message is a bad one: number * 37 mod 100 < bad_percent. */
bool payload_is_bad(const struct payload_options *o, uint64_t number);

/*
 * A repetition has the bytes of an earlier message, which is no repetition; a bad message is none.
 * Returns: the number of the message whose bytes this one has: mostly its own.
 */
uint64_t payload_original(const struct payload_options *o, uint64_t number);

/* Returns: how many series there are to be sent: names * hosts, of metrics; alarms have none: 0. */
uint64_t payload_series(const struct payload_options *o);

/* Returns: the series that a metric belongs to, 0..payload_series - 1; they take turns. */
uint64_t payload_series_of(const struct payload_options *o, uint64_t number);

/* Ways to be bad, numbered; and the number of the way that message `number` is. */
size_t payload_bad_kinds(enum payload_kind kind);
const char *payload_bad_name(enum payload_kind kind, size_t i);
size_t payload_bad_kind(const struct payload_options *o, uint64_t number);

#endif
