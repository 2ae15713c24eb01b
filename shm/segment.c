/* SPDX-License-Identifier: Apache-2.0 */
/* segment.c - see segment.h. */
#include "config.h"

#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "shm/barrier.h"

/* --- filling it in --- */

static void
describe(struct shm_descriptor *to, const struct stat_descriptor *from, uint32_t word,
         uint32_t histogram)
{
    snprintf(to->name, sizeof(to->name), "%s", from->name);
    snprintf(to->unit, sizeof(to->unit), "%s", from->unit);
    snprintf(to->statsd, sizeof(to->statsd), "%s", from->statsd);
    snprintf(to->help, sizeof(to->help), "%s", from->help);
    to->nature = from->nature;
    to->word = word;
    to->histogram = histogram;
}

static void
describe_all(const struct shm_header *h)
{
    struct shm_descriptor *d = shm_at(h, h->descriptors_at);
    for (unsigned v = 0; v < STAT_VALUES; v++)
        describe(d++, &stat_values[v], SHM_WORD_VALUES + v, 0);
    for (unsigned t = 0; t < STAT_TIMINGS; t++)
        describe(d++, &stat_timings[t], SHM_WORD_TIMES(t),
                 t < STAT_HISTOGRAMS ? SHM_WORD_BUCKETS(t) : 0);
}

/* A fold of nothing: no least value yet. */
static void
clear_retired(const struct shm_header *h, uint64_t which)
{
    struct shm_retired *retired = shm_retired_at(h, which);
    for (unsigned t = 0; t < STAT_TIMINGS; t++) {
        shm_store(&retired->words[SHM_WORD_TIMES(t) + SHM_TIME_MIN], UINT64_MAX);
        for (unsigned s = 0; s <= h->n_slots; s++)
            shm_store(&retired->slots[s].words[SHM_WORD_TIMES(t) + SHM_TIME_MIN], UINT64_MAX);
    }
}

static void
fill_in(struct segment *segment, const char *instance, unsigned n_slots, int64_t period_ms)
{
    struct shm_header *h = segment->header;
    shm_lay_out(h, n_slots);
    snprintf(h->instance, sizeof(h->instance), "%s", instance);
    snprintf(h->program, sizeof(h->program), "%s", PACKAGE_VERSION);
    shm_read_boot_id(h->boot_id, sizeof(h->boot_id));
    h->started_ms = clock_wall_ms();
    h->started_mono_ms = clock_mono_ms();
    h->fence = !barrier_is_there();
    shm_store(&h->period_ms, period_ms);
    shm_store(&h->heartbeat_ms, h->started_mono_ms);
    shm_store(&h->master_pid, getpid());
    shm_store(&h->generation, 1);
    describe_all(h);
    clear_retired(h, 0);
    clear_retired(h, 1);
    atomic_store_explicit(&h->magic, SHM_MAGIC, memory_order_release);
}

/* --- the file --- */

static int
take_lock(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_SETLK, &lock);
}

/* Another master's segment must not be put aside; the instance's own lock is elsewhere. */
static int
check_predecessor(const char *path, struct errbuf *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd == -1 && errno == ENOENT)
        return 0;
    if (fd == -1)
        return errbuf_set(err, "segment %s: %s", path, strerror(errno));
    bool held = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    close(fd);
    if (held)
        return errbuf_set(err, "segment %s belongs to a master that runs (pid %ld)", path,
                          (long)lock.l_pid);
    return 0;
}

/*
 * The space is taken now, but for the slots: a file system that is full later must not kill us with
 * SIGBUS.
 */
static int
open_file(const char *path, uint64_t reserved, uint64_t bytes, struct errbuf *err)
{
    if (unlink(path) == -1 && errno != ENOENT)
        return errbuf_set(err, "segment %s: cannot remove what is left of it: %s", path,
                          strerror(errno));
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd == -1)
        return errbuf_set(err, "segment %s: %s", path, strerror(errno));
    int error = posix_fallocate(fd, 0, (off_t)reserved);
    if (error == 0 &&
        (ftruncate(fd, (off_t)bytes) == -1 || fchmod(fd, 0640) == -1 || take_lock(fd) == -1))
        error = errno;
    if (error == 0)
        return fd;
    close(fd);
    unlink(path);
    return errbuf_set(err, "segment %s: cannot reserve %llu bytes: %s", path,
                      (unsigned long long)reserved, strerror(error));
}

