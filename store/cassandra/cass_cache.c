/* SPDX-License-Identifier: Apache-2.0 */
/* cass_cache.c - see cass_cache.h. */
#include "store/cassandra/cass_cache.h"

#include <stdlib.h>

#include "lib/spread.h"

/* Open addressing, linear probing, at most half full. */
struct half {
    struct cass_known *entries;
    size_t capacity, n; /* capacity is a power of two */
};

struct cass_cache {
    struct half young, old;
    size_t max_half;
};

struct cass_cache *
cass_cache_new(size_t max_entries)
{
    struct cass_cache *cache = calloc(1, sizeof(*cache));
    if (cache != NULL)
        cache->max_half = max_entries / 2;
    return cache;
}

void
cass_cache_forget(struct cass_cache *cache)
{
    free(cache->young.entries);
    free(cache->old.entries);
    cache->young = cache->old = (struct half){.entries = NULL};
}

void
cass_cache_free(struct cass_cache **cache)
{
    if (*cache == NULL)
        return;
    cass_cache_forget(*cache);
    free(*cache);
    *cache = NULL;
}

static size_t
place_of(const struct half *half, const struct cass_key *key)
{
    size_t i = spread_place(key->bytes, half->capacity);
    while (half->entries[i].until_s != 0 &&
           memcmp(half->entries[i].key.bytes, key->bytes, CASS_KEY_BYTES) != 0)
        i = (i + 1) & (half->capacity - 1);
    return i;
}

static struct cass_known *
find_in(const struct half *half, const struct cass_key *key)
{
    if (half->n == 0)
        return NULL;
    struct cass_known *known = &half->entries[place_of(half, key)];
    return known->until_s != 0 ? known : NULL;
}

static int
grow(struct half *half)
{
    struct half bigger = {.capacity = half->capacity == 0 ? 256 : half->capacity * 2, .n = half->n};
    bigger.entries = calloc(bigger.capacity, sizeof(*bigger.entries));
    if (bigger.entries == NULL)
        return -1;
    for (size_t i = 0; i < half->capacity; i++)
        if (half->entries[i].until_s != 0)
            bigger.entries[place_of(&bigger, &half->entries[i].key)] = half->entries[i];
    free(half->entries);
    *half = bigger;
    return 0;
}

void
cass_cache_put(struct cass_cache *cache, const struct cass_known *known)
{
    struct half *young = &cache->young;
    assert(known->until_s != 0);
    if (young->n >= cache->max_half) {
        free(cache->old.entries);
        cache->old = *young;
        *young = (struct half){.entries = NULL};
    }
    if ((young->n + 1) * 2 > young->capacity && grow(young) == -1)
        return;
    struct cass_known *place = &young->entries[place_of(young, &known->key)];
    young->n += place->until_s == 0;
    *place = *known;
}

const struct cass_known *
cass_cache_find(struct cass_cache *cache, const struct cass_key *key)
{
    const struct cass_known *known = find_in(&cache->young, key);
    if (known != NULL)
        return known;
    known = find_in(&cache->old, key);
    if (known == NULL)
        return NULL;
    struct cass_known copy = *known; /* its half may be dropped */
    cass_cache_put(cache, &copy);
    return find_in(&cache->young, key);
}
