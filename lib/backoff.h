/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff.h - capped exponential backoff with jitter, as a pure function of its state.
 *
 * Process: master (respawn), workers (store, dead letters).  Owner: the caller.
 * Concurrency: one thread.
 * Source of the jitter: "equal jitter" of M. Brooker, "Exponential Backoff And Jitter",
 * AWS Architecture Blog, 2015: half the delay is fixed, half is drawn.
 */
#ifndef LIB_BACKOFF_H
#define LIB_BACKOFF_H

#include "lib/base.h"

struct backoff {
    uint32_t first_ms, cap_ms; /* 1 <= first_ms <= cap_ms */
    uint32_t tries;            /* failures since the last reset */
    uint64_t seed;
};

/* Takes: the first and the longest delay in ms, any seed (differing between processes). */
void backoff_init(struct backoff *b, uint32_t first_ms, uint32_t cap_ms, uint64_t seed);

/*
 * Counts a failure.
 * Returns: ms to wait: between half and all of min(cap, first * 2^(tries-1)).
 */
uint32_t backoff_next(struct backoff *b);

/* After success: the next failure starts at first_ms again. */
void backoff_reset(struct backoff *b);

#endif
