/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_check.h - what can be wrong with a configuration beyond its text: settings that only the
 * libraries know, a directory of the dead letters that is not there, stores that this build does
 * not have.  Part of the wiring, like main.c.
 *
 * Process: master, and a child of it that ends with the answer.  Owner: none.  Concurrency: one
 * thread.
 */
#ifndef MASTER_MAIN_CHECK_H
#define MASTER_MAIN_CHECK_H

#include "conf/cfg.h"
#include "lib/errbuf.h"

/* Returns: 0, or -1 with a text that names an option whose store this build does not have. */
int main_check_drivers(const struct config *cfg, struct errbuf *err) MUST_CHECK;

/*
 * Looks at where the dead letters go, and has Kafka's and the stores' libraries look at their
 * settings; they may start threads, so it is to be called in a child. Takes: a struct config.
 * Returns: 0, or -1 with a text.
 */
int main_check_libraries(const void *cfg, struct errbuf *err) MUST_CHECK;

#endif
