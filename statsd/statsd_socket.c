/* SPDX-License-Identifier: Apache-2.0 */
/* statsd_socket.c - see statsd_socket.h. */
#include "statsd/statsd_socket.h"

#include <errno.h>
#include <unistd.h>

int
statsd_socket_open(const struct sockaddr *address, socklen_t size, struct errbuf *err)
{
    int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return errbuf_set(err, "no UDP socket: %s", strerror(errno));
    if (connect(fd, address, size) == -1) {
        errbuf_set(err, "no way there: %s", strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

void
statsd_socket_close(int *fd)
{
    if (*fd != STATSD_NO_SOCKET)
        close(*fd);
    *fd = STATSD_NO_SOCKET;
}

enum statsd_sent
statsd_socket_send(int fd, struct slice packet, struct errbuf *err)
{
    ssize_t n;
    do
        n = send(fd, packet.p, packet.n, MSG_NOSIGNAL);
    while (n == -1 && errno == EINTR);
    if (n != -1)
        return STATSD_SENT;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
        return STATSD_LATER;
    if (errno == ECONNREFUSED)
        return STATSD_REFUSED;
    errbuf_set(err, "%s", strerror(errno));
    return STATSD_FAILED;
}

bool
statsd_socket_was_refused(int fd)
{
    int error = 0;
    socklen_t size = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNREFUSED;
}
