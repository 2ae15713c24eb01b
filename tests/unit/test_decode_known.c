/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_decode_known.c - a decoder that remembers series, and a store's notes in these, make the same
 * of every message as a decoder that remembers nothing: real messages, made up ones, and thousands
 * of mutated ones.
 *
 * Process: the tests.  Owner: each test.  Concurrency: one thread.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/influx/influx_line.h"
#include "store/pg/pg_series.h"
#include "tests/unit/decode_fixture.h"

enum { PLENTY = 8 << 20, SCARCE = 64 << 10 };

static struct decoder *knowing;
static struct pg_series *ids;
static struct pg_fresh *fresh;
static size_t n_known; /* messages of which nothing but the holes was read */

static void
set_up_known(void)
{
    decode_set_up();
    knowing = decoder_new(MAX_MESSAGE);
    cr_assert_not_null(knowing);
    cr_assert_eq(decoder_remember(knowing, PLENTY), 0);
    ids = pg_series_new(1024);
    fresh = pg_fresh_new();
    n_known = 0;
}

static void
tear_down_known(void)
{
    pg_fresh_free(&fresh);
    pg_series_free(&ids);
    decoder_free(&knowing);
    decode_tear_down();
}

TestSuite(decode_known, .init = set_up_known, .fini = tear_down_known, .timeout = 120);

/* ---- sameness ---- */

static void
same_slice(struct slice a, struct slice b, const char *what)
{
    cr_assert(slice_equal(a, b), "%s: '%.*s', not '%.*s', of %s", what, (int)a.n, a.p, (int)b.n,
              b.p, message);
}

static void
same_measurement(const struct measurement *a, const struct measurement *b)
{
    same_slice(a->tenant_id, b->tenant_id, "tenant_id");
    same_slice(a->region, b->region, "region");
    same_slice(a->name, b->name, "name");
    same_slice(a->value_text, b->value_text, "value");
    same_slice(a->value_meta, b->value_meta, "value_meta");
    cr_assert_eq(a->time_ms, b->time_ms, "%lld, not %lld: %s", (long long)a->time_ms, (long long)b->time_ms, message);
    cr_assert_eq(a->n_dimensions, b->n_dimensions);
    for (size_t i = 0; i < a->n_dimensions; i++) {
        same_slice(a->dimensions[i].name, b->dimensions[i].name, "a dimension");
        same_slice(a->dimensions[i].value, b->dimensions[i].value, "a dimension's value");
    }
}

/* Only one store makes use of a series' notes, so each test has one of them. */
static void
same_line(const struct record *a, const struct record *b)
{
    struct buf lines[2];
    struct reject whys[2] = {{.detail = ""}, {.detail = ""}};
    buf_init(&lines[0], 1 << 24);
    buf_init(&lines[1], 1 << 24);
    cr_assert_eq(influx_line_add(&lines[0], a, &whys[0]), influx_line_add(&lines[1], b, &whys[1]));
    same_slice((struct slice){lines[0].data, lines[0].size},
               (struct slice){lines[1].data, lines[1].size}, "line");
    cr_assert_str_eq(whys[0].detail, whys[1].detail);
    buf_free(&lines[0]);
    buf_free(&lines[1]);
}

static void
same_row(const struct record *a, const struct record *b)
{
    struct pg_key keys[2];
    int64_t number = pg_series_find(ids, fresh, &a->measurement, &keys[0]);
    cr_assert_eq(pg_series_find(ids, fresh, &b->measurement, &keys[1]), number);
    cr_assert_arr_eq(keys[0].bytes, keys[1].bytes, PG_KEY_BYTES);
}

typedef void same_stored(const struct record *a, const struct record *b);

