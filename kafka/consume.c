/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consume.c - see consume.h.
 *
 * From an assignment to its end is in consume_group.c; joining is in consume_join.c, positions are
 * in consume_position.c, commits in consume_commit.c, the lag is in consume_lag.c, what cannot be
 * read in consume_unreadable.c, what kills workers in consume_fatal.c, and what the brokers are
 * asked in consume_ask.c.
 *
 * librdkafka (2.0.2) writes to a queue's descriptor when the queue was empty, once, and again only
 * after somebody has read from it.  So a descriptor is emptied first, and then its queue is read;
 * if that ends before the queue does, it is remembered that there may be more.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/num.h"
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
take_client_error(struct consumer *c, rd_kafka_resp_err_t code, const char *reason)
{
    struct errbuf text;
    if (code == RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE)
        c->crippled = true;
    kafka_conf_explain(c->cfg, code, reason, &text);
    note_error(c, text.text, code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN);
}

/* --- messages --- */

void
consume_note_bad_position(struct consumer *c, int32_t id)
{
    struct partition *p = consume_find_partition(c, id);
    if (p != NULL && p->unreadable.held)
        p->unreadable.astray = true; /* it starts anew when that is dealt with */
    else if (p != NULL)
        p->lost_position = c->lost_some = true;
}

/* If it comes back, it may be another one: then a look at the message before tells. */
static void
note_topic_gone(struct consumer *c, int32_t id)
{
    c->topic_gone = true;
    consume_note_bad_position(c, id);
}

static bool
tells_of_topic(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

static bool
tells_of_position(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
           code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
}

void
consume_take_error(struct consumer *c, rd_kafka_resp_err_t code, int32_t partition, int64_t offset,
                   const char *text)
{
    if (tells_of_position(code))
        consume_note_bad_position(c, partition);
    else
        consume_note_error(c, text);
    if (unreadable_is(code))
        unreadable_note(c, code, partition, offset, text);
    if (tells_of_topic(code))
        note_topic_gone(c, partition);
}

/*
 * All that was fetched has been taken, and there is nothing more to fetch: it comes through the
 * queue of the messages, behind them.  Offsets without a message may lie in between.
 */
static void
take_end(struct consumer *c, const rd_kafka_message_t *message)
{
    struct partition *p = consume_find_partition(c, message->partition);
    if (p == NULL || p->lost_position || p->unreadable.held)
        return;
    p->silent = false;
    if (message->offset < p->position) {
        if (p->expected_ms >= 0) /* asked for the one before it, and that is beyond the end */
            consume_note_bad_position(c, p->id);
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
        consume_take_error(c, raw->err, raw->partition, raw->offset, rd_kafka_message_errstr(raw));
        return false;
    }
    struct partition *p = consume_find_partition(c, raw->partition);
    if (p == NULL || p->unreadable.held)
        return false; /* fetched before its partition was taken away, or held */
    p->silent = false;
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
                            .assignment = c->assignment,
                            .time_ms = time_ms,
                            .handle = raw};
    return true;
}

/* First, and then the queue. */
static void
empty_fd(int fd)
{
    uint64_t count;
    if (read(fd, &count, sizeof(count)) == -1)
        (void)errno; /* there was nothing */
}

size_t
consumer_fetch(struct consumer *consumer, struct message *messages, size_t max)
{
    rd_kafka_message_t *raw[CONSUMER_FETCH_MAX];
    assert(max >= 1 && max <= CONSUMER_FETCH_MAX);
    empty_fd(consumer->messages_fd);
    if (consumer->state != GROUP_RUNNING || consumer->leaving) {
        consumer->more_messages = true; /* looked at when it runs */
        return 0;
    }
    if (fatal_take(consumer, &messages[0]) || unreadable_take(consumer, &messages[0])) {
        consumer->more_messages = true;
        return 1;
    }
    int64_t now_ms = clock_mono_ms();
    ssize_t n = rd_kafka_consume_batch_queue(consumer->messages, 0, raw, max);
    size_t taken = 0, bytes = 0;
    for (ssize_t i = 0; i < n; i++) {
        bytes += raw[i]->len;
        if (take_message(consumer, raw[i], &messages[taken]))
            taken++;
        else
            rd_kafka_message_destroy(raw[i]);
    }
    wake_fetchers(consumer, n > 0 ? (size_t)n : 0, bytes);
    consumer->more_messages = n == (ssize_t)max;
    if (!consumer->more_messages)
        consumer->emptied_ms = now_ms;
    return taken;
}

