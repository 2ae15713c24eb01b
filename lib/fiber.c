/* SPDX-License-Identifier: Apache-2.0 */
/* fiber.c - see fiber.h. */
#include "lib/fiber.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "lib/clock.h"

#if defined(__SANITIZE_ADDRESS__)
#define KNOWS_ADDRESSES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KNOWS_ADDRESSES 1
#endif
#endif
#ifdef KNOWS_ADDRESSES
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef __has_include
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id) (void)(id)
#endif

/* libpq resolves names and libcurl speaks TLS on it; only what is touched takes memory. */
enum { STACK_BYTES = 1 << 20 };

struct fiber {
    struct fiber *next;
    ucontext_t context, resumer;
    void (*run)(void *arg);
    void *arg;
    char *stack; /* its lowest page is never touched: it faults */
    unsigned valgrind_id;
    struct pollfd *fds;
    size_t n_fds;
    int64_t until_ms;
    bool ready, ended;
    void *own_shadow, *resumer_shadow; /* of the address sanitizer */
    const void *resumer_bottom;
    size_t resumer_bytes;
};

struct fibers {
    struct fiber *first;
    struct pollfd *fds;
    size_t capacity;
};

static struct fiber *running;

/* --- switching --- */

static void
before_switch(void **shadow, const void *bottom, size_t bytes)
{
#ifdef KNOWS_ADDRESSES
    __sanitizer_start_switch_fiber(shadow, bottom, bytes);
#else
    (void)shadow, (void)bottom, (void)bytes;
#endif
}

static void
after_switch(void *shadow, const void **bottom, size_t *bytes)
{
#ifdef KNOWS_ADDRESSES
    __sanitizer_finish_switch_fiber(shadow, bottom, bytes);
#else
    (void)shadow, (void)bottom, (void)bytes;
#endif
}

static size_t
page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Where a fiber begins. It never returns: its context has no successor. */
static void
begin(void)
{
    struct fiber *f = running;
    after_switch(NULL, &f->resumer_bottom, &f->resumer_bytes);
    f->run(f->arg);
    f->ended = true;
    before_switch(NULL, f->resumer_bottom, f->resumer_bytes);
    setcontext(&f->resumer);
    abort();
}

static void
resume(struct fiber *f)
{
    struct fiber *outer = running;
    assert(outer == NULL); /* fibers do not run fibers */
    f->ready = false;
    running = f;
    before_switch(&f->resumer_shadow, f->stack + page_bytes(), STACK_BYTES);
    if (swapcontext(&f->resumer, &f->context) == -1)
        abort();
    after_switch(f->resumer_shadow, NULL, NULL);
    running = outer;
}

void
fiber_wait(struct pollfd *fds, size_t n, int64_t until_ms)
{
    struct fiber *f = running;
    assert(f != NULL && n <= FIBER_FDS_MAX);
    for (size_t i = 0; i < n; i++)
        fds[i].revents = 0;
    f->fds = fds;
    f->n_fds = n;
    f->until_ms = until_ms;
    if (f->ready) /* it was woken meanwhile: the others have their turn first */
        f->until_ms = 0;
    f->ready = false;
    before_switch(&f->own_shadow, f->resumer_bottom, f->resumer_bytes);
    if (swapcontext(&f->context, &f->resumer) == -1)
        abort();
    after_switch(f->own_shadow, &f->resumer_bottom, &f->resumer_bytes);
    f->n_fds = 0;
}

struct fiber *
fiber_running(void)
{
    return running;
}

void
fiber_wake(struct fiber *fiber)
{
    fiber->ready = true;
}

bool
fiber_has_ended(const struct fiber *fiber)
{
    return fiber->ended;
}

/* --- the group --- */

struct fibers *
fibers_new(void)
{
    return calloc(1, sizeof(struct fibers));
}

static void
free_fiber(struct fiber *f)
{
    if (f->stack != NULL) {
        VALGRIND_STACK_DEREGISTER(f->valgrind_id);
#ifdef KNOWS_ADDRESSES
        __lsan_unregister_root_region(f->stack + page_bytes(), STACK_BYTES);
#endif
        munmap(f->stack, STACK_BYTES + page_bytes());
    }
    free(f);
}

void
fibers_free(struct fibers **fibers)
{
    struct fibers *group = *fibers;
    if (group == NULL)
        return;
    while (group->first != NULL) {
        struct fiber *f = group->first;
        group->first = f->next;
        free_fiber(f);
    }
    free(group->fds);
    free(group);
    *fibers = NULL;
}

