/* SPDX-License-Identifier: Apache-2.0 */
/*
 * influx_line.c - see influx_line.h.
 *
 * Room for the longest possible outcome is made once per record; after that, bytes go through a
 * bare pointer: this is on the hot path.
 */
#include "store/influx/influx_line.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/json.h"
#include "record/series.h"
#include "store/sub_alarms.h"

enum {
    /* A number as long as that is read alike by strtod and Go's ParseFloat; InfluxDB 1.6.7 read a 1
     * followed by 5000 zeros and e-5000 as 0. */
    PLAIN_NUMBER_MAX = 24,
    KEY_MAX = 65535,        /* MaxKeyLength in InfluxDB's models package: series, "#!~#", field */
    FIXED_MAX = 512,        /* what a line has besides the record's texts; they may double */
    DATABASE_NAME_MAX = 255 /* MaxNameLen in InfluxDB's meta package */
};

/* What a byte needs. A name, tag name or tag value escapes the first kind, a field the second. */
enum { ESCAPE_KEY = 1, ESCAPE_FIELD = 2, ENDS_LINE = 4 };

static const unsigned char needs[256] = {
    ['\\'] = ESCAPE_KEY | ESCAPE_FIELD,
    [' '] = ESCAPE_KEY,
    [','] = ESCAPE_KEY,
    ['='] = ESCAPE_KEY,
    ['"'] = ESCAPE_FIELD,
    ['\n'] = ESCAPE_FIELD | ENDS_LINE,
    ['\0'] = ENDS_LINE,
};

/* Where the next byte goes; there is room for all that may come. */
struct out {
    char *p;
};

static void
put(struct out *o, const char *bytes, size_t n)
{
    memcpy(o->p, bytes, n);
    o->p += n;
}

#define PUT(o, literal) put(o, literal, sizeof(literal) - 1)

static int
refuse(struct reject *why, const char *what, struct slice name, const char *fault)
{
    int n = name.n > 100 ? 100 : (int)name.n;
    while (n > 0 && (size_t)n < name.n && ((unsigned char)name.p[n] & 0xc0) == 0x80)
        n--; /* not inside a character */
    return reject_set(why, REJECT_UNSTORABLE, "%s \"%.*s\" %s: InfluxDB cannot hold it", what, n,
                      n > 0 ? name.p : "", fault);
}

/* Writes a name, tag name or tag value, which is not empty. -1: it cannot be written. */
static int
put_key(struct out *o, struct slice text, const char *what, struct reject *why)
{
    char *p = o->p;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        unsigned need = needs[c] & (ESCAPE_KEY | ENDS_LINE);
        if (need != 0) {
            if (need & ENDS_LINE)
                return refuse(why, what, text, "has a newline or NUL");
            *p++ = '\\';
        }
        *p++ = (char)c;
    }
    if (text.p[text.n - 1] == '\\')
        return refuse(why, what, text, "ends in a backslash");
    o->p = p;
    return 0;
}

static int
put_measurement(struct out *o, struct slice name, struct reject *why)
{
    static const char what[] = "name";
    if (name.p[0] == '#')
        return refuse(why, what, name, "begins with #, as a comment does");
    if (name.p[0] == '\t')
        return refuse(why, what, name, "begins with a tab");
    const char *end = name.p + name.n;
    const char *p = memchr(name.p, '\\', name.n);
    while (p != NULL && ++p < end) {
        if (*p == ',' || *p == ' ' || *p == '=' || *p == '"')
            return refuse(why, what, name, "has a backslash before a comma, space, = or quote");
        p = memchr(p, '\\', (size_t)(end - p));
    }
    return put_key(o, name, what, why);
}

static int
put_tag(struct out *o, struct slice name, struct slice value, struct reject *why)
{
    if (value.n == 0)
        return 0;
    *o->p++ = ',';
    if (put_key(o, name, "dimension", why) == -1)
        return -1;
    *o->p++ = '=';
    return put_key(o, value, "dimension's value", why);
}

static void
put_escaped(struct out *o, struct slice text)
{
    char *p = o->p;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (needs[(unsigned char)c] & ESCAPE_FIELD) {
            *p++ = '\\';
            if (c == '\n')
                c = 'n'; /* as the Python persister wrote it */
        }
        *p++ = c;
    }
    o->p = p;
}

static void
put_text_field(struct out *o, const char *name, struct slice text)
{
    put(o, name, strlen(name));
    PUT(o, "=\"");
    put_escaped(o, text);
    *o->p++ = '"';
}

/* --- JSON in a field --- */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Takes: text behind the opening quote. Returns: where its closing quote is (or the end). */
static const char *
find_quote(const char *p, const char *end)
{
    for (; p < end && *p != '"'; p++)
        if (*p == '\\' && p + 1 < end)
            p++;
    return p;
}

