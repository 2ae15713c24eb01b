/*
 * main.c - options, and the wiring of master and workers: the only file that knows both.
 *
 * Process: master.  Owner: the configuration, for the life of the process.  Concurrency: one
 * thread.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/cfg.h"
#include "lib/log.h"
#include "lib/num.h"
#include "master/lock.h"
#include "master/master.h"
#include "master/spawn.h"
#include "store/store.h"
#include "worker/kafka_conf.h"
#include "worker/worker.h"

enum { CHECK_TIMEOUT_MS = 30000, TOTALS_SECONDS = 30 };

#define DEFAULT_FILE "/etc/monasca/monasca-persister.conf"

enum mode { MODE_RUN, MODE_CHECK, MODE_DUMP, MODE_SINGLE };

struct command {
    const char *file, *topic;
    enum mode mode;
};

static const char usage[] =
    "Usage: monasca-persister [OPTION]...\n"
    "Takes Monasca's metrics and alarm transitions off Kafka and writes them to a time series "
    "store.\n"
    "\n"
    "  --config-file FILE  configuration (" DEFAULT_FILE ")\n"
    "  --check             validate the configuration and exit\n"
    "  --dump-config       print the effective configuration, secrets masked, and exit\n"
    "  --sample-config     print every option with its default and exit\n"
    "  --single TOPIC      run one worker for a topic in this process, for debugging\n"
    "  --version           print the version and exit\n"
    "  --help              print this and exit\n"
    "\n"
    "Signals: TERM and INT stop it (a second one hurries), USR1 opens the log and the dead letters "
    "anew.\n"
    "Exit status: 0 fine, 1 it failed, 64 wrong usage, 78 wrong configuration.\n";

static int fail_usage(const char *format, ...) PRINTF_LIKE(1, 2);

static int
fail_usage(const char *format, ...)
{
    va_list args;
    fputs("monasca-persister: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("; try --help\n", stderr);
    return EX_USAGE;
}

/* -1: go on with the command; else the exit status. */
static int
parse_arguments(int argc, char **argv, struct command *command)
{
    static const struct option options[] = {{"config-file", required_argument, NULL, 'f'},
                                            {"check", no_argument, NULL, 'c'},
                                            {"dump-config", no_argument, NULL, 'd'},
                                            {"sample-config", no_argument, NULL, 'e'},
                                            {"single", required_argument, NULL, 's'},
                                            {"version", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'f':
            command->file = optarg;
            break;
        case 'c':
            command->mode = MODE_CHECK;
            break;
        case 'd':
            command->mode = MODE_DUMP;
            break;
        case 'e':
            cfg_sample(stdout);
            return 0;
        case 's':
            command->mode = MODE_SINGLE;
            command->topic = optarg;
            break;
        case 'v':
            puts(PACKAGE_STRING);
            return 0;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default: /* getopt has said what is wrong */
            return EX_USAGE;
        }
    }
    return optind < argc ? fail_usage("unexpected argument '%s'", argv[optind]) : -1;
}

static void
print_notice(const char *text)
{
    log_notice("%s", text);
}

static void
swallow_notice(const char *text)
{
    (void)text;
}

/* In the short-lived child: what the libraries say of the configuration. */
static int
check_with_libraries(void *arg, struct errbuf *err)
{
    return kafka_conf_check(arg, err);
}

static int
check_drivers(const struct config *cfg, struct errbuf *err)
{
    static const char *const names[] = {"metrics_driver", "alarm_state_history_driver"};
    for (enum topic_kind kind = TOPIC_METRICS; kind <= TOPIC_ALARM_HISTORY; kind++)
        if (cfg->topic[kind].enabled && store_find(cfg_topic_driver(cfg, kind)) == NULL)
            return errbuf_set(err, "%s: [repositories] %s: this build does not have that store",
                              cfg->file, names[kind]);
    return 0;
}

static struct config *
load(const struct command *command)
{
    struct errbuf err = {.text = ""};
    struct config *cfg =
        cfg_load(command->file, command->mode == MODE_DUMP ? swallow_notice : print_notice, &err);
    if (cfg == NULL) {
        fprintf(stderr, "monasca-persister: %s\n", err.text);
        return NULL;
    }
    if (check_drivers(cfg, &err) == 0 &&
        spawn_ask(check_with_libraries, cfg, CHECK_TIMEOUT_MS, &err) == 0)
        return cfg;
    fprintf(stderr, "monasca-persister: %s\n", err.text);
    cfg_free(&cfg);
    return NULL;
}

static int
open_log(const struct config *cfg)
{
    struct errbuf err;
    struct log_options options = {.file = cfg->DEFAULT.log_file,
                                  .syslog = cfg->DEFAULT.use_syslog,
                                  .facility = cfg->DEFAULT.syslog_log_facility,
                                  .stderr_too = cfg->DEFAULT.use_stderr,
                                  .level = cfg->DEFAULT.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO};
    if (log_open(&options, &err) == 0)
        return 0;
    fprintf(stderr, "monasca-persister: %s\n", err.text);
    return -1;
}

