/* SPDX-License-Identifier: Apache-2.0 */
/* hands.c - see hands.h. */
#include "shm/hands.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Each death makes all places of a worker suspects: so there is room for those of several. */
enum { PLACES = HANDS_PLACES, SUSPECTS = 4 * HANDS_PLACES };

/* Relaxed: each word is right by itself, and what two of them say together is verified. */
#define get(object) atomic_load_explicit((object), memory_order_relaxed)
#define put(object, value) atomic_store_explicit((object), (value), memory_order_relaxed)

struct slot {
    _Atomic uint32_t n, key;
    struct {
        _Atomic int32_t partition;
        _Atomic int64_t next;
    } places[PLACES];
};

struct suspect {
    _Atomic uint32_t deaths; /* in a row that found `next` unmoved; 0: the entry is free */
    _Atomic uint32_t key;
    _Atomic int32_t partition;
    _Atomic int64_t next;
    _Atomic int64_t first, end; /* the verdict, if end > 0 */
    _Atomic int64_t judged_ms;
};

struct hands {
    size_t bytes;
    unsigned n_slots, oldest;
    _Atomic uint32_t used; /* entries behind these were never taken */
    struct suspect suspects[SUSPECTS];
    struct slot slots[]; /* 1..n_slots at 0.. */
};

struct hands *
hands_new(unsigned n_slots)
{
    size_t bytes = sizeof(struct hands) + n_slots * sizeof(struct slot);
    struct hands *hands =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (hands == MAP_FAILED)
        return NULL;
    hands->bytes = bytes;
    hands->n_slots = n_slots;
    return hands;
}

void
hands_free(struct hands **hands)
{
    if (*hands != NULL)
        munmap(*hands, (*hands)->bytes);
    *hands = NULL;
}

static struct slot *
find_slot(struct hands *hands, unsigned slot)
{
    assert(slot >= 1 && slot <= hands->n_slots);
    return &hands->slots[slot - 1];
}

/* FNV-1a, of the terminating zeros as well. */
static uint32_t
add_text(uint32_t hash, const char *text)
{
    do
        hash = (hash ^ (unsigned char)*text) * 16777619;
    while (*text++ != '\0');
    return hash;
}

uint32_t
hands_make_key(const char *uri, const char *topic, const char *group)
{
    return add_text(add_text(add_text(2166136261, uri), topic), group);
}

void
hands_set_count(struct hands *hands, unsigned slot, uint32_t key, size_t n)
{
    struct slot *s = find_slot(hands, slot);
    put(&s->key, key);
    put(&s->n, (uint32_t)(n < PLACES ? n : PLACES));
}

void
hands_set_place(struct hands *hands, unsigned slot, size_t i, int32_t partition, int64_t next)
{
    struct slot *s = find_slot(hands, slot);
    if (i >= PLACES)
        return;
    put(&s->places[i].partition, partition);
    put(&s->places[i].next, next);
}

static bool
is_free(const struct suspect *s)
{
    return get(&s->deaths) == 0;
}

/* Mostly none. */
static uint32_t
count_used(const struct hands *hands)
{
    uint32_t n = get(&hands->used);
    return n < SUSPECTS ? n : SUSPECTS;
}

static struct suspect *
find_suspect(const struct hands *hands, uint32_t key, int32_t partition)
{
    for (uint32_t i = 0, n = count_used(hands); i < n; i++) {
        const struct suspect *s = &hands->suspects[i];
        if (!is_free(s) && get(&s->key) == key && get(&s->partition) == partition)
            return (struct suspect *)(uintptr_t)s;
    }
    return NULL;
}

/* A free entry, or that of another, which is counted anew if it dies again: a verdict's last. */
static struct suspect *
take_entry(struct hands *hands, uint32_t key, int32_t partition)
{
    uint32_t n = count_used(hands), i = 0;
    while (i < n && !is_free(&hands->suspects[i]))
        i++;
    if (i == n && n < SUSPECTS)
        put(&hands->used, n + 1);
    else if (i == n)
        for (uint32_t k = 0; k < SUSPECTS && (k == 0 || get(&hands->suspects[i].end) > 0); k++)
            i = hands->oldest++ % SUSPECTS;
    struct suspect *s = &hands->suspects[i];
    put(&s->deaths, 0);
    put(&s->key, key);
    put(&s->partition, partition);
    put(&s->end, 0);
    return s;
}

static void
note_place(struct hands *hands, uint32_t key, int32_t partition, int64_t next)
{
    struct suspect *s = find_suspect(hands, key, partition);
    if (s == NULL)
        s = take_entry(hands, key, partition);
    if (get(&s->end) > 0 && next >= get(&s->end))
        put(&s->end, 0); /* that is passed, and nobody lived to say so: this is something else */
    uint32_t deaths = get(&s->next) == next ? get(&s->deaths) : 0;
    put(&s->next, next);
    put(&s->deaths, deaths + 1);
}

void
hands_note_end(struct hands *hands, unsigned slot, bool killed)
{
    struct slot *s = find_slot(hands, slot);
    uint32_t n = killed ? get(&s->n) : 0, key = get(&s->key);
    for (uint32_t i = 0; i < n && i < PLACES; i++)
        if (get(&s->places[i].next) >= 0)
            note_place(hands, key, get(&s->places[i].partition), get(&s->places[i].next));
    put(&s->n, 0);
}

size_t
hands_list_suspects(const struct hands *hands, uint32_t key, struct hands_suspect *suspects,
                    size_t max)
{
    size_t n = 0;
    for (uint32_t i = 0, used = count_used(hands); i < used && n < max; i++) {
        const struct suspect *s = &hands->suspects[i];
        if (get(&s->deaths) >= HANDS_DEATHS && get(&s->key) == key && get(&s->end) == 0)
            suspects[n++] = (struct hands_suspect){i, get(&s->partition), get(&s->next)};
    }
    return n;
}

void
hands_judge(struct hands *hands, unsigned id, const struct hands_verdict *verdict, int64_t now_ms)
{
    assert(id < SUSPECTS);
    struct suspect *s = &hands->suspects[id];
    if (verdict == NULL) {
        put(&s->deaths, 0);
        return;
    }
    put(&s->first, verdict->first);
    put(&s->judged_ms, now_ms);
    atomic_store_explicit(&s->end, verdict->end, memory_order_release);
}

bool
hands_find_verdict(const struct hands *hands, uint32_t key, int32_t partition, int64_t next,
                   struct hands_verdict *verdict)
{
    const struct suspect *s = find_suspect(hands, key, partition);
    if (s == NULL)
        return false;
    verdict->end = atomic_load_explicit(&s->end, memory_order_acquire);
    verdict->first = get(&s->first);
    return verdict->end > next;
}

bool
hands_is_ahead(const struct hands *hands, uint32_t key, int64_t now_ms)
{
    for (uint32_t i = 0, n = count_used(hands); i < n; i++) {
        const struct suspect *s = &hands->suspects[i];
        if (!is_free(s) && get(&s->key) == key &&
            atomic_load_explicit(&s->end, memory_order_acquire) > 0 &&
            get(&s->next) < get(&s->first) && now_ms - get(&s->judged_ms) < HANDS_CARE_MS)
            return true;
    }
    return false;
}

void
hands_note_passed(struct hands *hands, uint32_t key, int32_t partition, int64_t next)
{
    struct suspect *s = find_suspect(hands, key, partition);
    if (s != NULL && get(&s->end) > 0 && next >= get(&s->end))
        put(&s->deaths, 0);
}
