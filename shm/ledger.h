/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.h - the master's side of the figures: who is in which slot, closing periods, folding the
 * dead.
 *
 * Nothing here waits for a worker.  A slot whose worker is in the middle of a publish when a period
 * ends (stopped, or preempted for long) keeps its period open, and that merges into the next.  What
 * readers must see in one step is made in the one of two copies that they do not look at; so a
 * master killed at any instruction has either done a fold or not.
 *
 * Process: master.  Owner: the caller of ledger_new.  Concurrency: one thread.
 */
#ifndef SHM_LEDGER_H
#define SHM_LEDGER_H

#include "shm/recorder.h"
#include "shm/segment.h"

struct ledger;

/* Takes: a fresh segment, which outlives the ledger. Returns: a ledger, or NULL if memory is out.
 */
struct ledger *ledger_new(struct segment *segment) MUST_CHECK;
void ledger_free(struct ledger **ledger);

/*
 * Says who will live in a slot. What another process counted there stays in the instance's totals.
 * Takes: a slot in which none runs, 1..n_slots; "metrics-0", "metrics" and 0, or for a helper that
 * is no worker its name, "" and 0. Of a file's segment the slot has been reserved.
 */
void ledger_assign(struct ledger *ledger, unsigned slot, const char *name, const char *topic,
                   unsigned number);

/* Whoever is in the slot is to end and will not be forked again. */
void ledger_note_leaving(struct ledger *ledger, unsigned slot);

/*
 * Nobody is meant to be in the slot any more; its figures stay in the totals.
 * Takes: a slot in which none runs; the slot of the process that goes on under its name, whose
 * lifetime then includes this one's, or 0.
 */
void ledger_release(struct ledger *ledger, unsigned slot, unsigned heir);

/* About to fork: the slot starts a new generation at zero, in state STARTING. */
void ledger_start(struct ledger *ledger, unsigned slot);

/* Forked: its pid. */
void ledger_started(struct ledger *ledger, unsigned slot, int32_t pid);

/* What a process does that cannot say it itself, since it has no write access to the segment. */
void ledger_show(struct ledger *ledger, unsigned slot, enum slot_state state);

/* How a process ended. */
enum ledger_death {
    LEDGER_ASKED,     /* it was told to, or ended while the instance stops */
    LEDGER_EXIT,      /* it ended by itself */
    LEDGER_SIGNAL,    /* a signal */
    LEDGER_HUNG,      /* killed for want of a sign of life */
    LEDGER_LATE,      /* killed since it had not stopped in time */
    LEDGER_NOT_FORKED /* it never was */
};

/*
 * Folds a process that has been reaped into the totals: what it had in hand counts as returned.
 * Takes: how it ended; the state to show until it is started again (FREE, DEAD or BACKOFF).
 * Returns: the number of messages given back by that; -1 if its counters contradict each other.
 */
int64_t ledger_reap(struct ledger *ledger, unsigned slot, enum ledger_death death,
                    enum slot_state state);

/* Returns: what the process in a slot does, or did at last. */
enum slot_state ledger_state(const struct ledger *ledger, unsigned slot);

/* Returns: the last sign of life of the process in a slot, by clock_mono_ms. */
int64_t ledger_heartbeat_ms(const struct ledger *ledger, unsigned slot);

/* The master's own counters and gauges. Published with the next turn or period. */
struct recorder *ledger_recorder(struct ledger *ledger);

/* Says what the master is doing. */
void ledger_set_master(struct ledger *ledger, enum master_state state);

/* A configuration was taken over: the next generation of it, which processes assigned from now on
 * belong to. */
void ledger_note_reload(struct ledger *ledger);

/* A configuration was refused. Takes: why, for people; cut to SHM_TEXT_BYTES. */
void ledger_note_refused(struct ledger *ledger, const char *why);

/* A turn of the master's loop: publishes its own figures and a sign of life. */
void ledger_turn(struct ledger *ledger);

/*
 * Closes the period: collects every slot's figures, folds them, publishes instance and processes.
 * Takes: the time by clock_mono_ms; two calls are at least 1 ms apart.
 */
void ledger_close_period(struct ledger *ledger, int64_t now_ms);

/* A change of the configured length, from the next period on. */
void ledger_set_period(struct ledger *ledger, int64_t period_ms);

/* For tests only: leaves membarrier out, to show what it is for. */
void ledger_set_barrier(struct ledger *ledger, bool use);

#endif
