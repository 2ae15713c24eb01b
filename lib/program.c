/* SPDX-License-Identifier: Apache-2.0 */
/* program.c - see program.h. */
#include "lib/program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

int
program_begin(void)
{
    /* The lowest free number is the one that open(2) takes. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) != fd)
            return -1;
    signal(SIGXFSZ, SIG_IGN);
    return 0;
}

void
program_allow_dumps(bool allow)
{
    prctl(PR_SET_DUMPABLE, allow ? 1 : 0, 0, 0, 0);
}
