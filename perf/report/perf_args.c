/* SPDX-License-Identifier: Apache-2.0 */
/* perf_args.c - see perf_args.h. */
#include "perf/report/perf_args.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/num.h"
#include "perf/option.h"
#include "perf/report/source_time.h"

static const char program[] = "persister-perf";

enum { DROPWIZARD_PORT = 8091, WAIT_S = 10, DEFAULT_TIMEOUT_S = 3600, LAST_MS = 600000 };

void
perf_args_help(void)
{
    fputs(
        "Usage: persister-perf run [OPTION]... [-- LOAD-OPTION...]\n"
        "       persister-perf report [OPTION]...\n"
        "Reads what persisters say of themselves. `run` watches them until messages are received\n"
        "and stored; `report` only reads.\n"
        "\n"
        "  --source dropwizard=http://HOST:PORT  an admin port, ours or the Java persister's\n"
        "  --source monasca[=URL]                the Monasca API, found by Keystone\n"
        "  --source segment=INSTANCE             the shared memory of an instance on this host\n"
        "                         any number of these\n"
        "  --format text|json|csv (text)\n"
        "  --plot FILE            draw it, too: FILE.svg or FILE.png, by gnuplot\n"
        "  --period S             ask the API for periods of that length\n"
        "  --prefix TEXT          of the names in the API (monasca.persister.)\n"
        "  --segment-directory D  where segments are\n"
        "  --os-NAME VALUE        for Keystone, in the place of OS_NAME in the environment: "
        "auth-url,\n"
        "                         username, password, project-name, project-id, user-domain-name,\n"
        "                         user-domain-id, project-domain-name, project-domain-id, "
        "region-name,\n"
        "                         cacert, token; --insecure\n"
        "\n"
        "run:\n"
        "  -s HOST[,HOST...]      persisters' hosts; as --source dropwizard=http://HOST:PORT\n"
        "  -p PORT                their admin port (8091)\n"
        "  -n N                   until N messages are received and stored (what the load says)\n"
        "  -w S                   between two looks (10)\n"
        "  --timeout S            give up after that (3600)\n"
        "  -- LOAD-OPTION...      starts persister-load with these; otherwise one made elsewhere "
        "is\n"
        "                         watched\n"
        "report:\n"
        "  --since T, --until T   ISO 8601 (UTC unless it says otherwise), seconds since 1970, or "
        "now\n"
        "  --last LENGTH          90s, 10m, 2h, 1d (10m)\n"
        "\n"
        "Exit codes: 0 done; 1 a source failed, or not all was stored in time; 2 wrong options.\n",
        stdout);
}

/* --- times --- */

/* A date alone is its first moment; what does not say its zone is UTC. */
static int
parse_iso(const char *text, int64_t *ms)
{
    enum { DATE = 10 };
    char whole[64];
    size_t n = strlen(text);
    bool zone = n > DATE && (text[n - 1] == 'Z' || strpbrk(text + DATE, "+-") != NULL);
    int written = snprintf(whole, sizeof(whole), "%s%s%s", text, n == DATE ? "T00:00:00" : "",
                           zone ? "" : "Z");
    if ((size_t)written >= sizeof(whole))
        return -1;
    return source_time_parse((struct slice){whole, (size_t)written}, ms);
}

int
perf_args_time(const char *text, int64_t now_ms, int64_t *ms)
{
    int64_t seconds;
    if (strcmp(text, "now") == 0) {
        *ms = now_ms;
        return 0;
    }
    if (num_parse_int(text, 0, INT64_MAX / 2000, &seconds) == 0 && strlen(text) > 4) {
        *ms = seconds * 1000;
        return 0;
    }
    return parse_iso(text, ms);
}

int
perf_args_length(const char *text, int64_t *ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    char number[32];
    size_t n = strlen(text);
    int64_t unit_ms = 1000, value;
    for (size_t i = 0; n > 0 && i < COUNT_OF(units); i++)
        if (text[n - 1] == units[i].unit) {
            unit_ms = units[i].ms;
            n--;
            break;
        }
    if (n >= sizeof(number))
        return -1;
    snprintf(number, sizeof(number), "%.*s", (int)n, text);
    if (num_parse_int(number, 1, INT64_MAX / 86400000 / 2, &value) == -1)
        return -1;
    *ms = value * unit_ms;
    return 0;
}

/* --- options --- */

/* What is kept until all are known. */
struct raw {
    const char *hosts, *since, *until, *last;
    int64_t port;
};

static int
fail(const char *name, const char *value, const char *allowed)
{
    return option_fail(program, name, value, allowed);
}

static int
add_source(struct perf_args *a, char *specification)
{
    if (specification != NULL && a->n_sources < PERF_SOURCES_MAX) {
        a->specifications[a->n_sources++] = specification;
        return 0;
    }
    free(specification);
    return fail("--source", "", "at most 64 of them");
}

