/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_host.c - what can be a host.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "lib/host.h"

Test(host, addresses_and_names_are_good)
{
    static const char *const good[] = {"db",
                                       "localhost",
                                       "db-1.example.org",
                                       "db-1.example.org.",
                                       "under_score",
                                       "10.0.0.1",
                                       "127.1",
                                       "0.0.0.0",
                                       "::",
                                       "::1",
                                       "2001:db8::1",
                                       "fe80::1%eth0",
                                       "::ffff:10.0.0.1",
                                       "1and1.example",
                                       "gr\xc3\xbc\xc3\x9f.example"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        cr_expect_null(host_find_fault(good[i]), "%s %s", good[i], host_find_fault(good[i]));
}

Test(host, the_others_are_told_apart)
{
    static const struct {
        const char *text, *what;
    } bad[] = {
        {"", "is empty"},
        {"http://db:8086", "is a URL"},
        {"https://db", "is a URL"},
        {"//db", "is neither"},
        {"db/mon", "is neither"},
        {"db:8086", "has a port"},
        {"10.0.0.1:8086", "has a port"},
        {"[::1]", "has brackets"},
        {"[::1]:8086", "has brackets"},
        {"[::1", "has brackets"},
        {"a:b:c", "is no IPv6"},
        {"fe80::1%", "is no IPv6"},
        {"user@db", "has something before"},
        {"user:password@db:8086", "has something before"},
        {"a,b", "is neither"},
        {"*", "is neither"},
        {"10.0.0.1   # the database", "has a blank"},
        {"300.1.1.1", "is no IPv4"},
        {"1.2.3.4.5", "is no IPv4"},
        {"a..b", "has an empty part"},
        {".a", "has an empty part"},
    };
    char name[300];
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        const char *what = host_find_fault(bad[i].text);
        cr_expect(what != NULL && strncmp(what, bad[i].what, strlen(bad[i].what)) == 0, "%s: %s",
                  bad[i].text, what);
    }
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    cr_expect_not_null(host_find_fault(name));
}

Test(host, brokers_have_ports_and_protocols)
{
    static const char *const good[] = {"kafka",
                                       "kafka:9092",
                                       "10.0.0.1:9092",
                                       "[::1]:9092",
                                       "[::1]",
                                       "2001:db8::1",
                                       "PLAINTEXT://kafka:9092",
                                       "sasl_ssl://kafka:9092",
                                       "kafka:9092/"};
    static const char *const bad[] = {"http://kafka:9092", "tcp://kafka",  "kafka:",
                                      "kafka:x",           "kafka:0",      "kafka:65536",
                                      ":9092",             "kafka:9092:1", "[::1]:",
                                      "ka fka:1",          "[kafka"};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        cr_expect_null(host_find_broker_fault(good[i]), "%s %s", good[i],
                       host_find_broker_fault(good[i]));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_expect_not_null(host_find_broker_fault(bad[i]), "%s", bad[i]);
}

Test(host, brackets_are_stripped)
{
    static const char *const pairs[][2] = {
        {"[::1]", "::1"}, {"[]", ""}, {"[", "["}, {"[::1", "[::1"}, {"a", "a"}, {"", ""}};
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        char text[16];
        snprintf(text, sizeof(text), "%s", pairs[i][0]);
        host_strip_brackets(text);
        cr_expect_str_eq(text, pairs[i][1]);
    }
}
