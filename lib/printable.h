/* SPDX-License-Identifier: Apache-2.0 */
/*
 * printable.h - text of others, made fit for a terminal, a page or a line of a log.
 *
 * Not fit: what is no UTF-8; control characters, also those of two bytes (U+0080 to U+009F; U+009B
 * begins an escape sequence); line and paragraph separators (U+2028, U+2029); what turns the
 * direction of writing (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069), by which a
 * line can be made to look like another.
 *
 * Process: all.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef LIB_PRINTABLE_H
#define LIB_PRINTABLE_H

#include "lib/base.h"

/*
 * Takes: 1..n bytes.
 * Returns: how many the character takes that begins here; 0: none does, or it is not fit.
 */
size_t printable_size(const char *text, size_t n);

/*
 * Replaces what is not fit by '?', one for each character or stray byte. The text gets no longer.
 */
void printable_clean(char *text);

#endif
