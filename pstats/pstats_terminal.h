/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pstats_terminal.h - whether curses knows the terminal.
 *
 * A file of its own, since <term.h> makes macros of words like "lines".
 *
 * Process: pstats.  Owner: none.  Concurrency: one thread.
 */
#ifndef SHM_PSTATS_TERMINAL_H
#define SHM_PSTATS_TERMINAL_H

#include "lib/base.h"

/* Returns: true if newterm will succeed on stdout. It is to be asked first: it leaks if it fails.
 */
bool pstats_terminal_is_known(void);

#endif
