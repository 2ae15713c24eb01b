/* SPDX-License-Identifier: Apache-2.0 */
/*
 * figures-driver.c - a segment with known figures and real processes, without Kafka: for tests of
 * pstats and the admin port, and to look at the live view.  Reads commands from stdin, a line each,
 * and answers each with a line on stdout: "ok", "ok VALUE" or "error TEXT".
 *
 *   figures-driver DIRECTORY INSTANCE WORKERS [PERIOD_MS]
 *
 * WORKERS slots are assigned to metrics-0, metrics-1, ..., the last to alarm-state-transitions-0
 * (if there are two or more), and one more to the helper retention.
 *
 *   start SLOT                forks the worker                                  -> ok PID
 *   kill SLOT                 KILLs it, reaps it and folds it                   -> ok GIVEN_BACK
 *   receive SLOT N            N messages more in hand
 *   complete SLOT N NS        N of those are stored, each NS ns after its poll, 2 NS after its
 *                             creation_time, by one write of NS / 2
 *   reject SLOT N             N of those are dead letters
 *   return SLOT N             N of those are given back
 *   set SLOT NAME VALUE       a gauge by its name; VALUE "unknown" is none
 *   state SLOT NAME           what it is doing
 *   wait SLOT WHOSE TEXT      why it waits, TEXT to the end of the line
 *   go SLOT                   it waits no more
 *   close                     closes a period                                   -> ok
 *   play                      from now on lets all workers that run record what varies, 20 times a
 *                             second, and closes periods by itself
 *   stop                      says that the master has stopped, and ends
 *   die                       ends by KILL, as a master that the kernel killed
 *
 * End of input: ends as after stop.  Each chunk is published before the answer comes.
 *
 * Process: a tool of the tests.  Owner: itself.  Concurrency: a child for each worker; commands go
 * to them through pipes.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/num.h"
#include "shm/ledger.h"

enum { WORKERS_MAX = 256, WORDS_MAX = 4, LINE_BYTES = 512, TICK_MS = 50 };

enum verb {
    VERB_RECEIVE,
    VERB_COMPLETE,
    VERB_REJECT,
    VERB_RETURN,
    VERB_SET,
    VERB_STATE,
    VERB_WAIT,
    VERB_GO,
    VERB_PLAY
};

/* What a child is told; smaller than PIPE_BUF, so it comes whole. */
struct order {
    enum verb verb;
    unsigned which; /* a value's number, or a state */
    uint64_t n, ns;
    char whose[32], text[192];
};

struct child {
    pid_t pid; /* 0: none */
    int to, from;
};

struct driver {
    struct segment segment;
    struct ledger *ledger;
    unsigned n_workers;
    int64_t period_ms, period_ends_ms;
    bool plays, ends;
    struct child children[WORKERS_MAX + 1]; /* by slot */
};

/* --- in the child --- */

static uint64_t
random_below(uint64_t *seed, uint64_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*seed >> 33) % below;
}

static void
complete(struct recorder *r, uint64_t n, uint64_t ns)
{
    recorder_add(r, STAT_COMPLETED, n);
    recorder_add(r, STAT_BATCHES, 1);
    recorder_time(r, STAT_REQUEST, (int64_t)ns, n);
    recorder_time(r, STAT_DELAY, (int64_t)ns * 2, n);
    recorder_time(r, STAT_WRITE, (int64_t)ns / 2, 1);
}

static void
set_in_hand(struct recorder *r, uint64_t *in_hand, int64_t change)
{
    *in_hand += (uint64_t)change;
    recorder_set(r, STAT_IN_FLIGHT, *in_hand);
}

static void
receive(struct recorder *r, uint64_t *in_hand, uint64_t n)
{
    recorder_add(r, STAT_RECEIVED, n);
    recorder_add(r, STAT_BYTES_IN, n * 310);
    recorder_time(r, STAT_DECODE, (int64_t)n * 320, 1);
    set_in_hand(r, in_hand, (int64_t)n);
}

