/*
 * influx_suspects.c - see influx_suspects.h.
 *
 * Process: workers.  Owner: the caller's list.  Concurrency: one thread.
 */
#include "store/influx_suspects.h"

#include <stdlib.h>

/* --- lines that the answer names --- */

/* The lines of a request, to find the ones that an answer names. */
struct line_set {
    const struct influx_rows *rows;
    const uint32_t *list;
    uint32_t *table; /* index in list + 1; 0: empty */
    size_t mask, found;
};

static size_t
hash_line(struct slice line)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < line.n; i++)
        h = (h ^ (unsigned char)line.p[i]) * UINT64_C(1099511628211);
    return (size_t)(h ^ h >> 32);
}

/* For influx_answer_next_line. Of equal lines the first that is not settled stands for all. */
static bool
is_in_set(void *arg, struct slice line)
{
    struct line_set *set = arg;
    for (size_t h = hash_line(line) & set->mask; set->table[h] != 0; h = (h + 1) & set->mask) {
        uint32_t i = set->list[set->table[h] - 1];
        if (!set->rows->rows[i].settled && slice_equal(influx_rows_line(set->rows, i), line)) {
            set->found = set->table[h] - 1;
            return true;
        }
    }
    return false;
}

static int
make_set(struct line_set *set, const struct influx_rows *r, const uint32_t *list, size_t n)
{
    size_t capacity = 64;
    while (capacity < n * 2)
        capacity *= 2;
    *set = (struct line_set){.rows = r, .list = list, .mask = capacity - 1};
    set->table = calloc(capacity, sizeof(*set->table));
    if (set->table == NULL)
        return -1;
    for (size_t i = 0; i < n; i++) {
        size_t h = hash_line(influx_rows_line(r, list[i])) & set->mask;
        while (set->table[h] != 0)
            h = (h + 1) & set->mask;
        set->table[h] = (uint32_t)i + 1;
    }
    return 0;
}

void
influx_suspects_find_named(const struct influx_rows *r, const uint32_t *list, size_t n,
                           const struct influx_answer *answer,
                           void (*found)(void *arg, uint32_t i, struct slice why), void *arg)
{
    struct line_set set;
    struct slice line, why;
    size_t at = 0;
    if (make_set(&set, r, list, n) == -1)
        return;
    while (influx_answer_next_line(answer->error, &at, is_in_set, &set, &line, &why))
        found(arg, list[set.found], why);
    free(set.table);
}

/* --- orders --- */

static int
compare_times(const void *a, const void *b, void *arg)
{
    const struct influx_rows *r = arg;
    int64_t x = r->rows[*(const uint32_t *)a].time_ms, y = r->rows[*(const uint32_t *)b].time_ms;
    return x < y ? -1 : x > y;
}

/* The same series next to each other. */
static int
compare_lines(const void *a, const void *b, void *arg)
{
    const struct influx_rows *r = arg;
    return slice_compare(influx_rows_line(r, *(const uint32_t *)a),
                         influx_rows_line(r, *(const uint32_t *)b));
}

static void
sort_list(const struct influx_rows *r, uint32_t *list, size_t n,
          int (*compare)(const void *, const void *, void *))
{
    struct influx_rows copy = *r; /* qsort_r's argument is not const */
    qsort_r(list, n, sizeof(*list), compare, &copy);
}

/* Does the line's measurement, escaped as we write it, print as the server printed it? */
static bool
is_of_measurement(struct slice line, struct slice name)
{
    size_t i = 0;
    for (size_t j = 0; j < name.n; j++, i++) {
        if (i + 1 < line.n && line.p[i] == '\\' &&
            (line.p[i + 1] == ',' || line.p[i + 1] == ' ' || line.p[i + 1] == '='))
            i++;
        if (i >= line.n || line.p[i] != name.p[j])
            return false;
    }
    return i < line.n && (line.p[i] == ',' || line.p[i] == ' ');
}

/* Moves the rows of a measurement to the front; returns how many there are. */
static size_t
gather_measurement(const struct influx_rows *r, uint32_t *list, size_t n, struct slice name)
{
    size_t gathered = 0;
    for (size_t i = 0; i < n; i++)
        if (is_of_measurement(influx_rows_line(r, list[i]), name)) {
            uint32_t other = list[gathered];
            list[gathered++] = list[i];
            list[i] = other;
        }
    return gathered;
}

size_t
influx_suspects_split(const struct influx_rows *r, uint32_t *list, size_t n,
                      const struct influx_answer *answer)
{
    size_t suspects = 0;
    assert(n >= 2);
    switch (answer->suspects) {
    case INFLUX_SUSPECTS_OLDEST:
        sort_list(r, list, n, compare_times);
        suspects = answer->dropped < (int64_t)n ? (size_t)answer->dropped : 0;
        break;
    case INFLUX_SUSPECTS_MEASUREMENT:
        sort_list(r, list, n, compare_times);
        suspects = gather_measurement(r, list, n, answer->measurement);
        break;
    case INFLUX_SUSPECTS_SERIES:
        sort_list(r, list, n, compare_lines);
        suspects = gather_measurement(r, list, n, answer->measurement);
        break;
    case INFLUX_SUSPECTS_NAMED:
    case INFLUX_SUSPECTS_UNKNOWN:
        break;
    }
    return suspects > 0 && suspects < n ? suspects : n / 2;
}
