/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c - see decode.h and decode_priv.h.
 *
 * The pass over the message (decode_scan.c) notes the last of each known member.  Only then are the
 * members judged, so that a flaw in one of duplicate members counts only if it is the last, as in
 * Python's json, and a message that is no JSON is called that whatever else is wrong with it.  No
 * memory is taken per message.  value_meta, metrics and subAlarms are passed on as JSON text, with
 * whatever their strings escape (also NUL and half surrogate pairs, as upstream does).
 *
 * Process: workers.  Owner: the worker that made the decoder.  Concurrency: one thread per decoder.
 */
#include "record/decode.h"

#include <math.h>
#include <stdlib.h>

#include "record/decode_number.h"
#include "record/decode_priv.h"

/*
 * Enough for all a message can ask for: an escaped text is unescaped once, into no more bytes than
 * it had; a numeric text is then written once more, with up to 2 bytes that its quotes had; and of
 * a number as a dimension's value ("a":1e15,) Python makes at most twice the bytes.
 */
static size_t
arena_bound(size_t max_message_bytes)
{
    return 2 * max_message_bytes + 2 * DECODE_PYTHON_TEXT_MAX;
}

/* Large and mostly never touched, which costs address space only. */
struct decoder *
decoder_new(size_t max_message_bytes)
{
    if (max_message_bytes > SIZE_MAX / 4)
        return NULL;
    struct decoder *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return NULL;
    d->max_message_bytes = max_message_bytes;
    d->arena_size = arena_bound(max_message_bytes);
    d->arena = malloc(d->arena_size);
    d->dimensions = malloc(DECODE_DIMENSIONS_MAX * sizeof(*d->dimensions));
    d->merged = malloc(DECODE_DIMENSIONS_MAX * sizeof(*d->merged));
    if (d->arena == NULL || d->dimensions == NULL || d->merged == NULL)
        decoder_free(&d);
    return d;
}

int
decoder_remember(struct decoder *d, size_t max_bytes)
{
    assert(d->known == NULL);
    d->key = malloc(SERIES_BYTES_MAX);
    d->known = d->key == NULL ? NULL : series_cache_new(max_bytes);
    return d->known == NULL ? -1 : 0;
}

size_t
decoder_remembers(const struct decoder *d)
{
    return d->known == NULL ? 0 : series_cache_bytes(d->known);
}

void
decoder_free(struct decoder **decoder)
{
    struct decoder *d = *decoder;
    if (d == NULL)
        return;
    free(d->arena);
    free(d->dimensions);
    free(d->merged);
    free(d->key);
    series_cache_free(&d->known);
    free(d);
    *decoder = NULL;
}

/* ---- numbers ---- */

/* A numeric text becomes the number it says, NUL-terminated in the arena. */
static bool
read_number(struct decoder *d, const struct json_value *value, struct slice *number)
{
    struct slice text = value->text;
    *number = text;
    if (value->type != JSON_STRING)
        return value->type == JSON_NUMBER;
    if (value->escaped && decode_unescape(d, value->text, &text) != FLAW_NONE)
        return false;
    char *out = decode_find_room(d, text.n + 2);
    size_t n = decode_number_from_text(text, out);
    out[n] = '\0';
    *number = decode_keep_room(d, n + 1);
    number->n = n;
    return n > 0;
}

static int
take_value(struct decoder *d, struct measurement *m, struct reject *why)
{
    const struct json_value *value = &d->metric[METRIC_VALUE];
    if (value->type == JSON_ABSENT)
        return reject_set(why, REJECT_BAD_ENVELOPE, "metric.value: missing");
    if (value->type == JSON_TRUE || value->type == JSON_FALSE) {
        m->value_text = value->type == JSON_TRUE ? SLICE("1") : SLICE("0");
        return 0;
    }
    if (!read_number(d, value, &m->value_text))
        return reject_set(why, REJECT_BAD_VALUE, "metric.value: not a number");
    /* Fewer digits than a double has orders of magnitude always fit. */
    bool small = value->type == JSON_NUMBER && !value->exponent && value->text.n < 300;
    if (!small && !decode_number_finite(m->value_text))
        return reject_set(why, REJECT_BAD_VALUE, "metric.value: outside the range of a double");
    return 0;
}

