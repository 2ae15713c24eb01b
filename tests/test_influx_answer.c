/*
 * test_influx_answer.c - what each answer of InfluxDB means; above all, what is not the data's
 * fault.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "store/influx_answer.h"

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
    influx_answer_read(status, (struct slice){body, strlen(body)}, &text, &a);
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

/* As 1.12 and 1.13 word it: the number is not the last word. */
Test(influx_answer, newer_servers_partial_writes_are_about_points)
{
    static const char *const errors[] = {
        "field type conflict: input field \\\"value\\\" on measurement \\\"cpu\\\" is type float, "
        "already exists as type integer dropped=1 for database: mon for retention policy: autogen",
        "dropped 2 points outside retention policy of duration 24h0m0s - oldest point x dropped=2 "
        "for database: mon for retention policy: autogen",
        "whatever it is"};
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        char body[512];
        snprintf(body, sizeof(body), "{\"error\":\"partial write: %s\"}", errors[i]);
        struct influx_answer a = read_answer(400, body);
        cr_expect_eq(a.verdict, INFLUX_BAD_POINTS, "%s", errors[i]);
        cr_expect_eq(a.dropped, -1, "%s", errors[i]);
    }
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
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_SERIES);
    cr_assert(slice_equal(a.measurement, SLICE("m")));
    cr_assert_eq(a.dropped, 1);
    a = read_answer(400, "{\"error\":\"partial write: invalid tag key: input tag \\\"time\\\" on "
                         "measurement \\\"m\\\" is invalid dropped=3\"}");
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_SERIES);
    cr_assert(slice_equal(a.measurement, SLICE("m")));
}

Test(influx_answer, unknown_partial_writes_have_no_suspects)
{
    struct influx_answer a = read_answer(
        400,
        "{\"error\":\"partial write: max-series-per-database limit exceeded: (2) dropped=1\"}");
    cr_assert_eq(a.verdict, INFLUX_BAD_POINTS);
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_UNKNOWN);
    cr_assert_eq(a.dropped, 1);
}

/* A tag value may be any text: it must not have the answer name somebody else's line. */
Test(influx_answer, senders_texts_name_no_lines)
{
    struct influx_answer a = read_answer(
        400, "{\"error\":\"partial write: max-values-per-tag limit exceeded (2/2): "
             "measurement=\\\"m\\\" tag=\\\"h\\\" value=\\\"unable to parse 'm,t=a value=x 1': "
             "\\nunable to parse 'm,t=a value=x 1': x\\\" dropped=1\"}");
    cr_assert_eq(a.suspects, INFLUX_SUSPECTS_SERIES);
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
is_ours(void *arg, struct slice line)
{
    (void)arg;
    return slice_equal(line, SLICE("m,t=a value=x 1")) ||
           slice_equal(line, SLICE("m,t=it's':\\ odd value=y 1"));
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
