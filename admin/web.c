/* SPDX-License-Identifier: Apache-2.0 */
/* web.c - see web.h. */
#include "admin/web.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "admin/accept.h"
#include "admin/bodies.h"
#include "admin/guard.h"
#include "lib/clock.h"
#include "lib/log.h"

enum {
    HEAD_BYTES = 16 * 1024,
    IDLE_SECONDS = 10 /* libmicrohttpd's own timeout; guard.h has the stricter one */
};

struct web {
    struct MHD_Daemon *daemon;
    int fd; /* libmicrohttpd's epoll */
    struct guard guard;
    struct bodies *bodies;
    const struct host_names *hosts;
    int64_t window_ms, window_cpu_ns; /* where the present window began */
    struct log_limit complaints, strangers;
};

/* --- routes --- */

static enum bodies_kind
choose_pretty(struct MHD_Connection *c, enum bodies_kind compact, enum bodies_kind pretty)
{
    const char *value = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "pretty");
    return value != NULL && strcmp(value, "true") == 0 ? pretty : compact;
}

static enum bodies_kind
choose_metrics(struct MHD_Connection *c, const char *accept)
{
    switch (accept_choose(accept)) {
    case ACCEPT_OPENMETRICS:
        return BODIES_OPENMETRICS;
    case ACCEPT_PROMETHEUS:
        return BODIES_PROMETHEUS;
    default:
        return choose_pretty(c, BODIES_DROPWIZARD, BODIES_DROPWIZARD_PRETTY);
    }
}

static enum bodies_kind
route(struct MHD_Connection *c, const char *path)
{
    static const struct {
        const char *path;
        enum bodies_kind kind;
    } plain[] = {{"/", BODIES_PAGE},
                 {"/ping", BODIES_PING},
                 {"/threads", BODIES_THREADS},
                 {"/stats", BODIES_STATS},
                 {"/config", BODIES_CONFIG}};
    const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    for (size_t i = 0; i < COUNT_OF(plain); i++)
        if (strcmp(path, plain[i].path) == 0)
            return plain[i].kind;
    if (strcmp(path, "/metrics") == 0)
        return choose_metrics(c, accept);
    if (strcmp(path, "/metrics/prometheus") == 0)
        return accept_choose_text(accept) == ACCEPT_OPENMETRICS ? BODIES_OPENMETRICS
                                                                : BODIES_PROMETHEUS;
    if (strcmp(path, "/healthcheck") == 0)
        return choose_pretty(c, BODIES_HEALTH, BODIES_HEALTH_PRETTY);
    return BODIES_NOT_FOUND;
}

/* --- libmicrohttpd's callbacks --- */

static enum MHD_Result
answer(struct web *h, struct MHD_Connection *c, enum bodies_kind kind)
{
    struct errbuf err = {.text = ""};
    uint64_t held_back;
    struct bodies_answer a = bodies_get(h->bodies, kind, &err);
    if (err.text[0] != '\0' && log_limit_pass(&h->complaints, clock_mono_ms(), &held_back))
        log_warning("no answer: %s", err.text);
    return a.response != NULL ? MHD_queue_response(c, a.status, a.response) : MHD_NO;
}

/* Returns: whether the name by which we are asked is ours; if not, that is logged now and then. */
static bool
check_host(struct web *h, struct MHD_Connection *c)
{
    const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    uint64_t held_back;
    struct errbuf text;
    if (host_is_ours(h->hosts, host))
        return true;
    errbuf_set(&text, "%.100s", host);
    if (log_limit_pass(&h->strangers, clock_mono_ms(), &held_back))
        log_warning("admin port: asked by the name '%s', which is not in [admin] allowed_hosts",
                    text.text);
    return false;
}

static enum MHD_Result
handle(void *arg, struct MHD_Connection *c, const char *path, const char *method,
       const char *version, const char *body, size_t *body_bytes, void **state)
{
    static char seen;
    struct web *h = arg;
    (void)version;
    (void)body;
    (void)body_bytes;
    if (!check_host(h, c))
        return answer(h, c, BODIES_BAD_HOST);
    bool get =
        strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    if (!get) /* at once, before any body is read */
        return answer(h, c, BODIES_BAD_METHOD);
    if (*state ==
        NULL) { /* the head alone is here; a body that comes with a GET is not looked at */
        *state = &seen;
        return MHD_YES;
    }
    *body_bytes = 0;
    return answer(h, c, route(c, path));
}

