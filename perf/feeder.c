/*
 * feeder.c - puts metrics or alarm transitions on a Kafka topic, for tests, the demo and perf/.
 *
 * Sends generated messages (payload.h) or those of a file, paced if asked, and waits for every
 * delivery report: what it counts as delivered is what Kafka has.  Prints one JSON line at the end.
 *
 * Process: one of its own.  Owner: struct feeder, on main's stack.  Concurrency: one thread;
 * delivery reports are served by rd_kafka_poll in it.
 */
#include <errno.h>
#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/num.h"
#include "perf/payload.h"

enum { FOREVER_MS = 3600 * 1000, PACE_MS = 10 };

struct feeder {
    const char *brokers, *topic, *replay;
    bool replay_base64;
    struct payload_options payload;
    int64_t messages;   /* to send; -1: no limit */
    int64_t first;      /* number of the first message */
    int64_t seconds;    /* to send for; -1: no limit */
    int64_t rate;       /* messages a second; 0: as fast as it goes */
    int64_t timeout_s;  /* for a delivery; 0: for ever */
    int64_t progress_s; /* a line of progress on stderr so often; 0: never */
    rd_kafka_t *rk;
    rd_kafka_topic_t *rkt;
    int64_t started_ms, next_progress_ms;
    uint64_t sent, bad, delivered, failed;
    char first_error[256];
};

static volatile sig_atomic_t stop_asked;

static void
on_signal(int number)
{
    (void)number;
    stop_asked = 1;
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct feeder *f = opaque;
    (void)rk;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        f->delivered++;
        return;
    }
    if (f->failed++ == 0)
        snprintf(f->first_error, sizeof(f->first_error), "%s", rd_kafka_err2str(message->err));
}

static void
show_progress(struct feeder *f)
{
    if (f->progress_s == 0 || clock_mono_ms() < f->next_progress_ms)
        return;
    f->next_progress_ms += f->progress_s * 1000;
    fprintf(stderr, "feeder: delivered=%llu bad=%llu\n", (unsigned long long)f->delivered,
            (unsigned long long)f->bad);
}

/* Hands one payload to librdkafka, waiting while its queue is full. Returns 0 or -1 with the error
 * noted. */
static int
send_payload(struct feeder *f, const void *payload, size_t n)
{
    for (;;) {
        if (rd_kafka_produce(f->rkt, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                             (void *)(uintptr_t)payload, n, NULL, 0, NULL) == 0) {
            f->sent++;
            return 0;
        }
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL || stop_asked) {
            snprintf(f->first_error, sizeof(f->first_error), "%s",
                     rd_kafka_err2str(rd_kafka_last_error()));
            return -1;
        }
        rd_kafka_poll(f->rk, 100);
        show_progress(f);
    }
}

/* Returns how many messages should have been sent by now. */
static uint64_t
allowed_by_now(const struct feeder *f)
{
    if (f->rate == 0)
        return UINT64_MAX;
    return (uint64_t)((clock_mono_ms() - f->started_ms) * f->rate / 1000 + 1);
}

/* Waits until the next message is due, serving delivery reports. */
static void
pace(struct feeder *f)
{
    if (f->rate == 0 && f->sent % 1000 != 0)
        return;
    rd_kafka_poll(f->rk, 0);
    while (f->sent >= allowed_by_now(f) && !stop_asked)
        rd_kafka_poll(f->rk, PACE_MS);
    show_progress(f);
}

static bool
is_finished(const struct feeder *f)
{
    if (stop_asked || (f->messages >= 0 && f->sent >= (uint64_t)f->messages))
        return true;
    return f->seconds >= 0 && clock_mono_ms() - f->started_ms >= f->seconds * 1000;
}

static int
feed_generated(struct feeder *f)
{
    char payload[PAYLOAD_MAX];
    while (!is_finished(f)) {
        uint64_t number = (uint64_t)f->first + f->sent;
        size_t n = payload_format(&f->payload, number, clock_wall_ms(), payload);
        if (send_payload(f, payload, n) == -1)
            return -1;
        f->bad += payload_is_bad(&f->payload, number);
        pace(f);
    }
    return 0;
}

static int
base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

/*
 * Decodes in place the base64 (RFC 4648 section 4) up to the closing quote that follows
 * `"base64": "` in a line, as tests/corpus/malformed.jsonl has it; its base64 has no escapes.
 * Returns: the bytes, or NULL if the line has none.
 */
static char *
decode_base64_member(char *line, size_t *n)
{
    static const char key[] = "\"base64\": \"";
    char *in = strstr(line, key);
    if (in == NULL)
        return NULL;
    in += sizeof(key) - 1;
    char *start = in, *out = in;
    uint32_t bits = 0;
    int held = 0;
    for (int digit; (digit = base64_digit(*in)) != -1; in++) {
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *out++ = (char)(bits >> held);
        }
    }
    in += strspn(in, "=");
    *n = (size_t)(out - start);
    return *in == '"' ? start : NULL;
}

