/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.h - the file that the figures live in: made by the master, mapped by all.
 *
 * Made aside (INSTANCE.shm.new), its space reserved (but for the slots, each of which is reserved
 * before it is used: there is room for more processes than a configuration wants), filled in,
 * locked, and renamed into place as INSTANCE.shm; a predecessor is kept as INSTANCE.shm.old.  Mode
 * 0640: the group may read.  The master's life is told by a POSIX record lock on the file, which
 * children do not inherit and the kernel ends with the process; so no process may close a second
 * descriptor of it.
 *
 * Process: master makes it before its first fork; children inherit the mapping.
 * Owner: the caller of segment_create.  Concurrency: see layout.h for who writes what.
 */
#ifndef SHM_SEGMENT_H
#define SHM_SEGMENT_H

#include "lib/errbuf.h"
#include "shm/layout.h"

struct segment {
    struct shm_header *header;
    size_t bytes;
    int fd; /* holds the lock; close it in children, and there only */
    char path[512];
};

/*
 * Makes a segment and puts it into place.
 * Takes: a directory that only its owner can write to; the instance's name, a plain file name of at
 * most 64 bytes; how many slots for processes, 1..1024, besides the master's own; the length of a
 * period in ms.
 * Returns: 0, or -1 with a text: no space, another master's lock on the file in place, ...
 */
int segment_create(struct segment *segment, const char *directory, const char *instance,
                   unsigned n_slots, int64_t period_ms, struct errbuf *err) MUST_CHECK;

/* As segment_create, but in anonymous memory that children share: for --single and for tests. */
int segment_create_private(struct segment *segment, const char *instance, unsigned n_slots,
                           int64_t period_ms, struct errbuf *err) MUST_CHECK;

/*
 * Reserves the memory of a slot, before it is assigned: a file system that is full later must not
 * kill anybody with SIGBUS. To be called in the master.
 * Returns: 0, or -1 with a text: no space.
 */
int segment_reserve(const struct segment *segment, unsigned slot, struct errbuf *err) MUST_CHECK;

/* Unmaps it and lets the lock go. The file stays, for who wants to know how it ended. */
void segment_close(struct segment *segment);

/*
 * A reader of a segment that this process has mapped itself, for the master and for tests: opening
 * the file a second time, and closing that, would let the master's lock go.
 * Returns: a reader, for shm_reader_close, or NULL if memory is out. The segment outlives it.
 */
struct shm_reader *segment_reader(const struct segment *segment) MUST_CHECK;

/* Returns: the slot of that number; 0 is the master's, 1..n_slots the processes'. */
struct shm_slot *segment_slot(const struct segment *segment, unsigned slot);

#endif
