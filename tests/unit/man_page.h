/* SPDX-License-Identifier: Apache-2.0 */
/*
 * man_page.h - the lists in man pages that are made from tables: what stands between the comments
 * `.\" NAME: begin` and `.\" NAME: end` of a page in doc/.
 *
 * Process: the unit tests.  Owner: a static buffer.  Concurrency: one thread.
 */
#ifndef TESTS_MAN_PAGE_H
#define TESTS_MAN_PAGE_H

/*
 * Takes: the page's file name in doc/, the list's name.
 * Returns: the text between the comments, until the next call; "" if they are not there.
 */
const char *man_page_find_list(const char *page, const char *name);

#endif