static int
take_time(struct decoder *d, const struct json_value *value, const char *name, int64_t *ms,
          struct reject *why)
{
    struct slice number;
    if (value->type == JSON_ABSENT)
        return reject_set(why, REJECT_BAD_ENVELOPE, "%s: missing", name);
    if (!read_number(d, value, &number))
        return reject_set(why, REJECT_BAD_TIME, "%s: not a number", name);
    if (decode_number_ms(number, ms) == -1)
        return reject_set(why, REJECT_BAD_TIME, "%s: out of range", name);
    return 0;
}

double
decode_creation_time(const struct json_value *value)
{
    double seconds = value->type == JSON_NUMBER ? decode_number_double(value->text) : NAN;
    return isfinite(seconds) ? seconds : NAN;
}

/* ---- records ---- */

static int
take_object(const struct json_value *value, const char *name, struct reject *why)
{
    if (value->type == JSON_OBJECT)
        return 0;
    return reject_set(why, REJECT_BAD_ENVELOPE, "%s: %s", name,
                      value->type == JSON_ABSENT ? "missing" : "not an object");
}

static struct slice
take_value_meta(const struct json_value *value)
{
    if (value->type == JSON_ABSENT || value->type == JSON_NULL)
        return (struct slice){NULL, 0};
    if (value->type == JSON_STRING) /* with its quotes */
        return (struct slice){value->text.p - 1, value->text.n + 2};
    return value->text;
}

static int
take_measurement(struct decoder *d, struct record *record, struct reject *why)
{
    struct measurement *m = &record->measurement;
    *record = (struct record){.kind = RECORD_MEASUREMENT};
    record->creation_time = decode_creation_time(&d->top[TOP_CREATION_TIME]);
    if (take_object(&d->top[TOP_METRIC], "metric", why) == -1 ||
        decode_take_text(d, &d->metric[METRIC_NAME], "metric.name", TEXT_LINE | TEXT_FILLED,
                         &m->name, why) == -1 ||
        take_time(d, &d->metric[METRIC_TIMESTAMP], "metric.timestamp", &m->time_ms, why) == -1 ||
        take_value(d, m, why) == -1 || decode_take_dimensions(d, m, why) == -1)
        return -1;
    m->value_meta = take_value_meta(&d->metric[METRIC_VALUE_META]);
    if (take_object(&d->top[TOP_META], "meta", why) == -1 ||
        decode_take_text(d, &d->meta[META_TENANT_ID], "meta.tenantId", TEXT_LINE | TEXT_FILLED,
                         &m->tenant_id, why) == -1)
        return -1;
    return decode_take_text(d, &d->meta[META_REGION], "meta.region", TEXT_LINE, &m->region, why);
}

/*
 * The texts of an alarm transition. Required is what monasca-thresh always sends, but for
 * alarmDescription: in Monasca's own database that column may be NULL
 * (alarm_definition.description).
 */
static const struct {
    enum alarm_member member;
    unsigned flags;
    size_t offset; /* in struct alarm_transition */
    const char *name;
} alarm_texts[] = {
/* Optional is what upstream's persister never looks at, besides what monasca-thresh may leave out.
 */
#define TEXT(member, field, flags, name)                                                           \
    {                                                                                              \
        member, flags, offsetof(struct alarm_transition, field), "alarm-transitioned." name        \
    }
    TEXT(ALARM_TENANT_ID, tenant_id, TEXT_LINE | TEXT_FILLED, "tenantId"),
    TEXT(ALARM_ID, alarm_id, 0, "alarmId"),
    TEXT(ALARM_DEFINITION_ID, alarm_definition_id, TEXT_OPTIONAL, "alarmDefinitionId"),
    TEXT(ALARM_NAME, alarm_name, TEXT_OPTIONAL, "alarmName"),
    TEXT(ALARM_DESCRIPTION, alarm_description, TEXT_OPTIONAL, "alarmDescription"),
    TEXT(ALARM_OLD_STATE, old_state, 0, "oldState"),
    TEXT(ALARM_NEW_STATE, new_state, 0, "newState"),
    TEXT(ALARM_REASON, reason, 0, "stateChangeReason"),
    TEXT(ALARM_SEVERITY, severity, TEXT_OPTIONAL, "severity"),
    TEXT(ALARM_LINK, link, TEXT_OPTIONAL, "link"),
    TEXT(ALARM_LIFECYCLE_STATE, lifecycle_state, TEXT_OPTIONAL, "lifecycleState"),
#undef TEXT
};

