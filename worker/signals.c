/* SPDX-License-Identifier: Apache-2.0 */
/* signals.c - see signals.h. */
#include "worker/signals.h"

#include <signal.h>

#include "lib/clock.h"

enum { ONE_REQUEST_MS = 500 };

static volatile sig_atomic_t stops_asked, reopens_asked, excused;
static volatile int64_t stop_asked_ms; /* only the handler uses it */

static void
on_signal(int number)
{
    if (number == SIGUSR1 || number == SIGUSR2) {
        *(number == SIGUSR1 ? &reopens_asked : &excused) = 1;
        return;
    }
    int64_t now = clock_mono_ms(); /* clock_gettime is async-signal-safe */
    if (stops_asked == 0 || (stops_asked == 1 && now - stop_asked_ms >= ONE_REQUEST_MS)) {
        stops_asked++;
        stop_asked_ms = now;
    }
}

void
signals_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
    sigset_t unblock;
    sigemptyset(&unblock);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct sigaction old;
        sigaddset(&unblock, numbers[i]);
        /* A worker below a master ignores INT: the terminal sends it to the whole group. */
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
            continue;
        sigaction(numbers[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_UNBLOCK, &unblock, NULL);
}

unsigned
signals_stops(void)
{
    return (unsigned)stops_asked;
}

bool
signals_excused(void)
{
    return excused != 0;
}

bool
signals_take_reopen(void)
{
    bool asked = reopens_asked != 0;
    reopens_asked = 0;
    return asked;
}
