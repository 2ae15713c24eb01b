/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c - persister-load: puts metrics or alarm transitions on a Kafka topic, for tests, the demo
 * and benchmarks. Options and the summary; sending is in load_run.c.
 *
 * Process: one of its own.  Owner: main's stack.  Concurrency: one thread.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/program.h"
#include "perf/load/load.h"
#include "perf/option.h"
#include "perf/stop.h"

static const char program[] = "persister-load";

enum { EXIT_GOOD = 0, EXIT_UNDELIVERED = 1, EXIT_USAGE = 2, PROPERTIES_MAX = 64 };

static void
print_help(void)
{
    fputs(
        "Usage: persister-load --brokers LIST [OPTION]...\n"
        "Puts messages on one of Monasca's Kafka topics, and counts what Kafka has.\n"
        "\n"
        "  --brokers LIST         HOST:PORT, separated by commas\n"
        "  --topic NAME           metrics or alarm-state-transitions, which says what to make up,\n"
        "                         or another name: then see --kind (metrics)\n"
        "  --kind metrics|alarms  what to make up for a topic of another name (metrics)\n"
        "  --messages N           how many (1000, unless --seconds is given)\n"
        "  --seconds S            for how long\n"
        "  --rate R               messages a second (as fast as it goes)\n"
        "  --tenants N            tenants that the hosts belong to (3)\n"
        "  --hosts N              hosts (40)\n"
        "  --names N              names of metrics; each host sends each: hosts * names series "
        "(15)\n"
        "  --dimensions N         more dimensions for each, 0 to 50 (0)\n"
        "  --bad PERCENT          as many are bad ones, of every kind (0)\n"
        "  --duplicates PERCENT   about as many of the good ones repeat an earlier one (0)\n"
        "  --seed N               other messages; the same seed gives the same bytes (1)\n"
        "  --start-ms MS          time of number 0, ms since 1970 (1790000000000 with --distinct "
        "or\n"
        "                         --seed, else now)\n"
        "  --distinct             each is a row of its own and says its number\n"
        "  --first N              number of the first one (0)\n"
        "  --run NAME             a dimension run=NAME\n"
        "  --replay FILE          send the lines of a file instead\n"
        "  --replay-base64 FILE   send the member \"base64\" of each line of a JSON lines file\n"
        "  --timeout S            for a delivery; 0: for ever (60)\n"
        "  --progress S           a line of progress on standard error every S seconds; 0: none\n"
        "                         (a bar on a terminal, else every 5)\n"
        "  --json                 the summary as a line of JSON\n"
        "  -X NAME=VALUE          a setting of librdkafka\n"
        "  --list-bad             print the kinds of bad messages and end\n"
        "  --version, --help\n"
        "\n"
        "TERM and INT end it early: it waits for the deliveries and sums up; a second one ends\n"
        "that wait. Exit codes: 0 all that was sent is in Kafka; 1 it is not, or nothing could\n"
        "be sent; 2 wrong options.\n",
        stdout);
}

/* --- options --- */

struct arguments {
    struct load_options load;
    const char *properties[PROPERTIES_MAX];
    const char *kind; /* NULL: by the topic */
    bool json, seeded;
    int64_t progress_s; /* -1: not given */
    bool done;          /* --help and the like */
};

/* The options that are numbers. */
struct number_option {
    const char *name; /* with its dashes */
    int64_t min, max;
    int64_t *wide; /* one of these two */
    uint32_t *narrow;
};

/* Returns: 1 if it is none of them, else 0 or -1. */
static int
parse_number(const struct number_option *numbers, size_t n, const char *name, const char *value)
{
    for (size_t i = 0; i < n; i++) {
        const struct number_option *o = &numbers[i];
        int64_t number;
        if (strcmp(o->name + 2, name) != 0)
            continue;
        if (option_number(program, o->name, value, o->min, o->max, &number) == -1)
            return -1;
        if (o->wide != NULL)
            *o->wide = number;
        else
            *o->narrow = (uint32_t)number;
        return 0;
    }
    return 1;
}

