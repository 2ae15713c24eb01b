/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c - see lock.h. */
#include "master/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/num.h"
#include "lib/timestamp.h"
#include "master/directory.h"
#include "master/master_priv.h"

/* --- the file --- */

/* Reads "PID SINCE". Returns: 0, or -1 if the file says no such thing. */
static int
read_holder(int fd, int64_t *pid, char *since, size_t size)
{
    char text[128];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    char *blank = strchr(text, ' ');
    if (blank == NULL)
        return -1;
    *blank = '\0';
    snprintf(since, size, "%s", blank + 1);
    return num_parse_int(text, 1, INT32_MAX, pid);
}

static int
tell_holder(const struct lock *lock, const char *instance, struct errbuf *err)
{
    struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int64_t written_pid = 0;
    char since[64], whom[128] = "another process";
    int written = read_holder(lock->fd, &written_pid, since, sizeof(since));
    /* The kernel knows who holds it, except across pid namespaces; the file only says since when.
     */
    int64_t pid = fcntl(lock->fd, F_GETLK, &f) == 0 && f.l_type != F_UNLCK ? f.l_pid : 0;
    if (pid <= 0 && written == 0)
        snprintf(whom, sizeof(whom), "pid %lld of another container, since %s",
                 (long long)written_pid, since);
    else if (pid > 0 && written == 0 && written_pid == pid)
        snprintf(whom, sizeof(whom), "pid %lld, since %s", (long long)pid, since);
    else if (pid > 0)
        snprintf(whom, sizeof(whom), "pid %lld", (long long)pid);
    return errbuf_set(err, "instance '%s' runs already: %s is held by %s", instance, lock->path,
                      whom);
}

/* Errors do not matter: what is written is for people, the lock is the kernel's. */
static void
write_holder(int fd)
{
    char text[128], since[TIMESTAMP_BYTES];
    int n = snprintf(text, sizeof(text), "%ld %s\n", (long)getpid(),
                     timestamp_format_seconds(since, clock_wall_ms()));
    if (ftruncate(fd, 0) == -1 || pwrite(fd, text, (size_t)n, 0) == -1)
        return;
}

/* A file made by root in a user's directory must not lock that user out. */
static void
give_to_owner(int fd, int directory)
{
    struct stat st;
    if (geteuid() == 0 && fstat(directory, &st) == 0 && st.st_uid != 0 &&
        fchown(fd, st.st_uid, st.st_gid) == -1)
        return;
}

static int
open_file(const char *instance, int directory, struct lock *lock, struct errbuf *err)
{
    struct stat st;
    char name[128];
    if ((size_t)snprintf(name, sizeof(name), "%s.lock", instance) >= sizeof(name))
        return errbuf_set(err, "instance '%s': too long a name", instance);
    /* Not blocking: a FIFO in that place must not hold us up. */
    lock->fd = openat(directory, name,
                      O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
    if (lock->fd == -1)
        return errbuf_set(err, "%s: %s", lock->path,
                          errno == ELOOP ? "a symbolic link" : strerror(errno));
    if (fstat(lock->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1) {
        give_to_owner(lock->fd, directory);
        return 0;
    }
    close(lock->fd);
    return errbuf_set(err, "%s: not a regular file with one name", lock->path);
}

int
lock_acquire(const char *directory, const char *instance, struct lock *lock, struct errbuf *err)
{
    char path[384];
    assert(instance[0] != '\0' && strchr(instance, '/') == NULL);
    int dir = directory_open(directory, path, sizeof(path), err);
    if (dir == -1)
        return errbuf_prefix(err, "lock of instance '%s'", instance);
    snprintf(lock->path, sizeof(lock->path), "%s/%s.lock", path, instance);
    int opened = open_file(instance, dir, lock, err);
    close(dir);
    if (opened == -1)
        return -1;
    struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(lock->fd, F_SETLK, &f) == -1) {
        if (errno == EACCES || errno == EAGAIN)
            tell_holder(lock, instance, err);
        else
            errbuf_set(err, "%s: cannot lock: %s", lock->path, strerror(errno));
        close(lock->fd);
        return -1;
    }
    write_holder(lock->fd);
    return 0;
}

void
lock_release(struct lock *lock)
{
    if (lock->fd == -1)
        return;
    close(lock->fd);
    lock->fd = -1;
}
