/*
 * main.c - options, and the wiring of configuration, lock, workers and master.  The one file that
 * knows both master/ and worker/.
 *
 * Process: master; run_worker is the first thing of ours that a worker runs.
 * Owner: everything made here lives until the process ends.  Concurrency: one thread; whatever
 * would start others (librdkafka, curl) runs in children only, except with --single.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cfg.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "master/directory.h"
#include "master/lock.h"
#include "master/main_admin.h"
#include "master/master.h"
#include "master/spawn.h"
#include "master/title.h"
#include "master/totals.h"
#include "shm/ledger.h"
#include "store/store.h"
#include "worker/kafka_conf.h"
#include "worker/retention.h"
#include "worker/worker.h"

/* How the program ends; --help and the man page say the same. */
enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONFIGURATION = 78 };

enum {
    CHECK_MS = 30000,    /* for the check in a child */
    TOTALS_SECONDS = 30, /* between two lines of totals */
    NOTICES_BYTES = 65536,
    NAME_BYTES = 288 /* Kafka's longest topic name has 249 */
};

static const char program[] = "monasca-persister";
static const char default_file[] = "/etc/monasca/monasca-persister.conf";

enum deed { DEED_RUN, DEED_CHECK, DEED_DUMP, DEED_SAMPLE, DEED_HELP, DEED_VERSION };

struct arguments {
    enum deed deed;
    const char *file;   /* --config-file */
    const char *single; /* --single, or NULL */
};

/* What a worker needs to know about itself. */
enum seat_role { SEAT_WORKER, SEAT_RETENTION, SEAT_ADMIN };

struct seat {
    enum seat_role role;
    enum topic_kind kind; /* of a worker */
    unsigned number;
    char *name;
};

struct persister {
    struct config *cfg;
    struct seat *seats; /* n of them, one per slot */
    const char **names;
    bool *silent; /* those that give no sign of life, since they cannot write to the segment */
    size_t n;
    struct segment segment;
    struct ledger *ledger;
    struct shm_reader *reader; /* of that segment */
    struct telling *telling;   /* NULL: StatsD is off */
};

/* --- options --- */

static void
print_help(void)
{
    printf("Usage: %s [OPTION]...\n"
           "Writes Monasca's metrics and alarm history from Kafka to a database.\n"
           "\n"
           "  --config-file FILE   configuration (default: %s)\n"
           "  --check              check the configuration, run nothing\n"
           "  --dump-config        print the configuration in effect, secrets masked\n"
           "  --sample-config      print every option with its default and meaning\n"
           "  --single TOPIC       run one worker without forking, for debugging; TOPIC is the\n"
           "                       topic's name or its section in the configuration\n"
           "  --version            print the version\n"
           "  --help               print this\n"
           "\n"
           "It runs in the foreground. TERM and INT stop it, a second one hurries; USR1 reopens\n"
           "the log and the dead letters. pstats shows its figures.\n"
           "\n"
           "Exit codes: 0 stopped as asked, or nothing to object; 1 failed, or a worker had to be\n"
           "killed when stopping; 2 wrong options; 78 wrong configuration.\n",
           program, default_file);
}

static int
parse_arguments(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {{"config-file", required_argument, NULL, 'f'},
                                            {"check", no_argument, NULL, DEED_CHECK},
                                            {"dump-config", no_argument, NULL, DEED_DUMP},
                                            {"sample-config", no_argument, NULL, DEED_SAMPLE},
                                            {"single", required_argument, NULL, 's'},
                                            {"version", no_argument, NULL, DEED_VERSION},
                                            {"help", no_argument, NULL, DEED_HELP},
                                            {NULL, 0, NULL, 0}};
    int option;
    *args = (struct arguments){.deed = DEED_RUN, .file = default_file};
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return -1; /* getopt has said why */
        if (option == 'f')
            args->file = optarg;
        else if (option == 's')
            args->single = optarg;
        else
            args->deed = (enum deed)option;
    }
    if (optind < argc) {
        fprintf(stderr, "%s: unexpected argument '%s'\n", program, argv[optind]);
        return -1;
    }
    return 0;
}

