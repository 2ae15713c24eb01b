/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_decode.c - the decoder, rule by rule.  Real and doubtful messages: test_decode_corpus.c.
 *
 * Process: the tests.  Owner: each test.  Concurrency: one thread.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/json.h"
#include "tests/unit/decode_fixture.h"

TestSuite(decode, .init = decode_set_up, .fini = decode_tear_down, .timeout = 120);

static int
decode_metric(const char *text)
{
    return decode(TOPIC_METRICS, text, strlen(text));
}

static void
expect_reject(int result, enum reject_reason reason, const char *detail, const char *text)
{
    cr_expect_eq(result, -1, "%s", text);
    if (result == 0)
        return;
    cr_expect_eq(why.reason, reason, "%s: %s", reject_name(why.reason), text);
    cr_expect_str_eq(why.detail, detail);
}

static void
expect_slice(struct slice s, const char *expected)
{
    struct slice e = {expected, strlen(expected)};
    cr_expect(slice_equal(s, e), "'%.*s', expected '%s'", (int)s.n, s.p, expected);
}

/* A good metric with one member in the place of `value` or so; see the uses. */
static const char *
metric_with(const char *members)
{
    static char text[4096];
    snprintf(text, sizeof(text),
             "{\"metric\":{\"name\":\"m\",\"timestamp\":1,\"value\":1,%s},"
             "\"meta\":{\"tenantId\":\"t\",\"region\":\"r\"}}",
             members);
    return text;
}

Test(decode, a_metric_in_full)
{
    cr_assert_eq(decode_metric("{\"x\":[],\"creation_time\":1790000000.5,"
                               "\"meta\":{\"region\":\"\",\"tenantId\":\"t\\u00e9\",\"y\":1},"
                               "\"metric\":{\"value_meta\":\"a b\",\"value\":-1.5E+3,\"z\":{},"
                               "\"dimensions\":{\"b\":\"\",\"a\":\"x\\ty\",\"B\":\"z\"},"
                               "\"timestamp\":1790000000123,\"name\":\"n\\u0061me\"}}"),
                 0);
    const struct measurement *m = &record.measurement;
    cr_expect_eq(record.kind, RECORD_MEASUREMENT);
    cr_expect_eq(record.creation_time, 1790000000.5);
    expect_slice(m->tenant_id, "t\xc3\xa9");
    expect_slice(m->region, "");
    expect_slice(m->name, "name");
    expect_slice(m->value_text, "-1.5E+3");
    expect_slice(m->value_meta, "\"a b\"");
    cr_expect_eq(m->time_ms, 1790000000123);
    cr_assert_eq(m->n_dimensions, 3);
    expect_slice(m->dimensions[0].name, "B");
    expect_slice(m->dimensions[1].name, "a");
    expect_slice(m->dimensions[1].value, "x\ty");
    expect_slice(m->dimensions[2].name, "b");
    expect_slice(m->dimensions[2].value, "");
}

