/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ewma.h - a meter's three moving averages, as DropWizard Metrics means them.
 *
 * Every five seconds a meter ticks: what was counted since the last tick, divided by five seconds,
 * is the present rate, and each average moves towards it by 1 - exp(-5 s / its window).  The first
 * tick sets them to the present rate.  Source: DropWizard Metrics 3, com.codahale.metrics.EWMA and
 * Meter; written anew from the formula.  (What dropwizard-metrics 3.0.1's servlet prints as m1 is
 * m15 and the other way round; here each is what its name says.)
 *
 * Pure.  Process: admin.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef ADMIN_EWMA_H
#define ADMIN_EWMA_H

#include "lib/base.h"

enum { EWMA_TICK_MS = 5000 };

/* Events per second, over about one, five and fifteen minutes. All 0: has not ticked yet. */
struct ewma {
    double m1, m5, m15;
    bool started;
};

/* Takes: events since the last tick. */
void ewma_tick(struct ewma *e, uint64_t events);

#endif