/* Returns: whether it was accepted. */
static bool
expect_same(const char *text, size_t n, same_stored *stored)
{
    struct record known;
    struct reject other;
    int result = decode(TOPIC_METRICS, text, n);
    int with = decoder_decode(knowing, TOPIC_METRICS, (struct slice){message, n}, &known, &other);
    cr_assert_eq(result, with, "%d with series, %d without: %.*s", with, result, (int)n, text);
    if (result == -1) {
        cr_assert_eq(why.reason, other.reason);
        cr_assert_str_eq(why.detail, other.detail);
        return false;
    }
    double a = record.creation_time, b = known.creation_time;
    cr_assert((isnan(a) && isnan(b)) || a == b, "%g, not %g: %.*s", b, a, (int)n, text);
    same_measurement(&known.measurement, &record.measurement);
    cr_assert_null(record.measurement.series);
    stored(&known, &record);
    const struct series *series = known.measurement.series;
    n_known += series != NULL && known.measurement.name.p == series_slice(series, series->name).p;
    return true;
}

static bool
expect_same_text(const char *text, same_stored *stored)
{
    return expect_same(text, strlen(text), stored);
}

/* ---- the corpus ---- */

static size_t
compare_corpus(same_stored *stored)
{
    size_t n, accepted = 0;
    char *text = decode_read_corpus("metrics.jsonl", &n), *end;
    for (char *line = text; (end = strchr(line, '\n')) != NULL; line = end + 1)
        accepted += expect_same(line, (size_t)(end - line), stored);
    free(text);
    return accepted;
}

Test(decode_known, the_corpus_makes_the_same_lines)
{
    size_t accepted = compare_corpus(same_line);
    n_known = 0;
    cr_assert_eq(compare_corpus(same_line), accepted);
    cr_assert_gt(n_known * 10, accepted * 8, "%zu of %zu were known", n_known, accepted);
}

Test(decode_known, the_corpus_makes_the_same_rows)
{
    size_t accepted = compare_corpus(same_row);
    n_known = 0;
    cr_assert_eq(compare_corpus(same_row), accepted);
    cr_assert_gt(n_known * 10, accepted * 8, "%zu of %zu were known", n_known, accepted);
}

/* ---- holes ---- */

#define HEAD "{\"metric\":{\"name\":\"n\\u0061me\",\"dimensions\":{\"b\":\"2\",\"a\":1.50},"
#define META "\"meta\":{\"tenantId\":\"t\",\"region\":\"r\"}"

static const char *const numbers[] = {
    "0",      "-0",    "1",        "00",    "01",      "-1",       "1.5",          "1.",
    ".5",     "1.5.5", "1e3",      "1E3",   "1e400",   "-1e-400",  "12345678",     "123456789",
    "1.0000", "+1",    "--1",      "1-1",   "1 1",     "0.1e1",    "1e",           "1234567890123456",
    "null",   "true",  "false",    "\"7\"", "\"7.5\"", "\" 7 \"",  "\"\"",         "\"x\"",
    "[]",     "{}",    "[1,2]",    "nul",   "nulll",   "null\"",   "99999999999999999999",
    "1.123456789012345", "0.30000000000000004", "9200000000000001", "",  " 1", "1 ", "\t1\n", "1\x0b",
    "123456789012345", "1234567890123456789012345678901234567890", "1.7976931348623157e308", "Infinity",
    "1/1", "1:1", "1;1", "1a", "\\u0031"};

enum { TEXT = 1024 };

/* Writes a pattern with a text in the place of each @. */
static void
fill(char out[TEXT], const char *pattern, const char *text)
{
    struct buf b;
    buf_init(&b, TEXT);
    for (; *pattern != '\0'; pattern++)
        if (*pattern == '@')
            buf_add_text(&b, text);
        else
            buf_add_char(&b, *pattern);
    buf_add_char(&b, '\0');
    cr_assert_not(b.failed);
    memcpy(out, b.data, b.size);
    buf_free(&b);
}

