/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_job.c - jobs end in their order, nobody ever waits for one that hangs, and each argument is
 * freed once, by whoever is last.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: the helper thread of lib/job.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/job.h"

static _Atomic int n_ran, n_freed;

struct task {
    int gate; /* descriptor that is read first; -1: none */
    int order;
    sigset_t blocked;
    char name[16];
};

static void
run_task(void *arg)
{
    struct task *t = arg;
    eventfd_t count;
    if (t->gate != -1)
        eventfd_read(t->gate, &count); /* hangs as long as the test wants it to */
    pthread_sigmask(SIG_SETMASK, NULL, &t->blocked);
    pthread_getname_np(pthread_self(), t->name, sizeof(t->name));
    t->order = atomic_fetch_add(&n_ran, 1) + 1;
}

static void
free_task(void *arg)
{
    free(arg);
    atomic_fetch_add(&n_freed, 1);
}

static struct task *
make_task(int gate)
{
    struct task *t = calloc(1, sizeof(*t));
    cr_assert_not_null(t);
    t->gate = gate;
    return t;
}

static struct job *
start(struct jobs *jobs, int gate)
{
    struct job *job = job_start(jobs, run_task, free_task, make_task(gate));
    cr_assert_not_null(job);
    return job;
}

static struct jobs *
make_jobs(void)
{
    struct jobs *jobs = jobs_new("a disk");
    cr_assert_not_null(jobs);
    return jobs;
}

static int
make_gate(void)
{
    int gate = eventfd(0, EFD_SEMAPHORE);
    cr_assert_neq(gate, -1);
    return gate;
}

static bool
is_readable(struct jobs *jobs, int wait_ms)
{
    struct pollfd p = {.fd = jobs_fd(jobs), .events = POLLIN};
    return poll(&p, 1, wait_ms) == 1;
}

/* As an owner does it: sleeps on the descriptor, empties it, looks. */
static void
await_end(struct jobs *jobs, struct job *job)
{
    while (!job_has_ended(job)) {
        cr_assert(is_readable(jobs, 60000), "the job does not end");
        jobs_clear(jobs);
    }
}

static void
await_count(_Atomic int *count, int n)
{
    for (int64_t end_ms = clock_mono_ms() + 60000; atomic_load(count) < n; usleep(1000))
        cr_assert_lt(clock_mono_ms(), end_ms, "%d instead of %d", atomic_load(count), n);
    cr_assert_eq(atomic_load(count), n);
}

static void
await_busy(struct jobs *jobs)
{
    int64_t end_ms = clock_mono_ms() + 60000;
    while (jobs_busy_ms(jobs, clock_mono_ms()) == 0) {
        cr_assert_lt(clock_mono_ms(), end_ms, "the job does not begin");
        usleep(1000);
    }
}

Test(job, ends_and_says_so)
{
    struct jobs *jobs = make_jobs();
    cr_assert_not(is_readable(jobs, 0));
    cr_assert_eq(jobs_busy_ms(jobs, clock_mono_ms()), 0);
    struct job *job = start(jobs, -1);
    cr_assert(is_readable(jobs, 60000));
    cr_assert(job_has_ended(job));
    cr_assert_eq(jobs_busy_ms(jobs, clock_mono_ms()), 0);
    const struct task *t = job_arg(job);
    cr_assert_eq(t->order, 1);
    jobs_clear(jobs);
    cr_assert_not(is_readable(jobs, 0));
    jobs_clear(jobs); /* of nothing: does not wait */
    job_release(&job);
    cr_assert_null(job);
    cr_assert_eq(atomic_load(&n_freed), 1);
    jobs_abandon(&jobs);
    cr_assert_null(jobs);
}

Test(job, runs_on_a_named_thread_that_gets_no_signals)
{
    struct jobs *jobs = make_jobs();
    struct job *job = start(jobs, -1);
    await_end(jobs, job);
    const struct task *t = job_arg(job);
    cr_assert_str_eq(t->name, "a disk");
    cr_assert(sigismember(&t->blocked, SIGTERM) && sigismember(&t->blocked, SIGUSR1));
    sigset_t here;
    pthread_sigmask(SIG_SETMASK, NULL, &here);
    cr_assert_not(sigismember(&here, SIGTERM), "the owner's own mask is as before");
    job_release(&job);
    jobs_abandon(&jobs);
}

Test(job, runs_in_order)
{
    enum { N = 200 };
    struct jobs *jobs = make_jobs();
    struct job *job[N];
    for (int i = 0; i < N; i++)
        job[i] = start(jobs, -1);
    await_end(jobs, job[N - 1]);
    for (int i = 0; i < N; i++) {
        cr_assert(job_has_ended(job[i]));
        cr_assert_eq(((struct task *)job_arg(job[i]))->order, i + 1);
        job_release(&job[i]);
    }
    cr_assert_eq(atomic_load(&n_freed), N);
    jobs_abandon(&jobs);
}

Test(job, says_for_how_long_it_hangs)
{
    struct jobs *jobs = make_jobs();
    int gate = make_gate();
    struct job *job = start(jobs, gate);
    await_busy(jobs);
    int64_t now_ms = clock_mono_ms();
    cr_assert_geq(jobs_busy_ms(jobs, now_ms + 5000), 5000);
    cr_assert_eq(jobs_busy_ms(jobs, 0), 1, "a time from before its start");
    cr_assert_not(job_has_ended(job));
    cr_assert_not(is_readable(jobs, 0));
    eventfd_write(gate, 1);
    await_end(jobs, job);
    cr_assert_eq(jobs_busy_ms(jobs, now_ms + 5000), 0);
    job_release(&job);
    jobs_abandon(&jobs);
}

