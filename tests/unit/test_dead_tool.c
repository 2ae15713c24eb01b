/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_dead_tool.c - persister-dead's pure parts: hostile lines, times, ids, counting, showing.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdio.h>

#include "dead/filter.h"
#include "dead/idset.h"
#include "dead/judge.h"
#include "dead/letter.h"
#include "dead/pace.h"
#include "dead/show.h"
#include "dead/tally.h"
#include "dead/when.h"
#include "lib/timestamp.h"
#include "worker/dead_letter.h"

static const char good[] =
    "{\"topic\":\"metrics\",\"partition\":3,\"offset\":12,\"time\":\"2026-09-21T14:13:20.123Z\","
    "\"reason\":\"not_json\",\"detail\":\"d\",\"payload\":\"YQD/Cg==\"}";

static struct slice
slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

/* --- when --- */

Test(dead_when, reads_what_people_write)
{
    static const struct {
        const char *text;
        int64_t ms;
    } times[] = {{"2026-09-21T14:13:20.123Z", 1790000000123},
                 {"2026-09-21T14:13:20", 1790000000000},
                 {"2026-09-21 14:13:20.5", 1790000000500},
                 {"2026-09-21T14:13", 1789999980000},
                 {"2026-09-21", 1789948800000},
                 {"2024-02-29", 1709164800000},
                 {"1970-01-01", 0},
                 {"90s", 1000000000000 - 90000},
                 {"15m", 1000000000000 - 900000},
                 {"2h", 1000000000000 - 7200000},
                 {"7d", 1000000000000 - 604800000},
                 {"0s", 1000000000000}};
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        int64_t ms = -1;
        cr_expect_eq(when_parse(times[i].text, 1000000000000, &ms), 0, "%s", times[i].text);
        cr_expect_eq(ms, times[i].ms, "%s: %lld", times[i].text, (long long)ms);
    }
}

Test(dead_when, refuses_the_rest_and_touches_nothing)
{
    static const char *const texts[] = {"",
                                        "x",
                                        "2026",
                                        "2026-09",
                                        "2026-02-30",
                                        "2025-02-29",
                                        "2026-13-01",
                                        "2026-00-01",
                                        "2026-09-00",
                                        "1969-12-31",
                                        "2026-09-21T",
                                        "2026-09-21T24:00",
                                        "2026-09-21T14:60",
                                        "2026-09-21T14:13:60",
                                        "2026-09-21T14:13:20.",
                                        "2026-09-21x",
                                        "2026-09-21T14:13:20.1234",
                                        "2026-09-21ZZ",
                                        "-1h",
                                        "1w",
                                        "h",
                                        "99999999999999d",
                                        "9999999999d",
                                        "2026-09-21T14:13:20+02:00"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        int64_t ms = 42;
        cr_expect_eq(when_parse(texts[i], 1790000000000, &ms), -1, "%s", texts[i]);
        cr_expect_eq(ms, 42);
    }
}

Test(dead_when, writes_what_it_reads)
{
    for (int64_t ms = 0; ms < 253402300799999; ms += 86400000LL * 371 + 7331) {
        char text[TIMESTAMP_BYTES];
        int64_t back = -1;
        timestamp_format(text, ms);
        cr_assert_eq(when_parse_iso(slice_of(text), &back), 0, "%s", text);
        cr_assert_eq(back, ms, "%s", text);
    }
}

/* --- letter --- */

static int
parse(const char *line, struct letter *letter, struct errbuf *err)
{
    static struct letter_reader reader; /* each test is a process of its own */
    return letter_parse(&reader, slice_of(line), letter, err);
}

