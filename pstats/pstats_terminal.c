/* SPDX-License-Identifier: Apache-2.0 */
/* pstats_terminal.c - see pstats_terminal.h. */
#include "pstats/pstats_terminal.h"

#include <curses.h>
#include <term.h>
#include <unistd.h>

bool
pstats_terminal_is_known(void)
{
    int why;
    if (setupterm(NULL, STDOUT_FILENO, &why) == ERR)
        return false;
    del_curterm(cur_term);
    return true;
}
