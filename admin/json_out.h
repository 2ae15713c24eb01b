/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_out.h - writes JSON: compact, or indented as Jackson does for DropWizard's pretty=true.
 *
 * Pure.  Process: admin.  Owner: the caller, who also has the buffer.  Concurrency: none needed.
 */
#ifndef ADMIN_JSON_OUT_H
#define ADMIN_JSON_OUT_H

#include "lib/buf.h"

struct json_out {
    struct buf *b;
    bool pretty;
    bool first; /* of the container that is open: no comma yet */
    unsigned depth;
};

void json_out_init(struct json_out *j, struct buf *b, bool pretty);

/* Opens an object. Takes: its name; NULL for the outermost. */
void json_out_open(struct json_out *j, const char *name);
void json_out_close(struct json_out *j);

/*
 * Members.  Texts are UTF-8 or what is not of it becomes U+FFFD.  A double that is no number, or
 * none that JSON has, is null; any other is printed with as many digits as tell it from its
 * neighbours, and with a point.
 */
void json_out_text(struct json_out *j, const char *name, const char *text);
void json_out_u64(struct json_out *j, const char *name, uint64_t value);
void json_out_i64(struct json_out *j, const char *name, int64_t value);
void json_out_double(struct json_out *j, const char *name, double value);
void json_out_bool(struct json_out *j, const char *name, bool value);
void json_out_null(struct json_out *j, const char *name);

#endif
