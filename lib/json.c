/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.c - see json.h.
 *
 * Most bytes of a message are in strings, so these are looked at sixteen or eight at a time, and
 * nothing is copied.  Numbers are validated, not converted.
 */
#include "lib/json.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static int
set_fault(struct json_scanner *s, enum json_fault fault, const char *at, const char *text)
{
    s->fault = fault;
    s->p = at;
    s->fault_text = text;
    return -1;
}

static inline int
fail(struct json_scanner *s, const char *at, const char *text)
{
    return set_fault(s, JSON_SYNTAX, at, text);
}

static inline const char *
skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* ---- strings ---- */

/* What a string cannot run over blindly: its end, an escape, a control character, non-ASCII. */
static inline bool
is_special(unsigned char c)
{
    return c < 0x20 || c >= 0x80 || c == '"' || c == '\\';
}

/*
 * Returns: the top bit of each of the 8 bytes that is special, the first byte lowest.  The first
 * one is exact; later ones may be false, from borrows that run upwards ("haszero" and "hasless" of
 * S. E. Anderson, Bit Twiddling Hacks).
 */
static inline uint64_t
find_special(const char *p)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t v;
    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    uint64_t quote = v ^ (ones * '"'), escape = v ^ (ones * '\\');
    uint64_t low = (v - ones * 0x20) | (quote - ones) | (escape - ones);
    return ((low & ~v) | v) & (ones * 0x80);
}

static inline const char *
skip_plain(const char *p, const char *end)
{
#if defined(__SSE2__)
    const __m128i blank = _mm_set1_epi8(' ');
    const __m128i quote = _mm_set1_epi8('"'), escape = _mm_set1_epi8('\\');
    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i low = _mm_cmplt_epi8(v, blank); /* as signed numbers: non-ASCII is below 0 */
        __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, escape));
        int special = _mm_movemask_epi8(_mm_or_si128(low, ends));
        if (special != 0)
            return p + __builtin_ctz((unsigned)special);
    }
#endif
    for (; end - p >= (ptrdiff_t)sizeof(uint64_t); p += sizeof(uint64_t)) {
        uint64_t special = find_special(p);
        if (special != 0)
            return p + __builtin_ctzll(special) / 8;
    }
    while (p < end && !is_special((unsigned char)*p))
        p++;
    return p;
}

/* Returns: the size of the UTF-8 sequence at p (RFC 3629, section 4), or 0 if it is none. */
size_t
json_utf8_size(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    unsigned char low = 0x80, high = 0xbf; /* what the second byte may be */
    size_t size = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (size == 1)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4 || size > n)
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0; /* else overlong */
    else if (p[0] == 0xed)
        high = 0x9f; /* else a surrogate */
    else if (p[0] == 0xf0)
        low = 0x90; /* else overlong */
    else if (p[0] == 0xf4)
        high = 0x8f; /* else above U+10FFFF */
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

/* Returns: 0..15, or -1. */
static inline int
hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Returns: the size of the escape sequence at p, which is a backslash, or 0 if it is none. */
static size_t
escape_size(const char *p, size_t n)
{
    if (n < 2)
        return 0;
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        break;
    default:
        return 0;
    }
    if (n < 6)
        return 0;
    for (int i = 2; i < 6; i++)
        if (hex_digit((unsigned char)p[i]) == -1)
            return 0;
    return 6;
}

/*
 * Over what skip_plain stopped at, unless it is the end of the string.
 * Returns: where to go on, or NULL and the scanner's fault.
 */
static const char *
skip_special(struct json_scanner *s, const char *p, bool *escaped)
{
    size_t left = (size_t)(s->end - p), size;
    if (left == 0) {
        fail(s, p, "a string does not end");
        return NULL;
    }
    if (*p == '\\') {
        *escaped = true;
        size = escape_size(p, left);
        if (size == 0)
            fail(s, p, "not an escape sequence");
    } else if ((unsigned char)*p >= 0x80) {
        size = json_utf8_size(p, left);
        if (size == 0)
            set_fault(s, JSON_NOT_UTF8, p, "not UTF-8");
    } else {
        size = 0;
        fail(s, p, "a control character in a string");
    }
    return size == 0 ? NULL : p + size;
}

/* At the opening quote. */
static int
scan_string(struct json_scanner *s, struct json_value *value)
{
    const char *begin = s->p + 1, *p = begin;
    bool escaped = false;
    for (;;) {
        p = skip_plain(p, s->end);
        if (p < s->end && *p == '"')
            break;
        p = skip_special(s, p, &escaped);
        if (p == NULL)
            return -1;
    }
    value->type = JSON_STRING;
    value->escaped = escaped;
    value->text = (struct slice){begin, (size_t)(p - begin)};
    s->p = p + 1;
    return 0;
}

