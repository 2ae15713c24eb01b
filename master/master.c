/*
 * master.c - see master.h.
 *
 * Process: master.  Owner: the caller of master_run; the pids here are the truth about whom to
 * signal, those in the slots are for readers.  Concurrency: one thread.
 */
#include "master/master.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "master/spawn.h"
#include "master/totals.h"
#include "master/master_priv.h"

struct master {
    const struct master_options *options;
    struct pool *pool;
    pid_t *pids; /* 0: does not run */
    int signals; /* the signalfd */
    int64_t totals_due_ms, period_due_ms;
    struct snapshot snapshot;
};

/* What the child needs to know to run worker i. */
struct child_arg {
    const struct master_options *options;
    size_t i;
};

/* --- one worker --- */

static int
run_worker(void *arg)
{
    const struct child_arg *child = arg;
    return child->options->run(child->options->arg, child->i);
}

/* Slot 0 is the master's own. */
static unsigned
slot_of(size_t worker)
{
    return (unsigned)worker + 1;
}

static void
start_worker(struct master *m, size_t i)
{
    const struct master_options *o = m->options;
    struct errbuf err;
    struct child_arg arg = {o, i};
    int fds[3 + TELLING_FDS] = {m->signals, o->fds[0], o->fds[1], -1, -1};
    if (o->telling != NULL)
        telling_list_fds(o->telling, fds + 3);
    struct spawn_child child = {
        .name = o->names[i], .fds = fds, .n_fds = COUNT_OF(fds), .run = run_worker, .arg = &arg};
    int64_t now = clock_mono_ms();
    ledger_start(o->ledger, slot_of(i));
    pid_t pid = spawn_fork(&child, &err);
    if (pid == -1) {
        (void)ledger_reap(o->ledger, slot_of(i), LEDGER_NOT_FORKED, SLOT_DEAD);
        log_error("%s; trying again in %u ms", err.text, pool_note_fork_failed(m->pool, i, now));
        return;
    }
    m->pids[i] = pid;
    ledger_started(o->ledger, slot_of(i), pid);
    if (o->silent != NULL && o->silent[i])
        ledger_show(o->ledger, slot_of(i), SLOT_IDLE);
    pool_note_forked(m->pool, i, now);
    log_info("%s started as pid %ld", o->names[i], (long)pid);
}

static void
signal_worker(const struct master *m, size_t i, int number)
{
    /* Not reaped yet, so the pid is still its own. */
    if (m->pids[i] != 0 && kill(m->pids[i], number) == -1)
        log_error("%s: kill(%ld, %d): %s", m->options->names[i], (long)m->pids[i], number,
                  strerror(errno));
}

/* --- its end --- */

static void
log_loop(const char *name, const struct pool_death *death, const struct pool_timing *timing)
{
    if (death->left_loop)
        log_notice("%s left the crash loop: it had worked for %lld s", name,
                   (long long)(timing->calm_ms / 1000));
    if (death->entered_loop)
        log_error("%s is in a crash loop: %u deaths in a row without %lld s of work; it is tried "
                  "again every %u s or sooner",
                  name, death->deaths, (long long)(timing->calm_ms / 1000),
                  (timing->respawn_cap_ms + 999) / 1000);
}

static void
log_death(const char *name, pid_t pid, int status, const struct pool_death *death, int64_t returned)
{
    char end[96];
    bool orderly = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    double seconds = (double)death->lived_ms / 1000;
    spawn_describe_end(status, end, sizeof(end));
    if (death->asked)
        log_line(orderly ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
                 "%s (pid %ld) ended with %s after %.1f s%s", name, (long)pid, end, seconds,
                 death->late ? ", killed since it had not stopped in time" : "");
    else
        log_line(death->in_loop && !death->entered_loop ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
                 "%s (pid %ld) ended with %s after %.1f s%s; forked again in %u ms", name,
                 (long)pid, end, seconds, death->hung ? ", killed since it hung" : "",
                 death->respawn_in_ms);
    if (returned > 0)
        log_notice("%s had %lld messages in hand, which will be read again", name,
                   (long long)returned);
}

static enum ledger_death
way_to_die(int status, const struct pool_death *death)
{
    if (death->late)
        return LEDGER_LATE;
    if (death->hung)
        return LEDGER_HUNG;
    if (death->asked)
        return LEDGER_ASKED;
    return WIFSIGNALED(status) ? LEDGER_SIGNAL : LEDGER_EXIT;
}

