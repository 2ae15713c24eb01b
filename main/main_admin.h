/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_admin.h - the admin port's child: what it is given of the configuration, and how it is kept
 * from having the rest.
 *
 * A fork has all that the master's memory ever held: the passwords, and what the allocator and the
 * stack have left of them. So the child runs the program once more (/proc/self/exe), and gets by an
 * anonymous file only what it needs: the secrets are masked there.
 *
 * Process: admin, after the fork.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef MASTER_MAIN_ADMIN_H
#define MASTER_MAIN_ADMIN_H

#include "conf/cfg.h"
#include "lib/log.h"
#include "shm/segment.h"

/*
 * In the child: becomes the program that serves the admin port until TERM. Where the program cannot
 * be run once more (no /proc), it serves as it is, with its own copy of the configuration's secrets
 * overwritten, and says so.
 * Takes: the configuration; the log's options; the master's segment, which it closes: it attaches
 * as any reader does, and cannot write.
 * Returns: an exit code.
 */
int main_admin_run(struct config *cfg, const struct log_options *log,
                   struct segment *segment) MUST_CHECK;

/* Returns: true if the program was started by main_admin_run. */
bool main_admin_is_meant(int argc, char **argv);

/* What is run then. Returns: an exit code. */
int main_admin_serve(int argc, char **argv) MUST_CHECK;

#endif
