/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cass.c - the pure parts of the Cassandra store: write timestamps, identities, statements, what
 * is remembered. That a server agrees is tested in tests/whole/test_store_cassandra.py.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "cql/cql_frame.h"
#include "cql/cql_murmur.h"
#include "store/cassandra/cass_cache.h"
#include "store/cassandra/cass_row.h"
#include "store/cassandra/cass_time.h"
#include "store/sub_alarms.h"

static const int64_t now_ms = 1790000000123, hour_ms = CASS_HOUR_MS;

/* --- write timestamps --- */

Test(cass_time, the_later_offset_of_a_millisecond_wins)
{
    int64_t first = cass_time_of_value(now_ms, 3, 41), second = cass_time_of_value(now_ms, 3, 42);
    cr_expect_eq(second - first, 1);
    cr_expect_neq(cass_time_of_value(now_ms, 4, 41), first, "another partition");
    cr_expect_eq(first / 1000, now_ms);
    cr_expect_lt(second, cass_time_of_value(now_ms + 1, 0, 0));
}

Test(cass_time, what_is_no_time_of_kafkas_is_the_earliest)
{
    const int64_t none[] = {-1, 0, INT64_MIN, 999999999999, 4102444800000, INT64_MAX};
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        int64_t us = cass_time_of_value(none[i], INT32_MAX, INT64_MAX);
        cr_expect_geq(us, 1000000000000000);
        cr_expect_lt(us, 1000000000001000);
    }
}

Test(cass_time, an_update_is_of_its_hour_and_never_after_kafkas)
{
    int64_t hour = now_ms - now_ms % hour_ms;
    cr_expect_eq(cass_time_of_update(now_ms, now_ms), hour * 1000);
    cr_expect_eq(cass_time_of_update(now_ms - hour_ms, now_ms), (hour - hour_ms) * 1000);
    int64_t ahead = cass_time_of_update(now_ms + hour_ms, now_ms);
    int64_t further = cass_time_of_update(now_ms + 99 * hour_ms, now_ms);
    cr_expect_gt(ahead, hour * 1000);
    cr_expect_gt(further, ahead, "the further wins");
    cr_expect_leq(cass_time_of_update(INT64_MAX, now_ms), now_ms * 1000);
    cr_expect_leq(further, cass_time_of_hour(now_ms + 99 * hour_ms), "what add relies on");
    const int64_t odd[] = {INT64_MIN, -1, 0, INT64_MAX};
    for (size_t i = 0; i < COUNT_OF(odd); i++)
        for (size_t k = 0; k < COUNT_OF(odd); k++)
            cr_expect_leq(cass_time_of_update(odd[i], odd[k]), cass_time_of_hour(odd[i]));
}

Test(cass_time, the_earlier_creation_has_the_higher_timestamp)
{
    const int64_t times[] = {INT64_MIN, -1000000000000, -1, 0, 1, now_ms, now_ms + 1, INT64_MAX};
    for (size_t i = 1; i < COUNT_OF(times); i++) {
        int64_t a = cass_time_of_creation(times[i - 1]), b = cass_time_of_creation(times[i]);
        cr_expect_gt(a, b, "%zu", i);
        cr_expect_geq(b, 1);
        cr_expect_leq(a, 1000000000000000, "below any that somebody deletes with");
    }
}

Test(cass_time, updated_at_is_the_end_of_the_hour)
{
    cr_expect_eq(cass_time_updated_at(0), hour_ms);
    cr_expect_eq(cass_time_updated_at(hour_ms - 1), hour_ms);
    cr_expect_eq(cass_time_updated_at(-1), 0);
    cr_expect_eq(cass_time_updated_at(INT64_MAX), INT64_MAX);
    cr_expect_leq(cass_time_updated_at(INT64_MIN + hour_ms), INT64_MIN + 2 * hour_ms);
}

/* --- identities --- */

static const struct dimension two[] = {{{"hostname", 8}, {"compute-005", 11}},
                                       {{"service", 7}, {"storage", 7}}};

static struct measurement
measurement(const struct dimension *dimensions, size_t n)
{
    return (struct measurement){.tenant_id = SLICE("73ab48767734d7c1c7fde805ec99108d"),
                                .region = SLICE("eu-west"),
                                .name = SLICE("monasca.collection_time_sec"),
                                .dimensions = dimensions,
                                .n_dimensions = n,
                                .value_text = SLICE("1.5"),
                                .time_ms = 5};
}

static struct cass_key
key_of(const struct measurement *m)
{
    struct cass_series s = cass_row_series(m);
    struct cass_key key;
    struct buf work;
    buf_init(&work, 1 << 20);
    cr_assert_eq(cass_row_key(&s, &work, &key), 0);
    buf_free(&work);
    return key;
}

