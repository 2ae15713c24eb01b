/* SPDX-License-Identifier: Apache-2.0 */
/* decode_number.c - see decode_number.h. */
#include "record/decode_number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static inline bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

double
decode_number_double(struct slice number)
{
    double value = 0;
    if (number.n > 15) /* more digits than any double holds exactly */
        return strtod(number.p, NULL);
    for (size_t i = 0; i < number.n; i++) {
        if (!is_digit(number.p[i]))
            return strtod(number.p, NULL);
        value = value * 10 + (number.p[i] - '0');
    }
    return value;
}

bool
decode_number_finite(struct slice number)
{
    return isfinite(decode_number_double(number));
}

/* Where the exponent's 'e' is, or the end. */
static size_t
find_exponent(struct slice number)
{
    size_t i = 0;
    while (i < number.n && (number.p[i] | 0x20) != 'e')
        i++;
    return i;
}

/* The exponent after an 'e'; held at +-2^40, which is beyond any message's count of digits. */
static int64_t
read_exponent(struct slice text)
{
    const int64_t limit = INT64_C(1) << 40;
    bool negative = text.n > 0 && text.p[0] == '-';
    int64_t value = 0;
    for (size_t i = text.n > 0 && !is_digit(text.p[0]); i < text.n; i++)
        value = value < limit ? value * 10 + (text.p[i] - '0') : limit;
    return negative ? -value : value;
}

/* Of digits with perhaps a point in them the first `whole` digits, with zeros after the last. */
static int
read_whole(struct slice digits, int64_t whole, int64_t *out)
{
    int64_t value = 0;
    for (size_t i = 0; i < digits.n && whole > 0; i++) {
        if (digits.p[i] == '.')
            continue;
        value = value * 10 + (digits.p[i] - '0');
        whole--;
        if (value > DECODE_TIME_MAX_MS)
            return -1;
    }
    for (; whole > 0 && value > 0; whole--) {
        value *= 10;
        if (value > DECODE_TIME_MAX_MS)
            return -1;
    }
    *out = value;
    return 0;
}

/* A number without its sign that is more than a few digits: it has a point, an exponent, or both.
 */
static int
read_fraction(struct slice number, int64_t *out)
{
    size_t e = find_exponent(number), whole = 0;
    int64_t exponent = 0;
    if (e < number.n)
        exponent = read_exponent((struct slice){number.p + e + 1, number.n - e - 1});
    while (whole < e && number.p[whole] != '.')
        whole++;
    return read_whole((struct slice){number.p, e}, (int64_t)whole + exponent, out);
}

int
decode_number_ms(struct slice number, int64_t *ms)
{
    bool negative = number.p[0] == '-';
    struct slice rest = {number.p + negative, number.n - negative};
    int64_t value = 0;
    size_t i = 0;
    while (i < rest.n && i < 18 && is_digit(rest.p[i])) /* 18 digits cannot overflow */
        value = value * 10 + (rest.p[i++] - '0');
    if (i < rest.n && read_fraction(rest, &value) == -1)
        return -1;
    if (value > DECODE_TIME_MAX_MS)
        return -1;
    *ms = negative ? -value : value;
    return 0;
}

/* What Python's float() strips, of ASCII. */
static bool
is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

static struct slice
trim(struct slice text)
{
    while (text.n > 0 && is_blank(text.p[0]))
        text = (struct slice){text.p + 1, text.n - 1};
    while (text.n > 0 && is_blank(text.p[text.n - 1]))
        text.n--;
    return text;
}

static struct slice
take_digits(const char **p, const char *end)
{
    const char *begin = *p;
    while (*p < end && is_digit(**p))
        (*p)++;
    return (struct slice){begin, (size_t)(*p - begin)};
}

static char *
write_slice(char *out, struct slice s)
{
    memcpy(out, s.p, s.n);
    return out + s.n;
}

size_t
decode_number_from_text(struct slice text, char *out)
{
    text = trim(text);
    const char *p = text.p, *end = text.p + text.n;
    char *o = out;
    if (p < end && (*p == '+' || *p == '-') && *p++ == '-')
        *o++ = '-';
    struct slice whole = take_digits(&p, end), fraction = {p, 0};
    if (p < end && *p == '.') {
        p++;
        fraction = take_digits(&p, end);
    }
    if (whole.n + fraction.n == 0)
        return 0;
    while (whole.n > 1 && whole.p[0] == '0')
        whole = (struct slice){whole.p + 1, whole.n - 1};
    o = write_slice(o, whole.n > 0 ? whole : SLICE("0"));
    if (fraction.n > 0) {
        *o++ = '.';
        o = write_slice(o, fraction);
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char *e = p++;
        p += p < end && (*p == '+' || *p == '-');
        if (take_digits(&p, end).n == 0)
            return 0;
        o = write_slice(o, (struct slice){e, (size_t)(p - e)});
    }
    return p == end ? (size_t)(o - out) : 0;
}

/* The fewest significant digits that read back as the same double, as "d.ddde-XX". */
static void
write_shortest(double value, char *out, size_t size)
{
    for (int digits = 0; digits < 17; digits++) {
        snprintf(out, size, "%.*e", digits, value);
        if (strtod(out, NULL) == value)
            return;
    }
}

/* The positional form of digits d.ddd x 10^exponent, -4 <= exponent < 16, always with a point. */
static size_t
write_positional(const char *digits, int n, int exponent, char *out)
{
    char *o = out;
    if (exponent < 0) {
        o = write_slice(o, SLICE("0."));
        for (int i = -1; i > exponent; i--)
            *o++ = '0';
    }
    for (int i = 0; i < n || i <= exponent; i++) {
        *o++ = i < n ? digits[i] : '0';
        if (i == exponent)
            *o++ = '.';
    }
    if (o[-1] == '.')
        *o++ = '0';
    return (size_t)(o - out);
}

/* repr() of a finite float: the format 'r' of CPython's PyOS_double_to_string. */
static size_t
write_python_float(double value, char *out)
{
    char shortest[DECODE_PYTHON_TEXT_MAX], digits[20];
    write_shortest(fabs(value), shortest, sizeof(shortest));
    char *e = strchr(shortest, 'e');
    int n = 0, exponent = (int)strtol(e + 1, NULL, 10);
    size_t sign = signbit(value) ? 1 : 0;
    if (sign)
        out[0] = '-';
    if (exponent < -4 || exponent >= 16)
        return sign + (size_t)(write_slice(out + sign, (struct slice){shortest, strlen(shortest)}) -
                               (out + sign));
    for (const char *p = shortest; p < e; p++)
        if (is_digit(*p))
            digits[n++] = *p;
    return sign + write_positional(digits, n, exponent, out + sign);
}

size_t
decode_number_python_text(struct slice number, char *out)
{
    bool integer = true;
    for (size_t i = 0; i < number.n && integer; i++)
        integer = is_digit(number.p[i]) || (i == 0 && number.p[i] == '-');
    if (integer && slice_equal(number, SLICE("-0")))
        number = SLICE("0");
    if (integer)
        return (size_t)(write_slice(out, number) - out);
    double value = decode_number_double(number);
    return isfinite(value) ? write_python_float(value, out) : 0;
}
