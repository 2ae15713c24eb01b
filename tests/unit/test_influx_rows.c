/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_influx_rows.c - the lines of a batch by database, and which of them an answer points at.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "store/influx/influx_rows.h"
#include "store/influx/influx_suspects.h"

static struct influx_rows rows;
static struct batch batch;

static void
free_rows(void)
{
    influx_rows_free(&rows);
    batch_free(&batch);
}

TestSuite(influx_rows, .fini = free_rows);
TestSuite(influx_suspects, .fini = free_rows);

/* Adds a point as the next row of a batch whose first 100 are not the store's. */
static enum store_added
add(const char *name, const char *tenant, int64_t time_ms)
{
    struct reject why;
    struct measurement m = {.tenant_id = {tenant, strlen(tenant)},
                            .region = SLICE("r"),
                            .name = {name, strlen(name)},
                            .time_ms = time_ms,
                            .value_text = SLICE("1")};
    struct record record = {.kind = RECORD_MEASUREMENT, .measurement = m};
    struct message message = {.offset = 0};
    int64_t row = batch_add(&batch, &message, 0);
    while (row < 100)
        row = batch_add(&batch, &message, 0);
    return influx_rows_add(&rows, &record, (uint32_t)row, &why);
}

Test(influx_rows, one_database_for_all)
{
    uint32_t list[10];
    size_t from = 0;
    influx_rows_init(&rows, "mon", false);
    cr_assert_eq(add("a", "t1", 1), STORE_ADDED);
    cr_assert_eq(add("b", "t2", 2), STORE_ADDED);
    cr_assert_eq(rows.n_databases, 1u);
    cr_assert_str_eq(rows.databases[0], "mon");
    cr_assert_eq(influx_rows_pick(&rows, &batch, 0, &from, 10, 1000, list), 2u);
    cr_assert_eq(rows.rows[list[1]].row, 101u);
    struct slice line = influx_rows_line(&rows, list[1]);
    cr_assert(slice_equal(line, SLICE("b,_region=r,_tenant_id=t2 value=1,value_meta=\"{}\" 2")));
    influx_rows_reset(&rows);
    cr_assert_eq(influx_rows_bytes(&rows), 0u);
    cr_assert_eq(add("a", "t1", 1), STORE_ADDED);
    cr_assert_eq(rows.n_databases, 1u);
}

Test(influx_rows, refused_rows_are_not_in)
{
    influx_rows_init(&rows, "mon", true);
    cr_assert_eq(add("#a", "t1", 1), STORE_REFUSED);
    cr_assert_eq(add("a", "t/1", 1), STORE_REFUSED);
    cr_assert_eq(rows.n, 0u);
    cr_assert_eq(influx_rows_bytes(&rows), 0u);
}

Test(influx_rows, a_database_per_tenant)
{
    char tenant[32];
    uint32_t list[20];
    influx_rows_init(&rows, "mon", true);
    for (int i = 0; i < 3000; i++) {
        snprintf(tenant, sizeof(tenant), "t%d", i % 1000);
        cr_assert_eq(add("a", tenant, i), STORE_ADDED);
    }
    cr_assert_eq(rows.n_databases, 1000u);
    for (uint32_t d = 0; d < 1000; d++) {
        size_t from = 0;
        snprintf(tenant, sizeof(tenant), "mon_t%u", d);
        cr_assert_str_eq(rows.databases[d], tenant);
        cr_assert_eq(influx_rows_pick(&rows, &batch, d, &from, 20, 10000, list), 3u);
        cr_assert_eq(list[2], d + 2000);
    }
}

Test(influx_rows, the_longest_name_of_a_database)
{
    char tenant[400];
    memset(tenant, 'x', sizeof(tenant));
    influx_rows_init(&rows, "mon", true);
    tenant[399] = '\0';
    cr_assert_eq(add("a", tenant, 1), STORE_REFUSED);
    tenant[252] = '\0';
    cr_assert_eq(add("a", tenant, 1), STORE_REFUSED);
    tenant[251] = '\0';
    cr_assert_eq(add("a", tenant, 1), STORE_ADDED);
    cr_assert_eq(strlen(rows.databases[0]), 255u);
}

