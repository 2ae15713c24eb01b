/* SPDX-License-Identifier: Apache-2.0 */
/* source_counters.c - see source_counters.h. */
#include "perf/report/source_counters.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/buf.h"
#include "perf/report/source_json.h"

enum { NAME_MAX_BYTES = 1024 };

/* One process of an answer, before all of it is known to be good. */
struct entry {
    char *instance, *process;
    unsigned slot;
    struct growth_figures figures;
};

struct entries {
    struct entry *list;
    size_t n;
    char identity[128];
};

static void
free_entries(struct entries *e)
{
    for (size_t i = 0; i < e->n; i++) {
        free(e->list[i].instance);
        free(e->list[i].process);
    }
    free(e->list);
}

/* Takes: texts, which become its own, NULL if memory was out. Returns: it, or NULL. */
static struct entry *
add_entry(struct entries *e, char *instance, char *process)
{
    struct entry *bigger = NULL;
    if (instance != NULL && process != NULL)
        bigger = reallocarray(e->list, e->n + 1, sizeof(*bigger));
    if (bigger == NULL) {
        free(instance);
        free(process);
        return NULL;
    }
    e->list = bigger;
    e->list[e->n] =
        (struct entry){.instance = instance, .process = process, .figures = growth_figures()};
    return &e->list[e->n++];
}

/* Takes: whether the answer was good so far, else there is a text. */
static int
finish(struct entries *e, bool good, struct growth *growth, int64_t now_ms, struct errbuf *err)
{
    int result = good ? growth_begin(growth, now_ms, e->identity) : -1;
    for (size_t i = 0; i < e->n && result == 0; i++)
        result = growth_add(growth, e->list[i].instance, e->list[i].process, e->list[i].slot,
                            &e->list[i].figures);
    if (good && result == -1)
        errbuf_set(err, "out of memory");
    free_entries(e);
    return result;
}

/* --- numbers --- */

/* Takes: an object; whether the member may be null or missing, which is NAN. */
static int
get_amount(const struct json_value *object, const char *name, bool optional, double *out,
           struct errbuf *err)
{
    struct json_value v = source_json_member(object, name);
    *out = NAN;
    if (optional && (v.type == JSON_ABSENT || v.type == JSON_NULL))
        return 0;
    if (!source_json_number(&v, out) || *out < 0)
        return errbuf_set(err, "the answer's \"%s\" is no number from 0 up: %.*s", name,
                          v.text.n < 40 ? (int)v.text.n : 40, v.text.n > 0 ? v.text.p : "missing");
    return 0;
}

static int
get_count(const struct json_value *object, const char *name, double *out, struct errbuf *err)
{
    if (get_amount(object, name, false, out, err) == -1)
        return -1;
    if (*out != trunc(*out) || *out > 1e18)
        return errbuf_set(err, "the answer's \"%s\" is no count: %g", name, *out);
    return 0;
}

/* Seconds to ms, by whole nanoseconds: the same double that a segment's ns give. */
static double
to_ms(double seconds)
{
    return round(seconds * 1e9) / 1e6;
}

/* --- /stats --- */

/* Takes: the member "request", null if nothing was timed. */
static int
get_times(const struct json_value *times, struct growth_figures *f, struct errbuf *err)
{
    double sum, min, max, p99;
    if (times->type == JSON_ABSENT || times->type == JSON_NULL) {
        f->time_count = f->time_sum_ms = 0;
        return 0;
    }
    if (get_count(times, "count", &f->time_count, err) == -1 ||
        get_amount(times, "sum_s", false, &sum, err) == -1 ||
        get_amount(times, "min_s", false, &min, err) == -1 ||
        get_amount(times, "max_s", false, &max, err) == -1 ||
        get_amount(times, "p99_s", true, &p99, err) == -1)
        return -1;
    f->time_sum_ms = to_ms(sum);
    f->time_min_ms = to_ms(min);
    f->time_max_ms = to_ms(max);
    f->time_p99_ms = to_ms(p99);
    return 0;
}

static int
get_figures(const struct json_value *figures, struct growth_figures *f, struct errbuf *err)
{
    struct json_value times = source_json_member(figures, "request");
    if (get_count(figures, "received", &f->received, err) == -1 ||
        get_count(figures, "completed", &f->completed, err) == -1 ||
        get_amount(figures, "lag", true, &f->lag, err) == -1)
        return -1;
    return get_times(&times, f, err);
}

/* What tells this run of the instance from another: when its master was started, and its pid. */
static void
get_identity(const struct json_value *root, struct entries *e)
{
    struct json_value master = source_json_member(root, "master");
    struct json_value started = source_json_member(&master, "started");
    struct json_value pid = source_json_member(&master, "pid");
    struct buf b;
    buf_init(&b, sizeof(e->identity) - 1);
    buf_add_slice(&b, started.text);
    buf_add_char(&b, ' ');
    buf_add_slice(&b, pid.text);
    if (b.size > 0)
        memcpy(e->identity, b.data, b.size); /* what does not fit is nobody's of ours */
    buf_free(&b);
}

