/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_json.c - the JSON scanner: its grammar at every edge, depth, UTF-8, escapes.
 *
 * Each text is scanned in a block of exactly its size, so that AddressSanitizer sees a byte too
 * far.
 *
 * Process: the tests.  Owner: each test.  Concurrency: one thread.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/json.h"

/* Returns: the fault of scanning the whole text as one value; its value and offset if wanted. */
static enum json_fault
scan(const char *text, size_t n, struct json_value *value, size_t *offset)
{
    struct json_value ignored;
    struct json_scanner s;
    char *copy = malloc(n > 0 ? n : 1);
    memcpy(copy, text, n);
    json_scanner_init(&s, (struct slice){copy, n});
    int result = json_scan_value(&s, value != NULL ? value : &ignored);
    if (result == 0)
        result = json_scan_end(&s);
    if (offset != NULL)
        *offset = (size_t)(s.p - s.start);
    cr_assert_eq(result == 0, s.fault == JSON_FINE);
    cr_assert(result == -1 || s.depth == 0);
    free(copy);
    return s.fault;
}

static enum json_fault
scan_text(const char *text)
{
    return scan(text, strlen(text), NULL, NULL);
}

Test(json, takes_what_the_grammar_allows)
{
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "12",
        "-1.5",
        "1e5",
        "1E+5",
        "1.25e-10",
        "1e999",
        "123456789012345678901234567890",
        "\"\"",
        "\"a\"",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        " \t\r\n1 ",
        "[1,2 , 3]",
        "{\"a\":1}",
        "{\"a\" : 1 , \"a\":{}}",
        "[[[]],{},[{}]]",
        "\"\\u00e9\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"\\u0000\"",
        "\"\xc3\xa9\"",
        "\"\xf0\x9f\x98\x80\"",
        "\"\x7f\"",
        "{\"\":\"\"}",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        cr_expect_eq(scan_text(texts[i]), JSON_FINE, "%s", texts[i]);
}

