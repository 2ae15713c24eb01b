/* SPDX-License-Identifier: Apache-2.0 */
/* job.c - see job.h. */
#include "lib/job.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/clock.h"

enum job_state {
    JOB_PENDING, /* in the queue, or running */
    JOB_ENDED,   /* its owner frees it */
    JOB_DROPPED, /* the queue was given up: it never ran; its owner frees it */
    JOB_LEFT     /* by its owner: the thread frees it */
};

struct job {
    struct job *next;
    void (*run)(void *arg);
    void (*free_arg)(void *arg);
    void *arg;
    _Atomic int state; /* leaves JOB_PENDING once: who comes second frees the job */
};

struct jobs {
    pthread_mutex_t lock; /* of first, last and abandoned; never held while a job runs */
    pthread_cond_t change;
    struct job *first, **last;
    bool abandoned;
    bool has_thread; /* the owner's: it frees the queue itself if there is none */
    _Atomic int64_t since_ms; /* when the present job began; 0: none runs */
    int fd;
    char name[16];
};

static void
free_job(struct job *job)
{
    job->free_arg(job->arg);
    free(job);
}

/* Returns: true if its owner still has it, and frees it; else it is freed. */
static bool
end_job(struct job *job, enum job_state how)
{
    int pending = JOB_PENDING;
    if (atomic_compare_exchange_strong(&job->state, &pending, how))
        return true;
    free_job(job);
    return false;
}

/* By the thread, or by the owner if there is none. */
static void
free_jobs(struct jobs *jobs)
{
    while (jobs->first != NULL) {
        struct job *job = jobs->first;
        jobs->first = job->next;
        (void)end_job(job, JOB_DROPPED);
    }
    close(jobs->fd);
    pthread_cond_destroy(&jobs->change);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

/* --- the helper thread --- */

/* Waits for a job. Returns: it, taken from the queue; NULL if the queue was given up. */
static struct job *
take_next(struct jobs *jobs)
{
    struct job *job = NULL;
    pthread_mutex_lock(&jobs->lock);
    while (jobs->first == NULL && !jobs->abandoned)
        pthread_cond_wait(&jobs->change, &jobs->lock);
    if (!jobs->abandoned) {
        job = jobs->first;
        jobs->first = job->next;
        if (jobs->first == NULL)
            jobs->last = &jobs->first;
    }
    pthread_mutex_unlock(&jobs->lock);
    return job;
}

static void *
work(void *arg)
{
    struct jobs *jobs = arg;
    struct job *job;
    pthread_setname_np(pthread_self(), jobs->name);
    while ((job = take_next(jobs)) != NULL) {
        if (atomic_load(&job->state) != JOB_LEFT) {
            atomic_store(&jobs->since_ms, clock_mono_ms());
            job->run(job->arg);
            atomic_store(&jobs->since_ms, 0);
        }
        if (end_job(job, JOB_ENDED))
            (void)eventfd_write(jobs->fd, 1); /* fails only if it is readable anyway */
    }
    free_jobs(jobs);
    return NULL;
}

/*
 * Signals are the owner's: its handlers set flags that its own poll(2) is to be interrupted for.
 * Returns: 0, -1 if the thread cannot be made.
 */
static int
start_thread(struct jobs *jobs)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    if (pthread_attr_init(&attr) != 0)
        return -1;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int why = pthread_create(&thread, &attr, work, jobs);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    jobs->has_thread = why == 0;
    return why == 0 ? 0 : -1;
}

/* --- the queue --- */

struct jobs *
jobs_new(const char *name)
{
    struct jobs *jobs = calloc(1, sizeof(*jobs));
    if (jobs == NULL)
        return NULL;
    jobs->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (jobs->fd == -1) {
        free(jobs);
        return NULL;
    }
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->change, NULL);
    jobs->last = &jobs->first;
    snprintf(jobs->name, sizeof(jobs->name), "%s", name);
    return jobs;
}

void
jobs_abandon(struct jobs **jobs_p)
{
    struct jobs *jobs = *jobs_p;
    *jobs_p = NULL;
    if (jobs == NULL)
        return;
    if (!jobs->has_thread) {
        free_jobs(jobs);
        return;
    }
    pthread_mutex_lock(&jobs->lock);
    jobs->abandoned = true;
    pthread_cond_signal(&jobs->change);
    pthread_mutex_unlock(&jobs->lock); /* the queue is the thread's now */
}

int
jobs_fd(const struct jobs *jobs)
{
    return jobs->fd;
}

void
jobs_clear(struct jobs *jobs)
{
    eventfd_t count;
    (void)eventfd_read(jobs->fd, &count); /* fails only if none has ended */
}

int64_t
jobs_busy_ms(const struct jobs *jobs, int64_t now_ms)
{
    int64_t since_ms = atomic_load(&jobs->since_ms);
    if (since_ms == 0)
        return 0;
    return now_ms > since_ms ? now_ms - since_ms : 1;
}

/* --- one job --- */

struct job *
job_start(struct jobs *jobs, void (*run)(void *arg), void (*free_arg)(void *arg), void *arg)
{
    struct job *job = calloc(1, sizeof(*job));
    if (job == NULL)
        return NULL;
    if (!jobs->has_thread && start_thread(jobs) == -1) {
        free(job);
        return NULL;
    }
    job->run = run;
    job->free_arg = free_arg;
    job->arg = arg;
    atomic_init(&job->state, JOB_PENDING);
    pthread_mutex_lock(&jobs->lock);
    *jobs->last = job;
    jobs->last = &job->next;
    pthread_cond_signal(&jobs->change);
    pthread_mutex_unlock(&jobs->lock);
    return job;
}

bool
job_has_ended(const struct job *job)
{
    return atomic_load(&job->state) == JOB_ENDED;
}

void *
job_arg(struct job *job)
{
    return job->arg;
}

void
job_release(struct job **job_p)
{
    struct job *job = *job_p;
    *job_p = NULL;
    if (job == NULL)
        return;
    int pending = JOB_PENDING;
    if (!atomic_compare_exchange_strong(&job->state, &pending, JOB_LEFT))
        free_job(job);
}

bool
jobs_run(struct jobs *jobs, void (*run)(void *arg), void (*free_arg)(void *arg), void *arg,
         bool (*wait_by)(void *wait_arg, struct pollfd *fds, size_t n, int64_t until_ms),
         void *wait_arg)
{
    struct job *job = job_start(jobs, run, free_arg, arg);
    if (job == NULL) {
        run(arg);
        return true;
    }
    bool goes_on = true;
    while (!job_has_ended(job) && goes_on) {
        struct pollfd fd = {.fd = jobs->fd, .events = POLLIN};
        goes_on = wait_by(wait_arg, &fd, 1, INT64_MAX);
        jobs_clear(jobs);
    }
    bool ended = job_has_ended(job);
    if (ended)
        free(job);
    else
        job_release(&job);
    return ended;
}