Test(decode, says_where_and_what_is_wrong)
{
    static const struct {
        const char *text;
        enum reject_reason reason;
        const char *detail;
    } cases[] = {
        {"{\"metric\": nul}", REJECT_NOT_JSON, "byte 11: expected a value"},
        {"{} {}", REJECT_NOT_JSON, "byte 3: text after the value"},
        {"{\"a\":\"\xff\"}", REJECT_NOT_UTF8, "byte 6: not UTF-8"},
        {"[1]", REJECT_BAD_ENVELOPE, "the message: not an object"},
        {"{}", REJECT_BAD_ENVELOPE, "metric: missing"},
        {"{\"metric\":[]}", REJECT_BAD_ENVELOPE, "metric: not an object"},
        {"{\"metric\":{}}", REJECT_BAD_ENVELOPE, "metric.name: missing"},
        {"{\"metric\":{\"name\":5}}", REJECT_BAD_ENVELOPE, "metric.name: not a string"},
        {"{\"metric\":{\"name\":\"\"}}", REJECT_BAD_ENVELOPE, "metric.name: empty"},
        {"{\"metric\":{\"name\":\"a\\nb\"}}", REJECT_UNSTORABLE, "metric.name: contains a newline"},
        {"{\"metric\":{\"name\":\"m\"}}", REJECT_BAD_ENVELOPE, "metric.timestamp: missing"},
        {"{\"metric\":{\"name\":\"m\",\"timestamp\":1}}", REJECT_BAD_ENVELOPE,
         "metric.value: missing"},
        {"{\"metric\":{\"name\":\"m\",\"timestamp\":1,\"value\":1}}", REJECT_BAD_ENVELOPE,
         "meta: missing"},
        {"{\"metric\":{\"name\":\"m\",\"timestamp\":1,\"value\":1},\"meta\":{\"tenantId\":\"\"}}",
         REJECT_BAD_ENVELOPE, "meta.tenantId: empty"},
        {"{\"metric\":{\"name\":\"m\",\"timestamp\":1,\"value\":1},"
         "\"meta\":{\"tenantId\":\"t\",\"region\":null}}",
         REJECT_BAD_ENVELOPE, "meta.region: not a string"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect_reject(decode_metric(cases[i].text), cases[i].reason, cases[i].detail,
                      cases[i].text);
    expect_reject(decoder_decode(decoder, TOPIC_METRICS, (struct slice){NULL, 0}, &record, &why),
                  REJECT_NOT_JSON, "byte 0: an empty message", "a tombstone");
}

Test(decode, values)
{
    static const struct {
        const char *text, *number; /* NULL: not a number; "inf": out of range */
    } cases[] = {
        {"0", "0"},
        {"-0", "-0"},
        {"1e400", "inf"},
        {"-1e309", "inf"},
        {"1e308", "1e308"},
        {"1.7976931348623157e308", "1.7976931348623157e308"},
        {"1.7976931348623159e308", "inf"},
        {"1e-999", "1e-999"},
        {"0e999", "0e999"},
        {"true", "1"},
        {"false", "0"},
        {"18446744073709551617", "18446744073709551617"},
        {"null", NULL},
        {"[1]", NULL},
        {"{}", NULL},
        {"\"1.25\"", "1.25"},
        {"\" \\t1 \\n\"", "1"},
        {"\"+1\"", "1"},
        {"\"1.\"", "1"},
        {"\".5\"", "0.5"},
        {"\"-.5e-2\"", "-0.5e-2"},
        {"\"007\"", "7"},
        {"\"-00.50\"", "-0.50"},
        {"\"1\\u002e5\"", "1.5"},
        {"\"1e999\"", "inf"},
        {"\"\"", NULL},
        {"\" \"", NULL},
        {"\".\"", NULL},
        {"\"+\"", NULL},
        {"\"-\"", NULL},
        {"\"1e\"", NULL},
        {"\"1e+\"", NULL},
        {"\"e5\"", NULL},
        {"\"nan\"", NULL},
        {"\"inf\"", NULL},
        {"\"-Infinity\"", NULL},
        {"\"0x10\"", NULL},
        {"\"1_0\"", NULL},
        {"\"1 0\"", NULL},
        {"\"1,5\"", NULL},
        {"\"1\\u0000\"", NULL},
        {"\"--1\"", NULL},
        {"\"1\\ud800\"", NULL},
    };
    char member[64];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        snprintf(member, sizeof(member), "\"value\":%s", cases[i].text);
        int result = decode_metric(metric_with(member));
        if (cases[i].number == NULL)
            expect_reject(result, REJECT_BAD_VALUE, "metric.value: not a number", cases[i].text);
        else if (strcmp(cases[i].number, "inf") == 0)
            expect_reject(result, REJECT_BAD_VALUE, "metric.value: outside the range of a double",
                          cases[i].text);
        else
            expect_slice(record.measurement.value_text, result == 0 ? cases[i].number : "stored");
    }
}

Test(decode, a_value_of_many_digits)
{
    char text[400];
    for (int digits = 298; digits <= 310; digits++) {
        int n = snprintf(text, sizeof(text), "\"value\":1%0*d", digits - 1, 0);
        cr_expect_eq(decode_metric(metric_with(text)), digits <= 309 ? 0 : -1, "%d", digits);
        snprintf(text + n, 10, "e-20");
        cr_expect_eq(decode_metric(metric_with(text)), 0, "%d", digits);
    }
}

Test(decode, times)
{
    static const struct {
        const char *text;
        int64_t ms;
        int bad; /* 1: not a number, 2: out of range */
    } cases[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"-1", -1, 0},
        {"1790000000000", 1790000000000, 0},
        {"1790000000000.9", 1790000000000, 0},
        {"-1.9", -1, 0},
        {"-0.9", 0, 0},
        {"9007199254740993", 9007199254740993, 0},
        {"9007199254740993.999", 9007199254740993, 0},
        {"1.79e12", 1790000000000, 0},
        {"1.7900000001239E12", 1790000000123, 0},
        {"17900000001239e-1", 1790000000123, 0},
        {"0.00179e15", 1790000000000, 0},
        {"1e-5", 0, 0},
        {"1e-99999999999999999999", 0, 0},
        {"0e99999999999999999999", 0, 0},
        {"0.0e5", 0, 0},
        {"9200000000000000", 9200000000000000, 0},
        {"-9200000000000000.5", -9200000000000000, 0},
        {"9200000000000001", 0, 2},
        {"9300000000000000", 0, 2},
        {"-1e30", 0, 2},
        {"1e16", 0, 2},
        {"1e99999999999999999999", 0, 2},
        {"99999999999999999999999999999999", 0, 2},
        {"9223372036854775808", 0, 2},
        {"1000000000000000000000000000000e-18", 1000000000000, 0},
        {"\"1790000000000\"", 1790000000000, 0},
        {"\" 1.5e3 \"", 1500, 0},
        {"\"007.\"", 7, 0},
        {"\"now\"", 0, 1},
        {"\"\"", 0, 1},
        {"null", 0, 1},
        {"true", 0, 1},
        {"[1]", 0, 1},
    };
    char member[64];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        snprintf(member, sizeof(member), "\"timestamp\":%s", cases[i].text);
        int result = decode_metric(metric_with(member));
        if (cases[i].bad == 1)
            expect_reject(result, REJECT_BAD_TIME, "metric.timestamp: not a number", cases[i].text);
        else if (cases[i].bad == 2)
            expect_reject(result, REJECT_BAD_TIME, "metric.timestamp: out of range", cases[i].text);
        else
            cr_expect(result == 0 && record.measurement.time_ms == cases[i].ms, "%s: %lld",
                      cases[i].text, (long long)record.measurement.time_ms);
    }
}

