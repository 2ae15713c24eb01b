/*
 * influxdb.c - the store for InfluxDB 1.x: lines collected per database, written in chunks, and the
 * bad points among them found.
 *
 * Finding bad points.  InfluxDB stores what it can of a request and says of the rest how many and
 * why; that names lines, or lets us suspect some (influx_answer.h).  Suspects are sent alone: if
 * all of them are refused again, they are the bad ones; then the rest is sent again, until a
 * request is stored whole.  Where there are no suspects, or not all of them are bad, the set is
 * halved.  Sending a point again overwrites it with itself, so all of this is harmless.
 *
 * Process: workers.  Owner: struct influxdb.  Concurrency: one thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"
#include "store/http.h"
#include "store/influx_answer.h"
#include "store/influx_line.h"
#include "store/rows.h"
#include "store/store.h"

enum {
    MAX_BODY_BYTES = 8 << 20, /* of a request; InfluxDB's own default limit is 25 MB */
    MAX_LINES_BYTES = 1 << 30,
    MAX_DATABASES_CREATED = 3 /* attempts per request */
};

struct line {
    size_t at; /* in lines */
    uint32_t n, row, database;
    int64_t time_ms;
    bool settled;
};

struct influxdb {
    struct store store;
    const struct config *cfg;
    struct http *http;
    bool per_tenant;
    struct buf lines; /* all lines of the batch, each with its newline */
    struct line *rows;
    size_t n, capacity, n_settled;
    char **databases; /* names; one, or one per tenant of the batch */
    size_t n_databases, capacity_databases;
    struct buf base, url, body, text, query;
    uint32_t *picked; /* room for the indexes of one pass */
    size_t capacity_picked;
};

/* What one write works on. */
struct writing {
    struct influxdb *db;
    store_settle_fn settle;
    void *arg;
    struct errbuf *err;
    const char *database;
    bool unanswered; /* the last request got no answer at all */
};

/* --- collecting --- */

static enum store_added
find_database(struct influxdb *db, struct slice tenant, uint32_t *index, struct reject *why)
{
    char name[512];
    int n = snprintf(name, sizeof(name), "%s_%.*s", db->cfg->influxdb.database_name,
                     tenant.n < 300 ? (int)tenant.n : 300, tenant.p);
    if (n < 0 || !influx_line_is_database_name((struct slice){name, (size_t)n})) {
        reject_set(why, REJECT_UNSTORABLE, "InfluxDB cannot have a database for this tenant");
        return STORE_REFUSED;
    }
    for (size_t i = 0; i < db->n_databases; i++)
        if (strcmp(db->databases[i], name) == 0) {
            *index = (uint32_t)i;
            return STORE_ADDED;
        }
    char **databases =
        rows_reserve(db->databases, &db->capacity_databases, db->n_databases, sizeof(*databases));
    if (databases == NULL)
        return STORE_NO_MEMORY;
    db->databases = databases;
    databases[db->n_databases] = strdup(name);
    if (databases[db->n_databases] == NULL)
        return STORE_NO_MEMORY;
    *index = (uint32_t)db->n_databases++;
    return STORE_ADDED;
}

static enum store_added
influxdb_add(struct store *store, const struct record *record, uint32_t row, struct reject *why)
{
    struct influxdb *db = (struct influxdb *)store;
    size_t start = db->lines.size;
    uint32_t database = 0;
    enum store_added found = db->per_tenant
                                 ? find_database(db, record->measurement.tenant_id, &database, why)
                                 : STORE_ADDED;
    if (found != STORE_ADDED)
        return found;
    struct line *rows = rows_reserve(db->rows, &db->capacity, db->n, sizeof(*rows));
    if (rows == NULL)
        return STORE_NO_MEMORY;
    db->rows = rows;
    if (influx_line_add(&db->lines, record, why) == -1)
        return STORE_REFUSED;
    if (db->lines.failed)
        return STORE_NO_MEMORY;
    rows[db->n++] =
        (struct line){.at = start,
                      .n = (uint32_t)(db->lines.size - start),
                      .row = row,
                      .database = database,
                      .time_ms = record->kind == RECORD_MEASUREMENT ? record->measurement.time_ms
                                                                    : record->alarm.time_ms};
    return STORE_ADDED;
}

static size_t
influxdb_bytes(const struct store *store)
{
    const struct influxdb *db = (const struct influxdb *)store;
    return db->lines.size + db->n * sizeof(struct line);
}

static void
influxdb_reset(struct store *store)
{
    struct influxdb *db = (struct influxdb *)store;
    db->n = db->n_settled = 0;
    buf_clear(&db->lines);
    for (size_t i = db->per_tenant ? 0 : 1; i < db->n_databases; i++)
        free(db->databases[i]);
    db->n_databases = db->per_tenant ? 0 : db->n_databases;
}

