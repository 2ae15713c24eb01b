/*
 * reader_priv.h - what reader.c, snapshot.c and history.c share.
 *
 * Process: any reader.  Owner: struct shm_reader.  Concurrency: one thread.
 */
#ifndef SHM_READER_PRIV_H
#define SHM_READER_PRIV_H

#include <sys/types.h>

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
    const struct shm_header *header; /* mapped read-only */
    size_t bytes;
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
};

#endif
