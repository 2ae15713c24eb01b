/* SPDX-License-Identifier: Apache-2.0 */
/* spread.c - see spread.h. */
#include "lib/spread.h"

#include <sys/random.h>
#include <unistd.h>

#include "lib/clock.h"

_Atomic uint64_t spread_secret;

uint64_t
spread_draw(void)
{
    uint64_t drawn, none = 0;
    if (getrandom(&drawn, sizeof(drawn), GRND_NONBLOCK) != (ssize_t)sizeof(drawn))
        drawn = (uint64_t)clock_wall_ns() ^ (uint64_t)getpid() << 40; /* early at boot */
    drawn |= 1;
    return atomic_compare_exchange_strong(&spread_secret, &none, drawn) ? drawn : none;
}
