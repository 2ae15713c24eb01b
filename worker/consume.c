/*
 * consume.c - see consume.h.
 *
 * Positions.  On assignment the group's committed offsets are asked for in one request, and the
 * partitions start there explicitly; those without one start at the earliest message.  Should a
 * position not exist (any more), librdkafka says so (auto.offset.reset=error) instead of jumping,
 * and restart_lost_positions finds out by the watermarks what was missed, logs and counts it, and
 * assigns anew.
 *
 * Commits.  Each partition remembers the next offset that is durable and the one that is committed;
 * a commit sends the difference, so that a failed one is made up for by the next.
 *
 * Process: workers.  Owner: struct consumer.  Concurrency: the worker's thread; log_from_library
 * may run in librdkafka's threads and only writes a log line.
 */
#include "worker/consume.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "worker/kafka_conf.h"

enum {
    COMMITTED_TIMEOUT_MS = 5000,
    WATERMARK_TIMEOUT_MS = 5000,
    RETRY_MS = 1000,
    JOIN_AGAIN_MS = 10000
};

/* A partition that is assigned to this worker. */
struct partition {
    int32_t id;
    int64_t start;     /* where it was assigned to begin; -1 if unknown */
    int64_t position;  /* the next offset to come; -1 if unknown */
    int64_t durable;   /* may be committed up to here; -1 if nothing yet */
    int64_t sent;      /* the last commit on its way, or committed */
    int64_t committed; /* confirmed by the broker; -1 if unknown */
    bool lost_position;
};

struct consumer {
    rd_kafka_t *rk;
    rd_kafka_queue_t *messages; /* where partition queues are forwarded to */
    rd_kafka_queue_t *answers;  /* of commits */
    char *topic;
    struct consumer_hooks hooks;
    struct slot *slot;
    struct partition *partitions; /* sorted by id */
    size_t n_partitions;
    unsigned commits_under_way;
    bool halted;             /* nothing is assigned at librdkafka, so as to start anew */
    bool unclaimed;          /* the store has not taken the partitions over yet */
    bool lost_some;          /* a partition has lost its position */
    bool topic_gone;         /* the brokers said so, and nothing was assigned since */
    int64_t join_again_ms;   /* not before then: joining because of that */
    bool closing;            /* leaving the group: nothing new is taken */
    int64_t look_again_ms;   /* not before then: positions */
    int64_t commit_again_ms; /* not before then: commits that failed; 0: none did */
    struct log_limit error_limit;
};

static struct partition *
find_partition(const struct consumer *c, int32_t id)
{
    size_t low = 0, high = c->n_partitions;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c->partitions[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < c->n_partitions && c->partitions[low].id == id ? &c->partitions[low] : NULL;
}

static int
compare_partitions(const void *a, const void *b)
{
    int32_t x = ((const struct partition *)a)->id, y = ((const struct partition *)b)->id;
    return x < y ? -1 : x > y;
}

size_t
consumer_partitions(const struct consumer *consumer)
{
    return consumer->n_partitions;
}

/* --- what librdkafka tells --- */

static void
log_from_library(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    log_line(level <= 3 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "kafka: %s: %s", facility, text);
}

/* Errors of the transport are informational: librdkafka reconnects by itself. */
static void
note_error(struct consumer *c, const char *what)
{
    uint64_t held_back;
    slot_add(&c->slot->kafka_errors, 1);
    if (!log_limit_pass(&c->error_limit, clock_mono_ms(), &held_back))
        return;
    if (held_back > 0)
        log_warning("kafka: %s (and %llu like it)", what, (unsigned long long)held_back);
    else
        log_warning("kafka: %s", what);
}

static void
on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)code;
    note_error(opaque, reason);
}

/* --- positions --- */

/* The present assignment with positions, as librdkafka wants it. */
static rd_kafka_topic_partition_list_t *
list_partitions(const struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->n_partitions);
    for (size_t i = 0; i < c->n_partitions; i++) {
        const struct partition *p = &c->partitions[i];
        rd_kafka_topic_partition_list_add(list, c->topic, p->id)->offset =
            p->position >= 0 ? p->position : RD_KAFKA_OFFSET_STORED;
    }
    return list;
}

/* Has the partition's messages come through our own queue; must precede the assignment. */
static void
forward_queue(struct consumer *c, int32_t id)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(c->rk, c->topic, id);
    if (queue == NULL)
        return; /* then its messages come through consumer_serve, which hands them back: see there
                 */
    rd_kafka_queue_forward(queue, c->messages);
    rd_kafka_queue_destroy(queue);
}

