/* SPDX-License-Identifier: Apache-2.0 */
/*
 * show.h - bytes of a message for a terminal (pure); the verb itself is in run.h.
 *
 * Process: persister-dead; the tests.  Owner: the caller.  Concurrency: any thread.
 */
#ifndef DEAD_SHOW_H
#define DEAD_SHOW_H

#include "lib/base.h"
#include "lib/buf.h"

/*
 * Appends bytes so that a terminal shows them and does nothing else: UTF-8 as it is, control
 * characters (C0, DEL, C1) but newline and tab, and what is not UTF-8, as \xNN.
 */
void show_write_bytes(struct buf *out, struct slice bytes);

/* The same for what is to stay on one line: newline and tab as \xNN, too. */
void show_write_line(struct buf *out, struct slice bytes);

#endif
