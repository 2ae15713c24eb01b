/* SPDX-License-Identifier: Apache-2.0 */
/* pg_retention.c - see pg_retention.h. */
#include "store/pg/pg_retention.h"

#include <stdio.h>

#include "lib/buf.h"
#include "lib/num.h"
#include "store/pg/pg_schema.h"

/*
 * By table and ctid: a ctid is a row's place within its partition, and no more; the age is asked
 * again, so that nothing else can be meant.  (alarm_state_history has no key; the BRIN index on
 * time finds the old blocks.)
 */
#define DELETE_OLD(table)                                                                          \
    "DELETE FROM @." table " AS t USING (SELECT tableoid, ctid FROM @." table                      \
    " WHERE time < now() - make_interval(days => $1::integer) LIMIT $2::integer"                   \
    " FOR UPDATE SKIP LOCKED) AS old"                                                              \
    " WHERE t.ctid = old.ctid AND t.tableoid = old.tableoid"                                       \
    " AND t.time < now() - make_interval(days => $1::integer)"

static const char *const steps[] = {DELETE_OLD("measurements"), DELETE_OLD("alarm_state_history")};

static enum pg_outcome
delete_rows(struct pg_conn *conn, const char *sql, int64_t days, int64_t *deleted,
            struct pg_error *error)
{
    char texts[2][24];
    const char *values[2] = {texts[0], texts[1]};
    PGresult *result;
    int64_t rows;
    snprintf(texts[0], sizeof(texts[0]), "%lld", (long long)days);
    snprintf(texts[1], sizeof(texts[1]), "%d", PG_RETENTION_STEP);
    enum pg_outcome outcome = pg_conn_run(conn, sql, 2, values, &result, error);
    if (outcome != PG_OK)
        return outcome;
    if (num_parse_int(PQcmdTuples(result), 0, INT64_MAX, &rows) == 0)
        *deleted += rows;
    PQclear(result);
    return PG_OK;
}

enum pg_outcome
pg_retention_step(struct pg_conn *conn, const char *schema, int64_t days, int64_t *deleted,
                  struct errbuf *err)
{
    struct pg_error error = {.message = "out of memory"};
    struct buf sql;
    *deleted = 0;
    enum pg_outcome outcome = pg_conn_open(conn, err);
    if (outcome != PG_OK)
        return outcome;
    outcome = pg_schema_prepare(conn, schema, NULL, err);
    if (outcome != PG_OK)
        return outcome;
    buf_init(&sql, 4096);
    for (size_t i = 0; i < COUNT_OF(steps) && outcome == PG_OK; i++) {
        const char *text = pg_schema_fill(&sql, schema, steps[i]);
        outcome = text != NULL ? delete_rows(conn, text, days, deleted, &error) : PG_WORLD;
    }
    buf_free(&sql);
    if (outcome != PG_OK)
        pg_conn_explain(&error, "cannot delete what is too old", err);
    return outcome;
}