static void
assign_positions(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = list_partitions(c);
    for (size_t i = 0; i < c->n_partitions; i++)
        forward_queue(c, c->partitions[i].id);
    rd_kafka_resp_err_t code = rd_kafka_assign(c->rk, list);
    c->halted = false;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        note_error(c, rd_kafka_err2str(code));
    rd_kafka_topic_partition_list_destroy(list);
}

/* Asks for the committed offsets of all partitions that have no position; false if that failed. */
static bool
ask_committed(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = list_partitions(c);
    rd_kafka_resp_err_t code = rd_kafka_committed(c->rk, list, COMMITTED_TIMEOUT_MS);
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++) {
        struct partition *p = find_partition(c, list->elems[i].partition);
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR || p->position >= 0)
            continue;
        if (list->elems[i].offset >= 0)
            p->start = p->position = p->committed = p->sent = list->elems[i].offset;
        else
            p->lost_position = c->lost_some = true; /* never committed: starts at the earliest */
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_warning("cannot read the committed offsets of %s: %s; the client will", c->topic,
                    rd_kafka_err2str(code));
    return code == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void
tell_reset(struct consumer *c, const struct partition *p, int64_t low, int64_t high)
{
    if (p->position < 0) {
        log_notice("%s[%d]: no committed offset; starting at the earliest message, %lld", c->topic,
                   (int)p->id, (long long)low);
        return;
    }
    slot_add(&c->slot->offset_resets, 1);
    if (p->position < low) {
        slot_add(&c->slot->offset_skipped, (uint64_t)(low - p->position));
        log_warning(
            "%s[%d]: offset reset: %lld is gone, the earliest message is %lld: %lld messages "
            "were deleted before they were read",
            c->topic, (int)p->id, (long long)p->position, (long long)low,
            (long long)(low - p->position));
    } else {
        log_warning(
            "%s[%d]: offset reset: %lld is beyond the end (%lld): the topic was made anew or "
            "lost messages; starting at the earliest message, %lld",
            c->topic, (int)p->id, (long long)p->position, (long long)high, (long long)low);
    }
}

/* Finds where a partition goes on whose position is not there. False: ask again later. */
static bool
find_position(struct consumer *c, struct partition *p)
{
    int64_t low, high;
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(c->rk, c->topic, p->id, &low, &high, WATERMARK_TIMEOUT_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        note_error(c, rd_kafka_err2str(code));
        return false;
    }
    p->lost_position = false;
    if (p->position >= low && p->position <= high)
        return true;
    tell_reset(c, p, low, high);
    p->start = p->position = low;
    p->durable = p->sent = p->committed = -1;
    return true;
}

/* Looks for all lost positions; true if all are known now. */
static bool
find_positions(struct consumer *c)
{
    bool all = true;
    for (size_t i = 0; i < c->n_partitions && all; i++) {
        if (c->partitions[i].lost_position)
            all = find_position(c, &c->partitions[i]);
        c->hooks.tick(c->hooks.arg);
    }
    c->lost_some = !all;
    c->look_again_ms = clock_mono_ms() + RETRY_MS;
    return all;
}

/* What was given back has to come again. */
static void
rewind_positions(struct consumer *c)
{
    for (size_t i = 0; i < c->n_partitions; i++) {
        struct partition *p = &c->partitions[i];
        p->position = p->durable >= 0 ? p->durable : p->start;
    }
}

/* A member with nothing to fetch: it keeps its place in the group meanwhile. */
static void
fetch_nothing(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    rd_kafka_assign(c->rk, none);
    rd_kafka_topic_partition_list_destroy(none);
    c->halted = true;
    c->look_again_ms = clock_mono_ms() + RETRY_MS;
}

/*
 * In two steps, since librdkafka (2.0.2) does not start a partition again that it is still
 * stopping: first nothing is assigned, and a little later all, at their positions.  That drops what
 * it has fetched, so the batch is finished or given back before; it may also hold messages of a
 * topic that is there no more, whose offsets must not outlive the reset.
 */
static void
restart_lost_positions(struct consumer *c)
{
    if (c->unclaimed || !c->lost_some || clock_mono_ms() < c->look_again_ms)
        return;
    if (!c->halted) {
        c->hooks.revoked(c->hooks.arg, false);
        rewind_positions(c);
        fetch_nothing(c);
    } else if (find_positions(c)) {
        assign_positions(c);
    }
}

/* --- rebalances --- */

static void
forget_partitions(struct consumer *c)
{
    free(c->partitions);
    c->partitions = NULL;
    c->n_partitions = 0;
    c->lost_some = c->unclaimed = c->halted = false;
    c->commit_again_ms = 0;
    slot_set(&c->slot->partitions, 0);
}