static int
take_array(const struct json_value *value, const char *name, bool optional, struct slice *out,
           struct reject *why)
{
    bool none = value->type == JSON_ABSENT || value->type == JSON_NULL;
    *out = value->type == JSON_ARRAY ? value->text : SLICE("[]");
    if (value->type == JSON_ARRAY || (none && optional))
        return 0;
    return reject_set(why, REJECT_BAD_ENVELOPE, "%s: %s", name,
                      value->type == JSON_ABSENT ? "missing" : "not an array");
}

static int
take_alarm(struct decoder *d, struct record *record, struct reject *why)
{
    struct alarm_transition *a = &record->alarm;
    const struct json_value *values = d->alarm;
    *record = (struct record){.kind = RECORD_ALARM_TRANSITION, .creation_time = NAN};
    if (take_object(&d->envelope[ENVELOPE_ALARM], "alarm-transitioned", why) == -1)
        return -1;
    for (size_t i = 0; i < COUNT_OF(alarm_texts); i++) {
        struct slice *out = (struct slice *)(void *)((char *)a + alarm_texts[i].offset);
        if (decode_take_text(d, &values[alarm_texts[i].member], alarm_texts[i].name,
                             alarm_texts[i].flags, out, why) == -1)
            return -1;
    }
    if (take_array(&values[ALARM_METRICS], "alarm-transitioned.metrics", false, &a->metrics, why) ==
            -1 ||
        take_array(&values[ALARM_SUB_ALARMS], "alarm-transitioned.subAlarms", true, &a->sub_alarms,
                   why) == -1)
        return -1;
    /* No store keeps it, so nothing is refused for it: some senders write "true" or 1. */
    a->actions_enabled = values[ALARM_ACTIONS_ENABLED].type != JSON_FALSE;
    return take_time(d, &values[ALARM_TIMESTAMP], "alarm-transitioned.timestamp", &a->time_ms, why);
}

static int
decode_metric(struct decoder *d, struct slice message, struct record *record, struct reject *why)
{
    struct known_message known;
    if (decode_find_known(d, message, &known, record))
        return 0;
    if (decode_scan_message(d, TOPIC_METRICS, message, why) == -1 ||
        take_measurement(d, record, why) == -1)
        return -1;
    decode_remember(d, message, &known, &record->measurement);
    return 0;
}

static int
decode_alarm(struct decoder *d, struct slice message, struct record *record, struct reject *why)
{
    if (decode_scan_message(d, TOPIC_ALARM_HISTORY, message, why) == -1)
        return -1;
    return take_alarm(d, record, why);
}

int
decoder_decode(struct decoder *d, enum topic_kind kind, struct slice message, struct record *record,
               struct reject *why)
{
    assert(kind == TOPIC_METRICS || kind == TOPIC_ALARM_HISTORY);
    if (message.n > d->max_message_bytes)
        return reject_set(why, REJECT_TOO_LARGE, "%zu bytes, of %zu allowed", message.n,
                          d->max_message_bytes);
    if (message.n == 0)
        return reject_set(why, REJECT_NOT_JSON, "byte 0: an empty message");
    d->arena_used = 0;
    return kind == TOPIC_METRICS ? decode_metric(d, message, record, why)
                                 : decode_alarm(d, message, record, why);
}
