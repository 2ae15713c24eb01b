/*
 * payload.c - see payload.h.  The shapes are those of tests/corpus: names, dimensions and
 * value_meta as the agent's plug-ins send them.
 *
 * Process: the feeder.  Owner: none.  Concurrency: any thread.
 */
#include "perf/payload.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { HOSTS = 40 };

/* Appends; everything fits by construction (PAYLOAD_MAX), which put() asserts. */
struct text {
    char *bytes;
    size_t n;
};

static void put(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);

static void
put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->bytes + t->n, PAYLOAD_MAX - t->n, format, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < PAYLOAD_MAX - t->n);
    t->n += (size_t)n;
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
put_tenant(struct text *t, const struct payload_options *o, uint64_t hash)
{
    uint64_t tenant = hash % o->tenants;
    put(t, "%016llx%016llx", (unsigned long long)mix(1, tenant),
        (unsigned long long)mix(2, tenant));
}

static void
put_value_meta(struct text *t, const struct source *source, uint64_t hash)
{
    if (strcmp(source->name, "http_status") == 0 && hash % 4 == 0)
        put(t, "{\"error\": \"error(111, 'Connection refused')\", \"http_code\": 503}");
    else if (hash % 50 == 0)
        put(t,
            "{\"note\": \"Gr\xc3\xbc\xc3\x9f"
            "e \\u2713\", \"tries\": %u}",
            (unsigned)(hash % 7));
    else
        put(t, "null");
}

static void
put_metric(struct text *t, const struct payload_options *o, uint64_t number, int64_t now_ms)
{
    uint64_t hash = mix(o->seed, number);
    const struct source *s = &sources[hash % COUNT_OF(sources)];
    unsigned host = (unsigned)(hash >> 16) % HOSTS;
    put(t, "{\"metric\": {\"timestamp\": %lld, \"value_meta\": ", (long long)now_ms);
    put_value_meta(t, s, hash >> 24);
    put(t,
        ", \"name\": \"%s\", \"dimensions\": {\"hostname\": \"compute-%03u\", \"service\": \"%s\"",
        s->name, host, s->service);
    if (s->component[0] != '\0')
        put(t, ", \"component\": \"%s\"", s->component);
    put(t, "%s", s->extra);
    if (o->distinct && o->run[0] != '\0')
        put(t, ", \"run\": \"%.64s\"", o->run);
    if (o->distinct)
        put(t, "}, \"value\": %llu}", (unsigned long long)number);
    else
        put(t, "}, \"value\": %.10g}",
            s->low + (s->high - s->low) * ((double)(hash >> 32) / 4294967296.0));
    put(t, ", \"meta\": {\"tenantId\": \"");
    put_tenant(t, o, host); /* a host belongs to one tenant */
    put(t, "\", \"region\": \"RegionOne\"}, \"creation_time\": %lld}", (long long)(now_ms / 1000));
}

