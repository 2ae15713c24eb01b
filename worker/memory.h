/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - how much memory this process holds, and what goes back to the kernel.
 *
 * Process: workers.  Owner: a descriptor that stays open.  Concurrency: one thread.
 */
#ifndef WORKER_MEMORY_H
#define WORKER_MEMORY_H

#include "lib/base.h"

/*
 * Blocks as large as a batch of Kafka's go back to the kernel as soon as they are freed, instead of
 * staying with the heap of the thread that asked for them. Once, before there are other threads.
 */
void memory_return_large(void);

/* Returns: resident bytes as of /proc/self/statm; UINT64_MAX (unknown) where that cannot be read.
 */
uint64_t memory_resident_bytes(void);

#endif
