/*
 * influx_suspects.h - which rows of a request an answer points at (no I/O).
 *
 * What comes out are suspects: influxdb.c has the server confirm them.
 *
 * Process: workers.  Owner: the caller's list.  Concurrency: one thread.
 */
#ifndef STORE_INFLUX_SUSPECTS_H
#define STORE_INFLUX_SUSPECTS_H

#include "store/influx_answer.h"
#include "store/influx_rows.h"

/*
 * Orders a list by what the answer says: suspects first, and neighbours in what makes them suspect
 * (their time, their tags) next to each other, so that halves are likely to be all good or all bad.
 * Takes: the list, n >= 2; an answer BAD_POINTS.
 * Returns: where to split it, 1..n-1: after the suspects, or in the middle.
 */
size_t influx_suspects_split(const struct influx_rows *r, uint32_t *list, size_t n,
                             const struct influx_answer *answer) MUST_CHECK;

/*
 * Calls found(arg, i, why) for each unsettled row of the list whose line the answer names; the
 * callback settles it. Without memory, or if the answer was cut off, not all are found.
 */
void influx_suspects_find_named(const struct influx_rows *r, const uint32_t *list, size_t n,
                                const struct influx_answer *answer,
                                void (*found)(void *arg, uint32_t i, struct slice why), void *arg);

#endif
