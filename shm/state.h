/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - what a process of the instance is doing.
 *
 * Process: all.  Owner: none.  Concurrency: none needed.
 */
#ifndef SHM_STATE_H
#define SHM_STATE_H

/* The master sets FREE, STARTING, DEAD and BACKOFF, the worker the rest. */
enum slot_state {
    SLOT_FREE,      /* no worker is meant to be here */
    SLOT_STARTING,  /* forked, and has not reached its brokers yet */
    SLOT_JOINING,   /* its brokers answer; not in its group yet */
    SLOT_IDLE,      /* consuming, but no partition assigned */
    SLOT_CONSUMING, /* collecting a batch */
    SLOT_WRITING,   /* in a call to the store */
    SLOT_RETRYING,  /* holds a batch the store would not take; waiting to try again */
    SLOT_DRAINING,  /* stopping: finishing or giving back its batch */
    SLOT_DEAD,      /* reaped; about to be forked again */
    SLOT_BACKOFF,   /* died repeatedly; the next fork is delayed: a crash loop */
    SLOT_STATES
};

/* What the master itself is doing. */
enum master_state {
    MASTER_STARTING, /* workers have not been forked yet */
    MASTER_RUNNING,
    MASTER_STOPPING, /* waiting for the workers' end */
    MASTER_STOPPED,  /* the last word before it ends; the segment stays for who wants to know */
    MASTER_STATES
};

/* Returns: the state's name in lower case; static. */
const char *slot_state_name(enum slot_state state);
const char *master_state_name(enum master_state state);

#endif
