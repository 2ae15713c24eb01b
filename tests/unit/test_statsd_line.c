/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_statsd_line.c - lines in both dialects, packets, the operator's dimensions.
 *
 * That the real Monasca agent and a DogStatsD receiver read these lines as they are meant is shown
 * by tests/whole/test_statsd.py.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "statsd/statsd_dimensions.h"
#include "statsd/statsd_line.h"
#include "statsd/statsd_packet.h"

static struct buf out;

static void
set_up(void)
{
    buf_init(&out, 1 << 16);
}

static void
tear_down(void)
{
    buf_free(&out);
}

TestSuite(statsd_line, .init = set_up, .fini = tear_down);

static void
expect(const char *text)
{
    cr_assert(!out.failed);
    cr_assert(out.size == strlen(text) && memcmp(out.data, text, out.size) == 0,
              "is      %.*s\nshould be %s", (int)out.size, out.data, text);
    buf_clear(&out);
}

static const struct statsd_dimension two[] = {{"hostname", "h1"}, {"scope", "instance"}};
static const struct statsd_series_text text = {{"p.", 2}, {"#{'k': 'v'}", 11}};

Test(statsd_line, dimensions_are_a_dict_or_a_list)
{
    cr_assert(statsd_add_dimensions(&out, STATSD_MONASCA, two, 2));
    expect("#{'hostname': 'h1', 'scope': 'instance'}");
    cr_assert(statsd_add_dimensions(&out, STATSD_DOGSTATSD, two, 2));
    expect("#hostname:h1,scope:instance");
}

Test(statsd_line, what_receivers_do_not_take_is_replaced)
{
    static const struct statsd_dimension bad[] = {
        {"_k<>", "a'b\"c\\d,e=f;g&h|i{j}"}, {"", "\x01\x7f\nz"}, {"k k", "a:b#(c) d"}};
    cr_assert(!statsd_add_dimensions(&out, STATSD_MONASCA, bad, 3));
    expect("#{'xk__': 'a_b_c_d_e_f_g_h_i_j_', '_': '___z', 'k k': 'a:b#(c) d'}");
    cr_assert(!statsd_add_dimensions(&out, STATSD_DOGSTATSD, bad, 3));
    expect("#xk<>:a'b\"c\\d_e=f;g&h_i{j},_:___z,k k:a:b_(c) d");
}

Test(statsd_line, utf_8_stays_and_stray_bytes_do_not)
{
    static const struct statsd_dimension d[] = {{"stra\xc3\x9f"
                                                 "e",
                                                 "\xe2\x82\xac"}};
    static const struct statsd_dimension bad[] = {{"k", "a\xff\xe2\x82z"}};
    cr_assert(statsd_add_dimensions(&out, STATSD_MONASCA, d, 1));
    expect("#{'stra\xc3\x9f"
           "e': '\xe2\x82\xac'}");
    cr_assert(!statsd_add_dimensions(&out, STATSD_MONASCA, bad, 1));
    expect("#{'k': 'a___z'}");
}

Test(statsd_line, long_texts_are_cut_between_characters)
{
    char value[301] = "";
    memset(value, 'a', 254);
    memcpy(value + 254, "\xc3\x9f and more", 12);
    struct statsd_dimension d = {"k", value};
    cr_assert(!statsd_add_dimensions(&out, STATSD_DOGSTATSD, &d, 1));
    cr_assert_eq(out.size, strlen("#k:") + 254);
    value[255] = '\0';
    value[254] = 'b';
    buf_clear(&out);
    cr_assert(statsd_add_dimensions(&out, STATSD_DOGSTATSD, &d, 1));
    cr_assert_eq(out.size, strlen("#k:") + 255);
}

Test(statsd_line, names_take_less_than_values)
{
    cr_assert(statsd_add_name(&out, STATSD_MONASCA, "monasca.persister."));
    expect("monasca.persister.");
    cr_assert(statsd_add_name(&out, STATSD_MONASCA, ""));
    cr_assert_eq(out.size, 0u);
    cr_assert(!statsd_add_name(&out, STATSD_MONASCA, "a b:c|d(e)"));
    expect("a_b_c_d_e_");
    cr_assert(!statsd_add_name(&out, STATSD_DOGSTATSD, "a@b#c:d"));
    expect("a_b_c_d");
}

