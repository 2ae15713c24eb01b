/* SPDX-License-Identifier: Apache-2.0 */
/* stop.c - see stop.h. */
#include "perf/stop.h"

#include <stddef.h>

static volatile sig_atomic_t asked;

static void
on_signal(int number)
{
    (void)number;
    asked = asked == 0 ? 1 : 2;
}

const volatile sig_atomic_t *
stop_on_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    return &asked;
}
