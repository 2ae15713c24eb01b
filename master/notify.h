/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - tells whoever started us how it goes: systemd by sd_notify(3), an init script by the
 * pid file.
 *
 * Without NOTIFY_SOCKET in the environment nothing is sent.  The pid file is written when we are
 * ready, not before, so that a script that waits for it knows that all workers take messages; it is
 * removed at the end.
 *
 * Nobody is waited for: what systemd does not take because its queue is full is owed, and tried
 * again each turn (sd_notify(3) itself would wait, and with it the master).
 *
 * Process: master; children inherit nothing but a path.  Owner: the caller of notify_open.
 * Concurrency: one thread.
 */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

#include "lib/base.h"
#include "lib/errbuf.h"

struct notify {
    const char *pid_file; /* NULL: none */
    bool written, told_ready, reloading;
    int64_t watchdog_ms; /* between two signs of life; 0: nobody watches */
    int64_t due_ms;
    char status[192];
    /* Not taken yet, in the order in which they are to be told. */
    bool owes_ready, owes_reloading, owes_reloaded, owes_stopping, owes_status;
    int64_t reloading_us; /* when the reload was asked for */
};

/*
 * Takes: the pid file's path, which outlives it, or NULL. An old file of that name is removed.
 * Returns: 0, or -1 with a text if that file cannot be made there.
 */
int notify_open(struct notify *notify, const char *pid_file, struct errbuf *err) MUST_CHECK;

/* All workers take messages: READY=1 if it was not said yet, and the pid file. */
void notify_ready(struct notify *notify);

/*
 * They do not yet, but whoever waits for READY=1 has waited long enough: no pid file.
 * Returns: true if it had not been said.
 */
bool notify_running(struct notify *notify);

/*
 * A reload is asked for: RELOADING=1, also if one is under way. The next notify_reloaded ends them
 * all: READY=1. Before the READY=1 of the start neither is said.
 */
void notify_reloading(struct notify *notify);
void notify_reloaded(struct notify *notify);

/* STOPPING=1. */
void notify_stopping(struct notify *notify);

/* STATUS=, if it is another text than before. */
void notify_status(struct notify *notify, const char *format, ...) PRINTF_LIKE(2, 3);

/* A turn of the loop: what is owed, and WATCHDOG=1 when it is due. Takes: now by clock_mono_ms. */
void notify_turn(struct notify *notify, int64_t now_ms);

/* Removes the pid file, if we have written it. */
void notify_close(struct notify *notify);

#endif
