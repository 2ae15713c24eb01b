/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume_priv.h - what consume.c and consume_*.c share.
 *
 * Process: workers.  Owner: struct consumer.  Concurrency: the worker's thread.
 */
#ifndef WORKER_CONSUME_PRIV_H
#define WORKER_CONSUME_PRIV_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "lib/job.h"
#include "lib/log.h"
#include "conf/reject.h"
#include "kafka/consume.h"
#include "kafka/lag.h"

enum {
    ASK_MS = 5000, /* for a question to the brokers */
    RETRY_MS = 1000,
    TROUBLE_MS = 60000, /* librdkafka repeats what is wrong with a connection every 30 s */
    JOIN_AGAIN_MS = 10000,
    COMMIT_MS = 5000, /* for the answer to the last commit of an assignment */
    SOON_MS = 100     /* between two looks at what librdkafka does not tell */
};

/* Where the partitions are on their way from one rebalance to the next: see consume_group.c. */
enum group_state {
    GROUP_NONE,     /* owns nothing */
    GROUP_MEETING,  /* the cluster's id is asked for, which a claim needs */
    GROUP_CLAIMING, /* the owner has the store take the partitions over */
    GROUP_ASKING,   /* the group is asked for its offsets */
    GROUP_FINDING,  /* the brokers are asked where lost positions go on */
    GROUP_RUNNING,
    GROUP_DRAINING, /* the owner finishes or gives back what it has in hand */
    GROUP_SETTLING  /* the commits of that are on their way */
};

/* The threads that ask: see consume_ask.c. */
enum asker { ASK_POSITIONS, ASK_ENDS, ASK_PROBE, ASKERS };

/*
 * What a thread asks, and the answer.  Everything in it is its own, as it may be left behind; the
 * client and the probe last as long as the process.
 */
struct question {
    void (*run)(struct question *q);
    unsigned assignment; /* what it is about */
    rd_kafka_t *rk;
    char *topic, *group;
    rd_kafka_topic_partition_list_t *list; /* with the answers */
    int64_t *lows, *highs;                 /* of the list's first n */
    int n;
    int timeout_ms;      /* of one call; positions are asked for one by one */
    int64_t may_take_ms; /* in all */
    rd_kafka_resp_err_t code;
    char *cluster_id;
    bool some_unowned;
    int64_t asked_ms, took_ms;
    /* Where an unreadable batch of a partition ends. */
    struct probe *probe;
    atomic_bool left; /* nobody wants to know any more */
    int32_t partition;
    int64_t base, first, end; /* end is -1 if it was not found */
    struct errbuf err;
};

struct asking {
    struct jobs *jobs; /* NULL until there is something to ask */
    struct job *job;   /* NULL: nothing is asked now */
    struct question *question;
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
    bool silent;    /* nothing has come of it since it was assigned */
    int64_t sent;      /* the last commit on its way, or committed */
    int64_t committed; /* confirmed by the broker; -1 if unknown */
    bool lost_position;
    struct unreadable unreadable;
    int64_t resume;    /* started anew when all before that is durable, as it was passed; or -1 */
    int64_t fatal_end; /* behind the offsets at its position that kill workers; or -1 */
    struct lag lag;
};

/* What was taken of librdkafka's queue since half of it was, and the most that lay in it. */
struct wake {
    size_t n, bytes, most;
    size_t full_n, full_bytes; /* from which on it fetches no more; 0: it need not be woken */
};

