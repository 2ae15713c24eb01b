/* SPDX-License-Identifier: Apache-2.0 */
/*
 * influx_plan.h - which rows of a request to send next, so that the bad ones among them are found
 * (pure).
 *
 * The server stores what it can of a request and says of the rest that it is bad, perhaps how many
 * rows that are, perhaps which.  A row is settled only by an answer about rows that were sent: all
 * stored, all refused, or named.  What a count lets us infer ("five of the eight are bad, the first
 * half has five: so the second half is good") is a presumption: presumed rows are kept apart, and
 * sent at the end, all the good in one request and all the bad in another.
 *
 * Cost, with n rows of which b are bad, and an honest server: at most n (3 + ceil(log2 b)) rows
 * sent, in at most 1 + 2 b (1 + ceil(log2(n / b))) requests, whatever it tells and wherever the bad
 * ones are (tests/unit/test_influx_plan.c counts them).  That is the cost of plain halving; counts,
 * names and hints only save.  Where presumptions turn out wrong (several shards, of which InfluxDB
 * lets one complain), those rows are halved without any, so at most twice as much.
 *
 * Pieces wait on a pile of fixed depth: a piece is split in halves, but where a hint says better,
 * and the first hint that is wrong is the last one that is followed.
 *
 * Process: workers.  Owner: the store.  Concurrency: one thread.
 */
#ifndef STORE_INFLUX_PLAN_H
#define STORE_INFLUX_PLAN_H

#include "lib/base.h"

enum { INFLUX_PLAN_PILE = 64 };

/* What a hint says of a whole piece. */
enum influx_hint { INFLUX_HINT_NONE, INFLUX_HINT_BAD, INFLUX_HINT_GOOD };

/* Rows list[from..to-1], of which nothing is settled. */
struct influx_piece {
    uint32_t from, to;
    int64_t bad;    /* how many of it are; -1: unknown. Known: it need not be sent as a whole */
    uint32_t split; /* where to part it, counted from `from`; 0: in the middle */
    bool with_next; /* `bad` is of this and of the piece above it, which is sent first */
    bool has_bad;   /* there are some, if the number is unknown: no need to send it as a whole */
    bool resent;    /* the rest of one whose bad rows were all named */
    bool ordered;   /* neighbours are alike already */
    enum influx_hint hint;
};

/* Who was sent last. */
enum influx_sent { INFLUX_SENT_NONE, INFLUX_SENT_PIECE, INFLUX_SENT_BAD, INFLUX_SENT_GOOD };

struct influx_plan {
    uint32_t *list, *good, *bad; /* the rows to be found out about, and the presumed ones */
    size_t capacity, n_list, n_good, n_bad;
    struct influx_piece pile[INFLUX_PLAN_PILE];
    size_t n_pile;
    enum influx_sent sent;
    unsigned splits_left; /* by hints: one, and one more for each that was right */
    bool plain;           /* a presumption was wrong: no more of them */
};

/* What an answer says of the n rows sent, some of which are bad. */
struct influx_finding {
    int64_t bad;    /* how many, 1..n; -1: it does not say */
    size_t named;   /* so many at the front of the list are named: the caller has settled them */
    size_t clean;   /* behind these, so many that are likely to be good; only with `bad` */
    size_t split;   /* where to part what is left, counted from the front, beyond named and clean;
                       0: no idea */
    bool all_named; /* the answer names all bad rows, not only the first */
    bool ordered;   /* the caller has put the list in order */
};

void influx_plan_init(struct influx_plan *p);
void influx_plan_free(struct influx_plan *p);

/*
 * Begins with a set of rows.
 * Takes: rows[n], copied, n < 2^31; the last n_suspects of them are likely to be bad.
 * Returns: 0, or -1 if memory is out.
 */
int influx_plan_begin(struct influx_plan *p, const uint32_t *rows, size_t n,
                      size_t n_suspects) MUST_CHECK;

/*
 * Tells what to send next; one of the four below has to follow.
 * Returns: true with *rows and *n (1..), which the caller may reorder; false: all are settled.
 */
bool influx_plan_next(struct influx_plan *p, uint32_t **rows, size_t *n) MUST_CHECK;

/* All rows sent were stored, or all were refused: the caller has settled them. */
void influx_plan_stored(struct influx_plan *p);
void influx_plan_refused(struct influx_plan *p);

/* Some of the rows sent, of which there were two or more, are bad. */
void influx_plan_mixed(struct influx_plan *p, const struct influx_finding *finding);

/* The rows sent, two or more, were too many for one request; nothing is known of them. */
void influx_plan_part(struct influx_plan *p);

/* Returns: whether it is worth while to put the rows that were sent in order. */
bool influx_plan_wants_order(const struct influx_plan *p);

#endif
