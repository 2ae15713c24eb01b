/* SPDX-License-Identifier: Apache-2.0 */
/* spawn.c - see spawn.h. */
#include "master/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "master/title.h"
#include "master/master_priv.h"

/* --- in the child --- */

/* The parent may have died before PDEATHSIG was set: then somebody else is the parent now. */
static void
die_with_parent(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
        _exit(1);
}

static void
reset_signals(void)
{
    static const int ignored[] = {SIGINT, SIGHUP, SIGPIPE, SIGXFSZ};
    static const int blocked[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t mask;
    sigemptyset(&action.sa_mask);
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL); /* KILL, STOP and libc's own refuse: fine */
    action.sa_handler = SIG_IGN;
    for (size_t i = 0; i < COUNT_OF(ignored); i++)
        sigaction(ignored[i], &action, NULL);
    sigemptyset(&mask);
    for (size_t i = 0; i < COUNT_OF(blocked); i++)
        sigaddset(&mask, blocked[i]);
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

static void
run_child(const struct spawn_child *child, pid_t parent)
{
    die_with_parent(parent);
    reset_signals();
    for (size_t i = 0; i < child->n_fds; i++)
        if (child->fds[i] != -1)
            close(child->fds[i]);
    title_set(child->name);
    log_set_process(child->name);
    _exit(child->run(child->arg) & 0xff);
}

/* --- in the parent --- */

pid_t
spawn_fork(const struct spawn_child *child, struct errbuf *err)
{
    pid_t parent = getpid();
    sigset_t all, old;
    /* A handler of the parent must not run in the child before reset_signals. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    pid_t pid = fork();
    if (pid == 0)
        run_child(child, parent);
    int error = errno;
    sigprocmask(SIG_SETMASK, &old, NULL);
    if (pid == -1)
        return errbuf_set(err, "cannot fork %s: %s", child->name, strerror(error));
    return pid;
}

void
spawn_describe_end(int status, char *text, size_t size)
{
    if (WIFEXITED(status))
        snprintf(text, size, "exit code %d", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        snprintf(text, size, "signal %d (%s)%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
                 WCOREDUMP(status) ? ", core dumped" : "");
    else
        snprintf(text, size, "status 0x%x", (unsigned)status);
}

/* --- the check --- */

struct check {
    int (*run)(const void *arg, struct errbuf *err);
    const void *arg;
    int out;
};

static int
run_check(void *arg)
{
    struct check *c = arg;
    struct errbuf err = {.text = ""};
    if (c->run(c->arg, &err) == 0)
        return 0;
    size_t n = strlen(err.text);
    /* Less than PIPE_BUF: all or nothing. If the parent is gone, so is the question. */
    return n > 0 && write(c->out, err.text, n) == -1 ? 2 : 1;
}

/* Reads until the child closes its end. Returns: 0, or -1 if that did not happen in time. */
static int
read_text(int fd, int64_t until_ms, char *text, size_t size)
{
    size_t n = 0;
    for (;;) {
        int64_t wait_ms = until_ms - clock_mono_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, wait_ms > 0 ? (int)wait_ms : 0);
        if (ready == -1 && errno == EINTR)
            continue;
        if (ready <= 0)
            return -1;
        ssize_t got = read(fd, text + n, size - 1 - n);
        if (got == -1 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    text[n] = '\0';
    return 0;
}

static int
wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) == -1)
        if (errno != EINTR)
            return -1;
    return status;
}

static enum spawn_verdict
judge_check(const char *name, int status, const struct errbuf *text, struct errbuf *err)
{
    char end[64];
    if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return SPAWN_GOOD;
    if (status != -1 && WIFEXITED(status) && text->text[0] != '\0') {
        errbuf_set(err, "%s", text->text);
        return SPAWN_REFUSED;
    }
    spawn_describe_end(status, end, sizeof(end));
    errbuf_set(err, "%s: the check ended with %s", name, end);
    return SPAWN_FAILED;
}

int
spawn_check_begin(struct spawn_checking *checking, const char *name,
                  int (*check)(const void *arg, struct errbuf *err), const void *arg,
                  const int *fds, size_t n_fds, struct errbuf *err)
{
    int pipes[2], closed[16];
    assert(n_fds < COUNT_OF(closed));
    *checking = (struct spawn_checking){.name = name, .fd = -1};
    if (pipe2(pipes, O_CLOEXEC) == -1)
        return errbuf_set(err, "%s: no pipe: %s", name, strerror(errno));
    closed[0] = pipes[0];
    for (size_t i = 0; i < n_fds; i++)
        closed[1 + i] = fds[i];
    struct check c = {.run = check, .arg = arg, .out = pipes[1]};
    struct spawn_child child = {
        .name = name, .fds = closed, .n_fds = 1 + n_fds, .run = run_check, .arg = &c};
    pid_t pid = spawn_fork(&child, err);
    close(pipes[1]);
    if (pid == -1) {
        close(pipes[0]);
        return -1;
    }
    checking->pid = pid;
    checking->fd = pipes[0];
    return 0;
}

enum spawn_verdict
spawn_check_end(struct spawn_checking *checking, int status, struct errbuf *err)
{
    struct errbuf text = {.text = ""};
    /* The child has ended, so there is a text or an end of file. */
    (void)read_text(checking->fd, 0, text.text, sizeof(text.text));
    close(checking->fd);
    checking->pid = 0;
    checking->fd = -1;
    return judge_check(checking->name, status, &text, err);
}

enum spawn_verdict
spawn_check(const char *name, int (*check)(const void *arg, struct errbuf *err), const void *arg,
            int64_t limit_ms, struct errbuf *err)
{
    struct spawn_checking checking;
    if (spawn_check_begin(&checking, name, check, arg, NULL, 0, err) == -1)
        return SPAWN_FAILED;
    struct pollfd p = {.fd = checking.fd, .events = POLLIN};
    int64_t until_ms = clock_mono_ms() + limit_ms;
    int ready;
    do {
        int64_t wait_ms = until_ms - clock_mono_ms();
        ready = poll(&p, 1, wait_ms > 0 ? (int)wait_ms : 0);
    } while (ready == -1 && errno == EINTR);
    if (ready <= 0)
        kill(checking.pid, SIGKILL);
    enum spawn_verdict verdict = spawn_check_end(&checking, wait_for(checking.pid), err);
    if (ready > 0)
        return verdict;
    errbuf_set(err, "%s: the check took longer than %lld ms", name, (long long)limit_ms);
    return SPAWN_FAILED;
}