Test(decode, the_last_of_duplicates_counts_and_only_it)
{
    cr_assert_eq(decode_metric("{\"metric\":7,\"meta\":null,\"creation_time\":1,"
                               "\"metric\":{\"name\":\"old\",\"dimensions\":{\"old\":\"1\"}},"
                               "\"metric\":{\"name\":null,\"name\":\"\\n\",\"name\":\"m\","
                               "\"dimensions\":{\"a\\n\":null},\"dimensions\":[],"
                               "\"dimensions\":{\"a\":null,\"b\":\"1\",\"\\u0061\":\"2\"},"
                               "\"value\":\"x\",\"value\":2,\"timestamp\":[],\"timestamp\":3,"
                               "\"value_meta\":{},\"value_meta\":null},"
                               "\"meta\":{\"tenantId\":\"t\",\"region\":\"r\"},"
                               "\"creation_time\":\"x\"}"),
                 0, "%s", why.detail);
    const struct measurement *m = &record.measurement;
    expect_slice(m->name, "m");
    expect_slice(m->value_text, "2");
    cr_expect_eq(m->time_ms, 3);
    cr_expect_eq(m->value_meta.n, 0);
    cr_expect(isnan(record.creation_time));
    cr_assert_eq(m->n_dimensions, 2);
    expect_slice(m->dimensions[0].name, "a");
    expect_slice(m->dimensions[0].value, "2");
    const char *text = "{\"metric\":{\"name\":\"m\",\"timestamp\":1,\"value\":1},\"metric\":null}";
    expect_reject(decode_metric(text), REJECT_BAD_ENVELOPE, "metric: not an object", text);
    text = metric_with("\"dimensions\":{\"a\":\"1\",\"a\":null}");
    expect_reject(decode_metric(text), REJECT_BAD_ENVELOPE, "metric.dimensions.a: not a string",
                  text);
    /* A metric without dimensions after one that had some. */
    cr_assert_eq(decode_metric(metric_with("\"x\":1")), 0);
    cr_assert_eq(record.measurement.n_dimensions, 0);
}

