/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_series.c - the series that are remembered: found by all their bytes, within a bound, and not
 * driven out by a stream of new ones.
 *
 * Process: the tests.  Owner: each test.  Concurrency: one thread.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "record/series.h"

TestSuite(series, .timeout = 60);

static struct series_cache *cache;

/* The bytes stay until the next call. */
static struct series_key
make_key(const char *kind, unsigned long number)
{
    static char bytes[400];
    int n = snprintf(bytes, sizeof(bytes), "%s %lu %0200lu", kind, number, number);
    struct series_key key = {.bytes = bytes, .n = (uint32_t)n, .holes = {1, 2, -1, 3}};
    series_hash(&key);
    return key;
}

static struct series *
add(const struct series_key *key)
{
    struct slice texts[] = {{key->bytes, 1}, SLICE("elsewhere")};
    if (!series_cache_admits(cache))
        return NULL;
    struct series_made made = {.name = {key->bytes, 3},
                               .tenant_id = SLICE("tenant"),
                               .region = {NULL, 0},
                               .texts = texts,
                               .n_texts = COUNT_OF(texts)};
    return series_cache_add(cache, key, &made);
}

/* Finds it, or adds it. Returns: whether it was there. */
static bool
meet(const char *kind, unsigned long number)
{
    struct series_key key = make_key(kind, number);
    struct series *series = series_cache_find(cache, &key);
    bool known = series != NULL;
    if (!known)
        series = add(&key);
    if (series != NULL)
        series_cache_meet(cache, series);
    return known;
}

Test(series, is_found_with_what_was_read_from_it)
{
    cache = series_cache_new(1 << 20);
    struct series_key key = make_key("one", 1);
    cr_assert_null(series_cache_find(cache, &key));
    struct series *added = add(&key);
    cr_assert_not_null(added);
    struct series *found = series_cache_find(cache, &key);
    cr_assert_eq(found, added);
    cr_assert(slice_equal(series_slice(found, found->name), SLICE("one")));
    cr_assert(slice_equal(series_slice(found, found->tenant_id), SLICE("tenant")));
    cr_assert(slice_equal(series_slice(found, found->region), SLICE("")));
    cr_assert_eq(found->n_texts, 2);
    cr_assert(slice_equal(series_slice(found, found->texts[0]), SLICE("o")));
    cr_assert(slice_equal(series_slice(found, found->texts[1]), SLICE("elsewhere")));
    key = make_key("one", 2);
    cr_assert_null(series_cache_find(cache, &key));
    series_cache_free(&cache);
    cr_assert_null(cache);
}

/* Whatever the hash says, it is the bytes and the holes that count. */
Test(series, is_told_from_another_of_the_same_hash)
{
    cache = series_cache_new(1 << 20);
    struct series_key key = make_key("one", 1), other;
    uint64_t hash = key.hash;
    cr_assert_not_null(add(&key));
    other = make_key("two", 1);
    other.hash = hash;
    cr_assert_null(series_cache_find(cache, &other));
    key = make_key("one", 1);
    key.holes[0]++;
    cr_assert_null(series_cache_find(cache, &key));
    series_cache_free(&cache);
}

/* Who knows collisions drives out what shares them, and no more than a few are looked at. */
Test(series, collisions_take_no_more_than_their_places)
{
    cache = series_cache_new(1 << 20);
    struct series_key good = make_key("good", 1);
    cr_assert_not_null(add(&good));
    size_t bytes = series_cache_bytes(cache);
    for (unsigned long i = 0; i < 1000; i++) {
        struct series_key key = make_key("bad", i);
        key.hash = 12345;
        cr_assert_not_null(add(&key));
    }
    cr_assert_leq(series_cache_bytes(cache), bytes + 8 * 1024);
    good = make_key("good", 1);
    cr_assert_not_null(series_cache_find(cache, &good));
    series_cache_free(&cache);
}

