/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_histogram.c - the live view's other pages: the histogram of one timing, and the help.
 *
 * Process: pstats.  Owner: struct page.  Concurrency: one thread.
 */
#include <stdio.h>

#include "pstats/pstats_page_priv.h"

enum { BAR_AT = 36 }; /* columns before a bar */

/* A run of buckets that is shown as one line. */
struct bars {
    unsigned first, end;  /* those that are not empty, and what is between them */
    unsigned each;        /* so many in a line */
    uint64_t total, most; /* of all; of one line */
};

static struct bars
divide(const uint64_t *counts, unsigned lines)
{
    struct bars b = {.first = HISTOGRAM_BUCKETS};
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (counts[i] == 0)
            continue;
        b.first = i < b.first ? i : b.first;
        b.end = i + 1;
        b.total = histogram_add(b.total, counts[i]);
    }
    if (b.total == 0 || lines == 0)
        return b;
    b.each = (b.end - b.first + lines - 1) / lines;
    for (unsigned i = b.first; i < b.end; i += b.each) {
        uint64_t sum = 0;
        for (unsigned k = i; k < i + b.each && k < b.end; k++)
            sum = histogram_add(sum, counts[k]);
        b.most = sum > b.most ? sum : b.most;
    }
    return b;
}

static void
add_bar(struct page *page, const struct page_view *view, const struct bars *b,
        const uint64_t *counts, unsigned at, uint64_t *so_far)
{
    char text[PSTATS_TEXT_BYTES];
    uint64_t sum = 0;
    unsigned end = at + b->each < b->end ? at + b->each : b->end;
    struct buf row;
    for (unsigned i = at; i < end; i++)
        sum = histogram_add(sum, counts[i]);
    *so_far = histogram_add(*so_far, sum);
    buf_init(&row, 4 * PAGE_COLUMNS_MAX);
    buf_printf(&row, "%6s to ", pstats_write_duration(text, histogram_lower(at)));
    buf_printf(&row, "%6s %10llu %6.2f%% ", pstats_write_duration(text, histogram_lower(end)),
               (unsigned long long)sum, (double)*so_far * 100 / (double)b->total);
    size_t room = view->columns > BAR_AT ? view->columns - BAR_AT : 0;
    size_t length = (size_t)((double)sum / (double)b->most * (double)room + 0.5);
    for (size_t i = 0; i < length || (i == 0 && sum > 0); i++)
        buf_add_text(&row, view->utf8 ? "█" : "#");
    page_end_row(page, view, PAGE_PLAIN, &row);
    buf_free(&row);
}

void
page_add_histogram(struct page *page, const struct page_view *view, const struct page_data *data)
{
    const struct source *source = data->source;
    const struct figures_window *window = source_window(source);
    const struct stat_figures *f = window != NULL ? &window->figures : &source->snapshot.totals;
    uint64_t so_far = 0;
    struct buf row;
    buf_init(&row, 4 * PAGE_COLUMNS_MAX);
    buf_printf(&row, "%s  ", stat_timings[view->timing].name);
    page_add_times(&row, &f->times[view->timing]);
    if (window != NULL)
        buf_printf(&row, "  (%.1f s)", (double)window->covered_ms / 1000);
    else
        buf_add_text(&row, "  (since the start)");
    page_end_row(page, view, PAGE_PLAIN, &row);
    buf_free(&row);
    page_add_row(page, view, PAGE_PLAIN, stat_timings[view->timing].help);
    page_add_row(page, view, PAGE_HEAD, "        DURATION      COUNT  UP TO");
    struct bars b = divide(data->buckets, page->room - page->n);
    for (unsigned i = b.first; b.each > 0 && i < b.end; i += b.each)
        add_bar(page, view, &b, data->buckets, i, &so_far);
}

void
page_add_help(struct page *page, const struct page_view *view)
{
    static const char *const lines[] = {
        "",
        "q         quit                        p      pause, go on",
        "s, S      sort by the next, reverse   + -    a longer, a shorter interval",
        "t         only topics that contain what you type; Enter or Esc ends it",
        "h         histogram of a timing: r request, d delay, w write",
        "arrows, Page Up/Down, Home, End       scroll",
        "",
        "Rates are since the screen before; the levels are of now; request is how long",
        "messages took from Kafka's poll until the store confirmed them: average, least,",
        "greatest of the last period (a process has '-' if it completed none in it).",
        "",
        "FOR    how long it has been in its state     IN/s   messages received",
        "BATCH  messages being collected or written   OUT/s  messages completed",
        "LAG    messages not yet taken; ? if unknown  RST    restarts after a death",
        "",
        "STALE: the master is dead; what it left is shown until the next one comes.",
        "pstats -l says what every figure means, pstats -j shows all of them.",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        page_add_row(page, view, PAGE_PLAIN, lines[i]);
}