/* --- complaints --- */

static bool log_is_elsewhere; /* the log does not go to standard error */

/* For what keeps us from running: into the log, and to whoever started us. */
static void
complain(const struct errbuf *err)
{
    log_error("%s", err->text);
    if (log_is_elsewhere)
        fprintf(stderr, "%s: %s\n", program, err->text);
}

/* Notices come before the log is open; until then they are kept, one a line. */
static struct buf notices;

static void
keep_notice(const char *text)
{
    buf_add_text(&notices, text);
    buf_add_char(&notices, '\n');
}

static void
log_notices(void)
{
    buf_add_char(&notices, '\0');
    char *text = notices.failed ? NULL : notices.data;
    while (text != NULL && *text != '\0') {
        size_t n = strcspn(text, "\n");
        log_notice("%.*s", (int)n, text);
        text += n + (text[n] == '\n');
    }
    buf_free(&notices);
}

static int
open_log(const struct config *cfg, struct errbuf *err)
{
    struct log_options options = {.file = cfg->DEFAULT.log_file,
                                  .syslog = cfg->DEFAULT.use_syslog,
                                  .facility = cfg->DEFAULT.syslog_log_facility,
                                  .stderr_too = cfg->DEFAULT.use_stderr,
                                  .level = cfg->DEFAULT.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO};
    if (log_open(&options, err) == -1)
        return -1;
    log_is_elsewhere = (options.syslog || options.file[0] != '\0') && !options.stderr_too;
    return 0;
}

/* --- the configuration beyond its text --- */

static bool
keep_waiting(void *arg)
{
    (void)arg;
    return true;
}

/* Runs in a child: Kafka's and the stores' libraries look at their settings. */
static int
check_libraries(const void *arg, struct errbuf *err)
{
    const struct config *cfg = arg;
    static const struct store_hooks hooks = {.keep_waiting = keep_waiting};
    if (kafka_conf_check(cfg, err) == -1)
        return -1;
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++) {
        if (!cfg->topic[kind].enabled)
            continue;
        struct store *store = store_find(cfg_topic_driver(cfg, kind))->open(cfg, kind, &hooks, err);
        if (store == NULL)
            return errbuf_prefix(err, "%s: [%s]", cfg->file, cfg_topic_section(kind));
        store->ops->close(&store);
    }
    return 0;
}

static int
check_drivers(const struct config *cfg, struct errbuf *err)
{
    static const char *const options[] = {"metrics_driver", "alarm_state_history_driver"};
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++)
        if (cfg->topic[kind].enabled && store_find(cfg_topic_driver(cfg, kind)) == NULL)
            return errbuf_set(err, "%s: [repositories] %s: this build has no such store", cfg->file,
                              options[kind]);
    return 0;
}

/* Returns: an exit code. */
static int
check_configuration(const struct config *cfg, struct errbuf *err)
{
    if (check_drivers(cfg, err) == -1)
        return EXIT_CONFIGURATION;
    switch (spawn_check("check", check_libraries, cfg, CHECK_MS, err)) {
    case SPAWN_GOOD:
        return EXIT_GOOD;
    case SPAWN_REFUSED:
        return EXIT_CONFIGURATION;
    default:
        return EXIT_FAILED;
    }
}

/* --- workers --- */

static int
add_seat(struct persister *p, enum seat_role role, enum topic_kind kind, unsigned number)
{
    char name[NAME_BYTES];
    const char *helper = role == SEAT_ADMIN ? "admin" : "retention";
    if (role == SEAT_WORKER)
        snprintf(name, sizeof(name), "%s-%u", p->cfg->topic[kind].topic, number);
    p->seats[p->n] = (struct seat){.role = role, .kind = kind, .number = number};
    p->seats[p->n].name = strdup(role == SEAT_WORKER ? name : helper);
    p->names[p->n] = p->seats[p->n].name;
    p->silent[p->n] = role == SEAT_ADMIN;
    return p->names[p->n++] == NULL ? -1 : 0;
}

