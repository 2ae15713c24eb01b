/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cql_names.h - the addresses of a list of hosts; names are resolved on a thread beside.
 *
 * Process: workers, made after the fork.  Owner: the caller.  Concurrency: the owner's one thread;
 * its helper thread touches nothing but a job's own argument.
 */
#ifndef CQL_CQL_NAMES_H
#define CQL_CQL_NAMES_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "lib/base.h"

enum { CQL_HOST_BYTES = 256, CQL_ADDRESSES = 32 /* of a list, at most */ };

struct cql_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t n;
    char host[CQL_HOST_BYTES]; /* as it was given */
};

struct cql_names;

/* Takes: hosts, separated by commas, and their port; copied. Returns: NULL if memory is out. */
struct cql_names *cql_names_new(const char *hosts, int port) MUST_CHECK;
void cql_names_free(struct cql_names **names);

/* Begins to resolve them, unless it is under way. Returns: 0, or -1 if memory is out. */
int cql_names_ask(struct cql_names *names) MUST_CHECK;

/* Returns: a descriptor that is readable when there may be an answer. */
int cql_names_fd(const struct cql_names *names);

/*
 * Takes the answer.
 * Returns: the number of addresses, perhaps 0, and these; -1: none yet. *fault is why a name was not
 * found, "" if all were; static or the names'.
 */
int cql_names_take(struct cql_names *names, const struct cql_address **addresses,
                   const char **fault) MUST_CHECK;

/* Sets an address from its 4 or 16 bytes. Returns: 0, or -1 if they are none. */
int cql_address_set(struct cql_address *address, struct slice bytes, int port) MUST_CHECK;

bool cql_address_equal(const struct cql_address *a, const struct cql_address *b);

#endif
