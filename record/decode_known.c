/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_known.c - metrics of series that were seen before, byte for byte (series.h): what does not
 * change is not read again.
 *
 * The series that is expected is compared at once.  If it is another one, its holes are looked for
 * where that one had them, counted from both ends, and the rest is looked up.  If that is not there,
 * a message is skimmed for its holes (decode_skim.c), and the rest is looked up again.
 *
 * Why the outcome is the same.  A series is only remembered of a message that was decoded whole and
 * accepted, and whose time, value, value_meta and creation time were read from these very holes.  Of
 * a message that has the same bytes around the same holes, each of which is one whole JSON value, the
 * scanner would do the same around them; and in them it does, here.  Whatever is out of the ordinary
 * goes the long way, which has the last word in any case.
 *
 * Process: workers.  Owner: the worker that made the decoder.  Concurrency: one thread per decoder.
 */
#include "record/decode_hole.h"
#include "record/decode_number.h"

enum {
    TRUSTED = 8, /* series in a row that were new as the cut said: then none is skimmed as well */
    PLAIN_VALUE_MAX = 300 /* bytes of a number that is finite if it has no exponent */
};

/* A value without an exponent and with few digits is finite. */
static inline bool
is_plain_value(const struct known_hole *hole)
{
    return hole->plain || (hole->text.n < PLAIN_VALUE_MAX &&
                           memchr(hole->text.p, 'e', hole->text.n) == NULL &&
                           memchr(hole->text.p, 'E', hole->text.n) == NULL);
}

static inline int
read_time(const struct known_hole *hole, int64_t *ms)
{
    if (!hole->plain)
        return decode_number_ms(hole->text, ms);
    *ms = hole->number; /* cut to whole ms, as a plain one has no sign and no exponent */
    return 0;
}

static inline double
read_creation_time(const struct known_hole *hole)
{
    if (hole->plain && hole->integer)
        return (double)hole->number;
    struct json_value value = {.type = hole->type, .text = hole->text};
    return decode_creation_time(&value);
}

/* Returns: false if it is out of the ordinary. */
static bool
take_known(struct decoder *d, const struct series *series, const struct known_message *known,
           struct record *record)
{
    struct measurement *m = &record->measurement;
    const struct known_hole *value = &known->holes[HOLE_VALUE];
    const struct known_hole *meta = &known->holes[HOLE_VALUE_META];
    if (!is_plain_value(value) || read_time(&known->holes[HOLE_TIMESTAMP], &m->time_ms) == -1)
        return false;
    record->kind = RECORD_MEASUREMENT;
    record->creation_time = read_creation_time(&known->holes[HOLE_CREATION_TIME]);
    m->value_text = value->text;
    m->value_meta = meta->type == JSON_ABSENT || meta->type == JSON_NULL ? (struct slice){NULL, 0}
                                                                         : meta->text;
    m->series = known->series;
    m->tenant_id = series_slice(series, series->tenant_id);
    m->region = series_slice(series, series->region);
    m->name = series_slice(series, series->name);
    m->n_dimensions = series->n_texts / 2;
    m->dimensions = m->n_dimensions > 0 ? d->dimensions : NULL;
    for (size_t i = 0; i < m->n_dimensions; i++)
        d->dimensions[i] =
            (struct dimension){series_slice(series, series->texts[2 * i]),
                               series_slice(series, series->texts[2 * i + 1])};
    return true;
}

/* Reads a hole that begins at p, as deep as it is. Returns: its end, or NULL. */
static inline const char *
read_hole(struct known_message *known, unsigned which, const char *p, const char *end)
{
    struct known_hole *hole = &known->holes[which];
    hole->plain = false;
    const char *after = hole_read(p, end, which == HOLE_CREATION_TIME ? 1 : 2, hole);
    if (after != NULL)
        hole->text = (struct slice){p, (size_t)(after - p)};
    return after;
}

/* How far a message is like one of a series, from its begin. */
struct likeness {
    const struct series *series;
    const char *p;  /* behind the last hole that was read */
    size_t at;      /* as far as that in the key */
    unsigned holes; /* that were read, of those in order */
    bool all;
};

