/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_decode_corpus.c - the decoder on real and doubtful messages: the verdicts of the corpus,
 * what upstream makes of it, and the same meaning as cJSON and plain code find, also in thousands
 * of mutated messages.
 *
 * Process: the tests.  Owner: each test.  Concurrency: one thread.
 */
#include <criterion/criterion.h>
#include <cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/decode_fixture.h"

TestSuite(decode_corpus, .init = decode_set_up, .fini = decode_tear_down, .timeout = 120);

static void
expect_slice(struct slice s, const char *expected)
{
    struct slice e = {expected, strlen(expected)};
    cr_expect(slice_equal(s, e), "'%.*s', expected '%s'", (int)s.n, s.p, expected);
}

/* ---- files ---- */

/* Returns: true and the next line, NUL-terminated in place, or false at the end. */
static bool
next_line(char **at, struct slice *line)
{
    char *end = strchr(*at, '\n');
    if (end == NULL)
        return false;
    *end = '\0';
    *line = (struct slice){*at, (size_t)(end - *at)};
    *at = end + 1;
    return true;
}

static size_t
decode_base64(const char *text, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    size_t n = 0, n_bits = 0;
    for (; *text != '\0' && *text != '='; text++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, *text) - digits);
        n_bits += 6;
        if (n_bits >= 8)
            out[n++] = (char)(bits >> (n_bits -= 8));
    }
    return n;
}

/* ---- the reference: cJSON and plain code ---- */

/* The last member of that name, as Python's json keeps it. cJSON itself finds the first. */
static const cJSON *
last_member(const cJSON *object, const char *name)
{
    const cJSON *found = NULL;
    for (const cJSON *m = object != NULL ? object->child : NULL; m != NULL; m = m->next)
        if (strcmp(m->string, name) == 0)
            found = m;
    return found;
}

static void
same_text(struct slice decoded, const cJSON *object, const char *name)
{
    const cJSON *member = last_member(object, name);
    const char *text = member != NULL && cJSON_IsString(member) ? member->valuestring : "";
    struct slice expected = {text, strlen(text)};
    cr_assert(slice_equal(decoded, expected), "%s: '%.*s', cJSON '%s'", name, (int)decoded.n,
              decoded.p, text);
}

static void
same_json(struct slice decoded, const cJSON *expected)
{
    const char *end = NULL;
    char *copy = strndup(decoded.p, decoded.n);
    cJSON *tree = cJSON_ParseWithOpts(copy, &end, true);
    cr_assert_not_null(tree);
    /* Printed, since cJSON_Compare takes no duplicate names. */
    char *a = cJSON_PrintUnformatted(tree), *b = cJSON_PrintUnformatted(expected);
    cr_assert_str_eq(a, b);
    cJSON_free(a);
    cJSON_free(b);
    cJSON_Delete(tree);
    free(copy);
}

/* The number that a member says, by way of a double. */
static double
reference_number(const cJSON *member)
{
    if (cJSON_IsBool(member))
        return cJSON_IsTrue(member) ? 1 : 0;
    return cJSON_IsString(member) ? strtod(member->valuestring, NULL) : member->valuedouble;
}

static void
same_time(int64_t ms, const cJSON *member)
{
    double expected = trunc(reference_number(member));
    /* Ours is exact; a double of that size is a little off, and may round a fraction up. */
    cr_assert(fabs((double)ms - expected) <= 1 + fabs(expected) * 1e-15, "%lld, cJSON %.17g",
              (long long)ms, expected);
}

static void
same_dimension(const struct dimension *decoded, const cJSON *dimensions)
{
    char *name = strndup(decoded->name.p, decoded->name.n);
    const cJSON *expected = last_member(dimensions, name);
    cr_assert_not_null(expected, "%s", name);
    if (cJSON_IsString(expected)) {
        same_text(decoded->value, dimensions, name);
    } else if (cJSON_IsBool(expected)) {
        expect_slice(decoded->value, cJSON_IsTrue(expected) ? "True" : "False");
    } else {
        char *value = strndup(decoded->value.p, decoded->value.n);
        cr_assert_eq(strtod(value, NULL), expected->valuedouble);
        free(value);
    }
    free(name);
}

