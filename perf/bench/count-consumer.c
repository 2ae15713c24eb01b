/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count-consumer.c - the least a Kafka consumer can do: librdkafka, from the earliest message on,
 * counting and nothing else.  What the persister costs is measured against it.
 *
 * Process: one of its own.  Owner: main.  Concurrency: one thread, besides librdkafka's own.
 */
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/num.h"

struct counter {
    const char *brokers, *topic, *group;
    int64_t messages; /* to stop after; -1: no limit */
    int64_t idle_s;   /* to stop after so long without a message */
    uint64_t count, bytes, errors;
    int64_t first_ms, last_ms; /* of a message; 0: none yet */
};

static volatile sig_atomic_t stop_asked;

static void
on_signal(int number)
{
    (void)number;
    stop_asked = 1;
}

static rd_kafka_t *
open_consumer(const struct counter *c)
{
    char group[64], text[512];
    snprintf(group, sizeof(group), "count-consumer-%ld", (long)getpid());
    const char *settings[][2] = {{"bootstrap.servers", c->brokers},
                                 {"group.id", c->group != NULL ? c->group : group},
                                 {"auto.offset.reset", "earliest"},
                                 {"enable.auto.commit", "false"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < COUNT_OF(settings); i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof(text)) !=
            RD_KAFKA_CONF_OK) {
            fprintf(stderr, "count-consumer: %s\n", text);
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (rk == NULL) {
        fprintf(stderr, "count-consumer: %s\n", text);
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_poll_set_consumer(rk);
    return rk;
}

static int
subscribe(rd_kafka_t *rk, const char *topic)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t error = rd_kafka_subscribe(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    fprintf(stderr, "count-consumer: %s\n", rd_kafka_err2str(error));
    return -1;
}

static void
count_message(struct counter *c, const rd_kafka_message_t *message)
{
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (c->errors++ == 0)
            fprintf(stderr, "count-consumer: %s\n", rd_kafka_message_errstr(message));
        return;
    }
    c->count++;
    c->bytes += message->len;
}

static void
consume(struct counter *c, rd_kafka_t *rk)
{
    int64_t idle_since = clock_mono_ms();
    while (!stop_asked && (c->messages < 0 || c->count < (uint64_t)c->messages)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
        if (message == NULL) {
            if (clock_mono_ms() - idle_since >= c->idle_s * 1000)
                break;
            continue;
        }
        count_message(c, message);
        rd_kafka_message_destroy(message);
        /* The clock is read only now and then: it is what we measure with, not what we measure. */
        if (c->first_ms == 0 || c->count % 256 == 0)
            idle_since = clock_mono_ms();
        if (c->first_ms == 0)
            c->first_ms = idle_since;
    }
    c->last_ms = clock_mono_ms();
}

static double
cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
report(const struct counter *c)
{
    double cpu = cpu_seconds(), million = (double)c->count / 1e6;
    printf("{\"count\": %llu, \"bytes\": %llu, \"errors\": %llu, \"wall_seconds\": %.3f, "
           "\"cpu_seconds\": %.3f, \"cpu_seconds_per_million\": %.3f}\n",
           (unsigned long long)c->count, (unsigned long long)c->bytes,
           (unsigned long long)c->errors,
           c->first_ms == 0 ? 0.0 : (double)(c->last_ms - c->first_ms) / 1000, cpu,
           c->count == 0 ? 0.0 : cpu / million);
}

static void
usage(FILE *out)
{
    fputs(
        "count-consumer --brokers LIST --topic NAME [options]: counts a topic's messages\n"
        "  --group NAME        (one of its own)\n"
        "  --messages N        stop after so many (no limit)\n"
        "  --idle-seconds S    stop after so long without a message (5)\n"
        "Ends with a JSON line; CPU is the whole process's, from its start. Exit code 1 if fewer\n"
        "than N came.\n",
        out);
}

static int
parse_options(struct counter *c, int argc, char **argv)
{
    static const struct option options[] = {{"brokers", required_argument, NULL, 'b'},
                                            {"topic", required_argument, NULL, 't'},
                                            {"group", required_argument, NULL, 'g'},
                                            {"messages", required_argument, NULL, 'n'},
                                            {"idle-seconds", required_argument, NULL, 'i'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option, result = 0;
    while (result == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'b')
            c->brokers = optarg;
        else if (option == 't')
            c->topic = optarg;
        else if (option == 'g')
            c->group = optarg;
        else if (option == 'n')
            result = num_parse_int(optarg, 1, INT64_MAX, &c->messages);
        else if (option == 'i')
            result = num_parse_int(optarg, 1, 86400, &c->idle_s);
        else if (option == 'h')
            return 1;
        else
            result = -1;
    }
    return optind != argc || c->brokers == NULL || c->topic == NULL ? -1 : result;
}

int
main(int argc, char **argv)
{
    struct counter c = {.messages = -1, .idle_s = 5};
    int parsed = parse_options(&c, argc, argv);
    if (parsed != 0) {
        usage(parsed == 1 ? stdout : stderr);
        return parsed == 1 ? 0 : 2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    rd_kafka_t *rk = open_consumer(&c);
    if (rk == NULL)
        return 1;
    if (subscribe(rk, c.topic) == -1) {
        rd_kafka_destroy(rk);
        return 1;
    }
    consume(&c, rk);
    report(&c);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return c.messages >= 0 && c.count < (uint64_t)c.messages ? 1 : 0;
}
