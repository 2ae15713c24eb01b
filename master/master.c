/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master.c - see master.h. The processes are in crew.c.
 */
#include "master/master.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "master/crew.h"
#include "master/totals.h"
#include "master/master_priv.h"

enum {
    READY_LIMIT_MS = 45000, /* systemd's patience is 90 s: then it is told as it is */
    CHANGE_TICK_MS = 50     /* while one crew takes over from another */
};

struct master {
    const struct master_options *options;
    struct crew crew;
    struct reload reload;
    int64_t totals_due_ms, period_due_ms, period_ms;
    int64_t ready_limit_ms; /* INT64_MAX: whoever waits has been told */
    bool stopping;
    bool changing;           /* a configuration was taken over, and its crew is not all there yet */
    int64_t change_limit_ms; /* INT64_MAX: that this lasts long was said */
    struct snapshot snapshot;
};

/* --- reload --- */

static void
refuse(struct master *m, const struct errbuf *err)
{
    log_error("reload refused, everything goes on as it was: %s", err->text);
    ledger_note_refused(m->options->ledger, err->text);
}

/* The plan has changed. */
static void
follow_plan(struct master *m)
{
    const struct master_plan *plan = m->options->plan;
    int64_t now = clock_mono_ms();
    roster_change(m->crew.roster, plan->seats, plan->n, plan->same, now);
    pool_set_timing(m->crew.pool, &plan->timing);
    if (plan->period_ms == m->period_ms)
        return;
    m->period_ms = plan->period_ms;
    m->period_due_ms = now + plan->period_ms;
    ledger_set_period(m->options->ledger, plan->period_ms);
}

static void
take_over(struct master *m)
{
    /* First the generation: those placed from now on belong to it. */
    ledger_note_reload(m->options->ledger);
    follow_plan(m);
    /* Those that stay, too, go by what the log is now. */
    crew_signal(&m->crew, SIGUSR1);
    m->changing = true;
    m->change_limit_ms = clock_mono_ms() + ROSTER_LIMIT_MS;
}

static void
ask_reload(struct master *m)
{
    struct errbuf err;
    int fds[CREW_FDS];
    size_t n = crew_list_fds(&m->crew, fds);
    if (m->stopping) {
        log_notice("HUP: ignored, since everything stops");
        return;
    }
    log_notice("HUP: reading the configuration again");
    notify_reloading(m->options->notify);
    if (reload_ask(&m->reload, fds, n, clock_mono_ms(), &err) == RELOAD_REFUSED)
        refuse(m, &err);
}

/* Returns: false if it was not the check of a reload. */
static bool
end_check(struct master *m, pid_t pid, int status)
{
    struct errbuf err;
    enum reload_outcome outcome;
    if (!reload_note_end(&m->reload, pid, status, &outcome, &err))
        return false;
    if (outcome == RELOAD_REFUSED)
        refuse(m, &err);
    else if (outcome == RELOAD_TAKEN)
        take_over(m);
    if (reload_take_again(&m->reload))
        ask_reload(m);
    return true;
}

/* --- children --- */

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
        if (!crew_reap(&m->crew, pid, status))
            (void)end_check(m, pid, status);
    }
}

/* --- signals --- */

