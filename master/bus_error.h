/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus_error.h - what the master does when somebody shortens the file that its figures are in.
 *
 * Only the file's owner and root can, and a file that has a name cannot be sealed against that. The
 * figures are gone then, and with them what the master knows of its processes, so it ends with a
 * line in the log and exit code 1; its processes go with it, and whoever supervises it (systemd,
 * another start) begins anew. Without a handler it would end without a word.
 *
 * Process: master.  Owner: the module keeps where the mapping is.  Concurrency: one thread; the
 * signal comes to it where it touches the mapping, so never within libc's locks or ours.
 */
#ifndef MASTER_BUS_ERROR_H
#define MASTER_BUS_ERROR_H

#include "lib/base.h"

/*
 * From now on, until the process ends; children reset it (spawn_fork).
 * Takes: the mapping, and the name of its file, which outlives it.
 */
void bus_error_catch(const void *at, size_t bytes, const char *path);

#endif
