/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_influx_line.c - line protocol: equal by meaning to what the Python persister's own code
 * writes for the corpus, and refusing what InfluxDB cannot hold.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/influx/influx_line.h"
#include "record/decode.h"

/* A line taken apart. Texts point into a copy that the test frees. */
struct parts {
    char *key;        /* measurement and tags as escaped; both sides escape alike */
    char *fields[40]; /* name, value, name, value...; strings unescaped */
    int n_fields;
    long long time_ms;
};

/* The first byte that is not escaped and not in a string field. */
static char *
find_bare(char *p, char wanted)
{
    bool quoted = false;
    for (; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (*p == wanted && !quoted)
            return p;
    }
    return NULL;
}

/* Keys may hold bare quotes. */
static char *
find_key_end(char *p)
{
    for (; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        else if (*p == ' ')
            return p;
    }
    return NULL;
}

static char *
unquote(char *p)
{
    if (*p != '"')
        return p;
    char *out = ++p, *start = p;
    for (; *p != '\0' && *p != '"'; p++) {
        if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
            p++;
        *out++ = *p;
    }
    *out = '\0';
    return start;
}

static void
split_fields(char *p, struct parts *parts)
{
    while (p != NULL) {
        char *equals = strchr(p, '='), *comma = find_bare(p, ',');
        cr_assert_not_null(equals);
        *equals = '\0';
        if (comma != NULL)
            *comma = '\0';
        parts->fields[parts->n_fields++] = p;
        parts->fields[parts->n_fields++] = unquote(equals + 1);
        p = comma != NULL ? comma + 1 : NULL;
    }
}

static void
split_line(char *line, struct parts *parts)
{
    *parts = (struct parts){.key = line};
    char *fields = find_key_end(line);
    cr_assert_not_null(fields, "%s", line);
    *fields++ = '\0';
    char *time = find_bare(fields, ' ');
    cr_assert_not_null(time, "%s", fields);
    *time++ = '\0';
    parts->time_ms = strtoll(time, NULL, 10);
    split_fields(fields, parts);
}

/* Numbers as doubles, JSON by meaning, all else as text. */
static void
compare_field(const char *name, const char *ours, const char *theirs, int line)
{
    cJSON *a = cJSON_Parse(ours), *b = cJSON_Parse(theirs);
    bool json = a != NULL && b != NULL;
    bool equal = json ? cJSON_Compare(a, b, true) : strcmp(ours, theirs) == 0;
    if (json && cJSON_IsNumber(a))
        equal = strtod(ours, NULL) == strtod(theirs, NULL);
    cJSON_Delete(a);
    cJSON_Delete(b);
    cr_assert(equal, "line %d, field %s: %s, expected %s", line, name, ours, theirs);
}

static void
compare_lines(char *ours, char *theirs, int number)
{
    struct parts a, b;
    split_line(ours, &a);
    split_line(theirs, &b);
    cr_assert_str_eq(a.key, b.key, "line %d: %s, expected %s", number, a.key, b.key);
    cr_assert_eq(a.time_ms, b.time_ms, "line %d", number);
    cr_assert_eq(a.n_fields, b.n_fields, "line %d", number);
    for (int i = 0; i < a.n_fields; i += 2) {
        cr_assert_str_eq(a.fields[i], b.fields[i], "line %d", number);
        compare_field(a.fields[i], a.fields[i + 1], b.fields[i + 1], number);
    }
}