/* --- settling --- */

static void
settle_row(struct writing *w, uint32_t i, const struct reject *why)
{
    struct line *line = &w->db->rows[i];
    assert(!line->settled);
    line->settled = true;
    w->db->n_settled++;
    w->settle(w->arg, line->row, why);
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
        return STORE_DONE;
    case HTTP_STOPPED:
        return STORE_STOPPED;
    case HTTP_FAILED:
        w->unanswered = true;
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

/* STORE_DONE: it is there now; *refused: InfluxDB says that no database can have this name. */
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
    *refused = status == 200 && slice_equal(error, SLICE("invalid name"));
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
        buf_add(&db->body, db->lines.data + db->rows[list[i]].at, db->rows[list[i]].n);
}

/*
 * Writes a list of rows once (making the database on the way). STORE_DONE: *answer says how it
 * went; a database that cannot be is INFLUX_BAD_POINTS with all of them dropped.
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
        if (result != STORE_DONE)
            return result;
        influx_answer_read(status, body, &w->db->text, answer);
        if (answer->verdict == INFLUX_WORLD)
            return sick(w, "cannot write to", status, answer->error);
        if (answer->verdict != INFLUX_NO_DATABASE)
            return STORE_DONE;
        result = create_database(w, &refused);
        if (result != STORE_DONE)
            return result;
        if (refused && w->db->per_tenant) {
            *answer = (struct influx_answer){.verdict = INFLUX_BAD_POINTS,
                                             .dropped = (int64_t)n,
                                             .error = SLICE("no database can have this name")};
            return STORE_DONE;
        }
    }
    errbuf_set(w->err, "InfluxDB at %s: database %s is not found although it was created",
               w->db->base.data, w->database);
    return STORE_SICK;
}

/* --- finding bad points --- */

/* A set of the lines of a request, to find the ones that an answer names. */
struct line_set {
    const struct influxdb *db;
    const uint32_t *list;
    uint32_t *table; /* index in list + 1; 0: empty */
    size_t mask, found;
};

static size_t
hash_line(struct slice line)
{
    size_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < line.n; i++)
        h = (h ^ (unsigned char)line.p[i]) * 1099511628211u;
    return h;
}

static struct slice
line_text(const struct influxdb *db, uint32_t row)
{
    return (struct slice){db->lines.data + db->rows[row].at, db->rows[row].n - 1};
}

/* For influx_answer_next_line. The same line may be there twice: one stands for both. */
static bool
is_in_set(void *arg, struct slice line)
{
    struct line_set *set = arg;
    for (size_t h = hash_line(line) & set->mask; set->table[h] != 0; h = (h + 1) & set->mask)
        if (slice_equal(line_text(set->db, set->list[set->table[h] - 1]), line)) {
            set->found = set->table[h] - 1;
            return true;
        }
    return false;
}

static int
make_set(struct line_set *set, const struct influxdb *db, const uint32_t *list, size_t n)
{
    size_t capacity = 64;
    while (capacity < n * 2)
        capacity *= 2;
    *set = (struct line_set){.db = db, .list = list, .mask = capacity - 1};
    set->table = calloc(capacity, sizeof(*set->table));
    if (set->table == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        size_t h = hash_line(line_text(db, list[i])) & set->mask;
        while (set->table[h] != 0)
            h = (h + 1) & set->mask;
        set->table[h] = (uint32_t)i + 1;
    }
    return 0;
}

/* Drops the settled rows from a list; returns how many are left. */
static size_t
keep_unsettled(const struct influxdb *db, uint32_t *list, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!db->rows[list[i]].settled)
            list[kept++] = list[i];
    return kept;
}

/* Refuses the lines that the answer names, each with its own reason; the answer is proof enough. */
static void
refuse_named(struct writing *w, uint32_t *list, size_t n, const struct influx_answer *answer)
{
    struct line_set set;
    struct slice line, why;
    size_t at = 0;
    if (make_set(&set, w->db, list, n) == -1)
        return; /* then the set is halved */
    while (influx_answer_next_line(answer->error, &at, is_in_set, &set, &line, &why))
        if (!w->db->rows[list[set.found]].settled)
            refuse_all(w, &list[set.found], 1, REJECT_REFUSED, why);
    free(set.table);
}

/* qsort has no argument for it; only set around the call, in the one thread there is. */
static const struct line *sort_rows;

