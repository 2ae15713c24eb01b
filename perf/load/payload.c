/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.c - see payload.h.  The shapes are those of tests/corpus: names, dimensions and
 * value_meta as the agent's plug-ins send them.
 */
#include "perf/load/payload_priv.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
payload_put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->bytes + t->n, PAYLOAD_MAX - t->n, format, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < PAYLOAD_MAX - t->n);
    t->n += (size_t)n;
}

/* The same for what is on the way of every message: printf is most of the time there. */
static void
put_text(struct text *t, const char *text)
{
    size_t n = strlen(text);
    assert(n < PAYLOAD_MAX - t->n);
    memcpy(t->bytes + t->n, text, n);
    t->n += n;
}

static void
put_number(struct text *t, uint64_t value)
{
    char digits[24];
    size_t n = sizeof(digits);
    do
        digits[--n] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    assert(sizeof(digits) - n < PAYLOAD_MAX - t->n);
    memcpy(t->bytes + t->n, digits + n, sizeof(digits) - n);
    t->n += sizeof(digits) - n;
}

/* SplitMix64 (Steele, Lea, Flood 2014): a good hash of seed and number. */
static uint64_t
mix(uint64_t seed, uint64_t number)
{
    uint64_t z = seed + (number + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct source {
    const char *name, *service, *component, *extra; /* extra: more dimensions, as JSON, or "" */
    double low, high;
};

static const struct source sources[] = {
    {"cpu.idle_perc", "compute", "", "", 20, 99},
    {"cpu.user_perc", "compute", "", "", 1, 70},
    {"cpu.wait_perc", "compute", "", "", 0, 9},
    {"load.avg_1_min", "compute", "", "", 0.05, 6},
    {"mem.free_mb", "compute", "", "", 200, 16000},
    {"mem.usable_perc", "compute", "", "", 5, 95},
    {"disk.space_used_perc", "storage", "", ", \"device\": \"sda1\", \"mount_point\": \"/\"", 10,
     90},
    {"disk.inode_used_perc", "storage", "", ", \"device\": \"sdb1\", \"mount_point\": \"/var/lib\"",
     1, 40},
    {"io.write_kbytes_sec", "storage", "", ", \"device\": \"sda\"", 0, 9000},
    {"net.in_bytes_sec", "networking", "", ", \"device\": \"eth0\"", 0, 1.2e8},
    {"net.out_errors_sec", "networking", "", ", \"device\": \"eth0\"", 0, 1},
    {"process.pid_count", "monitoring", "monasca-agent",
     ", \"process_name\": \"monasca-collector\"", 1, 8},
    {"http_status", "identity", "keystone", ", \"url\": \"http://controller:5000/v3\"", 0, 1},
    {"monasca.collection_time_sec", "monitoring", "monasca-agent", "", 0.1, 4},
    {"vm.cpu.utilization_perc", "compute", "vm",
     ", \"resource_id\": \"0b8ff3f5-4e6a-4a4e-9c60-2f7f1d2f7c11\", \"zone\": \"nova\"", 0, 100},
};

static void
put_hex(struct text *t, uint64_t value)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        t->bytes[t->n++] = "0123456789abcdef"[value >> shift & 15];
}

static void
put_tenant(struct text *t, const struct payload_options *o, uint64_t host)
{
    uint64_t tenant = host % o->tenants;
    assert(t->n + 32 < PAYLOAD_MAX);
    put_hex(t, mix(1, tenant));
    put_hex(t, mix(2, tenant));
}

static void
put_value_meta(struct text *t, const struct source *source, uint64_t hash)
{
    if (strcmp(source->name, "http_status") == 0 && hash % 4 == 0)
        put_text(t, "{\"error\": \"error(111, 'Connection refused')\", \"http_code\": 503}");
    else if (hash % 50 == 0)
        payload_put(t,
                    "{\"note\": \"Gr\xc3\xbc\xc3\x9f"
                    "e \\u2713\", \"tries\": %u}",
                    (unsigned)(hash % 7));
    else
        put_text(t, "null");
}

static void
put_name(struct text *t, uint64_t name)
{
    put_text(t, sources[name % COUNT_OF(sources)].name);
    if (name < COUNT_OF(sources))
        return;
    put_text(t, "_");
    put_number(t, name / COUNT_OF(sources));
}

static void
put_host(struct text *t, uint64_t host)
{
    put_text(t, host < 100 ? host < 10 ? "compute-00" : "compute-0" : "compute-");
    put_number(t, host);
}

static void
put_dimensions(struct text *t, const struct payload_options *o, const struct source *s,
               uint64_t host)
{
    put_text(t, "{\"hostname\": \"");
    put_host(t, host);
    put_text(t, "\", \"service\": \"");
    put_text(t, s->service);
    put_text(t, "\"");
    if (s->component[0] != '\0') {
        put_text(t, ", \"component\": \"");
        put_text(t, s->component);
        put_text(t, "\"");
    }
    put_text(t, s->extra);
    for (uint32_t i = 0; i < o->dimensions; i++)
        payload_put(t, ", \"dimension_%02u\": \"value-%u\"", (unsigned)i, (unsigned)(i * 7));
    if (o->run[0] != '\0')
        payload_put(t, ", \"run\": \"%.*s\"", PAYLOAD_RUN_BYTES, o->run);
    put_text(t, "}");
}

/* Low to high in steps of 1/1000 of a per cent, so that it is short. */
static void
put_value(struct text *t, const struct source *s, uint64_t hash)
{
    uint64_t value =
        (uint64_t)((s->low + (s->high - s->low) * (double)(hash >> 40) / 16777216.0) * 1000);
    put_number(t, value / 1000);
    payload_put(t, ".%03u", (unsigned)(value % 1000));
}

static void
put_metric(struct text *t, const struct payload_options *o, uint64_t number, int64_t time_ms)
{
    uint64_t hash = mix(o->seed, number), series = payload_series_of(o, number);
    uint64_t name = series % o->names, host = series / o->names;
    const struct source *s = &sources[name % COUNT_OF(sources)];
    put_text(t, "{\"metric\": {\"timestamp\": ");
    put_number(t, (uint64_t)time_ms);
    put_text(t, ", \"value_meta\": ");
    put_value_meta(t, s, hash >> 24);
    put_text(t, ", \"name\": \"");
    put_name(t, name);
    put_text(t, "\", \"dimensions\": ");
    put_dimensions(t, o, s, host);
    put_text(t, ", \"value\": ");
    if (o->distinct)
        put_number(t, number);
    else
        put_value(t, s, hash);
    put_text(t, "}, \"meta\": {\"tenantId\": \"");
    put_tenant(t, o, host);
    put_text(t, "\", \"region\": \"RegionOne\"}, \"creation_time\": ");
    put_number(t, (uint64_t)time_ms / 1000);
    put_text(t, "}");
}

static void
put_alarm(struct text *t, const struct payload_options *o, uint64_t number, int64_t time_ms)
{
    static const char *const states[] = {"UNDETERMINED", "OK", "ALARM"};
    static const char *const severities[] = {"LOW", "MEDIUM", "HIGH", "CRITICAL"};
    uint64_t hash = mix(o->seed, number), alarm = o->distinct ? number : hash % 200;
    const struct source *s = &sources[mix(3, alarm) % COUNT_OF(sources)];
    unsigned host = (unsigned)(mix(4, alarm) % o->hosts), old = (unsigned)(hash >> 8) % 3;
    double value = s->low + (s->high - s->low) * 0.93;
    payload_put(t, "{\"alarm-transitioned\": {\"tenantId\": \"");
    put_tenant(t, o, host);
    payload_put(t, "\", \"alarmId\": \"9cbb4cee-2c7c-40f1-b10c-%012llu\"",
                (unsigned long long)alarm);
    payload_put(t, ", \"alarmDefinitionId\": \"60330352-8a50-467d-953d-%012x\"",
                (unsigned)(mix(3, alarm) % COUNT_OF(sources)));
    payload_put(t,
                ", \"metrics\": [{\"id\": null, \"name\": \"%s\", \"dimensions\": {\"hostname\": "
                "\"compute-%03u\", \"service\": \"%s\"}}]",
                s->name, host, s->service);
    payload_put(t, ", \"alarmName\": \"%s high\", \"alarmDescription\": \"\", \"oldState\": \"%s\"",
                s->name, states[old]);
    payload_put(t, ", \"newState\": \"%s\", \"actionsEnabled\": true",
                states[(old + 1 + hash % 2) % 3]);
    payload_put(
        t,
        ", \"stateChangeReason\": \"Thresholds were exceeded for the sub-alarms: avg(%s) > %g with "
        "the values: [%g]\"",
        s->name, s->high * 0.9, value);
    payload_put(t, ", \"severity\": \"%s\", \"link\": null, \"lifecycleState\": \"OPEN\"",
                severities[mix(5, alarm) % COUNT_OF(severities)]);
    payload_put(
        t,
        ", \"subAlarms\": [{\"subAlarmExpression\": {\"function\": \"AVG\", \"operator\": \"GT\", "
        "\"threshold\": %g, \"period\": 60, \"periods\": 1}, \"subAlarmState\": \"ALARM\", "
        "\"currentValues\": [%g]}]",
        s->high * 0.9, value);
    payload_put(t, ", \"timestamp\": %lld}}", (long long)time_ms);
}

bool
payload_is_bad(const struct payload_options *o, uint64_t number)
{
    return number % 100 * 37 % 100 < o->bad_percent;
}

static bool
is_repetition(const struct payload_options *o, uint64_t number)
{
    return number > 0 && !payload_is_bad(o, number) &&
           mix(o->seed ^ 0x64757065, number) % 100 < o->duplicate_percent;
}

uint64_t
payload_original(const struct payload_options *o, uint64_t number)
{
    if (o->duplicate_percent == 0 || !is_repetition(o, number))
        return number;
    for (uint64_t i = number - 1;; i--) {
        if (!payload_is_bad(o, i) && !is_repetition(o, i))
            return i;
        if (i == 0)
            return number; /* there is none before it */
    }
}

uint64_t
payload_series(const struct payload_options *o)
{
    return o->kind == PAYLOAD_METRICS ? (uint64_t)o->names * o->hosts : 0;
}

uint64_t
payload_series_of(const struct payload_options *o, uint64_t number)
{
    return (o->seed % 1000003 + number) % ((uint64_t)o->names * o->hosts);
}

size_t
payload_bad_kind(const struct payload_options *o, uint64_t number)
{
    return number / 7 % payload_bad_kinds(o->kind);
}

size_t
payload_format(const struct payload_options *o, uint64_t number, char out[PAYLOAD_MAX])
{
    struct text t = {.bytes = out};
    uint64_t original = payload_original(o, number);
    int64_t time_ms =
        o->start_ms + (int64_t)(o->distinct ? original : original * (uint64_t)o->step_us / 1000);
    if (o->kind == PAYLOAD_METRICS)
        put_metric(&t, o, original, time_ms);
    else
        put_alarm(&t, o, original, time_ms);
    if (payload_is_bad(o, number))
        payload_spoil(&t, o->kind, payload_bad_kind(o, number));
    return t.n;
}
