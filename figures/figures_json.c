/* SPDX-License-Identifier: Apache-2.0 */
/* figures_json.c - see figures_json.h. */
#include "figures/figures_json.h"

#include <stdio.h>

#include "lib/json_text.h"
#include "lib/timestamp.h"

/* --- members; `separator` is what goes before the name --- */

static void
add_name(struct buf *out, const char *separator, const char *name)
{
    buf_add_text(out, separator);
    json_add_text(out, name);
    buf_add_text(out, ": ");
}

static void
add_text(struct buf *out, const char *separator, const char *name, const char *text)
{
    add_name(out, separator, name);
    if (text != NULL)
        json_add_text(out, text);
    else
        buf_add_text(out, "null");
}

static void
add_number(struct buf *out, const char *separator, const char *name, uint64_t number)
{
    add_name(out, separator, name);
    buf_printf(out, "%llu", (unsigned long long)number);
}

/* null if it is 0: no such time. */
static void
add_time(struct buf *out, const char *separator, const char *name, int64_t wall_ms)
{
    char text[TIMESTAMP_BYTES];
    add_text(out, separator, name, wall_ms == 0 ? NULL : timestamp_format(text, wall_ms));
}

static void
add_bool(struct buf *out, const char *separator, const char *name, bool yes)
{
    add_name(out, separator, name);
    buf_add_text(out, yes ? "true" : "false");
}

/* Seconds of a span in ms: 10, or 10.003. */
static void
add_span(struct buf *out, const char *separator, const char *name, int64_t ms)
{
    add_name(out, separator, name);
    buf_printf(out, ms % 1000 == 0 ? "%lld" : "%lld.%03lld", (long long)(ms / 1000),
               (long long)(ms % 1000));
}

/* --- figures --- */

static void
add_nanoseconds(struct buf *out, const char *separator, const char *name, uint64_t ns)
{
    add_name(out, separator, name);
    if (ns == STAT_UNKNOWN)
        buf_add_text(out, "null");
    else
        figures_add_seconds(out, ns);
}

static void
add_times(struct buf *out, const struct stat_times *times)
{
    if (times->count == 0) {
        buf_add_text(out, "null");
        return;
    }
    add_number(out, "{", "count", times->count);
    add_nanoseconds(out, ", ", "sum_s", times->sum_ns);
    add_nanoseconds(out, ", ", "min_s", times->min_ns);
    add_nanoseconds(out, ", ", "max_s", times->max_ns);
    add_nanoseconds(out, ", ", "avg_s", stat_average(times));
    add_nanoseconds(out, ", ", "p50_s", times->p50_ns);
    add_nanoseconds(out, ", ", "p95_s", times->p95_ns);
    add_nanoseconds(out, ", ", "p99_s", times->p99_ns);
    buf_add_char(out, '}');
}

/* Members of F, with `separator` before the first. */
static void
add_figures(struct buf *out, const char *separator, const struct stat_figures *figures,
            const struct figures_choice *choice)
{
    for (unsigned v = 0; v < STAT_VALUES; v++) {
        if (!figures_is_chosen(choice, stat_values[v].name))
            continue;
        add_name(out, separator, stat_values[v].name);
        if (stat_values[v].nature != STAT_COUNTER && figures->values[v] == STAT_UNKNOWN)
            buf_add_text(out, "null");
        else
            buf_printf(out, "%llu", (unsigned long long)figures->values[v]);
        separator = ", ";
    }
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        if (!figures_is_chosen(choice, stat_timings[t].name))
            continue;
        add_name(out, separator, stat_timings[t].name);
        add_times(out, &figures->times[t]);
        separator = ", ";
    }
}

static void
add_figures_object(struct buf *out, const char *separator, const char *name,
                   const struct stat_figures *figures, const struct figures_choice *choice)
{
    add_name(out, separator, name);
    buf_add_char(out, '{');
    add_figures(out, "", figures, choice);
    buf_add_char(out, '}');
}

/* --- the snapshot --- */

static void
add_master(struct buf *out, const struct snapshot *s)
{
    add_name(out, ",\n ", "master");
    add_number(out, "{", "pid", (uint32_t)s->master_pid);
    add_text(out, ", ", "state", master_state_name(s->master_state));
    add_time(out, ", ", "started", s->started_ms);
    add_number(out, ", ", "generation", s->generation);
    add_number(out, ", ", "restarts", s->restarts);
    add_time(out, ", ", "heartbeat", s->heartbeat_ms);
    add_number(out, ", ", "reloads", s->totals.values[STAT_RELOADS]);
    add_number(out, ", ", "reloads_refused", s->totals.values[STAT_RELOADS_REFUSED]);
    add_text(out, ", ", "reload_error", s->refused_ms != 0 ? s->refused_text : NULL);
    add_text(out, ", ", "version", s->version);
    buf_add_char(out, '}');
}

