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
#include <poll.h>
#include <stdio.h>

#include "lib/clock.h"
#include "shm/segment.h"
#include "tests/unit/cfg_fixture.h"
#include "kafka/consume.h"
#include "kafka/consume_priv.h"

enum { MESSAGES = 10, OFFSET_COMMIT = 8, OFFSET_FETCH = 9, LONG_MS = 60000 };

static rd_kafka_t *producer;
static rd_kafka_mock_cluster_t *cluster;
static struct segment segment;
static struct recorder *recorder;

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

static void
rest(struct consumer *consumer)
{
    struct pollfd fds[] = {{.fd = consumer_fd(consumer), .events = POLLIN},
                           {.fd = consumer_messages_fd(consumer), .events = POLLIN}};
    int64_t wait_ms = consumer_due_ms(consumer) - clock_mono_ms();
    if (wait_ms > 0 && !consumer_may_have_messages(consumer))
        (void)poll(fds, 2, wait_ms < LONG_MS ? (int)wait_ms : LONG_MS);
}

static void
serve(struct consumer *consumer)
{
    cr_assert_eq(consumer_serve(consumer, &cfg_error), 0, "%s", cfg_error.text);
}

static int64_t least_offset; /* of those that count_messages has counted */

static size_t
count_messages(struct consumer *consumer)
{
    struct message messages[MESSAGES];
    size_t n = 0;
    int64_t until_ms = clock_mono_ms() + LONG_MS;
    least_offset = INT64_MAX;
    while (n < MESSAGES && clock_mono_ms() < until_ms) {
        rest(consumer);
        serve(consumer);
        size_t came = consumer_fetch(consumer, messages, MESSAGES);
        for (size_t i = 0; i < came; i++) {
            cr_assert_eq(messages[i].assignment, consumer_assignment(consumer));
            least_offset = messages[i].offset < least_offset ? messages[i].offset : least_offset;
            consumer_release(&messages[i]);
        }
        n += came;
    }
    return n;
}

static void
leave(struct consumer **consumer)
{
    int64_t until_ms = clock_mono_ms() + LONG_MS;
    consumer_leave(*consumer);
    while (!consumer_has_left(*consumer) && clock_mono_ms() < until_ms) {
        serve(*consumer);
        rest(*consumer);
    }
    cr_assert(consumer_has_left(*consumer));
    consumer_close(consumer);
}

static struct consumer *
open_consumer(bool claims)
{
    char text[400];
    struct consumer_options options = {.claims = claims};
    snprintf(text, sizeof(text), "[kafka_metrics]\nuri = %s\n[influxdb]\nip_address = 127.0.0.1\n",
             rd_kafka_mock_cluster_bootstraps(cluster));
    struct config *cfg = cfg_load_good(text); /* it lasts as long as the test's process */
    struct consumer *consumer =
        consumer_open(cfg, TOPIC_METRICS, recorder, &options, 0, &cfg_error);
    cr_assert_not_null(consumer, "%s", cfg_error.text);
    return consumer;
}

/* Serves one, fetching nothing, until something is needed. */
static enum consumer_need
wait_need(struct consumer *consumer)
{
    int64_t until_ms = clock_mono_ms() + LONG_MS;
    while (consumer_need(consumer) == CONSUMER_NEEDS_NOTHING && clock_mono_ms() < until_ms) {
        serve(consumer);
        rest(consumer);
    }
    return consumer_need(consumer);
}

static void
await_commits(struct consumer *consumer)
{
    int64_t until_ms = clock_mono_ms() + LONG_MS;
    while (consumer_has_commits_under_way(consumer) && clock_mono_ms() < until_ms) {
        rest(consumer);
        serve(consumer);
    }
}

static void
note_all(struct consumer *consumer, unsigned assignment)
{
    for (int32_t id = 0; id < 2; id++)
        consumer_note_durable(consumer, assignment, id, MESSAGES / 2, -1);
}

