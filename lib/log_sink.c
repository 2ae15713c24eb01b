/* SPDX-License-Identifier: Apache-2.0 */
/* log_sink.c - see log_sink.h. */
#include "lib/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert((int)LOG_SINK_BYTES <= PIPE_BUF, "a line must go into a pipe whole or not at all");

enum { SPLICED_PIPE_BYTES = 1 << 20 }; /* each spliced line takes a page of it */

/* Returns: an open file description of our own, non-blocking, or -1. */
static int
open_again(int fd)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

struct log_sink
log_sink_from(int fd)
{
    struct log_sink sink = {.kind = LOG_SINK_PLAIN, .fd = fd};
    struct stat st;
    if (fstat(fd, &st) == -1 || S_ISREG(st.st_mode))
        return sink;
    if (S_ISSOCK(st.st_mode)) {
        sink.kind = LOG_SINK_SOCKET;
        return sink;
    }
    int again = open_again(fd);
    if (again != -1)
        sink.fd = again;
    else
        sink.kind = S_ISFIFO(st.st_mode) ? LOG_SINK_PIPE : LOG_SINK_POLLED;
    return sink;
}

/* The line goes into a pipe of ours and from there, as one piece or not at all, into theirs. */
static ssize_t
write_spliced(int fd, const char *line, size_t n)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) == -1)
        return -1;
    /* It is the pipe's own size, and may only grow; without leave for that it stays what it is. */
    if (fcntl(fd, F_GETPIPE_SZ) < SPLICED_PIPE_BYTES)
        (void)fcntl(fd, F_SETPIPE_SZ, (int)SPLICED_PIPE_BYTES);
    ssize_t done = write(pipes[1], line, n);
    if (done > 0)
        done = splice(pipes[0], NULL, fd, NULL, (size_t)done, SPLICE_F_NONBLOCK);
    int why = errno;
    close(pipes[0]);
    close(pipes[1]);
    errno = why;
    return done;
}

static ssize_t
write_polled(int fd, const char *line, size_t n)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    if (poll(&p, 1, 0) == 1)
        return write(fd, line, n);
    errno = EAGAIN;
    return -1;
}

static ssize_t
write_pipe(int fd, const char *line, size_t n)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)line, .iov_len = n};
    ssize_t done = pwritev2(fd, &piece, 1, -1, RWF_NOWAIT);
    if (done == -1 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == ESPIPE))
        return write_spliced(fd, line, n);
    return done;
}

static ssize_t
write_once(struct log_sink sink, const char *line, size_t n)
{
    switch (sink.kind) {
    case LOG_SINK_SOCKET:
        return send(sink.fd, line, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    case LOG_SINK_PIPE:
        return write_pipe(sink.fd, line, n);
    case LOG_SINK_SPLICE:
        return write_spliced(sink.fd, line, n);
    case LOG_SINK_POLLED:
        return write_polled(sink.fd, line, n);
    default:
        return write(sink.fd, line, n);
    }
}

int
log_sink_write(struct log_sink sink, const char *line, size_t n, size_t *done)
{
    assert(n > 0 && n <= LOG_SINK_BYTES);
    *done = 0;
    while (*done < n) {
        ssize_t m = write_once(sink, line + *done, n - *done);
        if (m == -1 && errno == EINTR)
            continue;
        if (m <= 0)
            return m == 0 ? EIO : errno;
        *done += (size_t)m;
    }
    return 0;
}