static int
parse_text(struct arguments *a, const char *name, const char *value)
{
    struct load_options *o = &a->load;
    if (strcmp(name, "brokers") == 0)
        o->brokers = value;
    else if (strcmp(name, "topic") == 0)
        o->topic = value;
    else if (strcmp(name, "kind") == 0)
        a->kind = value;
    else if (strcmp(name, "run") == 0)
        o->payload.run = value;
    else if (strncmp(name, "replay", 6) == 0) {
        o->replay = value;
        o->replay_base64 = name[6] != '\0';
    }
    if (strcmp(name, "kind") == 0 && strcmp(value, "metrics") != 0 && strcmp(value, "alarms") != 0)
        return option_fail(program, "--kind", value, "metrics, alarms");
    return 0;
}

static int
parse_value(struct arguments *a, const char *name, const char *value)
{
    struct load_options *o = &a->load;
    struct payload_options *p = &o->payload;
    int64_t seed = -1;
    const struct number_option numbers[] = {
        {"--messages", 0, INT64_MAX, &o->messages, NULL},
        {"--seconds", 1, 1000000, &o->seconds, NULL},
        {"--rate", 1, 100000000, &o->rate, NULL},
        {"--first", 0, INT64_MAX, &o->first, NULL},
        {"--seed", 0, INT64_MAX, &seed, NULL},
        {"--start-ms", 0, INT64_MAX / 2000000, &p->start_ms, NULL},
        {"--timeout", 0, 1000000, &o->timeout_s, NULL},
        {"--progress", 0, 1000000, &a->progress_s, NULL},
        {"--tenants", 1, 1000000, NULL, &p->tenants},
        {"--hosts", 1, 1000000, NULL, &p->hosts},
        {"--names", 1, 100000, NULL, &p->names},
        {"--dimensions", 0, PAYLOAD_DIMENSIONS, NULL, &p->dimensions},
        {"--bad", 0, 100, NULL, &p->bad_percent},
        {"--duplicates", 0, 100, NULL, &p->duplicate_percent},
    };
    int result = parse_number(numbers, COUNT_OF(numbers), name, value);
    if (seed != -1) {
        p->seed = (uint64_t)seed;
        a->seeded = true;
    }
    return result == 1 ? parse_text(a, name, value) : result;
}

static void
list_bad(void)
{
    for (enum payload_kind kind = PAYLOAD_METRICS; kind <= PAYLOAD_ALARMS; kind++)
        for (size_t i = 0; i < payload_bad_kinds(kind); i++)
            printf("%-8s %s\n", kind == PAYLOAD_METRICS ? "metrics" : "alarms",
                   payload_bad_name(kind, i));
}

enum { OPTION_VALUE = 256, OPTION_DISTINCT, OPTION_JSON, OPTION_LIST, OPTION_VERSION, OPTION_HELP };

static int
parse_option(struct arguments *a, int option, const char *name)
{
    struct load_options *o = &a->load;
    switch (option) {
    case OPTION_VALUE:
        return parse_value(a, name, optarg);
    case OPTION_DISTINCT:
        o->payload.distinct = true;
        return 0;
    case OPTION_JSON:
        a->json = true;
        return 0;
    case 'X':
        if (o->n_properties == PROPERTIES_MAX)
            return option_fail(program, "-X", optarg, "at most 64 of them");
        a->properties[o->n_properties++] = optarg;
        return 0;
    case OPTION_LIST:
        list_bad();
        break;
    case OPTION_VERSION:
        puts("persister-load " PACKAGE_VERSION);
        break;
    case OPTION_HELP:
        print_help();
        break;
    default:
        return -1; /* getopt has said why */
    }
    a->done = true;
    return 0;
}

/* What no single option can tell. */
static int
complete(struct arguments *a)
{
    struct load_options *o = &a->load;
    if (o->brokers == NULL) {
        fprintf(stderr, "persister-load: --brokers is missing\n");
        return -1;
    }
    bool by_name = strcmp(o->topic, "alarm-state-transitions") == 0;
    bool alarms = a->kind != NULL ? strcmp(a->kind, "alarms") == 0 : by_name;
    o->payload.kind = alarms ? PAYLOAD_ALARMS : PAYLOAD_METRICS;
    if (o->replay == NULL && o->messages == -1 && o->seconds == -1)
        o->messages = 1000;
    if (o->payload.start_ms == -1)
        o->payload.start_ms = o->payload.distinct || a->seeded ? 1790000000000 : clock_wall_ms();
    if (o->rate > 0) /* the time goes on as the messages do */
        o->payload.step_us = 1000000 / o->rate;
    o->bar = a->progress_s == -1 && isatty(STDERR_FILENO);
    o->progress_s = a->progress_s == -1 ? 5 : a->progress_s;
    o->properties = a->properties;
    return 0;
}

