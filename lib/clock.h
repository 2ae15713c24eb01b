/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - the two clocks: one that only goes forward, one that people read.
 *
 * Process: all.  Owner: none.  Concurrency: any thread.
 */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds of CLOCK_MONOTONIC: for durations and deadlines; the same in all processes of a host.
 */
static inline int64_t
clock_mono_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline int64_t
clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000;
}

/* Nanoseconds since 1970, UTC. */
static inline int64_t
clock_wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Milliseconds since 1970, UTC: for what people and stores read. */
static inline int64_t
clock_wall_ms(void)
{
    return clock_wall_ns() / 1000000;
}

#endif
