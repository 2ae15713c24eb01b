/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop.h - TERM and INT ask a tool to end in good order.
 *
 * Process: persister-load, persister-perf, the mock broker.  Owner: this module holds the flag.
 * Concurrency: a signal handler sets it, anybody reads it.
 */
#ifndef PERF_STOP_H
#define PERF_STOP_H

#include <signal.h>

/* Catches TERM and INT from now on. Returns: how often one of them has come, 2 for more. */
const volatile sig_atomic_t *stop_on_signals(void);

#endif
