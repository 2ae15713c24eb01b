/* SPDX-License-Identifier: Apache-2.0 */
/* sub_alarms.c - see sub_alarms.h. */
#include "store/sub_alarms.h"

#include "lib/json.h"

static const struct {
    struct slice camel, snake;
} renamed[] = {
    {{"subAlarmExpression", 18}, {"sub_alarm_expression", 20}},
    {{"currentValues", 13}, {"current_values", 14}},
    {{"metricDefinition", 16}, {"metric_definition", 17}},
    {{"subAlarmState", 13}, {"sub_alarm_state", 15}},
};

struct slice
sub_alarms_rename(struct slice name)
{
    char plain[256];
    struct slice seen = name;
    if (name.n <= sizeof(plain) && memchr(name.p, '\\', name.n) != NULL) {
        size_t n;
        if (json_unescape(name, plain, &n) == 0)
            seen = (struct slice){plain, n};
    }
    for (size_t i = 0; i < COUNT_OF(renamed); i++)
        if (slice_equal(seen, renamed[i].camel))
            return renamed[i].snake;
    return name;
}

/* Returns: the quote that ends a string which begins at p. */
static const char *
find_end(const char *p, const char *end)
{
    while (p < end && *p != '"')
        p += *p == '\\' && p + 1 < end ? 2 : 1;
    return p;
}

void
sub_alarms_put(struct buf *out, struct slice json)
{
    const char *p = json.p, *end = json.p + json.n;
    while (p < end) {
        const char *quote = memchr(p, '"', (size_t)(end - p));
        if (quote == NULL)
            quote = end;
        buf_add(out, p, (size_t)(quote - p));
        if (quote == end)
            return;
        const char *close = find_end(quote + 1, end), *next = close + (close < end);
        struct slice text = {quote + 1, (size_t)(close - quote - 1)};
        while (next < end && (*next == ' ' || *next == '\t' || *next == '\n' || *next == '\r'))
            next++;
        if (next < end && *next == ':')
            text = sub_alarms_rename(text);
        buf_add_char(out, '"');
        buf_add_slice(out, text);
        buf_add_char(out, '"');
        p = next;
    }
}
