/*
 * ledger.c - see ledger.h.
 *
 * Process: master.  Owner: struct ledger.  Concurrency: one thread; writers and readers of the
 * segment go on meanwhile.
 */
#include "shm/ledger.h"

#include <stdlib.h>

#include "lib/clock.h"
#include "shm/barrier.h"

enum { COLLECT_TRIES = 200 /* a publish takes some hundred ns, with an edge some us */ };

/* What happened in a span: as the words of a copy, but without a state. */
struct span {
    uint64_t words[SHM_WORD_EPOCH];
    uint64_t buckets[SHM_BUCKET_WORDS];
};

/* What the master knows about a slot. */
struct account {
    bool live;      /* a generation runs that is not folded yet */
    bool died;      /* the last one died unasked: the next one is a restart */
    bool open;      /* the epoch before `epoch` ended but could not be collected yet */
    uint64_t epoch; /* what the slot has been told to count into */
    uint64_t seen[SHM_COPY_WORDS]; /* of this generation, when it was collected last */
    struct span period;            /* since the last close, over all generations */
};

struct ledger {
    struct segment *segment;
    struct shm_header *header;
    struct recorder *recorder; /* of slot 0 */
    struct account *accounts;  /* n_slots + 1 */
    struct span left;          /* of processes that lost their slot in this period */
    bool barrier;
    uint64_t period; /* number of the last closed one */
    int64_t closed_ms;
};

/* --- spans --- */

static void
clear_span(struct span *span)
{
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (stat_values[v].nature == STAT_COUNTER)
            span->words[SHM_WORD_VALUES + v] = 0; /* a level stays until it is told anew */
    memset(&span->words[SHM_WORD_FIRST_TIME], 0,
           sizeof(span->words) - SHM_WORD_FIRST_TIME * sizeof(span->words[0]));
    memset(span->buckets, 0, sizeof(span->buckets));
    for (unsigned t = 0; t < STAT_TIMINGS; t++)
        span->words[SHM_WORD_TIMES(t) + SHM_TIME_MIN] = UINT64_MAX;
}

static void
clear_levels(struct span *span)
{
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (stat_values[v].nature != STAT_COUNTER)
            span->words[SHM_WORD_VALUES + v] = 0;
}

static void
widen(uint64_t *times, uint64_t min, uint64_t max)
{
    times[SHM_TIME_MIN] = min < times[SHM_TIME_MIN] ? min : times[SHM_TIME_MIN];
    times[SHM_TIME_MAX] = max > times[SHM_TIME_MAX] ? max : times[SHM_TIME_MAX];
}

/* Adds a span, or a copy's words, which begin in the same way. */
static void
add_words(uint64_t *into, const uint64_t *words, bool levels)
{
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (levels || stat_values[v].nature == STAT_COUNTER)
            into[v] = stat_fold(stat_values[v].nature, into[v], words[v]);
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        unsigned at = SHM_WORD_TIMES(t);
        if (words[at + SHM_TIME_COUNT] == 0)
            continue;
        into[at + SHM_TIME_COUNT] += words[at + SHM_TIME_COUNT];
        into[at + SHM_TIME_SUM] += words[at + SHM_TIME_SUM];
        widen(&into[at], words[at + SHM_TIME_MIN], words[at + SHM_TIME_MAX]);
    }
}

static void
add_buckets(uint64_t *into, const uint64_t *buckets)
{
    for (unsigned i = 0; i < SHM_BUCKET_WORDS; i++)
        into[i] += buckets[i];
}

static void
span_to_figures(const struct span *span, struct stat_figures *figures)
{
    shm_words_to_figures(span->words, figures);
    shm_fill_percentiles(figures, span->buckets);
}

/* --- what a slot has counted since it was looked at last --- */

/*
 * Adds the difference between a state and the one before to the account's period.
 * Takes: the words of a copy, of whose buckets only the low halves need be right.
 */
