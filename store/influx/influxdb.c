/* SPDX-License-Identifier: Apache-2.0 */
/*
 * influxdb.c - the store for InfluxDB 1.x: lines collected per database, written in chunks, and the
 * bad points among them found.
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

#include "lib/clock.h"
#include "lib/log.h"
#include "store/http.h"
#include "store/influx/influx_answer.h"
#include "store/influx/influx_line.h"
#include "store/influx/influx_plan.h"
#include "store/influx/influx_rows.h"
#include "store/influx/influx_suspects.h"
#include "store/store.h"

enum {
    MAX_BODY_BYTES = 8 << 20, /* of a request; InfluxDB's own default limit is 25 MB */
    LEAST_BODY_BYTES = 64 << 10,
    SMALL_BODY_BYTES = 4096,   /* no InfluxDB has so low a limit */
    MAX_BODY_BUFFER = 1 << 30, /* for a single point may be larger */
    MAX_BASE_NAME = 128,       /* leaves room for tenants within the 255 bytes of a name */
    MAX_DATABASES_CREATED = 3, /* attempts per request */
    MAX_OVERLOADED = 3,
    HOLD_AGAIN_MS = 600000 /* a limit that was not met for so long is waited for again */
};

struct influxdb {
    struct store store;
    const struct config *cfg;
    struct http *http;
    struct influx_plan plan;
    struct influx_memory *memory;        /* series that were refused lately */
    struct influx_memory *known;         /* databases that were written to */
    int64_t hold_since_ms, hold_last_ms; /* a limit is met, on the monotonic clock; 0: never was */
    struct buf base, url, body, text, query;
    uint32_t *picked; /* the rows of a chunk */
    bool *tried;      /* by database: has had its turn in this attempt */
    size_t capacity_picked, capacity_tried;
    size_t first_database; /* where an attempt begins */
    size_t max_body_bytes; /* of a chunk; less after one that was too large or got no answer */
    bool name_error_is_tenants;   /* a database's invalid name can only be the tenant's fault */
};

/* A batch's rows; a struct store_load. */
struct influx_load {
    struct influx_rows rows;
};

