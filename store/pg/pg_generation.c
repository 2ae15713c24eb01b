/* SPDX-License-Identifier: Apache-2.0 */
/* pg_generation.c - see pg_generation.h. */
#include "store/pg/pg_generation.h"

#include <stdio.h>

#include "lib/num.h"
#include "store/pg/pg_schema.h"

enum { MAX_LIST_BYTES = 1 << 28 };

void
pg_generation_init(struct pg_generation *generation, const char *schema)
{
    *generation = (struct pg_generation){.schema = schema, .known = -1};
    buf_init(&generation->sql, 1 << 16);
    buf_init(&generation->ids, MAX_LIST_BYTES);
    buf_init(&generation->keys, MAX_LIST_BYTES);
}

void
pg_generation_free(struct pg_generation *generation)
{
    buf_free(&generation->sql);
    buf_free(&generation->ids);
    buf_free(&generation->keys);
}

void
pg_generation_forget(struct pg_generation *generation, bool kept)
{
    generation->kept = kept;
    generation->known = -1;
}

/* Runs a statement whose answer is one number. */
static enum pg_outcome
ask(struct pg_generation *g, struct pg_conn *conn, const char *sql, int n,
    const char *const *values, int64_t *number, struct pg_error *error)
{
    PGresult *result = NULL;
    const char *text = pg_schema_fill(&g->sql, g->schema, sql);
    if (text == NULL || g->ids.failed || g->keys.failed) {
        *error = (struct pg_error){.message = "out of memory"};
        return PG_WORLD;
    }
    enum pg_outcome outcome = pg_conn_run(conn, text, n, values, &result, error);
    if (outcome != PG_OK)
        return outcome;
    bool good = PQntuples(result) == 1 &&
                num_parse_int(pg_conn_value(result, 0, 0), 0, INT64_MAX, number) == 0;
    PQclear(result);
    if (good)
        return PG_OK;
    *error = (struct pg_error){.message = "series_generation must have one row"};
    return PG_WORLD;
}

static void
add_pair(struct pg_generation *g, const struct pg_entry *entry, bool first)
{
    buf_printf(&g->ids, "%c%lld", first ? '{' : ',', (long long)entry->series);
    buf_add_char(&g->keys, first ? '{' : ',');
    pg_row_add_hex(&g->keys, &entry->key);
}

/* Array literals of the ids and keys, about one pair a series. */
static void
list_series(struct pg_generation *g, const struct pg_entry *entries, size_t n)
{
    const struct pg_entry *last = NULL;
    buf_clear(&g->ids);
    buf_clear(&g->keys);
    for (size_t i = 0; i < n; i++) {
        const struct pg_entry *entry = &entries[i];
        if (entry->refused || (last != NULL && entry->series == last->series &&
                               memcmp(&entry->key, &last->key, sizeof(last->key)) == 0))
            continue;
        add_pair(g, entry, last == NULL);
        last = entry;
    }
    buf_add_text(&g->ids, last == NULL ? "{}" : "}");
    buf_add_text(&g->keys, last == NULL ? "{}" : "}");
    buf_add_char(&g->ids, '\0');
    buf_add_char(&g->keys, '\0');
}

enum pg_outcome
pg_generation_hold(struct pg_generation *generation, int64_t known, struct pg_conn *conn,
                   const struct pg_entry *entries, size_t n, enum pg_series_state *state,
                   struct pg_error *error)
{
    int64_t now = -1, gone = 0;
    *state = PG_SERIES_SAME;
    if (!generation->kept)
        return PG_OK;
    enum pg_outcome outcome =
        ask(generation, conn, "SELECT generation FROM @.series_generation FOR SHARE", 0, NULL, &now,
            error);
    if (outcome != PG_OK || now == known)
        return outcome;
    list_series(generation, entries, n);
    const char *values[] = {generation->ids.data, generation->keys.data};
    outcome = ask(generation, conn,
                  "SELECT count(*) FROM unnest($1::bigint[], $2::bytea[]) AS v(id, key)"
                  " WHERE NOT EXISTS"
                  " (SELECT 1 FROM @.metrics AS s WHERE s.id = v.id AND s.key = v.key)",
                  2, values, &gone, error);
    if (outcome != PG_OK)
        return outcome;
    /* On a new connection nothing else is remembered than what this batch has just resolved. */
    if (generation->known != -1 && generation->known != now)
        *state = PG_SERIES_MOVED;
    if (gone > 0)
        *state = PG_SERIES_GONE;
    generation->known = now;
    return PG_OK;
}
