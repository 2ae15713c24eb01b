/* SPDX-License-Identifier: Apache-2.0 */
/* barrier.c - see barrier.h. */
#include "shm/barrier.h"

#include <linux/membarrier.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static long
ask(int command)
{
    return syscall(SYS_membarrier, command, 0, 0); /* glibc has no wrapper */
}

bool
barrier_is_there(void)
{
    const long wanted = MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
    long there = ask(MEMBARRIER_CMD_QUERY);
    return there > 0 && (there & wanted) == wanted;
}

bool
barrier_register(void)
{
    return ask(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) == 0;
}

bool
barrier_all(void)
{
    bool done = ask(MEMBARRIER_CMD_GLOBAL_EXPEDITED) == 0;
    atomic_thread_fence(memory_order_seq_cst);
    return done;
}
