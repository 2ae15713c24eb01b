/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_influx_answer.c - what each answer of InfluxDB means; above all, what is not the data's
 * fault.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "store/influx/influx_answer.h"

static struct buf text = {.max = 1 << 20};

static void
free_text(void)
{
    buf_free(&text);
}

TestSuite(influx_answer, .fini = free_text);

static struct influx_answer
read_answer(long status, const char *body)
{
    struct influx_answer a;
    influx_answer_read(status, (struct slice){body, strlen(body)}, "mon", &text, &a);
    return a;
}

Test(influx_answer, stored_and_too_large)
{
    cr_assert_eq(read_answer(204, "").verdict, INFLUX_STORED);
    cr_assert_eq(read_answer(413, "{\"error\":\"Request Entity Too Large\"}").verdict,
                 INFLUX_TOO_LARGE);
}

Test(influx_answer, the_worlds_trouble)
{
    static const struct {
        long status;
        const char *body;
    } cases[] = {
        {401, "{\"error\":\"unable to parse authentication credentials\"}"},
        {401, "{\"error\":\"authorization failed\"}"},
        {403, "{\"error\":\"partial write: forbidden\"}"},
        {400, "{\"error\":\"database is required\"}"},
        {400, "unable to parse 'x': not even JSON"},
        {400, ""},
        {404, "{\"error\":\"retention policy not found: 1h\"}"},
        {404, "not found"},
        {500, "{\"error\":\"partial write: engine is closed dropped=1\"}"},
        {500, "{\"error\":\"timeout\"}"},
        {503, "<html>"},
        {302, ""},
        {200, ""}, /* InfluxDB found no point, or it is not InfluxDB */
        {200, "<html>"},
        {400, "{\"error\":\"partial write: whatever it is dropped=0\"}"},
        {400, "{\"note\":\"unable to parse 'x': y\"}"},
        {400, "{\"error\":\"cannot: partial write: field type conflict dropped=1\"}"},
        {0, ""},
        {400, "{\"error\":17}"},
        {400, "{\"error\":\"partial write"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        cr_assert_eq(read_answer(cases[i].status, cases[i].body).verdict, INFLUX_WORLD, "%ld %s",
                     cases[i].status, cases[i].body);
}

Test(influx_answer, database_not_found)
{
    cr_assert_eq(read_answer(404, "{\"error\":\"database not found: \\\"mon\\\"\"}\n").verdict,
                 INFLUX_NO_DATABASE);
}

Test(influx_answer, points_beyond_retention)
{
    struct influx_answer a = read_answer(
        400, "{\"error\":\"partial write: points beyond retention policy dropped=12\"}");
    cr_assert_eq(a.verdict, INFLUX_BAD_POINTS);
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_OLDEST);
    cr_assert_eq(a.dropped, 12);
}

/* As recorded from 1.12 and 1.13: the number is not the last word. */
Test(influx_answer, newer_servers_partial_writes)
{
    static const struct {
        const char *error, *measurement;
        enum influx_suspects suspects;
        int64_t dropped;
    } cases[] = {
        {"field type conflict: input field \\\"value\\\" on measurement \\\"cpu\\\" is type float, "
         "already exists as type integer dropped=7 for database: mon for retention policy: autogen",
         "cpu", INFLUX_SUSPECTS_MEASUREMENT, 7},
        {"dropped 2 points outside retention policy of duration 24h0m0s - oldest point m,h=a at "
         "2026-09-20T10:00:00Z dropped because it violates a Retention Policy Lower Bound at "
         "2026-09-21T10:00:00Z, newest point m,h=b at 2026-09-20T11:00:00Z dropped because it "
         "violates a Retention Policy Lower Bound at 2026-09-21T10:00:00Z dropped=2 for database: "
         "mon for retention policy: 24h",
         "", INFLUX_SUSPECTS_OLDEST, 2},
        {"whatever it is", "", INFLUX_SUSPECTS_UNKNOWN, -1},
        {"whatever it is dropped=3 for database: other for retention policy: autogen", "",
         INFLUX_SUSPECTS_UNKNOWN, -1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char body[1024];
        snprintf(body, sizeof(body), "{\"error\":\"partial write: %s\"}", cases[i].error);
        struct influx_answer a = read_answer(400, body);
        cr_expect_eq(a.verdict, INFLUX_BAD_POINTS, "%s", body);
        cr_expect_eq(a.dropped, cases[i].dropped, "%s", body);
        cr_expect_eq(a.suspects, cases[i].suspects, "%s", body);
        cr_expect_eq(a.measurement.n, strlen(cases[i].measurement), "%s", body);
        cr_expect(!a.capacity);
    }
}

/* A measurement's name is in the answer as it is: it counts nothing, and ends nothing. */
Test(influx_answer, senders_texts_count_nothing)
{
    static const struct {
        const char *name;
        int64_t dropped;
    } tails[] = {{" dropped=2", 2}, {" dropped=2 for database: mon for retention policy: x", 2}};
    static const char *const names[] = {
        "a dropped=100",
        "a dropped=100 for database: mon for retention policy: b",
        "a dropped=100 for database: mon for retention policy: b dropped=100",
        "a\\\" is type float, already exists as type string dropped=100",
        "a\\ndropped=100",
        "max-series-per-database limit exceeded: (1)",
        "points beyond retention policy",
        "unable to parse 'x': y"};
    for (size_t t = 0; t < COUNT_OF(tails); t++)
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            char body[1024];
            snprintf(
                body, sizeof(body),
                "{\"error\":\"partial write: field type conflict: input field \\\"value\\\" on "
                "measurement \\\"%s\\\" is type float, already exists as type integer%s\"}",
                names[i], tails[t].name);
            struct influx_answer a = read_answer(400, body);
            cr_expect_eq(a.verdict, INFLUX_BAD_POINTS, "%s", body);
            cr_expect_eq(a.dropped, tails[t].dropped, "%s", body);
            cr_expect_eq(a.suspects, INFLUX_SUSPECTS_MEASUREMENT, "%s", body);
            cr_expect(!a.capacity, "%s", body);
        }
}

/* As seen from 1.12.4: what frames the complaints is no part of the last one's reason. */
Test(influx_answer, newer_servers_parse_errors)
{
    struct influx_answer a = read_answer(
        400,
        "{\"error\":\"partial write: unable to parse 'm,h= v=1 5': missing tag value\\nunable to "
        "parse 'nonsense': missing fields dropped=0 for database: mon\"}");
    cr_assert_eq(a.verdict, INFLUX_BAD_POINTS);
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_NAMED);
    cr_assert_eq(a.dropped, -1);
    cr_assert(
        slice_equal(a.error, SLICE("unable to parse 'm,h= v=1 5': missing tag value\nunable to "
                                   "parse 'nonsense': missing fields")));
}

