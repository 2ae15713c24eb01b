/* SPDX-License-Identifier: Apache-2.0 */
/* shm-model.c - see shm-model.h. */
#include "tests/shm/shm-model.h"

#include <inttypes.h>

/* Fingerprints are levels, which are summed up and have one value that means "unknown". */
#define FINGERPRINT_MASK ((UINT64_C(1) << 48) - 1)

uint64_t
model_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t
model_commit_ns(uint64_t k, unsigned slot)
{
    return k * MODEL_SLOTS + slot;
}

void
model_clear(struct model *model)
{
    stat_clear(&model->figures);
    memset(model->buckets, 0, sizeof(model->buckets));
}

/* Those are not the workers' to record. */
static bool
is_masters(unsigned value)
{
    return (value >= STAT_STARTS && value <= STAT_PERIODS) || value == STAT_WORKERS_RUNNING ||
           value == STAT_WORKERS_WANTED;
}

/* Those that follow from others, by the sums. */
static bool
is_tied(unsigned value)
{
    return value <= STAT_BYTES_IN || value == STAT_BATCHES || value == STAT_STORE_RETRIES ||
           (value >= STAT_RETURNED_REVOKED && value < STAT_COMMITS) || value == STAT_LAG ||
           value == STAT_LAG_COMMITTED;
}

/* --- chunks --- */

static void
plan_time(struct model_chunk *chunk, enum stat_timing timing, uint64_t ns, uint64_t weight)
{
    assert(chunk->n_timings < MODEL_CHUNK_TIMINGS);
    chunk->timings[chunk->n_timings++] = (struct model_timing){timing, ns, weight};
}

/* Splits completed messages into some polls, each with a duration from 1 ns to 2^31 ns. */
static void
plan_requests(struct model_chunk *chunk, uint64_t *rng)
{
    uint64_t left = chunk->values[STAT_COMPLETED];
    for (unsigned i = 0; left > 0; i++) {
        uint64_t weight = i == 4 ? left : 1 + model_random(rng) % left;
        uint64_t ns = (UINT64_C(1) << model_random(rng) % 31) + model_random(rng) % 1000;
        plan_time(chunk, STAT_REQUEST, ns, weight);
        plan_time(chunk, STAT_DELAY, 3 * ns, weight);
        left -= weight;
    }
}

static void
plan_messages(struct model_chunk *chunk, uint64_t *rng, uint64_t in_flight)
{
    uint64_t *v = chunk->values;
    v[STAT_RECEIVED] = model_random(rng) % 64;
    uint64_t left = in_flight + v[STAT_RECEIVED];
    left -= v[STAT_COMPLETED] = model_random(rng) % (left + 1);
    left -= v[STAT_REJECTED] = model_random(rng) % (left / 4 + 1);
    left -= v[STAT_RETURNED] = model_random(rng) % (left / 4 + 1);
    v[STAT_IN_FLIGHT] = left;
    v[STAT_REJECTED_NOT_JSON + model_random(rng) % (STAT_COMMITS - STAT_REJECTED_NOT_JSON)] =
        v[STAT_REJECTED];
    v[STAT_RETURNED_REVOKED + model_random(rng) % 4] = v[STAT_RETURNED];
}

void
model_plan(struct model_chunk *chunk, uint64_t seed, unsigned slot, uint64_t k, uint64_t in_flight)
{
    uint64_t rng = seed ^ k * MODEL_SLOTS ^ slot;
    uint64_t *v = chunk->values;
    memset(v, 0, sizeof(chunk->values));
    chunk->k = k;
    chunk->n_timings = 0;
    for (unsigned i = 0; i < STAT_VALUES; i++)
        if (!is_masters(i) && !is_tied(i) && model_random(&rng) % 4 == 0)
            v[i] = model_random(&rng) % 1000;
    plan_messages(chunk, &rng, in_flight);
    plan_requests(chunk, &rng);
    uint64_t decode_ns = model_random(&rng) % 100000, write_ns = model_random(&rng) % 50000000;
    if (v[STAT_RECEIVED] > 0)
        plan_time(chunk, STAT_DECODE, decode_ns, v[STAT_RECEIVED]);
    v[STAT_BYTES_IN] = decode_ns * v[STAT_RECEIVED];
    plan_time(chunk, STAT_WRITE, write_ns, 1);
    v[STAT_STORE_RETRIES] = write_ns;
    v[STAT_BATCHES] = 1;
    plan_time(chunk, STAT_COMMIT, model_commit_ns(k, slot), 1);
}

