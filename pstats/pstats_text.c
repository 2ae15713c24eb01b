/* SPDX-License-Identifier: Apache-2.0 */
/* pstats_text.c - see pstats_text.h. */
#include "pstats/pstats_text.h"

#include <stdio.h>

#include "lib/timestamp.h"
#include "pstats/pstats_format.h"

/* What is shown of a process unless -F says it. */
static const char *const default_globs[] = {"received",  "completed", "rejected", "returned",
                                            "in_flight", "lag",       "request"};
static const struct figures_choice default_choice = {default_globs, COUNT_OF(default_globs)};

enum { DURATION_COLUMNS = 9, PERCENTILES = 3 };

/* --- the instance --- */

void
pstats_add_state(struct buf *out, const struct source *source)
{
    char text[PSTATS_TEXT_BYTES];
    if (source->origin.stale) {
        buf_printf(out, "stale: %s", source->origin.stale_reason);
        return;
    }
    buf_add_text(out, master_state_name(source->snapshot.master_state));
    if (source_master_is_silent(source))
        buf_printf(out, "; no sign of life for %s", pstats_write_age(text, source->origin.age_ms));
}

static void
add_head(struct buf *out, const struct source *source)
{
    const struct snapshot *s = &source->snapshot;
    char text[TIMESTAMP_BYTES];
    buf_printf(out, "instance  %s\nstate     ", s->instance);
    pstats_add_state(out, source);
    buf_printf(out, "\nsegment   %s\n", source->path);
    buf_printf(out, "master    pid %ld, version %s, started %s\n", (long)s->master_pid, s->version,
               timestamp_format(text, s->started_ms));
    buf_printf(out, "workers   configuration %lu, %lu restarts\n", (unsigned long)s->generation,
               (unsigned long)s->restarts);
    if (s->refused_ms != 0)
        buf_printf(out, "reload    refused at %s: %s\n", timestamp_format(text, s->refused_ms),
                   s->refused_text);
    if (s->period == 0)
        buf_printf(out, "period    none closed yet, one takes %.3f s\n",
                   (double)s->period_ms / 1000);
    else
        buf_printf(out, "period    %llu, %.3f s, ended %s\n", (unsigned long long)s->period,
                   (double)s->period_length_ms / 1000,
                   timestamp_format(text, s->period_ended_ms));
    buf_printf(out, "taken     %s\n", timestamp_format(text, s->taken_ms));
}

static void
add_number(struct buf *out, uint64_t n, int width)
{
    if (n == STAT_UNKNOWN)
        buf_printf(out, " %*s", width, "?");
    else
        buf_printf(out, " %*llu", width, (unsigned long long)n);
}

static void
add_values(struct buf *out, const struct snapshot *s, const struct stat_figures *span,
           int64_t span_ms, const struct figures_choice *choice)
{
    for (unsigned v = 0; v < STAT_VALUES; v++) {
        if (!figures_is_chosen(choice, stat_values[v].name))
            continue;
        buf_printf(out, "%-24s", stat_values[v].name);
        add_number(out, s->totals.values[v], 16);
        if (stat_values[v].nature == STAT_COUNTER && span_ms > 0) {
            add_number(out, span->values[v], 16);
            buf_printf(out, " %12.1f", (double)span->values[v] * 1000 / (double)span_ms);
        }
        buf_add_char(out, '\n');
    }
}

/* avg, min and max, and where there are any, percentiles. */
static void
add_times(struct buf *out, const struct stat_times *times, unsigned percentiles)
{
    uint64_t ns[3 + PERCENTILES] = {UINT64_MAX, UINT64_MAX, UINT64_MAX,
                                    UINT64_MAX, UINT64_MAX, UINT64_MAX};
    char text[PSTATS_TEXT_BYTES];
    if (times->count > 0) {
        ns[0] = stat_average(times);
        ns[1] = times->min_ns;
        ns[2] = times->max_ns;
        ns[3] = times->p50_ns;
        ns[4] = times->p95_ns;
        ns[5] = times->p99_ns;
    }
    for (unsigned i = 0; i < 3 + percentiles; i++)
        buf_printf(out, " %*s", DURATION_COLUMNS, pstats_write_duration_long(text, ns[i]));
}