static int
count_seats(const struct config *cfg)
{
    int n = 0;
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++)
        n += cfg->topic[kind].enabled ? (int)cfg->topic[kind].num_processors : 0;
    return n + retention_is_wanted(cfg) + cfg->admin.enabled;
}

static int
make_room(struct persister *p, size_t n, struct errbuf *err)
{
    p->seats = calloc(n, sizeof(*p->seats));
    p->names = calloc(n, sizeof(*p->names));
    p->silent = calloc(n, sizeof(*p->silent));
    if (p->seats == NULL || p->names == NULL || p->silent == NULL)
        return errbuf_set(err, "no memory for %zu workers: %s", n, strerror(errno));
    return 0;
}

/* --- figures --- */

/* Beside the lock, unless the configuration says where. */
static int
make_segment(struct persister *p, const struct lock *lock, struct errbuf *err)
{
    char path[384];
    const char *instance = p->cfg->persister.instance;
    int64_t period_ms = p->cfg->persister.period_seconds * 1000;
    unsigned n_slots =
        (unsigned)(p->n * 2); /* so that a reload can start new ones beside the old */
    if (lock == NULL)
        return segment_create_private(&p->segment, instance, n_slots, period_ms, err);
    const char *directory = p->cfg->persister.segment;
    if (directory[0] == '\0')
        directory = p->cfg->persister.run_directory;
    int fd = directory_open(directory, path, sizeof(path), err);
    if (fd == -1)
        return errbuf_prefix(err, "segment of instance '%s'", instance);
    close(fd);
    return segment_create(&p->segment, path, instance, n_slots, period_ms, err);
}

static int
open_figures(struct persister *p, const struct lock *lock, struct errbuf *err)
{
    if (make_segment(p, lock, err) == -1)
        return -1;
    p->ledger = ledger_new(&p->segment);
    p->reader = segment_reader(&p->segment);
    if (p->ledger == NULL || p->reader == NULL)
        return errbuf_set(err, "no memory for the figures of %zu workers", p->n);
    for (size_t i = 0; i < p->n; i++) {
        const struct seat *seat = &p->seats[i];
        const char *topic = seat->role != SEAT_WORKER ? "" : p->cfg->topic[seat->kind].topic;
        ledger_assign(p->ledger, (unsigned)i + 1, seat->name, topic, seat->number);
    }
    return 0;
}

static int
open_telling(struct persister *p, struct errbuf *err)
{
    struct telling_options options;
    if (!p->cfg->statsd.enabled)
        return 0;
    telling_options_from(&options, p->cfg);
    p->telling = telling_new(&options, p->reader, ledger_recorder(p->ledger), err);
    return p->telling == NULL ? -1 : 0;
}

static void
close_figures(struct persister *p)
{
    telling_free(&p->telling);
    shm_reader_close(&p->reader);
    ledger_free(&p->ledger);
    segment_close(&p->segment);
}

static int
make_seats(struct persister *p, struct errbuf *err)
{
    if (make_room(p, (size_t)count_seats(p->cfg), err) == -1)
        return -1;
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++)
        for (unsigned i = 0;
             p->cfg->topic[kind].enabled && i < (unsigned)p->cfg->topic[kind].num_processors; i++)
            if (add_seat(p, SEAT_WORKER, kind, i) == -1)
                return errbuf_set(err, "out of memory");
    if (retention_is_wanted(p->cfg) && add_seat(p, SEAT_RETENTION, 0, 0) == -1)
        return errbuf_set(err, "out of memory");
    if (p->cfg->admin.enabled && add_seat(p, SEAT_ADMIN, 0, 0) == -1)
        return errbuf_set(err, "out of memory");
    return 0;
}

static void
free_seats(struct persister *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->seats[i].name);
    free(p->seats);
    free(p->names);
    free(p->silent);
}

