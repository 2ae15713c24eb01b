/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pg_plan.c - the plan against a database that is a list of bad rows: what becomes of each
 * row, and what it costs, counted for all ways of placing bad rows in small batches, and at random
 * in large ones.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/pg/pg_plan.h"

enum { MOST = 4096 };

enum naming {
    NAMES_NONE,
    NAMES_FIRST, /* as COPY does */
    NAMES_LAST,
    NAMES_END,   /* wrongly, the last line */
    NAMES_ANY,   /* anything */
    NAMES_BEYOND /* no line of it */
};

struct world {
    size_t n;
    bool bad[MOST];
    bool same_key[MOST]; /* as the row before it */
    enum naming naming;
    bool sifts; /* now and then rows are taken together, and the bad ones among them are listed */
};

struct outcome {
    size_t requests, sent, refused;
    unsigned char state[MOST]; /* 1: stored, 2: refused */
};

static uint64_t random_state;

static size_t
random_below(size_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return n == 0 ? 0 : (size_t)(random_state >> 33) % n;
}

static size_t
log2_up(size_t a, size_t b) /* ceil(log2(a / b)) */
{
    size_t k = 0;
    while ((b << k) < a)
        k++;
    return k;
}

/* Which line the database names, given the first and last bad one, all from 1. */
static size_t
name_row(const struct world *w, size_t size, size_t first, size_t last)
{
    switch (w->naming) {
    case NAMES_FIRST:
        return first;
    case NAMES_LAST:
        return last;
    case NAMES_END:
        return size;
    case NAMES_ANY:
        return random_below(size + 1);
    case NAMES_BEYOND:
        return size + 1;
    default:
        return 0;
    }
}

/* One COPY. Returns: whether it was stored; *named: what the answer names. */
static bool
copy(const struct world *w, const struct pg_plan *plan, struct outcome *o, size_t *named)
{
    size_t first = 0, last = 0;
    cr_assert(plan->from < plan->to && plan->to <= plan->n);
    o->requests++;
    o->sent += plan->to - plan->from;
    for (size_t i = plan->from; i < plan->to; i++) {
        cr_assert_eq(o->state[plan->rows[i]], 0, "row %u is settled already", plan->rows[i]);
        if (i > plan->from)
            cr_assert(plan->rows[i] > plan->rows[i - 1], "not in order");
        if (w->bad[plan->rows[i]]) {
            last = i - plan->from + 1;
            first = first == 0 ? last : first;
        }
    }
    *named = first == 0 ? 0 : name_row(w, plan->to - plan->from, first, last);
    for (size_t i = plan->from; i < plan->to && first == 0; i++)
        o->state[plan->rows[i]] = 1;
    return first == 0;
}

static void
sift(const struct world *w, struct pg_plan *plan, struct outcome *o)
{
    pg_plan_take(plan, 1 + random_below(w->n));
    size_t from = plan->from, to = plan->to;
    cr_assert(from < to && to <= plan->n);
    o->requests++;
    o->sent += to - from;
    pg_plan_note_stored(plan);
    for (size_t i = from; i < to; i++) {
        uint32_t row = plan->rows[i];
        cr_assert_eq(o->state[row], 0, "row %u is settled already", row);
        o->state[row] = w->bad[row] ? 2 : 1;
        o->refused += w->bad[row];
        if (w->bad[row] && w->same_key[row])
            pg_plan_add_again(plan, row - 1);
    }
}

static void
play(const struct world *w, struct outcome *o)
{
    static uint32_t rows[MOST];
    struct pg_plan plan;
    size_t n = 0, named;
    memset(o, 0, sizeof(*o));
    for (size_t i = 0; i < w->n; i++)
        if (i + 1 == w->n || !w->same_key[i + 1])
            rows[n++] = (uint32_t)i;
    pg_plan_start(&plan, rows, n);
    while (pg_plan_next(&plan)) {
        uint32_t bad;
        cr_assert(o->requests <= 64 * w->n, "it does not end");
        if (w->sifts && random_below(3) == 0)
            sift(w, &plan, o);
        else if (copy(w, &plan, o, &named)) {
            pg_plan_note_stored(&plan);
        } else if (pg_plan_note_refused(&plan, named, &bad)) {
            cr_assert_eq(o->state[bad], 0);
            o->state[bad] = 2;
            o->refused++;
            if (w->same_key[bad])
                pg_plan_add_again(&plan, bad - 1);
        }
    }
}

/* Of each key the last good row is stored and all after it are refused; nothing else is. */
static void
check_states(const struct world *w, const struct outcome *o)
{
    bool done = false;
    for (size_t i = w->n; i-- > 0;) {
        if (i + 1 == w->n || !w->same_key[i + 1])
            done = false;
        int expected = done ? 0 : w->bad[i] ? 2 : 1;
        cr_assert_eq(o->state[i], expected, "row %zu of %zu: %d", i, w->n, o->state[i]);
        done = done || !w->bad[i];
    }
}

