/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spread.h - where in a table something goes that is known by a digest.
 *
 * Whoever can compute a digest can look for many that are alike in the few bits that a table goes
 * by, and make a search in it as long as the table.  So all 64 bits are multiplied by a number that
 * is secret and drawn for each process: whatever two digests are, they meet in one of n places with
 * a chance of 2/n at most (multiply-shift: Dietzfelbinger, Hagerup, Katajainen, Penttonen, A
 * Reliable Randomized Algorithm for the Closest-Pair Problem, 1997).
 *
 * Process: all; a number of its own in each that asks first.  Owner: the module holds it.
 * Concurrency: any thread.
 */
#ifndef LIB_SPREAD_H
#define LIB_SPREAD_H

#include <stdatomic.h>

#include "lib/base.h"

/* Odd; 0 until it is drawn. */
extern _Atomic uint64_t spread_secret;

/* Returns: the secret, drawn now. */
uint64_t spread_draw(void);

/*
 * Takes: the first 8 bytes of a digest, or more; the number of places, a power of two from 2.
 * Returns: 0..n_places-1.
 */
static inline size_t
spread_place(const void *digest, size_t n_places)
{
    uint64_t bits, secret = atomic_load_explicit(&spread_secret, memory_order_relaxed);
    memcpy(&bits, digest, sizeof(bits));
    if (secret == 0)
        secret = spread_draw();
    return (size_t)(bits * secret >> (64 - __builtin_ctzll(n_places)));
}

#endif
