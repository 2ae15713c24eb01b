/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - whether a text can be a host's address or name, before it is looked up again and again.
 *
 * Process: all.  Owner: the caller.  Concurrency: any thread.
 */
#ifndef LIB_HOST_H
#define LIB_HOST_H

#include "lib/base.h"

/* Removes the brackets from around "[::1]". In place. */
void host_strip_brackets(char *text);

/*
 * Takes: an address or a name, without brackets.
 * Returns: NULL if it can be one; else what it is instead, as "is a URL" or "has a port". Static.
 */
const char *host_find_fault(const char *text);

/*
 * Takes: one of Kafka's brokers, [PROTOCOL://]HOST[:PORT], where HOST may be in brackets.
 * Returns: the same.
 */
const char *host_find_broker_fault(const char *text);

#endif
