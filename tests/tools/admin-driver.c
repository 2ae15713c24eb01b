/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin-driver.c - runs the admin port as the master would, without Kafka, for tests.
 *
 *   admin-driver attach SEGMENT [PORT]              serves a segment that another program made
 *   admin-driver play DIRECTORY TOPIC:WORKERS...    makes a segment of its own in DIRECTORY and
 *                                                   plays master and workers as standard input says
 *   admin-driver demo DIRECTORY TOPIC:WORKERS...    the same, but invents a load, with periods of
 *                                                   PERIOD_MS (environment, default 1000)
 *
 * It prints "port N" and "admin PID", and ends when its standard input does. Commands of play, each
 * answered by "ok":
 *
 *   take P N              P has received N messages (they are in hand)
 *   store P N MICROS      stored N of these by one call to the store that took so long, request and
 *                         delay the same
 *   reject P N            rejected N of them, not_json
 *   set P FIGURE N|-      a level; -: unknown
 *   state P STATE         idle, consuming, writing, retrying, draining
 *   wait P WHOSE TEXT...  waits for that reason; "wait P": not any more
 *   die P dead|backoff    has died unasked
 *   start P               is started again
 *   close                 the period ends
 *   admin                 forks a new admin process, should the first be gone; prints as above
 *
 * Process: plays master and workers in one; the admin port is a child.  Owner: main.
 * Concurrency: one thread in each.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/admin.h"
#include "lib/clock.h"
#include "lib/num.h"
#include "master/spawn.h"
#include "shm/ledger.h"
#include "shm/segment.h"

enum { MAX_WORKERS = 64, LINE_BYTES = 1024 };

struct actor {
    char name[SHM_PROCESS_BYTES];
    struct recorder *recorder; /* NULL: dead */
    uint64_t in_flight;
};

struct theatre {
    char segment_path[600];
    unsigned port;
    pid_t admin;
    struct segment segment;
    struct ledger *ledger;
    struct actor actors[MAX_WORKERS];
    unsigned n;
};

static struct theatre theatre = {.segment.fd = -1};

static _Noreturn void
die(const char *what)
{
    fprintf(stderr, "admin-driver: %s\n", what);
    exit(1);
}

static int64_t
number(const char *text)
{
    int64_t n;
    if (text == NULL || num_parse_int(text, 0, INT64_MAX, &n) == -1)
        die("not a number");
    return n;
}

/* --- the admin process --- */

static int
run_admin(void *arg)
{
    segment_close(&theatre.segment); /* the writable mapping, and the descriptor */
    struct admin_options options = {
        .segment = theatre.segment_path,
        .bind = "127.0.0.1",
        .allowed_hosts = getenv("ALLOWED_HOSTS") != NULL ? getenv("ALLOWED_HOSTS") : "",
        .port = theatre.port,
        .config_text = "[influxdb]\npassword = ****\n",
        .names.kinds = {{"metrics", "influxdb"}, {"alarm-state-transitions", "influxdb"}},
        .stall_ms = getenv("STALL_MS") != NULL ? number(getenv("STALL_MS")) : 0,
        .report_fd = *(int *)arg};
    return admin_run(&options);
}

static void
start_admin(void)
{
    int pipes[2];
    char text[16] = "";
    struct errbuf err;
    if (pipe(pipes) == -1)
        die("no pipe");
    struct spawn_child child = {
        .name = "admin", .fds = &pipes[0], .n_fds = 1, .run = run_admin, .arg = &pipes[1]};
    theatre.admin = spawn_fork(&child, &err);
    close(pipes[1]);
    if (theatre.admin == -1 || read(pipes[0], text, sizeof(text) - 1) <= 0)
        die("the admin process does not start");
    close(pipes[0]);
    text[strcspn(text, "\n")] = '\0';
    theatre.port = (unsigned)number(text);
    printf("port %s\nadmin %d\n", text, (int)theatre.admin);
    fflush(stdout);
}

static int
stop_admin(void)
{
    int status;
    kill(theatre.admin, SIGTERM);
    if (waitpid(theatre.admin, &status, 0) != theatre.admin || !WIFEXITED(status))
        return 1;
    return WEXITSTATUS(status);
}

/* --- the stage --- */

static void
start_actor(unsigned i)
{
    ledger_start(theatre.ledger, i + 1);
    ledger_started(theatre.ledger, i + 1, 100000 + (int32_t)i);
    theatre.actors[i].recorder = recorder_new(&theatre.segment, i + 1);
    theatre.actors[i].in_flight = 0;
    if (theatre.actors[i].recorder == NULL)
        die("out of memory");
    recorder_set_state(theatre.actors[i].recorder, SLOT_CONSUMING);
    recorder_beat(theatre.actors[i].recorder);
}

