/* SPDX-License-Identifier: Apache-2.0 */
/*
 * autopsy.h - looks for what kills workers, before a worker has anything to do with it.
 *
 * Process: a worker that starts, while it has one thread, and children of it.  Owner: none.
 * Concurrency: one thread.
 */
#ifndef WORKER_AUTOPSY_H
#define WORKER_AUTOPSY_H

#include "conf/cfg.h"
#include "shm/hands.h"

/*
 * Has all suspects of a topic looked at, and writes down what was found.
 * Takes: the map, the topic's key there; called all the time meanwhile, false ends it. May take two
 * minutes for each.
 */
void autopsy_run(struct hands *hands, uint32_t key, const struct config *cfg, enum topic_kind kind,
                 bool (*go_on)(void *arg), void *arg);

#endif
