/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_syslog.c - see log_syslog.h.
 *
 * A socket per line: a daemon that was started again is found, and no thread needs a lock.
 */
#include "lib/log_syslog.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* Returns: the message's size, its NUL not counted; it is cut if need be. */
static size_t
format_message(char *out, size_t size, int priority, const char *process, const char *text)
{
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    int n = snprintf(out, size, "<%d>%s %2d %02d:%02d:%02d monasca-persister[%ld]: %s: %s",
                     priority, months[local.tm_mon], local.tm_mday, local.tm_hour, local.tm_min,
                     local.tm_sec, (long)getpid(), process, text);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

static int
send_message(int type, const struct sockaddr_un *address, const char *message, size_t n)
{
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), why = 0;
    if (fd == -1)
        return errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == -1)
        why = errno;
    else if (send(fd, message, n, MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
        why = errno;
    close(fd);
    return why;
}

int
log_syslog_send(const char *path, int priority, const char *process, const char *text)
{
    char message[3072];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
        sizeof(address.sun_path))
        return ENAMETOOLONG;
    size_t n = format_message(message, sizeof(message), priority, process, text);
    int why = send_message(SOCK_DGRAM, &address, message, n);
    /* In a stream the NUL ends a message. */
    return why == EPROTOTYPE ? send_message(SOCK_STREAM, &address, message, n + 1) : why;
}

bool
log_syslog_means_absent(int error)
{
    return error == ENOENT || error == ECONNREFUSED || error == EACCES || error == ENOTDIR;
}
