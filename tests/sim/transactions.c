/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transactions.c - a store like PostgreSQL: a batch's rows and the offsets in one transaction, with
 * an epoch for each partition that fences who had it before.
 *
 * The server's side is a table of offsets with row locks, and transactions that end when they end:
 * a COMMIT may be done, or not, or late, whoever waits for its answer.
 *
 * Process: tests/sim/sim.  Owner: the pipeline.  Concurrency: one thread.
 */
#include "tests/sim/transactions.h"

#include "tests/sim/load.h"
#include "tests/sim/promise.h"
#include "tests/sim/topic.h"

enum {
    TIMEOUT_MS = 5000,
    LOCK_MS = 4000,      /* for somebody else's transaction */
    LOOK_MS = 50,
    OPEN_MS = 1000 + 50, /* a transaction is held open for the dead letters so long */
    NOTICE_MS = 20000    /* until a connection's end is noticed, at most */
};

struct transaction {
    bool ended;
    size_t n_rows, n_positions;
    size_t rows[MESSAGES_MAX];
    struct store_position positions[PARTITIONS_MAX];
};

struct kept {
    int64_t epoch, next, last_ms;
    struct transaction *lock;
};

static struct kept table[PARTITIONS_MAX];

void
transactions_begin(void)
{
    for (int i = 0; i < PARTITIONS_MAX; i++)
        table[i] = (struct kept){.next = -1, .last_ms = -1};
}

int64_t
transactions_next(int32_t partition)
{
    return table[partition].next;
}

/* --- the server --- */

static void
end(struct transaction *t)
{
    t->ended = true;
    for (int i = 0; i < PARTITIONS_MAX; i++)
        if (table[i].lock == t)
            table[i].lock = NULL;
}

static void
roll_back(void *arg, int64_t number)
{
    (void)number;
    end(arg);
}

static void
do_commit(void *arg, int64_t number)
{
    struct transaction *t = arg;
    (void)number;
    for (size_t i = 0; i < t->n_rows; i++)
        topic_note_stored(t->rows[i]);
    for (size_t i = 0; i < t->n_positions; i++) {
        const struct store_position *to = &t->positions[i];
        struct kept *k = &table[to->partition];
        PROMISE(topic_durable_end(to->partition) >= to->next,
                "the transaction moves %d to %lld, and %lld is not durable", (int)to->partition,
                (long long)to->next, (long long)topic_durable_end(to->partition));
        k->next = to->next;
        k->last_ms = to->last_ms;
        world_tell("the transaction moves %d to %lld", (int)to->partition, (long long)to->next);
    }
    end(t);
}

static bool
is_locked(const struct store_position *positions, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (table[positions[i].partition].lock != NULL)
            return true;
    return false;
}

/* --- the client --- */

static enum store_status
fail(struct sim_store *s, struct errbuf *err)
{
    s->life->store_failed = true;
    errbuf_set(err, "the database is sick");
    return STORE_SICK;
}

static enum store_status
fence(struct sim_store *s)
{
    s->life->fenced = true;
    return STORE_FENCED;
}

static bool
is_sick(void)
{
    return world_has(FAULT_STORE_SICK) || world_chance(CHANCE_STORE_SICK);
}

/* A request and its answer. Returns: STORE_DONE, or what comes of it. */
static enum store_status
go_round(struct sim_store *s, struct errbuf *err)
{
    if (!services_take_time(s->hooks, s->fd, CHANCE_STORE_SLOW))
        return STORE_STOPPED;
    return is_sick() ? fail(s, err) : STORE_DONE;
}

static int64_t
epoch_of(const struct sim_store *s, int32_t partition, int64_t *next)
{
    for (size_t i = 0; i < s->n_owned; i++)
        if (s->owned[i].partition == partition) {
            *next = s->owned[i].next;
            return s->epochs[i];
        }
    *next = -1;
    return -1;
}

