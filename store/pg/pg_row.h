/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_row.h - records as PostgreSQL takes them: binary COPY rows, and a series' identity (pure).
 *
 * Source of the format: PostgreSQL's documentation, COPY, "Binary Format"; of the types' own:
 * int8_send, timestamptz_send (microseconds since 2000-01-01), float8_send, jsonb_send (version
 * byte 1 and the text), as read by the matching *_recv functions.
 *
 * Process: workers.  Owner: the caller's buffers.  Concurrency: one thread.
 */
#ifndef STORE_PG_ROW_H
#define STORE_PG_ROW_H

#include "lib/base.h"
#include "lib/buf.h"
#include "conf/reject.h"
#include "record/record.h"

enum { PG_KEY_BYTES = 32 };

/* From 1970 to 2000, where PostgreSQL's times begin. */
#define PG_ROW_EPOCH_MS INT64_C(946684800000)
#define PG_ROW_DAY_US INT64_C(86400000000)

/* A series' identity: SHA-256 over tenant, region, name and the sorted dimensions, each with its
 * length. */
struct pg_key {
    unsigned char bytes[PG_KEY_BYTES];
};

/*
 * Takes: the measurement; a buffer to work in.
 * Returns: 0, or -1 if memory is out.
 */
int pg_row_key(const struct measurement *m, struct buf *work, struct pg_key *key) MUST_CHECK;

/* Appends it as an element of an array of bytea, in quotes. */
void pg_row_add_hex(struct buf *b, const struct pg_key *key);

/*
 * Appends a text in quotes, with a backslash before each quote and backslash: an element of an array; or
 * as JSON has it, where control characters are escaped, too.
 */
void pg_row_add_quoted(struct buf *b, struct slice text, bool json);

/* Appends the dimensions as a JSON object. */
void pg_row_add_dimensions(struct buf *b, const struct measurement *m);

/*
 * Converts ms since 1970 to PostgreSQL's microseconds since 2000.
 * Returns: 0, or -1 if timestamptz cannot hold it (before 4714 BC, after 294276).
 */
int pg_row_time(int64_t time_ms, int64_t *out) MUST_CHECK;

/* Appends the header and the trailer of a COPY stream. */
void pg_row_begin(struct buf *b);
void pg_row_end(struct buf *b);

/* Append one field each; a row begins with pg_row_start. */
void pg_row_start(struct buf *b, int fields);

/* Takes: an encoded row. Returns: how many fields it has; their bytes in *fields. */
int pg_row_fields(struct slice row, struct slice *fields);

void pg_row_add_int8(struct buf *b, int64_t value);
void pg_row_add_text(struct buf *b, struct slice text);
void pg_row_add_jsonb(struct buf *b, struct slice text); /* n == 0: NULL */

/* The fields of a measurement. */
struct pg_row_measurement {
    int64_t series, time_us;
    double value;
    struct slice value_meta;
};

/* Appends a whole row of a measurement. Takes: what comes first in it, if anything. */
void pg_row_add_measurement(struct buf *b, const int64_t *first,
                            const struct pg_row_measurement *m);

#endif
