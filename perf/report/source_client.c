/* SPDX-License-Identifier: Apache-2.0 */
/* source_client.c - see source_client.h. */
#include "perf/report/source_client.h"

#include <stdlib.h>

#include "lib/timestamp.h"
#include "perf/report/source_http.h"
#include "perf/report/source_keystone.h"
#include "figures/figures.h"

enum { URL_MAX = 262144, REASON_MAX = 600, PAGES_MAX = 100000 };

struct client {
    const struct source_options *options;
    struct source_http *http;
    struct keystone *keystone;
    struct buf base; /* with the version, without a NUL; empty: not known yet */
    struct buf url;  /* of the request at hand, with a NUL */
};

/* --- the address --- */

/* Adds the version if there is none. Returns: 0, or -1 with a text. */
static int
set_base(struct client *c, const char *url, struct errbuf *err)
{
    buf_clear(&c->base);
    source_http_add_base(&c->base, url);
    size_t slash = c->base.size;
    while (slash > 0 && c->base.data[slash - 1] != '/')
        slash--;
    bool versioned = slash + 1 < c->base.size && c->base.data[slash] == 'v' &&
                     c->base.data[slash + 1] >= '0' && c->base.data[slash + 1] <= '9' &&
                     source_http_has_path(url);
    if (!versioned)
        buf_add_text(&c->base, "/v2.0");
    return c->base.failed ? errbuf_set(err, "the API's URL is too long") : 0;
}

struct client *
client_new(const char *url, const struct source_options *options, struct errbuf *err)
{
    const struct source_http_options http = {.timeout_ms = options->timeout_ms,
                                             .cacert = options->keystone.cacert,
                                             .insecure = options->keystone.insecure,
                                             .stop = options->stop};
    if (url[0] != '\0' && source_http_check_url(url, err) == -1)
        return NULL;
    struct client *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        errbuf_set(err, "out of memory");
        return NULL;
    }
    c->options = options;
    buf_init(&c->base, URL_MAX);
    buf_init(&c->url, URL_MAX);
    if ((url[0] == '\0' || set_base(c, url, err) == 0) &&
        (c->http = source_http_new(&http, err)) != NULL &&
        (c->keystone = keystone_new(&options->keystone, c->http, url[0] == '\0', err)) != NULL)
        return c;
    client_free(&c);
    return NULL;
}

void
client_free(struct client **client)
{
    struct client *c = *client;
    if (c == NULL)
        return;
    keystone_free(&c->keystone);
    source_http_free(&c->http);
    buf_free(&c->base);
    buf_free(&c->url);
    free(c);
    *client = NULL;
}

/* --- asking --- */

static int
refuse(const struct client *c, const struct source_http_answer *answer, struct errbuf *err)
{
    struct buf reason;
    const char *what = "";
    buf_init(&reason, REASON_MAX);
    keystone_add_reason(&reason, answer->body);
    if (answer->status == 401 || answer->status == 403)
        what = " (the token is refused, or its user may not read the metrics of this project)";
    else if (answer->status == 404)
        what = " (is it the Monasca API?)";
    errbuf_set(err, "the API at %.*s answered %ld%s%.*s", (int)strcspn(c->url.data, "?"),
               c->url.data, answer->status, what, (int)reason.size,
               reason.size > 0 ? reason.data : "");
    buf_free(&reason);
    return -1;
}

/* Sends what is in c->url. Takes: a token. Returns: 0, or -1 with a text. */
static int
send_with(struct client *c, const char *token, struct source_http_answer *answer,
          struct errbuf *err)
{
    const struct source_http_request request = {.url = c->url.data, .token = token};
    return source_http_send(c->http, &request, answer, err);
}

/*
 * Asks with a token, and if that is refused once more with a new one.
 * Takes: what comes after the base, as an unfinished URL in c->url.
 * Returns: 0 and an answer of any status; -1 with a text.
 */
static int
ask(struct client *c, struct source_http_answer *answer, struct errbuf *err)
{
    buf_add_char(&c->url, '\0');
    if (c->url.failed)
        return errbuf_set(err, "a request would be longer than %d bytes", URL_MAX);
    const char *token = keystone_token(c->keystone, err);
    if (token == NULL || send_with(c, token, answer, err) == -1)
        return -1;
    if (answer->status != 401 || !keystone_forget(c->keystone))
        return 0;
    token = keystone_token(c->keystone, err);
    return token != NULL ? send_with(c, token, answer, err) : -1;
}

/* Begins a request: BASE/PATH?name=NAME. Returns: 0, or -1 with a text. */
static int
begin(struct client *c, const char *path, const char *name, struct errbuf *err)
{
    if (c->base.size == 0) {
        if (keystone_token(c->keystone, err) == NULL ||
            set_base(c, keystone_endpoint(c->keystone), err) == -1)
            return -1;
    }
    buf_clear(&c->url);
    buf_add(&c->url, c->base.data, c->base.size);
    buf_add_text(&c->url, path);
    buf_add_text(&c->url, "?name=");
    source_http_escape(&c->url, name);
    return 0;
}

/* Names what was asked for in a text about an answer that makes no sense. */
static int
blame(const struct client *c, struct errbuf *err)
{
    return errbuf_prefix(err, "the API at %.*s", (int)strcspn(c->url.data, "?"), c->url.data);
}

