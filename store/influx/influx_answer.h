/* SPDX-License-Identifier: Apache-2.0 */
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
 * What is a sender's text in an answer (lines, measurements, tags) is never read as the server's:
 * each part is looked for where only the server writes, and with what it puts around it.  The
 * number is at the very end: "dropped=N", or since 1.12 "dropped=N for database: D" and, but for
 * lines that do not parse, "for retention policy: R", with the database we wrote to.  Lines are
 * quoted as they were sent, each complaint on a line of its own, and a line of ours has no newline.
 * Tags are quoted as Go does it (%q), so that nothing in them ends the quotation.
 *
 * `dropped` counts what one shard did not store: a batch is spread over shards, and InfluxDB
 * answers with the first shard's complaint; it then says nothing of the others, not even whether
 * they stored their points, and "field type conflict" names one measurement of several.  So the
 * number means that all are refused only if it is that of the points sent, and else is a hint.
 *
 * Sources: InfluxDB 1.x services/httpd/handler.go (serveWrite), coordinator/points_writer.go,
 * tsdb/shard.go, tsdb/index/inmem; the texts of 1.6.7, 1.8.10, 1.12.4 and 1.13.2 were seen from
 * running ones (tests/whole/test_store_influxdb.py).
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
    INFLUX_SUSPECTS_SERIES,      /* those of `measurement`, some series */
    INFLUX_SUSPECTS_TAG,         /* those of `measurement` with this value of this tag are refused,
                                    and so may be other values (max-values-per-tag) */
    INFLUX_SUSPECTS_UNKNOWN
};

struct influx_answer {
    enum influx_verdict verdict;
    enum influx_suspects suspects; /* if BAD_POINTS */
    bool capacity;      /* a limit of the server's is reached: nothing is wrong with the points */
    bool cut_off;       /* the answer is longer than what was kept of it */
    int64_t dropped;    /* points not stored, as the answer counts them; -1: it does not */
    struct slice error; /* its text, unescaped, without what frames it, in the buffer given; "" if
                           stored */
    struct slice measurement, tag, value; /* in the buffer; as the server printed them */
};

/*
 * Reads an answer.
 * Takes: the HTTP status; the body, any bytes, perhaps cut off (an answer repeats the lines it
 * complains of); the name of the database that was written to; a buffer for the unescaped error,
 * which must stay.
 */
void influx_answer_read(long status, struct slice body, const char *database, struct buf *text,
                        struct influx_answer *answer);

/*
 * Finds the next line that the error names: "unable to parse 'LINE': why".
 * Takes: where to begin in error (0 at first), moved on; is_ours(arg, line, hash) says whether a
 * text is a line that was sent, hash being influx_answer_hash of it (the text may itself contain
 * what ends the quotation: if two such texts were sent, it names neither). Returns: true, the line
 * and the reason; false if there is no more.
 */
bool influx_answer_next_line(struct slice error, size_t *at,
                             bool (*is_ours)(void *arg, struct slice line, uint64_t hash),
                             void *arg, struct slice *line, struct slice *why);

/* Returns: a hash of bytes that go on from bytes hashed before (INFLUX_HASH_START for none). */
#define INFLUX_HASH_START UINT64_C(14695981039346656037)
static inline uint64_t
influx_answer_hash(uint64_t before, struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        before = (before ^ (unsigned char)text.p[i]) * UINT64_C(1099511628211); /* FNV-1a */
    return before;
}

/* Returns: the error of an answer to /query (its own or its first result's), "" if it has none. */
struct slice influx_answer_query_error(struct slice body, struct buf *text);

#endif
