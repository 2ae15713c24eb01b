/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume.h - one member of a Kafka consumer group: librdkafka and nothing else.
 *
 * Messages and control events (rebalances, answers to commits, errors) come through separate
 * queues: partition queues are forwarded to a queue of our own before they are assigned.  So a
 * rebalance is only ever taken by consumer_serve, never in the middle of a fetch, and a worker
 * that holds back (its store is sick) stops fetching without losing its membership: it just goes on
 * serving.  Neither pause() (which purges, and outlives rebalances) nor a long max.poll.interval is
 * needed for that.
 *
 * Nothing here waits, and nobody is called back: after each consumer_serve the owner looks whether
 * something is needed of it (consumer_need), and sleeps by poll(2) on two descriptors until
 * consumer_due_ms.  What the brokers are asked and librdkafka cannot answer later is asked on
 * threads beside (consume_ask.c).  Only rd_kafka_assign, rd_kafka_subscribe, rd_kafka_unsubscribe,
 * rd_kafka_assignment and rd_kafka_seek_partitions are waited for: they ask librdkafka's own main
 * thread, which answers in a moment, as it waits for nobody.
 *
 * Process: workers, made after the fork.  Owner: the worker.  Concurrency: one thread calls this;
 * librdkafka's own threads never call back into the program except to log.
 */
#ifndef WORKER_CONSUME_H
#define WORKER_CONSUME_H

#include "lib/base.h"
#include "conf/cfg.h"
#include "lib/errbuf.h"
#include "shm/hands.h"
#include "shm/recorder.h"
#include "store/store.h"
#include "batch/message.h"

struct consumer;

struct consumer_options {
    struct hands *hands; /* where positions are written down; NULL: nobody would look */
    unsigned slot;       /* its place there */
    uint32_t key;        /* its topic's, there */
    bool careful;        /* fetches one batch of a partition at a time */
    bool claims;         /* the store keeps the offsets: partitions are claimed before they start */
};

/* What the owner has to do for things to go on. */
enum consumer_need {
    CONSUMER_NEEDS_NOTHING,
    /* Have the store take the partitions over: consumer_claims, then _claimed or _claim_failed. */
    CONSUMER_NEEDS_CLAIM,
    /*
     * All partitions are about to be taken away (eager protocol) or started anew: finish or give
     * back everything in hand, note what is durable, then consumer_give_back.
     */
    CONSUMER_NEEDS_BACK,
    /* The same, but somebody else may own them already: nothing that is noted is committed. */
    CONSUMER_NEEDS_BACK_LOST
};

/*
 * Joins the group and subscribes.
 * Takes: the configuration, which outlives the consumer; the options (copied); the recorder whose
 * Kafka counters it keeps; how long to wait with that once the brokers have answered, in ms, 0 for
 * not waiting even for them. Returns: the consumer, or NULL with a text.
 */
struct consumer *consumer_open(const struct config *cfg, enum topic_kind kind,
                               struct recorder *recorder, const struct consumer_options *options,
                               int64_t hold_ms, struct errbuf *err) MUST_CHECK;

/*
 * Takes all events that are there: rebalances, answers, errors; does what is due.
 * Returns: 0, or -1 with a text if the client is beyond repair (the worker should exit).
 */
int consumer_serve(struct consumer *consumer, struct errbuf *err) MUST_CHECK;

/*
 * Returns: whether a question without whose answer nothing is fetched has been under way for more
 * than twice as long as librdkafka may take for it: no sign of life is due, then.
 */
bool consumer_hangs(const struct consumer *consumer, int64_t now_ms);

/* Returns: when consumer_serve has to be called at the latest, by clock_mono_ms. */
int64_t consumer_due_ms(const struct consumer *consumer);

/*
 * Returns: a descriptor that is readable when there is something for consumer_serve, and one for
 * when there may be messages; only to be polled. The second tells of what is new, once: whoever
 * leaves messages where they are asks consumer_may_have_messages.
 */
int consumer_fd(const struct consumer *consumer);
int consumer_messages_fd(const struct consumer *consumer);
bool consumer_may_have_messages(const struct consumer *consumer);