Test(decode, dimensions_that_are_wrong)
{
    static const struct {
        const char *text;
        enum reject_reason reason;
        const char *detail;
    } cases[] = {
        {"5", REJECT_BAD_ENVELOPE, "metric.dimensions: not an object"},
        {"\"x\"", REJECT_BAD_ENVELOPE, "metric.dimensions: not an object"},
        {"{\"\":\"x\"}", REJECT_BAD_ENVELOPE, "metric.dimensions: a name: empty"},
        {"{\"a\\nb\":\"x\"}", REJECT_UNSTORABLE, "metric.dimensions: a name: contains a newline"},
        {"{\"a\":\"x\\ny\"}", REJECT_UNSTORABLE, "metric.dimensions.a: contains a newline"},
        {"{\"a\":\"x\\u0000y\"}", REJECT_UNSTORABLE, "metric.dimensions.a: contains NUL"},
        {"{\"a\":\"\\ud800\"}", REJECT_NOT_UTF8,
         "metric.dimensions.a: half a surrogate pair, which UTF-8 cannot express"},
        {"{\"a\":1e999}", REJECT_BAD_VALUE, "metric.dimensions.a: outside the range of a double"},
        {"{\"z\":\"1\",\"\\u0001\":[]}", REJECT_BAD_ENVELOPE, "metric.dimensions.?: not a string"},
    };
    char member[256];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        snprintf(member, sizeof(member), "\"dimensions\":%s", cases[i].text);
        expect_reject(decode_metric(metric_with(member)), cases[i].reason, cases[i].detail,
                      cases[i].text);
    }
    /* A long name is cut between characters. */
    snprintf(member, sizeof(member), "\"dimensions\":{\"%063d\xc3\xa9\xc3\xa9\xc3\xa9\":null}", 0);
    cr_assert_eq(decode_metric(metric_with(member)), -1);
    cr_expect(json_is_utf8(why.detail, strlen(why.detail)));
    cr_expect_str_eq(why.detail + strlen("metric.dimensions.") + 63, ": not a string");
}

/* As CPython 3.11 writes them: str(json.loads(text)). */
Test(decode, dimension_values_that_are_no_text)
{
    static const char *const cases[][2] = {
        {"5", "5"},
        {"-0", "0"},
        {"-12", "-12"},
        {"true", "True"},
        {"false", "False"},
        {"5.0", "5.0"},
        {"1.50", "1.5"},
        {"-0.0", "-0.0"},
        {"0e5", "0.0"},
        {"1e5", "100000.0"},
        {"1e15", "1000000000000000.0"},
        {"1e16", "1e+16"},
        {"123456789012345680.0", "1.2345678901234568e+17"},
        {"0.0001", "0.0001"},
        {"0.00001", "1e-05"},
        {"0.1", "0.1"},
        {"1.5E-7", "1.5e-07"},
        {"2.5e-310", "2.5e-310"},
        {"1e-999", "0.0"},
        {"0.30000000000000004", "0.30000000000000004"},
        {"9007199254740993.0", "9007199254740992.0"},
        {"-1.7976931348623157e308", "-1.7976931348623157e+308"},
        {"5e-324", "5e-324"},
        {"1180591620717411303424", "1180591620717411303424"},
        {"123456.789e-3", "123.456789"},
    };
    char member[256];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        snprintf(member, sizeof(member), "\"dimensions\":{\"a\":%s}", cases[i][0]);
        cr_assert_eq(decode_metric(metric_with(member)), 0, "%s", cases[i][0]);
        expect_slice(record.measurement.dimensions[0].value, cases[i][1]);
    }
}

