/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - see load.h. */
#include "tests/sim/load.h"

#include <stdlib.h>

#include "lib/array.h"
#include "tests/sim/promise.h"
#include "tests/sim/topic.h"

struct store *
load_open(const struct store_ops *ops, const struct store_hooks *hooks, struct errbuf *err)
{
    if (world_chance(CHANCE_OPEN_FAILS)) {
        life_running->may_break = true;
        errbuf_set(err, "no store");
        return NULL;
    }
    struct sim_store *s = life_alloc(sizeof(*s));
    *s = (struct sim_store){{ops}, .hooks = hooks, .life = life_running, .fd = life_fd()};
    life_running->store = s;
    return &s->store;
}

void
load_close(struct store **store)
{
    life_running->store = NULL;
    life_free(*store);
    *store = NULL;
}

/* These ask for memory as a store does: it may be refused. */
struct store_load *
load_new(struct store *store)
{
    struct sim_store *s = (struct sim_store *)store;
    struct load *load = calloc(1, sizeof(*load));
    if (load != NULL) {
        load->last = -1;
        s->loads[s->n_loads++] = load;
    }
    return (struct store_load *)load;
}

void
load_reset(struct store *store, struct store_load *store_load)
{
    struct load *load = (struct load *)store_load;
    (void)store;
    load->n = 0;
    load->last = -1;
    load->full_ns = 0;
    load->doubt = NULL;
    load->committed = false;
}

void
load_free(struct store *store, struct store_load **store_load)
{
    struct load *load = (struct load *)*store_load;
    (void)store;
    free(load->rows);
    free(load);
    *store_load = NULL;
}

static bool
is_full(const struct load *load)
{
    size_t most = (size_t)(world.cfg->persister.memory_limit_mb << 18) /
                  (size_t)world.cfg->persister.batches_in_flight;
    return load->last + 1 >= world.cfg->topic[TOPIC_METRICS].batch_size ||
           load->n * world.plan.row_bytes >= most;
}

int64_t
load_full_ns(const struct life *life)
{
    const struct sim_store *s = life->store;
    int64_t first_ns = INT64_MAX;
    for (size_t i = 0; s != NULL && i < s->n_loads; i++)
        if (s->loads[i]->n > 0 && s->loads[i]->full_ns != 0 && s->loads[i]->full_ns < first_ns)
            first_ns = s->loads[i]->full_ns;
    return first_ns;
}

enum store_added
load_add(struct store *store, struct store_load *store_load, const struct record *record,
         uint32_t row, struct reject *why)
{
    struct load *load = (struct load *)store_load;
    char text[24] = "";
    (void)store;
    PROMISE(row > load->last, "row %u comes after row %lld, and the load was not reset", row,
            (long long)load->last);
    if (array_reserve(&load->rows, &load->capacity, load->n + 1, sizeof(*load->rows)) == -1)
        return STORE_NO_MEMORY;
    memcpy(text, record->measurement.value_text.p, record->measurement.value_text.n);
    size_t message = strtoul(text, NULL, 10);
    load->last = row;
    if (topic.messages[message].kind == MESSAGE_BAD_ADD) {
        reject_set(why, REJECT_UNSTORABLE, "no store can hold it");
        return STORE_REFUSED;
    }
    load->rows[load->n++] = (struct load_row){.row = row, .message = message};
    if (load->full_ns == 0 && is_full(load))
        load->full_ns = world.now_ns;
    return STORE_ADDED;
}

size_t
load_bytes(const struct store_load *load)
{
    return ((const struct load *)load)->n * world.plan.row_bytes;
}

struct handle *
load_handle(const struct load_row *row, const struct batch *batch)
{
    PROMISE(row->row < batch->n, "a row that is not in the batch is in its load");
    struct handle *h = batch->entries[row->row].message.handle;
    PROMISE(h->message == row->message, "row %u of the load is another message", row->row);
    PROMISE(batch->entries[row->row].state == ENTRY_PENDING, "row %u of the load is settled",
            row->row);
    return h;
}

void
load_refuse(const struct load_row *row, struct batch *batch)
{
    struct reject why;
    struct handle *h = load_handle(row, batch);
    reject_set(&why, REJECT_REFUSED, "the store refuses it");
    if (batch_settle(batch, row->row, &why) == 0)
        h->verdict = VERDICT_REFUSED;
}

void
load_filter(struct load *load, const bool *keeps)
{
    size_t n = 0;
    for (size_t i = 0; i < load->n; i++)
        if (keeps[i])
            load->rows[n++] = load->rows[i];
    load->n = n;
}
