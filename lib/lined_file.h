/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lined_file.h - what those need who append lines to a file, rotate it, or read it meanwhile: is it
 * still the file of that name, where does its last whole line end, is its name durable.
 *
 * A line is whole if its newline is there. Whoever is killed in a write leaves the beginning of a
 * line at the end, which the next writer cuts off.
 *
 * Process: workers (dead letters); persister-dead.  Owner: the caller has the descriptor.
 * Concurrency: any thread; between processes the caller holds the file's lock.
 */
#ifndef LIB_LINED_FILE_H
#define LIB_LINED_FILE_H

#include <sys/types.h>

#include "lib/base.h"

/* Returns: whether the path names the open file; false if it was renamed, replaced or removed. */
bool lined_file_is_current(int fd, const char *path) MUST_CHECK;

/*
 * Looks backwards for the last newline.
 * Takes: an open file, the size up to which it is looked at.
 * Returns: 0 and where the last whole line ends (0: there is none), or -1 with errno.
 */
int lined_file_find_end(int fd, off_t size, off_t *end) MUST_CHECK;

/* Makes a name that was made or renamed durable (fsync of its directory). -1 with errno. */
int lined_file_sync_directory(const char *path) MUST_CHECK;

#endif
