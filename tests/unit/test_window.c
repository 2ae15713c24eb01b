/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_window.c - the batches in hand: what is written, buried, committed and given back, in which
 * order; by example, and by random events against the rule written down a second time.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "batch/window.h"

enum { PARTITIONS = 3, ROUNDS = 20000, STEPS = 60 };

static struct window window;
static const struct batch_limits limits = {.count = 4, .bytes = 1000, .age_ms = 100};
static const struct reject bad = {.reason = REJECT_NOT_JSON, .detail = "x"};

static void
setup(unsigned depth, bool transactional)
{
    window_init(&window, depth, &limits, transactional);
}

static struct batch *
fill(unsigned n, int64_t first)
{
    struct batch *batch = window_filling(&window);
    cr_assert_not_null(batch);
    for (unsigned i = 0; i < n; i++) {
        struct message m = {.payload = {"", 1}, .offset = first + i, .time_ms = -1};
        cr_assert_geq(batch_add(batch, &m, 0), 0);
    }
    return batch;
}

static void
settle_all(struct batch *batch, const struct reject *why)
{
    for (uint32_t row = 0; row < batch->n; row++)
        cr_assert_eq(batch_settle(batch, row, why), 0);
}

Test(window, one_is_filled_while_the_one_before_is_written)
{
    setup(2, false);
    struct batch *one = fill(4, 0);
    cr_assert_null(window_to_write(&window), "it may get more");
    cr_assert(window_close_due(&window, 0));
    cr_assert_eq(window_to_write(&window), one);
    window_note(&window, one, BATCH_WRITING);
    struct batch *two = fill(2, 4);
    cr_assert_not(window_close_due(&window, 99));
    cr_assert(window_close_due(&window, 100), "it is old enough");
    cr_assert_null(window_to_write(&window), "one at a time");
    cr_assert_null(window_filling(&window), "the window is full");
    settle_all(one, NULL);
    cr_assert_null(window_to_retire(&window));
    window_note(&window, one, BATCH_DURABLE);
    cr_assert_eq(window_to_write(&window), two);
    cr_assert_eq(window_to_retire(&window), one);
    window_retire(&window);
    cr_assert_eq(window_filling(&window), one, "it is free again");
    cr_assert_eq(window_rows(&window), 2u);
    cr_assert_eq(window_batches(&window), 1u);
    window_free(&window);
}

Test(window, letters_do_not_hold_the_next_batch_up_where_the_store_does_not_keep_offsets)
{
    for (int transactional = 0; transactional < 2; transactional++) {
        setup(3, transactional);
        struct batch *one = fill(4, 0);
        window_close_all(&window);
        struct batch *two = fill(4, 4);
        window_close_all(&window);
        window_note(&window, one, BATCH_WRITING);
        settle_all(one, &bad);
        window_note(&window, one, BATCH_JUDGED);
        cr_assert_eq(window_to_bury(&window), one);
        cr_assert_eq(window_to_write(&window), transactional ? NULL : two);
        one->burying = true;
        cr_assert_null(window_to_bury(&window));
        one->burying = false;
        batch_bury(one);
        cr_assert_null(window_to_bury(&window));
        window_note(&window, one, BATCH_DURABLE);
        cr_assert_eq(window_to_write(&window), two);
        window_free(&window);
    }
}

Test(window, what_is_durable_behind_an_unfinished_batch_waits)
{
    setup(3, false);
    struct batch *one = fill(2, 0);
    window_close_all(&window);
    struct batch *two = fill(2, 2);
    window_close_all(&window);
    window_note(&window, one, BATCH_WRITING);
    cr_assert_eq(batch_settle(one, 0, NULL), 0);
    cr_assert_eq(batch_settle(one, 1, &bad), 0);
    window_note(&window, one, BATCH_JUDGED);
    window_note(&window, two, BATCH_WRITING);
    settle_all(two, NULL);
    window_note(&window, two, BATCH_DURABLE);
    cr_assert_null(window_to_retire(&window));
    window_find_runs(&window);
    cr_assert_eq(one->parts[0].run_end, 1);
    cr_assert_eq(two->parts[0].run_end, -1, "0 to 1 is not what it begins behind");
    cr_assert_eq(window_to_drop(&window), two);
    window_drop(&window);
    cr_assert_eq(window_to_drop(&window), one);
    one->held = true;
    cr_assert_null(window_to_drop(&window));
    window_free(&window);
}

