/* SPDX-License-Identifier: Apache-2.0 */
/*
 * influx_rows.h - the lines of a batch, each with its row's number and its database (no I/O).
 *
 * One buffer holds all lines; a row is a place in it.  Nothing is allocated per row.
 *
 * Process: workers.  Owner: the store.  Concurrency: one thread.
 */
#ifndef STORE_INFLUX_ROWS_H
#define STORE_INFLUX_ROWS_H

#include "lib/buf.h"
#include "record/record.h"
#include "store/store.h"

struct influx_row {
    size_t at; /* in lines */
    int64_t time_ms;
    uint32_t n;        /* bytes, with the newline */
    uint32_t row;      /* the worker's number */
    uint32_t database; /* index in databases */
};

struct influx_rows {
    struct buf lines;
    struct influx_row *rows;
    size_t n, capacity;
    const char *base; /* name of the database, or what its tenants' begin with */
    bool per_tenant;
    char **databases; /* names, in order of appearance */
    size_t n_databases, capacity_databases;
    uint32_t *slots; /* hash table: index in databases + 1; 0 is free */
    size_t n_slots;  /* a power of two, or 0 */
};

/*
 * Takes: the database's name, which has to stay; whether each tenant has one of its own,
 * BASE_TENANT.
 */
void influx_rows_init(struct influx_rows *r, const char *base, bool per_tenant);
void influx_rows_free(struct influx_rows *r);

/* Forgets all rows; keeps up to 32 MiB of memory for lines. */
void influx_rows_reset(struct influx_rows *r);

/* As `add` and `bytes` of struct store_ops. */
enum store_added influx_rows_add(struct influx_rows *r, const struct record *record, uint32_t row,
                                 struct reject *why) MUST_CHECK;
size_t influx_rows_bytes(const struct influx_rows *r);

/* Returns: the line of rows[i], without its newline. */
static inline struct slice
influx_rows_line(const struct influx_rows *r, uint32_t i)
{
    return (struct slice){r->lines.data + r->rows[i].at, r->rows[i].n - 1};
}

/*
 * Lists pending rows of a database for one request.
 * Takes: the batch that they are of; where to begin, moved on; the most rows and bytes (a single row may have more bytes); room
 * for so many indexes.
 * Returns: how many are listed; 0 at the end.
 */
size_t influx_rows_pick(const struct influx_rows *r, const struct batch *batch, uint32_t database,
                        size_t *from, size_t max, size_t max_bytes, uint32_t *list) MUST_CHECK;

#endif
