/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - the stores this build has.
 *
 * Process: all.  Owner: constant data.  Concurrency: none needed.
 */
#include "store/store.h"

#include "lib/clock.h"

enum { LOOK_MS = 100 };

bool
store_wait_and_look(void *arg, struct pollfd *fds, size_t n, int64_t until_ms)
{
    const struct store_look *look = arg;
    for (;;) {
        int64_t left_ms = until_ms - clock_mono_ms();
        int ready = 0;
        for (size_t i = 0; i < n; i++)
            fds[i].revents = 0;
        if (left_ms > 0)
            ready = poll(fds, (nfds_t)n, left_ms < LOOK_MS ? (int)left_ms : LOOK_MS);
        if (!look->look(look->arg))
            return false;
        if (ready > 0 || left_ms <= LOOK_MS)
            return true;
    }
}

const struct store_ops *
store_find(enum store_driver driver)
{
    switch (driver) {
    case DRIVER_INFLUXDB:
        return &store_influxdb;
    case DRIVER_DISCARD:
        return &store_discard;
    case DRIVER_POSTGRESQL:
        return &store_postgresql;
    case DRIVER_CASSANDRA:
        return &store_cassandra;
    }
    return NULL;
}
