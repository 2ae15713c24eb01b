/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.c - whole workers in one process, in simulated time, each run from a seed: Kafka, the stores,
 * the dead letters, the signals, memory and the clock are simulated, all else is the product.
 *
 * usage: tests/sim/sim [--seeds N] [--from SEED] [--seed SEED] [--verbose]
 *
 * Process: its own.  Owner: main.  Concurrency: one thread.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/num.h"
#include "tests/sim/group.h"
#include "tests/sim/master.h"
#include "tests/sim/promise.h"
#include "tests/sim/topic.h"

enum {
    SEEDS = 1000,
    DRAIN_S = 240, /* when nothing goes wrong any more, all is done by then */
    REAL_S = 20    /* a seed takes milliseconds */
};

static const char configuration[] = "[influxdb]\nip_address = db\n";

static struct config *
load_configuration(void)
{
    struct errbuf err;
    char path[64];
    int fd = memfd_create("cfg", MFD_CLOEXEC);
    if (fd == -1 || write(fd, configuration, strlen(configuration)) == -1)
        exit(2);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct config *cfg = cfg_load(path, NULL, &err);
    close(fd);
    if (cfg == NULL) {
        fprintf(stderr, "sim: %s\n", err.text);
        exit(2);
    }
    return cfg;
}

/* An assert, a wild pointer, or a loop without a sleep. */
static void
on_signal(int number)
{
    world_fail("signal %d", number);
}

#ifdef FIBER_WATCH_ADDRESSES
static void
on_report(void)
{
    world_fail("the address sanitizer's report is above");
}
#endif

static void
catch_signals(void)
{
    signal(SIGABRT, on_signal);
    signal(SIGALRM, on_signal);
#ifdef FIBER_WATCH_ADDRESSES
    __sanitizer_set_death_callback(on_report);
#else
    signal(SIGSEGV, on_signal);
    signal(SIGBUS, on_signal);
    signal(SIGFPE, on_signal);
#endif
}

/* Whatever is next: something happens, or a worker makes a step. */
static void
go_on(void)
{
    int64_t life_ns = INT64_MAX, event_ns = world_next_ns();
    struct life *next = life_next(&life_ns);
    if (next == NULL || event_ns < life_ns || (event_ns == life_ns && world_one_in(2))) {
        world_step();
        return;
    }
    world.now_ns = life_ns > world.now_ns ? life_ns : world.now_ns;
    life_step(next);
    if (next->doomed && !next->ended) {
        master_note_killer(next);
    } else if (next->ended) {
        life_bury(next);
        master_note_end(next);
    }
}

static void
play(uint64_t seed, struct config *cfg)
{
    world_begin(seed, cfg);
    topic_begin();
    group_begin();
    life_begin();
    services_begin();
    master_begin();
    while (world.now_ns < world.plan.calm_ns)
        go_on();
    master_calm();
    int64_t until_ns = world.now_ns + DRAIN_S * SECOND;
    while (!promise_all_done()) {
        PROMISE(world.now_ns < until_ns, "all is well for %d s, and not all is stored", DRAIN_S);
        go_on();
    }
    world_tell("all is stored");
    master_stop_all();
    while (life_all()[0] != NULL)
        go_on();
    promise_check_all();
    life_end_all();
    world_end();
}

struct options {
    int64_t from, seeds;
};

static void
usage(void)
{
    fputs("usage: sim [--seeds N] [--from SEED] [--seed SEED] [--verbose]\n", stderr);
    exit(2);
}

static int64_t
number_of(const char *text)
{
    int64_t number = 0;
    if (text == NULL || num_parse_int(text, 0, INT64_MAX, &number) == -1)
        usage();
    return number;
}

static struct options
parse(char **argv)
{
    struct options o = {.from = 1, .seeds = SEEDS};
    for (int i = 1; argv[i] != NULL; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            world_verbose = true;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            o.seeds = number_of(argv[++i]);
        } else if (strcmp(argv[i], "--from") == 0) {
            o.from = number_of(argv[++i]);
        } else if (strcmp(argv[i], "--seed") == 0) {
            o.from = number_of(argv[++i]);
            o.seeds = 1;
        } else {
            usage();
        }
    }
    return o;
}

int
main(int argc, char **argv)
{
    (void)argc;
    struct options o = parse(argv);
    struct config *cfg = load_configuration();
    life_set_up();
    catch_signals();
    for (int64_t seed = o.from; seed < o.from + o.seeds; seed++) {
        alarm(REAL_S);
        play((uint64_t)seed, cfg);
    }
    printf("%lld seeds: every promise is kept\n", (long long)o.seeds);
    return 0;
}