bool
consumer_may_have_messages(const struct consumer *consumer)
{
    return consumer->state == GROUP_RUNNING && !consumer->leaving &&
           (consumer->more_messages || unreadable_due_ms(consumer) <= clock_mono_ms());
}

void
consumer_release(struct message *message)
{
    if (message->handle != NULL)
        rd_kafka_message_destroy(message->handle);
    message->handle = NULL;
}

/* --- control events --- */

/*
 * A message on the control queue can only be one whose partition queue could not be forwarded. It
 * is not taken; the partition starts again from its position, forwarded then. So an end that comes
 * this way does not count, either: there may be messages before it.
 */
static void
refuse_stray(struct consumer *c, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message;
    while ((message = rd_kafka_event_message_next(event)) != NULL)
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            consume_note_bad_position(c, message->partition);
}

/* Of the client, or of a topic or partition. */
static void
take_error_event(struct consumer *c, rd_kafka_event_t *event)
{
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    rd_kafka_topic_partition_t *about = rd_kafka_event_topic_partition(event);
    int32_t partition = about != NULL ? about->partition : RD_KAFKA_PARTITION_UA;
    int64_t offset = about != NULL ? about->offset : -1;
    const char *text = rd_kafka_event_error_string(event);
    if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        (void)text; /* see refuse_stray */
    else if (about != NULL || code > 0 || tells_of_topic(code) || tells_of_position(code))
        consume_take_error(c, code, partition, offset, text);
    else
        take_client_error(c, code, text);
    if (about != NULL)
        rd_kafka_topic_partition_destroy(about);
}

static void
take_event(struct consumer *c, rd_kafka_event_t *event)
{
    switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_REBALANCE:
        group_take_event(c, rd_kafka_event_error(event),
                         rd_kafka_event_topic_partition_list(event));
        break;
    case RD_KAFKA_EVENT_ERROR:
        take_error_event(c, event);
        break;
    case RD_KAFKA_EVENT_FETCH:
        refuse_stray(c, event);
        break;
    default:
        break;
    }
}

