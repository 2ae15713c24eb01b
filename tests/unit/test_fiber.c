/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fiber.c - fibers run in turn, wait for descriptors, times and wakes, and are waited for in
 * one place, by a clock that a simulation can own.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none: one thread.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fiber.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

/* A clock that only a sleep moves. */
struct world {
    int64_t now_ms;
    int n_sleeps;
    int last_wait_ms;
    size_t last_n;
};

static int64_t
world_now(void *arg)
{
    return ((struct world *)arg)->now_ms;
}

static int
world_poll(void *arg, struct pollfd *fds, size_t n, int wait_ms)
{
    struct world *w = arg;
    w->n_sleeps++;
    w->last_wait_ms = wait_ms;
    w->last_n = n;
    int ready = poll(fds, n, 0);
    if (ready == 0)
        w->now_ms += wait_ms;
    return ready;
}

static struct fibers *
make_group(struct world *w)
{
    struct fibers_os os = {.poll = world_poll, .now_ms = world_now, .arg = w};
    struct fibers *fibers = fibers_new(w != NULL ? &os : NULL);
    cr_assert_not_null(fibers);
    return fibers;
}

static struct fiber *
add(struct fibers *fibers, void (*run)(void *arg), void *arg)
{
    struct fiber *f = fibers_add(fibers, run, arg);
    cr_assert_not_null(f);
    return f;
}

static int
make_event(void)
{
    int fd = eventfd(0, EFD_NONBLOCK);
    cr_assert_neq(fd, -1);
    return fd;
}

/* What the fibers of a test did, in order. */
static char told[200];

static void
tell_letter(char c)
{
    size_t n = strlen(told);
    cr_assert_lt(n + 1, sizeof(told));
    told[n] = c;
}

/* --- turns --- */

static void
take_three_turns(void *arg)
{
    const char *letter = arg;
    for (int i = 0; i < 3; i++) {
        tell_letter(*letter);
        fiber_wait(NULL, 0, 0);
    }
}

Test(fiber, takes_turns_in_order_once_each)
{
    struct world w = {0};
    struct fibers *fibers = make_group(&w);
    cr_assert_not(fibers_are_ready(fibers));
    char a[] = "a", b[] = "b", c[] = "c";
    struct fiber *first = add(fibers, take_three_turns, a);
    add(fibers, take_three_turns, b);
    cr_assert(fibers_are_ready(fibers));
    cr_assert_str_eq(told, "", "none runs before fibers_run");
    fibers_run(fibers);
    cr_assert_str_eq(told, "ab");
    cr_assert(fibers_are_ready(fibers));
    add(fibers, take_three_turns, c);
    fibers_run(fibers);
    cr_assert_str_eq(told, "ababc");
    fibers_run(fibers);
    cr_assert_not(fiber_has_ended(first));
    fibers_run(fibers);
    cr_assert_str_eq(told, "ababcabcc");
    cr_assert(fiber_has_ended(first));
    fibers_run(fibers);
    cr_assert_not(fibers_are_ready(fibers));
    fibers_run(fibers);
    cr_assert_str_eq(told, "ababcabcc");
    cr_assert_eq(w.n_sleeps, 0);
    fibers_free(&fibers);
    cr_assert_null(fibers);
    fibers_free(&fibers);
}

static void
look_at_self(void *arg)
{
    *(struct fiber **)arg = fiber_running();
}

Test(fiber, knows_which_runs)
{
    struct fibers *fibers = make_group(NULL);
    struct fiber *seen = NULL;
    cr_assert_null(fiber_running());
    struct fiber *f = add(fibers, look_at_self, &seen);
    fibers_run(fibers);
    cr_assert_eq(seen, f);
    cr_assert_null(fiber_running());
    fibers_free(&fibers);
}

/* --- waits --- */

struct wait {
    struct pollfd fds[2];
    size_t n;
    int64_t until_ms;
    int n_returned;
};

static void
wait_for_ever(void *arg)
{
    struct wait *wait = arg;
    for (;;) {
        fiber_wait(wait->fds, wait->n, wait->until_ms);
        wait->n_returned++;
    }
}

