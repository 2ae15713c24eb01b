/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.c - see snapshot.h. Attaching is in reader.c, looking back in history.c.
 */
#include "shm/snapshot.h"

#include <stdlib.h>

#include "lib/array.h"
#include "lib/clock.h"
#include "lib/printable.h"
#include "shm/reader_priv.h"

enum {
    SLOT_TRIES = 100,    /* to copy a slot while its writer publishes */
    FOLD_TRIES = 100,    /* to read all slots while the master folds */
    SLOT_RETRIES = 20000 /* copies of slots anew in all of a snapshot: some tenths of a second */
};

/* --- one slot --- */

/* Copies the current figures of a live generation. Returns: false if it published all the time. */
static bool
copy_slot(const struct shm_slot *slot, uint64_t *words, unsigned *retries)
{
    for (unsigned i = 0; i < SLOT_TRIES; i++) {
        if (i > 0 && (*retries)-- == 0) {
            *retries = 0;
            break;
        }
        uint64_t seq = atomic_load_explicit(&slot->seq, memory_order_acquire);
        shm_copy_out(words, slot->copies[seq >> 1 & 1], SHM_COPY_WORDS);
        atomic_thread_fence(memory_order_acquire);
        if (shm_load(&slot->seq) >> 1 == seq >> 1)
            return true;
    }
    return false;
}

/* The totals of a slot at the last close; cleared if they are another generation's. */
static void
load_booked(const struct shm_reader *r, unsigned slot, uint32_t generation,
            struct stat_figures *figures)
{
    const struct shm_header *h = r->header;
    for (unsigned i = 0; i < SLOT_TRIES; i++) {
        uint64_t number = atomic_load_explicit(&h->book, memory_order_acquire);
        const struct shm_book_slot *booked = &reader_book_at(r, number)->slots[slot];
        bool same = shm_load(&booked->generation) == generation;
        shm_copy_out((uint64_t *)figures, booked->totals, SHM_FIGURES_WORDS);
        atomic_thread_fence(memory_order_acquire);
        if (shm_load(&h->book) != number)
            continue;
        if (same)
            return;
        break;
    }
    stat_clear(figures);
}

/* What the master had of it at the last close; without buckets, which the book does not have. */
static void
copy_from_book(const struct shm_reader *r, unsigned slot, uint32_t generation, uint64_t *words)
{
    struct stat_figures figures;
    load_booked(r, slot, generation, &figures);
    memset(words, 0, SHM_COPY_WORDS * sizeof(words[0]));
    memcpy(words, figures.values, sizeof(figures.values));
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        words[SHM_WORD_TIMES(t) + SHM_TIME_COUNT] = figures.times[t].count;
        words[SHM_WORD_TIMES(t) + SHM_TIME_SUM] = figures.times[t].sum_ns;
        words[SHM_WORD_TIMES(t) + SHM_TIME_MIN] = figures.times[t].min_ns;
        words[SHM_WORD_TIMES(t) + SHM_TIME_MAX] = figures.times[t].max_ns;
    }
}

/*
 * Fills in a slot's words with the newest that can be had, and whose they are: a generation that is
 * not folded yet lives; one that is has ended and was not followed yet.
 */
static void
read_slot(struct shm_reader *r, unsigned i, uint64_t folded)
{
    const struct shm_slot *slot = reader_slot_at(r, i);
    struct reader_slot *s = &r->slots[i];
    uint32_t generation = atomic_load_explicit(&slot->generation, memory_order_acquire);
    s->late = !copy_slot(slot, r->scratch, &r->retries);
    if (!s->late) {
        generation = (uint32_t)r->scratch[SHM_WORD_GENERATION];
        memcpy(s->words, r->scratch, sizeof(s->words));
    } else if (s->generation != generation) {
        copy_from_book(r, i, generation, s->words);
    }
    s->generation = generation;
    s->live = generation > folded;
    s->ended = generation == folded && generation > shm_load(&slot->assigned_from);
}

/* --- who lives in a slot --- */