static void
book_state(struct account *a, const uint64_t *state)
{
    uint64_t *period = a->period.words;
    for (unsigned v = 0; v < STAT_VALUES; v++)
        period[v] =
            stat_values[v].nature == STAT_COUNTER ? period[v] + state[v] - a->seen[v] : state[v];
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        unsigned at = SHM_WORD_TIMES(t);
        for (unsigned i = SHM_TIME_COUNT; i <= SHM_TIME_SUM; i++)
            period[at + i] += state[at + i] - a->seen[at + i];
        widen(&period[at], state[at + SHM_TIME_PERIOD_MIN], state[at + SHM_TIME_PERIOD_MAX]);
    }
    memcpy(a->seen, state, SHM_SCALAR_WORDS * sizeof(a->seen[0]));
    for (unsigned i = 0; i < SHM_BUCKET_WORDS; i++) {
        uint32_t more =
            (uint32_t)state[SHM_SCALAR_WORDS + i] - (uint32_t)a->seen[SHM_SCALAR_WORDS + i];
        a->period.buckets[i] += more;
        a->seen[SHM_SCALAR_WORDS + i] += more;
    }
}

static void
read_edge(const struct shm_slot *slot, uint64_t *state)
{
    shm_copy_out(state, slot->edge.scalars, SHM_SCALAR_WORDS);
    for (unsigned i = 0; i < SHM_BUCKET_WORDS; i++)
        state[SHM_SCALAR_WORDS + i] = shm_load(&slot->edge.buckets[i]);
}

/* Of an epoch that was collected before: extremes that are in a closed period already. */
static void
drop_extremes(uint64_t *state)
{
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        state[SHM_WORD_TIMES(t) + SHM_TIME_PERIOD_MIN] = UINT64_MAX;
        state[SHM_WORD_TIMES(t) + SHM_TIME_PERIOD_MAX] = 0;
    }
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
            drop_extremes(state); /* nothing was published in that epoch */
        return true;
    }
    return false;
}

/* --- the retired totals --- */

/* Begins a change: returns the copy that nobody reads, made equal to the one that counts. */
static struct shm_retired *
begin_fold(struct ledger *l)
{
    uint64_t fold = shm_load(&l->header->fold);
    const struct shm_retired *now = shm_retired_at(l->header, fold);
    struct shm_retired *next = shm_retired_at(l->header, fold + 1);
    /* A reader that still is at `next` must see that it has been left before it changes. */
    atomic_thread_fence(memory_order_release);
    const _Atomic uint64_t *from = (const _Atomic uint64_t *)now;
    _Atomic uint64_t *to = (_Atomic uint64_t *)next;
    size_t bytes = sizeof(*next) + (l->header->n_slots + 1) * sizeof(next->slots[0]);
    for (size_t i = 0; i < bytes / sizeof(*to); i++)
        shm_store(&to[i], shm_load(&from[i]));
    return next;
}

/* The one step in which it becomes true. */
static void
end_fold(struct ledger *l)
{
    uint64_t fold = shm_load(&l->header->fold);
    atomic_store_explicit(&l->header->fold, fold + 1, memory_order_release);
}

/* Adds words to words of the segment. */
static void
fold_words(_Atomic uint64_t *into, const uint64_t *words)
{
    uint64_t sum[SHM_WORD_EPOCH];
    shm_copy_out(sum, into, SHM_WORD_EPOCH);
    add_words(sum, words, false);
    shm_copy_in(into, sum, SHM_WORD_EPOCH);
}

static void
fold_dead(struct ledger *l, unsigned slot, const uint64_t *words)
{
    struct shm_retired *next = begin_fold(l);
    fold_words(next->words, words);
    for (unsigned i = 0; i < SHM_BUCKET_WORDS; i++)
        shm_store(&next->buckets[i], shm_load(&next->buckets[i]) + words[SHM_SCALAR_WORDS + i]);
    fold_words(next->slots[slot].words, words);
    shm_store(&next->slots[slot].generation, shm_load(&segment_slot(l->segment, slot)->generation));
    end_fold(l);
}

/* --- who lives where --- */

static void
store_text(_Atomic uint64_t *to, size_t n_words, const char *text)
{
    for (size_t i = 0; i < n_words; i++) {
        char bytes[8] = {0};
        size_t n = strnlen(text, i + 1 < n_words ? 8 : 7);
        uint64_t word;
        memcpy(bytes, text, n);
        memcpy(&word, bytes, 8);
        shm_store(&to[i], word);
        text += n;
    }
}