static int
feed_line(struct feeder *f, char *line, size_t n)
{
    if (n > 0 && line[n - 1] == '\n')
        line[--n] = '\0';
    char *payload = line;
    if (f->replay_base64 && (payload = decode_base64_member(line, &n)) == NULL) {
        snprintf(f->first_error, sizeof(f->first_error), "%s: a line without \"base64\"",
                 f->replay);
        return -1;
    }
    int result = send_payload(f, payload, n);
    pace(f);
    return result;
}

static int
feed_file(struct feeder *f)
{
    FILE *in = fopen(f->replay, "r");
    if (in == NULL) {
        snprintf(f->first_error, sizeof(f->first_error), "%s: %s", f->replay, strerror(errno));
        return -1;
    }
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    int result = 0;
    while (result == 0 && !is_finished(f) && (n = getline(&line, &capacity, in)) != -1)
        result = feed_line(f, line, (size_t)n);
    free(line);
    fclose(in);
    return result;
}

static int
set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
        return 0;
    fprintf(stderr, "feeder: %s: %s\n", name, text);
    return -1;
}

/* Idempotence: a broker that dies between storing and acknowledging makes no duplicates. */
static int
open_kafka(struct feeder *f)
{
    char timeout[32], text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    snprintf(timeout, sizeof(timeout), "%lld", (long long)f->timeout_s * 1000);
    if (set(conf, "bootstrap.servers", f->brokers) == -1 ||
        set(conf, "enable.idempotence", "true") == -1 || set(conf, "linger.ms", "5") == -1 ||
        set(conf, "sticky.partitioning.linger.ms", "0") == -1 ||
        set(conf, "message.max.bytes", "100000000") == -1 ||
        set(conf, "message.timeout.ms", timeout) == -1 ||
        set(conf, "reconnect.backoff.max.ms", "1000") == -1) {
        rd_kafka_conf_destroy(conf);
        return -1;
    }
    rd_kafka_conf_set_opaque(conf, f);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    f->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (f->rk == NULL) {
        fprintf(stderr, "feeder: %s\n", text);
        rd_kafka_conf_destroy(conf);
        return -1;
    }
    f->rkt = rd_kafka_topic_new(f->rk, f->topic, NULL);
    return f->rkt == NULL ? -1 : 0;
}

static void
close_kafka(struct feeder *f)
{
    if (f->rkt != NULL)
        rd_kafka_topic_destroy(f->rkt);
    if (f->rk != NULL)
        rd_kafka_destroy(f->rk);
}

/* Feeds, waits for the delivery of all, says how it went. Returns an exit code. */
static int
feed(struct feeder *f)
{
    f->started_ms = clock_mono_ms();
    f->next_progress_ms = f->started_ms;
    int result = f->replay != NULL ? feed_file(f) : feed_generated(f);
    int64_t give_up_ms = clock_mono_ms() + (f->timeout_s > 0 ? f->timeout_s * 1000 : FOREVER_MS);
    while (rd_kafka_outq_len(f->rk) > 0 && clock_mono_ms() < give_up_ms) {
        rd_kafka_flush(f->rk, 100);
        show_progress(f);
    }
    double took = (double)(clock_mono_ms() - f->started_ms) / 1000;
    printf(
        "{\"sent\": %llu, \"delivered\": %llu, \"good\": %llu, \"bad\": %llu, \"seconds\": %.3f}\n",
        (unsigned long long)f->sent, (unsigned long long)f->delivered,
        (unsigned long long)(f->sent - f->bad), (unsigned long long)f->bad, took);
    if (result == 0 && f->delivered == f->sent)
        return 0;
    fprintf(stderr, "feeder: %llu of %llu delivered: %s\n", (unsigned long long)f->delivered,
            (unsigned long long)f->sent, f->first_error[0] ? f->first_error : "no report in time");
    return 1;
}

static void
usage(FILE *out)
{
    fputs("feeder --brokers LIST --topic NAME [options]: puts messages on a Kafka topic\n"
          "  --kind metrics|alarms   what to make up (metrics)\n"
          "  --messages N            how many (no limit unless --seconds is missing, too: 1000)\n"
          "  --seconds S             for how long\n"
          "  --rate R                messages a second (as fast as it goes)\n"
          "  --seed N                other messages (1)\n"
          "  --tenants N             tenants to spread them over (3)\n"
          "  --bad PERCENT           as many are bad ones, of every kind (0)\n"
          "  --distinct              each is a row of its own and says its number: perf/payload.h\n"
          "  --first N               number of the first one (0)\n"
          "  --start-ms MS           with --distinct: time of number 0 (1790000000000)\n"
          "  --run NAME              with --distinct: a dimension run=NAME\n"
          "  --replay FILE           send the lines of a file instead\n"
          "  --replay-base64 FILE    send the member \"base64\" of each line of a JSON lines file\n"
          "  --timeout S             for a delivery; 0: for ever (60)\n"
          "  --progress S            say on stderr how far it is, every S seconds\n"
          "Ends with a JSON line: sent, delivered, good, bad, seconds. Exit code 0 if all were\n"
          "delivered, 1 if not, 2 for a wrong option.\n",
          out);
}

