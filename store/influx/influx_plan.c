/* SPDX-License-Identifier: Apache-2.0 */
/*
 * influx_plan.c - see influx_plan.h.
 *
 * The piece on top of the pile is worked on.  Of a piece with bad rows the first part is sent; what
 * is known of the second then follows (`with_next`): their number, or at least that the bad rows
 * must be there if the first part has none.
 */
#include "store/influx/influx_plan.h"

#include <stdlib.h>

void
influx_plan_init(struct influx_plan *p)
{
    *p = (struct influx_plan){.sent = INFLUX_SENT_NONE};
}

void
influx_plan_free(struct influx_plan *p)
{
    free(p->list);
    influx_plan_init(p);
}

/* --- the pile --- */

static struct influx_piece *
top(struct influx_plan *p)
{
    assert(p->n_pile > 0);
    return &p->pile[p->n_pile - 1];
}

static void
push(struct influx_plan *p, struct influx_piece piece)
{
    assert(piece.from < piece.to && p->n_pile < INFLUX_PLAN_PILE);
    p->pile[p->n_pile++] = piece;
}

/*
 * Parts the piece on top.  One part is to be sent, the smaller one, and the other follows: it may
 * not have to be sent.
 */
static void
part_top(struct influx_plan *p)
{
    struct influx_piece whole = *top(p);
    uint32_t size = whole.to - whole.from;
    bool hinted = whole.split > 0 && whole.split < size;
    uint32_t split = whole.from + (hinted ? whole.split : size / 2);
    struct influx_piece first = {.bad = -1, .ordered = whole.ordered}, next = first;
    bool front_first = split - whole.from <= size / 2;
    first.from = front_first ? whole.from : split;
    first.to = front_first ? split : whole.to;
    next.from = front_first ? split : whole.from;
    next.to = front_first ? whole.to : split;
    first.hint = !hinted ? INFLUX_HINT_NONE : front_first ? INFLUX_HINT_BAD : INFLUX_HINT_GOOD;
    next.bad = whole.bad;
    next.with_next = true;
    p->n_pile--;
    push(p, next);
    push(p, first);
}

/* A piece was sent: takes what is known of it off what was known of it and the next. */
static void
tell_next(struct influx_plan *p, int64_t bad)
{
    if (p->n_pile < 2 || !p->pile[p->n_pile - 2].with_next)
        return;
    struct influx_piece *next = &p->pile[p->n_pile - 2];
    int64_t size = (int64_t)next->to - next->from;
    next->with_next = false;
    next->has_bad = next->bad == -1 && bad == 0;
    next->bad = bad < 0 || bad > next->bad || next->bad - bad > size ? -1 : next->bad - bad;
}

/* --- presumptions --- */

static void
presume(struct influx_plan *p, struct influx_piece *piece, uint32_t n, bool good)
{
    uint32_t *to = good ? p->good + p->n_good : p->bad + p->n_bad;
    memcpy(to, p->list + piece->from, n * sizeof(*to));
    piece->from += n;
    *(good ? &p->n_good : &p->n_bad) += n;
}

/* Presumed rows were not what was presumed: they are all there is to be found out about now. */
static void
take_back(struct influx_plan *p)
{
    size_t *n = p->sent == INFLUX_SENT_GOOD ? &p->n_good : &p->n_bad;
    assert(p->n_pile == 0);
    memcpy(p->list, p->sent == INFLUX_SENT_GOOD ? p->good : p->bad, *n * sizeof(*p->list));
    p->n_list = *n;
    *n = 0;
    p->plain = true;
    push(p, (struct influx_piece){.to = (uint32_t)p->n_list, .bad = -1});
    p->sent = INFLUX_SENT_PIECE;
}

/* --- the way --- */

static int
reserve(struct influx_plan *p, size_t n)
{
    if (n > p->capacity) {
        uint32_t *bigger = realloc(p->list, 3 * n * sizeof(*bigger));
        if (bigger == NULL)
            return -1;
        p->list = bigger;
        p->capacity = n;
    }
    p->good = p->list + p->capacity;
    p->bad = p->good + p->capacity;
    return 0;
}

int
influx_plan_begin(struct influx_plan *p, const uint32_t *rows, size_t n, size_t n_suspects)
{
    assert(n < (size_t)1 << 31 && n_suspects <= n);
    if (reserve(p, n) == -1)
        return -1;
    if (n > 0)
        memcpy(p->list, rows, n * sizeof(*rows));
    p->n_list = n;
    p->n_good = p->n_bad = p->n_pile = 0;
    p->splits_left = 1;
    p->plain = false;
    p->sent = INFLUX_SENT_NONE;
    uint32_t likely = (uint32_t)(n - n_suspects);
    if (n_suspects > 0)
        push(p, (struct influx_piece){.from = likely, .to = (uint32_t)n, .bad = -1});
    if (likely > 0)
        push(p, (struct influx_piece){.to = likely, .bad = -1});
    return 0;
}

