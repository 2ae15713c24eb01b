/* SPDX-License-Identifier: Apache-2.0 */
/*
 * influx_suspects.h - which rows of a request an answer names, and which it points at (no I/O).
 *
 * Rows are named where nobody but the server can have written the name (influx_answer.h).  All else
 * is a hint: it decides what is sent next (influx_plan.h), and no row is refused for it.
 *
 * The memory of suspects is a hint, too: series that were refused lately are likely to be refused
 * again, and are then known at once, in one request, whatever their number.
 *
 * Process: workers.  Owner: the caller's list.  Concurrency: one thread.
 */
#ifndef STORE_INFLUX_SUSPECTS_H
#define STORE_INFLUX_SUSPECTS_H

#include "store/influx/influx_answer.h"
#include "store/influx/influx_plan.h"
#include "store/influx/influx_rows.h"

/*
 * Reads an answer BAD_POINTS about a list of rows, and reorders the list accordingly: first the
 * rows that are named, then those that are likely to be good, then suspects, then the rest. Takes:
 * the list, n >= 2; whether putting it in order is worth while (it takes time). Returns: what there
 * is to say to the plan. Calls named(arg, row's index, why) for each that is named; the callback
 * settles it. Without memory nothing is named or ordered.
 */
struct influx_finding influx_suspects_find(const struct influx_rows *r, uint32_t *list, size_t n,
                                           const struct influx_answer *answer, bool order,
                                           void (*named)(void *arg, uint32_t i, struct slice why),
                                           void *arg) MUST_CHECK;

/* --- the memory --- */

enum { INFLUX_MEMORY_PLACES = 1 << 16, INFLUX_MEMORY_EACH = 4 };

/*
 * A set of hashes that forgets: a MiB, whatever comes. A hash has one place, and a place has room
 * for a few; one too many drives out another.
 */
struct influx_memory {
    uint32_t hashes[INFLUX_MEMORY_PLACES][INFLUX_MEMORY_EACH]; /* their upper halves; 0: none */
    size_t n;
};

/* Takes: a hash of 64 bits (influx_answer_hash); whether it is to be in the set, or not. */
void influx_memory_put(struct influx_memory *m, uint64_t hash, bool in);
bool influx_memory_has(const struct influx_memory *m, uint64_t hash) MUST_CHECK;

/* Notes the series of a row as refused, or as stored. */
void influx_memory_note(struct influx_memory *m, const struct influx_rows *r, uint32_t i,
                        bool refused);

/* Moves the rows whose series were refused lately to the end of a list; returns how many. */
size_t influx_memory_gather(const struct influx_memory *m, const struct influx_rows *r,
                            uint32_t *list, size_t n) MUST_CHECK;

#endif
