/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.c - a store like InfluxDB: rows are settled one by one, in as many requests as it likes;
 * what was not answered may have been done, or be done later, and is sent again.
 *
 * Process: tests/sim/sim.  Owner: the pipeline.  Concurrency: one thread.
 */
#include "tests/sim/load.h"
#include "tests/sim/promise.h"
#include "tests/sim/topic.h"

enum { TIMEOUT_MS = 5000 };

/* What a server does, whoever waits for it. */
struct request {
    size_t n;
    size_t messages[MESSAGES_MAX];
};

static void
do_request(void *arg, int64_t number)
{
    const struct request *request = arg;
    (void)number;
    for (size_t i = 0; i < request->n; i++)
        if (!topic_is_bad(request->messages[i]))
            topic_note_stored(request->messages[i]);
}

enum fate { FATE_DONE, FATE_REFUSED, FATE_PARTIAL, FATE_LOST };

static enum fate
draw_fate(void)
{
    if (world_has(FAULT_STORE_SICK) || world_chance(CHANCE_STORE_SICK))
        return FATE_REFUSED;
    if (world_chance(CHANCE_STORE_PARTIAL))
        return FATE_PARTIAL;
    return world_chance(CHANCE_STORE_LOST) ? FATE_LOST : FATE_DONE;
}

/* Sends the first n rows. Returns: how it ended; what was done of it is in *n. */
static enum waited
send(struct sim_store *s, const struct load *load, size_t *n, enum fate fate)
{
    struct answer answer = {.fd = s->fd};
    struct request *request = world_alloc(sizeof(*request));
    int64_t there_ns = world.now_ns + world_latency(CHANCE_STORE_SLOW);
    if (fate == FATE_PARTIAL)
        *n = (size_t)world_between(0, (int64_t)*n);
    if (fate == FATE_REFUSED)
        *n = 0;
    request->n = *n;
    for (size_t i = 0; i < *n; i++)
        request->messages[i] = load->rows[i].message;
    if (fate != FATE_LOST || world_one_in(2))
        world_at(there_ns, NULL, do_request, request, 0);
    if (fate != FATE_LOST)
        services_answer_at(there_ns + world_latency(CHANCES), &answer, 0);
    return services_wait(s->hooks, &answer, world_now_ms() + TIMEOUT_MS);
}

/* An answer names the rows that are stored and those that are bad. */
static void
settle(struct load *load, size_t n, struct batch *batch)
{
    bool keeps[MESSAGES_MAX];
    for (size_t i = 0; i < load->n; i++) {
        const struct load_row *row = &load->rows[i];
        keeps[i] = i >= n;
        if (keeps[i])
            continue;
        struct handle *h = load_handle(row, batch);
        if (topic_is_bad(row->message))
            load_refuse(row, batch);
        else if (batch_settle(batch, row->row, NULL) == 0) {
            h->verdict = VERDICT_STORED;
            life_note_settled(h->life, 1);
        }
    }
    load_filter(load, keeps);
}

static enum store_status
write_rows(struct sim_store *s, struct load *load, const struct store_write *write,
           struct errbuf *err)
{
    promise_check_write(s->life, load, write->batch);
    while (load->n > 0) {
        size_t n = world_one_in(2) ? load->n : (size_t)world_between(1, (int64_t)load->n), sent = n;
        enum fate fate = draw_fate();
        enum waited how = send(s, load, &n, fate);
        world_tell("%zu rows: %s", sent,
                   how == WAITED_GIVEN_UP ? "given up"
                   : how == WAITED_TIME   ? "no answer"
                                          : "answered");
        if (how == WAITED_GIVEN_UP)
            return STORE_STOPPED;
        if (how == WAITED_ANSWER)
            settle(load, n, write->batch);
        if (how == WAITED_TIME || fate == FATE_REFUSED || fate == FATE_PARTIAL) {
            s->life->store_failed = true;
            errbuf_set(err, "the store is sick");
            return STORE_SICK;
        }
    }
    s->life->store_failed = false;
    return STORE_DONE;
}

static enum store_status
rows_write(struct store *store, struct store_load *load, const struct store_write *write,
           struct errbuf *err)
{
    struct sim_store *s = (struct sim_store *)store;
    life_begin_work(s->life);
    enum store_status status = write_rows(s, (struct load *)load, write, err);
    life_end_work(s->life);
    return status;
}

static struct store *
rows_open(const struct config *cfg, enum topic_kind kind, const struct store_hooks *hooks,
          struct errbuf *err)
{
    (void)cfg, (void)kind;
    return load_open(&sim_rows, hooks, err);
}

const struct store_ops sim_rows = {.name = "rows",
                                   .open = rows_open,
                                   .load_new = load_new,
                                   .load_reset = load_reset,
                                   .load_free = load_free,
                                   .add = load_add,
                                   .bytes = load_bytes,
                                   .write = rows_write,
                                   .close = load_close};
