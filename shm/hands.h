/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hands.h - where each worker would be read on from if it died now, what workers died at, and what
 * was found to kill them.
 *
 * A worker that is killed again and again with the same positions cannot tell anybody why.  So it
 * writes its positions down as they move; the master counts deaths that find a position unmoved
 * (a suspect), and after HANDS_DEATHS of them the next worker of that topic has the suspect looked
 * at by processes that may die (worker/autopsy.c).  What they find is written here as well, for
 * whoever owns the partition by then.  Counts are only a reason to look: nothing is passed over
 * because of them.
 *
 * Anonymous memory that the processes share, beside the figures' segment, which readers know.
 *
 * Process: master makes it before its first fork; workers inherit it.  Owner: who called hands_new.
 * Concurrency: lock-free atomics; a slot is written by its worker, suspects by the master, verdicts
 * by the worker that had them found.  A worker may be killed in the middle: what is torn then leads
 * to a look at the wrong place, which finds nothing.
 */
#ifndef SHM_HANDS_H
#define SHM_HANDS_H

#include "lib/base.h"

struct hands;

enum {
    HANDS_DEATHS = 3,
    HANDS_PLACES = 1024,   /* partitions of one worker that are written down */
    HANDS_CARE_MS = 600000 /* so long a verdict is a reason to be careful */
};

/* Offsets of one partition that no worker survives. */
struct hands_verdict {
    int64_t first, end; /* end is behind them */
};

/* A position at which workers died. */
struct hands_suspect {
    unsigned id; /* for hands_judge */
    int32_t partition;
    int64_t next;
};

/* Takes: how many slots for workers, 1... Returns: the map, or NULL if memory is out. */
struct hands *hands_new(unsigned n_slots) MUST_CHECK;
void hands_free(struct hands **hands);

/* Returns: a number by which workers of a topic, as one group reads it, are told from others. */
uint32_t hands_make_key(const char *uri, const char *topic, const char *group);

/* A worker says how many partitions it has. Takes: its topic's key. */
void hands_set_count(struct hands *hands, unsigned slot, uint32_t key, size_t n);

/*
 * A worker says where partition number i of those would be read on from; -1: that is not known.
 * From HANDS_PLACES on they are not written down.
 */
void hands_set_place(struct hands *hands, unsigned slot, size_t i, int32_t partition, int64_t next);

/* The process in a slot has ended. Takes: whether by a signal. In the master. */
void hands_note_end(struct hands *hands, unsigned slot, bool killed);

/*
 * Lists what is to be looked at.
 * Takes: room for so many. Returns: how many suspects of that key have HANDS_DEATHS and no verdict.
 */
size_t hands_list_suspects(const struct hands *hands, uint32_t key, struct hands_suspect *suspects,
                           size_t max);

/* Says what was found about a suspect, and when, clock_mono_ms; NULL: nothing is wrong there. */
void hands_judge(struct hands *hands, unsigned id, const struct hands_verdict *verdict,
                 int64_t now_ms);

/* Returns: whether there is a verdict about what begins at or after `next`, or contains it. */
bool hands_find_verdict(const struct hands *hands, uint32_t key, int32_t partition, int64_t next,
                        struct hands_verdict *verdict);

/*
 * Takes: now, clock_mono_ms.
 * Returns: whether some partition of that key has a verdict whose offsets are not reached yet. One
 * that is older than HANDS_CARE_MS is none: another host may have passed it, and nobody tells.
 */
bool hands_is_ahead(const struct hands *hands, uint32_t key, int64_t now_ms);

/*
 * A partition stands at `next` now, and all before is durable; INT64_MAX: it is another one, made
 * anew. A verdict about what is before that is forgotten.
 */
void hands_note_passed(struct hands *hands, uint32_t key, int32_t partition, int64_t next);

#endif
