/* SPDX-License-Identifier: Apache-2.0 */
/*
 * when.h - points in time as people write them, and back (pure).
 *
 * Process: persister-dead; the tests.  Owner: none.  Concurrency: any thread.
 */
#ifndef DEAD_WHEN_H
#define DEAD_WHEN_H

#include "lib/base.h"

/*
 * Reads "2026-09-21", "2026-09-21T14:13", "...T14:13:20" or "...T14:13:20.123", UTC, with or
 * without a Z at the end; a blank may take the place of the T.  ISO 8601, years 1970 to 9999.
 * Takes: the text.
 * Returns: 0 and milliseconds since 1970, or -1 (*ms untouched).
 */
int when_parse_iso(struct slice text, int64_t *ms) MUST_CHECK;

/*
 * Reads the same, or so long ago: "90s", "15m", "2h", "7d".
 * Takes: the text; now in ms since 1970.
 * Returns: 0 and milliseconds since 1970, or -1.
 */
int when_parse(const char *text, int64_t now_ms, int64_t *ms) MUST_CHECK;

#endif
