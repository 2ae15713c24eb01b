/* SPDX-License-Identifier: Apache-2.0 */
/*
 * num.h - the one checked parser for integers in text, and the nearest double of a decimal number.
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

/*
 * Reads a number that needs no rounding but the last one: digits and a point that a double holds
 * without it, divided by a power of ten that it holds, too, which is then the nearest double
 * (W. D. Clinger, How to Read Floating Point Numbers Accurately, 1990).
 * Takes: a number of JSON's grammar.
 * Returns: true and the double that strtod returns; or false: it has more digits, or an exponent.
 */
bool num_read_plain(struct slice number, double *out) MUST_CHECK;

#endif
