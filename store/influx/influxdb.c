/* SPDX-License-Identifier: Apache-2.0 */
/*
 * influxdb.c - the store for InfluxDB 1.x: lines collected per database, written in chunks
 * (influx_server.h), and the bad points among them found.
 *
 * Finding bad points.  InfluxDB stores what it can of a request and says of the rest how many and
 * why (influx_answer.h).  A row is refused only if it was refused alone, or with all that were sent
 * beside it, or if the server named it in words that no sender can write (influx_suspects.h).  What
 * is sent next until that is so of all bad rows is influx_plan.h's, and so is what it costs.
 * Sending a point again overwrites it with itself, so all of this is harmless.
 *
 * Process: workers.  Owner: struct influxdb.  Concurrency: one thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/array.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "store/influx/influx_answer.h"
#include "store/influx/influx_line.h"
#include "store/influx/influx_plan.h"
#include "store/influx/influx_rows.h"
#include "store/influx/influx_server.h"
#include "store/influx/influx_suspects.h"
#include "store/store.h"

enum {
    MAX_BASE_NAME = 128, /* leaves room for tenants within the 255 bytes of a name */
    MAX_OVERLOADED = 3,
    HOLD_AGAIN_MS = 600000 /* a limit that was not met for so long is waited for again */
};

struct influxdb {
    struct store store;
    const struct config *cfg;
    struct influx_server server;
    struct influx_plan plan;
    struct influx_memory *memory;        /* series that were refused lately */
    struct influx_memory *known;         /* databases that were written to */
    int64_t hold_since_ms, hold_last_ms; /* a limit is met, on the monotonic clock; 0: never was */
    uint32_t *picked; /* the rows of a chunk */
    bool *tried;      /* by database: has had its turn in this attempt */
    size_t capacity_picked, capacity_tried;
    size_t first_database; /* where an attempt begins */
};

/* A batch's rows; a struct store_load. */
struct influx_load {
    struct influx_rows rows;
};

/* What one write works on. */
struct writing {
    struct influxdb *db;
    struct batch *batch;
    struct influx_call call;
    const struct influx_answer *answer; /* the one that is being read */
    unsigned n_overloaded;              /* databases in a row that the server had trouble with */
    bool waits;                         /* what a limit refuses is held */
    size_t n_held;                      /* rows that a limit refused */
    struct errbuf held;
};

/* --- collecting --- */

static struct store_load *
influxdb_load_new(struct store *store)
{
    const struct influxdb *db = (struct influxdb *)store;
    struct influx_load *load = calloc(1, sizeof(*load));
    if (load != NULL)
        influx_rows_init(&load->rows, db->cfg->influxdb.database_name,
                         db->cfg->influxdb.db_per_tenant);
    return (struct store_load *)load;
}

static void
influxdb_load_free(struct store *store, struct store_load **load)
{
    (void)store;
    if (*load == NULL)
        return;
    influx_rows_free(&((struct influx_load *)*load)->rows);
    free(*load);
    *load = NULL;
}

static void
influxdb_load_reset(struct store *store, struct store_load *load)
{
    struct influxdb *db = (struct influxdb *)store;
    influx_rows_reset(&((struct influx_load *)load)->rows);
    influx_server_send_more(&db->server); /* perhaps it takes that by now */
}

static enum store_added
influxdb_add(struct store *store, struct store_load *load, const struct record *record,
             uint32_t row, struct reject *why)
{
    (void)store;
    return influx_rows_add(&((struct influx_load *)load)->rows, record, row, why);
}

static size_t
influxdb_bytes(const struct store_load *load)
{
    return influx_rows_bytes(&((const struct influx_load *)load)->rows);
}

/* --- settling --- */

/* Where memory is out a row stays pending, which whoever has the batch will see. */
static void
settle_row(struct writing *w, uint32_t i, const struct reject *why)
{
    (void)!batch_settle(w->batch, w->call.rows->rows[i].row, why);
}

static void
settle_all(struct writing *w, const uint32_t *list, size_t n, const struct reject *why)
{
    for (size_t i = 0; i < n; i++)
        settle_row(w, list[i], why);
}

