/* SPDX-License-Identifier: Apache-2.0 */
/* args.c - see args.h. */
#include "config.h"

#include "dead/args.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

#include "dead/when.h"
#include "lib/clock.h"
#include "lib/num.h"
#include "conf/reject.h"

static const char usage[] =
    "Usage: persister-dead list [OPTION]...\n"
    "       persister-dead show TOPIC/PARTITION/OFFSET [OPTION]...\n"
    "       persister-dead replay [TOPIC/PARTITION/OFFSET] [OPTION]...\n"
    "Looks at the messages that monasca-persister rejected, and sends them once more.\n"
    "\n"
    "Where they are (otherwise: what the configuration says)\n"
    "  --config-file FILE  the persister's configuration\n"
    "                      (" SYSCONFDIR "/monasca/monasca-persister.conf)\n"
    "  --config-dir DIR    the *.conf in it; both may be repeated, as with the persister\n"
    "  --file FILE         a dead letter file; the rotated ones beside it are read, too\n"
    "  --dead-topic TOPIC  a dead letter topic\n"
    "  --state FILE        where is noted what was replayed from a file (FILE.replayed)\n"
    "  --brokers LIST      Kafka, HOST:PORT, separated by commas\n"
    "  --section NAME      whose brokers: kafka_metrics or kafka_alarm_history\n"
    "  -X NAME=VALUE       a property of librdkafka; may be repeated\n"
    "\n"
    "Which of them\n"
    "  --reason NAME       rejected for this reason; may be repeated\n"
    "  --topic TOPIC       from this topic; may be repeated\n"
    "  --since TIME        rejected then or later: 2026-09-21T14:13:20 (UTC), or 90s, 15m, 2h,\n"
    "                      7d ago\n"
    "  --until TIME        rejected before then\n"
    "  --accepted          only what this version's decoder would take\n"
    "\n"
    "list\n"
    "  --each              a line for each letter, with its place\n"
    "  --json              as JSON\n"
    "show\n"
    "  --raw               the payload's bytes and nothing else\n"
    "  --json              as JSON\n"
    "replay\n"
    "  --to TOPIC          into this topic (where each came from)\n"
    "  --rate N            messages a second, at most\n"
    "  --limit N           so many messages, at most\n"
    "  --again             also those that were replayed before\n"
    "  --dry-run           only say what would be sent\n"
    "  --yes               do not ask\n"
    "  --json              the summary as JSON\n"
    "\n"
    "  --version, --help\n"
    "\n"
    "Exit codes: 0 done; 1 something failed, run it again to go on; 2 wrong options, or the\n"
    "answer was no; 3 done, but some lines or letters cannot be replayed; 4 no such letter.\n";

static int complain(const char *format, ...) PRINTF_LIKE(1, 2);

static int
complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("persister-dead: ", stderr);
    vfprintf(stderr, format, args);
    fputs("; try --help\n", stderr);
    va_end(args);
    return -1;
}

enum option_code {
    OPTION_CONFIG_FILE = 256,
    OPTION_CONFIG_DIR,
    OPTION_DEAD_FILE,
    OPTION_DEAD_TOPIC,
    OPTION_STATE,
    OPTION_BROKERS,
    OPTION_SECTION,
    OPTION_REASON,
    OPTION_TOPIC,
    OPTION_SINCE,
    OPTION_UNTIL,
    OPTION_ACCEPTED,
    OPTION_AGAIN,
    OPTION_EACH,
    OPTION_JSON,
    OPTION_RAW,
    OPTION_TO,
    OPTION_RATE,
    OPTION_LIMIT,
    OPTION_DRY_RUN,
    OPTION_YES,
    OPTION_VERSION,
    OPTION_HELP
};

static const struct option options[] = {
    {"config-file", required_argument, NULL, OPTION_CONFIG_FILE},
    {"config-dir", required_argument, NULL, OPTION_CONFIG_DIR},
    {"file", required_argument, NULL, OPTION_DEAD_FILE},
    {"dead-topic", required_argument, NULL, OPTION_DEAD_TOPIC},
    {"state", required_argument, NULL, OPTION_STATE},
    {"brokers", required_argument, NULL, OPTION_BROKERS},
    {"section", required_argument, NULL, OPTION_SECTION},
    {"reason", required_argument, NULL, OPTION_REASON},
    {"topic", required_argument, NULL, OPTION_TOPIC},
    {"since", required_argument, NULL, OPTION_SINCE},
    {"until", required_argument, NULL, OPTION_UNTIL},
    {"accepted", no_argument, NULL, OPTION_ACCEPTED},
    {"again", no_argument, NULL, OPTION_AGAIN},
    {"each", no_argument, NULL, OPTION_EACH},
    {"json", no_argument, NULL, OPTION_JSON},
    {"raw", no_argument, NULL, OPTION_RAW},
    {"to", required_argument, NULL, OPTION_TO},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"yes", no_argument, NULL, OPTION_YES},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0}};

