/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_series.c - see pg_series.h.
 *
 * The cache has two halves: what is found or added goes into the young one; when that is full, the
 * old one is dropped and the young one becomes old.  So it stays within its bound and keeps what is
 * in use.
 */
#include "store/pg/pg_series.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/array.h"
#include "lib/buf.h"
#include "lib/log.h"
#include "lib/spread.h"
#include "store/pg/pg_plan.h"
#include "store/pg/pg_schema.h"

enum { RESOLVE_AT_ONCE = 1000, MAX_TEXT_BYTES = 1 << 28, MAX_ADVANCES = 10 };

/* Open addressing, linear probing, at most half full. An entry with value 0 is empty. */
struct known_id {
    struct pg_key key;
    int64_t value;
};

struct map {
    struct known_id *entries;
    size_t capacity, n; /* capacity is a power of two */
};

/* A series of a batch that had no id when it came. */
struct newcomer {
    struct pg_key key;
    size_t text, tenant_n, region_n, name_n, dimensions_n; /* in texts, one behind the other */
    int64_t id;                                            /* 0 until resolved */
    char *refused; /* the database's reason; NULL if it has none */
};

struct pg_series {
    struct map young, old;
    size_t max_half;
    unsigned epoch;     /* moves when all is forgotten */
    struct buf scratch; /* pg_series_find's, which may come between the waits of the others */
    struct buf work;
};

/* The note in a series (record/series.h): no key is made, and none looked up, a second time. */
struct noted {
    struct pg_key key;
    int64_t id;     /* 0: it had none */
    unsigned epoch; /* of that id: what was remembered in another one is void */
};

struct pg_fresh {
    struct map numbers; /* key -> index in list + 1 */
    struct newcomer *list;
    size_t n, capacity, n_resolved;
    struct buf texts;
};

/* --- the map --- */

static size_t
slot_of(const struct map *map, const struct pg_key *key)
{
    size_t i = spread_place(key->bytes, map->capacity);
    while (map->entries[i].value != 0 &&
           memcmp(map->entries[i].key.bytes, key->bytes, PG_KEY_BYTES) != 0)
        i = (i + 1) & (map->capacity - 1);
    return i;
}

static int64_t
map_find(const struct map *map, const struct pg_key *key)
{
    return map->n == 0 ? 0 : map->entries[slot_of(map, key)].value;
}

static int
map_grow(struct map *map)
{
    struct map bigger = {.capacity = map->capacity == 0 ? 1024 : map->capacity * 2, .n = map->n};
    bigger.entries = calloc(bigger.capacity, sizeof(*bigger.entries));
    if (bigger.entries == NULL)
        return -1;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].value != 0)
            bigger.entries[slot_of(&bigger, &map->entries[i].key)] = map->entries[i];
    free(map->entries);
    *map = bigger;
    return 0;
}

static int
map_add(struct map *map, const struct pg_key *key, int64_t value)
{
    if ((map->n + 1) * 2 > map->capacity && map_grow(map) == -1)
        return -1;
    struct known_id *entry = &map->entries[slot_of(map, key)];
    map->n += entry->value == 0;
    *entry = (struct known_id){.key = *key, .value = value};
    return 0;
}

static void
map_clear(struct map *map)
{
    free(map->entries);
    *map = (struct map){.entries = NULL};
}

/* --- the cache --- */

static int
remember(struct pg_series *s, const struct pg_key *key, int64_t id)
{
    if (s->young.n >= s->max_half) {
        map_clear(&s->old);
        s->old = s->young;
        s->young = (struct map){.entries = NULL};
    }
    return map_add(&s->young, key, id);
}

static int64_t
recall(struct pg_series *s, const struct pg_key *key)
{
    int64_t id = map_find(&s->young, key);
    if (id != 0)
        return id;
    id = map_find(&s->old, key);
    if (id != 0)
        (void)remember(s, key, id); /* if memory is out, it just stays old */
    return id;
}

struct pg_series *
pg_series_new(size_t max_entries)
{
    struct pg_series *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    /* Two halves, each in a table that is between a quarter and a half full. */
    s->max_half = max_entries / 2;
    buf_init(&s->scratch, MAX_TEXT_BYTES);
    buf_init(&s->work, MAX_TEXT_BYTES);
    return s;
}

void
pg_series_forget(struct pg_series *series)
{
    map_clear(&series->young);
    map_clear(&series->old);
    series->epoch++;
}

void
pg_series_free(struct pg_series **series)
{
    struct pg_series *s = *series;
    if (s == NULL)
        return;
    pg_series_forget(s);
    buf_free(&s->scratch);
    buf_free(&s->work);
    free(s);
    *series = NULL;
}