/* Members "k<number>" in a shuffled order, each `times` times, the value being the turn. */
static char *
many_dimensions(size_t count, size_t times, size_t *n)
{
    char *text = malloc(200 + 24 * count * times), *o = text;
    o += snprintf(o, 100,
                  "{\"metric\":{\"name\":\"m\",\"timestamp\":1,\"value\":1,\"dimensions\":{");
    for (size_t turn = 0; turn < times; turn++)
        for (size_t i = 0; i < count; i++)
            o += snprintf(o, 24, "\"k%06zu\":\"%zu\",", i * 7919 % count, turn);
    o += snprintf(o, 100, "\"\\u0041\":1e15}},\"meta\":{\"tenantId\":\"t\",\"region\":\"r\"}}");
    *n = (size_t)(o - text);
    return text;
}

Test(decode, many_dimensions_are_sorted_and_unique)
{
    static const size_t counts[] = {1, 15, 16, 17, 31, 32, 33, 1000, 20000};
    for (size_t c = 0; c < COUNT_OF(counts); c++) {
        size_t n, count = counts[c];
        char *text = many_dimensions(count, 2, &n), name[32];
        cr_assert_eq(decode(TOPIC_METRICS, text, n), 0, "%zu: %s", count, why.detail);
        const struct measurement *m = &record.measurement;
        cr_assert_eq(m->n_dimensions, count + 1);
        expect_slice(m->dimensions[0].name, "A");
        expect_slice(m->dimensions[0].value, "1000000000000000.0");
        for (size_t i = 0; i < count; i++) {
            snprintf(name, sizeof(name), "k%06zu", i);
            expect_slice(m->dimensions[i + 1].name, name);
            expect_slice(m->dimensions[i + 1].value, "1");
        }
        free(text);
    }
}

Test(decode, more_than_65536_dimensions_are_too_many)
{
    size_t n;
    char *text = many_dimensions(65535, 1, &n);
    struct decoder *large = decoder_new(n + 1000);
    struct slice slice = {text, n};
    cr_assert_eq(decoder_decode(large, TOPIC_METRICS, slice, &record, &why), 0, "%s", why.detail);
    cr_expect_eq(record.measurement.n_dimensions, 65536);
    free(text);
    slice.p = text = many_dimensions(65536, 1, &slice.n);
    expect_reject(decoder_decode(large, TOPIC_METRICS, slice, &record, &why), REJECT_TOO_LARGE,
                  "metric.dimensions: more than 65536", "65537 dimensions");
    free(text);
    decoder_free(&large);
}

Test(decode, value_meta_is_passed_on_as_it_came)
{
    static const char *const texts[] = {
        "{}", "{ \"a\" : [1.50 , null] }", "\"x\\n\"", "\"\"", "0", "false",
        "[]", "{\"a\":\"\\u0000\\ud800\"}"};
    char member[128];
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        snprintf(member, sizeof(member), "\"value_meta\": %s ", texts[i]);
        cr_assert_eq(decode_metric(metric_with(member)), 0, "%s", texts[i]);
        expect_slice(record.measurement.value_meta, texts[i]);
    }
    cr_assert_eq(decode_metric(metric_with("\"value_meta\":null")), 0);
    cr_expect_eq(record.measurement.value_meta.n, 0);
}

