/* SPDX-License-Identifier: Apache-2.0 */
/* pstats_format.c - see pstats_format.h. */
#include "pstats/pstats_format.h"

#include <stdio.h>
#include <time.h>
#include <wchar.h>

#include "lib/json.h"
#include "shm/stat.h"

const char *
pstats_write_count(char text[PSTATS_TEXT_BYTES], uint64_t n)
{
    static const char units[] = "kMGTPE";
    uint64_t unit = 1000;
    unsigned i = 0;
    if (n == UINT64_MAX)
        snprintf(text, PSTATS_TEXT_BYTES, "?");
    else if (n < 10000)
        snprintf(text, PSTATS_TEXT_BYTES, "%llu", (unsigned long long)n);
    else {
        for (; units[i + 1] != '\0' && n / unit >= 1000; i++)
            unit *= 1000;
        if (n / unit < 10)
            snprintf(text, PSTATS_TEXT_BYTES, "%llu.%llu%c", (unsigned long long)(n / unit),
                     (unsigned long long)(n % unit / (unit / 10)), units[i]);
        else
            snprintf(text, PSTATS_TEXT_BYTES, "%llu%c", (unsigned long long)(n / unit), units[i]);
    }
    return text;
}

const char *
pstats_write_rate(char text[PSTATS_TEXT_BYTES], double per_second)
{
    if (per_second < 0)
        snprintf(text, PSTATS_TEXT_BYTES, "-");
    else if (per_second > 0 && per_second < 9.95)
        snprintf(text, PSTATS_TEXT_BYTES, "%.1f", per_second < 0.1 ? 0.1 : per_second);
    else
        pstats_write_count(text, stat_from_double(per_second + 0.5));
    return text;
}

/*
 * Durations are cut, not rounded, and a unit begins where it is at least 2.0 of it (or the one
 * below is exactly used up): so nothing longer ever looks shorter.
 */
const char *
pstats_write_duration(char text[PSTATS_TEXT_BYTES], uint64_t ns)
{
    static const struct {
        uint64_t below, unit; /* ns */
        const char *name;
    } steps[] = {{1000000, 1000, "us"},
                 {1000000000, 1000000, "ms"},
                 {UINT64_C(120000000000), 1000000000, "s"},
                 {UINT64_C(7200000000000), UINT64_C(60000000000), "m"},
                 {UINT64_C(172800000000000), UINT64_C(3600000000000), "h"},
                 {UINT64_MAX, UINT64_C(86400000000000), "d"}};
    unsigned i = 0;
    if (ns == UINT64_MAX) {
        snprintf(text, PSTATS_TEXT_BYTES, "-");
        return text;
    }
    while (ns >= steps[i].below)
        i++;
    unsigned long long whole = ns / steps[i].unit;
    if (whole < 10)
        snprintf(text, PSTATS_TEXT_BYTES, "%llu.%llu%s", whole,
                 (unsigned long long)(ns % steps[i].unit / (steps[i].unit / 10)), steps[i].name);
    else
        snprintf(text, PSTATS_TEXT_BYTES, "%llu%s", whole, steps[i].name);
    return text;
}

const char *
pstats_write_duration_long(char text[PSTATS_TEXT_BYTES], uint64_t ns)
{
    static const char *const names[] = {"us", "ms", "s"};
    uint64_t unit = 1000;
    unsigned i = 0;
    if (ns == UINT64_MAX) {
        snprintf(text, PSTATS_TEXT_BYTES, "-");
        return text;
    }
    for (; i < 2 && ns / unit >= 1000; i++)
        unit *= 1000;
    unsigned long long whole = ns / unit, thousandths = ns % unit / (unit / 1000);
    if (whole < 10)
        snprintf(text, PSTATS_TEXT_BYTES, "%llu.%03llu %s", whole, thousandths, names[i]);
    else if (whole < 100)
        snprintf(text, PSTATS_TEXT_BYTES, "%llu.%02llu %s", whole, thousandths / 10, names[i]);
    else if (whole < 1000)
        snprintf(text, PSTATS_TEXT_BYTES, "%llu.%llu %s", whole, thousandths / 100, names[i]);
    else
        snprintf(text, PSTATS_TEXT_BYTES, "%llu %s", whole, names[i]);
    return text;
}

