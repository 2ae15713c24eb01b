/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload.h - a HUP on its way: the new configuration is read and checked while everything goes on,
 * then taken over as a whole or refused as a whole.
 *
 * The check runs in a child, since the libraries that look at their settings start threads.  A HUP
 * that comes meanwhile is remembered, and what the file says then is read afterwards; more than one
 * are as one.
 *
 * Process: master.  Owner: struct reload, in the master.  Concurrency: one thread.
 */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "lib/errbuf.h"
#include "master/spawn.h"

enum { RELOAD_CHECK_MS = 30000 };

/* What the wiring does. */
struct reload_ops {
    /* Reads the new configuration and begins its check. Returns: 0, or -1 with a text. */
    int (*begin)(void *arg, struct spawn_checking *checking, const int *fds, size_t n_fds,
                 struct errbuf *err);
    /* It is good: takes it over. Returns: 0, or -1 with a text: nothing has changed then. */
    int (*take)(void *arg, struct errbuf *err);
    /* It is not: forgets it. */
    void (*drop)(void *arg);
    void *arg;
};

enum reload_outcome {
    RELOAD_NONE,   /* there is none, or it is still being checked */
    RELOAD_TAKEN,  /* the configuration was taken over */
    RELOAD_REFUSED /* err says why */
};

struct reload {
    const struct reload_ops *ops; /* NULL: this program cannot */
    struct spawn_checking checking;
    int64_t until_ms; /* the check is killed then */
    bool again;       /* one more was asked for meanwhile */
    bool late;        /* the check was killed */
};

/* Takes: the operations, which outlive it; NULL for none. */
void reload_init(struct reload *reload, const struct reload_ops *ops);

/*
 * Somebody asks for it. Takes: descriptors to be closed in the child that checks; now.
 * Returns: RELOAD_NONE if it is on its way, RELOAD_REFUSED with a text.
 */
enum reload_outcome reload_ask(struct reload *reload, const int *fds, size_t n_fds, int64_t now_ms,
                               struct errbuf *err) MUST_CHECK;

/*
 * A child was reaped. Takes: its pid and status.
 * Returns: true if it was the check; *outcome then says how the reload ended.
 */
bool reload_note_end(struct reload *reload, pid_t pid, int status, enum reload_outcome *outcome,
                     struct errbuf *err) MUST_CHECK;

/* Returns: true, once, if one more was asked for while the last one was on its way. */
bool reload_take_again(struct reload *reload) MUST_CHECK;

/* A turn of the loop: ends a check that takes too long. */
void reload_turn(struct reload *reload, int64_t now_ms);

/* Returns: true while a configuration is being checked. */
bool reload_is_under_way(const struct reload *reload);

/* The program stops: nothing is taken over any more. */
void reload_stop(struct reload *reload);

#endif
