/* SPDX-License-Identifier: Apache-2.0 */
/* timestamp.c - see timestamp.h. */
#include "lib/timestamp.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Returns: the ms of the second. */
static int
split(int64_t wall_ms, struct tm *utc)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    int ms = (int)(wall_ms % 1000);
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    if (gmtime_r(&seconds, utc) == NULL || utc->tm_year < 0 || utc->tm_year > 9999 - 1900)
        *utc = (struct tm){.tm_mday = 1};
    return ms;
}

static int
write_seconds(char text[TIMESTAMP_BYTES], const struct tm *utc)
{
    return snprintf(text, TIMESTAMP_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d", utc->tm_year + 1900,
                    utc->tm_mon + 1, utc->tm_mday, utc->tm_hour, utc->tm_min, utc->tm_sec);
}

const char *
timestamp_format(char text[TIMESTAMP_BYTES], int64_t wall_ms)
{
    struct tm utc;
    int ms = split(wall_ms, &utc), n = write_seconds(text, &utc);
    snprintf(text + n, (size_t)(TIMESTAMP_BYTES - n), ".%03dZ", ms);
    return text;
}

const char *
timestamp_format_seconds(char text[TIMESTAMP_BYTES], int64_t wall_ms)
{
    struct tm utc;
    (void)split(wall_ms, &utc);
    int n = write_seconds(text, &utc);
    snprintf(text + n, (size_t)(TIMESTAMP_BYTES - n), "Z");
    return text;
}