/* Each place of a number in turn is each of those, in a message whose series is known. */
Test(decode_known, whatever_stands_in_a_hole)
{
    static const char *const places[] = {
        HEAD "\"timestamp\":@,\"value\":1}," META ",\"creation_time\":1}",
        HEAD "\"timestamp\":1,\"value\":@}," META ",\"creation_time\":1}",
        HEAD "\"timestamp\":1,\"value\":1}," META ",\"creation_time\":@}",
        HEAD "\"value_meta\":@,\"timestamp\":1,\"value\":1}," META ",\"creation_time\":1}",
        HEAD "\"value\":1,\"timestamp\":1,\"value_meta\":@}," META "}",
        "{\"creation_time\":@,\"metric\":{\"timestamp\":@,\"value\":1,\"name\":\"n\"}," META "}",
        "{\"metric\":{\"name\":\"n\",\"timestamp\":1,\"value\":@}," META "}  ",
        "{\"metric\":{\"name\":\"n\",\"timestamp\":1,\"value\":@ }," META "}",
        "{\"metric\":{\"name\":\"n\",\"timestamp\":1,\"value\":@",
        "{\"metric\":{\"name\":\"n\",\"timestamp\":1,\"value\":1}," META ",\"creation_time\":@"};
    char text[TEXT];
    for (size_t p = 0; p < COUNT_OF(places); p++) {
        fill(text, places[p], "5");
        expect_same_text(text, same_line);
        for (size_t i = 0; i < 2 * COUNT_OF(numbers); i++) {
            fill(text, places[p], numbers[i % COUNT_OF(numbers)]);
            expect_same_text(text, same_line);
        }
    }
    cr_assert_gt(n_known, 100, "%zu", n_known);
}

/* Depth counts from the message, wherever a hole is. */
Test(decode_known, value_meta_is_as_deep_as_it_may_be)
{
    char text[1024], open[128], close[128];
    for (int depth = 0; depth < 70; depth++) {
        memset(open, '[', (size_t)depth);
        memset(close, ']', (size_t)depth);
        open[depth] = close[depth] = '\0';
        snprintf(text, sizeof(text), HEAD "\"value_meta\":%s1%s,\"timestamp\":1,\"value\":1}," META "}",
                 open, close);
        expect_same_text(text, same_line);
    }
    cr_assert_gt(n_known, 50);
}

