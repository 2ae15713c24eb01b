/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_influx_plan.c - finding bad rows: each row gets the verdict that is right, and what it costs
 * is counted, over all placements of bad rows in small requests and many in large ones.
 *
 * The server is a model: it tells what the real ones tell (nothing, a number, the first bad row,
 * all of them), or what a number means that is not the whole number (several shards).
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "store/influx/influx_plan.h"

enum tells {
    TELLS_NOTHING,
    TELLS_COUNT,
    TELLS_FIRST,     /* the first bad row, and the number */
    TELLS_ALL,       /* names all, no number: "unable to parse" */
    TELLS_HALF,      /* names some of them, being cut off */
    TELLS_GOOD_HINT, /* the number; and the bad come to the front */
    TELLS_BAD_HINT,  /* the number; any order, any split */
    TELLS_ONE_SHARD, /* the number of one of two shards that has bad rows */
    TELLS_RUBBISH,   /* any number, any names, any hint */
};

enum { ROWS_MAX = 20000 };

static struct {
    enum tells tells;
    size_t n, b;
    bool bad[ROWS_MAX];
    int settled[ROWS_MAX]; /* 0, 1: stored, 2: refused */
    size_t rows_sent, requests, largest_pile;
} m;

static uint64_t seed = 88172645463325252u;

static size_t
random_below(size_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)(seed % n);
}

static void
settle(uint32_t row, bool stored)
{
    cr_assert_lt(row, m.n);
    cr_assert_eq(m.settled[row], 0, "settled twice");
    m.settled[row] = stored ? 1 : 2;
}

static void
swap(uint32_t *a, uint32_t *b)
{
    uint32_t other = *a;
    *a = *b;
    *b = other;
}

/* Moves up to `most` bad rows to the front; returns how many. */
static size_t
gather_bad(uint32_t *rows, size_t n, size_t most)
{
    size_t k = 0;
    for (size_t i = 0; i < n && k < most; i++)
        if (m.bad[rows[i]])
            swap(&rows[k++], &rows[i]);
    return k;
}

/* As the caller does: takes what is named to the front and settles it. */
static void
name_front(uint32_t *rows, size_t k, struct influx_finding *f)
{
    for (size_t i = 0; i < k; i++)
        if (m.bad[rows[i]])
            settle(rows[i], false);
    f->named = k;
}

static int64_t
count_in_shard(const uint32_t *rows, size_t n)
{
    int64_t in[2] = {0, 0};
    for (size_t i = 0; i < n; i++)
        in[rows[i] % 2] += m.bad[rows[i]];
    return in[0] == 0 || (in[1] > 0 && random_below(2) > 0) ? in[1] : in[0];
}

static void
shuffle(uint32_t *rows, size_t n)
{
    for (size_t i = 1; i < n; i++)
        swap(&rows[i], &rows[random_below(i + 1)]);
}

static struct influx_finding
find(const struct influx_plan *p, uint32_t *rows, size_t n, int64_t bad)
{
    struct influx_finding f = {.bad = bad};
    size_t first = 0;
    switch (m.tells) {
    case TELLS_NOTHING:
        f.bad = -1;
        break;
    case TELLS_COUNT:
        break;
    case TELLS_FIRST:
        while (!m.bad[rows[first]])
            first++;
        for (size_t i = first; i > 0; i--)
            swap(&rows[i], &rows[i - 1]);
        name_front(rows, 1, &f);
        f.clean = first;
        break;
    case TELLS_ALL:
        f.bad = -1;
        f.all_named = true;
        name_front(rows, gather_bad(rows, n, n), &f);
        break;
    case TELLS_HALF:
        f.bad = -1;
        name_front(rows, gather_bad(rows, n, random_below(3)), &f);
        break;
    case TELLS_GOOD_HINT:
        f.split = gather_bad(rows, n, n);
        break;
    case TELLS_BAD_HINT:
        if ((f.ordered = influx_plan_wants_order(p)))
            shuffle(rows, n);
        f.split = random_below(n);
        break;
    case TELLS_ONE_SHARD:
        f.bad = count_in_shard(rows, n);
        break;
    case TELLS_RUBBISH:
        shuffle(rows, n);
        f.bad = (int64_t)random_below(n);
        f.all_named = random_below(2) > 0;
        name_front(rows, gather_bad(rows, n, random_below(3)), &f);
        f.clean = random_below(n - f.named + 1);
        f.split = random_below(n);
        break;
    }
    return f;
}

