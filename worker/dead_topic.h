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

/* Drops what is unsent and nulls the pointer; the process is to end soon. NULL is fine. */
void dead_topic_free(struct dead_topic **topic);

/*
 * Begins a round of letters, which are sent together; to be followed by dead_topic_end.
 * Takes: how many.
 * Returns: 0, -1 if memory is out.
 */
int dead_topic_begin(struct dead_topic *topic, size_t n) MUST_CHECK;

/*
 * Hands one letter of the round to the client (copied).
 * Takes: its number, 0..n-1, and its text.
 * Returns: STORE_DONE, or STORE_SICK or STORE_STOPPED: end the round, and begin another with all
 * letters.
 */
enum store_status dead_topic_send(struct dead_topic *topic, size_t i, struct slice text,
                                  struct errbuf *err) MUST_CHECK;

/* Waits until every letter of the round is acknowledged, or refused for its size. */
enum store_status dead_topic_flush(struct dead_topic *topic, struct errbuf *err) MUST_CHECK;

/* After a flush that returned STORE_DONE: whether the topic refuses a letter of the round for its
 * size. */
bool dead_topic_is_too_large(const struct dead_topic *topic, size_t i);

/* Ends the round; what is unsent of it is dropped, and nothing waits for that. */
void dead_topic_end(struct dead_topic *topic);

#endif
