/* SPDX-License-Identifier: Apache-2.0 */
/* series.c - see series.h. */
#include "record/series.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    PIECE = 240,            /* the most that XXH3 hashes without setting up its long way */
    WAYS = 8,               /* places that a key may be in */
    BYTES_A_PLACE = 256,    /* so that all of them are in use at most half, as series go */
    MALLOC_BYTES = 16,      /* that an allocation takes besides */
    ROOM_BYTES = 4096,      /* with less left than that it is full */
    NEWCOMERS = 8           /* of which one is let in when it is full */
};

struct bucket {
    uint32_t tags[WAYS]; /* another part of the hash */
    struct series *series[WAYS];
};

struct series_cache {
    struct bucket *buckets;
    size_t n_buckets; /* a power of two */
    uint32_t last;    /* the place of the series that was met last */
    size_t hand;      /* the place that is looked at next for one to be freed */
    size_t bytes, max_bytes;
    uint64_t dice;
};

struct series_cache *
series_cache_new(size_t max_bytes)
{
    struct series_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        return NULL;
    cache->n_buckets = 16;
    while (cache->n_buckets * 2 * WAYS * BYTES_A_PLACE <= max_bytes)
        cache->n_buckets *= 2;
    cache->max_bytes = max_bytes;
    cache->bytes = cache->n_buckets * sizeof(struct bucket);
    cache->buckets = calloc(cache->n_buckets, sizeof(struct bucket));
    if (cache->buckets == NULL)
        series_cache_free(&cache);
    return cache;
}

static size_t
bytes_of(const struct series *series)
{
    return series->size + MALLOC_BYTES +
           (series->note != NULL ? series->note_n + (size_t)MALLOC_BYTES : 0);
}

static void
drop(struct series_cache *cache, struct series **place)
{
    struct series *series = *place;
    if (series == NULL)
        return;
    cache->bytes -= bytes_of(series);
    free(series->note);
    free(series);
    *place = NULL;
}

void
series_cache_free(struct series_cache **cache)
{
    struct series_cache *c = *cache;
    if (c == NULL)
        return;
    for (size_t i = 0; c->buckets != NULL && i < c->n_buckets * WAYS; i++)
        drop(c, &c->buckets[i / WAYS].series[i % WAYS]);
    free(c->buckets);
    free(c);
    *cache = NULL;
}

size_t
series_cache_bytes(const struct series_cache *cache)
{
    return cache->bytes;
}

void
series_hash(struct series_key *key)
{
    uint64_t hash = key->n;
    for (uint32_t at = 0, n; at < key->n; at += n) {
        n = key->n - at < PIECE ? key->n - at : PIECE;
        hash = hash * UINT64_C(0x9e3779b97f4a7c15) + XXH3_64bits(key->bytes + at, n);
    }
    key->hash = hash ^ hash >> 29;
}

static struct bucket *
bucket_of(const struct series_cache *cache, const struct series_key *key)
{
    return &cache->buckets[key->hash & (cache->n_buckets - 1)];
}

static bool
is_same(const struct series *series, const struct series_key *key)
{
    return series->n_key == key->n &&
           memcmp(series->holes, key->holes, sizeof(key->holes)) == 0 &&
           memcmp(series_bytes(series), key->bytes, key->n) == 0;
}

struct series *
series_cache_find(struct series_cache *cache, const struct series_key *key)
{
    struct bucket *bucket = bucket_of(cache, key);
    uint32_t tag = (uint32_t)(key->hash >> 32);
    for (int i = 0; i < WAYS; i++) {
        struct series *series = bucket->series[i];
        if (bucket->tags[i] == tag && series != NULL && is_same(series, key))
            return series;
    }
    return NULL;
}

static inline struct series *
series_at(const struct series_cache *cache, uint32_t place)
{
    return cache->buckets[place / WAYS].series[place % WAYS];
}

struct series *
series_cache_expect(struct series_cache *cache)
{
    const struct series *last = series_at(cache, cache->last);
    return last != NULL ? series_at(cache, last->next) : NULL;
}

void
series_cache_meet(struct series_cache *cache, struct series *series)
{
    struct series *last = series_at(cache, cache->last);
    if (last != NULL)
        last->next = series->place;
    cache->last = series->place;
    series->used = true;
}

/* Frees what was not used since the hand last came by, but for one, until so many bytes fit. */
static void
make_room(struct series_cache *cache, size_t bytes, const struct series *kept)
{
    size_t steps = 2 * cache->n_buckets * WAYS;
    for (; cache->bytes + bytes > cache->max_bytes && steps > 0; steps--) {
        struct series **place = &cache->buckets[cache->hand / WAYS].series[cache->hand % WAYS];
        cache->hand = (cache->hand + 1) & (cache->n_buckets * WAYS - 1);
        if (*place == NULL || *place == kept)
            continue;
        if ((*place)->used)
            (*place)->used = false;
        else
            drop(cache, place);
    }
}