/* A twentieth of a second of a worker that has something to do. */
static void
play(struct recorder *r, uint64_t *in_hand, uint64_t *seed)
{
    uint64_t n = 20 + random_below(seed, 400);
    receive(r, in_hand, n);
    recorder_set(r, STAT_PARTITIONS, 4);
    recorder_set(r, STAT_LAG, random_below(seed, 3000));
    recorder_set(r, STAT_LAG_SECONDS, random_below(seed, 3));
    recorder_set(r, STAT_MEMORY_BYTES, 30000000 + random_below(seed, 1000000));
    recorder_set(r, STAT_BATCH_SIZE, *in_hand);
    if (*in_hand < 2000)
        return;
    if (random_below(seed, 8) == 0) {
        recorder_add(r, STAT_REJECTED, 1);
        set_in_hand(r, in_hand, -1);
    }
    n = *in_hand - random_below(seed, 100);
    complete(r, n, 2000000 + random_below(seed, 40) * random_below(seed, 40) * 100000);
    set_in_hand(r, in_hand, -(int64_t)n);
    recorder_time(r, STAT_COMMIT, 3000000, 1);
    recorder_add(r, STAT_COMMITS, 1);
}

static void
obey(struct recorder *r, const struct order *o, uint64_t *in_hand, uint64_t *seed)
{
    switch (o->verb) {
    case VERB_RECEIVE:
        receive(r, in_hand, o->n);
        break;
    case VERB_COMPLETE:
        complete(r, o->n, o->ns);
        set_in_hand(r, in_hand, -(int64_t)o->n);
        break;
    case VERB_REJECT:
        recorder_add(r, STAT_REJECTED, o->n);
        set_in_hand(r, in_hand, -(int64_t)o->n);
        break;
    case VERB_RETURN:
        recorder_add(r, STAT_RETURNED, o->n);
        recorder_add(r, STAT_RETURNED_REVOKED, o->n);
        set_in_hand(r, in_hand, -(int64_t)o->n);
        break;
    case VERB_SET:
        recorder_set(r, (enum stat_value)o->which, o->n);
        break;
    case VERB_STATE:
        recorder_set_state(r, (enum slot_state)o->which);
        break;
    case VERB_WAIT:
        recorder_set_wait(r, o->whose, o->text);
        break;
    case VERB_GO:
        recorder_set_wait(r, NULL, NULL);
        break;
    case VERB_PLAY:
        play(r, in_hand, seed);
        break;
    }
    recorder_publish(r);
    recorder_beat(r);
}

static void
live(struct driver *d, unsigned slot, int from, int to)
{
    struct recorder *r = recorder_new(&d->segment, slot);
    struct order order;
    uint64_t in_hand = 0, seed = slot;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (r == NULL)
        _exit(1);
    recorder_set_state(r, SLOT_CONSUMING);
    while (read(from, &order, sizeof(order)) == sizeof(order)) {
        obey(r, &order, &in_hand, &seed);
        if (write(to, "", 1) != 1)
            break;
    }
    _exit(0);
}

/* --- in the master --- */

static void
answer(const char *text)
{
    printf("%s\n", text);
    fflush(stdout);
}

static void
start(struct driver *d, unsigned slot)
{
    struct child *c = &d->children[slot];
    int to[2], from[2];
    if (c->pid != 0 || pipe(to) == -1 || pipe(from) == -1) {
        answer("error cannot start it");
        return;
    }
    ledger_start(d->ledger, slot);
    c->pid = fork();
    if (c->pid == 0) {
        close(to[1]);
        close(from[0]);
        close(d->segment.fd);
        for (unsigned i = 1; i <= d->n_workers + 1; i++)
            if (i != slot && d->children[i].pid != 0)
                close(d->children[i].to), close(d->children[i].from);
        live(d, slot, to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    c->to = to[1];
    c->from = from[0];
    ledger_started(d->ledger, slot, c->pid);
    printf("ok %d\n", (int)c->pid);
    fflush(stdout);
}

static void
kill_child(struct driver *d, unsigned slot)
{
    struct child *c = &d->children[slot];
    int status;
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) == -1 && errno == EINTR)
        continue;
    close(c->to);
    close(c->from);
    *c = (struct child){0};
    printf("ok %lld\n", (long long)ledger_reap(d->ledger, slot, LEDGER_SIGNAL, SLOT_DEAD));
    fflush(stdout);
}