/* One request: as InfluxDB answers it, and as influxdb.c takes the answer. */
static void
answer(struct influx_plan *p, uint32_t *rows, size_t n)
{
    int64_t bad = 0;
    m.requests++;
    m.rows_sent += n;
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(m.settled[rows[i]], 0, "sent although settled");
        bad += m.bad[rows[i]];
    }
    if (bad == 0) {
        for (size_t i = 0; i < n; i++)
            settle(rows[i], true);
        influx_plan_stored(p);
        return;
    }
    bool counts = m.tells != TELLS_NOTHING && m.tells != TELLS_ALL && m.tells != TELLS_HALF &&
                  (m.tells != TELLS_ONE_SHARD || count_in_shard(rows, n) == bad);
    if (n == 1 || (counts && bad == (int64_t)n)) {
        for (size_t i = 0; i < n; i++)
            settle(rows[i], false);
        influx_plan_refused(p);
        return;
    }
    struct influx_finding f = find(p, rows, n, bad);
    influx_plan_mixed(p, &f);
}

static void
run(struct influx_plan *p, enum tells tells, size_t n_suspects)
{
    static uint32_t list[ROWS_MAX];
    uint32_t *rows;
    size_t n;
    m.tells = tells;
    m.b = m.rows_sent = m.requests = m.largest_pile = 0;
    for (size_t i = 0; i < m.n; i++) {
        m.settled[i] = 0;
        m.b += m.bad[i];
        list[i] = (uint32_t)i;
    }
    cr_assert_eq(influx_plan_begin(p, list, m.n, n_suspects), 0);
    while (influx_plan_next(p, &rows, &n)) {
        if (p->n_pile > m.largest_pile)
            m.largest_pile = p->n_pile;
        answer(p, rows, n);
        cr_assert_lt(m.requests, 50 * m.n + 50, "it does not end");
    }
    for (size_t i = 0; i < m.n; i++)
        cr_assert_eq(m.settled[i], m.bad[i] ? 2 : 1);
}

static size_t
log2_up(size_t n, size_t d)
{
    size_t bits = 0;
    while (d << bits < n)
        bits++;
    return bits;
}

/* Rule: n (3 + ceil(log2 b)) rows, 1 + 2 b (1 + ceil(log2(n / b))) requests. */
static void
check_cost(size_t times)
{
    size_t rows = m.b == 0 ? m.n : m.n * (3 + log2_up(m.b, 1));
    size_t requests = m.b == 0 ? 1 : 1 + 2 * m.b * (1 + log2_up(m.n, m.b));
    cr_assert_leq(m.rows_sent, times * rows, "tells %d, %zu of %zu bad: %zu rows sent, %zu allowed",
                  (int)m.tells, m.b, m.n, m.rows_sent, rows);
    cr_assert_leq(m.requests, times * requests,
                  "tells %d, %zu of %zu bad: %zu requests, %zu allowed", (int)m.tells, m.b, m.n,
                  m.requests, requests);
}

static void
place(uint64_t mask)
{
    for (size_t i = 0; i < m.n; i++)
        m.bad[i] = mask >> i & 1;
}

static void
check_all_placements(enum tells tells, size_t most, size_t times)
{
    struct influx_plan p;
    influx_plan_init(&p);
    for (m.n = 1; m.n <= most; m.n++)
        for (uint64_t mask = 0; mask < UINT64_C(1) << m.n; mask++) {
            place(mask);
            run(&p, tells, 0);
            check_cost(times);
        }
    influx_plan_free(&p);
}

Test(influx_plan, every_placement_in_a_few_rows)
{
    for (int tells = TELLS_NOTHING; tells <= TELLS_BAD_HINT; tells++)
        check_all_placements(tells, 13, 1);
}

Test(influx_plan, every_placement_when_one_shard_complains)
{
    check_all_placements(TELLS_ONE_SHARD, 13, 2);
}

/* Whatever it is told, each row is settled, as is right, and it ends. */
Test(influx_plan, every_placement_with_rubbish)
{
    check_all_placements(TELLS_RUBBISH, 11, 4);
}