static size_t
count_names(const cJSON *object)
{
    size_t n = 0;
    for (const cJSON *m = object != NULL ? object->child : NULL; m != NULL; m = m->next)
        n += last_member(object, m->string) == m;
    return n;
}

static void
same_measurement(const struct measurement *m, const cJSON *tree)
{
    const cJSON *metric = last_member(tree, "metric"), *meta = last_member(tree, "meta");
    const cJSON *dimensions = last_member(metric, "dimensions");
    const cJSON *value_meta = last_member(metric, "value_meta");
    same_text(m->name, metric, "name");
    same_text(m->tenant_id, meta, "tenantId");
    same_text(m->region, meta, "region");
    same_time(m->time_ms, last_member(metric, "timestamp"));
    char *value = strndup(m->value_text.p, m->value_text.n);
    cr_assert_eq(strtod(value, NULL), reference_number(last_member(metric, "value")), "%s", value);
    free(value);
    cr_assert_eq(m->n_dimensions, count_names(dimensions));
    for (size_t i = 0; i < m->n_dimensions; i++)
        same_dimension(&m->dimensions[i], dimensions);
    for (size_t i = 1; i < m->n_dimensions; i++)
        cr_assert_lt(slice_compare(m->dimensions[i - 1].name, m->dimensions[i].name), 0);
    if (value_meta == NULL || cJSON_IsNull(value_meta))
        cr_assert_eq(m->value_meta.n, 0);
    else
        same_json(m->value_meta, value_meta);
    const cJSON *creation_time = last_member(tree, "creation_time");
    if (creation_time != NULL && cJSON_IsNumber(creation_time) &&
        isfinite(creation_time->valuedouble))
        cr_assert_eq(record.creation_time, creation_time->valuedouble);
    else
        cr_assert(isnan(record.creation_time));
}

static void
same_alarm(const struct alarm_transition *a, const cJSON *tree)
{
    const cJSON *alarm = last_member(tree, "alarm-transitioned");
    const cJSON *sub_alarms = last_member(alarm, "subAlarms");
    same_text(a->tenant_id, alarm, "tenantId");
    same_text(a->alarm_id, alarm, "alarmId");
    same_text(a->alarm_definition_id, alarm, "alarmDefinitionId");
    same_text(a->alarm_name, alarm, "alarmName");
    same_text(a->alarm_description, alarm, "alarmDescription");
    same_text(a->old_state, alarm, "oldState");
    same_text(a->new_state, alarm, "newState");
    same_text(a->reason, alarm, "stateChangeReason");
    same_text(a->severity, alarm, "severity");
    same_text(a->link, alarm, "link");
    same_text(a->lifecycle_state, alarm, "lifecycleState");
    same_json(a->metrics, last_member(alarm, "metrics"));
    if (sub_alarms == NULL || cJSON_IsNull(sub_alarms))
        expect_slice(a->sub_alarms, "[]");
    else
        same_json(a->sub_alarms, sub_alarms);
    const cJSON *enabled = last_member(alarm, "actionsEnabled");
    cr_assert_eq(a->actions_enabled, !cJSON_IsFalse(enabled)); /* if it is missing: true */
    same_time(a->time_ms, last_member(alarm, "timestamp"));
}

/*
 * What was decoded last, against cJSON.  Returns: false if cJSON cannot be asked: it refuses half
 * surrogate pairs and reads \u0000 as the end of a string, which we keep in what is passed through.
 */
static bool
same_as_reference(size_t n)
{
    for (size_t i = 0; i + 6 <= n; i++)
        if (memcmp(message + i, "\\u0000", 6) == 0)
            return false;
    cJSON *tree = cJSON_ParseWithLength(message, n);
    if (tree == NULL)
        return false;
    if (record.kind == RECORD_MEASUREMENT)
        same_measurement(&record.measurement, tree);
    else
        same_alarm(&record.alarm, tree);
    cJSON_Delete(tree);
    return true;
}

static void
compare_file(const char *name, enum topic_kind kind)
{
    size_t n, lines = 0;
    char *text = decode_read_corpus(name, &n), *at = text;
    struct slice line;
    while (next_line(&at, &line)) {
        cr_assert_eq(decode(kind, line.p, line.n), 0, "%s: %s", why.detail, line.p);
        cr_assert(same_as_reference(line.n), "%s", line.p);
        lines++;
    }
    cr_assert_gt(lines, 100);
    free(text);
}

