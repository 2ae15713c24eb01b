/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_known.c - metrics of series that were seen before, byte for byte (series.h): what does not
 * change is not read again.
 *
 * The series that is expected is compared at once.  If it is another one, its holes are looked for
 * where that one had them, counted from both ends, and the rest is looked up.  If that is not there, a
 * message is skimmed for its holes without being validated, and the rest is looked up again.
 *
 * Why the outcome is the same. A series is only remembered of a message that was decoded whole and accepted,
 * and whose time, value, value_meta and creation time were read from these very holes. Of a message
 * that has the same bytes around the same holes, each of which is one whole JSON value, the scanner
 * would do the same around them; and in them it does, here. Whatever is out of the ordinary goes
 * the long way, which has the last word in any case.
 *
 * Process: workers.  Owner: the worker that made the decoder.  Concurrency: one thread per decoder.
 */
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "record/decode_number.h"
#include "record/decode_priv.h"

enum {
    TRUSTED = 8, /* series in a row that were new as the cut said: then it is not skimmed for as well */
    PLAIN_DIGITS = 15,    /* so that a double, and a time's bounds, hold them */
    PLAIN_VALUE_MAX = 300 /* bytes of a number that is finite if it has no exponent */
};

struct skim {
    const char *p, *end, *copied; /* up to there all but the holes is in the key */
    char *out, *key_end;
    struct known_message *known;
    bool in_metric, had_metric;
};

/* The next quote or backslash, or the end. */
static inline const char *
find_quote(const char *p, const char *end)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), escape = _mm_set1_epi8('\\');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        int found = _mm_movemask_epi8(
            _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, escape)));
        if (found != 0)
            return p + __builtin_ctz((unsigned)found);
    }
#endif
    while (p < end && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* Takes: behind the opening quote. Returns: at the closing quote, or the end. */
static inline const char *
skip_string(const char *p, const char *end)
{
    p = find_quote(p, end);
    while (p < end && *p == '\\')
        p = find_quote(end - p > 2 ? p + 2 : end, end);
    return p;
}

/* Takes: what is before the end; the last byte is no blank. */
static inline const char *
skip_blanks(const char *p)
{
    while ((unsigned char)*p <= ' ' && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* Brackets differ from braces by the bit 0x20, and nothing else becomes a brace by it. */
enum { TO_BRACE = 0x20 };

#if defined(__SSE2__)
/* Each bit becomes the parity of itself and those below it. */
static inline unsigned
find_parities(unsigned bits)
{
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    return bits ^ bits << 8;
}

/* Which of 16 bytes are a character: the first lowest. */
static inline unsigned
find_bytes(__m128i v, char c)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
}

/*
 * Over a container, 16 bytes at a time, up to an escape or what is too near to the end for that.
 * Takes: where to begin. Returns: its end, or NULL: *p, *depth and *in_string tell where it is.
 */
static inline const char *
skip_blocks(const char **p, const char *end, size_t *depth, bool *in_string)
{
    unsigned inside = 0;
    for (; end - *p >= 16; *p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)*p);
        __m128i braces = _mm_or_si128(v, _mm_set1_epi8(TO_BRACE));
        unsigned quotes = find_bytes(v, '"');
        if (find_bytes(v, '\\') != 0)
            break;
        unsigned strings = find_parities(quotes) ^ inside;
        unsigned open = find_bytes(braces, '{') & ~strings;
        unsigned close = find_bytes(braces, '}') & ~strings;
        for (unsigned both = open | close; both != 0; both &= both - 1) {
            unsigned first = both & -both;
            *depth += (open & first) != 0 ? 1 : (size_t)-1;
            if (*depth == 0)
                return *p + __builtin_ctz(both) + 1;
        }
        inside = strings >> 15 & 1 ? 0xffff : 0;
    }
    *in_string = inside != 0;
    return NULL;
}
#endif

