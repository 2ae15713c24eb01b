/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sub_alarms.h - the member names of an alarm's sub-alarms, as the Python persister renames them for
 * monasca-api, at any depth (pure).
 *
 * Process: workers.  Owner: none.  Concurrency: any thread.
 */
#ifndef STORE_SUB_ALARMS_H
#define STORE_SUB_ALARMS_H

#include "lib/base.h"
#include "lib/buf.h"

/* Takes: a member's name as it stands in the JSON, without quotes. Returns: the one to write. */
struct slice sub_alarms_rename(struct slice name);

/* Appends valid JSON with its members renamed. */
void sub_alarms_put(struct buf *out, struct slice json);

#endif
