/* SPDX-License-Identifier: Apache-2.0 */
/* master.c - see master.h. */
#include "tests/sim/master.h"

#include "tests/sim/consumer.h"
#include "tests/sim/topic.h"

enum { HEARTBEAT_TIMEOUT_MS = 20000, LOOK_MS = 1000, BURST_MAX = 20, CALM_LATENCY_MS = 100 };

static struct life *current[SLOTS_MAX]; /* of a place, that is not excused; NULL: none yet */
static bool stopping;

/* --- processes --- */

static void
start(void *arg, int64_t slot)
{
    (void)arg;
    if (!stopping && current[slot] == NULL)
        current[slot] = life_start((unsigned)slot);
}

static void
start_later(unsigned slot, int64_t most_ms)
{
    world_at(world.now_ns + world_between(0, most_ms) * MS, NULL, start, NULL, slot);
}

void
master_note_end(struct life *life)
{
    if (current[life->slot] != life)
        return;
    current[life->slot] = NULL;
    start_later(life->slot, life->result == WORKER_EXIT_DONE ? 100 : 5000);
}

static void
end_by_force(struct life *life)
{
    bool place = current[life->slot] == life;
    life_kill(life);
    if (!place)
        return;
    current[life->slot] = NULL;
    start_later(life->slot, 5000);
}

void
master_note_killer(struct life *life)
{
    end_by_force(life);
}

/* Who gives no sign of life is killed, as the real one does. */
static void
look_after_all(void *arg, int64_t number)
{
    (void)arg, (void)number;
    for (int i = 0; life_all()[i] != NULL; i++) {
        struct life *l = life_all()[i];
        int64_t since_ms = l->paused_until_ns / MS > life_heartbeat_ms(l)
                               ? l->paused_until_ns / MS
                               : life_heartbeat_ms(l);
        if (world_now_ms() - since_ms > HEARTBEAT_TIMEOUT_MS) {
            end_by_force(l);
            i--;
        }
    }
    world_at(world.now_ns + LOOK_MS * (int64_t)MS, NULL, look_after_all, NULL, 0);
}

static unsigned
count_alive(void)
{
    unsigned n = 0;
    while (life_all()[n] != NULL)
        n++;
    return n;
}

/* A reload: another one beside it, then it may go. */
static void
excuse(struct life *life)
{
    if (current[life->slot] != life || count_alive() + SLOTS_MAX > AT_ONCE)
        return;
    current[life->slot] = life_start(life->slot);
    life_excuse(life);
}

static void
stop_again(void *arg, int64_t number)
{
    (void)number;
    life_stop(arg);
}

/* --- faults --- */

static void
make_trouble(enum fault fault, struct life *l)
{
    struct member *m = group_member_of(l);
    world.troubles++;
    switch (fault) {
    case FAULT_REBALANCE:
        group_rebalance();
        break;
    case FAULT_EVICT:
        if (m != NULL)
            group_evict(m);
        break;
    case FAULT_ANEW:
        consumer_start_anew(l);
        break;
    case FAULT_PAUSE:
        life_pause(l, world.now_ns + world_between(1, world_one_in(2) ? 500 : 40000) * MS);
        group_note_silence(l);
        break;
    case FAULT_KILL:
        end_by_force(l);
        break;
    case FAULT_STOP_TWICE:
        world_at(world.now_ns + world_between(500, 5000) * MS, l, stop_again, l, 0);
        life_stop(l);
        break;
    case FAULT_STOP:
        life_stop(l);
        break;
    case FAULT_EXCUSE:
        excuse(l);
        break;
    case FAULT_REOPEN:
        life_reopen(l);
        break;
    default:
        world.sick_until_ns[fault] = world.now_ns + world_between(1, 20000) * MS;
        world_tell("trouble %d begins", (int)fault);
    }
}

static enum fault
draw_fault(void)
{
    unsigned at = (unsigned)world_between(0, world.plan.weights - 1);
    int f = 0;
    for (; at >= world.plan.weight[f]; f++)
        at -= world.plan.weight[f];
    return (enum fault)f;
}

static void
trouble(void *arg, int64_t number)
{
    unsigned n = count_alive();
    (void)arg, (void)number;
    if (world.calm)
        return;
    if (n > 0)
        make_trouble(draw_fault(), life_all()[world_draw() % n]);
    world_at(world.now_ns + world_between(0, 2 * world.plan.fault_every_ms) * MS, NULL, trouble,
             NULL, 0);
}

/* --- messages --- */

static void
burst(void *arg, int64_t number)
{
    unsigned n = (unsigned)world_between(1, BURST_MAX);
    (void)arg, (void)number;
    while (n-- > 0 && topic.n < world.plan.messages)
        topic_put();
    consumer_wake_all();
    if (!world.calm && topic.n < world.plan.messages)
        world_at(world.now_ns + world_between(0, 2 * world.plan.burst_every_ms) * MS, NULL, burst,
                 NULL, 0);
}

/* --- a seed --- */

void
master_begin(void)
{
    memset(current, 0, sizeof(current));
    stopping = false;
    for (unsigned slot = 0; slot < world.plan.slots; slot++)
        start_later(slot, world_one_in(2) ? 10 : 20000);
    world_at(world.now_ns, NULL, burst, NULL, 0);
    world_at(world.now_ns, NULL, look_after_all, NULL, 0);
    if (world.plan.weights > 0)
        world_at(world.now_ns + world_between(0, world.plan.fault_every_ms) * MS, NULL, trouble,
                 NULL, 0);
}

void
master_calm(void)
{
    world.calm = true;
    if (world.plan.latency_ms > CALM_LATENCY_MS)
        world.plan.latency_ms = CALM_LATENCY_MS;
    for (struct life *const *l = life_all(); *l != NULL; l++) {
        (*l)->refused_after = 0;
        (*l)->fatal_ns = 0;
    }
    world_tell("nothing goes wrong any more");
}

void
master_stop_all(void)
{
    stopping = true;
    for (struct life *const *l = life_all(); *l != NULL; l++)
        life_stop(*l);
}
