/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.h - what the tools' command lines have in common.
 *
 * Process: persister-load, persister-perf.  Owner: none.  Concurrency: one thread.
 */
#ifndef PERF_OPTION_H
#define PERF_OPTION_H

#include "lib/base.h"

/*
 * Says on standard error "PROGRAM: OPTION VALUE: allowed: WHAT". Returns -1.
 */
int option_fail(const char *program, const char *option, const char *value, const char *allowed);

/* Reads a whole number. Returns: 0, or -1 after option_fail. */
int option_number(const char *program, const char *option, const char *value, int64_t min,
                  int64_t max, int64_t *out) MUST_CHECK;

#endif
