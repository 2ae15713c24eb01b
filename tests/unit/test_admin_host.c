/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_admin_host.c - which Host headers get an answer.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>

#include "admin/host.h"

static bool
ours(const char *header, const char *allowed)
{
    const struct host_names names = {
        .machine = "db7.example.com", .bind = "admin.internal", .allowed = allowed};
    return host_is_ours(&names, header);
}

Test(admin_host, addresses_localhost_and_the_machines_names)
{
    static const char *const good[] = {"127.0.0.1",
                                       "127.0.0.1:8091",
                                       "10.1.2.3:80",
                                       "[::1]",
                                       "[::1]:8091",
                                       "[fe80::1]",
                                       "localhost",
                                       "LocalHost:8091",
                                       "a.localhost",
                                       "localhost.",
                                       "db7",
                                       "DB7:8091",
                                       "db7.example.com",
                                       "db7.EXAMPLE.com.:1",
                                       "admin.internal",
                                       " 127.0.0.1 "};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        cr_assert(ours(good[i], ""), "%s", good[i]);
    cr_assert(ours(NULL, ""), "HTTP/1.0 needs none");
}

Test(admin_host, any_other_name_is_refused)
{
    static const char *const bad[] = {
        "evil.example",
        "evil.example:8091",
        "db7.evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil",
        "xlocalhost",
        "example.com",
        "db",
        "db77",
        "",
        ":8091",
        ".",
        ".localhost",
        "[evil.example]",
        "[",
        "127.0.0.1@evil.example",
        "admin.internal.uk",
        "1.2.3.4.5",
        "0x7f.1",
        "[::1].evil",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_not(ours(bad[i], ""), "%s", bad[i]);
}

Test(admin_host, those_that_are_listed)
{
    cr_assert(ours("persister.example.org:8091", "a, persister.example.org ,b"));
    cr_assert(ours("Persister.Example.org", "persister.example.org"));
    cr_assert_not(ours("persister.example.org.evil", "persister.example.org"));
    cr_assert(ours("a.b.example.org", ".example.org"));
    cr_assert_not(ours("example.org", ".example.org"));
    cr_assert_not(ours("evilexample.org", ".example.org"));
    cr_assert(ours("anything", "*"));
    cr_assert_not(ours("anything", ",,"));
    cr_assert_not(ours("", ",,"));
}

Test(admin_host, without_a_machines_name)
{
    const struct host_names names = {.machine = "", .bind = "", .allowed = ""};
    cr_assert_not(host_is_ours(&names, ""));
    cr_assert_not(host_is_ours(&names, "a"));
    cr_assert(host_is_ours(&names, "localhost"));
}