Test(fiber, waits_for_a_time)
{
    struct world w = {.now_ms = 1000};
    struct fibers *fibers = make_group(&w);
    struct wait late = {.until_ms = 5000}, soon = {.until_ms = 3000};
    add(fibers, wait_for_ever, &late);
    add(fibers, wait_for_ever, &soon);
    fibers_run(fibers);
    cr_assert_not(fibers_are_ready(fibers));
    fibers_sleep(fibers, NULL, 0, 2500); /* its own time is first */
    cr_assert_eq(w.now_ms, 2500);
    fibers_run(fibers);
    cr_assert_eq(late.n_returned + soon.n_returned, 0);
    fibers_sleep(fibers, NULL, 0, INT64_MAX);
    cr_assert_eq(w.now_ms, 3000);
    cr_assert(fibers_are_ready(fibers));
    soon.until_ms = INT64_MAX;
    fibers_run(fibers);
    cr_assert_eq(late.n_returned, 0);
    cr_assert_eq(soon.n_returned, 1);
    fibers_sleep(fibers, NULL, 0, INT64_MAX);
    cr_assert_eq(w.now_ms, 5000);
    late.until_ms = INT64_MAX;
    fibers_run(fibers);
    cr_assert_eq(late.n_returned, 1);
    fibers_sleep(fibers, NULL, 0, INT64_MAX);
    cr_assert_eq(w.last_wait_ms, 3600000, "nobody has a time");
    fibers_free(&fibers);
}

Test(fiber, a_time_that_is_past_lets_others_run_and_does_not_sleep)
{
    struct world w = {.now_ms = 1000};
    struct fibers *fibers = make_group(&w);
    struct wait past = {.until_ms = 0};
    add(fibers, wait_for_ever, &past);
    for (int i = 0; i < 5; i++) {
        fibers_run(fibers);
        cr_assert_eq(past.n_returned, i, "once a turn");
        fibers_sleep(fibers, NULL, 0, INT64_MAX);
        cr_assert_eq(w.last_wait_ms, 0);
    }
    fibers_sleep(fibers, NULL, 0, INT64_MIN);
    cr_assert_eq(w.now_ms, 1000);
    fibers_free(&fibers);
}

Test(fiber, waits_for_descriptors)
{
    struct world w = {0};
    struct fibers *fibers = make_group(&w);
    int never = make_event(), a = make_event(), b = make_event(), mine = make_event();
    struct wait one = {.fds = {{never, POLLIN, 0}, {a, POLLIN, 0}}, .n = 2, .until_ms = INT64_MAX};
    struct wait two = {.fds = {{b, POLLIN, 0}}, .n = 1, .until_ms = INT64_MAX};
    struct pollfd own[2] = {{mine, POLLIN, POLLIN}, {never, POLLIN, POLLIN}};
    add(fibers, wait_for_ever, &one);
    add(fibers, wait_for_ever, &two);
    fibers_run(fibers);
    eventfd_write(b, 1);
    fibers_sleep(fibers, own, 2, INT64_MAX);
    cr_assert_eq(w.last_n, 5);
    cr_assert_eq(own[0].revents | own[1].revents, 0);
    fibers_run(fibers);
    cr_assert_eq(one.n_returned, 0);
    cr_assert_eq(two.n_returned, 1);
    eventfd_t count;
    eventfd_read(b, &count);
    eventfd_write(mine, 1);
    eventfd_write(a, 1);
    fibers_sleep(fibers, own, 2, INT64_MAX);
    cr_assert_eq(own[0].revents, POLLIN);
    cr_assert_eq(own[1].revents, 0);
    cr_assert_eq(one.fds[0].revents, 0);
    cr_assert_eq(one.fds[1].revents, POLLIN);
    fibers_run(fibers);
    cr_assert_eq(one.n_returned, 1);
    cr_assert_eq(two.n_returned, 1);
    cr_assert_eq(one.fds[1].revents, 0, "a wait begins with nothing ready");
    cr_assert_eq(w.now_ms, 0);
    fibers_free(&fibers);
}

struct many {
    struct pollfd fds[FIBER_FDS_MAX];
    int n_ready;
};

static void
wait_for_many(void *arg)
{
    struct many *many = arg;
    fiber_wait(many->fds, FIBER_FDS_MAX, INT64_MAX);
    for (size_t i = 0; i < FIBER_FDS_MAX; i++)
        many->n_ready += many->fds[i].revents == POLLIN;
}