static int
run_worker(void *arg, size_t i)
{
    struct persister *p = arg;
    if (p->seats[i].role == SEAT_ADMIN)
        return main_admin_run(p->cfg, &p->segment);
    if (p->seats[i].role == SEAT_RETENTION)
        return retention_run(p->cfg, &p->segment, (unsigned)i + 1);
    struct worker_args args = {.cfg = p->cfg,
                               .kind = p->seats[i].kind,
                               .number = p->seats[i].number,
                               .segment = &p->segment,
                               .slot = (unsigned)i + 1};
    return worker_run(&args);
}

/* --- the two ways to run --- */

static int
run_master(struct persister *p, const struct lock *lock, struct errbuf *err)
{
    if (make_seats(p, err) == -1 || open_figures(p, lock, err) == -1 ||
        open_telling(p, err) == -1) {
        complain(err);
        return EXIT_FAILED;
    }
    struct master_options options = {.n = p->n,
                                     .names = p->names,
                                     .silent = p->silent,
                                     .ledger = p->ledger,
                                     .reader = p->reader,
                                     .telling = p->telling,
                                     .run = run_worker,
                                     .arg = p,
                                     .timing = pool_default_timing(),
                                     .totals_ms = TOTALS_SECONDS * 1000,
                                     .totals_per_each = LOG_LEVEL_DEBUG,
                                     .period_ms = p->cfg->persister.period_seconds * 1000,
                                     .fds = {lock->fd, p->segment.fd}};
    options.timing.hang_ms = p->cfg->persister.hang_timeout_seconds * 1000;
    options.timing.shutdown_ms = p->cfg->persister.shutdown_timeout_seconds * 1000;
    log_notice("%s starts: instance '%s', %zu processes, configuration %s, lock %s, segment %s",
               PACKAGE_STRING, p->cfg->persister.instance, p->n, p->cfg->file, lock->path,
               p->segment.path);
    int code = master_run(&options);
    log_notice("stopped%s", code == 0 ? "" : "; not all went well, see above");
    return code == 0 ? EXIT_GOOD : EXIT_FAILED;
}

/* Returns: the kind of an enabled topic that is meant, or TOPIC_KINDS. */
static enum topic_kind
find_topic(const struct config *cfg, const char *name)
{
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++)
        if (cfg->topic[kind].enabled && (strcmp(name, cfg->topic[kind].topic) == 0 ||
                                         strcmp(name, cfg_topic_section(kind)) == 0))
            return kind;
    return TOPIC_KINDS;
}

/* A worker expects what spawn_fork leaves it: these blocked, and HUP harmless. */
static void
block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

static int
run_single(struct persister *p, enum topic_kind kind, struct errbuf *err)
{
    struct snapshot snapshot = {.n_processes = 0};
    if (make_room(p, 1, err) == -1 || add_seat(p, SEAT_WORKER, kind, 0) == -1 ||
        open_figures(p, NULL, err) == -1) {
        complain(err);
        return EXIT_FAILED;
    }
    block_signals();
    log_set_process(p->names[0]);
    ledger_start(p->ledger, 1);
    ledger_started(p->ledger, 1, getpid());
    int code = run_worker(p, 0);
    (void)ledger_reap(p->ledger, 1, LEDGER_ASKED, SLOT_FREE);
    if (snapshot_take(p->reader, &snapshot, err) == 0)
        totals_log(&snapshot, LOG_LEVEL_DEBUG);
    snapshot_free(&snapshot);
    return code == WORKER_EXIT_DONE ? EXIT_GOOD : EXIT_FAILED;
}

static int
usage_single(const struct config *cfg, const char *name)
{
    fprintf(stderr,
            "%s: --single %s: no enabled topic or section has that name; there are:", program,
            name);
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++)
        if (cfg->topic[kind].enabled)
            fprintf(stderr, " %s (%s)", cfg->topic[kind].topic, cfg_topic_section(kind));
    fputc('\n', stderr);
    return EXIT_USAGE;
}

