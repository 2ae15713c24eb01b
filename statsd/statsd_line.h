/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statsd_line.h - one figure as one line of StatsD, in two dialects. Pure.
 *
 *   monasca    NAME:VALUE|TYPE|#{'k': 'v', 'k2': 'v2'}
 *   dogstatsd  NAME:VALUE|TYPE|#k:v,k2:v2
 *
 * TYPE is c (a counter's difference, an integer) or g (a level).  Nothing else is sent: the Monasca
 * agent takes timers (ms, h) for gauges, too, and keeps the last value.
 *
 * Sources: monasca-agent 10.0.0, monasca_agent/statsd/udp.py (_parse_metric_packet; the braces go
 * through Python's literal_eval) and monasca_common/validation/metrics.py (characters, lengths);
 * DogStatsD's datagram format, https://docs.datadoghq.com/developers/dogstatsd/datagram_shell.
 *
 * Process: master, tests.  Owner: the caller's buffer.  Concurrency: none needed.
 */
#ifndef STATSD_STATSD_LINE_H
#define STATSD_STATSD_LINE_H

#include "lib/buf.h"

enum statsd_dialect { STATSD_MONASCA, STATSD_DOGSTATSD };

struct statsd_dimension {
    const char *key, *value; /* NUL-terminated, the caller's */
};

enum { STATSD_NAME_MAX = 255 }; /* characters of a name, key or value, at most */

/*
 * Appends dimensions in the order given, as they stand after the last '|' of a line: "#{...}".
 * Characters that the dialect's receivers do not take become '_'; so does an empty text; what is
 * longer than STATSD_NAME_MAX bytes is cut, between characters.
 * Returns: true if every text went in as it is.
 */
bool statsd_add_dimensions(struct buf *out, enum statsd_dialect dialect,
                           const struct statsd_dimension *dimensions, size_t n);

/* Appends a metric's name, or its prefix, in the same way. Returns: true if it went in as it is. */
bool statsd_add_name(struct buf *out, enum statsd_dialect dialect, const char *name);

/*
 * What all lines of a series have in common.  prefix and tail have gone through the two functions
 * above.
 */
struct statsd_series_text {
    struct slice prefix, tail;
};

/*
 * Append a whole line, without a newline.
 * Takes: the name after the prefix and what follows it ("request_time", ".avg_sec"), both plain;
 * a difference, a level, or a duration in ns, which is written in seconds with all 9 digits, as
 * pstats does.
 */
void statsd_add_counter(struct buf *out, const struct statsd_series_text *text, const char *name,
                        uint64_t difference);
void statsd_add_gauge(struct buf *out, const struct statsd_series_text *text, const char *name,
                      uint64_t level);
void statsd_add_seconds(struct buf *out, const struct statsd_series_text *text, const char *name,
                        const char *what, uint64_t ns);

#endif