static void
add_period(struct buf *out, const struct snapshot *s)
{
    add_name(out, ",\n ", "period");
    add_span(out, "{", "seconds", s->period_ms);
    add_number(out, ", ", "number", s->period);
    add_time(out, ", ", "ended", s->period_ended_ms);
    if (s->period > 0)
        add_span(out, ", ", "length_seconds", s->period_length_ms);
    else
        add_text(out, ", ", "length_seconds", NULL);
    buf_add_char(out, '}');
}

static void
add_wait(struct buf *out, const struct snapshot_process *p)
{
    bool waits = p->wait_since_ms != 0;
    char text[sizeof(p->wait_class) + sizeof(p->wait_text) + 2];
    snprintf(text, sizeof(text), "%s%s%s", p->wait_class, p->wait_class[0] == '\0' ? "" : ": ",
             p->wait_text);
    add_text(out, ", ", "waiting_for", waits ? text : NULL);
    if (!waits) {
        add_text(out, ", ", "waiting", NULL);
        return;
    }
    add_name(out, ", ", "waiting");
    add_text(out, "{", "whose", p->wait_class);
    add_text(out, ", ", "text", p->wait_text);
    add_time(out, ", ", "since", p->wait_since_ms);
    buf_add_char(out, '}');
}

static void
add_process(struct buf *out, const struct snapshot_process *p, const struct figures_choice *choice)
{
    add_number(out, "{", "slot", p->slot);
    add_text(out, ", ", "process", p->name);
    add_text(out, ", ", "topic", p->topic);
    if (p->pid != 0)
        add_number(out, ", ", "pid", (uint32_t)p->pid);
    else
        add_text(out, ", ", "pid", NULL);
    add_number(out, ", ", "generation", p->generation);
    add_number(out, ", ", "configuration", p->configuration);
    add_bool(out, ", ", "leaving", p->leaving);
    add_text(out, ", ", "state", slot_state_name(p->state));
    add_time(out, ", ", "since", p->since_ms);
    add_number(out, ", ", "restarts", p->restarts);
    add_time(out, ", ", "heartbeat", p->heartbeat_ms);
    add_wait(out, p);
    add_bool(out, ", ", "late", p->late);
    add_figures_object(out, ",\n   ", "totals", &p->totals, choice);
    add_figures_object(out, ",\n   ", "last_period", &p->last_period, choice);
    add_figures_object(out, ",\n   ", "lifetime", &p->lifetime, choice);
    buf_add_char(out, '}');
}

static void
add_processes(struct buf *out, const struct snapshot *s, const struct figures_choice *choice)
{
    const char *separator = "\n  ";
    add_name(out, ",\n ", "processes");
    buf_add_char(out, '[');
    for (size_t i = 0; i < s->n_processes; i++) {
        if (!figures_is_worker(&s->processes[i]))
            continue;
        buf_add_text(out, separator);
        add_process(out, &s->processes[i], choice);
        separator = ",\n  ";
    }
    buf_add_char(out, ']');
}

void
figures_write_json(struct buf *out, const struct snapshot *snapshot,
                   const struct figures_origin *origin, const struct figures_window *window,
                   const struct figures_choice *choice)
{
    add_number(out, "{", "version", FIGURES_JSON_VERSION);
    add_text(out, ",\n ", "instance", snapshot->instance);
    add_text(out, ",\n ", "segment", origin->path);
    add_time(out, ",\n ", "taken", snapshot->taken_ms);
    add_bool(out, ",\n ", "stale", origin->stale);
    add_text(out, ",\n ", "stale_reason", origin->stale ? origin->stale_reason : NULL);
    add_master(out, snapshot);
    add_period(out, snapshot);
    add_figures_object(out, ",\n ", "totals", &snapshot->totals, choice);
    add_figures_object(out, ",\n ", "last_period", &snapshot->last_period, choice);
    if (window != NULL) {
        add_name(out, ",\n ", "window");
        add_span(out, "{", "seconds", window->covered_ms);
        add_figures(out, ", ", &window->figures, choice);
        buf_add_char(out, '}');
    }
    add_processes(out, snapshot, choice);
    buf_add_text(out, "}\n");
}
