/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_notify.c - what systemd is told, read from a socket of our own.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/clock.h"
#include "master/notify.h"

static struct notify notify;
static int heard = -1;

static void
prepare(void)
{
    struct errbuf err;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/test_notify.%ld", (long)getpid());
    heard = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(heard, (struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    cr_assert_eq(notify_open(&notify, NULL, &err), 0);
}

static void
clean_up(void)
{
    unlink(getenv("NOTIFY_SOCKET"));
    close(heard);
}

TestSuite(notify, .init = prepare, .fini = clean_up, .timeout = 60);

/* Returns: the next word, or "" if nothing was said. */
static const char *
hear(void)
{
    static char text[512];
    ssize_t n = recv(heard, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void
become_ready(void)
{
    notify_ready(&notify);
    cr_assert_str_eq(hear(), "READY=1");
}

static void
expect_reloading(void)
{
    long long us = 0, before = clock_mono_ns() / 1000;
    notify_reloading(&notify);
    const char *text = hear();
    static const char begins[] = "RELOADING=1\nMONOTONIC_USEC=";
    cr_assert_eq(strncmp(text, begins, sizeof(begins) - 1), 0, "%s", text);
    us = strtoll(text + sizeof(begins) - 1, NULL, 10);
    cr_assert(us >= before && us <= clock_mono_ns() / 1000, "%s", text);
}

Test(notify, a_reload_before_ready_is_no_ready)
{
    notify_reloading(&notify);
    notify_reloaded(&notify);
    cr_assert_str_eq(hear(), "");
    become_ready();
    notify_reloaded(&notify);
    cr_assert_str_eq(hear(), "");
}

Test(notify, whoever_asks_during_a_reload_hears_of_it_and_one_ready_ends_all)
{
    become_ready();
    expect_reloading();
    expect_reloading();
    notify_reloaded(&notify);
    cr_assert_str_eq(hear(), "READY=1");
    notify_reloaded(&notify);
    cr_assert_str_eq(hear(), "");
}

Test(notify, nothing_is_ready_again_after_stopping)
{
    become_ready();
    expect_reloading();
    notify_stopping(&notify);
    cr_assert_str_eq(hear(), "STOPPING=1");
    notify_reloaded(&notify);
    cr_assert_str_eq(hear(), "");
}

Test(notify, a_status_is_told_once)
{
    notify_status(&notify, "%d of 2", 1);
    cr_assert_str_eq(hear(), "STATUS=1 of 2");
    notify_status(&notify, "%d of 2", 1);
    cr_assert_str_eq(hear(), "");
}

/* systemd does not read. Returns: how many words were put before it. */
static unsigned
fill_its_queue(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned n = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", getenv("NOTIFY_SOCKET"));
    while (sendto(fd, "x", 1, 0, (struct sockaddr *)&address, sizeof(address)) == 1)
        cr_assert_lt(++n, 100000u);
    close(fd);
    return n;
}

Test(notify, nobody_is_waited_for_and_what_is_owed_comes_in_order)
{
    unsigned n = fill_its_queue();
    notify_ready(&notify);
    notify_status(&notify, "old");
    notify_reloading(&notify);
    notify_reloaded(&notify);
    notify_reloading(&notify);
    notify_status(&notify, "new");
    notify_turn(&notify, 0);
    while (n-- > 0)
        cr_assert_str_eq(hear(), "x");
    cr_assert_str_eq(hear(), "");
    notify_turn(&notify, 0);
    cr_assert_str_eq(hear(), "READY=1");
    cr_assert_eq(strncmp(hear(), "RELOADING=1\n", 12), 0);
    cr_assert_str_eq(hear(), "STATUS=new");
    cr_assert_str_eq(hear(), "");
    notify_reloaded(&notify);
    cr_assert_str_eq(hear(), "READY=1");
    cr_assert_str_eq(hear(), "");
}

Test(notify, a_watchdog_is_told_again_if_it_was_not_heard)
{
    notify.watchdog_ms = 1000;
    unsigned n = fill_its_queue();
    notify_turn(&notify, 0);
    while (n-- > 0)
        cr_assert_str_eq(hear(), "x");
    cr_assert_str_eq(hear(), "");
    notify_turn(&notify, 1);
    cr_assert_str_eq(hear(), "WATCHDOG=1");
    notify_turn(&notify, 2);
    cr_assert_str_eq(hear(), "");
}