/* A fallen-over dead letter file should be seen at the start, not at the first bad message. */
static void
warn_of_dead_letters(const struct config *cfg)
{
    char directory[4096];
    snprintf(directory, sizeof(directory), "%s", cfg->dead_letter.file);
    char *slash = strrchr(directory, '/');
    if (slash == NULL || cfg->dead_letter.topic[0] != '\0')
        return;
    *(slash == directory ? slash + 1 : slash) = '\0';
    if (access(directory, W_OK) == -1)
        log_warning("[dead_letter] file: %s: %s; rejected messages would have to wait", directory,
                    strerror(errno));
}

/* --- workers --- */

static int
run_worker(void *arg)
{
    return worker_run(arg);
}

static size_t
count_workers(const struct config *cfg)
{
    size_t n = 0;
    for (enum topic_kind kind = 0; kind < TOPIC_KINDS; kind++)
        n += cfg->topic[kind].enabled ? (size_t)cfg->topic[kind].num_processors : 0;
    return n;
}

static void
fill_jobs(const struct config *cfg, struct master_job *jobs, struct worker_args *args,
          struct slot *slots)
{
    size_t i = 0;
    for (enum topic_kind kind = 0; kind < TOPIC_KINDS; kind++) {
        const struct cfg_topic *topic = &cfg->topic[kind];
        for (unsigned number = 0; topic->enabled && number < topic->num_processors; number++, i++) {
            args[i] = (struct worker_args){cfg, kind, number, &slots[i]};
            jobs[i].arg = &args[i];
            snprintf(jobs[i].name, sizeof(jobs[i].name), "%.50s-%u", topic->topic, number);
        }
    }
}

/* For the demo and the tests, which watch the figures until pstats does. */
static int64_t
totals_seconds(bool *of_each)
{
    const char *text = getenv("MONASCA_PERSISTER_TOTALS_SECONDS");
    int64_t seconds = TOTALS_SECONDS;
    *of_each = text != NULL && num_parse_int(text, 1, TOTALS_SECONDS, &seconds) == 0;
    return seconds;
}

static int
run_master(const struct config *cfg)
{
    size_t n = count_workers(cfg);
    struct master_job *jobs = calloc(n, sizeof(*jobs));
    struct worker_args *args = calloc(n, sizeof(*args));
    struct slot *slots = slot_map(n);
    struct errbuf err;
    int result = EXIT_FAILURE;
    if (jobs == NULL || args == NULL || slots == NULL) {
        log_error("out of memory");
    } else if (lock_take(cfg->persister.run_directory, cfg->persister.instance, &err) == -1) {
        log_error("%s", err.text);
        if (cfg->DEFAULT.use_syslog || cfg->DEFAULT.log_file[0] != '\0')
            fprintf(stderr, "monasca-persister: %s\n", err.text);
    } else {
        bool of_each;
        int64_t totals = totals_seconds(&of_each);
        fill_jobs(cfg, jobs, args, slots);
        struct master_options options = {
            .jobs = jobs,
            .slots = slots,
            .n = n,
            .run = run_worker,
            .stop_timeout_ms = cfg->persister.shutdown_timeout_seconds * 1000,
            .hang_timeout_ms = cfg->persister.hang_timeout_seconds * 1000,
            .totals_ms = totals * 1000,
            .totals_of_each = of_each};
        log_notice("%s: instance %s, %zu workers", PACKAGE_STRING, cfg->persister.instance, n);
        result = master_run(&options);
        log_notice("stopped");
    }
    free(jobs);
    free(args);
    return result;
}

static int
run_single(const struct config *cfg, const char *topic)
{
    struct slot *slot = slot_map(1);
    if (slot == NULL) {
        log_error("out of memory");
        return EXIT_FAILURE;
    }
    for (enum topic_kind kind = 0; kind < TOPIC_KINDS; kind++) {
        if (strcmp(topic, cfg->topic[kind].topic) != 0 &&
            strcmp(topic, cfg_topic_section(kind)) != 0)
            continue;
        if (!cfg->topic[kind].enabled)
            return fail_usage("topic '%s' is not enabled", topic);
        struct worker_args args = {cfg, kind, 0, slot};
        log_set_process(cfg->topic[kind].topic);
        return worker_run(&args) == WORKER_EXIT_DONE ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    return fail_usage("there is no topic '%s' in the configuration", topic);
}

int
main(int argc, char **argv)
{
    struct command command = {.file = DEFAULT_FILE, .mode = MODE_RUN};
    int status = parse_arguments(argc, argv, &command);
    if (status != -1)
        return status;
    log_set_process("master");
    spawn_block_signals();
    struct config *cfg = load(&command);
    if (cfg == NULL)
        return EX_CONFIG;
    if (command.mode == MODE_DUMP)
        cfg_dump(cfg, stdout);
    else if (command.mode == MODE_CHECK)
        printf("%s: good\n", cfg->file);
    else if (open_log(cfg) == -1)
        status = EX_CONFIG;
    else {
        warn_of_dead_letters(cfg);
        status = command.mode == MODE_SINGLE ? run_single(cfg, command.topic) : run_master(cfg);
    }
    cfg_free(&cfg);
    return status == -1 ? EXIT_SUCCESS : status;
}