/* --- values --- */

static int
add_source(struct arguments *a, const char *option, enum cfg_source_kind kind, const char *path)
{
    if (a->n_sources == ARGS_SOURCES_MAX)
        return complain("%s: too many; allowed: %d", option, ARGS_SOURCES_MAX);
    a->sources[a->n_sources++] = (struct cfg_source){.kind = kind, .path = path};
    return 0;
}

static int
take_reason(struct arguments *a, const char *name)
{
    char known[512] = "";
    for (enum reject_reason r = 0; r < REJECT_REASONS; r++) {
        size_t n = strlen(known);
        snprintf(known + n, sizeof(known) - n, "%s%s", n > 0 ? ", " : "", reject_name(r));
        if (strcmp(name, reject_name(r)) != 0)
            continue;
        if (a->filter.n_reasons == FILTER_NAMES_MAX)
            return complain("--reason: at most %d", FILTER_NAMES_MAX);
        a->filter.reasons[a->filter.n_reasons++] = name;
        return 0;
    }
    return complain("--reason %s: allowed: %s", name, known);
}

static int
take_topic(const char *option, const char *name, const char **out)
{
    if (!letter_is_topic((struct slice){name, strlen(name)}))
        return complain("%s %s: allowed: the name of a Kafka topic, 1 to 249 of A-Z a-z 0-9 . _ -",
                        option, name);
    *out = name;
    return 0;
}

static int
add_topic(struct arguments *a, const char *name)
{
    if (a->filter.n_topics == FILTER_NAMES_MAX)
        return complain("--topic: at most %d", FILTER_NAMES_MAX);
    return take_topic("--topic", name, &a->filter.topics[a->filter.n_topics++]);
}

static int
take_time(const char *option, const char *text, int64_t *ms)
{
    if (when_parse(text, clock_wall_ms(), ms) == 0)
        return 0;
    return complain("%s %s: allowed: a time in UTC like 2026-09-21 or 2026-09-21T14:13:20, or so "
                    "long ago: 90s, 15m, 2h, 7d",
                    option, text);
}

static int
take_section(struct arguments *a, const char *name)
{
    for (enum topic_kind kind = TOPIC_METRICS; kind <= TOPIC_ALARM_HISTORY; kind++)
        if (strcmp(name, cfg_topic_section(kind)) == 0) {
            a->section = kind;
            return 0;
        }
    return complain("--section %s: allowed: kafka_metrics, kafka_alarm_history", name);
}

static int
take_count(const char *option, const char *text, int64_t *out)
{
    if (num_parse_int(text, 1, 1000000000, out) == 0)
        return 0;
    return complain("%s %s: allowed: a whole number from 1 to 1000000000", option, text);
}

static int
add_property(struct arguments *a, const char *text)
{
    if (a->n_properties == ARGS_PROPERTIES_MAX)
        return complain("-X: at most %d", ARGS_PROPERTIES_MAX);
    if (strchr(text, '=') == NULL || text[0] == '=')
        return complain("-X %s: allowed: NAME=VALUE, a property of librdkafka", text);
    a->properties[a->n_properties++] = text;
    return 0;
}

static int
take_value(struct arguments *a, int option)
{
    switch (option) {
    case OPTION_STATE:
        a->state = optarg;
        return 0;
    case OPTION_BROKERS:
        a->brokers = optarg;
        return optarg[0] != '\0' ? 0 : complain("--brokers '': allowed: HOST:PORT, and so on");
    case OPTION_SECTION:
        return take_section(a, optarg);
    case OPTION_REASON:
        return take_reason(a, optarg);
    case OPTION_TOPIC:
        return add_topic(a, optarg);
    case OPTION_SINCE:
        return take_time("--since", optarg, &a->filter.since_ms);
    case OPTION_UNTIL:
        return take_time("--until", optarg, &a->filter.until_ms);
    case OPTION_TO:
        return take_topic("--to", optarg, &a->to);
    case OPTION_RATE:
        return take_count("--rate", optarg, &a->rate);
    case OPTION_LIMIT:
        return take_count("--limit", optarg, &a->limit);
    default:
        assert(option == 'X');
        return add_property(a, optarg);
    }
}