/* At its first byte. */
static const char *
skip_container(const char *p, const char *end)
{
    size_t depth = 0;
    bool in_string = false;
#if defined(__SSE2__)
    const char *found = skip_blocks(&p, end, &depth, &in_string);
    if (found != NULL)
        return found;
#endif
    while (p < end) {
        if (in_string || *p++ == '"') {
            p = skip_string(p, end);
            p += p < end;
            in_string = false;
        } else if ((p[-1] | TO_BRACE) == '{') {
            depth++;
        } else if ((p[-1] | TO_BRACE) == '}' && --depth == 0) {
            break;
        }
    }
    return p;
}

/* Over a value that does not change. */
static inline const char *
skip_value(const char *p, const char *end)
{
    if (*p == '"') {
        p = skip_string(p + 1, end);
        return p + (p < end);
    }
    if (*p == '{' || *p == '[')
        return skip_container(p, end);
    while (p < end && *p != ',' && *p != '}')
        p++;
    return p;
}

#define IS(name, literal)                                                                          \
    ((name).n == sizeof(literal) - 1 && memcmp((name).p, literal, sizeof(literal) - 1) == 0)

/* Returns: which hole a member is, or SERIES_NO_HOLE. */
static inline int
find_hole(const struct skim *s, struct slice name)
{
    if (!s->in_metric)
        return IS(name, "creation_time") ? HOLE_CREATION_TIME : SERIES_NO_HOLE;
    if (IS(name, "value"))
        return HOLE_VALUE;
    if (IS(name, "timestamp"))
        return HOLE_TIMESTAMP;
    return IS(name, "value_meta") ? HOLE_VALUE_META : SERIES_NO_HOLE;
}

static inline bool
is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* Eight digits at once, as a number: pairs, then pairs of these, then both halves. */
static inline bool
read_eight(const char *p, int64_t *number)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    v -= UINT64_C(0x3030303030303030);
    if (((v | (v + UINT64_C(0x7676767676767676))) & UINT64_C(0x8080808080808080)) != 0)
        return false;
    v = v * 10 + (v >> 8);
    v = (v & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
        (v >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001);
    *number = (int64_t)(v >> 32);
    return true;
}

/* Over digits, at most to `most`. */
static inline const char *
read_digits(const char *p, const char *most, int64_t *number)
{
    int64_t value = 0;
    if (most - p >= 8 && read_eight(p, &value))
        p += 8;
    while (p < most) {
        unsigned digit = (unsigned char)*p - (unsigned)'0';
        if (digit > 9)
            break;
        value = value * 10 + digit;
        p++;
    }
    *number = value;
    return p;
}

/*
 * A number without sign and exponent, whose digits a double holds, and "null".
 * Returns: its end, or NULL: it is for the scanner.
 */
static inline const char *
skim_plain(const char *p, const char *end, struct known_hole *hole)
{
    const char *begin = p, *most = end - p > PLAIN_DIGITS ? p + PLAIN_DIGITS : end - 1;
    int64_t integer = 0;
    if (end - p > 4 && memcmp(p, "null", 4) == 0) {
        hole->type = JSON_NULL;
        return p + 4;
    }
    p = read_digits(p, most, &integer);
    if (p == begin || (*begin == '0' && p > begin + 1))
        return NULL;
    hole->integer = *p != '.';
    if (!hole->integer) {
        const char *fraction = ++p;
        while (p < most && is_digit(*p))
            p++;
        if (p == fraction)
            return NULL;
    }
    if (p >= end || is_digit(*p) || *p == '.' || (*p | 0x20) == 'e')
        return NULL;
    hole->type = JSON_NUMBER;
    hole->plain = true;
    hole->number = integer;
    return p;
}

/*
 * A hole is one whole JSON value, wherever it stands. Blanks before it are none of it.
 * Takes: how many containers it is in. Returns: its end, or NULL.
 */
static const char *
skim_value(const char *p, const char *end, unsigned depth, struct known_hole *hole)
{
    const char *after = skim_plain(p, end, hole);
    if (after != NULL)
        return after;
    if (p == end || (unsigned char)*p <= ' ')
        return NULL;
    struct json_scanner scanner = {.start = p, .p = p, .end = end, .depth = depth};
    struct json_value value;
    if (json_scan_value(&scanner, &value) == -1)
        return NULL;
    hole->type = value.type;
    return scanner.p;
}

