/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reject.h - the verdict that a message is wrong in itself (not the world around it).
 *
 * Process: workers fill it in; the counters and dead letters use the names.
 * Owner: the caller.  Concurrency: one thread.
 */
#ifndef LIB_REJECT_H
#define LIB_REJECT_H

#include "lib/base.h"
#include "lib/buf.h"

enum reject_reason {
#define REJECT(NAME, name, help) REJECT_##NAME,
#include "conf/reject.def"
#undef REJECT
    REJECT_REASONS
};

struct reject {
    enum reject_reason reason;
    char detail[256]; /* NUL-terminated; for people; any bytes of the message in it are made
                         printable */
};

/* Returns: the reason's name as in reject.def ("not_json"); static. */
const char *reject_name(enum reject_reason reason);

/* Appends the list of reasons in man(7)'s macros, for monasca-persister(8). */
void reject_write_man(struct buf *out);

/*
 * Fills in a verdict. What is not to be shown as it is (printable.h) becomes '?', text is cut to
 * fit, never inside a UTF-8 sequence.
 * Returns: -1, so that a caller can say `return reject_set(...)`.
 */
int reject_set(struct reject *why, enum reject_reason reason, const char *format, ...)
    PRINTF_LIKE(3, 4);

#endif
