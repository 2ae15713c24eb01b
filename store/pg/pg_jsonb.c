/* SPDX-License-Identifier: Apache-2.0 */
/* pg_jsonb.c - see pg_jsonb.h. */
#include "store/pg/pg_jsonb.h"

#include "lib/json.h"

/* Of a number's digits, and of what the server's memory for one container allows (1 GB, in arrays
 * that double). */
enum {
    MAX_WEIGHT = 131071, /* the first digit's place: 10^131071 */
    MAX_SCALE = 16383,   /* digits behind the point */
    MAX_EXPONENT = 1073741823,
    MAX_ELEMENTS = 1 << 24,
    MAX_PAIRS = 1 << 23
};

struct walk {
    const char *p, *end;
    const char *flaw;
    unsigned depth;
    struct {
        bool object;
        size_t commas;
    } open[JSON_MAX_DEPTH];
};

/* --- strings --- */

/* The 4 hex digits behind p, which is at \u. */
static unsigned
read_unit(const char *p)
{
    unsigned unit = 0;
    for (int i = 2; i < 6; i++) {
        unsigned c = (unsigned char)p[i];
        unit = unit << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return unit;
}

static bool
is_unit_at(const char *p, const char *end)
{
    return end - p >= 6 && p[0] == '\\' && p[1] == 'u';
}

/* At a backslash.  Returns: where to go on. */
static const char *
walk_escape(struct walk *w, const char *p)
{
    if (!is_unit_at(p, w->end))
        return p + 2;
    unsigned unit = read_unit(p);
    if (unit == 0)
        w->flaw = "contains NUL";
    if (unit < 0xd800 || unit > 0xdfff)
        return p + 6;
    if (unit < 0xdc00 && is_unit_at(p + 6, w->end)) {
        unsigned low = read_unit(p + 6);
        if (low >= 0xdc00 && low <= 0xdfff)
            return p + 12;
    }
    w->flaw = "contains half a surrogate pair";
    return p + 6;
}

/* At the opening quote. */
static void
walk_string(struct walk *w)
{
    const char *p = w->p + 1;
    while (p < w->end && *p != '"' && w->flaw == NULL)
        p = *p == '\\' ? walk_escape(w, p) : p + 1;
    w->p = p + 1;
}

/* --- numbers --- */

static const char *
skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* The number after 'e', if there is one; what is beyond int32 is just large. */
static int64_t
read_exponent(const char *p, const char *end)
{
    int64_t exponent = 0;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (; p < end && exponent < INT32_MAX; p++)
        exponent = exponent * 10 + (*p - '0');
    return negative ? -exponent : exponent;
}

/* Takes: the digits before the point, those behind it, the exponent. */
static bool
fits_numeric(const char *whole, size_t whole_n, const char *fraction, size_t fraction_n,
             int64_t exponent)
{
    if (exponent > MAX_EXPONENT || exponent < -MAX_EXPONENT ||
        (int64_t)fraction_n - exponent > MAX_SCALE)
        return false;
    size_t zeros = 0;
    while (zeros < whole_n && whole[zeros] == '0')
        zeros++;
    if (zeros == whole_n) {
        while (zeros < whole_n + fraction_n && fraction[zeros - whole_n] == '0')
            zeros++;
        if (zeros == whole_n + fraction_n)
            return true; /* it is 0 */
    }
    return (int64_t)whole_n - 1 - (int64_t)zeros + exponent <= MAX_WEIGHT;
}

/* At the first byte of a number. */
static void
walk_number(struct walk *w)
{
    const char *whole = *w->p == '-' ? w->p + 1 : w->p;
    const char *p = skip_digits(whole, w->end);
    size_t whole_n = (size_t)(p - whole);
    const char *fraction = p < w->end && *p == '.' ? p + 1 : p;
    p = skip_digits(fraction, w->end);
    size_t fraction_n = (size_t)(p - fraction);
    int64_t exponent = 0;
    if (p < w->end && (*p == 'e' || *p == 'E')) {
        const char *start = ++p;
        if (p < w->end && (*p == '-' || *p == '+'))
            p++;
        p = skip_digits(p, w->end);
        exponent = read_exponent(start, p);
    }
    if (!fits_numeric(whole, whole_n, fraction, fraction_n, exponent))
        w->flaw = "contains a number with too many digits";
    w->p = p;
}

/* --- containers --- */

static void
enter(struct walk *w, bool object)
{
    if (w->depth < JSON_MAX_DEPTH) {
        w->open[w->depth].object = object;
        w->open[w->depth].commas = 0;
    }
    w->depth++;
}

static void
note_comma(struct walk *w)
{
    if (w->depth == 0 || w->depth > JSON_MAX_DEPTH)
        return;
    size_t members = ++w->open[w->depth - 1].commas + 1;
    if (members > (w->open[w->depth - 1].object ? (size_t)MAX_PAIRS : (size_t)MAX_ELEMENTS))
        w->flaw = "contains an array or object with too many members";
}

static void
walk_byte(struct walk *w)
{
    char c = *w->p;
    if (c == '"') {
        walk_string(w);
        return;
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        walk_number(w);
        return;
    }
    if (c == '{' || c == '[')
        enter(w, c == '{');
    else if (c == '}' || c == ']')
        w->depth -= w->depth > 0;
    else if (c == ',')
        note_comma(w);
    w->p++; /* the rest: blanks, colons, the letters of true, false and null */
}

const char *
pg_jsonb_find_flaw(struct slice text)
{
    struct walk w = {.p = text.p, .end = text.p + text.n};
    while (w.p < w.end && w.flaw == NULL)
        walk_byte(&w);
    return w.flaw;
}
