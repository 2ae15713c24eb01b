/*
 * main_admin.h - the admin port's child: what it is given of the configuration, and what is taken
 * from it.
 *
 * Process: admin, after the fork.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef MASTER_MAIN_ADMIN_H
#define MASTER_MAIN_ADMIN_H

#include "lib/cfg.h"
#include "shm/segment.h"

/*
 * Serves the admin port until TERM.
 * Takes: the configuration, whose secrets it forgets; the master's segment, which it closes: it
 * attaches as any reader does, and cannot write.
 * Returns: an exit code.
 */
int main_admin_run(struct config *cfg, struct segment *segment) MUST_CHECK;

#endif
