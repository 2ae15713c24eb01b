/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_lookup.c - names looked up in a child: found, not found, not in time.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none, but for the lookups' children.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/lookup.h"

static enum lookup_result
look_up(const char *host, struct lookup_address *found, struct errbuf *err)
{
    struct lookup l = {.running = false};
    enum lookup_result result = lookup_start(&l, host, 8125, 0, found, err);
    if (result != LOOKUP_WAITING)
        return result;
    for (unsigned i = 0; result == LOOKUP_WAITING && i < 3000; i++) {
        (void)poll(NULL, 0, 10);
        result = lookup_poll(&l, 0, found, err);
    }
    cr_assert(!l.running);
    cr_assert_gt(wait(NULL), 0);
    return result;
}

Test(lookup, addresses_need_no_child)
{
    struct lookup_address found;
    struct lookup l = {.running = false};
    struct errbuf err;
    char text[LOOKUP_TEXT_BYTES];
    cr_assert_eq(lookup_start(&l, "127.0.0.1", 8125, 0, &found, &err), LOOKUP_FOUND);
    cr_assert_str_eq(lookup_describe(&found, text), "127.0.0.1 port 8125");
    cr_assert_eq(lookup_start(&l, "::1", 99, 0, &found, &err), LOOKUP_FOUND);
    cr_assert_str_eq(lookup_describe(&found, text), "::1 port 99");
    cr_assert(!l.running);
}

Test(lookup, names_are_found_by_a_child)
{
    struct lookup_address found;
    struct errbuf err;
    char text[LOOKUP_TEXT_BYTES];
    cr_assert_eq(look_up("localhost", &found, &err), LOOKUP_FOUND, "%s", err.text);
    cr_assert_str_eq(lookup_describe(&found, text), "127.0.0.1 port 8125");
}

Test(lookup, a_name_that_is_none_says_why)
{
    struct lookup_address found;
    struct errbuf err = {.text = ""};
    cr_assert_eq(look_up("a..b", &found, &err), LOOKUP_FAILED);
    cr_assert_neq(err.text[0], '\0');
}

Test(lookup, a_child_that_takes_too_long_is_killed)
{
    struct lookup l = {.running = true, .until_ms = 1000};
    struct lookup_address found;
    struct errbuf err;
    int pipes[2], status;
    cr_assert_eq(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    l.fd = pipes[0];
    l.pid = fork();
    if (l.pid == 0) {
        pause();
        _exit(0);
    }
    pid_t child = l.pid;
    close(pipes[1]);
    cr_assert_eq(lookup_poll(&l, 999, &found, &err), LOOKUP_WAITING);
    cr_assert_eq(lookup_poll(&l, 1000, &found, &err), LOOKUP_FAILED);
    cr_assert_eq(wait(&status), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
