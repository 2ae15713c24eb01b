/*
 * influx_line.h - a record as a line of InfluxDB's line protocol (pure).
 *
 * Source of the format: shared FORMATS "Out: InfluxDB 1.x", found on the real components, and
 * InfluxDB 1.x models/points.go, for what it cannot hold or would change without a word.
 *
 * Process: workers.  Owner: the caller's buffer.  Concurrency: one thread.
 */
#ifndef STORE_INFLUX_LINE_H
#define STORE_INFLUX_LINE_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/reject.h"
#include "store/record.h"

/*
 * Appends the record's line and a newline.
 * Returns: 0, or -1 with the reason why InfluxDB cannot hold it, the buffer as before. b->failed
 * tells whether it did not fit; then 0 is returned and the buffer is as before, too.
 */
int influx_line_add(struct buf *b, const struct record *record, struct reject *why) MUST_CHECK;

/*
 * Checks whether InfluxDB takes a text as the name of a database (meta.ValidName: printable, not
 * "." or "..", without / and \), and a file system as the name of a directory (255 bytes).
 */
bool influx_line_is_database_name(struct slice name);

#endif
