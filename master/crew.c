/* SPDX-License-Identifier: Apache-2.0 */
/* crew.c - see crew.h. */
#include "master/crew.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "lib/clock.h"
#include "master/spawn.h"
#include "master/master_priv.h"

int
crew_init(struct crew *crew, const struct master_options *options)
{
    unsigned n = options->segment->header->n_slots;
    int64_t now = clock_mono_ms();
    *crew = (struct crew){.options = options, .n_slots = n, .signals = -1};
    crew->pids = calloc((size_t)n + 1, sizeof(*crew->pids));
    crew->rejoins_ms = calloc((size_t)n + 1, sizeof(*crew->rejoins_ms));
    crew->pool = pool_new(n, &options->plan->timing, (uint64_t)clock_mono_ns(), now);
    crew->roster = roster_new(n);
    return crew->pids == NULL || crew->rejoins_ms == NULL || crew->pool == NULL ||
                   crew->roster == NULL
               ? -1
               : 0;
}

void
crew_free(struct crew *crew)
{
    pool_free(&crew->pool);
    roster_free(&crew->roster);
    free(crew->pids);
    free(crew->rejoins_ms);
    crew->pids = NULL;
    crew->rejoins_ms = NULL;
}

static const char *
name_of(const struct crew *c, unsigned slot)
{
    const struct seat *seat = roster_seat(c->roster, slot);
    return seat != NULL ? seat->name : "?";
}

/* --- starting one --- */

/*
 * Newcomers wait so long between the answer of their brokers and joining: meanwhile the old ones
 * are excused (the worker tells it within 200 ms, and the master looks every CHANGE_TICK_MS).
 */
enum { TAKE_OVER_HOLD_MS = 500 };

/* What the child needs to know. */
struct child_arg {
    const struct master_options *options;
    const struct seat *seat;
    unsigned slot;
    int64_t hold_ms;
};

static int
run_child(void *arg)
{
    const struct child_arg *child = arg;
    return child->options->run(child->options->arg, child->seat, child->slot, child->hold_ms);
}

size_t
crew_list_fds(const struct crew *crew, int fds[CREW_FDS])
{
    const struct master_options *o = crew->options;
    for (size_t i = 0; i < CREW_FDS; i++)
        fds[i] = -1;
    fds[0] = crew->signals;
    fds[1] = crew->reload != NULL ? crew->reload->checking.fd : -1;
    memcpy(fds + 2, o->fds, sizeof(o->fds));
    if (o->plan->sender != NULL)
        statsd_sender_list_fds(o->plan->sender, fds + 2 + MASTER_FDS);
    return CREW_FDS;
}

static int64_t
plan_hold(const struct crew *c, unsigned slot, int64_t now)
{
    int64_t hold_ms = c->rejoins_ms[slot] > now ? c->rejoins_ms[slot] - now : 0;
    if (hold_ms < TAKE_OVER_HOLD_MS && roster_takes_over(c->roster, slot))
        hold_ms = TAKE_OVER_HOLD_MS;
    return hold_ms;
}

static void
start(struct crew *c, unsigned slot)
{
    const struct master_options *o = c->options;
    const struct seat *seat = roster_seat(c->roster, slot);
    struct errbuf err;
    int64_t now = clock_mono_ms();
    struct child_arg arg = {o, seat, slot, plan_hold(c, slot, now)};
    int fds[CREW_FDS];
    struct spawn_child child = {.name = seat->name,
                                .fds = fds,
                                .n_fds = crew_list_fds(c, fds),
                                .run = run_child,
                                .arg = &arg};
    ledger_start(o->ledger, slot);
    pid_t pid = spawn_fork(&child, &err);
    if (pid == -1) {
        (void)ledger_reap(o->ledger, slot, LEDGER_NOT_FORKED, SLOT_DEAD);
        log_error("%s; trying again in %u ms", err.text,
                  pool_note_fork_failed(c->pool, slot - 1, now));
        return;
    }
    c->pids[slot] = pid;
    ledger_started(o->ledger, slot, pid);
    if (seat->silent)
        ledger_show(o->ledger, slot, SLOT_IDLE);
    pool_note_forked(c->pool, slot - 1, arg.hold_ms, now);
    log_info("%s started as pid %ld", seat->name, (long)pid);
}

