/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka_conf.c - see kafka_conf.h.
 *
 * Memory: of memory_limit_mb, three sixteenths may lie in librdkafka's queue, an eighth in the
 * payloads of the batches in hand, a 64th in one answer of a broker (one is in flight per broker);
 * the rest is for what becomes of the answer, for the series that are remembered (an eighth), for
 * what the store makes of the batches (three sixteenths), and for the libraries themselves.
 * An answer is so small since it counts compressed: librdkafka decompresses all of it before it
 * looks at its queue again, and metrics become 10 or 20 times as large.
 *
 * Messages pin the buffer that they were decompressed into, or the whole answer.  They are taken in
 * the order in which they lie there, and released in that order, so besides what is queued and in
 * hand there is never more pinned than what has been taken of the first such buffer, and what has
 * not been of the last; the queue counts that.
 *
 * What a batch of messages may become when it is decompressed is librdkafka's own: only zstd's
 * result is bounded, by receive.message.max.bytes (2.0.2 to 2.15; the same number bounds an answer
 * of a broker, which no batch must exceed, else nothing comes from that broker any more).  A batch
 * that would be larger is an error, and ends as consume_unreadable.c says.  Results of gzip, lz4
 * and snappy are as large as the batch makes them: up to 1030, 255 and 21 times its size.
 */
#include "kafka/kafka_conf.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Properties that would break what this program promises, and what to do instead. */
static const struct {
    const char *name, *why;
} reserved[] = {
    {"enable.auto.commit", "offsets are committed only once messages are durable"},
    {"auto.commit.enable", "offsets are committed only once messages are durable"},
    {"auto.commit.interval.ms", "offsets are committed only once messages are durable"},
    {"enable.auto.offset.store", "offsets are committed only once messages are durable"},
    {"offset.store.method", "offsets are kept by the brokers"},
    {"auto.offset.reset",
     "a lost position is noticed, counted, and goes on at the earliest message"},
    {"group.id", "set group_id in the topic's section"},
    {"group.instance.id", "workers share this configuration, and the id must differ between them"},
    {"group.protocol", "the rebalance protocol is the classic one"},
    {"bootstrap.servers", "set uri in the topic's section"},
    {"metadata.broker.list", "set uri in the topic's section"},
    {"client.id", "set client_id"},
    {"enable.partition.eof", "the lag needs to hear of a partition's end"},
    {"statistics.interval.ms", "nobody would read them and they would fill the memory"},
    {"queued.max.messages.kbytes", "it follows from memory_limit_mb"},
    {"fetch.max.bytes", "it follows from memory_limit_mb"},
    {"receive.message.max.bytes", "it follows from memory_limit_mb"},
    {"log_level", "set debug in [DEFAULT]"},
    {"log.queue", "log lines are written by this program"},
    {"log.thread.name", "log lines are written by this program"},
    {"enable.random.seed", "it is needed"},
    {"max.poll.interval.ms", "it is bound to the worker's deadlines"},
    {"plugin.library.paths", "plug-ins may break what this program promises"},
    {"delivery.report.only.error", "dead letters wait for every report"},
    {"acks", "a dead letter must be on all replicas in sync"},
    {"request.required.acks", "a dead letter must be on all replicas in sync"},
    {"transactional.id", "dead letters need no transaction"},
};

/* For both roles; a property of the file overrides them. */
static const struct kafka_setting common_settings[] = {
    {"socket.keepalive.enable", "true"},
    {"reconnect.backoff.max.ms", "2000"}, /* librdkafka's 10 s would delay a broker's return */
    {"topic.metadata.refresh.interval.ms",
     "15000"}, /* a topic made after the start is found this soon */
};

static const struct kafka_setting consumer_settings[] = {
    {"session.timeout.ms",
     "8000"}, /* how long a killed worker's partitions wait; the default is 45 s */
    {"heartbeat.interval.ms", "2000"},
    {"max.poll.interval.ms", "300000"},
    {"partition.assignment.strategy", "range,roundrobin"},
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset",
     "error"}, /* consume.c finds the new position itself, and counts the gap */
    {"enable.partition.eof",
     "true"}, /* only it knows: the last offsets may have no message (lag.h) */
    {"allow.auto.create.topics", "false"},
};

static const struct kafka_setting producer_settings[] = {
    {"acks", "all"},
    {"linger.ms", "5"},
    {"message.timeout.ms", "10000"},
    {"message.max.bytes", "1000000000"}, /* the topic's own limit decides */
    {"queue.buffering.max.kbytes", "1048576"},
};

/*
 * What no batch exceeds that a broker took by its default of socket.request.max.bytes (100 MiB),
 * with room for the rest of an answer.
 */
#define ANSWER_BYTES ((size_t)101 << 20)

