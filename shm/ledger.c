/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.c - see ledger.h. Closing periods is in ledger_close.c.
 */
#include "shm/ledger_priv.h"

#include <stdlib.h>

#include "lib/clock.h"

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
    span_add_words(sum, words, false);
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

/* What was counted here for another process stays with the instance, and its heir if it has one. */
static void
clear_slot_sums(struct ledger *l, unsigned slot, unsigned heir)
{
    struct shm_retired *next = begin_fold(l);
    uint64_t words[SHM_WORD_EPOCH];
    shm_copy_out(words, next->slots[slot].words, SHM_WORD_EPOCH);
    if (heir != 0)
        fold_words(next->slots[heir].words, words);
    for (unsigned i = 0; i < SHM_WORD_EPOCH; i++)
        shm_store(&next->slots[slot].words[i], 0);
    for (unsigned t = 0; t < STAT_TIMINGS; t++)
        shm_store(&next->slots[slot].words[SHM_WORD_TIMES(t) + SHM_TIME_MIN], UINT64_MAX);
    shm_store(&next->slots[slot].released, 1);
    end_fold(l);
}

static void
leave_slot(struct account *a, struct ledger *l)
{
    span_add_words(l->left.words, a->period.words, false);
    span_add_buckets(l->left.buckets, a->period.buckets);
    span_clear(&a->period);
    span_clear_levels(&a->period);
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
    /* Nobody's, then his: whoever reads across one of the two flips looks again. */
    shm_store(&s->assigned, 0);
    if (slot > shm_load(&ledger->header->slots_used))
        atomic_store_explicit(&ledger->header->slots_used, slot, memory_order_release);
    clear_slot_sums(ledger, slot, 0);
    for (unsigned i = 0; i < SHM_PERIODS; i++)
        shm_store(&s->periods[i].number, 0);
    store_text(s->name, COUNT_OF(s->name), name);
    store_text(s->topic, COUNT_OF(s->topic), topic);
    shm_store(&s->number, number);
    shm_store(&s->restarts, 0);
    shm_store(&s->configuration, shm_load(&ledger->header->generation));
    shm_store(&s->leaving, 0);
    shm_store(&s->assigned_from, shm_load(&s->generation));
    set_state(s, SLOT_FREE);
    atomic_store_explicit(&s->assigned, 1, memory_order_release);
    shm_store(&begin_fold(ledger)->slots[slot].released, 0);
    end_fold(ledger);
}

void
ledger_note_leaving(struct ledger *ledger, unsigned slot)
{
    shm_store(&segment_slot(ledger->segment, slot)->leaving, 1);
}

void
ledger_release(struct ledger *ledger, unsigned slot, unsigned heir)
{
    struct shm_slot *s = segment_slot(ledger->segment, slot);
    assert(slot >= 1 && heir != slot && !ledger->accounts[slot].live);
    leave_slot(&ledger->accounts[slot], ledger);
    clear_slot_sums(ledger, slot, heir); /* he goes and the heir has it, in one step */
    shm_store(&s->assigned, 0);
}

/*
 * Takes: the wall clock's ms, one for both copies: what a recorder does not change is to be the
 * same in both.
 */
static void
clear_copy(_Atomic uint64_t *copy, uint64_t epoch, uint32_t generation, int64_t wall_ms,
           bool consumes)
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
    shm_store(&copy[SHM_WORD_GENERATION], generation);
    shm_store(&copy[SHM_WORD_STATE], SLOT_STARTING);
    shm_store(&copy[SHM_WORD_SINCE], (uint64_t)wall_ms);
    for (unsigned i = 0; consumes && i < COUNT_OF(unknown); i++)
        shm_store(&copy[SHM_WORD_VALUES + unknown[i]], STAT_UNKNOWN);
}

/* A helper is no worker, and not counted as one. */
static bool
is_worker(const struct shm_slot *s)
{
    return shm_load(&s->topic[0]) != 0;
}

/* Both copies are the new generation's, and it becomes true with the first of them. */
static void
begin_generation(struct shm_slot *s, uint64_t epoch, uint32_t generation)
{
    int64_t now_ms = clock_wall_ms();
    bool consumes = is_worker(s);
    uint64_t seq = shm_load(&s->seq);
    unsigned other = (seq >> 1 & 1) ^ 1;
    shm_store(&s->seq, seq | 1);
    atomic_thread_fence(memory_order_release);
    clear_copy(s->copies[other], epoch, generation, now_ms, consumes);
    atomic_store_explicit(&s->seq, (seq | 1) + 1, memory_order_release);
    /* Whoever still copies the one before will see that it has been left. */
    atomic_thread_fence(memory_order_release);
    clear_copy(s->copies[other ^ 1], epoch, generation, now_ms, consumes);
}

