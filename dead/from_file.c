/* SPDX-License-Identifier: Apache-2.0 */
/*
 * from_file.c - see from_file.h.
 *
 * Rotation renames PATH under the lock of PATH, so whoever has the lock of what PATH names sees a
 * set of files that belong together. Descriptors stay good when the files are renamed or removed.
 * What stands behind the last whole line is not read at all: the next writer cuts it off, and puts
 * other lines there.  With keep = 0 the persister empties PATH instead of renaming it, and fills it
 * anew; a file whose beginning has changed is therefore not read any further, lest the beginning of
 * one letter go on with the end of another.
 */
#include "dead/from_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/lined_file.h"
#include "lib/num.h"

enum {
    CHUNK_BYTES = 256 << 10,
    FILES_MAX = 1001,
    LOCK_WAIT_MS = 10000,
    LOCK_LOOK_US = 200, /* workers that reject much let go of it for moments only */
    ROTATED_MAX = 1000000,
    HEAD_BYTES = 512 /* a letter's place is in them: its topic has 249 bytes at most */
};

struct one_file {
    char *path;
    int64_t number; /* 0: PATH itself */
    int64_t size;   /* of whole lines */
    int fd;
    size_t head_n;
    char head[HEAD_BYTES]; /* how it begins */
};

struct from_file {
    char *path;
    struct one_file files[FILES_MAX]; /* the oldest first */
    size_t n;
    int64_t torn_bytes;
    unsigned user, group;
    char chunk[CHUNK_BYTES];
};

static int
fail(const char *what, const char *path, struct errbuf *err)
{
    return errbuf_set(err, "%s %s: %s", what, path, strerror(errno));
}

static void
close_all(struct from_file *f)
{
    for (size_t i = 0; i < f->n; i++) {
        close(f->files[i].fd);
        free(f->files[i].path);
    }
    f->n = 0;
}

void
from_file_free(struct from_file **files)
{
    if (*files == NULL)
        return;
    close_all(*files);
    free((*files)->path);
    free(*files);
    *files = NULL;
}

/* --- opening --- */

/* Rotated files may be 1000: more than what a process may have open by default. */
static void
raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
        if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
            (void)errno; /* then opening says so */
    }
}

/* Notes how much of the file there is now, and how it begins. Nobody writes to it meanwhile. */
static int
measure_file(struct from_file *f, struct one_file *file, struct errbuf *err)
{
    struct stat st;
    off_t end;
    if (fstat(file->fd, &st) == -1)
        return fail("cannot stat", file->path, err);
    if (!S_ISREG(st.st_mode))
        return errbuf_set(err, "%s: not a regular file", file->path);
    ssize_t n = pread(file->fd, file->head, HEAD_BYTES, 0);
    if (n == -1 || lined_file_find_end(file->fd, st.st_size, &end) == -1)
        return fail("cannot read", file->path, err);
    file->head_n = n < end ? (size_t)n : (size_t)end;
    file->size = end;
    f->torn_bytes += st.st_size - end;
    f->user = st.st_uid;
    f->group = st.st_gid;
    return 0;
}

/* Adds an open file. It is closed if that fails. */
static int
add_file(struct from_file *f, char *path, int64_t number, int fd, struct errbuf *err)
{
    struct one_file *file = &f->files[f->n];
    int result = -1;
    if (path == NULL)
        errbuf_set(err, "out of memory");
    else if (f->n == FILES_MAX)
        errbuf_set(err, "%s: more than %d files", f->path, FILES_MAX);
    else {
        *file = (struct one_file){.path = path, .number = number, .fd = fd};
        result = measure_file(f, file, err);
    }
    if (result == -1) {
        close(fd);
        free(path);
    } else
        f->n++;
    return result;
}

/* Returns: the N of NAME.N, or 0. */
static int64_t
find_number(const char *entry, const char *name)
{
    size_t n = strlen(name);
    int64_t number;
    if (strncmp(entry, name, n) != 0 || entry[n] != '.' || entry[n + 1] == '0' ||
        num_parse_int(entry + n + 1, 1, ROTATED_MAX, &number) == -1)
        return 0;
    return number;
}

static int
open_rotated(struct from_file *f, int64_t number, struct errbuf *err)
{
    char *path;
    if (asprintf(&path, "%s.%lld", f->path, (long long)number) == -1)
        return errbuf_set(err, "out of memory");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1) {
        fail("cannot open", path, err);
        free(path);
        return -1;
    }
    return add_file(f, path, number, fd, err);
}

static int
open_all_rotated(struct from_file *f, DIR *d, const char *name, struct errbuf *err)
{
    const struct dirent *entry;
    while ((entry = readdir(d)) != NULL) {
        int64_t number = find_number(entry->d_name, name);
        if (number > 0 && open_rotated(f, number, err) == -1)
            return -1;
    }
    return 0;
}

static int
open_directory(struct from_file *f, struct errbuf *err)
{
    char *for_dir = strdup(f->path), *for_base = strdup(f->path);
    int result = -1;
    DIR *d = NULL;
    if (for_dir == NULL || for_base == NULL)
        errbuf_set(err, "out of memory");
    else if ((d = opendir(dirname(for_dir))) == NULL)
        fail("cannot open the directory of", f->path, err);
    else
        result = open_all_rotated(f, d, basename(for_base), err);
    if (d != NULL)
        closedir(d);
    free(for_dir);
    free(for_base);
    return result;
}

/* Returns: the descriptor with a shared lock; -1 with errno (ENOENT: no such file), or ETIMEDOUT.
 */
