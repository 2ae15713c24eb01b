/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cass_row.h - records as the statements take them, and a series' identity (pure).
 *
 * The tables, their columns and the identity are the Python persister's, as monasca-api reads them:
 * the id of a series is the SHA-1 of region, tenant and name, each with a NUL behind it, and of its
 * dimensions as NAME TAB VALUE, sorted, with NULs between them.
 *
 * What writes has its write timestamp (cass_time.h) as the last value, which cass_row_set_time sets;
 * the partition's key is always what comes first.
 *
 * Process: workers.  Owner: the caller's buffers.  Concurrency: one thread.
 */
#ifndef STORE_CASSANDRA_CASS_ROW_H
#define STORE_CASSANDRA_CASS_ROW_H

#include "conf/reject.h"
#include "lib/base.h"
#include "lib/buf.h"
#include "record/record.h"

enum cass_statement {
    CASS_MEASUREMENT,
    CASS_STATIC,     /* the columns that a series' measurements share */
    CASS_METRIC,     /* a row of metrics, without created_at */
    CASS_CREATED,    /* created_at */
    CASS_IS_CREATED, /* asks for it */
    CASS_DIMENSION,
    CASS_DIMENSION_METRIC,
    CASS_METRIC_DIMENSION,
    CASS_ALARM,
    CASS_STATEMENTS
};

/* How many values a statement takes, its write timestamp included. */
unsigned cass_row_values(enum cass_statement statement);

/*
 * Appends a statement's text.
 * Takes: the keyspace, letters, digits and _; the TTL in seconds, 0 for none.
 */
void cass_row_statement(struct buf *out, enum cass_statement statement, const char *keyspace,
                        int64_t ttl_s);

enum { CASS_KEY_BYTES = 20 };

struct cass_key {
    unsigned char bytes[CASS_KEY_BYTES];
};

/* What a row of one dimension is known by; two kinds of them. */
enum cass_dimension_kind { CASS_KEY_DIMENSION = 1, CASS_KEY_METRIC_DIMENSION };

/* Texts of a series, kept. */
struct cass_series {
    struct slice region, tenant_id, name;
    const struct dimension *dimensions; /* as in struct measurement */
    size_t n_dimensions;
};

struct cass_series cass_row_series(const struct measurement *m);

/*
 * Returns: 0, or -1 with the reason why a measurement's series, the rest of it, or an alarm can never
 * be written: a dimension with a tab, which no reader could tell from what separates it, and what is
 * larger than a key or a row may be.
 */
int cass_row_check_series(const struct measurement *m, struct reject *why) MUST_CHECK;
int cass_row_check_value(const struct measurement *m, struct reject *why) MUST_CHECK;
int cass_row_check_alarm(const struct alarm_transition *a, struct reject *why) MUST_CHECK;

/* Takes: a buffer to work in. Returns: 0, or -1 if memory is out. */
int cass_row_key(const struct cass_series *s, struct buf *work, struct cass_key *key) MUST_CHECK;
int cass_row_dimension_key(const struct cass_series *s, const struct dimension *d,
                           enum cass_dimension_kind kind, struct buf *work,
                           struct cass_key *key) MUST_CHECK;

/* Each appends a statement's values; whether they fitted says out->failed. */
void cass_row_put_measurement(struct buf *out, const struct cass_key *key,
                              const struct measurement *m);
void cass_row_put_alarm(struct buf *out, const struct alarm_transition *a, struct buf *work);
void cass_row_put_static(struct buf *out, const struct cass_key *key, const struct cass_series *s);
void cass_row_put_metric(struct buf *out, const struct cass_key *key, const struct cass_series *s,
                         int64_t updated_ms);
void cass_row_put_created(struct buf *out, const struct cass_series *s, int64_t created_ms);
void cass_row_put_is_created(struct buf *out, const struct cass_series *s);
void cass_row_put_dimension(struct buf *out, enum cass_statement statement,
                            const struct cass_series *s, const struct dimension *d);

/* Sets the write timestamp of a statement's values, n bytes. */
void cass_row_set_time(char *values, size_t n, int64_t time_us);

/*
 * Returns: the token of the partition that a statement writes to, by its values as appended.
 * Takes: a buffer to work in.
 */
int64_t cass_row_token(enum cass_statement statement, struct slice values, struct buf *work);

#endif