static void
count_start(struct ledger *l, struct shm_slot *s, const struct account *a)
{
    if (a->died)
        shm_store(&s->restarts, shm_load(&s->restarts) + 1);
    if (!is_worker(s))
        return;
    if (a->died) {
        shm_store(&l->header->restarts, shm_load(&l->header->restarts) + 1);
        recorder_add(l->recorder, STAT_RESTARTS, 1);
    }
    recorder_add(l->recorder, STAT_STARTS, 1);
}

void
ledger_start(struct ledger *ledger, unsigned slot)
{
    struct shm_slot *s = segment_slot(ledger->segment, slot);
    struct account *a = &ledger->accounts[slot];
    uint32_t generation = shm_load(&s->generation) + 1;
    assert(slot >= 1 && !a->live);
    shm_store(&s->epoch, a->epoch);
    shm_store(&s->heartbeat_ms, clock_mono_ms());
    count_start(ledger, s, a);
    set_state(s, SLOT_STATES);
    shm_store(&s->generation, generation);
    begin_generation(s, a->epoch, generation);
    shm_copy_out(a->seen, s->copies[0], SHM_COPY_WORDS);
    a->live = true;
    a->open = false;
}

void
ledger_started(struct ledger *ledger, unsigned slot, int32_t pid)
{
    shm_store(&segment_slot(ledger->segment, slot)->pid, pid);
}

void
ledger_show(struct ledger *ledger, unsigned slot, enum slot_state state)
{
    set_state(segment_slot(ledger->segment, slot), state);
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

/* Leaves those extremes that no closed period has yet, of one epoch or of two. */
static void
find_open_extremes(const struct shm_slot *slot, const struct account *a, uint64_t *words)
{
    const _Atomic uint64_t *edge = slot->edge.scalars;
    uint64_t epoch = words[SHM_WORD_EPOCH];
    if (epoch != a->epoch && !(a->open && epoch == a->epoch - 1))
        ledger_drop_extremes(words);
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
    int64_t returned = span_settle(words);
    find_open_extremes(s, a, words);
    ledger_book_state(a, words);
    fold_dead(ledger, slot, words);
    a->live = a->open = false;
    a->died = death != LEDGER_ASKED && death != LEDGER_NOT_FORKED;
    if (is_worker(s))
        count_death(ledger, death);
    shm_store(&s->pid, 0);
    set_state(s, state);
    return returned;
}

enum slot_state
ledger_state(const struct ledger *ledger, unsigned slot)
{
    const struct shm_slot *s = segment_slot(ledger->segment, slot);
    uint64_t state = shm_load(&s->state);
    if (state == SLOT_STATES) /* it says so itself */
        state = shm_load(&s->copies[shm_load(&s->seq) >> 1 & 1][SHM_WORD_STATE]);
    return state < SLOT_STATES ? (enum slot_state)state : SLOT_STARTING;
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
ledger_set_master(struct ledger *ledger, enum master_state state)
{
    shm_store(&ledger->header->master_state, state);
}

void
ledger_note_reload(struct ledger *ledger)
{
    shm_store(&ledger->header->generation, shm_load(&ledger->header->generation) + 1);
    shm_store(&ledger->header->refused_ms, 0);
    recorder_add(ledger->recorder, STAT_RELOADS, 1);
}

void
ledger_note_refused(struct ledger *ledger, const char *why)
{
    struct shm_header *h = ledger->header;
    shm_store(&h->refused_ms, 0);
    atomic_thread_fence(memory_order_release);
    store_text(h->refused_text, COUNT_OF(h->refused_text), why);
    atomic_store_explicit(&h->refused_ms, clock_wall_ms(), memory_order_release);
    recorder_add(ledger->recorder, STAT_RELOADS_REFUSED, 1);
}

static void
count_workers(struct ledger *l)
{
    uint64_t running = 0, wanted = 0;
    for (unsigned i = 1; i <= shm_slots_used(l->header); i++) {
        const struct shm_slot *s = segment_slot(l->segment, i);
        if (shm_load(&s->assigned) == 0 || shm_load(&s->topic[0]) == 0)
            continue;
        wanted += shm_load(&s->leaving) == 0;
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

/* --- life --- */

/* Slot 0 lives from the start and is never folded. */
static int
open_own_slot(struct ledger *l)
{
    struct shm_slot *s = segment_slot(l->segment, 0);
    int64_t now_ms = clock_wall_ms();
    for (unsigned i = 0; i < 2; i++)
        clear_copy(s->copies[i], 0, 1, now_ms, false);
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
        span_clear(&l->accounts[i].period);
    span_clear(&l->left);
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
