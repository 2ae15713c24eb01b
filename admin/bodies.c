/* SPDX-License-Identifier: Apache-2.0 */
/* bodies.c - see bodies.h. */
#include "admin/bodies.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "admin/dropwizard.h"
#include "admin/health.h"
#include "admin/page.h"
#include "admin/threads.h"
#include "lib/buf.h"
#include "figures/figures_json.h"
#include "figures/openmetrics.h"

enum { BODY_BYTES = 16 * 1024 * 1024, NONCE_BYTES = 33, MISDIRECTED_REQUEST = 421 };

struct made {
    struct MHD_Response *response;
    unsigned status;
    uint64_t view; /* the number of the view it was made of */
};

struct bodies {
    struct view_source *source;
    const struct view_names *names;
    const char *config_text;
    struct made made[BODIES_KINDS];
};

/* What is being made. */
struct draft {
    const struct bodies *bodies;
    const struct view *view; /* NULL for the constant ones */
    struct buf body;
    unsigned status;
    char nonce[NONCE_BYTES]; /* "" but for the page */
};

/* --- making --- */

static int
make_page(struct draft *d)
{
    unsigned char random[(NONCE_BYTES - 1) / 2];
    if (getrandom(random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        memset(random, 0, sizeof(random)); /* at boot; the page has nothing that is not escaped */
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(&d->nonce[2 * i], 3, "%02x", random[i]);
    return page_write(&d->body, d->view, d->nonce);
}

static int
make_dropwizard(struct draft *d)
{
    return dropwizard_write(&d->body, d->view, d->bodies->names, false);
}

static int
make_dropwizard_pretty(struct draft *d)
{
    return dropwizard_write(&d->body, d->view, d->bodies->names, true);
}

static int
make_openmetrics(struct draft *d)
{
    openmetrics_write(&d->body, OPENMETRICS_1, &d->view->now, d->view->reader, &d->view->origin,
                      NULL);
    return 0;
}

static int
make_prometheus(struct draft *d)
{
    openmetrics_write(&d->body, OPENMETRICS_PROMETHEUS_0, &d->view->now, d->view->reader,
                      &d->view->origin, NULL);
    return 0;
}

static int
make_stats(struct draft *d)
{
    figures_write_json(&d->body, &d->view->now, &d->view->origin, NULL, NULL);
    return 0;
}

static int
make_health_as(struct draft *d, bool pretty)
{
    struct health health;
    if (health_judge(&health, d->view) == -1)
        return -1;
    health_write(&d->body, &health, pretty);
    d->status = health.healthy ? MHD_HTTP_OK : MHD_HTTP_INTERNAL_SERVER_ERROR;
    health_free(&health);
    return 0;
}

static int
make_health(struct draft *d)
{
    return make_health_as(d, false);
}

static int
make_health_pretty(struct draft *d)
{
    return make_health_as(d, true);
}

static int
make_threads(struct draft *d)
{
    threads_write(&d->body, d->view);
    return 0;
}

static int
make_config(struct draft *d)
{
    buf_add_text(&d->body, d->bodies->config_text);
    return 0;
}

static int
make_ping(struct draft *d)
{
    buf_add_text(&d->body, "pong\n");
    return 0;
}

static int
make_not_found(struct draft *d)
{
    d->status = MHD_HTTP_NOT_FOUND;
    buf_add_text(&d->body, "There is /, /metrics, /metrics/prometheus, /healthcheck, /ping, "
                           "/threads, /stats and /config.\n");
    return 0;
}

static int
make_bad_method(struct draft *d)
{
    d->status = MHD_HTTP_METHOD_NOT_ALLOWED;
    buf_add_text(&d->body, "Only GET and HEAD.\n");
    return 0;
}

static int
make_bad_host(struct draft *d)
{
    d->status = MISDIRECTED_REQUEST;
    buf_add_text(&d->body, "Ask by an address, localhost, the machine's name, or a name that "
                           "[admin] allowed_hosts lists.\n");
    return 0;
}

static int
make_failed(struct draft *d)
{
    d->status = MHD_HTTP_SERVICE_UNAVAILABLE;
    buf_add_text(&d->body, "The figures cannot be had just now.\n");
    return 0;
}

static const struct {
    const char *type;
    bool figures; /* it is made of a view, so it ages */
    int (*make)(struct draft *d);
} kinds[BODIES_KINDS] = {
    [BODIES_PAGE] = {"text/html; charset=utf-8", true, make_page},
    [BODIES_DROPWIZARD] = {"application/json", true, make_dropwizard},
    [BODIES_DROPWIZARD_PRETTY] = {"application/json", true, make_dropwizard_pretty},
    [BODIES_OPENMETRICS] = {"application/openmetrics-text; version=1.0.0; charset=utf-8", true,
                            make_openmetrics},
    [BODIES_PROMETHEUS] = {"text/plain; version=0.0.4; charset=utf-8", true, make_prometheus},
    [BODIES_STATS] = {"application/json", true, make_stats},
    [BODIES_HEALTH] = {"application/json", true, make_health},
    [BODIES_HEALTH_PRETTY] = {"application/json", true, make_health_pretty},
    [BODIES_THREADS] = {"text/plain; charset=utf-8", true, make_threads},
    [BODIES_CONFIG] = {"text/plain; charset=utf-8", false, make_config},
    [BODIES_PING] = {"text/plain; charset=utf-8", false, make_ping},
    [BODIES_NOT_FOUND] = {"text/plain; charset=utf-8", false, make_not_found},
    [BODIES_BAD_METHOD] = {"text/plain; charset=utf-8", false, make_bad_method},
    [BODIES_BAD_HOST] = {"text/plain; charset=utf-8", false, make_bad_host},
    [BODIES_FAILED] = {"text/plain; charset=utf-8", false, make_failed},
};

/* --- responses --- */

/* Returns: whether all could be added, which fails only for want of memory. */
static bool
add_headers(struct MHD_Response *r, enum bodies_kind kind, const char *nonce)
{
    char policy[256];
    snprintf(policy, sizeof(policy),
             "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-%s'; "
             "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
             "frame-ancestors 'self'",
             nonce);
    const struct {
        const char *name, *value;
        bool wanted;
    } headers[] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, kinds[kind].type, true},
        {MHD_HTTP_HEADER_CACHE_CONTROL, "must-revalidate,no-cache,no-store", true},
        {"X-Content-Type-Options", "nosniff", true},
        {"Content-Security-Policy", policy, nonce[0] != '\0'},
        {MHD_HTTP_HEADER_VARY, "Accept", true},
        {MHD_HTTP_HEADER_ALLOW, "GET, HEAD", kind == BODIES_BAD_METHOD},
    };
    for (size_t i = 0; i < COUNT_OF(headers); i++)
        if (headers[i].wanted &&
            MHD_add_response_header(r, headers[i].name, headers[i].value) != MHD_YES)
            return false;
    return true;
}

