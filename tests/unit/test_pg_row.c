/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pg_row.c - binary COPY rows against the bytes of PostgreSQL's documentation, and the
 * identity of series.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>

#include "store/pg/pg_row.h"

static struct measurement
sample(void)
{
    return (struct measurement){
        .tenant_id = SLICE("t"), .region = SLICE("r"), .name = SLICE("cpu")};
}

static struct pg_key
key_of(const struct measurement *m)
{
    struct buf work;
    struct pg_key key;
    buf_init(&work, 1 << 16);
    cr_assert_eq(pg_row_key(m, &work, &key), 0);
    buf_free(&work);
    return key;
}

static bool
same_key(const struct measurement *a, const struct measurement *b)
{
    struct pg_key x = key_of(a), y = key_of(b);
    return memcmp(x.bytes, y.bytes, PG_KEY_BYTES) == 0;
}

Test(pg_row, a_series_is_its_tenant_region_name_and_dimensions)
{
    struct dimension d[] = {{SLICE("host"), SLICE("a")}, {SLICE("x"), SLICE("")}};
    struct measurement a = sample(), b = sample();
    a.dimensions = b.dimensions = d;
    a.n_dimensions = b.n_dimensions = 2;
    a.time_ms = 1;
    a.value_meta = SLICE("{}");
    cr_assert(same_key(&a, &b), "time and value_meta are not part of it");
    b.n_dimensions = 1;
    cr_assert(!same_key(&a, &b), "an empty dimension is one all the same");
    b = a;
    b.tenant_id = SLICE("u");
    cr_assert(!same_key(&a, &b));
}

/* Texts run together must not make one series of two. */
Test(pg_row, texts_do_not_run_together)
{
    struct measurement a = sample(), b = sample();
    struct dimension one[] = {{SLICE("ab"), SLICE("c")}}, other[] = {{SLICE("a"), SLICE("bc")}};
    a.tenant_id = SLICE("tr");
    a.region = SLICE("");
    b.tenant_id = SLICE("t");
    b.region = SLICE("r");
    cr_assert(!same_key(&a, &b));
    a = b = sample();
    a.dimensions = one;
    b.dimensions = other;
    a.n_dimensions = b.n_dimensions = 1;
    cr_assert(!same_key(&a, &b));
}

Test(pg_row, dimensions_become_json)
{
    struct buf b;
    struct measurement m = sample();
    struct dimension d[] = {{SLICE("a\"b"), SLICE("c\\d\te\x7f")},
                            {SLICE("z"), SLICE("caf\xc3\xa9")}};
    buf_init(&b, 1 << 16);
    m.dimensions = d;
    pg_row_add_dimensions(&b, &m);
    cr_assert(b.size == 2 && memcmp(b.data, "{}", 2) == 0);
    buf_clear(&b);
    m.n_dimensions = 2;
    pg_row_add_dimensions(&b, &m);
    static const char expected[] = "{\"a\\\"b\":\"c\\\\d\\u0009e\x7f\",\"z\":\"caf\xc3\xa9\"}";
    cr_assert(b.size == sizeof(expected) - 1 && memcmp(b.data, expected, b.size) == 0, "%.*s",
              (int)b.size, b.data);
    buf_free(&b);
}

Test(pg_row, times_are_microseconds_since_2000_within_timestamptz)
{
    int64_t us;
    cr_assert_eq(pg_row_time(946684800000, &us), 0);
    cr_assert_eq(us, 0);
    cr_assert_eq(pg_row_time(-1, &us), 0);
    cr_assert_eq(us, -946684800001000);
    cr_assert_eq(pg_row_time(-210866803200000, &us), 0, "4714-11-24 BC is the first");
    cr_assert_eq(us, -211813488000000000);
    cr_assert_eq(pg_row_time(-210866803200001, &us), -1);
    cr_assert_eq(pg_row_time(9224318015999999, &us), 0, "294276-12-31 is the last");
    cr_assert_eq(pg_row_time(9224318016000000, &us), -1);
    cr_assert_eq(pg_row_time(INT64_MAX, &us), -1);
    cr_assert_eq(pg_row_time(INT64_MIN, &us), -1);
}

