/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - the stores this build has.
 *
 * Process: all.  Owner: constant data.  Concurrency: none needed.
 */
#include "store/store.h"

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
    }
    return NULL;
}
