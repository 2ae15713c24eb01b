/* SPDX-License-Identifier: Apache-2.0 */
/*
 * influx_answer.c - see influx_answer.h.
 *
 * The body is read leniently: it may be cut off, and it may come from a proxy and be no JSON at
 * all. Nothing in it can turn the world's trouble into the data's without the right status and the
 * right first words, which are the server's own; what follows them may be a sender's text.
 */
#include "store/influx/influx_answer.h"

#include <stdio.h>

#include "lib/num.h"

static bool
begins(struct slice text, const char *part)
{
    size_t n = strlen(part);
    return text.n >= n && memcmp(text.p, part, n) == 0;
}

/* --- the "error" in the body --- */

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads the four digits of a \u escape. -1: they are not all there. */
static int
read_hex4(const char *p, const char *end)
{
    int code = 0;
    for (int i = 0; i < 4; i++, p++) {
        int digit = p < end ? hex_value(*p) : -1;
        if (digit == -1)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

/* Go's encoder escapes only ASCII and U+2028, U+2029 in this way, so no surrogates. */
static void
add_code_point(struct buf *b, int code)
{
    if (code < 0x80) {
        buf_add_char(b, (char)code);
    } else if (code < 0x800) {
        buf_add_char(b, (char)(0xc0 | code >> 6));
        buf_add_char(b, (char)(0x80 | (code & 0x3f)));
    } else {
        buf_add_char(b, (char)(0xe0 | code >> 12));
        buf_add_char(b, (char)(0x80 | (code >> 6 & 0x3f)));
        buf_add_char(b, (char)(0x80 | (code & 0x3f)));
    }
}

/* Takes: p behind a backslash. Returns: where to go on; the end if the escape is cut off. */
static const char *
add_escape(struct buf *b, const char *p, const char *end)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    if (*p == 'u') {
        int code = read_hex4(p + 1, end);
        if (code == -1)
            return end;
        add_code_point(b, code);
        return p + 5;
    }
    const char *known = strchr(from, *p);
    buf_add_char(b, known != NULL && *p != '\0' ? to[known - from] : *p);
    return p + 1;
}

/* Unescapes a JSON string to a buffer. Takes: p behind the quote. Returns: behind the closing one.
 */
static const char *
read_string(struct buf *b, const char *p, const char *end)
{
    buf_clear(b);
    while (p < end && *p != '"') {
        if (*p != '\\')
            buf_add_char(b, *p++);
        else if (++p < end)
            p = add_escape(b, p, end);
    }
    return p < end ? p + 1 : end;
}

static const char *
skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
        p++;
    return p;
}

/* Takes: p behind a string. Returns: the start of the string that is its value, or NULL. */
static const char *
find_string_value(const char *p, const char *end)
{
    p = skip_blanks(p, end);
    if (p == end || *p != ':')
        return NULL;
    p = skip_blanks(p + 1, end);
    return p < end && *p == '"' ? p + 1 : NULL;
}

/*
 * Finds the first member called "error" at any depth and puts its text into the buffer.
 * Sets *cut_off if the text has no end.
 */
static bool
find_error(struct slice body, struct buf *text, bool *cut_off)
{
    const char *p = body.p, *end = body.p + body.n;
    if (body.n == 0 || *skip_blanks(p, end - 1) != '{')
        return false;
    while (p < end) {
        if (*p++ != '"')
            continue;
        p = read_string(text, p, end);
        const char *value = find_string_value(p, end);
        if (value == NULL || !slice_equal((struct slice){text->data, text->size}, SLICE("error")))
            continue;
        const char *behind = read_string(text, value, end);
        *cut_off = behind == end && (behind == value || behind[-1] != '"');
        return text->size > 0;
    }
    return false;
}

/* The server's own error, or "". */
static struct slice
read_error(struct slice body, struct buf *text, bool *cut_off)
{
    if (!find_error(body, text, cut_off))
        return SLICE("");
    return (struct slice){text->data, text->size};
}

struct slice
influx_answer_query_error(struct slice body, struct buf *text)
{
    /* {"results":[{"statement_id":0,"error":"..."}]}, or {"error":"..."} */
    bool cut_off;
    return read_error(body, text, &cut_off);
}