Test(statsd_line, counters_levels_and_seconds)
{
    statsd_add_counter(&out, &text, "requests.received", 0);
    expect("p.requests.received:0|c|#{'k': 'v'}");
    statsd_add_counter(&out, &text, "n", UINT64_MAX);
    expect("p.n:18446744073709551615|c|#{'k': 'v'}");
    statsd_add_gauge(&out, &text, "lag", 1203);
    expect("p.lag:1203|g|#{'k': 'v'}");
    statsd_add_seconds(&out, &text, "request_time", ".avg_sec", 0);
    expect("p.request_time.avg_sec:0.000000000|g|#{'k': 'v'}");
    statsd_add_seconds(&out, &text, "t", ".min_sec", 12000000034);
    expect("p.t.min_sec:12.000000034|g|#{'k': 'v'}");
}

/* --- the operator's dimensions --- */

Test(statsd_line, the_list_of_dimensions)
{
    struct statsd_dimensions d;
    cr_assert_eq(statsd_dimensions_parse(" region : east:1 ,, az:b , ", &d), 0);
    cr_assert_eq(d.n, 2u);
    cr_assert_str_eq(d.list[0].key, "region");
    cr_assert_str_eq(d.list[0].value, "east:1");
    cr_assert_str_eq(d.list[1].key, "az");
    cr_assert_str_eq(d.list[1].value, "b");
    statsd_dimensions_free(&d);
    cr_assert_eq(statsd_dimensions_parse("", &d), 0);
    cr_assert_eq(d.n, 0u);
    statsd_dimensions_free(&d);
}

/* --- packets --- */

static const struct statsd_claim nothing = {.count = 0};

static int
add(struct statsd_packets *p, const char *line)
{
    return statsd_packets_add(p, (struct slice){line, strlen(line)}, &nothing);
}

static void
expect_packet(const struct statsd_packets *p, size_t i, const char *wanted)
{
    struct slice s = statsd_packets_get(p, i);
    cr_assert(slice_equal(s, (struct slice){wanted, strlen(wanted)}), "packet %zu is %.*s", i,
              (int)s.n, s.p);
}

Test(statsd_packet, whole_lines_within_the_limit)
{
    struct statsd_packets p;
    statsd_packets_init(&p, 10);
    cr_assert_eq(add(&p, "aaaa"), 0);
    cr_assert_eq(add(&p, "bbbbb"), 0); /* 4 + 1 + 5 */
    cr_assert_eq(add(&p, "c"), 0);
    cr_assert_eq(add(&p, "0123456789"), 0);
    cr_assert_eq(add(&p, "0123456789x"), -1);
    cr_assert_eq(add(&p, "d"), 0);
    cr_assert_eq(p.n, 4u);
    expect_packet(&p, 0, "aaaa\nbbbbb");
    expect_packet(&p, 1, "c");
    expect_packet(&p, 2, "0123456789");
    expect_packet(&p, 3, "d");
    cr_assert_eq(p.n_lines, 5u);
    cr_assert_eq(p.n_refused, 1u);
    cr_assert(p.packets[0].first_line == 0 && p.packets[0].n_lines == 2);
    cr_assert(p.packets[3].first_line == 4 && p.packets[3].n_lines == 1);
    statsd_packets_clear(&p, 3);
    cr_assert_eq(p.n, 0u);
    cr_assert_eq(add(&p, "aaaa"), -1);
    cr_assert_eq(add(&p, "aaa"), 0);
    expect_packet(&p, 0, "aaa");
    statsd_packets_free(&p);
}

Test(statsd_packet, thousands_of_lines_stay_in_order)
{
    enum { LINES = 5000, LIMIT = 100 };
    struct statsd_packets p;
    size_t seen = 0;
    statsd_packets_init(&p, LIMIT);
    for (size_t i = 0; i < LINES; i++) {
        char line[16];
        struct statsd_claim claim = {.series = i, .count = i};
        snprintf(line, sizeof(line), "%zu", i);
        cr_assert_eq(statsd_packets_add(&p, (struct slice){line, strlen(line)}, &claim), 0);
    }
    for (size_t i = 0; i < p.n; i++) {
        struct slice s = statsd_packets_get(&p, i);
        cr_assert_leq(s.n, LIMIT);
        cr_assert_eq(p.packets[i].first_line, seen);
        for (size_t at = 0; at <= s.n; at++) {
            char line[16];
            snprintf(line, sizeof(line), "%zu", seen);
            cr_assert(s.n - at >= strlen(line) && memcmp(s.p + at, line, strlen(line)) == 0);
            cr_assert_eq(p.claims[seen].series, seen);
            at += strlen(line);
            cr_assert(at == s.n || s.p[at] == '\n');
            seen++;
        }
    }
    cr_assert_eq(seen, LINES);
    statsd_packets_free(&p);
}