static int
open_locked(const char *path)
{
    int64_t deadline = clock_mono_ms() + LOCK_WAIT_MS;
    for (;;) {
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd == -1)
            return -1;
        bool locked = flock(fd, LOCK_SH | LOCK_NB) == 0;
        if (locked && lined_file_is_current(fd, path))
            return fd;
        int why = locked ? EAGAIN : errno;
        close(fd);
        errno = why;
        if (why != EWOULDBLOCK && why != EINTR)
            return -1;
        if (clock_mono_ms() >= deadline) {
            errno = ETIMEDOUT;
            return -1;
        }
        usleep(LOCK_LOOK_US);
    }
}

static int
compare_age(const void *a, const void *b)
{
    const struct one_file *left = a, *right = b;
    return left->number < right->number ? 1 : left->number > right->number ? -1 : 0;
}

/* A rotation between the two makes PATH missing for a moment, hence the turns. */
static int
open_set(struct from_file *f, struct errbuf *err)
{
    int fd = -1;
    for (int turn = 0; turn < 5 && fd == -1; turn++) {
        if (turn > 0)
            usleep(2000);
        fd = open_locked(f->path);
        if (fd == -1 && errno == ETIMEDOUT)
            return errbuf_set(err, "%s: another process has held its lock for %d s", f->path,
                              LOCK_WAIT_MS / 1000);
        if (fd == -1 && errno != ENOENT)
            return fail("cannot open", f->path, err);
    }
    if (open_directory(f, err) == -1) {
        if (fd != -1)
            close(fd);
        return -1;
    }
    if (fd != -1) {
        if (add_file(f, strdup(f->path), 0, fd, err) == -1)
            return -1;
        flock(fd, LOCK_UN);
    }
    qsort(f->files, f->n, sizeof(f->files[0]), compare_age);
    return 0;
}

struct from_file *
from_file_open(const char *path, struct errbuf *err)
{
    struct from_file *f = calloc(1, sizeof(*f));
    if (f == NULL || (f->path = strdup(path)) == NULL) {
        free(f);
        errbuf_set(err, "out of memory");
        return NULL;
    }
    raise_limit();
    if (open_set(f, err) == -1)
        from_file_free(&f);
    return f;
}

/* --- reading --- */

struct reading {
    const struct one_file *file;
    struct buf pending; /* the beginning of a line that goes on in the next chunk */
    int64_t number;     /* of lines passed on */
    bool too_long;      /* the line under way is let pass */
    line_taker take;
    void *arg;
};

static int
pass_on(struct reading *r, struct slice text, const char *fault, struct errbuf *err)
{
    struct line line = {.where = r->file->path,
                        .partition = -1,
                        .number = ++r->number,
                        .text = text,
                        .fault = fault};
    return r->take(r->arg, &line, err);
}

/* A line's end: what is pending and the rest of it. */
static int
end_line(struct reading *r, struct slice rest, struct errbuf *err)
{
    int result;
    buf_add_slice(&r->pending, rest);
    if (r->too_long || r->pending.failed)
        result = pass_on(r, (struct slice){NULL, 0}, "longer than a dead letter can be", err);
    else
        result = pass_on(r, (struct slice){r->pending.data, r->pending.size}, NULL, err);
    r->too_long = false;
    buf_clear(&r->pending);
    return result;
}

static int
take_chunk(struct reading *r, struct slice chunk, struct errbuf *err)
{
    while (chunk.n > 0) {
        const char *newline = memchr(chunk.p, '\n', chunk.n);
        if (newline == NULL) {
            buf_add_slice(&r->pending, chunk);
            if (r->pending.failed || r->too_long) {
                r->too_long = true;
                buf_clear(&r->pending);
            }
            return 0;
        }
        size_t n = (size_t)(newline - chunk.p);
        if (end_line(r, (struct slice){chunk.p, n}, err) == -1)
            return -1;
        chunk = (struct slice){newline + 1, chunk.n - n - 1};
    }
    return 0;
}

/* keep = 0: it is emptied where others are renamed, and may have been filled anew. */
static bool
is_emptied(const struct one_file *file)
{
    char head[HEAD_BYTES];
    return pread(file->fd, head, file->head_n, 0) != (ssize_t)file->head_n ||
           memcmp(head, file->head, file->head_n) != 0;
}

/*
 * Up to the size it had. The look at the beginning comes after the read: a file is filled from its
 * beginning, so what was read is the old file's as long as that stands there.
 */
static int
read_file(struct from_file *f, struct reading *r, struct errbuf *err)
{
    int64_t at = 0;
    while (at < r->file->size) {
        int64_t left = r->file->size - at;
        size_t want = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        ssize_t n = pread(r->file->fd, f->chunk, want, at);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return fail("cannot read", r->file->path, err);
        if (n == 0 || is_emptied(r->file))
            return pass_on(r, (struct slice){NULL, 0},
                           "the file was emptied before it was read to here (keep = 0)", err);
        if (take_chunk(r, (struct slice){f->chunk, (size_t)n}, err) == -1)
            return -1;
        at += n;
    }
    return 0;
}

int
from_file_each(struct from_file *files, size_t line_max, line_taker take, void *arg,
               struct errbuf *err)
{
    int result = 0;
    for (size_t i = 0; i < files->n && result == 0; i++) {
        struct reading r = {.file = &files->files[i], .take = take, .arg = arg};
        buf_init(&r.pending, line_max);
        result = read_file(files, &r, err);
        buf_free(&r.pending);
    }
    return result;
}

int64_t
from_file_torn_bytes(const struct from_file *files)
{
    return files->torn_bytes;
}

size_t
from_file_count(const struct from_file *files)
{
    return files->n;
}

void
from_file_owner(const struct from_file *files, unsigned *user, unsigned *group)
{
    *user = files->user;
    *group = files->group;
}
