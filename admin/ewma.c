/* SPDX-License-Identifier: Apache-2.0 */
/* ewma.c - see ewma.h. */
#include "admin/ewma.h"

#include <math.h>

static const double tick_seconds = EWMA_TICK_MS / 1000.0;

static void
move(double *average, double rate, double window_minutes)
{
    *average += (1 - exp(-tick_seconds / 60 / window_minutes)) * (rate - *average);
}

void
ewma_tick(struct ewma *e, uint64_t events)
{
    double rate = (double)events / tick_seconds;
    if (!e->started) {
        *e = (struct ewma){.m1 = rate, .m5 = rate, .m15 = rate, .started = true};
        return;
    }
    move(&e->m1, rate, 1);
    move(&e->m5, rate, 5);
    move(&e->m15, rate, 15);
}
