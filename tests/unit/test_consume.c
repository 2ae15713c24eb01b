/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_consume.c - the consumer against librdkafka's mock cluster, which gives the errors it is told
 * to; what real brokers do is tried by tests/whole/.
 *
 * Process: the unit tests, with librdkafka's threads.  Owner: each test.  Concurrency: one thread.
 */
#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>

#include "lib/clock.h"
#include "shm/segment.h"
#include "tests/unit/cfg_fixture.h"
#include "kafka/consume.h"

enum { MESSAGES = 10, OFFSET_FETCH = 9, LONG_MS = 60000 };

static rd_kafka_t *producer;
static rd_kafka_mock_cluster_t *cluster;
static struct segment segment;
static struct recorder *recorder;

static bool
let_go(void *arg, bool lost)
{
    (void)arg;
    (void)lost;
    return false;
}

static void
tick(void *arg)
{
    (void)arg;
}

static void
start_cluster(void)
{
    char text[512];
    cfg_set_up();
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    cr_assert_eq(rd_kafka_conf_set(conf, "log_level", "3", text, sizeof(text)), RD_KAFKA_CONF_OK);
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    cr_assert_not_null(producer, "%s", text);
    cluster = rd_kafka_mock_cluster_new(producer, 1);
    cr_assert_not_null(cluster);
    cr_assert_eq(rd_kafka_mock_topic_create(cluster, "metrics", 2, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_eq(segment_create_private(&segment, "unit", 1, 1000, &cfg_error), 0, "%s",
                 cfg_error.text);
    recorder = recorder_new(&segment, 1);
    cr_assert_not_null(recorder);
}

static void
stop_cluster(void)
{
    recorder_free(&recorder);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(producer);
    cfg_tear_down();
}

TestSuite(consume, .init = start_cluster, .fini = stop_cluster, .timeout = 2 * LONG_MS / 1000);

static void
send_messages(void)
{
    char brokers[200], text[512], payload[] = "x";
    snprintf(brokers, sizeof(brokers), "%s", rd_kafka_mock_cluster_bootstraps(cluster));
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, NULL, 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    cr_assert_not_null(rk, "%s", text);
    for (int i = 0; i < MESSAGES; i++)
        cr_assert_eq(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC("metrics"), RD_KAFKA_V_PARTITION(i % 2),
                                       RD_KAFKA_V_VALUE(payload, sizeof(payload)), RD_KAFKA_V_END),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_eq(rd_kafka_flush(rk, LONG_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
}

static size_t
count_messages(struct consumer *consumer)
{
    struct message messages[MESSAGES];
    size_t n = 0;
    int64_t until_ms = clock_mono_ms() + LONG_MS;
    while (n < MESSAGES && clock_mono_ms() < until_ms) {
        cr_assert_eq(consumer_serve(consumer, 20, &cfg_error), 0, "%s", cfg_error.text);
        size_t came = consumer_fetch(consumer, messages, MESSAGES);
        for (size_t i = 0; i < came; i++)
            consumer_release(&messages[i]);
        n += came;
    }
    return n;
}

/* The coordinator changes while it is asked where to begin. */
Test(consume, offsets_that_the_group_does_not_tell_are_asked_for_again)
{
    char text[400];
    struct consumer_hooks hooks = {.revoked = let_go, .tick = tick};
    send_messages();
    snprintf(text, sizeof(text), "[kafka_metrics]\nuri = %s\n[influxdb]\nip_address = 127.0.0.1\n",
             rd_kafka_mock_cluster_bootstraps(cluster));
    struct config *cfg = cfg_load_good(text);
    rd_kafka_mock_push_request_errors(
        cluster, OFFSET_FETCH, 4, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    struct consumer *consumer = consumer_open(cfg, TOPIC_METRICS, recorder, &hooks, 0, &cfg_error);
    cr_assert_not_null(consumer, "%s", cfg_error.text);
    cr_assert_eq(count_messages(consumer), MESSAGES);
    cr_assert(consumer_close(&consumer, clock_mono_ms() + LONG_MS));
    cfg_free(&cfg);
}