Test(series, stays_within_its_bound_with_notes)
{
    const size_t bound = 256 << 10;
    cache = series_cache_new(bound);
    for (unsigned long i = 0; i < 20000; i++) {
        struct series_key key = make_key("s", i);
        struct series *series = add(&key);
        if (series != NULL && i % 3 != 0) {
            char *note = series_note_new(series, 1 + i % 500);
            cr_assert_not_null(note);
            cr_assert_eq(note[i % 500], 0);
            memset(note, 'x', 1 + i % 500);
            cr_assert_eq(series_cache_find(cache, &key), series, "it is still there");
        }
        cr_assert_leq(series_cache_bytes(cache), bound);
    }
    cr_assert_gt(series_cache_bytes(cache), bound / 2);
    series_cache_free(&cache);
}

Test(series, a_note_takes_the_place_of_the_one_before)
{
    cache = series_cache_new(1 << 20);
    struct series_key key = make_key("one", 1);
    struct series *series = add(&key);
    size_t bytes = series_cache_bytes(cache);
    cr_assert_not_null(series_note_new(series, 100));
    cr_assert_not_null(series_note_new(series, 10));
    cr_assert_eq(series->note_n, 10);
    cr_assert_leq(series_cache_bytes(cache), bytes + 32);
    cr_assert_null(series_note_new(series, 2 << 20), "there is no room for that");
    cr_assert_null(series->note);
    cr_assert_eq(series_cache_bytes(cache), bytes);
    series_cache_free(&cache);
}

/* Those that come again and again stay, whatever comes between them. */
Test(series, a_stream_of_new_ones_does_not_drive_out_what_is_in_use)
{
    cache = series_cache_new(1 << 20);
    const unsigned long in_use = 500;
    unsigned long stranger = 0, found = 0, asked = 0;
    for (unsigned round = 0; round < 40; round++)
        for (unsigned long i = 0; i < in_use; i++) {
            bool known = meet("good", i);
            asked += round > 0;
            found += round > 0 && known;
            for (int k = 0; k < 10; k++)
                (void)meet("stranger", stranger++);
        }
    cr_assert_gt(found * 10, asked * 8, "%lu of %lu", found, asked);
    series_cache_free(&cache);
}

/* Series that take turns and are twice too many: a good part is found all the same. */
Test(series, a_set_that_is_too_large_is_found_in_part)
{
    cache = series_cache_new(1 << 20);
    unsigned long found = 0, asked = 0;
    for (unsigned round = 0; round < 20; round++)
        for (unsigned long i = 0; i < 3600; i++) {
            bool known = meet("s", i);
            asked += round >= 5;
            found += round >= 5 && known;
        }
    cr_assert_gt(found * 10, asked * 2, "%lu of %lu", found, asked);
    series_cache_free(&cache);
}

Test(series, what_is_too_large_is_not_remembered)
{
    static char bytes[SERIES_BYTES_MAX + 1];
    static struct slice texts[SERIES_TEXTS_MAX + 1];
    cache = series_cache_new(1 << 20);
    struct series_made made = {.name = SLICE("n"), .tenant_id = SLICE("t"), .texts = texts};
    struct series_key key = {.bytes = bytes, .n = sizeof(bytes)};
    series_hash(&key);
    cr_assert_null(series_cache_add(cache, &key, &made));
    key.n--;
    made.n_texts = COUNT_OF(texts);
    cr_assert_null(series_cache_add(cache, &key, &made));
    made.n_texts--;
    series_hash(&key);
    cr_assert_not_null(series_cache_add(cache, &key, &made));
    series_cache_free(&cache);
}

/* What came after a series the last time is expected after it again, as long as it is there. */
Test(series, the_next_one_is_expected)
{
    cache = series_cache_new(1 << 20);
    struct series *list[5];
    cr_assert_null(series_cache_expect(cache));
    for (unsigned long i = 0; i < COUNT_OF(list); i++) {
        struct series_key key = make_key("s", i);
        list[i] = add(&key);
        series_cache_meet(cache, list[i]);
    }
    series_cache_meet(cache, list[0]);
    for (size_t i = 1; i < COUNT_OF(list); i++) {
        cr_assert_eq(series_cache_expect(cache), list[i]);
        series_cache_meet(cache, list[i]);
    }
    cr_assert_eq(series_cache_expect(cache), list[0]);
    series_cache_meet(cache, list[3]);
    cr_assert_eq(series_cache_expect(cache), list[4]);
    series_cache_free(&cache);
}