static void
load_text(char *to, size_t size, const _Atomic uint64_t *from, size_t n_words)
{
    char bytes[512];
    assert(n_words * 8 <= sizeof(bytes));
    shm_copy_out((uint64_t *)(void *)bytes, from, n_words);
    bytes[n_words * 8 - 1] = '\0';
    size_t n = strnlen(bytes, size - 1);
    memcpy(to, bytes, n);
    to[n] = '\0';
    printable_clean(to);
}

static void
copy_text(char *to, size_t size, const uint64_t *words)
{
    memcpy(to, words, size);
    to[size - 1] = '\0';
    printable_clean(to);
}

/* What the process itself says of its state. */
static void
tell_state(struct snapshot_process *p, const uint64_t *words)
{
    p->state = words[SHM_WORD_STATE] < SLOT_STATES ? (enum slot_state)words[SHM_WORD_STATE]
                                                   : SLOT_STARTING;
    p->since_ms = reader_bound_ms((int64_t)words[SHM_WORD_SINCE]);
    p->wait_since_ms = reader_bound_ms((int64_t)words[SHM_WORD_WAIT_SINCE]);
    copy_text(p->wait_class, sizeof(p->wait_class), &words[SHM_WORD_WAIT_CLASS]);
    copy_text(p->wait_text, sizeof(p->wait_text), &words[SHM_WORD_WAIT_TEXT]);
}

/* Takes: a time of the monotonic clock. */
static int64_t
tell_wall_ms(const struct shm_reader *r, int64_t mono_ms)
{
    return reader_bound_ms(reader_bound_ms(mono_ms) + r->mono_to_wall_ms);
}

/* What the master says of the slot. */
static void
describe_process(const struct shm_reader *r, unsigned i, struct snapshot_process *p)
{
    const struct shm_slot *slot = reader_slot_at(r, i);
    uint32_t state = shm_load(&slot->state);
    int64_t heartbeat_ms = shm_load(&slot->heartbeat_ms);
    memset(p, 0, sizeof(*p));
    p->slot = i;
    load_text(p->name, sizeof(p->name), slot->name, COUNT_OF(slot->name));
    load_text(p->topic, sizeof(p->topic), slot->topic, COUNT_OF(slot->topic));
    p->number = shm_load(&slot->number);
    p->pid = shm_load(&slot->pid);
    p->generation = r->slots[i].generation; /* whose figures these are */
    p->restarts = shm_load(&slot->restarts);
    p->configuration = shm_load(&slot->configuration);
    p->leaving = shm_load(&slot->leaving) != 0;
    p->heartbeat_ms = heartbeat_ms != 0 ? tell_wall_ms(r, heartbeat_ms) : 0;
    p->state = state < SLOT_STATES ? (enum slot_state)state : SLOT_STARTING;
    p->since_ms = reader_bound_ms(shm_load(&slot->since_ms));
    if (r->slots[i].live && state == SLOT_STATES)
        tell_state(p, r->slots[i].words);
}

/* --- the closed period --- */

static void
load_figures(struct stat_figures *figures, const _Atomic uint64_t *from)
{
    uint64_t words[SHM_FIGURES_WORDS];
    shm_copy_out(words, from, SHM_FIGURES_WORDS);
    memcpy(figures, words, sizeof(*figures));
}

static void
load_book(struct shm_reader *r, uint64_t number)
{
    const struct shm_book *book = reader_book_at(r, number);
    r->book.period = shm_load(&book->period);
    r->book.ended_ms = reader_bound_ms(shm_load(&book->ended_ms));
    r->book.length_ms = reader_bound_ms(shm_load(&book->length_ms));
    stat_clear(&r->book.last_period);
    if (number > 0)
        load_figures(&r->book.last_period, book->last_period);
}

/* The master may not have closed a period since the slot changed hands: then it is empty. */
static void
load_process_period(const struct shm_reader *r, uint64_t number, struct snapshot_process *p)
{
    const struct shm_book_slot *booked = &reader_book_at(r, number)->slots[p->slot];
    stat_clear(&p->last_period);
    if (number > 0 &&
        shm_load(&booked->generation) > shm_load(&reader_slot_at(r, p->slot)->assigned_from))
        load_figures(&p->last_period, booked->last_period);
}

/* --- all that belongs together --- */

