/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load_run.c - sending: made-up messages or those of a file, paced if asked, until Kafka has them.
 * See load.h.
 *
 * Process: persister-load.  Owner: struct sender, on load_run's stack.  Concurrency: one thread.
 */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "lib/base64.h"
#include "lib/clock.h"
#include "perf/load/load.h"

enum {
    CHUNK = 256, /* between two looks around */
    PACE_MS = 1, /* the longest sleep of one that keeps a pace: so are its bursts */
    FULL_MS = 20,
    METADATA_MS = 10000,
    FOREVER_MS = 3600 * 1000,
    BAR_MS = 200
};

struct sender {
    const struct load_options *o;
    const volatile sig_atomic_t *stop;
    struct load_counts *counts;
    struct errbuf *err; /* the first one */
    bool failed;
    rd_kafka_t *rk;
    rd_kafka_topic_t *rkt;
    int64_t started_ns, next_progress_ms;
    uint8_t *series; /* a bit for each that was sent */
};

static void
fail(struct sender *s, const char *what, const char *why)
{
    if (!s->failed)
        errbuf_set(s->err, "%s: %s", what, why);
    s->failed = true;
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct sender *s = opaque;
    (void)rk;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        s->counts->delivered++;
        return;
    }
    s->counts->failed++;
    fail(s, s->o->topic, rd_kafka_err2str(message->err));
}

/* --- looking around --- */

static int64_t
elapsed_ms(const struct sender *s)
{
    return (clock_mono_ns() - s->started_ns) / 1000000;
}

static void
show_progress(struct sender *s)
{
    const struct load_options *o = s->o;
    char text[160];
    int64_t now = elapsed_ms(s);
    if ((!o->bar && o->progress_s == 0) || now < s->next_progress_ms)
        return;
    s->next_progress_ms = now + (o->bar ? BAR_MS : o->progress_s * 1000);
    load_describe(text, sizeof(text), s->counts->delivered,
                  o->messages > 0 ? (uint64_t)o->messages : 0, now, o->seconds, o->bar);
    fprintf(stderr, o->bar ? "\r%s\033[K" : "%s\n", text);
}

static bool
is_finished(const struct sender *s)
{
    const struct load_options *o = s->o;
    if (*s->stop || s->failed || (o->messages >= 0 && s->counts->sent >= (uint64_t)o->messages))
        return true;
    return o->seconds >= 0 && elapsed_ms(s) >= o->seconds * 1000;
}

/* Serves delivery reports, waits while it is too soon. Returns: how many may be sent now, 0..CHUNK.
 */
static uint64_t
await_turn(struct sender *s)
{
    rd_kafka_poll(s->rk, 0);
    show_progress(s);
    uint64_t most = CHUNK, left = UINT64_MAX;
    if (s->o->messages >= 0)
        left = (uint64_t)s->o->messages - s->counts->sent;
    if (s->o->rate > 0) {
        uint64_t due = load_due(s->o->rate, clock_mono_ns() - s->started_ns);
        if (due <= s->counts->sent) {
            rd_kafka_poll(s->rk, PACE_MS);
            return 0;
        }
        most = due - s->counts->sent < most ? due - s->counts->sent : most;
    }
    return most < left ? most : left;
}

/* --- sending --- */

/* Hands one payload to librdkafka, waiting while its queue is full. Returns 0 or -1. */
static int
send_payload(struct sender *s, const void *payload, size_t n)
{
    while (rd_kafka_produce(s->rkt, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                            (void *)(uintptr_t)payload, n, NULL, 0, NULL) == -1) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            fail(s, s->o->topic, rd_kafka_err2str(rd_kafka_last_error()));
            return -1;
        }
        if (*s->stop)
            return -1;
        rd_kafka_poll(s->rk, FULL_MS);
        show_progress(s);
    }
    s->counts->sent++;
    s->counts->bytes += n;
    return 0;
}

static void
note_series(struct sender *s, uint64_t number)
{
    if (s->series == NULL)
        return;
    uint64_t series = payload_series_of(&s->o->payload, number);
    uint8_t bit = (uint8_t)(1u << series % 8);
    s->counts->series += (s->series[series / 8] & bit) == 0;
    s->series[series / 8] |= bit;
}

static int
send_number(struct sender *s, uint64_t number)
{
    const struct payload_options *p = &s->o->payload;
    char payload[PAYLOAD_MAX];
    size_t n = payload_format(p, number, payload);
    if (send_payload(s, payload, n) == -1)
        return -1;
    if (payload_is_bad(p, number))
        s->counts->bad++;
    else if (payload_original(p, number) != number)
        s->counts->duplicates++;
    else
        note_series(s, number);
    return 0;
}

static void
send_generated(struct sender *s)
{
    uint64_t series = payload_series(&s->o->payload);
    if (series > 0)
        s->series = calloc(series / 8 + 1, 1);
    while (!is_finished(s))
        for (uint64_t n = await_turn(s); n > 0; n--)
            if (send_number(s, (uint64_t)s->o->first + s->counts->sent) == -1)
                return;
}

/* --- a file --- */

/*
 * Decodes in place the base64 that follows `"base64": "` in a line, up to the closing quote, as
 * tests/corpus/malformed.jsonl has it; it has no escapes.
 * Returns: the bytes, or NULL if the line has none.
 */
static char *
decode_base64_member(char *line, size_t *n)
{
    static const char key[] = "\"base64\": \"";
    char *member = strstr(line, key);
    if (member == NULL)
        return NULL;
    char *start = member + sizeof(key) - 1;
    const char *end = strchr(start, '"');
    if (end == NULL ||
        base64_decode((struct slice){start, (size_t)(end - start)}, start, n) == -1)
        return NULL;
    return start;
}

