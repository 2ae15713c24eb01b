/* SPDX-License-Identifier: Apache-2.0 */
/*
 * title.h - what ps and top call a process.
 *
 * Process: master (title_init), its children (title_set).  Owner: the module keeps the borders of
 * the room that argv and the environment were given.  Concurrency: one thread.
 */
#ifndef MASTER_TITLE_H
#define MASTER_TITLE_H

/*
 * Makes room: moves the environment elsewhere, so that titles may overwrite where it was.
 * Takes: main's argc and argv, after which nobody may look at argv again once title_set was called.
 * Without it, or if memory is out, title_set only sets the short name.
 * Source: as nginx (ngx_setproctitle.c) and PostgreSQL (ps_status.c) do it on Linux.
 */
void title_init(int argc, char **argv);

/*
 * Names this process: "monasca-persister: NAME" for ps, and in 15 bytes (of a longer name the end
 * stays, which has the number) for top and the kernel's log.
 */
void title_set(const char *name);

#endif
