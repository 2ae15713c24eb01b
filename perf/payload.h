/*
 * payload.h - the messages the feeder sends: metrics and alarm transitions as Monasca's agent and
 * threshold engine make them, and bad ones of every kind that the persister has to reject.
 *
 * Pure: the same seed and number give the same message.
 *
 * Process: the feeder.  Owner: none.  Concurrency: any thread.
 */
#ifndef PERF_PAYLOAD_H
#define PERF_PAYLOAD_H

#include "lib/base.h"

enum payload_kind { PAYLOAD_METRICS, PAYLOAD_ALARMS };

enum { PAYLOAD_MAX = 4096 }; /* bytes that any payload fits into */

struct payload_options {
    enum payload_kind kind;
    uint64_t seed;
    uint32_t tenants;     /* 1.. */
    uint32_t bad_percent; /* 0..100 */
    bool distinct;        /* see payload_format */
    int64_t start_ms;     /* of number 0, if distinct */
    const char *run;      /* if distinct, and not "": dimension "run" of metrics; plain ASCII */
};

/*
 * Formats message `number`.
 *
 * With `distinct` each good message is one row of its own in any store: its time is start_ms +
 * number, and it says its number: a metric as its value, an alarm transition as the last 12 digits
 * (decimal) of alarmId.  So a test that sent the numbers 0..n-1 has to find, over all measurements,
 * exactly the set { i : 0 <= i < n, !payload_is_bad(i) }, each once, and time - start_ms == i.
 *
 * Takes: options; the number; now in ms since 1970 (the time of messages that are not distinct).
 * Returns: bytes written to out, at most PAYLOAD_MAX; no NUL is added.
 */
size_t payload_format(const struct payload_options *o, uint64_t number, int64_t now_ms,
                      char out[PAYLOAD_MAX]);

/* Returns: whether that message is a bad one: number * 37 mod 100 < bad_percent. */
bool payload_is_bad(const struct payload_options *o, uint64_t number);

#endif