static int
make_stack(struct fiber *f)
{
    char *stack = mmap(NULL, STACK_BYTES + page_bytes(), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED)
        return -1;
    if (mprotect(stack, page_bytes(), PROT_NONE) == -1) {
        munmap(stack, STACK_BYTES + page_bytes());
        return -1;
    }
    f->stack = stack;
    f->valgrind_id = VALGRIND_STACK_REGISTER(stack + page_bytes(), stack + page_bytes() + STACK_BYTES);
#ifdef KNOWS_ADDRESSES
    __lsan_register_root_region(stack + page_bytes(), STACK_BYTES);
#endif
    return 0;
}

static int
make_context(struct fiber *f)
{
    if (getcontext(&f->context) == -1)
        return -1;
    f->context.uc_stack = (stack_t){.ss_sp = f->stack + page_bytes(), .ss_size = STACK_BYTES};
    f->context.uc_link = NULL;
    makecontext(&f->context, begin, 0);
    return 0;
}

struct fiber *
fibers_add(struct fibers *fibers, void (*run)(void *arg), void *arg)
{
    struct fiber *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->run = run;
    f->arg = arg;
    f->ready = true;
    if (make_stack(f) == -1 || make_context(f) == -1) {
        free_fiber(f);
        return NULL;
    }
    struct fiber **last = &fibers->first;
    while (*last != NULL)
        last = &(*last)->next;
    *last = f;
    return f;
}

void
fibers_run(struct fibers *fibers)
{
    int64_t now_ms = clock_mono_ms();
    for (struct fiber *f = fibers->first; f != NULL; f = f->next)
        if (!f->ended && (f->ready || f->until_ms <= now_ms))
            resume(f);
}

bool
fibers_are_ready(const struct fibers *fibers)
{
    int64_t now_ms = clock_mono_ms();
    for (const struct fiber *f = fibers->first; f != NULL; f = f->next)
        if (!f->ended && (f->ready || f->until_ms <= now_ms))
            return true;
    return false;
}

/* --- sleeping --- */

static int
reserve(struct fibers *group, size_t n)
{
    if (n <= group->capacity)
        return 0;
    struct pollfd *bigger = realloc(group->fds, n * sizeof(*bigger));
    if (bigger == NULL)
        return -1;
    group->fds = bigger;
    group->capacity = n;
    return 0;
}

/* What all wait for: copied behind the caller's own. Returns how many there are. */
static size_t
gather(struct fibers *group, const struct pollfd *own, size_t n_own, int64_t *until_ms)
{
    size_t n = n_own;
    for (struct fiber *f = group->first; f != NULL; f = f->next)
        n += f->ended ? 0 : f->n_fds;
    if (reserve(group, n) == -1) { /* look again soon, then */
        int64_t soon = clock_mono_ms() + 10;
        *until_ms = soon < *until_ms ? soon : *until_ms;
        return 0;
    }
    for (n = 0; n < n_own; n++)
        group->fds[n] = own[n];
    for (struct fiber *f = group->first; f != NULL; f = f->next) {
        if (f->ended)
            continue;
        for (size_t i = 0; i < f->n_fds; i++)
            group->fds[n++] = f->fds[i];
        if (f->ready)
            *until_ms = 0;
        else if (f->until_ms < *until_ms)
            *until_ms = f->until_ms;
    }
    return n;
}

static void
tell_ready(struct fibers *group, struct pollfd *own, size_t n_own)
{
    for (size_t i = 0; i < n_own; i++)
        own[i].revents = group->fds[i].revents;
    size_t n = n_own;
    for (struct fiber *f = group->first; f != NULL; f = f->next)
        for (size_t i = 0; !f->ended && i < f->n_fds; i++, n++) {
            f->fds[i].revents = group->fds[n].revents;
            f->ready |= f->fds[i].revents != 0;
        }
}

void
fibers_sleep(struct fibers *fibers, struct pollfd *own, size_t n_own, int64_t until_ms)
{
    for (size_t i = 0; i < n_own; i++)
        own[i].revents = 0;
    size_t n = gather(fibers, own, n_own, &until_ms);
    int64_t wait_ms = until_ms - clock_mono_ms();
    if (wait_ms < 0)
        wait_ms = 0;
    else if (wait_ms > 3600000)
        wait_ms = 3600000;
    if (poll(fibers->fds, n, (int)wait_ms) > 0)
        tell_ready(fibers, own, n_own);
}
