/*
 * test_influx_rows.c - the lines of a batch by database, and which of them an answer points at.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "store/influx_rows.h"
#include "store/influx_suspects.h"

static struct influx_rows rows;

static void
free_rows(void)
{
    influx_rows_free(&rows);
}

TestSuite(influx_rows, .fini = free_rows);
TestSuite(influx_suspects, .fini = free_rows);

/* Adds a point as the next row of the worker's, which counts from 100. */
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
    return influx_rows_add(&rows, &record, (uint32_t)rows.n + 100, &why);
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
    cr_assert_eq(influx_rows_pick(&rows, 0, &from, 10, 1000, list), 2u);
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
        cr_assert_eq(influx_rows_pick(&rows, d, &from, 20, 10000, list), 3u);
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
    rows.rows[1].settled = true;
    cr_assert_eq(influx_rows_pick(&rows, 0, &from, 4, 10 * line, list), 4u);
    cr_assert_eq(list[1], 2u);
    cr_assert_eq(influx_rows_pick(&rows, 0, &from, 10, 2 * line, list), 2u);
    cr_assert_eq(influx_rows_pick(&rows, 0, &from, 10, 1, list), 1u);
    cr_assert_eq(influx_rows_pick(&rows, 0, &from, 10, 10 * line, list), 2u);
    cr_assert_eq(influx_rows_pick(&rows, 0, &from, 10, 10 * line, list), 0u);
    rows.rows[9].settled = true;
    list[0] = 8, list[1] = 9, list[2] = 3;
    cr_assert_eq(influx_rows_keep_unsettled(&rows, list, 3), 2u);
    cr_assert_eq(list[1], 3u);
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

Test(influx_suspects, the_oldest)
{
    uint32_t list[20];
    struct influx_answer a = {.suspects = INFLUX_SUSPECTS_OLDEST, .dropped = 3};
    add_points(list);
    cr_assert_eq(influx_suspects_split(&rows, list, 20, &a), 3u);
    check_list(list);
    for (uint32_t i = 0; i < 20; i++)
        cr_assert_eq(list[i], 19 - i);
    a.dropped = 21;
    cr_assert_eq(influx_suspects_split(&rows, list, 20, &a), 10u, "it cannot be: halves");
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
        struct influx_answer a = {.suspects = INFLUX_SUSPECTS_MEASUREMENT,
                                  .measurement = cases[c].name};
        add_points(list);
        cr_assert_eq(influx_suspects_split(&rows, list, 20, &a), 5u);
        check_list(list);
        for (int i = 0; i < 5; i++)
            cr_assert_eq(list[i] % 4, cases[c].rest);
        cr_assert_lt(rows.rows[list[0]].time_ms, rows.rows[list[4]].time_ms, "by time");
        cr_assert_eq(influx_suspects_split(&rows, list, 5, &a), 2u, "all of them: halves");
        influx_rows_free(&rows);
    }
    add_points(list);
    struct influx_answer a = {.suspects = INFLUX_SUSPECTS_SERIES, .measurement = SLICE("other")};
    cr_assert_eq(influx_suspects_split(&rows, list, 20, &a), 10u, "none of them: halves");
    check_list(list);
}

Test(influx_suspects, unknown)
{
    uint32_t list[20];
    struct influx_answer a = {.suspects = INFLUX_SUSPECTS_UNKNOWN, .dropped = 3};
    add_points(list);
    cr_assert_eq(influx_suspects_split(&rows, list, 20, &a), 10u);
    cr_assert_eq(influx_suspects_split(&rows, list, 3, &a), 1u);
    cr_assert_eq(influx_suspects_split(&rows, list, 2, &a), 1u);
}

static void
settle_named(void *arg, uint32_t i, struct slice why)
{
    uint32_t *named = arg;
    cr_assert(slice_equal(why, SLICE("why")));
    rows.rows[i].settled = true;
    *named |= UINT32_C(1) << i;
}

Test(influx_suspects, named_lines)
{
    uint32_t list[20], named = 0;
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
    struct influx_answer a = {.suspects = INFLUX_SUSPECTS_NAMED, .error = {text.data, text.size}};
    influx_suspects_find_named(&rows, list, 20, &a, settle_named, &named);
    cr_assert_eq(named, UINT32_C(1) << 3 | UINT32_C(1) << 19, "neither in a text nor cut off");
    buf_free(&text);
}
