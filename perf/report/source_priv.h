/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_priv.h - what source.c and the kinds of sources share.
 *
 * Process: persister-perf.  Owner: source.c.  Concurrency: one thread.
 */
#ifndef PERF_SOURCE_PRIV_H
#define PERF_SOURCE_PRIV_H

#include "perf/report/source.h"

/* What a kind of source does.  Texts of errors need not name the source: source.c does. */
struct source_ops {
    const char *kind;
    const char *place; /* what stands after the '=', for people; NULL: it may be missing */
    bool remembers;
    /* Takes: what stands after the '=', or "". Returns: its state, or NULL with a text. */
    void *(*open)(const char *place, const struct source_options *options, struct errbuf *err);
    int (*poll)(void *state, struct errbuf *err);
    /* Fills tracks in; what it has filled in when it fails is freed by source.c. */
    int (*read)(void *state, int64_t since_ms, int64_t until_ms, struct reading *reading,
                struct errbuf *err);
    void (*close)(void *state);
};

extern const struct source_ops source_dropwizard_ops;
extern const struct source_ops source_monasca_ops;
extern const struct source_ops source_segment_ops;

/* Returns: true if a row that ends then belongs to the span. */
static inline bool
source_is_within(int64_t to_ms, int64_t since_ms, int64_t until_ms)
{
    return to_ms > since_ms && to_ms <= until_ms;
}

#endif