static void
send(const struct crew *c, unsigned slot, int number)
{
    /* Not reaped yet, so the pid is still its own. */
    if (c->pids[slot] != 0 && kill(c->pids[slot], number) == -1)
        log_error("%s: kill(%ld, %d): %s", name_of(c, slot), (long)c->pids[slot], number,
                  strerror(errno));
}

void
crew_signal(const struct crew *crew, int number)
{
    for (unsigned slot = 1; slot <= crew->n_slots; slot++)
        send(crew, slot, number);
}

/* --- who sits where --- */

/* Nobody is wanted in the slot any more. Takes: see roster_note_gone. */
static void
vacate(struct crew *c, unsigned slot, bool left)
{
    const struct master_options *o = c->options;
    unsigned heir = roster_heir(c->roster, slot);
    if (o->plan->sender != NULL)
        statsd_sender_note_release(o->plan->sender, slot);
    ledger_release(o->ledger, slot, heir);
    roster_note_gone(c->roster, slot, left);
}

static void
place(struct crew *c, unsigned slot, const struct seat *seat)
{
    struct errbuf err;
    if (segment_reserve(c->options->segment, slot, &err) == -1) {
        log_error("%s cannot be started: %s; trying again in %d s", seat->name, err.text,
                  CREW_AGAIN_MS / 1000);
        roster_note_unplaced(c->roster, slot, clock_mono_ms() + CREW_AGAIN_MS);
        return;
    }
    c->rejoins_ms[slot] = 0;
    ledger_assign(c->options->ledger, slot, seat->name, seat->topic, seat->number);
    pool_add(c->pool, slot - 1, seat->alone, clock_mono_ms());
}

static void
dismiss(struct crew *c, unsigned slot)
{
    if (!pool_note_leave(c->pool, slot - 1, clock_mono_ms()))
        vacate(c, slot, false);
}

/* It goes on for now, but cannot be started again: its configuration is there no more. */
static void
retire(struct crew *c, unsigned slot)
{
    ledger_note_leaving(c->options->ledger, slot);
    if (!pool_note_retired(c->pool, slot - 1))
        vacate(c, slot, false);
}

static bool
follow_roster(struct crew *c)
{
    struct roster_action action = roster_next(c->roster, clock_mono_ms());
    switch (action.kind) {
    case ROSTER_NOTHING:
        return false;
    case ROSTER_PLACE:
        place(c, action.slot, action.seat);
        break;
    case ROSTER_RETIRE:
        retire(c, action.slot);
        break;
    case ROSTER_EXCUSE:
        send(c, action.slot, SIGUSR2);
        break;
    case ROSTER_DISMISS:
        dismiss(c, action.slot);
        break;
    }
    return true;
}

/* --- supervision --- */

static bool
follow_pool(struct crew *c)
{
    struct pool_action action = pool_next_action(c->pool, clock_mono_ms());
    const struct pool_timing *timing = &c->options->plan->timing;
    unsigned slot = (unsigned)action.worker + 1;
    switch (action.kind) {
    case POOL_NOTHING:
        return false;
    case POOL_FORK:
        start(c, slot);
        break;
    case POOL_TERM:
        send(c, slot, SIGTERM);
        break;
    case POOL_KILL_HUNG:
        log_error("%s (pid %ld) has given no sign of life for %lld ms; killing it",
                  name_of(c, slot), (long)c->pids[slot], (long long)timing->hang_ms);
        send(c, slot, SIGKILL);
        break;
    case POOL_KILL_LATE:
        log_warning("%s (pid %ld) has not ended in time; killing it", name_of(c, slot),
                    (long)c->pids[slot]);
        send(c, slot, SIGKILL);
        break;
    case POOL_RECOVERED:
        log_notice("%s left the crash loop: it has worked for %lld s", name_of(c, slot),
                   (long long)(timing->calm_ms / 1000));
        break;
    }
    return true;
}

void
crew_act(struct crew *crew, bool placing)
{
    while (placing && follow_roster(crew))
        ;
    while (follow_pool(crew))
        ;
}

static void
note_heartbeat(struct crew *c, unsigned slot, int64_t now)
{
    const struct seat *seat = roster_seat(c->roster, slot);
    bool silent = seat != NULL && seat->silent;
    int64_t beat_ms = silent ? now : ledger_heartbeat_ms(c->options->ledger, slot);
    pool_note_heartbeat(c->pool, slot - 1, beat_ms, now);
}

