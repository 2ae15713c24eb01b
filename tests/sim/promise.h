/* SPDX-License-Identifier: Apache-2.0 */
/*
 * promise.h - what a worker promises, written down without a look at how it keeps it.
 *
 * Process: tests/sim/sim.  Owner: none.  Concurrency: one thread.
 */
#ifndef TESTS_SIM_PROMISE_H
#define TESTS_SIM_PROMISE_H

#include "tests/sim/load.h"
#include "worker/dead_letter.h"

/* After each step: the published figures are true, it lives, it stops in time. */
void promise_check_step(struct life *life);

/* It has left by itself: nothing is in its hands, and there was a reason. */
void promise_check_end(const struct life *life);

/* It lets a message go. */
void promise_note_released(const struct handle *handle);

/* It says that all before `next` is durable, the last of which had that time. */
void promise_check_durable(int32_t partition, int64_t next, int64_t last_ms);

/* It commits: what was released is in the published figures by then. */
void promise_check_counted(const struct life *life);

/* It writes a batch: not too large, all that is pending of it, and nothing before it is pending. */
void promise_check_write(struct life *life, const struct load *load, const struct batch *batch);

/* It buries a message: with its bytes and the right reason. */
void promise_check_letter(const struct dead_letter *letter);

/* Returns: whether every message is durable and committed. */
bool promise_all_done(void);

/* The seed is over: each message is where it belongs. */
void promise_check_all(void);

#endif
