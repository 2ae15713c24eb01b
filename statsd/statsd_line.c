/* SPDX-License-Identifier: Apache-2.0 */
/* statsd_line.c - see statsd_line.h. */
#include "statsd/statsd_line.h"

#include "lib/json.h"

enum part { PART_NAME, PART_KEY, PART_VALUE, PARTS };

/*
 * What each dialect does not take beside control characters.  Of the Monasca agent: what it
 * refuses, and what would end the part, or the string literal, early.
 */
static const char *const refused[][PARTS] = {
    [STATSD_MONASCA] = {"<>={},\"\\;&() :|'#@", "<>={},\"\\;&|'", "<>={},\"\\;&|'"},
    [STATSD_DOGSTATSD] = {",:|#@ '\"\\(){}<>=;&", ",:|#", ",|#"},
};

static bool
is_taken(enum statsd_dialect dialect, enum part part, const char *text, size_t size)
{
    if (size != 1)
        return size != 0;
    return (unsigned char)*text >= ' ' && *text != 0x7f &&
           strchr(refused[dialect][part], *text) == NULL;
}

static bool
add_clean(struct buf *out, enum statsd_dialect dialect, enum part part, const char *text)
{
    size_t left = strlen(text), used = 0;
    bool whole = left > 0 || part == PART_NAME; /* an empty prefix is fine */
    if (!whole)
        buf_add_char(out, '_');
    while (left > 0) {
        size_t size = json_utf8_size(text, left);
        bool taken = is_taken(dialect, part, text, size);
        /* The agent, and monasca-api after it, refuse keys that begin with '_'. */
        char instead = part == PART_KEY && used == 0 ? 'x' : '_';
        taken = taken && !(part == PART_KEY && used == 0 && *text == '_');
        size = size == 0 ? 1 : size;
        if (used + size > STATSD_NAME_MAX)
            return false;
        if (taken)
            buf_add(out, text, size);
        else
            buf_add_char(out, instead);
        whole = whole && taken;
        used += taken ? size : 1;
        text += size;
        left -= size;
    }
    return whole;
}

bool
statsd_add_name(struct buf *out, enum statsd_dialect dialect, const char *name)
{
    return add_clean(out, dialect, PART_NAME, name);
}

bool
statsd_add_dimensions(struct buf *out, enum statsd_dialect dialect,
                      const struct statsd_dimension *dimensions, size_t n)
{
    bool monasca = dialect == STATSD_MONASCA, whole = true;
    buf_add_text(out, monasca ? "#{" : "#");
    for (size_t i = 0; i < n; i++) {
        buf_add_text(out, i == 0 ? (monasca ? "'" : "") : (monasca ? ", '" : ","));
        whole &= add_clean(out, dialect, PART_KEY, dimensions[i].key);
        buf_add_text(out, monasca ? "': '" : ":");
        whole &= add_clean(out, dialect, PART_VALUE, dimensions[i].value);
        if (monasca)
            buf_add_char(out, '\'');
    }
    if (monasca)
        buf_add_char(out, '}');
    return whole;
}

/* --- lines --- */

/* Room for UINT64_MAX, and for it as seconds. */
enum { NUMBER_BYTES = 24, FRACTION_DIGITS = 9 };

/* Appends a number with at least so many digits; printf takes ten times as long. */
static void
add_number(struct buf *out, uint64_t number, unsigned digits)
{
    char text[NUMBER_BYTES];
    char *end = text + sizeof(text), *p = end;
    for (; number > 0 || p > end - digits; number /= 10)
        *--p = (char)('0' + number % 10);
    buf_add(out, p, (size_t)(end - p));
}

static void
begin(struct buf *out, const struct statsd_series_text *text, const char *name, const char *what)
{
    buf_add_slice(out, text->prefix);
    buf_add_text(out, name);
    buf_add_text(out, what);
    buf_add_char(out, ':');
}

static void
end(struct buf *out, const struct statsd_series_text *text, const char *type)
{
    buf_add_text(out, type);
    buf_add_slice(out, text->tail);
}

void
statsd_add_counter(struct buf *out, const struct statsd_series_text *text, const char *name,
                   uint64_t difference)
{
    begin(out, text, name, "");
    add_number(out, difference, 1);
    end(out, text, "|c|");
}

void
statsd_add_gauge(struct buf *out, const struct statsd_series_text *text, const char *name,
                 uint64_t level)
{
    begin(out, text, name, "");
    add_number(out, level, 1);
    end(out, text, "|g|");
}

void
statsd_add_seconds(struct buf *out, const struct statsd_series_text *text, const char *name,
                   const char *what, uint64_t ns)
{
    begin(out, text, name, what);
    add_number(out, ns / 1000000000, 1);
    buf_add_char(out, '.');
    add_number(out, ns % 1000000000, FRACTION_DIGITS);
    end(out, text, "|g|");
}
