/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_window.c - the batches in hand: what is written, buried, committed and given back, in which
 * order; by example, and by random events against the rule written down a second time.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#include "batch/window.h"

enum { PARTITIONS = 3, ROUNDS = 20000, STEPS = 80 };

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

/* Three batches, the one in the middle without partition 0. */
Test(window, a_run_does_not_leap_over_a_batch_that_breaks_it)
{
    setup(3, false);
    struct batch *batches[3];
    for (int i = 0; i < 3; i++) {
        struct message m = {
            .payload = {"", 1}, .partition = i == 1 ? 1 : 0, .offset = i == 1 ? 70 : i};
        batches[i] = window_filling(&window);
        cr_assert_eq(batch_add(batches[i], &m, 0), 0);
        window_close_all(&window);
        window_note(&window, batches[i], BATCH_WRITING);
        settle_all(batches[i], i == 0 ? &bad : NULL);
        window_note(&window, batches[i], i == 0 ? BATCH_JUDGED : BATCH_DURABLE);
    }
    window_find_runs(&window);
    cr_assert_eq(batches[0]->parts[0].run_end, -1);
    cr_assert_eq(batches[1]->parts[0].run_end, 71, "nothing of 1 is missing before it");
    cr_assert_eq(batches[2]->parts[0].run_end, -1, "0 is missing");
    batch_bury(batches[0]);
    window_find_runs(&window);
    cr_assert_eq(batches[2]->parts[0].run_end, 3);
    window_free(&window);
}

Test(window, a_batch_is_not_written_while_its_letters_are)
{
    setup(2, true);
    struct batch *one = fill(1, 0);
    window_close_all(&window);
    window_note(&window, one, BATCH_WRITING);
    settle_all(one, &bad);
    window_note(&window, one, BATCH_JUDGED);
    one->burying = true; /* they point to its rejects, which a write may move */
    window_note(&window, one, BATCH_READY);
    cr_assert_null(window_to_write(&window));
    one->burying = false;
    cr_assert_eq(window_to_write(&window), one);
    window_free(&window);
}

Test(window, an_empty_batch_is_not_closed)
{
    setup(2, false);
    cr_assert_not(window_close_all(&window));
    cr_assert_not_null(window_filling(&window));
    cr_assert_not(window_close_all(&window));
    cr_assert_not(window_close_due(&window, 1000));
    cr_assert_null(window_to_write(&window));
    cr_assert_eq(window_wait_ms(&window, 0), INT64_MAX);
    window_free(&window);
}

Test(window, age_matters_while_a_batch_is_filled)
{
    setup(2, false);
    fill(1, 0);
    cr_assert_eq(window_wait_ms(&window, 40), 60);
    window_close_all(&window);
    cr_assert_eq(window_wait_ms(&window, 40), INT64_MAX);
    window_free(&window);
}

Test(window, a_batch_that_is_filled_is_not_durable, .signal = SIGABRT)
{
    setup(2, false);
    struct batch *one = fill(1, 0);
    settle_all(one, NULL);
    window_note(&window, one, BATCH_DURABLE);
}

Test(window, what_is_pending_is_not_durable, .signal = SIGABRT)
{
    setup(2, false);
    struct batch *one = fill(1, 0);
    window_close_all(&window);
    window_note(&window, one, BATCH_WRITING);
    window_note(&window, one, BATCH_DURABLE);
}

Test(window, what_is_refused_is_not_durable_before_it_is_buried, .signal = SIGABRT)
{
    setup(2, false);
    struct batch *one = fill(1, 0);
    settle_all(one, &bad);
    window_close_all(&window);
    window_note(&window, one, BATCH_WRITING);
    window_note(&window, one, BATCH_DURABLE);
}

Test(window, what_is_judged_is_not_written_again_where_no_transaction_was_abandoned,
     .signal = SIGABRT)
{
    setup(2, false);
    struct batch *one = fill(1, 0);
    settle_all(one, &bad);
    window_close_all(&window);
    window_note(&window, one, BATCH_WRITING);
    window_note(&window, one, BATCH_JUDGED);
    window_note(&window, one, BATCH_READY);
}

