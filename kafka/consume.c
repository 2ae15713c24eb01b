/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume.c - see consume.h.
 *
 * Joining is in consume_join.c, positions are in consume_position.c, commits in consume_commit.c,
 * the lag is in consume_lag.c, what cannot be read in consume_unreadable.c, what kills workers in
 * consume_fatal.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "kafka/consume_priv.h"
#include "kafka/kafka_conf.h"

struct partition *
consume_find_partition(const struct consumer *c, int32_t id)
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

bool
consumer_has_reached(const struct consumer *consumer)
{
    return consumer->reached_ms != 0;
}

bool
consumer_has_joined(const struct consumer *consumer)
{
    return consumer->joined;
}

size_t
consumer_partitions(const struct consumer *consumer)
{
    return consumer->n_partitions;
}

/* --- what librdkafka tells --- */

void
consume_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    log_line(level <= 3 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "kafka: %s: %s", facility, text);
}

/*
 * What there is to wait for until the group is joined.  A topic that is not there and brokers that
 * are all down may be only what follows from trouble with a connection, which is the thing to know.
 */
static void
show_wait(struct consumer *c, const char *what, bool consequence)
{
    struct errbuf both;
    int64_t now_ms = clock_mono_ms();
    if (!consequence) {
        errbuf_set(&c->trouble, "%s", what);
        c->trouble_ms = now_ms;
    }
    if (consequence && c->trouble.text[0] != '\0' && now_ms - c->trouble_ms < TROUBLE_MS) {
        errbuf_set(&both, "%s; %s", c->trouble.text, what);
        what = both.text;
    }
    recorder_set_wait(c->recorder, "kafka", what);
}

static void
note_error(struct consumer *c, const char *what, bool consequence)
{
    uint64_t held_back;
    recorder_add(c->recorder, STAT_KAFKA_ERRORS, 1);
    if (!c->joined)
        show_wait(c, what, consequence);
    if (!log_limit_pass(&c->error_limit, clock_mono_ms(), &held_back))
        return;
    if (held_back > 0)
        log_warning("kafka: %s (and %llu like it)", what, (unsigned long long)held_back);
    else
        log_warning("kafka: %s", what);
}

void
consume_note_error(struct consumer *c, const char *what)
{
    note_error(c, what, true);
}

/*
 * Errors of the transport are informational: librdkafka reconnects by itself.  A thread that it
 * could not make it goes without for ever: then only a new process will do.
 */
static void
on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct consumer *c = opaque;
    struct errbuf text;
    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE)
        c->crippled = true;
    kafka_conf_explain(c->cfg, code, reason, &text);
    note_error(c, text.text, code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN);
}

/* --- rebalances --- */

static void
forget_partitions(struct consumer *c)
{
    free(c->partitions);
    c->partitions = NULL;
    c->n_partitions = 0;
    c->lost_some = c->unclaimed = c->unasked = c->halted = false;
    c->commit_again_ms = 0;
    fatal_write_places(c);
    recorder_set(c->recorder, STAT_PARTITIONS, 0);
    consume_show_lag(c, clock_mono_ms());
}

/* Takes: where to begin, -1 if that is not known yet; the time of the message before, or -1. */
static void
begin_partition(struct consumer *c, struct partition *p, int32_t id, int64_t start, int64_t last_ms)
{
    *p = (struct partition){.id = id,
                            .start = start,
                            .start_ms = last_ms,
                            .position = start,
                            .expected_ms = start > 0 ? last_ms : -1,
                            .durable = -1,
                            .durable_ms = -1,
                            .sent = -1,
                            .committed = -1,
                            .resume = -1,
                            .fatal_end = -1};
    consume_begin_lag(c, p);
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
        begin_partition(c, &c->partitions[i], list->elems[i].partition, -1, -1);
    qsort(c->partitions, c->n_partitions, sizeof(*c->partitions), compare_partitions);
    recorder_set(c->recorder, STAT_PARTITIONS, c->n_partitions);
    consume_show_lag(c, clock_mono_ms());
    return 0;
}

/*
 * Where to begin is known from the store, from the group's offsets, or by looking.  What the group
 * does not tell is asked again, with nothing assigned: librdkafka (2.0.2) would ask for it itself,
 * but not once more if the coordinator changes right then, and wait for ever.
 */
