/* SPDX-License-Identifier: Apache-2.0 */
/* pg_offsets.c - see pg_offsets.h. */
#include "store/pg/pg_offsets.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/num.h"
#include "store/pg/pg_schema.h"

struct owned {
    int32_t partition;
    int64_t epoch, next; /* next is -1 until the first batch */
};

struct pg_offsets {
    const char *schema, *group, *topic;
    char *cluster_id;
    bool times; /* the table has the column last_ms */
    struct owned *owned;
    size_t n;
    struct buf sql, arrays;
};

struct pg_offsets *
pg_offsets_new(const char *schema, const char *group, const char *topic)
{
    struct pg_offsets *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return NULL;
    *o = (struct pg_offsets){.schema = schema, .group = group, .topic = topic};
    buf_init(&o->sql, 1 << 16);
    buf_init(&o->arrays, 1 << 24);
    return o;
}

void
pg_offsets_free(struct pg_offsets **offsets)
{
    struct pg_offsets *o = *offsets;
    if (o == NULL)
        return;
    free(o->cluster_id);
    free(o->owned);
    buf_free(&o->sql);
    buf_free(&o->arrays);
    free(o);
    *offsets = NULL;
}

void
pg_offsets_keep_times(struct pg_offsets *offsets, bool kept)
{
    offsets->times = kept;
}

static const struct owned *
find_owned(const struct pg_offsets *o, int32_t partition)
{
    for (size_t i = 0; i < o->n; i++)
        if (o->owned[i].partition == partition)
            return &o->owned[i];
    return NULL;
}

/* --- statements over several partitions, whose columns are array literals --- */

enum column { PARTITION, EPOCH, EXPECTED, NEXT, LAST_MS, COLUMNS };

static int64_t
value_of(const struct pg_offsets *o, const struct store_position *p, enum column column)
{
    const struct owned *owned = find_owned(o, p->partition);
    switch (column) {
    case PARTITION:
        return p->partition;
    case EPOCH:
        return owned != NULL ? owned->epoch : -1;
    case EXPECTED:
        return owned != NULL ? owned->next : -1;
    case NEXT:
        return p->next;
    default:
        return p->last_ms;
    }
}

static int
build_arrays(struct pg_offsets *o, const struct store_position *positions, size_t n,
             size_t starts[COLUMNS])
{
    buf_clear(&o->arrays);
    for (int c = 0; c < COLUMNS; c++) {
        starts[c] = o->arrays.size;
        for (size_t i = 0; i < n; i++)
            buf_printf(&o->arrays, "%c%lld", i == 0 ? '{' : ',',
                       (long long)value_of(o, &positions[i], (enum column)c));
        buf_add_text(&o->arrays, n == 0 ? "{}" : "}");
        buf_add_char(&o->arrays, '\0');
    }
    return o->arrays.failed ? -1 : 0;
}

/* Parameters $1 to $3 name the topic's rows, $4 and on are the first `columns` arrays. */
static enum pg_outcome
run(struct pg_offsets *o, struct pg_conn *conn, const char *sql, int columns,
    const struct store_position *positions, size_t n, PGresult **result, struct pg_error *error)
{
    size_t starts[COLUMNS];
    const char *values[3 + COLUMNS] = {o->cluster_id, o->group, o->topic};
    const char *text = pg_schema_fill(&o->sql, o->schema, sql);
    if (text == NULL || build_arrays(o, positions, n, starts) == -1) {
        snprintf(error->message, sizeof(error->message), "out of memory");
        error->sqlstate[0] = '\0';
        pg_conn_close(conn);
        return PG_WORLD;
    }
    for (int c = 0; c < columns; c++)
        values[3 + c] = o->arrays.data + starts[c];
    return pg_conn_run(conn, text, 3 + columns, values, result, error);
}

static int64_t
number_at(const PGresult *result, int row, int column)
{
    int64_t number = -1;
    if (num_parse_int(pg_conn_value(result, row, column), INT64_MIN, INT64_MAX, &number) == -1)
        return -1;
    return number;
}

/* --- claiming --- */

/* Rows are made in the order of partitions and locked in it, so that two claims do not deadlock. */
static const char make_rows_sql[] =
    "INSERT INTO @.kafka_offsets (cluster_id, group_id, topic, partition, epoch, next_offset)"
    " SELECT $1, $2, $3, p, 0, -1 FROM unnest($4::integer[]) AS p ORDER BY p"
    " ON CONFLICT DO NOTHING";
static const char lock_rows_sql[] =
    "SELECT partition FROM @.kafka_offsets WHERE cluster_id = $1 AND group_id = $2 AND topic = $3"
    " AND partition = ANY($4::integer[]) ORDER BY partition FOR UPDATE";
#define RAISE_SQL(last_ms)                                                                         \
    "UPDATE @.kafka_offsets SET epoch = epoch + 1, updated = now()"                                \
    " WHERE cluster_id = $1 AND group_id = $2 AND topic = $3 AND partition = ANY($4::integer[])"   \
    " RETURNING partition, epoch, next_offset, " last_ms
static const char raise_sql[] = RAISE_SQL("-1");
/* Of another offset than it was stored with: somebody has set the offset, and is to be believed. */
static const char raise_with_times_sql[] =
    RAISE_SQL("CASE WHEN last_ms_of = next_offset THEN coalesce(last_ms, -1) ELSE -1 END");

