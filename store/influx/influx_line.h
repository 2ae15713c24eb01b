/* SPDX-License-Identifier: Apache-2.0 */
/*
 * influx_line.h - a record to a line of InfluxDB's line protocol, or the reason why not (pure).
 *
 * Source of the format: what the Python persister wrote (its repositories/influxdb/line_utils.py),
 * since a series' identity must not change on the day of the switch.  Refused is whatever InfluxDB
 * would lose or change without a word; each case was tried on InfluxDB 1.6.7 with all texts of up
 * to four of `a \ , = " # tab space`, and tests/whole/test_store_influxdb.py tries them again:
 *
 *   name that begins with #             a comment: 204, and nothing is stored
 *   name that begins with a tab         the tab is stripped
 *   name, tag name, tag value ending in \    the separator after it is taken for escaped
 *   name with \ before , space = or "   stored under one name, read under another: never found
 *   newline in a name, tag name, value  ends the line
 *   NUL                                 stripped in front; no text of ours may have one
 *   dimension `time`                    InfluxDB drops the point
 *   name and dimensions of more than 65535 bytes, with a field's name: "max key length exceeded"
 *   time outside a signed 64-bit number of nanoseconds
 *
 * Empty tags cannot be written and are left out.  Control characters other than these are stored
 * and found again.
 *
 * Process: workers.  Owner: the caller's buffer.  Concurrency: one thread per buffer.
 */
#ifndef STORE_INFLUX_LINE_H
#define STORE_INFLUX_LINE_H

#include "lib/base.h"
#include "lib/buf.h"
#include "conf/reject.h"
#include "record/record.h"

/* Milliseconds that InfluxDB can hold as nanoseconds: MinNanoTime, MaxNanoTime of its models. */
#define INFLUX_TIME_MAX_MS INT64_C(9223372036854)
#define INFLUX_TIME_MIN_MS (-INFLUX_TIME_MAX_MS)

/*
 * Appends the record's line and a newline.
 * Takes: a decoded record, whose JSON members are valid.
 * Returns: 0, or -1 with the reason why InfluxDB cannot hold it, the buffer as before.  b->failed
 * tells whether memory ran out (or the buffer's maximum may be exceeded); then 0 is returned and
 * the buffer is as before, too.
 */
int influx_line_add(struct buf *b, const struct record *record, struct reject *why) MUST_CHECK;

/*
 * Checks whether a text can be a database's name, as far as that is known without asking:
 * InfluxDB's meta.ValidName wants printable characters, no / or \, not "." or "..", at most 255
 * bytes.  Which characters beyond ASCII are printable is left to the server.
 */
bool influx_line_is_database_name(struct slice name);

#endif