static void
set_state(struct shm_slot *slot, uint32_t state)
{
    shm_store(&slot->state, state);
    shm_store(&slot->since_ms, clock_wall_ms());
}

/* What was counted here for another process stays with the instance alone. */
static void
clear_slot_sums(struct ledger *l, unsigned slot)
{
    struct shm_retired *next = begin_fold(l);
    for (unsigned i = 0; i < SHM_WORD_EPOCH; i++)
        shm_store(&next->slots[slot].words[i], 0);
    for (unsigned t = 0; t < STAT_TIMINGS; t++)
        shm_store(&next->slots[slot].words[SHM_WORD_TIMES(t) + SHM_TIME_MIN], UINT64_MAX);
    end_fold(l);
}

static void
leave_slot(struct account *a, struct ledger *l)
{
    add_words(l->left.words, a->period.words, false);
    add_buckets(l->left.buckets, a->period.buckets);
    clear_span(&a->period);
    clear_levels(&a->period);
}

void
ledger_assign(struct ledger *ledger, unsigned slot, const char *name, const char *topic,
              unsigned number)
{
    struct shm_slot *s = segment_slot(ledger->segment, slot);
    struct account *a = &ledger->accounts[slot];
    assert(slot >= 1 && !a->live);
    leave_slot(a, ledger);
    a->died = false;
    for (unsigned i = 0; i < SHM_PERIODS; i++)
        shm_store(&s->periods[i].number, 0);
    store_text(s->name, COUNT_OF(s->name), name);
    store_text(s->topic, COUNT_OF(s->topic), topic);
    shm_store(&s->number, number);
    shm_store(&s->restarts, 0);
    shm_store(&s->assigned_from, shm_load(&s->generation));
    set_state(s, SLOT_FREE);
    atomic_store_explicit(&s->assigned, 1, memory_order_release);
    clear_slot_sums(ledger, slot); /* last: its flip makes readers look again */
}

void
ledger_release(struct ledger *ledger, unsigned slot)
{
    struct shm_slot *s = segment_slot(ledger->segment, slot);
    assert(slot >= 1 && !ledger->accounts[slot].live);
    leave_slot(&ledger->accounts[slot], ledger);
    shm_store(&s->assigned, 0);
    clear_slot_sums(ledger, slot);
}

static void
clear_copy(_Atomic uint64_t *copy, uint64_t epoch, bool consumes)
{
    /* Nothing is known of these until the worker says it. */
    static const enum stat_value unknown[] = {STAT_LAG, STAT_LAG_SECONDS, STAT_LAG_COMMITTED,
                                              STAT_LAG_COMMITTED_SECONDS};
    for (unsigned i = 0; i < SHM_COPY_WORDS; i++)
        shm_store(&copy[i], 0);
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        shm_store(&copy[SHM_WORD_TIMES(t) + SHM_TIME_MIN], UINT64_MAX);
        shm_store(&copy[SHM_WORD_TIMES(t) + SHM_TIME_PERIOD_MIN], UINT64_MAX);
    }
    shm_store(&copy[SHM_WORD_EPOCH], epoch);
    shm_store(&copy[SHM_WORD_STATE], SLOT_STARTING);
    shm_store(&copy[SHM_WORD_SINCE], (uint64_t)clock_wall_ms());
    for (unsigned i = 0; consumes && i < COUNT_OF(unknown); i++)
        shm_store(&copy[SHM_WORD_VALUES + unknown[i]], STAT_UNKNOWN);
}

void
ledger_start(struct ledger *ledger, unsigned slot)
{
    struct shm_slot *s = segment_slot(ledger->segment, slot);
    struct account *a = &ledger->accounts[slot];
    assert(slot >= 1 && !a->live);
    /* The last generation is folded, so nobody counts what is here; whoever is copying it will see
     * by seq that it changed. */
    shm_store(&s->seq, (shm_load(&s->seq) | 1) + 1);
    atomic_thread_fence(memory_order_release);
    for (unsigned i = 0; i < 2; i++)
        clear_copy(s->copies[i], a->epoch, shm_load(&s->topic[0]) != 0);
    shm_copy_out(a->seen, s->copies[0], SHM_COPY_WORDS);
    shm_store(&s->epoch, a->epoch);
    shm_store(&s->heartbeat_ms, clock_mono_ms());
    set_state(s, SLOT_STATES);
    if (a->died) {
        shm_store(&s->restarts, shm_load(&s->restarts) + 1);
        shm_store(&ledger->header->restarts, shm_load(&ledger->header->restarts) + 1);
        recorder_add(ledger->recorder, STAT_RESTARTS, 1);
    }
    recorder_add(ledger->recorder, STAT_STARTS, 1);
    a->live = true;
    a->open = false;
    atomic_store_explicit(&s->generation, shm_load(&s->generation) + 1, memory_order_release);
}