Test(fiber, waits_for_as_many_descriptors_as_are_allowed)
{
    enum { N = 5 };
    struct world w = {0};
    struct fibers *fibers = make_group(&w);
    int fd = make_event();
    struct pollfd own[FIBER_FDS_MAX];
    struct many many[N] = {0};
    for (size_t i = 0; i < FIBER_FDS_MAX; i++) {
        own[i] = (struct pollfd){.fd = fd, .events = POLLIN};
        for (size_t k = 0; k < N; k++)
            many[k].fds[i] = own[i];
    }
    for (size_t k = 0; k < N; k++)
        add(fibers, wait_for_many, &many[k]);
    fibers_run(fibers);
    eventfd_write(fd, 1);
    fibers_sleep(fibers, own, FIBER_FDS_MAX, INT64_MAX);
    cr_assert_eq(w.last_n, (N + 1) * FIBER_FDS_MAX);
    fibers_run(fibers);
    for (size_t i = 0; i < FIBER_FDS_MAX; i++)
        cr_assert_eq(own[i].revents, POLLIN);
    for (size_t k = 0; k < N; k++)
        cr_assert_eq(many[k].n_ready, FIBER_FDS_MAX);
    fibers_sleep(fibers, own, 1, INT64_MAX);
    cr_assert_eq(w.last_n, 1, "who has ended waits for nothing");
    for (size_t k = 0; k < N; k++)
        many[k].fds[0].revents = POLLERR; /* its memory is somebody else's by now */
    fibers_sleep(fibers, own, FIBER_FDS_MAX, INT64_MAX);
    for (size_t k = 0; k < N; k++)
        cr_assert_eq(many[k].fds[0].revents, POLLERR);
    fibers_free(&fibers);
}

/* --- wakes --- */

Test(fiber, is_woken_and_remembers_it)
{
    struct world w = {0};
    struct fibers *fibers = make_group(&w);
    struct wait wait = {.until_ms = INT64_MAX};
    struct fiber *f = add(fibers, wait_for_ever, &wait);
    fibers_run(fibers);
    fiber_wake(f);
    fiber_wake(f);
    cr_assert(fibers_are_ready(fibers));
    fibers_sleep(fibers, NULL, 0, INT64_MAX);
    cr_assert_eq(w.last_wait_ms, 0);
    fibers_run(fibers);
    cr_assert_eq(wait.n_returned, 1, "two wakes of one wait are one");
    cr_assert_not(fibers_are_ready(fibers));
    fibers_free(&fibers);
}

static void
wake_self_and_wait(void *arg)
{
    int *step = arg;
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN, .revents = POLLIN};
    fiber_wake(fiber_running());
    *step = 1;
    fiber_wait(&fd, 1, INT64_MAX);
    cr_assert_eq(fd.revents, 0);
    *step = 2;
    fiber_wait(NULL, 0, INT64_MAX);
    *step = 3;
}

Test(fiber, a_wake_before_the_wait_counts_once)
{
    struct fibers *fibers = make_group(NULL);
    int step = 0;
    add(fibers, wake_self_and_wait, &step);
    fibers_run(fibers);
    cr_assert_eq(step, 1, "the others have their turn first");
    cr_assert(fibers_are_ready(fibers));
    fibers_run(fibers);
    cr_assert_eq(step, 2);
    cr_assert_not(fibers_are_ready(fibers));
    fibers_run(fibers);
    cr_assert_eq(step, 2);
    fibers_free(&fibers);
}

static void
wake_other(void *arg)
{
    fiber_wake(*(struct fiber **)arg);
}

Test(fiber, one_wakes_another)
{
    struct fibers *fibers = make_group(NULL);
    struct wait wait = {.until_ms = INT64_MAX};
    struct fiber *other = NULL;
    struct fiber *waker = add(fibers, wake_other, &other);
    other = add(fibers, wait_for_ever, &wait);
    fibers_run(fibers);
    cr_assert_eq(wait.n_returned, 0, "woken before it began: it began");
    cr_assert(fiber_has_ended(waker));
    fiber_wake(waker); /* of one that has ended: nothing */
    cr_assert_not(fibers_are_ready(fibers));
    add(fibers, wake_other, &other);
    fibers_run(fibers);
    cr_assert_eq(wait.n_returned, 0, "its turn was before the waker's");
    fibers_run(fibers);
    cr_assert_eq(wait.n_returned, 1);
    fibers_free(&fibers);
}

/* --- the real clock and poll(2) --- */

static void *
write_later(void *arg)
{
    usleep(20000);
    eventfd_write(*(int *)arg, 1);
    return NULL;
}

