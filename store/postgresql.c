/*
 * postgresql.c - the store for PostgreSQL: rows and Kafka's offsets in one transaction.
 *
 * A batch.  Series that are new get their ids first, outside the transaction.  Rows are sorted by
 * (series, time), so that all writers lock in one order; of rows with the same key the one that
 * came last is written.  Then, in one transaction: the offsets are moved (fencing: pg_offsets.h),
 * and the rows are copied straight into the table, which is the fastest there is where no row
 * exists already. If one does, the savepoint is rolled back and the rows go through a temporary
 * table and ON CONFLICT DO UPDATE; so do the next batches, for a while, since conflicts come in
 * spells (replays).
 *
 * Bad rows.  COPY names the line it refuses.  The lines before it are copied again without it, then
 * those after it: each row is sent at most twice, however many are bad.
 *
 * COMMIT.  If its answer is lost, the next attempt looks the offsets up before it does anything
 * else.
 *
 * Process: workers.  Owner: struct postgresql.  Concurrency: one thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"
#include "store/pg_conn.h"
#include "store/pg_jsonb.h"
#include "store/pg_offsets.h"
#include "store/pg_row.h"
#include "store/pg_schema.h"
#include "store/pg_series.h"
#include "store/rows.h"
#include "store/store.h"

enum {
    MAX_BYTES = 1 << 30,
    STAGED_BATCHES = 16,      /* after a conflict, so many go through the temporary table at once */
    CACHED_SERIES_BYTES = 160 /* of memory per id, at the cache's emptiest */
};

struct pg_entry {
    uint32_t row;
    bool refused;
    int64_t series; /* an id, or a number below zero of pg_series_find */
    int64_t time_us;
    double value;
    size_t text; /* value_meta, or the alarm's encoded row, in texts */
    uint32_t text_n;
};

struct postgresql {
    struct store store;
    const struct config *cfg;
    enum topic_kind kind;
    const char *schema;
    struct pg_conn conn;
    bool prepared; /* this connection knows the schema and has its temporary table */
    bool in_doubt; /* a COMMIT was sent and not answered */
    struct pg_series *series;
    struct pg_offsets *offsets;
    struct pg_entry *entries;
    size_t n, capacity;
    struct buf texts, copy, sql;
    uint32_t *lines; /* of the COPY under way: which entry each line is */
    size_t lines_capacity;
    unsigned staged_left;
};

/* --- collecting --- */

/* Returns: 0, or -1 and the reason if `text`, which is JSON or empty, is not for jsonb. */
static int
check_jsonb(const char *what, struct slice text, struct reject *why)
{
    const char *flaw = pg_jsonb_find_flaw(text);
    return flaw == NULL ? 0
                        : reject_set(why, REJECT_UNSTORABLE, "%s %s, which jsonb cannot hold", what,
                                     flaw);
}

static enum store_added
add_measurement(struct postgresql *pg, const struct measurement *m, struct pg_entry *entry,
                struct reject *why)
{
    if (pg_row_time(m->time_ms, &entry->time_us) == -1) {
        reject_set(why, REJECT_BAD_TIME, "timestamp %lld ms is outside what PostgreSQL can hold",
                   (long long)m->time_ms);
        return STORE_REFUSED;
    }
    if (check_jsonb("metric.value_meta", m->value_meta, why) == -1)
        return STORE_REFUSED;
    entry->series = pg_series_find(pg->series, m);
    char number[64];
    if (m->value_text.n < sizeof(number)) {
        memcpy(number, m->value_text.p, m->value_text.n);
        number[m->value_text.n] = '\0';
        entry->value = strtod(number, NULL);
    } else {
        size_t start = pg->texts.size;
        buf_add_slice(&pg->texts, m->value_text);
        buf_add_char(&pg->texts, '\0');
        if (pg->texts.failed)
            return STORE_NO_MEMORY;
        entry->value = strtod(pg->texts.data + start, NULL);
        buf_truncate(&pg->texts, start);
    }
    entry->text = pg->texts.size;
    entry->text_n = (uint32_t)m->value_meta.n;
    buf_add_slice(&pg->texts, m->value_meta);
    return entry->series == 0 ? STORE_NO_MEMORY : STORE_ADDED;
}

