/* SPDX-License-Identifier: Apache-2.0 */
/* cass_define.c - see cass_define.h. */
#include "store/cassandra/cass_define.h"

#include <stdlib.h>

#include "lib/array.h"
#include "lib/clock.h"
#include "store/cassandra/cass_time.h"

enum {
    DAY_S = 86400,
    CHUNK_BYTES = 2 << 20, /* of values; sent before more is made */
    CHUNK_SERIES = 1000,
    MAX_BYTES = 1 << 28
};

/* What is to be done about a series of the chunk. */
struct plan {
    uint32_t fresh; /* its number in the load, from 0 */
    bool update, create, ask;
    int64_t created_ms;
};

struct cass_definer {
    struct cass_sender *sender;
    struct cass_cache *cache;
    int64_t again_s; /* a series is described anew after so long */
    struct cass_load *load;
    struct cass_item *items;
    size_t n, capacity;
    struct buf values, work;
    struct dimension *dimensions;
    size_t capacity_dimensions;
    struct plan plans[CHUNK_SERIES];
    uint32_t n_plans;
    bool no_memory;
};

struct cass_definer *
cass_definer_new(struct cass_sender *sender, struct cass_cache *cache, int64_t ttl_s)
{
    struct cass_definer *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return NULL;
    d->sender = sender;
    d->cache = cache;
    d->again_s = ttl_s > 0 && ttl_s / 4 < DAY_S ? ttl_s / 4 : DAY_S;
    buf_init(&d->values, MAX_BYTES);
    buf_init(&d->work, MAX_BYTES);
    return d;
}

void
cass_definer_free(struct cass_definer **definer)
{
    struct cass_definer *d = *definer;
    if (d == NULL)
        return;
    buf_free(&d->values);
    buf_free(&d->work);
    free(d->dimensions);
    free(d->items);
    free(d);
    *definer = NULL;
}

/* --- items --- */

/* The values of an item were appended from `at` on. */
static void
add_item(struct cass_definer *d, enum cass_statement statement, uint32_t number, size_t at,
         int64_t time_us)
{
    if (array_reserve(&d->items, &d->capacity, d->n + 1, sizeof(*d->items)) == -1 ||
        d->values.failed || d->work.failed) {
        d->no_memory = true;
        return;
    }
    size_t n = d->values.size - at;
    if (statement != CASS_IS_CREATED)
        cass_row_set_time(d->values.data + at, n, time_us);
    d->items[d->n++] = (struct cass_item){
        .statement = statement,
        .number = number,
        .n = (uint32_t)n,
        .at = at,
        .token = cass_row_token(statement, (struct slice){d->values.data + at, n}, &d->work)};
}

/* Returns: the series of a plan, with the definer's room for its dimensions. */
static int
series_of(struct cass_definer *d, const struct plan *plan, struct cass_series *out)
{
    const struct cass_fresh *f = &d->load->fresh[plan->fresh];
    if (array_reserve(&d->dimensions, &d->capacity_dimensions, f->n_dimensions + (size_t)1,
                      sizeof(*d->dimensions)) == -1) {
        d->no_memory = true;
        return -1;
    }
    *out = cass_load_series(d->load, f, d->dimensions);
    return 0;
}

/* --- told by the sender --- */

static void
on_settled(void *arg, struct cass_item *item, const struct slice *why)
{
    struct cass_definer *d = arg;
    struct cass_fresh *f = &d->load->fresh[d->plans[item->number].fresh];
    if (why == NULL || f->refused != NULL)
        return;
    f->refused = strndup(why->p != NULL ? why->p : "", why->n < 200 ? why->n : 200);
    d->no_memory |= f->refused == NULL;
}

static void
on_found(void *arg, struct cass_item *item, int64_t created_ms)
{
    struct cass_definer *d = arg;
    struct plan *plan = &d->plans[item->number];
    if (created_ms < plan->created_ms)
        plan->created_ms = created_ms;
}