/*
 * Takes messages in the order of each partition; none while partitions are being taken over, given
 * back or started anew. One may stand for offsets that the client library cannot read
 * (message.unreadable says why, until the next fetch): it has no payload, and has to become a dead
 * letter.
 * Takes: room for `max` (1..CONSUMER_FETCH_MAX) messages.
 * Returns: how many came. Each has to be released.
 */
size_t consumer_fetch(struct consumer *consumer, struct message *messages, size_t max);

#define CONSUMER_FETCH_MAX 512

/* Gives a message's memory back. */
void consumer_release(struct message *message);

/*
 * Returns: the number of the present assignment, or of its present start: ascending. What was
 * fetched under another number must not be noted as durable any more.
 */
unsigned consumer_assignment(const struct consumer *consumer);

/* Returns: what the owner has to do now; the same until it has. */
enum consumer_need consumer_need(const struct consumer *consumer);

/*
 * CONSUMER_NEEDS_CLAIM: what is to be claimed. It is not needed any more from then on, until the
 * claim has failed.
 * Returns: the positions, for the owner to fill in where to go on (`next`, -1: at the group's
 * committed offset) and `last_ms`; they are there until the next consumer_serve. Their number in
 * *n; the cluster's id in *cluster_id, for as long.
 */
struct store_position *consumer_claims(struct consumer *consumer, size_t *n,
                                       const char **cluster_id);

/*
 * The store has taken them over; positions as by consumer_claims, or copies of those.
 * Takes: what consumer_assignment was when they were asked for; if that is past, nothing happens.
 */
void consumer_claimed(struct consumer *consumer, unsigned assignment,
                      const struct store_position *positions, size_t n);

/* The store could not: it is asked for again a little later. */
void consumer_claim_failed(struct consumer *consumer, unsigned assignment);

/* The store found that somebody else took a partition over, and everything was given back: fetches
 * nothing until all are claimed anew. */
void consumer_claim_again(struct consumer *consumer);

/*
 * CONSUMER_NEEDS_BACK and _BACK_LOST: everything of this assignment is given back. What was noted
 * durable is committed, if it may be, and once that is answered, or after some seconds, the
 * partitions are given up.
 * Takes: whether the worker leaves. Then the group is left at once, and not joined again first,
 * which would stop it once more.
 */
void consumer_give_back(struct consumer *consumer, bool leaves);

/*
 * Notes that everything before `next` in a partition is durable; sent by the next consumer_commit.
 * Takes: what consumer_assignment was when it was fetched: what is past is dropped; Kafka's
 * timestamp of the last message before `next`, ms since 1970; -1 if it has none.
 */
void consumer_note_durable(struct consumer *consumer, unsigned assignment, int32_t partition,
                           int64_t next, int64_t last_ms);

/* Sends what was noted and not yet committed. Failures are counted and sent again. */
void consumer_commit(struct consumer *consumer);

/* Returns: whether a commit is not answered yet. */
bool consumer_has_commits_under_way(const struct consumer *consumer);

/*
 * Brings the lag figures up to date; limits by itself how often it does, and asks the brokers only
 * when it has to.
 * Takes: now by clock_mono_ms; whether nothing is fetched because the worker holds back.
 */
void consumer_update_lag(struct consumer *consumer, int64_t now_ms, bool holding_back);

/* Returns: true once a broker has answered: it exists, and takes our credentials. */
bool consumer_has_reached(const struct consumer *consumer);

/* Returns: true once the group has assigned partitions to it, or none for want of any. */
bool consumer_has_joined(const struct consumer *consumer);

/* Returns: partitions owned now. */
size_t consumer_partitions(const struct consumer *consumer);

/*
 * Begins to leave the group: commits what was noted, then gives the partitions up. Everything has
 * to have been given back before; nothing is needed any more. Serve it until it has left.
 */
void consumer_leave(struct consumer *consumer);
bool consumer_has_left(const struct consumer *consumer);

/*
 * Ends it, and nulls the pointer. What the client holds is left to the end of the process, which
 * has to be near: see consume.c. All messages must have been released.
 */
void consumer_close(struct consumer **consumer);

#endif
