/* SPDX-License-Identifier: Apache-2.0 */
/* roster.c - see roster.h. */
#include "master/roster.h"

#include <stdlib.h>

#include "master/master_priv.h"

enum phase {
    PHASE_NOBODY,
    PHASE_MEMBER,   /* belongs here */
    PHASE_LEAVER,   /* is to leave, which nobody else knows yet */
    PHASE_RETIRED,  /* is to leave */
    PHASE_EXCUSED,  /* ... and has been told to, at the next revocation */
    PHASE_DISMISSED /* ... now */
};

struct place {
    enum phase phase;
    struct seat seat;
    size_t wanted;    /* the number of what it was placed for */
    bool reached;     /* its brokers were seen to answer it */
    bool joined;      /* it was seen at work */
    bool failed;      /* it is not alive just now */
    bool died;        /* it was seen dead since it was placed */
    bool kept;        /* only within roster_change: it goes on */
    bool begun;       /* one of its crew, that was excused, has begun to leave */
    int64_t limit_ms; /* if excused: until then */
};

/* A seat that the configuration wants. */
struct wanted {
    struct seat seat;
    bool placed;
    int64_t again_ms; /* not to be placed before */
};

struct roster {
    unsigned n_slots;
    struct place *places;  /* by slot; 0 is not used */
    struct wanted *wanted; /* room for n_slots */
    size_t n_wanted;
};

struct roster *
roster_new(unsigned n_slots)
{
    struct roster *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->n_slots = n_slots;
    r->places = calloc((size_t)n_slots + 1, sizeof(*r->places));
    r->wanted = calloc(n_slots, sizeof(*r->wanted));
    if (r->places == NULL || r->wanted == NULL)
        roster_free(&r);
    return r;
}

void
roster_free(struct roster **roster)
{
    if (*roster != NULL) {
        free((*roster)->places);
        free((*roster)->wanted);
        free(*roster);
    }
    *roster = NULL;
}

static bool
is_leaving(const struct place *p)
{
    return p->phase > PHASE_MEMBER;
}

/* --- another configuration --- */

static bool
is_same_seat(const struct seat *a, const struct seat *b)
{
    return a->crew == b->crew && a->number == b->number && strcmp(a->name, b->name) == 0;
}

/* Returns: true if a member has that seat, and so goes on. */
static bool
keep_member(struct roster *r, const struct seat *seat)
{
    for (unsigned slot = 1; slot <= r->n_slots; slot++) {
        struct place *p = &r->places[slot];
        if (p->phase == PHASE_MEMBER && !p->kept && is_same_seat(&p->seat, seat)) {
            p->kept = true;
            return true;
        }
    }
    return false;
}

void
roster_change(struct roster *roster, const struct seat *seats, size_t n, const bool *same,
              int64_t now_ms)
{
    assert(n <= roster->n_slots);
    for (unsigned slot = 1; slot <= roster->n_slots; slot++) {
        roster->places[slot].kept = roster->places[slot].begun = false;
        roster->places[slot].limit_ms = now_ms + ROSTER_LIMIT_MS;
    }
    for (size_t i = 0; i < n; i++)
        roster->wanted[i] = (struct wanted){
            .seat = seats[i], .placed = same[seats[i].crew] && keep_member(roster, &seats[i])};
    roster->n_wanted = n;
    for (unsigned slot = 1; slot <= roster->n_slots; slot++)
        if (roster->places[slot].phase == PHASE_MEMBER && !roster->places[slot].kept)
            roster->places[slot].phase = PHASE_LEAVER;
}

/* --- what to do --- */

static unsigned
find_free(const struct roster *r)
{
    for (unsigned slot = 1; slot <= r->n_slots; slot++)
        if (r->places[slot].phase == PHASE_NOBODY)
            return slot;
    return 0;
}

static bool
is_crew_there(const struct roster *r, unsigned crew)
{
    for (unsigned slot = 1; slot <= r->n_slots; slot++)
        if (r->places[slot].phase != PHASE_NOBODY && r->places[slot].seat.crew == crew)
            return true;
    return false;
}

static bool
place_next(struct roster *r, int64_t now_ms, struct roster_action *action)
{
    unsigned slot = find_free(r);
    for (size_t i = 0; i < r->n_wanted && slot != 0; i++) {
        struct wanted *w = &r->wanted[i];
        if (w->placed || now_ms < w->again_ms || (w->seat.alone && is_crew_there(r, w->seat.crew)))
            continue;
        w->placed = true;
        r->places[slot] = (struct place){.phase = PHASE_MEMBER, .seat = w->seat, .wanted = i};
        *action = (struct roster_action){
            .kind = ROSTER_PLACE, .slot = slot, .seat = &r->places[slot].seat};
        return true;
    }
    return false;
}

/* Those of a crew that are to take over. */
struct newcomers {
    size_t waiting; /* no slot for them yet */
    size_t out;     /* placed, and not seen at work yet */
    bool able; /* one is at work, or at least was answered, and has lived since it was placed */
};

static struct newcomers
count_newcomers(const struct roster *r, unsigned crew)
{
    struct newcomers n = {0};
    for (size_t i = 0; i < r->n_wanted; i++)
        n.waiting += r->wanted[i].seat.crew == crew && !r->wanted[i].placed;
    for (unsigned slot = 1; slot <= r->n_slots; slot++) {
        const struct place *p = &r->places[slot];
        if (p->phase != PHASE_MEMBER || p->seat.crew != crew)
            continue;
        n.out += !p->joined;
        n.able |= !p->failed && (p->joined || (p->reached && !p->died));
    }
    return n;
}