/* Writes valid JSON text without its insignificant blanks. */
static void
put_json(struct out *o, struct slice json)
{
    const char *p = json.p, *end = json.p + json.n;
    while (p < end) {
        const char *start = p;
        if (*p == '"') {
            p = find_quote(p + 1, end);
            p += p < end;
            put_escaped(o, (struct slice){start, (size_t)(p - start)});
        } else if (is_blank(*p)) {
            p++;
        } else {
            *o->p++ = *p++;
        }
    }
}

static void
put_json_field(struct out *o, const char *name, struct slice json)
{
    put(o, name, strlen(name));
    PUT(o, "=\"");
    put_json(o, json);
    *o->p++ = '"';
}

/* Copies a run of JSON up to and with its first string, renaming that if it is a member's name.
 * Returns: where to go on. */
static const char *
put_renamed_run(struct out *o, const char *p, const char *end)
{
    const char *quote = memchr(p, '"', (size_t)(end - p));
    if (quote == NULL) {
        put_json(o, (struct slice){p, (size_t)(end - p)});
        return end;
    }
    put_json(o, (struct slice){p, (size_t)(quote - p)});
    const char *close = find_quote(quote + 1, end);
    struct slice text = {quote + 1, (size_t)(close - quote - 1)};
    const char *next = close + (close < end);
    while (next < end && is_blank(*next))
        next++;
    if (next < end && *next == ':')
        text = sub_alarms_rename(text);
    PUT(o, "\\\"");
    put_escaped(o, text);
    PUT(o, "\\\"");
    return next;
}

static void
put_sub_alarms_field(struct out *o, struct slice json)
{
    const char *p = json.p, *end = json.p + json.n;
    PUT(o, "sub_alarms=\"");
    while (p < end)
        p = put_renamed_run(o, p, end);
    *o->p++ = '"';
}

/* --- records --- */

