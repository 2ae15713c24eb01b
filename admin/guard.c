/* SPDX-License-Identifier: Apache-2.0 */
/* guard.c - see guard.h. */
#include "admin/guard.h"

#include <sys/socket.h>

void
guard_init(struct guard *g)
{
    *g = (struct guard){.used = 0};
    for (size_t i = 0; i < GUARD_CONNECTIONS; i++)
        g->seats[i].fd = -1;
}

struct guard_seat *
guard_enter(struct guard *g, int fd, int64_t now_ms)
{
    for (size_t i = 0; i < GUARD_CONNECTIONS; i++) {
        if (g->seats[i].fd != -1)
            continue;
        g->seats[i] = (struct guard_seat){.fd = fd, .since_ms = now_ms};
        g->used++;
        return &g->seats[i];
    }
    return NULL;
}

void
guard_note_request(struct guard_seat *seat, int64_t now_ms)
{
    seat->since_ms = now_ms;
}

void
guard_leave(struct guard *g, struct guard_seat *seat)
{
    seat->fd = -1;
    g->used--;
}

static void
shut(struct guard_seat *seat, uint64_t *count)
{
    shutdown(seat->fd, SHUT_RDWR); /* fails if the client has gone: the same */
    seat->shut = true;
    ++*count;
}

static void
expire(struct guard *g, int64_t now_ms, int64_t *next_ms, unsigned *open)
{
    for (size_t i = 0; i < GUARD_CONNECTIONS; i++) {
        struct guard_seat *seat = &g->seats[i];
        if (seat->fd == -1 || seat->shut)
            continue;
        int64_t left_ms = seat->since_ms + GUARD_REQUEST_MS - now_ms;
        if (left_ms <= 0) {
            shut(seat, &g->expired);
            continue;
        }
        *next_ms = *next_ms == -1 || left_ms < *next_ms ? left_ms : *next_ms;
        ++*open;
    }
}

static struct guard_seat *
find_slowest(struct guard *g)
{
    struct guard_seat *slowest = NULL;
    for (size_t i = 0; i < GUARD_CONNECTIONS; i++) {
        struct guard_seat *seat = &g->seats[i];
        if (seat->fd != -1 && !seat->shut &&
            (slowest == NULL || seat->since_ms < slowest->since_ms))
            slowest = seat;
    }
    return slowest;
}

int64_t
guard_turn(struct guard *g, int64_t now_ms)
{
    int64_t next_ms = -1;
    unsigned open = 0;
    expire(g, now_ms, &next_ms, &open);
    for (; open > GUARD_CONNECTIONS - GUARD_RESERVE; open--) {
        struct guard_seat *slowest = find_slowest(g);
        int64_t left_ms = slowest->since_ms + GUARD_PATIENCE_MS - now_ms;
        if (left_ms > 0)
            return left_ms < next_ms ? left_ms : next_ms;
        shut(slowest, &g->evicted);
    }
    return next_ms;
}
