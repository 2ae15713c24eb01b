/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discard.c - the store that counts and forgets; for measuring the pipeline alone.
 *
 * Process: workers.  Owner: the worker that opened it.  Concurrency: one thread.
 */
#include <stdlib.h>

#include "store/rows.h"
#include "store/store.h"

struct discard {
    struct store store;
    uint32_t *rows;
    size_t n, capacity;
};

static struct store *
discard_open(const struct config *cfg, enum topic_kind kind, const struct store_hooks *hooks,
             struct errbuf *err)
{
    struct discard *d = calloc(1, sizeof(*d));
    (void)cfg;
    (void)kind;
    (void)hooks;
    if (d == NULL) {
        errbuf_set(err, "out of memory");
        return NULL;
    }
    d->store.ops = &store_discard;
    return &d->store;
}

static enum store_added
discard_add(struct store *store, const struct record *record, uint32_t row, struct reject *why)
{
    struct discard *d = (struct discard *)store;
    (void)record;
    (void)why;
    uint32_t *rows = rows_reserve(d->rows, &d->capacity, d->n, sizeof(*rows));
    if (rows == NULL)
        return STORE_NO_MEMORY;
    d->rows = rows;
    rows[d->n++] = row;
    return STORE_ADDED;
}

static size_t
discard_bytes(const struct store *store)
{
    return ((const struct discard *)store)->n * sizeof(uint32_t);
}

static enum store_status
discard_write(struct store *store, const struct store_write *write, struct errbuf *err)
{
    struct discard *d = (struct discard *)store;
    (void)err;
    for (size_t i = 0; i < d->n; i++)
        write->settle(write->arg, d->rows[i], NULL);
    d->n = 0;
    return STORE_DONE;
}

static void
discard_reset(struct store *store)
{
    ((struct discard *)store)->n = 0;
}

static void
discard_close(struct store **store)
{
    free(((struct discard *)*store)->rows);
    free(*store);
    *store = NULL;
}

const struct store_ops store_discard = {.name = "discard",
                                        .open = discard_open,
                                        .add = discard_add,
                                        .bytes = discard_bytes,
                                        .write = discard_write,
                                        .reset = discard_reset,
                                        .close = discard_close};