/* tests/corpus/cassandra/metrics.jsonl.gz: what the Python persister computes. */
Test(cass_row, an_identity_is_the_python_persisters)
{
    struct measurement m = measurement(two, 2);
    struct cass_key key = key_of(&m);
    char hex[2 * CASS_KEY_BYTES + 1];
    for (int i = 0; i < CASS_KEY_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", key.bytes[i]);
    cr_expect_str_eq(hex, "1fd537e1f6ce8e32d894c348cf32b8a9f07d7364");
}

Test(cass_row, a_measurement_is_laid_out_as_its_statement_has_it)
{
    struct measurement m = measurement(two, 2);
    struct cass_key key = key_of(&m);
    struct buf out, work, text;
    buf_init(&out, 1 << 20);
    buf_init(&work, 1 << 20);
    buf_init(&text, 1 << 20);
    cass_row_put_measurement(&out, &key, &m);
    cass_row_set_time(out.data, out.size, 77);
    struct cql_reader r = {.p = out.data, .n = out.size};
    struct slice v[5];
    unsigned n = 0;
    int64_t time;
    while (n < 5 && cql_list_next(&r, &v[n]))
        n++;
    cr_assert_eq(n, cass_row_values(CASS_MEASUREMENT));
    cr_expect_eq(r.n, 0);
    cr_expect_eq(memcmp(v[0].p, key.bytes, CASS_KEY_BYTES), 0);
    cr_expect(cql_get_bigint(v[4], &time) && time == 77);
    cr_expect(slice_equal(v[3], SLICE("{}")));
    cr_expect_eq(cass_row_token(CASS_MEASUREMENT, (struct slice){out.data, out.size}, &work),
                 cql_murmur_token(v[0]));
    cass_row_statement(&text, CASS_MEASUREMENT, "mon", 86400);
    cr_expect(slice_equal((struct slice){text.data, text.size},
                          SLICE("INSERT INTO \"mon\".measurements (metric_id, time_stamp, value, "
                                "value_meta) VALUES (?, ?, ?, ?) USING TTL 86400 AND TIMESTAMP ?")));
    buf_clear(&text);
    cass_row_statement(&text, CASS_DIMENSION, "mon", 86400);
    cr_expect(slice_equal((struct slice){text.data, text.size},
                          SLICE("INSERT INTO \"mon\".dimensions (region, tenant_id, name, value) "
                                "VALUES (?, ?, ?, ?) USING TIMESTAMP ?")));
    buf_free(&out);
    buf_free(&work);
    buf_free(&text);
}

Test(cass_row, a_tab_and_what_is_too_large_for_a_key_are_refused)
{
    struct reject why;
    char *large = malloc(70000);
    memset(large, 'x', 70000);
    struct dimension tab[] = {{{"a", 1}, {"b\tc", 3}}}, tabs[] = {{{"a\t", 2}, {"b", 1}}};
    struct dimension big[] = {{{"a", 1}, {large, 66000}}};
    struct measurement m = measurement(two, 2);
    cr_expect_eq(cass_row_check_series(&m, &why), 0);
    m = measurement(tab, 1);
    cr_expect_eq(cass_row_check_series(&m, &why), -1);
    cr_expect_eq(why.reason, REJECT_UNSTORABLE);
    m = measurement(tabs, 1);
    cr_expect_eq(cass_row_check_series(&m, &why), -1);
    m = measurement(big, 1);
    cr_expect_eq(cass_row_check_series(&m, &why), -1);
    m = measurement(two, 2);
    m.name = (struct slice){large, 66000};
    cr_expect_eq(cass_row_check_series(&m, &why), -1);
    m.name = (struct slice){large, 30000};
    cr_expect_eq(cass_row_check_series(&m, &why), 0);
    struct dimension many[1000];
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = two[0];
    m.dimensions = many;
    m.n_dimensions = COUNT_OF(many);
    cr_expect_eq(cass_row_check_series(&m, &why), -1, "its listing would be a thousand times its name");
    m = measurement(two, 2);
    cr_expect_eq(cass_row_check_value(&m, &why), 0);
    m.value_meta = (struct slice){large, (size_t)1 << 30};
    cr_expect_eq(cass_row_check_value(&m, &why), -1, "by its length alone");
    cr_expect_eq(why.reason, REJECT_TOO_LARGE);
    free(large);
}

Test(cass_row, sub_alarms_get_the_names_that_the_api_reads)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    sub_alarms_put(&out, SLICE("[{\"subAlarmState\": \"subAlarmState\", \"a\\\"b\" : {\"currentValues\""
                               " :[1]}}]"));
    cr_expect(slice_equal((struct slice){out.data, out.size},
                          SLICE("[{\"sub_alarm_state\": \"subAlarmState\", \"a\\\"b\": {"
                                "\"current_values\":[1]}}]")),
              "%.*s", (int)out.size, out.data);
    buf_free(&out);
}

/* --- what is remembered --- */

static struct cass_key
number(uint32_t n)
{
    struct cass_key key = {{0}};
    uint64_t spread = n * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(key.bytes, &spread, sizeof(spread));
    memcpy(key.bytes + 8, &n, sizeof(n));
    return key;
}

Test(cass_cache, it_keeps_what_is_in_use_within_its_bound)
{
    struct cass_cache *cache = cass_cache_new(1000);
    unsigned found = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        struct cass_known known = {.key = number(i), .until_s = 1, .created_ms = i};
        cass_cache_put(cache, &known);
        struct cass_key used = number(7);
        const struct cass_known *seven = cass_cache_find(cache, &used);
        cr_assert(i < 7 || (seven != NULL && seven->created_ms == 7), "%u", i);
    }
    for (uint32_t i = 0; i < 10000; i++) {
        struct cass_key key = number(i);
        found += cass_cache_find(cache, &key) != NULL;
    }
    cr_expect_leq(found, 1000);
    cr_expect_geq(found, 400);
    cass_cache_forget(cache);
    struct cass_key key = number(9999);
    cr_expect_null(cass_cache_find(cache, &key));
    cass_cache_free(&cache);
}
