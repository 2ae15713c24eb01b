/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_copy.h - the rows of a batch into their table, within a transaction that is open.
 *
 * Rows are copied straight into the table, which is the fastest there is where no row exists
 * already. If one does, all is rolled back and the rows go through a temporary table and ON
 * CONFLICT DO UPDATE; so do the next batches, for a while, since conflicts come in spells
 * (replays).  Which rows go together, and which of them the database refuses, is up to pg_plan.h;
 * where many are bad the database looks at each itself (pg_sift.h).
 *
 * Process: workers.  Owner: the store.  Concurrency: one thread.
 */
#ifndef STORE_PG_COPY_H
#define STORE_PG_COPY_H

#include "lib/buf.h"
#include "conf/cfg.h"
#include "store/pg/pg_conn.h"
#include "store/pg/pg_row.h"

struct pg_entry {
    uint32_t row;
    bool refused;
    int64_t series;    /* an id, or a number below zero of pg_series_find; 0 for alarms */
    struct pg_key key; /* whose id that is */
    int64_t time_us;   /* since 2000 */
    double value;
    size_t text; /* value_meta, or the alarm's encoded row, in the batch's texts */
    uint32_t text_n;
};

struct pg_copy {
    const char *schema;
    enum topic_kind kind;
    struct buf out, sql;
    uint32_t *rows; /* of the plan */
    size_t capacity;
    size_t n_refused, n_passed; /* of late: bad rows, and rows done with */
    unsigned staged_left;       /* batches that go through the temporary table at once */
    unsigned unsifted_left;     /* batches in which the database is not asked to sift: it could not */
};

/* What one call works on. */
struct pg_copying {
    struct pg_conn *conn;
    struct pg_entry *entries; /* by series, time and row */
    size_t n;
    const char *texts;
    int64_t now_us, oldest_us; /* since 2000; older rows than that need not be kept;
                                  INT64_MIN: that is not known */
    /* Told of each row that was refused alone, which it marks as refused. */
    void (*refuse)(void *arg, struct pg_entry *entry, const char *why);
    void *arg;
};

void pg_copy_init(struct pg_copy *copy, const char *schema, enum topic_kind kind);
void pg_copy_free(struct pg_copy *copy);

/*
 * Copies all entries that are not refused; of measurements with the same series and time the last.
 * To be called within a transaction; what it does can be committed after PG_OK only.
 * Returns: PG_OK; or anything else with *error and, in *doing, a static text.  A row without a
 * partition whose time is between oldest_us and a day ahead of now_us is PG_PARTITION: somebody has
 * to make it.  Where oldest_us is not known, one that is older than a day and than all partitions is
 * refused.
 */
enum pg_outcome pg_copy_rows(struct pg_copy *copy, const struct pg_copying *what,
                             struct pg_error *error, const char **doing) MUST_CHECK;

/* A batch was committed. */
void pg_copy_note_committed(struct pg_copy *copy);

#endif
