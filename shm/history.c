/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.c - looking back over the closed periods and at the histograms. See snapshot.h.
 *
 * Process: any reader.  Owner: struct shm_reader.  Concurrency: a reader belongs to one thread; it
 * only loads from the segment.
 */
#include "lib/clock.h"
#include "shm/reader_priv.h"

/* Copies one period of the instance out. Returns: false if the master writes it just now, or it is
 * not the one of that number any more. */
static bool
copy_period(const struct shm_reader *r, uint64_t number, struct snapshot_period *period,
            uint64_t *buckets)
{
    const struct shm_period *p = reader_period_at(r, number);
    uint64_t words[SHM_FIGURES_WORDS];
    if (atomic_load_explicit(&p->number, memory_order_acquire) != number)
        return false;
    period->number = number;
    period->ended_ms = reader_bound_ms(shm_load(&p->ended_ms));
    period->length_ms = reader_bound_ms(shm_load(&p->length_ms));
    shm_copy_out(words, p->figures, SHM_FIGURES_WORDS);
    for (unsigned i = 0; buckets != NULL && i < SHM_BUCKET_WORDS; i++)
        buckets[i] = shm_load(&p->buckets[i]);
    atomic_thread_fence(memory_order_acquire);
    memcpy(&period->figures, words, sizeof(period->figures));
    return shm_load(&p->number) == number;
}

static uint64_t
last_period(const struct shm_reader *r)
{
    uint64_t book = atomic_load_explicit(&r->header->book, memory_order_acquire);
    return book == 0 ? 0 : shm_load(&reader_book_at(r, book)->period);
}

/* Returns: how many periods up to this one can be kept, and fit. */
static unsigned
count_kept(uint64_t last, size_t max)
{
    unsigned n = max < SHM_PERIODS ? (unsigned)max : SHM_PERIODS;
    return last < n ? (unsigned)last : n;
}

size_t
snapshot_periods(struct shm_reader *reader, struct snapshot_period *periods, size_t max)
{
    uint64_t last = last_period(reader);
    size_t n = 0;
    for (unsigned before = count_kept(last, max); before-- > 0;)
        n += copy_period(reader, last - before, &periods[n], NULL);
    return guarded_map_is_lost(&reader->map) ? 0 : n;
}

/* --- processes --- */

static bool
copy_slot_period(const struct shm_slot *slot, uint64_t number,
                 struct snapshot_process_period *period)
{
    const struct shm_slot_period *p = &slot->periods[number % SHM_PERIODS];
    if (atomic_load_explicit(&p->number, memory_order_acquire) != number)
        return false;
    *period = (struct snapshot_process_period){.number = number,
                                               .received = shm_load(&p->received),
                                               .completed = shm_load(&p->completed),
                                               .rejected = shm_load(&p->rejected),
                                               .returned = shm_load(&p->returned)};
    for (unsigned t = 0; t < STAT_TIMINGS; t++)
        period->times[t] = (struct stat_times){.count = shm_load(&p->times[t].count),
                                               .sum_ns = shm_load(&p->times[t].sum),
                                               .min_ns = shm_load(&p->times[t].min),
                                               .max_ns = shm_load(&p->times[t].max),
                                               .p50_ns = STAT_UNKNOWN,
                                               .p95_ns = STAT_UNKNOWN,
                                               .p99_ns = STAT_UNKNOWN};
    atomic_thread_fence(memory_order_acquire);
    return shm_load(&p->number) == number;
}

size_t
snapshot_process_periods(struct shm_reader *reader, unsigned slot,
                         struct snapshot_process_period *periods, size_t max)
{
    uint64_t last = last_period(reader);
    size_t n = 0;
    assert(slot <= reader->fixed.n_slots);
    if (slot > reader_slots_used(reader)) /* there may be no memory behind it */
        return 0;
    for (unsigned before = count_kept(last, max); before-- > 0;)
        n += copy_slot_period(reader_slot_at(reader, slot), last - before, &periods[n]);
    return guarded_map_is_lost(&reader->map) ? 0 : n;
}

/* --- windows and histograms --- */

/* Folds the newest periods; figures and buckets may be NULL. */
static int64_t
fold_window(struct shm_reader *r, int64_t span_ms, struct stat_figures *figures, uint64_t *buckets)
{
    struct snapshot_period period;
    uint64_t last = last_period(r), more[SHM_BUCKET_WORDS];
    int64_t covered_ms = 0;
    memset(buckets, 0, SHM_BUCKET_WORDS * sizeof(buckets[0]));
    stat_clear(figures);
    unsigned kept = count_kept(last, SHM_PERIODS);
    for (unsigned before = 0; before < kept && covered_ms < span_ms; before++) {
        if (!copy_period(r, last - before, &period, more))
            break;
        if (before == 0)
            memcpy(figures->values, period.figures.values, sizeof(figures->values));
        for (unsigned v = 0; before == 0 && v < STAT_VALUES; v++)
            if (stat_values[v].nature == STAT_COUNTER)
                figures->values[v] = 0; /* added below like the rest */
        stat_add_span(figures, &period.figures);
        for (unsigned i = 0; i < SHM_BUCKET_WORDS; i++)
            buckets[i] += more[i];
        covered_ms += period.length_ms;
    }
    return covered_ms;
}

int64_t
snapshot_window(struct shm_reader *reader, int64_t span_ms, struct stat_figures *figures)
{
    uint64_t buckets[SHM_BUCKET_WORDS];
    int64_t covered_ms = fold_window(reader, span_ms, figures, buckets);
    shm_fill_percentiles(figures, buckets);
    return covered_ms;
}

int64_t
snapshot_histogram(struct shm_reader *reader, enum stat_timing timing, int64_t span_ms,
                   uint64_t counts[HISTOGRAM_BUCKETS])
{
    struct snapshot s = {.n_processes = 0};
    struct stat_figures figures;
    struct errbuf err;
    uint64_t buckets[SHM_BUCKET_WORDS];
    int64_t covered_ms = 0;
    assert(timing < STAT_HISTOGRAMS);
    if (span_ms > 0) {
        covered_ms = fold_window(reader, span_ms, &figures, buckets);
        memcpy(counts, &buckets[timing * HISTOGRAM_BUCKETS], HISTOGRAM_BUCKETS * sizeof(*counts));
        return covered_ms;
    }
    memset(counts, 0, HISTOGRAM_BUCKETS * sizeof(*counts));
    if (snapshot_take(reader, &s, &err) == 0) { /* leaves the instance's sums in the reader */
        memcpy(counts, snapshot_buckets(reader, timing), HISTOGRAM_BUCKETS * sizeof(*counts));
        covered_ms = s.taken_ms - s.started_ms;
    }
    snapshot_free(&s);
    return covered_ms;
}
