/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume.h - one member of a Kafka consumer group: librdkafka and nothing else.
 *
 * Messages and control events (rebalances, answers to commits, errors) come through separate
 * queues: partition queues are forwarded to a queue of our own before they are assigned.  So a
 * rebalance is only ever served by consumer_serve, never in the middle of a fetch, and a worker
 * that holds back (its store is sick) stops fetching without losing its membership: it just goes on
 * serving.  Neither pause() (which purges, and outlives rebalances) nor a long max.poll.interval is
 * needed for that.
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

struct consumer_hooks {
    /*
     * All partitions are about to be taken away (eager protocol) or started anew. The worker
     * finishes or gives back its batch, and may call consumer_commit and consumer_settle_commits,
     * unless `lost`: then somebody else may own them already, and nothing must be committed.
     * Returns: whether the worker leaves. Then the group is left at once, and not joined again
     * first, which would stop it once more.
     */
    bool (*revoked)(void *arg, bool lost);
    /*
     * For a store that keeps the offsets; NULL otherwise. Partitions were assigned: takes them over
     * and fills in where to go on (-1: at the group's committed offset). Anything but STORE_DONE:
     * nothing is fetched, and it is asked again later.
     */
    enum store_status (*claim)(void *arg, const char *cluster_id, struct store_position *positions,
                               size_t n);
    struct hands *hands; /* where positions are written down; NULL: nobody would look */
    unsigned slot;       /* its place there */
    uint32_t key;        /* its topic's, there */
    bool careful;        /* fetches one batch of a partition at a time */
    /* Called now and then while something waits for the network. */
    void (*tick)(void *arg);
    void *arg;
};

/*
 * Joins the group and subscribes.
 * Takes: the configuration, which outlives the consumer; the hooks (copied); the recorder whose
 * Kafka counters it keeps; how long to wait with that once the brokers have answered, in ms, 0 for
 * not waiting even for them. Returns: the consumer, or NULL with a text.
 */
struct consumer *consumer_open(const struct config *cfg, enum topic_kind kind,
                               struct recorder *recorder, const struct consumer_hooks *hooks,
                               int64_t hold_ms, struct errbuf *err) MUST_CHECK;

/*
 * Serves rebalances, answers to commits and errors; has to be called at least every few seconds.
 * Takes: how long to wait for such an event, 0..1000 ms.
 * Returns: 0, or -1 with a text if the client is beyond repair (the worker should exit).
 */
int consumer_serve(struct consumer *consumer, int wait_ms, struct errbuf *err) MUST_CHECK;

/*
 * Takes messages in the order of each partition. One may stand for offsets that the client library
 * cannot read (message.unreadable says why): it has no payload, and has to become a dead letter.
 * Does not wait.
 * Takes: room for `max` (1..CONSUMER_FETCH_MAX) messages.
 * Returns: how many came. Each has to be released.
 */
size_t consumer_fetch(struct consumer *consumer, struct message *messages, size_t max);

/*
 * Returns: a descriptor that is readable when there is something for consumer_serve, and one for
 * when there may be messages; to be read by these two only.
 */
int consumer_fd(const struct consumer *consumer);
int consumer_messages_fd(const struct consumer *consumer);

#define CONSUMER_FETCH_MAX 512

/* Gives a message's memory back. */
void consumer_release(struct message *message);

/*
 * Notes that everything before `next` in a partition is durable; sent by the next consumer_commit.
 * Takes: Kafka's timestamp of the last message before it, ms since 1970; -1 if it has none.
 */
void consumer_note_durable(struct consumer *consumer, int32_t partition, int64_t next,
                           int64_t last_ms);

/* Sends what was noted and not yet committed; does not wait. Failures are counted and sent again.
 */
void consumer_commit(struct consumer *consumer);

/*
 * Waits until every commit is answered.
 * Takes: the latest time, by clock_mono_ms.
 * Returns: true if all that was noted is committed.
 */
bool consumer_settle_commits(struct consumer *consumer, int64_t deadline_ms);

/* The store found that somebody else took a partition over: fetches nothing until all are claimed
 * anew. */
void consumer_claim_again(struct consumer *consumer);

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
 * Leaves the group (calling `revoked` if partitions are still owned) and nulls the pointer. What
 * the client holds is left to the end of the process, which has to be near: see consume.c. All
 * messages must have been released. Takes: the latest time, by clock_mono_ms. Returns: true if the
 * group was left in time.
 */
bool consumer_close(struct consumer **consumer, int64_t deadline_ms);

#endif