/* Retention deletes the shard just now: soon the points will be beyond it, or have a new one. */
Test(influx_answer, a_shard_on_its_way_out)
{
    cr_assert_eq(
        read_answer(400, "{\"error\":\"partial write: shard 5 is pending deletion dropped=3\"}")
            .verdict,
        INFLUX_WORLD);
}

Test(influx_answer, field_type_conflict)
{
    struct influx_answer a = read_answer(
        400,
        "{\"error\":\"partial write: field type conflict: input field \\\"value\\\" on measurement "
        "\\\"c pu\\\" is type float, already exists as type integer dropped=2\"}");
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_MEASUREMENT);
    cr_assert(slice_equal(a.measurement, SLICE("c pu")));
    cr_assert_eq(a.dropped, 2);
}

Test(influx_answer, limits_on_series)
{
    struct influx_answer a = read_answer(400, "{\"error\":\"partial write: max-values-per-tag "
                                              "limit exceeded (2/2): measurement=\\\"m\\\" "
                                              "tag=\\\"h\\\" value=\\\"x\\\" dropped=1\"}");
    cr_assert_eq(a.verdict, INFLUX_BAD_POINTS);
    cr_assert(a.capacity);
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_TAG);
    cr_assert(slice_equal(a.measurement, SLICE("m")));
    cr_assert(slice_equal(a.tag, SLICE("h")));
    cr_assert(slice_equal(a.value, SLICE("x")));
    cr_assert_eq(a.dropped, 1);
    a = read_answer(400, "{\"error\":\"partial write: invalid tag key: input tag \\\"time\\\" on "
                         "measurement \\\"m\\\" is invalid dropped=3\"}");
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_SERIES);
    cr_assert(!a.capacity);
    cr_assert(slice_equal(a.measurement, SLICE("m")));
    a = read_answer(
        400,
        "{\"error\":\"partial write: max-series-per-database limit exceeded: (2) dropped=1\"}");
    cr_assert(a.capacity);
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_UNKNOWN);
    cr_assert_eq(a.dropped, 1);
    /* 1.12 and 1.13 */
    a = read_answer(400,
                    "{\"error\":\"partial write: max-series-per-database exceeded database=mon "
                    "limit=2 series=2 keys=1 dropped=1 for database: mon for retention "
                    "policy: autogen\"}");
    cr_assert(a.capacity);
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_UNKNOWN);
    cr_assert_eq(a.dropped, 1);
}

