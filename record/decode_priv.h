/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_priv.h - what the decoder's files share: its structure, and the steps they do for each
 * other.
 *
 *   decode_scan.c        the one pass over the message
 *   decode_dimensions.c  a metric's dimensions: read in that pass, sorted and judged after it
 *   decode_text.c        texts: the arena, and what is wrong with them
 *   decode_known.c       metrics of series that were seen before
 *   decode_skim.c        where in a message that is which does not change
 *   decode.c             the decoder itself, numbers, and the records made of the members
 *
 * Process: workers.  Owner: the worker that made the decoder.  Concurrency: one thread per decoder.
 */
#ifndef WORKER_DECODE_PRIV_H
#define WORKER_DECODE_PRIV_H

#include "lib/json.h"
#include "record/decode.h"
#include "record/series.h"

/* InfluxDB holds less than 65536 bytes of tags, and nobody has that many dimensions. */
enum { DECODE_DIMENSIONS_MAX = 65536 };

enum top_member { TOP_METRIC, TOP_META, TOP_CREATION_TIME, TOP_MEMBERS };
enum metric_member {
    METRIC_NAME,
    METRIC_TIMESTAMP,
    METRIC_VALUE,
    METRIC_DIMENSIONS,
    METRIC_VALUE_META,
    METRIC_MEMBERS
};
enum meta_member { META_TENANT_ID, META_REGION, META_MEMBERS };
enum envelope_member { ENVELOPE_ALARM, ENVELOPE_MEMBERS };
enum alarm_member {
    ALARM_TENANT_ID,
    ALARM_ID,
    ALARM_DEFINITION_ID,
    ALARM_NAME,
    ALARM_DESCRIPTION,
    ALARM_OLD_STATE,
    ALARM_NEW_STATE,
    ALARM_REASON,
    ALARM_SEVERITY,
    ALARM_LINK,
    ALARM_LIFECYCLE_STATE,
    ALARM_METRICS,
    ALARM_SUB_ALARMS,
    ALARM_ACTIONS_ENABLED,
    ALARM_TIMESTAMP,
    ALARM_MEMBERS
};

/* What can be wrong with a text, and with the dimensions as a whole. */
enum flaw {
    FLAW_NONE,
    FLAW_MISSING,
    FLAW_NOT_TEXT,
    FLAW_EMPTY,
    FLAW_HALF_PAIR,
    FLAW_NUL,
    FLAW_NEWLINE,
    FLAW_NOT_FINITE,
    FLAW_CROWDED
};

/* The verdict that a flaw is, and its name for people. */
struct flaw_info {
    enum reject_reason reason;
    const char *text;
};

/* How a text is judged. */
enum {
    TEXT_LINE = 1,     /* no newline in it */
    TEXT_FILLED = 2,   /* not empty */
    TEXT_OPTIONAL = 4, /* null or missing is "" */
};

struct decoder {
    struct json_scanner scanner;
    size_t max_message_bytes;
    /* The last of each member, as scanned; of an object that was entered, only the type. */
    struct json_value top[TOP_MEMBERS], metric[METRIC_MEMBERS], meta[META_MEMBERS];
    struct json_value envelope[ENVELOPE_MEMBERS], alarm[ALARM_MEMBERS];
    /* The last `dimensions`. A value that is flawed has p == NULL and the flaw as n. */
    struct dimension *dimensions, *merged; /* DECODE_DIMENSIONS_MAX each */
    size_t n_dimensions;
    enum flaw dimensions_flaw, name_flaw;
    char *arena;
    size_t arena_size, arena_used;
    struct series_cache *known; /* NULL: nothing is remembered */
    char *key;                  /* SERIES_BYTES_MAX, of the message under way */
    unsigned good_cuts;         /* decode_known.c */
};

/* What stands in a hole. */
struct known_hole {
    enum json_type type; /* JSON_ABSENT: the member is not there */
    bool plain;          /* a number without sign and exponent, of few digits */
    bool integer;        /* that has no fraction */
    int64_t number;      /* what is before its point */
    struct slice text;   /* with all quotes */
};

/* A message that was looked up. */
struct known_message {
    bool keyed; /* the key and the holes are set */
    struct known_hole holes[SERIES_HOLES];
    struct series_key key;
    struct series *series; /* NULL: it is not known */
};

/*
 * Scans the message and notes the last of each member that is known in it.
 * Returns: 0, or -1 and why it is not one JSON object.
 */
int decode_scan_message(struct decoder *d, enum topic_kind kind, struct slice message,
                        struct reject *why) MUST_CHECK;

/* Scans the object `dimensions`, which begins here. Returns: 0, or -1 and the scanner's fault. */
int decode_scan_dimensions(struct decoder *d) MUST_CHECK;

/* After the pass: sorts and judges them. Returns: 0 and the dimensions in m, or -1 and why. */
int decode_take_dimensions(struct decoder *d, struct measurement *m, struct reject *why) MUST_CHECK;

/*
 * Room for n bytes in the arena, which is there if arena_bound (decode.c) reckons right; of it
 * decode_keep_room then keeps what was used.
 */
char *decode_find_room(struct decoder *d, size_t n);
struct slice decode_keep_room(struct decoder *d, size_t n);

/* Unescapes a string's text into the arena. Returns: FLAW_NONE, FLAW_HALF_PAIR or FLAW_NUL. */
enum flaw decode_unescape(struct decoder *d, struct slice text, struct slice *out) MUST_CHECK;

/* Takes: a member as scanned, TEXT_ flags. Returns: FLAW_NONE and the text, or its flaw. */
enum flaw decode_read_text(struct decoder *d, const struct json_value *value, unsigned flags,
                           struct slice *out) MUST_CHECK;

/* The same; the flaw becomes a verdict that begins with the name. Returns: 0 or -1. */
int decode_take_text(struct decoder *d, const struct json_value *value, const char *name,
                     unsigned flags, struct slice *out, struct reject *why) MUST_CHECK;

/*
 * Looks for a metric's series, and if all else is as usual makes the record.
 * Returns: true and the record; or false: it has to be scanned.
 */
bool decode_find_known(struct decoder *d, struct slice message, struct known_message *known,
                       struct record *record) MUST_CHECK;

/* After it was scanned and accepted: remembers the series, if it is to be. */
void decode_remember(struct decoder *d, struct slice message, struct known_message *known,
                     struct measurement *m);

/* What a record has of that member. */
double decode_creation_time(const struct json_value *value);

/* Takes: any flaw but FLAW_NONE. Returns: static. */
const struct flaw_info *decode_flaw_info(enum flaw flaw);

/*
 * Finds the holes of a message, and the key around them.
 * Returns: false if this is for the long way.
 */
bool decode_skim_message(struct decoder *d, struct slice message, struct known_message *known);

static inline bool
decode_has_numbers(const struct known_message *known)
{
    return known->holes[HOLE_TIMESTAMP].type == JSON_NUMBER &&
           known->holes[HOLE_VALUE].type == JSON_NUMBER;
}

#endif
