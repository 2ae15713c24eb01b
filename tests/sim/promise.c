/* SPDX-License-Identifier: Apache-2.0 */
/* promise.c - see promise.h. */
#include "tests/sim/promise.h"

#include "kafka/consume.h"
#include "lib/job.h"
#include "tests/sim/consumer.h"
#include "tests/sim/topic.h"
#include "tests/sim/transactions.h"

enum {
    BEAT_MS = 1000, /* a sign of life is due so often, and none when it hangs that long */
    HANGS_MS = 1000,
    SERVE_MS = 300,
    IDLE_MS = 300,
    CARE_S = 40, /* a claim may take a while */
    STOP_SLACK_MS = 300
};

/* --- figures --- */

static void
check_sums(const struct life *l)
{
    uint64_t returned = life_figure(l, STAT_RETURNED_REVOKED) +
                        life_figure(l, STAT_RETURNED_LOST) + life_figure(l, STAT_RETURNED_FENCED) +
                        life_figure(l, STAT_RETURNED_STOPPED);
    uint64_t rejected = 0;
    for (unsigned r = 0; r < REJECT_REASONS; r++)
        rejected += life_figure(l, (enum stat_value)(STAT_REJECTED_NOT_JSON + r));
    PROMISE(returned == life_figure(l, STAT_RETURNED), "returned is not the sum of its reasons");
    PROMISE(rejected == life_figure(l, STAT_REJECTED), "rejected is not the sum of its reasons");
}

static void
check_counter(struct life *l, enum stat_value value, const char *name, uint64_t expected)
{
    uint64_t now = life_figure(l, value);
    PROMISE(now >= l->published[value], "%s goes back from %llu to %llu", name,
            (unsigned long long)l->published[value], (unsigned long long)now);
    PROMISE(now == expected, "%s is published as %llu, and is %llu", name, (unsigned long long)now,
            (unsigned long long)expected);
    l->published[value] = now;
}

static uint64_t
count_released(const struct life *l)
{
    uint64_t n = 0;
    for (int v = 0; v < VERDICTS; v++)
        n += l->released[v];
    return n;
}

static void
check_figures(struct life *l)
{
    uint64_t in_flight = life_figure(l, STAT_IN_FLIGHT);
    check_counter(l, STAT_RECEIVED, "received", l->fetched);
    check_counter(l, STAT_COMPLETED, "completed", l->released[VERDICT_STORED]);
    check_counter(l, STAT_REJECTED, "rejected", l->released[VERDICT_BURIED]);
    check_counter(l, STAT_RETURNED, "returned",
                  l->released[VERDICT_NONE] + l->released[VERDICT_REFUSED]);
    PROMISE(in_flight == l->fetched - count_released(l), "in_flight is %llu, and is %llu",
            (unsigned long long)in_flight, (unsigned long long)(l->fetched - count_released(l)));
    PROMISE(in_flight <= (uint64_t)(world.cfg->persister.batches_in_flight *
                                    world.cfg->topic[TOPIC_METRICS].batch_size),
            "it holds %llu messages", (unsigned long long)in_flight);
    check_sums(l);
}

void
promise_note_released(const struct handle *h)
{
    bool counts = !world.plan.transactional || h->committed;
    PROMISE(h->verdict != VERDICT_STORED || topic.messages[h->message].stored > 0,
            "the simulation itself: it is not stored");
    h->life->released[counts ? h->verdict : VERDICT_NONE]++;
    if (counts && (h->verdict == VERDICT_STORED || h->verdict == VERDICT_BURIED)) {
        topic.messages[h->message].settled_by = h->life;
        topic.messages[h->message].settled_assignment = h->assignment;
    }
}

void
promise_check_counted(const struct life *l)
{
    uint64_t counted = life_figure(l, STAT_COMPLETED) + life_figure(l, STAT_REJECTED);
    PROMISE(l->noted <= counted, "it commits %llu messages, and %llu are counted",
            (unsigned long long)l->noted, (unsigned long long)counted);
}

/* --- signs of life --- */

static void
check_beat(struct life *l)
{
    int64_t beat_ms = life_heartbeat_ms(l), now_ms = world_now_ms();
    bool hangs = l->disk != NULL && jobs_busy_ms(l->disk, now_ms) > HANGS_MS + 10;
    bool was_paused = now_ms - l->paused_until_ns / MS < BEAT_MS;
    if (hangs)
        PROMISE(beat_ms <= now_ms - 5 || was_paused, "it hangs, and gives signs of life");
    else
        PROMISE(beat_ms >= now_ms - BEAT_MS || was_paused || l->ended,
                "no sign of life since %lld ms", (long long)(now_ms - beat_ms));
}