Test(decode_corpus, metrics_as_cjson_reads_them)
{
    compare_file("metrics.jsonl", TOPIC_METRICS);
}

Test(decode_corpus, alarms_as_cjson_reads_them)
{
    compare_file("alarm-state-transitions.jsonl", TOPIC_ALARM_HISTORY);
}

Test(decode_corpus, malformed_by_verdict)
{
    size_t n, stored = 0, rejected = 0;
    char *text = decode_read_corpus("malformed.jsonl", &n), *at = text, *bytes = malloc(n);
    struct slice line;
    while (next_line(&at, &line)) {
        cJSON *doubtful = cJSON_ParseWithLength(line.p, line.n);
        cr_assert_not_null(doubtful);
        const char *name = last_member(doubtful, "case")->valuestring;
        bool store = strcmp(last_member(doubtful, "verdict")->valuestring, "store") == 0;
        size_t size = decode_base64(last_member(doubtful, "base64")->valuestring, bytes);
        int result = decode(TOPIC_METRICS, bytes, size);
        cr_expect_eq(result == 0, store, "%s: %s", name, result == 0 ? "stored" : why.detail);
        if (result == 0)
            cr_expect(same_as_reference(size) || bytes[0] == '\xef', "%s", name);
        stored += result == 0;
        rejected += result == -1;
        cJSON_Delete(doubtful);
    }
    cr_expect_eq(stored + rejected, 74);
    free(bytes);
    free(text);
}

/* Wherever a message is cut, it is refused, and no byte behind it is read. */
static void
cut_file(const char *name, enum topic_kind kind, size_t lines)
{
    size_t n;
    char *text = decode_read_corpus(name, &n), *at = text;
    struct slice line;
    while (lines-- > 0 && next_line(&at, &line))
        for (size_t cut = 0; cut < line.n; cut++)
            cr_assert_eq(decode(kind, line.p, cut), -1, "%zu bytes of %s", cut, line.p);
    free(text);
}

Test(decode_corpus, every_cut_is_refused)
{
    cut_file("metrics.jsonl", TOPIC_METRICS, 100);
    cut_file("alarm-state-transitions.jsonl", TOPIC_ALARM_HISTORY, 20);
}

/* ---- mutations ---- */

static uint64_t random_state = 0x9e3779b97f4a7c15;

static size_t
draw(size_t below)
{
    random_state ^= random_state << 13; /* xorshift64, G. Marsaglia 2003 */
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % below);
}

/* Changes a message a little, often such that it stays JSON. Returns: its new size. */
static size_t
mutate(char *text, size_t n)
{
    static const char *const pieces[] = {"\"",
                                         "\\",
                                         "{",
                                         "}",
                                         "[",
                                         "]",
                                         ",",
                                         ":",
                                         " ",
                                         "0",
                                         "9",
                                         "-",
                                         ".",
                                         "e",
                                         "\\u0000",
                                         "\\n",
                                         "\\ud83d",
                                         "\\ude00",
                                         "\xc3\xa9",
                                         "\xff",
                                         "null",
                                         "true",
                                         "\"value\":\" 1.5e3\",",
                                         "\"value\":-0.0,",
                                         "\"name\":\"\\u0061\",",
                                         "\"hostname\":7.50,",
                                         "\"timestamp\":1e3,",
                                         "\"dimensions\":{\"b\":\"2\",\"a\":\"1\",\"b\":\"3\"},",
                                         "\"value_meta\":[{}, 1.0 ],",
                                         "\"metric\":null,",
                                         "\"link\":null,",
                                         "\"x\":{\"y\":[]},",
                                         "\t",
                                         "\x01"};
    size_t at = draw(n), size = 1 + draw(4);
    const char *piece = pieces[draw(COUNT_OF(pieces))];
    switch (draw(4)) {
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
    default:
        break;
    }
    size = strlen(piece);
    memmove(text + at + size, text + at, n - at);
    memcpy(text + at, piece, size);
    return n + size;
}