/* In the order of alarm_columns. */
static enum store_added
add_alarm(struct postgresql *pg, const struct alarm_transition *a, struct pg_entry *entry,
          struct reject *why)
{
    const struct slice texts[] = {a->tenant_id,
                                  a->alarm_id,
                                  a->alarm_definition_id,
                                  a->alarm_name,
                                  a->alarm_description,
                                  a->new_state,
                                  a->old_state,
                                  a->severity,
                                  a->link,
                                  a->lifecycle_state,
                                  a->reason};
    if (pg_row_time(a->time_ms, &entry->time_us) == -1) {
        reject_set(why, REJECT_BAD_TIME, "timestamp %lld ms is outside what PostgreSQL can hold",
                   (long long)a->time_ms);
        return STORE_REFUSED;
    }
    if (check_jsonb("metrics", a->metrics, why) == -1 ||
        check_jsonb("subAlarms", a->sub_alarms, why) == -1)
        return STORE_REFUSED;
    entry->text = pg->texts.size;
    pg_row_start(&pg->texts, 1 + (int)COUNT_OF(texts) + 2);
    pg_row_add_int8(&pg->texts, entry->time_us);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        pg_row_add_text(&pg->texts, texts[i]);
    pg_row_add_jsonb(&pg->texts, a->metrics);
    pg_row_add_jsonb(&pg->texts, a->sub_alarms);
    entry->text_n = (uint32_t)(pg->texts.size - entry->text);
    return STORE_ADDED;
}

static enum store_added
postgresql_add(struct store *store, const struct record *record, uint32_t row, struct reject *why)
{
    struct postgresql *pg = (struct postgresql *)store;
    size_t start = pg->texts.size;
    struct pg_entry *entries = rows_reserve(pg->entries, &pg->capacity, pg->n, sizeof(*entries));
    if (entries == NULL)
        return STORE_NO_MEMORY;
    pg->entries = entries;
    struct pg_entry *entry = &entries[pg->n];
    *entry = (struct pg_entry){.row = row};
    enum store_added added = record->kind == RECORD_MEASUREMENT
                                 ? add_measurement(pg, &record->measurement, entry, why)
                                 : add_alarm(pg, &record->alarm, entry, why);
    if (added == STORE_ADDED && pg->texts.failed)
        added = STORE_NO_MEMORY;
    if (added == STORE_ADDED)
        pg->n++;
    else
        buf_truncate(&pg->texts, start);
    return added;
}

static size_t
postgresql_bytes(const struct store *store)
{
    const struct postgresql *pg = (const struct postgresql *)store;
    return pg->n * sizeof(struct pg_entry) + pg->texts.size + pg_series_bytes(pg->series);
}

static void
postgresql_reset(struct store *store)
{
    struct postgresql *pg = (struct postgresql *)store;
    pg->n = 0;
    pg->in_doubt = false;
    buf_clear(&pg->texts);
    pg_series_clear(pg->series);
}

/* --- a write --- */

struct writing {
    struct postgresql *pg;
    const struct store_write *write;
    struct errbuf *err;
    struct pg_error error;
};

static enum store_status
fail(struct writing *w, enum pg_outcome outcome, const char *doing)
{
    pg_conn_close(&w->pg->conn);
    w->pg->prepared = false;
    if (outcome == PG_STOPPED)
        return STORE_STOPPED;
    pg_conn_explain(&w->error, doing, w->err);
    return STORE_SICK;
}

static enum pg_outcome
run(struct writing *w, const char *sql)
{
    const char *text = pg_schema_fill(&w->pg->sql, w->pg->schema, sql);
    if (text == NULL) {
        snprintf(w->error.message, sizeof(w->error.message), "out of memory");
        return PG_WORLD;
    }
    return pg_conn_run(&w->pg->conn, text, 0, NULL, NULL, &w->error);
}

static const char staging_sql[] =
    "CREATE TEMPORARY TABLE IF NOT EXISTS staging (metric_id bigint, time timestamptz(3),"
    " value double precision, value_meta jsonb) ON COMMIT DELETE ROWS";

