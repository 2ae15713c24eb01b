/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - see pool.h. */
#include "master/pool.h"

#include <stdlib.h>

#include "lib/backoff.h"
#include "master/master_priv.h"

/*
 * TERM is repeated so often after a second request: two sent at once can merge into one before the
 * worker sees any, and then it would not know that there is a hurry.
 */
enum { HURRY_REPEAT_MS = 250 };

enum phase {
    PHASE_NONE, /* nobody is wanted here */
    PHASE_DOWN, /* to be forked at fork_ms */
    PHASE_UP    /* runs */
};

struct member {
    enum phase phase;
    bool hung, late; /* KILL was sent, for this reason */
    bool leaves;     /* it was asked to */
    bool helper;
    bool in_loop;
    unsigned deaths; /* in a row, without calm_ms of work between them */
    int64_t fork_ms;
    int64_t started_ms, heartbeat_ms; /* heartbeat_ms >= started_ms */
    int64_t hold_ms;                  /* it waits so long before it works */
    int64_t term_ms;                  /* if it leaves: when TERM is due; INT64_MAX: not now */
    int64_t deadline_ms;              /* ... and KILL */
    struct backoff backoff;
};

struct pool {
    struct pool_timing timing;
    unsigned stops;     /* requests to stop, 0..2 */
    int64_t forgive_ms; /* a heartbeat is not missed before that */
    int64_t planned_ms; /* when the next turn should begin at the latest */
    bool forced;
    size_t n;
    struct member members[];
};

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t
later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

struct pool_timing
pool_default_timing(void)
{
    return (struct pool_timing){.respawn_first_ms = 500,
                                .respawn_cap_ms = 5000,
                                .loop_deaths = 3,
                                .calm_ms = 10000,
                                .hang_ms = 20000,
                                .shutdown_ms = 15000,
                                .helper_ms = 3000,
                                .hurry_ms = 2000,
                                .give_up_ms = 5000,
                                .tick_ms = 1000};
}

struct pool *
pool_new(size_t n, const struct pool_timing *timing, uint64_t seed, int64_t now_ms)
{
    assert(n >= 1 && timing->loop_deaths >= 1 && timing->tick_ms >= 1);
    struct pool *pool = calloc(1, sizeof(*pool) + n * sizeof(pool->members[0]));
    if (pool == NULL)
        return NULL;
    pool->timing = *timing;
    pool->n = n;
    pool->planned_ms = now_ms;
    for (size_t i = 0; i < n; i++)
        backoff_init(&pool->members[i].backoff, timing->respawn_first_ms, timing->respawn_cap_ms,
                     seed + i * 0x9e3779b97f4a7c15u);
    return pool;
}

void
pool_set_timing(struct pool *pool, const struct pool_timing *timing)
{
    pool->timing = *timing;
}

void
pool_free(struct pool **pool)
{
    free(*pool);
    *pool = NULL;
}

static struct member *
find_member(struct pool *pool, size_t worker, enum phase phase)
{
    assert(worker < pool->n && pool->members[worker].phase == phase);
    return &pool->members[worker];
}

/* --- what happened --- */

void
pool_add(struct pool *pool, size_t worker, bool helper, int64_t now_ms)
{
    struct member *m = find_member(pool, worker, PHASE_NONE);
    assert(pool->stops == 0);
    m->phase = PHASE_DOWN;
    m->leaves = m->in_loop = false;
    m->helper = helper;
    m->deaths = 0;
    m->fork_ms = now_ms;
    backoff_reset(&m->backoff);
}

bool
pool_note_retired(struct pool *pool, size_t worker)
{
    assert(worker < pool->n);
    struct member *m = &pool->members[worker];
    if (m->phase != PHASE_UP) {
        m->phase = PHASE_NONE;
        return false;
    }
    m->leaves = true;
    m->term_ms = m->deadline_ms = INT64_MAX;
    return true;
}

static bool
is_dismissed(const struct member *m)
{
    return m->leaves && m->deadline_ms != INT64_MAX;
}

bool
pool_note_leave(struct pool *pool, size_t worker, int64_t now_ms)
{
    assert(worker < pool->n);
    struct member *m = &pool->members[worker];
    if (m->phase != PHASE_UP) {
        m->phase = PHASE_NONE;
        return false;
    }
    if (is_dismissed(m))
        return true;
    m->leaves = true;
    m->term_ms = now_ms;
    m->deadline_ms = now_ms + (m->helper ? earlier(pool->timing.helper_ms, pool->timing.shutdown_ms)
                                         : pool->timing.shutdown_ms);
    return true;
}

void
pool_note_forked(struct pool *pool, size_t worker, int64_t hold_ms, int64_t now_ms)
{
    struct member *m = find_member(pool, worker, PHASE_DOWN);
    m->phase = PHASE_UP;
    m->hung = m->late = false;
    m->started_ms = m->heartbeat_ms = now_ms;
    m->hold_ms = hold_ms;
    m->term_ms = INT64_MAX;
}

uint32_t
pool_note_fork_failed(struct pool *pool, size_t worker, int64_t now_ms)
{
    struct member *m = find_member(pool, worker, PHASE_DOWN);
    uint32_t wait_ms = backoff_next(&m->backoff);
    m->fork_ms = now_ms + wait_ms;
    return wait_ms;
}

void
pool_note_heartbeat(struct pool *pool, size_t worker, int64_t heartbeat_ms, int64_t now_ms)
{
    struct member *m = find_member(pool, worker, PHASE_UP);
    m->heartbeat_ms = later(m->heartbeat_ms, earlier(heartbeat_ms, now_ms));
}

