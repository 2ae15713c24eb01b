/*
 * slot.h - what a worker tells its master while it runs: counters, state, heartbeat.
 *
 * The mapping is made by the master before the first fork and shared by all children.  One writer
 * per slot and field: the worker while it lives, the master before it forks and after it has
 * reaped. (The versioned segment that other programs read, with timings and periods, will take this
 * file's place: issue "The figures".)
 *
 * Process: master and workers.  Owner: the master maps it; it ends with the last process.
 * Concurrency: every field is a lock-free C11 atomic; relaxed order suffices, since each is read by
 * itself.
 */
#ifndef SHM_SLOT_H
#define SHM_SLOT_H

#include <stdatomic.h>

#include "lib/base.h"
#include "lib/reject.h"

/* What a worker is doing. The master sets DEAD and BACKOFF, the worker the rest. */
enum slot_state {
    SLOT_FREE,      /* no worker is meant to be here */
    SLOT_STARTING,  /* forked, not yet consuming */
    SLOT_IDLE,      /* consuming, but no partition assigned */
    SLOT_CONSUMING, /* collecting a batch */
    SLOT_WRITING,   /* in a call to the store */
    SLOT_RETRYING,  /* holds a batch the store would not take; waiting to try again */
    SLOT_DRAINING,  /* stopping: finishing or giving back its batch */
    SLOT_DEAD,      /* reaped; about to be forked again */
    SLOT_BACKOFF,   /* died repeatedly; the next fork is delayed: a crash loop */
    SLOT_STATES
};

struct slot {
    /* totals over all generations of the slot; the identity
     * received = completed + rejected + returned + (messages in hand) holds between two batches */
    _Alignas(128) _Atomic uint64_t received; /* messages taken from Kafka */
    _Atomic uint64_t completed;              /* confirmed by the store */
    _Atomic uint64_t rejected;               /* durable in the dead letters */
    _Atomic uint64_t rejected_by[REJECT_REASONS];
    _Atomic uint64_t returned; /* given back unstored: partitions revoked or lost, stop, death */
    _Atomic uint64_t batches;  /* store writes that were confirmed whole */
    _Atomic uint64_t store_errors;   /* attempts at writing that the store did not take */
    _Atomic uint64_t offset_resets;  /* partitions whose position was not there any more */
    _Atomic uint64_t offset_skipped; /* messages lost by such resets, where that is known */
    _Atomic uint64_t commits, commits_failed;
    _Atomic uint64_t rebalances;
    _Atomic uint64_t kafka_errors;
    /* gauges */
    _Atomic uint64_t partitions;  /* owned now */
    _Atomic uint64_t in_flight;   /* messages in hand */
    _Atomic int64_t heartbeat_ms; /* clock_mono_ms() of the last turn of the worker's loop */
    _Atomic int64_t state_since_ms;
    _Atomic uint32_t state; /* enum slot_state */
    /* the master's */
    _Atomic uint32_t generation; /* forks of this slot so far */
    _Atomic uint64_t crashes;    /* deaths that were not asked for */
    _Atomic uint64_t hangs;      /* of these: killed for want of a heartbeat */
    _Atomic int32_t pid;         /* 0 if none runs */
};

/* Returns: the state's name in lower case; static. */
const char *slot_state_name(enum slot_state state);

/* Sets state and since-when, if it differs; now by clock_mono_ms. */
void slot_set_state(struct slot *slot, enum slot_state state);

/*
 * Maps room for `count` zeroed slots (1..4096) that children share.
 * Returns: the first, or NULL with errno. Never unmapped.
 */
struct slot *slot_map(size_t count) MUST_CHECK;

/* Adds to a counter of which this process is the only writer: a plain load and store, no lock
 * prefix. */
static inline void
slot_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline uint64_t
slot_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static inline void
slot_set(_Atomic uint64_t *gauge, uint64_t n)
{
    atomic_store_explicit(gauge, n, memory_order_relaxed);
}

#endif
