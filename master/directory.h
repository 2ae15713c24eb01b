/* SPDX-License-Identifier: Apache-2.0 */
/*
 * directory.h - where an instance keeps its lock and its segment.
 *
 * The configured directory if there is one.  Else /run/monasca-persister, which is made if that is
 * possible; else /dev/shm/monasca-persister-UID, mode 0750.  The default ones differ between users
 * who cannot write to /run/monasca-persister, so that one user can neither block another nor lead
 * him astray; names are unique per directory.  A directory counts only if it is no symbolic link,
 * and if nobody can write to it but its owner, who must be us or root. Root itself takes any
 * owner's of the first two, so as to meet the lock of a service that runs as a user; but not in
 * /dev/shm, where anybody could have made it beforehand.
 *
 * Process: master.  Owner: none.  Concurrency: one thread.
 */
#ifndef MASTER_DIRECTORY_H
#define MASTER_DIRECTORY_H

#include "lib/base.h"
#include "lib/errbuf.h"

/*
 * Takes: the configured directory, "" for the default ones; room for the path of the one chosen.
 * Returns: its descriptor, which the caller closes, or -1 with a text.
 */
int directory_open(const char *directory, char *path, size_t size, struct errbuf *err) MUST_CHECK;

#endif
