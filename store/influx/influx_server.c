/* SPDX-License-Identifier: Apache-2.0 */
/* influx_server.c - see influx_server.h. */
#include "store/influx/influx_server.h"

#include "lib/log.h"

enum {
    MAX_BODY_BYTES = 8 << 20, /* of a request; InfluxDB's own default limit is 25 MB */
    LEAST_BODY_BYTES = 64 << 10,
    SMALL_BODY_BYTES = 4096,   /* no InfluxDB has so low a limit */
    MAX_BODY_BUFFER = 1 << 30, /* for a single point may be larger */
    MAX_DATABASES_CREATED = 3  /* attempts per request */
};

static enum store_status
sick(const struct influx_server *s, struct influx_call *c, const char *doing, long status,
     struct slice error)
{
    if (error.n > 0)
        errbuf_set(c->err, "InfluxDB at %s: %s %s: HTTP %ld: %.*s", s->base.data, doing,
                   c->database, status, error.n < 300 ? (int)error.n : 300, error.p);
    else
        errbuf_set(c->err, "InfluxDB at %s: %s %s: HTTP %ld", s->base.data, doing, c->database,
                   status);
    return STORE_SICK;
}

/*
 * Only an InfluxDB 1.x means by its answers what influx_answer.h reads in them.  Others say 204 to
 * points that they lose or change, and refuse good ones with bad.
 */
static bool
is_influxdb(struct influx_server *s, struct influx_call *c, const char *doing, long status)
{
    const char *version = http_header(s->http, "X-Influxdb-Version");
    if (s->cfg->influxdb.accept_any)
        return true;
    version += version[0] == 'v';
    if (version[0] == '1' && version[1] == '.')
        return true;
    const char *server = http_header(s->http, "Server");
    errbuf_set(c->err,
               "InfluxDB at %s: %s %s: HTTP %ld from what is not InfluxDB 1.x (%s%.60s%s%.60s): "
               "others lose or change points without a word; if it is a relay, set [influxdb] "
               "accept_any = True",
               s->base.data, doing, c->database, status,
               version[0] != '\0' ? "X-Influxdb-Version: " : "no X-Influxdb-Version", version,
               server[0] != '\0' ? ", Server: " : "", server);
    c->unreachable = true;
    return false;
}

