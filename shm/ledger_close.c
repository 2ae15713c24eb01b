/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger_close.c - closing a period: collecting every slot, adding up, and telling readers.
 *
 * Process: master.  Owner: struct ledger.  Concurrency: one thread; writers and readers of the
 * segment go on meanwhile.
 */
#include "lib/clock.h"
#include "shm/barrier.h"
#include "shm/ledger_priv.h"

enum { COLLECT_TRIES = 200 /* a publish takes some hundred ns, with an edge some us */ };

/* --- what a slot has counted since it was looked at last --- */

static void
read_edge(const struct shm_slot *slot, uint64_t *state)
{
    shm_copy_out(state, slot->edge.scalars, SHM_SCALAR_WORDS);
    for (unsigned i = 0; i < SHM_BUCKET_WORDS; i++)
        state[SHM_SCALAR_WORDS + i] = shm_load(&slot->edge.buckets[i]);
}

/*
 * The state at the end of the epoch before a->epoch.  Whoever is seen outside a publish here, after
 * the barrier, will see the new epoch in his next one; so the current copy is final for the old
 * epoch, or has gone on to the new one and left the edge behind.
 */
static bool
collect(const struct shm_slot *slot, const struct account *a, uint64_t *state)
{
    for (unsigned i = 0; i < COLLECT_TRIES; i++) {
        uint64_t seq = atomic_load_explicit(&slot->seq, memory_order_acquire);
        if ((seq & 1) != 0)
            continue;
        shm_copy_out(state, slot->copies[seq >> 1 & 1], SHM_COPY_WORDS);
        atomic_thread_fence(memory_order_acquire);
        if (shm_load(&slot->seq) >> 1 != seq >> 1)
            continue;
        if (state[SHM_WORD_EPOCH] == a->epoch)
            read_edge(slot, state);
        if (state[SHM_WORD_EPOCH] != a->epoch - 1)
            ledger_drop_extremes(state); /* nothing was published in that epoch */
        return true;
    }
    return false;
}

void
ledger_book_state(struct account *a, const uint64_t *state)
{
    uint64_t *period = a->period.words;
    for (unsigned v = 0; v < STAT_VALUES; v++)
        period[v] =
            stat_values[v].nature == STAT_COUNTER ? period[v] + state[v] - a->seen[v] : state[v];
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        unsigned at = SHM_WORD_TIMES(t);
        for (unsigned i = SHM_TIME_COUNT; i <= SHM_TIME_SUM; i++)
            period[at + i] += state[at + i] - a->seen[at + i];
        span_widen(&period[at], state[at + SHM_TIME_PERIOD_MIN], state[at + SHM_TIME_PERIOD_MAX]);
    }
    memcpy(a->seen, state, SHM_SCALAR_WORDS * sizeof(a->seen[0]));
    for (unsigned i = 0; i < SHM_BUCKET_WORDS; i++) {
        uint32_t more =
            (uint32_t)state[SHM_SCALAR_WORDS + i] - (uint32_t)a->seen[SHM_SCALAR_WORDS + i];
        a->period.buckets[i] += more;
        a->seen[SHM_SCALAR_WORDS + i] += more;
    }
}

void
ledger_drop_extremes(uint64_t *state)
{
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        state[SHM_WORD_TIMES(t) + SHM_TIME_PERIOD_MIN] = UINT64_MAX;
        state[SHM_WORD_TIMES(t) + SHM_TIME_PERIOD_MAX] = 0;
    }
}

/* --- closing a period --- */

static void
store_figures(_Atomic uint64_t *to, const struct stat_figures *figures)
{
    uint64_t words[SHM_FIGURES_WORDS];
    memcpy(words, figures, sizeof(words));
    shm_copy_in(to, words, SHM_FIGURES_WORDS);
}

static void
collect_all(struct ledger *l)
{
    uint64_t state[SHM_COPY_WORDS];
    unsigned n = shm_slots_used(l->header);
    for (unsigned i = 0; i <= n; i++) {
        struct account *a = &l->accounts[i];
        if (a->live && !a->open) {
            shm_store(&segment_slot(l->segment, i)->epoch, ++a->epoch);
            a->open = true;
        }
    }
    /* Our own half of Dekker's pattern is a full fence in any case. */
    atomic_thread_fence(memory_order_seq_cst);
    if (l->barrier)
        (void)barrier_all(); /* else, or if it is refused, all writers fence by themselves */
    for (unsigned i = 0; i <= n; i++) {
        struct account *a = &l->accounts[i];
        if (a->open && collect(segment_slot(l->segment, i), a, state)) {
            ledger_book_state(a, state);
            a->open = false;
        }
    }
}