/* Whether all partitions are ours, and stand where we know, or where the batch would move them. */
static bool
stands(const struct sim_store *s, const struct store_write *write, bool moved)
{
    for (size_t i = 0; i < write->n_positions; i++) {
        const struct store_position *to = &write->positions[i];
        int64_t next, epoch = epoch_of(s, to->partition, &next);
        if (table[to->partition].epoch != epoch ||
            table[to->partition].next != (moved ? to->next : next))
            return false;
    }
    return true;
}

static bool
owns(const struct sim_store *s, const struct store_write *write)
{
    int64_t next;
    for (size_t i = 0; i < write->n_positions; i++)
        if (table[write->positions[i].partition].epoch !=
            epoch_of(s, write->positions[i].partition, &next))
            return false;
    return true;
}

static enum store_status
wait_for_locks(struct sim_store *s, const struct store_write *write, struct errbuf *err)
{
    int64_t until_ms = world_now_ms() + LOCK_MS;
    while (is_locked(write->positions, write->n_positions)) {
        if (world_now_ms() >= until_ms)
            return fail(s, err);
        if (!s->hooks->wait(s->hooks->arg, NULL, 0, world_now_ms() + LOOK_MS))
            return STORE_STOPPED;
    }
    return STORE_DONE;
}

/* After the transaction is known to be committed. */
static void
settle_all(struct sim_store *s, struct load *load, const struct store_write *write)
{
    struct batch *batch = write->batch;
    for (size_t i = 0; i < load->n; i++) {
        load_handle(&load->rows[i], batch)->verdict = VERDICT_STORED;
        if (batch_settle(batch, load->rows[i].row, NULL) == -1)
            world_fail("a row that is stored cannot be settled");
    }
    for (uint32_t row = 0; row < batch->n; row++)
        ((struct handle *)batch->entries[row].message.handle)->committed = true;
    for (size_t i = 0; i < write->n_positions; i++)
        for (size_t k = 0; k < s->n_owned; k++)
            if (s->owned[k].partition == write->positions[i].partition)
                s->owned[k].next = write->positions[i].next;
    load->n = 0;
    load->doubt = NULL;
    life_note_settled(s->life, batch->n);
    s->life->store_failed = false;
}

static void
hang_up(struct transaction *t, int64_t most_ms)
{
    world_at(world.now_ns + world_between(0, most_ms) * MS, NULL, roll_back, t, 0);
}

static struct transaction *
begin(const struct load *load, const struct store_write *write)
{
    struct transaction *t = world_alloc(sizeof(*t));
    t->n_positions = write->n_positions;
    for (size_t i = 0; i < write->n_positions; i++) {
        t->positions[i] = write->positions[i];
        table[write->positions[i].partition].lock = t;
    }
    for (size_t i = 0; i < load->n; i++)
        if (!topic_is_bad(load->rows[i].message))
            t->rows[t->n_rows++] = load->rows[i].message;
    return t;
}

static void
refuse_bad(struct load *load, struct batch *batch)
{
    bool keeps[MESSAGES_MAX];
    for (size_t i = 0; i < load->n; i++) {
        keeps[i] = !topic_is_bad(load->rows[i].message);
        if (!keeps[i])
            load_refuse(&load->rows[i], batch);
    }
    load_filter(load, keeps);
}

/* Moves the offsets, copies the rows; it is open after that. */
static enum store_status
fill(struct sim_store *s, struct load *load, const struct store_write *write, struct errbuf *err)
{
    enum store_status status = wait_for_locks(s, write, err);
    if (status != STORE_DONE)
        return status;
    if (!stands(s, write, false) || world_chance(CHANCE_STORE_FENCED))
        return fence(s);
    struct transaction *t = begin(load, write);
    s->open = t; /* whoever dies now leaves it open */
    status = go_round(s, err);
    if (status == STORE_DONE || world_one_in(2))
        refuse_bad(load, write->batch); /* known, whatever else comes of it */
    if (status != STORE_DONE) {
        s->open = NULL;
        hang_up(t, 3000);
    }
    s->open_ns = world.now_ns;
    return status;
}