Test(dead_tool_letter, reads_what_the_worker_writes)
{
    char payload[256];
    struct buf b;
    struct letter_reader reader = {.size = 0};
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (char)i;
    buf_init(&b, 1 << 20);
    for (size_t n = 0; n <= sizeof(payload); n++) {
        struct message message = {
            .payload = {payload, n}, .partition = 2147483647, .offset = INT64_MAX};
        struct reject why = {.reason = REJECT_TOO_DEEP};
        struct letter letter;
        struct errbuf err;
        snprintf(why.detail, sizeof(why.detail), "\"quoted\" \\ caf\xc3\xa9 %zu", n);
        buf_clear(&b);
        dead_letter_format(&b, "alarm-state_1.x", &(struct dead_letter){&message, &why},
                           1790000000123, SIZE_MAX);
        cr_assert_eq(letter_parse(&reader, (struct slice){b.data, b.size - 1}, &letter, &err), 0,
                     "%s", err.text);
        cr_assert(slice_equal(letter.payload, message.payload));
        cr_assert(slice_equal(letter.topic, SLICE("alarm-state_1.x")));
        cr_assert(slice_equal(letter.reason, SLICE("too_deep")));
        cr_assert(slice_equal(letter.detail, slice_of(why.detail)));
        cr_assert_eq(letter.partition, 2147483647);
        cr_assert_eq(letter.offset, INT64_MAX);
        cr_assert_eq(letter.time_ms, 1790000000123);
    }
    letter_reader_free(&reader);
    buf_free(&b);
}

/* Puts another text in the place of one that is in the good line. */
static void
replace(char *out, size_t size, const char *old, const char *with)
{
    const char *at = strstr(good, old);
    cr_assert_not_null(at, "%s", old);
    snprintf(out, size, "%.*s%s%s", (int)(at - good), good, with, at + strlen(old));
}

Test(dead_tool_letter, without_its_message_is_known_as_that)
{
    struct buf b;
    struct letter letter;
    struct errbuf err;
    struct message message = {.partition = 2, .offset = 100, .more = 41};
    struct reject why = {.reason = REJECT_UNREADABLE, .detail = "x"};
    struct judge *judge = judge_new(NULL);
    buf_init(&b, 1 << 16);
    dead_letter_format(&b, "metrics", &(struct dead_letter){&message, &why},
                       1790000000123, SIZE_MAX);
    b.data[b.size - 1] = '\0';
    cr_assert_eq(parse(b.data, &letter, &err), 0, "%s", err.text);
    cr_assert(letter.partial);
    cr_assert_eq(letter.offset, 100);
    cr_assert_eq(letter.last_offset, 141);
    cr_assert_eq(letter.payload.n, 0u);
    cr_assert_eq(judge_letter(judge, &letter, &why), VERDICT_UNKNOWN);
    char *last = strstr(b.data, "141");
    memcpy(last, "099", 3);
    cr_assert_eq(parse(b.data, &letter, &err), -1, "a number does not begin with 0");
    memcpy(last, " 99", 3);
    cr_assert_eq(parse(b.data, &letter, &err), -1);
    cr_assert_str_eq(err.text, "last_offset is no whole number from the offset on");
    cr_assert_eq(parse("{\"topic\":\"metrics\",\"partition\":2,\"offset\":100,"
                       "\"reason\":\"too_large\","
                       "\"time\":\"2026-09-21T14:13:20.123Z\",\"payload_bytes\":30000000,"
                       "\"payload\":\"e30=\"}",
                       &letter, &err),
                 0, "%s", err.text);
    cr_assert(letter.partial);
    cr_assert_eq(letter.bytes, 30000000);
    cr_assert_eq(letter.last_offset, 100);
    cr_assert_eq(letter.payload.n, 2u);
    cr_assert_eq(judge_letter(judge, &letter, &why), VERDICT_UNKNOWN);
    judge_free(&judge);
    buf_free(&b);
}

