/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_buf.c - the bounded buffer: nothing beyond its maximum, nothing in part.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>

#include "lib/buf.h"
#include "lib/errbuf.h"
#include "conf/reject.h"

Test(buf, appends_and_grows)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 10000; i++)
        buf_printf(&b, "%04d ", i);
    cr_assert_eq(b.size, 50000u);
    cr_assert(!b.failed);
    cr_assert_eq(memcmp(b.data + 49995, "9999 ", 5), 0);
    buf_free(&b);
    cr_assert_null(b.data);
}

Test(buf, refuses_what_exceeds_its_maximum_whole)
{
    struct buf b;
    buf_init(&b, 10);
    buf_add_text(&b, "12345678");
    buf_add_text(&b, "abc");
    cr_assert(b.failed);
    cr_assert_eq(b.size, 8u);
    buf_add_text(&b, "ab");
    cr_assert_eq(b.size, 10u);
    cr_assert(b.failed, "a failure is remembered until the buffer is cut back");
    buf_truncate(&b, 8);
    cr_assert(!b.failed);
    buf_free(&b);
}

Test(errbuf, keeps_to_one_printable_line)
{
    struct errbuf err;
    cr_assert_eq(errbuf_set(&err, "bad %s", "a\nb\x01"), -1);
    cr_assert_str_eq(err.text, "bad a?b?");
    errbuf_prefix(&err, "file:%d", 7);
    cr_assert_str_eq(err.text, "file:7: bad a?b?");
    cr_assert_eq(errbuf_set(NULL, "x"), -1);
}

Test(reject, cuts_between_characters)
{
    struct reject why;
    char text[400];
    memset(text, 'x', sizeof(text));
    for (size_t at = 250; at < 256; at++) {
        memset(text, 'x', sizeof(text) - 1);
        memcpy(text + at, "\xf0\x9f\x98\x80", 4);
        text[sizeof(text) - 1] = '\0';
        reject_set(&why, REJECT_NOT_JSON, "%s", text);
        size_t n = strlen(why.detail);
        cr_assert_eq(n, at + 4 <= 255 ? 255u : at, "emoji at %zu: %zu bytes", at, n);
    }
    cr_assert_str_eq(reject_name(REJECT_NOT_JSON), "not_json");
}