void
ledger_started(struct ledger *ledger, unsigned slot, int32_t pid)
{
    shm_store(&segment_slot(ledger->segment, slot)->pid, pid);
}

static void
count_death(struct ledger *l, enum ledger_death death)
{
    switch (death) {
    case LEDGER_ASKED:
        break;
    case LEDGER_EXIT:
        recorder_add(l->recorder, STAT_DEATHS_EXIT, 1);
        break;
    case LEDGER_SIGNAL:
        recorder_add(l->recorder, STAT_DEATHS_SIGNAL, 1);
        break;
    case LEDGER_HUNG:
        recorder_add(l->recorder, STAT_DEATHS_HUNG, 1);
        break;
    case LEDGER_LATE:
        recorder_add(l->recorder, STAT_DEATHS_LATE, 1);
        break;
    case LEDGER_NOT_FORKED:
        recorder_add(l->recorder, STAT_START_FAILURES, 1);
        break;
    }
}

/* What it had in hand will be read again. Returns: how many; -1 if the counters contradict. */
static int64_t
settle(uint64_t *words)
{
    uint64_t settled = words[STAT_COMPLETED] + words[STAT_REJECTED] + words[STAT_RETURNED];
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (stat_values[v].nature != STAT_COUNTER)
            words[v] = 0;
    if (settled > words[STAT_RECEIVED])
        return -1;
    uint64_t in_hand = words[STAT_RECEIVED] - settled;
    words[STAT_RETURNED] += in_hand;
    words[STAT_RETURNED_DIED] += in_hand;
    return (int64_t)in_hand;
}

/* Leaves those extremes that no closed period has yet, of one epoch or of two. */
static void
find_open_extremes(const struct shm_slot *slot, const struct account *a, uint64_t *words)
{
    const _Atomic uint64_t *edge = slot->edge.scalars;
    uint64_t epoch = words[SHM_WORD_EPOCH];
    if (epoch != a->epoch && !(a->open && epoch == a->epoch - 1))
        drop_extremes(words);
    if (!a->open || epoch != a->epoch || shm_load(&edge[SHM_WORD_EPOCH]) != a->epoch - 1)
        return;
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        uint64_t *min = &words[SHM_WORD_TIMES(t) + SHM_TIME_PERIOD_MIN];
        uint64_t *max = &words[SHM_WORD_TIMES(t) + SHM_TIME_PERIOD_MAX];
        uint64_t edge_min = shm_load(&edge[SHM_WORD_TIMES(t) + SHM_TIME_PERIOD_MIN]);
        uint64_t edge_max = shm_load(&edge[SHM_WORD_TIMES(t) + SHM_TIME_PERIOD_MAX]);
        *min = edge_min < *min ? edge_min : *min;
        *max = edge_max > *max ? edge_max : *max;
    }
}

int64_t
ledger_reap(struct ledger *ledger, unsigned slot, enum ledger_death death, enum slot_state state)
{
    struct shm_slot *s = segment_slot(ledger->segment, slot);
    struct account *a = &ledger->accounts[slot];
    uint64_t words[SHM_COPY_WORDS];
    assert(slot >= 1 && a->live);
    /* Whatever it was about to publish when it died is undone: the current copy is whole. */
    shm_copy_out(words, s->copies[shm_load(&s->seq) >> 1 & 1], SHM_COPY_WORDS);
    int64_t returned = settle(words);
    find_open_extremes(s, a, words);
    book_state(a, words);
    fold_dead(ledger, slot, words);
    a->live = a->open = false;
    a->died = death != LEDGER_ASKED && death != LEDGER_NOT_FORKED;
    count_death(ledger, death);
    shm_store(&s->pid, 0);
    set_state(s, state);
    return returned;
}