static void
add_timings(struct buf *out, const char *of, const struct stat_figures *figures,
            const struct figures_choice *choice)
{
    bool head = false;
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        if (!figures_is_chosen(choice, stat_timings[t].name))
            continue;
        if (!head)
            buf_printf(out, "\n%-14s %10s %*s %*s %*s %*s %*s %*s\n", of, "COUNT", DURATION_COLUMNS,
                       "AVG", DURATION_COLUMNS, "MIN", DURATION_COLUMNS, "MAX", DURATION_COLUMNS,
                       "P50", DURATION_COLUMNS, "P95", DURATION_COLUMNS, "P99");
        head = true;
        buf_printf(out, "%-14s %10llu", stat_timings[t].name,
                   (unsigned long long)figures->times[t].count);
        add_times(out, &figures->times[t], PERCENTILES);
        buf_add_char(out, '\n');
    }
}

static void
add_instance(struct buf *out, const struct source *source, const struct figures_choice *choice)
{
    const struct snapshot *s = &source->snapshot;
    const struct figures_window *window = source_window(source);
    const struct stat_figures *span = window != NULL ? &window->figures : &s->last_period;
    int64_t span_ms = window != NULL ? window->covered_ms : s->period > 0 ? s->period_length_ms : 0;
    char of[PSTATS_TEXT_BYTES] = "LAST PERIOD";
    if (window != NULL)
        snprintf(of, sizeof(of), "LAST %.1f S", (double)span_ms / 1000);
    add_head(out, source);
    buf_printf(out, "\n%-24s %16s %16s %12s\n", "FIGURE", "TOTAL", of, "PER SECOND");
    add_values(out, s, span, span_ms, choice);
    add_timings(out, of, span, choice);
    add_timings(out, "TOTAL", &s->totals, choice);
}

/* --- processes --- */

static int
column_width(const char *name)
{
    return strlen(name) > 9 ? (int)strlen(name) : 9;
}

static void
add_process_head(struct buf *out, int name_columns, const struct figures_choice *choice)
{
    char text[64];
    buf_printf(out, "\n%-*s %4s %7s %-10s %5s %8s", name_columns, "PROCESS", "SLOT", "PID", "STATE",
               "FOR", "RESTARTS");
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (figures_is_chosen(choice, stat_values[v].name))
            buf_printf(out, " %*s", column_width(stat_values[v].name), stat_values[v].name);
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        if (!figures_is_chosen(choice, stat_timings[t].name))
            continue;
        snprintf(text, sizeof(text), "%s avg", stat_timings[t].name);
        buf_printf(out, " %*s %*s %*s", column_width(text), text, DURATION_COLUMNS, "min",
                   DURATION_COLUMNS, "max");
    }
    buf_add_text(out, " waits for\n");
}

static void
add_process(struct buf *out, const struct snapshot *s, const struct snapshot_process *p,
            int name_columns, const struct figures_choice *choice)
{
    char text[PSTATS_TEXT_BYTES], heading[64];
    buf_printf(out, "%-*s %4u", name_columns, p->name, p->slot);
    if (p->pid != 0)
        buf_printf(out, " %7ld", (long)p->pid);
    else
        buf_printf(out, " %7s", "-");
    snprintf(heading, sizeof(heading), "%s%s", slot_state_name(p->state), p->late ? "~" : "");
    buf_printf(out, " %-10s %5s %8lu", heading, pstats_write_age(text, s->taken_ms - p->since_ms),
               (unsigned long)p->restarts);
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (figures_is_chosen(choice, stat_values[v].name))
            add_number(out, p->lifetime.values[v], column_width(stat_values[v].name));
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        if (!figures_is_chosen(choice, stat_timings[t].name))
            continue;
        snprintf(heading, sizeof(heading), "%s avg", stat_timings[t].name);
        buf_printf(out, "%*s", column_width(heading) - DURATION_COLUMNS, "");
        add_times(out, &p->last_period.times[t], 0);
    }
    if (p->wait_since_ms != 0) {
        buf_printf(out, " %s%s", p->wait_class, p->wait_class[0] == '\0' ? "" : ": ");
        pstats_add_cut(out, p->wait_text, SIZE_MAX, true);
    }
    buf_add_char(out, '\n');
}

void
pstats_write_text(struct buf *out, const struct source *source, const struct figures_choice *choice)
{
    const struct snapshot *s = &source->snapshot;
    const struct figures_choice *of_processes =
        choice == NULL || choice->n_globs == 0 ? &default_choice : choice;
    int name_columns = 8;
    for (size_t i = 0; i < s->n_processes; i++)
        if ((int)strlen(s->processes[i].name) > name_columns)
            name_columns = (int)strlen(s->processes[i].name);
    add_instance(out, source, choice);
    add_process_head(out, name_columns, of_processes);
    for (size_t i = 0; i < s->n_processes; i++)
        add_process(out, s, &s->processes[i], name_columns, of_processes);
}