static int
take_partitions(struct consumer *c, const rd_kafka_topic_partition_list_t *list)
{
    forget_partitions(c);
    c->partitions = calloc((size_t)list->cnt + 1, sizeof(*c->partitions));
    if (c->partitions == NULL)
        return -1;
    c->n_partitions = (size_t)list->cnt;
    for (int i = 0; i < list->cnt; i++)
        c->partitions[i] = (struct partition){.id = list->elems[i].partition,
                                              .start = -1,
                                              .position = -1,
                                              .durable = -1,
                                              .sent = -1,
                                              .committed = -1};
    qsort(c->partitions, c->n_partitions, sizeof(*c->partitions), compare_partitions);
    slot_set(&c->slot->partitions, c->n_partitions);
    return 0;
}

/* Where to begin is known from the store, from the group's offsets, or by looking. */
static void
start_partitions(struct consumer *c)
{
    if (ask_committed(c) && c->lost_some)
        find_positions(c); /* those it cannot find now are looked for again later */
    assign_positions(c);
}

/* Asks the store to take the partitions over; true if it did. */
static bool
claim_partitions(struct consumer *c)
{
    struct store_position *positions = calloc(c->n_partitions + 1, sizeof(*positions));
    char *cluster_id = rd_kafka_clusterid(c->rk, WATERMARK_TIMEOUT_MS);
    bool claimed = false;
    for (size_t i = 0; positions != NULL && i < c->n_partitions; i++)
        positions[i] = (struct store_position){.partition = c->partitions[i].id, .next = -1};
    if (positions != NULL && cluster_id != NULL)
        claimed =
            c->hooks.claim(c->hooks.arg, cluster_id, positions, c->n_partitions) == STORE_DONE;
    for (size_t i = 0; claimed && i < c->n_partitions; i++) {
        struct partition *p = &c->partitions[i];
        *p = (struct partition){.id = p->id,
                                .start = positions[i].next,
                                .position = positions[i].next,
                                .durable = -1,
                                .sent = -1,
                                .committed = -1};
    }
    free(positions);
    rd_kafka_mem_free(c->rk, cluster_id);
    return claimed;
}

static void
try_claim(struct consumer *c)
{
    c->unclaimed = !claim_partitions(c);
    c->look_again_ms = clock_mono_ms() + RETRY_MS;
    if (!c->unclaimed)
        start_partitions(c);
}

void
consumer_claim_again(struct consumer *consumer)
{
    fetch_nothing(consumer);
    consumer->unclaimed = consumer->n_partitions > 0;
}

static void
on_assigned(struct consumer *c, const rd_kafka_topic_partition_list_t *list)
{
    if (c->closing) { /* a closing client answers no question: not even where to start */
        rd_kafka_assign(c->rk, NULL);
        return;
    }
    if (take_partitions(c, list) == -1) {
        note_error(c, "out of memory");
        rd_kafka_assign(c->rk, NULL);
        return;
    }
    log_info("%d partitions of %s assigned", list->cnt, c->topic);
    c->topic_gone = c->topic_gone && list->cnt == 0;
    c->join_again_ms = clock_mono_ms() + JOIN_AGAIN_MS;
    if (c->hooks.claim == NULL || c->n_partitions == 0) {
        start_partitions(c);
        return;
    }
    fetch_nothing(c);
    try_claim(c);
}

static void
on_revoked(struct consumer *c)
{
    bool lost = rd_kafka_assignment_lost(c->rk) != 0;
    if (c->n_partitions > 0)
        log_info("%zu partitions of %s %s", c->n_partitions, c->topic, lost ? "lost" : "revoked");
    c->hooks.revoked(c->hooks.arg, lost);
    forget_partitions(c);
    rd_kafka_assign(c->rk, NULL);
}

static void
on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
             void *opaque)
{
    struct consumer *c = opaque;
    (void)rk;
    slot_add(&c->slot->rebalances, 1);
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assigned(c, list);
        return;
    }
    if (code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        note_error(c, rd_kafka_err2str(code));
    on_revoked(c);
}

/* --- commits --- */

void
consumer_note_durable(struct consumer *consumer, int32_t partition, int64_t next)
{
    struct partition *p = find_partition(consumer, partition);
    if (p != NULL && next > p->durable)
        p->durable = next;
}

static bool
all_committed(const struct consumer *c)
{
    for (size_t i = 0; i < c->n_partitions; i++)
        if (c->partitions[i].durable > c->partitions[i].committed)
            return false;
    return true;
}