/* Go quotes what it names, and JSON quotes that again: here twice, in C once more. */
Test(influx_answer, quoted_tags)
{
    struct influx_answer a = read_answer(
        400, "{\"error\":\"partial write: max-values-per-tag limit exceeded (30/30): "
             "measurement=\\\"a\\\\\\\" tag=\\\\\\\"b\\\" tag=\\\"\\\\t\\\\x7f\\\\u00ad\\\" "
             "value=\\\"\\\\U0001f3ff\\\\\\\\ dropped=9\\\" dropped=2\"}");
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_TAG);
    cr_assert(slice_equal(a.measurement, SLICE("a\" tag=\"b")));
    cr_assert(slice_equal(a.tag, SLICE("\t\x7f\xc2\xad")));
    cr_assert(slice_equal(a.value, SLICE("\xf0\x9f\x8f\xbf\\ dropped=9")));
    cr_assert_eq(a.dropped, 2);
    cr_assert(slice_equal(a.error, (struct slice){text.data + 15, a.error.n}),
              "still in its place");
}

/* What is not wholly in this form names nothing. */
Test(influx_answer, badly_quoted_tags)
{
    static const char *const rest[] = {
        "",
        "2/2): measurement=",
        "2/2): measurement=m tag=h value=x",
        "2/2): measurement=\\\"m\\\" tag=\\\"h\\\" value=\\\"x\\\" more",
        "2/2): measurement=\\\"m\\\" tag=\\\"h\\\" value=\\\"x",
        "2/2): measurement=\\\"m\\\" tag=\\\"h\\\" value=\\\"\\\\q\\\"",
        "2/2): measurement=\\\"m\\\" tag=\\\"h\\\" value=\\\"\\\\u12\\\"",
        "2/2: evil): measurement=\\\"m\\\" tag=\\\"h\\\" value=\\\"x\\\""};
    for (size_t i = 0; i < COUNT_OF(rest); i++) {
        char body[512];
        snprintf(body, sizeof(body),
                 "{\"error\":\"partial write: max-values-per-tag limit exceeded (%s dropped=1\"}",
                 rest[i]);
        struct influx_answer a = read_answer(400, body);
        cr_expect_eq(a.suspects, INFLUX_SUSPECTS_UNKNOWN, "%s", body);
        cr_expect_eq(a.dropped, 1, "%s", body);
    }
}

/* A tag value may be any text: it must not have the answer name somebody else's line. */
Test(influx_answer, senders_texts_name_no_lines)
{
    struct influx_answer a = read_answer(
        400, "{\"error\":\"partial write: max-values-per-tag limit exceeded (2/2): "
             "measurement=\\\"m\\\" tag=\\\"h\\\" value=\\\"unable to parse 'm,t=a value=x 1': "
             "\\\\nunable to parse 'm,t=a value=x 1': x\\\" dropped=1\"}");
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_TAG);
}