Test(job, left_behind_frees_itself_and_wakes_nobody)
{
    struct jobs *jobs = make_jobs();
    int gate = make_gate();
    struct job *hangs = start(jobs, gate);
    await_busy(jobs);
    struct job *never = start(jobs, -1), *last = start(jobs, gate);
    job_release(&hangs);
    job_release(&never);
    cr_assert_eq(atomic_load(&n_freed), 0, "the thread still has both");
    eventfd_write(gate, 1);
    await_count(&n_freed, 2);
    cr_assert_not(is_readable(jobs, 0));
    eventfd_write(gate, 1);
    await_end(jobs, last);
    cr_assert_eq(((struct task *)job_arg(last))->order, 2, "what had not begun never ran");
    job_release(&last);
    jobs_abandon(&jobs);
}

/* Waits as one who does, once; then it gives up, if it is told to. */
static bool
wait_for_it(void *arg, struct pollfd *fds, size_t n, int64_t until_ms)
{
    const bool *patient = arg;
    cr_assert_eq(n, 1u);
    cr_assert_eq(until_ms, INT64_MAX);
    return *patient && poll(fds, 1, 60000) == 1;
}

Test(job, run_and_waited_for)
{
    struct jobs *jobs = make_jobs();
    int gate = make_gate();
    bool patient = true;
    struct task *task = make_task(-1);
    cr_assert(jobs_run(jobs, run_task, free_task, task, wait_for_it, &patient));
    cr_assert_eq(task->order, 1, "it has run, and is still the caller's");
    free(task);
    patient = false;
    cr_assert_not(jobs_run(jobs, run_task, free_task, make_task(gate), wait_for_it, &patient));
    cr_assert_eq(atomic_load(&n_freed), 0, "the thread has it, or will");
    eventfd_write(gate, 1);
    await_count(&n_freed, 1);
    jobs_abandon(&jobs);
}

Test(job, abandoned_while_one_hangs)
{
    struct jobs *jobs = make_jobs();
    int gate = make_gate();
    struct job *hangs = start(jobs, gate);
    await_busy(jobs);
    struct job *kept = start(jobs, -1), *released = start(jobs, -1);
    job_release(&released);
    jobs_abandon(&jobs); /* does not wait */
    cr_assert_not(job_has_ended(hangs));
    job_release(&hangs);
    eventfd_write(gate, 1);
    await_count(&n_freed, 2);
    cr_assert_not(job_has_ended(kept));
    job_release(&kept);
    await_count(&n_freed, 3);
    cr_assert_eq(atomic_load(&n_ran), 1);
}

Test(job, abandoned_unused_or_twice)
{
    struct jobs *jobs = make_jobs();
    struct job *none = NULL;
    jobs_abandon(&jobs);
    jobs_abandon(&jobs);
    job_release(&none);
    cr_assert_null(jobs);
}

/* Releases race with ends: each argument is freed once (the sanitizers see if it is not). */
Test(job, many_are_released_at_any_time)
{
    enum { N = 5000 };
    struct jobs *jobs = make_jobs();
    for (int i = 0; i < N; i++) {
        struct job *job = start(jobs, -1);
        for (int spin = 0; spin < i % 300 && !job_has_ended(job); spin++)
            ;
        job_release(&job);
    }
    await_count(&n_freed, N);
    jobs_abandon(&jobs);
}

Test(job, without_descriptors_there_is_none)
{
    struct rlimit before, few = {200, 200};
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    few.rlim_max = before.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (dup(STDIN_FILENO) != -1)
        ;
    struct jobs *jobs = jobs_new("a disk");
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0); /* Criterion wants some */
    cr_assert_null(jobs);
}

Test(job, without_a_thread_the_argument_stays_the_callers)
{
    struct jobs *jobs = make_jobs();
    struct task *t = make_task(-1);
    pthread_attr_t attr;
    cr_assert_eq(pthread_attr_init(&attr), 0);
    cr_assert_eq(pthread_attr_setstacksize(&attr, (size_t)1 << 50), 0); /* more than there is */
    cr_assert_eq(pthread_setattr_default_np(&attr), 0);
    cr_assert_null(job_start(jobs, run_task, free_task, t));
    cr_assert_eq(atomic_load(&n_freed), 0);

    cr_assert_eq(pthread_attr_setstacksize(&attr, (size_t)1 << 20), 0);
    cr_assert_eq(pthread_setattr_default_np(&attr), 0);
    struct job *job = job_start(jobs, run_task, free_task, t); /* the next one tries again */
    cr_assert_not_null(job);
    await_end(jobs, job);
    job_release(&job);
    jobs_abandon(&jobs);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* Takes all the memory there is, down to the smallest piece. (The sanitizers need some.) */
static void
use_up_memory(void)
{
    struct rlimit little = {64 << 20, 64 << 20};
    cr_assert_eq(setrlimit(RLIMIT_AS, &little), 0);
    for (size_t size = 1 << 20; size > 1024; size /= 2)
        while (malloc(size) != NULL)
            ;
    for (size_t size = 1024; size > 0; size -= 16)
        while (malloc(size) != NULL)
            ;
}

Test(job, without_memory_the_argument_stays_the_callers, .exit_code = 42)
{
    struct jobs *jobs = make_jobs();
    struct task *t = make_task(-1);
    use_up_memory();
    struct jobs *no_jobs = jobs_new("names");
    struct job *no_job = job_start(jobs, run_task, free_task, t);
    bool refused = no_jobs == NULL && no_job == NULL && atomic_load(&n_freed) == 0;
    _exit(refused ? 42 : 1); /* Criterion itself wants memory */
}
#endif
