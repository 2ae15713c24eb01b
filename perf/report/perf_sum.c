/* SPDX-License-Identifier: Apache-2.0 */
/* perf_sum.c - see perf_sum.h. */
#include "perf/report/perf_sum.h"

#include <math.h>
#include <stdio.h>

static double
add(double a, double b)
{
    if (isnan(a))
        return b;
    return isnan(b) ? a : a + b;
}

static double
least(double a, double b)
{
    return isnan(a) || b < a ? b : a;
}

static double
most(double a, double b)
{
    return isnan(a) || b > a ? b : a;
}

static void
clear(struct perf_totals *t)
{
    *t = (struct perf_totals){.received = NAN,
                              .completed = NAN,
                              .received_start = NAN,
                              .received_end = NAN,
                              .completed_start = NAN,
                              .completed_end = NAN,
                              .time_avg_ms = NAN,
                              .time_min_ms = NAN,
                              .time_max_ms = NAN,
                              .lag = NAN};
}

/* Two averages as one. Takes: how many each is of; unknown counts as 1. */
static double
average(double a, double of_a, double b, double of_b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) ? b : a;
    double x = isnan(of_a) ? 1 : of_a, y = isnan(of_b) ? 1 : of_b;
    return x + y > 0 ? (a * x + b * y) / (x + y) : a;
}

static void
widen(struct perf_totals *t, int64_t from_ms, int64_t to_ms)
{
    t->from_ms = t->to_ms == 0 || from_ms < t->from_ms ? from_ms : t->from_ms;
    t->to_ms = to_ms > t->to_ms ? to_ms : t->to_ms;
    t->elapsed_s = (double)(t->to_ms - t->from_ms) / 1000;
}

static void
add_row(struct perf_totals *t, const struct reading_row *row)
{
    t->time_avg_ms = average(t->time_avg_ms, t->completed, row->time_avg_ms, row->completed);
    t->received = add(t->received, row->received);
    t->completed = add(t->completed, row->completed);
    t->time_min_ms = least(t->time_min_ms, row->time_min_ms);
    t->time_max_ms = most(t->time_max_ms, row->time_max_ms);
    t->lag = isnan(row->lag) ? t->lag : row->lag;
    t->restarts += row->restarted;
    if (row->received > 0 || row->completed > 0)
        widen(t, row->from_ms, row->to_ms);
}

void
perf_sum(const struct reading_track *track, struct perf_totals *totals)
{
    clear(totals);
    for (size_t i = 0; i < track->n; i++)
        add_row(totals, &track->rows[i]);
    totals->received_start = track->received_start;
    totals->received_end = track->received_end;
    totals->completed_start = track->completed_start;
    totals->completed_end = track->completed_end;
}

void
perf_add(struct perf_totals *into, const struct perf_totals *totals, bool first)
{
    if (first) {
        *into = *totals;
        return;
    }
    into->time_avg_ms =
        average(into->time_avg_ms, into->completed, totals->time_avg_ms, totals->completed);
    into->received = add(into->received, totals->received);
    into->completed = add(into->completed, totals->completed);
    into->received_start = add(into->received_start, totals->received_start);
    into->received_end = add(into->received_end, totals->received_end);
    into->completed_start = add(into->completed_start, totals->completed_start);
    into->completed_end = add(into->completed_end, totals->completed_end);
    into->time_min_ms = least(into->time_min_ms, totals->time_min_ms);
    into->time_max_ms = most(into->time_max_ms, totals->time_max_ms);
    into->lag = add(into->lag, totals->lag);
    into->restarts += totals->restarts;
    if (totals->to_ms != 0)
        widen(into, totals->from_ms, totals->to_ms);
}

bool
perf_is_first(const struct reading *reading, size_t track)
{
    for (size_t k = 0; k < track; k++)
        if (strcmp(reading->tracks[k].instance, reading->tracks[track].instance) == 0)
            return false;
    return true;
}

size_t
perf_sum_processes(const struct reading *reading, const char *instance, struct perf_totals *totals)
{
    size_t n = 0;
    for (size_t i = 0; i < reading->n; i++) {
        const struct reading_track *t = &reading->tracks[i];
        struct perf_totals one;
        if (t->process[0] == '\0' || strcmp(t->instance, instance) != 0)
            continue;
        perf_sum(t, &one);
        perf_add(totals, &one, n++ == 0);
    }
    return n;
}

bool
perf_differs(double a, double b)
{
    return !isnan(a) && !isnan(b) && fabs(a - b) > 1e-9 * (fabs(a) + fabs(b));
}

/* --- disagreements --- */

static size_t
compare(struct buf *out, const char *instance, const char *process, const char *what, double a,
        const char *who_a, double b, const char *who_b)
{
    if (!perf_differs(a, b))
        return 0;
    buf_printf(out, "%s%s%s: %s: %.15g by %s, %.15g by %s\n", instance,
               process[0] != '\0' ? " " : "", process, what, a, who_a, b, who_b);
    return 1;
}

static size_t
compare_totals(struct buf *out, const char *instance, const char *process,
               const struct perf_totals *a, const char *who_a, const struct perf_totals *b,
               const char *who_b)
{
    return compare(out, instance, process, "received", a->received, who_a, b->received, who_b) +
           compare(out, instance, process, "completed", a->completed, who_a, b->completed, who_b);
}

static size_t
compare_with_processes(const struct reading *r, struct buf *out)
{
    size_t lines = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct reading_track *t = &r->tracks[i];
        struct perf_totals own, sum;
        char who[300];
        if (t->process[0] != '\0' || perf_sum_processes(r, t->instance, &sum) == 0)
            continue;
        perf_sum(t, &own);
        snprintf(who, sizeof(who), "the sum of its processes (%.200s)", r->source);
        lines += compare_totals(out, t->instance, "", &own, r->source, &sum, who);
    }
    return lines;
}

static size_t
compare_readings(const struct reading *a, const struct reading *b, struct buf *out)
{
    size_t lines = 0;
    for (size_t i = 0; i < a->n; i++) {
        const struct reading_track *t = &a->tracks[i],
                                   *other = reading_find(b, t->instance, t->process);
        struct perf_totals x, y;
        if (other == NULL)
            continue;
        perf_sum(t, &x);
        perf_sum(other, &y);
        lines += compare_totals(out, t->instance, t->process, &x, a->source, &y, b->source);
    }
    return lines;
}

size_t
perf_disagreements(const struct reading *readings, size_t n, struct buf *out)
{
    size_t lines = 0;
    for (size_t i = 0; i < n; i++) {
        lines += compare_with_processes(&readings[i], out);
        for (size_t k = i + 1; k < n; k++)
            lines += compare_readings(&readings[i], &readings[k], out);
    }
    return lines;
}