static void
refuse_all(struct writing *w, const uint32_t *list, size_t n, enum reject_reason reason,
           struct slice text)
{
    struct reject why;
    reject_set(&why, reason, "InfluxDB: %.*s", text.n < 200 ? (int)text.n : 200, text.p);
    settle_all(w, list, n, &why);
}

/* --- finding bad points --- */

/* Whose fault it is that the rows an answer is about were not stored. */
static enum reject_reason
reason_of(const struct influx_answer *answer)
{
    return answer->capacity ? REJECT_CAPACITY : REJECT_REFUSED;
}

/* Remembers a series that was refused for what it is; a point's time is its own. */
static void
remember(struct writing *w, uint32_t i)
{
    if (w->answer->suspects != INFLUX_SUSPECTS_OLDEST)
        influx_memory_note(w->db->memory, w->call.rows, i, true);
}

/*
 * A limit is reached: may what it refuses be held?  Once, for a while; if the limit is met again
 * and again, nobody else is to wait for it each time.
 */
static bool
may_hold(struct influxdb *db)
{
    int64_t now = clock_mono_ms();
    if (db->hold_since_ms == 0 || now - db->hold_last_ms > HOLD_AGAIN_MS)
        db->hold_since_ms = now;
    db->hold_last_ms = now;
    return now - db->hold_since_ms < db->cfg->influxdb.held_seconds * 1000;
}

/* Leaves rows unsettled that a limit refuses, if they may be held. */
static bool
hold(struct writing *w, size_t n)
{
    if (!w->answer->capacity)
        return false;
    if (w->n_held == 0) {
        w->waits = may_hold(w->db);
        if (w->waits)
            errbuf_set(&w->held, "InfluxDB at %s: writing to %s: %.*s", w->db->server.base.data,
                       w->call.database, w->answer->error.n < 200 ? (int)w->answer->error.n : 200,
                       w->answer->error.p);
    }
    w->n_held += n;
    return w->waits;
}

static void
refuse_named(void *arg, uint32_t i, struct slice why)
{
    struct writing *w = arg;
    struct reject reject;
    bool parses = w->answer->suspects == INFLUX_SUSPECTS_NAMED;
    reject_set(&reject, reason_of(w->answer), "InfluxDB: %s%.*s", parses ? "unable to parse: " : "",
               why.n < 200 ? (int)why.n : 200, why.p);
    remember(w, i);
    if (!hold(w, 1))
        settle_row(w, i, &reject);
}

/* After an answer that some of the rows sent are bad. */
static void
sift(struct writing *w, uint32_t *list, size_t n)
{
    struct influxdb *db = w->db;
    if (n == 1 || w->answer->dropped == (int64_t)n) {
        for (size_t i = 0; i < n; i++)
            remember(w, list[i]);
        if (!hold(w, n))
            refuse_all(w, list, n, reason_of(w->answer), w->answer->error);
        influx_plan_refused(&db->plan);
        return;
    }
    struct influx_finding finding = influx_suspects_find(
        w->call.rows, list, n, w->answer, influx_plan_wants_order(&db->plan), refuse_named, w);
    influx_plan_mixed(&db->plan, &finding);
}

/* After 413. */
static void
shrink(struct writing *w, uint32_t *list, size_t n)
{
    if (n == 1) {
        refuse_all(w, list, 1, REJECT_TOO_LARGE, SLICE("the point is too large for a request"));
        influx_plan_refused(&w->db->plan);
        return;
    }
    influx_server_send_less(&w->db->server);
    influx_plan_part(&w->db->plan);
}

