/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm-torture.c - the segment under fire: processes record known values, readers snapshot without
 * pause, a killer kills, stops and continues recorders at random, and a master with a real ledger
 * reaps, folds, starts anew, hands slots over and closes periods every few ms.
 *
 *   shm-torture [--seconds N] [--recorders N] [--readers N] [--kills N] [--period MS] [--seed N]
 *
 * Checked, by the readers in every snapshot and by the master at every death and close: what
 * shm-model.h, shm-play.c and shm-audit.c say.  Exit code 0: nothing was wrong.
 *
 * Process: tests.  Owner: itself.  Concurrency: the main thread is the master; a thread kills;
 * recorders and readers are processes. All are asked to end, and die with the main process.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/num.h"
#include "tests/shm/shm-audit.h"

enum {
    TURN_US = 500,
    REST_US = 300,       /* of every second recorder; the others never rest */
    STOPPED_MS_MAX = 20, /* so that some are stopped over several periods */
    HAND_OVER_EVERY = 20 /* deaths */
};

struct options {
    int64_t seconds, recorders, readers, kills_per_second, period_ms, seed;
};

struct torture {
    struct options options;
    char directory[64];
    struct segment segment;
    struct play *play;
    struct audit audit;
    uint64_t rng;
    pid_t pids[MODEL_SLOTS], readers[PLAY_READERS_MAX];
    _Atomic int pidfds[MODEL_SLOTS]; /* for the killer, who must not hit a pid used again */
    _Atomic bool stop_killer;
    _Atomic uint64_t kills, stops;
};

/* --- children --- */

static void
begin_child(struct torture *t, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    if (nice(15) == -1)
        perror("nice");
    close(t->segment.fd);
}

static void
run_recorder(struct torture *t, unsigned slot)
{
    struct recorder *recorder = recorder_new(&t->segment, slot);
    if (recorder == NULL)
        _exit(1);
    play_recorder(t->play, slot, recorder, slot % 2 == 0 ? REST_US : 0, 0);
    _exit(0);
}

static void
run_reader(struct torture *t, unsigned number)
{
    struct shm_reader *reader;
    struct errbuf err;
    const struct shm_trust ourselves = {.n = 0};
    if (shm_reader_open(t->segment.path, &ourselves, &reader, &err) != SHM_OPENED) {
        fprintf(stderr, "reader %u: %s\n", number, err.text);
        _exit(1);
    }
    play_reader(t->play, number, reader);
    if (!shm_reader_master_lives(reader)) {
        fprintf(stderr, "reader %u: the master is taken for dead\n", number);
        _exit(1);
    }
    shm_reader_close(&reader);
    _exit(0);
}

static void
start_recorder(struct torture *t, unsigned slot)
{
    pid_t parent = getpid();
    audit_start(&t->audit, slot);
    t->pids[slot] = fork();
    if (t->pids[slot] == 0) {
        begin_child(t, parent);
        run_recorder(t, slot);
    }
    if (t->pids[slot] == -1) {
        perror("fork");
        exit(2);
    }
    ledger_started(t->audit.ledger, slot, t->pids[slot]);
    atomic_store(&t->pidfds[slot], (int)syscall(SYS_pidfd_open, t->pids[slot], 0));
}

static void
start_readers(struct torture *t)
{
    pid_t parent = getpid();
    for (unsigned i = 0; i < t->options.readers; i++) {
        t->readers[i] = fork();
        if (t->readers[i] == 0) {
            begin_child(t, parent);
            run_reader(t, i);
        }
    }
}

/* --- the killer --- */