static void
compare_mutations(const char *name, enum topic_kind kind, size_t rounds)
{
    size_t n, accepted = 0, compared = 0, rejected = 0;
    char *text = decode_read_corpus(name, &n), changed[8192];
    for (size_t round = 0; round < rounds; round++) {
        char *at = text + draw(n);
        while (at > text && at[-1] != '\n')
            at--;
        size_t size = (size_t)(strchr(at, '\n') - at);
        if (size == 0 || size > sizeof(changed) - 512)
            continue;
        memcpy(changed, at, size);
        for (size_t i = 1 + draw(2); i > 0 && size > 0; i--)
            size = mutate(changed, size);
        if (decode(kind, changed, size) == 0) {
            accepted++;
            compared += same_as_reference(size);
        } else {
            cr_assert_lt(strlen(why.detail), 200);
            rejected++;
        }
    }
    cr_log_info("%s: %zu accepted, %zu of them compared, %zu rejected", name, accepted, compared,
                rejected);
    cr_assert_gt(compared, rounds / 8);
    cr_assert_gt(rejected, rounds / 8);
    free(text);
}

Test(decode_corpus, mutated_metrics_as_cjson_reads_them)
{
    compare_mutations("metrics.jsonl", TOPIC_METRICS, 40000);
}

Test(decode_corpus, mutated_alarms_as_cjson_reads_them)
{
    compare_mutations("alarm-state-transitions.jsonl", TOPIC_ALARM_HISTORY, 10000);
}

/* ---- what upstream makes of the corpus ---- */

/* Takes a part of a golden line up to an unescaped stop, unescaped. Returns: where it stopped. */
static const char *
take_part(const char *p, const char *stops, char *out)
{
    for (; *p != '\0' && strchr(stops, *p) == NULL; p++) {
        if (*p == '\\')
            p++;
        *out++ = *p;
    }
    *out = '\0';
    return p;
}

static void
expect_tag(const struct measurement *m, size_t *next, const char *name, const char *value)
{
    if (strcmp(name, "_tenant_id") == 0) {
        expect_slice(m->tenant_id, value);
    } else if (strcmp(name, "_region") == 0) {
        expect_slice(m->region, value);
    } else {
        cr_assert_lt(*next, m->n_dimensions);
        expect_slice(m->dimensions[*next].name, name);
        expect_slice(m->dimensions[*next].value, value);
        (*next)++;
    }
}

static void
expect_golden(const struct measurement *m, const char *line)
{
    char name[2048], value[2048];
    size_t next = 0;
    const char *p = take_part(line, ", ", name);
    expect_slice(m->name, name);
    while (*p == ',') {
        p = take_part(p + 1, "=", name);
        p = take_part(p + 1, ", ", value);
        expect_tag(m, &next, name, value);
    }
    cr_assert_eq(next, m->n_dimensions);
    cr_assert_eq(strncmp(p, " value=", 7), 0);
    char *end;
    char *ours = strndup(m->value_text.p, m->value_text.n);
    cr_assert_eq(strtod(p + 7, &end), strtod(ours, NULL));
    free(ours);
    cr_assert_eq(strncmp(end, ",value_meta=\"", 13), 0);
    p = take_part(end + 13, "\"", value);
    cJSON *value_meta = cJSON_Parse(value);
    cr_assert_not_null(value_meta);
    same_json(m->value_meta.n > 0 ? m->value_meta : SLICE("{}"), value_meta);
    cJSON_Delete(value_meta);
    cr_assert_eq(strtoll(p + 1, NULL, 10), m->time_ms);
}

Test(decode_corpus, metrics_mean_what_upstream_writes)
{
    size_t n, lines = 0;
    char *text = decode_read_corpus("metrics.jsonl", &n), *at = text;
    char *golden = decode_read_corpus("metrics.golden.jsonl", &n), *golden_at = golden;
    struct slice line, golden_line;
    while (next_line(&at, &line)) {
        cr_assert(next_line(&golden_at, &golden_line));
        cJSON *tree = cJSON_Parse(golden_line.p);
        cr_assert_eq(decode(TOPIC_METRICS, line.p, line.n), 0);
        expect_golden(&record.measurement, last_member(tree, "line")->valuestring);
        cJSON_Delete(tree);
        lines++;
    }
    cr_assert_eq(lines, 3000);
    free(golden);
    free(text);
}