static int
compare_times(const void *a, const void *b)
{
    int64_t x = sort_rows[*(const uint32_t *)a].time_ms,
            y = sort_rows[*(const uint32_t *)b].time_ms;
    return x < y ? -1 : x > y;
}

/* Does the line's measurement, escaped as we write it, print as the server printed it? */
static bool
is_of_measurement(struct slice line, struct slice name)
{
    size_t i = 0;
    for (size_t j = 0; j < name.n; j++, i++) {
        if (i < line.n && line.p[i] == '\\' && i + 1 < line.n &&
            strchr(", =", line.p[i + 1]) != NULL)
            i++;
        if (i >= line.n || line.p[i] != name.p[j])
            return false;
    }
    return i < line.n && (line.p[i] == ',' || line.p[i] == ' ');
}

/* Moves the suspects to the front of the list; returns how many there are. */
static size_t
gather_suspects(const struct influxdb *db, uint32_t *list, size_t n,
                const struct influx_answer *answer)
{
    if (answer->suspects == INFLUX_SUSPECTS_OLDEST) {
        sort_rows = db->rows;
        qsort(list, n, sizeof(*list), compare_times);
        return answer->dropped < (int64_t)n ? (size_t)answer->dropped : 0;
    }
    size_t suspects = 0;
    if (answer->suspects == INFLUX_SUSPECTS_MEASUREMENT)
        for (size_t i = 0; i < n; i++)
            if (is_of_measurement(line_text(db, list[i]), answer->measurement)) {
                uint32_t other = list[suspects];
                list[suspects++] = list[i];
                list[i] = other;
            }
    return suspects < n ? suspects : 0;
}

static enum store_status send_list(struct writing *w, uint32_t *list, size_t n);

static enum store_status
send_halves(struct writing *w, uint32_t *list, size_t n)
{
    enum store_status status = send_list(w, list, n / 2);
    return status == STORE_DONE ? send_list(w, list + n / 2, n - n / 2) : status;
}

/* After an answer that some of the list are bad: makes progress with at least one of them. */
static enum store_status
sift(struct writing *w, uint32_t *list, size_t n, const struct influx_answer *answer)
{
    size_t settled = w->db->n_settled;
    if (n == 1 || answer->dropped == (int64_t)n) {
        refuse_all(w, list, n, REJECT_REFUSED, answer->error);
        return STORE_DONE;
    }
    if (answer->suspects == INFLUX_SUSPECTS_NAMED)
        refuse_named(w, list, n, answer);
    size_t suspects = gather_suspects(w->db, list, n, answer);
    if (suspects > 0)
        return send_list(w, list, suspects);
    return w->db->n_settled > settled ? STORE_DONE : send_halves(w, list, n);
}

/* Settles every row of the list. Reorders it. */
static enum store_status
send_list(struct writing *w, uint32_t *list, size_t n)
{
    struct influx_answer answer;
    while (n > 0) {
        enum store_status status = write_list(w, list, n, &answer);
        if (status == STORE_DONE && answer.verdict == INFLUX_STORED) {
            settle_all(w, list, n, NULL);
            return STORE_DONE;
        }
        if (status == STORE_DONE && answer.verdict == INFLUX_TOO_LARGE && n > 1)
            status = send_halves(w, list, n);
        else if (status == STORE_DONE && answer.verdict == INFLUX_TOO_LARGE)
            refuse_all(w, list, 1, REJECT_TOO_LARGE, SLICE("too large for a request"));
        else if (status == STORE_DONE)
            status = sift(w, list, n, &answer);
        if (status != STORE_DONE)
            return status;
        n = keep_unsettled(w->db, list, n);
    }
    return STORE_DONE;
}

/* --- the store --- */

/* The next chunk of a database's unsettled rows, from *from on. */
static size_t
pick_chunk(struct influxdb *db, uint32_t database, size_t *from)
{
    size_t n = 0, bytes = 0, most = (size_t)db->cfg->influxdb.batch_size;
    for (; *from < db->n && n < most; (*from)++) {
        const struct line *line = &db->rows[*from];
        if (line->settled || line->database != database)
            continue;
        if (n > 0 && bytes + line->n > MAX_BODY_BYTES)
            break;
        bytes += line->n;
        db->picked[n++] = (uint32_t)*from;
    }
    return n;
}

static int
reserve_picked(struct influxdb *db)
{
    size_t need =
        db->n < (size_t)db->cfg->influxdb.batch_size ? db->n : (size_t)db->cfg->influxdb.batch_size;
    if (need <= db->capacity_picked)
        return 0;
    uint32_t *bigger = realloc(db->picked, need * sizeof(*bigger));
    if (bigger == NULL)
        return -1;
    db->picked = bigger;
    db->capacity_picked = need;
    return 0;
}