/* It repeats the lines it complains of, however long they are. */
Test(influx_answer, answers_may_be_cut_off)
{
    struct influx_answer a = read_answer(400, "{\"error\":\"unable to parse 'm,t=aaaaaaaaaaa");
    cr_assert_eq(a.verdict, INFLUX_BAD_POINTS);
    a = read_answer(400, "{\"error\":\"partial write: unable to parse 'm,t=a\\u00");
    cr_assert_eq(a.verdict, INFLUX_BAD_POINTS);
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_NAMED);
    a = read_answer(400, "{\"error\":\"partial write: unable to parse 'm,t=a\\");
    cr_assert_eq(a.verdict, INFLUX_BAD_POINTS);
    cr_assert(a.cut_off);
    a = read_answer(400, "{\"error\":\"partial write: unable to parse 'a': b dropped=0\"}");
    cr_assert(!a.cut_off);
    a = read_answer(400, "{\"error\":\"partial write: x dropped=12");
    cr_assert_eq(a.dropped, -1, "perhaps more digits, perhaps a sender's text");
}

Test(influx_answer, unescapes_as_go_escapes)
{
    struct influx_answer a = read_answer(
        400,
        "{\"error\":\"unable to parse 'a\\u003c\\u003e\\u0026\\t\\\\\\\"\\u2028\\u00e9': why\"}");
    cr_assert(slice_equal(a.error, SLICE("unable to parse 'a<>&\t\\\"\xe2\x80\xa8\xc3\xa9': why")));
}

/* Sent lines: two, one of which looks like the end of the quotation. */
static bool
is_ours(void *arg, struct slice line, uint64_t hash)
{
    (void)arg;
    cr_assert_eq(hash, influx_answer_hash(INFLUX_HASH_START, line));
    return slice_equal(line, SLICE("m,t=a value=x 1")) ||
           slice_equal(line, SLICE("m,t=it's':\\ odd value=y 1"));
}

/* Sent lines: one is the other's beginning, up to what looks like the end of the quotation. */
static bool
is_x(void *arg, struct slice line, uint64_t hash)
{
    (void)arg;
    (void)hash;
    return slice_equal(line, SLICE("x")) || slice_equal(line, SLICE("x': y"));
}

Test(influx_answer, finds_the_lines_that_are_named)
{
    struct influx_answer a = read_answer(
        400,
        "{\"error\":\"partial write: unable to parse 'm,t=a value=x 1': invalid number\\nunable to "
        "parse 'm,t=it's':\\\\ odd value=y 1': invalid boolean\\nunable to parse 'not ours': x "
        "dropped=0\"}");
    size_t at = 0;
    struct slice line, why;
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_NAMED);
    cr_assert(influx_answer_next_line(a.error, &at, is_ours, NULL, &line, &why));
    cr_assert(slice_equal(line, SLICE("m,t=a value=x 1")));
    cr_assert(slice_equal(why, SLICE("invalid number")));
    cr_assert(influx_answer_next_line(a.error, &at, is_ours, NULL, &line, &why));
    cr_assert(slice_equal(line, SLICE("m,t=it's':\\ odd value=y 1")));
    cr_assert(!influx_answer_next_line(a.error, &at, is_ours, NULL, &line, &why));
}

/* Two lines of ours fit: it is not for us to say which one is meant. */
Test(influx_answer, an_ambiguous_line_is_not_named)
{
    struct influx_answer a = read_answer(
        400,
        "{\"error\":\"unable to parse 'm,t=a value=x 1': odd\\nunable to parse 'm,t=a value=x 1"
        "': m,t=it's':\\\\ odd value=y 1': z\"}");
    size_t at = 0;
    struct slice line, why;
    cr_assert(influx_answer_next_line(a.error, &at, is_ours, NULL, &line, &why));
    a = read_answer(400, "{\"error\":\"unable to parse 'x': y': z\"}");
    at = 0;
    cr_assert(!influx_answer_next_line(a.error, &at, is_x, NULL, &line, &why));
}

Test(influx_answer, errors_of_queries)
{
    struct slice ok = SLICE("{\"results\":[{\"statement_id\":0}]}");
    struct slice bad = SLICE("{\"results\":[{\"statement_id\":0,\"error\":\"invalid name\"}]}");
    struct slice top = SLICE("{\"error\":\"authorization failed\"}");
    cr_assert_eq(influx_answer_query_error(ok, &text).n, 0u);
    cr_assert(slice_equal(influx_answer_query_error(bad, &text), SLICE("invalid name")));
    cr_assert(slice_equal(influx_answer_query_error(top, &text), SLICE("authorization failed")));
    cr_assert_eq(influx_answer_query_error(SLICE("{{{{"), &text).n, 0u);
}
