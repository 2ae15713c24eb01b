/* SPDX-License-Identifier: Apache-2.0 */
/* cass_row.c - see cass_row.h. */
#include "store/cassandra/cass_row.h"

#include <openssl/sha.h>
#include <stdlib.h>

#include "cql/cql_frame.h"
#include "cql/cql_murmur.h"
#include "store/sub_alarms.h"

enum {
    KEY_MAX = 65000,        /* a key's or a clustering column's bytes: an unsigned short counts them */
    ROW_MAX = 7 << 20,      /* a mutation is at most half a segment of the commit log, 32 MiB of old */
    LISTED_MAX = 16 << 20,  /* what listing a series by its dimensions takes */
    ELEMENT_BYTES = 8       /* more than a list's element or a key's component adds */
};

static const struct {
    const char *text; /* after INSERT INTO KEYSPACE., or SELECT; %s is the keyspace */
    unsigned n_values, n_key;
    bool expires;
} statements[] = {
    [CASS_MEASUREMENT] = {"measurements (metric_id, time_stamp, value, value_meta)", 5, 1, true},
    [CASS_STATIC] = {"measurements (metric_id, region, tenant_id, metric_name, dimensions)", 6, 1,
                     true},
    [CASS_METRIC] = {"metrics (region, tenant_id, metric_name, dimensions, dimension_names, "
                     "metric_id, updated_at)",
                     8, 3, true},
    [CASS_CREATED] = {"metrics (region, tenant_id, metric_name, dimensions, dimension_names, "
                      "created_at)",
                      7, 3, true},
    [CASS_IS_CREATED] = {"metrics WHERE region = ? AND tenant_id = ? AND metric_name = ? AND "
                         "dimensions = ? AND dimension_names = ?",
                         5, 3, false},
    [CASS_DIMENSION] = {"dimensions (region, tenant_id, name, value)", 5, 3, false},
    [CASS_DIMENSION_METRIC] = {"dimensions_metrics (region, tenant_id, dimension_name, "
                               "dimension_value, metric_name)",
                               6, 4, false},
    [CASS_METRIC_DIMENSION] = {"metrics_dimensions (region, tenant_id, metric_name, "
                               "dimension_name, dimension_value)",
                               6, 3, false},
    [CASS_ALARM] = {"alarm_state_history (tenant_id, alarm_id, time_stamp, metric, old_state, "
                    "new_state, reason, reason_data, sub_alarms)",
                    10, 2, true},
};

unsigned
cass_row_values(enum cass_statement statement)
{
    return statements[statement].n_values;
}

void
cass_row_statement(struct buf *out, enum cass_statement statement, const char *keyspace,
                   int64_t ttl_s)
{
    if (statement == CASS_IS_CREATED) {
        buf_printf(out, "SELECT created_at FROM \"%s\".%s", keyspace, statements[statement].text);
        return;
    }
    buf_printf(out, "INSERT INTO \"%s\".%s VALUES (", keyspace, statements[statement].text);
    for (unsigned i = 1; i < statements[statement].n_values; i++)
        buf_add_text(out, i == 1 ? "?" : ", ?");
    buf_add_text(out, ") USING ");
    if (statements[statement].expires && ttl_s > 0)
        buf_printf(out, "TTL %lld AND ", (long long)ttl_s);
    buf_add_text(out, "TIMESTAMP ?");
}

/* --- what can be written --- */

struct cass_series
cass_row_series(const struct measurement *m)
{
    return (struct cass_series){.region = m->region,
                                .tenant_id = m->tenant_id,
                                .name = m->name,
                                .dimensions = m->dimensions,
                                .n_dimensions = m->n_dimensions};
}

static bool
has_tab(struct slice text)
{
    return text.n > 0 && memchr(text.p, '\t', text.n) != NULL;
}

int
cass_row_check_series(const struct measurement *m, struct reject *why)
{
    size_t key = m->region.n + m->tenant_id.n + m->name.n + 3 * ELEMENT_BYTES, dimensions = 0;
    for (size_t i = 0; i < m->n_dimensions; i++) {
        const struct dimension *d = &m->dimensions[i];
        if (has_tab(d->name) || has_tab(d->value))
            return reject_set(why, REJECT_UNSTORABLE,
                              "a dimension's name or value has a tab in it, which Cassandra's "
                              "readers take for what separates them");
        dimensions += d->name.n + d->value.n + 1 + ELEMENT_BYTES;
        if (key + d->name.n + d->value.n > KEY_MAX)
            return reject_set(why, REJECT_UNSTORABLE,
                              "region, tenant, name and a dimension are more than %d bytes "
                              "together, a key of Cassandra's",
                              KEY_MAX);
    }
    if (key > KEY_MAX || dimensions > KEY_MAX)
        return reject_set(why, REJECT_UNSTORABLE,
                          "%s more than %d bytes together, a key of Cassandra's",
                          key > KEY_MAX ? "region, tenant and name are" : "the dimensions are",
                          KEY_MAX);
    if (m->n_dimensions * key > LISTED_MAX)
        return reject_set(why, REJECT_UNSTORABLE,
                          "%zu dimensions with a region, tenant and name of %zu bytes: too much to "
                          "list each of them by",
                          m->n_dimensions, key);
    return 0;
}

