/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_time.h - times as the Monasca API and people write them.
 *
 * ISO 8601 in its extended form, as RFC 3339 has it: 2026-11-23T10:18:45.123Z. To write one there
 * is timestamp_format (lib/timestamp.h).
 *
 * Process: persister-perf.  Owner: none.  Concurrency: any thread.
 */
#ifndef PERF_SOURCE_TIME_H
#define PERF_SOURCE_TIME_H

#include "lib/base.h"

/*
 * Reads YYYY-MM-DDTHH:MM:SS, with a fraction of any number of digits if there is one (cut to ms),
 * and Z, +HH:MM, +HHMM, or -HH:MM; T may be a blank.  Years 1970 to 9999; the days of each month
 * are checked; a leap second is the second after. Returns: 0 and ms since 1970, or -1.
 */
int source_time_parse(struct slice text, int64_t *ms) MUST_CHECK;

#endif
