/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_find.h - which segment is meant: by instance, by file, or the only one there is.
 *
 * Segments are INSTANCE.shm in /run/monasca-persister and in /dev/shm/monasca-persister-UID.
 * Anybody can make files of these names in /dev/shm, so a search believes root, the user who asks,
 * and the service's user: who owns /run/monasca-persister (root has made it his), and the user who
 * is called monasca-persister. In a directory that was named it believes its owner besides, if
 * nobody else can write to it; and of a file that was named, whoever's it is. INSTANCE.shm.old, of
 * the master before, is found by its path only.
 *
 * Process: pstats.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef SHM_PSTATS_FIND_H
#define SHM_PSTATS_FIND_H

#include "lib/errbuf.h"
#include "shm/snapshot.h"

/* How pstats ends; the man page says the same. */
enum pstats_exit {
    PSTATS_LIVE = 0,
    PSTATS_FAILED = 1, /* could not write, or memory is out */
    PSTATS_USAGE = 2,
    PSTATS_STALE = 3,
    PSTATS_NOT_THERE = 4, /* no such instance, or it is not clear which */
    PSTATS_REFUSED = 5    /* not readable by this version or this user */
};

enum { PSTATS_PATH_BYTES = 512 };

/*
 * Finds a segment and attaches to it.
 * Takes: the instance's name or NULL; a file, a directory to look in, or NULL; room for the path.
 * Returns: PSTATS_LIVE, the path and a reader, for shm_reader_close. Else the exit code, with a
 * text of one line; if there are several to choose from, these have been listed on stderr.
 */
enum pstats_exit pstats_find(const char *instance, const char *file, char path[PSTATS_PATH_BYTES],
                             struct shm_reader **reader, struct errbuf *err) MUST_CHECK;

#endif
