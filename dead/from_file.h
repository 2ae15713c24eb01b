/* SPDX-License-Identifier: Apache-2.0 */
/*
 * from_file.h - a dead letter file and its rotated ones, as they are at one moment.
 *
 * The persister may append to the file, undo and rotate meanwhile: what is read is what was whole
 * and durable when from_file_open looked, under the lock that worker/dead_file.c takes as well.
 *
 * Process: persister-dead; the tests.  Owner: the caller.  Concurrency: one thread; flock(2)
 * between processes, shared, and held only while the files are opened.
 */
#ifndef DEAD_FROM_FILE_H
#define DEAD_FROM_FILE_H

#include "dead/line.h"

/* The largest line that is read: Kafka's largest message (10^9 bytes for librdkafka) in base64. */
#define FROM_FILE_LINE_MAX ((size_t)1400000000)

struct from_file;

/*
 * Opens PATH and PATH.1, PATH.2 and so on, as far as they are there.
 * Returns: the files, which may be none at all; or NULL with a text.
 */
struct from_file *from_file_open(const char *path, struct errbuf *err) MUST_CHECK;

/* Closes them and nulls the pointer. NULL is fine. */
void from_file_free(struct from_file **files);

/*
 * Passes every line to take(), the oldest first. A line that is longer than line_max comes with a
 * fault. May be called again, for the same lines.
 * Returns: 0; or -1 with a text, take()'s or its own.
 */
int from_file_each(struct from_file *files, size_t line_max, line_taker take, void *arg,
                   struct errbuf *err) MUST_CHECK;

/* Returns: how many bytes of an unfinished line are at the end: its writer was killed. */
int64_t from_file_torn_bytes(const struct from_file *files);

/* Returns: how many files there are. */
size_t from_file_count(const struct from_file *files);

/* Returns: the user and group that own the newest file, for what is written beside it. */
void from_file_owner(const struct from_file *files, unsigned *user, unsigned *group);

#endif
