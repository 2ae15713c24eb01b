/* SPDX-License-Identifier: Apache-2.0 */
/* world.c - see world.h. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/life.h"

enum { EVENTS_MAX = 8192, ARENA_BYTES = 8 << 20, START_S = 1000 };

struct event {
    int64_t at_ns;
    uint64_t number; /* of those at one time the first comes first */
    const struct life *whose;
    world_deed *deed;
    void *arg;
    int64_t argument;
};

struct world world;
bool world_verbose;

static struct event events[EVENTS_MAX]; /* a heap */
static size_t n_events;
static uint64_t n_made, state;
static _Alignas(64) char arena[ARENA_BYTES];
static size_t arena_used;

/* --- draws --- */

/* splitmix64 (S. Vigna, public domain). */
uint64_t
world_draw(void)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int64_t
world_between(int64_t low, int64_t high)
{
    return low + (int64_t)(world_draw() % (uint64_t)(high - low + 1));
}

bool
world_one_in(unsigned n)
{
    return world_draw() % n == 0;
}

bool
world_chance(enum chance chance)
{
    unsigned of_1000 = world.plan.chance[chance];
    return of_1000 > 0 && !world.calm && world_draw() % 1000 < of_1000;
}

bool
world_has(enum fault fault)
{
    return !world.calm && world.now_ns < world.sick_until_ns[fault];
}

int64_t
world_latency(enum chance slow)
{
    if (slow == CHANCE_STORE_SLOW && world_has(FAULT_STORE_SLOW))
        return world_between(100, 20000) * MS;
    if (slow != CHANCES && world_chance(slow))
        return world_between(1, 15000) * MS;
    return world_between(0, world.plan.latency_ms * 1000) * 1000;
}

/* --- the plan --- */

/* Half of all faults do not come at all with a seed: what is rare together is seen alone, too. */
static unsigned
draw_rate(unsigned most)
{
    return world_one_in(2) ? 0 : (unsigned)world_between(1, most);
}

static void
draw_chances(struct plan *p)
{
    static const unsigned most[CHANCES] = {
        [CHANCE_STORE_SICK] = 300,     [CHANCE_STORE_LOST] = 300,    [CHANCE_STORE_PARTIAL] = 300,
        [CHANCE_STORE_SLOW] = 200,     [CHANCE_STORE_FENCED] = 50,   [CHANCE_LETTERS_SICK] = 400,
        [CHANCE_LETTERS_SLOW] = 300,   [CHANCE_COMMIT_REFUSED] = 300, [CHANCE_COMMIT_LOST] = 200,
        [CHANCE_GROUP_SLOW] = 100,     [CHANCE_BAD_ROW] = 300,       [CHANCE_BAD_ADD] = 100,
        [CHANCE_HOSTILE] = 200,        [CHANCE_UNREADABLE] = 150,    [CHANCE_GAP] = 100,
        [CHANCE_KILLER] = 5,
        [CHANCE_NO_MEMORY] = 300,      [CHANCE_OPEN_FAILS] = 100,    [CHANCE_CLIENT_FATAL] = 30};
    for (int c = 0; c < CHANCES; c++)
        p->chance[c] = draw_rate(most[c]);
    for (int f = 0; f < FAULTS; f++)
        p->weights += p->weight[f] = draw_rate(10);
}

static void
draw_plan(uint64_t seed)
{
    static const int64_t latencies[] = {0, 1, 20, 300, 2000};
    struct plan *p = &world.plan;
    *p = (struct plan){.seed = seed, .transactional = world_one_in(2)};
    p->partitions = (unsigned)world_between(1, PARTITIONS_MAX);
    p->slots = (unsigned)world_between(1, SLOTS_MAX);
    p->messages = (unsigned)world_between(1, 1 + world_between(0, 200));
    p->row_bytes = world_one_in(3) ? 4 << 20 : 100;
    p->batch_bytes = world_one_in(3) ? (size_t)world_between(100, 4000) : 16 << 20;
    int64_t seconds = world_between(1, 1 + world_between(0, 60));
    p->calm_ns = world.now_ns + seconds * SECOND;
    p->fault_every_ms = world_between(100, 10000);
    p->burst_every_ms = world_between(1, 1 + seconds * 40);
    p->latency_ms = latencies[world_between(0, COUNT_OF(latencies) - 1)];
    draw_chances(p);
}

