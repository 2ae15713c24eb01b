/* SPDX-License-Identifier: Apache-2.0 */
/* pg_copy.c - see pg_copy.h. */
#include "store/pg/pg_copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/array.h"
#include "lib/num.h"
#include "store/pg/pg_plan.h"
#include "store/pg/pg_row.h"
#include "store/pg/pg_schema.h"
#include "store/pg/pg_sift.h"

enum {
    MAX_BYTES = 1 << 30,
    STAGED_BATCHES = 16, /* after a conflict, so many go through the temporary table at once */
    /* Sifting costs as much as finding so many bad rows, and one more for each so many rows. */
    SIFT_COST = 3,
    SIFT_RATE = 256,
    SIFT_LEAST = 8,   /* bad rows before it is thought of */
    SIFT_ROWS = 4096, /* at once */
    UNSIFTED_BATCHES = 1000
};

struct copying {
    struct pg_copy *copy;
    const struct pg_copying *what;
    struct pg_error *error;
    const char **doing;
    bool staged;
    bool sifting;     /* the COPY under way is to be sifted */
    bool sifted;      /* one was, in this transaction */
    int64_t piece;    /* number of the COPY under way */
    bool knows_first; /* has asked for it */
    int64_t first_us; /* where the first of the table's partitions begins */
};

void
pg_copy_init(struct pg_copy *copy, const char *schema, enum topic_kind kind)
{
    *copy = (struct pg_copy){.schema = schema, .kind = kind};
    buf_init(&copy->out, MAX_BYTES);
    buf_init(&copy->sql, 1 << 16);
}

void
pg_copy_free(struct pg_copy *copy)
{
    buf_free(&copy->out);
    buf_free(&copy->sql);
    free(copy->rows);
    copy->rows = NULL;
}

void
pg_copy_note_committed(struct pg_copy *copy)
{
    copy->staged_left -= copy->staged_left > 0;
    copy->unsifted_left -= copy->unsifted_left > 0;
}

static enum pg_outcome
run_out_of_memory(struct copying *c)
{
    c->error->sqlstate[0] = '\0';
    snprintf(c->error->message, sizeof(c->error->message), "out of memory");
    return PG_WORLD;
}

static enum pg_outcome
run(struct copying *c, const char *sql)
{
    const char *text = pg_schema_fill(&c->copy->sql, c->copy->schema, sql);
    if (text == NULL)
        return run_out_of_memory(c);
    return pg_conn_run(c->what->conn, text, 0, NULL, NULL, c->error);
}

/* --- one COPY --- */

/*
 * The temporary table.  It outlives the transaction that made it, but is never relied on: behind a
 * pooler the next transaction may be on another connection.  The number of the COPY tells its rows
 * from those of others in the same transaction; to empty the table each time takes far longer.
 */
static const char staging_sql[] =
    "CREATE TEMPORARY TABLE IF NOT EXISTS persister_rows (piece bigint, metric_id bigint,"
    " time timestamptz(3), value double precision, value_meta jsonb) ON COMMIT DELETE ROWS;"
    "CREATE INDEX IF NOT EXISTS persister_rows_piece ON pg_temp.persister_rows (piece)";
static const char upsert_sql[] =
    "INSERT INTO @.measurements (metric_id, time, value, value_meta)"
    " SELECT metric_id, time, value, value_meta FROM pg_temp.persister_rows WHERE piece = $1"
    " ORDER BY metric_id, time"
    " ON CONFLICT (metric_id, time) DO UPDATE SET value = EXCLUDED.value,"
    " value_meta = EXCLUDED.value_meta";

#define COPY_INTO(table, columns)                                                                  \
    "SAVEPOINT rows; COPY " table " (" columns ") FROM STDIN (FORMAT binary)"

static const char *
copy_sql(const struct copying *c)
{
    if (c->copy->kind != TOPIC_METRICS)
        return COPY_INTO("@.alarm_state_history",
                         "time, tenant_id, alarm_id, alarm_definition_id, alarm_name,"
                         " alarm_description, new_state, old_state, severity, link,"
                         " lifecycle_state, reason, metrics, sub_alarms");
    if (c->staged)
        return COPY_INTO("pg_temp.persister_rows", "piece, metric_id, time, value, value_meta");
    return COPY_INTO("@.measurements", "metric_id, time, value, value_meta");
}

/* An alarm's row is encoded already, but for what stands before it here. */
static void
add_alarm(struct copying *c, const struct pg_entry *entry, size_t i)
{
    struct buf *out = &c->copy->out;
    struct slice text = {c->what->texts + entry->text, entry->text_n};
    if (c->sifting) {
        pg_row_start(out, 1 + pg_row_fields(text, &text));
        pg_row_add_int8(out, (int64_t)i);
    }
    buf_add_slice(out, text);
}

