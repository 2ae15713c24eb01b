/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay-pg.c - a PostgreSQL that takes everything at once, and knows no series until they are
 * inserted: linked in the place of store/pg/pg_conn.c.
 *
 * Process: replay-driver.  Owner: none.  Concurrency: one thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "store/pg/pg_conn.h"
#include "tests/tools/replay.h"

static uint64_t copied; /* bytes of the COPY under way */
static int64_t next_id = 1;

static PGresult *
make_result(int columns)
{
    PGresAttDesc attributes[4] = {{.name = (char *)(uintptr_t)"a"},
                                  {.name = (char *)(uintptr_t)"b"},
                                  {.name = (char *)(uintptr_t)"c"},
                                  {.name = (char *)(uintptr_t)"d"}};
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    if (result == NULL || !PQsetResultAttrs(result, columns, attributes))
        abort();
    return result;
}

static void
set(PGresult *result, int row, int column, const char *text, size_t n)
{
    if (!PQsetvalue(result, row, column, (char *)(uintptr_t)text, (int)n))
        abort();
}

/* INSERT ... RETURNING encode(key, 'hex'), id: of an array of keys, {"\\xHEX","\\xHEX"}. */
static PGresult *
give_ids(const char *keys)
{
    PGresult *result = make_result(2);
    for (int row = 0; (keys = strstr(keys, "\\\\x")) != NULL; row++) {
        char id[24];
        int n = snprintf(id, sizeof(id), "%lld", (long long)next_id++);
        set(result, row, 0, keys + 3, 64);
        set(result, row, 1, id, (size_t)n);
        keys += 3 + 64;
    }
    return result;
}

static PGresult *
answer(const char *sql, const char *const *values)
{
    static const struct {
        const char *sql, *values[4];
    } answers[] = {
        {"SHOW server_encoding", {"UTF8"}},
        {"SELECT max(version)", {"1"}},
        {"SELECT generation", {"1"}},
        {"SELECT count(*)", {"0"}},
        {"SELECT 1 ", {"1"}},
        /* of the one partition 0: its epoch, the next offset, and the last time */
        {"UPDATE ", {"0", "1", "-1", "-1"}},
    };
    if (strstr(sql, "INSERT INTO") == sql && strstr(sql, "RETURNING encode(key") != NULL)
        return give_ids(values[0]);
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        if (strncmp(sql, answers[i].sql, strlen(answers[i].sql)) != 0)
            continue;
        int columns = 1;
        while (columns < 4 && answers[i].values[columns] != NULL)
            columns++;
        PGresult *result = make_result(columns);
        for (int c = 0; c < columns; c++)
            set(result, 0, c, answers[i].values[c], strlen(answers[i].values[c]));
        return result;
    }
    return make_result(1);
}

enum pg_outcome
pg_conn_run(struct pg_conn *conn, const char *sql, int n, const char *const *values,
            PGresult **result, struct pg_error *error)
{
    (void)conn, (void)n, (void)error;
    if (result != NULL)
        *result = answer(sql, values);
    return PG_OK;
}

const char *
pg_conn_value(const PGresult *result, int row, int column)
{
    if (row >= PQntuples(result) || column >= PQnfields(result))
        return "";
    return PQgetvalue(result, row, column);
}

enum pg_outcome
pg_conn_open(struct pg_conn *conn, struct errbuf *err)
{
    (void)err;
    conn->opened = 1;
    return PG_OK;
}

void
pg_conn_close(struct pg_conn *conn)
{
    (void)conn;
}

enum pg_outcome
pg_conn_copy_begin(struct pg_conn *conn, const char *sql, struct pg_error *error)
{
    (void)conn, (void)sql, (void)error;
    copied = 0;
    return PG_OK;
}

/* The rows of one COPY come at once or in parts; a part is counted as it is, a row has its fields. */
enum pg_outcome
pg_conn_copy_send(struct pg_conn *conn, const char *bytes, size_t n, struct pg_error *error)
{
    (void)conn, (void)error;
    const unsigned char *p = (const unsigned char *)bytes, *end = p + n;
    if (copied == 0)
        p += 19;
    copied += n;
    while (end - p >= 2) {
        unsigned fields = (unsigned)p[0] << 8 | p[1];
        p += 2;
        if (fields == 0xffff)
            break;
        for (unsigned i = 0; i < fields; i++) {
            int32_t size =
                (int32_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
            p += 4 + (size > 0 ? size : 0);
        }
        replay_note_rows(1);
    }
    return PG_OK;
}

enum pg_outcome
pg_conn_copy_end(struct pg_conn *conn, struct pg_error *error)
{
    (void)conn, (void)error;
    return PG_OK;
}

void
pg_error_set(struct pg_error *error, const char *sqlstate, const char *message)
{
    snprintf(error->sqlstate, sizeof(error->sqlstate), "%s", sqlstate);
    snprintf(error->message, sizeof(error->message), "%s", message);
}

void
pg_conn_explain(const struct pg_error *error, const char *doing, struct errbuf *err)
{
    errbuf_set(err, "%s: %s", doing, error->message);
}

int
pg_conninfo_check(const char *conninfo, struct errbuf *err)
{
    (void)conninfo, (void)err;
    return 0;
}