static size_t
limit_bytes(const struct config *cfg)
{
    return (size_t)cfg->persister.memory_limit_mb << 20;
}

/* Payloads that may lie in librdkafka's queue. */
static size_t
queue_bytes(const struct config *cfg)
{
    return limit_bytes(cfg) / 16 * 3;
}

/* What a consumer's property of ours, a number, is set to. */
static int64_t
find_number(const struct config *cfg, const char *name)
{
    int64_t value = 0;
    for (size_t i = 0; i < COUNT_OF(consumer_settings); i++)
        if (strcmp(consumer_settings[i].name, name) == 0)
            value = strtoll(consumer_settings[i].value, NULL, 10);
    for (size_t i = 0; i < cfg->n_properties; i++)
        if (strcmp(cfg->properties[i].name, name) == 0)
            value = strtoll(cfg->properties[i].value, NULL, 10);
    return value;
}

const char *
kafka_conf_hint(const char *mechanism, int version)
{
    /* It sends its nonce twice; from 3.8.1 on brokers look (librdkafka's #4895). */
    if (mechanism == NULL || strncasecmp(mechanism, "SCRAM-", 6) != 0 || version >= 0x02060100)
        return "";
    return "librdkafka before 2.6.1 cannot do SCRAM with Kafka 3.8.1 and later: ";
}

void
kafka_conf_explain(const struct config *cfg, int code, const char *reason, struct errbuf *text)
{
    const char *mechanism = NULL;
    /* The last one counts, by either name. */
    for (size_t i = 0; i < cfg->n_properties; i++)
        if (strcmp(cfg->properties[i].name, "sasl.mechanism") == 0 ||
            strcmp(cfg->properties[i].name, "sasl.mechanisms") == 0)
            mechanism = cfg->properties[i].value;
    /* First, as what is shown of a wait is cut. */
    errbuf_set(text, "%s%s",
               code == RD_KAFKA_RESP_ERR__AUTHENTICATION
                   ? kafka_conf_hint(mechanism, rd_kafka_version())
                   : "",
               reason);
}

int64_t
kafka_conf_rejoin_ms(const struct config *cfg)
{
    int64_t ms = find_number(cfg, "session.timeout.ms") - find_number(cfg, "heartbeat.interval.ms");
    return ms > 0 ? ms : 0;
}

size_t
kafka_conf_batch_bytes(const struct config *cfg)
{
    return limit_bytes(cfg) / 8;
}

int
kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct errbuf *err)
{
    char text[512];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
        return 0;
    return errbuf_set(err, "%s", text);
}

int
kafka_conf_set_all(rd_kafka_conf_t *conf, const struct kafka_setting *settings, size_t n,
                   struct errbuf *err)
{
    for (size_t i = 0; i < n; i++)
        if (kafka_conf_set(conf, settings[i].name, settings[i].value, err) == -1)
            return -1;
    return 0;
}

static int
set_size(rd_kafka_conf_t *conf, const char *name, size_t value, struct errbuf *err)
{
    char text[32];
    snprintf(text, sizeof(text), "%zu", value);
    return kafka_conf_set(conf, name, text, err);
}

/* The broker sends a first batch that is larger than this all the same (KIP-74). */
static size_t
fetch_bytes(const struct config *cfg)
{
    const size_t mib = (size_t)1 << 20;
    return limit_bytes(cfg) / 64 > mib ? limit_bytes(cfg) / 64 : mib;
}

size_t
kafka_conf_receive_bytes(const struct config *cfg)
{
    const size_t mib = (size_t)1 << 20;
    size_t message = (size_t)cfg->persister.max_message_bytes;
    size_t receive = limit_bytes(cfg) / 2;
    if (receive < message + mib)
        receive = message + mib;
    if (receive < fetch_bytes(cfg) + mib)
        receive = fetch_bytes(cfg) + mib;
    if (receive < ANSWER_BYTES)
        receive = ANSWER_BYTES;
    return receive < 1000000000 ? receive : 1000000000;
}

static int
set_limits(rd_kafka_conf_t *conf, const struct config *cfg, struct errbuf *err)
{
    /*
     * A queued message takes some 400 bytes besides its payload, so their number is bounded, too;
     * but so that the bytes are the first bound for messages of 200 bytes and more.
     */
    if (set_size(conf, "queued.min.messages", queue_bytes(cfg) / 200, err) == -1 ||
        set_size(conf, "queued.max.messages.kbytes", queue_bytes(cfg) / 1024, err) == -1 ||
        set_size(conf, "fetch.max.bytes", fetch_bytes(cfg), err) == -1 ||
        set_size(conf, "receive.message.max.bytes", kafka_conf_receive_bytes(cfg), err) == -1)
        return -1;
    /* How soon fetching goes on after the queue was full: see consume_wake.c. */
    if (kafka_conf_set(conf, "fetch.queue.backoff.ms", "20", NULL) == -1)
        return kafka_conf_set(conf, "fetch.error.backoff.ms", "50", err);
    return 0;
}