/* --- adding up --- */

static void
add_times(struct stat_times *into, uint64_t count, uint64_t sum, uint64_t min, uint64_t max)
{
    if (count == 0)
        return;
    into->min_ns = into->count == 0 || min < into->min_ns ? min : into->min_ns;
    into->max_ns = into->count == 0 || max > into->max_ns ? max : into->max_ns;
    into->count += count;
    into->sum_ns += sum;
}

void
model_apply(struct model *model, const struct model_chunk *chunk)
{
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (stat_values[v].nature == STAT_COUNTER)
            model->figures.values[v] += chunk->values[v];
        else
            model->figures.values[v] = chunk->values[v];
    for (unsigned i = 0; i < chunk->n_timings; i++) {
        const struct model_timing *t = &chunk->timings[i];
        add_times(&model->figures.times[t->timing], t->weight, t->ns * t->weight, t->ns, t->ns);
        if (t->timing < STAT_HISTOGRAMS)
            model->buckets[t->timing * HISTOGRAM_BUCKETS + histogram_bucket(t->ns)] += t->weight;
    }
}

uint64_t
model_fingerprint(const struct stat_figures *figures)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (v != STAT_LAG)
            hash = (hash ^ figures->values[v]) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        const struct stat_times *times = &figures->times[t];
        if (times->count == 0)
            continue;
        hash = (hash ^ times->count) * UINT64_C(0x9e3779b97f4a7c15) + 1;
        hash = (hash ^ times->sum_ns) * UINT64_C(0x9e3779b97f4a7c15) + 1;
        hash = (hash ^ times->min_ns) * UINT64_C(0x9e3779b97f4a7c15) + 1;
        hash = (hash ^ times->max_ns) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    }
    return (hash ^ hash >> 32) & FINGERPRINT_MASK;
}

uint64_t
model_bucket_fingerprint(const uint64_t *buckets)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < SHM_BUCKET_WORDS; i++)
        sum += buckets[i] * (i * i + 1);
    return sum & FINGERPRINT_MASK;
}

void
model_seal(struct model *model)
{
    model->figures.values[STAT_LAG_COMMITTED] = model_bucket_fingerprint(model->buckets);
    model->figures.values[STAT_LAG] = model_fingerprint(&model->figures);
}

void
model_record(struct recorder *recorder, const struct model_chunk *chunk, const struct model *after)
{
    for (unsigned v = 0; v < STAT_VALUES; v++) {
        if (is_masters(v))
            continue;
        if (stat_values[v].nature != STAT_COUNTER)
            recorder_set(recorder, v, after->figures.values[v]);
        else if (chunk->values[v] > 0)
            recorder_add(recorder, v, chunk->values[v]);
    }
    for (unsigned i = 0; i < chunk->n_timings; i++)
        recorder_time(recorder, chunk->timings[i].timing, (int64_t)chunk->timings[i].ns,
                      chunk->timings[i].weight);
}

void
model_settle(struct model *model)
{
    uint64_t *v = model->figures.values;
    v[STAT_RETURNED] += v[STAT_IN_FLIGHT];
    v[STAT_RETURNED_DIED] += v[STAT_IN_FLIGHT];
    for (unsigned i = 0; i < STAT_VALUES; i++)
        if (stat_values[i].nature != STAT_COUNTER)
            v[i] = 0;
}

