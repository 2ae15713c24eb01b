/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume_group.c - from an assignment to its end: who is asked what before partitions are fetched,
 * and what happens before they are given up.
 *
 *     NONE -> MEETING -> CLAIMING -> ASKING -> FINDING -> RUNNING
 *               (MEETING, CLAIMING: where the store keeps the offsets; FINDING: where a position is
 *               not known)
 *     RUNNING -> DRAINING -> SETTLING -> FINDING  (a position was lost)
 *     any -> DRAINING -> SETTLING -> NONE         (revoked, or lost)
 *
 * At an assignment librdkafka (2.0.2) is told at once that nothing is assigned, and what really is
 * once its positions are known: as long as it waits for that it takes no notice of a loss.  Only
 * the answer to a revocation is late, by what the owner takes to finish and COMMIT_MS at most.  A
 * loss in that time is noticed by what a commit is answered: librdkafka keeps it to itself, and
 * then would commit as nobody.  Whether a revoked assignment is lost is asked before anything else,
 * as each assign forgets it.
 *
 * Process: workers.  Owner: struct consumer.  Concurrency: the worker's thread.
 */
#include <stdlib.h>

#include "lib/clock.h"
#include "kafka/consume_priv.h"

unsigned
consumer_assignment(const struct consumer *consumer)
{
    return consumer->assignment;
}

static void
go_to(struct consumer *c, enum group_state state, int64_t due_ms)
{
    c->state = state;
    c->next_step_ms = due_ms;
}

/* --- taking partitions over --- */

static int
compare_partitions(const void *a, const void *b)
{
    int32_t x = ((const struct partition *)a)->id, y = ((const struct partition *)b)->id;
    return x < y ? -1 : x > y;
}

static void
forget_partitions(struct consumer *c)
{
    free(c->partitions);
    free(c->claims);
    c->partitions = NULL;
    c->claims = NULL;
    c->n_partitions = 0;
    c->lost_some = c->held_some = c->lost = c->unclaimed = false;
    c->commit_again_ms = 0;
    c->commits_under_way = 0; /* what they are answered is of no interest any more */
    c->assignment++;
    go_to(c, GROUP_NONE, 0);
    ask_end(c, ASK_POSITIONS);
    fatal_write_places(c);
    recorder_set(c->recorder, STAT_PARTITIONS, 0);
    consume_show_lag(c, clock_mono_ms());
}

static int
take_partitions(struct consumer *c, const rd_kafka_topic_partition_list_t *list)
{
    size_t n = (size_t)list->cnt;
    forget_partitions(c);
    c->partitions = calloc(n + 1, sizeof(*c->partitions));
    c->claims = calloc(n + 1, sizeof(*c->claims));
    if (c->partitions == NULL || c->claims == NULL)
        return -1;
    c->n_partitions = n;
    for (size_t i = 0; i < n; i++)
        position_begin(c, &c->partitions[i], list->elems[i].partition, -1, -1);
    qsort(c->partitions, n, sizeof(*c->partitions), compare_partitions);
    recorder_set(c->recorder, STAT_PARTITIONS, n);
    consume_show_lag(c, clock_mono_ms());
    return 0;
}

static void
on_assigned(struct consumer *c, const rd_kafka_topic_partition_list_t *list)
{
    if (c->closing || take_partitions(c, list) == -1) {
        if (!c->closing)
            consume_note_error(c, "out of memory");
        forget_partitions(c);
        rd_kafka_assign(c->rk, NULL);
        return;
    }
    log_info("%d partitions of %s assigned", list->cnt, c->topic);
    if (!c->joined)
        recorder_set_wait(c->recorder, NULL, NULL);
    c->joined = true;
    c->topic_gone = c->topic_gone && list->cnt == 0;
    c->join_again_ms = clock_mono_ms() + JOIN_AGAIN_MS;
    position_fetch_nothing(c);
    if (c->n_partitions > 0)
        go_to(c, c->options.claims ? GROUP_MEETING : GROUP_ASKING, 0);
    group_step(c);
}

/* --- the claim --- */

/* The id comes with the first answer of a broker, and only that first one is waited for. */
static void
ask_cluster_id(struct question *q)
{
    q->cluster_id = rd_kafka_clusterid(q->rk, q->timeout_ms);
}

static void
meet(struct consumer *c)
{
    struct question *q = ask_answered(c, ASK_POSITIONS);
    if (q != NULL && q->cluster_id != NULL) {
        rd_kafka_mem_free(c->rk, c->cluster_id);
        c->cluster_id = q->cluster_id;
        q->cluster_id = NULL;
    }
    if (q != NULL)
        ask_end(c, ASK_POSITIONS);
    if (c->cluster_id == NULL)
        c->cluster_id = rd_kafka_clusterid(c->rk, 0);
    if (c->cluster_id != NULL) {
        go_to(c, GROUP_CLAIMING, c->next_step_ms);
        return;
    }
    if (!ask_is_busy(c, ASK_POSITIONS) && clock_mono_ms() >= c->next_step_ms) {
        c->next_step_ms = clock_mono_ms() + RETRY_MS;
        (void)ask_start(c, ASK_POSITIONS, ask_new(c, ask_cluster_id, NULL));
    }
}