static enum roster_action_kind
judge_leaver(const struct roster *r, const struct place *p, int64_t now_ms)
{
    if (p->phase == PHASE_LEAVER)
        return ROSTER_RETIRE;
    struct newcomers n = count_newcomers(r, p->seat.crew);
    if (p->seat.alone || n.out == 0 || !p->reached) /* who has not begun has nothing to hand over */
        return ROSTER_DISMISS;
    if (n.waiting > 0) /* no slot is free: room has to be made */
        return ROSTER_DISMISS;
    if (!n.able)
        return ROSTER_NOTHING;
    if (p->begun || (p->phase == PHASE_EXCUSED && now_ms >= p->limit_ms))
        return ROSTER_DISMISS;
    return p->phase == PHASE_RETIRED ? ROSTER_EXCUSE : ROSTER_NOTHING;
}

struct roster_action
roster_next(struct roster *roster, int64_t now_ms)
{
    struct roster_action action = {.kind = ROSTER_NOTHING};
    if (place_next(roster, now_ms, &action))
        return action;
    for (unsigned slot = 1; slot <= roster->n_slots; slot++) {
        struct place *p = &roster->places[slot];
        if (p->phase < PHASE_LEAVER || p->phase > PHASE_EXCUSED)
            continue;
        action.kind = judge_leaver(roster, p, now_ms);
        if (action.kind == ROSTER_NOTHING)
            continue;
        p->phase = action.kind == ROSTER_RETIRE   ? PHASE_RETIRED
                   : action.kind == ROSTER_EXCUSE ? PHASE_EXCUSED
                                                  : PHASE_DISMISSED;
        p->limit_ms = now_ms + ROSTER_LIMIT_MS;
        action.slot = slot;
        action.seat = &p->seat;
        return action;
    }
    return action;
}

/* --- what happened --- */

/* The group rebalances now: all that are to leave its crew should use the occasion. */
static void
begin_leaving(struct roster *r, unsigned crew)
{
    for (unsigned slot = 1; slot <= r->n_slots; slot++)
        if (r->places[slot].seat.crew == crew)
            r->places[slot].begun = true;
}

void
roster_note_state(struct roster *roster, unsigned slot, enum slot_state state)
{
    struct place *p = &roster->places[slot];
    p->failed = state == SLOT_DEAD || state == SLOT_BACKOFF || state == SLOT_FREE;
    p->reached |= state > SLOT_STARTING && state < SLOT_DEAD;
    p->joined |= state > SLOT_JOINING && state < SLOT_DEAD;
    p->died |= state == SLOT_DEAD || state == SLOT_BACKOFF;
    if (p->phase == PHASE_EXCUSED && state == SLOT_DRAINING)
        begin_leaving(roster, p->seat.crew);
}

void
roster_note_unplaced(struct roster *roster, unsigned slot, int64_t again_ms)
{
    struct wanted *w = &roster->wanted[roster->places[slot].wanted];
    w->placed = false;
    w->again_ms = again_ms;
    roster->places[slot] = (struct place){.phase = PHASE_NOBODY};
}

void
roster_note_gone(struct roster *roster, unsigned slot, bool left)
{
    struct place *p = &roster->places[slot];
    if (p->phase == PHASE_EXCUSED && left)
        begin_leaving(roster, p->seat.crew);
    *p = (struct place){.phase = PHASE_NOBODY};
}

/* --- questions --- */

const struct seat *
roster_seat(const struct roster *roster, unsigned slot)
{
    return roster->places[slot].phase != PHASE_NOBODY ? &roster->places[slot].seat : NULL;
}

bool
roster_takes_over(const struct roster *roster, unsigned slot)
{
    for (unsigned i = 1; i <= roster->n_slots; i++) {
        const struct place *p = &roster->places[i];
        if (is_leaving(p) && p->phase != PHASE_DISMISSED &&
            p->seat.crew == roster->places[slot].seat.crew)
            return true;
    }
    return false;
}

bool
roster_is_leaving(const struct roster *roster, unsigned slot)
{
    return is_leaving(&roster->places[slot]);
}

unsigned
roster_heir(const struct roster *roster, unsigned slot)
{
    for (unsigned i = 1; i <= roster->n_slots; i++)
        if (i != slot && roster->places[i].phase == PHASE_MEMBER &&
            strcmp(roster->places[i].seat.name, roster->places[slot].seat.name) == 0)
            return i;
    return 0;
}

bool
roster_is_settled(const struct roster *roster)
{
    for (size_t i = 0; i < roster->n_wanted; i++)
        if (!roster->wanted[i].placed)
            return false;
    for (unsigned slot = 1; slot <= roster->n_slots; slot++)
        if (is_leaving(&roster->places[slot]))
            return false;
    return true;
}

struct roster_count
roster_count(const struct roster *roster)
{
    struct roster_count count = {0};
    for (size_t i = 0; i < roster->n_wanted; i++)
        count.workers += roster->wanted[i].seat.topic[0] != '\0';
    count.out = count.workers;
    for (unsigned slot = 1; slot <= roster->n_slots; slot++) {
        const struct place *p = &roster->places[slot];
        if (p->seat.topic[0] == '\0')
            continue;
        count.leaving += is_leaving(p);
        count.out -= p->phase == PHASE_MEMBER && p->joined;
    }
    return count;
}

bool
roster_is_ready(const struct roster *roster)
{
    return roster_is_settled(roster) && roster_count(roster).out == 0;
}