Test(dead_tool_letter, names_what_is_wrong_with_a_line)
{
    static const struct {
        const char *old, *with, *why;
    } lines[] = {
        {good, "", "an empty line"},
        {good, "garbage", "not a JSON object"},
        {good, "[1]", "not a JSON object"},
        {good, "{}", "topic is missing"},
        {"\"}", "\"", "not JSON: byte"},
        {"\"}", "\"} x", "not JSON: byte"},
        {"\"topic\":\"metrics\"", "\"topic\":7", "topic is not a string"},
        {"\"metrics\"", "\"\"", "topic is no name"},
        {"\"metrics\"", "\"a b\"", "topic is no name"},
        {"\"metrics\"", "\"..\"", "topic is no name"},
        {"\"metrics\"", "\"a\\u0000b\"", "topic is no name"},
        {"\"partition\":3", "\"partition\":\"3\"", "partition is not a number"},
        {"\"partition\":3", "\"partition\":-3", "partition is no whole number"},
        {"\"partition\":3", "\"partition\":2147483648", "partition is no whole number"},
        {"\"offset\":12", "\"offset\":1.5", "offset is no whole number"},
        {"\"offset\":12", "\"offset\":9223372036854775808", "offset is no whole number"},
        {"\"offset\":12", "\"offset\":1111111111111111111111111111", "offset is no whole number"},
        {"\"offset\":12,", "", "offset is missing"},
        {"14:13:20.123Z", "25:13:20Z", "time is no ISO 8601"},
        {"\"not_json\"", "\"No!\"", "reason is no name"},
        {"\"not_json\"", "\"\"", "reason is no name"},
        {"\"d\"", "\"\\ud800\"", "detail is no text"},
        {"\"d\"", "\"\xff\"", "not JSON: byte"},
        {"YQD/Cg==", "YQD/Cg=", "payload is not base64"},
        {"YQD/Cg==", "YQD/Cg", "payload is not base64"},
        {"YQD/Cg==", "YQ D/Cg=", "payload is not base64"},
        {"YQD/Cg==", "YQ==D/Cg", "payload is not base64"},
        {"YQD/Cg==", "YQD/Ch==", "payload is not base64"}, /* bits that nobody sees */
        {"YQD/Cg==", "YQD_Cg==", "payload is not base64"},
        {"YQD/Cg==", "====", "payload is not base64"},
        {"YQD/Cg==", "A===", "payload is not base64"},
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        char line[512];
        struct letter letter;
        struct errbuf err = {.text = ""};
        replace(line, sizeof(line), lines[i].old, lines[i].with);
        cr_expect_eq(parse(line, &letter, &err), -1, "%s", line);
        cr_expect_not_null(strstr(err.text, lines[i].why), "%s: %s", line, err.text);
    }
}

Test(dead_tool_letter, takes_members_in_any_order_escaped_and_unknown)
{
    struct letter letter;
    struct errbuf err;
    static const char line[] =
        "{\"payload\":\"\\u0059Q==\",\"new\":[{\"payload\":1}],\"reason\":\"later_reason\","
        "\"time\":\"2026-09-21\",\"offset\":0,\"partition\":0,\"topic\":\"\\u006d\"}";
    cr_assert_eq(parse(line, &letter, &err), 0, "%s", err.text);
    cr_assert(slice_equal(letter.topic, SLICE("m")));
    cr_assert(slice_equal(letter.payload, SLICE("a")));
    cr_assert_eq(letter.detail.n, 0u);
}

Test(dead_tool_letter, every_part_of_the_id_counts)
{
    struct letter_id ids[6];
    size_t n = 0;
    ids[n++] = letter_make_id(SLICE("metrics"), 1, 2, SLICE("abc"));
    ids[n++] = letter_make_id(SLICE("metrics"), 1, 2, SLICE("abd"));
    ids[n++] = letter_make_id(SLICE("metrics"), 1, 3, SLICE("abc"));
    ids[n++] = letter_make_id(SLICE("metrics"), 2, 2, SLICE("abc"));
    ids[n++] = letter_make_id(SLICE("metric"), 1, 2, SLICE("abc"));
    ids[n++] = letter_make_id(SLICE("metrics"), 1, 2, SLICE(""));
    for (size_t i = 0; i < n; i++) {
        char text[LETTER_ID_BYTES];
        struct letter_id back;
        letter_format_id(ids[i], text);
        cr_assert_eq(letter_parse_id(slice_of(text), &back), 0);
        cr_assert(letter_same_id(back, ids[i]));
        for (size_t j = 0; j < i; j++)
            cr_assert_not(letter_same_id(ids[i], ids[j]));
    }
    cr_assert_eq(letter_parse_id(SLICE("0123456789abcdef0123456789abcde"), &ids[0]), -1);
    cr_assert_eq(letter_parse_id(SLICE("0123456789abcdef0123456789abcdeF"), &ids[0]), -1);
}

