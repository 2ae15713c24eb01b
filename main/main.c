/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - options, and the wiring of configuration, lock, workers and master.  main*.c are the
 * files that know both master/ and worker/.
 *
 * Process: master; run_worker is the first thing of ours that a worker runs.
 * Owner: everything made here lives until the process ends.  Concurrency: one thread; whatever
 * would start others (librdkafka, curl) runs in children only, except with --single.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/buf.h"
#include "conf/cfg.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/program.h"
#include "conf/reject.h"
#include "master/bus_error.h"
#include "master/directory.h"
#include "master/lock.h"
#include "main/main_admin.h"
#include "main/main_ask.h"
#include "main/main_check.h"
#include "main/main_options.h"
#include "main/main_reload.h"
#include "master/master.h"
#include "master/notify.h"
#include "master/spawn.h"
#include "master/title.h"
#include "master/totals.h"
#include "shm/ledger.h"
#include "worker/retention.h"
#include "worker/worker.h"

/* How the program ends; --help and the man page say the same. */
enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONFIGURATION = 78 };

enum {
    CHECK_MS = 30000,    /* for the check in a child */
    RELOAD_MS = 40000,   /* for the answer to --reload, a check and more */
    TOTALS_SECONDS = 30, /* between two lines of totals */
    SLOTS_MIN = 64,      /* what a reload has room for, at least; memory is taken as it is used */
    NOTICES_BYTES = 65536
};

static const char program[] = "monasca-persister";

/* --- options --- */

/* For the pages in doc/: the lists that are made from tables. Not in --help: nobody else needs it.
 */
static int
print_man(const char *list)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    if (strcmp(list, "options") == 0)
        cfg_write_man(&out);
    else if (strcmp(list, "reasons") == 0)
        reject_write_man(&out);
    else {
        fprintf(stderr, "%s: --man: 'options' or 'reasons' is allowed\n", program);
        return EXIT_USAGE;
    }
    int code = out.failed ? EXIT_FAILED : EXIT_GOOD;
    fwrite(out.data, 1, out.size, stdout);
    buf_free(&out);
    return code;
}

/* --- complaints --- */