/* Folds its figures into the totals. Returns: how many messages it had in hand. */
static int64_t
settle_figures(struct master *m, size_t i, int status, const struct pool_death *death)
{
    enum slot_state state = death->asked ? SLOT_FREE : death->in_loop ? SLOT_BACKOFF : SLOT_DEAD;
    int64_t returned =
        ledger_reap(m->options->ledger, slot_of(i), way_to_die(status, death), state);
    if (returned == -1)
        log_error("%s: more messages settled than received; its counters are wrong",
                  m->options->names[i]);
    return returned;
}

static void
note_heartbeat(struct master *m, size_t i, int64_t now)
{
    const bool *silent = m->options->silent;
    int64_t beat_ms =
        silent != NULL && silent[i] ? now : ledger_heartbeat_ms(m->options->ledger, slot_of(i));
    pool_note_heartbeat(m->pool, i, beat_ms, now);
}

static void
bury_worker(struct master *m, size_t i, int status)
{
    const char *name = m->options->names[i];
    int64_t now = clock_mono_ms();
    note_heartbeat(m, i, now);
    struct pool_death death = pool_note_death(m->pool, i, now);
    int64_t returned = settle_figures(m, i, status, &death);
    log_death(name, m->pids[i], status, &death, returned);
    log_loop(name, &death, &m->options->timing);
    m->pids[i] = 0;
}

/* Every turn, not only on SIGCHLD: signals merge. Strangers are orphans given to us as pid 1. */
static void
reap(struct master *m)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == -1 && errno == EINTR)
            continue;
        if (pid <= 0)
            return;
        for (size_t i = 0; i < m->options->n; i++)
            if (m->pids[i] == pid) {
                bury_worker(m, i, status);
                break;
            }
    }
}

/* --- signals --- */

static void
stop(struct master *m, const struct signalfd_siginfo *info)
{
    const struct pool_timing *timing = &m->options->timing;
    bool second = pool_note_stop(m->pool, clock_mono_ms()) > 1;
    ledger_set_master(m->options->ledger, MASTER_STOPPING, 1);
    log_notice("%s from pid %u: %s; workers that have not ended after %lld ms are killed",
               info->ssi_signo == SIGINT ? "INT" : "TERM", info->ssi_pid,
               second ? "stopping at once" : "stopping",
               (long long)(second ? timing->hurry_ms : timing->shutdown_ms));
}

static void
reopen(const struct master *m)
{
    struct errbuf err;
    if (log_reopen(&err) == -1)
        log_error("%s", err.text);
    else
        log_notice("USR1: log opened anew");
    for (size_t i = 0; i < m->options->n; i++)
        signal_worker(m, i, SIGUSR1);
}

static void
handle_signal(struct master *m, const struct signalfd_siginfo *info)
{
    switch (info->ssi_signo) {
    case SIGTERM:
    case SIGINT:
        stop(m, info);
        break;
    case SIGUSR1:
        reopen(m);
        break;
    case SIGHUP:
        log_notice("HUP: ignored; this version cannot reload, restart it instead");
        break;
    default: /* CHLD: it woke us, and every turn reaps */
        break;
    }
}

static void
read_signals(struct master *m)
{
    struct signalfd_siginfo infos[16];
    for (;;) {
        ssize_t n = read(m->signals, infos, sizeof(infos));
        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        for (size_t i = 0; i < (size_t)n / sizeof(infos[0]); i++)
            handle_signal(m, &infos[i]);
    }
}

static int
open_signals(sigset_t *old)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        sigaddset(&set, numbers[i]);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD,
           SIG_DFL); /* were it ignored, as a parent may leave it, nothing could be reaped */
    sigprocmask(SIG_BLOCK, &set, old);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd == -1)
        sigprocmask(SIG_SETMASK, old, NULL);
    return fd;
}

/* --- the loop --- */

static void
act(struct master *m, const struct pool_action *action)
{
    size_t i = action->worker;
    const struct master_options *o = m->options;
    switch (action->deed) {
    case POOL_FORK:
        start_worker(m, i);
        break;
    case POOL_TERM:
        signal_worker(m, i, SIGTERM);
        break;
    case POOL_KILL_HUNG:
        log_error("%s (pid %ld) has given no sign of life for %lld ms; killing it", o->names[i],
                  (long)m->pids[i], (long long)o->timing.hang_ms);
        signal_worker(m, i, SIGKILL);
        break;
    case POOL_KILL_LATE:
        log_warning("%s (pid %ld) has not ended in time; killing it", o->names[i],
                    (long)m->pids[i]);
        signal_worker(m, i, SIGKILL);
        break;
    case POOL_RECOVERED:
        log_notice("%s left the crash loop: it has worked for %lld s", o->names[i],
                   (long long)(o->timing.calm_ms / 1000));
        break;
    case POOL_NOTHING:
        break;
    }
}