static bool
give_order(struct child *c, const struct order *order)
{
    char done;
    return c->pid != 0 && write(c->to, order, sizeof(*order)) == sizeof(*order) &&
           read(c->from, &done, 1) == 1;
}

static void
close_period(struct driver *d)
{
    unsigned running = 0;
    for (unsigned i = 1; i <= d->n_workers + 1; i++)
        running += d->children[i].pid != 0;
    recorder_set(ledger_recorder(d->ledger), STAT_WORKERS_RUNNING, running);
    recorder_set(ledger_recorder(d->ledger), STAT_WORKERS_WANTED, d->n_workers);
    ledger_turn(d->ledger);
    ledger_close_period(d->ledger, clock_mono_ms());
    d->period_ends_ms = clock_mono_ms() + d->period_ms;
}

static void
play_turn(struct driver *d)
{
    const struct order order = {.verb = VERB_PLAY};
    for (unsigned i = 1; i <= d->n_workers; i++)
        (void)give_order(&d->children[i], &order);
    ledger_turn(d->ledger);
    if (clock_mono_ms() >= d->period_ends_ms)
        close_period(d);
}

/* --- commands --- */

static uint64_t
number(const char *text)
{
    int64_t n;
    if (text == NULL || num_parse_int(text, 0, INT64_MAX, &n) == -1)
        return STAT_UNKNOWN;
    return (uint64_t)n;
}

static bool
find_value(const char *name, unsigned *which)
{
    for (*which = 0; *which < STAT_VALUES; ++*which)
        if (strcmp(stat_values[*which].name, name) == 0)
            return true;
    return false;
}

static bool
find_state(const char *name, unsigned *which)
{
    for (*which = 0; *which < SLOT_STATES; ++*which)
        if (strcmp(slot_state_name((enum slot_state) * which), name) == 0)
            return true;
    return false;
}

/* Takes: verb, slot, and up to two words more, the last with the rest of the line; "" if absent. */
static bool
make_order(struct order *o, char **words)
{
    static const char *const verbs[] = {"receive", "complete", "reject", "return",
                                        "set",     "state",    "wait",   "go"};
    *o = (struct order){.n = number(words[2]), .ns = number(words[3])};
    while (o->verb < COUNT_OF(verbs) && strcmp(words[0], verbs[o->verb]) != 0)
        o->verb++;
    if (o->verb == VERB_SET)
        o->n = o->ns;
    snprintf(o->whose, sizeof(o->whose), "%s", words[2]);
    snprintf(o->text, sizeof(o->text), "%s", words[3]);
    switch (o->verb) {
    case VERB_RECEIVE:
    case VERB_REJECT:
    case VERB_RETURN:
        return o->n != STAT_UNKNOWN;
    case VERB_COMPLETE:
        return o->n != STAT_UNKNOWN && o->ns != STAT_UNKNOWN;
    case VERB_SET:
        return find_value(words[2], &o->which);
    case VERB_STATE:
        return find_state(words[2], &o->which);
    default:
        return o->verb < COUNT_OF(verbs);
    }
}

static void
do_slot_command(struct driver *d, char **words)
{
    uint64_t slot = number(words[1]);
    struct order order;
    if (slot < 1 || slot > d->n_workers + 1)
        answer("error no such command or slot");
    else if (strcmp(words[0], "start") == 0)
        start(d, (unsigned)slot);
    else if (d->children[slot].pid == 0)
        answer("error nobody runs there");
    else if (strcmp(words[0], "kill") == 0)
        kill_child(d, (unsigned)slot);
    else if (!make_order(&order, words))
        answer("error not understood");
    else
        answer(give_order(&d->children[slot], &order) ? "ok" : "error it did not answer");
}

