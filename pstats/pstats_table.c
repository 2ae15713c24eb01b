/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_table.c - the live view's table of processes: which, in what order, in what columns.
 *
 * Process: pstats.  Owner: struct page.  Concurrency: one thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pstats/pstats_page_priv.h"

enum {
    NAME_COLUMNS_MIN = 8,
    GENERATION_COLUMNS = 4,
    OTHER_COLUMNS = 61
}; /* all but name, pid, and a slot of 2 digits */

/* The processes that are shown, in their order. */
struct table {
    const struct page_view *view;
    const struct page_data *data;
    const struct snapshot_process **shown;
    size_t n;
    int slot_columns, pid_columns;
    int generation_columns; /* 0: all were forked with the same configuration */
    size_t name_columns;
};

/* --- order --- */

/* A level that is unknown is less than any. */
static double
level(const struct snapshot_process *p, enum stat_value value)
{
    return p->totals.values[value] == STAT_UNKNOWN ? -1 : (double)p->totals.values[value];
}

static double
sort_key(const struct table *t, const struct snapshot_process *p)
{
    const struct rates_process *r = rates_find(t->data->rates, p);
    const struct stat_times *request = &p->last_period.times[STAT_REQUEST];
    switch (t->view->sort) {
    case PAGE_BY_SLOT:
        return -(double)p->slot; /* these three: the least first */
    case PAGE_BY_STATE:
        return -(double)p->state;
    case PAGE_BY_RECEIVED:
        return r != NULL ? r->received_per_second : -1;
    case PAGE_BY_COMPLETED:
        return r != NULL ? r->completed_per_second : -1;
    case PAGE_BY_BATCH:
        return level(p, STAT_BATCH_SIZE);
    case PAGE_BY_LAG:
        return level(p, STAT_LAG);
    case PAGE_BY_AVERAGE:
        return request->count > 0 ? (double)stat_average(request) : -1;
    case PAGE_BY_MAX:
        return request->count > 0 ? (double)request->max_ns : -1;
    case PAGE_BY_RESTARTS:
        return p->restarts;
    default:
        return 0; /* as the snapshot has them: by topic and number */
    }
}

static int
compare(const void *a, const void *b, void *arg)
{
    const struct table *t = arg;
    const struct snapshot_process *x = *(const struct snapshot_process *const *)a;
    const struct snapshot_process *y = *(const struct snapshot_process *const *)b;
    double p = sort_key(t, x), q = sort_key(t, y);
    int order = p > q ? -1 : p < q;
    if (order == 0)
        order = x < y ? -1 : x > y; /* both in the snapshot's array */
    return t->view->reverse ? -order : order;
}

static void
choose(struct table *t)
{
    const struct snapshot *s = &t->data->source->snapshot;
    size_t longest = NAME_COLUMNS_MIN;
    unsigned slot = 0;
    int32_t pid = 0;
    bool mixed = false;
    for (size_t i = 0; i < s->n_processes; i++) {
        const struct snapshot_process *p = &s->processes[i];
        if (t->view->filter[0] != '\0' && strstr(p->topic, t->view->filter) == NULL)
            continue;
        t->shown[t->n++] = p;
        longest = strlen(p->name) > longest ? strlen(p->name) : longest;
        slot = p->slot > slot ? p->slot : slot;
        pid = p->pid > pid ? p->pid : pid;
        mixed |= p->configuration != t->shown[0]->configuration;
    }
    qsort_r(t->shown, t->n, sizeof(t->shown[0]), compare, t);
    t->slot_columns = slot > 99 ? snprintf(NULL, 0, "%u", slot) : 2;
    t->pid_columns = pid > 9999 ? snprintf(NULL, 0, "%ld", (long)pid) : 4;
    t->generation_columns = mixed ? GENERATION_COLUMNS : 0;
    size_t others =
        OTHER_COLUMNS + (size_t)(t->slot_columns + t->pid_columns + t->generation_columns);
    t->name_columns = t->view->columns > others ? t->view->columns - others : 0;
    if (t->name_columns > longest)
        t->name_columns = longest;
    if (t->name_columns < NAME_COLUMNS_MIN)
        t->name_columns = NAME_COLUMNS_MIN;
}

/* --- rows --- */

static void
add_head(struct page *page, const struct table *t)
{
    char text[PAGE_COLUMNS_MAX];
    snprintf(text, sizeof(text), "%*s %-*s%*s %*s %-9s %4s %4s %5s %5s %4s %5s %5s %5s %3s",
             t->slot_columns, "#", (int)t->name_columns, "PROCESS", t->generation_columns,
             t->generation_columns > 0 ? "GEN" : "", t->pid_columns, "PID", "STATE", "FOR", "IN/s",
             "OUT/s", "BATCH", "LAG", "AVG", "MIN", "MAX", "RST");
    page_add_row(page, t->view, PAGE_HEAD, text);
}

