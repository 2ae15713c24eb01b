/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - figures as people read them.
 *
 * Pure.  Process: admin.  Owner: values only.  Concurrency: any thread.
 */
#ifndef ADMIN_FORMAT_H
#define ADMIN_FORMAT_H

#include "lib/base.h"

/* A short text, by value, so that it can be used where it is made. */
struct format_text {
    char s[48];
};

/* Takes: ms, 0..; a negative one is 0. Returns: "0 s", "35 s", "3 min 12 s", "2 h 05 min", "4 d 7
 * h".
 */
struct format_text format_age(int64_t ms);

/* Takes: ms since 1970. Returns: "2026-11-23T06:00:00Z", "never" for 0. */
struct format_text format_time(int64_t wall_ms);

/* Returns: a duration with three digits and its unit: "12.3 ms"; "–" for UINT64_MAX. */
struct format_text format_duration(uint64_t ns);

/* Returns: the number with a comma every three digits; "unknown" for UINT64_MAX. */
struct format_text format_count(uint64_t n);

/* Returns: events per second with three digits: "0", "0.25", "17.1", "1,234", "12.3k", "4.56M". */
struct format_text format_rate(double per_second);

/* Returns: bytes with three digits and a binary unit: "17.1 MiB"; "unknown" for UINT64_MAX. */
struct format_text format_bytes(uint64_t bytes);

#endif
