/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader_priv.h - what reader.c, snapshot.c and history.c share.
 *
 * Process: any reader.  Owner: struct shm_reader.  Concurrency: one thread.
 */
#ifndef SHM_READER_PRIV_H
#define SHM_READER_PRIV_H

#include <sys/types.h>

#include "shm/guarded_map.h"
#include "shm/span.h"

/* A slot as it was read last. */
struct reader_slot {
    bool live;           /* a generation that is not in the retired totals */
    bool ended;          /* one that is, and nobody has followed it yet */
    bool late;           /* it could not be copied just now: words are of before */
    uint32_t generation; /* whose words they are */
    uint64_t words[SHM_COPY_WORDS];
    uint64_t retired[SHM_WORD_EPOCH]; /* the sums of the slot's dead */
    bool assigned;
    struct snapshot_process about; /* who it is, and its last period; without totals */
};

/* What the book says of the instance. */
struct reader_book {
    uint64_t period;
    int64_t ended_ms, length_ms;
    struct stat_figures last_period;
};

struct shm_reader {
    struct guarded_map map;          /* unused if the mapping is somebody else's */
    const struct shm_header *header; /* mapped read-only; only what changes is read from it */
    struct shm_header fixed;         /* a copy of what does not change, as it was checked */
    struct shm_trust trust;          /* with which it was opened */
    uid_t owner;                     /* of the file */
    int fd;
    dev_t device;
    ino_t inode;
    bool same_boot;
    int64_t mono_to_wall_ms; /* to be added to times of the monotonic clock */
    char path[512];
    struct reader_slot *slots; /* n_slots + 1 */
    struct reader_book book;
    struct span sums; /* the retired totals, then the instance's */
    uint64_t scratch[SHM_COPY_WORDS];
    unsigned retries; /* to copy slots, that are left to this snapshot */
};

/*
 * Where things are in the mapping. By the reader's own copy of the header: whoever can write to the
 * file can change the header after it was checked.
 */
static inline const void *
reader_at(const struct shm_reader *r, uint64_t offset)
{
    return (const char *)r->header + offset;
}

static inline const struct shm_slot *
reader_slot_at(const struct shm_reader *r, unsigned slot)
{
    return reader_at(r, r->fixed.slots_at + slot * r->fixed.slot_bytes);
}

static inline const struct shm_retired *
reader_retired_at(const struct shm_reader *r, uint64_t fold)
{
    return reader_at(r, r->fixed.retired_at + (fold & 1) * r->fixed.retired_bytes);
}

static inline const struct shm_book *
reader_book_at(const struct shm_reader *r, uint64_t book)
{
    return reader_at(r, r->fixed.book_at + (book & 1) * r->fixed.book_bytes);
}

static inline const struct shm_period *
reader_period_at(const struct shm_reader *r, uint64_t number)
{
    return (const struct shm_period *)reader_at(r, r->fixed.periods_at) + number % SHM_PERIODS;
}

/* Returns: the highest slot that may be looked at. */
static inline unsigned
reader_slots_used(const struct shm_reader *r)
{
    uint32_t used = atomic_load_explicit(&r->header->slots_used, memory_order_acquire);
    return used < r->fixed.n_slots ? used : r->fixed.n_slots;
}

/* A time or a span in ms, as anybody can have written it, within what can be added and told. */
static inline int64_t
reader_bound_ms(int64_t ms)
{
    const int64_t last = INT64_C(253402300799999); /* of the year 9999 */
    return ms < 0 ? 0 : ms > last ? last : ms;
}

#endif
