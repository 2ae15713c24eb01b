/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h - the admin port: a child of the master that serves the figures over HTTP.
 *
 * It reads the segment and nothing else.  As root it becomes nobody once the port is bound.  Should
 * it die, hang or be flooded, nothing but itself is the worse for it: it takes at most a quarter of
 * a processor (web.h), a bounded number of connections, memory and descriptors.
 *
 * Process: admin, forked by the master.  Owner: the caller of what it hands in, for as long as
 * admin_run runs.  Concurrency: one thread.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "admin/view.h"

struct admin_options {
    const char *segment;       /* path of the segment's file */
    const char *bind;          /* an address, or a name that has one */
    const char *allowed_hosts; /* see host.h */
    unsigned port;             /* 0: any, which the log tells */
    const char *config_text;   /* for /config: the configuration in effect, secrets masked */
    struct view_names names;   /* which topic is which, and its store */
    int64_t stall_ms;          /* work without progress for so long is unhealthy; 0: ADMIN_STALL_MS.
                                  It should be above the longest time that a batch is collected */
    int report_fd;             /* for tests: the port is written there as text; -1: nowhere */
};

enum { ADMIN_STALL_MS = 120000 };

enum { ADMIN_EXIT_DONE = 0, ADMIN_EXIT_SICK = 75 /* EX_TEMPFAIL: start it again later */ };

/*
 * Attaches, binds, drops its privileges and serves until TERM comes.  It expects what spawn_fork
 * leaves: TERM blocked, death with the parent.
 * Returns: an exit code; why it is not 0 is in the log.
 */
int admin_run(const struct admin_options *options);

#endif
