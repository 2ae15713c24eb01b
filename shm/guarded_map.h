/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guarded_map.h - a read-only mapping of a file that somebody else can shorten at any time.
 *
 * The kernel sends SIGBUS to who then reads beyond the file's end. Here zeros are read instead, and
 * the map says that it is lost: what was read since the last look is worth nothing. (Reading with
 * pread could not fail like that, but would not be the loads that the protocol of doc/SHM.md is
 * made of.)
 *
 * Process: pstats, persister-perf, admin, monasca-persister --reload; the first map sets up SIGBUS
 * for good. Any SIGBUS that is none of a map's still ends the process.
 * Owner: the caller.  Concurrency: a map is used in the thread that opened it, and in no other.
 */
#ifndef SHM_GUARDED_MAP_H
#define SHM_GUARDED_MAP_H

#include <signal.h>

#include "lib/base.h"

struct guarded_map {
    const void *at; /* NULL: not mapped */
    size_t bytes;
    volatile sig_atomic_t lost;
    struct guarded_map *next;
};

/*
 * Takes: a map, which must not move until it is closed; a file open for reading; 1.. bytes.
 * Returns: 0, or -1 with errno.
 */
int guarded_map_open(struct guarded_map *map, int fd, size_t bytes) MUST_CHECK;

/* Returns: true if the file has been shorter than the map when that was read. It stays so. */
bool guarded_map_is_lost(const struct guarded_map *map);

/* Fine for one that was zeroed, or could not be opened. */
void guarded_map_close(struct guarded_map *map);

#endif
