/* SPDX-License-Identifier: Apache-2.0 */
/* option.c - see option.h. */
#include "perf/option.h"

#include <stdio.h>

#include "lib/num.h"

int
option_fail(const char *program, const char *option, const char *value, const char *allowed)
{
    fprintf(stderr, "%s: %s %s: allowed: %s\n", program, option, value, allowed);
    return -1;
}

int
option_number(const char *program, const char *option, const char *value, int64_t min, int64_t max,
              int64_t *out)
{
    char allowed[96];
    if (num_parse_int(value, min, max, out) == 0)
        return 0;
    snprintf(allowed, sizeof(allowed), "a whole number from %lld to %lld", (long long)min,
             (long long)max);
    return option_fail(program, option, value, allowed);
}
