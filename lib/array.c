/* SPDX-License-Identifier: Apache-2.0 */
/* array.c - see array.h. */
#include "lib/array.h"

#include <stdlib.h>

enum { FIRST = 16 };

/* Takes: a pointer to the array's pointer, of whatever type. */
static int
resize(void *array, size_t n, size_t element)
{
    void *old, *bigger;
    memcpy(&old, array, sizeof(old));
    if (n > SIZE_MAX / element || (bigger = realloc(old, n * element)) == NULL)
        return -1;
    memcpy(array, &bigger, sizeof(bigger));
    return 0;
}

int
array_grow(void *array, size_t *capacity, size_t need, size_t element)
{
    size_t n = *capacity < FIRST ? FIRST : *capacity * 2;
    if (resize(array, n < need ? need : n, element) == -1)
        return -1;
    *capacity = n < need ? need : n;
    return 0;
}

int
array_append(void *array, size_t n, size_t element)
{
    bool full = (n & (n - 1)) == 0; /* 0, 1, 2, 4, 8... */
    return full ? resize(array, n == 0 ? 1 : n * 2, element) : 0;
}
