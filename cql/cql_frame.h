/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cql_frame.h - the frames of CQL's native protocol, version 4: requests are written, answers are
 * read (pure).
 *
 * Source of the format: Apache Cassandra's doc/native_protocol_v4.spec. Whatever a server sends is
 * read within the bounds of its frame; what does not fit its own lengths is an error.
 *
 * Process: workers.  Owner: the caller's buffers.  Concurrency: one thread.
 */
#ifndef CQL_CQL_FRAME_H
#define CQL_CQL_FRAME_H

#include "lib/base.h"
#include "lib/buf.h"

enum {
    CQL_HEADER_BYTES = 9,
    CQL_VERSION = 4,
    CQL_MESSAGE_BYTES = 300, /* of what a server says are kept */
    CQL_ID_BYTES = 64 /* of a prepared statement's id, at most; Cassandra's have 16 */
};

enum cql_opcode {
    CQL_ERROR = 0x00,
    CQL_STARTUP = 0x01,
    CQL_READY = 0x02,
    CQL_AUTHENTICATE = 0x03,
    CQL_QUERY = 0x07,
    CQL_RESULT = 0x08,
    CQL_PREPARE = 0x09,
    CQL_EXECUTE = 0x0A,
    CQL_EVENT = 0x0C,
    CQL_BATCH = 0x0D,
    CQL_AUTH_CHALLENGE = 0x0E,
    CQL_AUTH_RESPONSE = 0x0F,
    CQL_AUTH_SUCCESS = 0x10
};

/* The protocol's numbers. */
enum cql_consistency {
    CQL_ANY = 0,
    CQL_ONE = 1,
    CQL_TWO = 2,
    CQL_THREE = 3,
    CQL_QUORUM = 4,
    CQL_ALL = 5,
    CQL_LOCAL_QUORUM = 6,
    CQL_EACH_QUORUM = 7,
    CQL_LOCAL_ONE = 10
};

/* What is to be done about an error that a server answers. */
enum cql_fault {
    CQL_FAULT_WORLD,      /* unavailable, bootstrapping, a failed write, its own error: later */
    CQL_FAULT_BUSY,       /* overloaded, a timeout: later, and fewer at once */
    CQL_FAULT_INVALID,    /* the statement, or what it was given, is wrong */
    CQL_FAULT_DENIED,     /* wrong password, or not permitted */
    CQL_FAULT_UNPREPARED, /* the node does not know the statement: prepare it again */
    CQL_FAULT_EXISTS      /* the keyspace or table is there already */
};

/* Returns: the number of a consistency level by its name in any case, or -1. */
int cql_consistency_find(const char *name);

struct cql_header {
    uint8_t version, flags, opcode; /* version without its direction bit */
    int16_t stream;                 /* of the request; below 0: nobody asked */
    uint32_t length;                /* of the body */
};

/* Returns: 0, or -1 if these CQL_HEADER_BYTES do not begin an answer. */
int cql_header_parse(const char *bytes, struct cql_header *header) MUST_CHECK;

/* --- requests --- */

/*
 * Each appends one frame; whether all fitted says buf->failed.  Texts longer than the protocol's
 * lengths can say make it fail, too.
 */
void cql_put_startup(struct buf *out, int16_t stream);
void cql_put_plain(struct buf *out, int16_t stream, const char *user, const char *password);
void cql_put_query(struct buf *out, int16_t stream, enum cql_consistency consistency,
                   struct slice statement);
void cql_put_prepare(struct buf *out, int16_t stream, struct slice statement);

/*
 * One statement with its values. Takes: its id; the number of values, each as cql_put_value made it,
 * one behind the other.
 */
void cql_put_execute(struct buf *out, int16_t stream, enum cql_consistency consistency,
                     struct slice id, unsigned n_values, struct slice values);

/* A batch: begun, its statements added, ended. At most UINT16_MAX statements. */
struct cql_batch {
    struct buf *out;
    size_t frame, count_at; /* where these are in out */
    unsigned n;
};
void cql_batch_begin(struct cql_batch *batch, struct buf *out, int16_t stream);
void cql_batch_add(struct cql_batch *batch, struct slice id, unsigned n_values,
                   struct slice values);
void cql_batch_end(struct cql_batch *batch, enum cql_consistency consistency);

/* Values, each with its length before it; types: blob and text, bigint and timestamp, double, and
 * list<text>, begun with the number of elements. */
void cql_put_value(struct buf *out, struct slice bytes);
void cql_put_length(struct buf *out, size_t n); /* of bytes that the caller adds; up to INT32_MAX */
void cql_put_bigint(struct buf *out, int64_t value);
void cql_put_double(struct buf *out, double value);
/* Returns: where the list began, for cql_list_end, when its elements were added. */
size_t cql_list_begin(struct buf *out, uint32_t n);
void cql_list_end(struct buf *out, size_t began);

/* Writes a bigint over the 8 bytes at p. */
void cql_set_bigint(char *p, int64_t value);

/* --- answers --- */

/* Reads on in bytes of known length; what would be beyond them is 0 or empty, and `bad` is set. */
struct cql_reader {
    const char *p;
    size_t n;
    bool bad;
};

/* Rows of a result; values are read one row after the other. */
struct cql_rows {
    struct cql_reader at;
    uint32_t n_rows, n_columns;
};

enum cql_kind {
    CQL_IS_ERROR,
    CQL_IS_READY,
    CQL_IS_AUTHENTICATE,
    CQL_IS_CHALLENGE,
    CQL_IS_AUTHENTICATED,
    CQL_IS_DONE, /* a result without rows */
    CQL_IS_ROWS,
    CQL_IS_PREPARED,
    CQL_IS_EVENT,
    CQL_IS_OTHER
};

/* An answer; slices point into its body. */
struct cql_answer {
    enum cql_kind kind;
    uint32_t code;         /* of an error, as the protocol has it */
    enum cql_fault fault;  /* of an error */
    /* Of an error, what the server says: any bytes, at most CQL_MESSAGE_BYTES; p is never NULL. */
    struct slice message;
    struct slice id;       /* of what was prepared, or of what is unprepared */
    unsigned n_parameters; /* of what was prepared */
    struct cql_rows rows;
    unsigned n_warnings;
    struct slice warning; /* the first of them */
};

/*
 * Takes: a header and its body, header->length bytes.
 * Returns: 0, or -1 if the body is not what the header says.
 */
int cql_answer_parse(const struct cql_header *header, const char *body,
                     struct cql_answer *answer) MUST_CHECK;

/*
 * Reads the next row.
 * Takes: room for its first `n` values; further ones are passed over, missing ones are empty.
 * Returns: false if there is none, or it does not fit the answer. A null value has p == NULL.
 */
bool cql_rows_next(struct cql_rows *rows, struct slice *values, size_t n) MUST_CHECK;

/* Returns: a bigint's or timestamp's value. Takes: its bytes; false if these are not 8. */
bool cql_get_bigint(struct slice value, int64_t *out) MUST_CHECK;

/* Begins a list<...> or set<...>: the reader of its elements, whose number it returns. */
uint32_t cql_get_list(struct slice value, struct cql_reader *elements);

/* Returns: false at the end, or if the element does not fit. */
bool cql_list_next(struct cql_reader *elements, struct slice *element) MUST_CHECK;

#endif
