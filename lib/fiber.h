/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fiber.h - functions on stacks of their own, which are put aside while they wait, and the one
 * place that sleeps for all of them.
 *
 * So that what is to be done one thing after the other (a transaction, a request, a rebalance) is
 * written one thing after the other, and yet the process goes on with other things meanwhile.
 * Nothing is preempted: a fiber runs until it waits or ends.  The stacks are of swapcontext(3).
 *
 * Process: any that makes them.  Owner: the caller of fibers_new; a fiber is its group's.
 * Concurrency: one thread for all of a group.
 */
#ifndef LIB_FIBER_H
#define LIB_FIBER_H

#include <poll.h>

#include "lib/base.h"

struct fibers; /* a group that is waited for together */
struct fiber;

/* Returns: an empty group, or NULL if memory is out. */
struct fibers *fibers_new(void) MUST_CHECK;

/* Frees the group and its fibers; of those that have not ended, what they hold is lost. */
void fibers_free(struct fibers **fibers);

/*
 * Adds a fiber, which begins to run with the next fibers_run.
 * Takes: its function, which may return at any time; its argument.
 * Returns: the fiber, which belongs to the group; NULL if memory is out.
 */
struct fiber *fibers_add(struct fibers *fibers, void (*run)(void *arg), void *arg) MUST_CHECK;

/* Runs every fiber that need not wait any more, once each. */
void fibers_run(struct fibers *fibers);

/*
 * Sleeps until a fiber need not wait any more, or one of the caller's own descriptors is ready, or
 * it is time.
 * Takes: descriptors as poll(2), whose revents are set; the latest time, by clock_mono_ms.
 */
void fibers_sleep(struct fibers *fibers, struct pollfd *own, size_t n_own, int64_t until_ms);

/* Returns: whether fibers_run would run one. */
bool fibers_are_ready(const struct fibers *fibers);

/* A fiber need not wait any more, whatever it waits for: if it does not wait now, the next time. */
void fiber_wake(struct fiber *fiber);

/* Returns: true once its function has returned. */
bool fiber_has_ended(const struct fiber *fiber);

/*
 * Puts the fiber that calls it aside until one of the descriptors is ready, it is time, or
 * fiber_wake was called.
 * Takes: descriptors as poll(2), up to FIBER_FDS_MAX, whose revents are set (0: not ready);
 * the latest time, by clock_mono_ms, INT64_MAX for none.
 */
void fiber_wait(struct pollfd *fds, size_t n, int64_t until_ms);

#define FIBER_FDS_MAX 64

/* Returns: the fiber that runs now, or NULL outside of all. */
struct fiber *fiber_running(void);

#endif
