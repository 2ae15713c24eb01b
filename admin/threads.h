/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads.h - what each process does just now, as text: GET /threads, where DropWizard has its dump
 * of threads.
 *
 * Pure.  Process: admin.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef ADMIN_THREADS_H
#define ADMIN_THREADS_H

#include "admin/view.h"
#include "lib/buf.h"

/* Says in a few words what a process does; text is cut to size. */
void threads_describe(char *text, size_t size, const struct snapshot *s,
                      const struct snapshot_process *p);

/* Writes a paragraph for the master and for each process. */
void threads_write(struct buf *b, const struct view *v);

#endif
