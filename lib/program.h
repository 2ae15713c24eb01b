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

#endif
