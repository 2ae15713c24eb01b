/*
 * influx_answer.h - what InfluxDB 1.x's answer to a write means (pure).
 *
 * What is the data's fault is listed here, explicitly, and everything else is the world's:
 *
 *   400 "unable to parse ..."   some lines, those it names; the lines that parse are stored
 *   400 "partial write: ..."    some points; "dropped=N" counts them
 *   413                         the request, or its only point, is too large
 *
 * 204 is the only answer that means stored: 200 is what InfluxDB says to a write in which it found
 * no point, and what any web server says that has no idea.
 *
 * `dropped` and the suspects are hints.  A batch is spread over shards, and InfluxDB answers with
 * the first shard's complaint: it then says nothing of the others, not even whether they stored
 * their points, and "field type conflict" names one measurement of several.  So the suspects are
 * confirmed by themselves, and the rest is written again (influxdb.c).
 *
 * Source: InfluxDB 1.x services/httpd/handler.go (serveWrite), coordinator/points_writer.go and
 * tsdb/shard.go; every text here was seen from a running 1.6.7
 * (tests/whole/test_store_influxdb.py).
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
    INFLUX_SUSPECTS_MEASUREMENT, /* those of `measurement`, in some shards: by time (a field's type
                                    conflicts) */
    INFLUX_SUSPECTS_SERIES,      /* those of `measurement`, some series (max-values-per-tag) */
    INFLUX_SUSPECTS_UNKNOWN
};

struct influx_answer {
    enum influx_verdict verdict;
    enum influx_suspects suspects; /* if BAD_POINTS */
    int64_t dropped;          /* points not stored, as the answer counts them; -1: it does not */
    struct slice error;       /* its text, unescaped, without what frames it, in the buffer given;
                                 "" if stored */
    struct slice measurement; /* in error; as the server printed it */
};

/*
 * Reads an answer.
 * Takes: the HTTP status; the body, any bytes, perhaps cut off (an answer repeats the lines it
 * complains of); a buffer for the unescaped error, which must stay.
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