/* Takes: its place in the plan. */
static void
add_row(struct copying *c, const struct pg_plan *plan, size_t i)
{
    const struct pg_entry *entry = &c->what->entries[plan->rows[i]];
    struct buf *out = &c->copy->out;
    struct slice text = {c->what->texts + entry->text, entry->text_n};
    if (c->copy->kind != TOPIC_METRICS) {
        add_alarm(c, entry, i);
        return;
    }
    const int64_t first = c->sifting ? (int64_t)i : c->piece;
    const struct pg_row_measurement m = {.series = entry->series,
                                         .time_us = entry->time_us,
                                         .value = entry->value,
                                         .value_meta = text};
    pg_row_add_measurement(out, c->sifting || c->staged ? &first : NULL, &m);
}

static enum pg_outcome
upsert_rows(struct copying *c)
{
    char piece[24];
    const char *values[] = {piece};
    const char *sql = pg_schema_fill(&c->copy->sql, c->copy->schema, upsert_sql);
    if (sql == NULL)
        return run_out_of_memory(c);
    snprintf(piece, sizeof(piece), "%lld", (long long)c->piece);
    return pg_conn_run(c->what->conn, sql, 1, values, NULL, c->error);
}

static void
encode_rows(struct copying *c, const struct pg_plan *plan)
{
    struct buf *out = &c->copy->out;
    c->piece++;
    buf_clear(out);
    pg_row_begin(out);
    for (size_t i = plan->from; i < plan->to; i++)
        add_row(c, plan, i);
    pg_row_end(out);
}

static enum pg_outcome
send_rows(struct copying *c, const struct pg_plan *plan)
{
    struct pg_conn *conn = c->what->conn;
    struct buf *out = &c->copy->out;
    encode_rows(c, plan);
    const char *sql = pg_schema_fill(&c->copy->sql, c->copy->schema, copy_sql(c));
    if (out->failed || sql == NULL)
        return run_out_of_memory(c);
    enum pg_outcome outcome = pg_conn_copy_begin(conn, sql, c->error);
    if (outcome == PG_OK)
        outcome = pg_conn_copy_send(conn, out->data, out->size, c->error);
    if (outcome == PG_OK)
        outcome = pg_conn_copy_end(conn, c->error);
    if (outcome == PG_OK && c->staged)
        outcome = upsert_rows(c);
    return outcome;
}

/* Counts what is done with; of long ago little is left. */
static void
note_passed(struct pg_copy *copy, size_t rows)
{
    copy->n_passed += rows;
    while (copy->n_passed > SIFT_ROWS) {
        copy->n_passed /= 2;
        copy->n_refused /= 2;
    }
}

/* Is it a refusal that more can be learnt about by sending fewer rows? */
static bool
is_about_rows(const struct copying *c, enum pg_outcome outcome)
{
    if (outcome == PG_UNIQUE) /* else it is a rule of the operator's: ours was seen to */
        return c->staged || c->copy->kind != TOPIC_METRICS;
    return outcome == PG_DATA || outcome == PG_PARTITION;
}

/* Copies what the plan says, under a savepoint that is rolled back if it is refused. */
static enum pg_outcome
try_rows(struct copying *c, const struct pg_plan *plan)
{
    enum pg_outcome outcome = send_rows(c, plan);
    if (outcome == PG_OK)
        return run(c, "RELEASE rows");
    if (!is_about_rows(c, outcome))
        return outcome;
    struct pg_error first = *c->error;
    enum pg_outcome undone = run(c, "ROLLBACK TO rows; RELEASE rows");
    if (undone == PG_OK)
        *c->error = first;
    return undone == PG_OK ? outcome : undone;
}

/* --- all rows --- */

static bool
have_same_key(const struct copying *c, size_t i, size_t j)
{
    const struct pg_entry *e = c->what->entries;
    return c->copy->kind == TOPIC_METRICS && e[i].series == e[j].series &&
           e[i].time_us == e[j].time_us;
}

/* The last row of each key that is not refused yet. */
static size_t
pick_rows(struct copying *c)
{
    uint32_t *rows = c->copy->rows;
    size_t n = 0;
    for (size_t i = 0; i < c->what->n; i++) {
        if (c->what->entries[i].refused)
            continue;
        if (n == 0 || !have_same_key(c, rows[n - 1], i))
            n++;
        rows[n - 1] = (uint32_t)i;
    }
    return n;
}

/* A row is refused: the one that came before it with the same key is to be written after all. */
static void
add_uncovered(struct copying *c, struct pg_plan *plan, size_t bad)
{
    for (size_t i = bad; i > 0 && have_same_key(c, i - 1, bad); i--)
        if (!c->what->entries[i - 1].refused) {
            pg_plan_add_again(plan, (uint32_t)(i - 1));
            return;
        }
}

