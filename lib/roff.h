/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roff.h - text for man pages (man(7)): the lists in them that are made from tables.
 *
 * Process: any.  Owner: the caller's buffer.  Concurrency: any thread.
 */
#ifndef LIB_ROFF_H
#define LIB_ROFF_H

#include "lib/buf.h"

/*
 * Appends a text of one line so that it means itself: no escape and no request in it, and hyphens
 * that can be copied.
 */
void roff_add(struct buf *out, const char *text);

#endif
