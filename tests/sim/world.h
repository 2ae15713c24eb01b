/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - what a simulated worker lives in: one seed, one clock, and what happens when.
 *
 * Everything that is random is drawn here, so a seed says all that happens.  Time is simulated:
 * it goes on by some microseconds for what is computed, and else jumps to whatever is next.
 *
 * Process: tests/sim/sim.  Owner: the seed that is played.  Concurrency: one thread.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "lib/base.h"
#include "conf/cfg.h"

struct life;

enum { PARTITIONS_MAX = 6, MS = 1000000 };
#define SECOND INT64_C(1000000000)

/* What may happen to the world now and then, by weight. */
enum fault {
    FAULT_REBALANCE,   /* everybody is revoked */
    FAULT_EVICT,       /* the group takes a member for dead: its partitions are lost */
    FAULT_ANEW,        /* a consumer starts its partitions anew */
    FAULT_PAUSE,       /* a process stands still for a while */
    FAULT_KILL,        /* a process dies */
    FAULT_STOP,        /* TERM, and the next one takes its place */
    FAULT_STOP_TWICE,  /* TERM, and TERM again */
    FAULT_EXCUSE,      /* a reload: another process beside it, which it makes room for */
    FAULT_STORE_SICK,  /* for some seconds each, from here on */
    FAULT_STORE_SLOW,
    FAULT_LETTERS_SICK,
    FAULT_DISK_HANGS,
    FAULT_GROUP_SICK, /* commits and questions are refused */
    FAULT_REOPEN,
    FAULTS
};

/* Chances in 1000, of each attempt or message. */
enum chance {
    CHANCE_STORE_SICK,     /* an attempt fails at once */
    CHANCE_STORE_LOST,     /* it is not answered, and may have been done, or be done later */
    CHANCE_STORE_PARTIAL,  /* a part of the answer comes, then it fails */
    CHANCE_STORE_SLOW,     /* it takes seconds */
    CHANCE_STORE_FENCED,   /* what it knew of the world is gone: all is to be claimed anew */
    CHANCE_LETTERS_SICK,   /* with some of the letters durable */
    CHANCE_LETTERS_SLOW,
    CHANCE_COMMIT_REFUSED,
    CHANCE_COMMIT_LOST, /* done or not, and not answered in time */
    CHANCE_GROUP_SLOW,  /* what the group has to say comes late */
    CHANCE_BAD_ROW,     /* a message that the store refuses in its answer */
    CHANCE_BAD_ADD,     /* one that the store refuses as it is added */
    CHANCE_HOSTILE,     /* no JSON, too large, a tombstone */
    CHANCE_UNREADABLE,
    CHANCE_KILLER, /* one that no worker survives */
    CHANCE_GAP, /* offsets without a message */
    CHANCE_NO_MEMORY, /* of each process's life: it is refused memory once or twice */
    CHANCE_OPEN_FAILS,
    CHANCE_CLIENT_FATAL, /* of each second: Kafka's client is beyond repair */
    CHANCES
};

/* What was drawn for a seed. */
struct plan {
    uint64_t seed;
    bool transactional; /* the store keeps the offsets */
    unsigned partitions, slots, messages;
    size_t row_bytes, batch_bytes;
    int64_t calm_ns; /* when faults end */
    int64_t fault_every_ms, burst_every_ms;
    int64_t latency_ms; /* what servers take, at most, as a rule */
    unsigned weight[FAULTS], weights;
    unsigned chance[CHANCES];
};

struct world {
    struct plan plan;
    struct config *cfg;
    int64_t now_ns; /* CLOCK_MONOTONIC */
    bool calm;      /* nothing goes wrong any more, and no messages come */
    int64_t sick_until_ns[FAULTS];
    unsigned troubles; /* that have begun */
};

extern struct world world;
extern bool world_verbose;

/* Draws a plan; time begins. */
void world_begin(uint64_t seed, struct config *cfg);

/* Forgets all events, and what world_alloc gave. */
void world_end(void);

/* --- draws --- */

uint64_t world_draw(void);
int64_t world_between(int64_t low, int64_t high); /* both included */

/* Whether something goes wrong this time; never once the world is calm. */
bool world_chance(enum chance chance);
bool world_one_in(unsigned n); /* n >= 1; also when it is calm */

/* Whether a trouble that lasts is on. */
bool world_has(enum fault fault);

/* Takes: the chance of what makes it slow, CHANCES for none. Returns: what a server takes, ns. */
int64_t world_latency(enum chance slow);

/* --- time and events --- */

static inline int64_t
world_now_ms(void)
{
    return world.now_ns / MS;
}

typedef void world_deed(void *arg, int64_t number);

/* Has something happen at that time; whose: with a process's end it is forgotten, or NULL. */
void world_at(int64_t at_ns, const struct life *whose, world_deed *deed, void *arg, int64_t number);

/* Nothing happens any more with that argument, or to that process. */
void world_cancel(const void *arg);
void world_cancel_of(const struct life *whose);

/* Returns: when something happens next; INT64_MAX: never. */
int64_t world_next_ns(void);

/* Lets what is next happen. */
void world_step(void);

/* Memory until the seed's end, zeroed. */
void *world_alloc(size_t bytes);

/* --- telling --- */

/* What happens, with --verbose. */
void world_tell(const char *format, ...) PRINTF_LIKE(1, 2);

/* A promise is broken: says which, and how to see it again. Does not return. */
void world_fail(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((noreturn));

#define PROMISE(holds, ...)                                                                        \
    do {                                                                                           \
        if (!(holds))                                                                              \
            world_fail(__VA_ARGS__);                                                               \
    } while (0)

#endif