Test(window, what_somebody_works_on_is_not_dropped, .signal = SIGABRT)
{
    setup(2, false);
    fill(1, 0)->held = true;
    window_drop(&window);
}

/* --- random events --- */

enum { OFFSETS = STEPS * 8 + 16, MORE = 2 };

/*
 * The rule, a second time: what became of each offset. Something is under way over many events, as
 * it is in a worker: an attempt at writing (held), the dead letters, giving all back.
 */
struct world {
    bool transactional, giving_back, lost;
    struct batch *writing, *burying;
    int64_t next[PARTITIONS];      /* the next offset that comes */
    int64_t committed[PARTITIONS]; /* Kafka may forget all before it */
    bool durable[PARTITIONS][OFFSETS];
    int64_t put_ms[PARTITIONS][OFFSETS]; /* of the message that begins there */
    int64_t end_ms[PARTITIONS][OFFSETS]; /* of the one that ends before it */
    uint64_t received, completed, rejected, returned;
};

static struct world world;

static void
take_some(void)
{
    struct batch *batch = world.giving_back ? NULL : window_filling(&window);
    while (batch != NULL && batch_room(batch, 1) > 0 && rand() % 4 != 0) {
        int32_t p = rand() % PARTITIONS;
        int64_t at = world.next[p];
        struct message m = {.payload = {"", 1}, .partition = p, .offset = at};
        m.more = rand() % 8 == 0 ? rand() % MORE : 0;
        m.time_ms = 1000 + rand() % 1000;
        int64_t row = batch_add(batch, &m, 0);
        cr_assert_geq(row, 0);
        world.next[p] += 1 + m.more;
        world.put_ms[p][at] = world.end_ms[p][world.next[p]] = m.time_ms;
        memset(&world.durable[p][at], 0, (size_t)(1 + m.more));
        world.received++;
        if (rand() % 8 == 0)
            cr_assert_eq(batch_settle(batch, (uint32_t)row, &bad), 0);
    }
}

static uint32_t
count(const struct batch *batch, enum entry_state state)
{
    uint32_t n = 0;
    for (uint32_t row = 0; row < batch->n; row++)
        n += batch->entries[row].state == state;
    return n;
}

/* What no crash takes away: rows one by one, or a batch at its transaction's end. */
static void
note_fates(const struct batch *batch)
{
    for (uint32_t row = 0; row < batch->n; row++) {
        const struct entry *e = &batch->entries[row];
        bool settled = e->state == ENTRY_STORED || e->state == ENTRY_BURIED;
        if (world.transactional ? batch->stage == BATCH_DURABLE : settled)
            memset(&world.durable[e->message.partition][e->message.offset], true,
                   (size_t)(1 + e->message.more));
    }
}

/* An answer: some rows are stored, some refused, and perhaps all that are pending. */
static void
answer(struct batch *batch, bool all)
{
    for (uint32_t row = 0; row < batch->n; row++) {
        if (batch->entries[row].state != ENTRY_PENDING || (!all && rand() % 2 == 0))
            continue;
        bool refused = rand() % 5 == 0;
        if (world.transactional && !refused) /* stored when it is committed */
            continue;
        cr_assert_eq(batch_settle(batch, row, refused ? &bad : NULL), 0);
    }
    note_fates(batch);
}

/* The first that is READY, if nothing before it is pending or, by the other rule, not durable. */
static struct batch *
expected_to_write(void)
{
    for (unsigned i = 0; i < window.n; i++) {
        struct batch *batch = window_at(&window, i);
        if (batch->stage == BATCH_READY)
            return batch->burying ? NULL : batch;
        if (batch->stage == BATCH_WRITING || count(batch, ENTRY_PENDING) > 0)
            return NULL;
        if (world.transactional && batch->stage != BATCH_DURABLE)
            return NULL;
    }
    return NULL;
}

static struct batch *
expected_to_bury(void)
{
    for (unsigned i = 0; i < window.n && world.burying == NULL; i++) {
        struct batch *batch = window_at(&window, i);
        if (batch->stage == BATCH_JUDGED && count(batch, ENTRY_REFUSED) > 0)
            return batch;
    }
    return NULL;
}

