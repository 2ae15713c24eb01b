/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idset.h - a set of letters' ids.
 *
 * Process: persister-dead; the tests.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef DEAD_IDSET_H
#define DEAD_IDSET_H

#include "dead/letter.h"

/* Zero-initialize; idset_free ends it. */
struct idset {
    struct letter_id *slots; /* open addressing; {0, 0} is free */
    size_t capacity, n;
};

/* Returns: 1 if it is new, 0 if it was in, -1 if memory is out. */
int idset_add(struct idset *set, struct letter_id id) MUST_CHECK;

bool idset_has(const struct idset *set, struct letter_id id) MUST_CHECK;

void idset_free(struct idset *set);

#endif
