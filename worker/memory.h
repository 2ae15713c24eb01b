/*
 * memory.h - how much memory this process holds.
 *
 * Process: workers.  Owner: a descriptor that stays open.  Concurrency: one thread.
 */
#ifndef WORKER_MEMORY_H
#define WORKER_MEMORY_H

#include "lib/base.h"

/* Returns: resident bytes as of /proc/self/statm; UINT64_MAX (unknown) where that cannot be read.
 */
uint64_t memory_resident_bytes(void);

#endif
