/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h - who has been connected for how long without getting anywhere.
 *
 * libmicrohttpd's timeout is one of inactivity, so a client that sends a byte now and then could
 * stay forever.  Here a connection has GUARD_REQUEST_MS from its start, or from the end of its last
 * request, to the end of the next one; and when too many are open, the one that has had its turn
 * for longest is shut, so that new clients get in during a flood of slow ones.  A connection is
 * shut with shutdown(2), which makes libmicrohttpd close it.
 *
 * Process: admin.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef ADMIN_GUARD_H
#define ADMIN_GUARD_H

#include "lib/base.h"

enum {
    GUARD_CONNECTIONS = 96,  /* open at a time */
    GUARD_RESERVE = 16,      /* of these are kept free by shutting the slowest */
    GUARD_REQUEST_MS = 7000, /* not a multiple of what scrapers take */
    GUARD_PATIENCE_MS = 250  /* nobody is shut earlier to make room */
};

struct guard_seat {
    int fd; /* -1: free */
    bool shut;
    int64_t since_ms; /* monotonic: connected, or its last request ended */
};

struct guard {
    struct guard_seat seats[GUARD_CONNECTIONS];
    unsigned used;
    uint64_t expired, evicted; /* shut for their time; to make room */
};

void guard_init(struct guard *g);

/* Takes: a connection's socket; now. Returns: its seat, or NULL if all are taken. */
struct guard_seat *guard_enter(struct guard *g, int fd, int64_t now_ms) MUST_CHECK;

/* A request has ended: the time begins anew. */
void guard_note_request(struct guard_seat *seat, int64_t now_ms);

/* The connection has ended. */
void guard_leave(struct guard *g, struct guard_seat *seat);

/*
 * Shuts those whose time is over, and if hardly any room is left the slowest of the rest.
 * Returns: ms until it should be asked again; -1 if nobody is connected.
 */
int64_t guard_turn(struct guard *g, int64_t now_ms);

#endif