/* Takes: the draft, whose memory goes to the response. Returns: NULL if memory is out. */
static struct MHD_Response *
make_response(struct draft *d, enum bodies_kind kind)
{
    struct MHD_Response *r =
        d->body.data == NULL
            ? MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT)
            : MHD_create_response_from_buffer(d->body.size, d->body.data, MHD_RESPMEM_MUST_FREE);
    if (r == NULL) {
        buf_free(&d->body);
        return NULL;
    }
    if (add_headers(r, kind, d->nonce))
        return r;
    MHD_destroy_response(r);
    return NULL;
}

static struct MHD_Response *
make(struct bodies *b, enum bodies_kind kind, const struct view *v, unsigned *status)
{
    struct draft d = {.bodies = b, .view = v, .status = MHD_HTTP_OK};
    buf_init(&d.body, BODY_BYTES);
    if (kinds[kind].make(&d) == -1 || d.body.failed) {
        buf_free(&d.body);
        return NULL;
    }
    *status = d.status;
    return make_response(&d, kind);
}

/* --- bodies --- */

struct bodies *
bodies_new(struct view_source *source, const struct view_names *names, const char *config_text)
{
    struct bodies *b = calloc(1, sizeof(*b));
    if (b != NULL)
        *b = (struct bodies){.source = source, .names = names, .config_text = config_text};
    return b;
}

void
bodies_free(struct bodies **bodies)
{
    struct bodies *b = *bodies;
    if (b == NULL)
        return;
    for (size_t i = 0; i < BODIES_KINDS; i++)
        if (b->made[i].response != NULL)
            MHD_destroy_response(b->made[i].response);
    free(b);
    *bodies = NULL;
}

/* Makes it if there is none of that view. Returns: 0, or -1 with a text. */
static int
refresh(struct bodies *b, enum bodies_kind kind, struct errbuf *err)
{
    struct made *made = &b->made[kind];
    const struct view *v = NULL;
    if (kinds[kind].figures && (v = view_source_look(b->source, err)) == NULL)
        return -1;
    uint64_t number = v != NULL ? v->number : 0;
    if (made->response != NULL && made->view == number)
        return 0;
    unsigned status;
    struct MHD_Response *response = make(b, kind, v, &status);
    if (response == NULL)
        return errbuf_set(err, "out of memory");
    if (made->response != NULL)
        MHD_destroy_response(made->response);
    *made = (struct made){.response = response, .status = status, .view = number};
    return 0;
}

struct bodies_answer
bodies_get(struct bodies *b, enum bodies_kind kind, struct errbuf *err)
{
    if (refresh(b, kind, err) == -1) {
        kind = BODIES_FAILED;
        if (refresh(b, kind, NULL) == -1)
            return (struct bodies_answer){.response = NULL};
    }
    return (struct bodies_answer){.status = b->made[kind].status,
                                  .response = b->made[kind].response};
}