int
cass_row_check_value(const struct measurement *m, struct reject *why)
{
    if (m->value_meta.n > ROW_MAX)
        return reject_set(why, REJECT_TOO_LARGE, "value_meta of %zu bytes; Cassandra takes %d",
                          m->value_meta.n, ROW_MAX);
    return 0;
}

int
cass_row_check_alarm(const struct alarm_transition *a, struct reject *why)
{
    size_t key = a->tenant_id.n + a->alarm_id.n + 2 * ELEMENT_BYTES;
    size_t row = a->metrics.n + a->sub_alarms.n + a->reason.n + a->old_state.n + a->new_state.n;
    if (key > KEY_MAX)
        return reject_set(why, REJECT_UNSTORABLE,
                          "tenantId and alarmId are more than %d bytes together, a key of "
                          "Cassandra's",
                          KEY_MAX);
    /* A renamed member grows by 3 bytes of 17. */
    if (row > ROW_MAX - ROW_MAX / 4)
        return reject_set(why, REJECT_TOO_LARGE, "an alarm of %zu bytes; Cassandra takes %d", row,
                          ROW_MAX - ROW_MAX / 4);
    return 0;
}

/* --- keys --- */

static void
put_field(struct buf *work, struct slice text)
{
    buf_add_slice(work, text);
    buf_add_char(work, '\0');
}

static void
put_pair(struct buf *out, const struct dimension *d)
{
    buf_add_slice(out, d->name);
    buf_add_char(out, '\t');
    buf_add_slice(out, d->value);
}

static int
hash(const struct buf *work, struct cass_key *key)
{
    if (work->failed)
        return -1;
    SHA1((const unsigned char *)work->data, work->size, key->bytes);
    return 0;
}

/*
 * Names are sorted, and with the tab behind them they almost always stay so: only a name that goes
 * on, behind another one, with a character below the tab changes places with it.
 */
static int
compare_pairs(const void *a, const void *b)
{
    const struct dimension *x = *(const struct dimension *const *)a;
    const struct dimension *y = *(const struct dimension *const *)b;
    size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
    int order = memcmp(x->name.p, y->name.p, n);
    if (order != 0 || x->name.n == y->name.n)
        return order;
    const struct dimension *longer = x->name.n > n ? x : y;
    bool below = (unsigned char)longer->name.p[n] < '\t';
    return (longer == x) != below ? 1 : -1;
}

static bool
is_sorted(const struct cass_series *s)
{
    for (size_t i = 1; i < s->n_dimensions; i++) {
        const struct dimension *a = &s->dimensions[i - 1], *b = &s->dimensions[i];
        if (compare_pairs(&a, &b) > 0)
            return false;
    }
    return true;
}

/* Calls for each dimension in the order of the pairs. Returns: -1 if memory is out. */
static int
each_pair(const struct cass_series *s, struct buf *out,
          void (*put)(struct buf *out, const struct dimension *d, bool first))
{
    const struct dimension **sorted = NULL;
    if (!is_sorted(s)) {
        sorted = calloc(s->n_dimensions, sizeof(*sorted));
        if (sorted == NULL)
            return -1;
        for (size_t i = 0; i < s->n_dimensions; i++)
            sorted[i] = &s->dimensions[i];
        qsort(sorted, s->n_dimensions, sizeof(*sorted), compare_pairs);
    }
    for (size_t i = 0; i < s->n_dimensions; i++)
        put(out, sorted != NULL ? sorted[i] : &s->dimensions[i], i == 0);
    free(sorted);
    return 0;
}

static void
put_hashed(struct buf *out, const struct dimension *d, bool first)
{
    if (!first)
        buf_add_char(out, '\0');
    put_pair(out, d);
}

int
cass_row_key(const struct cass_series *s, struct buf *work, struct cass_key *key)
{
    buf_clear(work);
    put_field(work, s->region);
    put_field(work, s->tenant_id);
    put_field(work, s->name);
    return each_pair(s, work, put_hashed) == -1 ? -1 : hash(work, key);
}

int
cass_row_dimension_key(const struct cass_series *s, const struct dimension *d,
                       enum cass_dimension_kind kind, struct buf *work, struct cass_key *key)
{
    buf_clear(work);
    put_field(work, s->region);
    put_field(work, s->tenant_id);
    if (kind == CASS_KEY_METRIC_DIMENSION)
        put_field(work, s->name);
    put_pair(work, d);
    if (hash(work, key) == -1)
        return -1;
    key->bytes[0] ^= (unsigned char)kind; /* apart from the other kinds, and from series */
    return 0;
}

/* --- values --- */

static void
put_key(struct buf *out, const struct cass_key *key)
{
    cql_put_value(out, (struct slice){(const char *)key->bytes, CASS_KEY_BYTES});
}

