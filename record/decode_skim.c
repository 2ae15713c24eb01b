/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_skim.c - finds the holes of a metric's message (series.h), and the bytes around them,
 * without validating these.
 *
 * Process: workers.  Owner: the worker that made the decoder.  Concurrency: one thread per decoder.
 */
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "record/decode_hole.h"

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
    const char *end = hole_read(s->p, s->end, s->in_metric ? 2 : 1, hole);
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

bool
decode_skim_message(struct decoder *d, struct slice message, struct known_message *known)
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
    if (!decode_has_numbers(known) || !copy_key(&s, s.end))
        return false;
    known->key.n = (uint32_t)(s.out - d->key);
    series_hash(&known->key);
    return true;
}