static void
add_request(struct buf *row, const struct stat_times *t)
{
    char text[PSTATS_TEXT_BYTES];
    bool any = t->count > 0;
    buf_printf(row, " %5s", pstats_write_duration(text, any ? stat_average(t) : UINT64_MAX));
    buf_printf(row, " %5s", pstats_write_duration(text, any ? t->min_ns : UINT64_MAX));
    buf_printf(row, " %5s", pstats_write_duration(text, any ? t->max_ns : UINT64_MAX));
}

static enum page_style
style_of(const struct snapshot_process *p)
{
    if (p->state == SLOT_BACKOFF || p->state == SLOT_DEAD)
        return PAGE_BAD;
    return p->state == SLOT_RETRYING || p->wait_since_ms != 0 ? PAGE_WARN : PAGE_PLAIN;
}

static void
add_process(struct page *page, const struct table *t, const struct snapshot_process *p)
{
    const struct rates_process *r = rates_find(t->data->rates, p);
    char text[PSTATS_TEXT_BYTES];
    struct buf row;
    buf_init(&row, 4 * PAGE_COLUMNS_MAX);
    buf_printf(&row, "%*u ", t->slot_columns, p->slot);
    pstats_add_name(&row, p->name, t->name_columns);
    if (t->generation_columns > 0)
        buf_printf(&row, " %*u", t->generation_columns - 1, p->configuration);
    if (p->pid != 0)
        buf_printf(&row, " %*ld", t->pid_columns, (long)p->pid);
    else
        buf_printf(&row, " %*s", t->pid_columns, "-");
    buf_printf(&row, " %-9s %4s", slot_state_name(p->state),
               pstats_write_age(text, t->data->source->snapshot.taken_ms - p->since_ms));
    buf_printf(&row, " %4s", pstats_write_rate(text, r != NULL ? r->received_per_second : -1));
    buf_printf(&row, " %5s", pstats_write_rate(text, r != NULL ? r->completed_per_second : -1));
    buf_printf(&row, " %5s", pstats_write_count(text, p->totals.values[STAT_BATCH_SIZE]));
    buf_printf(&row, " %4s", pstats_write_count(text, p->totals.values[STAT_LAG]));
    add_request(&row, &p->last_period.times[STAT_REQUEST]);
    buf_printf(&row, " %3s", pstats_write_count(text, p->restarts));
    page_end_row(page, t->view, style_of(p), &row);
    buf_free(&row);
}

/* Whether there is more to say than one line. */
static bool
has_second_line(const struct snapshot_process *p)
{
    return p->wait_since_ms != 0 || p->late;
}

static void
add_second_line(struct page *page, const struct table *t, const struct snapshot_process *p)
{
    const uint64_t *v = p->totals.values;
    char text[PSTATS_TEXT_BYTES];
    struct buf row;
    buf_init(&row, 4 * PAGE_COLUMNS_MAX);
    buf_printf(&row, "%*s ", t->slot_columns, "");
    if (p->wait_since_ms != 0) {
        int64_t ms = t->data->source->snapshot.taken_ms - p->wait_since_ms;
        buf_printf(&row, "waits %s", pstats_write_age(text, ms));
        if (v[STAT_STORE_TRIES] != STAT_UNKNOWN)
            buf_printf(&row, ", %s tries", pstats_write_count(text, v[STAT_STORE_TRIES]));
        if (v[STAT_UNSTORED_AGE_MS] != STAT_UNKNOWN)
            buf_printf(&row, ", oldest message %s",
                       pstats_write_age(text, (int64_t)v[STAT_UNSTORED_AGE_MS]));
        buf_printf(&row, ": %s%s%s ", p->wait_class, p->wait_class[0] == '\0' ? "" : ": ",
                   p->wait_text);
    }
    if (p->late)
        buf_add_text(&row, "figures are a little older: it publishes all the time");
    page_end_row(page, t->view, PAGE_WARN, &row);
    buf_free(&row);
}

/* Keeps the scroll within what fills the room. */
static void
limit_scroll(struct page_view *view, const struct table *t, unsigned room)
{
    size_t first = t->n;
    for (unsigned used = 0; first > 0; first--) {
        used += has_second_line(t->shown[first - 1]) ? 2 : 1;
        if (used > room)
            break;
    }
    if (view->scroll > first)
        view->scroll = first;
}

static void
add_processes(struct page *page, struct page_view *view, const struct table *t)
{
    limit_scroll(view, t, page->room - page->n);
    for (size_t i = view->scroll; i < t->n && page->n < page->room; i++) {
        add_process(page, t, t->shown[i]);
        if (has_second_line(t->shown[i]))
            add_second_line(page, t, t->shown[i]);
    }
}

void
page_add_table(struct page *page, struct page_view *view, const struct page_data *data)
{
    size_t n = data->source->snapshot.n_processes;
    struct table t = {.view = view, .data = data};
    t.shown = calloc(n > 0 ? n : 1, sizeof(t.shown[0]));
    if (t.shown == NULL)
        return;
    choose(&t);
    add_head(page, &t);
    add_processes(page, view, &t);
    free(t.shown);
}
