/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgresql.c - the store for PostgreSQL: rows and Kafka's offsets in one transaction.
 *
 * A batch.  Series that are new get their ids first, outside the transaction.  Rows are sorted by
 * (series, time), so that all writers lock in one order; of rows with the same key the one that
 * came last is written.  Then, in one transaction: the offsets are moved (fencing: pg_offsets.h),
 * and the rows are copied (pg_copy.h), less those that the database refuses.  It stays open until
 * the caller has made these durable elsewhere.
 *
 * COMMIT.  If its answer is lost, the next attempt looks the offsets up before it does anything
 * else.
 *
 * Process: workers.  Owner: struct postgresql.  Concurrency: one thread.
 */
#include <stdlib.h>

#include "lib/array.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/num.h"
#include "store/pg/pg_conn.h"
#include "store/pg/pg_copy.h"
#include "store/pg/pg_generation.h"
#include "store/pg/pg_jsonb.h"
#include "store/pg/pg_offsets.h"
#include "store/pg/pg_row.h"
#include "store/pg/pg_schema.h"
#include "store/pg/pg_series.h"
#include "store/pg/pg_sort.h"
#include "store/store.h"

enum {
    MAX_BYTES = 1 << 30,
    CACHED_SERIES_BYTES = 160 /* of memory per id, at the cache's emptiest */
};

struct postgresql {
    struct store store;
    const struct config *cfg;
    enum topic_kind kind;
    const char *schema;
    struct pg_conn conn;
    unsigned prepared; /* the number of the connection that the schema was seen on */
    unsigned epoch;    /* moves whenever ids that were remembered are void */
    struct pg_series *series;
    struct pg_offsets *offsets;
    struct pg_generation generation;
    struct pg_copy copy;
};

