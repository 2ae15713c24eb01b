/* SPDX-License-Identifier: Apache-2.0 */
/* fiber.c - see fiber.h. */
#include "lib/fiber.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fiber_watch.h"

/* libpq below GSSAPI or OpenSSL, and a signal's frame with all registers on top of that. */
enum { STACK_BYTES = 1 << 20, SLEEP_MAX_MS = 3600000 };

struct fiber {
    struct fiber *next;
    void (*run)(void *arg);
    void *arg;
    ucontext_t context, resumer;
    char *map; /* a page that faults, then the stack; NULL once it has ended */
    struct pollfd *fds;
    size_t n_fds; /* 0 while it runs and after its end */
    int64_t until_ms;
    bool woken; /* since it was resumed; or it has not begun, or a descriptor is ready */
    bool ended;
    struct fiber_watch watch;
};

struct fibers {
    struct fiber *first, **last;
    struct fibers_os os;
    struct pollfd *fds; /* room for the caller's own and every fiber's */
    size_t n_fibers;
};

static _Thread_local struct fiber *running;
static _Thread_local unsigned forbidden;

/* --- switching --- */

static void
switch_context(ucontext_t *from, ucontext_t *to)
{
    if (swapcontext(from, to) == -1)
        abort();
}

/* Where a fiber begins. It never returns: its context has no successor. */
static void
begin(void)
{
    struct fiber *f = running;
    fiber_watch_entered(&f->watch);
    f->run(f->arg);
    f->ended = true;
    fiber_watch_leave(&f->watch, true);
    switch_context(&f->context, &f->resumer);
    abort();
}

/* Runs a fiber until it waits or ends. */
static void
resume(struct fiber *f)
{
    running = f;
    f->woken = false;
    fiber_watch_enter(&f->watch);
    switch_context(&f->resumer, &f->context);
    fiber_watch_left(&f->watch);
    running = NULL;
}

void
fiber_wait(struct pollfd *fds, size_t n, int64_t until_ms)
{
    struct fiber *f = running;
    assert(f != NULL && forbidden == 0 && n <= FIBER_FDS_MAX);
    for (size_t i = 0; i < n; i++)
        fds[i].revents = 0;
    f->fds = fds;
    f->n_fds = n;
    f->until_ms = until_ms;
    fiber_watch_leave(&f->watch, false);
    switch_context(&f->context, &f->resumer);
    fiber_watch_entered(&f->watch);
    f->n_fds = 0;
}

struct fiber *
fiber_running(void)
{
    return running;
}

void
fiber_forbid(void)
{
    forbidden++;
}

void
fiber_allow(void)
{
    assert(forbidden > 0);
    forbidden--;
}

void
fiber_wake(struct fiber *fiber)
{
    fiber->woken = true;
}

bool
fiber_has_ended(const struct fiber *fiber)
{
    return fiber->ended;
}

/* --- the group --- */

static int
poll_fds(void *arg, struct pollfd *fds, size_t n, int wait_ms)
{
    (void)arg;
    return poll(fds, n, wait_ms);
}

static int64_t
now_mono_ms(void *arg)
{
    (void)arg;
    return clock_mono_ms();
}

/* Room for the descriptors of n fibers, so that a sleep has nothing to allocate. */
static int
reserve_fds(struct fibers *fibers, size_t n)
{
    struct pollfd *fds = reallocarray(fibers->fds, n + 1, FIBER_FDS_MAX * sizeof(*fds));
    if (fds == NULL)
        return -1;
    fibers->fds = fds;
    return 0;
}

struct fibers *
fibers_new(const struct fibers_os *os)
{
    struct fibers *fibers = calloc(1, sizeof(*fibers));
    if (fibers == NULL)
        return NULL;
    fibers->last = &fibers->first;
    fibers->os = os != NULL ? *os : (struct fibers_os){.poll = poll_fds, .now_ms = now_mono_ms};
    if (reserve_fds(fibers, 0) == 0)
        return fibers;
    free(fibers);
    return NULL;
}