static int
add_hosts(struct perf_args *a, const char *hosts, int64_t port)
{
    while (*hosts != '\0') {
        size_t n = strcspn(hosts, ",");
        char *specification = NULL;
        /* An IPv6 address among them needs its brackets in a URL. */
        bool bare = memchr(hosts, ':', n) != NULL && hosts[0] != '[';
        if (n == 0)
            return fail("-s", hosts, "HOST,HOST...");
        if (asprintf(&specification, "dropwizard=http://%s%.*s%s:%lld", bare ? "[" : "", (int)n,
                     hosts, bare ? "]" : "", (long long)port) == -1)
            specification = NULL;
        if (add_source(a, specification) == -1)
            return -1;
        hosts += n + (hosts[n] == ',');
    }
    return 0;
}

static const struct {
    const char *option, *variable;
    size_t offset;
} keystone[] = {
#define KEYSTONE(option, variable, field)                                                          \
    {                                                                                              \
        option, variable, offsetof(struct source_keystone, field)                                  \
    }
    KEYSTONE("os-auth-url", "OS_AUTH_URL", auth_url),
    KEYSTONE("os-username", "OS_USERNAME", username),
    KEYSTONE("os-password", "OS_PASSWORD", password),
    KEYSTONE("os-project-name", "OS_PROJECT_NAME", project_name),
    KEYSTONE("os-project-id", "OS_PROJECT_ID", project_id),
    KEYSTONE("os-user-domain-name", "OS_USER_DOMAIN_NAME", user_domain_name),
    KEYSTONE("os-user-domain-id", "OS_USER_DOMAIN_ID", user_domain_id),
    KEYSTONE("os-project-domain-name", "OS_PROJECT_DOMAIN_NAME", project_domain_name),
    KEYSTONE("os-project-domain-id", "OS_PROJECT_DOMAIN_ID", project_domain_id),
    KEYSTONE("os-region-name", "OS_REGION_NAME", region_name),
    KEYSTONE("os-cacert", "OS_CACERT", cacert),
    KEYSTONE("os-token", "OS_TOKEN", token),
#undef KEYSTONE
};

static const char **
keystone_field(struct perf_args *a, size_t i)
{
    return (const char **)(void *)((char *)&a->options.keystone + keystone[i].offset);
}

/* Returns: true if it was one of Keystone's. */
static bool
set_keystone(struct perf_args *a, const char *name, const char *value)
{
    for (size_t i = 0; i < COUNT_OF(keystone); i++)
        if (strcmp(keystone[i].option, name) == 0) {
            *keystone_field(a, i) = value;
            return true;
        }
    return false;
}

static int
set_format(struct perf_args *a, const char *value)
{
    static const char *const names[] = {"text", "json", "csv"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(names[i], value) == 0) {
            a->format = (enum perf_format)i;
            return 0;
        }
    return fail("--format", value, "text, json, csv");
}

static int
set_long(struct perf_args *a, struct raw *raw, const char *name, char *value)
{
    if (set_keystone(a, name, value))
        return 0;
    if (strcmp(name, "source") == 0)
        return add_source(a, strdup(value));
    if (strcmp(name, "format") == 0)
        return set_format(a, value);
    if (strcmp(name, "period") == 0) {
        int64_t seconds = 0;
        int result = option_number(program, "--period", value, 1, 86400, &seconds);
        a->options.period_ms = seconds * 1000;
        return result;
    }
    if (strcmp(name, "timeout") == 0)
        return option_number(program, "--timeout", value, 1, 10000000, &a->timeout_s);
    const struct {
        const char *name;
        const char **to;
    } texts[] = {{"plot", &a->plot},
                 {"prefix", &a->options.prefix},
                 {"segment-directory", &a->options.segment_directory},
                 {"since", &raw->since},
                 {"until", &raw->until},
                 {"last", &raw->last}};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (strcmp(texts[i].name, name) == 0)
            *texts[i].to = value;
    return 0;
}

static int
set_short(struct perf_args *a, struct raw *raw, int option, const char *value)
{
    switch (option) {
    case 's':
        raw->hosts = value;
        return 0;
    case 'p':
        return option_number(program, "-p", value, 1, 65535, &raw->port);
    case 'n':
        return option_number(program, "-n", value, 0, INT64_MAX, &a->messages);
    case 'w':
        return option_number(program, "-w", value, 1, 3600, &a->wait_s);
    default:
        return -1; /* getopt has said why */
    }
}

enum { OPTION_LONG = 256, OPTION_INSECURE, OPTION_HELP, OPTION_VERSION };