/* Puts the new one into place; whoever looks meanwhile finds the old one or the new. */
static int
move_into_place(const char *made, const char *path, struct errbuf *err)
{
    char old[sizeof(((struct segment *)NULL)->path) + 8];
    snprintf(old, sizeof(old), "%s.old", path);
    if (renameat2(AT_FDCWD, made, AT_FDCWD, path, RENAME_EXCHANGE) == 0)
        return rename(made, old) == 0 ? 0
                                      : errbuf_set(err, "segment: cannot rename %s to %s: %s", made,
                                                   old, strerror(errno));
    /* There is none, or the file system cannot exchange. */
    if (rename(path, old) == -1 && errno != ENOENT)
        return errbuf_set(err, "segment: cannot rename %s to %s: %s", path, old, strerror(errno));
    if (rename(made, path) == -1)
        return errbuf_set(err, "segment: cannot rename %s to %s: %s", made, path, strerror(errno));
    return 0;
}

static int
map(struct segment *segment, int flags, struct errbuf *err)
{
    void *p = mmap(NULL, segment->bytes, PROT_READ | PROT_WRITE, flags, segment->fd, 0);
    if (p == MAP_FAILED)
        return errbuf_set(err, "segment %s: cannot map %zu bytes: %s", segment->path,
                          segment->bytes, strerror(errno));
    segment->header = p;
    return 0;
}

int
segment_create(struct segment *segment, const char *directory, const char *instance,
               unsigned n_slots, int64_t period_ms, struct errbuf *err)
{
    struct shm_header sizes = {0};
    char made[sizeof(segment->path) + 8];
    assert(n_slots >= 1 && n_slots <= 1024);
    *segment = (struct segment){.fd = -1, .bytes = shm_lay_out(&sizes, n_slots)};
    if ((size_t)snprintf(segment->path, sizeof(segment->path), "%s/%s.shm", directory, instance) >=
        sizeof(segment->path))
        return errbuf_set(err, "segment: the path of %s/%s.shm is too long", directory, instance);
    snprintf(made, sizeof(made), "%s.new", segment->path);
    if (check_predecessor(segment->path, err) == -1)
        return -1;
    /* The master's own slot comes with the rest. */
    segment->fd = open_file(made, sizes.slots_at + sizes.slot_bytes, segment->bytes, err);
    if (segment->fd == -1)
        return -1;
    if (map(segment, MAP_SHARED, err) == 0) {
        fill_in(segment, instance, n_slots, period_ms);
        if (move_into_place(made, segment->path, err) == 0)
            return 0;
    }
    segment_close(segment);
    unlink(made);
    return -1;
}

int
segment_create_private(struct segment *segment, const char *instance, unsigned n_slots,
                       int64_t period_ms, struct errbuf *err)
{
    struct shm_header sizes = {0};
    *segment = (struct segment){.fd = -1, .bytes = shm_lay_out(&sizes, n_slots)};
    snprintf(segment->path, sizeof(segment->path), "(private)");
    if (map(segment, MAP_SHARED | MAP_ANONYMOUS, err) == -1)
        return -1;
    fill_in(segment, instance, n_slots, period_ms);
    return 0;
}

int
segment_reserve(const struct segment *segment, unsigned slot, struct errbuf *err)
{
    const struct shm_header *h = segment->header;
    assert(slot <= h->n_slots);
    if (segment->fd == -1) /* anonymous memory */
        return 0;
    int error = posix_fallocate(segment->fd, (off_t)(h->slots_at + slot * h->slot_bytes),
                                (off_t)h->slot_bytes);
    if (error == 0)
        return 0;
    return errbuf_set(err, "segment %s: cannot reserve %llu bytes: %s", segment->path,
                      (unsigned long long)h->slot_bytes, strerror(error));
}

void
segment_close(struct segment *segment)
{
    if (segment->header != NULL)
        munmap(segment->header, segment->bytes);
    if (segment->fd != -1)
        close(segment->fd);
    *segment = (struct segment){.fd = -1};
}

struct shm_slot *
segment_slot(const struct segment *segment, unsigned slot)
{
    assert(slot <= segment->header->n_slots);
    return shm_slot_at(segment->header, slot);
}