static enum store_status
send_items(struct cass_definer *d, struct errbuf *err)
{
    struct cass_job job = {.items = d->items,
                           .n = d->n,
                           .values = d->values.data,
                           .settled = on_settled,
                           .found = on_found,
                           .arg = d};
    if (d->no_memory) {
        errbuf_set(err, "Cassandra: out of memory");
        return STORE_SICK;
    }
    enum store_status status = d->n > 0 ? cass_send(d->sender, &job, err) : STORE_DONE;
    d->n = 0;
    buf_clear(&d->values);
    return status;
}

/* --- a chunk --- */

/* Asks for created_at where it is not known. */
static enum store_status
ask_created(struct cass_definer *d, struct errbuf *err)
{
    for (uint32_t i = 0; i < d->n_plans; i++) {
        struct cass_series s;
        size_t at = d->values.size;
        if (!d->plans[i].ask || series_of(d, &d->plans[i], &s) == -1)
            continue;
        cass_row_put_is_created(&d->values, &s);
        add_item(d, CASS_IS_CREATED, i, at, 0);
    }
    return send_items(d, err);
}

static bool
is_known(struct cass_definer *d, const struct cass_key *key, uint32_t now_s)
{
    const struct cass_known *known = cass_cache_find(d->cache, key);
    return known != NULL && now_s < known->until_s;
}

static void
put_dimension(struct cass_definer *d, enum cass_statement statement, uint32_t i,
              const struct cass_series *s, const struct dimension *dimension, int64_t time_us)
{
    size_t at = d->values.size;
    cass_row_put_dimension(&d->values, statement, s, dimension);
    add_item(d, statement, i, at, time_us);
}

static void
put_dimensions(struct cass_definer *d, uint32_t i, const struct cass_series *s, int64_t time_us,
               uint32_t now_s)
{
    for (size_t k = 0; k < s->n_dimensions; k++) {
        const struct dimension *one = &s->dimensions[k];
        struct cass_key key;
        if (cass_row_dimension_key(s, one, CASS_KEY_DIMENSION, &d->work, &key) == -1)
            d->no_memory = true;
        else if (!is_known(d, &key, now_s))
            put_dimension(d, CASS_DIMENSION, i, s, one, time_us);
        if (cass_row_dimension_key(s, one, CASS_KEY_METRIC_DIMENSION, &d->work, &key) == -1) {
            d->no_memory = true;
        } else if (!is_known(d, &key, now_s)) {
            put_dimension(d, CASS_DIMENSION_METRIC, i, s, one, time_us);
            put_dimension(d, CASS_METRIC_DIMENSION, i, s, one, time_us);
        }
    }
}

static void
put_series(struct cass_definer *d, uint32_t i, uint32_t now_s)
{
    const struct plan *plan = &d->plans[i];
    const struct cass_fresh *f = &d->load->fresh[plan->fresh];
    struct cass_series s;
    size_t at = d->values.size;
    if (series_of(d, plan, &s) == -1)
        return;
    if (plan->update) {
        cass_row_put_static(&d->values, &f->key, &s);
        add_item(d, CASS_STATIC, i, at, f->updated_us);
        at = d->values.size;
        cass_row_put_metric(&d->values, &f->key, &s, f->updated_ms);
        add_item(d, CASS_METRIC, i, at, f->updated_us);
        at = d->values.size;
    }
    if (plan->create) {
        cass_row_put_created(&d->values, &s, plan->created_ms);
        add_item(d, CASS_CREATED, i, at, cass_time_of_creation(plan->created_ms));
    }
    if (plan->ask)
        put_dimensions(d, i, &s, f->updated_us, now_s);
}

