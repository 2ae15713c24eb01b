/* SPDX-License-Identifier: Apache-2.0 */
/* accept.c - see accept.h. */
#include "admin/accept.h"

#include <strings.h>

enum { Q_ONE = 1000 };

struct range {
    struct slice type; /* "text/plain" */
    int q;             /* thousandths */
};

static const char *const types[ACCEPT_FORMS] = {
    [ACCEPT_JSON] = "application/json",
    [ACCEPT_OPENMETRICS] = "application/openmetrics-text",
    [ACCEPT_PROMETHEUS] = "text/plain",
};

/* Cuts off what is before the next separator. Returns: false if nothing was left. */
static bool
next_part(struct slice *rest, char separator, struct slice *part)
{
    if (rest->n == 0)
        return false;
    const char *end = memchr(rest->p, separator, rest->n);
    size_t n = end != NULL ? (size_t)(end - rest->p) : rest->n;
    *part = slice_trim((struct slice){rest->p, n});
    rest->p += n + (end != NULL);
    rest->n -= n + (end != NULL);
    return true;
}

/* "0.75" is 750; what is no weight counts as 1. */
static int
parse_q(struct slice s)
{
    int q = 0, unit = Q_ONE;
    if (s.n == 0 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
        return Q_ONE;
    for (size_t i = 0; i < s.n && unit > 0; i++) {
        if (i == 1)
            continue;
        if (s.p[i] < '0' || s.p[i] > '9')
            return Q_ONE;
        q += (s.p[i] - '0') * unit;
        unit /= 10;
    }
    return q > Q_ONE ? Q_ONE : q;
}

static struct range
parse_range(struct slice text)
{
    struct range range = {.q = Q_ONE};
    struct slice part;
    if (!next_part(&text, ';', &range.type))
        return range;
    while (next_part(&text, ';', &part))
        if (part.n > 2 && (part.p[0] == 'q' || part.p[0] == 'Q') && part.p[1] == '=')
            range.q = parse_q((struct slice){part.p + 2, part.n - 2});
    return range;
}

/* Returns: 3 for this very type, 2 for its family, 1 for any, 0 for another. */
static int
fit(struct slice range, const char *type)
{
    size_t family = (size_t)(strchr(type, '/') - type) + 1;
    if (range.n == strlen(type) && strncasecmp(range.p, type, range.n) == 0)
        return 3;
    if (range.n == family + 1 && strncasecmp(range.p, type, family) == 0 && range.p[family] == '*')
        return 2;
    return slice_equal(range, SLICE("*/*")) ? 1 : 0;
}

static int
weigh(const char *header, const char *type)
{
    struct slice rest = {header, strlen(header)}, part;
    int best_fit = 0, q = 0;
    while (next_part(&rest, ',', &part)) {
        struct range range = parse_range(part);
        int fits = fit(range.type, type);
        if (fits > best_fit) {
            best_fit = fits;
            q = range.q;
        }
    }
    return q;
}

enum accept_form
accept_choose(const char *header)
{
    enum accept_form best = ACCEPT_JSON;
    int best_q = header != NULL ? weigh(header, types[ACCEPT_JSON]) : Q_ONE;
    for (enum accept_form form = best + 1; header != NULL && form < ACCEPT_FORMS; form++) {
        int q = weigh(header, types[form]);
        if (q > best_q) {
            best = form;
            best_q = q;
        }
    }
    return best;
}

enum accept_form
accept_choose_text(const char *header)
{
    if (header != NULL &&
        weigh(header, types[ACCEPT_OPENMETRICS]) > weigh(header, types[ACCEPT_PROMETHEUS]))
        return ACCEPT_OPENMETRICS;
    return ACCEPT_PROMETHEUS;
}
