/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_array.c - arrays that grow.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "lib/array.h"

Test(array, is_reserved_by_doubling)
{
    uint32_t *numbers = NULL;
    size_t capacity = 0, moves = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        size_t before = capacity;
        cr_assert_eq(array_reserve(&numbers, &capacity, i + 1, sizeof(*numbers)), 0);
        cr_assert_geq(capacity, i + 1);
        moves += capacity != before;
        numbers[i] = i;
    }
    for (uint32_t i = 0; i < 10000; i++)
        cr_assert_eq(numbers[i], i);
    cr_assert_leq(moves, 12u);
    cr_assert_eq(array_reserve(&numbers, &capacity, 50000, sizeof(*numbers)), 0);
    cr_assert_eq(capacity, 50000u, "as many as are needed, if that is more");
    free(numbers);
}

Test(array, one_after_the_other)
{
    uint64_t *numbers = NULL;
    for (size_t i = 0; i < 1000; i++) {
        cr_assert_eq(array_append(&numbers, i, sizeof(*numbers)), 0);
        numbers[i] = i;
    }
    for (size_t i = 0; i < 1000; i++)
        cr_assert_eq(numbers[i], i);
    free(numbers);
}

/* The address sanitizer ends a program that asks for too much, unless it is told not to. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

Test(array, what_no_memory_holds_changes_nothing)
{
    char *bytes = NULL;
    size_t capacity = 0;
    cr_assert_eq(array_reserve(&bytes, &capacity, 3, 8), 0);
    char *before = bytes;
    size_t had = capacity;
    cr_assert_eq(array_reserve(&bytes, &capacity, SIZE_MAX / 8 + 1, 8), -1, "no overflow");
    cr_assert_eq(array_reserve(&bytes, &capacity, SIZE_MAX / 32, 8), -1, "no such memory");
    cr_assert(bytes == before && capacity == had);
    free(bytes);
}
