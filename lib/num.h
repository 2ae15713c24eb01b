/* SPDX-License-Identifier: Apache-2.0 */
/*
 * num.h - the one checked parser for numbers in text.
 *
 * Process: all.  Owner: none.  Concurrency: any thread.
 */
#ifndef LIB_NUM_H
#define LIB_NUM_H

#include "lib/base.h"

/*
 * Reads a whole decimal integer: optional '-', digits, nothing else, no blanks.
 * Takes: NUL-terminated text; bounds, inclusive.
 * Returns: 0 and the number, or -1 if the text is no such number or out of bounds (*out untouched).
 */
int num_parse_int(const char *text, int64_t min, int64_t max, int64_t *out) MUST_CHECK;

#endif