Test(fiber, sleeps_by_poll)
{
    struct fibers *fibers = make_group(NULL);
    int fd = make_event();
    struct wait wait = {.fds = {{fd, POLLIN, 0}}, .n = 1, .until_ms = INT64_MAX};
    add(fibers, wait_for_ever, &wait);
    fibers_run(fibers);
    int64_t begin_ms = clock_mono_ms();
    fibers_sleep(fibers, NULL, 0, begin_ms + 30);
    cr_assert_geq(clock_mono_ms(), begin_ms + 30);
    pthread_t writer;
    cr_assert_eq(pthread_create(&writer, NULL, write_later, &fd), 0);
    fibers_sleep(fibers, NULL, 0, INT64_MAX);
    fibers_run(fibers);
    cr_assert_eq(wait.n_returned, 1);
    pthread_join(writer, NULL);
    fibers_free(&fibers);
}

static _Atomic int n_signals;

static void
on_signal(int number)
{
    (void)number;
    n_signals++;
}

static void *
send_signals(void *arg)
{
    while (n_signals == 0) { /* one could come before the sleep has begun */
        pthread_kill(*(pthread_t *)arg, SIGUSR1);
        usleep(20000);
    }
    for (int i = 0; i < 10; i++) {
        pthread_kill(*(pthread_t *)arg, SIGUSR1);
        usleep(20000);
    }
    return NULL;
}

Test(fiber, a_signal_ends_the_sleep)
{
    struct fibers *fibers = make_group(NULL);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    pthread_t self = pthread_self(), sender;
    cr_assert_eq(pthread_create(&sender, NULL, send_signals, &self), 0);
    struct pollfd own = {.fd = make_event(), .events = POLLIN};
    fibers_sleep(fibers, &own, 1, INT64_MAX);
    cr_assert_gt(n_signals, 0);
    cr_assert_eq(own.revents, 0);
    pthread_join(sender, NULL);
    fibers_free(&fibers);
}

/* --- stacks --- */

/* Uses some 300 KB of stack, waiting on the way down and up. */
static unsigned
go_down(unsigned depth)
{
    volatile unsigned char room[3000];
    memset((void *)(uintptr_t)room, (int)depth, sizeof(room));
    if (depth % 10 == 0)
        fiber_wait(NULL, 0, 0);
    unsigned below = depth < 100 ? go_down(depth + 1) : 0;
    for (size_t i = 0; i < sizeof(room); i++)
        cr_assert_eq(room[i], depth);
    return below + room[depth];
}

static void
go_down_often(void *arg)
{
    for (int i = 0; i < 20; i++)
        *(unsigned *)arg += go_down(1);
}

Test(fiber, keeps_a_deep_stack_over_many_switches)
{
    struct fibers *fibers = make_group(NULL);
    unsigned sum[8] = {0};
    for (size_t i = 0; i < COUNT_OF(sum); i++)
        add(fibers, go_down_often, &sum[i]);
    while (fibers_are_ready(fibers))
        fibers_run(fibers);
    for (size_t i = 0; i < COUNT_OF(sum); i++)
        cr_assert_eq(sum[i], 20 * 5050);
    fibers_free(&fibers);
}

static void
compute(void *arg)
{
    double third = 1.0 / 3.0;
    for (int i = 0; i < 1000; i++) {
        fiber_wait(NULL, 0, 0);
        third = third * 3.0 / 3.0;
    }
    *(double *)arg = third;
}

Test(fiber, keeps_floating_point)
{
    struct fibers *fibers = make_group(NULL);
    double third = 0;
    add(fibers, compute, &third);
    while (fibers_are_ready(fibers))
        fibers_run(fibers);
    cr_assert(third > 0.33 && third < 0.34);
    fibers_free(&fibers);
}

static void
begin_and_end(void *arg)
{
    ++*(int *)arg;
    fiber_wait(NULL, 0, 0);
}

/* Addresses of stacks that are gone are used again; the sanitizers know nothing of the former. */
Test(fiber, many_begin_and_end)
{
    struct fibers *fibers = make_group(NULL);
    int n = 0;
    for (int i = 0; i < 1000; i++) {
        add(fibers, begin_and_end, &n);
        fibers_run(fibers);
    }
    cr_assert_eq(n, 1000);
    fibers_free(&fibers);
}

