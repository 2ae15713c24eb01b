/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_decode.c - libFuzzer target: any bytes as a message of both topics.
 *
 * What is asserted of a message that is accepted is what record/record.h promises to the stores.
 * Seeds are messages of the corpus, one a file:
 *
 *   mkdir seeds && split -l 1 -a 4 tests/corpus/metrics.jsonl seeds/m &&
 *       split -l 1 -a 4 tests/corpus/alarm-state-transitions.jsonl seeds/a
 *   tests/tools/fuzz_decode -max_total_time=60 -max_len=4096 -dict=tests/tools/fuzz_decode.dict seeds
 *
 * Process: the fuzzer.  Owner: the decoder lives as long as the process.  Concurrency: one thread.
 */
#include <math.h>
#include <stdlib.h>

#include "lib/json.h"
#include "record/decode_number.h"
#include "record/decode_priv.h"

enum { MAX_MESSAGE = 1 << 20 };

/* The fuzzer must see a broken promise also in a build without asserts. */
static void
promise(bool kept)
{
    if (!kept)
        abort();
}

static bool
within(struct slice s, const char *p, size_t n)
{
    return (uintptr_t)s.p >= (uintptr_t)p && (uintptr_t)s.p + s.n <= (uintptr_t)p + n;
}

static bool
is_literal(struct slice s)
{
    static const struct slice literals[] = {{"", 0},   {"0", 1},    {"1", 1},
                                            {"[]", 2}, {"True", 4}, {"False", 5}};
    for (size_t i = 0; i < COUNT_OF(literals); i++)
        if (slice_equal(s, literals[i]))
            return true;
    return false;
}

static void
check_slice(const struct decoder *d, struct slice message, struct slice s)
{
    promise(s.p != NULL);
    promise(within(s, message.p, message.n) || within(s, d->arena, d->arena_used) || is_literal(s));
}

static void
check_text(const struct decoder *d, struct slice message, struct slice s)
{
    check_slice(d, message, s);
    promise(json_is_utf8(s.p, s.n));
    promise(s.n == 0 || memchr(s.p, '\0', s.n) == NULL);
}

/* A text that identifies a series. */
static void
check_line(const struct decoder *d, struct slice message, struct slice s)
{
    check_text(d, message, s);
    promise(s.n == 0 || memchr(s.p, '\n', s.n) == NULL);
}

static void
check_json(struct slice json, enum json_type type)
{
    struct json_scanner s;
    struct json_value value;
    json_scanner_init(&s, json);
    promise(json_scan_value(&s, &value) == 0 && json_scan_end(&s) == 0);
    promise(json_is_utf8(json.p, json.n));
    promise(type == JSON_ABSENT || value.type == type);
}

static void
check_number(struct slice number)
{
    char *copy = malloc(number.n + 1), *end;
    promise(copy != NULL && number.n > 0);
    memcpy(copy, number.p, number.n);
    copy[number.n] = '\0';
    double value = strtod(copy, &end);
    promise(*end == '\0' && isfinite(value));
    free(copy);
    check_json(number, JSON_NUMBER);
}

static void
check_time(int64_t ms)
{
    promise(ms >= -DECODE_TIME_MAX_MS && ms <= DECODE_TIME_MAX_MS);
}

static void
check_measurement(const struct decoder *d, struct slice message, const struct measurement *m)
{
    check_line(d, message, m->tenant_id);
    check_line(d, message, m->region);
    check_line(d, message, m->name);
    promise(m->name.n > 0 && m->tenant_id.n > 0);
    check_time(m->time_ms);
    check_slice(d, message, m->value_text);
    check_number(m->value_text);
    if (m->value_meta.n > 0) {
        promise(within(m->value_meta, message.p, message.n));
        check_json(m->value_meta, JSON_ABSENT);
    }
    for (size_t i = 0; i < m->n_dimensions; i++) {
        check_line(d, message, m->dimensions[i].name);
        check_line(d, message, m->dimensions[i].value);
        promise(m->dimensions[i].name.n > 0);
        promise(i == 0 || slice_compare(m->dimensions[i - 1].name, m->dimensions[i].name) < 0);
    }
}