Test(pg_row, fields_are_in_network_order_behind_their_lengths)
{
    static const unsigned char expected[] = {
        'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xff, '\r', '\n', 0,    0,    0,   0, 0,
        0,   0,   0,   0,   0,   3,   0,    0,    0,    8,    0,    0,    0,   0, 0,
        0,   0,   7,   0,   0,   0,   3,   1,   '{', '}',  0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct buf b;
    buf_init(&b, 1 << 16);
    pg_row_begin(&b);
    pg_row_start(&b, 3);
    pg_row_add_int8(&b, 7);
    pg_row_add_jsonb(&b, SLICE("{}"));
    pg_row_add_jsonb(&b, (struct slice){NULL, 0});
    pg_row_end(&b);
    cr_assert_eq(b.size, sizeof(expected));
    cr_assert_arr_eq(b.data, expected, sizeof(expected));
    buf_free(&b);
}

Test(pg_row, a_measurement_is_the_fields_one_by_one)
{
    const struct pg_row_measurement m = {.series = 7, .time_us = -8, .value = 1.5, .value_meta = SLICE("{}")};
    const struct pg_row_measurement bare = {.series = INT64_MAX, .time_us = 0, .value = -0.0};
    static const unsigned char rest[] = {0, 0, 0, 8, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0};
    static const unsigned char zero[] = {0, 0, 0, 8, 0x80, 0, 0, 0, 0, 0, 0, 0};
    const int64_t first = 3;
    struct buf rows, fields;
    buf_init(&rows, 1 << 16);
    buf_init(&fields, 1 << 16);
    pg_row_add_measurement(&rows, &first, &m);
    pg_row_add_measurement(&rows, NULL, &bare);
    pg_row_start(&fields, 5);
    pg_row_add_int8(&fields, 3);
    pg_row_add_int8(&fields, 7);
    pg_row_add_int8(&fields, -8);
    buf_add(&fields, rest, sizeof(rest));
    pg_row_add_jsonb(&fields, SLICE("{}"));
    pg_row_start(&fields, 4);
    pg_row_add_int8(&fields, INT64_MAX);
    pg_row_add_int8(&fields, 0);
    buf_add(&fields, zero, sizeof(zero));
    pg_row_add_jsonb(&fields, (struct slice){NULL, 0});
    cr_assert_eq(rows.size, fields.size);
    cr_assert_arr_eq(rows.data, fields.data, fields.size);
    buf_free(&rows);
    buf_free(&fields);
}

Test(pg_row, a_key_in_hex_is_as_printf_writes_it)
{
    struct pg_key key;
    struct buf b, expected;
    buf_init(&b, 1 << 16);
    buf_init(&expected, 1 << 16);
    for (int i = 0; i < PG_KEY_BYTES; i++)
        key.bytes[i] = (unsigned char)(i * 41);
    pg_row_add_hex(&b, &key);
    buf_add_text(&expected, "\"\\\\x");
    for (int i = 0; i < PG_KEY_BYTES; i++)
        buf_printf(&expected, "%02x", key.bytes[i]);
    buf_add_char(&expected, '"');
    cr_assert_eq(b.size, expected.size);
    cr_assert_arr_eq(b.data, expected.data, b.size);
    buf_free(&b);
    buf_free(&expected);
}

/* By bytes, as they are written one by one, whatever stands at whatever place. */
Test(pg_row, quoted_texts_are_escaped_byte_by_byte)
{
    static const char kinds[] = "a\"\\\x01\x1f\x7f\xc3 ";
    uint64_t state = 7;
    for (size_t n = 0; n < 100; n++)
        for (int round = 0; round < 40; round++) {
            char text[100];
            struct buf b, expected;
            bool json = round % 2 == 0;
            buf_init(&b, 1 << 16);
            buf_init(&expected, 1 << 16);
            buf_add_char(&expected, '"');
            for (size_t i = 0; i < n; i++) {
                state = state * UINT64_C(6364136223846793005) + 1;
                unsigned char c = (unsigned char)kinds[round < 4 ? 0 : (state >> 40) % (sizeof(kinds) - 1)];
                text[i] = (char)c;
                if (json && c < 0x20) {
                    buf_printf(&expected, "\\u%04x", c);
                    continue;
                }
                if (c == '"' || c == '\\')
                    buf_add_char(&expected, '\\');
                buf_add_char(&expected, (char)c);
            }
            buf_add_char(&expected, '"');
            pg_row_add_quoted(&b, (struct slice){text, n}, json);
            cr_assert_eq(b.size, expected.size);
            cr_assert_arr_eq(b.data, expected.data, b.size);
            buf_free(&b);
            buf_free(&expected);
        }
}
