/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.c - see notify.h.
 *
 * Source of the protocol: sd_notify(3), sd_watchdog_enabled(3), systemd.service(5).
 */
#include "master/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "master/master_priv.h"

enum { PATH_BYTES = 4096 };

static int
write_pid(const char *path)
{
    char text[32];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd == -1)
        return -1;
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    bool good = write(fd, text, (size_t)n) == n;
    if (close(fd) == 0 && good)
        return 0;
    unlink(path);
    return -1;
}

/* The file beside it, from which it is renamed into place. */
static int
name_new(const struct notify *n, char path[PATH_BYTES], struct errbuf *err)
{
    if ((size_t)snprintf(path, PATH_BYTES, "%s.new", n->pid_file) < PATH_BYTES)
        return 0;
    return errbuf_set(err, "pid file: the path is too long");
}

int
notify_open(struct notify *notify, const char *pid_file, struct errbuf *err)
{
    char path[PATH_BYTES];
    uint64_t watchdog_us = 0;
    *notify = (struct notify){.pid_file = pid_file};
    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        notify->watchdog_ms = (int64_t)(watchdog_us / 2000);
    if (pid_file == NULL)
        return 0;
    if (name_new(notify, path, err) == -1)
        return -1;
    /* It must be possible later, too: better to fail now. */
    unlink(path);
    if (write_pid(path) == -1 || unlink(path) == -1 || (unlink(pid_file) == -1 && errno != ENOENT))
        return errbuf_set(err, "pid file %s: %s", pid_file, strerror(errno));
    return 0;
}

static void
write_pid_file(struct notify *n)
{
    char path[PATH_BYTES];
    struct errbuf err = {.text = ""};
    if (n->pid_file == NULL || n->written)
        return;
    if (name_new(n, path, &err) == 0 && write_pid(path) == 0 && rename(path, n->pid_file) == 0)
        n->written = true;
    else
        log_error("pid file %s: %s", n->pid_file, strerror(errno));
}

/* --- systemd --- */

/* Returns: false if it has to be tried again. What cannot be sent at all counts as told. */
static bool
tell(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = path != NULL ? strlen(path) : 0;
    if (n < 2 || n >= sizeof(address.sun_path))
        return true;
    memcpy(address.sun_path, path, n);
    if (path[0] == '@') /* in the abstract namespace */
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return false;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    ssize_t sent = sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
                          (const struct sockaddr *)&address, size);
    bool later = sent == -1 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR);
    close(fd);
    return !later;
}

static void
pay(struct notify *n)
{
    char text[sizeof(n->status) + 64];
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)n->reloading_us);
    if (n->owes_ready && !tell("READY=1"))
        return;
    n->owes_ready = false;
    if (n->owes_reloading && !tell(text))
        return;
    n->owes_reloading = false;
    if (n->owes_reloaded && !tell("READY=1"))
        return;
    n->owes_reloaded = false;
    if (n->owes_stopping && !tell("STOPPING=1"))
        return;
    n->owes_stopping = false;
    snprintf(text, sizeof(text), "STATUS=%s", n->status);
    if (n->owes_status && !tell(text))
        return;
    n->owes_status = false;
}

static void
tell_ready(struct notify *n)
{
    if (n->told_ready)
        return;
    n->told_ready = n->owes_ready = true;
    pay(n);
}

void
notify_ready(struct notify *notify)
{
    write_pid_file(notify);
    tell_ready(notify);
}

bool
notify_running(struct notify *notify)
{
    bool news = !notify->told_ready;
    tell_ready(notify);
    return news;
}

void
notify_reloading(struct notify *notify)
{
    if (!notify->told_ready) /* READY=1 at its end would be taken for that of the start */
        return;
    /* Each time, since whoever asked waits for a later time than its own. CLOCK_MONOTONIC, as
     * clock_mono_ns is. */
    notify->reloading_us = clock_mono_ns() / 1000;
    notify->reloading = notify->owes_reloading = true;
    notify->owes_reloaded = false;
    pay(notify);
}

void
notify_reloaded(struct notify *notify)
{
    notify->owes_reloaded |= notify->reloading;
    notify->reloading = false;
    pay(notify);
}

void
notify_stopping(struct notify *notify)
{
    notify->reloading = false;
    notify->owes_stopping = true;
    pay(notify);
}

void
notify_status(struct notify *notify, const char *format, ...)
{
    char text[sizeof(notify->status)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (strcmp(text, notify->status) == 0)
        return;
    memcpy(notify->status, text, sizeof(text));
    notify->owes_status = true;
    pay(notify);
}

void
notify_turn(struct notify *notify, int64_t now_ms)
{
    pay(notify);
    if (notify->watchdog_ms == 0 || now_ms < notify->due_ms)
        return;
    if (tell("WATCHDOG=1"))
        notify->due_ms = now_ms + notify->watchdog_ms;
}

void
notify_close(struct notify *notify)
{
    if (notify->written)
        unlink(notify->pid_file);
    notify->written = false;
}