bool
influx_plan_next(struct influx_plan *p, uint32_t **rows, size_t *n)
{
    while (p->n_pile > 0) {
        struct influx_piece *piece = top(p);
        uint32_t size = piece->to - piece->from;
        assert(!piece->with_next);
        if (piece->bad == -1 && size > 0 && !(piece->has_bad && size > 1)) {
            p->sent = INFLUX_SENT_PIECE;
            *rows = p->list + piece->from;
            *n = size;
            return true;
        }
        if (piece->bad == -1 || (piece->bad > 0 && piece->bad < (int64_t)size)) {
            part_top(p);
            continue;
        }
        presume(p, piece, size, piece->bad == 0);
        p->n_pile--;
    }
    /* The bad first: they are fewer, as a rule, and what is left then is stored at one go. */
    p->sent = p->n_bad > 0 ? INFLUX_SENT_BAD : p->n_good > 0 ? INFLUX_SENT_GOOD : INFLUX_SENT_NONE;
    *rows = p->sent == INFLUX_SENT_BAD ? p->bad : p->good;
    *n = p->sent == INFLUX_SENT_BAD ? p->n_bad : p->n_good;
    return p->sent != INFLUX_SENT_NONE;
}

/* All that was sent is settled. */
static void
drop_sent(struct influx_plan *p, bool bad)
{
    assert(p->sent != INFLUX_SENT_NONE);
    if (p->sent == INFLUX_SENT_BAD) {
        p->n_bad = 0;
    } else if (p->sent == INFLUX_SENT_GOOD) {
        p->n_good = 0;
    } else {
        tell_next(p, bad ? (int64_t)top(p)->to - top(p)->from : 0);
        p->splits_left += top(p)->hint == (bad ? INFLUX_HINT_BAD : INFLUX_HINT_GOOD);
        p->n_pile--;
    }
    p->sent = INFLUX_SENT_NONE;
}

void
influx_plan_stored(struct influx_plan *p)
{
    drop_sent(p, false);
}

void
influx_plan_refused(struct influx_plan *p)
{
    drop_sent(p, true);
}

/* What is left of the piece on top, when the named and the clean rows are out of it. */
static void
go_on(struct influx_plan *p, const struct influx_finding *f)
{
    struct influx_piece *piece = top(p);
    int64_t size = (int64_t)piece->to - piece->from;
    size_t gone = f->named + f->clean;
    piece->split = 0;
    if (f->split > gone && f->split < gone + (size_t)size && !p->plain && p->splits_left > 0) {
        piece->split = (uint32_t)(f->split - gone);
        p->splits_left--;
    }
    if (size == 0) {
        p->n_pile--;
    } else if (piece->bad == -1 && f->named > 0 && f->all_named && !piece->resent) {
        piece->resent = true; /* and sent again, as it is */
    } else if (piece->bad == -1 && size > 1) {
        part_top(p);
    }
}

void
influx_plan_mixed(struct influx_plan *p, const struct influx_finding *f)
{
    assert(p->sent != INFLUX_SENT_NONE);
    if (p->sent != INFLUX_SENT_PIECE)
        take_back(p);
    struct influx_piece *piece = top(p);
    int64_t n = (int64_t)piece->to - piece->from, bad = f->bad;
    assert(n >= 2 && f->named + f->clean <= (size_t)n && bad <= n);
    if (p->plain || bad < (int64_t)f->named)
        bad = -1;
    tell_next(p, bad);
    piece->from += (uint32_t)f->named;
    piece->ordered = piece->ordered || f->ordered;
    struct influx_finding known = *f;
    if (bad >= 0 && bad <= n - (int64_t)f->clean)
        presume(p, piece, (uint32_t)f->clean, true);
    else
        known.clean = 0;
    int64_t left = (int64_t)piece->to - piece->from;
    piece->bad = bad < 0 || bad - (int64_t)f->named > left ? -1 : bad - (int64_t)f->named;
    go_on(p, &known);
    p->sent = INFLUX_SENT_NONE;
}

void
influx_plan_part(struct influx_plan *p)
{
    const struct influx_finding nothing = {.bad = -1};
    influx_plan_mixed(p, &nothing);
}

bool
influx_plan_wants_order(const struct influx_plan *p)
{
    return p->sent != INFLUX_SENT_PIECE || !p->pile[p->n_pile - 1].ordered;
}