#ifdef __SANITIZE_ADDRESS__
static void
hold_memory(void *arg)
{
    char *held = malloc(1000);
    memset(held, 'h', 1000);
    fiber_wait(NULL, 0, INT64_MAX);
    *(int *)arg = held[999];
    free(held);
}

/* Twenty, so that none is kept alive by a value that a register happens to hold. */
Test(fiber, what_a_waiting_one_holds_is_no_leak)
{
    struct fibers *fibers = make_group(NULL);
    struct fiber *f[20];
    int seen[20] = {0};
    for (size_t i = 0; i < COUNT_OF(f); i++)
        f[i] = add(fibers, hold_memory, &seen[i]);
    fibers_run(fibers);
    cr_assert_eq(__lsan_do_recoverable_leak_check(), 0);
    for (size_t i = 0; i < COUNT_OF(f); i++)
        fiber_wake(f[i]);
    fibers_run(fibers);
    for (size_t i = 0; i < COUNT_OF(f); i++)
        cr_assert_eq(seen[i], 'h');
    fibers_free(&fibers);
}
#endif

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* Down to some 1.5 MB. */
static unsigned
fall(unsigned depth)
{
    volatile unsigned char room[1000];
    room[depth % sizeof(room)] = 1;
    return depth == 1500 ? 0 : fall(depth + 1) + room[depth % sizeof(room)];
}

static void
overflow(void *arg)
{
    *(unsigned *)arg = fall(0);
}

/* The stacks lie one below the other; yet none is written to from the one above. */
Test(fiber, an_overflow_faults, .signal = SIGSEGV)
{
    struct fibers *fibers = make_group(NULL);
    unsigned n = 0;
    add(fibers, overflow, &n);
    for (int i = 0; i < 20; i++)
        add(fibers, go_down_often, &n);
    fibers_run(fibers);
}

/* The address space may grow by that much and no more. */
static void
leave_memory(size_t bytes)
{
    FILE *file = fopen("/proc/self/statm", "r");
    char text[100];
    cr_assert(file != NULL && fgets(text, sizeof(text), file) != NULL);
    fclose(file);
    size_t used = (size_t)strtoul(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
    struct rlimit limit = {used + bytes, used + bytes};
    cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

Test(fiber, without_memory_there_is_none, .exit_code = 42)
{
    struct fibers *fibers = make_group(NULL);
    int n = 0;
    leave_memory(32 << 20);
    struct fiber *f = add(fibers, begin_and_end, &n);
    while (f != NULL)
        f = fibers_add(fibers, begin_and_end, &n);
    fibers_run(fibers);
    int n_begun = n;
    fibers_run(fibers); /* they end: there is room again */
    bool again = n_begun > 0 && fibers_add(fibers, begin_and_end, &n) != NULL;
    fibers_run(fibers);
    for (size_t size = 1 << 20; size > 0; size = size > 1024 ? size / 2 : size - 16)
        while (malloc(size) != NULL)
            ;
    _exit(again && n == n_begun + 1 && fibers_new(NULL) == NULL ? 42 : 1);
}
#endif

/* --- our own bugs --- */

static void
wait_in_callback(void *arg)
{
    fiber_forbid();
    fiber_forbid();
    fiber_allow();
    ++*(int *)arg;
    fiber_wait(NULL, 0, 0);
}

Test(fiber, does_not_wait_in_a_callback, .signal = SIGABRT)
{
    struct fibers *fibers = make_group(NULL);
    int n = 0;
    add(fibers, wait_in_callback, &n);
    fibers_run(fibers);
}

static void
wait_after_callback(void *arg)
{
    fiber_forbid();
    fiber_allow();
    fiber_wait(NULL, 0, 0);
    ++*(int *)arg;
}

Test(fiber, waits_again_after_a_callback)
{
    struct fibers *fibers = make_group(NULL);
    int n = 0;
    add(fibers, wait_after_callback, &n);
    fibers_run(fibers);
    fibers_run(fibers);
    cr_assert_eq(n, 1);
    fibers_free(&fibers);
}

Test(fiber, only_a_fiber_waits, .signal = SIGABRT)
{
    fiber_wait(NULL, 0, 0);
}

static void
run_others(void *arg)
{
    fibers_run(arg);
}

Test(fiber, none_runs_others, .signal = SIGABRT)
{
    struct fibers *fibers = make_group(NULL);
    add(fibers, run_others, fibers);
    fibers_run(fibers);
}