/* What one write works on. */
struct writing {
    struct influxdb *db;
    const struct influx_rows *rows;
    struct batch *batch;
    struct errbuf *err;
    const char *database;
    const struct influx_answer *answer; /* the one that is being read */
    bool unreachable;                      /* no other database will fare better */
    bool overloaded;                    /* the last trouble is the server's own */
    unsigned n_overloaded;              /* databases in a row of which that is so */
    bool no_room;                       /* it could not make a database: no more of them now */
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
    /* Perhaps the server takes more by now. */
    db->max_body_bytes *= 2;
    if (db->max_body_bytes > MAX_BODY_BYTES)
        db->max_body_bytes = MAX_BODY_BYTES;
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
    (void)!batch_settle(w->batch, w->rows->rows[i].row, why);
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

/* --- requests --- */

static enum store_status
sick(struct writing *w, const char *doing, long status, struct slice error)
{
    if (error.n > 0)
        errbuf_set(w->err, "InfluxDB at %s: %s %s: HTTP %ld: %.*s", w->db->base.data, doing,
                   w->database, status, error.n < 300 ? (int)error.n : 300, error.p);
    else
        errbuf_set(w->err, "InfluxDB at %s: %s %s: HTTP %ld", w->db->base.data, doing, w->database,
                   status);
    return STORE_SICK;
}

/*
 * Only an InfluxDB 1.x means by its answers what influx_answer.h reads in them.  Others say 204 to
 * points that they lose or change, and refuse good ones with bad.
 */
static bool
is_influxdb(struct writing *w, const char *doing, long status)
{
    struct influxdb *db = w->db;
    const char *version = http_header(db->http, "X-Influxdb-Version");
    if (db->cfg->influxdb.accept_any)
        return true;
    version += version[0] == 'v';
    if (version[0] == '1' && version[1] == '.')
        return true;
    const char *server = http_header(db->http, "Server");
    errbuf_set(w->err,
               "InfluxDB at %s: %s %s: HTTP %ld from what is not InfluxDB 1.x (%s%.60s%s%.60s): "
               "others lose or change points without a word; if it is a relay, set [influxdb] "
               "accept_any = True",
               db->base.data, doing, w->database, status,
               version[0] != '\0' ? "X-Influxdb-Version: " : "no X-Influxdb-Version", version,
               server[0] != '\0' ? ", Server: " : "", server);
    w->unreachable = true;
    return false;
}

static enum store_status
post(struct writing *w, const char *doing, struct slice body, const char *type, long *status,
     struct slice *answer)
{
    struct errbuf why = {.text = ""};
    if (w->db->url.failed || w->db->body.failed) {
        errbuf_set(w->err, "InfluxDB: out of memory");
        return STORE_SICK;
    }
    switch (http_post(w->db->http, w->db->url.data, body, type, status, answer, &why)) {
    case HTTP_ANSWERED:
        /* What refuses the whole request may be a proxy's word. */
        if ((*status == 200 || *status == 204 || *status == 400 || *status == 404) &&
            !is_influxdb(w, doing, *status))
            return STORE_SICK;
        return STORE_DONE;
    case HTTP_STOPPED:
        return STORE_STOPPED;
    case HTTP_FAILED:
        w->unreachable = true;
        break;
    }
    errbuf_set(w->err, "InfluxDB at %s: %s %s: %s", w->db->base.data, doing, w->database, why.text);
    return STORE_SICK;
}

/* InfluxQL's identifiers are quoted like this (influxql/parser.go, QuoteIdent). */
static void
add_identifier(struct buf *b, const char *name)
{
    buf_add_char(b, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"' || *name == '\\')
            buf_add_char(b, '\\');
        buf_add_char(b, *name);
    }
    buf_add_char(b, '"');
}

static struct slice
build_create(struct influxdb *db, const char *database)
{
    long long hours = (long long)db->cfg->influxdb.default_retention_hours;
    buf_clear(&db->query);
    buf_add_text(&db->query, "CREATE DATABASE ");
    add_identifier(&db->query, database);
    if (hours > 0)
        buf_printf(&db->query, " WITH DURATION %lldh REPLICATION 1 NAME \"%lldh\"", hours, hours);
    buf_clear(&db->body);
    buf_add_text(&db->body, "q=");
    http_escape(&db->body, (struct slice){db->query.data, db->query.size});
    return (struct slice){db->body.data, db->body.size};
}

/*
 * STORE_DONE: it is there now, or *refused: InfluxDB says that no database can have this name, and
 * the tenant is to blame (the rest of the name was checked when the store was opened).
 */
static enum store_status
create_database(struct writing *w, bool *refused)
{
    struct influxdb *db = w->db;
    long status = 0;
    struct slice answer;
    struct slice body = build_create(db, w->database);
    buf_clear(&db->url);
    buf_printf(&db->url, "%s/query", db->base.data);
    buf_add_char(&db->url, '\0');
    enum store_status result = post(w, "cannot create the database", body,
                                    "application/x-www-form-urlencoded", &status, &answer);
    if (result != STORE_DONE)
        return result;
    struct slice error = influx_answer_query_error(answer, &db->text);
    *refused = status == 200 && db->name_error_is_tenants && slice_equal(error, SLICE("invalid name"));
    w->no_room = status >= 500 || (status == 200 && error.n > 0 && !*refused);
    if (status != 200 || (error.n > 0 && !*refused))
        return sick(w, "cannot create the database", status, error);
    if (!*refused)
        log_notice("InfluxDB: database %s created", w->database);
    return STORE_DONE;
}

static void
build_write(struct writing *w, const uint32_t *list, size_t n)
{
    struct influxdb *db = w->db;
    buf_clear(&db->url);
    buf_printf(&db->url, "%s/write?precision=ms&db=", db->base.data);
    http_escape(&db->url, (struct slice){w->database, strlen(w->database)});
    buf_add_char(&db->url, '\0');
    buf_clear(&db->body);
    for (size_t i = 0; i < n; i++)
        buf_add(&db->body, w->rows->lines.data + w->rows->rows[list[i]].at,
                w->rows->rows[list[i]].n);
}

/* Makes later chunks half as large as the body just sent. */
static void
send_less(struct influxdb *db)
{
    size_t half = db->body.size / 2;
    if (half < LEAST_BODY_BYTES)
        half = LEAST_BODY_BYTES;
    if (half < db->max_body_bytes)
        db->max_body_bytes = half;
}

/*
 * Writes a list of rows once (making the database on the way). STORE_DONE: *answer says how it
 * went; NO_DATABASE: there cannot be one for this tenant.
 */
static enum store_status
write_list(struct writing *w, const uint32_t *list, size_t n, struct influx_answer *answer)
{
    for (int i = 0; i < MAX_DATABASES_CREATED; i++) {
        long status = 0;
        struct slice body;
        bool refused = false;
        build_write(w, list, n);
        enum store_status result =
            post(w, "cannot write to", (struct slice){w->db->body.data, w->db->body.size},
                 "text/plain; charset=utf-8", &status, &body);
        if (result == STORE_SICK)
            send_less(w->db); /* it may be too slow for so much */
        if (result != STORE_DONE)
            return result;
        influx_answer_read(status, body, w->database, &w->db->text, answer);
        if (answer->verdict == INFLUX_WORLD) {
            w->overloaded = status >= 500;
            w->unreachable = status == 401 || status == 429 || status == 503;
            return sick(w, "cannot write to", status, answer->error);
        }
        if (answer->verdict == INFLUX_TOO_LARGE && n == 1 &&
            w->db->body.size <= SMALL_BODY_BYTES) /* whoever it is that takes nothing at all */
            return sick(w, "cannot write to", status, answer->error);
        if (answer->verdict != INFLUX_NO_DATABASE)
            return STORE_DONE;
        if (w->no_room)
            return sick(w, "has no room for the database", status, answer->error);
        result = create_database(w, &refused);
        if (result != STORE_DONE)
            return result;
        if (refused)
            return STORE_DONE;
    }
    errbuf_set(w->err, "InfluxDB at %s: database %s is not found although it was created",
               w->db->base.data, w->database);
    return STORE_SICK;
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
        influx_memory_note(w->db->memory, w->rows, i, true);
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
            errbuf_set(&w->held, "InfluxDB at %s: writing to %s: %.*s", w->db->base.data,
                       w->database, w->answer->error.n < 200 ? (int)w->answer->error.n : 200,
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
        w->rows, list, n, w->answer, influx_plan_wants_order(&db->plan), refuse_named, w);
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
    send_less(w->db);
    influx_plan_part(&w->db->plan);
}

static void
take_answer(struct writing *w, uint32_t *list, size_t n)
{
    switch (w->answer->verdict) {
    case INFLUX_STORED:
        for (size_t i = 0; i < n; i++)
            influx_memory_note(w->db->memory, w->rows, list[i], false);
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
        assert(!"write_list returns SICK for these");
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
    size_t suspects = influx_memory_gather(db->memory, w->rows, list, n);
    if (influx_plan_begin(&db->plan, list, n, suspects) == -1) {
        errbuf_set(w->err, "InfluxDB: out of memory");
        return STORE_SICK;
    }
    w->answer = &answer;
    while (influx_plan_next(&db->plan, &rows, &n)) {
        enum store_status status = write_list(w, rows, n, &answer);
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
    size_t need = w->rows->n < most ? w->rows->n : most;
    if (need <= db->capacity_picked)
        return 0;
    uint32_t *bigger = realloc(db->picked, need * sizeof(*bigger));
    if (bigger == NULL)
        return -1;
    db->picked = bigger;
    db->capacity_picked = need;
    return 0;
}

static int
reserve_tried(struct writing *w)
{
    struct influxdb *db = w->db;
    size_t n = w->rows->n_databases;
    if (n > db->capacity_tried) {
        bool *bigger = realloc(db->tried, n * sizeof(*bigger));
        if (bigger == NULL)
            return -1;
        db->tried = bigger;
        db->capacity_tried = n;
    }
    if (n > 0)
        memset(db->tried, 0, n * sizeof(*db->tried));
    return 0;
}

static enum store_status
write_database(struct writing *w, uint32_t database)
{
    struct influxdb *db = w->db;
    size_t from = 0, n;
    w->database = w->rows->databases[database];
    while ((n = influx_rows_pick(w->rows, w->batch, database, &from,
                                 (size_t)db->cfg->influxdb.batch_size, db->max_body_bytes,
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
    w->n_overloaded = status == STORE_DONE ? 0 : w->n_overloaded + w->overloaded;
    w->overloaded = false;
    return status == STORE_STOPPED || w->unreachable || w->n_overloaded >= MAX_OVERLOADED;
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
    size_t n = w->rows->n_databases, first = db->first_database;
    for (size_t k = 0; k < n; k++) {
        size_t i = (first + k) % n;
        uint64_t name = hash_name(w->rows->databases[i]);
        if (db->tried[i] || influx_memory_has(db->known, name) != known)
            continue;
        db->tried[i] = true;
        enum store_status status = write_database(w, (uint32_t)i);
        influx_memory_put(db->known, name, status == STORE_DONE);
        if (status == STORE_SICK && worst == STORE_DONE)
            *err = *w->err;
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
                        .rows = &((struct influx_load *)load)->rows,
                        .batch = write->batch,
                        .err = &latest};
    if (reserve_picked(&w) == -1 || reserve_tried(&w) == -1) {
        errbuf_set(err, "InfluxDB: out of memory");
        return STORE_SICK;
    }
    enum store_status status = write_databases(&w, true, err);
    if (status != STORE_STOPPED && !w.unreachable && w.n_overloaded < MAX_OVERLOADED) {
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
    struct buf *const bufs[] = {&db->base, &db->url, &db->body, &db->text, &db->query};
    http_free(&db->http);
    influx_plan_free(&db->plan);
    free(db->memory);
    free(db->known);
    free(db->tried);
    for (size_t i = 0; i < COUNT_OF(bufs); i++)
        buf_free(bufs[i]);
    free(db->picked);
    free(db);
    *store = NULL;
}

static void
init_bufs(struct influxdb *db)
{
    const struct config *cfg = db->cfg;
    buf_init(&db->body, MAX_BODY_BUFFER);
    buf_init(&db->base, 4096);
    buf_init(&db->url, 8192);
    buf_init(&db->text, 2 << 20);
    buf_init(&db->query, 8192);
    bool ipv6 = strchr(cfg->influxdb.ip_address, ':') != NULL && cfg->influxdb.ip_address[0] != '[';
    buf_printf(&db->base, "%s://%s%s%s:%lld", cfg->influxdb.ssl ? "https" : "http", ipv6 ? "[" : "",
               cfg->influxdb.ip_address, ipv6 ? "]" : "", (long long)cfg->influxdb.port);
    buf_add_char(&db->base, '\0');
}

static bool
is_ascii(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
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
    struct http_options options = {.user = cfg->influxdb.user,
                                   .password = cfg->influxdb.password,
                                   .verify = cfg->influxdb.verify_ssl,
                                   .ca_file = cfg->influxdb.ca_file,
                                   .timeout_ms = (int)cfg->influxdb.timeout_seconds * 1000};
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
    db->max_body_bytes = MAX_BODY_BYTES;
    /* Which characters beyond ASCII a name may have, only the server knows. */
    db->name_error_is_tenants = cfg->influxdb.db_per_tenant && is_ascii(cfg->influxdb.database_name);
    init_bufs(db);
    influx_plan_init(&db->plan);
    db->memory = calloc(1, sizeof(*db->memory));
    db->known = calloc(1, sizeof(*db->known));
    if (db->base.failed || db->memory == NULL || db->known == NULL)
        errbuf_set(err, "InfluxDB: out of memory");
    else if ((db->http = http_new(&options, hooks, err)) != NULL)
        return store;
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
