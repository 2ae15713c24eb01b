/* SPDX-License-Identifier: Apache-2.0 */
/*
 * array.h - arrays that grow: by doubling, so that appending is cheap however many there are.
 *
 * Process: all.  Owner: the caller's memory, to be freed by free(3).  Concurrency: any thread.
 */
#ifndef LIB_ARRAY_H
#define LIB_ARRAY_H

#include "lib/base.h"

/*
 * Makes room for so many elements.
 * Takes: the array's address (T **, of NULL or what this returned before); its capacity, in
 * elements, which is updated; the size of an element. New elements are not set to anything.
 * Returns: 0, or -1 if memory is out: all is as it was.
 */
static inline int array_reserve(void *array, size_t *capacity, size_t need,
                                size_t element) MUST_CHECK;

/*
 * Makes room for one more, in an array that is grown by this alone, one after the other: its
 * capacity is the next power of two, and is kept nowhere.
 * Takes: as array_reserve; how many are in it.
 * Returns: as array_reserve.
 */
int array_append(void *array, size_t n, size_t element) MUST_CHECK;

/* array_reserve's, where there is not room enough yet. */
int array_grow(void *array, size_t *capacity, size_t need, size_t element) MUST_CHECK;

static inline int
array_reserve(void *array, size_t *capacity, size_t need, size_t element)
{
    return need <= *capacity ? 0 : array_grow(array, capacity, need, element);
}

#endif