static void
check_stop(const struct life *l)
{
    int64_t allowed_ms = world.cfg->persister.shutdown_timeout_seconds * 1000 + STOP_SLACK_MS;
    if (l->stops > 0 && !life_was_paused(l, l->stopped_ns))
        PROMISE(world.now_ns <= l->stopped_ns + allowed_ms * MS, "it has not stopped in time");
    if (l->stops > 1 && !life_was_paused(l, l->hurried_ns))
        PROMISE(world.now_ns <= l->hurried_ns + STOP_SLACK_MS * (int64_t)MS || l->first == NULL,
                "it was to hurry, and has not given back what is in hand");
}

/* Whoever gives partitions back hears of it if they are lost meanwhile. */
static void
check_served(const struct life *l)
{
    if (consumer_drains(l))
        PROMISE(world.now_ns - consumer_served_ns(l) <= SERVE_MS * (int64_t)MS ||
                    life_was_paused(l, world.now_ns - SECOND),
                "Kafka is not served while partitions are given back");
}

/* Nobody waits for nothing: while partitions go, or when a batch is full. */
static void
check_idle(const struct life *l)
{
    const int64_t slack_ns = IDLE_MS * (int64_t)MS;
    int64_t idle_ns = l->busy > 0 ? world.now_ns : l->idle_ns;
    if (l->may_break || life_was_paused(l, world.now_ns - SECOND))
        return;
    if (consumer_drains(l))
        PROMISE(world.now_ns - idle_ns <= slack_ns ||
                    world.now_ns - consumer_drain_ns(l) <= slack_ns,
                "partitions go, and it waits for nothing");
    if (!l->store_failed && !l->letters_failed && !l->fenced && !l->ended)
        PROMISE(world.now_ns - idle_ns <= slack_ns || world.now_ns - load_full_ns(l) <= slack_ns,
                "a batch is full, and it is not written");
}

static bool
is_settled(const struct handle *h)
{
    return world.plan.transactional
               ? h->committed
               : h->verdict == VERDICT_STORED || h->verdict == VERDICT_BURIED;
}

/* What is durable at the head is let go, whatever becomes of what is behind it. */
static void
check_taken(const struct life *l)
{
    const struct handle *h = l->first;
    if (h == NULL || !is_settled(h) || l->may_break || l->store_failed || l->letters_failed ||
        world.now_ns - l->settled_ns <= IDLE_MS * (int64_t)MS ||
        life_was_paused(l, world.now_ns - SECOND))
        return;
    for (; h != NULL && h->mark == l->first->mark; h = h->next)
        if (!is_settled(h))
            return;
    PROMISE(false, "a batch is durable, and is kept");
}

/* A careful worker is slow: it has one batch, and leaves when it need not be careful any more. */
static void
check_care(struct life *l)
{
    if (!l->careful)
        return;
    PROMISE(l->fetched - count_released(l) <=
                (uint64_t)world.cfg->topic[TOPIC_METRICS].batch_size,
            "it is careful, and has several batches in hand");
    if (l->first != NULL || life_is_danger_ahead() || life_was_paused(l, world.now_ns - SECOND))
        l->passed_ns = 0;
    else if (l->passed_ns == 0)
        l->passed_ns = world.now_ns;
    else
        PROMISE(world.now_ns - l->passed_ns <= CARE_S * SECOND, "it is careful for nothing");
}

/* With nothing in hand there is room for what is there. */
static void
check_rest(const struct life *l)
{
    if (l->first == NULL && l->stops == 0 && l->consumer != NULL &&
        consumer_may_have_messages(l->consumer))
        PROMISE(l->wake_ns <= world.now_ns + MS || l->may_break,
                "it sleeps, and there are messages");
}

void
promise_check_step(struct life *l)
{
    if (l->ended && l->result != WORKER_EXIT_DONE && l->refused > 0 && l->fetched == 0)
        return; /* it may have had no memory for its figures */
    check_figures(l);
    check_beat(l);
    check_stop(l);
    check_rest(l);
    check_served(l);
    check_idle(l);
    check_taken(l);
    check_care(l);
}

void
promise_check_end(const struct life *l)
{
    PROMISE(l->first == NULL, "it has left with messages in hand");
    if (l->result == WORKER_EXIT_DONE)
        PROMISE(l->stops > 0 || l->excused || l->may_break, "it left, and nobody had asked it to");
    else
        PROMISE(l->result == WORKER_EXIT_SICK && (l->may_break || l->careful),
                "it ended with %d without a reason", l->result);
}

/* --- durable, in order --- */

