/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm-model.h - what the processes of the shm tests record, and what must come of it.
 *
 * A chunk is a set of figures that is published in one step.  Its contents follow from a seed, the
 * slot and the chunk's number K, and its figures are tied together so that a reader who has never
 * seen the chunk can tell whether all of a copy's words belong to it:
 *   - sums that hold for every chunk, so for a process, an instance and a period as well
 *     (request.count = completed, delay.sum = 3 request.sum, decode.sum = bytes_in, ...);
 *   - the level "lag" is a fingerprint of all other figures, "lag_committed" one of the buckets;
 *   - the timing "commit" is K itself (times 64, plus the slot), once a chunk: a process's minima
 *     and maxima of "commit" must tile the numbers 1.. without a gap or an overlap.
 * The model adds chunks up by itself, without the code under test.
 *
 * Process: tests.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef TESTS_SHM_MODEL_H
#define TESTS_SHM_MODEL_H

#include "lib/errbuf.h"
#include "shm/recorder.h"

enum { MODEL_CHUNK_TIMINGS = 16, MODEL_SLOTS = 64 /* what "commit" has room for */ };

struct model_timing {
    enum stat_timing timing;
    uint64_t ns, weight;
};

struct model_chunk {
    uint64_t k;
    uint64_t values[STAT_VALUES]; /* to be added, or the level */
    unsigned n_timings;
    struct model_timing timings[MODEL_CHUNK_TIMINGS];
};

/* The figures of one generation of a process, or of several folded. No percentiles. */
struct model {
    struct stat_figures figures;
    uint64_t buckets[SHM_BUCKET_WORDS];
};

/* Advances a pseudo-random state (SplitMix64, G. Steele et al.). Returns: the next number. */
uint64_t model_random(uint64_t *state);

/* Returns: the timing "commit" in ns that chunk K of a slot records. */
uint64_t model_commit_ns(uint64_t k, unsigned slot);

void model_clear(struct model *model);

/*
 * Says what a chunk holds.
 * Takes: a seed; the slot, 1..MODEL_SLOTS - 1; the chunk's number, 1..; messages in flight before.
 */
void model_plan(struct model_chunk *chunk, uint64_t seed, unsigned slot, uint64_t k,
                uint64_t in_flight);

/* Adds a chunk. The fingerprints are wrong until model_seal. */
void model_apply(struct model *model, const struct model_chunk *chunk);

/* Sets the two fingerprints. */
void model_seal(struct model *model);

/* Records a chunk after which the figures are the model's; without publishing it. */
void model_record(struct recorder *recorder, const struct model_chunk *chunk,
                  const struct model *after);

/* What a process had in hand is given back, and its levels are gone: it died. */
void model_settle(struct model *model);

/* Adds the figures of a dead process, which has been settled, to others. */
void model_fold(struct model *into, const struct model *dead);

/* Returns: the fingerprint of the figures of one process, of those of its buckets. */
uint64_t model_fingerprint(const struct stat_figures *figures);
uint64_t model_bucket_fingerprint(const uint64_t *buckets);

/*
 * Checks the sums that hold for all that is made of whole chunks.
 * Takes: figures of a process, an instance or a period; whether levels belong to the same span (not
 * so in a period).
 * Returns: 0, or -1 with a text.
 */
int model_check_sums(const struct stat_figures *figures, bool levels,
                     struct errbuf *err) MUST_CHECK;

/* Checks the figures of one living process against their fingerprint. */
int model_check_process(const struct stat_figures *figures, struct errbuf *err) MUST_CHECK;

/* Checks that each timing's count is the sum of its buckets (SHM_BUCKET_WORDS of them). */
int model_check_buckets(const struct stat_figures *figures, const uint64_t *buckets,
                        struct errbuf *err) MUST_CHECK;

/* Checks that no total went back from one snapshot to the next. */
int model_check_growth(const struct stat_figures *before, const struct stat_figures *after,
                       struct errbuf *err) MUST_CHECK;

/* Compares counters and timings, and levels if wanted; not what only the master counts. */
int model_compare(const struct stat_figures *expected, const struct stat_figures *found,
                  bool levels, bool extremes, struct errbuf *err) MUST_CHECK;

#endif
