/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.h - what cannot be waited for by poll(2), on a thread of its own: fsync(2), resolving a name,
 * questions that librdkafka asks its brokers and waits for.
 *
 * A disk or a broker may hang for ever, so nobody ever joins such a thread: what has been left
 * behind is freed when it ends, if it ends. Things that may hang each have a thread of their own,
 * so that a hung disk does not keep a name from being resolved.
 *
 * Process: workers.  Owner: the caller of jobs_new.
 * Concurrency: all functions from the owner's one thread; run and free_arg are called on the helper
 * thread (free_arg also by job_release). While a job has not ended, its argument is the thread's.
 */
#ifndef LIB_JOB_H
#define LIB_JOB_H

#include "lib/base.h"

struct pollfd;
struct jobs; /* a helper thread and what it has to do, in the order of job_start */
struct job;

/*
 * Makes a queue of jobs; its thread starts with the first of them.
 * Takes: the thread's name as gdb and ps(1) show it; its first 15 bytes are used.
 * Returns: the queue, or NULL if memory or descriptors are out.
 */
struct jobs *jobs_new(const char *name) MUST_CHECK;

/*
 * Gives the queue up, and nulls it; never waits. Jobs that have not begun never run. One under way
 * goes on until it ends or the process does. Jobs that are still held are to be released, later or
 * before.
 */
void jobs_abandon(struct jobs **jobs);

/*
 * Returns: a descriptor that is readable when a job has ended that was not left behind, until
 * jobs_clear. It is the queue's, until jobs_abandon.
 */
int jobs_fd(const struct jobs *jobs);

/* Makes jobs_fd not readable. Call it first, then ask job_has_ended: no end is missed so. */
void jobs_clear(struct jobs *jobs);

/*
 * For how long the present job has been running.
 * Takes: the time by clock_mono_ms.
 * Returns: milliseconds, at least 1; 0 if none runs.
 */
int64_t jobs_busy_ms(const struct jobs *jobs, int64_t now_ms);

/*
 * Puts a job behind the others.
 * Takes: its function; its argument, which is the job's from now on and holds all that the function
 * uses (nothing of the caller's that may be gone by then); what frees the argument. Whatever the
 * function finds it writes there.
 * Returns: the job, for job_release; NULL if memory is out or the thread cannot be made: the
 * argument is still the caller's then.
 */
struct job *job_start(struct jobs *jobs, void (*run)(void *arg), void (*free_arg)(void *arg),
                      void *arg) MUST_CHECK;

/* Returns: true once its function has returned; what that wrote in the argument can be read then.
 */
bool job_has_ended(const struct job *job);

/* Returns: the argument, to be looked at only after job_has_ended. It is the job's. */
void *job_arg(struct job *job);

/*
 * Done with it; nulls it. A job that has ended is freed, with its argument. Another is left behind:
 * it is freed when it ends; if it has not begun, it never runs.
 */
void job_release(struct job **job);

/*
 * Runs a function as a job and waits for its end; here, if the thread cannot be made.
 * Takes: as job_start; how to wait: until the descriptor is ready, and false to give up.
 * Returns: true if it has run: the argument is the caller's. False if the wait was given up: the
 * job is left behind, with the argument.
 */
bool jobs_run(struct jobs *jobs, void (*run)(void *arg), void (*free_arg)(void *arg), void *arg,
              bool (*wait_by)(void *wait_arg, struct pollfd *fds, size_t n, int64_t until_ms),
              void *wait_arg) MUST_CHECK;

#endif