/* Was the batch committed, whose answer was lost? */
static enum store_status
look_up(struct sim_store *s, struct load *load, const struct store_write *write,
        struct errbuf *err)
{
    enum store_status status = wait_for_locks(s, write, err);
    if (status != STORE_DONE)
        return status;
    if (!load->doubt->ended) /* of which nobody holds a lock any more */
        world_fail("the simulation itself: a transaction has no end");
    load->doubt = NULL;
    if (!owns(s, write))
        return fence(s);
    if (!stands(s, write, true))
        return fill(s, load, write, err);
    load->committed = true;
    settle_all(s, load, write);
    return STORE_DONE;
}

static enum store_status
write_transaction(struct sim_store *s, struct load *load, const struct store_write *write,
                  struct errbuf *err)
{
    PROMISE(s->open == NULL, "it writes while a transaction is open");
    if (load->committed)
        return STORE_DONE;
    promise_check_write(s->life, load, write->batch);
    enum store_status status = go_round(s, err);
    if (status == STORE_DONE)
        status = load->doubt != NULL ? look_up(s, load, write, err) : fill(s, load, write, err);
    world_tell("a transaction of %u messages: %d", write->batch->n, (int)status);
    return status;
}

static enum store_status
transactions_write(struct store *store, struct store_load *load, const struct store_write *write,
                   struct errbuf *err)
{
    struct sim_store *s = (struct sim_store *)store;
    life_begin_work(s->life);
    enum store_status status = write_transaction(s, (struct load *)load, write, err);
    life_end_work(s->life);
    return status;
}

enum answers { SAYS_YES = 1, SAYS_NO };

static enum store_status
commit_transaction(struct sim_store *s, struct load *load, const struct store_write *write,
                   struct errbuf *err)
{
    struct answer answer = {.fd = s->fd};
    struct transaction *t = s->open;
    if (load->committed) { /* that is what the write found */
        load->committed = false;
        return STORE_DONE;
    }
    PROMISE(t != NULL, "it commits what is not open");
    PROMISE(world.now_ns <= s->open_ns + OPEN_MS * (int64_t)MS || s->life->paused_ns >= s->open_ns,
            "a transaction was held open");
    bool lost = world_chance(CHANCE_STORE_LOST), done = !is_sick() && !(lost && world_one_in(2));
    int64_t there_ns = world.now_ns + world_latency(CHANCE_STORE_SLOW);
    s->open = NULL;
    load->doubt = t;
    world_at(there_ns, NULL, done ? do_commit : roll_back, t, 0);
    if (!lost)
        services_answer_at(there_ns + world_latency(CHANCES), &answer, done ? SAYS_YES : SAYS_NO);
    enum waited how = services_wait(s->hooks, &answer, world_now_ms() + TIMEOUT_MS);
    world_tell("COMMIT: %s", how == WAITED_ANSWER ? (done ? "yes" : "no") : "no answer");
    if (how == WAITED_ANSWER && done) {
        settle_all(s, load, write);
        return STORE_DONE;
    }
    if (how == WAITED_ANSWER)
        load->doubt = NULL; /* the server said no */
    return how == WAITED_GIVEN_UP ? STORE_STOPPED : fail(s, err);
}

static enum store_status
transactions_commit(struct store *store, struct store_load *load, const struct store_write *write,
                    struct errbuf *err)
{
    struct sim_store *s = (struct sim_store *)store;
    life_begin_work(s->life);
    enum store_status status = commit_transaction(s, (struct load *)load, write, err);
    life_end_work(s->life);
    return status;
}

static void
transactions_abandon(struct store *store)
{
    struct sim_store *s = (struct sim_store *)store;
    PROMISE(s->open != NULL, "it abandons what is not open");
    hang_up(s->open, world.plan.latency_ms);
    s->open = NULL;
}

/* --- claims --- */

struct claim {
    struct store_position positions[PARTITIONS_MAX];
    int64_t epochs[PARTITIONS_MAX];
    size_t n;
    int64_t until_ns;
    struct answer *answer; /* NULL: lost */
    struct life *life;
};

