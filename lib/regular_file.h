/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regular_file.h - opens a file to read it whole, without waiting: a FIFO has no writer perhaps, a
 * device no end.
 *
 * Process: the master; persister-dead.  Owner: the caller.  Concurrency: any thread.
 */
#ifndef LIB_REGULAR_FILE_H
#define LIB_REGULAR_FILE_H

#include <stdio.h>

#include "lib/errbuf.h"

/*
 * Returns: the file, which the caller closes; or NULL with "PATH: why", and errno (ENOENT: there is
 * none; EISDIR, EINVAL: it is no regular file).
 */
FILE *regular_file_open(const char *path, struct errbuf *err) MUST_CHECK;

#endif
