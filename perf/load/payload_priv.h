/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload_priv.h - text in the making, for payload.c and payload_bad.c.
 *
 * Process: persister-load.  Owner: the caller.  Concurrency: any thread.
 */
#ifndef PERF_PAYLOAD_PRIV_H
#define PERF_PAYLOAD_PRIV_H

#include "perf/load/payload.h"

struct text {
    char *bytes; /* PAYLOAD_MAX of them: everything fits by construction, which is asserted */
    size_t n;
};

void payload_put(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);

/* Makes a good message bad, in the way `kind` of payload_bad_kinds. */
void payload_spoil(struct text *t, enum payload_kind of, size_t kind);

#endif
