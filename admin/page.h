/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page.h - the page for people: GET /.
 *
 * admin/page.html is the frame (style, and a script that replaces what is in <main> every few
 * seconds by what the server says then); all that is in <main> is written here, so the page is
 * complete without the script.
 *
 * Pure.  Process: admin.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef ADMIN_PAGE_H
#define ADMIN_PAGE_H

#include "admin/view.h"
#include "lib/buf.h"

/*
 * Writes the whole page.
 * Takes: the view; a nonce, for the script to be let through by the Content-Security-Policy.
 * Returns: 0, or -1 if memory is out or the buffer full.
 */
int page_write(struct buf *b, const struct view *v, const char *nonce) MUST_CHECK;

#endif