static uint32_t
read_hex4(const char *p)
{
    uint32_t code = 0;
    for (int i = 0; i < 4; i++)
        code = code << 4 | (uint32_t)hex_digit((unsigned char)p[i]);
    return code;
}

static size_t
write_utf8(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(lead[size] | code);
    return size;
}

/* \uXXXX or a pair of them.  Returns: its size in the text, or 0 for half a pair. */
static size_t
unescape_unicode(const char *p, size_t left, char *out, size_t *written)
{
    uint32_t code = read_hex4(p + 2);
    size_t size = 6;
    if (code >= 0xdc00 && code < 0xe000)
        return 0;
    if (code >= 0xd800 && code < 0xdc00) {
        if (left < 12 || p[6] != '\\' || p[7] != 'u')
            return 0;
        uint32_t low = read_hex4(p + 8);
        if (low < 0xdc00 || low >= 0xe000)
            return 0;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        size = 12;
    }
    *written += write_utf8(code, out);
    return size;
}

static char
unescape_letter(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

int
json_unescape(struct slice text, char *out, size_t *n)
{
    const char *p = text.p, *end = text.p + text.n;
    size_t written = 0;
    while (p < end) {
        if (*p != '\\') {
            out[written++] = *p++;
        } else if (p[1] != 'u') {
            out[written++] = unescape_letter(p[1]);
            p += 2;
        } else {
            size_t size = unescape_unicode(p, (size_t)(end - p), out + written, &written);
            if (size == 0)
                return -1;
            p += size;
        }
    }
    *n = written;
    return 0;
}

bool
json_is_utf8(const char *p, size_t n)
{
    for (size_t i = 0, size; i < n; i += size) {
        size = json_utf8_size(p + i, n - i);
        if (size == 0)
            return false;
    }
    return true;
}

/* ---- numbers and words ---- */

static inline const char *
skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* Over at least one digit.  Returns: where they end, or NULL and the scanner's fault. */
static inline const char *
need_digits(struct json_scanner *s, const char *p)
{
    const char *after = skip_digits(p, s->end);
    if (after == p) {
        fail(s, p, "expected a digit");
        return NULL;
    }
    return after;
}

/* At a minus or a digit. */
static int
scan_number(struct json_scanner *s, struct json_value *value)
{
    const char *end = s->end, *digits = s->p + (*s->p == '-');
    const char *p = need_digits(s, digits);
    if (p == NULL)
        return -1;
    if (*digits == '0' && p > digits + 1)
        return fail(s, digits, "a number with a leading zero");
    if (p < end && *p == '.') {
        p = need_digits(s, p + 1);
        if (p == NULL)
            return -1;
    }
    value->exponent = p < end && (*p == 'e' || *p == 'E');
    if (value->exponent) {
        p++;
        p = need_digits(s, p + (p < end && (*p == '+' || *p == '-')));
        if (p == NULL)
            return -1;
    }
    if (p == end && s->depth > 0) /* so that strtod can read it in place: a byte always follows */
        return fail(s, p, "the text ends too early");
    value->type = JSON_NUMBER;
    value->text = (struct slice){s->p, (size_t)(p - s->p)};
    s->p = p;
    return 0;
}

static int
scan_word(struct json_scanner *s, struct json_value *value, enum json_type type, struct slice word)
{
    if ((size_t)(s->end - s->p) < word.n || memcmp(s->p, word.p, word.n) != 0)
        return fail(s, s->p, "expected a value");
    value->type = type;
    value->text = (struct slice){s->p, word.n};
    s->p += word.n;
    return 0;
}

/* What type of value a byte begins. */
static const uint8_t first_byte[256] = {
    ['n'] = JSON_NULL,   ['f'] = JSON_FALSE,  ['t'] = JSON_TRUE,   ['"'] = JSON_STRING,
    ['['] = JSON_ARRAY,  ['{'] = JSON_OBJECT, ['-'] = JSON_NUMBER, ['0'] = JSON_NUMBER,
    ['1'] = JSON_NUMBER, ['2'] = JSON_NUMBER, ['3'] = JSON_NUMBER, ['4'] = JSON_NUMBER,
    ['5'] = JSON_NUMBER, ['6'] = JSON_NUMBER, ['7'] = JSON_NUMBER, ['8'] = JSON_NUMBER,
    ['9'] = JSON_NUMBER,
};

static inline enum json_type
peek_type(struct json_scanner *s)
{
    s->p = skip_blanks(s->p, s->end);
    return s->p == s->end ? JSON_ABSENT : (enum json_type)first_byte[(unsigned char)*s->p];
}

enum json_type
json_peek_type(struct json_scanner *s)
{
    return peek_type(s);
}

/* ---- containers ---- */

static int
enter_container(struct json_scanner *s)
{
    if (s->depth == JSON_MAX_DEPTH)
        return set_fault(s, JSON_TOO_DEEP, s->p, "nested deeper than 64");
    s->depth++;
    s->fresh = true;
    s->p++;
    return 0;
}

/*
 * Over the comma before the next member or element, if it is not the first, or over the end.
 * Returns: 1 if there is a next one, at s->p; 0 if the container ended; -1 for a fault.
 */
static inline int
next_item(struct json_scanner *s, char closing)
{
    const char *p = skip_blanks(s->p, s->end);
    bool first = s->fresh;
    s->fresh = false;
    if (p == s->end)
        return fail(s, p, "the text ends too early");
    if (*p == closing) {
        s->depth--;
        s->p = p + 1;
        return 0;
    }
    if (!first) {
        if (*p != ',')
            return fail(s, p, closing == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
        p = skip_blanks(p + 1, s->end);
    }
    s->p = p;
    return 1;
}

int
json_next_member(struct json_scanner *s, struct json_value *name)
{
    int more = next_item(s, '}');
    if (more != 1)
        return more;
    if (s->p == s->end || *s->p != '"')
        return fail(s, s->p, "expected a member's name");
    if (scan_string(s, name) == -1)
        return -1;
    const char *p = skip_blanks(s->p, s->end);
    if (p == s->end || *p != ':')
        return fail(s, p, "expected ':'");
    s->p = p + 1;
    return 1;
}

int
json_enter_object(struct json_scanner *s)
{
    if (peek_type(s) != JSON_OBJECT)
        return fail(s, s->p, "expected an object");
    return enter_container(s);
}

static int
scan_scalar(struct json_scanner *s, enum json_type type, struct json_value *value)
{
    switch (type) {
    case JSON_STRING:
        return scan_string(s, value);
    case JSON_NUMBER:
        return scan_number(s, value);
    case JSON_NULL:
        return scan_word(s, value, type, SLICE("null"));
    case JSON_FALSE:
        return scan_word(s, value, type, SLICE("false"));
    case JSON_TRUE:
        return scan_word(s, value, type, SLICE("true"));
    default:
        return fail(s, s->p, "expected a value");
    }
}

/* Over a whole container and all that is in it. */
static int
scan_container(struct json_scanner *s, enum json_type type, struct json_value *value)
{
    const char *begin = s->p;
    const unsigned outside = s->depth;
    /* Which of the open containers are objects: a bit each, the innermost lowest. */
    uint64_t objects = type == JSON_OBJECT;
    struct json_value inner;
    if (enter_container(s) == -1)
        return -1;
    while (s->depth > outside) {
        int more = objects & 1 ? json_next_member(s, &inner) : next_item(s, ']');
        if (more == -1)
            return -1;
        if (more == 0) {
            objects >>= 1;
            continue;
        }
        enum json_type inside = peek_type(s);
        if (inside == JSON_OBJECT || inside == JSON_ARRAY) {
            if (enter_container(s) == -1)
                return -1;
            objects = objects << 1 | (inside == JSON_OBJECT);
        } else if (scan_scalar(s, inside, &inner) == -1) {
            return -1;
        }
    }
    value->type = type;
    value->text = (struct slice){begin, (size_t)(s->p - begin)};
    return 0;
}

_Static_assert(JSON_MAX_DEPTH == 64, "the fault's text, and scan_container's bit for each level");

/* ---- the rest of the interface ---- */

void
json_scanner_init(struct json_scanner *s, struct slice text)
{
    if (text.p == NULL)
        text = SLICE("");
    *s = (struct json_scanner){.start = text.p, .p = text.p, .end = text.p + text.n};
}

int
json_scan_value(struct json_scanner *s, struct json_value *value)
{
    enum json_type type = peek_type(s);
    if (type == JSON_OBJECT || type == JSON_ARRAY)
        return scan_container(s, type, value);
    return scan_scalar(s, type, value);
}

int
json_scan_end(struct json_scanner *s)
{
    s->p = skip_blanks(s->p, s->end);
    return s->p == s->end ? 0 : fail(s, s->p, "text after the value");
}
