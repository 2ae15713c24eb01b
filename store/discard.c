/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discard.c - the store that counts and forgets; for measuring the pipeline alone.
 *
 * Process: workers.  Owner: the worker that opened it.  Concurrency: one thread.
 */
#include <stdlib.h>

#include "lib/array.h"
#include "store/store.h"

struct discard_load {
    uint32_t *rows;
    size_t n, capacity;
};

static struct store *
discard_open(const struct config *cfg, enum topic_kind kind, const struct store_hooks *hooks,
             struct errbuf *err)
{
    struct store *store = calloc(1, sizeof(*store));
    (void)cfg, (void)kind, (void)hooks;
    if (store == NULL) {
        errbuf_set(err, "out of memory");
        return NULL;
    }
    store->ops = &store_discard;
    return store;
}

static struct store_load *
discard_load_new(struct store *store)
{
    (void)store;
    return calloc(1, sizeof(struct discard_load));
}

static void
discard_load_reset(struct store *store, struct store_load *load)
{
    (void)store;
    ((struct discard_load *)load)->n = 0;
}

static void
discard_load_free(struct store *store, struct store_load **load)
{
    (void)store;
    if (*load == NULL)
        return;
    free(((struct discard_load *)*load)->rows);
    free(*load);
    *load = NULL;
}

static enum store_added
discard_add(struct store *store, struct store_load *load, const struct record *record, uint32_t row,
            struct reject *why)
{
    struct discard_load *d = (struct discard_load *)load;
    (void)store, (void)record, (void)why;
    if (array_reserve(&d->rows, &d->capacity, d->n + 1, sizeof(*d->rows)) == -1)
        return STORE_NO_MEMORY;
    d->rows[d->n++] = row;
    return STORE_ADDED;
}

static size_t
discard_bytes(const struct store_load *load)
{
    return ((const struct discard_load *)load)->n * sizeof(uint32_t);
}

static enum store_status
discard_write(struct store *store, struct store_load *load, const struct store_write *write,
              struct errbuf *err)
{
    struct discard_load *d = (struct discard_load *)load;
    (void)store, (void)err;
    for (size_t i = 0; i < d->n; i++)
        if (batch_settle(write->batch, d->rows[i], NULL) == -1)
            break;
    d->n = 0;
    return STORE_DONE;
}

static void
discard_close(struct store **store)
{
    free(*store);
    *store = NULL;
}

const struct store_ops store_discard = {.name = "discard",
                                        .open = discard_open,
                                        .load_new = discard_load_new,
                                        .load_reset = discard_load_reset,
                                        .load_free = discard_load_free,
                                        .add = discard_add,
                                        .bytes = discard_bytes,
                                        .write = discard_write,
                                        .close = discard_close};