static size_t
guard_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static int
make_stack(struct fiber *f)
{
    size_t guard = guard_bytes();
    char *map = mmap(NULL, guard + STACK_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return -1;
    if (mprotect(map, guard, PROT_NONE) == -1) {
        munmap(map, guard + STACK_BYTES);
        return -1;
    }
    f->map = map;
    fiber_watch_add(&f->watch, map + guard, STACK_BYTES);
    return 0;
}

static void
free_stack(struct fiber *f)
{
    if (f->map == NULL)
        return;
    fiber_watch_remove(&f->watch);
    munmap(f->map, guard_bytes() + STACK_BYTES);
    f->map = NULL;
}

void
fibers_free(struct fibers **fibers_p)
{
    struct fibers *fibers = *fibers_p;
    *fibers_p = NULL;
    if (fibers == NULL)
        return;
    assert(running == NULL);
    while (fibers->first != NULL) {
        struct fiber *f = fibers->first;
        fibers->first = f->next;
        free_stack(f);
        free(f);
    }
    free(fibers->fds);
    free(fibers);
}

static void
init_context(struct fiber *f)
{
    if (getcontext(&f->context) == -1)
        abort();
    f->context.uc_stack = (stack_t){.ss_sp = f->map + guard_bytes(), .ss_size = STACK_BYTES};
    f->context.uc_link = NULL;
    makecontext(&f->context, begin, 0);
}

struct fiber *
fibers_add(struct fibers *fibers, void (*run)(void *arg), void *arg)
{
    if (reserve_fds(fibers, fibers->n_fibers + 1) == -1)
        return NULL;
    struct fiber *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    if (make_stack(f) == -1) {
        free(f);
        return NULL;
    }
    init_context(f);
    f->run = run;
    f->arg = arg;
    f->woken = true;
    *fibers->last = f;
    fibers->last = &f->next;
    fibers->n_fibers++;
    return f;
}

static bool
is_ready(const struct fiber *f, int64_t now_ms)
{
    return !f->ended && (f->woken || f->until_ms <= now_ms);
}

void
fibers_run(struct fibers *fibers)
{
    assert(running == NULL); /* fibers do not run fibers */
    int64_t now_ms = fibers->os.now_ms(fibers->os.arg);
    for (struct fiber *f = fibers->first; f != NULL; f = f->next) {
        if (is_ready(f, now_ms))
            resume(f);
        if (f->ended)
            free_stack(f);
    }
}

bool
fibers_are_ready(const struct fibers *fibers)
{
    int64_t now_ms = fibers->os.now_ms(fibers->os.arg);
    for (const struct fiber *f = fibers->first; f != NULL; f = f->next)
        if (is_ready(f, now_ms))
            return true;
    return false;
}

/* --- sleeping --- */

/*
 * What all wait for: copied behind the caller's own. *until_ms becomes the earliest of all times.
 * Returns: how many descriptors there are.
 */
static size_t
gather(struct fibers *fibers, const struct pollfd *own, size_t n_own, int64_t *until_ms)
{
    size_t n = 0;
    for (size_t i = 0; i < n_own; i++)
        fibers->fds[n++] = own[i];
    for (const struct fiber *f = fibers->first; f != NULL; f = f->next) {
        if (f->ended)
            continue;
        for (size_t i = 0; i < f->n_fds; i++)
            fibers->fds[n++] = f->fds[i];
        if (f->woken)
            *until_ms = INT64_MIN;
        else if (f->until_ms < *until_ms)
            *until_ms = f->until_ms;
    }
    return n;
}

/* Tells each what poll(2) said; who has a descriptor that is ready need not wait any more. */
static void
tell(struct fibers *fibers, struct pollfd *own, size_t n_own)
{
    size_t n = 0;
    for (size_t i = 0; i < n_own; i++)
        own[i].revents = fibers->fds[n++].revents;
    for (struct fiber *f = fibers->first; f != NULL; f = f->next)
        for (size_t i = 0; i < f->n_fds; i++) {
            f->fds[i].revents = fibers->fds[n++].revents;
            f->woken |= f->fds[i].revents != 0;
        }
}

void
fibers_sleep(struct fibers *fibers, struct pollfd *own, size_t n_own, int64_t until_ms)
{
    assert(running == NULL && n_own <= FIBER_FDS_MAX);
    for (size_t i = 0; i < n_own; i++)
        own[i].revents = 0;
    size_t n = gather(fibers, own, n_own, &until_ms);
    int64_t now_ms = fibers->os.now_ms(fibers->os.arg), wait_ms = 0;
    if (until_ms > now_ms)
        wait_ms = until_ms < now_ms + SLEEP_MAX_MS ? until_ms - now_ms : SLEEP_MAX_MS;
    if (fibers->os.poll(fibers->os.arg, fibers->fds, n, (int)wait_ms) > 0)
        tell(fibers, own, n_own);
}
