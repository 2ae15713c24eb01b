/*
 * influx_answer.h - what InfluxDB 1.x's answer to a write means (pure).
 *
 * Source: InfluxDB 1.x services/httpd/handler.go and tsdb/shard.go; every text here was seen from a
 * running 1.6.7 (tests/whole/test_influxdb.py).
 *
 * Process: workers.  Owner: the caller's buffers.  Concurrency: one thread.
 */
#ifndef STORE_INFLUX_ANSWER_H
#define STORE_INFLUX_ANSWER_H

#include "lib/base.h"
#include "lib/buf.h"

enum influx_verdict {
    INFLUX_STORED,      /* all of it */
    INFLUX_NO_DATABASE, /* the database is not there */
    INFLUX_BAD_POINTS,  /* 400 "unable to parse" or "partial write": some points are wrong */
    INFLUX_TOO_LARGE,   /* 413 */
    INFLUX_WORLD        /* anything else */
};

/* Which points a partial write's text points at. */
enum influx_suspects {
    INFLUX_SUSPECTS_NAMED,       /* lines: influx_answer_next_line */
    INFLUX_SUSPECTS_OLDEST,      /* `dropped` of them are beyond the retention policy */
    INFLUX_SUSPECTS_MEASUREMENT, /* those of `measurement` (a field's type conflicts) */
    INFLUX_SUSPECTS_UNKNOWN
};

struct influx_answer {
    enum influx_verdict verdict;
    enum influx_suspects suspects; /* if BAD_POINTS */
    int64_t dropped;          /* points not stored, as the answer counts them; -1: it does not */
    struct slice error;       /* the error's text, unescaped, in the buffer given; may be "" */
    struct slice measurement; /* in error; as the server printed it */
};

/*
 * Reads an answer.
 * Takes: the HTTP status, the body, a buffer for the unescaped error, which must stay.
 */
void influx_answer_read(long status, struct slice body, struct buf *text,
                        struct influx_answer *answer);

/*
 * Finds the next line that the error names: "unable to parse 'LINE': why".
 * Takes: where to begin in error (0 at first), moved on; is_ours(arg, line) says whether a text is
 * a line that was sent (the text may itself contain "': "). Returns: true, the line and the reason;
 * false if there is no more.
 */
bool influx_answer_next_line(struct slice error, size_t *at,
                             bool (*is_ours)(void *arg, struct slice line), void *arg,
                             struct slice *line, struct slice *why);

/* Returns: the error of an answer to /query (its own or its first result's), "" if it has none. */
struct slice influx_answer_query_error(struct slice body, struct buf *text);

#endif
