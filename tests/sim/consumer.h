/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consumer.h - kafka/consume.h once more, of a simulated group: what its header promises, with all
 * that may happen at any time.
 *
 * Process: tests/sim/sim.  Owner: the worker that opened it.  Concurrency: one thread.
 */
#ifndef TESTS_SIM_CONSUMER_H
#define TESTS_SIM_CONSUMER_H

#include "tests/sim/group.h"

/* The group says something to a worker's consumer. */
void consumer_take_note(struct life *life, const struct note *note);

/* There are more messages in some partition. */
void consumer_wake_all(void);

/* It starts its partitions anew. */
void consumer_start_anew(struct life *life);

/* Returns: whether its partitions are taken away now; and whether they are lost. */
bool consumer_drains(const struct life *life);
bool consumer_has_lost(const struct life *life);

/* Returns: when its events were last taken. */
int64_t consumer_served_ns(const struct life *life);

/* Returns: since when its partitions are taken away. */
int64_t consumer_drain_ns(const struct life *life);

/* Its process is gone. */
void consumer_note_end(struct life *life);

#endif
