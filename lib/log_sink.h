/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_sink.h - writes a line without ever waiting for whoever reads it.
 *
 * Standard error is shared with others, so O_NONBLOCK must not be set on it: the flag belongs to
 * the open file description, which the shell or a sibling uses, too. A socket has MSG_DONTWAIT. A
 * pipe or a terminal is opened once more by its name in /proc, non-blocking. Where that is not
 * allowed (a pipe of another user's): RWF_NOWAIT, which pipes know since Linux 6.4; else a pipe
 * gets the line by splice(2), and a terminal is asked by poll(2) first. A regular file is written
 * to as it is: no call of Linux keeps a write(2) from waiting for a disk that hangs.
 *
 * Process: all.  Owner: the caller.  Concurrency: log_sink_write from any thread.
 */
#ifndef LIB_LOG_SINK_H
#define LIB_LOG_SINK_H

#include "lib/base.h"

enum log_sink_kind {
    LOG_SINK_PLAIN,  /* write(2): it is non-blocking, or a regular file */
    LOG_SINK_SOCKET, /* send(2) */
    LOG_SINK_PIPE,   /* of another user's */
    LOG_SINK_SPLICE, /* ... on a kernel without RWF_NOWAIT for it */
    LOG_SINK_POLLED  /* a terminal that cannot be opened again */
};

enum { LOG_SINK_BYTES = 4096 }; /* of a line, at most: what a pipe takes whole */

struct log_sink {
    enum log_sink_kind kind;
    int fd;
};

/*
 * Looks at what a descriptor is.
 * Returns: how to write to it; a descriptor of its own in there, if any, stays open until the
 * process ends.
 */
struct log_sink log_sink_from(int fd);

/*
 * Writes n bytes, 1..LOG_SINK_BYTES.
 * Returns: 0, or an errno: EAGAIN if nobody takes them now. *done is the number of bytes that were
 * taken nevertheless, which is 0 but for terminals, sockets and full disks.
 */
int log_sink_write(struct log_sink sink, const char *line, size_t n, size_t *done) MUST_CHECK;

#endif