static void
read_slots(struct shm_reader *r, uint64_t fold, uint64_t book)
{
    const struct shm_retired *retired = reader_retired_at(r, fold);
    unsigned used = reader_slots_used(r);
    for (unsigned i = 0; i <= used; i++) {
        struct reader_slot *s = &r->slots[i];
        const struct shm_slot *slot = reader_slot_at(r, i);
        uint64_t folded = shm_load(&retired->slots[i].generation);
        s->live = s->ended = false;
        s->assigned = atomic_load_explicit(&slot->assigned, memory_order_acquire) != 0 &&
                      shm_load(&retired->slots[i].released) == 0;
        if (!s->assigned && shm_load(&slot->generation) <= folded && i > 0)
            continue;
        shm_copy_out(s->retired, retired->slots[i].words, SHM_WORD_EPOCH);
        read_slot(r, i, folded);
        describe_process(r, i, &s->about);
        load_process_period(r, book, &s->about);
    }
}

/*
 * Reads the retired totals and every slot, such that each generation is in one of them and in one
 * only, that the names are those of who counted, and the periods all of one close.
 * Returns: false if the master kept changing things in between.
 */
static bool
read_all(struct shm_reader *r)
{
    const struct shm_header *h = r->header;
    r->retries = SLOT_RETRIES;
    for (unsigned tries = 0; tries < FOLD_TRIES; tries++) {
        uint64_t fold = atomic_load_explicit(&h->fold, memory_order_acquire);
        uint64_t book = atomic_load_explicit(&h->book, memory_order_acquire);
        const struct shm_retired *retired = reader_retired_at(r, fold);
        shm_copy_out(r->sums.words, retired->words, SHM_WORD_EPOCH);
        shm_copy_out(r->sums.buckets, retired->buckets, SHM_BUCKET_WORDS);
        load_book(r, book);
        read_slots(r, fold, book);
        atomic_thread_fence(memory_order_acquire);
        if (shm_load(&h->fold) == fold && shm_load(&h->book) == book)
            return true;
    }
    return false;
}

/* --- sums --- */

static void
sum_instance(struct shm_reader *r, struct stat_figures *totals)
{
    for (unsigned i = 0; i <= r->fixed.n_slots; i++) {
        if (!r->slots[i].live)
            continue;
        span_add_words(r->sums.words, r->slots[i].words, true);
        span_add_buckets(r->sums.buckets, &r->slots[i].words[SHM_SCALAR_WORDS]);
    }
    span_to_figures(&r->sums, totals);
}

/* --- a process --- */

static void
fill_process(struct reader_slot *s, struct snapshot_process *p)
{
    *p = s->about;
    stat_clear(&p->totals);
    if (s->ended)
        (void)span_settle(s->words); /* as the master did when it folded it */
    if (s->live || s->ended) {
        shm_words_to_figures(s->words, &p->totals);
        shm_fill_percentiles(&p->totals, &s->words[SHM_SCALAR_WORDS]);
    }
    if (s->live) {
        p->late = s->late;
        span_add_words(s->retired, s->words, true);
    }
    shm_words_to_figures(s->retired, &p->lifetime);
}

static int
compare_processes(const void *a, const void *b)
{
    const struct snapshot_process *x = a, *y = b;
    bool x_helps = x->topic[0] == '\0', y_helps = y->topic[0] == '\0';
    if (x_helps != y_helps)
        return x_helps ? 1 : -1;
    int order = strcmp(x->topic, y->topic);
    if (order == 0)
        order = x->number < y->number ? -1 : x->number > y->number;
    if (order == 0)
        order = x->configuration < y->configuration ? -1 : x->configuration > y->configuration;
    if (order == 0)
        order = x->generation < y->generation ? -1 : x->generation > y->generation;
    return order != 0 ? order : x->slot < y->slot ? -1 : x->slot > y->slot;
}

static int
fill_processes(struct shm_reader *r, struct snapshot *s, struct errbuf *err)
{
    if (array_reserve(&s->processes, &s->capacity, r->fixed.n_slots, sizeof(*s->processes)) == -1)
        return errbuf_set(err, "out of memory");
    s->n_processes = 0;
    for (unsigned i = 1; i <= r->fixed.n_slots; i++)
        if (r->slots[i].live || r->slots[i].assigned)
            fill_process(&r->slots[i], &s->processes[s->n_processes++]);
    return 0;
}