/* A connection that may be to another server than the last one: nothing is taken for granted. */
static enum store_status
connect_server(struct postgresql *pg, struct errbuf *err)
{
    struct pg_error error = {.message = ""};
    if (pg->conn.pg == NULL || PQstatus(pg->conn.pg) != CONNECTION_OK)
        pg->prepared = false;
    enum pg_outcome outcome = pg_conn_open(&pg->conn, err);
    if (outcome == PG_OK && !pg->prepared) {
        pg_series_forget(pg->series);
        outcome = pg_schema_prepare(&pg->conn, pg->schema, err);
        if (outcome == PG_OK) {
            outcome = pg_conn_run(&pg->conn, staging_sql, 0, NULL, NULL, &error);
            if (outcome != PG_OK) {
                pg_conn_explain(&error, "cannot make a temporary table", err);
                pg_conn_close(&pg->conn);
            }
        }
        pg->prepared = outcome == PG_OK;
    }
    return outcome == PG_OK ? STORE_DONE : outcome == PG_STOPPED ? STORE_STOPPED : STORE_SICK;
}

static void
refuse(struct writing *w, struct pg_entry *entry, const char *why)
{
    struct reject reject;
    entry->refused = true;
    reject_set(&reject, REJECT_REFUSED, "PostgreSQL: %s", why);
    w->write->settle(w->write->arg, entry->row, &reject);
}

/* Puts ids in the place of numbers; a series the database refuses takes its rows with it. */
static enum store_status
resolve_series(struct writing *w)
{
    struct postgresql *pg = w->pg;
    enum pg_outcome outcome = pg_series_resolve(pg->series, &pg->conn, pg->schema, w->err);
    if (outcome != PG_OK) {
        pg_conn_close(&pg->conn);
        return outcome == PG_STOPPED ? STORE_STOPPED : STORE_SICK;
    }
    for (size_t i = 0; i < pg->n; i++) {
        struct pg_entry *entry = &pg->entries[i];
        const char *why;
        if (entry->series >= 0 || entry->refused)
            continue;
        int64_t id = pg_series_id(pg->series, entry->series, &why);
        if (id != 0)
            entry->series = id;
        else
            refuse(w, entry, why);
    }
    return STORE_DONE;
}

