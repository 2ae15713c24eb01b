/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume_priv.h - what consume.c and consume_*.c share.
 *
 * Process: workers.  Owner: struct consumer.  Concurrency: the worker's thread.
 */
#ifndef WORKER_CONSUME_PRIV_H
#define WORKER_CONSUME_PRIV_H

#include <librdkafka/rdkafka.h>

#include "lib/log.h"
#include "conf/reject.h"
#include "kafka/consume.h"
#include "kafka/lag.h"

enum {
    ASK_MS = 5000, /* for a question to the brokers */
    RETRY_MS = 1000,
    TROUBLE_MS = 60000, /* librdkafka repeats what is wrong with a connection every 30 s */
    JOIN_AGAIN_MS = 10000
};

/* What librdkafka could not read: see consume_unreadable.c. */
struct unreadable {
    bool held;      /* nothing of the partition is taken until it is tried again, or passed */
    bool astray;    /* librdkafka may be anywhere, or have stopped: a seek may not reach it */
    int64_t base;   /* the offset that librdkafka names: the batch's first */
    unsigned tries; /* times in a row that it could not read that */
    int64_t due_ms; /* not before then: trying again, or passing */
    char text[160]; /* librdkafka's words */
};

/* A partition that is assigned to this worker. */
struct partition {
    int32_t id;
    int64_t start;     /* where it was assigned to begin; -1 if unknown */
    int64_t position;  /* the next offset to come; -1 if unknown */
    int64_t durable;   /* may be committed up to here; -1 if nothing yet */
    /* Kafka's timestamps of the last messages before start and durable; -1: unknown */
    int64_t start_ms, durable_ms;
    /*
     * The message before `position` is asked for once more, and has to have this timestamp, or the
     * topic is another one than the position is of; -1: that need not be looked at (any more).
     */
    int64_t expected_ms;
    bool made_anew; /* it had not: nothing is taken until it starts again */
    int64_t sent;      /* the last commit on its way, or committed */
    int64_t committed; /* confirmed by the broker; -1 if unknown */
    bool lost_position;
    struct unreadable unreadable;
    int64_t resume;    /* started anew when all before that is durable, as it was passed; or -1 */
    int64_t fatal_end; /* behind the offsets at its position that kill workers; or -1 */
    struct lag lag;
};

struct consumer {
    rd_kafka_t *rk;
    rd_kafka_queue_t *messages; /* where partition queues are forwarded to */
    rd_kafka_queue_t *answers;  /* of commits */
    int events_fd, messages_fd; /* librdkafka writes to them; -1: not made */
    const struct config *cfg;
    enum topic_kind kind;
    char *topic;
    const char *group;
    struct consumer_hooks hooks;
    struct recorder *recorder;
    struct partition *partitions; /* sorted by id */
    size_t n_partitions;
    unsigned commits_under_way;
    bool held_some;          /* a partition is held for what cannot be read */
    rd_kafka_t *probe;       /* a client that looks where such a batch ends; NULL until it has to */
    rd_kafka_topic_t *probe_topic;
    struct reject fault; /* of the batch passed last */
    bool halted;             /* nothing is assigned at librdkafka, so as to start anew */
    bool unclaimed;          /* the store has not taken the partitions over yet */
    bool unasked;            /* the group has not told its offsets yet */
    bool lost_some;          /* a partition has lost its position */
    bool topic_gone;         /* the brokers said so, and nothing was assigned since */
    int64_t join_again_ms;   /* not before then: joining again without partitions */
    int64_t hold_ms;         /* between a broker's answer and the subscription; -1: subscribed */
    int64_t reached_ms;      /* when a broker had answered; 0: none has yet */
    bool joined;             /* it was assigned something, or nothing, at least once */
    bool rebalancing;        /* in the middle of taking partitions over or giving them back */
    bool closing;            /* leaving the group: nothing new is taken */
    int64_t look_again_ms;   /* not before then: positions */
    int64_t commit_again_ms; /* not before then: what could not be committed yet; 0: nothing */
    int64_t look_at_lag_ms;  /* not before then */
    int64_t emptied_ms;      /* what comes through the queue of messages has come since */
    int64_t ask_again_ms;    /* not before then: for the partitions' ends */
    bool crippled;           /* librdkafka could not make one of its threads */
    struct errbuf trouble;   /* the last one with a connection */
    int64_t trouble_ms;      /* when that was heard of */
    struct log_limit error_limit;
};

