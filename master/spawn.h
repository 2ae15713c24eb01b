/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn.h - forks a child that runs a function, with clean hands; tells how a child ended.
 *
 * A child starts with: death by KILL should its parent die; INT, HUP and PIPE ignored (the terminal
 * sends the first two to the whole group, and the master decides what they mean); TERM, USR1 and
 * USR2 at their defaults but blocked, so that one that comes early waits for the handler; all else
 * as a fresh program has it; the parent's descriptors closed; its own name in the log, in ps and
 * top.
 *
 * Process: master.  Owner: the caller reaps what spawn_fork made.
 * Concurrency: the parent must have one thread only: PDEATHSIG speaks of the thread that forked.
 */
#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include <sys/types.h>

#include "lib/base.h"
#include "lib/errbuf.h"

struct spawn_child {
    const char *name; /* "metrics-0" */
    const int *fds;   /* to be closed in the child; those that are -1 are skipped */
    size_t n_fds;
    int (*run)(void *arg); /* what it returns, 0..255, is the exit code */
    void *arg;
};

/* Returns: the child's pid, or -1 with a text. Only the parent returns. */
pid_t spawn_fork(const struct spawn_child *child, struct errbuf *err) MUST_CHECK;

enum spawn_verdict {
    SPAWN_GOOD,    /* the check returned 0 */
    SPAWN_REFUSED, /* it returned -1; err has its text */
    SPAWN_FAILED   /* it could not be run, died, or took too long; err says which */
};

/*
 * Runs a check in a child of its own, for what needs libraries that start threads.
 * Takes: a name for it; the check, which returns 0, or -1 with a text; its argument; ms it may
 * take. Returns: a verdict. Waits.
 */
enum spawn_verdict spawn_check(const char *name, int (*check)(const void *arg, struct errbuf *err),
                               const void *arg, int64_t limit_ms, struct errbuf *err) MUST_CHECK;

/* A check that runs while the master goes on. */
struct spawn_checking {
    const char *name;
    pid_t pid; /* 0: none runs */
    int fd;    /* what it has to say; to be closed in other children; -1: none */
};

/*
 * Begins what spawn_check does in one go.
 * Takes: as spawn_check, and descriptors to be closed in the child.
 * Returns: 0, or -1 with a text. Then the caller reaps the pid and calls spawn_check_end.
 */
int spawn_check_begin(struct spawn_checking *checking, const char *name,
                      int (*check)(const void *arg, struct errbuf *err), const void *arg,
                      const int *fds, size_t n_fds, struct errbuf *err) MUST_CHECK;

/* Takes: the status as of waitpid. Returns: a verdict. Does not wait. */
enum spawn_verdict spawn_check_end(struct spawn_checking *checking, int status,
                                   struct errbuf *err) MUST_CHECK;

/*
 * Says how a child ended: "exit code 75", "signal 11 (Segmentation fault), core dumped".
 * Takes: the status as of waitpid; room for the text, which is cut to it.
 */
void spawn_describe_end(int status, char *text, size_t size);

#endif