static void
check_cost(const struct world *w, const struct outcome *o)
{
    size_t b = o->refused, n = w->n;
    size_t requests = b == 0 ? 1 : 1 + 2 * b * (1 + log2_up(n, b));
    size_t sent = b == 0 ? n : n * (3 + log2_up(b, 1));
    cr_assert(o->requests <= requests && o->sent <= sent,
              "n %zu, b %zu, naming %d: %zu requests of %zu, %zu rows of %zu", n, b, w->naming,
              o->requests, requests, o->sent, sent);
}

static void
try_all(const struct world *w)
{
    static struct outcome o;
    play(w, &o);
    check_states(w, &o);
    check_cost(w, &o);
}

static void
set_bits(bool *flags, size_t n, unsigned bits)
{
    for (size_t i = 0; i < n; i++)
        flags[i] = bits >> i & 1;
}

static struct world world;

static void
try_all_placements(size_t n, enum naming naming)
{
    world.n = n;
    world.naming = naming;
    for (unsigned bad = 0; bad < 1u << n; bad++) {
        set_bits(world.bad, n, bad);
        try_all(&world);
    }
}

Test(pg_plan, all_placements_in_small_batches)
{
    for (size_t n = 1; n <= 14; n++) {
        try_all_placements(n, NAMES_NONE);
        try_all_placements(n, NAMES_FIRST);
        try_all_placements(n, NAMES_BEYOND);
    }
}

Test(pg_plan, all_placements_and_all_keys_in_small_batches)
{
    for (size_t n = 2; n <= 9; n++)
        for (unsigned keys = 0; keys < 1u << n; keys += 2) { /* the first has none before it */
            set_bits(world.same_key, n, keys);
            try_all_placements(n, NAMES_NONE);
            try_all_placements(n, NAMES_FIRST);
        }
}

static void
place_at_random(size_t n, size_t b, size_t keys)
{
    world.n = n;
    memset(world.bad, 0, sizeof(world.bad));
    memset(world.same_key, 0, sizeof(world.same_key));
    for (size_t i = 0; i < b; i++)
        world.bad[random_below(n)] = true;
    for (size_t i = 1; i < n; i++)
        world.same_key[i] = keys > 0 && random_below(n) >= keys;
}

Test(pg_plan, random_placements_in_large_batches)
{
    for (random_state = 1; random_state < 3000; random_state++) {
        uint64_t seed = random_state;
        size_t n = 1 + random_below(MOST), b = random_below(2) ? random_below(20) : random_below(n);
        place_at_random(n, b, random_below(2) ? 0 : random_below(n));
        for (enum naming naming = NAMES_NONE; naming <= NAMES_FIRST; naming++) {
            world.naming = naming;
            try_all(&world);
        }
        random_state = seed;
    }
}

Test(pg_plan, rows_taken_together_at_any_time)
{
    world.sifts = true;
    for (random_state = 1; random_state < 2000; random_state++) {
        uint64_t seed = random_state;
        static struct outcome o;
        size_t n = 1 + random_below(300);
        place_at_random(n, random_below(n), random_below(2) ? 0 : random_below(n));
        world.naming = (enum naming)random_below(NAMES_BEYOND + 1);
        play(&world, &o);
        check_states(&world, &o);
        random_state = seed;
    }
    world.sifts = false;
}

/* Runs of bad rows, each second, each fourth ... */
Test(pg_plan, regular_placements_in_large_batches)
{
    for (size_t n = 1000; n <= MOST; n = n * 3 / 2)
        for (size_t step = 1; step < n; step = step * 2 + (step & 1))
            for (size_t run = 1; run <= step; run *= 2)
                for (enum naming naming = NAMES_NONE; naming <= NAMES_FIRST; naming++) {
                    place_at_random(n, 0, 0);
                    for (size_t i = 0; i < n; i++)
                        world.bad[i] = i % step < run;
                    world.naming = naming;
                    try_all(&world);
                }
}

/* Each stands in the way of the one before it: a COPY for each, of one row. */
Test(pg_plan, bad_rows_of_one_key)
{
    static struct outcome o;
    place_at_random(MOST, 0, 1);
    memset(world.bad, true, sizeof(world.bad));
    memset(world.same_key + 1, true, sizeof(world.same_key) - 1);
    play(&world, &o);
    check_states(&world, &o);
    cr_expect_eq(o.requests, (size_t)MOST);
    cr_expect_eq(o.sent, (size_t)MOST);
}

/* A name that is wrong may cost more, but only rows that are refused alone are refused. */
Test(pg_plan, wrong_names_do_no_harm)
{
    static struct outcome o;
    for (random_state = 1; random_state < 600; random_state++) {
        uint64_t seed = random_state;
        size_t n = 1 + random_below(600);
        place_at_random(n, random_below(n), random_below(2) ? 0 : random_below(n));
        for (world.naming = NAMES_LAST; world.naming <= NAMES_BEYOND; world.naming++) {
            play(&world, &o);
            check_states(&world, &o);
            size_t b = o.refused == 0 ? 1 : o.refused;
            cr_assert(o.sent <= 2 * n * (3 + log2_up(b, 1)), "%zu of %zu, %zu bad", o.sent, n, b);
        }
        random_state = seed;
    }
}

Test(pg_plan, nothing_to_do)
{
    struct pg_plan plan;
    pg_plan_start(&plan, NULL, 0);
    cr_expect(!pg_plan_next(&plan));
}