/* Takes: "metrics:2". */
static void
hire(char *spec)
{
    char *colon = strrchr(spec, ':');
    if (colon == NULL)
        die("TOPIC:WORKERS");
    *colon = '\0';
    for (unsigned k = 0; k < (unsigned)number(colon + 1) && theatre.n < MAX_WORKERS; k++) {
        struct actor *a = &theatre.actors[theatre.n++];
        snprintf(a->name, sizeof(a->name), "%s-%u", spec, k);
        ledger_assign(theatre.ledger, theatre.n, a->name, spec, k);
    }
}

static void
set_stage(const char *directory, int n, char **specs, int64_t period_ms)
{
    struct errbuf err;
    if (segment_create(&theatre.segment, directory, "test", MAX_WORKERS, period_ms, &err) == -1)
        die(err.text);
    snprintf(theatre.segment_path, sizeof(theatre.segment_path), "%s", theatre.segment.path);
    theatre.ledger = ledger_new(&theatre.segment);
    if (theatre.ledger == NULL)
        die("out of memory");
    for (int i = 0; i < n; i++)
        hire(specs[i]);
    for (unsigned i = 0; i < theatre.n; i++)
        start_actor(i);
    recorder_set(ledger_recorder(theatre.ledger), STAT_WORKERS_RUNNING, theatre.n);
    recorder_set(ledger_recorder(theatre.ledger), STAT_WORKERS_WANTED, theatre.n);
    ledger_set_master(theatre.ledger, MASTER_RUNNING);
    ledger_turn(theatre.ledger);
}

static unsigned
find_actor(const char *name)
{
    for (unsigned i = 0; name != NULL && i < theatre.n; i++)
        if (strcmp(theatre.actors[i].name, name) == 0)
            return i;
    die("no such process");
}

/* --- what actors do --- */

static void
take(struct actor *a, uint64_t n)
{
    a->in_flight += n;
    recorder_add(a->recorder, STAT_RECEIVED, n);
    recorder_set(a->recorder, STAT_IN_FLIGHT, a->in_flight);
    recorder_publish(a->recorder);
}

static void
store(struct actor *a, uint64_t n, int64_t micros)
{
    a->in_flight -= n;
    recorder_add(a->recorder, STAT_COMPLETED, n);
    recorder_add(a->recorder, STAT_BATCHES, 1);
    recorder_set(a->recorder, STAT_IN_FLIGHT, a->in_flight);
    recorder_time(a->recorder, STAT_WRITE, micros * 1000, 1);
    recorder_time(a->recorder, STAT_REQUEST, micros * 1000, n);
    recorder_time(a->recorder, STAT_DELAY, micros * 1000, n);
    recorder_publish(a->recorder);
}

static void
reject(struct actor *a, uint64_t n)
{
    a->in_flight -= n;
    recorder_add(a->recorder, STAT_REJECTED, n);
    recorder_add(a->recorder, STAT_REJECTED_NOT_JSON, n);
    recorder_set(a->recorder, STAT_IN_FLIGHT, a->in_flight);
    recorder_publish(a->recorder);
}

static void
set_level(struct actor *a, const char *figure, const char *level)
{
    for (unsigned v = 0; v < STAT_VALUES; v++) {
        if (strcmp(stat_values[v].name, figure) != 0)
            continue;
        recorder_set(a->recorder, v,
                     strcmp(level, "-") == 0 ? STAT_UNKNOWN : (uint64_t)number(level));
        recorder_publish(a->recorder);
        return;
    }
    die("no such figure");
}

static void
set_state(struct actor *a, const char *name)
{
    for (enum slot_state s = 0; s < SLOT_STATES; s++)
        if (strcmp(slot_state_name(s), name) == 0) {
            recorder_set_state(a->recorder, s);
            return;
        }
    die("no such state");
}

static void
let_die(unsigned i, const char *how)
{
    ledger_reap(theatre.ledger, i + 1, LEDGER_EXIT,
                strcmp(how, "backoff") == 0 ? SLOT_BACKOFF : SLOT_DEAD);
    recorder_free(&theatre.actors[i].recorder);
}

/* --- play --- */

