/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_client.c - see kafka_client.h. */
#include "dead/kafka_client.h"

#include <stdio.h>
#include <stdlib.h>

#include "kafka/kafka_conf.h"

enum { METADATA_MS = 10000 };

/* Without a configuration; acks all is librdkafka's default, but the promise hangs on it. */
static const struct kafka_setting writer[] = {
    {"acks", "all"},
    {"message.timeout.ms", "30000"},
    {"message.max.bytes", "1000000000"}, /* the topic's own limit decides */
    {"queue.buffering.max.kbytes", "1048576"},
};
/* In any case. */
static const struct kafka_setting reader[] = {
    {"group.id", "persister-dead"}, /* has to be there; nothing is committed, nothing joined */
    {"enable.auto.commit", "false"},       {"enable.partition.eof", "true"},
    {"auto.offset.reset", "earliest"}, /* what was deleted meanwhile is gone */
    {"allow.auto.create.topics", "false"},
};

static void
log_nothing(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

static void
on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_client *c = opaque;
    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && c->trouble.text[0] != '\0')
        return;
    if (c->cfg != NULL)
        kafka_conf_explain(c->cfg, code, reason, &c->trouble);
    else
        errbuf_set(&c->trouble, "%s", reason);
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_client *c = opaque;
    (void)rk;
    c->on_report(c->arg, message);
}

static int
set_property(rd_kafka_conf_t *conf, const char *property, struct errbuf *err)
{
    char name[256];
    const char *equals = strchr(property, '=');
    size_t n = equals == NULL ? 0 : (size_t)(equals - property);
    if (n == 0 || n >= sizeof(name))
        return errbuf_set(err, "-X %s: allowed: NAME=VALUE, a property of librdkafka", property);
    memcpy(name, property, n);
    name[n] = '\0';
    return kafka_conf_set(conf, name, equals + 1, err) == -1 ? errbuf_prefix(err, "-X %s", property)
                                                             : 0;
}

static int
configure(rd_kafka_conf_t *conf, const struct kafka_client_options *o, enum kafka_client_role role,
          struct errbuf *err)
{
    if (o->brokers != NULL && kafka_conf_set(conf, "bootstrap.servers", o->brokers, err) == -1)
        return -1;
    if (kafka_conf_set(conf, "client.id", "persister-dead", err) == -1)
        return -1;
    if (role != CLIENT_READS && o->cfg == NULL &&
        kafka_conf_set_all(conf, writer, COUNT_OF(writer), err) == -1)
        return -1;
    if (role == CLIENT_READS && kafka_conf_set_all(conf, reader, COUNT_OF(reader), err) == -1)
        return -1;
    for (size_t i = 0; i < o->n_properties; i++)
        if (set_property(conf, o->properties[i], err) == -1)
            return -1;
    return role == CLIENT_WRITES_SINGLY ? kafka_conf_set(conf, "batch.num.messages", "1", err) : 0;
}

static rd_kafka_conf_t *
make_conf(const struct kafka_client_options *o, enum kafka_client_role role, struct errbuf *err)
{
    rd_kafka_conf_t *conf;
    if (o->cfg == NULL)
        conf = rd_kafka_conf_new();
    else
        conf = kafka_conf_new(o->cfg, o->kind,
                              role == CLIENT_READS ? KAFKA_CONSUMER : KAFKA_PRODUCER, err);
    if (conf != NULL && configure(conf, o, role, err) == -1) {
        rd_kafka_conf_destroy(conf);
        conf = NULL;
    }
    return conf;
}

struct kafka_client *
kafka_client_new(const struct kafka_client_options *options, enum kafka_client_role role,
                 void (*on_report)(void *, const rd_kafka_message_t *), void *arg,
                 struct errbuf *err)
{
    char text[512];
    assert(options->cfg != NULL || options->brokers != NULL);
    struct kafka_client *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        errbuf_set(err, "out of memory");
        return NULL;
    }
    c->cfg = options->cfg;
    c->on_report = on_report;
    c->arg = arg;
    snprintf(c->brokers, sizeof(c->brokers), "%s",
             options->brokers != NULL ? options->brokers : options->cfg->topic[options->kind].uri);
    rd_kafka_conf_t *conf = make_conf(options, role, err);
    if (conf == NULL) {
        free(c);
        return NULL;
    }
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_log_cb(conf, log_nothing);
    rd_kafka_conf_set_error_cb(conf, on_error);
    if (role != CLIENT_READS)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    c->rk = rd_kafka_new(role == CLIENT_READS ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, text,
                         sizeof(text));
    if (c->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        errbuf_set(err, "librdkafka: %s", text);
        kafka_client_free(&c);
    }
    return c;
}

void
kafka_client_free(struct kafka_client **client)
{
    if (*client == NULL)
        return;
    if ((*client)->rk != NULL)
        rd_kafka_destroy_flags((*client)->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(*client);
    *client = NULL;
}

int
kafka_client_count_partitions(struct kafka_client *client, const char *topic, struct errbuf *err)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(client->rk, 1, NULL, &metadata, METADATA_MS);
    int n = 0;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_poll(client->rk, 0); /* for the reason */
        return errbuf_set(err, "no answer from Kafka at %s: %s%s%s", client->brokers,
                          rd_kafka_err2str(code), client->trouble.text[0] == '\0' ? "" : ": ",
                          client->trouble.text);
    }
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, topic) == 0)
            n = metadata->topics[i].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    return n;
}