static void
begin_write(void)
{
    struct batch *batch = window_to_write(&window);
    if (world.writing != NULL || batch == NULL)
        return;
    world.writing = batch;
    batch->held = true;
    window_note(&window, batch, BATCH_WRITING);
}

static void
let_go_of_write(void)
{
    world.writing->held = false;
    world.writing = NULL;
}

/* The transaction of what is judged ends: not before the letters are durable, or by ROLLBACK. */
static void
end_transaction(struct batch *batch)
{
    if (rand() % 4 == 0) {
        window_note(&window, batch, BATCH_READY);
    } else {
        if (count(batch, ENTRY_REFUSED) > 0 || batch->burying)
            return;
        for (uint32_t row = 0; row < batch->n; row++)
            if (batch->entries[row].state == ENTRY_PENDING)
                cr_assert_eq(batch_settle(batch, row, NULL), 0);
        window_note(&window, batch, BATCH_DURABLE);
        note_fates(batch);
    }
    let_go_of_write();
}

/* Something happens to the attempt under way. */
static void
go_on_writing(void)
{
    struct batch *batch = world.writing;
    if (batch == NULL)
        return;
    if (batch->stage == BATCH_DURABLE) {
        let_go_of_write();
    } else if (batch->stage == BATCH_JUDGED) {
        end_transaction(batch);
    } else if (rand() % 3 == 0) { /* a part of the answer */
        answer(batch, false);
    } else if (rand() % 3 == 0) { /* sick, or there is no time left */
        window_note(&window, batch, BATCH_READY);
        let_go_of_write();
    } else {
        answer(batch, true);
        bool judged = world.transactional || count(batch, ENTRY_REFUSED) > 0;
        window_note(&window, batch, judged ? BATCH_JUDGED : BATCH_DURABLE);
        if (judged && !world.transactional)
            let_go_of_write();
    }
}

static void
go_on_burying(void)
{
    if (world.burying == NULL) {
        world.burying = window_to_bury(&window);
        if (world.burying != NULL)
            world.burying->burying = true;
        return;
    }
    struct batch *batch = world.burying;
    world.burying = NULL;
    batch->burying = false;
    if (rand() % 3 == 0) /* the letters are sick */
        return;
    batch_bury(batch);
    note_fates(batch);
    if (!world.transactional)
        window_note(&window, batch, BATCH_DURABLE);
}

static void
count_end(const struct batch *batch)
{
    if (world.transactional && batch->stage != BATCH_DURABLE) {
        world.returned += batch->n;
        return;
    }
    world.completed += count(batch, ENTRY_STORED);
    world.rejected += count(batch, ENTRY_BURIED);
    world.returned += count(batch, ENTRY_PENDING) + count(batch, ENTRY_REFUSED);
}

static void
retire_some(void)
{
    struct batch *batch = window_to_retire(&window);
    if (batch == NULL)
        return;
    cr_assert_eq(batch, window_at(&window, 0));
    cr_assert(!batch->held && !batch->burying);
    cr_assert_eq(count(batch, ENTRY_PENDING) + count(batch, ENTRY_REFUSED), 0u);
    count_end(batch);
    for (uint32_t i = 0; i < batch->n_parts; i++) {
        const struct batch_part *part = &batch->parts[i];
        int32_t p = part->partition;
        cr_assert_eq(part->first_ms, world.put_ms[p][world.committed[p]]);
        for (; world.committed[p] < part->end; world.committed[p]++)
            cr_assert(world.durable[p][world.committed[p]], "%d@%lld is committed, not durable",
                      (int)p, (long long)world.committed[p]);
        cr_assert_eq(part->last_ms, world.end_ms[p][part->end]);
    }
    window_retire(&window);
}

/* Returns: the end of what is durable of a partition without a break. */
static int64_t
durable_end(int p)
{
    int64_t end = world.committed[p];
    while (end < world.next[p] && world.durable[p][end])
        end++;
    return end;
}

