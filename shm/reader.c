/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.c - attaching to a segment: the checks that keep a reader from believing anything else.
 * See snapshot.h.
 *
 * Process: any reader.  Owner: struct shm_reader.  Concurrency: a reader belongs to one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "shm/reader_priv.h"
#include "shm/segment.h"

static enum shm_open
refuse(struct errbuf *err, const char *path, const char *why)
{
    errbuf_set(err, "%s: %s", path, why);
    return SHM_REFUSED;
}

/* --- the header --- */

/*
 * Compares what the header says with what it must say for its number of slots.
 * Takes: a copy that nobody else can change.
 */
static enum shm_open
check_header(const struct shm_header *h, uint64_t bytes, const char *path, struct errbuf *err)
{
    struct shm_header wanted = {0};
    if (atomic_load_explicit(&h->magic, memory_order_acquire) != SHM_MAGIC)
        return refuse(err, path,
                      shm_load(&h->magic) == 0 && h->version != 0
                          ? "this segment is half-made: its master has not finished it"
                          : "this is no segment of monasca-persister");
    if (h->version != SHM_LAYOUT_VERSION) {
        errbuf_set(err, "%s: made by another version: its layout is %u, this program reads %u",
                   path, h->version, (unsigned)SHM_LAYOUT_VERSION);
        return SHM_REFUSED;
    }
    if (h->header_bytes != sizeof(*h) || h->n_slots < 1 || h->n_slots > 1024)
        return refuse(err, path, "the segment's header is damaged");
    uint64_t size = shm_lay_out(&wanted, h->n_slots);
    if (h->table_hash != wanted.table_hash)
        return refuse(err, path, "made by another version: its figures are not those of this one");
    if (h->file_bytes != size || h->descriptors_at != wanted.descriptors_at ||
        h->periods_at != wanted.periods_at || h->retired_at != wanted.retired_at ||
        h->retired_bytes != wanted.retired_bytes || h->book_at != wanted.book_at ||
        h->book_bytes != wanted.book_bytes || h->slots_at != wanted.slots_at ||
        h->slot_bytes != wanted.slot_bytes)
        return refuse(err, path, "the segment's header is damaged");
    if (bytes < size) {
        errbuf_set(err, "%s: truncated: %llu bytes of %llu", path, (unsigned long long)bytes,
                   (unsigned long long)size);
        return SHM_REFUSED;
    }
    return SHM_OPENED;
}

static bool
is_this_boot(const struct shm_header *h)
{
    char id[sizeof(h->boot_id)];
    shm_read_boot_id(id, sizeof(id));
    return strncmp(id, h->boot_id, sizeof(h->boot_id)) == 0;
}

/* --- the file --- */

static bool
is_trusted(const struct shm_trust *trust, uid_t user)
{
    if (trust->anybody || user == 0 || user == geteuid())
        return true;
    for (size_t i = 0; i < trust->n; i++)
        if (trust->users[i] == user)
            return true;
    return false;
}