static int
compare_corpus(const char *name, enum topic_kind kind)
{
    char path[512], *message = NULL, *golden = NULL;
    size_t message_size = 0, golden_size = 0;
    ssize_t n;
    int lines = 0;
    struct buf b;
    buf_init(&b, 1 << 24);
    struct decoder *decoder = decoder_new(1 << 20);
    snprintf(path, sizeof(path), SRCDIR "/tests/corpus/%s.jsonl", name);
    FILE *in = fopen(path, "r");
    snprintf(path, sizeof(path), SRCDIR "/tests/corpus/%s.golden.jsonl", name);
    FILE *expected = fopen(path, "r");
    cr_assert(in != NULL && expected != NULL);
    while ((n = getline(&message, &message_size, in)) > 0) {
        struct record record;
        struct reject why;
        lines++;
        cr_assert_gt(getline(&golden, &golden_size, expected), 0);
        cJSON *json = cJSON_Parse(golden);
        char *theirs = cJSON_GetStringValue(cJSON_GetObjectItem(json, "line"));
        struct slice text = {message, (size_t)n - 1};
        cr_assert_eq(decoder_decode(decoder, kind, text, &record, &why), 0, "%s", why.detail);
        buf_clear(&b);
        cr_assert_eq(influx_line_add(&b, &record, &why), 0, "line %d: %s", lines, why.detail);
        cr_assert_eq(b.data[b.size - 1], '\n');
        b.data[b.size - 1] = '\0';
        compare_lines(b.data, theirs, lines);
        cJSON_Delete(json);
    }
    fclose(in);
    fclose(expected);
    free(message);
    free(golden);
    buf_free(&b);
    decoder_free(&decoder);
    return lines;
}

Test(influx_line, metrics_equal_the_golden_lines)
{
    cr_assert_eq(compare_corpus("metrics", TOPIC_METRICS), 3000);
}

Test(influx_line, alarms_equal_the_golden_lines)
{
    cr_assert_eq(compare_corpus("alarm-state-transitions", TOPIC_ALARM_HISTORY), 150);
}

/* --- single cases --- */

static struct record
sample(void)
{
    struct measurement m = {.tenant_id = SLICE("t1"),
                            .region = SLICE("r"),
                            .name = SLICE("cpu"),
                            .time_ms = 1,
                            .value_text = SLICE("1.5")};
    return (struct record){.kind = RECORD_MEASUREMENT, .measurement = m};
}

static void
expect(const struct record *record, const char *line)
{
    struct buf b;
    struct reject why;
    buf_init(&b, 1 << 16);
    cr_assert_eq(influx_line_add(&b, record, &why), 0);
    cr_assert(b.size == strlen(line) && memcmp(b.data, line, b.size) == 0, "%.*s", (int)b.size,
              b.data);
    buf_free(&b);
}

static void
expect_refused(const struct record *record, enum reject_reason reason)
{
    struct buf b;
    struct reject why;
    buf_init(&b, 1 << 16);
    buf_add_text(&b, "before\n");
    cr_assert_eq(influx_line_add(&b, record, &why), -1);
    cr_assert_eq(why.reason, reason);
    cr_assert_eq(b.size, 7u, "the buffer is as it was");
    buf_free(&b);
}

Test(influx_line, tags_are_sorted_with_the_envelope_among_them)
{
    struct record r = sample();
    struct dimension d[] = {
        {SLICE("A"), SLICE("1")}, {SLICE("_s"), SLICE("2")}, {SLICE("z"), SLICE("3")}};
    r.measurement.dimensions = d;
    r.measurement.n_dimensions = 3;
    expect(&r, "cpu,A=1,_region=r,_s=2,_tenant_id=t1,z=3 value=1.5,value_meta=\"{}\" 1\n");
}

Test(influx_line, a_sender_cannot_write_into_another_tenant)
{
    struct record r = sample();
    struct dimension d[] = {{SLICE("_region"), SLICE("evil")},
                            {SLICE("_tenant_id"), SLICE("evil")}};
    r.measurement.dimensions = d;
    r.measurement.n_dimensions = 2;
    expect(&r, "cpu,_region=r,_tenant_id=t1 value=1.5,value_meta=\"{}\" 1\n");
}

Test(influx_line, empty_tags_are_left_out)
{
    struct record r = sample();
    struct dimension d[] = {{SLICE("host"), SLICE("")}};
    r.measurement.dimensions = d;
    r.measurement.n_dimensions = 1;
    r.measurement.region = SLICE("");
    expect(&r, "cpu,_tenant_id=t1 value=1.5,value_meta=\"{}\" 1\n");
}

Test(influx_line, escapes_and_packs_value_meta)
{
    struct record r = sample();
    r.measurement.name = SLICE("a b,c=d\\e");
    r.measurement.value_meta = SLICE("{ \"k\" : \"a b\\\"c \\\\\" ,\n\t\"l\":[ 1 , 2 ] }");
    expect(&r, "a\\ b\\,c\\=d\\\\e,_region=r,_tenant_id=t1 value=1.5,value_meta="
               "\"{\\\"k\\\":\\\"a b\\\\\\\"c \\\\\\\\\\\",\\\"l\\\":[1,2]}\" 1\n");
}