static void
take_answer(struct writing *w, uint32_t *list, size_t n)
{
    switch (w->answer->verdict) {
    case INFLUX_STORED:
        for (size_t i = 0; i < n; i++)
            influx_memory_note(w->db->memory, w->call.rows, list[i], false);
        settle_all(w, list, n, NULL);
        influx_plan_stored(&w->db->plan);
        break;
    case INFLUX_NO_DATABASE:
        refuse_all(w, list, n, REJECT_UNSTORABLE,
                   SLICE("no database can have this tenant's name: invalid name"));
        influx_plan_refused(&w->db->plan);
        break;
    case INFLUX_TOO_LARGE:
        shrink(w, list, n);
        break;
    case INFLUX_BAD_POINTS:
        sift(w, list, n);
        break;
    case INFLUX_WORLD:
        assert(!"influx_server_write returns SICK for these");
        break;
    }
}

/* Settles every row of the list. Reorders it. */
static enum store_status
send_chunk(struct writing *w, uint32_t *list, size_t n)
{
    struct influxdb *db = w->db;
    struct influx_answer answer;
    uint32_t *rows;
    size_t suspects = influx_memory_gather(db->memory, w->call.rows, list, n);
    if (influx_plan_begin(&db->plan, list, n, suspects) == -1) {
        errbuf_set(w->call.err, "InfluxDB: out of memory");
        return STORE_SICK;
    }
    w->answer = &answer;
    while (influx_plan_next(&db->plan, &rows, &n)) {
        enum store_status status = influx_server_write(&db->server, &w->call, rows, n, &answer);
        if (status != STORE_DONE)
            return status;
        take_answer(w, rows, n);
    }
    return STORE_DONE;
}

/* --- the store --- */

static int
reserve_picked(struct writing *w)
{
    struct influxdb *db = w->db;
    size_t most = (size_t)db->cfg->influxdb.batch_size;
    size_t need = w->call.rows->n < most ? w->call.rows->n : most;
    return array_reserve(&db->picked, &db->capacity_picked, need, sizeof(*db->picked));
}

static int
reserve_tried(struct writing *w)
{
    struct influxdb *db = w->db;
    size_t n = w->call.rows->n_databases;
    if (array_reserve(&db->tried, &db->capacity_tried, n, sizeof(*db->tried)) == -1)
        return -1;
    if (n > 0)
        memset(db->tried, 0, n * sizeof(*db->tried));
    return 0;
}

static enum store_status
write_database(struct writing *w, uint32_t database)
{
    struct influxdb *db = w->db;
    size_t from = 0, n;
    w->call.database = w->call.rows->databases[database];
    while ((n = influx_rows_pick(w->call.rows, w->batch, database, &from,
                                 (size_t)db->cfg->influxdb.batch_size, db->server.max_body_bytes,
                                 db->picked)) > 0) {
        enum store_status status = send_chunk(w, db->picked, n);
        if (status != STORE_DONE)
            return status;
    }
    return STORE_DONE;
}

static uint64_t
hash_name(const char *name)
{
    return influx_answer_hash(INFLUX_HASH_START, (struct slice){name, strlen(name)});
}

/* Is there no sense in trying other databases? */
static bool
must_end(struct writing *w, enum store_status status)
{
    w->n_overloaded = status == STORE_DONE ? 0 : w->n_overloaded + w->call.overloaded;
    w->call.overloaded = false;
    return status == STORE_STOPPED || w->call.unreachable || w->n_overloaded >= MAX_OVERLOADED;
}

/*
 * Writes the databases that were written to before, or the others. One tenant's trouble does not
 * keep the others waiting, but for a server that does not answer at all, or is in trouble with one
 * database after the other; the next attempt then begins behind these.
 */
static enum store_status
write_databases(struct writing *w, bool known, struct errbuf *err)
{
    struct influxdb *db = w->db;
    enum store_status worst = STORE_DONE;
    size_t n = w->call.rows->n_databases, first = db->first_database;
    for (size_t k = 0; k < n; k++) {
        size_t i = (first + k) % n;
        uint64_t name = hash_name(w->call.rows->databases[i]);
        if (db->tried[i] || influx_memory_has(db->known, name) != known)
            continue;
        db->tried[i] = true;
        enum store_status status = write_database(w, (uint32_t)i);
        influx_memory_put(db->known, name, status == STORE_DONE);
        if (status == STORE_SICK && worst == STORE_DONE)
            *err = *w->call.err;
        if (status != STORE_DONE)
            worst = status;
        if (must_end(w, status)) {
            db->first_database = i + 1;
            break;
        }
    }
    return worst;
}

