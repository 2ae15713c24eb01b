/*
 * slot.c - see slot.h.
 *
 * Process: master and workers.  Owner: the master.  Concurrency: atomics only.
 */
#include "shm/slot.h"

#include <sys/mman.h>

#include "lib/clock.h"

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
               "counters must be lock-free");
_Static_assert(sizeof(struct slot) % 128 == 0, "slots must not share a cache line pair");

const char *
slot_state_name(enum slot_state state)
{
    static const char *const names[SLOT_STATES] = {"free",      "starting", "idle",
                                                   "consuming", "writing",  "retrying",
                                                   "draining",  "dead",     "backoff"};
    return (unsigned)state < SLOT_STATES ? names[state] : "?";
}

void
slot_set_state(struct slot *slot, enum slot_state state)
{
    if (atomic_load_explicit(&slot->state, memory_order_relaxed) == (uint32_t)state)
        return;
    atomic_store_explicit(&slot->state_since_ms, clock_mono_ms(), memory_order_relaxed);
    atomic_store_explicit(&slot->state, (uint32_t)state, memory_order_relaxed);
}

struct slot *
slot_map(size_t count)
{
    assert(count >= 1 && count <= 4096);
    void *p = mmap(NULL, count * sizeof(struct slot), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}
