/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h - the first thing that each program does.
 *
 * Process: all programs, before anything is opened.  Owner: nobody.  Concurrency: one thread.
 */
#ifndef LIB_PROGRAM_H
#define LIB_PROGRAM_H

#include "lib/base.h"

/*
 * Opens /dev/null on those of 0, 1 and 2 that are closed: else the next file that is opened gets
 * that number, and what is printed or logged is written into it. Ignores XFSZ: a file that has
 * reached its limit is a full disk (EFBIG), no reason to die.
 * Returns: 0, or -1; there is nowhere to say why.
 */
int program_begin(void) MUST_CHECK;

/*
 * Whether this process, and what it forks from now on, may leave a core, and others of the same
 * user may trace it and read its memory; root may in any case. A program may at its start; those
 * that read passwords forbid it before they do.
 */
void program_allow_dumps(bool allow);

#endif