/* Everything that may refuse the start comes before the first worker. */
static int
run(struct config *cfg, const char *single)
{
    struct errbuf err = {.text = ""};
    struct persister p = {.cfg = cfg, .segment = {.fd = -1}};
    struct lock lock;
    enum topic_kind kind = single != NULL ? find_topic(cfg, single) : TOPIC_KINDS;
    if (single != NULL && kind == TOPIC_KINDS)
        return usage_single(cfg, single);
    int opened = open_log(cfg, &err);
    log_notices();
    /* With --single nothing is forked, so the worker itself will say what its libraries refuse. */
    int code = opened == -1                     ? EXIT_CONFIGURATION
               : single == NULL                 ? check_configuration(cfg, &err)
               : check_drivers(cfg, &err) == -1 ? EXIT_CONFIGURATION
                                                : EXIT_GOOD;
    if (code == EXIT_GOOD &&
        lock_acquire(cfg->persister.run_directory, cfg->persister.instance, &lock, &err) == -1)
        code = EXIT_FAILED;
    if (code != EXIT_GOOD) {
        complain(&err);
        return code;
    }
    code = single != NULL ? run_single(&p, kind, &err) : run_master(&p, &lock, &err);
    close_figures(&p);
    free_seats(&p);
    lock_release(&lock);
    return code;
}

static int
check(const struct config *cfg)
{
    struct errbuf err = {.text = ""};
    log_notices();
    int code = check_configuration(cfg, &err);
    if (code != EXIT_GOOD)
        complain(&err);
    else
        printf("%s: the configuration is good\n", cfg->file);
    return code;
}

static int
dump(const struct config *cfg)
{
    log_notices();
    cfg_dump(cfg, stdout);
    return EXIT_GOOD;
}

static int
run_with_configuration(const struct arguments *args)
{
    struct errbuf err;
    buf_init(&notices, NOTICES_BYTES);
    struct config *cfg = cfg_load(args->file, keep_notice, &err);
    int code = EXIT_CONFIGURATION;
    if (cfg == NULL) {
        log_notices();
        complain(&err);
    } else if (args->deed == DEED_CHECK) {
        code = check(cfg);
    } else if (args->deed == DEED_DUMP) {
        code = dump(cfg);
    } else {
        code = run(cfg, args->single);
    }
    buf_free(&notices);
    cfg_free(&cfg);
    return code;
}

/* USR1 and HUP must not kill us while we start; the master's loop takes them when it is there. */
static void
hold_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static int
flush_output(int code)
{
    if (fflush(stdout) == EOF && code == EXIT_GOOD) {
        fprintf(stderr, "%s: cannot write: %s\n", program, strerror(errno));
        return EXIT_FAILED;
    }
    return code;
}

int
main(int argc, char **argv)
{
    struct arguments args;
    hold_signals();
    log_set_process("master");
    if (parse_arguments(argc, argv, &args) == -1) {
        fprintf(stderr, "Try '%s --help'.\n", program);
        return EXIT_USAGE;
    }
    switch (args.deed) {
    case DEED_HELP:
        print_help();
        return flush_output(EXIT_GOOD);
    case DEED_VERSION:
        printf("%s\n", PACKAGE_STRING);
        return flush_output(EXIT_GOOD);
    case DEED_SAMPLE:
        cfg_sample(stdout);
        return flush_output(EXIT_GOOD);
    default:
        break;
    }
    char *file = strdup(args.file); /* argv is overwritten by titles */
    char *single = args.single != NULL ? strdup(args.single) : NULL;
    if (file == NULL || (args.single != NULL && single == NULL)) {
        fprintf(stderr, "%s: out of memory\n", program);
        return EXIT_FAILED;
    }
    args.file = file;
    args.single = single;
    title_init(argc, argv);
    int code = flush_output(run_with_configuration(&args));
    free(single);
    free(file);
    return code;
}
