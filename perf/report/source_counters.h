/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_counters.h - what an admin port's answer says, as figures of source_growth.h. Pure.
 *
 * Two forms:
 *   /stats    ours: the JSON of pstats -j, version 1 (pstats(1) describes it)
 *   /metrics  DropWizard Metrics 3's MetricsServlet, ours and the Java persister's: the meters
 *             monasca.persister.pipeline.event.HANDLER[THREAD].events-processed-meter (received)
 * and .flush-meter (completed), which are what upstream's persister_perf.sh adds up
 *
 * Process: persister-perf.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef PERF_SOURCE_COUNTERS_H
#define PERF_SOURCE_COUNTERS_H

#include "lib/errbuf.h"
#include "perf/report/source_growth.h"

/*
 * Adds the figures of an answer to `growth` as one poll, all of it or none.
 * Takes: the body; when it came (wall clock).
 * Returns: 0, or -1 with a text: it is not JSON, or not of that form, or a figure is no count.
 */
int counters_take_stats(struct growth *growth, struct slice body, int64_t now_ms,
                        struct errbuf *err) MUST_CHECK;
int counters_take_dropwizard(struct growth *growth, struct slice body, int64_t now_ms,
                             struct errbuf *err) MUST_CHECK;

#endif
