/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_plan.h - what a configuration means to the master: who is to run, and by which times.  Part
 * of the wiring, like main.c.
 *
 * Process: master.  Owner: the caller of main_plan_make.  Concurrency: one thread.
 */
#ifndef MASTER_MAIN_PLAN_H
#define MASTER_MAIN_PLAN_H

#include "conf/cfg.h"
#include "master/master.h"

/* Crews: one for each kind of topic, by enum topic_kind, and the helpers'. */
enum { CREW_RETENTION = TOPIC_KINDS, CREW_ADMIN, CREWS };

struct main_plan {
    struct master_plan plan; /* without sender */
    struct seat *seats;
    bool same[CREWS];
};

/*
 * Takes: a configuration; the one before it, or NULL.
 * Returns: 0 with a plan for main_plan_free, or -1 with a text if memory is out.
 */
int main_plan_make(struct main_plan *plan, const struct config *cfg, const struct config *before,
                   struct errbuf *err) MUST_CHECK;

/* Frees what it holds. A zeroed one is fine. */
void main_plan_free(struct main_plan *plan);

#endif
