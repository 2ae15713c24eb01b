/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fiber.h - functions on stacks of their own, which are put aside while they wait, and the one
 * place that sleeps for all of them.
 *
 * So that what is to be done one thing after the other (a transaction, a request, its retries) is
 * written one thing after the other, and yet the process goes on with other things meanwhile.
 * Nothing is preempted: a fiber runs until it waits or ends. What others may change is therefore to
 * be looked at anew after a wait, and after a wait only; errno is unknown then, too.
 * The stacks are switched by swapcontext(3), so each fiber has a signal mask of its own: that of
 * when it was added.
 *
 * Process: workers.  Owner: the caller of fibers_new; a fiber is its group's.
 * Concurrency: one thread for all of a group; other threads may have groups of their own.
 */
#ifndef LIB_FIBER_H
#define LIB_FIBER_H

#include <poll.h>

#include "lib/base.h"

enum { FIBER_FDS_MAX = 64 }; /* descriptors that one fiber, or the sleeper itself, waits for */

struct fibers; /* a group that is waited for together */
struct fiber;

/* The clock and the sleep, so that a simulation can put its own in their place. */
struct fibers_os {
    /* As poll(2); wait_ms is never negative. May return early. */
    int (*poll)(void *arg, struct pollfd *fds, size_t n, int wait_ms);
    /* Milliseconds that only go forward. */
    int64_t (*now_ms)(void *arg);
    void *arg;
};

/*
 * Takes: clock and sleep, copied; NULL: poll(2) and clock_mono_ms.
 * Returns: an empty group, or NULL if memory is out.
 */
struct fibers *fibers_new(const struct fibers_os *os) MUST_CHECK;

/* Frees the group and its fibers, nulls it; not to be called in one of them. What fibers that have
 * not ended hold is lost. */
void fibers_free(struct fibers **fibers);

/*
 * Adds a fiber, which begins to run with the next fibers_run. Its stack is of 1 MiB, of which only
 * what is touched takes memory, with a page before it that must not be touched.
 * Takes: its function, which may return at any time; its argument.
 * Returns: the fiber, which belongs to the group; NULL if memory is out.
 */
struct fiber *fibers_add(struct fibers *fibers, void (*run)(void *arg), void *arg) MUST_CHECK;

/*
 * Runs every fiber that need not wait any more, in the order they were added, once each: also one
 * that another has woken meanwhile. Not to be called in a fiber.
 */
void fibers_run(struct fibers *fibers);

/* Returns: true if fibers_run would run any: fibers_sleep would not sleep. */
bool fibers_are_ready(const struct fibers *fibers);

/*
 * Sleeps until a fiber need not wait any more, or one of the caller's own descriptors is ready, or
 * it is time, or a signal's handler has run; for an hour at most. Allocates nothing.
 * Takes: descriptors as poll(2), up to FIBER_FDS_MAX, whose revents are set (0: not ready); the
 * latest time, by the group's clock, INT64_MAX for none.
 */
void fibers_sleep(struct fibers *fibers, struct pollfd *own, size_t n_own, int64_t until_ms);

/*
 * A fiber need not wait any more, whatever it waits for. That is remembered: the next wait of one
 * that runs now only lets the others have their turn. One that has not begun just begins.
 */
void fiber_wake(struct fiber *fiber);

/* Returns: true once its function has returned. */
bool fiber_has_ended(const struct fiber *fiber);

/* Returns: the fiber that runs now in this thread, or NULL outside of all. */
struct fiber *fiber_running(void);

/*
 * Puts the fiber that calls it aside until one of the descriptors is ready, or it is time, or
 * fiber_wake was called.
 * Takes: descriptors as poll(2), up to FIBER_FDS_MAX, whose revents are set (0: not ready); the
 * latest time, by the group's clock, which may be past: then it only lets the others have their
 * turn; INT64_MAX for none.
 */
void fiber_wait(struct pollfd *fds, size_t n, int64_t until_ms);

/*
 * Around what calls back from inside a library, where a wait would have the library called again
 * while it is half-way through something: a wait asserts that it is in none. Calls nest; also
 * outside of fibers.
 */
void fiber_forbid(void);
void fiber_allow(void);

#endif
