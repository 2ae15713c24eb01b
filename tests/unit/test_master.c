/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_master.c - the real loop, real forks, workers that misbehave.
 *
 * A test forks a master; its workers are functions below, told by their number what to do.  The
 * segment is mapped before, so the test sees it change.
 *
 * Process: the unit tests, a master each, its workers.  Owner: each test.
 * Concurrency: what is shared is atomic.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "master/master.h"

/* What a worker does; STOP means upon TERM. */
enum manner {
    GOOD,       /* beats and ends with 0 on TERM */
    CRASH,      /* ends with 75 at once */
    CRASH_BUSY, /* dies of a signal with messages in hand, once; then it is GOOD */
    HANG,       /* never beats again, though it would heed TERM */
    DEAF,       /* beats, does not hear TERM */
    SLOW,       /* takes SLOW_MS from the first TERM on, unless there is a second */
    COUNT_USR1, /* counts USR1s as batches, is GOOD otherwise */
    EXCUSABLE,  /* ends with 0 on USR2, with 3 on TERM without that */
    NEWCOMER    /* is in the state that the test wants, is GOOD otherwise */
};

enum { N_MAX = 4, BEAT_MS = 10, SLOW_MS = 4000, PATIENCE_MS = 30000 };

static struct segment segment;
static struct shm_reader *reader;
static enum manner manners[N_MAX];
static struct seat seats[N_MAX];
static struct master_plan plan;
static struct notify notify;
static struct master_options options;
static char log_path[64];
static pid_t master;
static _Atomic enum slot_state *wanted_state; /* of newcomers */

static void
sleep_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* --- in the worker --- */

static volatile sig_atomic_t terms, usr1s, usr2s;

static void
on_signal(int number)
{
    *(number == SIGTERM ? &terms : number == SIGUSR1 ? &usr1s : &usr2s) += 1;
}

static void
catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void
beat(struct recorder *r)
{
    recorder_beat(r);
    recorder_set(r, STAT_BATCHES, (uint64_t)usr1s);
    recorder_publish(r);
    sleep_ms(BEAT_MS);
}

static void
take_messages(struct recorder *r)
{
    recorder_add(r, STAT_RECEIVED, 100);
    recorder_add(r, STAT_COMPLETED, 60);
    recorder_add(r, STAT_REJECTED, 5);
    recorder_set(r, STAT_IN_FLIGHT, 35);
    recorder_set(r, STAT_PARTITIONS, 3);
    recorder_publish(r);
    recorder_add(r, STAT_RECEIVED, 7); /* not published: it dies before */
}

static int
run_fake(void *arg, const struct seat *seat, unsigned slot, int64_t hold_ms)
{
    (void)arg;
    struct recorder *r = recorder_new(&segment, slot);
    recorder_set(r, STAT_BATCH_AGE_MS, (uint64_t)hold_ms);
    enum manner manner = manners[seat->number];
    catch_signals();
    if (manner == CRASH)
        return 75;
    if (manner == CRASH_BUSY && atomic_load(&r->slot->generation) == 1) {
        take_messages(r);
        raise(SIGKILL);
    }
    while (manner == DEAF || (terms == 0 && (manner != EXCUSABLE || usr2s == 0))) {
        recorder_set_state(r, manner == NEWCOMER ? atomic_load(wanted_state) : SLOT_CONSUMING);
        if (manner == HANG)
            sleep_ms(1000);
        else
            beat(r);
    }
    int64_t until = clock_mono_ms() + SLOW_MS;
    while (manner == SLOW && terms < 2 && clock_mono_ms() < until)
        beat(r);
    recorder_free(&r);
    return manner == EXCUSABLE && usr2s == 0 ? 3 : 0;
}

/* --- in the test --- */

