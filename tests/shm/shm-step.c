/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm-step.c - kills a recorder and a master at every instruction, and looks what they leave.
 *
 *   shm-step [--all]      with --all, kills for good at many more of them
 *
 * Process: tests.  Owner: itself.  Concurrency: one process runs at a time.
 */
#include "tests/shm/shm-step.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FAILURES_SHOWN = 20, REFUSED_STATUS = 100 };

void
step_mark(void)
{
    raise(SIGSTOP);
}

static enum step_result
wait_for(pid_t pid)
{
    int status;
    if (waitpid(pid, &status, 0) == -1)
        return STEP_ENDED;
    if (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED_STATUS)
        return STEP_REFUSED;
    if (!WIFSTOPPED(status))
        return STEP_ENDED;
    return WSTOPSIG(status) == SIGSTOP ? STEP_MARK : STEP_DONE;
}

pid_t
step_start(step_child *child, struct segment *segment)
{
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1)
            _exit(REFUSED_STATUS);
        child(segment);
        _exit(0);
    }
    enum step_result result = pid == -1 ? STEP_ENDED : wait_for(pid);
    if (result == STEP_REFUSED) {
        printf("step       ptrace is not allowed here: skipped\n");
        exit(STEP_SKIPPED);
    }
    return result == STEP_MARK ? pid : -1;
}

static enum step_result
lead(pid_t pid, int request)
{
    if (ptrace(request, pid, NULL, NULL) == -1)
        return STEP_ENDED;
    return wait_for(pid);
}

enum step_result
step_instruction(pid_t pid)
{
    return lead(pid, PTRACE_SINGLESTEP);
}

enum step_result
step_to_mark(pid_t pid)
{
    return lead(pid, PTRACE_CONT);
}

void
step_kill(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    do { /* a stop may be reported first */
        if (waitpid(pid, &status, 0) != pid)
            abort();
    } while (!WIFSIGNALED(status));
}

void
step_release_and_kill(pid_t pid, uint64_t ns)
{
    struct timespec pause = {.tv_nsec = (long)ns};
    prctl(PR_SET_TIMERSLACK, 1);
    if (ptrace(PTRACE_CONT, pid, NULL, NULL) == -1)
        abort();
    nanosleep(&pause, NULL); /* it runs on the same processor, until this ends */
    step_kill(pid);
}

void
step_fail(struct step_tally *tally, const char *what, uint64_t instruction,
          const struct errbuf *err)
{
    if (tally->failures++ < FAILURES_SHOWN)
        fprintf(stderr, "step: %s, after %" PRIu64 " instructions: %s\n", what, instruction,
                err->text);
}

/* Two processes that take turns do so much faster on one. */
static void
stay_on_one_processor(void)
{
    cpu_set_t set;
    int now = sched_getcpu();
    CPU_ZERO(&set);
    CPU_SET((size_t)(now < 0 ? 0 : now), &set);
    (void)sched_setaffinity(0, sizeof(set), &set);
}

int
main(int argc, char **argv)
{
    bool all = argc == 2 && strcmp(argv[1], "--all") == 0;
    struct step_tally tally = {0};
    if (argc > 1 && !all) {
        fprintf(stderr, "usage: shm-step [--all]\n");
        return 2;
    }
    stay_on_one_processor();
    step_publish(&tally, all);
    step_master(&tally, all ? 200 : 10, all);
    printf("step       %" PRIu64 " instructions, %" PRIu64 " checks, %" PRIu64
           " processes killed for good; failures: %" PRIu64 "\n",
           tally.instructions, tally.checks, tally.kills, tally.failures);
    return tally.failures == 0 ? 0 : 1;
}