Test(influx_rows, chunks_have_limits_and_leave_settled_rows_out)
{
    uint32_t list[10];
    size_t from = 0;
    influx_rows_init(&rows, "mon", false);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(add("a", "t", i), STORE_ADDED);
    size_t line = rows.rows[0].n;
    cr_assert_eq(batch_settle(&batch, rows.rows[1].row, NULL), 0);
    cr_assert_eq(influx_rows_pick(&rows, &batch, 0, &from, 4, 10 * line, list), 4u);
    cr_assert_eq(list[1], 2u);
    cr_assert_eq(influx_rows_pick(&rows, &batch, 0, &from, 10, 2 * line, list), 2u);
    cr_assert_eq(influx_rows_pick(&rows, &batch, 0, &from, 10, 1, list), 1u);
    cr_assert_eq(influx_rows_pick(&rows, &batch, 0, &from, 10, 10 * line, list), 2u);
    cr_assert_eq(influx_rows_pick(&rows, &batch, 0, &from, 10, 10 * line, list), 0u);
}

/* --- suspects --- */

/* 20 points of 4 measurements, the older the higher the number; lists them in order. */
static void
add_points(uint32_t *list)
{
    static const char *const names[] = {"cpu", "cp", "c p,u=\\x", "cpu,x"};
    influx_rows_init(&rows, "mon", false);
    for (uint32_t i = 0; i < 20; i++) {
        cr_assert_eq(add(names[i % 4], "t", 1000 - i), STORE_ADDED);
        list[i] = i;
    }
}

/* Each row is still in the list once. */
static void
check_list(const uint32_t *list)
{
    uint32_t seen = 0;
    for (size_t i = 0; i < 20; i++)
        seen |= UINT32_C(1) << list[i];
    cr_assert_eq(seen, (UINT32_C(1) << 20) - 1);
}

static uint32_t named;

static void
settle_named(void *arg, uint32_t i, struct slice why)
{
    cr_assert(slice_equal(why, *(const struct slice *)arg), "%.*s", (int)why.n, why.p);
    cr_assert_eq(named >> i & 1, 0u);
    named |= UINT32_C(1) << i;
}

static struct influx_finding
find(uint32_t *list, const struct influx_answer *a, const char *why_text)
{
    struct slice why = {why_text, strlen(why_text)};
    named = 0;
    struct influx_finding f = influx_suspects_find(&rows, list, 20, a, true, settle_named, &why);
    check_list(list);
    return f;
}

Test(influx_suspects, the_oldest)
{
    uint32_t list[20];
    struct influx_answer a = {.suspects = INFLUX_SUSPECTS_OLDEST, .dropped = 3};
    add_points(list);
    struct influx_finding f = find(list, &a, "");
    cr_assert_eq(f.split, 3u);
    cr_assert_eq(f.bad, 3);
    for (uint32_t i = 0; i < 20; i++)
        cr_assert_eq(list[i], 19 - i);
    a.dropped = 21;
    f = find(list, &a, "");
    cr_assert_eq(f.split, 0u, "it cannot be");
    cr_assert_eq(f.bad, -1);
}

Test(influx_suspects, a_measurement)
{
    static const struct {
        struct slice name; /* as InfluxDB prints it: backslashes stay doubled */
        uint32_t rest;
    } cases[] = {
        {SLICE("cpu"), 0}, {SLICE("cp"), 1}, {SLICE("c p,u=\\\\x"), 2}, {SLICE("cpu,x"), 3}};
    uint32_t list[20];
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        struct influx_answer a = {
            .suspects = INFLUX_SUSPECTS_MEASUREMENT, .dropped = 2, .measurement = cases[c].name};
        add_points(list);
        struct influx_finding f = find(list, &a, "");
        cr_assert_eq(f.split, 5u);
        cr_assert_eq(f.named + f.clean, 0u);
        for (int i = 0; i < 5; i++)
            cr_assert_eq(list[i] % 4, cases[c].rest);
        cr_assert_lt(rows.rows[list[0]].time_ms, rows.rows[list[4]].time_ms, "by time");
        influx_rows_free(&rows);
    }
    add_points(list);
    struct influx_answer a = {.suspects = INFLUX_SUSPECTS_SERIES, .measurement = SLICE("other")};
    cr_assert_eq(find(list, &a, "").split, 0u, "none of them");
}