/* What is held is the world's trouble, but the least of it. */
static enum store_status
say_held(const struct writing *w, struct errbuf *err)
{
    if (w->n_held == 0 || !w->waits)
        return STORE_DONE;
    errbuf_set(err, "%s; %zu points of new series are held, all others are stored", w->held.text,
               w->n_held);
    return STORE_SICK;
}

static enum store_status
influxdb_write(struct store *store, struct store_load *load, const struct store_write *write,
               struct errbuf *err)
{
    struct influxdb *db = (struct influxdb *)store;
    struct errbuf latest = {.text = ""}, later = {.text = ""};
    struct writing w = {.db = db,
                        .batch = write->batch,
                        .call = {.rows = &((struct influx_load *)load)->rows, .err = &latest}};
    if (reserve_picked(&w) == -1 || reserve_tried(&w) == -1) {
        errbuf_set(err, "InfluxDB: out of memory");
        return STORE_SICK;
    }
    enum store_status status = write_databases(&w, true, err);
    if (status != STORE_STOPPED && !w.call.unreachable && w.n_overloaded < MAX_OVERLOADED) {
        enum store_status other = write_databases(&w, false, &later);
        if (status == STORE_DONE)
            *err = later;
        if (other != STORE_DONE)
            status = other;
    }
    return status == STORE_DONE ? say_held(&w, err) : status;
}

static void
influxdb_close(struct store **store)
{
    struct influxdb *db = (struct influxdb *)*store;
    influx_server_close(&db->server);
    influx_plan_free(&db->plan);
    free(db->memory);
    free(db->known);
    free(db->tried);
    free(db->picked);
    free(db);
    *store = NULL;
}

/* What is the configuration's fault must not look like a tenant's later. */
static int
check_options(const struct config *cfg, struct errbuf *err)
{
    const char *name = cfg->influxdb.database_name, *ca = cfg->influxdb.ca_file;
    size_t n = strlen(name);
    if (n > MAX_BASE_NAME || !influx_line_is_database_name((struct slice){name, n}))
        return errbuf_set(err,
                          "[influxdb] database_name \"%.150s\": InfluxDB wants 1 to %d printable "
                          "characters without / and \\, not . or ..",
                          name, MAX_BASE_NAME);
    if (cfg->influxdb.ssl && ca[0] != '\0' && access(ca, R_OK) == -1)
        return errbuf_set(err, "[influxdb] ca_file %s: %s", ca, strerror(errno));
    return 0;
}

static struct store *
influxdb_open(const struct config *cfg, enum topic_kind kind, const struct store_hooks *hooks,
              struct errbuf *err)
{
    (void)kind; /* alarm transitions go to their tenants' databases, too, as upstream writes them */
    if (check_options(cfg, err) == -1)
        return NULL;
    struct influxdb *db = calloc(1, sizeof(*db));
    if (db == NULL) {
        errbuf_set(err, "InfluxDB: out of memory");
        return NULL;
    }
    struct store *store = &db->store;
    db->store.ops = &store_influxdb;
    db->cfg = cfg;
    influx_plan_init(&db->plan);
    db->memory = calloc(1, sizeof(*db->memory));
    db->known = calloc(1, sizeof(*db->known));
    if (influx_server_open(&db->server, cfg, hooks, err) == 0) {
        if (db->memory != NULL && db->known != NULL)
            return store;
        errbuf_set(err, "InfluxDB: out of memory");
    }
    influxdb_close(&store);
    return NULL;
}

const struct store_ops store_influxdb = {.name = "influxdb",
                                         .open = influxdb_open,
                                         .load_new = influxdb_load_new,
                                         .load_reset = influxdb_load_reset,
                                         .load_free = influxdb_load_free,
                                         .add = influxdb_add,
                                         .bytes = influxdb_bytes,
                                         .write = influxdb_write,
                                         .close = influxdb_close};