static void
take_row(struct pg_offsets *o, const PGresult *result, int row, struct store_position *positions,
         size_t n)
{
    int64_t partition = number_at(result, row, 0);
    for (size_t i = 0; i < n; i++)
        if (positions[i].partition == partition) {
            o->owned[i] = (struct owned){.partition = (int32_t)partition,
                                         .epoch = number_at(result, row, 1),
                                         .next = number_at(result, row, 2)};
            positions[i].next = o->owned[i].next;
            positions[i].last_ms = number_at(result, row, 3);
        }
}

static enum pg_outcome
claim_rows(struct pg_offsets *o, struct pg_conn *conn, struct store_position *positions, size_t n,
           struct pg_error *error)
{
    PGresult *result = NULL;
    enum pg_outcome outcome = pg_conn_run(conn, "BEGIN", 0, NULL, NULL, error);
    if (outcome == PG_OK)
        outcome = run(o, conn, make_rows_sql, 1, positions, n, NULL, error);
    if (outcome == PG_OK)
        outcome = run(o, conn, lock_rows_sql, 1, positions, n, NULL, error);
    if (outcome == PG_OK)
        outcome = run(o, conn, o->times ? raise_with_times_sql : raise_sql, 1, positions, n,
                      &result, error);
    for (int row = 0; result != NULL && row < PQntuples(result); row++)
        take_row(o, result, row, positions, n);
    PQclear(result);
    if (outcome == PG_OK)
        outcome = pg_conn_run(conn, "COMMIT", 0, NULL, NULL, error);
    if (outcome != PG_OK)
        pg_conn_close(conn); /* and with it the transaction; a claim can be repeated */
    return outcome;
}

enum pg_outcome
pg_offsets_claim(struct pg_offsets *offsets, struct pg_conn *conn, const char *cluster_id,
                 struct store_position *positions, size_t n, struct errbuf *err)
{
    struct pg_error error = {.message = "out of memory"};
    char *id = strdup(cluster_id);
    struct owned *owned = calloc(n + 1, sizeof(*owned));
    enum pg_outcome outcome = PG_WORLD;
    if (id != NULL && owned != NULL) {
        free(offsets->cluster_id);
        free(offsets->owned);
        offsets->cluster_id = id;
        offsets->owned = owned;
        offsets->n = n;
        for (size_t i = 0; i < n; i++) /* none of them, before the server says so */
            owned[i].partition = -1;
        outcome = claim_rows(offsets, conn, positions, n, &error);
    } else {
        free(id);
        free(owned);
    }
    if (outcome == PG_OK || outcome == PG_STOPPED)
        return outcome;
    offsets->n = 0;
    pg_conn_explain(&error, "cannot take the partitions over", err);
    return PG_WORLD;
}

/* --- moving --- */

#define MOVE_SQL(last_ms)                                                                          \
    "UPDATE @.kafka_offsets o SET next_offset = v.next, updated = now()" last_ms                   \
    " FROM unnest($4::integer[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])"          \
    " AS v(partition, epoch, expected, next, last_ms)"                                             \
    " WHERE o.cluster_id = $1 AND o.group_id = $2 AND o.topic = $3 AND o.partition = v.partition"  \
    " AND o.epoch = v.epoch AND o.next_offset = v.expected RETURNING o.partition"
static const char move_sql[] = MOVE_SQL("");
static const char move_with_times_sql[] = MOVE_SQL(", last_ms = v.last_ms, last_ms_of = v.next");

enum pg_outcome
pg_offsets_move(struct pg_offsets *offsets, struct pg_conn *conn,
                const struct store_position *positions, size_t n, struct pg_error *error)
{
    PGresult *result;
    enum pg_outcome outcome = run(offsets, conn, offsets->times ? move_with_times_sql : move_sql,
                                  COLUMNS, positions, n, &result, error);
    if (outcome != PG_OK)
        return outcome;
    bool all = (size_t)PQntuples(result) == n;
    PQclear(result);
    return all ? PG_OK : PG_UNIQUE;
}

void
pg_offsets_moved(struct pg_offsets *offsets, const struct store_position *positions, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < offsets->n; j++)
            if (offsets->owned[j].partition == positions[i].partition)
                offsets->owned[j].next = positions[i].next;
}

/* FOR UPDATE waits for a transaction that has not ended yet, as long as lock_timeout. */
static const char look_up_sql[] =
    "SELECT o.epoch = v.epoch AS mine, o.next_offset = v.next AS moved FROM @.kafka_offsets o"
    " JOIN unnest($4::integer[], $5::bigint[], $6::bigint[], $7::bigint[])"
    " AS v(partition, epoch, expected, next) ON o.partition = v.partition"
    " WHERE o.cluster_id = $1 AND o.group_id = $2 AND o.topic = $3"
    " ORDER BY o.partition FOR UPDATE OF o";

enum pg_outcome
pg_offsets_look_up(struct pg_offsets *offsets, struct pg_conn *conn,
                   const struct store_position *positions, size_t n, enum pg_fate *fate,
                   struct pg_error *error)
{
    PGresult *result;
    enum pg_outcome outcome =
        run(offsets, conn, look_up_sql, NEXT + 1, positions, n, &result, error);
    if (outcome != PG_OK)
        return outcome;
    bool all_mine = (size_t)PQntuples(result) == n, all_moved = true;
    for (int row = 0; row < PQntuples(result); row++) {
        all_mine = all_mine && pg_conn_value(result, row, 0)[0] == 't';
        all_moved = all_moved && pg_conn_value(result, row, 1)[0] == 't';
    }
    PQclear(result);
    *fate = !all_mine ? PG_FENCED : all_moved ? PG_COMMITTED : PG_NOT_COMMITTED;
    return PG_OK;
}