static void
take_events(struct consumer *c, rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event;
    for (int i = 0; i < 100; i++) {
        if ((event = rd_kafka_queue_poll(queue, 0)) == NULL)
            return;
        take_event(c, event);
        rd_kafka_event_destroy(event);
    }
    c->more_events = true;
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
    if (c->state == GROUP_NONE && !c->leaving &&
        rd_kafka_assignment(c->rk, &list) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_topic_partition_list_destroy(list);
}

int
consumer_serve(struct consumer *consumer, struct errbuf *err)
{
    consumer->more_events = false;
    empty_fd(consumer->events_fd);
    ask_clear(consumer);
    take_events(consumer, consumer->control);
    if (consumer->closing)
        take_events(consumer, consumer->goodbye);
    rd_kafka_queue_poll_callback(consumer->answers, 0);
    group_step(consumer);
    consume_take_ends(consumer);
    consume_join_for_topic(consumer);
    nudge_join(consumer);
    if (consumer->commit_again_ms != 0 && clock_mono_ms() >= consumer->commit_again_ms)
        consumer_commit(consumer);
    if (!consumer->leaving && consume_join_when_due(consumer, err) == -1)
        return -1;
    return check_fatal(consumer, err);
}

static int64_t
earlier(int64_t a_ms, int64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

int64_t
consumer_due_ms(const struct consumer *consumer)
{
    int64_t due_ms = group_due_ms(consumer);
    if (consumer->more_events)
        return 0;
    /* What nothing tells of: a broker's first answer, when to join, that the group was left. */
    if (!consumer->joined || consumer->n_partitions == 0 || consumer->closing)
        due_ms = earlier(due_ms, clock_mono_ms() + SOON_MS);
    if (consumer->commit_again_ms != 0)
        due_ms = earlier(due_ms, consumer->commit_again_ms);
    return due_ms;
}

int
consumer_fd(const struct consumer *consumer)
{
    return consumer->all_fd;
}

int
consumer_messages_fd(const struct consumer *consumer)
{
    return consumer->messages_fd;
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
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_ERROR);
    if (c->options.careful &&
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

int64_t
consume_setting(const struct consumer *c, const char *name, int64_t otherwise)
{
    char text[32];
    size_t size = sizeof(text);
    int64_t value;
    bool found = rd_kafka_conf_get(rd_kafka_conf(c->rk), name, text, &size) == RD_KAFKA_CONF_OK &&
                 num_parse_int(text, 0, INT64_MAX, &value) == 0;
    return found ? value : otherwise;
}

static void
free_consumer(struct consumer **consumer)
{
    struct consumer *c = *consumer;
    rd_kafka_queue_t *queues[] = {c->control, c->messages, c->answers, c->goodbye};
    int fds[] = {c->events_fd, c->messages_fd, c->all_fd};
    for (size_t i = 0; i < COUNT_OF(queues); i++)
        if (queues[i] != NULL)
            rd_kafka_queue_destroy(queues[i]);
    if (c->rk != NULL)
        rd_kafka_destroy_flags(c->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        if (fds[i] != -1)
            close(fds[i]);
    free(c->topic);
    free(c);
    *consumer = NULL;
}

/* Has librdkafka write to a descriptor when a queue that was empty is so no more. */
static void
watch(rd_kafka_queue_t *queue, int fd)
{
    static const uint64_t one = 1;
    rd_kafka_queue_io_event_enable(queue, fd, &one, sizeof(one));
}

static int
make_queues(struct consumer *c, struct errbuf *err)
{
    rd_kafka_poll_set_consumer(c->rk);
    c->control = rd_kafka_queue_get_consumer(c->rk);
    c->messages = rd_kafka_queue_new(c->rk);
    c->answers = rd_kafka_queue_new(c->rk);
    c->goodbye = rd_kafka_queue_new(c->rk);
    c->events_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    c->messages_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    c->all_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (c->events_fd == -1 || c->messages_fd == -1 || c->all_fd == -1 ||
        epoll_ctl(c->all_fd, EPOLL_CTL_ADD, c->events_fd, &event) == -1)
        return errbuf_set(err, "Kafka client: no descriptors: %s", strerror(errno));
    watch(c->control, c->events_fd);
    watch(c->answers, c->events_fd);
    watch(c->goodbye, c->events_fd);
    watch(c->messages, c->messages_fd);
    c->more_events = c->more_messages = true; /* what came before tells nobody */
    return 0;
}

struct consumer *
consumer_open(const struct config *cfg, enum topic_kind kind, struct recorder *recorder,
              const struct consumer_options *options, int64_t hold_ms, struct errbuf *err)
{
    struct consumer *c = calloc(1, sizeof(*c));
    if (c == NULL || (c->topic = strdup(cfg->topic[kind].topic)) == NULL) {
        free(c);
        errbuf_set(err, "out of memory");
        return NULL;
    }
    c->cfg = cfg;
    c->group = cfg->topic[kind].group_id;
    c->options = *options;
    c->kind = kind;
    c->recorder = recorder;
    c->error_limit = (struct log_limit){.burst = 5, .interval_ms = 30000};
    c->events_fd = c->messages_fd = c->all_fd = -1;
    c->hold_ms = hold_ms > 0 ? hold_ms : -1;
    c->rk = make_client(cfg, kind, c, err);
    if (c->rk != NULL)
        wake_begin(c);
    if (c->rk != NULL && make_queues(c, err) == 0 &&
        (hold_ms > 0 || consume_subscribe(c, err) == 0))
        return c;
    free_consumer(&c);
    return NULL;
}

/*
 * The client is left to the end of the process, which is near: after a topic was deleted and made
 * anew, rd_kafka_destroy of librdkafka 2.0.2 may wait for ever for a thread of its own.  Whoever is
 * still asking goes on with it until then.
 */
void
consumer_close(struct consumer **consumer)
{
    struct consumer *c = *consumer;
    for (enum asker i = 0; i < ASKERS; i++) {
        ask_end(c, i);
        jobs_abandon(&c->asking[i].jobs);
    }
    *consumer = NULL;
}
