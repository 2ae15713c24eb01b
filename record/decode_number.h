/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_number.h - what the decoder makes of a number's text: milliseconds, a double, other text.
 *
 * "A number" below is a slice that the JSON grammar accepts, and the byte after it is readable and
 * goes on with no number (in a message that is ',', '}', ']', a blank or a quote), so that strtod
 * can read it in place.  strtod wants the "C" locale, which a program has that never calls
 * setlocale.
 *
 * Process: workers.  Owner: the caller.  Concurrency: any thread.
 */
#ifndef WORKER_DECODE_NUMBER_H
#define WORKER_DECODE_NUMBER_H

#include "lib/base.h"

/* The furthest time from 1970, in ms: about PostgreSQL's year 294276. A store may hold less. */
#define DECODE_TIME_MAX_MS INT64_C(9200000000000000)

enum { DECODE_PYTHON_TEXT_MAX = 32 };

/* Takes: a number.  Returns: the nearest double; an infinity if it is too large. */
double decode_number_double(struct slice number);

/* Takes: a number.  Returns: true if a double can hold it (one that underflows to 0 it can). */
bool decode_number_finite(struct slice number);

/*
 * A number as whole ms, cut toward zero, exactly: never by way of a double.
 * Returns: 0, or -1 if it is beyond DECODE_TIME_MAX_MS.
 */
int decode_number_ms(struct slice number, int64_t *ms) MUST_CHECK;

/*
 * Reads a text as a number as far as Python's float() does, and writes it as JSON does: blanks
 * around it, a plus sign and needless zeros go, ".5" and "1." get their 0 or lose their point.  Not
 * taken are "nan" and "inf", which nothing can store, and Python's "1_000".
 * Takes: any text; room for text.n + 1 bytes.
 * Returns: the size of the number written, or 0 if the text is none.
 */
size_t decode_number_from_text(struct slice text, char *out);

/*
 * A number as Python's str(json.loads(number)) writes it, which is what upstream stores for a
 * dimension that is one: integers as they are, floats as the shortest text that reads back the
 * same, with an exponent below 1e-4 and from 1e16. Takes: a number; room for number.n or
 * DECODE_PYTHON_TEXT_MAX bytes, whichever is more. Returns: the size of the text, or 0 if no double
 * holds the number.
 */
size_t decode_number_python_text(struct slice number, char *out);

#endif
