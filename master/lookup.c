/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.c - see lookup.h. */
#include "master/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "master/spawn.h"
#include "master/master_priv.h"

/* What the child writes, in one piece. */
struct answer {
    int error;  /* of getaddrinfo; 0: found */
    int system; /* errno, with EAI_SYSTEM */
    struct lookup_address found;
};

_Static_assert(sizeof(struct answer) <= PIPE_BUF, "an answer must go through the pipe whole");

/* --- asking --- */

static struct addrinfo *
choose(struct addrinfo *list)
{
    struct addrinfo *chosen = NULL;
    for (struct addrinfo *a = list; a != NULL; a = a->ai_next)
        if (a->ai_family == AF_INET)
            return a;
        else if (chosen == NULL && a->ai_family == AF_INET6)
            chosen = a;
    return chosen;
}

static void
ask(const char *host, uint16_t port, int flags, struct answer *answer)
{
    char service[8];
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    memset(answer, 0, sizeof(*answer)); /* padding goes through the pipe, too */
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    answer->error = getaddrinfo(host, service, &hints, &list);
    answer->system = errno;
    if (answer->error != 0)
        return;
    const struct addrinfo *a = choose(list);
    if (a != NULL && a->ai_addrlen <= sizeof(answer->found.address)) {
        memcpy(&answer->found.address, a->ai_addr, a->ai_addrlen);
        answer->found.size = a->ai_addrlen;
    } else {
        answer->error = EAI_FAMILY;
    }
    freeaddrinfo(list);
}

static enum lookup_result
judge(const struct answer *answer, struct lookup_address *found, struct errbuf *err)
{
    if (answer->error == 0) {
        *found = answer->found;
        return LOOKUP_FOUND;
    }
    errbuf_set(err, "%s",
               answer->error == EAI_SYSTEM ? strerror(answer->system)
                                           : gai_strerror(answer->error));
    return LOOKUP_FAILED;
}

/* --- in the child --- */

struct question {
    const char *host;
    uint16_t port;
    int out;
};

static int
run_child(void *arg)
{
    const struct question *q = arg;
    struct answer answer;
    if (dup2(q->out, STDIN_FILENO) == -1)
        return 1;
    /* The name service's libraries may do anything: they get nothing of the master's. Should the
     * kernel not know the call, they get what any child inherits. */
    (void)close_range(STDERR_FILENO + 1, UINT_MAX, 0);
    ask(q->host, q->port, 0, &answer);
    return write(STDIN_FILENO, &answer, sizeof(answer)) == sizeof(answer) ? 0 : 1;
}

/* --- in the master --- */

enum lookup_result
lookup_start(struct lookup *lookup, const char *host, uint16_t port, int64_t now_ms,
             struct lookup_address *found, struct errbuf *err)
{
    struct answer answer;
    int pipes[2];
    assert(!lookup->running);
    ask(host, port, AI_NUMERICHOST, &answer);
    if (answer.error == 0)
        return judge(&answer, found, err);
    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) == -1) {
        errbuf_set(err, "no pipe: %s", strerror(errno));
        return LOOKUP_FAILED;
    }
    struct question question = {.host = host, .port = port, .out = pipes[1]};
    struct spawn_child child = {.name = "lookup", .run = run_child, .arg = &question};
    pid_t pid = spawn_fork(&child, err);
    close(pipes[1]);
    if (pid == -1) {
        close(pipes[0]);
        return LOOKUP_FAILED;
    }
    *lookup = (struct lookup){
        .running = true, .pid = pid, .fd = pipes[0], .until_ms = now_ms + LOOKUP_LIMIT_MS};
    return LOOKUP_WAITING;
}

static void
finish(struct lookup *lookup)
{
    close(lookup->fd);
    *lookup = (struct lookup){.fd = -1};
}

void
lookup_cancel(struct lookup *lookup)
{
    char byte;
    if (!lookup->running)
        return;
    /* While the child lives its end of the pipe is open, so the pid is still its own. */
    if (read(lookup->fd, &byte, 1) == -1 && errno == EAGAIN)
        kill(lookup->pid, SIGKILL);
    finish(lookup);
}

enum lookup_result
lookup_poll(struct lookup *lookup, int64_t now_ms, struct lookup_address *found, struct errbuf *err)
{
    struct answer answer;
    if (!lookup->running)
        return LOOKUP_WAITING;
    ssize_t n = read(lookup->fd, &answer, sizeof(answer));
    if (n == sizeof(answer)) {
        finish(lookup);
        return judge(&answer, found, err);
    }
    if (n == -1 && (errno == EAGAIN || errno == EINTR) && now_ms < lookup->until_ms)
        return LOOKUP_WAITING;
    if (n == -1 && errno == EAGAIN)
        errbuf_set(err, "no answer within %d s", LOOKUP_LIMIT_MS / 1000);
    else
        errbuf_set(err, "the lookup ended without an answer");
    lookup_cancel(lookup);
    return LOOKUP_FAILED;
}

/* --- addresses --- */

const char *
lookup_describe(const struct lookup_address *address, char text[LOOKUP_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";
    const void *a = &address->address;
    bool six = address->address.ss_family == AF_INET6;
    const struct sockaddr_in *in = a;
    const struct sockaddr_in6 *in6 = a;
    (void)inet_ntop(six ? AF_INET6 : AF_INET,
                    six ? (const void *)&in6->sin6_addr : (const void *)&in->sin_addr, host,
                    sizeof(host));
    snprintf(text, LOOKUP_TEXT_BYTES, "%s port %u", host,
             (unsigned)ntohs(six ? in6->sin6_port : in->sin_port));
    return text;
}

bool
lookup_same(const struct lookup_address *a, const struct lookup_address *b)
{
    return a->size == b->size && memcmp(&a->address, &b->address, a->size) == 0;
}
