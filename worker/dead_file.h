/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_file.h - appending whole, durable lines to one file from several processes, with rotation.
 *
 * A torn last line (its writer was killed) is cut off by the next writer: its message was never
 * committed and comes again.
 *
 * Process: workers.  Owner: the caller.  Concurrency: one thread per process; processes exclude
 * each other with flock(2), taken without blocking so that a stopped holder cannot hang the others.
 */
#ifndef WORKER_DEAD_FILE_H
#define WORKER_DEAD_FILE_H

#include "lib/base.h"
#include "lib/errbuf.h"

struct dead_file;

/*
 * Takes: the path (copied); the size in bytes at which a file is moved to PATH.1, PATH.1 to PATH.2
 * and so on; how many moved ones are kept (0: none). Returns: NULL if memory is out. Opens nothing
 * yet.
 */
struct dead_file *dead_file_new(const char *path, int64_t max_bytes, unsigned keep) MUST_CHECK;

void dead_file_free(struct dead_file **file);

/*
 * Looks whether letters can be written to a path, without making anything: its directory is there,
 * or is /var/lib/monasca-persister, the default, and can be made; it may be written by this
 * process; and what is at the path is a file. Returns: 0, or -1 with a text.
 */
int dead_file_check(const char *path, struct errbuf *err) MUST_CHECK;

/* Closes it, so that the next use opens the path anew. */
void dead_file_reopen(struct dead_file *file);

/*
 * Opens the file if need be and takes the lock if nobody has it; rotates it if it is full; cuts off
 * a torn line. Returns: 1 if the lock is held now, 0 if somebody else has it, -1 with a text.
 */
int dead_file_try_begin(struct dead_file *file, struct errbuf *err) MUST_CHECK;

/* Appends bytes. -1 with a text: call dead_file_undo. */
int dead_file_append(struct dead_file *file, const char *bytes, size_t n,
                     struct errbuf *err) MUST_CHECK;

/* Makes what was appended since dead_file_try_begin durable and lets go of the lock. */
int dead_file_commit(struct dead_file *file, struct errbuf *err) MUST_CHECK;

/* Cuts off what was appended since dead_file_try_begin and lets go of the lock. */
void dead_file_undo(struct dead_file *file);

#endif
