/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.c - what it costs to look: snapshot_take, and the master's ledger_close_period, by slots
 * in use; and how large the segment is for them.
 *
 *   perf/bench/snapshot [--rounds N] [SLOTS ...]       default: 1 16 256
 *   perf/bench/snapshot --hold SECONDS DIRECTORY INSTANCE SLOTS
 *
 * The second form keeps a segment alive for a reader to be measured at: each slot publishes ten
 * times a second, a period lasts a second.
 *
 * All slots are written by this one process, which a worker's slot never is by the master; for what
 * is measured here, copying and adding, that makes no difference.
 *
 * Process: one of its own.  Owner: main.  Concurrency: one thread.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/num.h"
#include "shm/ledger.h"
#include "shm/recorder.h"

enum { MAX_SLOTS = 1024, MAX_ROUNDS = 1001, CHUNK = 16 };

struct bench {
    struct segment segment;
    struct ledger *ledger;
    struct shm_reader *reader;
    struct recorder *recorders[MAX_SLOTS + 1];
    int64_t slots, rounds, hold_s, now_ms;
    const char *directory, *instance;
    uint64_t random;
};

/* --- a segment with workers --- */

static int
make_segment(struct bench *b, struct errbuf *err)
{
    if (b->directory != NULL)
        return segment_create(&b->segment, b->directory, b->instance, (unsigned)b->slots, 1000,
                              err);
    return segment_create_private(&b->segment, "perf", (unsigned)b->slots, 1000, err);
}

static int
start_workers(struct bench *b)
{
    for (unsigned i = 1; i <= b->slots; i++) {
        char name[32];
        snprintf(name, sizeof(name), "metrics-%u", i - 1);
        ledger_assign(b->ledger, i, name, "metrics", i - 1);
        ledger_start(b->ledger, i);
        ledger_started(b->ledger, i, getpid());
        b->recorders[i] = recorder_new(&b->segment, i);
        if (b->recorders[i] == NULL)
            return -1;
        recorder_set_state(b->recorders[i], SLOT_CONSUMING);
    }
    ledger_set_master(b->ledger, MASTER_RUNNING);
    return 0;
}

static int
open_bench(struct bench *b)
{
    struct errbuf err;
    if (make_segment(b, &err) == -1) {
        fprintf(stderr, "perf/bench/snapshot: %s\n", err.text);
        return -1;
    }
    b->now_ms = clock_mono_ms();
    b->ledger = ledger_new(&b->segment);
    b->reader = segment_reader(&b->segment);
    if (b->ledger != NULL && b->reader != NULL && start_workers(b) == 0)
        return 0;
    fprintf(stderr, "perf/bench/snapshot: out of memory\n");
    return -1;
}

static void
close_bench(struct bench *b)
{
    for (unsigned i = 1; i <= b->slots; i++)
        recorder_free(&b->recorders[i]);
    shm_reader_close(&b->reader);
    ledger_free(&b->ledger);
    segment_close(&b->segment);
}

static int64_t
draw_ns(struct bench *b)
{
    b->random ^= b->random << 13; /* xorshift64 (G. Marsaglia) */
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return (int64_t)(b->random & 0x3ffffff); /* up to 67 ms */
}

/* A chunk of messages for every worker. */
static void
publish_all(struct bench *b)
{
    for (unsigned i = 1; i <= b->slots; i++) {
        struct recorder *r = b->recorders[i];
        recorder_add(r, STAT_RECEIVED, CHUNK);
        recorder_add(r, STAT_COMPLETED, CHUNK);
        for (unsigned m = 0; m < CHUNK; m++) {
            recorder_time(r, STAT_REQUEST, draw_ns(b), 1);
            recorder_time(r, STAT_DELAY, draw_ns(b), 1);
        }
        recorder_time(r, STAT_WRITE, draw_ns(b), 1);
        recorder_publish(r);
        recorder_beat(r);
    }
}

/* --- timing --- */

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void
show(const struct bench *b, const char *what, double *us)
{
    qsort(us, (size_t)b->rounds, sizeof(us[0]), compare);
    printf("%6lld  %-20s %10.1f %10.1f %10.1f %10.0f\n", (long long)b->slots, what,
           us[b->rounds / 2], us[0], us[b->rounds - 1],
           us[b->rounds / 2] * 1000 / (double)b->slots);
}

