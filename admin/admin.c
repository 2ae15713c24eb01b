/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - see admin.h. */
#include "admin/admin.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/guard.h"
#include "admin/web.h"
#include "admin/privileges.h"
#include "lib/clock.h"
#include "lib/log.h"

enum {
    BACKLOG = 128,
    DESCRIPTORS = GUARD_CONNECTIONS + 64, /* and those that came along from the master */
    MEMORY_BYTES = 256 * 1024 * 1024,
    LONGEST_WAIT_MS = 1000
};

static volatile sig_atomic_t stopping, reopening;

static void
on_signal(int number)
{
    if (number == SIGUSR1)
        reopening = 1;
    else
        stopping = 1;
}

/* --- the port --- */

static int
listen_at(const struct addrinfo *a)
{
    int on = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    /* A port that still has connections in TIME_WAIT can be bound again at once. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Returns: a listening socket, or -1 with a text. */
static int
open_port(const struct admin_options *o, struct errbuf *err)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *all;
    char port[8];
    int fd = -1;
    snprintf(port, sizeof(port), "%u", o->port);
    int code = getaddrinfo(o->bind, port, &hints, &all);
    if (code != 0)
        return errbuf_set(err, "admin port: [admin] bind '%s': %s", o->bind,
                          code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
    for (const struct addrinfo *a = all; a != NULL && fd == -1; a = a->ai_next)
        fd = listen_at(a);
    if (fd == -1)
        errbuf_set(err, "admin port: cannot listen at %s port %u: %s", o->bind, o->port,
                   strerror(errno));
    freeaddrinfo(all);
    return fd;
}

static unsigned
port_of(int fd)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 && address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    return 0;
}

static void
tell_port(const struct admin_options *o, int fd)
{
    char text[16];
    unsigned port = port_of(fd);
    bool v6 = strchr(o->bind, ':') != NULL;
    log_info("admin port: http://%s%s%s:%u/", v6 ? "[" : "", o->bind, v6 ? "]" : "", port);
    int n = snprintf(text, sizeof(text), "%u\n", port);
    if (o->report_fd != -1 && write(o->report_fd, text, (size_t)n) == -1)
        log_warning("admin port: nobody takes its number: %s", strerror(errno));
}

/* --- serving --- */

static sigset_t
let_signals_in(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t mask;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    sigdelset(&mask, SIGTERM);
    sigdelset(&mask, SIGUSR1);
    return mask;
}

/* Ticks the meters when it is time. Returns: ms to the next tick. */
static int64_t
tick(struct view_source *source, int64_t *next_ms)
{
    struct errbuf err;
    int64_t now_ms = clock_mono_ms();
    if (now_ms < *next_ms)
        return *next_ms - now_ms;
    int64_t ticks = (now_ms - *next_ms) / EWMA_TICK_MS + 1;
    if (view_source_tick(source, ticks < 10000 ? (unsigned)ticks : 10000, &err) == -1)
        log_warning("admin port: no rates this time: %s", err.text);
    *next_ms += ticks * EWMA_TICK_MS;
    return *next_ms - now_ms;
}

/* Without privileges it may not be allowed to: then it goes on with the file it has. */
static void
reopen_log(void)
{
    struct errbuf err;
    reopening = 0;
    if (log_reopen(&err) == -1)
        log_warning("admin port: %s", err.text);
}

static void
serve(struct web *http, struct view_source *source)
{
    sigset_t while_waiting = let_signals_in();
    int64_t next_tick_ms = clock_mono_ms();
    while (!stopping) {
        struct pollfd p = {.fd = web_fd(http), .events = POLLIN};
        int64_t wait_ms = tick(source, &next_tick_ms), turn_ms = web_turn(http);
        if (turn_ms >= 0 && turn_ms < wait_ms)
            wait_ms = turn_ms;
        if (wait_ms > LONGEST_WAIT_MS)
            wait_ms = LONGEST_WAIT_MS;
        struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};
        if (ppoll(&p, 1, &wait, &while_waiting) == -1 && errno != EINTR) {
            log_error("admin port: ppoll: %s", strerror(errno));
            return;
        }
        if (reopening)
            reopen_log();
    }
}

static int
open_and_serve(const struct admin_options *o, struct view_source *source, pid_t parent,
               struct errbuf *err)
{
    static const struct privileges_limits limits = {.descriptors = DESCRIPTORS,
                                                    .memory = MEMORY_BYTES};
    int fd = open_port(o, err);
    if (fd == -1)
        return -1;
    struct host_names hosts;
    host_names_init(&hosts, o->bind, o->allowed_hosts);
    struct web *http = web_new(fd, source, &o->names, &hosts, o->config_text, err);
    if (http == NULL)
        return -1;
    int result = privileges_drop(parent, &limits, err);
    if (result == 0) {
        tell_port(o, fd);
        serve(http, source);
    }
    web_free(&http);
    return result;
}

int
admin_run(const struct admin_options *o)
{
    struct errbuf err = {.text = ""};
    pid_t parent = getppid();
    int64_t stall_ms = o->stall_ms > 0 ? o->stall_ms : ADMIN_STALL_MS;
    struct view_source *source = view_source_new(o->segment, &o->names, stall_ms, &err);
    int result = source != NULL ? open_and_serve(o, source, parent, &err) : -1;
    view_source_free(&source);
    if (result == -1)
        log_error("%s", err.text);
    return result == 0 ? ADMIN_EXIT_DONE : ADMIN_EXIT_SICK;
}
