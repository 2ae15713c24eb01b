/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roster.h - who sits where, and how one crew takes over from another.
 *
 * A configuration wants a number of processes, each described by a seat.  Each is placed into a
 * slot of the segment.  When another configuration comes, those whose seat it has, too, go on; the
 * others are to leave, and newcomers take their places:
 *
 * Workers: under Kafka's eager protocol every join and every leave stops the whole group, so it is
 * done in two waves.  First the newcomers are placed, all at once; they wait a moment before they
 * join.  As soon as the brokers have answered one of them, those that are to leave are excused:
 * they go on until the newcomers' joining revokes their partitions, and then leave instead of
 * joining again.  As soon as one is seen to leave, or all newcomers have joined, the rest are
 * dismissed.  So the group comes to rest but once.
 *
 * Helpers (retention, admin) cannot run twice: the old one is dismissed, then the new one placed.
 *
 * If newcomers do not join within LIMIT_MS after that, the others are dismissed nevertheless: that
 * is what was asked for.  But as long as no newcomer is at work, or has at least lived from its
 * start on and been answered by its brokers, nobody is asked to leave: those of a crash loop and
 * those with a wrong address take nobody's place.  (Who is excused already leaves at any
 * rebalance.)  Newcomers that are to leave before a broker has answered them do so at once.
 *
 * Pure: takes the time and what happened, returns what is to be done; crew.c does it.
 *
 * Process: master.  Owner: the caller of roster_new.  Concurrency: one thread.
 */
#ifndef MASTER_ROSTER_H
#define MASTER_ROSTER_H

#include "lib/base.h"
#include "shm/snapshot.h"

enum { ROSTER_LIMIT_MS = 30000 };

/* A process that a configuration wants. */
struct seat {
    unsigned crew;                /* which belong together: those of one topic; 0.. */
    bool alone;                   /* a helper: no two of a crew at a time */
    bool silent;                  /* cannot write to the segment, so gives no sign of life */
    unsigned number;              /* within its crew */
    int64_t rejoin_ms;            /* the successor of one that died should not join before, 0.. */
    char name[SHM_PROCESS_BYTES]; /* "metrics-0" */
    char topic[SHM_TOPIC_BYTES];  /* "" for a helper */
};

enum roster_action_kind {
    ROSTER_NOTHING, /* for now */
    ROSTER_PLACE,   /* somebody for `seat` is wanted in `slot` */
    ROSTER_RETIRE,  /* who is in `slot` will leave: it goes on, but is not started again */
    ROSTER_EXCUSE,  /* who is in `slot` should leave when its partitions are revoked */
    ROSTER_DISMISS  /* who is in `slot` should leave now */
};

struct roster_action {
    enum roster_action_kind kind;
    unsigned slot;
    const struct seat *seat; /* valid until the next roster_change */
};

struct roster;

/* Takes: slots, 1..n_slots. Returns: a roster of nobody, or NULL if memory is out. */
struct roster *roster_new(unsigned n_slots) MUST_CHECK;

/* Frees it and nulls the pointer. NULL is fine. */
void roster_free(struct roster **roster);

/*
 * Another configuration. May come while the one before is still taking over.
 * Takes: n seats, at most n_slots, which are copied; for each crew number that occurs in them or
 * occurred before, whether its processes go on (their settings are the same) or are replaced:
 * same[crew]; now.
 */
void roster_change(struct roster *roster, const struct seat *seats, size_t n, const bool *same,
                   int64_t now_ms);

/* Says what to do next; it counts as done when it is returned. */
struct roster_action roster_next(struct roster *roster, int64_t now_ms) MUST_CHECK;

/* Says what a process was seen doing; for each that is placed, on every turn. */
void roster_note_state(struct roster *roster, unsigned slot, enum slot_state state);

/* The one to be placed there could not be. Takes: when to try again. */
void roster_note_unplaced(struct roster *roster, unsigned slot, int64_t again_ms);

/*
 * Nobody is in the slot any more, and nobody is wanted there.
 * Takes: whether it has left its group in good order; one that was killed, or was not there just
 * then, has not, and its group does not rebalance now.
 */
void roster_note_gone(struct roster *roster, unsigned slot, bool left);

/* Returns: the seat of who is in a slot; NULL: nobody. */
const struct seat *roster_seat(const struct roster *roster, unsigned slot);

/* Returns: true if who is in the slot takes over from others, who have not been dismissed yet. */
bool roster_takes_over(const struct roster *roster, unsigned slot);

/* Returns: true if who is in the slot is to leave. */
bool roster_is_leaving(const struct roster *roster, unsigned slot);

/* Returns: the slot of the one that goes on under the name of the one in this slot; 0: none. */
unsigned roster_heir(const struct roster *roster, unsigned slot);

/* How many workers there are, helpers not counted. */
struct roster_count {
    size_t workers; /* that are wanted */
    size_t out;     /* of these: have not joined their group since they were placed */
    size_t leaving; /* besides */
};
struct roster_count roster_count(const struct roster *roster);

/* Returns: true if nobody is about to leave and all that are wanted are placed. */
bool roster_is_settled(const struct roster *roster);

/* Returns: true if besides, every worker has joined its group since it was placed. */
bool roster_is_ready(const struct roster *roster);

#endif
