/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fiber_watch.h - tells the sanitizers and valgrind that stacks are switched; nothing in a build
 * without them.
 *
 * Only for lib/fiber.c. Its functions are inlined by force: the thread sanitizer keeps a list of
 * calls for each stack, and a function must return on the one that it was called on.
 *
 * Process: any.  Owner: struct fiber.  Concurrency: as lib/fiber.h.
 * Source: sanitizer/common_interface_defs.h, tsan_interface.h, lsan_interface.h of gcc and clang;
 * "The Client Request mechanism" in valgrind's manual.
 */
#ifndef LIB_FIBER_WATCH_H
#define LIB_FIBER_WATCH_H

#include "config.h"

#include "lib/base.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_WATCH_ADDRESSES 1
#endif
#if __has_feature(thread_sanitizer)
#define FIBER_WATCH_THREADS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define FIBER_WATCH_ADDRESSES 1
#endif
#if defined(__SANITIZE_THREAD__)
#define FIBER_WATCH_THREADS 1
#endif

#ifdef FIBER_WATCH_ADDRESSES
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef FIBER_WATCH_THREADS
#include <sanitizer/tsan_interface.h>
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/valgrind.h>
#endif

#define FIBER_WATCH static inline __attribute__((always_inline))

/* What they want to be told again later, for one fiber. */
struct fiber_watch {
    void *stack;
    size_t bytes;
    void *shadow, *resumer_shadow; /* of the address sanitizer */
    const void *resumer_stack;
    size_t resumer_bytes;
    void *thread, *resumer_thread; /* of the thread sanitizer */
    unsigned id;                   /* valgrind's */
};

FIBER_WATCH void
fiber_watch_add(struct fiber_watch *w, void *stack, size_t bytes)
{
    *w = (struct fiber_watch){.stack = stack, .bytes = bytes};
#ifdef FIBER_WATCH_ADDRESSES
    __lsan_register_root_region(stack, bytes); /* what only a waiting fiber points to is no leak */
#endif
#ifdef FIBER_WATCH_THREADS
    w->thread = __tsan_create_fiber(0);
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
    w->id = VALGRIND_STACK_REGISTER(stack, (char *)stack + bytes);
#endif
}

/* Before the stack is unmapped. */
FIBER_WATCH void
fiber_watch_remove(struct fiber_watch *w)
{
#ifdef FIBER_WATCH_ADDRESSES
    __lsan_unregister_root_region(w->stack, w->bytes);
    __asan_unpoison_memory_region(w->stack, w->bytes); /* others may get the same addresses */
#endif
#ifdef FIBER_WATCH_THREADS
    __tsan_destroy_fiber(w->thread);
#endif
#ifdef HAVE_VALGRIND_VALGRIND_H
    VALGRIND_STACK_DEREGISTER(w->id);
#endif
    (void)w;
}

/* On the resumer's stack, before the switch to the fiber. */
FIBER_WATCH void
fiber_watch_enter(struct fiber_watch *w)
{
#ifdef FIBER_WATCH_ADDRESSES
    __sanitizer_start_switch_fiber(&w->resumer_shadow, w->stack, w->bytes);
#endif
#ifdef FIBER_WATCH_THREADS
    w->resumer_thread = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(w->thread, 0);
#endif
    (void)w;
}

/* On the fiber's stack, after it. */
FIBER_WATCH void
fiber_watch_entered(struct fiber_watch *w)
{
#ifdef FIBER_WATCH_ADDRESSES
    __sanitizer_finish_switch_fiber(w->shadow, &w->resumer_stack, &w->resumer_bytes);
#endif
    (void)w;
}

/* On the fiber's stack, before the switch back; `for_good` if it will not be entered again. */
FIBER_WATCH void
fiber_watch_leave(struct fiber_watch *w, bool for_good)
{
#ifdef FIBER_WATCH_ADDRESSES
    __sanitizer_start_switch_fiber(for_good ? NULL : &w->shadow, w->resumer_stack,
                                   w->resumer_bytes);
#endif
#ifdef FIBER_WATCH_THREADS
    __tsan_switch_to_fiber(w->resumer_thread, 0);
#endif
    (void)w;
    (void)for_good;
}

/* On the resumer's stack, after it. */
FIBER_WATCH void
fiber_watch_left(struct fiber_watch *w)
{
#ifdef FIBER_WATCH_ADDRESSES
    __sanitizer_finish_switch_fiber(w->resumer_shadow, NULL, NULL);
#endif
    (void)w;
}

#endif