static void
act_all(struct master *m)
{
    for (;;) {
        struct pool_action action = pool_next_action(m->pool, clock_mono_ms());
        if (action.deed == POOL_NOTHING)
            return;
        act(m, &action);
    }
}

static void
note_heartbeats(struct master *m)
{
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < m->options->n; i++)
        if (m->pids[i] != 0)
            note_heartbeat(m, i, now);
}

static void
log_totals(struct master *m)
{
    struct errbuf err;
    if (snapshot_take(m->options->reader, &m->snapshot, &err) == 0)
        totals_log(&m->snapshot, m->options->totals_per_each);
}

/* Returns: true once each time an interval is over. We may be late: what was missed is left out. */
static bool
is_due(int64_t *due_ms, int64_t interval_ms, int64_t now)
{
    if (now < *due_ms)
        return false;
    *due_ms += interval_ms;
    if (*due_ms <= now)
        *due_ms = now + interval_ms;
    return true;
}

static void
keep_figures(struct master *m)
{
    int64_t now = clock_mono_ms();
    ledger_turn(m->options->ledger);
    if (is_due(&m->period_due_ms, m->options->period_ms, now)) {
        ledger_close_period(m->options->ledger, now);
        if (m->options->telling != NULL)
            telling_note_period(m->options->telling, now);
    }
    if (m->options->telling != NULL)
        telling_turn(m->options->telling, now);
    if (is_due(&m->totals_due_ms, m->options->totals_ms, now))
        log_totals(m);
}

static void
wait_a_while(struct master *m)
{
    int64_t now = clock_mono_ms();
    int64_t wait_ms = pool_plan_wait(m->pool, now);
    int64_t due_ms = m->totals_due_ms < m->period_due_ms ? m->totals_due_ms : m->period_due_ms;
    int64_t telling_ms =
        m->options->telling != NULL ? telling_due_ms(m->options->telling) : INT64_MAX;
    due_ms = telling_ms < due_ms ? telling_ms : due_ms;
    if (due_ms - now < wait_ms)
        wait_ms = due_ms > now ? due_ms - now : 0;
    struct pollfd p = {.fd = m->signals, .events = POLLIN};
    (void)poll(&p, 1, (int)wait_ms); /* whatever it says, we look at everything */
}

static void
run_loop(struct master *m)
{
    while (!pool_is_over(m->pool, clock_mono_ms())) {
        int64_t late_ms = pool_note_turn(m->pool, clock_mono_ms());
        if (late_ms > 0)
            log_warning("the master did not run for %lld ms; workers get time to show life",
                        (long long)late_ms);
        read_signals(m);
        reap(m);
        note_heartbeats(m);
        act_all(m);
        keep_figures(m);
        if (!pool_is_over(m->pool, clock_mono_ms()))
            wait_a_while(m);
    }
}

static void
log_left_over(const struct master *m)
{
    for (size_t i = 0; i < m->options->n; i++)
        if (m->pids[i] != 0)
            log_error("%s (pid %ld) was killed and is still there; not waiting any longer",
                      m->options->names[i], (long)m->pids[i]);
}

int
master_run(const struct master_options *options)
{
    int64_t now = clock_mono_ms();
    struct master m = {.options = options,
                       .totals_due_ms = now + options->totals_ms,
                       .period_due_ms = now + options->period_ms};
    sigset_t old;
    m.pids = calloc(options->n, sizeof(*m.pids));
    m.pool = pool_new(options->n, &options->timing, (uint64_t)clock_mono_ns(), now);
    m.signals = m.pids == NULL || m.pool == NULL ? -1 : open_signals(&old);
    int code = 1;
    if (m.signals == -1) {
        log_error("the master cannot start: %s", strerror(errno));
    } else {
        ledger_set_master(options->ledger, MASTER_RUNNING, 1);
        if (options->telling != NULL)
            telling_start(options->telling, clock_mono_ms());
        run_loop(&m);
        log_left_over(&m);
        ledger_close_period(options->ledger, clock_mono_ms());
        if (options->telling != NULL)
            telling_finish(options->telling);
        ledger_set_master(options->ledger, MASTER_STOPPED, 1);
        log_totals(&m);
        close(m.signals);
        sigprocmask(SIG_SETMASK, &old, NULL);
        code = pool_was_forced(m.pool) ? 1 : 0;
    }
    snapshot_free(&m.snapshot);
    pool_free(&m.pool);
    free(m.pids);
    return code;
}