static void
prepare(void)
{
    struct errbuf err;
    cr_assert_eq(segment_create_private(&segment, "test", N_MAX, 100, &err), 0, "%s", err.text);
    for (unsigned i = 0; i < N_MAX; i++) {
        seats[i] = (struct seat){.number = i, .topic = "fake"};
        snprintf(seats[i].name, sizeof(seats[i].name), "fake-%u", i);
    }
    reader = segment_reader(&segment);
    snprintf(log_path, sizeof(log_path), "/tmp/test_master.%ld", (long)getpid());
    static const bool same[1] = {true};
    plan = (struct master_plan){.seats = seats,
                                .n = 2,
                                .same = same,
                                .timing = {.respawn_first_ms = 20,
                                           .respawn_cap_ms = 80,
                                           .loop_deaths = 3,
                                           .calm_ms = 400,
                                           .hang_ms = 3000,
                                           .shutdown_ms = 20000,
                                           .hurry_ms = 3000,
                                           .give_up_ms = 1000,
                                           .tick_ms = 100},
                                .period_ms = 100};
    cr_assert_eq(notify_open(&notify, NULL, &err), 0);
    options = (struct master_options){.segment = &segment,
                                      .ledger = ledger_new(&segment),
                                      .reader = reader,
                                      .run = run_fake,
                                      .plan = &plan,
                                      .notify = &notify,
                                      .totals_ms = 100,
                                      .totals_per_each = LOG_LEVEL_DEBUG,
                                      .fds = {-1, -1}};
}

static void
clean_up(void)
{
    if (master > 0)
        kill(master, SIGKILL);
    unlink(log_path);
}

TestSuite(master, .init = prepare, .fini = clean_up, .timeout = 120);

static void
start(void)
{
    master = fork();
    cr_assert_neq(master, -1);
    if (master != 0)
        return;
    struct errbuf err;
    struct log_options log = {.file = log_path, .level = LOG_LEVEL_DEBUG};
    log_set_process("master");
    if (log_open(&log, &err) == -1)
        _exit(99);
    _exit(master_run(&options));
}

/* Waits until the condition holds. */
#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        int64_t until = clock_mono_ms() + PATIENCE_MS;                                             \
        while (!(condition)) {                                                                     \
            cr_assert_lt(clock_mono_ms(), until, "waited too long for " #condition);               \
            sleep_ms(5);                                                                           \
        }                                                                                          \
    } while (0)

/* A snapshot that lasts until the next one is asked for. */
static const struct snapshot *
look(void)
{
    static struct snapshot snapshot;
    struct errbuf err;
    cr_assert_eq(snapshot_take(reader, &snapshot, &err), 0, "%s", err.text);
    return &snapshot;
}

static const struct snapshot_process *
process(size_t i)
{
    static const struct snapshot_process nobody;
    const struct snapshot *s = look();
    for (size_t k = 0; k < s->n_processes; k++)
        if (s->processes[k].slot == i + 1)
            return &s->processes[k];
    return &nobody; /* the master has not placed him yet */
}

static uint64_t
counted(enum stat_value value)
{
    return look()->totals.values[value];
}

/* Without being asked to. */
static uint64_t
deaths(void)
{
    return counted(STAT_DEATHS_EXIT) + counted(STAT_DEATHS_SIGNAL) + counted(STAT_DEATHS_HUNG) +
           counted(STAT_DEATHS_LATE);
}

static pid_t
pid_of(size_t i)
{
    return (pid_t)process(i)->pid;
}

static uint32_t
forks_of(size_t i)
{
    return process(i)->generation;
}

/* What it was told to wait before it joins. */
static uint64_t
hold_of(size_t i)
{
    return process(i)->totals.values[STAT_BATCH_AGE_MS];
}

static int64_t
heartbeat(size_t i)
{
    return atomic_load(&segment_slot(&segment, (unsigned)i + 1)->heartbeat_ms);
}

/* A worker may say so before the master, which has just forked it, has written down its pid. */
static bool
is_consuming(size_t i)
{
    return process(i)->state == SLOT_CONSUMING && process(i)->pid != 0;
}

/* Returns: the master's exit code. */
static int
reap_master(void)
{
    int status;
    cr_assert_eq(waitpid(master, &status, 0), master);
    master = 0;
    cr_assert(WIFEXITED(status), "status 0x%x", (unsigned)status);
    return WEXITSTATUS(status);
}

static int
stop(void)
{
    kill(master, SIGTERM);
    return reap_master();
}

