/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c - what it costs to record a timing: recorder_time, and what the publish of its chunk
 * adds, beside a bare relaxed increment of a word in shared memory.
 *
 * The cases take turns, so that what else the machine does hits all of them; each prints the median
 * and the extremes of its rounds.  Durations are spread over 1 .. 100 ms (twenty buckets of six
 * octaves), as a store's would be, and drawn beforehand.
 *
 *   perf/bench/record [--rounds N] [--timings N] [--only CASE]
 *
 * With --only one case runs alone, once, without being timed: for counting its instructions.
 *
 * Process: one of its own.  Owner: main.  Concurrency: one thread.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/num.h"
#include "shm/ledger.h"
#include "shm/recorder.h"

enum { DURATIONS = 4096, MAX_ROUNDS = 1001 };

struct bench {
    struct segment segment;
    struct ledger *ledger;
    struct recorder *recorder;
    _Atomic uint64_t *word; /* in the segment; nobody else uses it */
    int64_t ns[DURATIONS];
    int64_t timings, rounds;
};

/* --- the cases --- */

static void
run_increment(struct bench *b)
{
    for (int64_t i = 0; i < b->timings; i++)
        atomic_fetch_add_explicit(b->word, 1, memory_order_relaxed);
}

/* What one writer alone may do in its place. */
static void
run_store(struct bench *b)
{
    for (int64_t i = 0; i < b->timings; i++)
        shm_store(b->word, shm_load(b->word) + 1);
}

static void
run_record_plain(struct bench *b)
{
    for (int64_t i = 0; i < b->timings; i++)
        recorder_time(b->recorder, STAT_DECODE, b->ns[i % DURATIONS], 1);
}

/* One function for all sizes of chunks, so that all run the same instructions. */
static __attribute__((noinline)) void
run_chunks(struct bench *b, int64_t chunk)
{
    for (int64_t i = 0; i < b->timings;) {
        for (int64_t end = i + chunk; i < end; i++)
            recorder_time(b->recorder, STAT_REQUEST, b->ns[i % DURATIONS], 1);
        recorder_publish(b->recorder);
    }
}

static void
run_record(struct bench *b)
{
    run_chunks(b, b->timings);
}

static void
run_chunks_of_1(struct bench *b)
{
    run_chunks(b, 1);
}

static void
run_chunks_of_16(struct bench *b)
{
    run_chunks(b, 16);
}

static void
run_chunks_of_512(struct bench *b)
{
    run_chunks(b, 512);
}

/* What was read from Kafka by one poll shares its stamp: 512 messages are one step. */
static void
run_weight(struct bench *b)
{
    for (int64_t i = 0; i < b->timings; i += 512) {
        recorder_time(b->recorder, STAT_REQUEST, b->ns[i / 512 % DURATIONS], 512);
        recorder_publish(b->recorder);
    }
}

static const struct {
    const char *name, *what;
    void (*run)(struct bench *);
} cases[] = {
    {"increment", "a relaxed atomic increment", run_increment},
    {"store", "a relaxed load and store of one writer", run_store},
    {"record", "recorder_time, with histogram", run_record},
    {"record-plain", "recorder_time, without histogram", run_record_plain},
    {"chunk-1", "... and publish after each", run_chunks_of_1},
    {"chunk-16", "... and publish after 16", run_chunks_of_16},
    {"chunk-512", "... and publish after 512", run_chunks_of_512},
    {"weight-512", "512 messages in one step, and publish", run_weight},
};

/* --- setting up --- */

/* Evenly spread by their logarithm; the same in every run. */
static void
draw_durations(struct bench *b)
{
    uint64_t state = 88172645463325252U; /* xorshift64 (G. Marsaglia) */
    for (size_t i = 0; i < DURATIONS; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        uint64_t octave = UINT64_C(1) << (20 + state % 7);
        b->ns[i] = (int64_t)(octave + (state >> 8) % octave);
    }
}