/* For what keeps us from running: into the log, and to whoever started us. */
static void
complain(const struct errbuf *err)
{
    log_error("%s", err->text);
    if (!log_reaches_stderr())
        log_say("%s: %s", program, err->text);
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

/* --- the configuration beyond its text --- */

/* Returns: an exit code. */
static int
check_configuration(const struct config *cfg, struct errbuf *err)
{
    if (main_check_drivers(cfg, err) == -1)
        return EXIT_CONFIGURATION;
    switch (spawn_check("check", main_check_libraries, cfg, CHECK_MS, err)) {
    case SPAWN_GOOD:
        return EXIT_GOOD;
    case SPAWN_REFUSED:
        return EXIT_CONFIGURATION;
    default:
        return EXIT_FAILED;
    }
}

/* --- figures --- */

/* Beside the lock, unless the configuration says where. */
static int
make_segment(struct persister *p, const struct lock *lock, struct errbuf *err)
{
    char path[384];
    const char *instance = p->cfg->persister.instance;
    int64_t period_ms = p->plan.plan.period_ms;
    /* So that a reload can start others beside them, and more. */
    unsigned n_slots = (unsigned)p->plan.plan.n * 2;
    if (lock == NULL)
        return segment_create_private(&p->segment, instance, 1, period_ms, err);
    n_slots = n_slots < SLOTS_MIN ? SLOTS_MIN : n_slots;
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
    bus_error_catch(p->segment.header, p->segment.bytes, p->segment.path);
    p->ledger = ledger_new(&p->segment);
    p->reader = segment_reader(&p->segment);
    if (p->ledger == NULL || p->reader == NULL)
        return errbuf_set(err, "no memory for the figures of %zu workers", p->plan.plan.n);
    return 0;
}

static void
close_figures(struct persister *p)
{
    statsd_sender_free(&p->plan.plan.sender);
    hands_free(&p->hands);
    shm_reader_close(&p->reader);
    ledger_free(&p->ledger);
    segment_close(&p->segment);
}

/* --- processes --- */

static int
run_seat(void *arg, const struct seat *seat, unsigned slot, int64_t hold_ms)
{
    struct persister *p = arg;
    if (seat->crew == CREW_ADMIN) {
        const struct log_options log = main_reload_log_options(p->cfg, p->log_file);
        return main_admin_run(p->cfg, &log, &p->segment);
    }
    if (seat->crew == CREW_RETENTION)
        return retention_run(p->cfg, &p->segment, slot);
    struct worker_args args = {.cfg = p->cfg,
                               .kind = (enum topic_kind)seat->crew,
                               .number = seat->number,
                               .segment = &p->segment,
                               .slot = slot,
                               .hands = p->hands,
                               .hold_ms = hold_ms};
    return worker_run(&args);
}

/* --- the two ways to run --- */

static int
make_hands(struct persister *p, struct errbuf *err)
{
    p->hands = hands_new(p->segment.header->n_slots);
    return p->hands == NULL ? errbuf_set(err, "no memory for what workers have in hand") : 0;
}

static int
run_master(struct persister *p, const struct lock *lock, const char *pid_file, struct errbuf *err)
{
    struct notify notify;
    const struct reload_ops reload = main_reload_ops(p);
    if (open_figures(p, lock, err) == -1 || make_hands(p, err) == -1 ||
        main_reload_statsd(p, p->cfg, &p->plan.plan, err) == -1 ||
        notify_open(&notify, pid_file, err) == -1) {
        complain(err);
        return EXIT_FAILED;
    }
    struct master_options options = {.segment = &p->segment,
                                     .ledger = p->ledger,
                                     .reader = p->reader,
                                     .run = run_seat,
                                     .arg = p,
                                     .plan = &p->plan.plan,
                                     .hands = p->hands,
                                     .reload = &reload,
                                     .notify = &notify,
                                     .totals_ms = TOTALS_SECONDS * 1000,
                                     .totals_per_each = LOG_LEVEL_DEBUG,
                                     .fds = {lock->fd, p->segment.fd}};
    log_notice("%s starts: instance '%s', %zu processes, configuration %s, lock %s, segment %s",
               PACKAGE_STRING, p->cfg->persister.instance, p->plan.plan.n, p->cfg->file, lock->path,
               p->segment.path);
    int code = master_run(&options);
    notify_close(&notify);
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
    const struct seat *seat = p->plan.seats; /* the first of its kind */
    while (seat->crew != kind)
        seat++;
    if (open_figures(p, NULL, err) == -1) {
        complain(err);
        return EXIT_FAILED;
    }
    block_signals();
    log_set_process(seat->name);
    ledger_assign(p->ledger, 1, seat->name, seat->topic, seat->number);
    ledger_start(p->ledger, 1);
    ledger_started(p->ledger, 1, getpid());
    int code = run_seat(p, seat, 1, 0);
    (void)ledger_reap(p->ledger, 1, LEDGER_ASKED, SLOT_FREE);
    if (snapshot_take(p->reader, &snapshot, err) == 0)
        totals_log(&snapshot, LOG_LEVEL_DEBUG);
    snapshot_free(&snapshot);
    return code == WORKER_EXIT_DONE ? EXIT_GOOD : EXIT_FAILED;
}

/* What only answers a question can be ended at any time. */
static void
let_end(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
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

/* Returns: an exit code. With --single nothing is forked: the worker itself will say what its
 * libraries refuse. */
static int
prepare(struct persister *p, bool single, struct lock *lock, struct errbuf *err)
{
    program_allow_dumps(p->cfg->persister.core_dumps);
    int opened = log_share(err) == -1 ? -1 : main_reload_log(p->cfg, p->log_file, err);
    log_notices();
    int code = opened == -1                            ? EXIT_CONFIGURATION
               : !single                               ? check_configuration(p->cfg, err)
               : main_check_drivers(p->cfg, err) == -1 ? EXIT_CONFIGURATION
                                                       : EXIT_GOOD;
    if (code == EXIT_GOOD && (main_plan_make(&p->plan, p->cfg, NULL, err) == -1 ||
                              lock_acquire(p->cfg->persister.run_directory,
                                           p->cfg->persister.instance, lock, err) == -1))
        code = EXIT_FAILED;
    return code;
}

/* Everything that may refuse the start comes before the first worker. Frees the configuration. */
static int
run(struct config *cfg, const struct arguments *args)
{
    struct errbuf err = {.text = ""};
    struct persister p = {.cfg = cfg,
                          .sources = args->sources,
                          .n_sources = args->n_sources,
                          .log_file = args->default_log_file,
                          .segment = {.fd = -1}};
    struct lock lock;
    bool single = args->single != NULL;
    enum topic_kind kind = single ? find_topic(cfg, args->single) : TOPIC_KINDS;
    if (single && kind == TOPIC_KINDS) {
        let_end();
        int code = usage_single(cfg, args->single);
        cfg_free(&cfg);
        return code;
    }
    int code = prepare(&p, single, &lock, &err);
    if (code == EXIT_GOOD) {
        code = single ? run_single(&p, kind, &err) : run_master(&p, &lock, args->pid_file, &err);
        close_figures(&p);
        lock_release(&lock);
    } else {
        complain(&err);
    }
    main_plan_free(&p.plan);
    cfg_free(&p.cfg);
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
reload(const struct config *cfg)
{
    struct errbuf err;
    buf_clear(&notices); /* the instance logs them */
    if (main_ask_reload(cfg, RELOAD_MS, &err) == -1) {
        fprintf(stderr, "%s: not reloaded, everything goes on as it was: %s\n", program, err.text);
        return EXIT_FAILED;
    }
    printf("%s: instance '%s' has taken it over\n", cfg->file, cfg->persister.instance);
    return EXIT_GOOD;
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
    struct config *cfg = cfg_load_sources(args->sources, args->n_sources, keep_notice, &err);
    int code = EXIT_CONFIGURATION;
    if (cfg == NULL) {
        log_notices();
        complain(&err);
    } else if (args->action == ACTION_CHECK) {
        code = check(cfg);
    } else if (args->action == ACTION_RELOAD) {
        code = reload(cfg);
    } else if (args->action == ACTION_DUMP) {
        code = dump(cfg);
    } else {
        code = run(cfg, args);
        cfg = NULL;
    }
    cfg_free(&cfg);
    return code;
}

/*
 * USR1 and HUP must not kill us while we start, and TERM and INT must not be lost, as they would be
 * by process 1 of a container, which the kernel spares what it has no handler for; the master's
 * loop takes them when it is there.
 */
static void
hold_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
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

/* Returns: an exit code. */
static int
do_as_told(const struct arguments *args)
{
    switch (args->action) {
    case ACTION_HELP:
        main_options_help();
        return EXIT_GOOD;
    case ACTION_VERSION:
        printf("%s\n", PACKAGE_STRING);
        return EXIT_GOOD;
    case ACTION_SAMPLE:
        cfg_sample(stdout);
        return EXIT_GOOD;
    case ACTION_MAN:
        return print_man(args->list);
    default:
        return run_with_configuration(args);
    }
}

int
main(int argc, char **argv)
{
    struct arguments args;
    if (program_begin() == -1)
        return EXIT_FAILED;
    if (main_admin_is_meant(argc, argv))
        return main_admin_serve(argc, argv);
    program_allow_dumps(false); /* the configuration has passwords, and so have all processes */
    hold_signals();
    log_set_process("master");
    buf_init(&notices, NOTICES_BYTES);
    int code = EXIT_USAGE;
    if (main_options_parse(&args, argc, argv, keep_notice) == 0) {
        if (args.action != ACTION_RUN)
            let_end();
        title_init(argc, argv);
        code = flush_output(do_as_told(&args));
    }
    buf_free(&notices);
    main_options_free(&args);
    return code;
}
