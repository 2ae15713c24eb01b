/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_dropwizard.c - an admin port, polled: ours by /stats, the Java persister's by /metrics.
 *
 * Process: persister-perf.  Owner: struct dropwizard.  Concurrency: one thread.
 */
#include <stdlib.h>

#include "lib/clock.h"
#include "perf/report/source_counters.h"
#include "perf/report/source_http.h"
#include "perf/report/source_priv.h"

enum { URL_MAX = 4096 };

struct dropwizard {
    struct source_http *http;
    struct growth *growth;
    struct buf stats_url, metrics_url; /* with a NUL; stats_url is empty if it is not to be tried */
};

static void
close_dropwizard(void *state)
{
    struct dropwizard *d = state;
    source_http_free(&d->http);
    growth_free(&d->growth);
    buf_free(&d->stats_url);
    buf_free(&d->metrics_url);
    free(d);
}

/* Returns: false if memory is out. */
static bool
make_urls(struct dropwizard *d, const char *place)
{
    bool whole = source_http_has_path(place);
    source_http_add_base(&d->metrics_url, place);
    if (!whole) {
        source_http_add_base(&d->stats_url, place);
        buf_add(&d->stats_url, "/stats", sizeof("/stats"));
        buf_add_text(&d->metrics_url, "/metrics");
    }
    buf_add_char(&d->metrics_url, '\0');
    return !d->stats_url.failed && !d->metrics_url.failed;
}

static void *
open_dropwizard(const char *place, const struct source_options *options, struct errbuf *err)
{
    const struct source_http_options http = {.timeout_ms = options->timeout_ms,
                                             .cacert = options->keystone.cacert,
                                             .insecure = options->keystone.insecure,
                                             .stop = options->stop};
    if (source_http_check_url(place, err) == -1)
        return NULL;
    struct dropwizard *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        errbuf_set(err, "out of memory");
        return NULL;
    }
    buf_init(&d->stats_url, URL_MAX);
    buf_init(&d->metrics_url, URL_MAX);
    d->growth = growth_new();
    if (d->growth == NULL || !make_urls(d, place))
        errbuf_set(err, "memory is out, or the URL is longer than %d bytes", URL_MAX);
    else if ((d->http = source_http_new(&http, err)) != NULL)
        return d;
    close_dropwizard(d);
    return NULL;
}

static int
ask(struct dropwizard *d, const char *url, struct source_http_answer *answer, struct errbuf *err)
{
    const struct source_http_request request = {.url = url};
    return source_http_send(d->http, &request, answer, err);
}

/* Each poll finds out anew who answers: the port may change hands. */
static int
poll_dropwizard(void *state, struct errbuf *err)
{
    struct dropwizard *d = state;
    struct source_http_answer answer;
    if (d->stats_url.size > 0) {
        if (ask(d, d->stats_url.data, &answer, err) == -1)
            return -1;
        if (answer.status == 200)
            return counters_take_stats(d->growth, answer.body, clock_wall_ms(), err);
        if (answer.status != 404)
            return errbuf_set(err, "%s answered %ld", d->stats_url.data, answer.status);
    }
    if (ask(d, d->metrics_url.data, &answer, err) == -1)
        return -1;
    if (answer.status != 200)
        return errbuf_set(err, "%s answered %ld", d->metrics_url.data, answer.status);
    return counters_take_dropwizard(d->growth, answer.body, clock_wall_ms(), err);
}

static int
read_dropwizard(void *state, int64_t since_ms, int64_t until_ms, struct reading *reading,
                struct errbuf *err)
{
    const struct dropwizard *d = state;
    if (growth_read(d->growth, since_ms, until_ms, reading) == -1)
        return errbuf_set(err, "out of memory");
    return 0;
}

const struct source_ops source_dropwizard_ops = {.kind = "dropwizard",
                                                 .place = "http://HOST:PORT",
                                                 .remembers = false,
                                                 .open = open_dropwizard,
                                                 .poll = poll_dropwizard,
                                                 .read = read_dropwizard,
                                                 .close = close_dropwizard};