Test(influx_line, refuses_what_would_change_or_end_the_line)
{
    static const char *const names[] = {"a\\",   "a\nb",  "#a",     "\ta",    "a\\,b",
                                        "a\\ b", "a\\=b", "a\\\"b", "\\\\, x"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct record r = sample();
        r.measurement.name = (struct slice){names[i], strlen(names[i])};
        expect_refused(&r, REJECT_UNSTORABLE);
    }
    struct dimension d[] = {{SLICE("path"), SLICE("C:\\")},
                            {SLICE("k\\"), SLICE("v")},
                            {SLICE("k"), SLICE("a\nb")},
                            {SLICE("k\n"), SLICE("v")},
                            {SLICE("time"), SLICE("v")}};
    for (size_t i = 0; i < COUNT_OF(d); i++) {
        struct record r = sample();
        r.measurement.dimensions = &d[i];
        r.measurement.n_dimensions = 1;
        expect_refused(&r, REJECT_UNSTORABLE);
    }
}

/* Names with a backslash elsewhere, and such tags, are found again as they are. */
Test(influx_line, backslashes_that_hurt_nobody_are_kept)
{
    struct record r = sample();
    struct dimension d[] = {{SLICE("k\\ =x"), SLICE("\\,\"#")}};
    r.measurement.name = SLICE("\\a\\\\b#");
    r.measurement.dimensions = d;
    r.measurement.n_dimensions = 1;
    expect(&r, "\\\\a\\\\\\\\b#,_region=r,_tenant_id=t1,k\\\\\\ \\=x=\\\\\\,\"# "
               "value=1.5,value_meta=\"{}\" 1\n");
}

Test(influx_line, the_envelopes_texts_are_checked_too)
{
    struct record r = sample();
    r.measurement.tenant_id = SLICE("t\\");
    expect_refused(&r, REJECT_UNSTORABLE);
    r = sample();
    r.measurement.region = SLICE("a\nb");
    expect_refused(&r, REJECT_UNSTORABLE);
    struct alarm_transition a = {.tenant_id = SLICE("t\\"), .metrics = SLICE("[]")};
    r = (struct record){.kind = RECORD_ALARM_TRANSITION, .alarm = a};
    expect_refused(&r, REJECT_UNSTORABLE);
}

/* Go and C read short numbers alike; long ones go out with the digits that a double has. */
Test(influx_line, long_numbers_are_shortened)
{
    char many[6000];
    struct record r = sample();
    r.measurement.value_text = SLICE("-1.2345678901234567e-300");
    expect(&r, "cpu,_region=r,_tenant_id=t1 value=-1.2345678901234567e-300,value_meta=\"{}\" 1\n");
    r.measurement.value_text = SLICE("123456789012345678901234567890");
    expect(&r, "cpu,_region=r,_tenant_id=t1 value=1.2345678901234568e+29,value_meta=\"{}\" 1\n");
    memset(many, '0', sizeof(many));
    many[0] = '1';
    memcpy(many + 5001, "e-5000", 6);
    r.measurement.value_text = (struct slice){many, 5007};
    expect(&r, "cpu,_region=r,_tenant_id=t1 value=1,value_meta=\"{}\" 1\n");
}

/* The longest line that texts of a given size can make: every byte doubles. */
Test(influx_line, has_room_for_the_worst)
{
    char quotes[2000], commas[2000];
    memset(quotes, '"', sizeof(quotes));
    memset(commas, ',', sizeof(commas));
    struct slice q = {quotes, sizeof(quotes)}, c = {commas, sizeof(commas)};
    struct alarm_transition a = {.tenant_id = c,
                                 .alarm_id = q,
                                 .old_state = q,
                                 .new_state = q,
                                 .reason = q,
                                 .link = q,
                                 .lifecycle_state = q,
                                 .metrics = SLICE("[]"),
                                 .sub_alarms = SLICE("{\"currentValues\":{\"currentValues\":0}}"),
                                 .time_ms = -9223372036854};
    struct record r = {.kind = RECORD_ALARM_TRANSITION, .alarm = a};
    struct buf b;
    struct reject why;
    buf_init(&b, 1 << 20);
    cr_assert_eq(influx_line_add(&b, &r, &why), 0);
    cr_assert_gt(b.size, 2 * 7 * sizeof(quotes));
    buf_free(&b);
}