/* A batch's rows; a struct store_load. */
struct pg_load {
    struct pg_entry *entries;
    size_t n, capacity;
    struct buf texts;
    struct pg_fresh *fresh;
    bool has_ids;   /* an id was given to a row: in this epoch, with this generation known */
    unsigned epoch;
    int64_t known;
    bool in_doubt;  /* its COMMIT was sent and not answered */
    bool committed; /* and turned out to be in the database */
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

/* A row that an index cannot hold is refused by the server (54000) for what it is to the index. */
static bool
fits_index(struct slice tenant_id, struct slice other, const char *what, struct reject *why)
{
    if (tenant_id.n + other.n <= PG_INDEXED_BYTES)
        return true;
    reject_set(why, REJECT_UNSTORABLE,
               "tenant_id and %s are %zu bytes together; PostgreSQL can index %d", what,
               tenant_id.n + other.n, PG_INDEXED_BYTES);
    return false;
}

/* From the first id on, what the others know of them is no younger. */
static void
note_ids(struct postgresql *pg, struct pg_load *load)
{
    if (load->has_ids)
        return;
    load->has_ids = true;
    load->epoch = pg->epoch;
    load->known = pg->generation.known;
}

/* Returns: 0, or -1 if memory is out. */
static int
read_value(struct pg_load *load, struct slice text, double *value)
{
    char number[64];
    if (num_read_plain(text, value))
        return 0;
    if (text.n < sizeof(number)) {
        memcpy(number, text.p, text.n);
        number[text.n] = '\0';
        *value = strtod(number, NULL);
        return 0;
    }
    size_t start = load->texts.size;
    buf_add_slice(&load->texts, text);
    buf_add_char(&load->texts, '\0');
    if (load->texts.failed)
        return -1;
    *value = strtod(load->texts.data + start, NULL);
    buf_truncate(&load->texts, start);
    return 0;
}

static enum store_added
add_measurement(struct postgresql *pg, struct pg_load *load, const struct measurement *m,
                struct pg_entry *entry, struct reject *why)
{
    if (pg_row_time(m->time_ms, &entry->time_us) == -1) {
        reject_set(why, REJECT_BAD_TIME, "timestamp %lld ms is outside what PostgreSQL can hold",
                   (long long)m->time_ms);
        return STORE_REFUSED;
    }
    if (check_jsonb("metric.value_meta", m->value_meta, why) == -1)
        return STORE_REFUSED;
    if (!fits_index(m->tenant_id, m->name, "name", why))
        return STORE_REFUSED;
    entry->series = pg_series_find(pg->series, load->fresh, m, &entry->key);
    if (entry->series > 0)
        note_ids(pg, load);
    if (read_value(load, m->value_text, &entry->value) == -1)
        return STORE_NO_MEMORY;
    entry->text = load->texts.size;
    entry->text_n = (uint32_t)m->value_meta.n;
    buf_add_slice(&load->texts, m->value_meta);
    return entry->series == 0 ? STORE_NO_MEMORY : STORE_ADDED;
}

/* In the order of alarm_columns. */
static enum store_added
add_alarm(struct pg_load *load, const struct alarm_transition *a, struct pg_entry *entry,
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
    if (!fits_index(a->tenant_id, a->alarm_id, "alarm_id", why))
        return STORE_REFUSED;
    entry->text = load->texts.size;
    pg_row_start(&load->texts, 1 + (int)COUNT_OF(texts) + 2);
    pg_row_add_int8(&load->texts, entry->time_us);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        pg_row_add_text(&load->texts, texts[i]);
    pg_row_add_jsonb(&load->texts, a->metrics);
    pg_row_add_jsonb(&load->texts, a->sub_alarms);
    entry->text_n = (uint32_t)(load->texts.size - entry->text);
    return STORE_ADDED;
}

static enum store_added
postgresql_add(struct store *store, struct store_load *store_load, const struct record *record,
               uint32_t row, struct reject *why)
{
    struct postgresql *pg = (struct postgresql *)store;
    struct pg_load *load = (struct pg_load *)store_load;
    size_t start = load->texts.size;
    if (array_reserve(&load->entries, &load->capacity, load->n + 1, sizeof(*load->entries)) == -1)
        return STORE_NO_MEMORY;
    struct pg_entry *entry = &load->entries[load->n];
    *entry = (struct pg_entry){.row = row};
    enum store_added added = record->kind == RECORD_MEASUREMENT
                                 ? add_measurement(pg, load, &record->measurement, entry, why)
                                 : add_alarm(load, &record->alarm, entry, why);
    if (added == STORE_ADDED && load->texts.failed)
        added = STORE_NO_MEMORY;
    if (added == STORE_ADDED)
        load->n++;
    else
        buf_truncate(&load->texts, start);
    return added;
}

static size_t
postgresql_bytes(const struct store_load *store_load)
{
    const struct pg_load *load = (const struct pg_load *)store_load;
    return load->n * sizeof(struct pg_entry) + load->texts.size + pg_fresh_bytes(load->fresh);
}

static void
postgresql_load_reset(struct store *store, struct store_load *store_load)
{
    struct pg_load *load = (struct pg_load *)store_load;
    (void)store;
    load->n = 0;
    load->has_ids = load->in_doubt = load->committed = false;
    buf_clear(&load->texts);
    pg_fresh_clear(load->fresh);
}

static void
postgresql_load_free(struct store *store, struct store_load **store_load)
{
    struct pg_load *load = (struct pg_load *)*store_load;
    (void)store;
    if (load == NULL)
        return;
    pg_fresh_free(&load->fresh);
    buf_free(&load->texts);
    free(load->entries);
    free(load);
    *store_load = NULL;
}

static struct store_load *
postgresql_load_new(struct store *store)
{
    struct pg_load *load = calloc(1, sizeof(*load));
    if (load == NULL)
        return NULL;
    buf_init(&load->texts, MAX_BYTES);
    load->fresh = pg_fresh_new();
    struct store_load *store_load = (struct store_load *)load;
    if (load->fresh == NULL)
        postgresql_load_free(store, &store_load);
    return store_load;
}

/* --- a write --- */

struct writing {
    struct postgresql *pg;
    struct pg_load *load;
    const struct store_write *write;
    struct errbuf *err;
    struct pg_error error;
};

static enum store_status
fail(struct writing *w, enum pg_outcome outcome, const char *doing)
{
    pg_conn_close(&w->pg->conn);
    if (outcome == PG_STOPPED)
        return STORE_STOPPED;
    pg_conn_explain(&w->error, doing, w->err);
    return STORE_SICK;
}

/* A connection that may be to another server than the last one: nothing is taken for granted. */
static enum store_status
connect_server(struct postgresql *pg, struct errbuf *err)
{
    enum pg_outcome outcome = pg_conn_open(&pg->conn, err);
    if (outcome == PG_OK && pg->prepared != pg->conn.opened) {
        pg_series_forget(pg->series);
        pg->epoch++;
        bool additions;
        outcome = pg_schema_prepare(&pg->conn, pg->schema, &additions, err);
        pg_generation_forget(&pg->generation, additions);
        pg_offsets_keep_times(pg->offsets, additions);
        pg->prepared = outcome == PG_OK ? pg->conn.opened : 0;
    }
    return outcome == PG_OK ? STORE_DONE : outcome == PG_STOPPED ? STORE_STOPPED : STORE_SICK;
}

static void
refuse(void *arg, struct pg_entry *entry, const char *why)
{
    struct writing *w = arg;
    struct reject reject;
    entry->refused = true;
    reject_set(&reject, REJECT_REFUSED, "PostgreSQL: %s", why);
    (void)!batch_settle(w->write->batch, entry->row, &reject); /* without memory it stays pending */
}

/* Puts ids in the place of numbers; a series the database refuses takes its rows with it. */
static enum store_status
resolve_series(struct writing *w)
{
    struct postgresql *pg = w->pg;
    struct pg_load *load = w->load;
    note_ids(pg, load);
    if (load->epoch != pg->epoch)
        load->known = -1;
    enum pg_outcome outcome =
        pg_series_resolve(pg->series, load->fresh, &pg->conn, pg->schema, w->err);
    if (outcome != PG_OK) {
        pg_conn_close(&pg->conn);
        return outcome == PG_STOPPED ? STORE_STOPPED : STORE_SICK;
    }
    for (size_t i = 0; i < load->n; i++) {
        struct pg_entry *entry = &load->entries[i];
        const char *why;
        if (entry->series >= 0 || entry->refused)
            continue;
        int64_t id = pg_fresh_id(load->fresh, entry->series, &why);
        if (id != 0)
            entry->series = id;
        else
            refuse(w, entry, why);
    }
    return STORE_DONE;
}

/* --- a transaction --- */

static enum pg_outcome
copy_rows(struct writing *w, const char **doing)
{
    struct postgresql *pg = w->pg;
    int64_t now_us = (clock_wall_ms() - PG_ROW_EPOCH_MS) * 1000;
    int64_t days = pg->cfg->postgresql.retention_days;
    struct pg_copying what = {.conn = &pg->conn,
                              .entries = w->load->entries,
                              .n = w->load->n,
                              .texts = w->load->texts.data,
                              .now_us = now_us,
                              .oldest_us = days == 0 ? INT64_MIN : now_us - days * PG_ROW_DAY_US,
                              .refuse = refuse,
                              .arg = w};
    return pg_copy_rows(&pg->copy, &what, &w->error, doing);
}

/* After the transaction is known to be committed. */
static enum store_status
settle_all(struct writing *w)
{
    struct postgresql *pg = w->pg;
    struct pg_load *load = w->load;
    pg_offsets_moved(pg->offsets, w->write->positions, w->write->n_positions);
    for (size_t i = 0; i < load->n; i++)
        if (!load->entries[i].refused)
            (void)!batch_settle(w->write->batch, load->entries[i].row, NULL); /* takes no memory */
    load->in_doubt = false;
    load->n = 0;
    pg_copy_note_committed(&pg->copy);
    return STORE_DONE;
}

/* A rule of the operator's that is deferred would be broken by COMMIT, which names no row. */
static const char begin_sql[] =
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET CONSTRAINTS ALL IMMEDIATE";

/*
 * Has series that are gone made anew: their names are in the messages only, so these are read once
 * more.
 */
static enum pg_outcome
hold_series(struct writing *w, bool *gone)
{
    struct postgresql *pg = w->pg;
    enum pg_series_state state = PG_SERIES_SAME;
    enum pg_outcome outcome = PG_OK;
    if (pg->kind == TOPIC_METRICS)
        outcome = pg_generation_hold(&pg->generation, w->load->known, &pg->conn, w->load->entries,
                                     w->load->n, &state, &w->error);
    if (state != PG_SERIES_SAME)
        pg_series_forget(pg->series);
    *gone = state == PG_SERIES_GONE;
    if (*gone)
        log_notice("PostgreSQL: series that this batch refers to were deleted; it is read again");
    return outcome;
}

/* Moves the offsets and copies the rows; the transaction is open when it returns STORE_DONE. */
static enum store_status
fill_transaction(struct writing *w)
{
    struct postgresql *pg = w->pg;
    const char *doing = "cannot write";
    enum pg_outcome outcome = pg_conn_run(&pg->conn, begin_sql, 0, NULL, NULL, &w->error);
    if (outcome == PG_OK)
        outcome = pg_offsets_move(pg->offsets, &pg->conn, w->write->positions,
                                  w->write->n_positions, &w->error);
    bool fenced = outcome == PG_UNIQUE, gone = false;
    if (outcome == PG_OK)
        outcome = hold_series(w, &gone);
    if (fenced)
        log_warning("PostgreSQL: somebody else has taken partitions over");
    if (fenced || gone) {
        (void)!pg_conn_run(&pg->conn, "ROLLBACK", 0, NULL, NULL, &w->error);
        return STORE_FENCED;
    }
    if (outcome == PG_OK)
        outcome = copy_rows(w, &doing);
    return outcome == PG_OK ? STORE_DONE : fail(w, outcome, doing);
}

static enum store_status
write_batch(struct writing *w)
{
    struct pg_load *load = w->load;
    enum store_status status = resolve_series(w);
    if (status != STORE_DONE)
        return status;
    pg_sort_entries(load->entries, load->n);
    return fill_transaction(w);
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
    w->load->in_doubt = false;
    if (fate == PG_COMMITTED) {
        log_notice("the batch whose commit was not answered is in the database");
        w->load->committed = true;
        return settle_all(w);
    }
    return fate == PG_FENCED ? STORE_FENCED : write_batch(w);
}

static enum store_status
postgresql_write(struct store *store, struct store_load *load, const struct store_write *write,
                 struct errbuf *err)
{
    struct postgresql *pg = (struct postgresql *)store;
    struct writing w = {
        .pg = pg, .load = (struct pg_load *)load, .write = write, .err = err};
    if (w.load->committed)
        return STORE_DONE;
    enum store_status status = connect_server(pg, err);
    if (status != STORE_DONE)
        return status;
    return w.load->in_doubt ? clear_doubt(&w) : write_batch(&w);
}

static enum store_status
postgresql_commit(struct store *store, struct store_load *load, const struct store_write *write,
                  struct errbuf *err)
{
    struct postgresql *pg = (struct postgresql *)store;
    struct writing w = {
        .pg = pg, .load = (struct pg_load *)load, .write = write, .err = err};
    if (w.load->committed) { /* that is what the write found */
        w.load->committed = false;
        return STORE_DONE;
    }
    w.load->in_doubt = true; /* from here on, until there is an answer */
    enum pg_outcome outcome = pg_conn_run(&pg->conn, "COMMIT", 0, NULL, NULL, &w.error);
    if (outcome == PG_OK)
        return settle_all(&w);
    if (w.error.sqlstate[0] != '\0' && outcome != PG_STOPPED)
        w.load->in_doubt = false; /* the server said no: nothing was committed */
    return fail(&w, outcome, "cannot commit");
}

/* Without a word to the server: the end of the connection rolls back. */
static void
postgresql_abandon(struct store *store)
{
    pg_conn_close(&((struct postgresql *)store)->conn);
}

static enum store_status
postgresql_claim(struct store *store, const char *cluster_id, struct store_position *positions,
                 size_t n, struct errbuf *err)
{
    struct postgresql *pg = (struct postgresql *)store;
    enum store_status status = connect_server(pg, err);
    if (status != STORE_DONE)
        return status;
    /*
     * Whoever lost the partitions may have a former state of the database before him, that was put
     * back under his feet: its number may be the one that he knows, but its series are not.
     */
    pg_series_forget(pg->series);
    pg->epoch++;
    pg_generation_forget(&pg->generation, pg->generation.kept);
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
    pg_generation_free(&pg->generation);
    pg_copy_free(&pg->copy);
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
    pg_copy_init(&pg->copy, pg->schema, kind);
    /* A sixteenth of the memory for ids; those of most series are noted in the series themselves. */
    pg->series =
        pg_series_new(((size_t)cfg->persister.memory_limit_mb << 16) / CACHED_SERIES_BYTES);
    pg_generation_init(&pg->generation, pg->schema);
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
                                           .load_new = postgresql_load_new,
                                           .load_reset = postgresql_load_reset,
                                           .load_free = postgresql_load_free,
                                           .add = postgresql_add,
                                           .bytes = postgresql_bytes,
                                           .write = postgresql_write,
                                           .commit = postgresql_commit,
                                           .abandon = postgresql_abandon,
                                           .claim = postgresql_claim,
                                           .close = postgresql_close};
