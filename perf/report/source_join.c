/* SPDX-License-Identifier: Apache-2.0 */
/* source_join.c - see source_join.h. */
#include "perf/report/source_join.h"

#include <math.h>
#include <stdlib.h>

#include "perf/report/source_priv.h"

void
join_free(struct join *join)
{
    free(join->cells);
    *join = (struct join){.n = 0};
}

/* --- cells --- */

/* Returns: the number of cells before a time. */
static size_t
count_before(const struct join *j, int64_t at_ms)
{
    size_t low = 0, high = j->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (j->cells[middle].at_ms < at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Returns: the cell nearest to a time within the tolerance; NULL if there is none. */
static struct join_cell *
find_cell(const struct join *j, int64_t at_ms, int64_t tolerance_ms)
{
    size_t after = count_before(j, at_ms);
    struct join_cell *best = NULL;
    int64_t best_ms = tolerance_ms;
    if (after < j->n && j->cells[after].at_ms - at_ms <= best_ms) {
        best = &j->cells[after];
        best_ms = best->at_ms - at_ms;
    }
    if (after > 0 && at_ms - j->cells[after - 1].at_ms <= best_ms)
        best = &j->cells[after - 1];
    return best;
}

static struct join_cell *
make_cell(struct join *j, int64_t at_ms)
{
    if (j->n == j->capacity) {
        size_t more = j->capacity == 0 ? 64 : 2 * j->capacity;
        void *bigger = reallocarray(j->cells, more, sizeof(*j->cells));
        if (bigger == NULL)
            return NULL;
        j->cells = bigger;
        j->capacity = more;
    }
    size_t at = count_before(j, at_ms);
    memmove(&j->cells[at + 1], &j->cells[at], (j->n - at) * sizeof(*j->cells));
    j->n++;
    struct join_cell *c = &j->cells[at];
    c->at_ms = at_ms;
    c->avg_weight = 0;
    for (unsigned f = 0; f < JOIN_FIELDS; f++)
        c->values[f] = NAN;
    return c;
}

static void
fold_value(struct join_cell *c, enum join_field field, double value, double weight)
{
    double *into = &c->values[field];
    if (field == JOIN_AVG) {
        double sum = isnan(*into) ? 0 : *into * c->avg_weight;
        c->avg_weight += weight;
        /* One value stays what it is, to the last digit. */
        *into = isnan(*into) ? value : (sum + value * weight) / c->avg_weight;
    } else if (isnan(*into) || field == JOIN_LAG)
        *into = value;
    else if (field == JOIN_MIN)
        *into = fmin(*into, value);
    else if (field == JOIN_MAX || field == JOIN_P99)
        *into = fmax(*into, value);
    else
        *into += value;
}

int
join_put(struct join *join, int64_t at_ms, int64_t tolerance_ms, enum join_field field,
         double value, double weight)
{
    struct join_cell *c = find_cell(join, at_ms, tolerance_ms);
    if (c == NULL && (c = make_cell(join, at_ms)) == NULL)
        return -1;
    fold_value(c, field, value, weight);
    return 0;
}

int
join_fold(const struct join *join, int64_t period_ms, unsigned fields, struct join *into)
{
    for (size_t i = 0; i < join->n; i++) {
        const struct join_cell *c = &join->cells[i];
        int64_t period = c->at_ms - c->at_ms % period_ms;
        double completed = c->values[JOIN_COMPLETED];
        for (unsigned f = 0; f < JOIN_FIELDS; f++)
            if ((fields & 1u << f) != 0 && !isnan(c->values[f]) &&
                join_put(into, period, 0, f, c->values[f], completed > 0 ? completed : 1) == -1)
                return -1;
    }
    return 0;
}

/* --- intervals --- */

static int
compare_gaps(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

int64_t
join_interval(const struct join *joins, size_t n, int64_t otherwise_ms)
{
    size_t n_gaps = 0, k = 0;
    for (size_t i = 0; i < n; i++)
        n_gaps += joins[i].n > 0 ? joins[i].n - 1 : 0;
    if (n_gaps == 0)
        return otherwise_ms;
    int64_t *gaps = calloc(n_gaps, sizeof(*gaps));
    if (gaps == NULL)
        return -1;
    for (size_t i = 0; i < n; i++)
        for (size_t c = 1; c < joins[i].n; c++)
            gaps[k++] = joins[i].cells[c].at_ms - joins[i].cells[c - 1].at_ms;
    qsort(gaps, n_gaps, sizeof(*gaps), compare_gaps);
    int64_t median = gaps[n_gaps / 2];
    free(gaps);
    return median > 0 ? median : 1;
}

/* --- rows --- */

static int
add_row(const struct join_cell *c, int64_t from_ms, int64_t to_ms, struct reading_track *track)
{
    struct reading_row row = reading_row(from_ms, to_ms);
    row.received = c->values[JOIN_RECEIVED];
    row.completed = c->values[JOIN_COMPLETED];
    row.time_avg_ms = c->values[JOIN_AVG];
    row.time_min_ms = c->values[JOIN_MIN];
    row.time_max_ms = c->values[JOIN_MAX];
    row.time_p99_ms = c->values[JOIN_P99];
    row.lag = c->values[JOIN_LAG];
    row.restarted = c->values[JOIN_RESTARTS] > 0;
    return reading_add(track, &row);
}

int
join_add_rows(const struct join *join, int64_t interval_ms, int64_t since_ms, int64_t until_ms,
              struct reading_track *track)
{
    for (size_t i = 0; i < join->n; i++) {
        int64_t to_ms = join->cells[i].at_ms, from_ms = to_ms - interval_ms;
        if (i > 0 && join->cells[i - 1].at_ms >= to_ms - interval_ms - interval_ms / 2)
            from_ms = join->cells[i - 1].at_ms;
        if (source_is_within(to_ms, since_ms, until_ms) &&
            add_row(&join->cells[i], from_ms, to_ms, track) == -1)
            return -1;
    }
    return 0;
}

int
join_add_periods(const struct join *join, int64_t period_ms, int64_t since_ms, int64_t until_ms,
                 struct reading_track *track)
{
    for (size_t i = 0; i < join->n; i++) {
        int64_t from_ms = join->cells[i].at_ms, to_ms = from_ms + period_ms;
        from_ms = from_ms < since_ms ? since_ms : from_ms;
        to_ms = to_ms > until_ms ? until_ms : to_ms;
        if (from_ms < to_ms && add_row(&join->cells[i], from_ms, to_ms, track) == -1)
            return -1;
    }
    return 0;
}