static void
remember(struct cass_definer *d, const struct cass_key *key, const struct plan *plan,
         int64_t updated_us, uint32_t until_s)
{
    const struct cass_known *known = cass_cache_find(d->cache, key);
    struct cass_known next = {.key = *key,
                              .until_s = until_s,
                              .updated_us = updated_us,
                              .created_ms = plan->created_ms};
    if (known != NULL && !plan->ask) { /* what was not written anew is as it was */
        next.until_s = known->until_s;
        next.updated_us = plan->update ? updated_us : known->updated_us;
        next.created_ms = plan->create ? plan->created_ms : known->created_ms;
    }
    cass_cache_put(d->cache, &next);
}

/* A series was described: so were its dimensions. */
static void
remember_series(struct cass_definer *d, const struct plan *plan, uint32_t now_s)
{
    struct cass_fresh *f = &d->load->fresh[plan->fresh];
    struct cass_series s;
    struct cass_key key;
    /* Not all of them at the same time. */
    uint32_t until_s = now_s + (uint32_t)(d->again_s - d->again_s / 4 * f->key.bytes[0] / 256);
    f->described = true;
    remember(d, &f->key, plan, f->updated_us, until_s);
    if (!plan->ask || series_of(d, plan, &s) == -1)
        return;
    for (size_t k = 0; k < s.n_dimensions; k++)
        for (int kind = CASS_KEY_DIMENSION; kind <= CASS_KEY_METRIC_DIMENSION; kind++)
            if (cass_row_dimension_key(&s, &s.dimensions[k], (enum cass_dimension_kind)kind,
                                       &d->work, &key) == 0 &&
                !is_known(d, &key, now_s))
                remember(d, &key, plan, 0, until_s);
}

/* Returns: false if nothing is to be written of it. */
static bool
plan_series(struct cass_definer *d, uint32_t fresh, uint32_t now_s)
{
    struct cass_fresh *f = &d->load->fresh[fresh];
    if (!f->seen || f->described || f->refused != NULL)
        return false;
    const struct cass_known *known = cass_cache_find(d->cache, &f->key);
    bool ask = known == NULL || now_s >= known->until_s;
    struct plan plan = {.fresh = fresh,
                        .ask = ask,
                        .update = ask || f->updated_us > known->updated_us,
                        .create = ask || f->least_ms < known->created_ms,
                        .created_ms = f->least_ms};
    if (!plan.update && !plan.create)
        return false;
    d->plans[d->n_plans++] = plan;
    return true;
}

static size_t
guess_bytes(const struct cass_fresh *f)
{
    size_t key = (size_t)f->region_n + f->tenant_n + f->name_n;
    return 4 * key + 512 + 3 * f->n_dimensions * (key + 64);
}

static enum store_status
write_chunk(struct cass_definer *d, uint32_t now_s, struct errbuf *err)
{
    enum store_status status = ask_created(d, err);
    for (uint32_t i = 0; i < d->n_plans && status == STORE_DONE; i++)
        if (d->load->fresh[d->plans[i].fresh].refused == NULL)
            put_series(d, i, now_s);
    if (status == STORE_DONE)
        status = send_items(d, err);
    for (uint32_t i = 0; i < d->n_plans && status == STORE_DONE; i++)
        if (d->load->fresh[d->plans[i].fresh].refused == NULL)
            remember_series(d, &d->plans[i], now_s);
    d->n_plans = 0;
    return status;
}

enum store_status
cass_define(struct cass_definer *d, struct cass_load *load, struct errbuf *err)
{
    uint32_t now_s = (uint32_t)(clock_mono_ms() / 1000) + 1;
    enum store_status status = STORE_DONE;
    size_t bytes = 0;
    d->load = load;
    d->n = d->n_plans = 0;
    d->no_memory = false;
    buf_clear(&d->values);
    for (uint32_t i = 0; i < load->n_fresh && status == STORE_DONE; i++) {
        if (plan_series(d, i, now_s))
            bytes += guess_bytes(&load->fresh[i]);
        if (d->n_plans == CHUNK_SERIES || bytes > CHUNK_BYTES) {
            status = write_chunk(d, now_s, err);
            bytes = 0;
        }
    }
    return status == STORE_DONE ? write_chunk(d, now_s, err) : status;
}