struct store_position *
consumer_claims(struct consumer *consumer, size_t *n, const char **cluster_id)
{
    for (size_t i = 0; i < consumer->n_partitions; i++)
        consumer->claims[i] = (struct store_position){
            .partition = consumer->partitions[i].id, .next = -1, .last_ms = -1};
    consumer->next_step_ms = INT64_MAX; /* the owner is about to */
    *n = consumer->n_partitions;
    *cluster_id = consumer->cluster_id;
    return consumer->claims;
}

void
consumer_claimed(struct consumer *consumer, unsigned assignment,
                 const struct store_position *positions, size_t n)
{
    if (assignment != consumer->assignment || consumer->state != GROUP_CLAIMING)
        return;
    assert(n == consumer->n_partitions);
    for (size_t i = 0; i < n; i++)
        position_begin(consumer, &consumer->partitions[i], consumer->partitions[i].id,
                       positions[i].next, positions[i].last_ms);
    consumer->lost_some = consumer->held_some = false;
    go_to(consumer, GROUP_ASKING, 0);
    group_step(consumer);
}

void
consumer_claim_failed(struct consumer *consumer, unsigned assignment)
{
    if (assignment == consumer->assignment && consumer->state == GROUP_CLAIMING)
        consumer->next_step_ms = clock_mono_ms() + RETRY_MS;
}

void
consumer_claim_again(struct consumer *consumer)
{
    if (consumer->state != GROUP_RUNNING) {
        consumer->unclaimed = true; /* if it starts anew; revoked is more than fenced */
        return;
    }
    position_fetch_nothing(consumer);
    consumer->assignment++;
    consumer->commits_under_way = 0;
    for (size_t i = 0; i < consumer->n_partitions; i++)
        consumer->partitions[i].position = -1; /* the store will say */
    go_to(consumer, GROUP_MEETING, clock_mono_ms() + RETRY_MS);
}

/* --- positions --- */

static void
start(struct consumer *c)
{
    position_assign_all(c);
    c->more_messages = true;
    c->look_again_ms = clock_mono_ms() + RETRY_MS;
    go_to(c, GROUP_RUNNING, 0);
}

/*
 * What the group does not tell is asked again, with nothing assigned: librdkafka (2.0.2) would ask
 * for it itself, but not once more if the coordinator changes right then, and wait for ever.
 */
static void
ask_group(struct consumer *c)
{
    struct question *q = ask_answered(c, ASK_POSITIONS);
    if (q != NULL) {
        bool all = position_take_committed(c, q);
        ask_end(c, ASK_POSITIONS);
        if (all && c->lost_some) {
            c->starts_anew = false;
            go_to(c, GROUP_FINDING, 0);
        } else if (all) {
            start(c);
        } else {
            c->next_step_ms = clock_mono_ms() + RETRY_MS;
        }
    } else if (!ask_is_busy(c, ASK_POSITIONS) && clock_mono_ms() >= c->next_step_ms) {
        c->next_step_ms = clock_mono_ms() + RETRY_MS;
        position_ask_committed(c);
    }
}

/* At an assignment, what cannot be found now is looked for again later; the others start. */
static void
find_lost(struct consumer *c)
{
    struct question *q = ask_answered(c, ASK_POSITIONS);
    if (q != NULL) {
        bool all = position_take_lost(c, q);
        ask_end(c, ASK_POSITIONS);
        if (all || !c->starts_anew)
            start(c);
        else
            c->next_step_ms = clock_mono_ms() + RETRY_MS;
    } else if (!ask_is_busy(c, ASK_POSITIONS) && clock_mono_ms() >= c->next_step_ms) {
        c->next_step_ms = clock_mono_ms() + RETRY_MS;
        position_ask_lost(c);
    }
}

/* --- giving partitions up --- */

static void
drain(struct consumer *c, bool for_revoke)
{
    ask_end(c, ASK_POSITIONS);
    c->drains_for_revoke = for_revoke;
    c->leaves = false;
    go_to(c, GROUP_DRAINING, 0);
}

static void
give_up(struct consumer *c, bool leaves)
{
    forget_partitions(c);
    /* Before librdkafka is told that the partitions are free, as it joins again right then. */
    if (leaves && !c->closing)
        rd_kafka_unsubscribe(c->rk);
    rd_kafka_assign(c->rk, NULL);
}

static void
on_revoked(struct consumer *c, bool lost)
{
    if (c->n_partitions > 0)
        log_info("%zu partitions of %s %s", c->n_partitions, c->topic, lost ? "lost" : "revoked");
    if (c->closing) {
        give_up(c, false);
        return;
    }
    c->lost = c->lost || lost;
    drain(c, true);
}

