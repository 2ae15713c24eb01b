/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sender.h - messages into Kafka topics, with a report for each.
 *
 * Process: persister-dead.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef DEAD_SENDER_H
#define DEAD_SENDER_H

#include "dead/kafka_client.h"

enum sender_end { SENDER_DELIVERED, SENDER_TOO_LARGE, SENDER_UNDELIVERED };

/*
 * Is told of each message what became of it, in sender_send, sender_poll or sender_free. Must not
 * send.
 * Takes: what sender_send was given; for SENDER_UNDELIVERED why.
 */
typedef void (*sender_report)(void *arg, void *message, enum sender_end end, const char *why);

struct sender;

/*
 * Takes: how to connect (its kind does not matter: it is given with each message) and who is told;
 * they outlive the sender.
 * Returns: NULL if memory is out. Clients are made when they are needed.
 */
struct sender *sender_new(const struct kafka_client_options *options, sender_report report,
                          void *arg) MUST_CHECK;

/* Drops what is under way: it is reported as undelivered. Nulls the pointer; NULL is fine. */
void sender_free(struct sender **sender);

/*
 * Makes sure that a topic is there, without making it.
 * Returns: 0, or -1 with a text.
 */
int sender_find_topic(struct sender *sender, enum topic_kind kind, const char *topic,
                      struct errbuf *err) MUST_CHECK;

struct sender_message {
    enum topic_kind kind; /* whose brokers */
    const char *topic;
    int32_t partition;       /* -1: any */
    struct slice key, value; /* copied; p NULL: none. An empty value is no missing one */
    void *message;           /* for the report */
};

/*
 * Hands one message over; waits while the queue is full.
 * Returns: 0, or -1 with a text: there will be no report.
 */
int sender_send(struct sender *sender, const struct sender_message *message,
                struct errbuf *err) MUST_CHECK;

/* Serves reports; waits for one for at most so long. */
void sender_poll(struct sender *sender, int wait_ms);

#endif