Test(dead_tool_letter, reads_places)
{
    struct slice topic;
    int32_t partition;
    int64_t offset;
    cr_assert_eq(letter_parse_place("a.b-c_D/7/9223372036854775807", &topic, &partition, &offset),
                 0);
    cr_assert(slice_equal(topic, SLICE("a.b-c_D")));
    cr_assert_eq(partition, 7);
    cr_assert_eq(offset, INT64_MAX);
    static const char *const wrong[] = {"",       "a",       "a/1",   "/1/2",   "a//2",
                                        "a/1/",   "a/1/2/3", "a/x/2", "a/1/-2", "a/2147483648/1",
                                        "a b/1/2"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        cr_expect_eq(letter_parse_place(wrong[i], &topic, &partition, &offset), -1, "%s", wrong[i]);
}

/* --- filter, idset, tally, judge, show --- */

static struct letter
make_letter(const char *topic, const char *reason, int64_t time_ms)
{
    return (struct letter){.topic = slice_of(topic),
                           .reason = slice_of(reason),
                           .payload = SLICE("12345"),
                           .partition = 1,
                           .offset = 2,
                           .time_ms = time_ms};
}

Test(dead_filter, since_is_in_and_until_is_not)
{
    struct filter f = {.since_ms = 100, .until_ms = 200};
    static const struct {
        int64_t ms;
        bool passes;
    } times[] = {{99, false}, {100, true}, {199, true}, {200, false}};
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        struct letter l = make_letter("m", "r", times[i].ms);
        cr_expect_eq(filter_passes(&f, &l), times[i].passes, "%lld", (long long)times[i].ms);
    }
}

Test(dead_filter, any_of_the_names_and_all_of_the_kinds)
{
    struct filter f = {.reasons = {"a", "b"}, .n_reasons = 2, .topics = {"m"}, .n_topics = 1};
    struct letter l = make_letter("m", "b", 0);
    cr_assert(filter_passes(&f, &l));
    l = make_letter("m", "c", 0);
    cr_assert_not(filter_passes(&f, &l));
    l = make_letter("mm", "a", 0);
    cr_assert_not(filter_passes(&f, &l));
    f = (struct filter){.one = true, .topic = SLICE("m"), .partition = 1, .offset = 2};
    l = make_letter("m", "c", 0);
    cr_assert(filter_passes(&f, &l));
    l.offset = 3;
    cr_assert_not(filter_passes(&f, &l));
}

Test(dead_idset, holds_many_and_each_once)
{
    struct idset set = {.n = 0};
    for (int turn = 0; turn < 2; turn++)
        for (int64_t i = 0; i < 20000; i++) {
            struct letter_id id = letter_make_id(SLICE("m"), 0, i, SLICE(""));
            cr_assert_eq(idset_has(&set, id), turn == 1);
            cr_assert_eq(idset_add(&set, id), turn == 0);
        }
    cr_assert_eq(set.n, 20000u);
    cr_assert_not(idset_has(&set, letter_make_id(SLICE("m"), 0, 20000, SLICE(""))));
    idset_free(&set);
    cr_assert_not(idset_has(&set, letter_make_id(SLICE("m"), 0, 0, SLICE(""))));
}

static cJSON *
write_tally(struct tally *t)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    buf_add_char(&out, '{');
    tally_write_json(t, &out);
    buf_add_char(&out, '}');
    cr_assert_not(out.failed);
    cJSON *json = cJSON_ParseWithLength(out.data, out.size);
    cr_assert_not_null(json);
    buf_free(&out);
    return json;
}

static int
number_of(const cJSON *json, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);
    cr_assert_not_null(item, "%s", name);
    return item->valueint;
}