/* The rows with the value that is told, those before it, and those that have other values. */
Test(influx_suspects, a_tag)
{
    uint32_t list[20];
    add_points(list);
    influx_rows_reset(&rows);
    for (uint32_t i = 0; i < 20; i++) {
        char tenant[8];
        snprintf(tenant, sizeof(tenant), i % 10 == 6 ? "x =" : "t%u", 50 - i);
        cr_assert_eq(add(i % 2 == 0 ? "cpu" : "other", tenant, i), STORE_ADDED);
    }
    struct influx_answer a = {.suspects = INFLUX_SUSPECTS_TAG,
                              .dropped = 4,
                              .error = SLICE("limit"),
                              .measurement = SLICE("cpu"),
                              .tag = SLICE("_tenant_id"),
                              .value = SLICE("x =")};
    struct influx_finding f = find(list, &a, "limit");
    cr_assert_eq(named, UINT32_C(1) << 6 | UINT32_C(1) << 16);
    cr_assert_eq(f.named, 2u);
    cr_assert_eq(f.clean, 6u);
    cr_assert_eq(f.split, 13u, "five more have other values: 8, 10, 12, 14, 18");
    cr_assert_eq(list[0], 6u);
    cr_assert_eq(list[2], 0u);
    a.value = SLICE("none of ours");
    for (uint32_t i = 0; i < 20; i++)
        list[i] = i;
    f = find(list, &a, "limit");
    cr_assert_eq(f.named + f.clean, 0u);
}

Test(influx_suspects, unknown)
{
    uint32_t list[20];
    struct influx_answer a = {.suspects = INFLUX_SUSPECTS_UNKNOWN, .dropped = 3};
    add_points(list);
    struct influx_finding f = find(list, &a, "");
    cr_assert_eq(f.bad, 3);
    cr_assert_eq(f.named + f.clean + f.split, 0u);
}

/* Names rows 3 and 6 as a server does. */
Test(influx_suspects, named_lines)
{
    uint32_t list[20];
    struct buf text;
    add_points(list);
    rows.rows[19].at = rows.rows[3].at; /* the same line twice */
    rows.rows[19].n = rows.rows[3].n;
    buf_init(&text, 1 << 16);
    for (int twice = 0; twice < 2; twice++) {
        buf_add_text(&text, "unable to parse '");
        buf_add_slice(&text, influx_rows_line(&rows, 3));
        buf_add_text(&text, "': why\nunable to parse 'somebody else's': why\n");
    }
    buf_add_text(&text, "hidden: unable to parse '");
    buf_add_slice(&text, influx_rows_line(&rows, 5));
    buf_add_text(&text, "': why\nunable to parse '");
    buf_add_slice(&text, influx_rows_line(&rows, 6));
    struct influx_answer a = {
        .suspects = INFLUX_SUSPECTS_NAMED, .dropped = -1, .error = {text.data, text.size}};
    struct influx_finding f = find(list, &a, "why");
    cr_assert_eq(named, UINT32_C(1) << 3 | UINT32_C(1) << 19, "neither in a text nor cut off");
    cr_assert_eq(f.named, 2u);
    cr_assert(f.all_named);
    a.cut_off = true;
    for (uint32_t i = 0; i < 20; i++)
        list[i] = i;
    cr_assert(!find(list, &a, "why").all_named);
    buf_free(&text);
}

/* Series that were refused go to the end, until they are stored again. */
Test(influx_suspects, the_memory)
{
    static struct influx_memory memory;
    uint32_t list[20];
    add_points(list);
    cr_assert_eq(influx_memory_gather(&memory, &rows, list, 20), 0u);
    influx_memory_note(&memory, &rows, 2, true);
    cr_assert_eq(influx_memory_gather(&memory, &rows, list, 20), 5u);
    for (int i = 15; i < 20; i++)
        cr_assert_eq(list[i] % 4, 2u);
    check_list(list);
    influx_memory_note(&memory, &rows, 6, false);
    cr_assert_eq(influx_memory_gather(&memory, &rows, list, 20), 0u);
    cr_assert_eq(memory.n, 0u);
}

/* It forgets only where there are too many, and one too many is no harm. */
Test(influx_suspects, the_memory_forgets_little)
{
    static struct influx_memory memory;
    size_t known = 0;
    influx_rows_init(&rows, "mon", false); /* for the end */
    for (uint64_t pass = 0; pass < 3; pass++)
        for (uint64_t i = 0; i < 20000; i++) {
            struct slice text = {(const char *)&i, sizeof(i)};
            uint64_t hash = influx_answer_hash(INFLUX_HASH_START, text);
            if (pass == 1)
                known += influx_memory_has(&memory, hash);
            else
                influx_memory_put(&memory, hash, pass == 0);
        }
    cr_assert_gt(known, 19900u);
    cr_assert_eq(memory.n, 0u);
    for (uint64_t i = 0; i < 100; i++)
        influx_memory_put(&memory, i * INFLUX_MEMORY_PLACES + (i << 32), true);
    cr_assert_eq(memory.n, (size_t)INFLUX_MEMORY_EACH);
}