/* --- all of it --- */

/* A text that changes under us is left out; the next snapshot has it. */
static void
load_refusal(const struct shm_header *h, struct snapshot *s)
{
    int64_t refused_ms = atomic_load_explicit(&h->refused_ms, memory_order_acquire);
    load_text(s->refused_text, sizeof(s->refused_text), h->refused_text, COUNT_OF(h->refused_text));
    atomic_thread_fence(memory_order_acquire);
    s->refused_ms = shm_load(&h->refused_ms) == refused_ms ? reader_bound_ms(refused_ms) : 0;
    if (s->refused_ms == 0)
        s->refused_text[0] = '\0';
}

/* Takes: a text of the header, which may have no end. */
static void
copy_fixed_text(char *to, size_t size, const char *from, size_t n)
{
    size_t length = strnlen(from, n < size ? n : size - 1);
    memcpy(to, from, length);
    to[length] = '\0';
    printable_clean(to);
}

static void
fill_header(const struct shm_reader *r, struct snapshot *s)
{
    const struct shm_header *h = r->header;
    copy_fixed_text(s->instance, sizeof(s->instance), r->fixed.instance, sizeof(r->fixed.instance));
    copy_fixed_text(s->version, sizeof(s->version), r->fixed.program, sizeof(r->fixed.program) - 1);
    s->taken_ms = clock_wall_ms();
    s->master_pid = shm_load(&h->master_pid);
    s->master_state = (enum master_state)shm_load(&h->master_state);
    s->started_ms = r->fixed.started_ms;
    s->generation = shm_load(&h->generation);
    s->heartbeat_ms = tell_wall_ms(r, shm_load(&h->heartbeat_ms));
    s->restarts = shm_load(&h->restarts);
    s->period_ms = reader_bound_ms(shm_load(&h->period_ms));
    s->period = r->book.period;
    s->period_ended_ms = r->book.ended_ms;
    s->period_length_ms = r->book.length_ms;
    s->last_period = r->book.last_period;
    load_refusal(h, s);
}

int
snapshot_take(struct shm_reader *reader, struct snapshot *snapshot, struct errbuf *err)
{
    if (reader->same_boot)
        reader->mono_to_wall_ms = clock_wall_ms() - clock_mono_ms();
    bool all = read_all(reader);
    if (guarded_map_is_lost(&reader->map))
        return errbuf_set(err, "%s: truncated while it was read", reader->path);
    if (!all) {
        /* Workers die faster than all slots can be read: what was read before, if there is any. */
        if (snapshot->n_processes == 0)
            return errbuf_set(err, "%s: busy: it changed all the time", reader->path);
        for (size_t i = 0; i < snapshot->n_processes; i++)
            snapshot->processes[i].late = true;
        return 0;
    }
    fill_header(reader, snapshot);
    if (fill_processes(reader, snapshot, err) == -1)
        return -1;
    if (snapshot->n_processes > 1)
        qsort(snapshot->processes, snapshot->n_processes, sizeof(*snapshot->processes),
              compare_processes);
    sum_instance(reader, &snapshot->totals);
    return 0;
}

const uint64_t *
snapshot_buckets(const struct shm_reader *reader, enum stat_timing timing)
{
    assert(timing < STAT_HISTOGRAMS);
    return &reader->sums.buckets[timing * HISTOGRAM_BUCKETS];
}

const uint64_t *
snapshot_process_buckets(const struct shm_reader *reader, unsigned slot, enum stat_timing timing)
{
    assert(timing < STAT_HISTOGRAMS && slot <= reader->fixed.n_slots);
    const struct reader_slot *s = &reader->slots[slot];
    return s->live ? &s->words[SHM_WORD_BUCKETS(timing)] : NULL;
}

void
snapshot_free(struct snapshot *snapshot)
{
    free(snapshot->processes);
    *snapshot = (struct snapshot){.n_processes = 0};
}
