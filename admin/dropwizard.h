/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dropwizard.h - the figures as the Java persister's admin port gives them: GET /metrics.
 *
 * The sections, their order, the members of each meter and timer and their order are those of
 * dropwizard-metrics 3's JSON (MetricsServlet), names and all; within a section names are sorted by
 * bytes, as there.  What monasca-agent and perf/persister_perf.sh poll is under the same names:
 *
 *   monasca.persister.pipeline.event.MetricHandler[metric-N]              worker N of the metrics
 *   monasca.persister.pipeline.event.AlarmStateTransitionHandler[alarm-state-transition-N]
 *     .events-processed-meter   messages received
 *     .flush-meter              messages stored
 *     .flush-timer              calls to the store
 *     .metrics-added-to-batch-counter, .alarm-state-transitions-added-to-batch-counter
 *                               messages accepted: all that left a batch stored or given back.  It
 *                               counts when they leave it, since a message may still be refused
 *                               while it is in hand, and a counter never goes back.
 *   monasca.persister.repository.STORE.CLASS   calls to the store of all workers of a kind
 *   jvm.memory.total.*   used, committed: resident memory of the instance's workers; max: what the
 *                        machine or the container has; init: -1, which is Java's "undefined"
 *   monasca.persister.FIGURE   our own: every counter and gauge of stat.def, a timer for every
 * timing, FIGURE-meter for what is counted in messages
 *
 * Counts are since the master's start, over all lives of a worker.  Mean, min, max, percentiles and
 * stddev are since the start of the worker that runs, not of the last minutes only, as a decaying
 * reservoir's would be.  Moving averages begin with the admin process; mean_rate with the master.
 *
 * Pure.  Process: admin.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef ADMIN_DROPWIZARD_H
#define ADMIN_DROPWIZARD_H

#include "admin/view.h"
#include "lib/buf.h"

/*
 * Writes the document.
 * Takes: the buffer it is added to; the view; the names it was made with; whether to indent.
 * Returns: 0, or -1 if memory is out or the buffer full.
 */
int dropwizard_write(struct buf *b, const struct view *v, const struct view_names *names,
                     bool pretty) MUST_CHECK;

#endif
