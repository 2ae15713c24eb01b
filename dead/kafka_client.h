/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka_client.h - persister-dead's Kafka clients: made from the persister's configuration, or from
 * options alone.
 *
 * Process: persister-dead.  Owner: the caller.  Concurrency: one thread; librdkafka's threads call
 * nothing of ours, as reports and errors come through rd_kafka_poll.
 */
#ifndef DEAD_KAFKA_CLIENT_H
#define DEAD_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "lib/base.h"
#include "conf/cfg.h"
#include "lib/errbuf.h"

/* Singly: one message a batch. */
enum kafka_client_role { CLIENT_READS, CLIENT_WRITES, CLIENT_WRITES_SINGLY };

struct kafka_client_options {
    const struct config *cfg;      /* NULL: brokers it must be */
    enum topic_kind kind;          /* whose section of the configuration */
    const char *brokers;           /* NULL: the section's uri */
    const char *const *properties; /* NAME=VALUE for librdkafka */
    size_t n_properties;
};

struct kafka_client {
    rd_kafka_t *rk;
    const struct config *cfg; /* NULL: there is none */
    char brokers[256];        /* for people; cut if longer */
    struct errbuf trouble;    /* the last error that librdkafka told of; "" if none */
    void (*on_report)(void *arg, const rd_kafka_message_t *message);
    void *arg;
};

/*
 * Makes a client; contacts nobody yet.
 * Takes: for those that write who is given each delivery report (by rd_kafka_poll), and its
 * argument. Returns: the client, or NULL with a text.
 */
struct kafka_client *kafka_client_new(const struct kafka_client_options *options,
                                      enum kafka_client_role role,
                                      void (*on_report)(void *, const rd_kafka_message_t *),
                                      void *arg, struct errbuf *err) MUST_CHECK;

/* Ends it, without waiting for what is unsent, and nulls the pointer. NULL is fine. */
void kafka_client_free(struct kafka_client **client);

/*
 * Looks for a topic among all there are, since asking for one by name may make it.
 * Returns: the number of its partitions, 0 if there is none of that name (or none we may see), or
 * -1 with a text: no broker answers.
 */
int kafka_client_count_partitions(struct kafka_client *client, const char *topic,
                                  struct errbuf *err) MUST_CHECK;

#endif