static int
count_in_log(const char *text)
{
    char line[4096];
    int n = 0;
    FILE *f = fopen(log_path, "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof(line), f) != NULL)
        n += strstr(line, text) != NULL;
    fclose(f);
    return n;
}

static bool
is_gone(pid_t pid)
{
    return kill(pid, 0) == -1 && errno == ESRCH;
}

Test(master, starts_all_and_stops_all)
{
    start();
    WAIT_UNTIL(is_consuming(0) && is_consuming(1));
    pid_t pids[] = {pid_of(0), pid_of(1)};
    cr_assert_eq(stop(), 0);
    cr_assert(is_gone(pids[0]) && is_gone(pids[1]));
    cr_assert_eq(pid_of(0), 0);
    cr_assert_eq(deaths(), 0u);
    cr_assert_eq(counted(STAT_STARTS), 2u);
    cr_assert_eq(process(0)->state, SLOT_FREE);
    cr_assert_eq(look()->master_state, MASTER_STOPPED);
    cr_assert_eq(count_in_log("workers=0/2"), 1, "one line of totals at the end");
}

Test(master, respawns_the_killed_one_and_leaves_the_other_alone)
{
    start();
    WAIT_UNTIL(is_consuming(0) && is_consuming(1));
    pid_t killed = pid_of(0), sibling = pid_of(1);
    kill(killed, SIGKILL);
    WAIT_UNTIL(forks_of(0) == 2 && is_consuming(0));
    cr_assert_neq(pid_of(0), killed);
    cr_assert_eq(pid_of(1), sibling);
    cr_assert_eq(forks_of(1), 1u);
    WAIT_UNTIL(counted(STAT_DEATHS_SIGNAL) == 1 && counted(STAT_RESTARTS) == 1);
    cr_assert_eq(deaths(), 1u);
    cr_assert_eq(process(0)->restarts, 1u);
    cr_assert_eq(stop(), 0);
    cr_assert_eq(count_in_log("fake-0 (pid"), 2);
    cr_assert_eq(count_in_log("ended with signal 9 (Killed)"), 1);
}

/* Were it to join at once, the group would stand still until the session of the dead is over. */
Test(master, the_successor_of_one_killed_is_held_back_until_that_session_is_about_to_end)
{
    seats[0].rejoin_ms = PATIENCE_MS;
    seats[1].rejoin_ms = 1;
    start();
    WAIT_UNTIL(is_consuming(0) && is_consuming(1));
    cr_assert_eq(hold_of(0), 0u);
    kill(pid_of(0), SIGKILL);
    kill(pid_of(1), SIGKILL);
    WAIT_UNTIL(forks_of(0) == 2 && is_consuming(0) && hold_of(0) > 0);
    uint64_t first = hold_of(0);
    cr_assert_leq(first, (uint64_t)PATIENCE_MS);
    WAIT_UNTIL(forks_of(1) == 2 && is_consuming(1));
    cr_assert_eq(hold_of(1), 0u, "that session was over before it was forked");
    sleep_ms(300);
    kill(pid_of(0), SIGKILL); /* who had not joined, so it is still the session of the first */
    WAIT_UNTIL(forks_of(0) == 3 && is_consuming(0) && hold_of(0) > 0);
    cr_assert_leq(hold_of(0), first - 300);
    cr_assert_eq(stop(), 0);
}

Test(master, counts_what_a_dead_worker_had_in_hand_as_returned)
{
    manners[0] = CRASH_BUSY;
    start();
    WAIT_UNTIL(forks_of(0) == 2 && is_consuming(0));
    cr_assert_eq(counted(STAT_RECEIVED), 100u, "what it had not published is undone");
    cr_assert_eq(counted(STAT_RETURNED), 35u);
    cr_assert_eq(counted(STAT_RETURNED_DIED), 35u);
    cr_assert_eq(counted(STAT_IN_FLIGHT), 0u);
    cr_assert_eq(counted(STAT_PARTITIONS), 0u);
    cr_assert_eq(process(0)->totals.values[STAT_RECEIVED], 0u, "a new generation starts at 0");
    cr_assert_eq(process(0)->lifetime.values[STAT_RETURNED], 35u);
    cr_assert_eq(stop(), 0);
    cr_assert_eq(count_in_log("totals: received=100 completed=60 rejected=5 returned=35 "
                              "in_flight=0 workers=0/2"),
                 1);
    cr_assert_geq(count_in_log("process fake-0: state=free pid=0 received=100 completed=60 "
                               "rejected=5 returned=35 in_flight=0 partitions=0 restarts=1"),
                  1);
}

Test(master, shows_a_crash_loop_once_and_goes_on)
{
    manners[0] = CRASH;
    start();
    WAIT_UNTIL(forks_of(0) >= 8);
    WAIT_UNTIL(process(0)->state == SLOT_BACKOFF);
    cr_assert_geq(counted(STAT_DEATHS_EXIT), 7u);
    cr_assert(is_consuming(1));
    cr_assert_eq(forks_of(1), 1u);
    cr_assert_eq(stop(), 0);
    cr_assert_eq(count_in_log("is in a crash loop"), 1);
    cr_assert_geq(count_in_log("ended with exit code 75"), 7);
}

Test(master, tells_when_a_crash_loop_ends)
{
    start();
    for (uint32_t i = 1; i <= 3; i++) {
        WAIT_UNTIL(forks_of(0) == i && pid_of(0) != 0);
        kill(pid_of(0), SIGKILL);
    }
    WAIT_UNTIL(forks_of(0) == 4 && is_consuming(0));
    WAIT_UNTIL(count_in_log("left the crash loop") == 1);
    cr_assert_eq(stop(), 0);
    cr_assert_eq(count_in_log("is in a crash loop"), 1);
}

Test(master, kills_and_counts_the_hung)
{
    manners[0] = HANG;
    start();
    WAIT_UNTIL(forks_of(0) == 2);
    WAIT_UNTIL(counted(STAT_DEATHS_HUNG) == 1);
    cr_assert_eq(deaths(), 1u);
    cr_assert_eq(forks_of(1), 1u);
    cr_assert_eq(stop(), 0, "it would hear TERM");
    cr_assert_eq(count_in_log("killed since it hung"), 1);
}

Test(master, a_stopped_worker_hangs)
{
    start();
    WAIT_UNTIL(is_consuming(0) && is_consuming(1));
    kill(pid_of(0), SIGSTOP);
    WAIT_UNTIL(forks_of(0) == 2 && is_consuming(0));
    WAIT_UNTIL(counted(STAT_DEATHS_HUNG) == 1);
    cr_assert_eq(stop(), 0);
}

Test(master, a_stopped_group_is_not_blamed_when_it_goes_on)
{
    start();
    WAIT_UNTIL(is_consuming(0) && is_consuming(1));
    pid_t workers[] = {pid_of(0), pid_of(1)};
    for (size_t i = 0; i < 2; i++)
        kill(workers[i], SIGSTOP);
    kill(master, SIGSTOP);
    sleep_ms(plan.timing.hang_ms + 300);
    kill(master, SIGCONT);
    WAIT_UNTIL(count_in_log("the master did not run for") > 0); /* the workers still stand */
    for (size_t i = 0; i < 2; i++)
        kill(workers[i], SIGCONT);
    sleep_ms(300);
    cr_assert_eq(forks_of(0) + forks_of(1), 2u);
    cr_assert_eq(stop(), 0);
}

Test(master, kills_the_deaf_after_the_deadline)
{
    manners[0] = DEAF;
    plan.timing.shutdown_ms = 2000;
    start();
    WAIT_UNTIL(is_consuming(0) && is_consuming(1));
    int64_t before = clock_mono_ms();
    cr_assert_eq(stop(), 1);
    cr_assert_geq(clock_mono_ms() - before, 2000);
    cr_assert_eq(count_in_log("killed since it had not stopped in time"), 1);
    cr_assert_eq(counted(STAT_DEATHS_LATE), 1u);
}

Test(master, waits_for_the_slow)
{
    manners[0] = SLOW;
    start();
    WAIT_UNTIL(is_consuming(0) && is_consuming(1));
    int64_t before = clock_mono_ms();
    cr_assert_eq(stop(), 0);
    cr_assert_geq(clock_mono_ms() - before, SLOW_MS - BEAT_MS);
}

Test(master, a_second_term_hurries_the_slow)
{
    manners[0] = SLOW;
    start();
    WAIT_UNTIL(is_consuming(0) && is_consuming(1));
    int64_t before = clock_mono_ms();
    kill(master, SIGTERM);
    WAIT_UNTIL(is_gone(pid_of(1)) || pid_of(1) == 0);
    cr_assert_eq(stop(), 0);
    cr_assert_lt(clock_mono_ms() - before, SLOW_MS);
}

Test(master, a_second_term_kills_the_deaf_soon)
{
    manners[0] = DEAF;
    plan.timing.shutdown_ms = 60000;
    start();
    WAIT_UNTIL(is_consuming(0) && is_consuming(1));
    kill(master, SIGINT);
    sleep_ms(50);
    int64_t before = clock_mono_ms();
    cr_assert_eq(stop(), 1);
    cr_assert_lt(clock_mono_ms() - before, PATIENCE_MS);
}

Test(master, term_right_after_the_start_ends_it)
{
    plan.n = N_MAX;
    start();
    WAIT_UNTIL(forks_of(0) == 1); /* others may not have been forked yet */
    cr_assert_eq(stop(), 0);
}

Test(master, forwards_usr1_and_survives_hup)
{
    manners[0] = manners[1] = COUNT_USR1;
    start();
    WAIT_UNTIL(is_consuming(0) && is_consuming(1));
    kill(master, SIGHUP);
    kill(master, SIGUSR1);
    WAIT_UNTIL(process(0)->totals.values[STAT_BATCHES] == 1 &&
               process(1)->totals.values[STAT_BATCHES] == 1);
    kill(pid_of(0), SIGHUP);
    kill(pid_of(0), SIGINT);
    sleep_ms(50);
    cr_assert_eq(stop(), 0);
    cr_assert_eq(forks_of(0) + forks_of(1), 2u);
    cr_assert_eq(count_in_log("reload refused"), 1);
}

Test(master, a_storm_of_signals_kills_nobody)
{
    manners[0] = CRASH;
    plan.timing.respawn_cap_ms = 20;
    start();
    WAIT_UNTIL(forks_of(0) >= 1);
    for (int i = 0; i < 200; i++) {
        kill(master, i % 2 == 0 ? SIGUSR1 : SIGHUP);
        sleep_ms(2);
    }
    cr_assert_eq(forks_of(1), 1u);
    cr_assert_eq(counted(STAT_DEATHS_SIGNAL), 0u);
    cr_assert_eq(stop(), 0);
}

static bool
beats_no_more(size_t i)
{
    int64_t last = heartbeat(i);
    sleep_ms(20 * BEAT_MS);
    return heartbeat(i) == last;
}

Test(master, its_workers_go_with_it)
{
    manners[1] = DEAF;
    start();
    WAIT_UNTIL(is_consuming(0) && is_consuming(1));
    kill(master, SIGKILL);
    waitpid(master, NULL, 0);
    master = 0;
    for (size_t i = 0; i < 2; i++) /* a zombie may stay, where nobody reaps orphans */
        WAIT_UNTIL(beats_no_more(i));
}

/* --- another crew --- */

static const char *objection; /* against the new configuration */

static int
check(const void *arg, struct errbuf *err)
{
    (void)arg;
    return objection == NULL ? 0 : errbuf_set(err, "%s", objection);
}

static int
begin_reload(void *arg, struct spawn_checking *checking, const int *fds, size_t n,
             struct errbuf *err)
{
    (void)arg;
    return spawn_check_begin(checking, "check", check, NULL, fds, n, err);
}

/* The same names, for others: nobody goes on. */
static int
take_others(void *arg, struct errbuf *err)
{
    static struct seat others[2];
    static const bool same[1];
    (void)arg;
    (void)err;
    for (unsigned i = 0; i < 2; i++) {
        others[i] = seats[i];
        others[i].number = 2 + i;
    }
    plan.seats = others;
    plan.same = same;
    return 0;
}

static void
drop_others(void *arg)
{
    (void)arg;
}

static void
start_with_reload(void)
{
    static const struct reload_ops ops = {
        .begin = begin_reload, .take = take_others, .drop = drop_others};
    options.reload = &ops;
    wanted_state = mmap(NULL, sizeof(*wanted_state), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(wanted_state, MAP_FAILED);
    atomic_store(wanted_state, SLOT_STARTING);
    manners[0] = manners[1] = EXCUSABLE;
    manners[2] = manners[3] = NEWCOMER;
    start();
    WAIT_UNTIL(is_consuming(0) && is_consuming(1));
}

Test(master, the_old_are_excused_once_a_newcomer_has_reached_kafka)
{
    start_with_reload();
    pid_t old[] = {pid_of(0), pid_of(1)};
    kill(master, SIGHUP);
    WAIT_UNTIL(pid_of(2) != 0 && pid_of(3) != 0 && hold_of(2) > 0 && hold_of(3) > 0);
    cr_assert(process(0)->leaving && process(1)->leaving && !process(2)->leaving);
    WAIT_UNTIL(process(0)->totals.values[STAT_BATCHES] == 1); /* USR1: the log may be another */
    sleep_ms(300);
    cr_assert(is_consuming(0) && is_consuming(1), "no broker has answered the newcomers");
    atomic_store(wanted_state, SLOT_JOINING);
    WAIT_UNTIL(is_gone(old[0]) && is_gone(old[1]));
    WAIT_UNTIL(count_in_log("reload done: 2 workers") == 1);
    cr_assert_eq(count_in_log("ended with exit code 0"), 2, "USR2 came before any TERM");
    cr_assert_eq(counted(STAT_RELOADS), 1u);
    cr_assert_eq(process(2)->lifetime.values[STAT_BATCHES], 1u, "it goes on under the same name");
    cr_assert_eq(deaths(), 0u);
    cr_assert_eq(stop(), 0);
}

Test(master, an_old_one_that_dies_is_not_started_again)
{
    start_with_reload();
    pid_t old[] = {pid_of(0), pid_of(1)};
    kill(master, SIGHUP);
    WAIT_UNTIL(pid_of(2) != 0 && pid_of(3) != 0 && process(0)->leaving);
    kill(old[0], SIGKILL);
    WAIT_UNTIL(is_gone(old[0]));
    sleep_ms(300); /* it would have been forked again by now */
    cr_assert_eq(pid_of(0), 0);
    cr_assert(is_consuming(1), "nor does it take the other along");
    atomic_store(wanted_state, SLOT_CONSUMING);
    WAIT_UNTIL(is_gone(old[1]));
    WAIT_UNTIL(count_in_log("reload done: 2 workers") == 1);
    cr_assert_eq(stop(), 0);
}

Test(master, what_is_refused_changes_nothing)
{
    objection = "no such broker";
    start_with_reload();
    kill(master, SIGHUP);
    WAIT_UNTIL(count_in_log("everything goes on as it was: no such broker") == 1);
    WAIT_UNTIL(counted(STAT_RELOADS_REFUSED) == 1);
    cr_assert_eq(counted(STAT_RELOADS), 0u);
    cr_assert(is_consuming(0) && is_consuming(1) && forks_of(0) + forks_of(1) == 2);
    kill(master, SIGTERM);
    WAIT_UNTIL(count_in_log("exit code 3") == 2);
    cr_assert_eq(reap_master(), 0);
}

Test(master, while_it_stops_nothing_is_taken_over)
{
    start_with_reload();
    kill(pid_of(0), SIGSTOP);
    kill(master, SIGTERM);
    WAIT_UNTIL(is_gone(pid_of(1)) || pid_of(1) == 0);
    kill(master, SIGHUP);
    WAIT_UNTIL(count_in_log("HUP: ignored") == 1);
    kill(master, SIGTERM); /* who stands still is killed soon */
    cr_assert_eq(reap_master(), 1);
    cr_assert_eq(counted(STAT_RELOADS), 0u);
    cr_assert_eq(count_in_log("reload refused"), 0);
}
