/* SPDX-License-Identifier: Apache-2.0 */
/* backoff.c - see backoff.h. */
#include "lib/backoff.h"

/* splitmix64 (S. Vigna, public domain): enough to spread processes in time. */
static uint64_t
draw(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void
backoff_init(struct backoff *b, uint32_t first_ms, uint32_t cap_ms, uint64_t seed)
{
    assert(first_ms >= 1 && first_ms <= cap_ms);
    *b = (struct backoff){.first_ms = first_ms, .cap_ms = cap_ms, .seed = seed};
}

uint32_t
backoff_next(struct backoff *b)
{
    uint64_t delay = b->first_ms;
    for (uint32_t i = 0; i < b->tries && delay < b->cap_ms; i++)
        delay *= 2;
    if (delay > b->cap_ms)
        delay = b->cap_ms;
    if (b->tries < UINT32_MAX)
        b->tries++;
    uint64_t fixed = (delay + 1) / 2;
    return (uint32_t)(fixed + draw(&b->seed) % (delay - fixed + 1));
}

void
backoff_reset(struct backoff *b)
{
    b->tries = 0;
}
