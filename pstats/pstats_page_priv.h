/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_page_priv.h - what the parts of the live view's page share.
 *
 * Process: pstats.  Owner: struct page.  Concurrency: one thread.
 */
#ifndef SHM_PSTATS_PAGE_PRIV_H
#define SHM_PSTATS_PAGE_PRIV_H

#include "pstats/pstats_format.h"
#include "pstats/pstats_page.h"

/* Appends a line, cut to the width. Nothing happens where the page is full. */
void page_end_row(struct page *page, const struct page_view *view, enum page_style style,
                  const struct buf *row);
void page_add_row(struct page *page, const struct page_view *view, enum page_style style,
                  const char *text);

/* Appends "avg 1.2ms  min ..." to a line. */
void page_add_times(struct buf *row, const struct stat_times *times);

/* Returns: the request timing's average of a period in ns, negative if nothing was timed. */
double page_average_of_period(const struct snapshot_period *period);

/* The table's head and as many processes as there is room for above the last line. */
void page_add_table(struct page *page, struct page_view *view, const struct page_data *data);

/* The histogram of view->timing in the room above the last line. */
void page_add_histogram(struct page *page, const struct page_view *view,
                        const struct page_data *data);

void page_add_help(struct page *page, const struct page_view *view);

#endif