static void
start_partitions(struct consumer *c)
{
    c->unasked = !position_ask_committed(c);
    if (c->unasked) {
        position_fetch_nothing(c);
        return;
    }
    if (c->lost_some)
        position_find_lost(c); /* those it cannot find now are looked for again later */
    position_assign_all(c);
}

/* Asks the store to take the partitions over; true if it did. */
static bool
claim_partitions(struct consumer *c)
{
    struct store_position *positions = calloc(c->n_partitions + 1, sizeof(*positions));
    char *cluster_id = rd_kafka_clusterid(c->rk, ASK_MS);
    bool claimed = false;
    for (size_t i = 0; positions != NULL && i < c->n_partitions; i++)
        positions[i] =
            (struct store_position){.partition = c->partitions[i].id, .next = -1, .last_ms = -1};
    if (positions != NULL && cluster_id != NULL)
        claimed =
            c->hooks.claim(c->hooks.arg, cluster_id, positions, c->n_partitions) == STORE_DONE;
    for (size_t i = 0; claimed && i < c->n_partitions; i++)
        begin_partition(c, &c->partitions[i], c->partitions[i].id, positions[i].next,
                        positions[i].last_ms);
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
    position_fetch_nothing(consumer);
    consumer->unclaimed = consumer->n_partitions > 0;
    for (size_t i = 0; i < consumer->n_partitions; i++)
        consumer->partitions[i].position = -1; /* the store will say */
}

static void
on_assigned(struct consumer *c, const rd_kafka_topic_partition_list_t *list)
{
    if (c->closing) { /* a closing client answers no question: not even where to start */
        rd_kafka_assign(c->rk, NULL);
        return;
    }
    if (take_partitions(c, list) == -1) {
        consume_note_error(c, "out of memory");
        rd_kafka_assign(c->rk, NULL);
        return;
    }
    log_info("%d partitions of %s assigned", list->cnt, c->topic);
    if (!c->joined)
        recorder_set_wait(c->recorder, NULL, NULL);
    c->joined = true;
    c->topic_gone = c->topic_gone && list->cnt == 0;
    c->join_again_ms = clock_mono_ms() + JOIN_AGAIN_MS;
    if (c->hooks.claim == NULL || c->n_partitions == 0) {
        start_partitions(c);
        return;
    }
    position_fetch_nothing(c);
    try_claim(c);
}

static void
on_revoked(struct consumer *c)
{
    bool lost = rd_kafka_assignment_lost(c->rk) != 0;
    if (c->n_partitions > 0)
        log_info("%zu partitions of %s %s", c->n_partitions, c->topic, lost ? "lost" : "revoked");
    bool leaves = c->hooks.revoked(c->hooks.arg, lost);
    forget_partitions(c);
    /* Before librdkafka is told that the partitions are free, as it joins again right then. */
    if (leaves && !c->closing)
        rd_kafka_unsubscribe(c->rk);
    rd_kafka_assign(c->rk, NULL);
}