/* Between any two looks all workers have published, so nothing is in the cache by luck. */
static int
measure(struct bench *b)
{
    static double take_us[MAX_ROUNDS], close_us[MAX_ROUNDS];
    struct snapshot snapshot = {.n_processes = 0};
    struct errbuf err;
    for (int64_t round = -3; round < b->rounds; round++) { /* the first three warm up */
        publish_all(b);
        int64_t started = clock_mono_ns();
        if (snapshot_take(b->reader, &snapshot, &err) == -1) {
            fprintf(stderr, "perf/bench/snapshot: %s\n", err.text);
            return -1;
        }
        int64_t taken = clock_mono_ns();
        ledger_close_period(b->ledger, b->now_ms += 1000);
        int64_t closed = clock_mono_ns();
        if (round >= 0) {
            take_us[round] = (double)(taken - started) / 1000;
            close_us[round] = (double)(closed - taken) / 1000;
        }
        /* What was measured was the real thing. */
        uint64_t wanted = (uint64_t)((round + 4) * b->slots * CHUNK);
        if (snapshot.totals.values[STAT_RECEIVED] != wanted) {
            fprintf(stderr, "perf/bench/snapshot: the snapshot does not hold what was recorded\n");
            return -1;
        }
    }
    show(b, "snapshot_take", take_us);
    show(b, "ledger_close_period", close_us);
    printf("%6lld  %-20s %10zu bytes, %.0f a slot\n", (long long)b->slots, "the segment",
           b->segment.bytes, (double)b->segment.bytes / (double)b->slots);
    snapshot_free(&snapshot);
    return 0;
}

static int
measure_slots(struct bench *b, int64_t slots)
{
    b->slots = slots;
    int result = open_bench(b);
    if (result == 0)
        result = measure(b);
    close_bench(b);
    return result;
}

static int
hold(struct bench *b)
{
    if (open_bench(b) == -1)
        return -1;
    printf("%s\n", b->segment.path);
    fflush(stdout);
    for (int64_t tenth = 0; tenth < b->hold_s * 10; tenth++) {
        publish_all(b);
        ledger_turn(b->ledger);
        if (tenth % 10 == 9)
            ledger_close_period(b->ledger, clock_mono_ms());
        (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    ledger_set_master(b->ledger, MASTER_STOPPED);
    close_bench(b);
    return 0;
}

/* --- options --- */

static int
read_options(int argc, char **argv, struct bench *b)
{
    static const struct option options[] = {{"rounds", required_argument, NULL, 'r'},
                                            {"hold", required_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!(c == 'r' && num_parse_int(optarg, 1, MAX_ROUNDS, &b->rounds) == 0) &&
            !(c == 'h' && num_parse_int(optarg, 1, 86400, &b->hold_s) == 0))
            return -1;
    if (b->hold_s == 0)
        return 0;
    if (optind + 3 != argc || num_parse_int(argv[optind + 2], 1, MAX_SLOTS, &b->slots) == -1)
        return -1;
    b->directory = argv[optind];
    b->instance = argv[optind + 1];
    return 0;
}

int
main(int argc, char **argv)
{
    static struct bench bench = {.rounds = 101, .random = 88172645463325252U};
    static const char *const defaults[] = {"1", "16", "256"};
    if (read_options(argc, argv, &bench) == -1) {
        fprintf(stderr, "usage: perf/bench/snapshot [--rounds N] [SLOTS ...]\n"
                        "       perf/bench/snapshot --hold SECONDS DIRECTORY INSTANCE SLOTS\n");
        return 2;
    }
    if (bench.hold_s > 0)
        return hold(&bench) == 0 ? 0 : 1;
    int n = optind < argc ? argc - optind : (int)COUNT_OF(defaults);
    printf("%6s  %-20s %10s %10s %10s %10s\n", "slots", "us", "median", "least", "most",
           "ns a slot");
    for (int i = 0; i < n; i++) {
        const char *text = optind < argc ? argv[optind + i] : defaults[i];
        int64_t slots;
        if (num_parse_int(text, 1, MAX_SLOTS, &slots) == -1) {
            fprintf(stderr, "perf/bench/snapshot: %s: not 1 to %d slots\n", text, MAX_SLOTS);
            return 2;
        }
        if (measure_slots(&bench, slots) == -1)
            return 1;
    }
    printf("%lld rounds; every slot has published between any two\n", (long long)bench.rounds);
    return 0;
}
