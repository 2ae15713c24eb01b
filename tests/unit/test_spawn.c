/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_spawn.c - children: hygiene, ends, checks that run in one.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/spawn.h"
#include "master/title.h"

static int
run_to_end(int (*run)(void *), void *arg, const int *fds, size_t n_fds)
{
    struct errbuf err;
    struct spawn_child child = {
        .name = "test-0", .fds = fds, .n_fds = n_fds, .run = run, .arg = arg};
    int status = -1;
    pid_t pid = spawn_fork(&child, &err);
    cr_assert_gt(pid, 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void
do_nothing(int number)
{
    (void)number;
}

static bool
is(int number, void (*handler)(int))
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == handler;
}

/* Returns: the number of the first thing that is not as spawn.h promises, 0 if all is. */
static int
look_at_hygiene(void *arg)
{
    const int *fds = arg;
    int death_signal = 0;
    sigset_t mask;
    char name[32];
    sigprocmask(SIG_SETMASK, NULL, &mask);
    if (!is(SIGINT, SIG_IGN) || !is(SIGHUP, SIG_IGN) || !is(SIGPIPE, SIG_IGN) ||
        !is(SIGXFSZ, SIG_IGN))
        return 1;
    if (!is(SIGTERM, SIG_DFL) || !is(SIGUSR1, SIG_DFL) || !is(SIGCHLD, SIG_DFL))
        return 2;
    if (!sigismember(&mask, SIGTERM) || !sigismember(&mask, SIGUSR1))
        return 3;
    if (sigismember(&mask, SIGALRM) || sigismember(&mask, SIGCHLD) || sigismember(&mask, SIGHUP))
        return 4;
    if (fcntl(fds[0], F_GETFD) != -1 || fcntl(fds[1], F_GETFD) == -1)
        return 5;
    if (prctl(PR_GET_PDEATHSIG, &death_signal) == -1 || death_signal != SIGKILL)
        return 6;
    if (prctl(PR_GET_NAME, name) == -1 || strcmp(name, "test-0") != 0)
        return 7;
    return 0;
}

Test(spawn, child_starts_clean)
{
    int fds[2];
    sigset_t mask;
    signal(SIGUSR1, do_nothing);
    signal(SIGTERM, do_nothing);
    signal(SIGCHLD, do_nothing);
    sigemptyset(&mask);
    sigaddset(&mask, SIGALRM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    cr_assert_eq(pipe(fds), 0);
    int closed[] = {fds[0], -1};
    int status = run_to_end(look_at_hygiene, fds, closed, 2);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 0, "fault %d", WEXITSTATUS(status));
    sigprocmask(SIG_SETMASK, NULL, &mask);
    cr_assert(sigismember(&mask, SIGALRM));
    cr_assert(!sigismember(&mask, SIGTERM), "the parent's mask is as it was");
}

static int
return_it(void *arg)
{
    return *(int *)arg;
}

static int
kill_self(void *arg)
{
    signal(*(int *)arg, SIG_DFL);
    raise(*(int *)arg);
    return 0;
}

Test(spawn, describes_how_it_ended)
{
    char text[96];
    int code = 75, number = SIGKILL;
    spawn_describe_end(run_to_end(return_it, &code, NULL, 0), text, sizeof(text));
    cr_assert_str_eq(text, "exit code 75");
    spawn_describe_end(run_to_end(kill_self, &number, NULL, 0), text, sizeof(text));
    cr_assert_str_eq(text, "signal 9 (Killed)");
}

static int
sleep_long(void *arg)
{
    (void)arg;
    while (pause() == -1)
        ;
    return 0;
}

/* A parent that forks one child, says its pid, and dies of KILL. */
static int
fork_and_die(void *arg)
{
    struct errbuf err;
    struct spawn_child child = {.name = "grandchild-0", .run = sleep_long};
    pid_t pid = spawn_fork(&child, &err);
    if (write(*(int *)arg, &pid, sizeof(pid)) != sizeof(pid))
        return 1;
    raise(SIGKILL);
    return 0;
}

Test(spawn, child_dies_with_its_parent)
{
    int fds[2];
    pid_t grandchild = 0;
    char rest;
    cr_assert_eq(pipe(fds), 0);
    int status = run_to_end(fork_and_die, &fds[1], NULL, 0);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(fds[1]);
    cr_assert_eq(read(fds[0], &grandchild, sizeof(grandchild)), (ssize_t)sizeof(grandchild));
    /* The pipe ends when the last process that holds it has died. */
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    cr_assert_eq(poll(&p, 1, 60000), 1, "process %ld lives on", (long)grandchild);
    cr_assert_eq(read(fds[0], &rest, 1), 0);
}

/* --- checks --- */

static int
check_good(const void *arg, struct errbuf *err)
{
    (void)arg;
    (void)err;
    return 0;
}

static int
check_bad(const void *arg, struct errbuf *err)
{
    return errbuf_set(err, "no good: %s", (const char *)arg);
}

static int
check_dies(const void *arg, struct errbuf *err)
{
    (void)arg;
    (void)err;
    raise(SIGKILL);
    return 0;
}

static int
check_hangs(const void *arg, struct errbuf *err)
{
    (void)arg;
    (void)err;
    while (pause() == -1)
        ;
    return 0;
}

/* Fails without a word. */
static int
check_silent(const void *arg, struct errbuf *err)
{
    (void)arg;
    (void)err;
    return -1;
}

Test(spawn, check_tells_the_verdict_and_the_text)
{
    struct errbuf err = {.text = ""};
    cr_assert_eq(spawn_check("check", check_good, NULL, 60000, &err), SPAWN_GOOD);
    cr_assert_eq(spawn_check("check", check_bad, "salt", 60000, &err), SPAWN_REFUSED);
    cr_assert_str_eq(err.text, "no good: salt");
}

Test(spawn, check_that_breaks_is_not_a_refusal)
{
    struct errbuf err = {.text = ""};
    cr_assert_eq(spawn_check("check", check_dies, NULL, 60000, &err), SPAWN_FAILED);
    cr_assert_str_eq(err.text, "check: the check ended with signal 9 (Killed)");
    cr_assert_eq(spawn_check("check", check_hangs, NULL, 50, &err), SPAWN_FAILED);
    cr_assert_str_eq(err.text, "check: the check took longer than 50 ms");
    cr_assert_eq(spawn_check("check", check_silent, NULL, 60000, &err), SPAWN_FAILED);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "none is left behind");
}

Test(spawn, long_names_keep_their_number)
{
    char name[32];
    title_set("alarm-state-transitions-12");
    cr_assert_eq(prctl(PR_GET_NAME, name), 0);
    cr_assert_str_eq(name, "alarm-state--12");
    title_set("metrics-0");
    cr_assert_eq(prctl(PR_GET_NAME, name), 0);
    cr_assert_str_eq(name, "metrics-0");
    title_set("no_number_but_a_very_long_name");
    cr_assert_eq(prctl(PR_GET_NAME, name), 0);
    cr_assert_str_eq(name, "no_number_but_a");
}
