/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_format.h - numbers, durations and texts as pstats shows them to people: short, and in an
 * order that rounding never turns round (a longer duration never looks shorter). Pure.
 *
 * Process: pstats.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef SHM_PSTATS_FORMAT_H
#define SHM_PSTATS_FORMAT_H

#include "lib/buf.h"

/* Room for any text made here, with NUL. */
enum { PSTATS_TEXT_BYTES = 32 };

/* All return `text`. */

/* At most 4 characters: 9999, 12k, 1.2M. UINT64_MAX (unknown): "?". */
const char *pstats_write_count(char text[PSTATS_TEXT_BYTES], uint64_t n);

/* The same with one digit after the point below 10. Negative (there is none): "-". */
const char *pstats_write_rate(char text[PSTATS_TEXT_BYTES], double per_second);

/* At most 5 characters: 0.9us, 850us, 1.2ms, 12s, 2.7m, 3.5h, 12d. UINT64_MAX: "-". */
const char *pstats_write_duration(char text[PSTATS_TEXT_BYTES], uint64_t ns);

/* Four digits and a blank before the unit: 850.1 us, 12.34 ms, 1.500 s. UINT64_MAX: "-". */
const char *pstats_write_duration_long(char text[PSTATS_TEXT_BYTES], uint64_t ns);

/* How long ago, at most 4 characters: 0s, 119s, 3m, 2h, 5d. Negative ms count as 0. */
const char *pstats_write_age(char text[PSTATS_TEXT_BYTES], int64_t ms);

/* 00:00:07, 1d 02:03:04. */
const char *pstats_write_uptime(char text[PSTATS_TEXT_BYTES], int64_t ms);

/* HH:MM:SS of the local time. */
const char *pstats_write_clock(char text[PSTATS_TEXT_BYTES], int64_t wall_ms);

/*
 * Appends text in at most `columns` columns of a terminal. Control characters, and what is not
 * UTF-8, become '?', and so does all but ASCII if `utf8` is false.
 * Returns: the columns used.
 */
size_t pstats_add_cut(struct buf *out, const char *text, size_t columns, bool utf8);

/*
 * Appends a name in exactly `columns` columns, blanks after it; a longer one loses its middle:
 * "alarm~ns-0".
 */
void pstats_add_name(struct buf *out, const char *name, size_t columns);

/*
 * Appends a bar for each value: blank for none (negative), then by height relative to the greatest.
 * Takes: values, n of them; whether to use block characters or ASCII.
 */
void pstats_add_sparkline(struct buf *out, const double *values, size_t n, bool utf8);

#endif
