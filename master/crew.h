/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crew.h - the processes themselves: forked into their slots, signalled, buried.
 *
 * Process: master.  Owner: struct crew, in the master; the pids here are the truth about whom to
 * signal, those in the slots are for readers.  Concurrency: one thread.
 */
#ifndef MASTER_CREW_H
#define MASTER_CREW_H

#include <sys/types.h>

#include "master/master.h"

struct crew {
    const struct master_options *options;
    struct pool *pool;     /* of slot - 1 */
    struct roster *roster; /* by slot */
    pid_t *pids;           /* by slot; 0: does not run */
    int64_t *rejoins_ms;   /* by slot: when it may join the group of its predecessor, who died */
    unsigned n_slots;
    int signals;                 /* the signalfd, and */
    const struct reload *reload; /* the check's pipe: to be closed in children */
};

enum { CREW_AGAIN_MS = 5000 }; /* until it is tried again where the segment has no room */

/* Returns: 0, or -1 if memory is out. The rest is for crew_free in any case. */
int crew_init(struct crew *crew, const struct master_options *options) MUST_CHECK;
void crew_free(struct crew *crew);

/* The descriptors that a child has to close. Returns: how many there are. */
enum { CREW_FDS = 4 + STATSD_SENDER_FDS + MASTER_FDS };
size_t crew_list_fds(const struct crew *crew, int fds[CREW_FDS]);

/* Does all that pool and roster want done now. Takes: false to place nobody any more. */
void crew_act(struct crew *crew, bool placing);

/* Tells pool and roster what each process was seen doing. */
void crew_look(struct crew *crew);

/* A child has ended. Returns: false if it is none of the crew. */
bool crew_reap(struct crew *crew, pid_t pid, int status);

/* Sends a signal to all that run. */
void crew_signal(const struct crew *crew, int number);

/* Says in the log who could not even be killed. */
void crew_log_left_over(const struct crew *crew);

#endif