/* By series, time and row: the last of equals is the one that came last. */
static int
compare_entries(const void *a, const void *b)
{
    const struct pg_entry *x = a, *y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    if (x->time_us != y->time_us)
        return x->time_us < y->time_us ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Is there a later entry, not refused, with the same key? Entries are sorted. */
static bool
is_shadowed(const struct postgresql *pg, size_t i)
{
    const struct pg_entry *e = pg->entries;
    for (size_t j = i + 1; j < pg->n && e[j].series == e[i].series && e[j].time_us == e[i].time_us;
         j++)
        if (!e[j].refused)
            return true;
    return false;
}

static void
add_row(struct postgresql *pg, const struct pg_entry *entry)
{
    struct slice text = {pg->texts.data + entry->text, entry->text_n};
    if (pg->kind != TOPIC_METRICS) {
        buf_add_slice(&pg->copy, text);
        return;
    }
    pg_row_start(&pg->copy, 4);
    pg_row_add_int8(&pg->copy, entry->series);
    pg_row_add_int8(&pg->copy, entry->time_us);
    pg_row_add_float8(&pg->copy, entry->value);
    pg_row_add_jsonb(&pg->copy, text);
}

/* Encodes entries [from, to); returns the number of lines, or -1 if memory is out. */
static ssize_t
build_copy(struct postgresql *pg, size_t from, size_t to)
{
    size_t lines = 0;
    buf_clear(&pg->copy);
    pg_row_begin(&pg->copy);
    for (size_t i = from; i < to; i++) {
        if (pg->entries[i].refused || (pg->kind == TOPIC_METRICS && is_shadowed(pg, i)))
            continue;
        add_row(pg, &pg->entries[i]);
        pg->lines[lines++] = (uint32_t)i;
    }
    pg_row_end(&pg->copy);
    return pg->copy.failed ? -1 : (ssize_t)lines;
}

static const char *
copy_sql(const struct postgresql *pg, bool staged)
{
    if (pg->kind != TOPIC_METRICS)
        return "COPY @.alarm_state_history (time, tenant_id, alarm_id, alarm_definition_id, "
               "alarm_name,"
               " alarm_description, new_state, old_state, severity, link, lifecycle_state, reason,"
               " metrics, sub_alarms) FROM STDIN (FORMAT binary)";
    return staged ? "COPY pg_temp.staging (metric_id, time, value, value_meta) FROM STDIN (FORMAT "
                    "binary)"
                  : "COPY @.measurements (metric_id, time, value, value_meta) FROM STDIN (FORMAT "
                    "binary)";
}

static enum pg_outcome
copy_once(struct writing *w, bool staged)
{
    struct postgresql *pg = w->pg;
    const char *sql = pg_schema_fill(&pg->sql, pg->schema, copy_sql(pg, staged));
    if (sql == NULL)
        return PG_WORLD;
    enum pg_outcome outcome = pg_conn_copy_begin(&pg->conn, sql, &w->error);
    if (outcome == PG_OK)
        outcome = pg_conn_copy_send(&pg->conn, pg->copy.data, pg->copy.size, &w->error);
    if (outcome == PG_OK)
        outcome = pg_conn_copy_end(&pg->conn, &w->error);
    return outcome;
}

/* Copies entries [from, to) once, under a savepoint that is rolled back if they are refused. */
static enum pg_outcome
try_range(struct writing *w, size_t from, size_t to, bool staged, ssize_t *lines)
{
    *lines = build_copy(w->pg, from, to);
    if (*lines == -1) {
        snprintf(w->error.message, sizeof(w->error.message), "out of memory");
        return PG_WORLD;
    }
    if (*lines == 0)
        return PG_OK;
    enum pg_outcome outcome = run(w, "SAVEPOINT rows");
    if (outcome == PG_OK)
        outcome = copy_once(w, staged);
    if (outcome == PG_OK)
        return run(w, "RELEASE rows");
    if (outcome != PG_DATA && outcome != PG_UNIQUE)
        return outcome;
    struct pg_error first = w->error;
    enum pg_outcome undone = run(w, "ROLLBACK TO rows");
    if (undone == PG_OK)
        w->error = first;
    return undone == PG_OK ? outcome : undone;
}

/*
 * After a refusal: refuses the row that is proven bad, if there is one.
 * Returns: where to cut the range; what is before the cut is tried first.
 */
static size_t
cut_range(struct writing *w, size_t lines)
{
    struct postgresql *pg = w->pg;
    size_t bad = pg->lines[0];
    if (w->error.copy_line >= 1 && (size_t)w->error.copy_line <= lines)
        bad = pg->lines[w->error.copy_line - 1];
    else if (lines > 1)
        return pg->lines[lines / 2]; /* it does not say which: halve */
    refuse(w, &pg->entries[bad], w->error.message);
    return bad;
}

/*
 * Copies all entries, refusing those that the database refuses. What is still to be tried is a pile
 * of range ends on the heap, the nearest on top: each is less than the one below it, so there are
 * never more than entries. A refused row is tried again with what follows it, when it is not sent:
 * one that it stood in the way of, an earlier one with its key, is before the cut and is written.
 * PG_UNIQUE: a row exists already; the savepoint is rolled back.
 */
static enum pg_outcome
copy_all(struct writing *w, bool staged)
{
    struct postgresql *pg = w->pg;
    size_t from = 0, n = 1;
    size_t *ends = malloc((pg->n + 1) * sizeof(*ends));
    enum pg_outcome outcome = PG_OK;
    if (ends == NULL) {
        snprintf(w->error.message, sizeof(w->error.message), "out of memory");
        return PG_WORLD;
    }
    ends[0] = pg->n;
    while (n > 0 && outcome == PG_OK) {
        ssize_t lines;
        outcome = try_range(w, from, ends[n - 1], staged, &lines);
        if (outcome == PG_OK) {
            from = ends[--n];
        } else if (outcome == PG_DATA) {
            size_t cut = cut_range(w, (size_t)lines);
            if (cut > from)
                ends[n++] = cut;
            outcome = PG_OK;
        }
    }
    free(ends);
    return outcome;
}

static const char upsert_sql[] =
    "INSERT INTO @.measurements (metric_id, time, value, value_meta)"
    " SELECT metric_id, time, value, value_meta FROM pg_temp.staging ORDER BY metric_id, time"
    " ON CONFLICT (metric_id, time) DO UPDATE SET value = EXCLUDED.value,"
    " value_meta = EXCLUDED.value_meta";

static enum pg_outcome
copy_rows(struct writing *w)
{
    struct postgresql *pg = w->pg;
    bool staged = pg->kind == TOPIC_METRICS && pg->staged_left > 0;
    enum pg_outcome outcome = copy_all(w, staged);
    if (outcome == PG_UNIQUE && pg->kind == TOPIC_METRICS && !staged) {
        pg->staged_left = STAGED_BATCHES;
        staged = true;
        outcome = run(w, "ROLLBACK TO batch");
        if (outcome == PG_OK)
            outcome = copy_all(w, true);
    }
    if (outcome == PG_OK && staged)
        outcome = run(w, upsert_sql);
    return outcome;
}

/* After the transaction is known to be committed. */
static enum store_status
settle_all(struct writing *w)
{
    struct postgresql *pg = w->pg;
    pg_offsets_moved(pg->offsets, w->write->positions, w->write->n_positions);
    for (size_t i = 0; i < pg->n; i++)
        if (!pg->entries[i].refused)
            w->write->settle(w->write->arg, pg->entries[i].row, NULL);
    pg->in_doubt = false;
    pg->n = 0;
    if (pg->staged_left > 0)
        pg->staged_left--;
    return STORE_DONE;
}

static enum store_status
commit(struct writing *w)
{
    struct postgresql *pg = w->pg;
    pg->in_doubt = true; /* from here on, until there is an answer */
    enum pg_outcome outcome = pg_conn_run(&pg->conn, "COMMIT", 0, NULL, NULL, &w->error);
    if (outcome == PG_OK)
        return settle_all(w);
    if (w->error.sqlstate[0] != '\0' && outcome != PG_STOPPED)
        pg->in_doubt = false; /* the server said no: nothing was committed */
    return fail(w, outcome, "cannot commit");
}

/* Moves the offsets and copies the rows; the transaction is open when it returns STORE_DONE. */
static enum store_status
fill_transaction(struct writing *w)
{
    struct postgresql *pg = w->pg;
    enum pg_outcome outcome = pg_conn_run(&pg->conn, "BEGIN", 0, NULL, NULL, &w->error);
    if (outcome == PG_OK)
        outcome = pg_offsets_move(pg->offsets, &pg->conn, w->write->positions,
                                  w->write->n_positions, &w->error);
    if (outcome == PG_UNIQUE) {
        (void)!pg_conn_run(&pg->conn, "ROLLBACK", 0, NULL, NULL, &w->error);
        return STORE_FENCED;
    }
    if (outcome == PG_OK)
        outcome = run(w, "SAVEPOINT batch");
    if (outcome == PG_OK)
        outcome = copy_rows(w);
    return outcome == PG_OK ? STORE_DONE : fail(w, outcome, "cannot write");
}

static enum store_status
write_batch(struct writing *w)
{
    struct postgresql *pg = w->pg;
    enum store_status status = resolve_series(w);
    if (status != STORE_DONE)
        return status;
    qsort(pg->entries, pg->n, sizeof(*pg->entries), compare_entries);
    status = fill_transaction(w);
    if (status != STORE_DONE)
        return status;
    status = w->write->before_commit(w->write->arg, w->err);
    if (status == STORE_DONE)
        return commit(w);
    pg_conn_close(&pg->conn); /* rolls back */
    pg->prepared = false;
    return status;
}

/* Was the batch committed, whose answer was lost? */
static enum store_status
clear_doubt(struct writing *w)
{
    struct postgresql *pg = w->pg;
    enum pg_fate fate;
    enum pg_outcome outcome = pg_offsets_look_up(pg->offsets, &pg->conn, w->write->positions,
                                                 w->write->n_positions, &fate, &w->error);
    if (outcome != PG_OK)
        return fail(w, outcome, "cannot look up whether the batch was committed");
    pg->in_doubt = false;
    if (fate == PG_COMMITTED) {
        log_notice("the batch whose commit was not answered is in the database");
        return settle_all(w);
    }
    return fate == PG_FENCED ? STORE_FENCED : write_batch(w);
}

static enum store_status
postgresql_write(struct store *store, const struct store_write *write, struct errbuf *err)
{
    struct postgresql *pg = (struct postgresql *)store;
    struct writing w = {.pg = pg, .write = write, .err = err};
    if (pg->n > pg->lines_capacity) {
        uint32_t *lines = realloc(pg->lines, pg->capacity * sizeof(*lines));
        if (lines == NULL) {
            errbuf_set(err, "PostgreSQL: out of memory");
            return STORE_SICK;
        }
        pg->lines = lines;
        pg->lines_capacity = pg->capacity;
    }
    enum store_status status = connect_server(pg, err);
    if (status != STORE_DONE)
        return status;
    return pg->in_doubt ? clear_doubt(&w) : write_batch(&w);
}

static enum store_status
postgresql_claim(struct store *store, const char *cluster_id, struct store_position *positions,
                 size_t n, struct errbuf *err)
{
    struct postgresql *pg = (struct postgresql *)store;
    enum store_status status = connect_server(pg, err);
    if (status != STORE_DONE)
        return status;
    enum pg_outcome outcome =
        pg_offsets_claim(pg->offsets, &pg->conn, cluster_id, positions, n, err);
    return outcome == PG_OK ? STORE_DONE : outcome == PG_STOPPED ? STORE_STOPPED : STORE_SICK;
}

/* --- life --- */

static void
postgresql_close(struct store **store)
{
    struct postgresql *pg = (struct postgresql *)*store;
    pg_conn_close(&pg->conn);
    pg_series_free(&pg->series);
    pg_offsets_free(&pg->offsets);
    buf_free(&pg->texts);
    buf_free(&pg->copy);
    buf_free(&pg->sql);
    free(pg->entries);
    free(pg->lines);
    free(pg);
    *store = NULL;
}

static struct store *
postgresql_open(const struct config *cfg, enum topic_kind kind, const struct store_hooks *hooks,
                struct errbuf *err)
{
    if (pg_conninfo_check(cfg->postgresql.conninfo, err) == -1) {
        errbuf_prefix(err, "[postgresql] conninfo");
        return NULL;
    }
    struct postgresql *pg = calloc(1, sizeof(*pg));
    if (pg == NULL) {
        errbuf_set(err, "out of memory");
        return NULL;
    }
    pg->store.ops = &store_postgresql;
    pg->cfg = cfg;
    pg->kind = kind;
    pg->schema = cfg->postgresql.schema;
    pg->conn = (struct pg_conn){.conninfo = cfg->postgresql.conninfo, .hooks = hooks};
    buf_init(&pg->texts, MAX_BYTES);
    buf_init(&pg->copy, MAX_BYTES);
    buf_init(&pg->sql, 1 << 16);
    /* An eighth of the memory for ids. */
    pg->series =
        pg_series_new(((size_t)cfg->persister.memory_limit_mb << 17) / CACHED_SERIES_BYTES);
    pg->offsets = pg_offsets_new(pg->schema, cfg->topic[kind].group_id, cfg->topic[kind].topic);
    struct store *store = &pg->store;
    if (pg->series != NULL && pg->offsets != NULL)
        return store;
    errbuf_set(err, "out of memory");
    postgresql_close(&store);
    return NULL;
}

const struct store_ops store_postgresql = {.name = "postgresql",
                                           .open = postgresql_open,
                                           .add = postgresql_add,
                                           .bytes = postgresql_bytes,
                                           .write = postgresql_write,
                                           .claim = postgresql_claim,
                                           .reset = postgresql_reset,
                                           .close = postgresql_close};