/* A place in its bucket: a free one, or one whose series was not used of late. */
static int
find_place(struct series_cache *cache, struct bucket *bucket)
{
    int unused = -1;
    for (int i = 0; i < WAYS; i++) {
        if (bucket->series[i] == NULL)
            return i;
        if (!bucket->series[i]->used)
            unused = i;
    }
    if (unused == -1) {
        for (int i = 0; i < WAYS; i++)
            bucket->series[i]->used = false;
        unused = (int)(cache->dice >> 40) & (WAYS - 1);
    }
    drop(cache, &bucket->series[unused]);
    return unused;
}

/* While there is room all are; then one of some. Which one is not for senders to know. */
bool
series_cache_admits(struct series_cache *cache)
{
    if (cache->bytes + ROOM_BYTES <= cache->max_bytes)
        return true;
    cache->dice = cache->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (cache->dice >> 33) % NEWCOMERS == 0;
}

/* A text that is not in the key is put behind it. */
static struct series_text
place_text(struct series *series, const struct series_key *key, struct slice text, uint32_t *end)
{
    struct series_text placed = {*end, (uint32_t)text.n};
    if ((uintptr_t)text.p >= (uintptr_t)key->bytes &&
        (uintptr_t)text.p + text.n <= (uintptr_t)key->bytes + key->n) {
        placed.at = (uint32_t)(text.p - key->bytes);
    } else if (text.n > 0) {
        memcpy((char *)(series->texts + series->n_texts) + *end, text.p, text.n);
        *end += (uint32_t)text.n;
    }
    return placed;
}

static void
order_holes(struct series *series)
{
    for (uint8_t i = 0; i < SERIES_HOLES; i++) {
        if (series->holes[i] == SERIES_NO_HOLE)
            continue;
        uint8_t at = series->n_holes++;
        for (; at > 0 && series->holes[series->order[at - 1]] > series->holes[i]; at--)
            series->order[at] = series->order[at - 1];
        series->order[at] = i;
    }
}

static struct series *
make_series(struct series_cache *cache, const struct series_key *key,
            const struct series_made *made)
{
    size_t n = key->n + made->name.n + made->tenant_id.n + made->region.n;
    for (size_t i = 0; i < made->n_texts; i++)
        n += made->texts[i].n;
    size_t head = sizeof(struct series) + made->n_texts * sizeof(struct series_text);
    struct series *series = malloc(head + n); /* cut to what it takes below */
    uint32_t end = key->n;
    if (series == NULL)
        return NULL;
    *series = (struct series){
        .cache = cache, .n_key = key->n, .n_texts = (uint32_t)made->n_texts, .used = true};
    memcpy(series->holes, key->holes, sizeof(key->holes));
    memcpy(series->texts + series->n_texts, key->bytes, key->n);
    order_holes(series);
    series->name = place_text(series, key, made->name, &end);
    series->tenant_id = place_text(series, key, made->tenant_id, &end);
    series->region = place_text(series, key, made->region, &end);
    for (size_t i = 0; i < made->n_texts; i++)
        series->texts[i] = place_text(series, key, made->texts[i], &end);
    series->size = (uint32_t)(head + end);
    struct series *smaller = realloc(series, series->size);
    return smaller != NULL ? smaller : series;
}

struct series *
series_cache_add(struct series_cache *cache, const struct series_key *key,
                 const struct series_made *made)
{
    if (key->n > SERIES_BYTES_MAX || made->n_texts > SERIES_TEXTS_MAX)
        return NULL;
    struct series *series = make_series(cache, key, made);
    if (series == NULL)
        return NULL;
    struct bucket *bucket = bucket_of(cache, key);
    make_room(cache, bytes_of(series), NULL);
    if (cache->bytes + bytes_of(series) > cache->max_bytes) {
        free(series);
        return NULL;
    }
    int place = find_place(cache, bucket);
    bucket->tags[place] = (uint32_t)(key->hash >> 32);
    bucket->series[place] = series;
    series->place = (uint32_t)((size_t)(bucket - cache->buckets) * WAYS) + (uint32_t)place;
    series->next = series->place;
    cache->bytes += bytes_of(series);
    return series;
}

void *
series_note_new(struct series *series, size_t n)
{
    struct series_cache *cache = series->cache;
    cache->bytes -= bytes_of(series);
    free(series->note);
    series->note = NULL;
    make_room(cache, bytes_of(series) + n + MALLOC_BYTES, series);
    if (cache->bytes + bytes_of(series) + n + MALLOC_BYTES <= cache->max_bytes)
        series->note = calloc(1, n);
    series->note_n = (uint32_t)n;
    cache->bytes += bytes_of(series);
    return series->note;
}
