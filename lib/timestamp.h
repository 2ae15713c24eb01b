/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timestamp.h - a time of the wall clock as people and programs read it: UTC, RFC 3339.
 *
 * Process: all.  Owner: the caller.  Concurrency: any thread.
 */
#ifndef LIB_TIMESTAMP_H
#define LIB_TIMESTAMP_H

#include "lib/base.h"

enum { TIMESTAMP_BYTES = 32 }; /* room for one, with its NUL */

/*
 * Writes "2026-11-23T06:00:00.123Z".
 * Takes: ms since 1970, any number; one whose year has no four digits becomes the year 1900.
 * Returns: text.
 */
const char *timestamp_format(char text[TIMESTAMP_BYTES], int64_t wall_ms);

/* As timestamp_format, without the fraction: "2026-11-23T06:00:00Z". */
const char *timestamp_format_seconds(char text[TIMESTAMP_BYTES], int64_t wall_ms);

#endif