static void
on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
             void *opaque)
{
    struct consumer *c = opaque;
    (void)rk;
    recorder_add(c->recorder, STAT_REBALANCES, 1);
    if (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS &&
        code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        consume_note_error(c, rd_kafka_err2str(code));
    c->rebalancing = true;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        on_assigned(c, list);
    else
        on_revoked(c);
    c->rebalancing = false;
}

/* --- messages --- */

static void
note_bad_position(struct consumer *c, int32_t id)
{
    struct partition *p = consume_find_partition(c, id);
    if (p != NULL)
        p->lost_position = c->lost_some = true;
}

/* If it comes back, it may be another one: then a look at the message before tells. */
static void
note_topic_gone(struct consumer *c, int32_t id)
{
    c->topic_gone = true;
    note_bad_position(c, id);
}

/* What librdkafka sends in the place of a message. */
static void
take_error(struct consumer *c, const rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        note_bad_position(c, message->partition);
    else
        consume_note_error(c, rd_kafka_message_errstr(message));
    if (unreadable_is(message->err))
        unreadable_note(c, message);
    if (message->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
        message->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
        message->err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        note_topic_gone(c, message->partition);
}

/*
 * All that was fetched has been taken, and there is nothing more to fetch: it comes through the
 * queue of the messages, behind them.  Offsets without a message may lie in between.
 */
static void
take_end(struct consumer *c, const rd_kafka_message_t *message)
{
    struct partition *p = consume_find_partition(c, message->partition);
    if (p == NULL || c->halted || p->lost_position || p->unreadable.held)
        return;
    if (message->offset < p->position) {
        if (p->expected_ms >= 0) /* asked for the one before it, and that is beyond the end */
            note_bad_position(c, p->id);
        return;
    }
    int64_t position = p->position >= 0 ? p->position : message->offset;
    lag_reach(&p->lag, position, message->offset, c->emptied_ms);
    p->position = message->offset;
    consume_commit_gap(c, p);
}

static bool
take_message(struct consumer *c, rd_kafka_message_t *raw, struct message *out)
{
    if (raw->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        take_end(c, raw);
        return false;
    }
    if (raw->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        take_error(c, raw);
        return false;
    }
    struct partition *p = consume_find_partition(c, raw->partition);
    if (p == NULL || c->halted || p->unreadable.held)
        return false;               /* fetched before its partition was taken away, or held */
    rd_kafka_timestamp_type_t type; /* whichever it is; -1 if there is none */
    int64_t time_ms = rd_kafka_message_timestamp(raw, &type);
    if (!position_check_message(c, p, raw->offset, time_ms))
        return false;
    lag_take(&p->lag, raw->offset, time_ms,
             p->position <= lag_pass_gap(&p->lag, consume_committed(p)));
    p->position = raw->offset + 1;
    *out = (struct message){.payload = {raw->payload, raw->payload != NULL ? raw->len : 0},
                            .offset = raw->offset,
                            .partition = raw->partition,
                            .time_ms = time_ms,
                            .handle = raw};
    return true;
}

/* First, and then the queue: librdkafka writes when a queue has something that had nothing. */
static void
empty_fd(int fd)
{
    uint64_t count;
    if (read(fd, &count, sizeof(count)) == -1)
        (void)errno; /* there was nothing */
}

int
consumer_fd(const struct consumer *consumer)
{
    return consumer->events_fd;
}

int
consumer_messages_fd(const struct consumer *consumer)
{
    return consumer->messages_fd;
}

size_t
consumer_fetch(struct consumer *consumer, struct message *messages, size_t max)
{
    rd_kafka_message_t *raw[CONSUMER_FETCH_MAX];
    assert(max >= 1 && max <= CONSUMER_FETCH_MAX);
    if (fatal_take(consumer, &messages[0]) || unreadable_take(consumer, &messages[0]))
        return 1;
    int64_t now_ms = clock_mono_ms();
    empty_fd(consumer->messages_fd);
    ssize_t n = rd_kafka_consume_batch_queue(consumer->messages, 0, raw, max);
    size_t taken = 0;
    for (ssize_t i = 0; i < n; i++) {
        if (take_message(consumer, raw[i], &messages[taken]))
            taken++;
        else
            rd_kafka_message_destroy(raw[i]);
    }
    if (n < (ssize_t)max)
        consumer->emptied_ms = now_ms;
    return taken;
}

void
consumer_release(struct message *message)
{
    if (message->handle != NULL)
        rd_kafka_message_destroy(message->handle);
    message->handle = NULL;
}

/*
 * A message on the control queue can only be one whose partition queue could not be forwarded. It
 * is not taken; the partition starts again from its position, forwarded then. So an end that comes
 * this way does not count, either: there may be messages before it.
 */
static void
refuse_stray(struct consumer *c, const rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        take_error(c, message);
    else
        note_bad_position(c, message->partition);
}

static int
check_fatal(struct consumer *c, struct errbuf *err)
{
    char text[512];
    if (c->crippled)
        return errbuf_set(err, "Kafka client: a thread could not be made; is the number of "
                               "processes limited?");
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(c->rk, text, sizeof(text));
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return errbuf_set(err, "Kafka client: %s: %s", rd_kafka_err2name(code), text);
}

/*
 * librdkafka (2.0.2) joins at most once a second, and looks whether it may again once a second, or
 * when it is asked something: members who join at the same time and meet would wait for 2 s.
 */
static void
nudge_join(const struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list;
    if (c->n_partitions == 0 && !c->closing &&
        rd_kafka_assignment(c->rk, &list) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_topic_partition_list_destroy(list);
}

int
consumer_serve(struct consumer *consumer, int wait_ms, struct errbuf *err)
{
    empty_fd(consumer->events_fd);
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
    else if (consumer->unasked && clock_mono_ms() >= consumer->look_again_ms)
        start_partitions(consumer);
    if (consume_join_when_due(consumer, err) == -1)
        return -1;
    position_restart_lost(consumer);
    consume_join_for_topic(consumer);
    nudge_join(consumer);
    if (consumer->commit_again_ms != 0 && clock_mono_ms() >= consumer->commit_again_ms)
        consumer_commit(consumer);
    return check_fatal(consumer, err);
}

/* --- life --- */

/* So that what comes before offsets that kill is there before these are. */
static const struct kafka_setting careful_settings[] = {
    {"queued.min.messages", "1"},
    {"fetch.message.max.bytes", "1"}, /* the first batch comes whole all the same (KIP-74) */
};

static rd_kafka_t *
make_client(const struct config *cfg, enum topic_kind kind, struct consumer *c, struct errbuf *err)
{
    rd_kafka_conf_t *conf = kafka_conf_new(cfg, kind, KAFKA_CONSUMER, err);
    if (conf == NULL)
        return NULL;
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_log_cb(conf, consume_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    if (c->hooks.careful &&
        kafka_conf_set_all(conf, careful_settings, COUNT_OF(careful_settings), err) == -1) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
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
    if (c->events_fd != -1)
        close(c->events_fd);
    if (c->messages_fd != -1)
        close(c->messages_fd);
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

/* Has librdkafka write to a descriptor whenever a queue that was empty is so no more. */
static int
watch(rd_kafka_queue_t *queue, int fd)
{
    static const uint64_t one = 1;
    if (queue == NULL)
        return -1;
    rd_kafka_queue_io_event_enable(queue, fd, &one, sizeof(one));
    return 0;
}

static int
make_fds(struct consumer *c, struct errbuf *err)
{
    c->events_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    c->messages_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    rd_kafka_queue_t *control = rd_kafka_queue_get_consumer(c->rk);
    int result = c->events_fd == -1 || c->messages_fd == -1 ? -1 : 0;
    if (result == 0)
        result = watch(control, c->events_fd) | watch(c->answers, c->events_fd) |
                 watch(c->messages, c->messages_fd);
    if (control != NULL)
        rd_kafka_queue_destroy(control);
    return result == 0 ? 0 : errbuf_set(err, "Kafka client: no descriptors: %s", strerror(errno));
}

struct consumer *
consumer_open(const struct config *cfg, enum topic_kind kind, struct recorder *recorder,
              const struct consumer_hooks *hooks, int64_t hold_ms, struct errbuf *err)
{
    struct consumer *c = calloc(1, sizeof(*c));
    if (c == NULL || (c->topic = strdup(cfg->topic[kind].topic)) == NULL) {
        free(c);
        errbuf_set(err, "out of memory");
        return NULL;
    }
    c->cfg = cfg;
    c->group = cfg->topic[kind].group_id;
    c->hooks = *hooks;
    c->kind = kind;
    c->recorder = recorder;
    c->error_limit = (struct log_limit){.burst = 5, .interval_ms = 30000};
    c->events_fd = c->messages_fd = -1;
    c->rk = make_client(cfg, kind, c, err);
    if (c->rk != NULL) {
        c->messages = rd_kafka_queue_new(c->rk);
        c->answers = rd_kafka_queue_new(c->rk);
        rd_kafka_poll_set_consumer(c->rk);
        c->hold_ms = hold_ms > 0 ? hold_ms : -1;
        if (make_fds(c, err) == 0 && (hold_ms > 0 || consume_subscribe(c, err) == 0))
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
    /*
     * The client is left to the end of the process, which is near: after a topic was deleted and
     * made anew, rd_kafka_destroy of librdkafka 2.0.2 may wait for ever for a thread of its own.
     */
    *consumer = NULL;
    return rd_kafka_consumer_closed(c->rk) != 0;
}