/*
 * Where the first partition of a table that is partitioned by its time begins, in ms since 1970; no
 * number if that cannot be said.
 */
static const char first_partition_sql[] =
    "SELECT CASE WHEN bool_and(isfinite(at))"
    " THEN floor(extract(epoch FROM min(at)) * 1000)::bigint END"
    " FROM (SELECT coalesce((regexp_match(pg_get_expr(p.relpartbound, p.oid),"
    " '^FOR VALUES FROM \\(''([^'']*)''\\)'))[1], '-infinity')::timestamptz AS at"
    " FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace"
    " JOIN pg_inherits i ON i.inhparent = t.oid JOIN pg_class p ON p.oid = i.inhrelid"
    " WHERE n.nspname = $1 AND t.relname = $2"
    " AND pg_get_partkeydef(t.oid) = 'RANGE (\"time\")') AS starts";

static enum pg_outcome
ask_first_partition(struct copying *c)
{
    PGresult *result = NULL;
    int64_t ms;
    const char *values[] = {
        c->copy->schema, c->copy->kind == TOPIC_METRICS ? "measurements" : "alarm_state_history"};
    struct pg_error refusal = *c->error;
    enum pg_outcome outcome =
        pg_conn_run(c->what->conn, first_partition_sql, 2, values, &result, c->error);
    if (outcome != PG_OK)
        return outcome == PG_STOPPED ? outcome : PG_WORLD;
    *c->error = refusal;
    c->knows_first = true;
    if (num_parse_int(pg_conn_value(result, 0, 0), INT64_MIN, INT64_MAX, &ms) == -1 ||
        pg_row_time(ms, &c->first_us) == -1)
        c->first_us = INT64_MIN;
    PQclear(result);
    return PG_OK;
}

/*
 * Should somebody have made a partition for this row?  Where nothing says how long rows are kept,
 * the first partition does: one before it will never be made, and a tenant can send rows of any
 * time.  But rows of today are waited for.
 */
static enum pg_outcome
find_due(struct copying *c, const struct pg_entry *entry, bool *due)
{
    enum pg_outcome outcome = PG_OK;
    *due = entry->time_us >= c->what->oldest_us && entry->time_us <= c->what->now_us + PG_ROW_DAY_US;
    if (!*due || c->what->oldest_us != INT64_MIN || entry->time_us >= c->what->now_us - PG_ROW_DAY_US)
        return PG_OK;
    if (!c->knows_first)
        outcome = ask_first_partition(c);
    *due = entry->time_us >= c->first_us;
    return outcome;
}

/* Says which time the table has no partition for. */
static void
add_time(struct copying *c, const struct pg_entry *entry)
{
    time_t seconds = (time_t)(entry->time_us / 1000000 + PG_ROW_EPOCH_MS / 1000);
    struct tm tm;
    char text[64];
    size_t n = strnlen(c->error->message, sizeof(c->error->message) - sizeof(text));
    if (gmtime_r(&seconds, &tm) == NULL || strftime(text, sizeof(text), "%F %TZ", &tm) == 0)
        return;
    snprintf(c->error->message + n, sizeof(c->error->message) - n, ": of %s", text);
}

/* A row was refused alone, which c->error tells. */
static enum pg_outcome
refuse_row(struct copying *c, struct pg_plan *plan, enum pg_outcome outcome, uint32_t bad)
{
    struct pg_entry *entry = &c->what->entries[bad];
    bool due = false;
    if (outcome == PG_PARTITION && (outcome = find_due(c, entry, &due)) != PG_OK)
        return outcome;
    if (due) {
        add_time(c, entry);
        return PG_PARTITION;
    }
    c->what->refuse(c->what->arg, entry, c->error->message);
    c->copy->n_refused++;
    add_uncovered(c, plan, bad);
    return PG_OK;
}

static enum pg_outcome
note_refusal(struct copying *c, struct pg_plan *plan, enum pg_outcome outcome)
{
    uint32_t bad;
    if (!pg_plan_note_refused(plan, c->error->copy_line, &bad))
        return PG_OK;
    note_passed(c->copy, 1);
    return refuse_row(c, plan, outcome, bad);
}

/* --- many bad rows --- */

/*
 * Bad rows come in spells, so what was seen of the last batches counts, too.
 * Takes: how many rows there are to do.
 */
static bool
should_sift(const struct pg_copy *copy, size_t rows)
{
    return copy->unsifted_left == 0 && copy->n_refused >= SIFT_LEAST &&
           copy->n_refused * rows >= copy->n_passed * (SIFT_COST + rows / SIFT_RATE);
}