const char *
pstats_write_age(char text[PSTATS_TEXT_BYTES], int64_t ms)
{
    long long s = ms < 0 ? 0 : ms / 1000;
    if (s < 120)
        snprintf(text, PSTATS_TEXT_BYTES, "%llds", s);
    else if (s < 120 * 60)
        snprintf(text, PSTATS_TEXT_BYTES, "%lldm", s / 60);
    else if (s < 48 * 3600)
        snprintf(text, PSTATS_TEXT_BYTES, "%lldh", s / 3600);
    else
        snprintf(text, PSTATS_TEXT_BYTES, "%lldd", s / 86400);
    return text;
}

const char *
pstats_write_uptime(char text[PSTATS_TEXT_BYTES], int64_t ms)
{
    long long s = ms < 0 ? 0 : ms / 1000;
    int day = (int)(s % 86400);
    if (s < 86400)
        snprintf(text, PSTATS_TEXT_BYTES, "%02d:%02d:%02d", day / 3600, day / 60 % 60, day % 60);
    else
        snprintf(text, PSTATS_TEXT_BYTES, "%lldd %02d:%02d:%02d", s / 86400, day / 3600,
                 day / 60 % 60, day % 60);
    return text;
}

const char *
pstats_write_clock(char text[PSTATS_TEXT_BYTES], int64_t wall_ms)
{
    struct tm tm;
    time_t seconds = (time_t)(wall_ms / 1000);
    if (localtime_r(&seconds, &tm) == NULL)
        memset(&tm, 0, sizeof(tm));
    snprintf(text, PSTATS_TEXT_BYTES, "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
    return text;
}

/*
 * Decodes the character that begins here.
 * Returns: its bytes; 1 and '?' as the character if it is not to be shown as it is.
 */
static size_t
decode(const char *text, size_t n, bool utf8, wchar_t *c)
{
    unsigned char first = (unsigned char)*text;
    *c = first >= 0x20 && first < 0x7f ? (wchar_t)first : L'?';
    if (first < 0x80 || !utf8)
        return 1;
    for (size_t size = 2; size <= 4 && size <= n; size++) {
        if (!json_is_utf8(text, size))
            continue;
        wchar_t code = first & (0xff >> (size + 1));
        for (size_t i = 1; i < size; i++)
            code = code << 6 | ((unsigned char)text[i] & 0x3f);
        *c = wcwidth(code) > 0 ? code : L'?';
        return size;
    }
    return 1;
}

size_t
pstats_add_cut(struct buf *out, const char *text, size_t columns, bool utf8)
{
    size_t used = 0;
    for (size_t n = strlen(text); n > 0;) {
        wchar_t c;
        size_t size = decode(text, n, utf8, &c);
        size_t width = c < 0x80 ? 1 : (size_t)wcwidth(c);
        if (used + width > columns)
            break;
        if (c == L'?')
            buf_add_char(out, '?');
        else
            buf_add(out, text, size);
        used += width;
        text += size;
        n -= size;
    }
    return used;
}

void
pstats_add_name(struct buf *out, const char *name, size_t columns)
{
    size_t n = strlen(name);
    if (n > columns && columns >= 6) {
        size_t tail = 4; /* "-123": the number matters most */
        pstats_add_cut(out, name, columns - tail - 1, false);
        buf_add_char(out, '~');
        pstats_add_cut(out, name + n - tail, tail, false);
        return;
    }
    for (size_t used = pstats_add_cut(out, name, columns, false); used < columns; used++)
        buf_add_char(out, ' ');
}

void
pstats_add_sparkline(struct buf *out, const double *values, size_t n, bool utf8)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const ascii[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    const char *const *bars = utf8 ? blocks : ascii;
    double max = 0;
    for (size_t i = 0; i < n; i++)
        max = values[i] > max ? values[i] : max;
    for (size_t i = 0; i < n; i++) {
        if (values[i] < 0) {
            buf_add_char(out, ' ');
            continue;
        }
        /* Nothing is the lowest bar, anything is more than that. */
        unsigned height = values[i] > 0 ? 1 + (unsigned)(values[i] / max * 6.0 + 0.5) : 0;
        buf_add_text(out, bars[height]);
    }
}
