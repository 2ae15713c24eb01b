/* SPDX-License-Identifier: Apache-2.0 */
/* when.c - see when.h. */
#include "dead/when.h"

#include <stdio.h>
#include <time.h>

#include "lib/num.h"

/* Takes n digits off the text. Returns: their value, or -1. */
static int
take_digits(struct slice *text, size_t n)
{
    int value = 0;
    if (text->n < n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (text->p[i] < '0' || text->p[i] > '9')
            return -1;
        value = value * 10 + (text->p[i] - '0');
    }
    *text = (struct slice){text->p + n, text->n - n};
    return value;
}

static bool
take_char(struct slice *text, char c)
{
    if (text->n == 0 || text->p[0] != c)
        return false;
    *text = (struct slice){text->p + 1, text->n - 1};
    return true;
}

static int
take_date(struct slice *text, struct tm *tm)
{
    tm->tm_year = take_digits(text, 4) - 1900;
    if (tm->tm_year < 70 || !take_char(text, '-'))
        return -1;
    tm->tm_mon = take_digits(text, 2) - 1;
    if (tm->tm_mon < 0 || !take_char(text, '-'))
        return -1;
    tm->tm_mday = take_digits(text, 2);
    return tm->tm_mday < 1 ? -1 : 0;
}

/* Fractions of a second, at most to the millisecond. */
static int
take_ms(struct slice *text, int *ms)
{
    static const int unit[] = {0, 100, 10, 1};
    size_t n = 0;
    while (n < text->n && n < 3 && text->p[n] >= '0' && text->p[n] <= '9')
        n++;
    if (n == 0)
        return -1;
    *ms = take_digits(text, n) * unit[n];
    return 0;
}

static int
take_time(struct slice *text, struct tm *tm, int *ms)
{
    tm->tm_hour = take_digits(text, 2);
    if (tm->tm_hour < 0 || tm->tm_hour > 23 || !take_char(text, ':'))
        return -1;
    tm->tm_min = take_digits(text, 2);
    if (tm->tm_min < 0 || tm->tm_min > 59)
        return -1;
    if (!take_char(text, ':'))
        return 0;
    tm->tm_sec = take_digits(text, 2);
    if (tm->tm_sec < 0 || tm->tm_sec > 59)
        return -1;
    return take_char(text, '.') ? take_ms(text, ms) : 0;
}

int
when_parse_iso(struct slice text, int64_t *ms)
{
    struct tm tm = {.tm_isdst = 0};
    int fraction = 0;
    if (take_date(&text, &tm) == -1)
        return -1;
    if ((take_char(&text, 'T') || take_char(&text, ' ')) && take_time(&text, &tm, &fraction) == -1)
        return -1;
    take_char(&text, 'Z');
    if (text.n > 0)
        return -1;
    struct tm normal = tm;
    time_t seconds = timegm(&normal);
    if (normal.tm_mday != tm.tm_mday || normal.tm_mon != tm.tm_mon) /* the 31st of February */
        return -1;
    *ms = (int64_t)seconds * 1000 + fraction;
    return 0;
}

static int64_t
find_unit_ms(char c)
{
    switch (c) {
    case 's':
        return 1000;
    case 'm':
        return 60 * 1000;
    case 'h':
        return 3600 * 1000;
    case 'd':
        return 86400 * 1000;
    default:
        return 0;
    }
}

int
when_parse(const char *text, int64_t now_ms, int64_t *ms)
{
    size_t n = strlen(text);
    int64_t unit = n > 1 && n < 16 ? find_unit_ms(text[n - 1]) : 0, number;
    char digits[16];
    if (unit == 0)
        return when_parse_iso((struct slice){text, n}, ms);
    memcpy(digits, text, n - 1);
    digits[n - 1] = '\0';
    if (num_parse_int(digits, 0, now_ms / unit, &number) == -1)
        return -1;
    *ms = now_ms - number * unit;
    return 0;
}