struct consumer {
    rd_kafka_t *rk;
    rd_kafka_queue_t *messages; /* where partition queues are forwarded to */
    rd_kafka_queue_t *answers;  /* of commits */
    const struct config *cfg;
    enum topic_kind kind;
    char *topic;
    const char *group;
    struct consumer_options options;
    struct recorder *recorder;
    struct partition *partitions; /* sorted by id */
    size_t n_partitions;
    unsigned commits_under_way;
    rd_kafka_queue_t *control; /* rebalances and errors */
    rd_kafka_queue_t *goodbye; /* the same, while the group is left */
    int events_fd;             /* librdkafka writes to it where control, answers or goodbye have
                                  something new */
    int messages_fd;           /* and messages */
    int all_fd;                /* epoll: events_fd, and what the askers write to */
    struct asking asking[ASKERS];
    bool more_events;   /* there may be: serve soon */
    bool more_messages; /* the same, for fetch */
    struct wake wake;
    enum group_state state;
    unsigned assignment;      /* ascending with each one, and with each start anew */
    int64_t next_step_ms;     /* not before then: what the state is waiting for */
    bool drains_for_revoke;   /* else to start anew */
    bool lost;                /* somebody else may own the partitions already */
    bool leaves;              /* the group is left when they are given up */
    bool starts_anew;         /* finding: everything has to be found first */
    bool unclaimed;           /* has to be claimed again before it starts anew */
    char *cluster_id;
    struct store_position *claims; /* room for all partitions */
    bool held_some;      /* a partition is held for what cannot be read */
    struct probe *probe; /* a client that looks where such a batch ends; NULL until it has to */
    struct reject fault; /* of the batch passed last */
    bool lost_some;          /* a partition has lost its position */
    bool topic_gone;         /* the brokers said so, and nothing was assigned since */
    int64_t join_again_ms;   /* not before then: joining again without partitions */
    int64_t hold_ms;         /* between a broker's answer and the subscription; -1: subscribed */
    int64_t reached_ms;      /* when a broker had answered; 0: none has yet */
    bool joined;             /* it was assigned something, or nothing, at least once */
    bool leaving;            /* nothing new is taken; the group is left when all is committed */
    bool closing;            /* the client leaves the group */
    bool left;               /* or cannot */
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

/* Returns: a property of the client, a number from 0; or the other one, if it is none. */
int64_t consume_setting(const struct consumer *c, const char *name, int64_t otherwise);

/* Returns: the assigned partitions, with the question where each ends; the caller's. */
rd_kafka_topic_partition_list_t *consume_list_ends(const struct consumer *c);

/* Something is durable that no batch will tell of: it is committed soon. */
void consume_commit_soon(struct consumer *c);

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

/* A partition is found to be somewhere else than it was thought to be. */
void consume_note_bad_position(struct consumer *c, int32_t id);

/* What librdkafka sends about a partition in the place of a message. Takes: its words. */
void consume_take_error(struct consumer *c, rd_kafka_resp_err_t code, int32_t partition,
                        int64_t offset, const char *text);

/* --- consume_group.c --- */

/* Partitions are assigned or revoked. */
void group_take_event(struct consumer *c, rd_kafka_resp_err_t code,
                      const rd_kafka_topic_partition_list_t *list);

/* Does what is due; from every serve. */
void group_step(struct consumer *c);

/* Returns: when group_step has something to do at the latest. */
int64_t group_due_ms(const struct consumer *c);

/* A commit was refused as one of somebody who is no member any more: so the assignment is lost. */
void group_note_lost(struct consumer *c);

/* --- consume_wake.c --- */

/* Once the client is made. */
void wake_begin(struct consumer *c);

/* After so many messages, and bytes of payload, were taken. */
void wake_fetchers(struct consumer *c, size_t n, size_t bytes);

/*
 * The decision, pure. Takes: what was taken, and how many messages are left.
 * Returns: true each time that half of a queue that was about full has been taken.
 */
bool wake_is_due(struct wake *wake, size_t n, size_t bytes, size_t queued);

/* --- consume_ask.c --- */

/*
 * Takes: what asks it; which partitions are asked about, and with that what it will be, or NULL.
 * Returns: a question; NULL if memory is out, with the list freed.
 */
struct question *ask_new(struct consumer *c, void (*run)(struct question *q),
                         rd_kafka_topic_partition_list_t *list);

/* Has a question asked, if none is. Takes: the question, which is no longer the caller's; NULL: out
 * of memory. Returns: false if it could not be. */
bool ask_start(struct consumer *c, enum asker asker, struct question *question);

/* Returns: whether something is being asked. */
bool ask_is_busy(const struct consumer *c, enum asker asker);

/*
 * Returns: the question that was answered, or NULL: none, or one about a former assignment. To be
 * ended by ask_end.
 */
struct question *ask_answered(struct consumer *c, enum asker asker);

/* Ends a question, answered or not. */
void ask_end(struct consumer *c, enum asker asker);

/* Before poll(2): from now on the descriptor tells what is new. */
void ask_clear(struct consumer *c);

/* --- consume_join.c --- */

/* Subscribes, which joins the group, or joins it again. Returns: 0, or -1 with a text. */
int consume_subscribe(struct consumer *c, struct errbuf *err) MUST_CHECK;

/* One that was held back joins when it is time; from every serve. As consume_subscribe. */
int consume_join_when_due(struct consumer *c, struct errbuf *err) MUST_CHECK;

/*
 * One that owns nothing joins again where nobody owns a partition that is there; from every serve.
 */
void consume_join_for_topic(struct consumer *c);

/* The ends that were asked for are heard of; from every serve. */
void consume_take_ends(struct consumer *c);

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

/* Starts a question for the group's offsets; takes the answer: true if every partition has a
 * position, or none. */
void position_ask_committed(struct consumer *c);
bool position_take_committed(struct consumer *c, const struct question *q);

/* The same for where lost positions go on: true if all are known now. */
void position_ask_lost(struct consumer *c);
bool position_take_lost(struct consumer *c, const struct question *q);

/* What was given back has to come again. */
void position_rewind(struct consumer *c);

/* A member with nothing to fetch: it keeps its place in the group meanwhile. */
void position_fetch_nothing(struct consumer *c);

/* Partitions of which nothing has come yet: see position.c. */
void position_forward_again(struct consumer *c);

/* A partition begins. Takes: where, -1 if that is not known yet; the time of the message before, or
 * -1. */
void position_begin(struct consumer *c, struct partition *p, int32_t id, int64_t start,
                    int64_t last_ms);

/* Returns: whether an error that librdkafka sends in the place of a message is about the bytes. */
bool unreadable_is(rd_kafka_resp_err_t code);

/* Notes such an error and holds its partition. Takes: as consume_take_error. */
void unreadable_note(struct consumer *c, rd_kafka_resp_err_t code, int32_t partition,
                     int64_t offset, const char *text);

/*
 * Tries held partitions again that are due, or passes what cannot be read; has the brokers asked.
 * Returns: whether *out is a message that stands for the offsets that were passed.
 */
bool unreadable_take(struct consumer *c, struct message *out);

/* Returns: when unreadable_take has something to do; INT64_MAX: never. */
int64_t unreadable_due_ms(const struct consumer *c);

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