static int
send_line(struct sender *s, char *line, size_t n)
{
    if (n > 0 && line[n - 1] == '\n')
        line[--n] = '\0';
    char *payload = line;
    if (s->o->replay_base64 && (payload = decode_base64_member(line, &n)) == NULL) {
        fail(s, s->o->replay, "a line without \"base64\"");
        return -1;
    }
    return send_payload(s, payload, n);
}

static void
send_file(struct sender *s)
{
    FILE *in = fopen(s->o->replay, "r");
    if (in == NULL) {
        fail(s, s->o->replay, strerror(errno));
        return;
    }
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n = 0;
    while (n != -1 && !is_finished(s))
        for (uint64_t i = await_turn(s); i > 0; i--)
            if ((n = getline(&line, &capacity, in)) == -1 || send_line(s, line, (size_t)n) == -1)
                break;
    if (ferror(in))
        fail(s, s->o->replay, strerror(errno));
    free(line);
    fclose(in);
}

/* --- Kafka --- */

static int
set(rd_kafka_conf_t *conf, const char *name, const char *value, struct errbuf *err)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
        return 0;
    return errbuf_set(err, "librdkafka: %s: %s", name, text);
}

static int
set_property(rd_kafka_conf_t *conf, const char *property, struct errbuf *err)
{
    char name[128];
    const char *equals = strchr(property, '=');
    if (equals == NULL || (size_t)(equals - property) >= sizeof(name))
        return errbuf_set(err, "-X %.100s: allowed: NAME=VALUE", property);
    snprintf(name, sizeof(name), "%.*s", (int)(equals - property), property);
    return set(conf, name, equals + 1, err);
}

/* Idempotence: a broker that dies between storing and acknowledging makes no duplicates. */
static int
configure(const struct load_options *o, rd_kafka_conf_t *conf, struct errbuf *err)
{
    char timeout[32];
    snprintf(timeout, sizeof(timeout), "%lld", (long long)o->timeout_s * 1000);
    const char *const defaults[][2] = {{"bootstrap.servers", o->brokers},
                                       {"enable.idempotence", "true"},
                                       {"linger.ms", "5"},
                                       {"batch.num.messages", "10000"},
                                       {"queue.buffering.max.messages", "200000"},
                                       {"sticky.partitioning.linger.ms", "0"},
                                       {"message.max.bytes", "100000000"},
                                       {"message.timeout.ms", timeout},
                                       {"reconnect.backoff.max.ms", "1000"}};
    for (size_t i = 0; i < COUNT_OF(defaults); i++)
        if (set(conf, defaults[i][0], defaults[i][1], err) == -1)
            return -1;
    for (size_t i = 0; i < o->n_properties; i++)
        if (set_property(conf, o->properties[i], err) == -1)
            return -1;
    return 0;
}

static void
log_nothing(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

/* Fails now if no broker or no such topic is there, not after the timeout of each message. */
static int
look_for_topic(struct sender *s)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(s->rk, 0, s->rkt, &metadata, METADATA_MS);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return errbuf_set(s->err, "no broker at %s: %s", s->o->brokers, rd_kafka_err2str(code));
    code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    rd_kafka_metadata_destroy(metadata);
    /* A broker that makes topics when they are asked for says this the first time. */
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        return 0;
    return errbuf_set(s->err, "topic %s at %s: %s", s->o->topic, s->o->brokers,
                      rd_kafka_err2str(code));
}

static int
open_kafka(struct sender *s)
{
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (configure(s->o, conf, s->err) == -1) {
        rd_kafka_conf_destroy(conf);
        return -1;
    }
    rd_kafka_conf_set_opaque(conf, s);
    rd_kafka_conf_set_log_cb(conf, log_nothing);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    s->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (s->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return errbuf_set(s->err, "librdkafka: %s", text);
    }
    s->rkt = rd_kafka_topic_new(s->rk, s->o->topic, NULL);
    if (s->rkt == NULL)
        return errbuf_set(s->err, "topic %s: %s", s->o->topic,
                          rd_kafka_err2str(rd_kafka_last_error()));
    return look_for_topic(s);
}

static void
close_kafka(struct sender *s)
{
    if (s->rkt != NULL)
        rd_kafka_topic_destroy(s->rkt);
    if (s->rk != NULL)
        rd_kafka_destroy(s->rk);
}

static void
await_deliveries(struct sender *s)
{
    int64_t timeout_ms = s->o->timeout_s > 0 ? s->o->timeout_s * 1000 + 1000 : FOREVER_MS;
    int64_t give_up_ms = elapsed_ms(s) + timeout_ms;
    while (rd_kafka_outq_len(s->rk) > 0 && elapsed_ms(s) < give_up_ms && *s->stop < 2) {
        rd_kafka_flush(s->rk, 100);
        show_progress(s);
    }
    if (s->counts->delivered != s->counts->sent)
        fail(s, s->o->topic, "no report of a delivery in time");
}

int
load_run(const struct load_options *options, const volatile sig_atomic_t *stop,
         struct load_counts *counts, struct errbuf *err)
{
    struct sender s = {.o = options, .stop = stop, .counts = counts, .err = err};
    *counts = (struct load_counts){.sent = 0};
    int result = open_kafka(&s);
    if (result == 0) {
        s.started_ns = clock_mono_ns();
        if (options->replay != NULL)
            send_file(&s);
        else
            send_generated(&s);
        await_deliveries(&s);
        counts->seconds = (double)(clock_mono_ns() - s.started_ns) / 1e9;
        if (options->bar)
            fputs("\r\033[K", stderr);
        result = s.failed ? -1 : 0;
    }
    free(s.series);
    close_kafka(&s);
    return result;
}