int64_t
ledger_heartbeat_ms(const struct ledger *ledger, unsigned slot)
{
    return shm_load(&segment_slot(ledger->segment, slot)->heartbeat_ms);
}

/* --- the master itself --- */

struct recorder *
ledger_recorder(struct ledger *ledger)
{
    return ledger->recorder;
}

void
ledger_set_master(struct ledger *ledger, enum master_state state, uint32_t generation)
{
    shm_store(&ledger->header->master_state, state);
    shm_store(&ledger->header->generation, generation);
}

static void
count_workers(struct ledger *l)
{
    uint64_t running = 0, wanted = 0;
    for (unsigned i = 1; i <= l->header->n_slots; i++) {
        const struct shm_slot *s = segment_slot(l->segment, i);
        if (shm_load(&s->assigned) == 0 || shm_load(&s->topic[0]) == 0)
            continue;
        wanted++;
        running += shm_load(&s->pid) != 0;
    }
    recorder_set(l->recorder, STAT_WORKERS_RUNNING, running);
    recorder_set(l->recorder, STAT_WORKERS_WANTED, wanted);
}

void
ledger_turn(struct ledger *ledger)
{
    count_workers(ledger);
    recorder_publish(ledger->recorder);
    shm_store(&ledger->header->heartbeat_ms, clock_mono_ms());
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
    for (unsigned i = 0; i <= l->header->n_slots; i++) {
        struct account *a = &l->accounts[i];
        if (a->live && !a->open) {
            shm_store(&segment_slot(l->segment, i)->epoch, ++a->epoch);
            a->open = true;
        }
    }
    if (l->barrier)
        (void)barrier_all(); /* refused: then all writers fence by themselves */
    for (unsigned i = 0; i <= l->header->n_slots; i++) {
        struct account *a = &l->accounts[i];
        if (a->open && collect(segment_slot(l->segment, i), a, state)) {
            book_state(a, state);
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
    for (unsigned i = 0; i <= l->header->n_slots; i++) {
        if (!l->accounts[i].live)
            continue;
        add_words(sum.words, l->accounts[i].seen, true);
        add_buckets(sum.buckets, &l->accounts[i].seen[SHM_SCALAR_WORDS]);
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
    for (unsigned i = 0; i <= l->header->n_slots; i++) {
        struct account *a = &l->accounts[i];
        book_slot(l, book, i);
        add_words(all.words, a->period.words, true);
        add_buckets(all.buckets, a->period.buckets);
        clear_span(&a->period);
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
    clear_span(&ledger->left);
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

/* --- life --- */

/* Slot 0 lives from the start and is never folded. */
static int
open_own_slot(struct ledger *l)
{
    struct shm_slot *s = segment_slot(l->segment, 0);
    for (unsigned i = 0; i < 2; i++)
        clear_copy(s->copies[i], 0, false);
    shm_copy_out(l->accounts[0].seen, s->copies[0], SHM_COPY_WORDS);
    l->accounts[0].live = true;
    shm_store(&s->pid, shm_load(&l->header->master_pid));
    l->recorder = recorder_new(l->segment, 0);
    atomic_store_explicit(&s->generation, 1, memory_order_release);
    return l->recorder == NULL ? -1 : 0;
}

struct ledger *
ledger_new(struct segment *segment)
{
    struct ledger *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->segment = segment;
    l->header = segment->header;
    l->barrier = l->header->fence == 0;
    l->closed_ms = l->header->started_mono_ms;
    l->accounts = calloc((size_t)l->header->n_slots + 1, sizeof(*l->accounts));
    if (l->accounts == NULL || open_own_slot(l) == -1) {
        ledger_free(&l);
        return NULL;
    }
    for (unsigned i = 0; i <= l->header->n_slots; i++)
        clear_span(&l->accounts[i].period);
    clear_span(&l->left);
    return l;
}

void
ledger_free(struct ledger **ledger)
{
    struct ledger *l = *ledger;
    if (l != NULL) {
        recorder_free(&l->recorder);
        free(l->accounts);
        free(l);
    }
    *ledger = NULL;
}