static const char *
find_reserved(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(reserved); i++)
        if (strcmp(name, reserved[i].name) == 0)
            return reserved[i].why;
    return NULL;
}

/* Refuses values that would break the pipeline though the property itself may be set. */
static const char *
find_fault(const struct cfg_property *property)
{
    const char *why = find_reserved(property->name);
    if (why == NULL && strcmp(property->name, "partition.assignment.strategy") == 0 &&
        strstr(property->value, "cooperative") != NULL)
        why =
            "cooperative-sticky loses assignments before librdkafka 2.10; use range or roundrobin";
    size_t n = strlen(property->name);
    if (why == NULL && n > 3 && strcmp(property->name + n - 3, "_cb") == 0)
        why = "callbacks are the program's own";
    return why;
}

/* Properties of the other role are no error: one file serves the consumers and the dead letters. */
static bool
is_for_role(const char *name, enum kafka_role role)
{
    static const char *const consumer_only[] = {
        "fetch.",     "session.timeout.ms", "heartbeat.", "queued.min.", "partition.assignment.",
        "check.crcs", "isolation.level",    "consume."};
    if (role == KAFKA_CONSUMER) /* of the dead letters; it would have to be below fetch.max.bytes */
        return strcmp(name, "message.max.bytes") != 0;
    for (size_t i = 0; i < COUNT_OF(consumer_only); i++)
        if (strncmp(name, consumer_only[i], strlen(consumer_only[i])) == 0)
            return false;
    return true;
}

static int
set_properties(rd_kafka_conf_t *conf, const struct config *cfg, enum kafka_role role,
               struct errbuf *err)
{
    for (size_t i = 0; i < cfg->n_properties; i++) {
        const struct cfg_property *p = &cfg->properties[i];
        if (!is_for_role(p->name, role))
            continue;
        const char *why = find_fault(p);
        if (why == NULL && kafka_conf_set(conf, p->name, p->value, err) == 0)
            continue;
        if (why != NULL)
            errbuf_set(err, "%s", why);
        return errbuf_prefix(err, "%s:%u: [kafka] librdkafka.%s", p->file, p->line, p->name);
    }
    return 0;
}

static int
fill(rd_kafka_conf_t *conf, const struct config *cfg, enum topic_kind kind, enum kafka_role role,
     struct errbuf *err)
{
    const struct cfg_topic *topic = &cfg->topic[kind];
    if (kafka_conf_set_all(conf, common_settings, COUNT_OF(common_settings), err) == -1 ||
        kafka_conf_set(conf, "bootstrap.servers", topic->uri, err) == -1 ||
        kafka_conf_set(conf, "client.id", topic->client_id, err) == -1)
        return -1;
    if (role == KAFKA_PRODUCER)
        return kafka_conf_set_all(conf, producer_settings, COUNT_OF(producer_settings), err) == -1
                   ? -1
                   : set_properties(conf, cfg, role, err);
    if (kafka_conf_set_all(conf, consumer_settings, COUNT_OF(consumer_settings), err) == -1 ||
        kafka_conf_set(conf, "group.id", topic->group_id, err) == -1 ||
        set_limits(conf, cfg, err) == -1)
        return -1;
    return set_properties(conf, cfg, role, err);
}

struct rd_kafka_conf_s *
kafka_conf_new(const struct config *cfg, enum topic_kind kind, enum kafka_role role,
               struct errbuf *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (fill(conf, cfg, kind, role, err) == 0)
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

static void
log_nothing(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

static int
check_role(const struct config *cfg, enum topic_kind kind, enum kafka_role role, struct errbuf *err)
{
    rd_kafka_conf_t *conf = kafka_conf_new(cfg, kind, role, err);
    if (conf == NULL)
        return -1;
    rd_kafka_conf_set_log_cb(conf, log_nothing);
    char text[512];
    rd_kafka_t *rk = rd_kafka_new(role == KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER,
                                  conf, text, sizeof(text));
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return errbuf_set(err, "%s: [%s]: Kafka client: %s", cfg->file, cfg_topic_section(kind),
                          text);
    }
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return 0;
}

int
kafka_conf_check(const struct config *cfg, struct errbuf *err)
{
    for (enum topic_kind kind = 0; kind < TOPIC_KINDS; kind++) {
        if (!cfg->topic[kind].enabled)
            continue;
        if (check_role(cfg, kind, KAFKA_CONSUMER, err) == -1)
            return -1;
        if (cfg->dead_letter.topic[0] != '\0' && check_role(cfg, kind, KAFKA_PRODUCER, err) == -1)
            return -1;
    }
    return 0;
}
