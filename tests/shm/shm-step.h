/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm-step.h - one process led through its instructions by another (ptrace), and what the two parts
 * of shm-step share.
 *
 * A process that is stopped after an instruction leaves the same memory as one that is killed
 * there, so a check may be made at each without starting anew; that this is so is shown by killing
 * at some of them.
 *
 * Process: tests.  Owner: the caller.  Concurrency: one process runs at a time.
 */
#ifndef TESTS_SHM_STEP_H
#define TESTS_SHM_STEP_H

#include <sys/types.h>

#include "shm/segment.h"
#include "tests/shm/shm-model.h"

enum { STEP_SKIPPED = 77, STEP_SEED = 7 };

enum step_result {
    STEP_DONE,   /* one instruction more */
    STEP_MARK,   /* the process is at a mark */
    STEP_ENDED,  /* it is no more */
    STEP_REFUSED /* ptrace is not allowed here */
};

typedef void step_child(struct segment *segment);

/*
 * Starts a process that runs the function up to its first mark.
 * Returns: its pid; -1 if that failed; exits with STEP_SKIPPED where ptrace is refused.
 */
pid_t step_start(step_child *child, struct segment *segment);

/* In that process: here it stops until it is led on. */
void step_mark(void);

/* Leads it over one instruction; or to its next mark. */
enum step_result step_instruction(pid_t pid);
enum step_result step_to_mark(pid_t pid);

/* Kills and reaps it. */
void step_kill(pid_t pid);

/* Lets it go on, kills it after about so many ns (less than 1 s), and reaps it. */
void step_release_and_kill(pid_t pid, uint64_t ns);

/* What both parts count. */
struct step_tally {
    uint64_t instructions, checks, kills, failures;
    uint64_t killed_after; /* masters that had made their step */
};

/* Prints a failure, the first ones. */
void step_fail(struct step_tally *tally, const char *what, uint64_t instruction,
               const struct errbuf *err);

/* The recorder, killed at every instruction of its publish (shm-step-publish.c). */
void step_publish(struct step_tally *tally, bool all);

/* The master, killed at every instruction of reap, start, close and handing over
 * (shm-step-master.c). */
void step_master(struct step_tally *tally, uint64_t kills, bool all);

#endif