static void
place_randomly(size_t b)
{
    memset(m.bad, 0, sizeof(m.bad));
    while (b > 0) {
        size_t i = random_below(m.n);
        b -= !m.bad[i];
        m.bad[i] = true;
    }
}

static void
place_evenly(size_t b)
{
    memset(m.bad, 0, sizeof(m.bad));
    for (size_t i = 0; i < b; i++)
        m.bad[i * m.n / b] = true;
}

static void
place_run(size_t b)
{
    memset(m.bad, 0, sizeof(m.bad));
    size_t from = random_below(m.n - b + 1);
    for (size_t i = 0; i < b; i++)
        m.bad[from + i] = true;
}

Test(influx_plan, many_rows)
{
    static const size_t sizes[] = {100, 1000, 1025, 10000};
    static void (*const placements[])(size_t) = {place_randomly, place_evenly, place_run};
    struct influx_plan p;
    influx_plan_init(&p);
    for (int tells = TELLS_NOTHING; tells <= TELLS_RUBBISH; tells++)
        for (size_t s = 0; s < COUNT_OF(sizes); s++)
            for (size_t b = 1; b <= sizes[s]; b = b * 3 + 1)
                for (size_t k = 0; k < COUNT_OF(placements); k++) {
                    m.n = sizes[s];
                    placements[k](b);
                    run(&p, tells, 0);
                    check_cost(tells <= TELLS_BAD_HINT ? 1 : tells == TELLS_ONE_SHARD ? 2 : 4);
                    cr_assert_lt(m.largest_pile, 24u);
                }
    influx_plan_free(&p);
}

/* What the counts, names and hints save. */
Test(influx_plan, every_second_of_ten_thousand)
{
    static const struct {
        enum tells tells;
        size_t most;
    } cases[] = {{TELLS_NOTHING, 20000}, {TELLS_COUNT, 10010}, {TELLS_FIRST, 5600},
                 {TELLS_ALL, 2},         {TELLS_GOOD_HINT, 3}, {TELLS_ONE_SHARD, 10010}};
    struct influx_plan p;
    influx_plan_init(&p);
    m.n = 10000;
    place_evenly(5000);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        run(&p, cases[i].tells, 0);
        cr_expect_leq(m.requests, cases[i].most, "tells %d: %zu requests", (int)cases[i].tells,
                      m.requests);
    }
    influx_plan_free(&p);
}

/* Suspects that are known from before: two requests if they are all bad. */
Test(influx_plan, suspects_from_before)
{
    struct influx_plan p;
    influx_plan_init(&p);
    m.n = 1000;
    memset(m.bad, 0, sizeof(m.bad));
    for (size_t i = 600; i < 1000; i++)
        m.bad[i] = true;
    run(&p, TELLS_COUNT, 400);
    cr_assert_eq(m.requests, 2u);
    cr_assert_eq(m.rows_sent, 1000u);
    run(&p, TELLS_COUNT, 500);
    check_cost(1);
    run(&p, TELLS_COUNT, 1000);
    check_cost(1);
    influx_plan_free(&p);
}

/* Too large for a request: parted until it fits, and nothing is concluded from it. */
Test(influx_plan, too_many_at_once)
{
    struct influx_plan p;
    uint32_t list[100], *rows;
    size_t n, sent = 0, requests = 0;
    influx_plan_init(&p);
    m.n = 100;
    m.tells = TELLS_COUNT;
    place_randomly(30);
    for (uint32_t i = 0; i < 100; i++) {
        list[i] = i;
        m.settled[i] = 0;
    }
    cr_assert_eq(influx_plan_begin(&p, list, 100, 0), 0);
    while (influx_plan_next(&p, &rows, &n)) {
        requests++;
        if (n > 7) {
            influx_plan_part(&p);
            continue;
        }
        sent += n;
        answer(&p, rows, n);
    }
    for (size_t i = 0; i < 100; i++)
        cr_assert_eq(m.settled[i], m.bad[i] ? 2 : 1);
    cr_assert_lt(requests, 2 * sent);
    influx_plan_free(&p);
}

Test(influx_plan, no_rows)
{
    struct influx_plan p;
    uint32_t *rows;
    size_t n;
    influx_plan_init(&p);
    cr_assert_eq(influx_plan_begin(&p, NULL, 0, 0), 0);
    cr_assert(!influx_plan_next(&p, &rows, &n));
    influx_plan_free(&p);
}
