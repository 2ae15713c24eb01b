/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.h - the numbers of the rows a store holds, with what it needs to know of each: a growable
 * array.
 *
 * Process: workers.  Owner: the store.  Concurrency: one thread.
 */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include <stdlib.h>

#include "lib/base.h"

/*
 * Makes room for one more element.
 * Takes: the array, its capacity, how many are in use, an element's size.
 * Returns: the array, perhaps moved, or NULL if memory is out (the old one stays good).
 */
static inline void *
rows_reserve(void *array, size_t *capacity, size_t n, size_t size)
{
    if (n < *capacity)
        return array;
    size_t more = *capacity == 0 ? 1024 : *capacity * 2;
    void *bigger = realloc(array, more * size);
    if (bigger != NULL)
        *capacity = more;
    return bigger;
}

#endif