static void
act(char *line)
{
    char *verb = strsep(&line, " ");
    if (strcmp(verb, "close") == 0) {
        ledger_close_period(theatre.ledger, clock_mono_ms());
        return;
    }
    if (strcmp(verb, "admin") == 0) {
        waitpid(theatre.admin, NULL, 0);
        start_admin();
        return;
    }
    unsigned i = find_actor(strsep(&line, " "));
    struct actor *a = &theatre.actors[i];
    char *first = line != NULL ? strsep(&line, " ") : NULL;
    if (strcmp(verb, "take") == 0)
        take(a, (uint64_t)number(first));
    else if (strcmp(verb, "store") == 0)
        store(a, (uint64_t)number(first), number(line));
    else if (strcmp(verb, "reject") == 0)
        reject(a, (uint64_t)number(first));
    else if (strcmp(verb, "set") == 0)
        set_level(a, first, line);
    else if (strcmp(verb, "state") == 0)
        set_state(a, first);
    else if (strcmp(verb, "wait") == 0) {
        recorder_set_wait(a->recorder, first, line);
        recorder_publish(a->recorder);
    } else if (strcmp(verb, "die") == 0)
        let_die(i, first);
    else if (strcmp(verb, "start") == 0)
        start_actor(i);
    else
        die("no such command");
}

static void
turn(void)
{
    for (unsigned i = 0; i < theatre.n; i++)
        if (theatre.actors[i].recorder != NULL)
            recorder_beat(theatre.actors[i].recorder);
    ledger_turn(theatre.ledger);
}

static void
play(void)
{
    char line[LINE_BYTES];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        act(line);
        turn();
        puts("ok");
        fflush(stdout);
    }
}

/* --- demo --- */

/* A load that goes up and down, with a few slow calls. */
static void
invent(struct actor *a, unsigned i, int64_t ms)
{
    uint64_t wave = (uint64_t)(ms / 1000 % 40);
    uint64_t n = 20 + (wave < 20 ? wave : 40 - wave) * (4 + i) + (uint64_t)(random() % 20);
    int64_t micros = 2000 + random() % 9000 + (random() % 60 == 0 ? 150000 : 0);
    take(a, n);
    if (random() % 9 == 0) {
        reject(a, 2);
        n -= 2;
    }
    store(a, n, micros);
    recorder_time(a->recorder, STAT_DECODE, 40000 + random() % 20000, 1);
    recorder_set(a->recorder, STAT_LAG, wave * 150 + (uint64_t)(random() % 300));
    recorder_set(a->recorder, STAT_LAG_SECONDS, wave / 8);
    recorder_set(a->recorder, STAT_PARTITIONS, 4);
    recorder_set(a->recorder, STAT_MEMORY_BYTES, 40000000 + i * 1000000);
    recorder_set_state(a->recorder, SLOT_CONSUMING);
    recorder_publish(a->recorder);
}

static void
demo(int64_t period_ms)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    int64_t next_ms = clock_mono_ms() + period_ms;
    unsigned last = theatre.n - 1;
    recorder_set_state(theatre.actors[last].recorder, SLOT_RETRYING);
    recorder_set_wait(theatre.actors[last].recorder, "influxdb",
                      "connect to 127.0.0.1 port 8086: "
                      "Connection refused");
    recorder_set(theatre.actors[last].recorder, STAT_LAG, 1200);
    recorder_set(theatre.actors[last].recorder, STAT_LAG_SECONDS, 35);
    recorder_set(theatre.actors[last].recorder, STAT_PARTITIONS, 2);
    recorder_set(theatre.actors[last].recorder, STAT_BATCH_SIZE, 400);
    take(&theatre.actors[last], 400);
    while (poll(&in, 1, (int)(period_ms / 10)) == 0) {
        int64_t now_ms = clock_mono_ms();
        for (unsigned i = 0; i < last; i++)
            invent(&theatre.actors[i], i, now_ms * 1000 / period_ms);
        turn();
        if (now_ms < next_ms)
            continue;
        ledger_close_period(theatre.ledger, now_ms);
        next_ms += period_ms;
    }
}

/* --- */

static int
end(void)
{
    for (unsigned i = 0; i < theatre.n; i++)
        recorder_free(&theatre.actors[i].recorder);
    ledger_free(&theatre.ledger);
    segment_close(&theatre.segment);
    return stop_admin();
}

int
main(int argc, char **argv)
{
    int64_t period_ms = getenv("PERIOD_MS") != NULL ? number(getenv("PERIOD_MS")) : 1000;
    char c;
    if (argc < 3)
        die("attach SEGMENT [PORT] | play DIRECTORY TOPIC:N... | demo DIRECTORY TOPIC:N...");
    if (strcmp(argv[1], "attach") == 0) {
        snprintf(theatre.segment_path, sizeof(theatre.segment_path), "%s", argv[2]);
        theatre.port = argc > 3 ? (unsigned)number(argv[3]) : 0;
        start_admin();
        while (read(STDIN_FILENO, &c, 1) > 0)
            ;
        return stop_admin();
    }
    set_stage(argv[2], argc - 3, &argv[3], period_ms);
    start_admin();
    if (strcmp(argv[1], "play") == 0)
        play();
    else
        demo(period_ms);
    return end();
}
