/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_plan.h - which of a batch's rows to copy next, and what the answer means for them (pure).
 *
 * A COPY is stored whole or not at all.  The plan finds the rows that the database refuses and has
 * all others stored, at a bounded cost: with b bad ones among n rows it takes at most
 * 1 + 2 b (1 + ceil(log2(n / b))) COPYs and sends at most n (3 + ceil(log2 b)) rows
 * (tests/unit/test_pg_plan.c counts them).
 *
 * - A row is bad if it was refused alone, and only then.
 * - Where the answer does not name a row, the set is halved; if its first half is stored, the
 *   second is known to be bad and is not sent as a whole again.
 * - Where the answer names one, the rows before it are copied, then it alone, and then the rest in
 *   pieces: the first is of one row, each that is stored makes the next twice as large.  An answer
 *   that names the wrong row costs something, and nothing else comes of it.
 *
 * Rounds.  Of rows with the same key only the last is written.  If it is bad the one before it is
 * to be written after all: the caller gives such rows to pg_plan_add_again, and all of them are a
 * round of their own.
 *
 *     struct pg_plan plan;
 *     pg_plan_start(&plan, rows, n);
 *     while (pg_plan_next(&plan))
 *         ... copy plan.rows[plan.from .. plan.to - 1], then pg_plan_note_stored or
 *         pg_plan_note_refused ...
 *
 * Process: workers; the tests.  Owner: the caller; nothing is allocated.  Concurrency: one thread.
 */
#ifndef STORE_PG_PLAN_H
#define STORE_PG_PLAN_H

#include "lib/base.h"

/* Two for a named row and what is before it, and a half for each time a set can be halved. */
enum { PG_PLAN_RANGES = 2 + 64 };

struct pg_plan {
    uint32_t *rows;  /* of this round; what is before `from` is overwritten by the next one's */
    size_t from, to; /* what to copy now: rows[from] to rows[to - 1] */
    size_t n, n_again, step;
    size_t n_pile; /* of ranges to be tried one after the other, the next on top */
    struct {
        size_t end;     /* it begins where the one above it ends */
        bool second;    /* it is a second half, and nothing is known of the first yet */
        bool known_bad; /* or was part of a set that was refused, all else of which was stored */
    } pile[PG_PLAN_RANGES];
};

/*
 * Takes: the rows' numbers, an array that is the plan's until it ends; the caller frees it.
 */
void pg_plan_start(struct pg_plan *plan, uint32_t *rows, size_t n);

/* Returns: true and what to copy now (from, to; at least one row), or false when all is done. */
bool pg_plan_next(struct pg_plan *plan) MUST_CHECK;

/*
 * Instead of what pg_plan_next gave, takes the round's next rows together, whatever is known of
 * them: for a way to store them in which each bad one is refused alone. Then pg_plan_note_stored,
 * and pg_plan_add_again for as many as were refused.
 * Takes: how many at most (1..).
 */
void pg_plan_take(struct pg_plan *plan, size_t most);

/* What pg_plan_next or pg_plan_take gave was stored. */
void pg_plan_note_stored(struct pg_plan *plan);

/*
 * What pg_plan_next gave was refused, and is not stored.
 * Takes: which row of it the answer names, counted from 1; 0, or beyond its end: it names none.
 * Returns: true and the bad row's number in *bad if it was alone, else false.
 */
bool pg_plan_note_refused(struct pg_plan *plan, size_t named, uint32_t *bad) MUST_CHECK;

/*
 * Has a row tried in the next round; to be called at most once for each bad one, before the next
 * pg_plan_next.
 */
void pg_plan_add_again(struct pg_plan *plan, uint32_t row);

#endif