/* --- random events --- */

/* The rule, a second time: what became of each message, by partition and offset. */
struct world {
    int64_t next[PARTITIONS];      /* the next offset that comes */
    int64_t committed[PARTITIONS]; /* all before it may be forgotten by Kafka */
    char fate[PARTITIONS][STEPS * 8];  /* of each offset: . in hand, s stored, b buried */
    uint64_t received, completed, rejected, returned;
};

static struct world world;

static void
take_some(void)
{
    struct batch *batch = window_filling(&window);
    while (batch != NULL && batch_room(batch) > 0 && rand() % 4 != 0) {
        int32_t p = rand() % PARTITIONS;
        struct message m = {.payload = {"", 1}, .partition = p, .offset = world.next[p]};
        int64_t row = batch_add(batch, &m, 0);
        cr_assert_geq(row, 0);
        world.fate[p][world.next[p]++] = '.';
        world.received++;
        if (rand() % 8 == 0)
            cr_assert_eq(batch_settle(batch, (uint32_t)row, &bad), 0);
    }
}

/* An answer: some rows are stored, some refused, and perhaps all that are pending. */
static void
answer(struct batch *batch, bool all)
{
    for (uint32_t row = 0; row < batch->n; row++) {
        const struct entry *entry = &batch->entries[row];
        if (entry->state != ENTRY_PENDING || (!all && rand() % 2 == 0))
            continue;
        bool refused = rand() % 5 == 0;
        cr_assert_eq(batch_settle(batch, row, refused ? &bad : NULL), 0);
    }
}

/* Behind what is pending of a partition nothing is written. */
static void
check_order(const struct batch *written)
{
    for (unsigned i = 0; window_at(&window, i) != written; i++)
        cr_assert_eq(window_at(&window, i)->in_state[ENTRY_PENDING], 0u);
}

static void
write_some(bool transactional)
{
    struct batch *batch = window_to_write(&window);
    if (batch == NULL)
        return;
    check_order(batch);
    window_note(&window, batch, BATCH_WRITING);
    batch->held = true;
    bool sick = rand() % 3 == 0;
    if (!transactional || !sick)
        answer(batch, !sick);
    batch->held = false;
    if (sick)
        window_note(&window, batch, BATCH_READY);
    else if (batch->in_state[ENTRY_REFUSED] > 0)
        window_note(&window, batch, BATCH_JUDGED);
    else
        window_note(&window, batch, BATCH_DURABLE);
}

static void
bury_some(bool transactional)
{
    struct batch *batch = window_to_bury(&window);
    if (batch == NULL || rand() % 2 == 0)
        return;
    batch_bury(batch);
    if (transactional && rand() % 3 == 0)
        return; /* its transaction is not committed yet */
    window_note(&window, batch, BATCH_DURABLE);
}

static void
note_committed(const struct batch_part *part, int64_t end)
{
    if (end < 0)
        return;
    for (int64_t at = world.committed[part->partition]; at < end; at++)
        cr_assert_neq(world.fate[part->partition][at], '.', "%d@%lld is committed, not durable",
                      (int)part->partition, (long long)at);
    if (end > world.committed[part->partition])
        world.committed[part->partition] = end;
}

