/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_source.h - where the figures come from while pstats goes on: takes snapshots, and follows
 * the path to the next master's segment.
 *
 * Process: pstats.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef SHM_PSTATS_SOURCE_H
#define SHM_PSTATS_SOURCE_H

#include "lib/errbuf.h"
#include "figures/figures.h"
#include "figures/figures_json.h"

struct source {
    const char *path; /* the caller's */
    struct shm_reader *reader;
    int64_t window_ms; /* how much of the past is wanted besides; 0: none */
    /* what source_refresh fills in */
    struct snapshot snapshot;
    struct figures_origin origin;
    struct figures_window window;
    unsigned attached;     /* how often to a segment: 1, and one more for each new master */
    struct errbuf trouble; /* why the file that is at the path now cannot be read; "" if it can */
};

/* Takes: a path that outlives the source, and a reader of it, which the source closes. */
void source_init(struct source *source, const char *path, struct shm_reader *reader,
                 int64_t window_ms);

/*
 * Takes a snapshot, of a new master's segment if there is one. Where that cannot be read, or none
 * is there, the old one goes on being shown.
 * Returns: 0, or -1 with a text if there is no snapshot.
 */
int source_refresh(struct source *source, struct errbuf *err) MUST_CHECK;

/*
 * Asks the kernel, without a snapshot, whether the last one needs to be said anew: the master died,
 * or a new one came. Two system calls.
 */
bool source_has_news(const struct source *source);

/* Returns: the window if one is wanted, or NULL. */
const struct figures_window *source_window(const struct source *source);

/* Returns: true if the master lives but has shown no sign of it for long: stopped, or hung. */
bool source_master_is_silent(const struct source *source);

void source_free(struct source *source);

#endif