static enum shm_open
check_file(struct shm_reader *r, struct errbuf *err)
{
    struct stat st;
    if (fstat(r->fd, &st) == -1)
        return refuse(err, r->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(err, r->path, "not a regular file");
    if (!is_trusted(&r->trust, st.st_uid)) {
        errbuf_set(err, "%s belongs to user %lu, whose figures are not believed", r->path,
                   (unsigned long)st.st_uid);
        return SHM_REFUSED;
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return refuse(err, r->path, "can be written by others than its owner");
    if ((uint64_t)st.st_size < sizeof(struct shm_header))
        return refuse(err, r->path,
                      st.st_size == 0 ? "empty: its master has not finished it"
                                      : "too short for a segment of monasca-persister");
    r->owner = st.st_uid;
    r->device = st.st_dev;
    r->inode = st.st_ino;
    return SHM_OPENED;
}

/*
 * Copies the header, checks the copy, and maps what that says. The order in which magic and the
 * rest are read does not matter: no file is seen by its name before it is complete (segment.h).
 */
static enum shm_open
map(struct shm_reader *r, struct errbuf *err)
{
    struct stat st;
    ssize_t n = pread(r->fd, &r->fixed, sizeof(r->fixed), 0);
    if (n != (ssize_t)sizeof(r->fixed))
        return refuse(err, r->path, n == -1 ? strerror(errno) : "truncated");
    if (fstat(r->fd, &st) == -1)
        return refuse(err, r->path, strerror(errno));
    enum shm_open result = check_header(&r->fixed, (uint64_t)st.st_size, r->path, err);
    if (result != SHM_OPENED)
        return result;
    if (guarded_map_open(&r->map, r->fd, (size_t)r->fixed.file_bytes) == -1)
        return refuse(err, r->path, strerror(errno));
    r->header = r->map.at;
    return SHM_OPENED;
}

static enum shm_open
open_file(struct shm_reader *r, struct errbuf *err)
{
    r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (r->fd == -1 && errno == ELOOP)
        return refuse(err, r->path, "a symbolic link");
    if (r->fd != -1) {
        enum shm_open result = check_file(r, err);
        return result == SHM_OPENED ? map(r, err) : result;
    }
    errbuf_set(err, "%s: %s", r->path, strerror(errno));
    return errno == ENOENT || errno == ENOTDIR ? SHM_NOT_THERE : SHM_REFUSED;
}

/* What a reader needs besides the mapping. */
static int
make_room(struct shm_reader *r)
{
    r->fixed.started_ms = reader_bound_ms(r->fixed.started_ms);
    r->same_boot = is_this_boot(&r->fixed);
    r->mono_to_wall_ms = r->fixed.started_ms - reader_bound_ms(r->fixed.started_mono_ms);
    r->slots = calloc((size_t)r->fixed.n_slots + 1, sizeof(*r->slots));
    return r->slots == NULL ? -1 : 0;
}

struct shm_reader *
segment_reader(const struct segment *segment)
{
    struct shm_reader *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->fd = -1;
    r->header = segment->header;
    memcpy(&r->fixed, segment->header, offsetof(struct shm_header, fold));
    snprintf(r->path, sizeof(r->path), "%s", segment->path);
    if (make_room(r) == -1)
        shm_reader_close(&r);
    return r;
}

enum shm_open
shm_reader_open(const char *path, const struct shm_trust *trust, struct shm_reader **reader,
                struct errbuf *err)
{
    struct shm_reader *r = calloc(1, sizeof(*r));
    *reader = NULL;
    if (r == NULL)
        return refuse(err, path, "out of memory");
    r->fd = -1;
    r->trust = *trust;
    enum shm_open result = SHM_REFUSED;
    if ((size_t)snprintf(r->path, sizeof(r->path), "%s", path) >= sizeof(r->path))
        refuse(err, path, "the path is too long");
    else
        result = open_file(r, err);
    if (result == SHM_OPENED && make_room(r) == -1)
        result = refuse(err, path, "out of memory");
    if (result == SHM_OPENED)
        *reader = r;
    else
        shm_reader_close(&r);
    return result;
}

enum shm_open
shm_reader_reopen(const struct shm_reader *reader, struct shm_reader **next, struct errbuf *err)
{
    struct shm_trust trust = reader->trust;
    if (trust.anybody)
        trust = (struct shm_trust){.n = 1, .users = {reader->owner}};
    return shm_reader_open(reader->path, &trust, next, err);
}

void
shm_reader_close(struct shm_reader **reader)
{
    struct shm_reader *r = *reader;
    if (r == NULL)
        return;
    guarded_map_close(&r->map);
    if (r->fd != -1)
        close(r->fd);
    free(r->slots);
    free(r);
    *reader = NULL;
}

/* A read lock would be refused while the master holds its write lock. */
static bool
find_holder(const struct shm_reader *reader, struct flock *lock)
{
    *lock = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET};
    return fcntl(reader->fd, F_GETLK, lock) == 0 && lock->l_type != F_UNLCK;
}

bool
shm_reader_master_lives(const struct shm_reader *reader)
{
    struct flock lock;
    return find_holder(reader, &lock);
}

pid_t
shm_reader_find_master(const struct shm_reader *reader)
{
    struct flock lock;
    if (!find_holder(reader, &lock))
        return 0;
    return lock.l_pid > 0 ? lock.l_pid : -1; /* 0: of a pid namespace that we do not see */
}

bool
shm_reader_is_replaced(const struct shm_reader *reader)
{
    struct stat st;
    return lstat(reader->path, &st) == -1 || st.st_ino != reader->inode ||
           st.st_dev != reader->device;
}