static void
put_alarm(struct text *t, const struct payload_options *o, uint64_t number, int64_t now_ms)
{
    static const char *const states[] = {"UNDETERMINED", "OK", "ALARM"};
    static const char *const severities[] = {"LOW", "MEDIUM", "HIGH", "CRITICAL"};
    uint64_t hash = mix(o->seed, number), alarm = o->distinct ? number : hash % 200;
    const struct source *s = &sources[mix(3, alarm) % COUNT_OF(sources)];
    unsigned host = (unsigned)(mix(4, alarm) % HOSTS), old = (unsigned)(hash >> 8) % 3;
    double value = s->low + (s->high - s->low) * 0.93;
    put(t, "{\"alarm-transitioned\": {\"tenantId\": \"");
    put_tenant(t, o, host);
    put(t, "\", \"alarmId\": \"9cbb4cee-2c7c-40f1-b10c-%012llu\"", (unsigned long long)alarm);
    put(t, ", \"alarmDefinitionId\": \"60330352-8a50-467d-953d-%012x\"",
        (unsigned)(mix(3, alarm) % COUNT_OF(sources)));
    put(t,
        ", \"metrics\": [{\"id\": null, \"name\": \"%s\", \"dimensions\": {\"hostname\": "
        "\"compute-%03u\", \"service\": \"%s\"}}]",
        s->name, host, s->service);
    put(t, ", \"alarmName\": \"%s high\", \"alarmDescription\": \"\", \"oldState\": \"%s\"",
        s->name, states[old]);
    put(t, ", \"newState\": \"%s\", \"actionsEnabled\": true", states[(old + 1 + hash % 2) % 3]);
    put(t,
        ", \"stateChangeReason\": \"Thresholds were exceeded for the sub-alarms: avg(%s) > %g with "
        "the values: [%g]\"",
        s->name, s->high * 0.9, value);
    put(t, ", \"severity\": \"%s\", \"link\": null, \"lifecycleState\": \"OPEN\"",
        severities[mix(5, alarm) % COUNT_OF(severities)]);
    put(t,
        ", \"subAlarms\": [{\"subAlarmExpression\": {\"function\": \"AVG\", \"operator\": \"GT\", "
        "\"threshold\": %g, \"period\": 60, \"periods\": 1}, \"subAlarmState\": \"ALARM\", "
        "\"currentValues\": [%g]}]",
        s->high * 0.9, value);
    put(t, ", \"timestamp\": %lld}}", (long long)now_ms);
}

/* Replaces the first occurrence, which must be there, by a text that may be of another length. */
static void
replace(struct text *t, const char *old, const char *by)
{
    size_t n_old = strlen(old), n_by = strlen(by);
    char *at = memmem(t->bytes, t->n, old, n_old);
    assert(at != NULL && t->n - n_old + n_by <= PAYLOAD_MAX);
    size_t tail = t->n - (size_t)(at - t->bytes) - n_old;
    memmove(at + n_by, at + n_old, tail);
    memcpy(at, by, n_by);
    t->n = t->n - n_old + n_by;
}

static void
nest(struct text *t)
{
    t->n = 0;
    for (int i = 0; i < 200; i++)
        put(t, "{\"metric\":");
}

/* What goes wrong in practice, one kind after the other (tests/corpus/malformed.jsonl has more). */
static void
spoil(struct text *t, enum payload_kind kind, uint64_t number)
{
    bool metric = kind == PAYLOAD_METRICS;
    switch (number / 7 % 8) {
    case 0: /* cut off */
        t->n /= 2;
        break;
    case 1: /* empty */
        t->n = 0;
        break;
    case 2: /* not UTF-8 */
        replace(t, "compute-", "compute\xff");
        break;
    case 3: /* a required member is missing */
        replace(t, "\"tenantId\"", "\"tenant\"");
        break;
    case 4: /* a newline where the line protocol cannot have one */
        replace(t, "\"tenantId\": \"", "\"tenantId\": \"a\\n");
        break;
    case 5: /* a timestamp no store can hold */
        replace(t, "\"timestamp\": ", "\"timestamp\": 9999999999");
        break;
    case 6: /* not a number, as Python writes it; in an alarm not JSON at all */
        replace(t, metric ? "\"value\": " : "\"actionsEnabled\": ",
                metric ? "\"value\": NaN, \"was\": " : "\"actionsEnabled\": NaN, \"was\": ");
        break;
    default:
        nest(t);
    }
}

bool
payload_is_bad(const struct payload_options *o, uint64_t number)
{
    return number % 100 * 37 % 100 < o->bad_percent;
}

size_t
payload_format(const struct payload_options *o, uint64_t number, int64_t now_ms,
               char out[PAYLOAD_MAX])
{
    struct text t = {.bytes = out};
    if (o->distinct)
        now_ms = o->start_ms + (int64_t)number;
    if (o->kind == PAYLOAD_METRICS)
        put_metric(&t, o, number, now_ms);
    else
        put_alarm(&t, o, number, now_ms);
    if (payload_is_bad(o, number))
        spoil(&t, o->kind, number);
    return t.n;
}
