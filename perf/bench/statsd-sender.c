/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statsd_sender.c - the master's CPU for sender the figures by StatsD, per interval of 10 s, by the
 * number of workers and of messages.
 *
 *   perf/bench/statsd-sender [INTERVALS]
 *
 * The master's own code on a segment of its own, with a simulated clock that goes from one wake-up
 * to the next; the packets go through a real socket to a child that reads them.  A turn of the loop
 * is counted with ledger_turn, which the real loop does as well whenever it wakes.
 *
 * Process: a tool.  Owner: everything lives until the end.  Concurrency: one thread, one child.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/num.h"
#include "master/statsd_sender.h"
#include "shm/ledger.h"

enum { PERIOD_MS = 10000, MAX_WORKERS = 256, DEFAULT_INTERVALS = 50 };

struct bench {
    struct segment segment;
    struct ledger *ledger;
    struct shm_reader *reader;
    struct statsd_sender *sender;
    struct recorder *workers[MAX_WORKERS];
    unsigned n;
    int64_t now_ms;
    int64_t close_ns, build_ns, send_ns; /* CPU */
    uint64_t wakes;
};

static void
die(const char *what)
{
    fprintf(stderr, "perf/bench/statsd-sender: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t
cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A child that reads packets until it is killed. Returns: its pid. */
static pid_t
start_receiver(uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(a);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd == -1 || bind(fd, (struct sockaddr *)&a, size) == -1 ||
        getsockname(fd, (struct sockaddr *)&a, &size) == -1)
        die("receiver");
    *port = ntohs(a.sin_port);
    pid_t pid = fork();
    if (pid == 0) {
        char bytes[65536];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (recv(fd, bytes, sizeof(bytes), 0) != -1)
            ;
        _exit(0);
    }
    close(fd);
    return pid;
}

static void
open_bench(struct bench *b, unsigned n, uint16_t port)
{
    struct errbuf err = {.text = ""};
    *b = (struct bench){.n = n};
    if (segment_create_private(&b->segment, "bench", 2 * n, PERIOD_MS, &err) == -1)
        die(err.text);
    b->ledger = ledger_new(&b->segment);
    b->reader = segment_reader(&b->segment);
    b->now_ms = b->segment.header->started_mono_ms;
    struct statsd_sender_options options = {.instance = "bench",
                                      .host = "127.0.0.1",
                                      .port = port,
                                      .prefix = "monasca.persister.",
                                      .dimensions = "",
                                      .per_process = true,
                                      .max_packet_bytes = 1400,
                                      .period_ms = PERIOD_MS,
                                      .periods_an_interval = 1,
                                      .window_ms = 2 * PERIOD_MS};
    if (b->ledger == NULL || b->reader == NULL)
        die("segment");
    b->sender = statsd_sender_new(&options, b->reader, ledger_recorder(b->ledger), &err);
    if (b->sender == NULL)
        die(err.text);
    for (unsigned i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof(name), "metrics-%u", i);
        ledger_assign(b->ledger, i + 1, name, "metrics", i);
        ledger_start(b->ledger, i + 1);
        ledger_started(b->ledger, i + 1, 4711);
        b->workers[i] = recorder_new(&b->segment, i + 1);
        if (b->workers[i] == NULL)
            die("recorder");
    }
}

static void
close_bench(struct bench *b)
{
    for (unsigned i = 0; i < b->n; i++)
        recorder_free(&b->workers[i]);
    statsd_sender_free(&b->sender);
    shm_reader_close(&b->reader);
    ledger_free(&b->ledger);
    segment_close(&b->segment);
}

/* What the workers do in an interval; not counted. */
static void
work(struct bench *b, unsigned messages)
{
    for (unsigned i = 0; i < b->n; i++) {
        struct recorder *r = b->workers[i];
        recorder_add(r, STAT_RECEIVED, messages);
        recorder_add(r, STAT_COMPLETED, messages);
        for (unsigned k = 0; k < messages; k++) {
            recorder_time(r, STAT_REQUEST, 1000 * (int64_t)(k + 1), 1);
            recorder_time(r, STAT_DELAY, 5000 * (int64_t)(k + 1), 1);
        }
        recorder_time(r, STAT_WRITE, 7000000, 1);
        recorder_publish(r);
    }
}

static void
run_interval(struct bench *b, unsigned messages)
{
    int64_t until_ms = b->now_ms + PERIOD_MS, due_ms, started = cpu_ns();
    while ((due_ms = statsd_sender_due_ms(b->sender)) < until_ms) {
        b->now_ms = due_ms > b->now_ms ? due_ms : b->now_ms;
        ledger_turn(b->ledger);
        statsd_sender_turn(b->sender, b->now_ms);
        b->wakes++;
    }
    b->send_ns += cpu_ns() - started;
    b->now_ms = until_ms;
    work(b, messages);
    started = cpu_ns();
    ledger_close_period(b->ledger, b->now_ms);
    int64_t closed = cpu_ns();
    statsd_sender_note_period(b->sender, b->now_ms);
    b->build_ns += cpu_ns() - closed;
    b->close_ns += closed - started;
}

static uint64_t
own_figure(const struct bench *b, enum stat_value value)
{
    return ledger_recorder(b->ledger)->words[SHM_WORD_VALUES + value];
}

static void
measure(unsigned workers, unsigned messages, unsigned intervals, uint16_t port)
{
    static struct bench b;
    open_bench(&b, workers, port);
    statsd_sender_start(b.sender, b.now_ms);
    for (unsigned i = 0; i < 3; i++) /* until all memory is there */
        run_interval(&b, messages);
    uint64_t packets = own_figure(&b, STAT_STATSD_PACKETS),
             lines = own_figure(&b, STAT_STATSD_LINES);
    b.close_ns = b.build_ns = b.send_ns = 0;
    b.wakes = 0;
    for (unsigned i = 0; i < intervals; i++)
        run_interval(&b, messages);
    packets = own_figure(&b, STAT_STATSD_PACKETS) - packets;
    lines = own_figure(&b, STAT_STATSD_LINES) - lines;
    double n = intervals, statsd_sender_us = (double)(b.build_ns + b.send_ns) / n / 1000;
    printf("%7u %10u %7.0f %8.0f %6.0f %9.0f %9.0f %9.0f %11.4f %%\n", workers, messages,
           (double)lines / n, (double)packets / n, (double)b.wakes / n,
           (double)b.close_ns / n / 1000, (double)b.build_ns / n / 1000,
           (double)b.send_ns / n / 1000, statsd_sender_us / (PERIOD_MS * 1000.0) * 100);
    close_bench(&b);
}

int
main(int argc, char **argv)
{
    static const unsigned workers[] = {1, 16, 256}, messages[] = {1, 10000};
    int64_t intervals = DEFAULT_INTERVALS;
    uint16_t port;
    if (argc > 2 || (argc == 2 && num_parse_int(argv[1], 1, 100000, &intervals) == -1)) {
        fprintf(stderr, "usage: perf/bench/statsd-sender [INTERVALS]\n");
        return 2;
    }
    pid_t receiver = start_receiver(&port);
    printf(
        "CPU of the master in us per interval of %d s, over %lld intervals\n"
        "workers messages/w   lines  packets  wakes   closing   writing   sending   of one core\n",
        PERIOD_MS / 1000, (long long)intervals);
    for (size_t i = 0; i < COUNT_OF(workers); i++)
        for (size_t k = 0; k < COUNT_OF(messages); k++)
            measure(workers[i], messages[k], (unsigned)intervals, port);
    kill(receiver, SIGKILL);
    waitpid(receiver, NULL, 0);
    return 0;
}
