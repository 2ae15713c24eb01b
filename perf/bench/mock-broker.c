/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mock-broker.c - librdkafka's mock Kafka cluster in a process of its own, for the demo and for
 * tests that need no real one.
 *
 * Prints its bootstrap servers, one line, once it takes connections.  Ends on TERM or INT, when its
 * parent dies, and, if standard input is a pipe, when that is closed.  Each partition keeps the
 * last 5 MB or 100,000 messages (librdkafka 2.0): feed it slowly.
 *
 * Process: one of its own.  Owner: main.  Concurrency: main waits; the cluster is served by
 * librdkafka's threads.
 */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/num.h"
#include "perf/stop.h"

static const volatile sig_atomic_t *stop_asked;

/* Takes TERM and INT only inside ppoll, so that none is missed. */
static void
catch_signals(sigset_t *during_wait)
{
    sigset_t block;
    sigemptyset(&block);
    sigaddset(&block, SIGTERM);
    sigaddset(&block, SIGINT);
    sigprocmask(SIG_BLOCK, &block, during_wait);
    sigdelset(during_wait, SIGTERM);
    sigdelset(during_wait, SIGINT);
    stop_asked = stop_on_signals();
}

/* "NAME:PARTITIONS" */
static int
create_topic(rd_kafka_mock_cluster_t *cluster, char *argument)
{
    char *colon = strrchr(argument, ':');
    int64_t partitions;
    if (colon == NULL || num_parse_int(colon + 1, 1, 1000, &partitions) == -1) {
        fprintf(stderr, "mock-broker: '%s' is not NAME:PARTITIONS\n", argument);
        return -1;
    }
    *colon = '\0';
    rd_kafka_resp_err_t error = rd_kafka_mock_topic_create(cluster, argument, (int)partitions, 1);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    fprintf(stderr, "mock-broker: topic %s: %s\n", argument, rd_kafka_err2str(error));
    return -1;
}

static void
wait_for_end(const sigset_t *mask)
{
    struct stat input;
    bool watch =
        fstat(STDIN_FILENO, &input) == 0 && (S_ISFIFO(input.st_mode) || S_ISSOCK(input.st_mode));
    struct pollfd fd = {.fd = watch ? STDIN_FILENO : -1, .events = POLLIN};
    char ignored[256];
    while (!*stop_asked) {
        int n = ppoll(&fd, 1, NULL, mask);
        if (n == -1 && errno != EINTR)
            return;
        if (n == 1 && read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0)
            return;
    }
}

static int
run(rd_kafka_t *rk, int argc, char **argv, const sigset_t *mask)
{
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, 1);
    if (cluster == NULL) {
        fprintf(stderr, "mock-broker: the cluster cannot be made\n");
        return 1;
    }
    int failed = 0;
    for (int i = 1; i < argc && !failed; i++)
        failed = create_topic(cluster, argv[i]) == -1;
    if (!failed) {
        printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
        fflush(stdout);
        wait_for_end(mask);
    }
    rd_kafka_mock_cluster_destroy(cluster);
    return failed;
}

int
main(int argc, char **argv)
{
    char text[512];
    sigset_t mask;
    if (argc < 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: mock-broker NAME:PARTITIONS ...\n");
        return 2;
    }
    pid_t parent = getppid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        return 1;
    catch_signals(&mask); /* before librdkafka starts threads, which inherit the mask */
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "log_level", "3", NULL,
                            0); /* it notices that it has no brokers */
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (rk == NULL) {
        fprintf(stderr, "mock-broker: %s\n", text);
        rd_kafka_conf_destroy(conf);
        return 1;
    }
    int code = run(rk, argc, argv, &mask);
    rd_kafka_destroy(rk);
    return code;
}