static int
parse_number(const char *name, const char *text, int64_t min, int64_t max, int64_t *out)
{
    if (num_parse_int(text, min, max, out) == 0)
        return 0;
    fprintf(stderr, "feeder: --%s: '%s' is no number from %lld to %lld\n", name, text,
            (long long)min, (long long)max);
    return -1;
}

static int
parse_option(struct feeder *f, int option, const char *name, const char *value)
{
    int64_t n = 0;
    int result = 0;
    switch (option) {
    case 'b':
        f->brokers = value;
        break;
    case 't':
        f->topic = value;
        break;
    case 'k':
        f->payload.kind = strcmp(value, "alarms") == 0 ? PAYLOAD_ALARMS : PAYLOAD_METRICS;
        result = strcmp(value, "alarms") == 0 || strcmp(value, "metrics") == 0 ? 0 : -1;
        break;
    case 'r':
    case 'R':
        f->replay = value;
        f->replay_base64 = option == 'R';
        break;
    case 'd':
        f->payload.distinct = true;
        break;
    case 'u':
        f->payload.run = value;
        break;
    case 'n':
        result = parse_number(name, value, 0, INT64_MAX, &f->messages);
        break;
    case 's':
        result = parse_number(name, value, 1, 1000000, &f->seconds);
        break;
    case 'a':
        result = parse_number(name, value, 1, 100000000, &f->rate);
        break;
    case 'e':
        result = parse_number(name, value, 0, INT64_MAX, &n);
        f->payload.seed = (uint64_t)n;
        break;
    case 'T':
        result = parse_number(name, value, 1, 1000000, &n);
        f->payload.tenants = (uint32_t)n;
        break;
    case 'B':
        result = parse_number(name, value, 0, 100, &n);
        f->payload.bad_percent = (uint32_t)n;
        break;
    case 'f':
        result = parse_number(name, value, 0, INT64_MAX, &f->first);
        break;
    case 'S':
        result = parse_number(name, value, 0, INT64_MAX / 2000000, &f->payload.start_ms);
        break;
    case 'o':
        result = parse_number(name, value, 0, 1000000, &f->timeout_s);
        break;
    case 'p':
        result = parse_number(name, value, 1, 1000000, &f->progress_s);
        break;
    case 'h':
        usage(stdout);
        exit(0);
    default:
        result = -1;
    }
    return result;
}

static int
parse_options(struct feeder *f, int argc, char **argv)
{
    static const struct option options[] = {{"brokers", required_argument, NULL, 'b'},
                                            {"topic", required_argument, NULL, 't'},
                                            {"kind", required_argument, NULL, 'k'},
                                            {"messages", required_argument, NULL, 'n'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"rate", required_argument, NULL, 'a'},
                                            {"seed", required_argument, NULL, 'e'},
                                            {"tenants", required_argument, NULL, 'T'},
                                            {"bad", required_argument, NULL, 'B'},
                                            {"distinct", no_argument, NULL, 'd'},
                                            {"first", required_argument, NULL, 'f'},
                                            {"start-ms", required_argument, NULL, 'S'},
                                            {"run", required_argument, NULL, 'u'},
                                            {"replay", required_argument, NULL, 'r'},
                                            {"timeout", required_argument, NULL, 'o'},
                                            {"replay-base64", required_argument, NULL, 'R'},
                                            {"progress", required_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option, index = 0;
    while ((option = getopt_long(argc, argv, "", options, &index)) != -1)
        if (parse_option(f, option, option == '?' ? "" : options[index].name, optarg) == -1)
            return -1;
    if (optind != argc || f->brokers == NULL || f->topic == NULL)
        return -1;
    if (f->replay == NULL && f->messages == -1 && f->seconds == -1)
        f->messages = 1000;
    return 0;
}

int
main(int argc, char **argv)
{
    struct feeder f = {.messages = -1,
                       .seconds = -1,
                       .timeout_s = 60,
                       .payload = {.seed = 1, .tenants = 3, .start_ms = 1790000000000, .run = ""}};
    if (parse_options(&f, argc, argv) == -1) {
        usage(stderr);
        return 2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    int code = open_kafka(&f) == -1 ? 1 : feed(&f);
    close_kafka(&f);
    return code;
}
