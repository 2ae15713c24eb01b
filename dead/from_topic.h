/* SPDX-License-Identifier: Apache-2.0 */
/*
 * from_topic.h - a dead letter topic, as it is at one moment, and the marks of what was replayed.
 *
 * A mark is a record without value, its key the letter's id, in the letter's partition: it comes
 * after the letter, so retention takes it no sooner, and whoever replays from another host sees it.
 *
 * Process: persister-dead.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef DEAD_FROM_TOPIC_H
#define DEAD_FROM_TOPIC_H

#include <signal.h>

#include "dead/kafka_client.h"
#include "dead/line.h"

struct from_topic;

/*
 * Connects, and notes where each partition ends now.
 * Takes: how to connect, the topic, and a flag that ends waiting; options, topic and flag outlive
 * it.
 * Returns: the topic, or NULL with a text.
 */
struct from_topic *from_topic_open(const struct kafka_client_options *options, const char *topic,
                                   const volatile sig_atomic_t *stop,
                                   struct errbuf *err) MUST_CHECK;

/* Nulls the pointer. NULL is fine. */
void from_topic_free(struct from_topic **topic);

/* Passes every record up to those ends to take(). May be called again. -1 with a text. */
int from_topic_each(struct from_topic *topic, line_taker take, void *arg,
                    struct errbuf *err) MUST_CHECK;

#endif