static void
answer_claim(struct claim *claim, int64_t says)
{
    if (claim->answer == NULL || claim->life->ended)
        return;
    struct answer *answer = claim->answer;
    answer->there = true;
    answer->number = says;
    life_set_fd(answer->fd, true);
}

static void
do_claim(void *arg, int64_t number)
{
    struct claim *claim = arg;
    if (is_locked(claim->positions, claim->n)) {
        if (world.now_ns >= claim->until_ns)
            answer_claim(claim, SAYS_NO);
        else
            world_at(world.now_ns + LOOK_MS * (int64_t)MS, NULL, do_claim, claim, number);
        return;
    }
    for (size_t i = 0; i < claim->n; i++) {
        struct store_position *at = &claim->positions[i];
        struct kept *k = &table[at->partition];
        claim->epochs[i] = ++k->epoch;
        at->next = k->next;
        at->last_ms = k->last_ms;
    }
    answer_claim(claim, SAYS_YES);
}

static enum store_status
take_claim(struct sim_store *s, const struct claim *claim, struct store_position *positions)
{
    for (size_t i = 0; i < claim->n; i++) {
        positions[i] = s->owned[i] = claim->positions[i];
        s->epochs[i] = claim->epochs[i];
    }
    s->n_owned = claim->n;
    s->life->claimed = true;
    s->life->store_failed = false;
    return STORE_DONE;
}

static enum store_status
transactions_claim(struct store *store, const char *cluster_id, struct store_position *positions,
                   size_t n, struct errbuf *err)
{
    struct sim_store *s = (struct sim_store *)store;
    struct answer answer = {.fd = s->fd};
    PROMISE(s->open == NULL, "it claims while a transaction is open");
    PROMISE(strcmp(cluster_id, "cluster") == 0, "it claims of another cluster");
    s->n_owned = 0; /* none, before the server says so */
    s->life->claimed = false;
    enum store_status status = go_round(s, err);
    if (status != STORE_DONE)
        return status;
    struct claim *claim = world_alloc(sizeof(*claim));
    *claim = (struct claim){
        .n = n, .until_ns = world.now_ns + LOCK_MS * (int64_t)MS, .life = s->life};
    memcpy(claim->positions, positions, n * sizeof(*positions));
    claim->answer = world_chance(CHANCE_STORE_LOST) ? NULL : &answer;
    world_at(world.now_ns + world_latency(CHANCE_STORE_SLOW), NULL, do_claim, claim, 0);
    enum waited how = services_wait(s->hooks, &answer, world_now_ms() + TIMEOUT_MS);
    claim->answer = NULL; /* what comes later comes to nobody */
    world_tell("%zu partitions: %s", n,
               how == WAITED_ANSWER && answer.number == SAYS_YES ? "claimed" : "not claimed");
    if (how == WAITED_ANSWER && answer.number == SAYS_YES)
        return take_claim(s, claim, positions);
    return how == WAITED_GIVEN_UP ? STORE_STOPPED : fail(s, err);
}

/* --- life --- */

void
transactions_note_end(struct life *life)
{
    struct sim_store *s = life->store;
    if (s != NULL && s->open != NULL)
        hang_up(s->open, world_one_in(3) ? NOTICE_MS : 10);
    life->store = NULL;
}

static void
transactions_close(struct store **store)
{
    transactions_note_end(life_running);
    load_close(store);
}

static struct store *
transactions_open(const struct config *cfg, enum topic_kind kind, const struct store_hooks *hooks,
                  struct errbuf *err)
{
    (void)cfg, (void)kind;
    return load_open(&sim_transactions, hooks, err);
}

const struct store_ops sim_transactions = {.name = "transactions",
                                           .open = transactions_open,
                                           .load_new = load_new,
                                           .load_reset = load_reset,
                                           .load_free = load_free,
                                           .add = load_add,
                                           .bytes = load_bytes,
                                           .write = transactions_write,
                                           .commit = transactions_commit,
                                           .abandon = transactions_abandon,
                                           .claim = transactions_claim,
                                           .close = transactions_close};