static void
draw_configuration(struct config *cfg)
{
    struct cfg_topic *topic = &cfg->topic[TOPIC_METRICS];
    topic->batch_size = world_between(1, 1 + world_between(0, 20));
    topic->max_wait_time_seconds = world_one_in(2) ? 1 : world_between(1, 30);
    cfg->persister.batches_in_flight = world_between(1, 4);
    cfg->persister.shutdown_timeout_seconds = world_between(1, 15);
    cfg->persister.max_message_bytes = 1024;
    cfg->persister.memory_limit_mb = 64;
    cfg->metrics_driver = world.plan.transactional ? DRIVER_POSTGRESQL : DRIVER_INFLUXDB;
}

void
world_begin(uint64_t seed, struct config *cfg)
{
    state = seed * 0x9e3779b97f4a7c15u;
    n_made = 0;
    world = (struct world){.cfg = cfg, .now_ns = START_S * SECOND};
    draw_plan(seed);
    draw_configuration(cfg);
}

void
world_end(void)
{
    n_events = 0;
    memset(arena, 0, arena_used);
    arena_used = 0;
}

/* --- events --- */

static bool
comes_before(const struct event *a, const struct event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->number < b->number;
}

static void
sift_down(size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < n_events && comes_before(&events[child], &events[least]))
                least = child;
        if (least == at)
            return;
        struct event e = events[at];
        events[at] = events[least];
        events[least] = e;
        at = least;
    }
}

void
world_at(int64_t at_ns, const struct life *whose, world_deed *deed, void *arg, int64_t number)
{
    assert(n_events < EVENTS_MAX);
    struct event e = {.at_ns = at_ns < world.now_ns ? world.now_ns : at_ns,
                      .number = n_made++,
                      .whose = whose,
                      .deed = deed,
                      .arg = arg,
                      .argument = number};
    size_t at = n_events++;
    for (; at > 0 && comes_before(&e, &events[(at - 1) / 2]); at = (at - 1) / 2)
        events[at] = events[(at - 1) / 2];
    events[at] = e;
}

static void
forget(const void *arg, const struct life *whose)
{
    size_t left = 0;
    for (size_t i = 0; i < n_events; i++)
        if ((arg == NULL || events[i].arg != arg) && (whose == NULL || events[i].whose != whose))
            events[left++] = events[i];
    if (left == n_events)
        return;
    n_events = left;
    for (size_t i = n_events / 2; i-- > 0;)
        sift_down(i);
}

void
world_cancel(const void *arg)
{
    forget(arg, NULL);
}

void
world_cancel_of(const struct life *whose)
{
    forget(NULL, whose);
}

int64_t
world_next_ns(void)
{
    return n_events > 0 ? events[0].at_ns : INT64_MAX;
}

void
world_step(void)
{
    assert(n_events > 0);
    struct event e = events[0];
    events[0] = events[--n_events];
    sift_down(0);
    if (e.at_ns > world.now_ns)
        world.now_ns = e.at_ns;
    e.deed(e.arg, e.argument);
}

void *
world_alloc(size_t bytes)
{
    bytes = (bytes + 15) & ~(size_t)15;
    if (bytes > ARENA_BYTES - arena_used)
        world_fail("the simulation itself needs more than %d bytes", ARENA_BYTES);
    void *p = &arena[arena_used];
    arena_used += bytes;
    return p;
}

/* --- telling --- */

void
world_tell(const char *format, ...)
{
    va_list args;
    if (!world_verbose)
        return;
    printf("%9.3f %-10s ", (double)(world.now_ns - START_S * SECOND) / 1e9, life_name());
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void
world_fail(const char *format, ...)
{
    va_list args;
    fflush(stdout);
    printf("seed %llu, after %.3f s, %s: ", (unsigned long long)world.plan.seed,
           (double)(world.now_ns - START_S * SECOND) / 1e9, life_name());
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\nsee it again: tests/sim/sim --seed %llu --verbose\n",
           (unsigned long long)world.plan.seed);
    fflush(stdout);
    _exit(1);
}
