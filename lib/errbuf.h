/* SPDX-License-Identifier: Apache-2.0 */
/*
 * errbuf.h - one error text, filled in by the layer that failed, logged by the
 * layer that decides.
 *
 * Process: all.  Owner: the caller, usually on its stack.  Concurrency: one thread.
 */
#ifndef LIB_ERRBUF_H
#define LIB_ERRBUF_H

#include "lib/base.h"

struct errbuf {
    char text[1024]; /* NUL-terminated, one line, cut if longer */
};

/*
 * Formats an error text.  What is not printable (lib/printable.h) becomes '?', so that hostile
 * input cannot write log lines of its own, and no text makes a page or a line that is not UTF-8.
 * Takes: the buffer (may be NULL: then only the result matters), a printf format.
 * Returns: -1, so that a caller can say `return errbuf_set(...)`.
 */
int errbuf_set(struct errbuf *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts "prefix: " in front of a text that is there. Returns -1. */
int errbuf_prefix(struct errbuf *err, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