Test(json, refuses_what_the_grammar_does_not_allow)
{
    static const char *const texts[] = {
        "",
        " ",
        "nul",
        "nulls",
        "True",
        "NaN",
        "Infinity",
        "-Infinity",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1.e5",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "'a'",
        "\"a",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\",
        "\"\\u",
        "\"a\nb\"",
        "\"\x01\"",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{",
        "}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{a:1}",
        "{1:1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1]",
        "1 2",
        "{} x",
        "{}{}",
        "[]]",
        "/* */1",
        "\xef\xbb\xbf"
        "1",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        cr_expect_eq(scan_text(texts[i]), JSON_SYNTAX, "%s", texts[i]);
    cr_expect_eq(scan("\"a\0b\"", 5, NULL, NULL), JSON_SYNTAX);
    cr_expect_eq(scan("1\0", 2, NULL, NULL), JSON_SYNTAX);
}

Test(json, utf8_is_that_of_rfc_3629)
{
    static const char *const good[] = {"\xc2\x80",         "\xdf\xbf",        "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",     "\xee\x80\x80",    "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x7f",
                                      "\xc2\xc0",
                                      "\xe0\x9f\xbf",
                                      "\xe0\xa0",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xef\xbf\x7f",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf0\x90\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5",
                                      "\xf5\x80\x80\x80",
                                      "\xfe",
                                      "\xff",
                                      "\xf0\x90\xc0\x80",
                                      "\xf8\x88\x80\x80"};
    char text[16];
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        int n = snprintf(text, sizeof(text), "\"%s\"", good[i]);
        cr_expect_eq(scan(text, (size_t)n, NULL, NULL), JSON_FINE, "good %zu", i);
        cr_expect(json_is_utf8(good[i], strlen(good[i])), "good %zu", i);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int n = snprintf(text, sizeof(text), "\"%s\"", bad[i]);
        cr_expect_eq(scan(text, (size_t)n, NULL, NULL), JSON_NOT_UTF8, "bad %zu", i);
        cr_expect_not(json_is_utf8(bad[i], strlen(bad[i])), "bad %zu", i);
    }
    cr_expect(json_is_utf8(NULL, 0));
}

/* Strings are looked at in words: every special byte at every place in and around a word. */
Test(json, sees_special_bytes_wherever_they_are)
{
    static const struct {
        char byte;
        enum json_fault fault;
    } cases[] = {{'\x1f', JSON_SYNTAX},
                 {'\0', JSON_SYNTAX},
                 {'\n', JSON_SYNTAX},
                 {'\x80', JSON_NOT_UTF8},
                 {'\xff', JSON_NOT_UTF8}};
    static const char plain[] = {' ', '!', '#', '[', ']', '~', '\x7f', 'a'};
    char text[40];
    for (size_t n = 2; n < sizeof(text); n++)
        for (size_t at = 1; at < n - 1; at++)
            for (size_t c = 0; c < COUNT_OF(cases); c++) {
                size_t offset;
                for (size_t i = 0; i < n; i++)
                    text[i] = plain[(i + n) % sizeof(plain)];
                text[0] = text[n - 1] = '"';
                cr_assert_eq(scan(text, n, NULL, NULL), JSON_FINE);
                text[at] = cases[c].byte;
                cr_assert_eq(scan(text, n, NULL, &offset), cases[c].fault);
                cr_assert_eq(offset, at);
                text[at] = '"';
                cr_assert_eq(scan(text, n, NULL, &offset), JSON_SYNTAX);
                cr_assert_gt(offset, at);
            }
}

Test(json, depth_is_bounded_at_64)
{
    enum { MANY = 100000 };
    char *text = malloc(6 * MANY);
    for (size_t depth = 63; depth <= 65; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        cr_expect_eq(scan(text, 2 * depth, NULL, NULL), depth <= 64 ? JSON_FINE : JSON_TOO_DEEP);
        for (size_t i = 0; i < depth; i++)
            memcpy(text + 5 * i, "{\"a\":", 5);
        text[5 * depth] = '1';
        memset(text + 5 * depth + 1, '}', depth);
        cr_expect_eq(scan(text, 6 * depth + 1, NULL, NULL),
                     depth <= 64 ? JSON_FINE : JSON_TOO_DEEP);
    }
    memset(text, '[', MANY);
    cr_expect_eq(scan(text, MANY, NULL, NULL), JSON_TOO_DEEP);
    free(text);
}

/* Whatever a good text is cut to, it is refused, and nothing behind the cut is read. */
Test(json, every_cut_is_refused)
{
    static const char text[] = "{\"a\\u00e9\": [1.5e+3, -2, true, null, {\"b\": \"\xc3\xa9\\n\"}], "
                               "\"c\": false, \"\": {}}";
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        cr_expect_neq(scan(text, n, NULL, NULL), JSON_FINE, "%zu", n);
    cr_expect_eq(scan_text(text), JSON_FINE);
}

static struct json_value
scan_static(const char *text)
{
    struct json_value value = {.type = JSON_ABSENT};
    struct json_scanner s;
    json_scanner_init(&s, (struct slice){text, strlen(text)});
    cr_assert_eq(json_scan_value(&s, &value), 0);
    return value;
}

Test(json, says_what_a_value_is)
{
    static const struct {
        const char *text;
        enum json_type type;
        const char *inside;
    } cases[] = {{" null ", JSON_NULL, "null"},
                 {"true", JSON_TRUE, "true"},
                 {"false", JSON_FALSE, "false"},
                 {" -1.5 ", JSON_NUMBER, "-1.5"},
                 {" \"x y\" ", JSON_STRING, "x y"},
                 {" [1, {}] ", JSON_ARRAY, "[1, {}]"},
                 {" {\"a\": []} ", JSON_OBJECT, "{\"a\": []}"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json_value value = scan_static(cases[i].text);
        struct slice inside = {cases[i].inside, strlen(cases[i].inside)};
        cr_expect_eq(value.type, cases[i].type, "%s", cases[i].text);
        cr_expect(slice_equal(value.text, inside), "%s", cases[i].text);
    }
    cr_expect(scan_static("\"a\\tb\"").escaped);
    cr_expect_not(scan_static("\"a\xc3\xa9 b\"").escaped);
    cr_expect(scan_static("1e5").exponent);
    cr_expect_not(scan_static("1.5").exponent);
}

static void
expect_unescaped(const char *text, const char *expected, size_t n_expected)
{
    struct json_value value = scan_static(text);
    char *out = malloc(value.text.n > 0 ? value.text.n : 1);
    size_t n = SIZE_MAX;
    cr_expect_eq(json_unescape(value.text, out, &n), 0, "%s", text);
    cr_expect_eq(n, n_expected, "%s", text);
    cr_expect_eq(memcmp(out, expected, n_expected), 0, "%s", text);
    free(out);
}

Test(json, unescapes)
{
    expect_unescaped("\"\"", "", 0);
    expect_unescaped("\"abc\"", "abc", 3);
    expect_unescaped("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    expect_unescaped("\"a\\u0000b\"", "a\0b", 3);
    expect_unescaped("\"\\u0041\\u007F\\u0080\\u07ff\"", "A\x7f\xc2\x80\xdf\xbf", 6);
    expect_unescaped("\"\\u0800\\uFFFF\"", "\xe0\xa0\x80\xef\xbf\xbf", 6);
    expect_unescaped("\"\\ud83d\\uDE00!\"", "\xf0\x9f\x98\x80!", 5);
    expect_unescaped("\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf", 4);
    expect_unescaped("\"\xc3\xa9\\n\"", "\xc3\xa9\n", 3);
}

Test(json, half_a_surrogate_pair_is_no_text)
{
    static const char *const texts[] = {
        "\"\\ud800\"",        "\"\\udc00\"",        "\"\\ud800x\"",
        "\"\\ud800\\n\"",     "\"\\ud800\\ud800\"", "\"\\ud800\\ue000\"",
        "\"\\ud800\\u0041\"", "\"\\udc00\\ud800\"", "\"abcdefghijkl\\udbff\""};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct json_value value = scan_static(texts[i]);
        char out[32];
        size_t n;
        cr_expect_eq(json_unescape(value.text, out, &n), -1, "%s", texts[i]);
    }
}

Test(json, walks_an_object)
{
    static const char text[] = " { \"a\" : 1, \"o\": {\"x\": [true]}, \"skip\": [{}], \"e\": {} } ";
    struct json_scanner s;
    struct json_value name, value;
    json_scanner_init(&s, SLICE(text));
    cr_assert_eq(json_peek_type(&s), JSON_OBJECT);
    cr_assert_eq(json_enter_object(&s), 0);
    cr_assert_eq(json_next_member(&s, &name), 1);
    cr_assert(slice_equal(name.text, SLICE("a")));
    cr_assert_eq(json_enter_object(&s), -1, "1 is no object");

    json_scanner_init(&s, SLICE(text));
    cr_assert_eq(json_enter_object(&s), 0);
    cr_assert_eq(json_next_member(&s, &name), 1);
    cr_assert_eq(json_scan_value(&s, &value), 0);
    cr_assert_eq(json_next_member(&s, &name), 1);
    cr_assert_eq(json_enter_object(&s), 0);
    cr_assert_eq(s.depth, 2);
    cr_assert_eq(json_next_member(&s, &name), 1);
    cr_assert(slice_equal(name.text, SLICE("x")));
    cr_assert_eq(json_scan_value(&s, &value), 0);
    cr_assert_eq(json_next_member(&s, &name), 0);
    cr_assert_eq(json_next_member(&s, &name), 1);
    cr_assert(slice_equal(name.text, SLICE("skip")));
    cr_assert_eq(json_scan_value(&s, &value), 0);
    cr_assert_eq(json_next_member(&s, &name), 1);
    cr_assert_eq(json_enter_object(&s), 0);
    cr_assert_eq(json_next_member(&s, &name), 0);
    cr_assert_eq(json_next_member(&s, &name), 0);
    cr_assert_eq(s.depth, 0);
    cr_assert_eq(json_scan_end(&s), 0);
}

Test(json, depth_counts_what_was_entered)
{
    char text[256] = "{\"a\":";
    struct json_scanner s;
    struct json_value name, value;
    memset(text + 5, '[', 64);
    json_scanner_init(&s, (struct slice){text, 5 + 64});
    cr_assert_eq(json_enter_object(&s), 0);
    cr_assert_eq(json_next_member(&s, &name), 1);
    cr_assert_eq(json_scan_value(&s, &value), -1);
    cr_assert_eq(s.fault, JSON_TOO_DEEP);
    cr_assert_eq(s.p - s.start, 5 + 63);
}

/* strtod reads the numbers of a message in place, so one in a container must not be the last byte.
 */
Test(json, a_number_in_a_container_is_never_the_end)
{
    static const char *const texts[] = {"{\"a\":1", "{\"a\":1.5", "{\"a\":1.5e3"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct json_scanner s;
        struct json_value name, value;
        json_scanner_init(&s, (struct slice){texts[i], strlen(texts[i])});
        cr_assert_eq(json_enter_object(&s), 0);
        cr_assert_eq(json_next_member(&s, &name), 1);
        cr_expect_eq(json_scan_value(&s, &value), -1, "%s", texts[i]);
    }
}