/* Only work that it gave signs of counts: a worker that hangs from its start on is a crash loop. */
static bool
has_worked(const struct pool *pool, const struct member *m)
{
    return m->heartbeat_ms - m->started_ms - m->hold_ms >= pool->timing.calm_ms;
}

/* Forgets the deaths of before. Returns: true if that ends a crash loop. */
static bool
forget_deaths(struct member *m)
{
    bool was_in_loop = m->in_loop;
    m->in_loop = false;
    m->deaths = 0;
    backoff_reset(&m->backoff);
    return was_in_loop;
}

struct pool_death
pool_note_death(struct pool *pool, size_t worker, int64_t now_ms)
{
    struct member *m = find_member(pool, worker, PHASE_UP);
    struct pool_death death = {
        .asked = m->leaves, .hung = m->hung, .late = m->late, .lived_ms = now_ms - m->started_ms};
    if (death.asked) {
        m->phase = PHASE_NONE;
        return death;
    }
    if (has_worked(pool, m))
        death.left_loop = forget_deaths(m);
    m->deaths++;
    death.entered_loop = !m->in_loop && m->deaths >= pool->timing.loop_deaths;
    m->in_loop = m->in_loop || death.entered_loop;
    death.in_loop = m->in_loop;
    death.deaths = m->deaths;
    death.respawn_in_ms = backoff_next(&m->backoff);
    m->phase = PHASE_DOWN;
    m->fork_ms = now_ms + death.respawn_in_ms;
    return death;
}

unsigned
pool_note_stop(struct pool *pool, int64_t now_ms)
{
    if (pool->stops > 1)
        return pool->stops;
    pool->stops++;
    for (size_t i = 0; i < pool->n; i++) {
        struct member *m = &pool->members[i];
        if (!pool_note_leave(pool, i, now_ms) || pool->stops == 1)
            continue;
        m->term_ms = now_ms;
        m->deadline_ms = earlier(m->deadline_ms, now_ms + pool->timing.hurry_ms);
    }
    return pool->stops;
}

int64_t
pool_note_turn(struct pool *pool, int64_t now_ms)
{
    int64_t late_ms = now_ms - pool->planned_ms;
    if (late_ms <= pool->timing.tick_ms)
        return 0;
    pool->forgive_ms = now_ms;
    for (size_t i = 0; i < pool->n; i++)
        if (is_dismissed(&pool->members[i]))
            pool->members[i].deadline_ms += late_ms;
    return late_ms;
}

/* --- what to do --- */

static int64_t
hang_at(const struct pool *pool, const struct member *m)
{
    return later(m->heartbeat_ms, pool->forgive_ms) + pool->timing.hang_ms;
}

static enum pool_action_kind
deed_when_leaving(struct pool *pool, struct member *m, int64_t now_ms)
{
    if (now_ms >= m->deadline_ms) {
        if (m->late)
            return POOL_NOTHING;
        m->late = true;
        pool->forced |= pool->stops > 0 && !m->helper;
        return POOL_KILL_LATE;
    }
    if (now_ms < m->term_ms)
        return POOL_NOTHING;
    m->term_ms = pool->stops > 1 ? now_ms + HURRY_REPEAT_MS : INT64_MAX;
    return POOL_TERM;
}

static enum pool_action_kind
deed_when_running(struct pool *pool, struct member *m, int64_t now_ms)
{
    if (m->phase == PHASE_DOWN)
        return now_ms >= m->fork_ms ? POOL_FORK : POOL_NOTHING;
    if (m->hung)
        return POOL_NOTHING; /* killed; its end will be told */
    if (now_ms >= hang_at(pool, m)) {
        m->hung = true;
        return POOL_KILL_HUNG;
    }
    if (m->deaths > 0 && has_worked(pool, m) && forget_deaths(m))
        return POOL_RECOVERED;
    return POOL_NOTHING;
}

struct pool_action
pool_next_action(struct pool *pool, int64_t now_ms)
{
    for (size_t i = 0; i < pool->n; i++) {
        struct member *m = &pool->members[i];
        enum pool_action_kind kind = m->phase == PHASE_NONE ? POOL_NOTHING
                              : is_dismissed(m)      ? deed_when_leaving(pool, m, now_ms)
                                                     : deed_when_running(pool, m, now_ms);
        if (kind != POOL_NOTHING)
            return (struct pool_action){.kind = kind, .worker = i};
    }
    return (struct pool_action){.kind = POOL_NOTHING};
}

static int64_t
due_at(const struct pool *pool, const struct member *m)
{
    if (m->phase == PHASE_NONE)
        return INT64_MAX;
    if (m->phase == PHASE_DOWN)
        return m->fork_ms;
    if (!is_dismissed(m))
        return m->hung ? INT64_MAX : hang_at(pool, m);
    return m->late ? m->deadline_ms + pool->timing.give_up_ms : earlier(m->term_ms, m->deadline_ms);
}

int64_t
pool_plan_wait(struct pool *pool, int64_t now_ms)
{
    int64_t due_ms = now_ms + pool->timing.tick_ms;
    for (size_t i = 0; i < pool->n; i++)
        due_ms = earlier(due_ms, due_at(pool, &pool->members[i]));
    pool->planned_ms = later(due_ms, now_ms);
    return pool->planned_ms - now_ms;
}

bool
pool_is_over(const struct pool *pool, int64_t now_ms)
{
    if (pool->stops == 0)
        return false;
    for (size_t i = 0; i < pool->n; i++) {
        const struct member *m = &pool->members[i];
        if (m->phase == PHASE_UP &&
            !(m->late && now_ms >= m->deadline_ms + pool->timing.give_up_ms))
            return false;
    }
    return true;
}

bool
pool_was_forced(const struct pool *pool)
{
    return pool->forced;
}
