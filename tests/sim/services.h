/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services.h - what a worker's servers and its disk have in common here: answers that come by an
 * event, and the end of whoever waits for them.
 *
 * Process: tests/sim/sim.  Owner: the store or the dead letters.  Concurrency: one thread.
 */
#ifndef TESTS_SIM_SERVICES_H
#define TESTS_SIM_SERVICES_H

#include "store/store.h"
#include "tests/sim/life.h"

/* Of a request; on the stack of who waits. */
struct answer {
    bool there;
    int64_t number; /* what it says */
    int fd;
};

enum waited { WAITED_ANSWER, WAITED_TIME, WAITED_GIVEN_UP };

/* At a seed's beginning: no table, no transaction. */
void services_begin(void);

/* Has an answer come at that time, unless it is not waited for any more. */
void services_answer_at(int64_t at_ns, struct answer *answer, int64_t number);

/* Waits for it, as long as the hooks allow. It does not come after that. */
enum waited services_wait(const struct store_hooks *hooks, struct answer *answer,
                          int64_t until_ms);

/* Waits a while, for what a server takes. Returns: false if it was given up. */
bool services_take_time(const struct store_hooks *hooks, int fd, enum chance slow);

/* A process is gone: connections end, jobs too. */
void services_note_end(struct life *life);

/* The parts of the two above that are others'. */
void transactions_begin(void);
void transactions_note_end(struct life *life);

/* The stores. */
extern const struct store_ops sim_rows, sim_transactions;

#endif
