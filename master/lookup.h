/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup.h - finds the address of a host's name without making the master wait.
 *
 * getaddrinfo may take half a minute, and asks whatever the host's administrator has put into
 * nsswitch.conf, so it runs in a short-lived child, which writes the address into a pipe and ends.
 * (c-ares would need no child, but knows only DNS and /etc/hosts, and its sockets would have to be
 * in the master's loop; a lookup is a fork a minute.)  The child's end wakes the master by SIGCHLD,
 * and whoever reaps all children reaps this one.
 *
 * An address written in digits needs no child.  Of several addresses the first of IPv4 is taken:
 * the Monasca agent listens there only.
 *
 * Process: master; the child.  Owner: whoever zeroed the struct.  Concurrency: one thread, one
 * lookup at a time.
 */
#ifndef MASTER_LOOKUP_H
#define MASTER_LOOKUP_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "lib/base.h"
#include "lib/errbuf.h"

struct lookup_address {
    struct sockaddr_storage address;
    socklen_t size;
};

struct lookup {
    bool running;
    pid_t pid;
    int fd; /* the pipe's end that the child's answer comes from */
    int64_t until_ms;
};

enum lookup_result {
    LOOKUP_FOUND,
    LOOKUP_WAITING, /* ask again after SIGCHLD, or at until_ms */
    LOOKUP_FAILED   /* err says why */
};

enum { LOOKUP_LIMIT_MS = 30000 /* then the child is killed */ };

/*
 * Starts a lookup, or finds the address at once.  None may be running.
 * Takes: the host's name or address; the port; now, of the monotonic clock in ms.
 */
enum lookup_result lookup_start(struct lookup *lookup, const char *host, uint16_t port,
                                int64_t now_ms, struct lookup_address *found,
                                struct errbuf *err) MUST_CHECK;

/* Asks how the running lookup goes. Never waits. LOOKUP_WAITING if none runs. */
enum lookup_result lookup_poll(struct lookup *lookup, int64_t now_ms, struct lookup_address *found,
                               struct errbuf *err) MUST_CHECK;

/* Kills the child, if any; whoever reaps all children reaps it. */
void lookup_cancel(struct lookup *lookup);

/* Room for lookup_describe, with NUL. */
enum { LOOKUP_TEXT_BYTES = 80 };

/* Writes the address for people: "127.0.0.1 port 8125". Returns: text. */
const char *lookup_describe(const struct lookup_address *address, char text[LOOKUP_TEXT_BYTES]);

/* Returns: true if both are the same address and port. */
bool lookup_same(const struct lookup_address *a, const struct lookup_address *b);

#endif
