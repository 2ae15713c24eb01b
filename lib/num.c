/* SPDX-License-Identifier: Apache-2.0 */
/* num.c - see num.h. */
#include "lib/num.h"

#include <errno.h>
#include <stdlib.h>

int
num_parse_int(const char *text, int64_t min, int64_t max, int64_t *out)
{
    const char *digits = text + (*text == '-');
    if (*digits < '0' || *digits > '9')
        return -1;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || value < min || value > max)
        return -1;
    *out = value;
    return 0;
}

bool
num_read_plain(struct slice number, double *out)
{
    enum { DIGITS = 15 };
    static const double powers[DIGITS + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                              1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *p = number.p, *end = p + number.n;
    bool negative = p < end && *p == '-';
    p += negative;
    if (end - p > DIGITS + 1)
        return false;
    int64_t value = 0;
    const char *point = NULL;
    for (; p < end; p++) {
        unsigned digit = (unsigned char)*p - (unsigned)'0';
        if (digit <= 9)
            value = value * 10 + digit;
        else if (*p == '.' && point == NULL)
            point = p;
        else
            return false;
    }
    size_t fraction = point != NULL ? (size_t)(end - point - 1) : 0;
    if (number.n - (size_t)negative - (point != NULL) > DIGITS)
        return false;
    double read = (double)value / powers[fraction];
    *out = negative ? -read : read;
    return true;
}