static int
open_bench(struct bench *b)
{
    struct errbuf err;
    if (segment_create_private(&b->segment, "perf", 1, 10000, &err) == -1) {
        fprintf(stderr, "perf/bench/record: %s\n", err.text);
        return -1;
    }
    b->ledger = ledger_new(&b->segment);
    if (b->ledger == NULL)
        return -1;
    ledger_assign(b->ledger, 1, "perf-0", "perf", 0);
    ledger_start(b->ledger, 1);
    b->recorder = recorder_new(&b->segment, 1);
    b->word = &segment_slot(&b->segment, 1)->periods[0].received;
    draw_durations(b);
    return b->recorder == NULL ? -1 : 0;
}

static void
close_bench(struct bench *b)
{
    recorder_free(&b->recorder);
    ledger_free(&b->ledger);
    segment_close(&b->segment);
}

/* --- timing --- */

static double
time_case(struct bench *b, size_t number)
{
    int64_t started = clock_mono_ns();
    cases[number].run(b);
    double ns = (double)(clock_mono_ns() - started) / (double)b->timings;
    recorder_publish(b->recorder); /* what is left of a case is not the next one's */
    return ns;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void
measure(struct bench *b)
{
    static double ns[COUNT_OF(cases)][MAX_ROUNDS];
    for (size_t c = 0; c < COUNT_OF(cases); c++)
        (void)time_case(b, c); /* once to warm up */
    for (int64_t round = 0; round < b->rounds; round++)
        for (size_t c = 0; c < COUNT_OF(cases); c++)
            ns[c][round] = time_case(b, c);
    printf("%-14s %-40s %8s %8s %8s %8s\n", "ns a timing", "", "median", "least", "most",
           "x incr.");
    double unit = 0;
    for (size_t c = 0; c < COUNT_OF(cases); c++) {
        qsort(ns[c], (size_t)b->rounds, sizeof(double), compare);
        double median = ns[c][b->rounds / 2];
        unit = c == 0 ? median : unit;
        printf("%-14s %-40s %8.2f %8.2f %8.2f %8.2f\n", cases[c].name, cases[c].what, median,
               ns[c][0], ns[c][b->rounds - 1], median / unit);
    }
    printf("medians of %lld rounds of %lld timings, the cases in turn; writers %s\n",
           (long long)b->rounds, (long long)b->timings,
           b->recorder->fence ? "fence: no membarrier here" : "do not fence");
}

static int
run_only(struct bench *b, const char *name)
{
    for (size_t c = 0; c < COUNT_OF(cases); c++)
        if (strcmp(cases[c].name, name) == 0) {
            cases[c].run(b);
            return 0;
        }
    fprintf(stderr, "perf/bench/record: no case %s\n", name);
    return -1;
}

static int
read_options(int argc, char **argv, struct bench *b, const char **only)
{
    static const struct option options[] = {{"rounds", required_argument, NULL, 'r'},
                                            {"timings", required_argument, NULL, 't'},
                                            {"only", required_argument, NULL, 'o'},
                                            {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'o')
            *only = optarg;
        else if ((c == 'r' && num_parse_int(optarg, 1, MAX_ROUNDS, &b->rounds) == 0) ||
                 (c == 't' && num_parse_int(optarg, 1, INT32_MAX, &b->timings) == 0))
            continue;
        else
            return -1;
    }
    b->timings = (b->timings + 511) / 512 * 512; /* whole chunks */
    return optind == argc ? 0 : -1;
}

int
main(int argc, char **argv)
{
    static struct bench bench = {.rounds = 21, .timings = 1 << 20};
    const char *only = NULL;
    int result = 0;
    if (read_options(argc, argv, &bench, &only) == -1) {
        fprintf(stderr, "usage: perf/bench/record [--rounds N] [--timings N] [--only CASE]\n");
        return 2;
    }
    if (open_bench(&bench) == -1)
        return 1;
    if (only != NULL)
        result = run_only(&bench, only);
    else
        measure(&bench);
    close_bench(&bench);
    return result == 0 ? 0 : 1;
}