static enum store_status
post(struct influx_server *s, struct influx_call *c, const char *doing, struct slice body,
     const char *type, long *status, struct slice *answer)
{
    struct errbuf why = {.text = ""};
    if (s->url.failed || s->body.failed) {
        errbuf_set(c->err, "InfluxDB: out of memory");
        return STORE_SICK;
    }
    switch (http_post(s->http, s->url.data, body, type, status, answer, &why)) {
    case HTTP_ANSWERED:
        /* What refuses the whole request may be a proxy's word. */
        if ((*status == 200 || *status == 204 || *status == 400 || *status == 404) &&
            !is_influxdb(s, c, doing, *status))
            return STORE_SICK;
        return STORE_DONE;
    case HTTP_STOPPED:
        return STORE_STOPPED;
    case HTTP_FAILED:
        c->unreachable = true;
        break;
    }
    errbuf_set(c->err, "InfluxDB at %s: %s %s: %s", s->base.data, doing, c->database, why.text);
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
build_create(struct influx_server *s, const char *database)
{
    long long hours = (long long)s->cfg->influxdb.default_retention_hours;
    buf_clear(&s->query);
    buf_add_text(&s->query, "CREATE DATABASE ");
    add_identifier(&s->query, database);
    if (hours > 0)
        buf_printf(&s->query, " WITH DURATION %lldh REPLICATION 1 NAME \"%lldh\"", hours, hours);
    buf_clear(&s->body);
    buf_add_text(&s->body, "q=");
    http_escape(&s->body, (struct slice){s->query.data, s->query.size});
    return (struct slice){s->body.data, s->body.size};
}

/*
 * STORE_DONE: it is there now, or *refused: InfluxDB says that no database can have this name, and
 * the tenant is to blame (the rest of the name was checked when the store was opened).
 */
static enum store_status
create_database(struct influx_server *s, struct influx_call *c, bool *refused)
{
    long status = 0;
    struct slice answer;
    struct slice body = build_create(s, c->database);
    buf_clear(&s->url);
    buf_printf(&s->url, "%s/query", s->base.data);
    buf_add_char(&s->url, '\0');
    enum store_status result = post(s, c, "cannot create the database", body,
                                    "application/x-www-form-urlencoded", &status, &answer);
    if (result != STORE_DONE)
        return result;
    struct slice error = influx_answer_query_error(answer, &s->text);
    *refused = status == 200 && s->name_error_is_tenants &&
               slice_equal(error, SLICE("invalid name"));
    c->no_room = status >= 500 || (status == 200 && error.n > 0 && !*refused);
    if (status != 200 || (error.n > 0 && !*refused))
        return sick(s, c, "cannot create the database", status, error);
    if (!*refused)
        log_notice("InfluxDB: database %s created", c->database);
    return STORE_DONE;
}

static void
build_write(struct influx_server *s, const struct influx_call *c, const uint32_t *list, size_t n)
{
    buf_clear(&s->url);
    buf_printf(&s->url, "%s/write?precision=ms&db=", s->base.data);
    http_escape(&s->url, (struct slice){c->database, strlen(c->database)});
    buf_add_char(&s->url, '\0');
    buf_clear(&s->body);
    for (size_t i = 0; i < n; i++)
        buf_add(&s->body, c->rows->lines.data + c->rows->rows[list[i]].at,
                c->rows->rows[list[i]].n);
}

void
influx_server_send_less(struct influx_server *s)
{
    size_t half = s->body.size / 2;
    if (half < LEAST_BODY_BYTES)
        half = LEAST_BODY_BYTES;
    if (half < s->max_body_bytes)
        s->max_body_bytes = half;
}

enum store_status
influx_server_write(struct influx_server *s, struct influx_call *c, const uint32_t *list, size_t n,
                    struct influx_answer *answer)
{
    for (int i = 0; i < MAX_DATABASES_CREATED; i++) {
        long status = 0;
        struct slice body;
        bool refused = false;
        build_write(s, c, list, n);
        enum store_status result =
            post(s, c, "cannot write to", (struct slice){s->body.data, s->body.size},
                 "text/plain; charset=utf-8", &status, &body);
        if (result == STORE_SICK)
            influx_server_send_less(s); /* it may be too slow for so much */
        if (result != STORE_DONE)
            return result;
        influx_answer_read(status, body, c->database, &s->text, answer);
        if (answer->verdict == INFLUX_WORLD) {
            c->overloaded = status >= 500;
            c->unreachable = status == 401 || status == 429 || status == 503;
            return sick(s, c, "cannot write to", status, answer->error);
        }
        if (answer->verdict == INFLUX_TOO_LARGE && n == 1 &&
            s->body.size <= SMALL_BODY_BYTES) /* whoever it is that takes nothing at all */
            return sick(s, c, "cannot write to", status, answer->error);
        if (answer->verdict != INFLUX_NO_DATABASE)
            return STORE_DONE;
        if (c->no_room)
            return sick(s, c, "has no room for the database", status, answer->error);
        result = create_database(s, c, &refused);
        if (result != STORE_DONE)
            return result;
        if (refused)
            return STORE_DONE;
    }
    errbuf_set(c->err, "InfluxDB at %s: database %s is not found although it was created",
               s->base.data, c->database);
    return STORE_SICK;
}

/* --- life --- */

void
influx_server_send_more(struct influx_server *s)
{
    s->max_body_bytes *= 2;
    if (s->max_body_bytes > MAX_BODY_BYTES)
        s->max_body_bytes = MAX_BODY_BYTES;
}

static void
init_bufs(struct influx_server *s)
{
    const struct config *cfg = s->cfg;
    buf_init(&s->body, MAX_BODY_BUFFER);
    buf_init(&s->base, 4096);
    buf_init(&s->url, 8192);
    buf_init(&s->text, 2 << 20);
    buf_init(&s->query, 8192);
    bool ipv6 = strchr(cfg->influxdb.ip_address, ':') != NULL && cfg->influxdb.ip_address[0] != '[';
    buf_printf(&s->base, "%s://%s%s%s:%lld", cfg->influxdb.ssl ? "https" : "http", ipv6 ? "[" : "",
               cfg->influxdb.ip_address, ipv6 ? "]" : "", (long long)cfg->influxdb.port);
    buf_add_char(&s->base, '\0');
}

static bool
is_ascii(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

int
influx_server_open(struct influx_server *s, const struct config *cfg,
                   const struct store_hooks *hooks, struct errbuf *err)
{
    struct http_options options = {.user = cfg->influxdb.user,
                                   .password = cfg->influxdb.password,
                                   .verify = cfg->influxdb.verify_ssl,
                                   .ca_file = cfg->influxdb.ca_file,
                                   .timeout_ms = (int)cfg->influxdb.timeout_seconds * 1000};
    *s = (struct influx_server){.cfg = cfg, .max_body_bytes = MAX_BODY_BYTES};
    /* Which characters beyond ASCII a name may have, only the server knows. */
    s->name_error_is_tenants = cfg->influxdb.db_per_tenant && is_ascii(cfg->influxdb.database_name);
    init_bufs(s);
    if (s->base.failed)
        return errbuf_set(err, "InfluxDB: out of memory");
    s->http = http_new(&options, hooks, err);
    return s->http != NULL ? 0 : -1;
}

void
influx_server_close(struct influx_server *s)
{
    struct buf *const bufs[] = {&s->base, &s->url, &s->body, &s->text, &s->query};
    http_free(&s->http);
    for (size_t i = 0; i < COUNT_OF(bufs); i++)
        buf_free(bufs[i]);
}
