/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg_statsd.c - how the options of [statsd] fit together, and with the length of a period.
 *
 * Process: the master, before any fork.  Owner: the caller's structures.  Concurrency: one thread.
 */
#include "conf/cfg_priv.h"

#include <stdio.h>

enum {
    AGENT_READS = 8192, /* the Monasca agent cuts what is longer, without a word */
    PREFIX_MAX = 200,   /* leaves room for the name: a metric's name has at most 255 */
    DIMENSION_MAX = 255 /* the same for keys and values */
};

static int
fail(const struct cfg_loading *l, const char *name, const char *what)
{
    int i = cfg_find_option("statsd", name);
    assert(i != -1);
    return cfg_fail_option(l, (size_t)i, what);
}

/* --- dimensions --- */

/* Cuts off what is before the first `c`, or all. Returns: false if c does not occur. */
static bool
cut(struct slice *rest, char c, struct slice *part)
{
    const char *at = rest->n > 0 ? memchr(rest->p, c, rest->n) : NULL;
    part->p = rest->p;
    part->n = at != NULL ? (size_t)(at - rest->p) : rest->n;
    rest->p += part->n + (at != NULL);
    rest->n -= part->n + (at != NULL);
    *part = slice_trim(*part);
    return at != NULL;
}

static const char *
judge_key(struct slice key, const struct slice *keys, size_t n)
{
    static const struct slice ours[] = {SLICE("instance"), SLICE("scope"), SLICE("topic"),
                                        SLICE("process")};
    if (key.n == 0 || key.n > DIMENSION_MAX)
        return "allowed: keys of 1 to 255 bytes";
    for (size_t i = 0; i < COUNT_OF(ours); i++)
        if (slice_equal(key, ours[i]))
            return "instance, scope, topic and process are set by the persister";
    for (size_t i = 0; i < n; i++)
        if (slice_equal(key, keys[i]))
            return "a key occurs twice";
    return NULL;
}

static int
check_dimensions(const struct cfg_loading *l)
{
    struct slice keys[CFG_STATSD_DIMENSIONS], pair, value;
    struct slice rest = {l->cfg->statsd.dimensions, strlen(l->cfg->statsd.dimensions)};
    size_t n = 0;
    while (rest.n > 0) {
        (void)cut(&rest, ',', &pair);
        if (pair.n == 0)
            continue; /* a comma too many does no harm */
        if (n == COUNT_OF(keys))
            return fail(l, "dimensions", "allowed: at most 64");
        bool has_colon = cut(&pair, ':', &keys[n]);
        value = slice_trim(pair);
        if (!has_colon || value.n == 0 || value.n > DIMENSION_MAX)
            return fail(
                l, "dimensions",
                "allowed: KEY:VALUE, several separated by commas; values of 1 to 255 bytes");
        const char *what = judge_key(keys[n], keys, n);
        if (what != NULL)
            return fail(l, "dimensions", what);
        n++;
    }
    return 0;
}

/* --- the rest --- */

static int
check_times(const struct cfg_loading *l)
{
    int64_t period = l->cfg->persister.period_seconds;
    int64_t interval = l->cfg->statsd.interval_seconds;
    char what[128];
    if (interval % period != 0) {
        snprintf(what, sizeof(what), "allowed: a multiple of [persister] period_seconds, %lld",
                 (long long)period);
        return fail(l, "interval_seconds", what);
    }
    snprintf(what, sizeof(what), "allowed: at most %d periods, %lld", CFG_STATSD_PERIODS,
             (long long)(CFG_STATSD_PERIODS * period));
    if (interval > CFG_STATSD_PERIODS * period)
        return fail(l, "interval_seconds", what);
    if (l->cfg->statsd.gauge_window_seconds > CFG_STATSD_PERIODS * period)
        return fail(l, "gauge_window_seconds", what);
    return 0;
}

int
cfg_check_statsd(const struct cfg_loading *l)
{
    const struct config *cfg = l->cfg;
    bool monasca = strcmp(cfg->statsd.dialect, "monasca") == 0;
    if (!monasca && strcmp(cfg->statsd.dialect, "dogstatsd") != 0)
        return fail(l, "dialect", "allowed: monasca, dogstatsd");
    if (strlen(cfg->statsd.prefix) > PREFIX_MAX)
        return fail(l, "prefix", "allowed: at most 200 bytes");
    if (monasca && cfg->statsd.max_packet_bytes > AGENT_READS)
        return fail(l, "max_packet_bytes", "allowed: at most 8192 with the dialect monasca");
    return check_times(l) == -1 || check_dimensions(l) == -1 ? -1 : 0;
}