static void
note_connection(void *arg, struct MHD_Connection *c, void **socket_state,
                enum MHD_ConnectionNotificationCode what)
{
    struct web *h = arg;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*socket_state != NULL)
            guard_leave(&h->guard, *socket_state);
        *socket_state = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    *socket_state = info != NULL ? guard_enter(&h->guard, info->connect_fd, clock_mono_ms()) : NULL;
}

static void
note_request(void *arg, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode how)
{
    (void)arg;
    (void)state;
    (void)how;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info != NULL && info->socket_context != NULL)
        guard_note_request(info->socket_context, clock_mono_ms());
}

/* What clients do wrong is theirs to know; at debug level it is told. */
static void note_trouble(void *arg, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void
note_trouble(void *arg, const char *format, va_list args)
{
    char text[256];
    (void)arg;
    if (!log_wants(LOG_LEVEL_DEBUG))
        return;
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("http: %s", text);
}

/* --- starting and ending --- */

static struct MHD_Daemon *
start(struct web *h, int listen_fd)
{
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, h, /* */
                            MHD_OPTION_EXTERNAL_LOGGER, note_trouble,
                            NULL, /* first: it is used at once */
                            MHD_OPTION_LISTEN_SOCKET, (MHD_socket)listen_fd,          /* */
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)GUARD_CONNECTIONS, /* */
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES,   /* */
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,    /* */
                            MHD_OPTION_NOTIFY_CONNECTION, note_connection, h,         /* */
                            MHD_OPTION_NOTIFY_COMPLETED, note_request, h,             /* */
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

struct web *
web_new(int listen_fd, struct view_source *source, const struct view_names *names,
        const struct host_names *hosts, const char *config_text, struct errbuf *err)
{
    struct web *h = calloc(1, sizeof(*h));
    if (h != NULL)
        h->bodies = bodies_new(source, names, config_text);
    if (h == NULL || h->bodies == NULL) {
        errbuf_set(err, "out of memory");
        close(listen_fd);
        free(h);
        return NULL;
    }
    guard_init(&h->guard);
    h->hosts = hosts;
    h->complaints = h->strangers = (struct log_limit){.burst = 3, .interval_ms = 60000};
    h->daemon = start(h, listen_fd);
    const union MHD_DaemonInfo *info =
        h->daemon != NULL ? MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info != NULL) {
        h->fd = info->epoll_fd;
        return h;
    }
    errbuf_set(err, "libmicrohttpd does not start");
    if (h->daemon == NULL)
        close(listen_fd);
    web_free(&h);
    return NULL;
}

void
web_free(struct web **http)
{
    struct web *h = *http;
    if (h == NULL)
        return;
    if (h->daemon != NULL)
        MHD_stop_daemon(h->daemon);
    bodies_free(&h->bodies);
    free(h);
    *http = NULL;
}

int
web_fd(const struct web *h)
{
    return h->fd;
}

/* --- turning --- */

static int64_t
cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Sleeps for the rest of the window if its share of the processor is used up. */
static void
keep_to_budget(struct web *h)
{
    int64_t now_ms = clock_mono_ms(), used_ns = cpu_ns() - h->window_cpu_ns;
    int64_t left_ms = h->window_ms + HTTP_WINDOW_MS - now_ms;
    if (left_ms > 0 && used_ns < (int64_t)HTTP_BUDGET_MS * 1000000)
        return;
    if (left_ms > 0 && left_ms <= HTTP_WINDOW_MS) {
        struct timespec rest = {.tv_nsec = (long)left_ms * 1000000};
        nanosleep(&rest, NULL);
    }
    h->window_ms = clock_mono_ms();
    h->window_cpu_ns = cpu_ns();
}

int64_t
web_turn(struct web *h)
{
    MHD_UNSIGNED_LONG_LONG library_ms;
    keep_to_budget(h);
    MHD_run(h->daemon);
    int64_t next_ms = guard_turn(&h->guard, clock_mono_ms());
    if (MHD_get_timeout(h->daemon, &library_ms) == MHD_YES &&
        (next_ms == -1 || (int64_t)library_ms < next_ms))
        next_ms = (int64_t)library_ms;
    return next_ms;
}