void
model_fold(struct model *into, const struct model *dead)
{
    for (unsigned v = 0; v < STAT_VALUES; v++)
        into->figures.values[v] += dead->figures.values[v];
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        const struct stat_times *times = &dead->figures.times[t];
        add_times(&into->figures.times[t], times->count, times->sum_ns, times->min_ns,
                  times->max_ns);
    }
    for (unsigned i = 0; i < SHM_BUCKET_WORDS; i++)
        into->buckets[i] += dead->buckets[i];
}

/* --- checks --- */

static int
check_equal(const char *what, uint64_t left, uint64_t right, struct errbuf *err)
{
    if (left == right)
        return 0;
    return errbuf_set(err, "%s: %" PRIu64 " is not %" PRIu64, what, left, right);
}

static uint64_t
sum_values(const struct stat_figures *figures, unsigned first, unsigned end)
{
    uint64_t sum = 0;
    for (unsigned v = first; v < end; v++)
        sum += figures->values[v];
    return sum;
}

/* Nothing was timed, or min <= avg <= max and the percentiles in between and in order. */
static int
check_times(unsigned timing, const struct stat_times *t, struct errbuf *err)
{
    if (t->count == 0)
        return 0;
    uint64_t average = stat_average(t);
    bool fits = t->sum_ns / t->count >= t->min_ns &&
                (t->sum_ns + t->count - 1) / t->count <= t->max_ns && t->min_ns <= average &&
                average <= t->max_ns;
    if (fits && t->p50_ns != STAT_UNKNOWN)
        fits = t->min_ns <= t->p50_ns && t->p50_ns <= t->p95_ns && t->p95_ns <= t->p99_ns &&
               t->p99_ns <= t->max_ns;
    if (fits)
        return 0;
    return errbuf_set(err,
                      "%s: min %" PRIu64 " sum %" PRIu64 " count %" PRIu64 " max %" PRIu64
                      " p50 %" PRIu64 " p95 %" PRIu64 " p99 %" PRIu64 " contradict each other",
                      stat_timings[timing].name, t->min_ns, t->sum_ns, t->count, t->max_ns,
                      t->p50_ns, t->p95_ns, t->p99_ns);
}

int
model_check_sums(const struct stat_figures *figures, bool levels, struct errbuf *err)
{
    const uint64_t *v = figures->values;
    const struct stat_times *t = figures->times;
    uint64_t settled = v[STAT_COMPLETED] + v[STAT_REJECTED] + v[STAT_RETURNED];
    if (levels && check_equal("received = completed + rejected + returned + in_flight",
                              v[STAT_RECEIVED], settled + v[STAT_IN_FLIGHT], err) == -1)
        return -1;
    if (check_equal("rejected by reason", v[STAT_REJECTED],
                    sum_values(figures, STAT_REJECTED_NOT_JSON, STAT_COMMITS), err) == -1 ||
        check_equal("returned by reason", v[STAT_RETURNED],
                    sum_values(figures, STAT_RETURNED_REVOKED, STAT_REJECTED_NOT_JSON),
                    err) == -1 ||
        check_equal("request.count = completed", t[STAT_REQUEST].count, v[STAT_COMPLETED], err) ==
            -1 ||
        check_equal("delay.count = completed", t[STAT_DELAY].count, v[STAT_COMPLETED], err) == -1 ||
        check_equal("delay.sum = 3 request.sum", t[STAT_DELAY].sum_ns, 3 * t[STAT_REQUEST].sum_ns,
                    err) == -1 ||
        check_equal("decode.count = received", t[STAT_DECODE].count, v[STAT_RECEIVED], err) == -1 ||
        check_equal("decode.sum = bytes_in", t[STAT_DECODE].sum_ns, v[STAT_BYTES_IN], err) == -1 ||
        check_equal("write.count = batches", t[STAT_WRITE].count, v[STAT_BATCHES], err) == -1 ||
        check_equal("write.sum = store_retries", t[STAT_WRITE].sum_ns, v[STAT_STORE_RETRIES],
                    err) == -1 ||
        check_equal("commit.count = batches", t[STAT_COMMIT].count, v[STAT_BATCHES], err) == -1)
        return -1;
    for (unsigned i = 0; i < STAT_TIMINGS; i++)
        if (check_times(i, &t[i], err) == -1)
            return -1;
    return 0;
}