/* --- a batch's new series --- */

struct pg_fresh *
pg_fresh_new(void)
{
    struct pg_fresh *fresh = calloc(1, sizeof(*fresh));
    if (fresh != NULL)
        buf_init(&fresh->texts, MAX_TEXT_BYTES);
    return fresh;
}

void
pg_fresh_clear(struct pg_fresh *fresh)
{
    for (size_t i = 0; i < fresh->n; i++)
        free(fresh->list[i].refused);
    fresh->n = fresh->n_resolved = 0;
    if (fresh->numbers.n > 0)
        map_clear(&fresh->numbers);
    buf_clear(&fresh->texts);
}

void
pg_fresh_free(struct pg_fresh **fresh)
{
    if (*fresh == NULL)
        return;
    pg_fresh_clear(*fresh);
    buf_free(&(*fresh)->texts);
    free((*fresh)->list);
    free(*fresh);
    *fresh = NULL;
}

size_t
pg_fresh_bytes(const struct pg_fresh *fresh)
{
    return fresh->texts.size + fresh->n * sizeof(*fresh->list);
}

static int64_t
add_newcomer(struct pg_fresh *fresh, const struct pg_key *key, const struct measurement *m)
{
    struct buf *texts = &fresh->texts;
    size_t start = texts->size;
    if (array_reserve(&fresh->list, &fresh->capacity, fresh->n + 1, sizeof(*fresh->list)) == -1)
        return 0;
    buf_add_slice(texts, m->tenant_id);
    buf_add_slice(texts, m->region);
    buf_add_slice(texts, m->name);
    size_t dimensions = texts->size;
    pg_row_add_dimensions(texts, m);
    if (texts->failed || map_add(&fresh->numbers, key, (int64_t)fresh->n + 1) == -1) {
        buf_truncate(texts, start);
        return 0;
    }
    fresh->list[fresh->n] = (struct newcomer){.key = *key,
                                              .text = start,
                                              .tenant_n = m->tenant_id.n,
                                              .region_n = m->region.n,
                                              .name_n = m->name.n,
                                              .dimensions_n = texts->size - dimensions};
    return -(int64_t)++fresh->n;
}

/* Finds a series' key, and its id if that is remembered, else 0. Returns: 0, or -1 without memory. */
static int
find_known(struct pg_series *series, const struct measurement *m, struct pg_key *key, int64_t *id)
{
    struct noted *noted = m->series != NULL ? m->series->note : NULL;
    if (noted != NULL)
        *key = noted->key;
    else if (pg_row_key(m, &series->scratch, key) == -1)
        return -1;
    *id = noted != NULL && noted->epoch == series->epoch ? noted->id : 0;
    if (*id != 0)
        return 0;
    *id = recall(series, key);
    if (m->series != NULL && noted == NULL)
        noted = series_note_new(m->series, sizeof(*noted));
    if (noted != NULL)
        *noted = (struct noted){.key = *key, .id = *id, .epoch = series->epoch};
    return 0;
}

int64_t
pg_series_find(struct pg_series *series, struct pg_fresh *fresh, const struct measurement *m,
               struct pg_key *key)
{
    int64_t id;
    if (find_known(series, m, key, &id) == -1)
        return 0;
    if (id != 0)
        return id;
    int64_t number = map_find(&fresh->numbers, key);
    return number != 0 ? -number : add_newcomer(fresh, key, m);
}

int64_t
pg_fresh_id(const struct pg_fresh *fresh, int64_t number, const char **why)
{
    const struct newcomer *one = &fresh->list[-number - 1];
    *why = one->refused;
    return one->id;
}

/* --- resolving --- */

static void
add_quoted(struct buf *b, const char *p, size_t n)
{
    pg_row_add_quoted(b, (struct slice){p, n}, false);
}

enum column { KEY, TENANT, REGION, NAME, DIMENSIONS, COLUMNS };

struct resolving {
    struct pg_series *series;
    struct pg_fresh *fresh;
    struct pg_conn *conn;
    const char *schema;
    struct pg_error error;
    struct buf sql;
    unsigned advanced; /* so often was the sequence set forward */
};

static void
add_element(const struct resolving *r, const struct newcomer *f, enum column column)
{
    struct pg_series *s = r->series;
    const char *p = r->fresh->texts.data + f->text;
    if (column == KEY) {
        pg_row_add_hex(&s->work, &f->key);
    } else if (column == TENANT) {
        add_quoted(&s->work, p, f->tenant_n);
    } else if (column == REGION) {
        add_quoted(&s->work, p + f->tenant_n, f->region_n);
    } else if (column == NAME) {
        add_quoted(&s->work, p + f->tenant_n + f->region_n, f->name_n);
    } else {
        add_quoted(&s->work, p + f->tenant_n + f->region_n + f->name_n, f->dimensions_n);
    }
}

