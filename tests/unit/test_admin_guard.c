/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_admin_guard.c - who is shut and when, with invented times and real sockets.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/guard.h"

enum { START = 500000 };

/* Returns: the far end; the near one is the guard's. */
static int
connect_one(struct guard *g, struct guard_seat **seat, int64_t now_ms)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    *seat = guard_enter(g, ends[0], now_ms);
    return ends[1];
}

/* Returns: whether the near end was shut. */
static bool
is_shut(int far)
{
    char c;
    return recv(far, &c, 1, 0) == 0;
}

Test(admin_guard, a_request_has_its_time_and_no_more)
{
    struct guard g;
    struct guard_seat *seat;
    guard_init(&g);
    cr_assert_eq(guard_turn(&g, START), -1);
    int far = connect_one(&g, &seat, START);
    cr_assert_eq(guard_turn(&g, START + 100), GUARD_REQUEST_MS - 100);
    cr_assert_not(is_shut(far));
    cr_assert_eq(guard_turn(&g, START + GUARD_REQUEST_MS), -1);
    cr_assert(is_shut(far));
    cr_assert_eq(g.expired, 1);
    guard_leave(&g, seat);
    cr_assert_eq(g.used, 0);
}

Test(admin_guard, each_request_begins_anew)
{
    struct guard g;
    struct guard_seat *seat;
    guard_init(&g);
    int far = connect_one(&g, &seat, START);
    for (int64_t at = START; at < START + 10 * GUARD_REQUEST_MS; at += GUARD_REQUEST_MS - 1) {
        cr_assert_eq(guard_turn(&g, at),
                     GUARD_REQUEST_MS - (at == START ? 0 : GUARD_REQUEST_MS - 1));
        guard_note_request(seat, at);
    }
    cr_assert_not(is_shut(far));
}

Test(admin_guard, when_room_is_short_the_slowest_go)
{
    struct guard g;
    struct guard_seat *seats[GUARD_CONNECTIONS];
    int fars[GUARD_CONNECTIONS];
    guard_init(&g);
    for (int i = 0; i < GUARD_CONNECTIONS; i++)
        fars[i] = connect_one(&g, &seats[i], START + i);
    struct guard_seat *none = guard_enter(&g, 0, START);
    cr_assert_null(none);
    guard_note_request(seats[0], START + 200); /* it was first, but has got somewhere */
    cr_assert_gt(guard_turn(&g, START + 200), 0);
    cr_assert_eq(g.evicted, 0, "nobody is shut before his patience is over");
    guard_turn(&g, START + 1000);
    cr_assert_eq(g.evicted, GUARD_RESERVE);
    cr_assert_not(is_shut(fars[0]));
    for (int i = 1; i < GUARD_CONNECTIONS; i++)
        cr_assert_eq(is_shut(fars[i]), i <= GUARD_RESERVE, "%d", i);
}