/* Compares the bytes around the holes, and reads these. */
static struct likeness
compare_series(const struct series *series, struct slice message, struct known_message *known)
{
    struct likeness l = {.series = series, .p = message.p};
    const char *end = message.p + message.n, *key = series_bytes(series);
    for (; l.holes < series->n_holes; l.holes++) {
        unsigned which = series->order[l.holes];
        size_t n = (size_t)series->holes[which] - l.at;
        if ((size_t)(end - l.p) < n || memcmp(l.p, key + l.at, n) != 0)
            return l;
        const char *after = read_hole(known, which, l.p + n, end);
        if (after == NULL)
            return l;
        l.p = after;
        l.at += n;
    }
    size_t n = series->n_key - l.at;
    l.all = (size_t)(end - l.p) == n && memcmp(l.p, key + l.at, n) == 0;
    return l;
}

/* Where a number, or null, begins that ends there. */
static inline const char *
find_begin(const char *first, const char *end)
{
    const char *p = end;
    if (end - first >= 4 && memcmp(end - 4, "null", 4) == 0)
        return end - 4;
    while (p > first && (hole_is_digit(p[-1]) || p[-1] == '.' || p[-1] == '-'))
        p--;
    return p;
}

/*
 * Reads the other holes from the end on, as if all but the part where the message is another one
 * were as long as in that series. If it is not so, nothing is found for it, or there is no hole.
 */
static bool
read_rest(const struct likeness *l, struct slice message, struct known_message *known)
{
    const char *back = message.p + message.n, *end = back;
    size_t at = l->series->n_key;
    for (unsigned i = l->series->n_holes; i > l->holes; i--) {
        unsigned which = l->series->order[i - 1];
        size_t n = at - (size_t)l->series->holes[which];
        if ((size_t)(back - l->p) < n)
            return false;
        const char *after = back - n;
        back = find_begin(l->p, after);
        if (read_hole(known, which, back, end) != after)
            return false;
        at = (size_t)l->series->holes[which];
    }
    return true;
}

/* The key of a message whose holes are those of a series, in its order. */
static bool
cut_key(struct decoder *d, const struct series *like, struct slice message,
        struct known_message *known)
{
    const char *p = message.p, *end = message.p + message.n;
    char *out = d->key;
    memcpy(known->key.holes, like->holes, sizeof(like->holes)); /* those that are not there */
    for (unsigned i = 0; i <= like->n_holes; i++) {
        bool last = i == like->n_holes;
        const struct known_hole *hole = last ? NULL : &known->holes[like->order[i]];
        size_t n = (size_t)((last ? end : hole->text.p) - p);
        if (n > (size_t)(d->key + SERIES_BYTES_MAX - out))
            return false;
        memcpy(out, p, n);
        out += n;
        if (last)
            break;
        known->key.holes[like->order[i]] = (int32_t)(out - d->key);
        p = hole->text.p + hole->text.n;
    }
    known->key.bytes = d->key;
    known->key.n = (uint32_t)(out - d->key);
    series_hash(&known->key);
    return true;
}

/* The series that is expected, or another one of which messages look alike. NULL: there is none. */
static struct series *
find_alike(struct decoder *d, struct slice message, struct known_message *known)
{
    struct series *series = series_cache_expect(d->known);
    if (series == NULL)
        return NULL;
    for (int i = 0; i < SERIES_HOLES; i++)
        if (series->holes[i] == SERIES_NO_HOLE)
            known->holes[i] = (struct known_hole){.type = JSON_ABSENT};
    struct likeness l = compare_series(series, message, known);
    if (!l.all) {
        known->keyed =
            read_rest(&l, message, known) && cut_key(d, series, message, known);
        if (!known->keyed)
            return NULL;
        series = series_cache_find(d->known, &known->key);
    }
    return series != NULL && decode_has_numbers(known) ? series : NULL;
}

