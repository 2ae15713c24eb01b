/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_topic.h - dead letters to a Kafka topic.
 *
 * Process: workers, made after the fork.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef WORKER_DEAD_TOPIC_H
#define WORKER_DEAD_TOPIC_H

#include "lib/base.h"
#include "conf/cfg.h"
#include "lib/errbuf.h"
#include "store/store.h"

struct dead_topic;

/* Returns: NULL if memory or descriptors are out. The client is made with the first letter. */
struct dead_topic *dead_topic_new(const struct config *cfg, enum topic_kind kind,
                                  const struct store_hooks *hooks) MUST_CHECK;

/* Drops what is unsent and nulls the pointer. NULL is fine. */
void dead_topic_free(struct dead_topic **topic);

/*
 * Hands one letter to the client (copied).
 * Takes: *too_large, which must outlive the next dead_topic_flush and becomes true, now or then, if
 * the topic refuses the letter for its size.
 * Returns: STORE_DONE, or STORE_SICK or STORE_STOPPED: begin anew with all letters.
 */
enum store_status dead_topic_send(struct dead_topic *topic, struct slice letter, bool *too_large,
                                  struct errbuf *err) MUST_CHECK;

/* Waits until every letter is acknowledged. */
enum store_status dead_topic_flush(struct dead_topic *topic, struct errbuf *err) MUST_CHECK;

#endif