static int
get_process(const struct json_value *process, const char *instance, struct entries *e,
            struct errbuf *err)
{
    double slot, restarts;
    struct json_value name = source_json_member(process, "process");
    struct json_value lifetime = source_json_member(process, "lifetime");
    if (name.type != JSON_STRING || lifetime.type != JSON_OBJECT)
        return errbuf_set(err, "the answer has a process without a name or a \"lifetime\"");
    if (get_count(process, "slot", &slot, err) == -1 ||
        get_count(process, "restarts", &restarts, err) == -1)
        return -1;
    if (slot > 1e6)
        return errbuf_set(err, "the answer's \"slot\" is none: %g", slot);
    struct entry *entry = add_entry(e, strdup(instance), source_json_dup(&name));
    if (entry == NULL)
        return errbuf_set(err, "memory is out, or a process's name has a NUL in it");
    entry->slot = (unsigned)slot;
    entry->figures.restarts = restarts;
    return get_figures(&lifetime, &entry->figures, err);
}

static int
get_instance(const struct json_value *root, struct entries *e, struct errbuf *err)
{
    struct json_value name = source_json_member(root, "instance");
    struct json_value totals = source_json_member(root, "totals");
    struct json_value processes = source_json_member(root, "processes"), process;
    double version;
    if (get_count(root, "version", &version, err) == -1)
        return -1;
    if (name.type != JSON_STRING || totals.type != JSON_OBJECT || processes.type != JSON_ARRAY)
        return errbuf_set(err,
                          "the answer is not a persister's: it has no \"instance\", \"totals\" "
                          "or \"processes\"");
    struct entry *entry = add_entry(e, source_json_dup(&name), strdup(""));
    if (entry == NULL)
        return errbuf_set(err, "memory is out, or the instance's name has a NUL in it");
    if (get_figures(&totals, &entry->figures, err) == -1)
        return -1;
    get_identity(root, e);
    for (struct source_json_walk w = source_json_walk(&processes);
         source_json_next(&w, NULL, &process);)
        if (get_process(&process, e->list[0].instance, e, err) == -1)
            return -1;
    return 0;
}

int
counters_take_stats(struct growth *growth, struct slice body, int64_t now_ms, struct errbuf *err)
{
    struct entries e = {.n = 0};
    struct json_value root;
    bool good = source_json_check(body, &root, err) == 0 && get_instance(&root, &e, err) == 0;
    return finish(&e, good, growth, now_ms, err);
}

/* --- /metrics --- */

static const char meter_prefix[] = "monasca.persister.pipeline.event.";

/* Splits "PREFIXHANDLER[THREAD].METER". Returns: false if the name is not of that form. */
static bool
split_meter(char *name, char **thread, char **meter)
{
    if (strncmp(name, meter_prefix, sizeof(meter_prefix) - 1) != 0)
        return false;
    char *open = strchr(name, '['), *close = strrchr(name, ']');
    if (open == NULL || close == NULL || close < open || close[1] != '.')
        return false;
    *close = '\0';
    *thread = open + 1;
    *meter = close + 2;
    return (*thread)[0] != '\0';
}

static struct entry *
find_process(struct entries *e, const char *process)
{
    for (size_t i = 0; i < e->n; i++)
        if (strcmp(e->list[i].process, process) == 0)
            return &e->list[i];
    return add_entry(e, strdup(""), strdup(process));
}

static int
get_meter(char *name, const struct json_value *value, struct entries *e, struct errbuf *err)
{
    char *thread, *meter;
    if (!split_meter(name, &thread, &meter))
        return 0;
    bool received = strcmp(meter, "events-processed-meter") == 0;
    if (!received && strcmp(meter, "flush-meter") != 0)
        return 0;
    struct entry *entry = find_process(e, thread);
    if (entry == NULL)
        return errbuf_set(err, "out of memory");
    return get_count(value, "count",
                     received ? &entry->figures.received : &entry->figures.completed, err);
}

static int
get_meters(const struct json_value *root, struct entries *e, struct errbuf *err)
{
    struct json_value meters = source_json_member(root, "meters"), name, value;
    if (meters.type != JSON_OBJECT)
        return errbuf_set(err, "the answer is not DropWizard's: it has no \"meters\"");
    for (struct source_json_walk w = source_json_walk(&meters);
         source_json_next(&w, &name, &value);) {
        char *text = name.text.n < NAME_MAX_BYTES ? source_json_dup(&name) : NULL;
        int result = text != NULL ? get_meter(text, &value, e, err) : 0;
        free(text);
        if (result == -1)
            return -1;
    }
    if (e->n == 0)
        return errbuf_set(err,
                          "the answer has no meter %sHANDLER[THREAD].events-processed-meter: "
                          "it is not a persister's, or nothing was consumed yet",
                          meter_prefix);
    return 0;
}

int
counters_take_dropwizard(struct growth *growth, struct slice body, int64_t now_ms,
                         struct errbuf *err)
{
    struct entries e = {.n = 0};
    struct json_value root;
    bool good = source_json_check(body, &root, err) == 0 && get_meters(&root, &e, err) == 0;
    return finish(&e, good, growth, now_ms, err);
}