static void
stop(struct master *m, const struct signalfd_siginfo *info)
{
    const struct pool_timing *timing = &m->options->plan->timing;
    bool second = pool_note_stop(m->crew.pool, clock_mono_ms()) > 1;
    ledger_set_master(m->options->ledger, MASTER_STOPPING);
    if (!m->stopping) {
        notify_stopping(m->options->notify);
        reload_stop(&m->reload);
    }
    m->stopping = true;
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
    crew_signal(&m->crew, SIGUSR1);
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
        ask_reload(m);
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
        ssize_t n = read(m->crew.signals, infos, sizeof(infos));
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

/* --- what others are told --- */

static void
tell_progress(struct master *m)
{
    struct notify *notify = m->options->notify;
    int64_t now = clock_mono_ms();
    notify_turn(notify, now);
    if (m->stopping) {
        notify_status(notify, "stopping");
        return;
    }
    struct roster_count count = roster_count(m->crew.roster);
    if (m->changing && roster_is_settled(m->crew.roster)) {
        m->changing = false;
        log_notice("reload done: %zu workers", count.workers);
    }
    if (m->changing && clock_mono_ms() >= m->change_limit_ms) {
        log_warning("%zu of %zu workers have not joined since the reload; those of before go on "
                    "until others have reached Kafka",
                    count.out, count.workers);
        m->change_limit_ms = INT64_MAX;
    }
    if (!m->changing && !reload_is_under_way(&m->reload))
        notify_reloaded(notify);
    if (m->ready_limit_ms != INT64_MAX && roster_is_ready(m->crew.roster)) {
        log_notice("ready: all %zu workers have joined their groups", count.workers);
        notify_ready(notify);
        m->ready_limit_ms = INT64_MAX;
    } else if (now >= m->ready_limit_ms && notify_running(notify)) {
        log_warning("%zu of %zu workers have not joined their groups yet", count.out,
                    count.workers);
    }
    notify_status(notify, "%zu of %zu workers have joined%s%s", count.workers - count.out,
                  count.workers, count.leaving > 0 ? ", others leave" : "",
                  reload_is_under_way(&m->reload) ? ", checking a configuration" : "");
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
    struct statsd_sender *sender = m->options->plan->sender;
    int64_t now = clock_mono_ms();
    ledger_turn(m->options->ledger);
    if (is_due(&m->period_due_ms, m->period_ms, now)) {
        ledger_close_period(m->options->ledger, now);
        if (sender != NULL)
            statsd_sender_note_period(sender, now);
    }
    if (sender != NULL)
        statsd_sender_turn(sender, now);
    if (is_due(&m->totals_due_ms, m->options->totals_ms, now))
        log_totals(m);
}

/* --- the loop --- */

static int64_t
earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void
wait_a_while(struct master *m)
{
    const struct statsd_sender *sender = m->options->plan->sender;
    int64_t now = clock_mono_ms();
    int64_t due_ms = now + pool_plan_wait(m->crew.pool, now);
    due_ms = earlier(due_ms, earlier(m->totals_due_ms, m->period_due_ms));
    if (sender != NULL)
        due_ms = earlier(due_ms, statsd_sender_due_ms(sender));
    /* Nothing wakes us when a worker says what it does. */
    if (!m->stopping && (m->ready_limit_ms != INT64_MAX || !roster_is_settled(m->crew.roster)))
        due_ms = earlier(due_ms, now + CHANGE_TICK_MS);
    struct pollfd p = {.fd = m->crew.signals, .events = POLLIN};
    (void)poll(&p, 1, due_ms > now ? (int)(due_ms - now) : 0); /* then we look at everything */
}

static void
run_loop(struct master *m)
{
    struct pool *pool = m->crew.pool;
    while (!pool_is_over(pool, clock_mono_ms())) {
        int64_t late_ms = pool_note_turn(pool, clock_mono_ms());
        if (late_ms > 0)
            log_warning("the master did not run for %lld ms; workers get time to show life",
                        (long long)late_ms);
        read_signals(m);
        reap(m);
        reload_turn(&m->reload, clock_mono_ms());
        crew_look(&m->crew);
        crew_act(&m->crew, !m->stopping);
        keep_figures(m);
        tell_progress(m);
        if (!pool_is_over(pool, clock_mono_ms()))
            wait_a_while(m);
    }
}

static int
begin(struct master *m, sigset_t *old, struct errbuf *err)
{
    const struct master_options *o = m->options;
    int64_t now = clock_mono_ms();
    reload_init(&m->reload, o->reload);
    if (crew_init(&m->crew, o) == -1)
        return errbuf_set(err, "out of memory");
    follow_plan(m);
    m->crew.reload = &m->reload;
    m->crew.signals = open_signals(old);
    if (m->crew.signals == -1)
        return errbuf_set(err, "no signalfd: %s", strerror(errno));
    m->totals_due_ms = now + o->totals_ms;
    m->ready_limit_ms = now + READY_LIMIT_MS;
    ledger_set_master(o->ledger, MASTER_RUNNING);
    crew_act(&m->crew, true); /* so that the first word names them all */
    if (o->plan->sender != NULL)
        statsd_sender_start(o->plan->sender, now);
    return 0;
}

static void
end(struct master *m)
{
    const struct master_options *o = m->options;
    crew_log_left_over(&m->crew);
    ledger_close_period(o->ledger, clock_mono_ms());
    if (o->plan->sender != NULL)
        statsd_sender_finish(o->plan->sender);
    ledger_set_master(o->ledger, MASTER_STOPPED);
    log_totals(m);
}

int
master_run(const struct master_options *options)
{
    struct master m = {.options = options};
    struct errbuf err;
    sigset_t old;
    int code = 1;
    if (begin(&m, &old, &err) == -1) {
        log_error("the master cannot start: %s", err.text);
    } else {
        run_loop(&m);
        end(&m);
        close(m.crew.signals);
        sigprocmask(SIG_SETMASK, &old, NULL);
        code = pool_was_forced(m.crew.pool) ? 1 : 0;
    }
    snapshot_free(&m.snapshot);
    crew_free(&m.crew);
    return code;
}