/* The runs are what may be committed, neither more nor less. */
static void
check_runs(void)
{
    window_find_runs(&window);
    for (int p = 0; p < PARTITIONS; p++) {
        int64_t end = world.committed[p], end_ms = -1;
        for (unsigned i = 0; i < window.n; i++) {
            const struct batch_part *part = batch_find_part(window_at(&window, i), p);
            if (part == NULL || part->run_end == -1)
                continue;
            cr_assert_gt(part->run_end, end);
            end = part->run_end;
            end_ms = part->run_ms;
        }
        cr_assert_eq(end, durable_end(p), "%d: %lld, not %lld", p, (long long)end,
                     (long long)durable_end(p));
        if (end > world.committed[p])
            cr_assert_eq(end_ms, world.end_ms[p][end]);
    }
}

static void
drop_youngest(void)
{
    struct batch *batch = window_to_drop(&window);
    cr_assert(!batch->held && !batch->burying);
    cr_assert_eq(batch, window_at(&window, window.n - 1));
    count_end(batch);
    for (uint32_t row = batch->n; row-- > 0;)
        world.next[batch->entries[row].message.partition] = batch->entries[row].message.offset;
    window_drop(&window);
}

/* Partitions go: what is behind at once, the rest when nobody works on it any more. */
static void
go_on_giving_back(void)
{
    if (!world.giving_back) {
        world.giving_back = rand() % 6 == 0;
        world.lost = rand() % 2 == 0; /* or the batch was fenced: nothing may be committed */
        return;
    }
    while (window.n > 1 && window_to_drop(&window) != NULL)
        drop_youngest();
    if (world.writing != NULL || world.burying != NULL)
        return;
    int64_t ends[PARTITIONS];
    for (int p = 0; p < PARTITIONS; p++) /* held against window_find_runs by check_runs */
        ends[p] = world.lost ? world.committed[p] : durable_end(p);
    while (window_to_drop(&window) != NULL)
        drop_youngest();
    cr_assert_eq(window.n, 0u, "what nobody works on goes");
    for (int p = 0; p < PARTITIONS; p++)
        world.next[p] = world.committed[p] = ends[p];
    world.giving_back = false;
}

/* Nothing is forgotten, everything is counted once, and what comes next is what should. */
static void
check_window(void)
{
    uint32_t rows = 0;
    unsigned batches = 0;
    int64_t in_hand[PARTITIONS];
    memcpy(in_hand, world.committed, sizeof(in_hand));
    for (unsigned i = 0; i < window.n; i++) {
        const struct batch *batch = window_at(&window, i);
        rows += batch->n;
        batches += batch->n > 0;
        for (uint32_t row = 0; row < batch->n; row++) {
            const struct message *m = &batch->entries[row].message;
            cr_assert_eq(m->offset, in_hand[m->partition], "in the order of Kafka, without holes");
            in_hand[m->partition] += 1 + m->more;
        }
    }
    cr_assert_arr_eq(in_hand, world.next, sizeof(in_hand));
    cr_assert_eq(window_rows(&window), rows);
    cr_assert_eq(window_batches(&window), batches);
    cr_assert_eq(world.received, world.completed + world.rejected + world.returned + rows);
    cr_assert_eq(window_to_write(&window), expected_to_write());
    cr_assert_eq(window_to_bury(&window), expected_to_bury());
    const struct batch *last = window.n > 0 ? window_at(&window, window.n - 1) : NULL;
    bool goes = last != NULL && last != world.writing && last != world.burying;
    cr_assert_eq(window_to_drop(&window), goes ? last : NULL);
    check_runs();
}

static void
do_something(void)
{
    switch (rand() % 10) {
    case 0:
    case 1:
        take_some();
        break;
    case 2:
        (void)(rand() % 2 == 0 ? window_close_all(&window) : window_close_due(&window, 0));
        break;
    case 3:
        begin_write();
        break;
    case 4:
    case 5:
    case 6:
        go_on_writing();
        break;
    case 7:
        go_on_burying();
        break;
    case 8:
        retire_some();
        break;
    default:
        go_on_giving_back();
    }
}

static void
play(unsigned seed)
{
    srand(seed);
    memset(&world, 0, sizeof(world));
    world.transactional = seed % 2 == 1;
    setup(1 + seed / 2 % 4, world.transactional);
    for (int step = 0; step < STEPS; step++) {
        do_something();
        check_window();
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