void
promise_check_durable(int32_t partition, int64_t next, int64_t last_ms)
{
    const struct topic_partition *p = &topic.partitions[partition];
    int64_t end = topic_durable_end(partition);
    size_t i = topic_find(partition, next);
    PROMISE(next <= end, "%d@%lld is to be committed, and %lld is not durable", (int)partition,
            (long long)next, (long long)end);
    PROMISE(!world.plan.transactional || next <= transactions_next(partition),
            "%d@%lld is to be committed, and the database stands at %lld", (int)partition,
            (long long)next, (long long)transactions_next(partition));
    PROMISE(i > 0, "%d@%lld: nothing is before it", (int)partition, (long long)next);
    const struct topic_message *last = &topic.messages[p->messages[i - 1]];
    PROMISE(last->offset + last->more + 1 == next && last->time_ms == last_ms,
            "%d@%lld: not the end of a message, or not its time", (int)partition, (long long)next);
}

static void
check_nothing_before(const struct life *l, unsigned mark)
{
    bool seen[PARTITIONS_MAX] = {false}; /* something before is not settled */
    for (const struct handle *h = l->first; h != NULL; h = h->next) {
        const struct topic_message *m = &topic.messages[h->message];
        bool settled = world.plan.transactional ? h->committed : h->verdict != VERDICT_NONE;
        if (m->kind != MESSAGE_GOOD && m->kind != MESSAGE_BAD_ROW && !world.plan.transactional)
            settled = true;
        PROMISE(h->mark != mark || !seen[m->partition] || settled,
                "%d@%lld is written, and what is before it is not settled", (int)m->partition,
                (long long)m->offset);
        if (h->mark != mark && !settled)
            seen[m->partition] = true;
    }
}

void
promise_check_write(struct life *l, const struct load *load, const struct batch *batch)
{
    static unsigned marks;
    size_t pending = 0;
    bool begun = false;
    marks++;
    PROMISE(!consumer_has_lost(l), "it writes, and its partitions are lost");
    for (uint32_t row = 0; row < batch->n; row++) {
        struct handle *h = batch->entries[row].message.handle;
        begun = begun || h->mark != 0;
        h->mark = marks;
        pending += batch->entries[row].state == ENTRY_PENDING;
    }
    for (size_t i = 0; i < load->n; i++)
        (void)load_handle(&load->rows[i], batch);
    PROMISE(pending == load->n, "of %zu pending rows %zu are in the load", pending, load->n);
    PROMISE(batch->n <= world.cfg->topic[TOPIC_METRICS].batch_size, "a batch of %u", batch->n);
    if (!begun && consumer_drains(l))
        l->begun++;
    PROMISE(l->begun <= 1 || !consumer_drains(l), "partitions go, and it begins batch after batch");
    check_nothing_before(l, marks);
}

void
promise_check_letter(const struct dead_letter *letter)
{
    static const enum reject_reason reasons[] = {
        [MESSAGE_GOOD] = REJECT_REASONS,          [MESSAGE_BAD_ROW] = REJECT_REFUSED,
        [MESSAGE_BAD_ADD] = REJECT_UNSTORABLE,    [MESSAGE_NOT_JSON] = REJECT_NOT_JSON,
        [MESSAGE_TOO_LARGE] = REJECT_TOO_LARGE,   [MESSAGE_TOMBSTONE] = REJECT_NOT_JSON,
        [MESSAGE_UNREADABLE] = REJECT_UNREADABLE, [MESSAGE_KILLER] = REJECT_UNREADABLE};
    const struct message *message = letter->message;
    const struct handle *h = message->handle;
    PROMISE(!consumer_has_lost(life_running), "it buries, and its partitions are lost");
    PROMISE(h != NULL && h->verdict != VERDICT_STORED && h->verdict != VERDICT_BURIED,
            "a letter of what is settled");
    const struct topic_message *m = &topic.messages[h->message];
    PROMISE(m->partition == message->partition && m->offset == message->offset &&
                m->more == message->more && h->payload == message->payload.p,
            "%d@%lld: the letter is of another message", (int)m->partition, (long long)m->offset);
    PROMISE(reasons[m->kind] == letter->why->reason, "%d@%lld: buried for %s, and it is of kind %d",
            (int)m->partition, (long long)m->offset, reject_name(letter->why->reason),
            (int)m->kind);
}

/* --- the whole --- */

bool
promise_all_done(void)
{
    for (unsigned i = 0; i < world.plan.partitions; i++) {
        const struct topic_partition *p = &topic.partitions[i];
        int64_t kept = world.plan.transactional ? transactions_next((int32_t)i) : p->committed;
        if (p->n > 0 && (topic_durable_end((int32_t)i) < p->end || kept < p->end))
            return false;
    }
    return true;
}

void
promise_check_all(void)
{
    for (size_t i = 0; i < topic.n; i++) {
        const struct topic_message *m = &topic.messages[i];
        PROMISE(m->stored + m->buried > 0, "%d@%lld is lost", (int)m->partition,
                (long long)m->offset);
    }
}