/* --- what it says about the data --- */

/* Reads " dropped=12" off the end of a text. -1: there is none. */
static int64_t
take_number(struct slice *text)
{
    static const char mark[] = " dropped=";
    const size_t mark_n = sizeof(mark) - 1;
    char digits[24];
    int64_t dropped;
    size_t n = 0;
    while (n < text->n && n < sizeof(digits) - 1 && text->p[text->n - 1 - n] >= '0' &&
           text->p[text->n - 1 - n] <= '9')
        n++;
    const char *end = text->p + text->n;
    if (n == 0 || text->n < n + mark_n || memcmp(end - n - mark_n, mark, mark_n) != 0)
        return -1;
    snprintf(digits, sizeof(digits), "%.*s", (int)n, end - n);
    if (num_parse_int(digits, 0, INT64_MAX, &dropped) == -1)
        return -1;
    text->n -= n + mark_n;
    return dropped;
}

/* The last place of a text in another; NULL if there is none. */
static const char *
find_last(struct slice text, struct slice part)
{
    for (size_t i = text.n; i >= part.n && part.n > 0; i--)
        if (memcmp(text.p + i - part.n, part.p, part.n) == 0)
            return text.p + i - part.n;
    return NULL;
}

/*
 * Reads the number off the end of the error.  Up to 1.11 it is the last word, so whatever comes
 * before may be anybody's.  Since 1.12 the database follows, and the retention policy where points
 * have got as far as one; behind the last such words there is no sender's text.
 */
static int64_t
take_dropped(struct slice *error, const char *database)
{
    char tail[600];
    int64_t dropped = take_number(error);
    if (dropped != -1)
        return dropped;
    int n = snprintf(tail, sizeof(tail), " for database: %s for retention policy: ", database);
    if (n >= (int)sizeof(tail))
        return -1;
    const char *at = find_last(*error, (struct slice){tail, (size_t)n});
    if (at == NULL) {
        struct slice last = {tail, sizeof(" for database: ") - 1 + strlen(database)};
        at = find_last(*error, last);
        if (at != NULL && at + last.n != error->p + error->n)
            at = NULL;
    }
    if (at == NULL)
        return -1;
    struct slice before = {error->p, (size_t)(at - error->p)};
    dropped = take_number(&before);
    if (dropped != -1)
        *error = before;
    return dropped;
}

/* What stands between two marks; "" if they are not there. */
static struct slice
find_between(struct slice text, const char *mark, const char *end_mark)
{
    const char *end = text.p + text.n;
    const char *p = memmem(text.p, text.n, mark, strlen(mark));
    if (p == NULL)
        return SLICE("");
    p += strlen(mark);
    const char *q = memmem(p, (size_t)(end - p), end_mark, strlen(end_mark));
    return q != NULL ? (struct slice){p, (size_t)(q - p)} : SLICE("");
}

/* What the kinds of partial writes begin with, and where they name the measurement. */
static const struct {
    const char *begins, *mark, *end_mark;
    enum influx_suspects suspects;
} partial_writes[] = {
    {"field type conflict: input field ", "\" on measurement \"", "\" is type ",
     INFLUX_SUSPECTS_MEASUREMENT},
    {"invalid tag key: input tag ", "\" on measurement \"", "\" is invalid",
     INFLUX_SUSPECTS_SERIES},
};

/* What a limit of the server's is told with: its own first words. */
static const char tag_limit[] = "max-values-per-tag limit exceeded (";
static const char series_limit[] = "max-series-per-database limit exceeded: (";
static const char series_limit_now[] =
    "max-series-per-database exceeded database="; /* 1.12, 1.13 */

/* Takes: behind the x, u or U of an escape. Returns: behind its digits; NULL if they are not there.
 */
static const char *
add_go_code(struct buf *b, const char *p, const char *end, char kind)
{
    long code = 0;
    int digits = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
    for (int i = 0; i < digits; i++, p++) {
        int digit = p < end ? hex_value(*p) : -1;
        if (digit == -1)
            return NULL;
        code = code << 4 | digit;
    }
    if (kind == 'x' || code < 0x10000) {
        if (kind == 'x')
            buf_add_char(b, (char)code);
        else
            add_code_point(b, (int)code);
        return p;
    }
    buf_add_char(b, (char)(0xf0 | (code >> 18 & 7)));
    buf_add_char(b, (char)(0x80 | (code >> 12 & 0x3f)));
    buf_add_char(b, (char)(0x80 | (code >> 6 & 0x3f)));
    buf_add_char(b, (char)(0x80 | (code & 0x3f)));
    return p;
}