/* Each twice, so that the second might be taken for known. */
Test(decode_known, what_is_out_of_the_ordinary)
{
    static const char *const texts[] = {
        /* the last of duplicates wins */
        HEAD "\"timestamp\":1,\"value\":1,\"value\":2}," META "}",
        HEAD "\"timestamp\":1,\"value\":1,\"timestamp\":\"2\"}," META "}",
        HEAD "\"timestamp\":1,\"value\":1,\"name\":\"other\"}," META "}",
        HEAD "\"timestamp\":1,\"value\":1,\"dimensions\":null}," META "}",
        HEAD "\"timestamp\":1,\"value\":1,\"v\\u0061lue\":2}," META "}",
        HEAD "\"timestamp\":1,\"value\":1}," META ",\"metric\":{\"name\":\"x\",\"value\":1,\"timestamp\":3}}",
        HEAD "\"timestamp\":1,\"value\":1}," META ",\"metric\":null}",
        HEAD "\"timestamp\":1,\"value\":1}," META ",\"m\\u0065tric\":{\"name\":\"x\",\"value\":1,\"timestamp\":3}}",
        HEAD "\"timestamp\":1,\"value\":1}," META "," META "}",
        /* what looks like a hole and is none */
        "{\"metric\":{\"name\":\"\\\"value\\\":5\",\"timestamp\":1,\"value\":1}," META "}",
        "{\"metric\":{\"name\":\"n\",\"dimensions\":{\"value\":\"1\",\"timestamp\":\"2\"},\"timestamp\":1,\"value\":1}," META "}",
        "{\"value\":3,\"timestamp\":4,\"metric\":{\"name\":\"n\",\"timestamp\":1,\"value\":1,\"creation_time\":7}," META "}",
        "{\"metric\":{\"name\":\"n\",\"x\":{\"value\":7},\"timestamp\":1,\"value\":1}," META "}",
        /* nearly JSON */
        HEAD "\"timestamp\":1,\"value\":1}," META "},",
        HEAD "\"timestamp\":1,\"value\":1,}," META "}",
        HEAD ",\"timestamp\":1,\"value\":1}," META "}",
        HEAD "\"timestamp\":1 \"value\":1}," META "}",
        HEAD "\"timestamp\" 1,\"value\":1}," META "}",
        HEAD "\"timestamp\":1,\"value\":1}" META "}",
        HEAD "\"timestamp\":1,\"value\":1}," META "}}",
        HEAD "\"timestamp\":1,\"value\":1,\"x\":\"\t\"}," META "}",
        HEAD "\"timestamp\":1,\"value\":1,\"x\":\"\xff\"}," META "}",
        HEAD "\"timestamp\":1,\"value\":1,\"x\":[}," META "}",
        HEAD "\"timestamp\":1,\"value\":1,\"x\":\"\\\"}," META "}",
        "{\"metric\":{\"name\":\"\",\"timestamp\":1,\"value\":1}," META "}",
        "{\"metric\":{\"name\":\"a\\\\\",\"timestamp\":1,\"value\":1}," META "}",
        "{\"metric\":[],\"timestamp\":1,\"value\":1," META "}",
        "{}", "{", "}", "{}}", " {}", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"metric\":{", "{\"metric\":{\"value\":",
        "{\"metric\":{\"value\":1", "{\"metric\":{\"value\":1}", "{\"metric\":{\"value\":1}}", "{\"metric\":{\"value\":}}",
        "{,}", "{\"a\":\"\\\\\\\"}\"}", "{\"a\":{\"b\":\"}\\\\\"}}",
        "\xef\xbb\xbf" HEAD "\"timestamp\":1,\"value\":1}," META "}",
        " " HEAD "\"timestamp\":1,\"value\":1}," META "}",
        "  \n{ \"metric\" : { \"name\" : \"n\" , \"timestamp\" : 1 , \"value\" : 1 } , " META " }\n",
        "{ \"metric\" :\t{ \"name\" : \"n\" , \"timestamp\"\r: 1 , \"value\" : 1 } ,\n" META " }",
    };
    for (size_t i = 0; i < 2 * COUNT_OF(texts); i++)
        expect_same_text(texts[i / 2], same_line);
}

/* Every cut of a message, of which the whole is known. */
Test(decode_known, every_cut)
{
    static const char text[] =
        HEAD "\"timestamp\":1600000000000,\"value_meta\":{\"a\":\"b\"},\"value\":1.5}," META
             ",\"creation_time\":1600000000}";
    expect_same_text(text, same_line);
    for (size_t n = 0; n < sizeof(text); n++)
        expect_same(text, n, same_line);
    cr_assert_eq(n_known, 1);
}

/* Texts that have another form in the record than in the message. */
Test(decode_known, escapes_and_numbers_are_remembered_as_they_are_read)
{
    static const char text[] =
        "{\"metric\":{\"name\":\"\\u00e9\\t\\\\x\",\"dimensions\":{\"\\u0062\":\"\\ud83d\\ude00\",\"a\":1e15,"
        "\"c\":true,\"d\":\"\",\"e\":-0.0,\"b\":\"last\"},\"timestamp\":@,\"value\":true},"
        "\"meta\":{\"tenantId\":\"\\u0074\",\"region\":\"\"}}";
    static const char other[] =
        "{\"metric\":{\"name\":\"\\u00e9\\t\\\\x\",\"dimensions\":{\"\\u0062\":\"\\ud83d\\ude00\",\"a\":1e15,"
        "\"c\":true,\"d\":\"\",\"e\":-0.0,\"b\":\"last\"},\"timestamp\":@,\"value\":7},"
        "\"meta\":{\"tenantId\":\"\\u0074\",\"region\":\"\"}}";
    char one[TEXT];
    for (int i = 0; i < 5; i++) {
        const char digit[] = {(char)('0' + i), '\0'};
        fill(one, text, digit);
        cr_assert(expect_same_text(one, same_line));
        fill(one, other, digit);
        cr_assert(expect_same_text(one, same_line));
    }
    cr_assert_eq(n_known, 4, "%zu", n_known);
}

