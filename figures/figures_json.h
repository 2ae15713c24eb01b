/* SPDX-License-Identifier: Apache-2.0 */
/*
 * figures_json.h - a snapshot as JSON: what `pstats -j` prints and the admin port serves at /stats.
 *
 * Version 1; later versions only add members (pstats(1) describes them).  RFC 8259, UTF-8 whatever
 * the segment's texts are; one object and a newline.
 *
 * Process: pstats, admin.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef SHM_FIGURES_JSON_H
#define SHM_FIGURES_JSON_H

#include "figures/figures.h"

enum { FIGURES_JSON_VERSION = 1 };

/* The instance's figures over the newest closed periods. */
struct figures_window {
    int64_t covered_ms; /* what snapshot_window returned */
    struct stat_figures figures;
};

/*
 * Appends the snapshot.
 * Takes: the buffer, whose `failed` tells whether it was too small (about 8 KiB, and 8 KiB for each
 * process); window and choice may be NULL: no window, all figures.
 */
void figures_write_json(struct buf *out, const struct snapshot *snapshot,
                        const struct figures_origin *origin, const struct figures_window *window,
                        const struct figures_choice *choice);

#endif