/* Returns: the assigned partition of that number, or NULL. */
struct partition *consume_find_partition(const struct consumer *c, int32_t id);

/* Returns: up to where a partition is committed, as far as is known; -1 if nothing is. */
static inline int64_t
consume_committed(const struct partition *p)
{
    /* Where nothing was ever committed, and where a store keeps the offsets, it began there. */
    return p->committed >= 0 ? p->committed : p->start;
}

/* All before a gap at the partition's end is durable: then so is the gap; to be committed soon. */
void consume_commit_gap(struct consumer *c, struct partition *p);

/* A client's log lines; any thread. */
void consume_log(const rd_kafka_t *rk, int level, const char *facility, const char *text);

/* Counts an error and logs it within the limit. */
void consume_note_error(struct consumer *c, const char *what);

/* Subscribes, which joins the group, or joins it again. Returns: 0, or -1 with a text. */
int consume_subscribe(struct consumer *c, struct errbuf *err) MUST_CHECK;

/* One that was held back joins when it is time; from every serve. As consume_subscribe. */
int consume_join_when_due(struct consumer *c, struct errbuf *err) MUST_CHECK;

/* One that owns nothing joins again where nobody owns a partition that is there; from every serve. */
void consume_join_for_topic(struct consumer *c);

/* A partition begins, or begins anew somewhere else: its lag is unknown for now. */
void consume_begin_lag(struct consumer *c, struct partition *p);

/* Sets the figures to what is known of the lag. */
void consume_show_lag(struct consumer *c, int64_t now_ms);

/* Hands librdkafka the assignment with its positions; fetching begins. */
void position_assign_all(struct consumer *c);

/* What is committed with an offset: the timestamp of the last message before it. */
void position_write_metadata(int64_t last_ms, rd_kafka_topic_partition_t *element);

/*
 * A message that came for a partition: is it one to take?
 * Takes: its offset and timestamp. Returns: false if it is the one before the position, which only
 * shows whether the topic is still the same; if it is not, the partition has lost its position.
 */
bool position_check_message(struct consumer *c, struct partition *p, int64_t offset,
                            int64_t time_ms);

/* Asks for the committed offsets; false if a partition still has no position: to be asked again. */
bool position_ask_committed(struct consumer *c);

/* Looks for all lost positions; true if all are known now. */
bool position_find_lost(struct consumer *c);

/* A member with nothing to fetch: it keeps its place in the group meanwhile. */
void position_fetch_nothing(struct consumer *c);

/* Finishes or gives back the batch, then starts anew where positions were lost; from every serve.
 */
void position_restart_lost(struct consumer *c);

/* Returns: whether an error that librdkafka sends in the place of a message is about the bytes. */
bool unreadable_is(rd_kafka_resp_err_t code);

/* Notes such an error and holds its partition. */
void unreadable_note(struct consumer *c, const rd_kafka_message_t *message);

/*
 * Tries held partitions again that are due, or passes what cannot be read; may ask the brokers.
 * Returns: whether *out is a message that stands for the offsets that were passed.
 */
bool unreadable_take(struct consumer *c, struct message *out);

/*
 * Moves a partition past what lies between its position and `end`. Returns: *out, which stands for
 * that; c->fault is to say why.
 */
void unreadable_pass(struct consumer *c, struct partition *p, int64_t end, struct message *out);

/* Writes down where all partitions would be read on from. */
void fatal_write_places(struct consumer *c);

/* Returns: whether a partition's position is one that no worker survives: not to be fetched. */
bool fatal_find(struct consumer *c, struct partition *p);

/* Returns: whether *out stands for offsets of that kind. */
bool fatal_take(struct consumer *c, struct message *out);

/* A partition is not the one any more that a verdict is about. */
void fatal_forget(struct consumer *c, const struct partition *p);

/* A partition's durable offset has moved. */
void fatal_note_durable(struct consumer *c, const struct partition *p);

#endif