int
model_check_process(const struct stat_figures *figures, struct errbuf *err)
{
    if (figures->values[STAT_BATCHES] == 0) /* nothing published yet */
        return check_equal("received without a chunk", figures->values[STAT_RECEIVED], 0, err);
    return check_equal("fingerprint", figures->values[STAT_LAG], model_fingerprint(figures), err);
}

int
model_check_buckets(const struct stat_figures *figures, const uint64_t *buckets, struct errbuf *err)
{
    for (unsigned t = 0; t < STAT_HISTOGRAMS; t++) {
        uint64_t sum = 0;
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
            sum += buckets[t * HISTOGRAM_BUCKETS + i];
        if (sum != figures->times[t].count)
            return errbuf_set(err, "%s: count %" PRIu64 ", but %" PRIu64 " in the buckets",
                              stat_timings[t].name, figures->times[t].count, sum);
    }
    return 0;
}

int
model_check_growth(const struct stat_figures *before, const struct stat_figures *after,
                   struct errbuf *err)
{
    for (unsigned v = 0; v < STAT_VALUES; v++)
        if (stat_values[v].nature == STAT_COUNTER && after->values[v] < before->values[v])
            return errbuf_set(err, "%s went back from %" PRIu64 " to %" PRIu64, stat_values[v].name,
                              before->values[v], after->values[v]);
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        const struct stat_times *a = &before->times[t], *b = &after->times[t];
        if (a->count == 0)
            continue;
        if (b->count < a->count || b->sum_ns < a->sum_ns || b->min_ns > a->min_ns ||
            b->max_ns < a->max_ns)
            return errbuf_set(err, "%s went back: count %" PRIu64 " to %" PRIu64,
                              stat_timings[t].name, a->count, b->count);
    }
    return 0;
}

static int
compare_times(unsigned timing, const struct stat_times *a, const struct stat_times *b,
              bool extremes, struct errbuf *err)
{
    bool same = a->count == b->count && a->sum_ns == b->sum_ns;
    if (same && extremes && a->count > 0)
        same = a->min_ns == b->min_ns && a->max_ns == b->max_ns;
    if (same)
        return 0;
    return errbuf_set(err,
                      "%s: expected %" PRIu64 " (sum %" PRIu64 ", %" PRIu64 "..%" PRIu64
                      "), found %" PRIu64 " (sum %" PRIu64 ", %" PRIu64 "..%" PRIu64 ")",
                      stat_timings[timing].name, a->count, a->sum_ns, a->min_ns, a->max_ns,
                      b->count, b->sum_ns, b->min_ns, b->max_ns);
}

int
model_compare(const struct stat_figures *expected, const struct stat_figures *found, bool levels,
              bool extremes, struct errbuf *err)
{
    for (unsigned v = 0; v < STAT_VALUES; v++) {
        if (is_masters(v) || (!levels && stat_values[v].nature != STAT_COUNTER))
            continue;
        if (expected->values[v] != found->values[v])
            return errbuf_set(err, "%s: expected %" PRIu64 ", found %" PRIu64, stat_values[v].name,
                              expected->values[v], found->values[v]);
    }
    for (unsigned t = 0; t < STAT_TIMINGS; t++)
        if (compare_times(t, &expected->times[t], &found->times[t], extremes, err) == -1)
            return -1;
    return 0;
}
