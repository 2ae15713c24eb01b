/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - a batch's rows as both simulated stores keep them.
 *
 * Process: tests/sim/sim.  Owner: the store.  Concurrency: one thread.
 */
#ifndef TESTS_SIM_LOAD_H
#define TESTS_SIM_LOAD_H

#include "tests/sim/services.h"

enum { LOADS_MAX = 16 };

struct load_row {
    uint32_t row;
    size_t message; /* as the record said: not what the batch says of the row */
};

struct load {
    struct load_row *rows;
    size_t n, capacity;
    int64_t last;    /* the last row since it was reset; -1: none */
    int64_t full_ns; /* since when it has all the rows or bytes a batch may have; 0: it has not */
    /* of the store that keeps the offsets */
    struct transaction *doubt; /* whose COMMIT was not answered */
    bool committed;            /* it was looked up: it is in */
};

struct sim_store {
    struct store store;
    const struct store_hooks *hooks;
    struct life *life;
    int fd;
    struct load *loads[LOADS_MAX];
    size_t n_loads;
    /* of the store that keeps the offsets */
    struct transaction *open;
    int64_t open_ns; /* since when it is waited for */
    size_t n_owned;
    struct store_position owned[PARTITIONS_MAX];
    int64_t epochs[PARTITIONS_MAX];
};

struct store *load_open(const struct store_ops *ops, const struct store_hooks *hooks,
                        struct errbuf *err);
void load_close(struct store **store);
struct store_load *load_new(struct store *store);
void load_reset(struct store *store, struct store_load *load);
void load_free(struct store *store, struct store_load **load);
enum store_added load_add(struct store *store, struct store_load *load,
                          const struct record *record, uint32_t row, struct reject *why);
size_t load_bytes(const struct store_load *load);

/* Returns: since when the first is full of those of a worker's store; INT64_MAX: none is. */
int64_t load_full_ns(const struct life *life);

/* Returns: the handle of a row's message. Checks that the batch and the load mean the same. */
struct handle *load_handle(const struct load_row *row, const struct batch *batch);

/* Refuses a row, as the server's answer says. Where memory is out it stays pending. */
void load_refuse(const struct load_row *row, struct batch *batch);

/* Keeps the rows that `keeps` is true of. */
void load_filter(struct load *load, const bool *keeps);

#endif