static enum store_status
write_database(struct writing *w, uint32_t database)
{
    size_t from = 0, n;
    w->database = w->db->databases[database];
    while ((n = pick_chunk(w->db, database, &from)) > 0) {
        enum store_status status = send_list(w, w->db->picked, n);
        if (status != STORE_DONE)
            return status;
    }
    return STORE_DONE;
}

/* One tenant's trouble does not keep the others waiting, but for a server that does not answer at
 * all. */
static enum store_status
influxdb_write(struct store *store, const struct store_write *write, struct errbuf *err)
{
    struct influxdb *db = (struct influxdb *)store;
    struct errbuf latest = {.text = ""};
    struct writing w = {.db = db, .settle = write->settle, .arg = write->arg, .err = &latest};
    enum store_status worst = STORE_DONE;
    if (reserve_picked(db) == -1) {
        errbuf_set(err, "InfluxDB: out of memory");
        return STORE_SICK;
    }
    for (size_t i = 0; i < db->n_databases && worst != STORE_STOPPED; i++) {
        enum store_status status = write_database(&w, (uint32_t)i);
        if (status == STORE_SICK && worst == STORE_DONE)
            *err = latest;
        if (status != STORE_DONE)
            worst = status;
        if (w.unanswered)
            break;
    }
    return worst;
}

static void
influxdb_close(struct store **store)
{
    struct influxdb *db = (struct influxdb *)*store;
    struct buf *const bufs[] = {&db->lines, &db->base, &db->url, &db->body, &db->text, &db->query};
    http_free(&db->http);
    for (size_t i = 0; i < db->n_databases; i++)
        free(db->databases[i]);
    for (size_t i = 0; i < COUNT_OF(bufs); i++)
        buf_free(bufs[i]);
    free(db->databases);
    free(db->rows);
    free(db->picked);
    free(db);
    *store = NULL;
}

static void
init_bufs(struct influxdb *db)
{
    const struct config *cfg = db->cfg;
    buf_init(&db->lines, MAX_LINES_BYTES);
    buf_init(&db->body, MAX_LINES_BYTES);
    buf_init(&db->base, 4096);
    buf_init(&db->url, 8192);
    buf_init(&db->text, 2 << 20);
    buf_init(&db->query, 8192);
    bool ipv6 = strchr(cfg->influxdb.ip_address, ':') != NULL && cfg->influxdb.ip_address[0] != '[';
    buf_printf(&db->base, "%s://%s%s%s:%lld", cfg->influxdb.ssl ? "https" : "http", ipv6 ? "[" : "",
               cfg->influxdb.ip_address, ipv6 ? "]" : "", (long long)cfg->influxdb.port);
    buf_add_char(&db->base, '\0');
}

/* Without db_per_tenant there is one database, and it is known. */
static int
add_only_database(struct influxdb *db)
{
    if (db->per_tenant)
        return 0;
    db->databases = rows_reserve(NULL, &db->capacity_databases, 0, sizeof(*db->databases));
    if (db->databases == NULL ||
        (db->databases[0] = strdup(db->cfg->influxdb.database_name)) == NULL)
        return -1;
    db->n_databases = 1;
    return 0;
}

static struct store *
influxdb_open(const struct config *cfg, enum topic_kind kind, const struct store_hooks *hooks,
              struct errbuf *err)
{
    struct influxdb *db = calloc(1, sizeof(*db));
    struct http_options options = {.user = cfg->influxdb.user,
                                   .password = cfg->influxdb.password,
                                   .verify = cfg->influxdb.verify_ssl,
                                   .ca_file = cfg->influxdb.ca_file,
                                   .timeout_ms = (int)cfg->influxdb.timeout_seconds * 1000};
    if (db == NULL) {
        errbuf_set(err, "out of memory");
        return NULL;
    }
    db->store.ops = &store_influxdb;
    db->cfg = cfg;
    db->per_tenant = cfg->influxdb.db_per_tenant && kind == TOPIC_METRICS;
    init_bufs(db);
    struct store *store = &db->store;
    if (add_only_database(db) == 0 && !db->base.failed) {
        db->http = http_new(&options, hooks, err);
        if (db->http != NULL)
            return store;
    } else {
        errbuf_set(err, "out of memory");
    }
    influxdb_close(&store);
    return NULL;
}

const struct store_ops store_influxdb = {.name = "influxdb",
                                         .open = influxdb_open,
                                         .add = influxdb_add,
                                         .bytes = influxdb_bytes,
                                         .write = influxdb_write,
                                         .reset = influxdb_reset,
                                         .close = influxdb_close};