void
crew_look(struct crew *crew)
{
    int64_t now = clock_mono_ms();
    for (unsigned slot = 1; slot <= crew->n_slots; slot++) {
        if (crew->pids[slot] != 0)
            note_heartbeat(crew, slot, now);
        if (roster_seat(crew->roster, slot) != NULL)
            roster_note_state(crew->roster, slot, ledger_state(crew->options->ledger, slot));
    }
}

/* --- its end --- */

static void
log_loop(const char *name, const struct pool_death *death, const struct pool_timing *timing)
{
    if (death->left_loop)
        log_notice("%s left the crash loop: it had worked for %lld s", name,
                   (long long)(timing->calm_ms / 1000));
    if (death->entered_loop)
        log_error("%s is in a crash loop: %u deaths in a row without %lld s of work; it is tried "
                  "again every %u s or sooner",
                  name, death->deaths, (long long)(timing->calm_ms / 1000),
                  (timing->respawn_cap_ms + 999) / 1000);
}

static void
log_death(const char *name, pid_t pid, int status, const struct pool_death *death, int64_t returned)
{
    char end[96];
    bool orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    double seconds = (double)death->lived_ms / 1000;
    spawn_describe_end(status, end, sizeof(end));
    if (death->asked)
        log_line(orderly ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
                 "%s (pid %ld) ended with %s after %.1f s%s", name, (long)pid, end, seconds,
                 death->late ? ", killed since it had not stopped in time" : "");
    else
        log_line(death->in_loop && !death->entered_loop ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
                 "%s (pid %ld) ended with %s after %.1f s%s; forked again in %u ms", name,
                 (long)pid, end, seconds, death->hung ? ", killed since it hung" : "",
                 death->respawn_in_ms);
    if (returned > 0)
        log_notice("%s had %lld messages in hand, which will be read again", name,
                   (long long)returned);
}

static enum ledger_death
death_kind(int status, const struct pool_death *death)
{
    if (death->late)
        return LEDGER_LATE;
    if (death->hung)
        return LEDGER_HUNG;
    if (death->asked)
        return LEDGER_ASKED;
    return WIFSIGNALED(status) ? LEDGER_SIGNAL : LEDGER_EXIT;
}

/*
 * One that did not leave its group is waited for by the others as soon as somebody joins: until its
 * session is over, nothing is consumed.  So its successor joins when that is about to be.
 */
static void
note_rejoin(struct crew *c, unsigned slot, int status, int64_t now)
{
    enum slot_state state = ledger_state(c->options->ledger, slot);
    if (now < c->rejoins_ms[slot]) /* it had not joined yet: its predecessor's session counts */
        return;
    if (WIFSIGNALED(status) && state > SLOT_STARTING && state < SLOT_DEAD)
        c->rejoins_ms[slot] = now + roster_seat(c->roster, slot)->rejoin_ms;
}

static void
reap(struct crew *c, unsigned slot, int status)
{
    const char *name = name_of(c, slot);
    int64_t now = clock_mono_ms();
    note_heartbeat(c, slot, now);
    note_rejoin(c, slot, status, now);
    if (c->options->hands != NULL)
        hands_note_end(c->options->hands, slot, WIFSIGNALED(status));
    struct pool_death death = pool_note_death(c->pool, slot - 1, now);
    enum slot_state state = death.asked ? SLOT_FREE : death.in_loop ? SLOT_BACKOFF : SLOT_DEAD;
    int64_t returned = ledger_reap(c->options->ledger, slot, death_kind(status, &death), state);
    if (returned == -1)
        log_error("%s: more messages settled than received; its counters are wrong", name);
    log_death(name, c->pids[slot], status, &death, returned);
    log_loop(name, &death, &c->options->plan->timing);
    c->pids[slot] = 0;
    if (roster_is_leaving(c->roster, slot))
        vacate(c, slot, WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

bool
crew_reap(struct crew *crew, pid_t pid, int status)
{
    for (unsigned slot = 1; slot <= crew->n_slots; slot++)
        if (crew->pids[slot] == pid) {
            reap(crew, slot, status);
            return true;
        }
    return false;
}

void
crew_log_left_over(const struct crew *crew)
{
    for (unsigned slot = 1; slot <= crew->n_slots; slot++)
        if (crew->pids[slot] != 0)
            log_error("%s (pid %ld) was killed and is still there; not waiting any longer",
                      name_of(crew, slot), (long)crew->pids[slot]);
}