static int
parse_arguments(int argc, char **argv, struct arguments *a)
{
#define VALUE(name)                                                                                \
    {                                                                                              \
        name, required_argument, NULL, OPTION_VALUE                                                \
    }
    static const struct option options[] = {VALUE("brokers"),
                                            VALUE("topic"),
                                            VALUE("kind"),
                                            VALUE("messages"),
                                            VALUE("seconds"),
                                            VALUE("rate"),
                                            VALUE("tenants"),
                                            VALUE("hosts"),
                                            VALUE("names"),
                                            VALUE("dimensions"),
                                            VALUE("bad"),
                                            VALUE("duplicates"),
                                            VALUE("seed"),
                                            VALUE("start-ms"),
                                            VALUE("first"),
                                            VALUE("run"),
                                            VALUE("replay"),
                                            VALUE("replay-base64"),
                                            VALUE("timeout"),
                                            VALUE("progress"),
                                            {"distinct", no_argument, NULL, OPTION_DISTINCT},
                                            {"json", no_argument, NULL, OPTION_JSON},
                                            {"list-bad", no_argument, NULL, OPTION_LIST},
                                            {"version", no_argument, NULL, OPTION_VERSION},
                                            {"help", no_argument, NULL, OPTION_HELP},
                                            {NULL, 0, NULL, 0}};
#undef VALUE
    int option, index = 0;
    while (!a->done && (option = getopt_long(argc, argv, "X:", options, &index)) != -1)
        if (parse_option(a, option, options[index].name) == -1)
            return -1;
    if (a->done)
        return 0;
    if (optind < argc) {
        fprintf(stderr, "persister-load: unexpected argument '%s'\n", argv[optind]);
        return -1;
    }
    return complete(a);
}

/* --- the summary --- */

static void
print_summary(const struct arguments *a, const struct load_counts *c)
{
    double rate = c->seconds > 0 ? (double)c->delivered / c->seconds : 0;
    if (a->json) {
        printf("{\"sent\": %llu, \"delivered\": %llu, \"failed\": %llu, \"good\": %llu, "
               "\"bad\": %llu, \"duplicates\": %llu, \"series\": %llu, \"bytes\": %llu, "
               "\"seconds\": %.3f, \"rate\": %.1f}\n",
               (unsigned long long)c->sent, (unsigned long long)c->delivered,
               (unsigned long long)c->failed, (unsigned long long)(c->sent - c->bad),
               (unsigned long long)c->bad, (unsigned long long)c->duplicates,
               (unsigned long long)c->series, (unsigned long long)c->bytes, c->seconds, rate);
        return;
    }
    printf("%llu of %llu messages delivered in %.1f s: %.0f a second, %.1f MB\n",
           (unsigned long long)c->delivered, (unsigned long long)c->sent, c->seconds, rate,
           (double)c->bytes / 1e6);
    printf("bad %llu, duplicates %llu, series %llu of %llu\n", (unsigned long long)c->bad,
           (unsigned long long)c->duplicates, (unsigned long long)c->series,
           (unsigned long long)(a->load.replay != NULL ? 0 : payload_series(&a->load.payload)));
}

int
main(int argc, char **argv)
{
    struct arguments a = {.load = {.topic = "metrics",
                                   .messages = -1,
                                   .seconds = -1,
                                   .timeout_s = 60,
                                   .payload = {.seed = 1,
                                               .tenants = 3,
                                               .hosts = 40,
                                               .names = 15,
                                               .start_ms = -1,
                                               .step_us = 10,
                                               .run = ""}},
                          .progress_s = -1};
    if (program_begin() == -1)
        return EXIT_UNDELIVERED;
    if (parse_arguments(argc, argv, &a) == -1) {
        fputs("Try 'persister-load --help'.\n", stderr);
        return EXIT_USAGE;
    }
    if (a.done)
        return EXIT_GOOD;
    struct load_counts counts;
    struct errbuf err = {.text = ""};
    int result = load_run(&a.load, stop_on_signals(), &counts, &err);
    print_summary(&a, &counts);
    if (result == 0)
        return EXIT_GOOD;
    fprintf(stderr, "persister-load: %s\n", err.text);
    return EXIT_UNDELIVERED;
}
