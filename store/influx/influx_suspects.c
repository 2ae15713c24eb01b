/* SPDX-License-Identifier: Apache-2.0 */
/* influx_suspects.c - see influx_suspects.h. */
#include "store/influx/influx_suspects.h"

#include <stdlib.h>

/* --- lines --- */

/* The next part of a line's key (measurement, tag, value). Takes: *p, moved to what ends the part.
 */
static struct slice
read_part(const char **p, const char *end)
{
    const char *start = *p, *q = start;
    while (q < end && *q != ',' && *q != '=' && *q != ' ')
        q += *q == '\\' && q + 1 < end ? 2 : 1;
    *p = q;
    return (struct slice){start, (size_t)(q - start)};
}

/* Does a part, escaped as we write it, print as the server printed it? */
static bool
prints_as(struct slice part, struct slice printed)
{
    size_t i = 0;
    for (size_t j = 0; j < printed.n; j++, i++) {
        if (i + 1 < part.n && part.p[i] == '\\' &&
            (part.p[i + 1] == ',' || part.p[i + 1] == ' ' || part.p[i + 1] == '='))
            i++;
        if (i >= part.n || part.p[i] != printed.p[j])
            return false;
    }
    return i == part.n;
}

static bool
is_of_measurement(struct slice line, struct slice name)
{
    const char *p = line.p;
    return prints_as(read_part(&p, line.p + line.n), name);
}

/* The value of a tag of a line; n is 0 if it has no such tag. */
static struct slice
find_tag(struct slice line, struct slice tag)
{
    const char *p = line.p, *end = line.p + line.n;
    (void)read_part(&p, end);
    while (p < end && *p == ',') {
        p++;
        struct slice name = read_part(&p, end);
        p += p < end && *p == '=';
        struct slice value = read_part(&p, end);
        if (prints_as(name, tag))
            return value;
    }
    return SLICE("");
}

/* The series: measurement and tags. */
static struct slice
series_of(struct slice line)
{
    size_t i = 0;
    while (i < line.n && line.p[i] != ' ')
        i += line.p[i] == '\\' && i + 1 < line.n ? 2 : 1;
    return (struct slice){line.p, i};
}

/* --- the search through one list --- */

/* What each row of the list is; the list is put in this order. */
enum mark { MARK_NAMED, MARK_CLEAN, MARK_SUSPECT, MARK_REST };

struct search {
    const struct influx_rows *rows;
    const struct influx_answer *answer;
    uint32_t *list;
    size_t n;
    unsigned char *marks; /* one a row of the list */
    uint32_t *spare;      /* room for the list */
    uint32_t *table;      /* of lines: index in list + 1; 0: empty */
    size_t mask, found;
};

static struct slice
line_at(const struct search *s, size_t at)
{
    return influx_rows_line(s->rows, s->list[at]);
}

/* For influx_answer_next_line. */
static bool
is_sent(void *arg, struct slice line, uint64_t hash)
{
    struct search *s = arg;
    for (size_t h = hash & s->mask; s->table[h] != 0; h = (h + 1) & s->mask)
        if (slice_equal(line_at(s, s->table[h] - 1), line)) {
            s->found = h;
            return true;
        }
    return false;
}

static int
make_table(struct search *s)
{
    size_t capacity = 64;
    while (capacity < s->n * 2)
        capacity *= 2;
    s->mask = capacity - 1;
    s->table = calloc(capacity, sizeof(*s->table));
    if (s->table == NULL)
        return -1;
    for (size_t i = 0; i < s->n; i++) {
        size_t h = influx_answer_hash(INFLUX_HASH_START, line_at(s, i)) & s->mask;
        while (s->table[h] != 0)
            h = (h + 1) & s->mask;
        s->table[h] = (uint32_t)i + 1;
    }
    return 0;
}

/* Marks all rows that have the line that was found: what is wrong with one is wrong with each. */
static void
mark_equal(struct search *s, struct slice line, struct slice why,
           void (*named)(void *arg, uint32_t i, struct slice why), void *arg)
{
    for (size_t h = s->found; s->table[h] != 0; h = (h + 1) & s->mask) {
        size_t at = s->table[h] - 1;
        if (s->marks[at] == MARK_NAMED || !slice_equal(line_at(s, at), line))
            continue;
        s->marks[at] = MARK_NAMED;
        named(arg, s->list[at], why);
    }
}