static int
send_signal(struct torture *t, unsigned slot, int signal)
{
    int pidfd = atomic_load(&t->pidfds[slot]);
    return pidfd == -1 ? -1 : (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

static void *
run_killer(void *arg)
{
    struct torture *t = arg;
    uint64_t rng = t->play->seed ^ 1;
    int64_t continue_ms[MODEL_SLOTS] = {0};
    unsigned n = t->play->n_slots;
    while (!atomic_load(&t->stop_killer)) {
        unsigned slot = 1 + (unsigned)(model_random(&rng) % n);
        int64_t now = clock_mono_ms();
        usleep(
            (useconds_t)(model_random(&rng) % (2000000 / (uint64_t)t->options.kills_per_second)));
        if (model_random(&rng) % 3 > 0) {
            t->kills += send_signal(t, slot, SIGKILL) == 0;
        } else if (continue_ms[slot] == 0 && send_signal(t, slot, SIGSTOP) == 0) {
            t->stops++;
            continue_ms[slot] = now + 1 + (int64_t)(model_random(&rng) % STOPPED_MS_MAX);
        }
        for (unsigned i = 1; i <= n; i++) {
            if (continue_ms[i] == 0 || continue_ms[i] > now)
                continue;
            send_signal(t, i, SIGCONT);
            continue_ms[i] = 0;
        }
    }
    for (unsigned i = 1; i <= n; i++)
        send_signal(t, i, SIGCONT);
    return NULL;
}

/* --- the master --- */

static unsigned
slot_of(const struct torture *t, pid_t pid)
{
    for (unsigned i = 1; i <= t->play->n_slots; i++)
        if (t->pids[i] == pid)
            return i;
    return 0;
}

/* Returns: how it died; counts a failure if that was not to be expected. */
static enum ledger_death
judge_death(struct torture *t, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return LEDGER_SIGNAL;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return LEDGER_ASKED;
    fprintf(stderr, "torture: a child ended with status %#x\n", (unsigned)status);
    t->audit.failures++;
    return LEDGER_EXIT;
}

/* Reaps who has died. Returns: false if nobody had. */
static bool
reap_one(struct torture *t, int flags, bool again)
{
    int status;
    pid_t pid = waitpid(-1, &status, flags);
    if (pid <= 0)
        return false;
    enum ledger_death death = judge_death(t, status);
    unsigned slot = slot_of(t, pid);
    if (slot == 0) {
        fprintf(stderr, "torture: a reader has ended\n");
        t->audit.failures++;
        return true;
    }
    int pidfd = atomic_exchange(&t->pidfds[slot], -1);
    t->pids[slot] = 0;
    audit_reap(&t->audit, slot, death);
    close(pidfd);
    if (again && model_random(&t->rng) % HAND_OVER_EVERY == 0)
        audit_hand_over(&t->audit, slot);
    if (again)
        start_recorder(t, slot);
    return true;
}

static void
run_master(struct torture *t)
{
    int64_t now = clock_mono_ms(), end = now + t->options.seconds * 1000;
    int64_t close_ms = now + t->options.period_ms;
    while ((now = clock_mono_ms()) < end) {
        while (reap_one(t, WNOHANG, true))
            ;
        ledger_turn(t->audit.ledger);
        if (now >= close_ms) {
            audit_close_period(&t->audit);
            close_ms = now + t->options.period_ms;
        }
        usleep(TURN_US);
    }
}

static bool
has_recorders(const struct torture *t)
{
    for (unsigned i = 1; i <= t->play->n_slots; i++)
        if (t->pids[i] != 0)
            return true;
    return false;
}

static void
end_all(struct torture *t)
{
    atomic_store(&t->play->stop_recorders, true);
    while (has_recorders(t))
        reap_one(t, 0, false);
    audit_finish(&t->audit);
    usleep(50000); /* for a last look */
    atomic_store(&t->play->stop_readers, true);
    for (unsigned i = 0; i < t->options.readers; i++) {
        int status = 0;
        if (waitpid(t->readers[i], &status, 0) != -1 && status != 0) {
            fprintf(stderr, "torture: reader %u ended with status %#x\n", i, (unsigned)status);
            t->audit.failures++;
        }
    }
}

/* --- setting up --- */

static int
set_up(struct torture *t)
{
    struct errbuf err;
    unsigned n = (unsigned)t->options.recorders;
    snprintf(t->directory, sizeof(t->directory), "/tmp/shm-torture.XXXXXX");
    if (mkdtemp(t->directory) == NULL ||
        segment_create(&t->segment, t->directory, "torture", n, t->options.period_ms, &err) == -1) {
        fprintf(stderr, "torture: no segment in %s\n", t->directory);
        return -1;
    }
    t->play = mmap(NULL, play_bytes(n), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t->play == MAP_FAILED)
        return -1;
    t->play->seed = t->rng = (uint64_t)t->options.seed;
    t->play->n_slots = n;
    if (audit_open(&t->audit, &t->segment, t->play) == -1)
        return -1;
    ledger_set_master(t->audit.ledger, MASTER_RUNNING);
    for (unsigned i = 1; i <= n; i++) {
        atomic_store(&t->pidfds[i], -1);
        audit_assign(&t->audit, i);
    }
    return 0;
}

static void
clean_up(struct torture *t)
{
    char path[sizeof(t->segment.path)];
    snprintf(path, sizeof(path), "%s", t->segment.path);
    audit_close(&t->audit);
    segment_close(&t->segment);
    unlink(path);
    rmdir(t->directory);
}

static int64_t *
find_option(struct options *o, int which)
{
    switch (which) {
    case 's':
        return &o->seconds;
    case 'n':
        return &o->recorders;
    case 'r':
        return &o->readers;
    case 'k':
        return &o->kills_per_second;
    case 'p':
        return &o->period_ms;
    case 'S':
        return &o->seed;
    default:
        return NULL;
    }
}

static int
read_options(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {{"seconds", required_argument, NULL, 's'},
                                          {"recorders", required_argument, NULL, 'n'},
                                          {"readers", required_argument, NULL, 'r'},
                                          {"kills", required_argument, NULL, 'k'},
                                          {"period", required_argument, NULL, 'p'},
                                          {"seed", required_argument, NULL, 'S'},
                                          {NULL, 0, NULL, 0}};
    int which;
    while ((which = getopt_long(argc, argv, "", names, NULL)) != -1) {
        int64_t *number = find_option(o, which);
        if (number == NULL || num_parse_int(optarg, 1, INT64_MAX, number) == -1)
            return -1;
    }
    return o->recorders < MODEL_SLOTS && o->readers <= PLAY_READERS_MAX &&
                   o->kills_per_second <= 10000
               ? 0
               : -1;
}

int
main(int argc, char **argv)
{
    static struct torture t = {.options = {20, 32, 4, 200, 5, 1}};
    pthread_t killer;
    t.options.seed = clock_wall_ns();
    if (read_options(argc, argv, &t.options) == -1) {
        fprintf(stderr, "usage: shm-torture [--seconds N] [--recorders N<64] [--readers N<17] "
                        "[--kills PER_SECOND] [--period MS] [--seed N]\n");
        return 2;
    }
    if (set_up(&t) == -1)
        return 2;
    printf("torture    %" PRId64 " s, %" PRId64 " recorders, %" PRId64 " readers, seed %" PRId64
           ", writers %s\n",
           t.options.seconds, t.options.recorders, t.options.readers, t.options.seed,
           t.segment.header->fence ? "fence by themselves" : "are fenced by membarrier");
    fflush(stdout);
    start_readers(&t);
    for (unsigned i = 1; i <= t.play->n_slots; i++)
        start_recorder(&t, i);
    if (pthread_create(&killer, NULL, run_killer, &t) != 0)
        return 2;
    run_master(&t);
    atomic_store(&t.stop_killer, true);
    pthread_join(killer, NULL);
    end_all(&t);
    printf("killer     killed %" PRIu64 ", stopped %" PRIu64 "\n", t.kills, t.stops);
    bool good = audit_report(&t.audit, (unsigned)t.options.readers);
    clean_up(&t);
    return good ? 0 : 1;
}