/* Writes PostgreSQL's array literals for the columns, unresolved series only, behind each other. */
static int
build_arrays(struct resolving *r, size_t from, size_t to, int columns, size_t starts[COLUMNS])
{
    struct pg_series *s = r->series;
    buf_clear(&s->work);
    for (int c = 0; c < columns; c++) {
        bool first = true;
        starts[c] = s->work.size;
        buf_add_char(&s->work, '{');
        for (size_t i = from; i < to; i++) {
            if (r->fresh->list[i].id != 0)
                continue;
            if (!first)
                buf_add_char(&s->work, ',');
            first = false;
            add_element(r, &r->fresh->list[i], (enum column)c);
        }
        buf_add_char(&s->work, '}');
        buf_add_char(&s->work, '\0');
    }
    return s->work.failed ? -1 : 0;
}

static int
from_hex(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static int64_t
parse_id(const char *text)
{
    return strtoll(text, NULL, 10); /* a bigint of the server's own making */
}

/* Takes rows of (key, id). */
static int
take_ids(struct resolving *r, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++) {
        struct pg_key key;
        const char *hex = pg_conn_value(result, row, 0); /* 64 digits */
        if (PQgetlength(result, row, 0) != 2 * PG_KEY_BYTES)
            continue;
        for (int i = 0; i < PG_KEY_BYTES; i++)
            key.bytes[i] = (unsigned char)(from_hex(hex[2 * i]) << 4 | from_hex(hex[2 * i + 1]));
        int64_t number = map_find(&r->fresh->numbers, &key);
        if (number == 0)
            continue;
        struct newcomer *one = &r->fresh->list[number - 1];
        one->id = parse_id(pg_conn_value(result, row, 1));
        if (remember(r->series, &key, one->id) == -1)
            return -1;
    }
    return 0;
}

static enum pg_outcome
ask(struct resolving *r, const char *sql, size_t from, size_t to, int columns)
{
    struct pg_series *s = r->series;
    size_t starts[COLUMNS];
    const char *values[COLUMNS];
    const char *text = pg_schema_fill(&r->sql, r->schema, sql);
    PGresult *result;
    if (text == NULL || build_arrays(r, from, to, columns, starts) == -1) {
        snprintf(r->error.message, sizeof(r->error.message), "out of memory");
        return PG_WORLD;
    }
    for (int c = 0; c < columns; c++)
        values[c] = s->work.data + starts[c];
    enum pg_outcome outcome = pg_conn_run(r->conn, text, columns, values, &result, &r->error);
    if (outcome != PG_OK)
        return outcome;
    int taken = take_ids(r, result);
    PQclear(result);
    if (taken == 0)
        return PG_OK;
    snprintf(r->error.message, sizeof(r->error.message), "out of memory");
    return PG_WORLD;
}

static bool
all_known(const struct pg_fresh *fresh, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (fresh->list[i].id == 0)
            return false;
    return true;
}

static const char select_sql[] =
    "SELECT encode(key, 'hex'), id FROM @.metrics WHERE key = ANY($1::bytea[])";
static const char insert_sql[] =
    "INSERT INTO @.metrics (key, tenant_id, region, name, dimensions)"
    " SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::jsonb[]) AS s(key)"
    " ORDER BY key ON CONFLICT (key) DO NOTHING"
    " RETURNING encode(key, 'hex'), id";

/* What the batch before had to find, too, is known by now. */
static void
recall_range(struct resolving *r, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (r->fresh->list[i].id == 0)
            r->fresh->list[i].id = recall(r->series, &r->fresh->list[i].key);
}

/* Looks for a range, inserts what is not there, and looks again for what others inserted meanwhile.
 */
static enum pg_outcome
resolve_range(struct resolving *r, size_t from, size_t to)
{
    const struct pg_fresh *fresh = r->fresh;
    enum pg_outcome outcome = PG_OK;
    recall_range(r, from, to);
    if (!all_known(fresh, from, to))
        outcome = ask(r, select_sql, from, to, 1);
    for (int i = 0; i < 5 && outcome == PG_OK && !all_known(fresh, from, to); i++) {
        outcome = ask(r, insert_sql, from, to, COLUMNS);
        if (outcome == PG_RETRY)
            outcome = PG_OK;
        if (outcome == PG_OK && !all_known(fresh, from, to))
            outcome = ask(r, select_sql, from, to, 1);
    }
    if (outcome == PG_OK && !all_known(fresh, from, to)) {
        snprintf(r->error.message, sizeof(r->error.message), "new series cannot be found again");
        outcome = PG_WORLD;
    }
    return outcome;
}