static void
mark_named_lines(struct search *s, void (*named)(void *arg, uint32_t i, struct slice why),
                 void *arg)
{
    struct slice line, why;
    size_t at = 0;
    if (make_table(s) == -1)
        return;
    while (influx_answer_next_line(s->answer->error, &at, is_sent, s, &line, &why)) {
        (void)is_sent(s, line, influx_answer_hash(INFLUX_HASH_START, line));
        mark_equal(s, line, why, named, arg);
    }
}

/*
 * A tag has too many values. The rows with the value that is told are refused, all of them, and it
 * is the first one: rows before it are likely to be good.
 */
static void
mark_tag(struct search *s, void (*named)(void *arg, uint32_t i, struct slice why), void *arg)
{
    const struct influx_answer *a = s->answer;
    bool seen = false;
    for (size_t i = 0; i < s->n; i++) {
        struct slice line = line_at(s, i);
        struct slice value =
            is_of_measurement(line, a->measurement) ? find_tag(line, a->tag) : SLICE("");
        if (value.n > 0 && prints_as(value, a->value)) {
            s->marks[i] = MARK_NAMED;
            named(arg, s->list[i], a->error);
            seen = true;
        } else {
            s->marks[i] = !seen ? MARK_CLEAN : value.n > 0 ? MARK_SUSPECT : MARK_REST;
        }
    }
    for (size_t i = 0; i < s->n && !seen; i++) /* it is none of ours: a clash of escapes */
        s->marks[i] = MARK_REST;
}

static void
mark_measurement(struct search *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (is_of_measurement(line_at(s, i), s->answer->measurement))
            s->marks[i] = MARK_SUSPECT;
}

/* Moves the rows of each mark together, in their order. Returns how many have the mark. */
static size_t
gather(struct search *s, enum mark mark, size_t *to)
{
    size_t start = *to;
    for (size_t i = 0; i < s->n; i++)
        if (s->marks[i] == mark)
            s->spare[(*to)++] = s->list[i];
    return *to - start;
}

/* --- orders --- */

static int
compare_times(const void *a, const void *b, void *arg)
{
    const struct search *s = arg;
    int64_t x = s->rows->rows[*(const uint32_t *)a].time_ms;
    int64_t y = s->rows->rows[*(const uint32_t *)b].time_ms;
    return x < y ? -1 : x > y;
}

/* The same series next to each other. */
static int
compare_lines(const void *a, const void *b, void *arg)
{
    const struct search *s = arg;
    return slice_compare(influx_rows_line(s->rows, *(const uint32_t *)a),
                         influx_rows_line(s->rows, *(const uint32_t *)b));
}

static int
compare_tags(const void *a, const void *b, void *arg)
{
    const struct search *s = arg;
    return slice_compare(find_tag(influx_rows_line(s->rows, *(const uint32_t *)a), s->answer->tag),
                         find_tag(influx_rows_line(s->rows, *(const uint32_t *)b), s->answer->tag));
}

/* Puts the list in order: the named, the clean, the suspects, the rest. */
static void
arrange(struct search *s, bool order, struct influx_finding *f)
{
    enum influx_suspects suspects = s->answer->suspects;
    size_t n = 0;
    f->named = gather(s, MARK_NAMED, &n);
    f->clean = gather(s, MARK_CLEAN, &n);
    size_t first = n;
    size_t suspected = gather(s, MARK_SUSPECT, &n);
    (void)gather(s, MARK_REST, &n);
    assert(n == s->n);
    memcpy(s->list, s->spare, n * sizeof(*s->list));
    f->ordered = order && suspects != INFLUX_SUSPECTS_NAMED;
    if (!f->ordered)
        return;
    bool by_time = suspects == INFLUX_SUSPECTS_OLDEST || suspects == INFLUX_SUSPECTS_MEASUREMENT;
    qsort_r(s->list + first, suspected, sizeof(*s->list),
            by_time                           ? compare_times
            : suspects == INFLUX_SUSPECTS_TAG ? compare_tags
                                              : compare_lines,
            s);
    qsort_r(s->list + first + suspected, n - first - suspected, sizeof(*s->list),
            by_time ? compare_times : compare_lines, s);
    if (suspects == INFLUX_SUSPECTS_OLDEST && s->answer->dropped < (int64_t)n)
        f->split = (size_t)s->answer->dropped;
    else if (suspected > 0 && first + suspected < n)
        f->split = first + suspected;
}