static int
take_option(struct arguments *a, int option)
{
    switch (option) {
    case OPTION_CONFIG_FILE:
        return add_source(a, "--config-file", CFG_FROM_FILE, optarg);
    case OPTION_CONFIG_DIR:
        return add_source(a, "--config-dir", CFG_FROM_DIRECTORY, optarg);
    case OPTION_DEAD_FILE:
        a->file = optarg;
        return 0;
    case OPTION_DEAD_TOPIC:
        return take_topic("--dead-topic", optarg, &a->dead_topic);
    case OPTION_ACCEPTED:
        a->accepted = true;
        return 0;
    case OPTION_AGAIN:
        a->again = true;
        return 0;
    case OPTION_EACH:
        a->each = true;
        return 0;
    case OPTION_JSON:
        a->json = true;
        return 0;
    case OPTION_RAW:
        a->raw = true;
        return 0;
    case OPTION_DRY_RUN:
        a->dry_run = true;
        return 0;
    case OPTION_YES:
        a->yes = true;
        return 0;
    default:
        return take_value(a, option);
    }
}

/* --- operands, and what does not go together --- */

static int
take_verb(struct arguments *a, const char *name)
{
    static const char *const names[] = {"list", "show", "replay"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(name, names[i]) == 0) {
            a->verb = (enum verb)i;
            return 0;
        }
    return complain("%s: allowed: list, show, replay", name);
}

static int
take_operands(struct arguments *a, int argc, char **argv)
{
    int n = argc - optind;
    if (n == 0)
        return complain("what is to be done is missing: list, show, replay");
    if (take_verb(a, argv[optind]) == -1)
        return -1;
    if (n > 2 || (n == 2 && a->verb == VERB_LIST))
        return complain("'%s' is not understood", argv[argc - 1]);
    if (n == 1)
        return a->verb == VERB_SHOW ? complain("show takes TOPIC/PARTITION/OFFSET") : 0;
    a->filter.one = true;
    if (letter_parse_place(argv[optind + 1], &a->filter.topic, &a->filter.partition,
                           &a->filter.offset) == -1)
        return complain("%s: allowed: TOPIC/PARTITION/OFFSET, as list --each shows it",
                        argv[optind + 1]);
    return 0;
}

static int
check_sense(const struct arguments *a)
{
    if (a->verb != VERB_REPLAY &&
        (a->to != NULL || a->rate > 0 || a->limit > 0 || a->again || a->dry_run))
        return complain("--to, --rate, --limit, --again and --dry-run are for replay");
    if (a->verb != VERB_SHOW && a->raw)
        return complain("--raw is for show");
    if (a->verb != VERB_LIST && a->each)
        return complain("--each is for list");
    if (a->raw && a->json)
        return complain("either --raw or --json");
    if (a->filter.until_ms > 0 && a->filter.until_ms <= a->filter.since_ms)
        return complain("--until is not after --since");
    if (a->to != NULL && a->dead_topic != NULL && strcmp(a->to, a->dead_topic) == 0)
        return complain("--to %s: that is the dead letter topic", a->to);
    return 0;
}

static int
print_and_end(struct arguments *a, const char *text)
{
    a->done = true;
    if (fputs(text, stdout) != EOF && fflush(stdout) == 0)
        return 0;
    fprintf(stderr, "persister-dead: cannot write: %s\n", strerror(errno));
    return -1;
}

int
args_parse(struct arguments *a, int argc, char **argv)
{
    int option;
    *a = (struct arguments){.section = TOPIC_KINDS};
    while ((option = getopt_long(argc, argv, "X:h", options, NULL)) != -1) {
        if (option == '?')
            return -1; /* getopt has said why */
        if (option == OPTION_HELP || option == 'h')
            return print_and_end(a, usage);
        if (option == OPTION_VERSION)
            return print_and_end(a, "persister-dead (" PACKAGE_NAME ") " PACKAGE_VERSION "\n");
        if (take_option(a, option) == -1)
            return -1;
    }
    return take_operands(a, argc, argv) == -1 ? -1 : check_sense(a);
}