static const struct option options[] = {
#define LONG(name)                                                                                 \
    {                                                                                              \
        name, required_argument, NULL, OPTION_LONG                                                 \
    }
    LONG("source"),
    LONG("format"),
    LONG("plot"),
    LONG("period"),
    LONG("prefix"),
    LONG("segment-directory"),
    LONG("timeout"),
    LONG("since"),
    LONG("until"),
    LONG("last"),
    LONG("os-auth-url"),
    LONG("os-username"),
    LONG("os-password"),
    LONG("os-project-name"),
    LONG("os-project-id"),
    LONG("os-user-domain-name"),
    LONG("os-user-domain-id"),
    LONG("os-project-domain-name"),
    LONG("os-project-domain-id"),
    LONG("os-region-name"),
    LONG("os-cacert"),
    LONG("os-token"),
    {"insecure", no_argument, NULL, OPTION_INSECURE},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0}};
#undef LONG

static int
set_range(struct perf_args *a, const struct raw *raw, int64_t now_ms)
{
    static const char times[] = "now, seconds since 1970, or 2026-11-23T10:00:00Z";
    int64_t last_ms = LAST_MS;
    if (raw->last != NULL && perf_args_length(raw->last, &last_ms) == -1)
        return fail("--last", raw->last, "90s, 10m, 2h, 1d");
    if (raw->last != NULL && raw->since != NULL)
        return fail("--last", raw->last, "that or --since, not both");
    a->until_ms = now_ms;
    if (raw->until != NULL && perf_args_time(raw->until, now_ms, &a->until_ms) == -1)
        return fail("--until", raw->until, times);
    a->since_ms = a->until_ms - last_ms;
    if (raw->since != NULL && perf_args_time(raw->since, now_ms, &a->since_ms) == -1)
        return fail("--since", raw->since, times);
    if (a->since_ms >= a->until_ms)
        return fail("--since", raw->since != NULL ? raw->since : "", "a time before --until");
    return 0;
}

static int
set_action(struct perf_args *a, const char *word)
{
    if (word != NULL && strcmp(word, "run") == 0)
        a->action = PERF_RUN;
    else if (word != NULL && strcmp(word, "report") == 0)
        a->action = PERF_REPORT;
    else if (word != NULL && strcmp(word, "--help") == 0)
        a->action = PERF_HELP;
    else if (word != NULL && strcmp(word, "--version") == 0)
        a->action = PERF_VERSION;
    else
        return fail("the first word", word != NULL ? word : "is missing", "run, report");
    return 0;
}

static int
complete(struct perf_args *a, const struct raw *raw, int argc, char **argv, int64_t now_ms)
{
    if (raw->hosts != NULL && add_hosts(a, raw->hosts, raw->port) == -1)
        return -1;
    if (optind < argc && a->action == PERF_RUN && strcmp(argv[optind - 1], "--") == 0)
        a->load = &argv[optind];
    else if (optind < argc)
        return fail("unexpected argument", argv[optind], "none, but after `run ... --`");
    if (a->n_sources == 0)
        return fail("--source", "is missing", "at least one, or -s HOST");
    if (a->action == PERF_RUN && a->messages == -1 && a->load == NULL)
        return fail("-n", "is missing", "a number of messages, or a load after --");
    return a->action == PERF_REPORT ? set_range(a, raw, now_ms) : 0;
}

int
perf_args_parse(struct perf_args *args, int argc, char **argv, int64_t now_ms)
{
    struct raw raw = {.port = DROPWIZARD_PORT};
    *args = (struct perf_args){
        .messages = -1,
        .wait_s = WAIT_S,
        .timeout_s = DEFAULT_TIMEOUT_S,
        .options = {.timeout_ms = 10000, .prefix = "monasca.persister.", .segment_directory = ""}};
    if (set_action(args, argc > 1 ? argv[1] : NULL) == -1)
        return -1;
    for (size_t i = 0; i < COUNT_OF(keystone); i++)
        *keystone_field(args, i) = getenv(keystone[i].variable);
    optind = 2;
    int option, index = 0;
    while ((option = getopt_long(argc, argv, "s:p:n:w:", options, &index)) != -1) {
        int result = 0;
        if (option == OPTION_HELP || option == OPTION_VERSION)
            args->action = option == OPTION_HELP ? PERF_HELP : PERF_VERSION;
        else if (option == OPTION_INSECURE)
            args->options.keystone.insecure = true;
        else if (option == OPTION_LONG)
            result = set_long(args, &raw, options[index].name, optarg);
        else
            result = set_short(args, &raw, option, optarg);
        if (result == -1)
            return -1;
    }
    if (args->action == PERF_HELP || args->action == PERF_VERSION)
        return 0;
    return complete(args, &raw, argc, argv, now_ms);
}

void
perf_args_free(struct perf_args *args)
{
    for (size_t i = 0; i < args->n_sources; i++)
        free(args->specifications[i]);
    args->n_sources = 0;
}
