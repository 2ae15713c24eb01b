/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_page.c - see pstats_page.h. The table of processes is in pstats_table.c, the histogram and
 * the help in pstats_histogram.c.
 */
#include "pstats/pstats_page_priv.h"

#include <stdio.h>

enum { TEXT_BYTES = 1 << 20, SPARK_LABEL = 12 };

static const char *const sort_names[PAGE_SORTS] = {"name",  "slot", "state", "IN/s", "OUT/s",
                                                   "BATCH", "LAG",  "AVG",   "MAX",  "RST"};

void
page_init(struct page *page)
{
    *page = (struct page){.n = 0};
    buf_init(&page->text, TEXT_BYTES);
}

void
page_free(struct page *page)
{
    buf_free(&page->text);
}

/* --- rows --- */

void
page_end_row(struct page *page, const struct page_view *view, enum page_style style,
             const struct buf *row)
{
    char text[4 * PAGE_COLUMNS_MAX + 1]; /* the longest character has 4 bytes */
    size_t n = row->size < sizeof(text) - 1 ? row->size : sizeof(text) - 1;
    if (page->n >= page->room)
        return;
    if (n > 0)
        memcpy(text, row->data, n);
    text[n] = '\0';
    struct page_row *r = &page->rows[page->n++];
    *r = (struct page_row){.at = page->text.size, .style = style};
    size_t used = pstats_add_cut(&page->text, text, view->columns, view->utf8);
    for (; style == PAGE_HEAD && used < view->columns; used++)
        buf_add_char(&page->text, ' ');
    r->size = page->text.size - r->at;
}

void
page_add_row(struct page *page, const struct page_view *view, enum page_style style,
             const char *text)
{
    struct buf row;
    buf_init(&row, 4 * PAGE_COLUMNS_MAX);
    pstats_add_cut(&row, text, PAGE_COLUMNS_MAX, view->utf8);
    page_end_row(page, view, style, &row);
    buf_free(&row);
}

/* --- the instance --- */

static void
add_title(struct page *page, const struct page_view *view, const struct source *source)
{
    const struct snapshot *s = &source->snapshot;
    char text[PSTATS_TEXT_BYTES];
    struct buf row;
    bool silent = source_master_is_silent(source);
    uint64_t running = s->totals.values[STAT_WORKERS_RUNNING];
    uint64_t wanted = s->totals.values[STAT_WORKERS_WANTED];
    buf_init(&row, 4 * PAGE_COLUMNS_MAX);
    buf_printf(&row, "%s  ", s->instance);
    if (source->origin.stale)
        buf_printf(&row, "STALE for %s: %s", pstats_write_age(text, source->origin.age_ms),
                   source->origin.stale_reason);
    else {
        buf_printf(&row, "%s  pid %ld  ", master_state_name(s->master_state), (long)s->master_pid);
        buf_printf(&row, "up %s  ", pstats_write_uptime(text, s->taken_ms - s->started_ms));
        buf_printf(&row, "%llu of %llu workers", (unsigned long long)running,
                   (unsigned long long)wanted);
        if (silent)
            buf_printf(&row, "  NO SIGN OF LIFE for %s",
                       pstats_write_age(text, source->origin.age_ms));
    }
    buf_printf(&row, "  %s%s", pstats_write_clock(text, s->taken_ms),
               view->paused ? "  PAUSED" : "");
    page_end_row(page, view,
                 source->origin.stale || silent ? PAGE_BAD
                 : running < wanted             ? PAGE_WARN
                                                : PAGE_TITLE,
                 &row);
    buf_free(&row);
}

static void
add_rates(struct page *page, const struct page_view *view, const struct page_data *data)
{
    static const struct {
        enum stat_value value;
        const char *name;
    } shown[] = {
        {STAT_RECEIVED, "received"}, {STAT_COMPLETED, "completed"}, {STAT_REJECTED, "rejected"}};
    const uint64_t *v = data->source->snapshot.totals.values;
    char text[PSTATS_TEXT_BYTES];
    struct buf row;
    buf_init(&row, 4 * PAGE_COLUMNS_MAX);
    for (size_t i = 0; i < COUNT_OF(shown); i++)
        buf_printf(&row, "%s %s/s  ", shown[i].name,
                   pstats_write_rate(text, data->rates->per_second[shown[i].value]));
    buf_printf(&row, "in flight %s  ", pstats_write_count(text, v[STAT_IN_FLIGHT]));
    buf_printf(&row, "lag %s", pstats_write_count(text, v[STAT_LAG]));
    if (v[STAT_LAG_SECONDS] != STAT_UNKNOWN)
        buf_printf(&row, ", %ss", pstats_write_count(text, v[STAT_LAG_SECONDS]));
    page_end_row(page, view, PAGE_PLAIN, &row);
    buf_free(&row);
}

void
page_add_times(struct buf *row, const struct stat_times *t)
{
    char text[PSTATS_TEXT_BYTES];
    if (t->count == 0) {
        buf_add_text(row, "none");
        return;
    }
    buf_printf(row, "avg %s", pstats_write_duration(text, stat_average(t)));
    buf_printf(row, "  min %s", pstats_write_duration(text, t->min_ns));
    buf_printf(row, "  max %s", pstats_write_duration(text, t->max_ns));
    buf_printf(row, "  p50 %s", pstats_write_duration(text, t->p50_ns));
    buf_printf(row, "  p99 %s", pstats_write_duration(text, t->p99_ns));
}