static void
do_command(struct driver *d, char **words)
{
    if (strcmp(words[0], "close") == 0) {
        close_period(d);
        answer("ok");
    } else if (strcmp(words[0], "play") == 0) {
        d->plays = true;
        answer("ok");
    } else if (strcmp(words[0], "stop") == 0) {
        d->ends = true;
    } else if (strcmp(words[0], "die") == 0) {
        kill(getpid(), SIGKILL);
    } else {
        do_slot_command(d, words);
    }
}

/* Cuts a line into its first three words and the rest. */
static void
do_line(struct driver *d, char *line)
{
    static char none[] = "";
    char *words[WORDS_MAX] = {none, none, none, none};
    for (unsigned i = 0; i < WORDS_MAX && *line != '\0'; i++) {
        words[i] = line;
        line += i + 1 < WORDS_MAX ? strcspn(line, " ") : strlen(line);
        if (*line == ' ')
            *line++ = '\0';
    }
    do_command(d, words);
}

/* Reads what there is and does every whole line of it. */
static void
read_commands(struct driver *d)
{
    static char line[LINE_BYTES];
    static size_t size;
    char *end;
    ssize_t n = read(STDIN_FILENO, line + size, sizeof(line) - size);
    if (n <= 0) {
        d->ends = true;
        return;
    }
    size += (size_t)n;
    while (!d->ends && (end = memchr(line, '\n', size)) != NULL) {
        *end = '\0';
        size_t used = (size_t)(end + 1 - line);
        do_line(d, line);
        ledger_turn(d->ledger);
        memmove(line, line + used, size - used);
        size -= used;
    }
    if (size == sizeof(line))
        d->ends = true; /* no line is that long */
}

static void
run(struct driver *d)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    while (!d->ends) {
        int ready = poll(&in, 1, d->plays ? TICK_MS : 1000);
        if (ready > 0)
            read_commands(d);
        else if (d->plays)
            play_turn(d);
        else
            ledger_turn(d->ledger);
    }
    for (unsigned i = 1; i <= d->n_workers + 1; i++)
        if (d->children[i].pid != 0)
            kill_child(d, i);
    ledger_set_master(d->ledger, MASTER_STOPPED);
    ledger_turn(d->ledger);
}

static void
assign(struct driver *d)
{
    char name[SHM_PROCESS_BYTES];
    for (unsigned i = 1; i <= d->n_workers; i++) {
        bool alarms = i == d->n_workers && i > 1;
        const char *topic = alarms ? "alarm-state-transitions" : "metrics";
        snprintf(name, sizeof(name), "%s-%u", topic, alarms ? 0 : i - 1);
        ledger_assign(d->ledger, i, name, topic, alarms ? 0 : i - 1);
    }
    ledger_assign(d->ledger, d->n_workers + 1, "retention", "", 0);
}

int
main(int argc, char **argv)
{
    static struct driver d;
    struct errbuf err;
    int64_t workers = 0;
    d.period_ms = 1000;
    if (argc < 4 || argc > 5 || num_parse_int(argv[3], 1, WORKERS_MAX - 1, &workers) == -1 ||
        (argc == 5 && num_parse_int(argv[4], 1, 3600000, &d.period_ms) == -1)) {
        fprintf(stderr, "usage: figures-driver DIRECTORY INSTANCE WORKERS [PERIOD_MS]\n");
        return 2;
    }
    d.n_workers = (unsigned)workers;
    if (segment_create(&d.segment, argv[1], argv[2], d.n_workers + 1, d.period_ms, &err) == -1 ||
        (d.ledger = ledger_new(&d.segment)) == NULL) {
        fprintf(stderr, "figures-driver: %s\n", err.text);
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    assign(&d);
    ledger_set_master(d.ledger, MASTER_RUNNING);
    ledger_turn(d.ledger);
    d.period_ends_ms = clock_mono_ms() + d.period_ms;
    answer("ok");
    run(&d);
    ledger_free(&d.ledger);
    segment_close(&d.segment);
    return 0;
}
