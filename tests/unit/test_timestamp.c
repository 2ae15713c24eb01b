/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_timestamp.c - times of the wall clock as text.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>

#include "lib/timestamp.h"

Test(timestamp, is_in_utc)
{
    char text[TIMESTAMP_BYTES];
    cr_assert_str_eq(timestamp_format(text, INT64_C(1795413600123)), "2026-11-23T06:00:00.123Z");
    cr_assert_str_eq(timestamp_format(text, 0), "1970-01-01T00:00:00.000Z");
    cr_assert_str_eq(timestamp_format(text, -1), "1969-12-31T23:59:59.999Z");
    cr_assert_str_eq(timestamp_format_seconds(text, INT64_C(1795413600999)), "2026-11-23T06:00:00Z");
}

Test(timestamp, a_year_without_four_digits_says_nothing)
{
    char text[TIMESTAMP_BYTES];
    cr_assert_str_eq(timestamp_format(text, INT64_C(253402300799999)), "9999-12-31T23:59:59.999Z");
    cr_assert_str_eq(timestamp_format(text, INT64_C(253402300800000)), "1900-01-01T00:00:00.000Z");
    cr_assert_str_eq(timestamp_format(text, INT64_MAX), "1900-01-01T00:00:00.807Z");
    cr_assert_str_eq(timestamp_format(text, INT64_MIN), "1900-01-01T00:00:00.192Z");
}
