/* SPDX-License-Identifier: Apache-2.0 */
/* format.c - see format.h. */
#include "admin/format.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/timestamp.h"

static struct format_text
text_of(const char *text)
{
    struct format_text t = {""};
    snprintf(t.s, sizeof(t.s), "%s", text);
    return t;
}

struct format_text
format_age(int64_t ms)
{
    struct format_text t;
    int64_t s = ms > 0 ? ms / 1000 : 0;
    if (s < 60)
        snprintf(t.s, sizeof(t.s), "%" PRId64 " s", s);
    else if (s < 3600)
        snprintf(t.s, sizeof(t.s), "%" PRId64 " min %02" PRId64 " s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(t.s, sizeof(t.s), "%" PRId64 " h %02" PRId64 " min", s / 3600, s / 60 % 60);
    else
        snprintf(t.s, sizeof(t.s), "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
    return t;
}

struct format_text
format_time(int64_t wall_ms)
{
    struct format_text t;
    if (wall_ms <= 0)
        return text_of("never");
    (void)timestamp_format_seconds(t.s, wall_ms);
    return t;
}

/* Three digits, so that a column of them can be compared: 1.23, 12.3, 123. */
static int
decimals(double value)
{
    return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

struct format_text
format_duration(uint64_t ns)
{
    static const char *const units[] = {"ns", "\xc2\xb5s", "ms", "s"};
    struct format_text t;
    double value = (double)ns;
    size_t unit = 0;
    if (ns == UINT64_MAX)
        return text_of("\xe2\x80\x93");
    for (; value >= 999.5 && unit + 1 < COUNT_OF(units); unit++)
        value /= 1000;
    snprintf(t.s, sizeof(t.s), "%.*f %s", unit == 0 ? 0 : decimals(value), value, units[unit]);
    return t;
}

struct format_text
format_count(uint64_t n)
{
    struct format_text t;
    char digits[24];
    size_t out = 0;
    if (n == UINT64_MAX)
        return text_of("unknown");
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, n);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            t.s[out++] = ',';
        t.s[out++] = digits[i];
    }
    t.s[out] = '\0';
    return t;
}

struct format_text
format_rate(double r)
{
    struct format_text t;
    if (!(r > 0))
        return text_of("0");
    if (r < 999.5)
        snprintf(t.s, sizeof(t.s), "%.*f", decimals(r), r);
    else if (r < 9999.5)
        return format_count((uint64_t)(r + 0.5));
    else if (r < 999500)
        snprintf(t.s, sizeof(t.s), "%.*fk", decimals(r / 1000), r / 1000);
    else
        snprintf(t.s, sizeof(t.s), "%.*fM", decimals(r / 1e6), r / 1e6);
    return t;
}

struct format_text
format_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    struct format_text t;
    double value = (double)bytes;
    size_t unit = 0;
    if (bytes == UINT64_MAX)
        return text_of("unknown");
    for (; value >= 1023.5 && unit + 1 < COUNT_OF(units); unit++)
        value /= 1024;
    snprintf(t.s, sizeof(t.s), "%.*f %s", unit == 0 ? 0 : decimals(value), value, units[unit]);
    return t;
}