static double
parse_value(struct buf *out, struct slice text)
{
    char plain[64];
    if (text.n < sizeof(plain)) {
        memcpy(plain, text.p, text.n);
        plain[text.n] = '\0';
        return strtod(plain, NULL);
    }
    size_t start = out->size;
    buf_add_slice(out, text);
    buf_add_char(out, '\0');
    if (out->failed)
        return 0;
    double value = strtod(out->data + start, NULL);
    buf_truncate(out, start);
    return value;
}

void
cass_row_put_measurement(struct buf *out, const struct cass_key *key, const struct measurement *m)
{
    double value = parse_value(out, m->value_text);
    put_key(out, key);
    cql_put_bigint(out, m->time_ms);
    cql_put_double(out, value);
    cql_put_value(out, m->value_meta.n > 0 ? m->value_meta : SLICE("{}"));
    cql_put_bigint(out, 0);
}

void
cass_row_put_alarm(struct buf *out, const struct alarm_transition *a, struct buf *work)
{
    cql_put_value(out, a->tenant_id);
    cql_put_value(out, a->alarm_id);
    cql_put_bigint(out, a->time_ms);
    cql_put_value(out, a->metrics);
    cql_put_value(out, a->old_state);
    cql_put_value(out, a->new_state);
    cql_put_value(out, a->reason);
    cql_put_value(out, SLICE("{}"));
    buf_clear(work);
    sub_alarms_put(work, a->sub_alarms);
    cql_put_value(out, (struct slice){work->data, work->size});
    cql_put_bigint(out, 0);
    out->failed |= work->failed;
}

static void
put_listed(struct buf *out, const struct dimension *d, bool first)
{
    struct slice value = d->value;
    (void)first;
    cql_put_length(out, d->name.n + 1 + value.n);
    put_pair(out, d);
}

static void
put_dimensions(struct buf *out, const struct cass_series *s)
{
    size_t list = cql_list_begin(out, (uint32_t)s->n_dimensions);
    if (each_pair(s, out, put_listed) == -1)
        out->failed = true;
    cql_list_end(out, list);
}

static void
put_names(struct buf *out, const struct cass_series *s)
{
    size_t list = cql_list_begin(out, (uint32_t)s->n_dimensions);
    for (size_t i = 0; i < s->n_dimensions; i++)
        cql_put_value(out, s->dimensions[i].name);
    cql_list_end(out, list);
}

static void
put_whose(struct buf *out, const struct cass_series *s)
{
    cql_put_value(out, s->region);
    cql_put_value(out, s->tenant_id);
}

void
cass_row_put_static(struct buf *out, const struct cass_key *key, const struct cass_series *s)
{
    put_key(out, key);
    put_whose(out, s);
    cql_put_value(out, s->name);
    put_dimensions(out, s);
    cql_put_bigint(out, 0);
}

static void
put_metric_key(struct buf *out, const struct cass_series *s)
{
    put_whose(out, s);
    cql_put_value(out, s->name);
    put_dimensions(out, s);
    put_names(out, s);
}

void
cass_row_put_metric(struct buf *out, const struct cass_key *key, const struct cass_series *s,
                    int64_t updated_ms)
{
    put_metric_key(out, s);
    put_key(out, key);
    cql_put_bigint(out, updated_ms);
    cql_put_bigint(out, 0);
}

void
cass_row_put_created(struct buf *out, const struct cass_series *s, int64_t created_ms)
{
    put_metric_key(out, s);
    cql_put_bigint(out, created_ms);
    cql_put_bigint(out, 0);
}

void
cass_row_put_is_created(struct buf *out, const struct cass_series *s)
{
    put_metric_key(out, s);
}

void
cass_row_put_dimension(struct buf *out, enum cass_statement statement, const struct cass_series *s,
                       const struct dimension *d)
{
    put_whose(out, s);
    if (statement == CASS_METRIC_DIMENSION)
        cql_put_value(out, s->name);
    cql_put_value(out, d->name);
    cql_put_value(out, d->value);
    if (statement == CASS_DIMENSION_METRIC)
        cql_put_value(out, s->name);
    cql_put_bigint(out, 0);
}

void
cass_row_set_time(char *values, size_t n, int64_t time_us)
{
    cql_set_bigint(values + n - 8, time_us);
}

/* Of several columns the key is each with its length before it and a 0 behind it. */
int64_t
cass_row_token(enum cass_statement statement, struct slice values, struct buf *work)
{
    struct cql_reader r = {.p = values.p, .n = values.n};
    struct slice value = {NULL, 0};
    unsigned n = statements[statement].n_key;
    buf_clear(work);
    for (unsigned i = 0; i < n && cql_list_next(&r, &value); i++) {
        if (n == 1)
            return cql_murmur_token(value);
        buf_add_char(work, (char)(value.n >> 8));
        buf_add_char(work, (char)value.n);
        put_field(work, value);
    }
    return cql_murmur_token((struct slice){work->data, work->size});
}