static void
note_fates(const struct batch *batch, bool whole)
{
    for (uint32_t row = 0; row < batch->n; row++) {
        const struct entry *e = &batch->entries[row];
        char *fate = &world.fate[e->message.partition][e->message.offset];
        bool settled = e->state == ENTRY_STORED || e->state == ENTRY_BURIED;
        if (whole && settled)
            *fate = e->state == ENTRY_STORED ? 's' : 'b';
        world.completed += whole && e->state == ENTRY_STORED;
        world.rejected += whole && e->state == ENTRY_BURIED;
        world.returned += !whole || !settled;
    }
}

static void
retire_some(void)
{
    struct batch *batch = window_to_retire(&window);
    if (batch == NULL)
        return;
    cr_assert_eq(batch->in_state[ENTRY_PENDING] + batch->in_state[ENTRY_REFUSED], 0u);
    note_fates(batch, true);
    for (uint32_t i = 0; i < batch->n_parts; i++)
        note_committed(&batch->parts[i], batch->parts[i].end);
    window_retire(&window);
}

/* Partitions go: what is settled is committed, unless lost; all comes again from there. */
static void
give_back(bool transactional, bool lost)
{
    struct batch *batch;
    window_find_runs(&window);
    for (unsigned i = 0; i < window.n; i++) { /* the fates first, as the accounts are */
        batch = window_at(&window, i);
        for (uint32_t row = 0; row < batch->n; row++) {
            const struct entry *e = &batch->entries[row];
            bool durable = transactional ? batch->stage == BATCH_DURABLE
                                         : e->state == ENTRY_STORED || e->state == ENTRY_BURIED;
            if (durable)
                world.fate[e->message.partition][e->message.offset] = 's';
        }
    }
    for (unsigned i = 0; i < window.n && !lost; i++)
        for (uint32_t k = 0; k < window_at(&window, i)->n_parts; k++)
            note_committed(&window_at(&window, i)->parts[k],
                           window_at(&window, i)->parts[k].run_end);
    while ((batch = window_to_drop(&window)) != NULL) {
        note_fates(batch, !transactional || batch->stage == BATCH_DURABLE);
        window_drop(&window);
    }
    cr_assert_eq(window.n, 0u);
    for (int p = 0; p < PARTITIONS; p++)
        world.next[p] = world.committed[p];
}

static void
check_sums(void)
{
    cr_assert_eq(world.received, world.completed + world.rejected + world.returned +
                                     window_rows(&window));
    for (int p = 0; p < PARTITIONS; p++) /* nothing is forgotten */
        for (int64_t at = world.committed[p]; at < world.next[p]; at++) {
            bool in_hand = false;
            for (unsigned i = 0; i < window.n && !in_hand; i++) {
                const struct batch_part *part = batch_find_part(window_at(&window, i), p);
                in_hand = part != NULL && part->end > at;
            }
            cr_assert(in_hand, "%d@%lld is neither committed nor in hand", p, (long long)at);
        }
}

static void
play(unsigned seed)
{
    bool transactional = seed % 2 == 1;
    srand(seed);
    world = (struct world){.received = 0};
    setup(1 + seed / 2 % 4, transactional);
    for (int step = 0; step < STEPS; step++) {
        switch (rand() % 8) {
        case 0:
        case 1:
            take_some();
            break;
        case 2:
            (void)(rand() % 2 == 0 ? window_close_all(&window) : window_close_due(&window, 0));
            break;
        case 3:
        case 4:
            write_some(transactional);
            break;
        case 5:
            bury_some(transactional);
            break;
        case 6:
            retire_some();
            break;
        default:
            if (rand() % 6 == 0)
                give_back(transactional, rand() % 2 == 0);
        }
        check_sums();
    }
    window_free(&window);
}

/* PERSISTER_TEST_ROUNDS: how many seeds. */
Test(window, keeps_its_promises_under_random_events, .timeout = 0)
{
    const char *asked = getenv("PERSISTER_TEST_ROUNDS");
    unsigned rounds = asked != NULL ? (unsigned)strtoul(asked, NULL, 10) : ROUNDS;
    for (unsigned seed = 0; seed < rounds; seed++)
        play(seed);
}