/* --- series --- */

/* Takes: the page before, all 0 for the first; it becomes the one that was read. */
static int
list_page(struct client *c, const char *name, struct api_list *list, struct api_page *page,
          struct errbuf *err)
{
    struct source_http_answer answer;
    if (begin(c, "/metrics", name, err) == -1)
        return -1;
    if (page->offset[0] != '\0')
        buf_printf(&c->url, "&offset=%s", page->offset);
    if (ask(c, &answer, err) == -1)
        return -1;
    if (answer.status != 200)
        return refuse(c, &answer, err);
    if (api_read_series(answer.body, list, page, err) == -1)
        return blame(c, err);
    return 0;
}

int
client_list(struct client *client, const char *name, struct api_list *list, struct errbuf *err)
{
    struct api_page page = {.more = false};
    unsigned n = 0;
    do {
        char before[API_OFFSET_BYTES];
        memcpy(before, page.offset, sizeof(before));
        if (list_page(client, name, list, &page, err) == -1)
            return -1;
        if (page.more && (page.offset[0] == '\0' || strcmp(page.offset, before) == 0 ||
                          page.n == 0 || ++n == PAGES_MAX)) {
            errbuf_set(err, "its next page leads nowhere");
            return blame(client, err);
        }
    } while (page.more);
    return 0;
}

/* --- points --- */

static void
add_time(struct buf *url, const char *name, int64_t ms)
{
    char text[TIMESTAMP_BYTES];
    buf_printf(url, "&%s=", name);
    source_http_escape(url, timestamp_format(text, ms));
}

/* Where the next page begins. */
struct place {
    int64_t since_ms;
    char offset[API_OFFSET_BYTES]; /* "": at since_ms */
    bool grouped; /* several series answer to the dimensions: they are asked for one by one */
};

static int
begin_points(struct client *c, const struct client_query *q, const struct place *place,
             struct errbuf *err)
{
    const char *path = q->statistic != NULL ? "/metrics/statistics" : "/metrics/measurements";
    if (begin(c, path, q->name, err) == -1)
        return -1;
    buf_add_text(&c->url, "&dimensions=");
    source_http_escape(&c->url, q->dimensions);
    add_time(&c->url, "start_time", place->since_ms);
    add_time(&c->url, "end_time", q->until_ms);
    if (q->statistic != NULL)
        buf_printf(&c->url, "&statistics=%s&period=%lld", q->statistic, (long long)q->period_s);
    if (place->grouped)
        buf_add_text(&c->url, "&group_by=*");
    if (place->offset[0] != '\0')
        buf_printf(&c->url, "&offset=%s", place->offset);
    return 0;
}

static int
read_page(struct client *c, const struct client_query *q, const struct place *place, long *status,
          struct api_page *page, struct errbuf *err)
{
    struct source_http_answer answer;
    const struct api_points points = {
        .elements = q->statistic != NULL ? "statistics" : "measurements",
        .column = q->statistic != NULL ? q->statistic : "value",
        .only = place->grouped ? q->dimensions : NULL,
        .take = q->take,
        .arg = q->arg,
    };
    if (begin_points(c, q, place, err) == -1 || ask(c, &answer, err) == -1)
        return -1;
    *status = answer.status;
    if (answer.status == 409 && !place->grouped)
        return 0;
    if (answer.status != 200)
        return refuse(c, &answer, err);
    return api_read_points(answer.body, &points, page, err) == 0 ? 0 : blame(c, err);
}

/*
 * Goes on to the next page.  Of measurements, by its offset.  Of statistics, by the time after the
 * last period: the API goes on after that period's first instant, and so would lose what lies on
 * it. Returns: false if that leads nowhere.
 */
static bool
advance(const struct client_query *q, const struct api_page *page, struct place *place)
{
    if (place->grouped || page->n == 0 || page->last_ms < place->since_ms - q->period_s * 1000)
        return false;
    if (q->statistic != NULL) {
        int64_t next_ms = page->last_ms + q->period_s * 1000;
        bool forward = next_ms > place->since_ms;
        place->since_ms = next_ms;
        return forward;
    }
    if (page->offset[0] == '\0' || strcmp(page->offset, place->offset) == 0)
        return false;
    memcpy(place->offset, page->offset, sizeof(place->offset));
    return true;
}

int
client_read(struct client *client, const struct client_query *query, struct errbuf *err)
{
    struct place place = {.since_ms = query->since_ms};
    assert(query->since_ms < query->until_ms && (query->statistic == NULL || query->period_s > 0));
    for (unsigned n = 0; n < PAGES_MAX; n++) {
        struct api_page page = {.more = false};
        long status;
        if (read_page(client, query, &place, &status, &page, err) == -1)
            return -1;
        if (status == 409) {
            place.grouped = true;
            continue;
        }
        if (!page.more)
            return 0;
        if (!advance(query, &page, &place))
            break;
        if (place.since_ms >= query->until_ms)
            return 0;
    }
    if (place.grouped)
        errbuf_set(err,
                   "several series have the dimensions %s, and more points than fit into a page: "
                   "ask for a shorter time",
                   query->dimensions);
    else
        errbuf_set(err, "its next page leads nowhere");
    return blame(client, err);
}