/*
 * Reads a text that Go has quoted (strconv.Quote), and appends it to the buffer.
 * Takes: *p at the quote, moved behind the closing one. Returns: false if it is none.
 */
static bool
read_go_quoted(struct buf *b, const char **p, const char *end, struct slice *text)
{
    static const char from[] = "abfnrtv\\\"", to[] = "\a\b\f\n\r\t\v\\\"";
    size_t start = b->size;
    const char *q = *p;
    if (q == end || *q++ != '"')
        return false;
    while (q != NULL && q < end && *q != '"') {
        if (*q != '\\') {
            buf_add_char(b, *q++);
            continue;
        }
        char c = ++q < end ? *q++ : '\0';
        const char *known = c != '\0' ? strchr(from, c) : NULL;
        if (known != NULL)
            buf_add_char(b, to[known - from]);
        else
            q = c == 'x' || c == 'u' || c == 'U' ? add_go_code(b, q, end, c) : NULL;
    }
    if (q == NULL || q >= end || b->failed)
        return false;
    *text = (struct slice){b->data + start, b->size - start};
    *p = q + 1;
    return true;
}

static bool
skip_mark(const char **p, const char *end, struct slice mark)
{
    if ((size_t)(end - *p) < mark.n || memcmp(*p, mark.p, mark.n) != 0)
        return false;
    *p += mark.n;
    return true;
}

/*
 * Reads `(2/2): measurement="m" tag="h" value="x"`, all of it or nothing.  The texts go behind the
 * error in its buffer, which has room for them: they are no longer than they are quoted.
 */
static void
read_tag_limit(struct influx_answer *a, struct buf *text)
{
    const char *p = a->error.p + sizeof(tag_limit) - 1, *end = a->error.p + a->error.n;
    while (p < end && ((*p >= '0' && *p <= '9') || *p == '/'))
        p++;
    struct slice measurement, tag, value;
    if (skip_mark(&p, end, SLICE("): measurement=")) &&
        read_go_quoted(text, &p, end, &measurement) && skip_mark(&p, end, SLICE(" tag=")) &&
        read_go_quoted(text, &p, end, &tag) && skip_mark(&p, end, SLICE(" value=")) &&
        read_go_quoted(text, &p, end, &value) && p == end && measurement.n > 0) {
        a->suspects = INFLUX_SUSPECTS_TAG;
        a->measurement = measurement;
        a->tag = tag;
        a->value = value;
    }
}

/* "points beyond retention policy"; since 1.12 "dropped 2 points outside retention policy of ...".
 */
static bool
is_about_retention(struct slice error)
{
    if (begins(error, "points beyond retention policy"))
        return true;
    const char *p = error.p, *end = error.p + error.n;
    if (!skip_mark(&p, end, SLICE("dropped ")))
        return false;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return skip_mark(&p, end, SLICE(" points outside retention policy of duration "));
}

static void
read_suspects(struct influx_answer *a, struct buf *text)
{
    a->suspects = INFLUX_SUSPECTS_UNKNOWN;
    if (begins(a->error, "unable to parse '"))
        a->suspects = INFLUX_SUSPECTS_NAMED;
    else if (a->dropped > 0 && is_about_retention(a->error))
        a->suspects = INFLUX_SUSPECTS_OLDEST;
    a->capacity = begins(a->error, tag_limit) || begins(a->error, series_limit) ||
                  begins(a->error, series_limit_now);
    if (begins(a->error, tag_limit))
        read_tag_limit(a, text);
    for (size_t i = 0; i < COUNT_OF(partial_writes); i++) {
        if (!begins(a->error, partial_writes[i].begins))
            continue;
        a->measurement = find_between(a->error, partial_writes[i].mark, partial_writes[i].end_mark);
        if (a->measurement.n > 0)
            a->suspects = partial_writes[i].suspects;
    }
}

