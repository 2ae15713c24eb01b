/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_num.c - what is read of a plain number is what strtod reads, to the last bit.
 *
 * Process: the tests.  Owner: each test.  Concurrency: one thread.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/num.h"

TestSuite(num, .timeout = 60);

/* Returns: whether it was taken for plain. */
static bool
expect_as_strtod(const char *text)
{
    double read, expected = strtod(text, NULL);
    if (!num_read_plain((struct slice){text, strlen(text)}, &read))
        return false;
    cr_assert_eq(memcmp(&read, &expected, sizeof(read)), 0, "%s: %.17g, strtod %.17g", text, read,
                 expected);
    return true;
}

Test(num, plain_numbers_are_as_strtod_reads_them)
{
    static const char *const plain[] = {"0",   "-0",  "1",       "-1",    "0.1",  "-0.3", "99.9",
                                        "0.0", "1.5", "123.456", "100.0", "0.00000000000001",
                                        "999999999999999", "-99999999999999.9", "9.00719925474099"};
    for (size_t i = 0; i < COUNT_OF(plain); i++)
        cr_expect(expect_as_strtod(plain[i]), "%s", plain[i]);
}

Test(num, others_are_left_to_strtod)
{
    static const char *const others[] = {"1e3",  "1E-2", "9007199254740993", "0.1000000000000000055",
                                         "1e400", "-1.5e300", "0.000000000000001", "1234567890123456"};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        cr_expect_not(expect_as_strtod(others[i]), "%s", others[i]);
}

Test(num, a_million_decimals_are_as_strtod_reads_them)
{
    uint64_t state = 1;
    for (int i = 0; i < 1000000; i++) {
        char text[64];
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        unsigned long long whole = state >> (16 + i % 48), part = (state >> 20) % 100000000;
        snprintf(text, sizeof(text), "%s%llu.%0*llu", i % 2 ? "-" : "", whole % 10000000, 1 + i % 8,
                 part % (i % 8 == 7 ? 100000000 : 10));
        (void)expect_as_strtod(text);
    }
}
