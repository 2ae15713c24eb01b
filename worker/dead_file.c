/* SPDX-License-Identifier: Apache-2.0 */
/* dead_file.c - see dead_file.h. */
#include "worker/dead_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/lined_file.h"

/* Also in check_dead_letters of cfg_check.c. */
#define DEFAULT_DIRECTORY "/var/lib/monasca-persister"

struct dead_file {
    char *path;
    int64_t max_bytes;
    unsigned keep;
    int fd;      /* -1: not open */
    off_t start; /* size when the lock was taken */
};

struct dead_file *
dead_file_new(const char *path, int64_t max_bytes, unsigned keep)
{
    struct dead_file *file = calloc(1, sizeof(*file));
    if (file == NULL || (file->path = strdup(path)) == NULL) {
        free(file);
        return NULL;
    }
    file->max_bytes = max_bytes;
    file->keep = keep;
    file->fd = -1;
    return file;
}

void
dead_file_reopen(struct dead_file *file)
{
    if (file->fd != -1)
        close(file->fd);
    file->fd = -1;
}

void
dead_file_free(struct dead_file **file)
{
    if (*file == NULL)
        return;
    dead_file_reopen(*file);
    free((*file)->path);
    free(*file);
    *file = NULL;
}

static int
fail(const struct dead_file *file, const char *what, struct errbuf *err)
{
    return errbuf_set(err, "dead letters: %s %s: %s", what, file->path, strerror(errno));
}

static int
sync_directory(const struct dead_file *file, struct errbuf *err)
{
    return lined_file_sync_directory(file->path) == -1
               ? fail(file, "cannot sync the directory of", err)
               : 0;
}

/* With the right to make names in it: to this process as it is, whatever its real user. */
static int
check_directory(const char *directory)
{
    return faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS);
}

/* Only the default is made, by whoever is the first to need it; all else is somebody's choice. */
static bool
is_default(const char *directory)
{
    return strcmp(directory, DEFAULT_DIRECTORY) == 0;
}

int
dead_file_check(const char *path, struct errbuf *err)
{
    char *copy = strdup(path);
    struct stat st;
    int result = 0;
    if (copy == NULL)
        return errbuf_set(err, "out of memory");
    const char *directory = dirname(copy);
    if (check_directory(directory) == -1 &&
        (errno != ENOENT || !is_default(directory) || check_directory("/var/lib") == -1))
        result = errbuf_set(err, "directory %s: %s", directory, strerror(errno));
    else if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
        result = errbuf_set(err, "%s is no regular file", path);
    else if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == -1 && errno != ENOENT)
        result = errbuf_set(err, "%s: %s", path, strerror(errno));
    free(copy);
    return result;
}

static void
make_directory(const char *path)
{
    char *copy = strdup(path);
    if (copy != NULL && is_default(dirname(copy)))
        (void)mkdir(DEFAULT_DIRECTORY, 0750); /* opening the file says what is wrong with it */
    free(copy);
}

static int
open_path(struct dead_file *file, struct errbuf *err)
{
    if (file->fd != -1)
        return 0;
    make_directory(file->path);
    file->fd = open(file->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (file->fd == -1)
        return fail(file, "cannot open", err);
    return sync_directory(file, err);
}

/* 1: locked, 0: somebody else has it, -1: error. */
static int
lock(struct dead_file *file, struct errbuf *err)
{
    if (flock(file->fd, LOCK_EX | LOCK_NB) == 0)
        return 1;
    if (errno == EWOULDBLOCK || errno == EINTR)
        return 0;
    return fail(file, "cannot lock", err);
}

static void
unlock(struct dead_file *file)
{
    flock(file->fd, LOCK_UN);
}

static int
move_numbered(const struct dead_file *file, unsigned from, struct errbuf *err)
{
    char source[4096], target[4096];
    if (from == 0)
        snprintf(source, sizeof(source), "%s", file->path);
    else
        snprintf(source, sizeof(source), "%s.%u", file->path, from);
    snprintf(target, sizeof(target), "%s.%u", file->path, from + 1);
    if (rename(source, target) == -1 && errno != ENOENT)
        return fail(file, "cannot rotate", err);
    return 0;
}

/* PATH.keep-1 over PATH.keep, ..., PATH to PATH.1; with keep 0 the file is emptied. Lock held. */
static int
rotate(struct dead_file *file, struct errbuf *err)
{
    if (file->keep == 0)
        return ftruncate(file->fd, 0) == -1 ? fail(file, "cannot empty", err) : 0;
    for (unsigned i = file->keep; i > 0; i--)
        if (move_numbered(file, i - 1, err) == -1)
            return -1;
    return sync_directory(file, err);
}

/* A worker that was killed left the beginning of a line. Lock held. */
static int
cut_torn_line(struct dead_file *file, struct errbuf *err)
{
    off_t size = file->start;
    if (lined_file_find_end(file->fd, size, &file->start) == -1)
        return fail(file, "cannot read", err);
    if (file->start == size)
        return 0;
    return ftruncate(file->fd, file->start) == -1 ? fail(file, "cannot mend", err) : 0;
}

/* With the lock held: 1 go on, 0 the file was rotated or moved: open the path anew, -1 error. */
static int
prepare(struct dead_file *file, struct errbuf *err)
{
    struct stat st;
    if (!lined_file_is_current(file->fd, file->path))
        return 0; /* somebody rotated it before we had the lock */
    if (fstat(file->fd, &st) == -1)
        return fail(file, "cannot stat", err);
    if (st.st_size >= file->max_bytes)
        return rotate(file, err) == -1 ? -1 : 0;
    file->start = st.st_size;
    return cut_torn_line(file, err) == -1 ? -1 : 1;
}

int
dead_file_try_begin(struct dead_file *file, struct errbuf *err)
{
    /* Twice is the rule after a rotation; more only if others rotate meanwhile. */
    for (int i = 0; i < 10; i++) {
        if (open_path(file, err) == -1)
            return -1;
        int locked = lock(file, err);
        if (locked != 1)
            return locked;
        int ready = prepare(file, err);
        if (ready == 1)
            return 1;
        unlock(file);
        dead_file_reopen(file);
        if (ready == -1)
            return -1;
    }
    return 0;
}

int
dead_file_append(struct dead_file *file, const char *bytes, size_t n, struct errbuf *err)
{
    while (n > 0) {
        ssize_t done = write(file->fd, bytes, n);
        if (done == -1 && errno == EINTR)
            continue;
        if (done == -1)
            return fail(file, "cannot write to", err);
        bytes += done;
        n -= (size_t)done;
    }
    return 0;
}

int
dead_file_commit(struct dead_file *file, struct errbuf *err)
{
    if (fdatasync(file->fd) == -1) {
        fail(file, "cannot sync", err);
        dead_file_undo(file);
        return -1;
    }
    unlock(file);
    return 0;
}

void
dead_file_undo(struct dead_file *file)
{
    /* If even this fails, whole lines stay that will be there twice; a torn one is cut off later.
     */
    if (ftruncate(file->fd, file->start) == -1)
        (void)errno;
    unlock(file);
}
