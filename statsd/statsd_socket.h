/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statsd_socket.h - the UDP socket that packets leave by: never waits, and tells what became of
 * them as far as the kernel knows.
 *
 * The socket is connected, so that an ICMP "port unreachable" comes back as an error; it speaks of
 * a packet that had been sent, usually the last.
 *
 * Process: master.  Owner: whoever opened it.  Concurrency: one thread.
 */
#ifndef STATSD_STATSD_SOCKET_H
#define STATSD_STATSD_SOCKET_H

#include <sys/socket.h>

#include "lib/base.h"
#include "lib/errbuf.h"

enum { STATSD_NO_SOCKET = -1 };

/*
 * Opens a socket that does not wait.
 * Takes: where to; an IPv4 or IPv6 address with its port.
 * Returns: a descriptor, closed by exec; or -1 with a text.
 */
int statsd_socket_open(const struct sockaddr *address, socklen_t size,
                       struct errbuf *err) MUST_CHECK;

/* Closes it and sets it to STATSD_NO_SOCKET; that one is fine, too. */
void statsd_socket_close(int *fd);

enum statsd_sent {
    STATSD_SENT,    /* handed to the kernel */
    STATSD_LATER,   /* its buffer is full; may go later */
    STATSD_REFUSED, /* not sent, since one before it met nobody at the port */
    STATSD_FAILED   /* not sent, and no use to try again; err says why */
};

/* Sends one packet, or not; never a part of it. */
enum statsd_sent statsd_socket_send(int fd, struct slice packet, struct errbuf *err) MUST_CHECK;

/* Returns: true, once, if the answer has come that the last packet met nobody at the port. */
bool statsd_socket_was_refused(int fd) MUST_CHECK;

#endif
