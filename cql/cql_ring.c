/* SPDX-License-Identifier: Apache-2.0 */
/* cql_ring.c - see cql_ring.h. */
#include "cql/cql_ring.h"

#include <stdlib.h>

#include "lib/num.h"

void
cql_ring_free(struct cql_ring *ring)
{
    free(ring->places);
    *ring = (struct cql_ring){.places = NULL};
}

void
cql_ring_remove(struct cql_ring *ring, uint32_t node)
{
    size_t n = 0;
    for (size_t i = 0; i < ring->n; i++)
        if (ring->places[i].node != node)
            ring->places[n++] = ring->places[i];
    ring->n = n;
}

static int
compare_places(const void *a, const void *b)
{
    const struct cql_place *x = a, *y = b;
    return x->token < y->token ? -1 : x->token > y->token;
}

static int
add_place(struct cql_ring *ring, uint32_t node, int64_t token)
{
    if (ring->n == CQL_RING_TOKENS)
        return 0;
    if (ring->n == ring->capacity) {
        size_t more = ring->capacity == 0 ? 256 : ring->capacity * 2;
        struct cql_place *bigger = realloc(ring->places, more * sizeof(*bigger));
        if (bigger == NULL)
            return -1;
        ring->places = bigger;
        ring->capacity = more;
    }
    ring->places[ring->n++] = (struct cql_place){.token = token, .node = node};
    return 0;
}

int
cql_ring_set(struct cql_ring *ring, uint32_t node, struct slice tokens)
{
    struct cql_reader elements;
    struct slice text;
    cql_ring_remove(ring, node);
    if (cql_get_list(tokens, &elements) > 0) {
        while (cql_list_next(&elements, &text)) {
            char digits[32];
            int64_t token;
            if (text.n == 0 || text.n >= sizeof(digits))
                continue;
            memcpy(digits, text.p, text.n);
            digits[text.n] = '\0';
            if (num_parse_int(digits, INT64_MIN, INT64_MAX, &token) == 0 &&
                add_place(ring, node, token) == -1)
                return -1;
        }
    }
    if (ring->n > 0)
        qsort(ring->places, ring->n, sizeof(*ring->places), compare_places);
    return 0;
}

size_t
cql_ring_find(const struct cql_ring *ring, int64_t token)
{
    size_t low = 0, high = ring->n; /* the first place whose token is not below it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ring->places[middle].token < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low == ring->n ? 0 : low;
}
