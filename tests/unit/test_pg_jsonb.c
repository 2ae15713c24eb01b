/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pg_jsonb.c - what jsonb cannot hold, each limit from both sides.  That the server agrees is
 * tested in tests/whole/test_postgresql.py, JsonbTest.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/pg/pg_jsonb.h"

static const char *
flaw_of(const char *text)
{
    return pg_jsonb_find_flaw((struct slice){text, strlen(text)});
}

static void
expect_held(const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cr_expect_null(flaw_of(texts[i]), "%s: %s", texts[i], flaw_of(texts[i]));
}

static void
expect_flaw(const char *const *texts, size_t n, const char *part)
{
    for (size_t i = 0; i < n; i++) {
        const char *flaw = flaw_of(texts[i]);
        cr_expect(flaw != NULL && strstr(flaw, part) != NULL, "%s: %s", texts[i],
                  flaw != NULL ? flaw : "none");
    }
}

Test(pg_jsonb, nul_is_an_escape_in_a_string)
{
    static const char *const bad[] = {"\"\\u0000\"", "{\"a\\u0000\":1}", "[1,{\"a\":[\"x\\u0000\"]}]",
                                      "\"\\\\\\u0000\"", "\"\\\"\\u0000\""};
    static const char *const good[] = {"\"\\\\u0000\"", "\"\\u0001\"", "\"u0000\"", "", "0",
                                       "\"\\\\\\\\u0000\"", "\"\\\"u0000\""};
    expect_flaw(bad, COUNT_OF(bad), "NUL");
    expect_held(good, COUNT_OF(good));
}

Test(pg_jsonb, surrogates_come_in_pairs)
{
    static const char *const bad[] = {"\"\\ud800\"",          "\"\\udc00\"",
                                      "\"\\ud800x\"",         "\"\\ud800\\n\"",
                                      "\"\\ud800\\ud800\"",   "\"\\udfff\\ud800\"",
                                      "\"\\ud800\\u0041\"",   "\"\\ud83d\\\\ude00\"",
                                      "{\"\\uDBFF\":1}",      "\"\\ud83d\\ude00\\ude00\""};
    static const char *const good[] = {"\"\\ud83d\\ude00\"", "\"\\uDBFF\\uDFFF\"", "\"\\ud7ff\"",
                                       "\"\\ue000\"", "\"\\uffff\"", "\"\\\\ud800\""};
    expect_flaw(bad, COUNT_OF(bad), "surrogate");
    expect_held(good, COUNT_OF(good));
}

Test(pg_jsonb, numbers_have_131072_digits_before_the_point_and_16383_behind_it)
{
    static const char *const bad[] = {
        "1e131072",  "-1e131072", "10e131071",      "0.1e131073",          "1E+131072",
        "1e-16384",  "1.0e-16383", "0e-16384",      "1e999999",            "1e-999999",
        "0e9999999999", "1e99999999999999999999999", "1e-99999999999999999999999", "[0,1e131072]"};
    static const char *const good[] = {"1e131071",  "-9.9e131071",   "0.1e131072", "0.001e131074",
                                       "1e-16383",  "0.1e-16382",    "0e1000000",  "0.0e-16382",
                                       "\"1e999999\"", "{\"1e999999\":1}", "1.5", "-0"};
    expect_flaw(bad, COUNT_OF(bad), "digits");
    expect_held(good, COUNT_OF(good));
}

/* A number of n digits 9, written before or behind the point. */
static const char *
flaw_of_digits(size_t n, bool behind)
{
    char *text = malloc(n + 4);
    memcpy(text, "0.", 2);
    memset(text + 2, '9', n);
    struct slice all = behind ? (struct slice){text, n + 2} : (struct slice){text + 2, n};
    const char *flaw = pg_jsonb_find_flaw(all);
    free(text);
    return flaw;
}

Test(pg_jsonb, digits_that_are_written_out_count_the_same)
{
    cr_expect_null(flaw_of_digits(131072, false));
    cr_expect_not_null(flaw_of_digits(131073, false));
    cr_expect_null(flaw_of_digits(16383, true));
    cr_expect_not_null(flaw_of_digits(16384, true));
}

static const char *
flaw_of_members(char open, char close, const char *member, size_t n)
{
    size_t size = strlen(member), at = 1;
    char *text = malloc(n * (size + 1) + 2);
    text[0] = open;
    for (size_t i = 0; i < n; i++) {
        memcpy(text + at, member, size);
        at += size;
        text[at++] = ',';
    }
    text[at - 1] = close;
    const char *flaw = pg_jsonb_find_flaw((struct slice){text, at});
    free(text);
    return flaw;
}

/* Beyond these PostgreSQL asks for more than 1 GB at once and fails with XX000, which says nothing
 * of the row. */
Test(pg_jsonb, members_of_one_container_are_bounded)
{
    cr_expect_null(flaw_of_members('[', ']', "0", 1 << 24));
    cr_expect_not_null(flaw_of_members('[', ']', "0", (1 << 24) + 1));
    cr_expect_null(flaw_of_members('{', '}', "\"\":0", 1 << 23));
    cr_expect_not_null(flaw_of_members('{', '}', "\"\":0", (1 << 23) + 1));
}

/* Nothing behind the text is looked at, whatever it ends with. */
Test(pg_jsonb, ends_where_the_text_ends)
{
    static const char *const texts[] = {"\"\\", "\"\\u", "\"\\u000", "\"\\ud800\\u", "-", "1e", "1e+",
                                        "1.", "]", "{[,", "\""};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        size_t n = strlen(texts[i]);
        char *exact = malloc(n);
        memcpy(exact, texts[i], n);
        (void)!pg_jsonb_find_flaw((struct slice){exact, n});
        free(exact);
    }
}
