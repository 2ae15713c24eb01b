/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privileges.h - gives up what the admin process does not need.
 *
 * Process: admin, after the port is bound and the segment mapped.  Owner: none.
 * Concurrency: one thread.
 */
#ifndef ADMIN_PRIVILEGES_H
#define ADMIN_PRIVILEGES_H

#include <sys/types.h>

#include "lib/errbuf.h"

struct privileges_limits {
    unsigned descriptors;
    size_t memory; /* bytes of heap and other private data, beyond what there is already */
};

/*
 * As root: becomes user and group `nobody` (65534 where there is none of that name), with no other
 * groups and no capabilities.  A change of uid clears the parent-death signal, so that is set
 * again, and the parent looked at after it.  Then, whoever it is: no new privileges by exec, no
 * core that would hold the figures of others, limits for descriptors and memory, niceness. Takes:
 * the parent's pid as it was at the start; the limits. Returns: 0, or -1 with a text; then it must
 * end.
 */
int privileges_drop(pid_t parent, const struct privileges_limits *limits,
                    struct errbuf *err) MUST_CHECK;

#endif