static void
put_number(struct out *o, struct slice text)
{
    char plain[512], *copy = plain;
    if (text.n <= PLAIN_NUMBER_MAX) {
        put(o, text.p, text.n);
        return;
    }
    /* Without memory it goes as it came: all but freaks of more than 500 digits are read right. */
    if (text.n >= sizeof(plain) && (copy = malloc(text.n + 1)) == NULL) {
        put(o, text.p, text.n);
        return;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    /* 17 digits name every double. */
    o->p += snprintf(o->p, PLAIN_NUMBER_MAX + 1, "%.17g", strtod(copy, NULL));
    if (copy != plain)
        free(copy);
}

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536"
                            "37383940414243444546474849505152535455565758596061626364656667686970717273"
                            "7475767778798081828384858687888990919293949596979899";

static int
put_time(struct out *o, int64_t time_ms, struct reject *why)
{
    if (time_ms < INFLUX_TIME_MIN_MS || time_ms > INFLUX_TIME_MAX_MS)
        return reject_set(
            why, REJECT_BAD_TIME, "timestamp %lld ms: InfluxDB holds %lld to %lld (1677 to 2262)",
            (long long)time_ms, (long long)INFLUX_TIME_MIN_MS, (long long)INFLUX_TIME_MAX_MS);
    char digits[24], *p = digits + sizeof(digits);
    uint64_t rest = time_ms < 0 ? 0 - (uint64_t)time_ms : (uint64_t)time_ms;
    *--p = '\n';
    for (; rest >= 10; rest /= 100)
        memcpy(p -= 2, pairs + 2 * (rest % 100), 2);
    if (rest > 0 || p[0] == '\n')
        *--p = (char)('0' + rest);
    if (time_ms < 0)
        *--p = '-';
    *--p = ' ';
    put(o, p, (size_t)(digits + sizeof(digits) - p));
    return 0;
}

/* Writes the dimensions with the envelope's two tags between them, in order. */
static int
put_tags(struct out *o, const struct measurement *m, struct reject *why)
{
    const struct dimension envelope[] = {{SLICE("_region"), m->region},
                                         {SLICE("_tenant_id"), m->tenant_id}};
    size_t e = 0;
    for (size_t d = 0; d < m->n_dimensions;) {
        const struct dimension *tag = &m->dimensions[d];
        int order = e < COUNT_OF(envelope) ? slice_compare(tag->name, envelope[e].name) : -1;
        if (order >= 0)
            tag = &envelope[e++];
        d += order <= 0; /* a dimension of the envelope's name gives way to it */
        if (slice_equal(tag->name, SLICE("time")))
            return refuse(why, "dimension", tag->name, "is what a point's time is called");
        if (put_tag(o, tag->name, tag->value, why) == -1)
            return -1;
    }
    for (; e < COUNT_OF(envelope); e++)
        if (put_tag(o, envelope[e].name, envelope[e].value, why) == -1)
            return -1;
    return 0;
}

/* Takes: where the line began; the longest name of a field. */
static int
check_key(const struct out *o, const char *start, const char *field, struct slice name,
          struct reject *why)
{
    size_t n = (size_t)(o->p - start);
    if (n + 4 + strlen(field) <= KEY_MAX)
        return 0;
    return refuse(why, "name", name, "is too long with its dimensions: 65535 bytes at most");
}

/* What identifies a series. */
static int
put_series(struct out *o, const struct measurement *m, struct reject *why)
{
    const char *start = o->p;
    if (put_measurement(o, m->name, why) == -1 || put_tags(o, m, why) == -1)
        return -1;
    return check_key(o, start, "value_meta", m->name, why);
}

/* The same, from the note in the series (record/series.h), or into it. */
static int
put_noted_series(struct out *o, const struct measurement *m, struct reject *why)
{
    struct series *series = m->series;
    const char *start = o->p;
    if (series != NULL && series->note != NULL) {
        put(o, series->note, series->note_n);
        return 0;
    }
    if (put_series(o, m, why) == -1)
        return -1;
    size_t n = (size_t)(o->p - start);
    void *note = series != NULL ? series_note_new(series, n) : NULL;
    if (note != NULL)
        memcpy(note, start, n);
    return 0;
}

static int
put_measurement_line(struct out *o, const struct measurement *m, struct reject *why)
{
    if (put_noted_series(o, m, why) == -1)
        return -1;
    PUT(o, " value=");
    put_number(o, m->value_text);
    put_json_field(o, ",value_meta", m->value_meta.n > 0 ? m->value_meta : SLICE("{}"));
    return put_time(o, m->time_ms, why);
}

static int
put_alarm_line(struct out *o, const struct alarm_transition *a, struct reject *why)
{
    const char *start = o->p;
    PUT(o, "alarm_state_history");
    if (a->tenant_id.n > 0) {
        PUT(o, ",tenant_id=");
        if (put_key(o, a->tenant_id, "tenant", why) == -1 ||
            check_key(o, start, "lifecycle_state", a->tenant_id, why) == -1)
            return -1;
    }
    put_text_field(o, " tenant_id", a->tenant_id);
    put_text_field(o, ",alarm_id", a->alarm_id);
    put_json_field(o, ",metrics", a->metrics);
    put_text_field(o, ",new_state", a->new_state);
    put_text_field(o, ",old_state", a->old_state);
    put_text_field(o, ",link", a->link);
    put_text_field(o, ",lifecycle_state", a->lifecycle_state);
    put_text_field(o, ",reason", a->reason);
    PUT(o, ",reason_data=\"{}\",");
    put_sub_alarms_field(o, a->sub_alarms);
    return put_time(o, a->time_ms, why);
}

/* --- bounds --- */

static size_t
measurement_bound(const struct measurement *m)
{
    size_t n = m->value_text.n + m->value_meta.n;
    if (m->series != NULL && m->series->note != NULL)
        return 2 * n + m->series->note_n;
    n += m->name.n + m->tenant_id.n + m->region.n;
    for (size_t i = 0; i < m->n_dimensions; i++)
        n += m->dimensions[i].name.n + m->dimensions[i].value.n + 2;
    return 2 * n;
}

static size_t
alarm_bound(const struct alarm_transition *a)
{
    size_t n = 2 * a->tenant_id.n + a->alarm_id.n + a->metrics.n + a->new_state.n + a->old_state.n +
               a->link.n + a->lifecycle_state.n + a->reason.n;
    /* A renamed member grows from "currentValues" by two bytes at most, so by less than a half. */
    return 2 * n + 3 * a->sub_alarms.n;
}

int
influx_line_add(struct buf *b, const struct record *record, struct reject *why)
{
    bool is_alarm = record->kind == RECORD_ALARM_TRANSITION;
    size_t bound = is_alarm ? alarm_bound(&record->alarm) : measurement_bound(&record->measurement);
    if (buf_grow(b, bound + FIXED_MAX) == -1)
        return 0;
    struct out o = {b->data + b->size};
    int refused = is_alarm ? put_alarm_line(&o, &record->alarm, why)
                           : put_measurement_line(&o, &record->measurement, why);
    if (refused == -1)
        return -1;
    assert((size_t)(o.p - b->data) <= b->capacity);
    b->size = (size_t)(o.p - b->data);
    return 0;
}

bool
influx_line_is_database_name(struct slice name)
{
    if (name.n == 0 || name.n > DATABASE_NAME_MAX || slice_equal(name, SLICE(".")) ||
        slice_equal(name, SLICE("..")))
        return false;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c < 0x20 || c == 0x7f || c == '/' || c == '\\')
            return false;
    }
    return json_is_utf8(name.p, name.n);
}