/* A row if the sequence was behind. Two who do this at once may find that they have to again. */
static const char advance_sql[] =
    "SELECT setval(s.name, s.last)"
    " FROM (SELECT pg_get_serial_sequence(format('%I.metrics', $1::text), 'id')::regclass AS name,"
    " (SELECT max(id) FROM @.metrics) AS last) AS s"
    " WHERE s.last >= nextval(s.name)";

/*
 * Series whose ids were given to others already are no worse than others: the table's sequence is
 * behind, as it is on a logical replica that has taken over, or where rows were restored alone.
 */
static enum pg_outcome
advance_ids(struct resolving *r, bool *moved)
{
    struct pg_error refusal = r->error;
    const char *values[] = {r->schema};
    const char *text = pg_schema_fill(&r->sql, r->schema, advance_sql);
    PGresult *result;
    if (text == NULL) {
        snprintf(r->error.message, sizeof(r->error.message), "out of memory");
        return PG_WORLD;
    }
    enum pg_outcome outcome = pg_conn_run(r->conn, text, 1, values, &result, &r->error);
    if (outcome != PG_OK)
        return outcome == PG_STOPPED ? outcome : PG_WORLD;
    *moved = PQntuples(result) > 0;
    PQclear(result);
    if (*moved)
        log_notice("PostgreSQL: the sequence of metrics.id was behind (%s); it is set to the last "
                   "id that is there",
                   refusal.message);
    r->error = refusal;
    return PG_OK;
}

/* Is a duplicate the sequence's fault, and mended? Returns what the outcome is then. */
static enum pg_outcome
mend_ids(struct resolving *r, enum pg_outcome outcome, bool *again)
{
    *again = false;
    if (outcome != PG_UNIQUE)
        return outcome;
    enum pg_outcome advanced = advance_ids(r, again);
    if (advanced != PG_OK)
        return advanced;
    if (*again && ++r->advanced > MAX_ADVANCES)
        return PG_WORLD;
    return outcome;
}

/* The same, finding those that the database finds wrong in themselves. At most RESOLVE_AT_ONCE. */
static enum pg_outcome
resolve_sifting(struct resolving *r, size_t from, size_t to)
{
    uint32_t rows[RESOLVE_AT_ONCE], bad;
    struct pg_plan plan;
    enum pg_outcome outcome = PG_OK;
    assert(to - from <= RESOLVE_AT_ONCE);
    for (size_t i = from; i < to; i++)
        rows[i - from] = (uint32_t)i;
    pg_plan_start(&plan, rows, to - from);
    while (outcome == PG_OK && pg_plan_next(&plan)) {
        bool again;
        outcome = mend_ids(r, resolve_range(r, rows[plan.from], rows[plan.to - 1] + 1), &again);
        if (outcome == PG_OK) {
            pg_plan_note_stored(&plan);
        } else if (outcome == PG_UNIQUE && again) {
            outcome = PG_OK;
        } else if (outcome == PG_DATA || outcome == PG_UNIQUE) {
            outcome = PG_OK;
            if (!pg_plan_note_refused(&plan, 0, &bad))
                continue;
            r->fresh->list[bad].refused = strdup(r->error.message);
            if (r->fresh->list[bad].refused == NULL)
                outcome = PG_WORLD;
        }
    }
    return outcome;
}

enum pg_outcome
pg_series_resolve(struct pg_series *series, struct pg_fresh *fresh, struct pg_conn *conn,
                  const char *schema, struct errbuf *err)
{
    struct resolving r = {.series = series, .fresh = fresh, .conn = conn, .schema = schema};
    enum pg_outcome outcome = PG_OK;
    buf_init(&r.sql, 1 << 16);
    while (outcome == PG_OK && fresh->n_resolved < fresh->n) {
        size_t to = fresh->n_resolved + RESOLVE_AT_ONCE;
        if (to > fresh->n)
            to = fresh->n;
        outcome = resolve_sifting(&r, fresh->n_resolved, to);
        if (outcome == PG_OK)
            fresh->n_resolved = to;
    }
    buf_free(&r.sql);
    if (outcome != PG_OK && outcome != PG_STOPPED) {
        pg_conn_explain(&r.error, "cannot find the series", err);
        outcome = PG_WORLD;
    }
    return outcome;
}
