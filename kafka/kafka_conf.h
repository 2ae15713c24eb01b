/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka_conf.h - our options and the passed-through librdkafka properties, as librdkafka takes
 * them.
 *
 * Process: workers, the short-lived child that checks a configuration, and persister-dead.
 * Owner: the caller.  Concurrency: one thread.
 */
#ifndef WORKER_KAFKA_CONF_H
#define WORKER_KAFKA_CONF_H

#include "lib/base.h"
#include "conf/cfg.h"
#include "lib/errbuf.h"

struct rd_kafka_conf_s; /* librdkafka's, so that includers need not see its header */

enum kafka_role { KAFKA_CONSUMER, KAFKA_PRODUCER };

struct kafka_setting {
    const char *name, *value; /* librdkafka's */
};

/* Sets one property. Takes: err may be NULL. Returns: 0, or -1 with librdkafka's reason. */
int kafka_conf_set(struct rd_kafka_conf_s *conf, const char *name, const char *value,
                   struct errbuf *err) MUST_CHECK;

/* Sets n of them, as far as they are taken: the first that is not ends it. As kafka_conf_set. */
int kafka_conf_set_all(struct rd_kafka_conf_s *conf, const struct kafka_setting *settings, size_t n,
                       struct errbuf *err) MUST_CHECK;

/*
 * Builds the configuration of one topic's client.
 * Returns: a configuration that rd_kafka_new takes over (or rd_kafka_conf_destroy frees), or NULL
 * with "FILE:LINE: [kafka] librdkafka.NAME: why" for a property that librdkafka refuses.
 */
struct rd_kafka_conf_s *kafka_conf_new(const struct config *cfg, enum topic_kind kind,
                                       enum kafka_role role, struct errbuf *err) MUST_CHECK;

/*
 * Checks what kafka_conf_new would build for every enabled topic, including by making a client
 * (which reads certificates and checks combinations, but is destroyed before it connects).
 * Only for a process that never forks again: librdkafka starts threads.
 * Returns: 0, or -1 with one line.
 */
int kafka_conf_check(const struct config *cfg, struct errbuf *err) MUST_CHECK;

/*
 * What an error callback says, and what is known of its cause beyond that.
 * Takes: librdkafka's code and words.
 */
void kafka_conf_explain(const struct config *cfg, int code, const char *reason,
                        struct errbuf *text);

/*
 * What kafka_conf_explain puts in front when the brokers refuse us; pure.
 * Takes: the SASL mechanism, NULL if none is set; librdkafka's version, as by rd_kafka_version.
 * Returns: it, or an empty string; static.
 */
const char *kafka_conf_hint(const char *mechanism, int version);

/*
 * Returns: for how long, in ms, the successor of a member that died should not join: up to a
 * heartbeat before its session is over, so that by then all others have heard of the rebalance.
 */
int64_t kafka_conf_rejoin_ms(const struct config *cfg);

/* Returns: bytes of payload a batch may hold, following from memory_limit_mb. */
size_t kafka_conf_batch_bytes(const struct config *cfg);

/* Returns: how large an answer of a broker may be, and what a batch in it may become. */
size_t kafka_conf_receive_bytes(const struct config *cfg);

#endif