/* The slot's own ring. */
static void
keep_slot_period(struct shm_slot *slot, uint64_t number, const struct span *span)
{
    struct shm_slot_period *p = &slot->periods[number % SHM_PERIODS];
    shm_store(&p->number, 0);
    atomic_thread_fence(memory_order_release);
    shm_store(&p->received, span->words[STAT_RECEIVED]);
    shm_store(&p->completed, span->words[STAT_COMPLETED]);
    shm_store(&p->rejected, span->words[STAT_REJECTED]);
    shm_store(&p->returned, span->words[STAT_RETURNED]);
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        const uint64_t *times = &span->words[SHM_WORD_TIMES(t)];
        shm_store(&p->times[t].count, times[SHM_TIME_COUNT]);
        shm_store(&p->times[t].sum, times[SHM_TIME_SUM]);
        shm_store(&p->times[t].min, times[SHM_TIME_MIN]);
        shm_store(&p->times[t].max, times[SHM_TIME_MAX]);
    }
    atomic_store_explicit(&p->number, number, memory_order_release);
}

static void
book_slot(struct ledger *l, struct shm_book *book, unsigned slot)
{
    struct account *a = &l->accounts[slot];
    struct shm_slot *s = segment_slot(l->segment, slot);
    struct stat_figures figures;
    shm_store(&book->slots[slot].generation, shm_load(&s->generation));
    shm_words_to_figures(a->seen, &figures);
    shm_fill_percentiles(&figures, &a->seen[SHM_SCALAR_WORDS]);
    store_figures(book->slots[slot].totals, &figures);
    span_to_figures(&a->period, &figures);
    store_figures(book->slots[slot].last_period, &figures);
    if (shm_load(&s->assigned) != 0)
        keep_slot_period(s, l->period, &a->period);
}

/* The instance's totals at the close: the dead, and what was collected of the living. */
static void
sum_totals(const struct ledger *l, struct stat_figures *figures)
{
    struct span sum;
    const struct shm_retired *retired = shm_retired_at(l->header, shm_load(&l->header->fold));
    shm_copy_out(sum.words, retired->words, SHM_WORD_EPOCH);
    shm_copy_out(sum.buckets, retired->buckets, SHM_BUCKET_WORDS);
    for (unsigned i = 0; i <= shm_slots_used(l->header); i++) {
        if (!l->accounts[i].live)
            continue;
        span_add_words(sum.words, l->accounts[i].seen, true);
        span_add_buckets(sum.buckets, &l->accounts[i].seen[SHM_SCALAR_WORDS]);
    }
    span_to_figures(&sum, figures);
}

static void
keep_period(struct ledger *l, int64_t ended_ms, int64_t length_ms, const struct span *span,
            const struct stat_figures *figures)
{
    struct shm_period *p = shm_period_at(l->header, l->period);
    shm_store(&p->number, 0);
    atomic_thread_fence(memory_order_release);
    shm_store(&p->ended_ms, ended_ms);
    shm_store(&p->length_ms, length_ms);
    store_figures(p->figures, figures);
    for (unsigned i = 0; i < SHM_BUCKET_WORDS; i++)
        shm_store(&p->buckets[i], (uint32_t)span->buckets[i]);
    atomic_store_explicit(&p->number, l->period, memory_order_release);
}

static void
write_book(struct ledger *l, int64_t now_ms)
{
    uint64_t number = shm_load(&l->header->book);
    struct shm_book *book = shm_book_at(l->header, number + 1);
    struct stat_figures figures;
    struct span all = l->left;
    int64_t ended_ms = clock_wall_ms();
    atomic_thread_fence(memory_order_release); /* as in begin_fold */
    for (unsigned i = 0; i <= shm_slots_used(l->header); i++) {
        struct account *a = &l->accounts[i];
        book_slot(l, book, i);
        span_add_words(all.words, a->period.words, true);
        span_add_buckets(all.buckets, a->period.buckets);
        span_clear(&a->period);
    }
    span_to_figures(&all, &figures);
    keep_period(l, ended_ms, now_ms - l->closed_ms, &all, &figures);
    store_figures(book->last_period, &figures);
    sum_totals(l, &figures);
    store_figures(book->totals, &figures);
    shm_store(&book->period, l->period);
    shm_store(&book->ended_ms, ended_ms);
    shm_store(&book->length_ms, now_ms - l->closed_ms);
    atomic_store_explicit(&l->header->book, number + 1, memory_order_release);
}

void
ledger_close_period(struct ledger *ledger, int64_t now_ms)
{
    recorder_add(ledger->recorder, STAT_PERIODS, 1);
    ledger_turn(ledger);
    ledger->period++;
    collect_all(ledger);
    write_book(ledger, now_ms);
    span_clear(&ledger->left);
    ledger->closed_ms = now_ms;
}

void
ledger_set_period(struct ledger *ledger, int64_t period_ms)
{
    shm_store(&ledger->header->period_ms, period_ms);
}

void
ledger_set_barrier(struct ledger *ledger, bool use)
{
    ledger->barrier = use;
}