/* One partition's part of an answer. False if it was refused. */
static bool
take_answer(struct consumer *c, const rd_kafka_topic_partition_t *answer, bool failed)
{
    struct partition *p = find_partition(c, answer->partition);
    failed = failed || answer->err != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (p != NULL && !failed && answer->offset > p->committed)
        p->committed = answer->offset;
    if (p != NULL && failed && p->sent == answer->offset)
        p->sent = p->committed;
    return !failed;
}

static void
on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
          void *opaque)
{
    struct consumer *c = opaque;
    bool failed = code != RD_KAFKA_RESP_ERR_NO_ERROR;
    (void)rk;
    c->commits_under_way--;
    for (int i = 0; list != NULL && i < list->cnt; i++)
        if (!take_answer(c, &list->elems[i], failed) && code == RD_KAFKA_RESP_ERR_NO_ERROR)
            code = list->elems[i].err;
    slot_add(&c->slot->commits, 1);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    slot_add(&c->slot->commits_failed, 1);
    c->commit_again_ms = clock_mono_ms() + RETRY_MS;
    note_error(c, rd_kafka_err2str(code));
}

static rd_kafka_topic_partition_list_t *
list_uncommitted(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->n_partitions);
    for (size_t i = 0; i < c->n_partitions; i++) {
        struct partition *p = &c->partitions[i];
        if (p->durable <= p->sent)
            continue;
        rd_kafka_topic_partition_list_add(list, c->topic, p->id)->offset = p->durable;
        p->sent = p->durable;
    }
    return list;
}

void
consumer_commit(struct consumer *consumer)
{
    consumer->commit_again_ms = 0;
    rd_kafka_topic_partition_list_t *list = list_uncommitted(consumer);
    if (list->cnt > 0) {
        consumer->commits_under_way++;
        rd_kafka_resp_err_t code =
            rd_kafka_commit_queue(consumer->rk, list, consumer->answers, on_commit, consumer);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            on_commit(consumer->rk, code, list, consumer);
    }
    rd_kafka_topic_partition_list_destroy(list);
}

bool
consumer_settle_commits(struct consumer *consumer, int64_t deadline_ms)
{
    while (consumer->commits_under_way > 0 && clock_mono_ms() < deadline_ms) {
        rd_kafka_queue_poll_callback(consumer->answers, 50);
        consumer->hooks.tick(consumer->hooks.arg);
    }
    return all_committed(consumer);
}

/* --- messages --- */

static void
note_bad_position(struct consumer *c, int32_t id)
{
    struct partition *p = find_partition(c, id);
    if (p != NULL)
        p->lost_position = c->lost_some = true;
}

