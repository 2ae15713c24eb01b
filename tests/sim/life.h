/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life.h - the processes: each is worker_run, the real one, on a stack of its own.
 *
 * A worker gives way where it sleeps (struct fibers_os), so between two sleeps it is alone: that is
 * a step.  It can be killed or paused between any two of them.  What it asks of the kernel
 * (clock, memory, signals, pid) it is told by the linker's --wrap, or by modules in the place of
 * the real ones: all that is below is as it is in the product.
 *
 * Process: tests/sim/sim.  Owner: life.c.  Concurrency: one thread.
 */
#ifndef TESTS_SIM_LIFE_H
#define TESTS_SIM_LIFE_H

#include <poll.h>
#include <ucontext.h>

#include "lib/fiber_watch.h"
#include "tests/sim/world.h"
#include "worker/worker.h"

enum { SLOTS_MAX = 3, AT_ONCE = 8, FDS_MAX = 4096 };

struct consumer;
struct fibers;
struct block;

/* What became of a message in a worker's hands, as the world knows. */
enum verdict { VERDICT_NONE, VERDICT_STORED, VERDICT_REFUSED, VERDICT_BURIED, VERDICTS };

/* A message that was fetched and not yet released. */
struct handle {
    struct handle *next, *previous; /* in the order in which they were fetched */
    struct life *life;
    size_t message; /* its number in the log */
    unsigned assignment;
    enum verdict verdict;
    bool committed; /* the store keeps the offsets: the transaction is known to have ended well */
    unsigned mark;  /* the last attempt that it was part of; 0: none yet */
    char *payload;
};

struct life {
    unsigned number; /* 1.. of this seed */
    unsigned slot;   /* whose process it is; of the master, 0.. */
    struct worker_args args;
    bool ended, killed;
    int result;
    /* the stack, and what it sleeps for */
    ucontext_t context;
    char *stack;
    struct fiber_watch watch;
    struct pollfd *fds;
    size_t n_fds;
    int64_t wake_ns, paused_until_ns;
    bool interrupted;
    /* what it is told */
    unsigned stops;
    bool excused, reopen;
    int64_t stopped_ns, hurried_ns; /* the first stop and the second */
    int64_t paused_ns;              /* when it was last paused */
    bool may_break;                /* something happened after which it may leave by itself */
    bool careful;                  /* it is to leave when what kills is passed */
    int64_t passed_ns;             /* since when that is so, and nothing in its hands; 0: not */
    bool doomed;                   /* it has read what kills */
    /* what it holds */
    struct block *blocks;
    struct fibers *fibers;
    unsigned refused_after, refused; /* memory */
    bool refused_work;               /* only while it works with the store or the letters */
    struct consumer *consumer;
    void *store;
    struct jobs *disk;
    struct handle *first, *last;
    /* what is known of it */
    uint64_t fetched, released[VERDICTS], noted;
    uint64_t settled;                 /* made durable, as it was told */
    int64_t settled_ns;               /* the last time */
    bool store_failed, letters_failed; /* the last attempt */
    bool fenced;                      /* it was told so, and has not claimed anew */
    bool claimed;                     /* its last claim was granted */
    unsigned busy;                    /* with the store, the letters; since when not, else: */
    int64_t idle_ns;
    unsigned begun;                   /* batches since its partitions go */
    int64_t tokens_ns, heartbeat_ms;
    double tokens;
    uint64_t steps, published[STAT_VALUES];
    int64_t fatal_ns; /* when its client breaks */
};

/* The one that runs now; NULL: none. */
extern struct life *life_running;

/* Once, before the first seed. */
void life_set_up(void);

/* A seed begins: nobody has died yet. */
void life_begin(void);

/* Forgets all of a seed's: every one has ended. */
void life_end_all(void);

/* Starts a worker. Takes: the place it has with the master. */
struct life *life_start(unsigned slot);

/* Returns: those that have not ended, NULL behind the last. */
struct life *const *life_all(void);

/* Returns: who is to run next, and when; NULL: nobody. */
struct life *life_next(int64_t *at_ns);

/* Returns: whether what kills is still before some worker. */
bool life_is_danger_ahead(void);

/* Lets it make a step. */
void life_step(struct life *life);

/* It is no more: killed, or seen to have ended. */
void life_kill(struct life *life);
void life_bury(struct life *life);

void life_stop(struct life *life);
void life_excuse(struct life *life);
void life_pause(struct life *life, int64_t until_ns);
void life_reopen(struct life *life);
bool life_is_paused(const struct life *life);
bool life_was_paused(const struct life *life, int64_t since_ns);

/* It has something to do that it did not ask for: so many steps more are no busy loop. */
void life_give(struct life *life, unsigned steps);

/* It begins or ends something with the store or the letters, which may take a while. */
void life_begin_work(struct life *life);
void life_end_work(struct life *life);

/* So many messages have become durable, as it was told. */
void life_note_settled(struct life *life, uint64_t n);

/* For what the simulation holds in a worker's name: not refused, freed with the worker. */
void *life_alloc(size_t bytes);
void life_free(void *p);

/* Descriptors, which are numbers here. */
int life_fd(void);
void life_set_fd(int fd, bool ready);

/* Returns: "metrics-1.4", or "world". */
const char *life_name(void);

/* Returns: a figure as it was published last. */
uint64_t life_figure(const struct life *life, enum stat_value value);

/* Returns: its last sign of life, ms. */
int64_t life_heartbeat_ms(const struct life *life);

#endif