/* A shard that retention is about to delete: soon the points will be beyond it. */
static bool
is_being_deleted(struct slice error)
{
    static const char end[] = " is pending deletion";
    return begins(error, "shard ") && error.n < 60 && error.n > sizeof(end) - 1 &&
           memcmp(error.p + error.n - (sizeof(end) - 1), end, sizeof(end) - 1) == 0;
}

/* Judges a 400. True: it is about the data. */
static bool
read_bad_request(struct influx_answer *a, const char *database, struct buf *text)
{
    static const char partial[] = "partial write: ", parse[] = "unable to parse";
    if (begins(a->error, partial)) {
        a->error.p += sizeof(partial) - 1;
        a->error.n -= sizeof(partial) - 1;
        if (!a->cut_off)
            a->dropped = take_dropped(&a->error, database);
        bool parses = begins(a->error, parse);
        /*
         * It is about points, however it goes on. Only one that says that it dropped nothing is
         * nothing we know.
         */
        if ((a->dropped == 0 && !parses) || is_being_deleted(a->error))
            return false;
        if (parses)
            a->dropped = -1; /* it counts others than the lines that do not parse */
    } else if (!begins(a->error, parse)) {
        return false;
    }
    read_suspects(a, text);
    return true;
}

void
influx_answer_read(long status, struct slice body, const char *database, struct buf *text,
                   struct influx_answer *answer)
{
    *answer = (struct influx_answer){.verdict = INFLUX_WORLD, .dropped = -1, .error = SLICE("")};
    if (status == 204) {
        answer->verdict = INFLUX_STORED;
        return;
    }
    answer->error = read_error(body, text, &answer->cut_off);
    /* Room for what is read out of it, so that it stays where it is. */
    if (answer->error.n > 0 && buf_grow(text, text->size) == 0)
        answer->error.p = text->data;
    if (status == 413)
        answer->verdict = INFLUX_TOO_LARGE;
    else if (status == 404 && begins(answer->error, "database not found"))
        answer->verdict = INFLUX_NO_DATABASE;
    else if (status == 400 && read_bad_request(answer, database, text))
        answer->verdict = INFLUX_BAD_POINTS;
    else if (answer->error.n == 0) /* whoever it is that answers: its first words */
        answer->error = (struct slice){body.p, body.n < 200 ? body.n : 200};
}

/*
 * Takes: the text behind "unable to parse '".  The line may itself contain what closes it, so each
 * place is tried; should two lines of ours fit, the text names neither.
 */
static bool
match_line(struct slice text, bool (*is_ours)(void *arg, struct slice line, uint64_t hash),
           void *arg, struct slice *line, struct slice *why)
{
    static const char close_mark[] = "': ";
    const char *end = text.p + text.n, *from = text.p, *q = text.p;
    uint64_t hash = INFLUX_HASH_START;
    unsigned found = 0;
    while ((q = memmem(q, (size_t)(end - q), close_mark, sizeof(close_mark) - 1)) != NULL) {
        hash = influx_answer_hash(hash, (struct slice){from, (size_t)(q - from)});
        from = q;
        struct slice candidate = {text.p, (size_t)(q - text.p)};
        q += sizeof(close_mark) - 1;
        if (is_ours(arg, candidate, hash)) {
            *line = candidate;
            *why = (struct slice){q, (size_t)(end - q)};
            found++;
        }
    }
    return found == 1;
}

bool
influx_answer_next_line(struct slice error, size_t *at,
                        bool (*is_ours)(void *arg, struct slice line, uint64_t hash), void *arg,
                        struct slice *line, struct slice *why)
{
    static const char mark[] = "unable to parse '";
    while (*at < error.n) {
        /* Each complaint is a line: what we send has no newline but at its end. */
        struct slice text = {error.p + *at, error.n - *at};
        const char *newline = memchr(text.p, '\n', text.n);
        if (newline != NULL)
            text.n = (size_t)(newline - text.p);
        *at += text.n + 1;
        if (!begins(text, mark))
            continue;
        text = (struct slice){text.p + sizeof(mark) - 1, text.n - (sizeof(mark) - 1)};
        if (match_line(text, is_ours, arg, line, why))
            return true;
    }
    return false;
}