Test(decode, depth_counts_from_the_outermost_object)
{
    char member[256] = "\"value_meta\":";
    size_t n = strlen(member);
    for (size_t depth = 61; depth <= 63; depth++) {
        memset(member + n, '[', depth);
        memset(member + n + depth, ']', depth);
        member[n + 2 * depth] = '\0';
        cr_expect_eq(decode_metric(metric_with(member)), depth <= 62 ? 0 : -1, "%zu", depth);
    }
    cr_expect_eq(why.reason, REJECT_TOO_DEEP);
}

Test(decode, creation_times)
{
    static const char *const texts[] = {
        "0",
        "1790000000",
        "1790000000.25",
        "-5",
        "999999999999999",
        "9007199254740993",
        "12345678901234567891",
        "123456789012345678901234567890",
        "1e300",
        "1e-999",
    };
    char text[256];
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        snprintf(text, sizeof(text), "%.*s,\"creation_time\":%s}",
                 (int)strlen(metric_with("\"x\":1")) - 1, metric_with("\"x\":1"), texts[i]);
        cr_assert_eq(decode_metric(text), 0, "%s", why.detail);
        cr_expect_eq(record.creation_time, strtod(texts[i], NULL), "%s", texts[i]);
    }
}

/* The arena starts anew with each message. */
Test(decode, a_decoder_is_used_again)
{
    const char *text = metric_with("\"name\":\"\\u0061\\u0062\",\"value\":\"1\"");
    struct decoder *small = decoder_new(strlen(text));
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(
            decoder_decode(small, TOPIC_METRICS, (struct slice){text, strlen(text)}, &record, &why),
            0);
    expect_slice(record.measurement.name, "ab");
    decoder_free(&small);
}

Test(decode, a_message_beyond_the_decoders_bound)
{
    struct decoder *small = decoder_new(100);
    char text[101];
    memset(text, ' ', 101);
    expect_reject(decoder_decode(small, TOPIC_METRICS, (struct slice){text, 101}, &record, &why),
                  REJECT_TOO_LARGE, "101 bytes, of 100 allowed", "blanks");
    expect_reject(decoder_decode(small, TOPIC_METRICS, (struct slice){text, 100}, &record, &why),
                  REJECT_NOT_JSON, "byte 100: expected a value", "blanks");
    decoder_free(&small);
    decoder_free(&small);
    cr_expect_null(decoder_new(SIZE_MAX));
}

/* ---- alarm transitions ---- */

static const char alarm_members[][2][48] = {
    {"tenantId", "\"t\""},          {"alarmId", "\"i\""},       {"alarmDefinitionId", "\"d\""},
    {"metrics", "[ 1 ]"},           {"alarmName", "\"a\\nb\""}, {"alarmDescription", "\"x\\ty\""},
    {"oldState", "\"OK\""},         {"newState", "\"ALARM\""},  {"actionsEnabled", "true"},
    {"stateChangeReason", "\"r\""}, {"severity", "\"LOW\""},    {"link", "\"l\""},
    {"lifecycleState", "\"OPEN\""}, {"subAlarms", "[{}]"},      {"timestamp", "1790000000000"},
};

/* A good transition, in which one member has another value, or is left out (NULL). */
static int
decode_alarm_with(const char *name, const char *value)
{
    char text[1024];
    size_t n = (size_t)snprintf(text, sizeof(text), "{\"alarm-transitioned\":{\"x\":1");
    for (size_t i = 0; i < COUNT_OF(alarm_members); i++) {
        bool other = strcmp(alarm_members[i][0], name) == 0;
        const char *v = other ? value : alarm_members[i][1];
        if (v != NULL)
            n += (size_t)snprintf(text + n, sizeof(text) - n, ",\"%s\":%s", alarm_members[i][0], v);
    }
    n += (size_t)snprintf(text + n, sizeof(text) - n, "}}");
    return decode(TOPIC_ALARM_HISTORY, text, n);
}