/* The group says that this is no member of it: somebody else may own the partitions already. */
Test(consume, a_commit_that_is_refused_to_a_stranger_means_that_all_is_lost)
{
    send_messages();
    struct consumer *consumer = open_consumer(false);
    cr_assert_eq(count_messages(consumer), MESSAGES);
    unsigned assignment = consumer_assignment(consumer);
    rd_kafka_mock_push_request_errors(cluster, OFFSET_COMMIT, 1,
                                      RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    note_all(consumer, assignment);
    consumer_commit(consumer);
    cr_assert(consumer_has_commits_under_way(consumer));
    cr_assert_eq(wait_need(consumer), CONSUMER_NEEDS_BACK_LOST);
    cr_assert_eq(consumer_assignment(consumer), assignment);
    await_commits(consumer); /* the loss may be known before the answer */
    consumer_commit(consumer);
    cr_assert_not(consumer_has_commits_under_way(consumer), "nothing more is sent");
    consumer_give_back(consumer, false);
    cr_assert_gt(consumer_assignment(consumer), assignment);
    cr_assert_eq(count_messages(consumer), MESSAGES);
    cr_assert_eq(least_offset, 0); /* as nothing is committed */
    leave(&consumer);
}

static void
commit_all(struct consumer *consumer)
{
    note_all(consumer, consumer_assignment(consumer));
    consumer_commit(consumer);
    cr_assert(consumer_has_commits_under_way(consumer));
    await_commits(consumer);
}

/* (The mock cluster takes no commit while a group is being shared out, as real brokers do.) */
Test(consume, who_is_revoked_is_asked_for_everything_and_another_goes_on_behind_it)
{
    send_messages();
    struct consumer *a = open_consumer(false), *b;
    cr_assert_eq(count_messages(a), MESSAGES);
    commit_all(a);
    unsigned assignment = consumer_assignment(a);
    b = open_consumer(false);
    int64_t until_ms = clock_mono_ms() + LONG_MS;
    while (consumer_need(a) == CONSUMER_NEEDS_NOTHING && clock_mono_ms() < until_ms) {
        serve(a);
        serve(b);
    }
    cr_assert_eq(consumer_need(a), CONSUMER_NEEDS_BACK);
    cr_assert_eq(consumer_assignment(a), assignment);
    consumer_note_durable(a, assignment - 1, 0, MESSAGES, -1); /* of another time */
    consumer_give_back(a, true);
    cr_assert_gt(consumer_assignment(a), assignment);
    cr_assert_eq(consumer_partitions(a), 0);
    leave(&a);
    send_messages();
    cr_assert_eq(count_messages(b), MESSAGES);
    cr_assert_eq(least_offset, MESSAGES / 2);
    leave(&b);
}

Test(consume, partitions_are_claimed_before_they_start)
{
    size_t n, seen = 0;
    const char *cluster_id;
    send_messages();
    struct consumer *consumer = open_consumer(true);
    cr_assert_eq(wait_need(consumer), CONSUMER_NEEDS_CLAIM);
    struct store_position *claims = consumer_claims(consumer, &n, &cluster_id);
    cr_assert_eq(n, 2);
    cr_assert_not_null(cluster_id);
    cr_assert_eq(consumer_need(consumer), CONSUMER_NEEDS_NOTHING);
    consumer_claim_failed(consumer, consumer_assignment(consumer));
    cr_assert_eq(wait_need(consumer), CONSUMER_NEEDS_CLAIM); /* again */
    claims = consumer_claims(consumer, &n, &cluster_id);
    consumer_claimed(consumer, consumer_assignment(consumer) - 1, claims, n); /* of another time */
    for (size_t i = 0; i < n; i++)
        claims[i].next = 3;
    consumer_claimed(consumer, consumer_assignment(consumer), claims, n);
    struct message message;
    int64_t until_ms = clock_mono_ms() + LONG_MS;
    while (seen < MESSAGES - 6 && clock_mono_ms() < until_ms) {
        rest(consumer);
        serve(consumer);
        if (consumer_fetch(consumer, &message, 1) == 0)
            continue;
        cr_assert_geq(message.offset, 3);
        consumer_release(&message);
        seen++;
    }
    cr_assert_eq(seen, MESSAGES - 6);
    unsigned assignment = consumer_assignment(consumer);
    consumer_claim_again(consumer);
    cr_assert_gt(consumer_assignment(consumer), assignment);
    cr_assert_eq(consumer_fetch(consumer, &message, 1), 0);
    cr_assert_eq(wait_need(consumer), CONSUMER_NEEDS_CLAIM);
    leave(&consumer);
}

static atomic_bool answers;

static void
ask_what_hangs(struct question *q)
{
    (void)q;
    while (!atomic_load(&answers))
        poll(NULL, 0, 1);
}

/* librdkafka does not come back from a call: then the master should think so of the worker. */
Test(consume, a_question_that_takes_too_long_hangs)
{
    struct consumer *consumer = open_consumer(false);
    int64_t until_ms = clock_mono_ms() + LONG_MS;
    struct question *q = ask_new(consumer, ask_what_hangs, NULL);
    cr_assert_not_null(q);
    cr_assert_not(consumer_hangs(consumer, INT64_MAX / 2), "nothing is asked");
    cr_assert(ask_start(consumer, ASK_POSITIONS, q));
    while (jobs_busy_ms(consumer->asking[ASK_POSITIONS].jobs, clock_mono_ms()) == 0)
        cr_assert_lt(clock_mono_ms(), until_ms);
    int64_t now_ms = clock_mono_ms();
    cr_assert_not(consumer_hangs(consumer, now_ms + ASK_MS), "it may take so long");
    cr_assert(consumer_hangs(consumer, now_ms + 3 * ASK_MS));
    atomic_store(&answers, true);
    while (ask_answered(consumer, ASK_POSITIONS) == NULL)
        cr_assert_lt(clock_mono_ms(), until_ms);
    cr_assert_not(consumer_hangs(consumer, now_ms + 3 * ASK_MS));
    ask_end(consumer, ASK_POSITIONS);
    leave(&consumer);
}

/* The coordinator changes while it is asked where to begin. */
Test(consume, offsets_that_the_group_does_not_tell_are_asked_for_again)
{
    send_messages();
    rd_kafka_mock_push_request_errors(
        cluster, OFFSET_FETCH, 4, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    struct consumer *consumer = open_consumer(false);
    cr_assert_eq(count_messages(consumer), MESSAGES);
    leave(&consumer);
}

/* Of 1000 bytes or 100 messages, what is taken ten at a time. */
static unsigned
count_wakes(size_t queued, size_t bytes_each)
{
    struct wake wake = {.full_n = 100, .full_bytes = 1000};
    unsigned wakes = 0;
    while (queued > 0) {
        size_t n = queued < 10 ? queued : 10;
        queued -= n;
        wakes += wake_is_due(&wake, n, n * bytes_each, queued);
    }
    return wakes;
}

TestSuite(wake);

Test(wake, fetchers_are_woken_once_half_of_a_full_queue_is_taken)
{
    struct wake wake = {.full_n = 100, .full_bytes = 1000};
    cr_assert(!wake_is_due(&wake, 10, 10, 90));
    cr_assert(!wake_is_due(&wake, 30, 30, 60));
    cr_assert(wake_is_due(&wake, 10, 10, 50));
    cr_assert(!wake_is_due(&wake, 1, 1, 49), "it is on its way");
    cr_assert_geq(count_wakes(100, 1), 1u, "by their number");
    cr_assert_geq(count_wakes(20, 50), 1u, "by their bytes");
}

Test(wake, a_queue_that_was_never_full_wakes_nobody)
{
    struct wake wake = {.full_n = 100, .full_bytes = 1000};
    cr_assert_eq(count_wakes(20, 1), 0u);
    for (int i = 0; i < 1000; i++)
        cr_assert(!wake_is_due(&wake, 1, 1, 0), "one after the other");
    cr_assert(!wake_is_due(&wake, 0, 0, 0), "nothing");
}

Test(wake, a_careful_worker_s_queue_is_full_with_one)
{
    struct wake wake = {.full_n = 1, .full_bytes = 1000};
    cr_assert(wake_is_due(&wake, 1, 1, 0));
}
