/* SPDX-License-Identifier: Apache-2.0 */
/*
 * figures.h - what all forms of the figures share (pstats, the admin port): which are wanted,
 * whether they are of a living master, and how times are written.
 *
 * Process: pstats, admin.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef SHM_FIGURES_H
#define SHM_FIGURES_H

#include "lib/buf.h"
#include "shm/snapshot.h"

enum { FIGURES_REASON_BYTES = 192 };

/* What is to be known about a snapshot beside what is in it. */
struct figures_origin {
    const char *path;                        /* of the segment; the caller's */
    bool stale;                              /* its master does not live any more */
    char stale_reason[FIGURES_REASON_BYTES]; /* "" if it is not stale */
    int64_t
        age_ms; /* since the master's last sign of life; 0 if that is in the future or unknown */
};

/* Some of the figures, by shell patterns (fnmatch) over their names. None: all of them. */
struct figures_choice {
    const char *const *globs;
    size_t n_globs;
};

/*
 * Asks whether the master lives, after a snapshot was taken, and says why not.
 * Takes: the reader of the snapshot; the path to show, which outlives the origin.
 */
void figures_tell_origin(struct figures_origin *origin, const char *path,
                         const struct shm_reader *reader, const struct snapshot *snapshot);

/* Returns: true if a figure is wanted. Takes: the choice, NULL: all. */
bool figures_is_chosen(const struct figures_choice *choice, const char *name);

/* Returns: true if the process is a worker; helpers (retention) are not. */
bool figures_is_worker(const struct snapshot_process *process);

/* Appends a duration in seconds with 9 digits after the point: exact. */
void figures_add_seconds(struct buf *out, uint64_t ns);

#endif
