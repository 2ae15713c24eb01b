/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload_bad.c - the ways in which a message can be wrong in itself.
 *
 * They are those of tests/corpus/malformed.jsonl whose verdict is `reject`, but for the message of
 * more than 1 MiB: one of those weighs as much as 3,000 others.
 *
 * Process: persister-load.  Owner: constant data.  Concurrency: any thread.
 */
#include <assert.h>

#include "perf/load/payload_priv.h"

enum { DEPTH = 200 };

/* A text that every message has, and what takes its place. */
struct edit {
    const char *name, *old, *by;
};

/* Of all kinds of message. */
static const struct edit common[] = {
    {"invalid utf-8", "compute-", "compute\xff\xfe"},
    {"raw control character", "compute-", "compute\x01"},
    {"no tenant", "\"tenantId\"", "\"tenant\""},
    {"tenant null", "\"tenantId\": ", "\"tenantId\": null, \"was\": "},
    {"tenant newline", "\"tenantId\": \"", "\"tenantId\": \"a\\n"},
    {"no timestamp", "\"timestamp\"", "\"time\""},
    {"timestamp null", "\"timestamp\": ", "\"timestamp\": null, \"was\": "},
    {"timestamp text", "\"timestamp\": ", "\"timestamp\": \"now\", \"was\": "},
    {"timestamp huge", "\"timestamp\": ", "\"timestamp\": 9999999999"},
};

static const struct edit of_metrics[] = {
    {"lone surrogate", "compute-", "\\ud800"},
    {"nul escape in dimension", "compute-", "a\\u0000b"},
    {"nan literal", "\"value\": ", "\"value\": NaN, \"was\": "},
    {"infinity literal", "\"value\": ", "\"value\": Infinity, \"was\": "},
    {"overflow", "\"value\": ", "\"value\": 1e999, \"was\": "},
    {"leading zero", "\"value\": ", "\"value\": 01.5, \"was\": "},
    {"no metric", "{\"metric\"", "{\"metrics\""},
    {"metric null", "{\"metric\": ", "{\"metric\": null, \"was\": "},
    {"metric string", "{\"metric\": ", "{\"metric\": \"x\", \"was\": "},
    {"no name", "\"name\": ", "\"named\": "},
    {"name null", "\"name\": ", "\"name\": null, \"was\": "},
    {"name number", "\"name\": ", "\"name\": 7, \"was\": "},
    {"name empty", "\"name\": ", "\"name\": \"\", \"was\": "},
    {"name newline", "\"name\": \"", "\"name\": \"a\\n"},
    {"no value", "\"value\": ", "\"valued\": "},
    {"value null", "\"value\": ", "\"value\": null, \"was\": "},
    {"value text", "\"value\": ", "\"value\": \"abc\", \"was\": "},
    {"value string nan", "\"value\": ", "\"value\": \"nan\", \"was\": "},
    {"value list", "\"value\": ", "\"value\": [1], \"was\": "},
    {"dimensions list", "\"dimensions\": ", "\"dimensions\": [[\"a\", \"b\"]], \"was\": "},
    {"dimension value null", "\"hostname\": ", "\"hostname\": null, \"was\": "},
    {"dimension value object", "\"hostname\": ", "\"hostname\": {\"a\": 1}, \"was\": "},
    {"dimension key empty", "\"hostname\"", "\"\""},
    {"dimension newline", "compute-", "a\\nb"},
    {"no meta", "\"meta\": ", "\"meat\": "},
    {"no region", "\"region\"", "\"religion\""},
};

static const struct edit of_alarms[] = {
    {"lone surrogate", "\"alarmId\": \"", "\"alarmId\": \"\\ud800"},
    {"nan literal", "\"actionsEnabled\": ", "\"actionsEnabled\": NaN, \"was\": "},
    {"no transition", "{\"alarm-transitioned\"", "{\"alarm\""},
    {"transition null", "{\"alarm-transitioned\": ", "{\"alarm-transitioned\": null, \"was\": "},
    {"no alarm id", "\"alarmId\"", "\"id\""},
    {"no new state", "\"newState\"", "\"state\""},
};

