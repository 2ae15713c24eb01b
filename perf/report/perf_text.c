/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perf_text.c - the report for people. See perf_print.h.
 *
 * Process: persister-perf.  Owner: the caller.  Concurrency: one thread.
 */
#include <math.h>
#include <stdio.h>

#include "lib/timestamp.h"
#include "perf/report/perf_print.h"
#include "perf/report/perf_sum.h"
#include "figures/figures.h"

enum { NAME_COLUMNS = 24 };

static void
add_number(struct buf *out, int columns, double value, int digits)
{
    if (isnan(value))
        buf_printf(out, " %*s", columns, "-");
    else
        buf_printf(out, " %*.*f", columns, digits, value);
}

/* Milliseconds: three significant digits are enough for an eye. */
static void
add_ms(struct buf *out, double ms)
{
    add_number(out, 8, ms, ms >= 100 ? 0 : ms >= 10 ? 1 : ms >= 1 ? 2 : 3);
}

static void
add_heads(struct buf *out)
{
    buf_printf(out, "  %-12s %9s %9s %8s %8s %8s %8s %8s %8s %8s\n", "ended (UTC)", "received",
               "completed", "rec/s", "comp/s", "avg ms", "min ms", "max ms", "p99 ms", "lag");
}

static void
add_row(struct buf *out, const struct reading_row *row)
{
    char text[TIMESTAMP_BYTES];
    double seconds = (double)(row->to_ms - row->from_ms) / 1000;
    buf_printf(out, "  %.12s", timestamp_format(text, row->to_ms) + 11);
    add_number(out, 9, row->received, 0);
    add_number(out, 9, row->completed, 0);
    add_number(out, 8, row->received / seconds, 0);
    add_number(out, 8, row->completed / seconds, 0);
    add_ms(out, row->time_avg_ms);
    add_ms(out, row->time_min_ms);
    add_ms(out, row->time_max_ms);
    add_ms(out, row->time_p99_ms);
    add_number(out, 8, row->lag, 0);
    buf_add_text(out, row->restarted ? "  restarted\n" : "\n");
}

static void
add_track(struct buf *out, const struct reading_track *t)
{
    if (t->process[0] == '\0')
        buf_printf(out, "\ninstance %s\n", t->instance[0] != '\0' ? t->instance : "(unnamed)");
    else
        buf_printf(out, "\nprocess %s of %s\n", t->process,
                   t->instance[0] != '\0' ? t->instance : "(unnamed)");
    if (t->n == 0) {
        buf_add_text(out, "  nothing in that time\n");
        return;
    }
    add_heads(out);
    for (size_t i = 0; i < t->n; i++)
        add_row(out, &t->rows[i]);
}

/* --- totals, in upstream's terms --- */

static void
add_total_heads(struct buf *out)
{
    buf_printf(out, "  %-*s %21s %21s %8s %8s %8s\n", NAME_COLUMNS, "", "received: start, end",
               "flushed: start, end", "elapsed", "avg rec", "avg pers");
    buf_printf(out, "  %-*s %10s %10s %10s %10s %8s %8s %8s\n", NAME_COLUMNS, "", "", "", "", "",
               "s", "/s", "/s");
}

static void
add_totals(struct buf *out, const char *name, const struct perf_totals *t)
{
    /* Where a source only tells differences, they begin at 0. */
    double r0 = isnan(t->received_start) ? 0 : t->received_start;
    double c0 = isnan(t->completed_start) ? 0 : t->completed_start;
    buf_printf(out, "  %-*.*s", NAME_COLUMNS, NAME_COLUMNS, name);
    add_number(out, 10, r0, 0);
    add_number(out, 10, isnan(t->received_end) ? r0 + t->received : t->received_end, 0);
    add_number(out, 10, c0, 0);
    add_number(out, 10, isnan(t->completed_end) ? c0 + t->completed : t->completed_end, 0);
    add_number(out, 8, t->elapsed_s, 1);
    add_number(out, 8, t->elapsed_s > 0 ? t->received / t->elapsed_s : NAN, 0);
    add_number(out, 8, t->elapsed_s > 0 ? t->completed / t->elapsed_s : NAN, 0);
    if (t->restarts > 0)
        buf_printf(out, "  %zu restarts", t->restarts);
    buf_add_char(out, '\n');
    buf_printf(out, "  %-*s received %.15g, completed %.15g", NAME_COLUMNS, "", t->received,
               t->completed);
    if (!isnan(t->time_min_ms))
        buf_printf(out, "; request time avg %.6g ms, min %.15g ms, max %.15g ms", t->time_avg_ms,
                   t->time_min_ms, t->time_max_ms);
    buf_add_char(out, '\n');
}

static void
add_all_totals(struct buf *out, const struct reading *r)
{
    struct perf_totals totals;
    buf_add_text(out, "\ntotals\n");
    add_total_heads(out);
    for (size_t i = 0; i < r->n; i++) {
        const struct reading_track *t = &r->tracks[i];
        perf_sum(t, &totals);
        add_totals(out,
                   t->process[0] != '\0'    ? t->process
                   : t->instance[0] != '\0' ? t->instance
                                            : "(instance)",
                   &totals);
    }
    for (size_t i = 0; i < r->n; i++) {
        if (perf_is_first(r, i) && perf_sum_processes(r, r->tracks[i].instance, &totals) > 0)
            add_totals(out, "sum over processes", &totals);
    }
}

void
perf_print_text(const struct perf_report *report, struct buf *out)
{
    char since[TIMESTAMP_BYTES], until[TIMESTAMP_BYTES];
    buf_printf(out, "from %s to %s%s\n", timestamp_format(since, report->since_ms),
               timestamp_format(until, report->until_ms),
               report->finished ? "" : ": NOT FINISHED, this is what there was until then");
    for (size_t i = 0; i < report->n; i++) {
        const struct reading *r = &report->readings[i];
        buf_printf(out, "\n== %s\n", r->source);
        for (size_t k = 0; k < r->n; k++)
            add_track(out, &r->tracks[k]);
        add_all_totals(out, r);
    }
    struct buf lines;
    buf_init(&lines, 1 << 20);
    if (perf_disagreements(report->readings, report->n, &lines) > 0) {
        buf_add_text(out, "\ndisagreements\n");
        buf_add(out, lines.data, lines.size);
    }
    buf_free(&lines);
    for (size_t i = 0; i < report->n_errors; i++)
        buf_printf(out, "%serror: %s\n", i == 0 ? "\n" : "", report->errors[i]);
}
