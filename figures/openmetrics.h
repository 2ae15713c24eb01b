/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openmetrics.h - a snapshot as OpenMetrics text (OpenMetrics 1.0.0), or in the older text format
 * of Prometheus (0.0.4) for those who ask for that.
 *
 * Families begin with monasca_persister_. The instance's have the label instance; those of the
 * workers are families of their own, monasca_persister_process_*, with topic and process besides,
 * so that no sum() counts anything twice.  A worker's counters are those of its lifetime, which go
 * on over its restarts.  No label has a pid.  Timings with a histogram have 21 buckets; a bound is
 * one of ours (histogram.h), less the nanosecond that makes Prometheus' "less or equal" of it:
 * exact. Levels nobody knows have no sample.
 *
 * Process: pstats, admin.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef SHM_OPENMETRICS_H
#define SHM_OPENMETRICS_H

#include "figures/figures.h"

enum openmetrics_format {
    OPENMETRICS_1,           /* application/openmetrics-text; version=1.0.0; charset=utf-8 */
    OPENMETRICS_PROMETHEUS_0 /* text/plain; version=0.0.4; charset=utf-8 */
};

/*
 * Appends the snapshot, `# EOF` included.
 * Takes: the buffer, whose `failed` tells whether it was too small (about 32 KiB, and 8 KiB for
 * each process, more with long names); the reader that the snapshot was taken from last, for its
 * histograms; choice may be NULL: all figures.
 */
void openmetrics_write(struct buf *out, enum openmetrics_format format,
                       const struct snapshot *snapshot, const struct shm_reader *reader,
                       const struct figures_origin *origin, const struct figures_choice *choice);

/* How many buckets a histogram has, the last (+Inf) left out. */
enum { OPENMETRICS_BUCKETS = 21 };

/* Returns: the duration in ns that bucket 0 .. OPENMETRICS_BUCKETS - 1 goes up to, inclusive. */
uint64_t openmetrics_bucket_bound(unsigned bucket);

#endif
