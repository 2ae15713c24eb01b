/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm-play.h - the parts that processes (shm-torture) or threads (shm-threads) play: recorders that
 * say elsewhere what they are about to publish, and readers that check every snapshot.
 *
 * Process: tests.  Owner: struct play is shared by all; a log has one recorder at a time.
 * Concurrency: said at each member.
 */
#ifndef TESTS_SHM_PLAY_H
#define TESTS_SHM_PLAY_H

#include "shm/snapshot.h"
#include "tests/shm/shm-model.h"

enum { PLAY_READERS_MAX = 16 };

/*
 * What the recorder of a slot says outside the segment.  after[K & 1] is what its figures must be
 * once chunk K is published; it is complete before `intent` becomes K, and left alone until `done`
 * is K.  So after a death the figures are after[done & 1] or after[intent & 1].
 */
struct play_log {
    _Atomic uint64_t intent; /* about to publish chunk K */
    _Atomic uint64_t done;   /* published chunk K; K goes on over the generations */
    uint64_t base;           /* of this generation: K before its first; the master sets it */
    struct model after[2];
};

/* What a reader found. It writes, the main program looks when the reader has ended. */
struct play_result {
    _Atomic uint64_t snapshots, processes, late, looks_back, failures;
    struct errbuf first; /* the first failure's text */
};

struct play {
    uint64_t seed;
    unsigned n_slots;
    _Atomic bool stop_recorders, stop_readers;
    struct play_result results[PLAY_READERS_MAX];
    struct play_log logs[]; /* by slot; 0 is not used */
};

/* Returns: how many bytes it takes. */
size_t play_bytes(unsigned n_slots);

/* Before a slot's next generation: chunks up to `base` are in the totals. */
void play_prepare(struct play *play, unsigned slot, uint64_t base);

/*
 * Records and publishes one chunk after the other until the play stops.
 * Takes: how many us to rest every 64 chunks, 0: never; how many chunks at most, 0: no bound.
 */
void play_recorder(struct play *play, unsigned slot, struct recorder *recorder, unsigned rest_us,
                   uint64_t max_chunks);

/* Takes snapshots without pause and checks them until the play stops. */
void play_reader(struct play *play, unsigned number, struct shm_reader *reader);

#endif
