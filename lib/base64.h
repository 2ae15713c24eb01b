/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.h - base64 (RFC 4648 section 4), with padding.
 *
 * Process: all.  Owner: the caller's memory.  Concurrency: any thread.
 */
#ifndef LIB_BASE64_H
#define LIB_BASE64_H

#include "lib/buf.h"

/* Appends bytes as base64: (n + 2) / 3 * 4 characters. */
void base64_add(struct buf *out, struct slice bytes);

/*
 * Decodes base64 strictly: padded, no line ends, no bits left over.
 * Takes: the text; room for text.n / 4 * 3 bytes, which may be where the text is.
 * Returns: 0 and the number of bytes written, or -1.
 */
int base64_decode(struct slice text, char *out, size_t *n) MUST_CHECK;

#endif
