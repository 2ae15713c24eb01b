/*
 * influx_answer.c - see influx_answer.h.
 *
 * Process: workers.  Owner: the caller's buffers.  Concurrency: one thread.
 */
#include "store/influx_answer.h"

#include <stdio.h>

#include "lib/json.h"
#include "lib/num.h"

static bool
contains(struct slice text, const char *part)
{
    return text.n > 0 && memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static bool
begins(struct slice text, const char *part)
{
    size_t n = strlen(part);
    return text.n >= n && memcmp(text.p, part, n) == 0;
}

static struct slice
unescape(const struct json_value *value, struct buf *text)
{
    size_t n = 0;
    buf_clear(text);
    if (buf_grow(text, value->text.n + 1) == -1 || json_unescape(value->text, text->data, &n) == -1)
        return SLICE("");
    text->size = n;
    return (struct slice){text->data, n};
}

/* The string member "error" of the object that begins here; scans the whole object. */
static bool
find_error(struct json_scanner *s, struct json_value *error)
{
    struct json_value name, value;
    bool found = false;
    if (json_enter_object(s) == -1)
        return false;
    while (json_next_member(s, &name) == 1) {
        if (json_scan_value(s, &value) == -1)
            return found;
        if (value.type == JSON_STRING && slice_equal(name.text, SLICE("error"))) {
            *error = value;
            found = true;
        }
    }
    return found;
}

static struct slice
read_error(struct slice body, struct buf *text)
{
    struct json_scanner s;
    struct json_value error;
    json_scanner_init(&s, body);
    return find_error(&s, &error) ? unescape(&error, text) : SLICE("");
}

struct slice
influx_answer_query_error(struct slice body, struct buf *text)
{
    /* {"results":[{"statement_id":0,"error":"..."}]}: whichever object has it first. */
    for (size_t i = 0; i < body.n; i++) {
        if (body.p[i] != '{')
            continue;
        struct slice error = read_error((struct slice){body.p + i, body.n - i}, text);
        if (error.n > 0)
            return error;
    }
    return SLICE("");
}

/* "... dropped=12" at the end. */
static int64_t
read_dropped(struct slice error)
{
    static const char mark[] = " dropped=";
    char digits[24];
    int64_t dropped;
    size_t n = 0;
    while (n < error.n && n < sizeof(digits) - 1 && error.p[error.n - 1 - n] >= '0' &&
           error.p[error.n - 1 - n] <= '9')
        n++;
    size_t mark_n = sizeof(mark) - 1;
    if (n == 0 || error.n < n + mark_n || memcmp(error.p + error.n - n - mark_n, mark, mark_n) != 0)
        return -1;
    snprintf(digits, sizeof(digits), "%.*s", (int)n, error.p + error.n - n);
    return num_parse_int(digits, 0, INT64_MAX, &dropped) == 0 ? dropped : -1;
}

/* field type conflict: input field "value" on measurement "cpu" is type float, already exists as
 * ... */
static struct slice
read_measurement(struct slice error)
{
    static const char mark[] = " on measurement \"", end[] = "\" is type ";
    const char *p = memmem(error.p, error.n, mark, sizeof(mark) - 1);
    if (p == NULL)
        return SLICE("");
    p += sizeof(mark) - 1;
    const char *q = memmem(p, (size_t)(error.p + error.n - p), end, sizeof(end) - 1);
    return q != NULL ? (struct slice){p, (size_t)(q - p)} : SLICE("");
}

static void
read_suspects(struct influx_answer *a)
{
    a->dropped = read_dropped(a->error);
    a->suspects = INFLUX_SUSPECTS_UNKNOWN;
    if (contains(a->error, "unable to parse '"))
        a->suspects = INFLUX_SUSPECTS_NAMED;
    else if (contains(a->error, "points beyond retention policy") && a->dropped > 0)
        a->suspects = INFLUX_SUSPECTS_OLDEST;
    else if (contains(a->error, "field type conflict")) {
        a->measurement = read_measurement(a->error);
        if (a->measurement.n > 0)
            a->suspects = INFLUX_SUSPECTS_MEASUREMENT;
    }
}

void
influx_answer_read(long status, struct slice body, struct buf *text, struct influx_answer *answer)
{
    *answer = (struct influx_answer){.verdict = INFLUX_WORLD, .dropped = -1, .error = SLICE("")};
    if (status == 204 || status == 200) {
        answer->verdict = INFLUX_STORED;
        return;
    }
    if (status == 413) {
        answer->verdict = INFLUX_TOO_LARGE;
        return;
    }
    answer->error = read_error(body, text);
    if (status == 404 && begins(answer->error, "database not found"))
        answer->verdict = INFLUX_NO_DATABASE;
    else if (status == 400 &&
             (begins(answer->error, "unable to parse") || begins(answer->error, "partial write")))
        answer->verdict = INFLUX_BAD_POINTS;
    if (answer->verdict == INFLUX_BAD_POINTS)
        read_suspects(answer);
}

bool
influx_answer_next_line(struct slice error, size_t *at,
                        bool (*is_ours)(void *arg, struct slice line), void *arg,
                        struct slice *line, struct slice *why)
{
    static const char mark[] = "unable to parse '", close_mark[] = "': ";
    enum { MAX_CANDIDATES = 64 }; /* a line with more "': " in it is found by halving */
    const char *end = error.p + error.n;
    const char *p;
    while ((p = memmem(error.p + *at, error.n - *at, mark, sizeof(mark) - 1)) != NULL) {
        p += sizeof(mark) - 1;
        *at = (size_t)(p - error.p);
        const char *q = p;
        int candidates = 0;
        while (candidates++ < MAX_CANDIDATES &&
               (q = memmem(q, (size_t)(end - q), close_mark, sizeof(close_mark) - 1)) != NULL) {
            *line = (struct slice){p, (size_t)(q - p)};
            q += sizeof(close_mark) - 1;
            if (!is_ours(arg, *line))
                continue;
            const char *newline = memchr(q, '\n', (size_t)(end - q));
            *why = (struct slice){q, (size_t)((newline != NULL ? newline : end) - q)};
            *at = (size_t)(q - error.p);
            return true;
        }
    }
    return false;
}
