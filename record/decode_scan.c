/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_scan.c - the one pass over a message: validates it and notes the last of each known
 * member.
 *
 * Process: workers.  Owner: the worker that made the decoder.  Concurrency: one thread per decoder.
 */
#include "record/decode_priv.h"

enum { NAME_ESCAPED_MAX = 6 * 20 }; /* no member we know is longer than 20, each \uXXXX */

struct member {
    struct slice name;
    int (*enter)(struct decoder *d); /* scans the value if it is an object; NULL: skip it whole */
};

/* Returns: its index, or n_members.  An escaped name is the same name. */
static size_t
find_member(const struct member *members, size_t n_members, const struct json_value *name)
{
    char unescaped[NAME_ESCAPED_MAX];
    struct slice text = name->text;
    if (name->escaped) {
        if (text.n > sizeof(unescaped) || json_unescape(text, unescaped, &text.n) == -1)
            return n_members;
        text.p = unescaped;
    }
    size_t i = 0;
    while (i < n_members && !slice_equal(members[i].name, text))
        i++;
    return i;
}

/* Scans an object and notes the last of each known member. Returns: 0, or -1 for a fault. */
static int
scan_members(struct decoder *d, const struct member *members, size_t n_members,
             struct json_value *values)
{
    struct json_scanner *s = &d->scanner;
    struct json_value name, unknown;
    int more;
    for (size_t i = 0; i < n_members; i++)
        values[i].type = JSON_ABSENT;
    if (json_enter_object(s) == -1)
        return -1;
    while ((more = json_next_member(s, &name)) == 1) {
        size_t i = find_member(members, n_members, &name);
        if (i < n_members && members[i].enter != NULL && json_peek_type(s) == JSON_OBJECT) {
            values[i].type = JSON_OBJECT;
            if (members[i].enter(d) == -1)
                return -1;
        } else if (json_scan_value(s, i < n_members ? &values[i] : &unknown) == -1) {
            return -1;
        }
    }
    return more;
}

#define NAME(literal)                                                                              \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

static int
scan_metric(struct decoder *d)
{
    static const struct member members[METRIC_MEMBERS] = {
        [METRIC_NAME] = {NAME("name"), NULL},
        [METRIC_TIMESTAMP] = {NAME("timestamp"), NULL},
        [METRIC_VALUE] = {NAME("value"), NULL},
        [METRIC_DIMENSIONS] = {NAME("dimensions"), decode_scan_dimensions},
        [METRIC_VALUE_META] = {NAME("value_meta"), NULL},
    };
    return scan_members(d, members, METRIC_MEMBERS, d->metric);
}

static int
scan_meta(struct decoder *d)
{
    static const struct member members[META_MEMBERS] = {
        [META_TENANT_ID] = {NAME("tenantId"), NULL},
        [META_REGION] = {NAME("region"), NULL},
    };
    return scan_members(d, members, META_MEMBERS, d->meta);
}

static int
scan_metric_message(struct decoder *d)
{
    static const struct member members[TOP_MEMBERS] = {
        [TOP_METRIC] = {NAME("metric"), scan_metric},
        [TOP_META] = {NAME("meta"), scan_meta},
        [TOP_CREATION_TIME] = {NAME("creation_time"), NULL},
    };
    return scan_members(d, members, TOP_MEMBERS, d->top);
}

static int
scan_alarm(struct decoder *d)
{
    static const struct member members[ALARM_MEMBERS] = {
        [ALARM_TENANT_ID] = {NAME("tenantId"), NULL},
        [ALARM_ID] = {NAME("alarmId"), NULL},
        [ALARM_DEFINITION_ID] = {NAME("alarmDefinitionId"), NULL},
        [ALARM_NAME] = {NAME("alarmName"), NULL},
        [ALARM_DESCRIPTION] = {NAME("alarmDescription"), NULL},
        [ALARM_OLD_STATE] = {NAME("oldState"), NULL},
        [ALARM_NEW_STATE] = {NAME("newState"), NULL},
        [ALARM_REASON] = {NAME("stateChangeReason"), NULL},
        [ALARM_SEVERITY] = {NAME("severity"), NULL},
        [ALARM_LINK] = {NAME("link"), NULL},
        [ALARM_LIFECYCLE_STATE] = {NAME("lifecycleState"), NULL},
        [ALARM_METRICS] = {NAME("metrics"), NULL},
        [ALARM_SUB_ALARMS] = {NAME("subAlarms"), NULL},
        [ALARM_ACTIONS_ENABLED] = {NAME("actionsEnabled"), NULL},
        [ALARM_TIMESTAMP] = {NAME("timestamp"), NULL},
    };
    return scan_members(d, members, ALARM_MEMBERS, d->alarm);
}

static int
scan_alarm_message(struct decoder *d)
{
    static const struct member members[ENVELOPE_MEMBERS] = {
        [ENVELOPE_ALARM] = {NAME("alarm-transitioned"), scan_alarm},
    };
    return scan_members(d, members, ENVELOPE_MEMBERS, d->envelope);
}

static int
reject_fault(const struct json_scanner *s, struct reject *why)
{
    static const enum reject_reason reasons[] = {
        [JSON_SYNTAX] = REJECT_NOT_JSON,
        [JSON_NOT_UTF8] = REJECT_NOT_UTF8,
        [JSON_TOO_DEEP] = REJECT_TOO_DEEP,
    };
    assert(s->fault != JSON_FINE);
    return reject_set(why, reasons[s->fault], "byte %zu: %s", (size_t)(s->p - s->start),
                      s->fault_text);
}

int
decode_scan_message(struct decoder *d, enum topic_kind kind, struct slice message,
                    struct reject *why)
{
    static const struct slice bom = {"\xef\xbb\xbf", 3};
    struct json_scanner *s = &d->scanner;
    struct json_value other;
    json_scanner_init(s, message);
    /* Upstream's json.loads takes bytes, and skips it. */
    if (message.n >= bom.n && memcmp(message.p, bom.p, bom.n) == 0)
        s->p += bom.n;
    bool object = json_peek_type(s) == JSON_OBJECT;
    int scanned;
    if (!object)
        scanned = json_scan_value(s, &other);
    else
        scanned = kind == TOPIC_METRICS ? scan_metric_message(d) : scan_alarm_message(d);
    if (scanned == -1 || json_scan_end(s) == -1)
        return reject_fault(s, why);
    return object ? 0 : reject_set(why, REJECT_BAD_ENVELOPE, "the message: not an object");
}
