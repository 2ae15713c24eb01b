/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_sort.c - see pg_sort.h.
 *
 * A radix sort of the keys, lowest byte first (LSD: Knuth, TAOCP 3, 5.2.5), over those bytes only in
 * which they differ: ids of series and times of a batch have most bytes in common. Rows have come in
 * the order of their numbers, mostly, so the keys' third part is seldom looked at.  Then each row is
 * moved once.
 */
#include "store/pg/pg_sort.h"

#include <stdlib.h>

enum { VALUES = 256, WORDS = 3, SMALL = 64 };

/* Series, time and row, so that words compare without sign, the least word first. */
struct key {
    uint64_t words[WORDS];
    size_t from; /* where its row is */
};

static int
compare_entries(const void *a, const void *b)
{
    const struct pg_entry *x = a, *y = b;
    if (x->series != y->series)
        return x->series < y->series ? -1 : 1;
    if (x->time_us != y->time_us)
        return x->time_us < y->time_us ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static bool
is_sorted(const struct pg_entry *entries, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (compare_entries(&entries[i - 1], &entries[i]) > 0)
            return false;
    return true;
}

/* Returns: per word the bits in which the keys differ; but for rows, if these ascend as they are. */
static void
make_keys(const struct pg_entry *entries, size_t n, struct key *keys, uint64_t differ[WORDS])
{
    const uint64_t sign = UINT64_C(1) << 63;
    bool ascending = true;
    for (size_t i = 0; i < n; i++) {
        const struct pg_entry *entry = &entries[i];
        keys[i] = (struct key){.words = {entry->row, (uint64_t)entry->time_us ^ sign,
                                         (uint64_t)entry->series ^ sign},
                               .from = i};
        for (int w = 0; w < WORDS; w++)
            differ[w] |= keys[i].words[w] ^ keys[0].words[w];
        ascending = ascending && (i == 0 || keys[i - 1].words[0] <= keys[i].words[0]);
    }
    if (ascending)
        differ[0] = 0;
}

/* One pass, stable, by a byte of a word. */
static void
scatter(const struct key *keys, size_t n, struct key *out, int word, int shift)
{
    size_t places[VALUES] = {0}, sum = 0;
    for (size_t i = 0; i < n; i++)
        places[keys[i].words[word] >> shift & 0xff]++;
    for (size_t v = 0; v < VALUES; v++) {
        size_t count = places[v];
        places[v] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++)
        out[places[keys[i].words[word] >> shift & 0xff]++] = keys[i];
}

/* Returns: which of both arrays the sorted keys are in. */
static struct key *
sort_keys(struct key *keys, size_t n, struct key *other, const uint64_t differ[WORDS])
{
    for (int word = 0; word < WORDS; word++)
        for (int shift = 0; shift < 64; shift += 8) {
            if ((differ[word] >> shift & 0xff) == 0)
                continue;
            scatter(keys, n, other, word, shift);
            struct key *sorted = other;
            other = keys;
            keys = sorted;
        }
    return keys;
}

/* Moves each row to its place, along the cycles of the permutation. */
static void
move_entries(struct pg_entry *entries, size_t n, struct key *keys)
{
    for (size_t i = 0; i < n; i++) {
        if (keys[i].from == i)
            continue;
        struct pg_entry first = entries[i];
        size_t hole = i;
        while (keys[hole].from != i) {
            size_t next = keys[hole].from;
            entries[hole] = entries[next];
            keys[hole].from = hole;
            hole = next;
        }
        entries[hole] = first;
        keys[hole].from = hole;
    }
}

void
pg_sort_entries(struct pg_entry *entries, size_t n)
{
    if (is_sorted(entries, n))
        return;
    struct key *keys = n <= SMALL ? NULL : malloc(2 * n * sizeof(*keys));
    if (keys == NULL) {
        qsort(entries, n, sizeof(*entries), compare_entries);
        return;
    }
    uint64_t differ[WORDS] = {0};
    make_keys(entries, n, keys, differ);
    move_entries(entries, n, sort_keys(keys, n, keys + n, differ));
    free(keys);
}