/* Copies what is before a hole, or the end, into the key. */
static inline bool
copy_key(struct skim *s, const char *p)
{
    size_t n = (size_t)(p - s->copied);
    if (n > (size_t)(s->key_end - s->out))
        return false;
    memcpy(s->out, s->copied, n);
    s->out += n;
    return true;
}

static bool
skim_hole(struct skim *s, enum series_hole which)
{
    struct known_message *known = s->known;
    struct known_hole *hole = &known->holes[which];
    if (hole->type != JSON_ABSENT || !copy_key(s, s->p))
        return false;
    known->key.holes[which] = (int32_t)(s->out - known->key.bytes);
    const char *end = skim_value(s->p, s->end, s->in_metric ? 2 : 1, hole);
    if (end == NULL)
        return false;
    hole->text = (struct slice){s->p, (size_t)(end - s->p)};
    s->p = s->copied = end;
    return true;
}

/* Over one member, the comma before it and its name included. There is something left. */
static bool
skim_member(struct skim *s)
{
    const char *p = s->p, *end = s->end;
    if (*p == ',' && ++p < end)
        p = skip_blanks(p);
    if (p == end || *p != '"')
        return false;
    struct slice name = {p + 1, 0};
    p = find_quote(p + 1, end);
    name.n = (size_t)(p - name.p);
    if (end - p < 2 || *p == '\\')
        return false;
    p = skip_blanks(p + 1);
    if (*p != ':' || ++p == end)
        return false;
    s->p = p = skip_blanks(p);
    int hole = find_hole(s, name);
    if (hole != SERIES_NO_HOLE)
        return skim_hole(s, (enum series_hole)hole);
    bool metric = !s->in_metric && IS(name, "metric") && *p == '{';
    if (metric && s->had_metric)
        return false;
    s->in_metric = s->in_metric || metric;
    s->had_metric = s->had_metric || metric;
    s->p = metric ? p + 1 : skip_value(p, end);
    return true;
}

static bool
has_numbers(const struct known_message *known)
{
    return known->holes[HOLE_TIMESTAMP].type == JSON_NUMBER &&
           known->holes[HOLE_VALUE].type == JSON_NUMBER;
}

/* Finds the holes and the key. Returns: false if this is for the long way. */
static bool
skim_message(struct decoder *d, struct slice message, struct known_message *known)
{
    struct skim s = {.p = message.p,
                     .end = message.p + message.n,
                     .copied = message.p,
                     .out = d->key,
                     .key_end = d->key + SERIES_BYTES_MAX,
                     .known = known};
    if (*s.p++ != '{' || s.end[-1] != '}')
        return false;
    known->key.bytes = d->key;
    for (int i = 0; i < SERIES_HOLES; i++) {
        known->holes[i].type = JSON_ABSENT;
        known->holes[i].plain = false;
        known->key.holes[i] = SERIES_NO_HOLE;
    }
    for (;;) {
        if (s.p == s.end)
            return false;
        s.p = skip_blanks(s.p);
        if (*s.p != '}') {
            if (!skim_member(&s))
                return false;
            continue;
        }
        if (!s.in_metric)
            break;
        s.in_metric = false;
        s.p++;
    }
    if (!has_numbers(known) || !copy_key(&s, s.end))
        return false;
    known->key.n = (uint32_t)(s.out - d->key);
    series_hash(&known->key);
    return true;
}

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
    const char *after = skim_value(p, end, which == HOLE_CREATION_TIME ? 1 : 2, hole);
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
    while (p > first && (is_digit(p[-1]) || p[-1] == '.' || p[-1] == '-'))
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
    return series != NULL && has_numbers(known) ? series : NULL;
}

bool
decode_find_known(struct decoder *d, struct slice message, struct known_message *known,
                  struct record *record)
{
    known->keyed = false;
    known->series = d->known != NULL ? find_alike(d, message, known) : NULL;
    bool cut = known->keyed;
    if (known->series == NULL && d->known != NULL && !(cut && d->good_cuts == TRUSTED)) {
        known->keyed = skim_message(d, message, known);
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
    if (!has_numbers(known) ||
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