Test(decode, an_alarm_in_full)
{
    cr_assert_eq(decode_alarm_with("", NULL), 0, "%s", why.detail);
    const struct alarm_transition *a = &record.alarm;
    cr_expect_eq(record.kind, RECORD_ALARM_TRANSITION);
    cr_expect(isnan(record.creation_time));
    expect_slice(a->tenant_id, "t");
    expect_slice(a->alarm_id, "i");
    expect_slice(a->alarm_definition_id, "d");
    expect_slice(a->alarm_name, "a\nb");
    expect_slice(a->alarm_description, "x\ty");
    expect_slice(a->old_state, "OK");
    expect_slice(a->new_state, "ALARM");
    expect_slice(a->reason, "r");
    expect_slice(a->severity, "LOW");
    expect_slice(a->link, "l");
    expect_slice(a->lifecycle_state, "OPEN");
    expect_slice(a->metrics, "[ 1 ]");
    expect_slice(a->sub_alarms, "[{}]");
    cr_expect(a->actions_enabled);
    cr_expect_eq(a->time_ms, 1790000000000);
}

Test(decode, what_an_alarm_may_lack)
{
    for (size_t i = 0; i < COUNT_OF(alarm_members); i++) {
        const char *name = alarm_members[i][0];
        static const char *const may_lack[] = {
            "link",     "lifecycleState", "subAlarms",     "alarmDescription", "alarmDefinitionId",
            "severity", "alarmName",      "actionsEnabled"};
        bool optional = false;
        for (size_t j = 0; j < COUNT_OF(may_lack); j++)
            optional = optional || strcmp(name, may_lack[j]) == 0;
        cr_expect_eq(decode_alarm_with(name, NULL), optional ? 0 : -1, "%s missing", name);
        cr_expect_eq(decode_alarm_with(name, "null"), optional ? 0 : -1, "%s null", name);
        /* No store keeps actionsEnabled. */
        cr_expect_eq(decode_alarm_with(name, "{}"), strcmp(name, "actionsEnabled") == 0 ? 0 : -1,
                     "%s of the wrong type", name);
    }
    cr_expect_eq(decode_alarm_with("subAlarms", NULL), 0);
    expect_slice(record.alarm.sub_alarms, "[]");
    cr_expect_eq(decode_alarm_with("link", "null"), 0);
    expect_slice(record.alarm.link, "");
}

Test(decode, alarms_that_are_wrong)
{
    static const struct {
        const char *name, *value;
        enum reject_reason reason;
        const char *detail;
    } cases[] = {
        {"tenantId", "\"a\\nb\"", REJECT_UNSTORABLE, "tenantId: contains a newline"},
        {"tenantId", "\"\"", REJECT_BAD_ENVELOPE, "tenantId: empty"},
        {"alarmName", "\"\\u0000\"", REJECT_UNSTORABLE, "alarmName: contains NUL"},
        {"link", "5", REJECT_BAD_ENVELOPE, "link: not a string"},
        {"severity", "\"\\udc00\"", REJECT_NOT_UTF8,
         "severity: half a surrogate pair, which UTF-8 cannot express"},
        {"metrics", "\"\"", REJECT_BAD_ENVELOPE, "metrics: not an array"},
        {"metrics", NULL, REJECT_BAD_ENVELOPE, "metrics: missing"},
        {"timestamp", "1e30", REJECT_BAD_TIME, "timestamp: out of range"},
        {"timestamp", NULL, REJECT_BAD_ENVELOPE, "timestamp: missing"},
    };
    char detail[128];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        snprintf(detail, sizeof(detail), "alarm-transitioned.%s", cases[i].detail);
        expect_reject(decode_alarm_with(cases[i].name, cases[i].value), cases[i].reason, detail,
                      detail);
    }
    const char *metric = metric_with("\"x\":1");
    expect_reject(decode(TOPIC_ALARM_HISTORY, metric, strlen(metric)), REJECT_BAD_ENVELOPE,
                  "alarm-transitioned: missing", "a metric on the alarms' topic");
}
