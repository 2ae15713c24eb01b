/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_page.h - what the live view shows, as lines of text with a style each: no terminal here,
 * so that it can be tested. Pure.
 *
 * Process: pstats.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef SHM_PSTATS_PAGE_H
#define SHM_PSTATS_PAGE_H

#include "pstats/pstats_rates.h"
#include "pstats/pstats_source.h"

enum { PAGE_LINES_MAX = 512, PAGE_COLUMNS_MAX = 512, PAGE_FILTER_BYTES = 64 };

enum page_style {
    PAGE_PLAIN,
    PAGE_TITLE,
    PAGE_HEAD, /* of the table, and the line of keys: the whole width */
    PAGE_WARN, /* not as it should be */
    PAGE_BAD,
    PAGE_STYLES
};

/* A line: its text within the page's, not ended by a NUL. */
struct page_row {
    size_t at, size;
    enum page_style style;
};

struct page {
    struct buf text;
    struct page_row rows[PAGE_LINES_MAX];
    unsigned n;
    unsigned room; /* how many lines there may be now: the last one is kept for the keys */
};

enum page_kind { PAGE_PROCESSES, PAGE_HISTOGRAM, PAGE_HELP };

enum page_sort {
    PAGE_BY_NAME,
    PAGE_BY_SLOT,
    PAGE_BY_STATE,
    PAGE_BY_RECEIVED,
    PAGE_BY_COMPLETED,
    PAGE_BY_BATCH,
    PAGE_BY_LAG,
    PAGE_BY_AVERAGE,
    PAGE_BY_MAX,
    PAGE_BY_RESTARTS,
    PAGE_SORTS
};

/* What the user has chosen, and what the terminal is. */
struct page_view {
    unsigned columns, lines;
    bool utf8;
    enum page_kind kind;
    enum page_sort sort;
    bool reverse, paused;
    bool typing; /* the filter */
    char filter[PAGE_FILTER_BYTES];
    enum stat_timing timing; /* of the histogram */
    size_t scroll;           /* processes above the first that is shown; kept within bounds */
    int64_t interval_ms;
};

/* What there is to show. */
struct page_data {
    const struct source *source; /* with a snapshot */
    const struct rates *rates;   /* of that snapshot */
    const struct snapshot_period *periods;
    size_t n_periods;
    const uint64_t *buckets; /* of view->timing; for PAGE_HISTOGRAM */
};

/* Makes a page of nothing. page_free frees it. */
void page_init(struct page *page);

/*
 * Makes the page anew: at most view->lines lines of at most view->columns columns.
 * Takes: a view, whose scroll is put right.
 */
void page_draw(struct page *page, struct page_view *view, const struct page_data *data);

void page_free(struct page *page);

#endif
