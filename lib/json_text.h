/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_text.h - any bytes as a JSON string (RFC 8259), or as UTF-8 of another form.
 *
 * Process: all.  Owner: the caller's buffer.  Concurrency: any thread.
 */
#ifndef LIB_JSON_TEXT_H
#define LIB_JSON_TEXT_H

#include "lib/buf.h"

/* Appends text in quotes, escaped; what is no UTF-8 becomes U+FFFD, a byte each. */
void json_add_text(struct buf *out, const char *text);
void json_add_slice(struct buf *out, struct slice text);

/*
 * Appends text that may be anything as UTF-8: bytes that are none become U+FFFD.
 * Takes: what to put for a byte that the form does not allow as it is, or NULL to keep it; used up
 * before the next call.
 */
void json_add_utf8(struct buf *out, struct slice text, const char *(*escape)(unsigned char c));

#endif