Test(dead_tally, counts_by_reason_and_topic)
{
    struct tally t = {.n = 0};
    struct letter l = make_letter("m", "rare", 5000);
    cr_assert_eq(tally_add(&t, &l, true), 0);
    for (int i = 0; i < 3; i++) {
        l = make_letter("m", "often", 2000 - 1000 * i);
        cr_assert_eq(tally_add(&t, &l, i == 1), 0);
    }
    cJSON *json = write_tally(&t);
    cr_assert_eq(number_of(json, "letters"), 4);
    cr_assert_eq(number_of(json, "replayed"), 2);
    cr_assert_eq(number_of(json, "bytes"), 20);
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "groups"), 0);
    cr_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(first, "reason")), "often");
    cr_assert_eq(number_of(first, "letters"), 3);
    cr_assert_eq(number_of(first, "replayed"), 1);
    cr_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(first, "first")),
                     "1970-01-01T00:00:00.000Z");
    cr_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(first, "last")),
                     "1970-01-01T00:00:02.000Z");
    cJSON_Delete(json);
    tally_free(&t);
}

Test(dead_tally, is_not_filled_up_by_made_up_names)
{
    struct tally t = {.n = 0};
    for (int i = 0; i < 5000; i++) {
        char reason[32];
        snprintf(reason, sizeof(reason), "r%d", i);
        struct letter l = make_letter("m", reason, 0);
        cr_assert_eq(tally_add(&t, &l, false), 0);
    }
    cr_assert_eq(t.n, (size_t)TALLY_GROUPS_MAX);
    cr_assert_eq(t.total.letters, 5000u);
    cr_assert_eq(t.groups[TALLY_GROUPS_MAX - 1].count.letters, 5000u - TALLY_GROUPS_MAX + 1);
    tally_free(&t);
}

Test(dead_judge, says_what_the_decoder_says)
{
    struct reject why;
    struct judge *judge = judge_new(NULL);
    struct letter l = make_letter("metrics", "not_json", 0);
    cr_assert_eq(judge_letter(judge, &l, &why), VERDICT_REJECTED);
    cr_assert_eq(why.reason, REJECT_BAD_ENVELOPE, "%s", why.detail);
    l.payload = SLICE("{\"metric\":{\"name\":\"a\",\"dimensions\":{},\"timestamp\":1790000000000,"
                      "\"value\":1},\"meta\":{\"tenantId\":\"t\",\"region\":\"r\"},"
                      "\"creation_time\":1790000000}");
    cr_assert_eq(judge_letter(judge, &l, &why), VERDICT_ACCEPTED);
    l.topic = SLICE("alarm-state-transitions");
    cr_assert_eq(judge_letter(judge, &l, &why), VERDICT_REJECTED);
    l.topic = SLICE("elsewhere");
    cr_assert_eq(judge_letter(judge, &l, &why), VERDICT_UNKNOWN);
    judge_free(&judge);
}

Test(dead_show, lets_a_terminal_see_and_not_do)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    show_write_bytes(&out,
                     (struct slice){"a\x1b[2J\n\t\0\x7f\xc2\x9b\xc3\xa9\xff\xe2\x82\xac\xe2", 18});
    buf_add_char(&out, '\0');
    cr_assert_str_eq(out.data, "a\\x1b[2J\n\t\\x00\\x7f\\xc2\\x9b\xc3\xa9\\xff\xe2\x82\xac\\xe2");
    buf_clear(&out);
    show_write_line(&out, SLICE("a\nnow\t\xc2\x9b\xc3\xa9"));
    buf_add_char(&out, '\0');
    cr_assert_str_eq(out.data, "a\\x0anow\\x09\\xc2\\x9b\xc3\xa9");
    buf_free(&out);
}

Test(dead_pace, time_that_was_not_used_is_not_made_up_for)
{
    const int64_t ms = 1000000;
    cr_assert_eq(pace_next(0, 0, 500), 2 * ms);
    cr_assert_eq(pace_next(1000 * ms, 1015 * ms, 500), 1002 * ms, "a wait that took too long");
    cr_assert_eq(pace_next(1000 * ms, 1020 * ms, 500), 1002 * ms);
    cr_assert_eq(pace_next(1000 * ms, 9000 * ms, 500), 8982 * ms, "a broker that was away");
    int64_t due = 0, now = 5000 * ms, sent = 0;
    while (due <= now) {
        due = pace_next(due, now, 1000);
        sent++;
    }
    cr_assert_leq(sent, 21, "%lld at once", (long long)sent);
}