Test(influx_line, refuses_times_that_nanoseconds_cannot_hold)
{
    struct record r = sample();
    r.measurement.time_ms = 9223372036855;
    expect_refused(&r, REJECT_BAD_TIME);
    r.measurement.time_ms = -9223372036855;
    expect_refused(&r, REJECT_BAD_TIME);
    r.measurement.time_ms = -1;
    expect(&r, "cpu,_region=r,_tenant_id=t1 value=1.5,value_meta=\"{}\" -1\n");
}

/* A series of 65521 bytes: InfluxDB adds "#!~#value_meta", and holds 65535. */
Test(influx_line, refuses_keys_that_are_too_long)
{
    static char text[70000];
    static const size_t rest = sizeof("cpu,_region=r,_tenant_id=t1,h=") - 1;
    struct record r = sample();
    struct dimension d = {SLICE("h"), {text, 65521 - rest}};
    struct buf b;
    struct reject why;
    memset(text, 'x', sizeof(text));
    r.measurement.dimensions = &d;
    r.measurement.n_dimensions = 1;
    buf_init(&b, 1 << 20);
    cr_assert_eq(influx_line_add(&b, &r, &why), 0);
    d.value.n++;
    cr_assert_eq(influx_line_add(&b, &r, &why), -1);
    text[0] = ' '; /* which takes two bytes */
    d.value.n--;
    cr_assert_eq(influx_line_add(&b, &r, &why), -1);
    cr_assert_eq(why.reason, REJECT_UNSTORABLE);
    buf_free(&b);
}

Test(influx_line, only_member_names_become_snake_case)
{
    struct alarm_transition a = {.tenant_id = SLICE("t"), .metrics = SLICE("[]"), .time_ms = 2};
    a.sub_alarms =
        SLICE("[{\"subAlarmState\" : \"subAlarmState\", \"x\": {\"metric\\u0044efinition\": 1}}]");
    struct record r = {.kind = RECORD_ALARM_TRANSITION, .alarm = a};
    expect(
        &r,
        "alarm_state_history,tenant_id=t "
        "tenant_id=\"t\",alarm_id=\"\",metrics=\"[]\",new_state=\"\","
        "old_state=\"\",link=\"\",lifecycle_state=\"\",reason=\"\",reason_data=\"{}\",sub_alarms="
        "\"[{\\\"sub_alarm_state\\\":\\\"subAlarmState\\\",\\\"x\\\":{\\\"metric_definition\\\":1}}"
        "]\" 2\n");
}

Test(influx_line, does_not_exceed_its_buffer)
{
    struct buf b;
    struct reject why;
    struct record r = sample();
    buf_init(&b, 30);
    cr_assert_eq(influx_line_add(&b, &r, &why), 0);
    cr_assert(b.failed);
    cr_assert_eq(b.size, 0u);
    buf_free(&b);
}

Test(influx_line, knows_names_of_databases)
{
    static const char *const good[] = {"mon", "mon_x\"; DROP DATABASE mon; --", "mon_caf\xc3\xa9"};
    static const char *const bad[] = {"",         ".",         "..",      "mon_a/b",
                                      "mon_a\\b", "mon_a\x01", "mon_\xff"};
    char long_name[300];
    memset(long_name, 'x', sizeof(long_name));
    for (size_t i = 0; i < COUNT_OF(good); i++)
        cr_assert(influx_line_is_database_name((struct slice){good[i], strlen(good[i])}), "%s",
                  good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert(!influx_line_is_database_name((struct slice){bad[i], strlen(bad[i])}), "%s",
                  bad[i]);
    cr_assert(influx_line_is_database_name((struct slice){long_name, 255}));
    cr_assert(!influx_line_is_database_name((struct slice){long_name, 256}));
}
