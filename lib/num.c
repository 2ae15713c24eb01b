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