/* ---- mutations ---- */

static uint64_t random_state = 0x2545f4914f6cdd1d;

static size_t
draw(size_t below)
{
    random_state ^= random_state << 13; /* xorshift64, G. Marsaglia 2003 */
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % below);
}

static size_t
mutate(char *text, size_t n)
{
    static const char *const pieces[] = {
        "\"", "\\", "{", "}", "[", "]", ",", ":", " ", "0", "9", "-", ".", "e", "\\n", "null", "true",
        "\"value\":1,", "\"value\":\" 1.5e3\",", "\"name\":\"\\u0061\",", "\"timestamp\":12,",
        "\"value_meta\":[{}, 1.0 ],", "\"value_meta\":null,", "\"creation_time\":17,", "\"metric\":{",
        "\"x\":{\"y\":[]},", "\t", "\x01", "\xc3\xa9", "\xff", "\"dimensions\":{\"b\":\"2\",\"a\":\"1\"},"};
    const char *piece = pieces[draw(COUNT_OF(pieces))];
    size_t at = draw(n), size = 1 + draw(4);
    switch (draw(5)) {
    case 0:
        text[at] = (char)draw(256);
        return n;
    case 1:
        size = size < n - at ? size : n - at;
        memmove(text + at, text + at + size, n - at - size);
        return n - size;
    case 2: /* where a member may begin, if there is such a place */
        while (at > 0 && text[at - 1] != '{')
            at--;
        break;
    case 3: /* a digit becomes another */
        while (at < n && (text[at] < '0' || text[at] > '9'))
            at++;
        if (at < n)
            text[at] = (char)('0' + draw(10));
        return n;
    default:
        break;
    }
    size = strlen(piece);
    memmove(text + at + size, text + at, n - at);
    memcpy(text + at, piece, size);
    return n + size;
}

/* Mutations of messages whose series are known, or were, in a cache that holds few. */
static void
compare_mutations(size_t rounds, size_t least_known, same_stored *stored)
{
    size_t n, accepted = 0;
    char *text = decode_read_corpus("metrics.jsonl", &n), changed[8192];
    for (size_t round = 0; round < rounds; round++) {
        char *at = text + draw(n);
        while (at > text && at[-1] != '\n')
            at--;
        size_t size = (size_t)(strchr(at, '\n') - at);
        if (size == 0 || size > sizeof(changed) - 1024)
            continue;
        memcpy(changed, at, size);
        expect_same(changed, size, stored);
        for (size_t i = 1 + draw(4); i > 0 && size > 0; i--) {
            size = mutate(changed, size);
            accepted += expect_same(changed, size, stored);
        }
    }
    cr_log_info("%zu accepted, %zu known", accepted, n_known);
    cr_assert_gt(accepted, rounds / 8);
    cr_assert_gt(n_known, least_known, "%zu", n_known);
    free(text);
}

Test(decode_known, mutations_make_the_same_lines)
{
    compare_mutations(20000, 4000, same_line);
}

Test(decode_known, mutations_make_the_same_rows)
{
    compare_mutations(20000, 4000, same_row);
}

Test(decode_known, mutations_in_a_cache_that_is_too_small)
{
    decoder_free(&knowing);
    knowing = decoder_new(MAX_MESSAGE);
    cr_assert_eq(decoder_remember(knowing, SCARCE), 0);
    compare_mutations(20000, 200, same_line);
    cr_assert_leq(decoder_remembers(knowing), (size_t)SCARCE);
}
