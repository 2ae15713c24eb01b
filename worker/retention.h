/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention.h - the life of the process that deletes what is older than [postgresql]
 * retention_days.
 *
 * Process: one child of the master, outside the workers.  Owner: the caller.  Concurrency: one
 * thread.
 */
#ifndef WORKER_RETENTION_H
#define WORKER_RETENTION_H

#include "conf/cfg.h"
#include "shm/segment.h"

/* Returns: true if the configuration asks for such a process. */
bool retention_is_wanted(const struct config *cfg);

/*
 * Deletes in small steps, whenever there is something to delete, until TERM.
 * Takes: the configuration; the slot whose heartbeat and state it keeps.
 * Returns: an exit code as worker_run's.
 */
int retention_run(const struct config *cfg, struct segment *segment, unsigned slot) MUST_CHECK;

#endif
