/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meters.h - moving averages of counters, by name.
 *
 * The segment keeps no moving averages: these live in the admin process, which looks at the
 * counters every five seconds.  So they begin anew when that process does; the counts do not.
 *
 * Pure.  Process: admin.  Owner: the caller of meters_new.  Concurrency: one thread.
 */
#ifndef ADMIN_METERS_H
#define ADMIN_METERS_H

#include "admin/ewma.h"

enum { METERS_NAME_BYTES = 288 };

struct meters;

/* A counter as it is now. */
struct meters_sample {
    char name[METERS_NAME_BYTES]; /* NUL-terminated, each once */
    uint64_t count;               /* since whenever; should it have gone back, since then */
};

/* Returns: NULL if memory is out. */
struct meters *meters_new(void) MUST_CHECK;
void meters_free(struct meters **meters);

/*
 * Ticks.  A name that is new counts from 0, except at the very first time: what was counted before
 * the meters began is not theirs.  A name that is missing is forgotten.
 * Takes: all counters, which are sorted by name for the caller; how many ticks have passed since
 * the last time, 1.. (the events are the first one's, as in DropWizard); the first time that is not
 * looked at.
 * Returns: 0, or -1 if memory is out: nothing has changed then.
 */
int meters_tick(struct meters *meters, struct meters_sample *samples, size_t n,
                unsigned ticks) MUST_CHECK;

/* Returns: the averages of that name; all 0 if it has not been seen yet. */
struct ewma meters_find(const struct meters *meters, const char *name);

#endif