static void
check_alarm(const struct decoder *d, struct slice message, const struct alarm_transition *a)
{
    const struct slice texts[] = {a->alarm_id,
                                  a->alarm_definition_id,
                                  a->alarm_name,
                                  a->old_state,
                                  a->alarm_description,
                                  a->new_state,
                                  a->reason,
                                  a->severity,
                                  a->link,
                                  a->tenant_id,
                                  a->lifecycle_state};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        check_text(d, message, texts[i]);
    check_line(d, message, a->tenant_id);
    promise(a->tenant_id.n > 0);
    check_slice(d, message, a->metrics);
    check_slice(d, message, a->sub_alarms);
    check_json(a->metrics, JSON_ARRAY);
    check_json(a->sub_alarms, JSON_ARRAY);
    check_time(a->time_ms);
}

static void
check_reject(const struct reject *why)
{
    size_t n = strnlen(why->detail, sizeof(why->detail));
    promise((unsigned)why->reason < REJECT_REASONS);
    promise(n > 0 && n < sizeof(why->detail) && json_is_utf8(why->detail, n));
}

static void
decode_as(struct decoder *d, enum topic_kind kind, struct slice message)
{
    struct record record;
    struct reject why;
    if (decoder_decode(d, kind, message, &record, &why) == -1)
        check_reject(&why);
    else if (kind == TOPIC_METRICS)
        check_measurement(d, message, &record.measurement);
    else
        check_alarm(d, message, &record.alarm);
    /* What decode.c reckons for its arena, less the room that is asked for and not kept. */
    promise(d->arena_used <= 2 * message.n + DECODE_PYTHON_TEXT_MAX);
}

/* ---- a decoder that remembers series makes the same of it ---- */

static bool
same_measurement(const struct measurement *a, const struct measurement *b)
{
    const struct slice as[] = {a->tenant_id, a->region, a->name, a->value_text, a->value_meta};
    const struct slice bs[] = {b->tenant_id, b->region, b->name, b->value_text, b->value_meta};
    bool same = a->time_ms == b->time_ms && a->n_dimensions == b->n_dimensions;
    for (size_t i = 0; i < COUNT_OF(as); i++)
        same = same && slice_equal(as[i], bs[i]);
    for (size_t i = 0; same && i < a->n_dimensions; i++)
        same = slice_equal(a->dimensions[i].name, b->dimensions[i].name) &&
               slice_equal(a->dimensions[i].value, b->dimensions[i].value);
    return same;
}

static void
decode_remembering(struct decoder *plain, struct decoder *knowing, struct slice message)
{
    struct record a, b;
    struct reject why, other;
    int result = decoder_decode(plain, TOPIC_METRICS, message, &a, &why);
    promise(decoder_decode(knowing, TOPIC_METRICS, message, &b, &other) == result);
    if (result == -1) {
        promise(why.reason == other.reason && strcmp(why.detail, other.detail) == 0);
        return;
    }
    promise(same_measurement(&a.measurement, &b.measurement));
    promise(a.creation_time == b.creation_time ||
            (isnan(a.creation_time) && isnan(b.creation_time)));
}

/* The message, it again, and it with other digits; the mutations of the fuzzer do the rest. */
static void
decode_again(struct decoder *plain, struct decoder *knowing, struct slice message)
{
    char *copy = malloc(message.n + 1);
    promise(copy != NULL);
    memcpy(copy, message.p, message.n);
    decode_remembering(plain, knowing, message);
    decode_remembering(plain, knowing, message);
    for (size_t i = 0; i < message.n; i++)
        if (copy[i] >= '0' && copy[i] <= '9')
            copy[i] = (char)('0' + (copy[i] - '0' + i) % 10);
    decode_remembering(plain, knowing, (struct slice){copy, message.n});
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct decoder *decoder, *knowing;
    if (decoder == NULL) {
        decoder = decoder_new(MAX_MESSAGE);
        knowing = decoder_new(MAX_MESSAGE);
        promise(decoder != NULL && knowing != NULL && decoder_remember(knowing, 1 << 20) == 0);
    }
    struct slice message = {(const char *)data, size};
    decode_as(decoder, TOPIC_METRICS, message);
    decode_as(decoder, TOPIC_ALARM_HISTORY, message);
    if (size > 0)
        decode_again(decoder, knowing, message);
    return 0;
}