bool
decode_find_known(struct decoder *d, struct slice message, struct known_message *known,
                  struct record *record)
{
    known->keyed = false;
    known->series = d->known != NULL ? find_alike(d, message, known) : NULL;
    bool cut = known->keyed;
    if (known->series == NULL && d->known != NULL && !(cut && d->good_cuts == TRUSTED)) {
        known->keyed = decode_skim_message(d, message, known);
        known->series = known->keyed ? series_cache_find(d->known, &known->key) : NULL;
        if (cut && known->series != NULL)
            d->good_cuts = 0;
    }
    if (known->series == NULL)
        return false;
    series_cache_meet(d->known, known->series);
    return take_known(d, known->series, known, record);
}

/* Whether the decoder has read a member from the hole, or neither has seen it. */
static bool
is_hole(const struct known_hole *hole, const struct json_value *member)
{
    if (hole->type != member->type)
        return false;
    size_t quote = hole->type == JSON_STRING;
    return hole->type == JSON_ABSENT || (hole->text.p + quote == member->text.p &&
                                         hole->text.n - 2 * quote == member->text.n);
}

/* Bytes of the message between two holes, and where they are in the key. */
struct stretch {
    const char *begin, *end, *key;
};

static struct stretch
find_stretch(const struct known_message *known, struct slice message, const char *p)
{
    struct stretch found = {message.p, message.p + message.n, known->key.bytes};
    for (int i = 0; i < SERIES_HOLES; i++) {
        const struct known_hole *hole = &known->holes[i];
        if (hole->type == JSON_ABSENT)
            continue;
        const char *after = hole->text.p + hole->text.n;
        if (p >= after && after > found.begin) {
            found.begin = after;
            found.key = known->key.bytes + known->key.holes[i];
        } else if (p < after && hole->text.p < found.end) {
            found.end = hole->text.p;
        }
    }
    return found;
}

/* A text that lies in the message, where it lies in the key; all others as they are. */
static inline struct slice
find_in_key(const struct known_message *known, struct slice message, struct slice text,
            struct stretch *last)
{
    uintptr_t p = (uintptr_t)text.p, begin = (uintptr_t)message.p;
    if (p < begin || p + text.n > begin + message.n)
        return text;
    if (text.p < last->begin || text.p >= last->end)
        *last = find_stretch(known, message, text.p);
    return (struct slice){last->key + (text.p - last->begin), text.n};
}

void
decode_remember(struct decoder *d, struct slice message, struct known_message *known,
                struct measurement *m)
{
    struct slice texts[SERIES_TEXTS_MAX];
    struct stretch last = {message.p, message.p, NULL};
    m->series = known->series;
    if (!known->keyed || known->series != NULL)
        return;
    if (!decode_has_numbers(known) ||
        !is_hole(&known->holes[HOLE_TIMESTAMP], &d->metric[METRIC_TIMESTAMP]) ||
        !is_hole(&known->holes[HOLE_VALUE], &d->metric[METRIC_VALUE]) ||
        !is_hole(&known->holes[HOLE_VALUE_META], &d->metric[METRIC_VALUE_META]) ||
        !is_hole(&known->holes[HOLE_CREATION_TIME], &d->top[TOP_CREATION_TIME])) {
        d->good_cuts = 0;
        return;
    }
    d->good_cuts += d->good_cuts < TRUSTED;
    if (m->n_dimensions > SERIES_TEXTS_MAX / 2 || !series_cache_admits(d->known))
        return;
    for (size_t i = 0; i < m->n_dimensions; i++) {
        texts[2 * i] = find_in_key(known, message, m->dimensions[i].name, &last);
        texts[2 * i + 1] = find_in_key(known, message, m->dimensions[i].value, &last);
    }
    struct series_made made = {.name = find_in_key(known, message, m->name, &last),
                               .tenant_id = find_in_key(known, message, m->tenant_id, &last),
                               .region = find_in_key(known, message, m->region, &last),
                               .texts = texts,
                               .n_texts = 2 * m->n_dimensions};
    m->series = series_cache_add(d->known, &known->key, &made);
    if (m->series != NULL)
        series_cache_meet(d->known, m->series);
}
