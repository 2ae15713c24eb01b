/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - the policy of supervision: when to fork a worker again, when it hangs, how to stop.
 *
 * Pure: takes the time and what happened, returns what is to be done.  It neither forks nor sends
 * signals nor looks at a clock; crew.c does.  All times are ms of the monotonic clock.
 *
 *   respawn   after each death a delay from lib/backoff.h; after calm_ms of work it starts anew
 *   loop      so many deaths in a row without calm_ms of work are a crash loop: a state one can see
 *   hang      no heartbeat for hang_ms: KILL.  If the master itself did not run for a while (it was
 *             stopped, the machine slept), everybody gets hang_ms from then on
 *   leave     TERM to one, KILL after shutdown_ms; it is not forked again. A helper (which has no
 *             messages in hand) gets KILL after helper_ms, and nothing is lost by that
 *   stop      all leave; asked again: TERM again, KILL after hurry_ms
 *
 * Process: master.  Owner: the caller of pool_new.  Concurrency: one thread.
 */
#ifndef MASTER_POOL_H
#define MASTER_POOL_H

#include "lib/base.h"

struct pool_timing {
    uint32_t respawn_first_ms; /* the longest delay after the first death */
    uint32_t respawn_cap_ms;   /* ... and after any */
    unsigned loop_deaths;      /* that many deaths in a row are a crash loop, 1.. */
    int64_t calm_ms;           /* work after which earlier deaths are forgotten */
    int64_t hang_ms;           /* the longest time without a heartbeat */
    int64_t shutdown_ms;       /* from the first request to stop until KILL */
    int64_t helper_ms;         /* ... of a helper */
    int64_t hurry_ms;          /* from the second one until KILL */
    int64_t give_up_ms;        /* from KILL until the wait for what cannot even die ends */
    int64_t tick_ms;           /* the longest sleep; to wake later than that by as much is late */
};

enum pool_action_kind {
    POOL_NOTHING,   /* until pool_plan_wait has passed or something happens */
    POOL_FORK,      /* fork it, then call pool_note_forked or pool_note_fork_failed */
    POOL_TERM,      /* send TERM */
    POOL_KILL_HUNG, /* send KILL: no heartbeat */
    POOL_KILL_LATE, /* send KILL: it did not end in time */
    POOL_RECOVERED  /* left the crash loop: it has worked for calm_ms */
};

struct pool_action {
    enum pool_action_kind kind;
    size_t worker;
};

/* What a death means. */
struct pool_death {
    bool asked;             /* it was to leave: it is not forked again */
    bool hung;              /* it was killed for want of a heartbeat */
    bool late;              /* it was killed because it did not stop in time */
    bool in_loop;           /* it is in a crash loop now */
    bool entered_loop;      /* ... since this death */
    bool left_loop;         /* it had worked long enough to leave the loop */
    unsigned deaths;        /* in a row */
    int64_t lived_ms;       /* since its fork */
    uint32_t respawn_in_ms; /* 0 if asked */
};

struct pool;

/* Returns: what a production master uses; hang_ms and shutdown_ms are the operator's to set. */
struct pool_timing pool_default_timing(void);

/*
 * Takes: room for so many workers, 1..; all times positive; any seed for the jitter; now.
 * Returns: a pool without workers, or NULL if memory is out.
 */
struct pool *pool_new(size_t n, const struct pool_timing *timing, uint64_t seed,
                      int64_t now_ms) MUST_CHECK;

/* Frees it and nulls the pointer. NULL is fine. */
void pool_free(struct pool **pool);

/* Other times from now on; what was asked to leave keeps its deadline. */
void pool_set_timing(struct pool *pool, const struct pool_timing *timing);

/*
 * A worker, or a helper, is wanted in this place, which is free; it is to be forked at once. Not
 * after a stop.
 */
void pool_add(struct pool *pool, size_t worker, bool helper, int64_t now_ms);

/*
 * It is to leave. Asking again changes nothing.
 * Returns: true if it runs and its death is to be waited for; false if its place is free.
 */
bool pool_note_leave(struct pool *pool, size_t worker, int64_t now_ms);

/* It will leave by itself, some time. Returns: as pool_note_leave, which may follow. */
bool pool_note_retired(struct pool *pool, size_t worker);

/*
 * Says what to do next; the action counts as done when it is returned.
 * Returns: an action; kind is POOL_NOTHING when there is no more for now.
 */
struct pool_action pool_next_action(struct pool *pool, int64_t now_ms) MUST_CHECK;

/* The worker runs since now. Takes: how long it waits before it begins to work, 0.. */
void pool_note_forked(struct pool *pool, size_t worker, int64_t hold_ms, int64_t now_ms);

/* It could not be forked. Returns: ms until it is tried again. */
uint32_t pool_note_fork_failed(struct pool *pool, size_t worker, int64_t now_ms);

/* Takes: the worker's last sign of life; one from the future counts as now. */
void pool_note_heartbeat(struct pool *pool, size_t worker, int64_t heartbeat_ms, int64_t now_ms);

/* The worker, which was running, has been reaped. */
struct pool_death pool_note_death(struct pool *pool, size_t worker, int64_t now_ms);

/* Somebody asks to stop. Returns: how often that has been asked now, 1 or 2. */
unsigned pool_note_stop(struct pool *pool, int64_t now_ms);

/*
 * A turn of the loop begins.
 * Returns: 0, or by how many ms it is later than planned, if that is so much that heartbeats of
 * before say nothing; they are then forgiven, and the deadlines of leaving are moved as far.
 */
int64_t pool_note_turn(struct pool *pool, int64_t now_ms);

/* Returns: ms to sleep until there may be something to do, 0..tick_ms; remembered as the plan. */
int64_t pool_plan_wait(struct pool *pool, int64_t now_ms) MUST_CHECK;

/* Returns: true after a stop when no worker is left, or none that KILL can help with. */
bool pool_is_over(const struct pool *pool, int64_t now_ms);

/*
 * Returns: true if a worker, and not a mere helper, had to be killed because it did not stop in
 * time, after a stop.
 */
bool pool_was_forced(const struct pool *pool);

#endif
