/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - a decoded message, as the decoder hands it to a store.
 *
 * All text is UTF-8, unescaped, without NUL.  Slices point into the message, the decoder's
 * arena or what it remembers, and hold until the decoder's next call.
 *
 * Process: workers.  Owner: the decoder.  Concurrency: one thread.
 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "lib/base.h"
#include "record/series.h"

struct dimension {
    struct slice name, value; /* the name is never empty, the value may be */
};

/* A metric of the topic `metrics` (as monasca-api sends it). */
struct measurement {
    struct slice tenant_id, region;     /* region may be "" */
    struct slice name;                  /* never empty */
    const struct dimension *dimensions; /* sorted by name (bytes), names unique */
    size_t n_dimensions;
    int64_t time_ms; /* since 1970, cut to whole ms; may be negative */
    struct slice
        value_text; /* a finite JSON number ("1"/"0" for booleans): strtod reads all of it */
    struct slice value_meta; /* valid JSON text as it came, depth <= 64; n == 0 if null, missing */
    struct series *series; /* all of it but time and values, with the store's note; NULL: none */
};

/* A message of the topic `alarm-state-transitions`. A text that may be missing is then "". */
struct alarm_transition {
    struct slice tenant_id, alarm_id, alarm_definition_id;
    struct slice alarm_name, alarm_description;
    struct slice old_state, new_state, reason, severity, link, lifecycle_state;
    struct slice metrics;    /* JSON array as it came; "[]" if none */
    struct slice sub_alarms; /* JSON array as it came; "[]" if none */
    bool actions_enabled;
    int64_t time_ms;
};

enum record_kind { RECORD_MEASUREMENT, RECORD_ALARM_TRANSITION };

struct record {
    enum record_kind kind;
    union {
        struct measurement measurement;
        struct alarm_transition alarm;
    };
    double
        creation_time; /* s since 1970, feeds the delay figure only; NAN if missing or no number */
};

#endif
