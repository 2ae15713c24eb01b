/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master.h - who starts workers, and whatever goes wrong with the world now and then.
 *
 * Process: tests/sim/sim.  Owner: master.c.  Concurrency: one thread.
 */
#ifndef TESTS_SIM_MASTER_H
#define TESTS_SIM_MASTER_H

#include "tests/sim/life.h"

/* Starts the workers, the messages and the faults. */
void master_begin(void);

/* A worker has ended by itself: another takes its place. */
void master_note_end(struct life *life);

/* It has read what no worker survives. */
void master_note_killer(struct life *life);

/* Nothing goes wrong any more. */
void master_calm(void);

/* All are to stop, for good. */
void master_stop_all(void);

#endif