/* What librdkafka sends in the place of a message. */
static void
take_error(struct consumer *c, const rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        note_bad_position(c, message->partition);
    else if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        note_error(c, rd_kafka_message_errstr(message));
    if (message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
        message->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
        message->err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        c->topic_gone = true;
}

static bool
take_message(struct consumer *c, rd_kafka_message_t *raw, struct message *out)
{
    if (raw->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        take_error(c, raw);
        return false;
    }
    struct partition *p = find_partition(c, raw->partition);
    if (p == NULL || c->halted)
        return false; /* fetched before its partition was taken away */
    p->position = raw->offset + 1;
    *out = (struct message){.payload = {raw->payload, raw->payload != NULL ? raw->len : 0},
                            .offset = raw->offset,
                            .partition = raw->partition,
                            .handle = raw};
    return true;
}

size_t
consumer_fetch(struct consumer *consumer, struct message *messages, size_t max, int wait_ms)
{
    rd_kafka_message_t *raw[CONSUMER_FETCH_MAX];
    assert(max >= 1 && max <= CONSUMER_FETCH_MAX);
    /* Asked for several and told to wait, librdkafka would hold back the first until all are there.
     */
    ssize_t n = rd_kafka_consume_batch_queue(consumer->messages, 0, raw, max);
    if (n == 0 && wait_ms > 0)
        n = rd_kafka_consume_batch_queue(consumer->messages, wait_ms, raw, 1);
    size_t taken = 0;
    for (ssize_t i = 0; i < n; i++) {
        if (take_message(consumer, raw[i], &messages[taken]))
            taken++;
        else
            rd_kafka_message_destroy(raw[i]);
    }
    return taken;
}

void
consumer_release(struct message *message)
{
    rd_kafka_message_destroy(message->handle);
    message->handle = NULL;
}

/*
 * A message on the control queue can only be one whose partition queue could not be forwarded. It
 * is not taken; the partition starts again from its position, forwarded then.
 */
static void
refuse_stray(struct consumer *c, const rd_kafka_message_t *message)
{
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        take_error(c, message);
    else
        note_bad_position(c, message->partition);
}

static int
check_fatal(struct consumer *c, struct errbuf *err)
{
    char text[512];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(c->rk, text, sizeof(text));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return errbuf_set(err, "Kafka client: %s: %s", rd_kafka_err2name(code), text);
}

static int
subscribe(struct consumer *c, struct errbuf *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, c->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(c->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return errbuf_set(err, "cannot subscribe to %s: %s", c->topic, rd_kafka_err2str(code));
    return 0;
}

/*
 * A topic that was deleted and made anew.  If the group's leader shared the partitions out in
 * between, there were none, and librdkafka (2.0.2) may take no notice of their return: so join
 * again until some are assigned.
 */
static void
join_for_lost_topic(struct consumer *c)
{
    struct errbuf err;
    int64_t now = clock_mono_ms();
    if (!c->topic_gone || c->n_partitions > 0 || now < c->join_again_ms)
        return;
    c->join_again_ms = now + JOIN_AGAIN_MS;
    if (subscribe(c, &err) == -1)
        note_error(c, err.text);
}

int
consumer_serve(struct consumer *consumer, int wait_ms, struct errbuf *err)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->rk, wait_ms);
    for (int i = 0; message != NULL && i < 100; i++) {
        refuse_stray(consumer, message);
        rd_kafka_message_destroy(message);
        message = rd_kafka_consumer_poll(consumer->rk, 0);
    }
    if (message != NULL)
        rd_kafka_message_destroy(message);
    rd_kafka_queue_poll_callback(consumer->answers, 0);
    if (consumer->unclaimed && clock_mono_ms() >= consumer->look_again_ms)
        try_claim(consumer);
    restart_lost_positions(consumer);
    join_for_lost_topic(consumer);
    if (consumer->commit_again_ms != 0 && clock_mono_ms() >= consumer->commit_again_ms)
        consumer_commit(consumer);
    return check_fatal(consumer, err);
}

/* --- life --- */

static rd_kafka_t *
make_client(const struct config *cfg, enum topic_kind kind, struct consumer *c, struct errbuf *err)
{
    rd_kafka_conf_t *conf = kafka_conf_new(cfg, kind, KAFKA_CONSUMER, err);
    if (conf == NULL)
        return NULL;
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_log_cb(conf, log_from_library);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    char text[512];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        errbuf_set(err, "Kafka client: %s", text);
    }
    return rk;
}

static void
free_consumer(struct consumer **consumer)
{
    struct consumer *c = *consumer;
    if (c->messages != NULL)
        rd_kafka_queue_destroy(c->messages);
    if (c->answers != NULL)
        rd_kafka_queue_destroy(c->answers);
    if (c->rk != NULL)
        rd_kafka_destroy_flags(c->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(c->partitions);
    free(c->topic);
    free(c);
    *consumer = NULL;
}

struct consumer *
consumer_open(const struct config *cfg, enum topic_kind kind, struct slot *slot,
              const struct consumer_hooks *hooks, struct errbuf *err)
{
    struct consumer *c = calloc(1, sizeof(*c));
    if (c == NULL || (c->topic = strdup(cfg->topic[kind].topic)) == NULL) {
        free(c);
        errbuf_set(err, "out of memory");
        return NULL;
    }
    c->hooks = *hooks;
    c->slot = slot;
    c->error_limit = (struct log_limit){.burst = 5, .interval_ms = 30000};
    c->rk = make_client(cfg, kind, c, err);
    if (c->rk != NULL) {
        c->messages = rd_kafka_queue_new(c->rk);
        c->answers = rd_kafka_queue_new(c->rk);
        rd_kafka_poll_set_consumer(c->rk);
        if (subscribe(c, err) == 0)
            return c;
    }
    free_consumer(&c);
    return NULL;
}

bool
consumer_close(struct consumer **consumer, int64_t deadline_ms)
{
    struct consumer *c = *consumer;
    c->closing = true;
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(c->rk, c->answers);
    if (error != NULL) {
        log_warning("cannot leave the group: %s", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
    } else {
        while (!rd_kafka_consumer_closed(c->rk) && clock_mono_ms() < deadline_ms) {
            rd_kafka_queue_poll_callback(c->answers, 50);
            c->hooks.tick(c->hooks.arg);
        }
    }
    bool closed = rd_kafka_consumer_closed(c->rk) != 0;
    if (closed)
        free_consumer(consumer);
    *consumer = NULL;
    return closed;
}
