/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fiber.c - functions that are put aside while they wait, and go on where they were.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fiber.h"

static struct fibers *group;
static char trace[64];
static size_t traced;

static void
note(char c)
{
    trace[traced++] = c;
    trace[traced] = '\0';
}

static void
setup(void)
{
    traced = 0;
    trace[0] = '\0';
    group = fibers_new();
    cr_assert_not_null(group);
}

static void
teardown(void)
{
    fibers_free(&group);
}

TestSuite(fiber, .init = setup, .fini = teardown);

static void
say_twice(void *arg)
{
    const char *name = arg;
    note(name[0]);
    fiber_wait(NULL, 0, 0);
    note(name[0]);
}

Test(fiber, fibers_have_their_turns_and_end)
{
    char a[] = "a", b[] = "b";
    struct fiber *first = fibers_add(group, say_twice, a);
    struct fiber *second = fibers_add(group, say_twice, b);
    cr_assert(fibers_are_ready(group));
    fibers_run(group);
    cr_assert_str_eq(trace, "ab");
    cr_assert(!fiber_has_ended(first));
    fibers_run(group);
    cr_assert_str_eq(trace, "abab");
    cr_assert(fiber_has_ended(first) && fiber_has_ended(second));
    cr_assert(!fibers_are_ready(group));
    fibers_run(group);
    cr_assert_str_eq(trace, "abab");
    cr_assert_null(fiber_running());
}

static int pipe_fds[2];

static void
read_pipe(void *arg)
{
    (void)arg;
    struct pollfd fd = {.fd = pipe_fds[0], .events = POLLIN};
    fiber_wait(&fd, 1, INT64_MAX);
    note(fd.revents & POLLIN ? 'r' : '-');
    fiber_wait(&fd, 1, clock_mono_ms() + 20);
    note(fd.revents == 0 ? 't' : 'r');
}

Test(fiber, waits_for_descriptors_and_for_a_time)
{
    char byte = 'x';
    cr_assert_eq(pipe(pipe_fds), 0);
    struct fiber *fiber = fibers_add(group, read_pipe, NULL);
    fibers_run(group);
    cr_assert_not(fibers_are_ready(group));
    fibers_sleep(group, NULL, 0, clock_mono_ms());
    fibers_run(group);
    cr_assert_str_eq(trace, "", "nothing has come");
    cr_assert_eq(write(pipe_fds[1], &byte, 1), 1);
    fibers_sleep(group, NULL, 0, INT64_MAX);
    cr_assert(fibers_are_ready(group));
    fibers_run(group);
    cr_assert_str_eq(trace, "r");
    cr_assert_eq(read(pipe_fds[0], &byte, 1), 1);
    while (!fiber_has_ended(fiber)) {
        fibers_sleep(group, NULL, 0, INT64_MAX);
        fibers_run(group);
    }
    cr_assert_str_eq(trace, "rt");
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

Test(fiber, the_callers_descriptors_are_looked_at_too)
{
    cr_assert_eq(pipe(pipe_fds), 0);
    cr_assert_not_null(fibers_add(group, read_pipe, NULL));
    fibers_run(group);
    struct pollfd own[] = {{.fd = pipe_fds[1], .events = POLLOUT}};
    fibers_sleep(group, own, 1, INT64_MAX);
    cr_assert_eq(own[0].revents, POLLOUT);
    cr_assert_not(fibers_are_ready(group));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static struct fiber *self;

static void
wait_for_ever(void *arg)
{
    (void)arg;
    note('a');
    fiber_wake(self); /* before it waits: the wait is short */
    fiber_wait(NULL, 0, INT64_MAX);
    note('b');
    fiber_wait(NULL, 0, INT64_MAX);
    note('c');
}

Test(fiber, a_wake_is_remembered_once)
{
    self = fibers_add(group, wait_for_ever, NULL);
    fibers_run(group);
    cr_assert_str_eq(trace, "a", "others have their turn in between");
    fibers_run(group);
    cr_assert_str_eq(trace, "ab");
    fibers_run(group);
    cr_assert_not(fibers_are_ready(group));
    cr_assert_str_eq(trace, "ab");
    fiber_wake(self);
    fibers_run(group);
    cr_assert_str_eq(trace, "abc");
}

/* Each has a stack of its own, as deep as it needs. */
static int
sum_up(int n)
{
    volatile char space[256] = {0};
    if (n == 0)
        return space[n];
    if (n % 100 == 0)
        fiber_wait(NULL, 0, 0);
    return sum_up(n - 1) + 1 + space[0];
}

static int sums[2];

static void
go_deep(void *arg)
{
    int *sum = arg;
    *sum = sum_up(2000);
}

Test(fiber, stacks_are_their_own)
{
    struct fiber *one = fibers_add(group, go_deep, &sums[0]);
    struct fiber *two = fibers_add(group, go_deep, &sums[1]);
    for (int i = 0; i < 100 && !(fiber_has_ended(one) && fiber_has_ended(two)); i++)
        fibers_run(group);
    cr_assert_eq(sums[0], 2000);
    cr_assert_eq(sums[1], 2000);
}

/* What waits when the group is freed goes with it. */
Test(fiber, a_group_can_be_freed_with_fibers_that_wait)
{
    self = fibers_add(group, wait_for_ever, NULL);
    fibers_run(group);
}
