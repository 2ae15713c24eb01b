/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barrier.h - membarrier(2): a full fence in every running writer, asked for by the master.
 *
 * A writer says "I am in a publish" and then reads which epoch to count into; the master sets the
 * epoch and then looks whether the writer is in a publish.  Without a full fence on both sides each
 * can miss the other (Dekker).  The fence is needed once a period but would be paid at each
 * publish; so the master has the kernel put it into the writers (global expedited: those that
 * registered).
 *
 * Process: master and workers.  Owner: none.  Concurrency: any thread.
 */
#ifndef SHM_BARRIER_H
#define SHM_BARRIER_H

#include "lib/base.h"

/* Returns: true if the kernel has it and lets us use it. */
bool barrier_is_there(void);

/* The calling process will take part. Returns: false if the kernel refuses. */
bool barrier_register(void);

/* A full fence in every process that registered, and here. Returns: false if it was refused. */
bool barrier_all(void);

#endif