/* Replaces the first occurrence, which must be there, by a text that may be of another length. */
static void
replace(struct text *t, const struct edit *edit)
{
    size_t n_old = strlen(edit->old), n_by = strlen(edit->by);
    char *at = memmem(t->bytes, t->n, edit->old, n_old);
    assert(at != NULL && t->n - n_old + n_by <= PAYLOAD_MAX);
    size_t tail = t->n - (size_t)(at - t->bytes) - n_old;
    memmove(at + n_by, at + n_old, tail);
    memcpy(at, edit->by, n_by);
    t->n = t->n - n_old + n_by;
}

static void
set(struct text *t, const char *text)
{
    t->n = 0;
    payload_put(t, "%s", text);
}

static void
make_empty(struct text *t)
{
    t->n = 0;
}

static void
make_blank(struct text *t)
{
    set(t, "  \n ");
}

static void
truncate_it(struct text *t)
{
    t->n /= 2;
}

static void
append_garbage(struct text *t)
{
    payload_put(t, " garbage");
}

static void
append_object(struct text *t)
{
    payload_put(t, " {}");
}

static void
wrap(struct text *t)
{
    assert(t->n + 2 <= PAYLOAD_MAX);
    memmove(t->bytes + 1, t->bytes, t->n);
    t->bytes[0] = '[';
    t->bytes[t->n + 1] = ']';
    t->n += 2;
}

static void
make_string(struct text *t)
{
    set(t, "\"metric\"");
}

static void
make_null(struct text *t)
{
    set(t, "null");
}

static void
quote_singly(struct text *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->bytes[i] == '"')
            t->bytes[i] = '\'';
}

static void
nest_brackets(struct text *t)
{
    t->n = DEPTH;
    memset(t->bytes, '[', DEPTH);
}

static void
nest_objects(struct text *t)
{
    t->n = 0;
    for (int i = 0; i < DEPTH; i++)
        payload_put(t, "{\"metric\":");
}

static void
nest_meta(struct text *t)
{
    t->n = 0;
    payload_put(t, "{\"metric\": {\"value_meta\": ");
    for (int i = 0; i < DEPTH; i++)
        payload_put(t, "{\"a\":");
    payload_put(t, "1");
    for (int i = 0; i < DEPTH; i++)
        payload_put(t, "}");
    payload_put(t, "}}");
}

static const struct {
    const char *name;
    void (*spoil)(struct text *t);
} whole[] = {
    {"empty", make_empty},           {"blank", make_blank},
    {"truncated", truncate_it},      {"trailing garbage", append_garbage},
    {"two objects", append_object},  {"array", wrap},
    {"string", make_string},         {"null", make_null},
    {"single quotes", quote_singly}, {"deep brackets", nest_brackets},
    {"deep objects", nest_objects},  {"deep value_meta", nest_meta},
};

/* Returns: the edit of that number, behind the ways that concern the whole message. */
static const struct edit *
edit_of(enum payload_kind kind, size_t i)
{
    if (i < COUNT_OF(common))
        return &common[i];
    i -= COUNT_OF(common);
    return kind == PAYLOAD_METRICS ? &of_metrics[i] : &of_alarms[i];
}

size_t
payload_bad_kinds(enum payload_kind kind)
{
    return COUNT_OF(whole) + COUNT_OF(common) +
           (kind == PAYLOAD_METRICS ? COUNT_OF(of_metrics) : COUNT_OF(of_alarms));
}

const char *
payload_bad_name(enum payload_kind kind, size_t i)
{
    return i < COUNT_OF(whole) ? whole[i].name : edit_of(kind, i - COUNT_OF(whole))->name;
}

void
payload_spoil(struct text *t, enum payload_kind of, size_t kind)
{
    if (kind < COUNT_OF(whole))
        whole[kind].spoil(t);
    else
        replace(t, edit_of(of, kind - COUNT_OF(whole)));
}
