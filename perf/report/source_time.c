/* SPDX-License-Identifier: Apache-2.0 */
/* source_time.c - see source_time.h. */
#include "perf/report/source_time.h"

#include <time.h>

/* What is left of the text. */
struct cursor {
    const char *p, *end;
};

static bool
take_char(struct cursor *c, const char *any_of)
{
    if (c->p == c->end || *c->p == '\0' || strchr(any_of, *c->p) == NULL)
        return false;
    c->p++;
    return true;
}

/* Takes exactly so many digits. */
static bool
take_digits(struct cursor *c, unsigned digits, int min, int max, int *out)
{
    int number = 0;
    if ((size_t)(c->end - c->p) < digits)
        return false;
    for (unsigned i = 0; i < digits; i++, c->p++) {
        if (*c->p < '0' || *c->p > '9')
            return false;
        number = number * 10 + (*c->p - '0');
    }
    *out = number;
    return number >= min && number <= max;
}

static bool
take_date(struct cursor *c, struct tm *tm)
{
    int year, month;
    if (!take_digits(c, 4, 1970, 9999, &year) || !take_char(c, "-") ||
        !take_digits(c, 2, 1, 12, &month) || !take_char(c, "-") ||
        !take_digits(c, 2, 1, 31, &tm->tm_mday))
        return false;
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    return true;
}

static bool
take_clock(struct cursor *c, struct tm *tm)
{
    return take_digits(c, 2, 0, 23, &tm->tm_hour) && take_char(c, ":") &&
           take_digits(c, 2, 0, 59, &tm->tm_min) && take_char(c, ":") &&
           take_digits(c, 2, 0, 60, &tm->tm_sec);
}

/* Takes a fraction if there is one. */
static bool
take_fraction(struct cursor *c, int *ms)
{
    int digit, weight = 100;
    *ms = 0;
    if (!take_char(c, "."))
        return true;
    if (!take_digits(c, 1, 0, 9, &digit))
        return false;
    do {
        *ms += digit * weight;
        weight /= 10;
    } while (c->p < c->end && *c->p >= '0' && *c->p <= '9' && take_digits(c, 1, 0, 9, &digit));
    return true;
}

static bool
take_zone(struct cursor *c, int *minutes)
{
    int hours, rest;
    *minutes = 0;
    if (take_char(c, "Zz"))
        return true;
    bool east = c->p < c->end && *c->p == '+';
    if (!take_char(c, "+-") || !take_digits(c, 2, 0, 23, &hours))
        return false;
    (void)take_char(c, ":");
    if (!take_digits(c, 2, 0, 59, &rest))
        return false;
    *minutes = (hours * 60 + rest) * (east ? 1 : -1);
    return true;
}

int
source_time_parse(struct slice text, int64_t *ms)
{
    struct cursor c = {text.p, text.p + text.n};
    struct tm tm = {.tm_sec = 0};
    int fraction, zone;
    if (text.n == 0 || !take_date(&c, &tm) || !take_char(&c, "Tt ") || !take_clock(&c, &tm) ||
        !take_fraction(&c, &fraction) || !take_zone(&c, &zone) || c.p != c.end)
        return -1;
    int day = tm.tm_mday;
    bool leap = tm.tm_sec == 60;
    tm.tm_sec -= leap;
    time_t seconds = timegm(&tm); /* normalizes: the 31st of June becomes the 1st of July */
    if (tm.tm_mday != day)
        return -1;
    *ms = ((int64_t)seconds + leap - (int64_t)zone * 60) * 1000 + fraction;
    return *ms >= 0 ? 0 : -1;
}