/* What the database lists is judged as if each row had been sent alone: so it was. */
static enum pg_outcome
take_refusals(struct copying *c, struct pg_plan *plan, size_t from, const PGresult *refusals)
{
    int64_t next = (int64_t)from;
    for (int i = 0; i < PQntuples(refusals); i++) {
        struct pg_sift_refusal one;
        if (pg_sift_refusal(refusals, i, &one) == -1 || one.row < next ||
            one.row >= (int64_t)plan->from) {
            pg_error_set(c->error, "", "the server refuses rows that it was not sent");
            return PG_WORLD;
        }
        next = one.row + 1;
        uint32_t bad = plan->rows[one.row];
        struct pg_fault fault = {.sqlstate = one.sqlstate,
                                 .table = one.table,
                                 .column = one.column,
                                 .constraint = one.constraint};
        enum pg_outcome outcome = pg_fault_classify(&fault);
        pg_error_set(c->error, one.sqlstate, one.message);
        if (outcome != PG_UNIQUE && outcome != PG_DATA && outcome != PG_PARTITION)
            return outcome;
        outcome = refuse_row(c, plan, outcome, bad);
        if (outcome != PG_OK)
            return outcome;
    }
    return PG_OK;
}

/*
 * Has the database look at the next rows itself. If it cannot, the batch is tried again without:
 * why it cannot may have ended the connection.
 */
static enum pg_outcome
sift_rows(struct copying *c, struct pg_plan *plan)
{
    PGresult *refusals = NULL;
    size_t from = plan->from;
    pg_plan_take(plan, SIFT_ROWS);
    c->sifting = true;
    encode_rows(c, plan);
    c->sifting = false;
    *c->doing = "cannot have the rows sifted";
    enum pg_outcome outcome =
        c->copy->out.failed
            ? run_out_of_memory(c)
            : pg_sift_rows(c->what->conn, c->copy->schema, c->copy->kind, c->staged,
                           &c->copy->sql, &c->copy->out, c->sifted, &refusals, c->error);
    c->sifted = true;
    if (outcome == PG_UNIQUE && !is_about_rows(c, outcome))
        return outcome;
    if (outcome != PG_OK) {
        /* Without an answer it may be the connection's fault: then this batch alone goes without. */
        c->copy->unsifted_left = c->error->sqlstate[0] != '\0' ? UNSIFTED_BATCHES : 1;
        return outcome == PG_STOPPED || outcome == PG_RETRY ? outcome : PG_WORLD;
    }
    *c->doing = "cannot write";
    note_passed(c->copy, plan->to - from);
    pg_plan_note_stored(plan);
    outcome = take_refusals(c, plan, from, refusals);
    PQclear(refusals);
    return outcome;
}

static enum pg_outcome
copy_all(struct copying *c)
{
    struct pg_plan plan;
    enum pg_outcome outcome = PG_OK;
    pg_plan_start(&plan, c->copy->rows, pick_rows(c));
    while (outcome == PG_OK && pg_plan_next(&plan)) {
        if (should_sift(c->copy, plan.n - plan.from)) {
            outcome = sift_rows(c, &plan);
            continue;
        }
        outcome = try_rows(c, &plan);
        if (outcome == PG_OK) {
            note_passed(c->copy, plan.to - plan.from);
            pg_plan_note_stored(&plan);
        } else if (is_about_rows(c, outcome)) {
            outcome = note_refusal(c, &plan, outcome);
        }
    }
    return outcome;
}

static enum pg_outcome
copy_staged(struct copying *c)
{
    c->staged = true;
    c->sifted = false; /* that was rolled back */
    *c->doing = "cannot make the temporary table for rows that are there already";
    enum pg_outcome outcome = run(c, staging_sql);
    if (outcome != PG_OK)
        return outcome;
    *c->doing = "cannot write";
    return copy_all(c);
}

enum pg_outcome
pg_copy_rows(struct pg_copy *copy, const struct pg_copying *what, struct pg_error *error,
             const char **doing)
{
    struct copying c = {.copy = copy, .what = what, .error = error, .doing = doing};
    *doing = "cannot write";
    if (array_reserve(&copy->rows, &copy->capacity, what->n, sizeof(*copy->rows)) == -1)
        return run_out_of_memory(&c);
    if (copy->staged_left > 0)
        return copy_staged(&c);
    enum pg_outcome outcome = run(&c, "SAVEPOINT batch");
    if (outcome == PG_OK)
        outcome = copy_all(&c);
    if (outcome != PG_UNIQUE)
        return outcome;
    copy->staged_left = STAGED_BATCHES;
    outcome = run(&c, "ROLLBACK TO batch");
    return outcome == PG_OK ? copy_staged(&c) : outcome;
}