static void
add_request(struct page *page, const struct page_view *view, const struct source *source)
{
    const struct figures_window *window = source_window(source);
    const struct snapshot *s = &source->snapshot;
    const struct stat_figures *f = window != NULL ? &window->figures : &s->last_period;
    int64_t ms = window != NULL ? window->covered_ms : s->period > 0 ? s->period_length_ms : 0;
    struct buf row;
    buf_init(&row, 4 * PAGE_COLUMNS_MAX);
    buf_add_text(&row, "request  ");
    page_add_times(&row, &f->times[STAT_REQUEST]);
    if (ms > 0)
        buf_printf(&row, "  (last %.1f s)", (double)ms / 1000);
    else
        buf_add_text(&row, "  (no period closed yet)");
    page_end_row(page, view, PAGE_PLAIN, &row);
    buf_free(&row);
}

/* --- the past --- */

/* Takes: what to take from a period; negative for nothing. */
static void
add_sparkline(struct page *page, const struct page_view *view, const struct page_data *data,
              const char *label, double (*value)(const struct snapshot_period *))
{
    double values[SHM_PERIODS], max = 0;
    size_t room = view->columns > SPARK_LABEL + 6 ? view->columns - SPARK_LABEL - 6 : 0;
    size_t n = data->n_periods < room ? data->n_periods : room;
    char text[PSTATS_TEXT_BYTES];
    struct buf row;
    buf_init(&row, 4 * PAGE_COLUMNS_MAX);
    buf_printf(&row, "%-*s", SPARK_LABEL, label);
    for (size_t i = 0; i < n; i++) {
        values[i] = value(&data->periods[data->n_periods - n + i]);
        max = values[i] > max ? values[i] : max;
    }
    pstats_add_sparkline(&row, values, n, view->utf8);
    if (value == page_average_of_period && max > 0)
        buf_printf(&row, " %s", pstats_write_duration(text, stat_from_double(max)));
    else if (value != page_average_of_period && n > 0)
        buf_printf(&row, " %s", pstats_write_rate(text, max));
    page_end_row(page, view, PAGE_PLAIN, &row);
    buf_free(&row);
}

static double
rate_of_period(const struct snapshot_period *period)
{
    double ms = period->length_ms > 0 ? (double)period->length_ms : 1;
    return (double)period->figures.values[STAT_COMPLETED] * 1000 / ms;
}

double
page_average_of_period(const struct snapshot_period *period)
{
    const struct stat_times *t = &period->figures.times[STAT_REQUEST];
    return t->count > 0 ? (double)stat_average(t) : -1;
}

/* --- the last line --- */

static void
add_keys(struct page *page, const struct page_view *view)
{
    char text[PAGE_COLUMNS_MAX];
    if (view->typing)
        snprintf(text, sizeof(text), "topic contains: %s_   Enter: done, Esc: all topics",
                 view->filter);
    else if (view->kind == PAGE_HISTOGRAM)
        snprintf(text, sizeof(text),
                 "r request  d delay  w write   h or Esc: back  p pause  q quit");
    else if (view->kind == PAGE_HELP)
        snprintf(text, sizeof(text), "any key: back");
    else
        snprintf(text, sizeof(text),
                 "q quit  s/S by %s%s  t topic%s%s  p pause  +/- %.3gs  h histogram  ? help",
                 sort_names[view->sort], view->reverse ? ", reversed" : "",
                 view->filter[0] != '\0' ? " " : "", view->filter,
                 (double)view->interval_ms / 1000);
    while (page->n < page->room)
        page_add_row(page, view, PAGE_PLAIN, "");
    page->room = view->lines;
    page_add_row(page, view, PAGE_HEAD, text);
}

/* What is out of the ordinary, or nothing. */
static void
add_note(struct page *page, const struct page_view *view, const struct source *source)
{
    char text[PAGE_COLUMNS_MAX];
    if (source->trouble.text[0] != '\0') {
        snprintf(text, sizeof(text), "what is there now: %s", source->trouble.text);
        page_add_row(page, view, PAGE_BAD, text);
    } else if (source->snapshot.refused_ms != 0) {
        char at[PSTATS_TEXT_BYTES];
        snprintf(text, sizeof(text), "reload refused at %s: %s",
                 pstats_write_clock(at, source->snapshot.refused_ms),
                 source->snapshot.refused_text);
        page_add_row(page, view, PAGE_WARN, text);
    } else {
        page_add_row(page, view, PAGE_PLAIN, "");
    }
}

void
page_draw(struct page *page, struct page_view *view, const struct page_data *data)
{
    buf_clear(&page->text);
    page->n = 0;
    if (view->columns > PAGE_COLUMNS_MAX)
        view->columns = PAGE_COLUMNS_MAX;
    if (view->lines > PAGE_LINES_MAX)
        view->lines = PAGE_LINES_MAX;
    page->room = view->lines > 1 ? view->lines - 1 : view->lines;
    add_title(page, view, data->source);
    if (view->kind == PAGE_PROCESSES) {
        add_rates(page, view, data);
        add_request(page, view, data->source);
        add_sparkline(page, view, data, "completed/s", rate_of_period);
        add_sparkline(page, view, data, "request avg", page_average_of_period);
        add_note(page, view, data->source);
        page_add_table(page, view, data);
    } else if (view->kind == PAGE_HISTOGRAM) {
        page_add_histogram(page, view, data);
    } else {
        page_add_help(page, view);
    }
    add_keys(page, view);
}
