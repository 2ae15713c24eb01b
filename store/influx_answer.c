/*
 * influx_answer.c - see influx_answer.h.
 *
 * The body is read leniently: it may be cut off, and it may come from a proxy and be no JSON at
 * all. Nothing in it can turn the world's trouble into the data's without the right status and the
 * right first words, which are the server's own; what follows them may be a sender's text.
 *
 * Process: workers.  Owner: the caller's buffers.  Concurrency: one thread.
 */
#include "store/influx_answer.h"

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

/* Finds the first member called "error" at any depth and puts its text into the buffer. */
static bool
find_error(struct slice body, struct buf *text)
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
        read_string(text, value, end);
        return text->size > 0;
    }
    return false;
}

/* The server's own error, or "". */
static struct slice
read_error(struct slice body, struct buf *text)
{
    if (!find_error(body, text))
        return SLICE("");
    return (struct slice){text->data, text->size};
}

struct slice
influx_answer_query_error(struct slice body, struct buf *text)
{
    /* {"results":[{"statement_id":0,"error":"..."}]}, or {"error":"..."} */
    return read_error(body, text);
}

/* --- what it says about the data --- */

/* Reads " dropped=12" off the end of the error. */
static int64_t
take_dropped(struct slice *error)
{
    static const char mark[] = " dropped=";
    const size_t mark_n = sizeof(mark) - 1;
    char digits[24];
    int64_t dropped;
    size_t n = 0;
    while (n < error->n && n < sizeof(digits) - 1 && error->p[error->n - 1 - n] >= '0' &&
           error->p[error->n - 1 - n] <= '9')
        n++;
    const char *end = error->p + error->n;
    if (n == 0 || error->n < n + mark_n || memcmp(end - n - mark_n, mark, mark_n) != 0)
        return -1;
    snprintf(digits, sizeof(digits), "%.*s", (int)n, end - n);
    if (num_parse_int(digits, 0, INT64_MAX, &dropped) == -1)
        return -1;
    error->n -= n + mark_n;
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
    {"max-values-per-tag limit exceeded ", ": measurement=\"", "\" tag=\"", INFLUX_SUSPECTS_SERIES},
    {"invalid tag key: input tag ", "\" on measurement \"", "\" is invalid",
     INFLUX_SUSPECTS_SERIES},
};

static void
read_suspects(struct influx_answer *a)
{
    a->suspects = INFLUX_SUSPECTS_UNKNOWN;
    if (begins(a->error, "unable to parse '"))
        a->suspects = INFLUX_SUSPECTS_NAMED;
    else if (begins(a->error, "points beyond retention policy") && a->dropped > 0)
        a->suspects = INFLUX_SUSPECTS_OLDEST;
    for (size_t i = 0; i < COUNT_OF(partial_writes); i++) {
        if (!begins(a->error, partial_writes[i].begins))
            continue;
        a->measurement = find_between(a->error, partial_writes[i].mark, partial_writes[i].end_mark);
        if (a->measurement.n > 0)
            a->suspects = partial_writes[i].suspects;
    }
}

/* Judges a 400. True: it is about the data. */
static bool
read_bad_request(struct influx_answer *a)
{
    static const char partial[] = "partial write: ", parse[] = "unable to parse";
    if (begins(a->error, partial)) {
        a->error.p += sizeof(partial) - 1;
        a->error.n -= sizeof(partial) - 1;
        a->dropped = take_dropped(&a->error);
        /*
         * It is about points, however it goes on: 1.12 has words behind the number. Only one that
         * says that it dropped nothing is nothing we know.
         */
        if (a->dropped == 0 && !begins(a->error, parse))
            return false;
    } else if (!begins(a->error, parse)) {
        return false;
    }
    read_suspects(a);
    return true;
}

void
influx_answer_read(long status, struct slice body, struct buf *text, struct influx_answer *answer)
{
    *answer = (struct influx_answer){.verdict = INFLUX_WORLD, .dropped = -1, .error = SLICE("")};
    if (status == 204) {
        answer->verdict = INFLUX_STORED;
        return;
    }
    answer->error = read_error(body, text);
    if (status == 413)
        answer->verdict = INFLUX_TOO_LARGE;
    else if (status == 404 && begins(answer->error, "database not found"))
        answer->verdict = INFLUX_NO_DATABASE;
    else if (status == 400 && read_bad_request(answer))
        answer->verdict = INFLUX_BAD_POINTS;
    else if (answer->error.n == 0) /* whoever it is that answers: its first words */
        answer->error = (struct slice){body.p, body.n < 200 ? body.n : 200};
}

/* Takes: the text behind "unable to parse '". The line may itself contain what closes it. */
static bool
match_line(struct slice text, bool (*is_ours)(void *arg, struct slice line), void *arg,
           struct slice *line, struct slice *why)
{
    static const char close_mark[] = "': ";
    enum { MAX_CANDIDATES = 64 }; /* a line with more of them in it is found by halving */
    const char *end = text.p + text.n, *q = text.p;
    for (int i = 0; i < MAX_CANDIDATES; i++) {
        q = memmem(q, (size_t)(end - q), close_mark, sizeof(close_mark) - 1);
        if (q == NULL)
            return false;
        *line = (struct slice){text.p, (size_t)(q - text.p)};
        q += sizeof(close_mark) - 1;
        if (is_ours(arg, *line)) {
            *why = (struct slice){q, (size_t)(end - q)};
            return true;
        }
    }
    return false;
}

bool
influx_answer_next_line(struct slice error, size_t *at,
                        bool (*is_ours)(void *arg, struct slice line), void *arg,
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