struct influx_finding
influx_suspects_find(const struct influx_rows *r, uint32_t *list, size_t n,
                     const struct influx_answer *answer, bool order,
                     void (*named)(void *arg, uint32_t i, struct slice why), void *arg)
{
    struct influx_finding f = {.bad = answer->dropped <= (int64_t)n ? answer->dropped : -1};
    struct search s = {.rows = r, .answer = answer, .list = list, .n = n};
    s.marks = malloc(n);
    s.spare = malloc(n * sizeof(*s.spare));
    if (s.marks != NULL && s.spare != NULL) {
        memset(s.marks, MARK_REST, n);
        if (answer->suspects == INFLUX_SUSPECTS_NAMED)
            mark_named_lines(&s, named, arg);
        else if (answer->suspects == INFLUX_SUSPECTS_TAG)
            mark_tag(&s, named, arg);
        else if (answer->suspects == INFLUX_SUSPECTS_MEASUREMENT ||
                 answer->suspects == INFLUX_SUSPECTS_SERIES)
            mark_measurement(&s);
        arrange(&s, order, &f);
    }
    f.all_named = answer->suspects == INFLUX_SUSPECTS_NAMED && !answer->cut_off;
    free(s.marks);
    free(s.spare);
    free(s.table);
    return f;
}

/* --- the memory --- */

static uint32_t
kept_of(uint64_t hash)
{
    uint32_t kept = (uint32_t)(hash >> 32);
    return kept != 0 ? kept : 1;
}

/* Where a hash is in its place; -1: it is not. */
static int
find_hash(const struct influx_memory *m, uint64_t hash)
{
    const uint32_t *place = m->hashes[hash % INFLUX_MEMORY_PLACES];
    for (int i = 0; i < INFLUX_MEMORY_EACH; i++)
        if (place[i] == kept_of(hash))
            return i;
    return -1;
}

void
influx_memory_put(struct influx_memory *m, uint64_t hash, bool in)
{
    uint32_t *place = m->hashes[hash % INFLUX_MEMORY_PLACES];
    int at = find_hash(m, hash);
    if (in == (at != -1))
        return;
    if (!in) {
        place[at] = 0;
        m->n--;
        return;
    }
    at = 0;
    while (at < INFLUX_MEMORY_EACH && place[at] != 0)
        at++;
    m->n += at < INFLUX_MEMORY_EACH;
    place[at < INFLUX_MEMORY_EACH ? at : (int)(hash >> 60) % INFLUX_MEMORY_EACH] = kept_of(hash);
}

bool
influx_memory_has(const struct influx_memory *m, uint64_t hash)
{
    return find_hash(m, hash) != -1;
}

static uint64_t
hash_series(const struct influx_rows *r, uint32_t i)
{
    const char *database = r->databases[r->rows[i].database];
    uint64_t h =
        influx_answer_hash(INFLUX_HASH_START, (struct slice){database, strlen(database) + 1});
    return influx_answer_hash(h, series_of(influx_rows_line(r, i)));
}

void
influx_memory_note(struct influx_memory *m, const struct influx_rows *r, uint32_t i, bool refused)
{
    if (refused || m->n > 0)
        influx_memory_put(m, hash_series(r, i), refused);
}

size_t
influx_memory_gather(const struct influx_memory *m, const struct influx_rows *r, uint32_t *list,
                     size_t n)
{
    size_t kept = n;
    if (m->n == 0)
        return 0;
    for (size_t i = 0; i < kept;) {
        if (!influx_memory_has(m, hash_series(r, list[i]))) {
            i++;
            continue;
        }
        uint32_t other = list[--kept];
        list[kept] = list[i];
        list[i] = other;
    }
    return n - kept;
}
