/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_ask.h - monasca-persister --reload: asks the instance that runs by a configuration file to
 * read that again, and waits for the answer.  Part of the wiring, like main.c.
 *
 * Process: one of its own.  Owner: none.  Concurrency: one thread; it only reads the instance's
 * segment, and sends HUP to its master.
 */
#ifndef MASTER_MAIN_ASK_H
#define MASTER_MAIN_ASK_H

#include "conf/cfg.h"
#include "lib/errbuf.h"

/*
 * Takes: the configuration as it is to be; how long to wait, in ms.
 * Returns: 0 once the instance has taken it over, or -1 with the reason why it has not: no such
 * instance, it refused, no answer.
 */
int main_ask_reload(const struct config *cfg, int64_t wait_ms, struct errbuf *err) MUST_CHECK;

#endif