void
group_take_event(struct consumer *c, rd_kafka_resp_err_t code,
                 const rd_kafka_topic_partition_list_t *list)
{
    bool lost = rd_kafka_assignment_lost(c->rk) != 0;
    recorder_add(c->recorder, STAT_REBALANCES, 1);
    if (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS &&
        code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        consume_note_error(c, rd_kafka_err2str(code));
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        on_assigned(c, list);
    else
        on_revoked(c, lost);
}

void
group_note_lost(struct consumer *c)
{
    c->lost = true;
}

void
consumer_give_back(struct consumer *consumer, bool leaves)
{
    if (consumer->state != GROUP_DRAINING)
        return;
    consumer_commit(consumer);
    consumer->leaves = leaves;
    go_to(consumer, GROUP_SETTLING, clock_mono_ms() + COMMIT_MS);
    group_step(consumer);
}

static bool
all_committed(const struct consumer *c)
{
    for (size_t i = 0; i < c->n_partitions; i++)
        if (c->partitions[i].durable > c->partitions[i].committed)
            return false;
    return true;
}

static void
tell_uncommitted(const struct consumer *c)
{
    if (!c->lost && !all_committed(c))
        log_warning("offsets could not be committed in time; messages will be read again");
}

/*
 * In two steps, since librdkafka (2.0.2) does not start a partition again that it is still
 * stopping: first nothing is assigned, and a little later all, at their positions.  That drops what
 * it has fetched, so everything was given back before; it may also hold messages of a topic that is
 * there no more, whose offsets must not outlive the reset.
 */
static void
start_anew(struct consumer *c)
{
    if (!all_committed(c))
        consume_commit_soon(c);
    position_rewind(c);
    position_fetch_nothing(c);
    c->assignment++;
    c->commits_under_way = 0;
    c->starts_anew = true;
    go_to(c, c->unclaimed ? GROUP_MEETING : GROUP_FINDING, clock_mono_ms() + RETRY_MS);
    c->unclaimed = false;
}

static void
settle(struct consumer *c)
{
    if (c->commits_under_way > 0 && !c->lost && clock_mono_ms() < c->next_step_ms)
        return;
    tell_uncommitted(c);
    if (c->drains_for_revoke)
        give_up(c, c->leaves);
    else
        start_anew(c);
}

/* --- leaving --- */

void
consumer_leave(struct consumer *consumer)
{
    if (consumer->leaving)
        return;
    consumer->leaving = true;
    if (consumer->state == GROUP_SETTLING) /* which goes on */
        return;
    ask_end(consumer, ASK_POSITIONS);
    consumer_commit(consumer);
    consumer->next_step_ms = clock_mono_ms() + COMMIT_MS;
}

bool
consumer_has_left(const struct consumer *consumer)
{
    return consumer->left || (consumer->closing && rd_kafka_consumer_closed(consumer->rk) != 0);
}

static void
leave(struct consumer *c)
{
    if (c->closing)
        return;
    if (c->commits_under_way > 0 && !c->lost && clock_mono_ms() < c->next_step_ms)
        return;
    tell_uncommitted(c);
    if (c->drains_for_revoke && (c->state == GROUP_SETTLING || c->state == GROUP_DRAINING))
        give_up(c, true);
    c->closing = true;
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(c->rk, c->goodbye);
    if (error == NULL)
        return;
    log_warning("cannot leave the group: %s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    c->left = true;
}

/* --- one step after the other --- */

/* When everything starts anew; not while somebody looks for the end of what cannot be read, whose
 * answer would be lost. */
static int64_t
start_anew_ms(const struct consumer *c)
{
    return c->lost_some && !ask_is_busy(c, ASK_PROBE) ? c->look_again_ms : INT64_MAX;
}

enum consumer_need
consumer_need(const struct consumer *consumer)
{
    if (consumer->leaving)
        return CONSUMER_NEEDS_NOTHING;
    if (consumer->state == GROUP_DRAINING)
        return consumer->lost ? CONSUMER_NEEDS_BACK_LOST : CONSUMER_NEEDS_BACK;
    if (consumer->state == GROUP_CLAIMING && clock_mono_ms() >= consumer->next_step_ms)
        return CONSUMER_NEEDS_CLAIM;
    return CONSUMER_NEEDS_NOTHING;
}

void
group_step(struct consumer *c)
{
    if (c->leaving) {
        leave(c);
        return;
    }
    if (c->state == GROUP_MEETING)
        meet(c);
    if (c->state == GROUP_ASKING)
        ask_group(c);
    if (c->state == GROUP_FINDING)
        find_lost(c);
    if (c->state == GROUP_RUNNING && clock_mono_ms() >= start_anew_ms(c))
        drain(c, false);
    if (c->state == GROUP_SETTLING)
        settle(c);
}

int64_t
group_due_ms(const struct consumer *c)
{
    if (c->leaving || c->state == GROUP_SETTLING || c->state == GROUP_CLAIMING)
        return c->closing ? INT64_MAX : c->next_step_ms;
    if (c->state == GROUP_RUNNING)
        return start_anew_ms(c);
    if (c->state == GROUP_NONE || c->state == GROUP_DRAINING || ask_is_busy(c, ASK_POSITIONS))
        return INT64_MAX;
    return c->next_step_ms;
}
