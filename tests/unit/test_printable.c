/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_printable.c - text of others, made fit to be shown.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/errbuf.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/printable.h"
#include "conf/reject.h"

static void
expect(const char *text, const char *wanted)
{
    char copy[64];
    snprintf(copy, sizeof(copy), "%s", text);
    printable_clean(copy);
    cr_assert_str_eq(copy, wanted);
}

Test(printable, text_stays_as_it_is)
{
    expect("", "");
    expect("no route: \"x\" \\ ~", "no route: \"x\" \\ ~");
    expect("\xc2\xa0\xc3\xa4 \xe6\x97\xa5 \xf0\x9f\x98\x80",
           "\xc2\xa0\xc3\xa4 \xe6\x97\xa5 \xf0\x9f\x98\x80");
}

Test(printable, control_characters_of_one_byte_and_of_two)
{
    expect("a\x1b[1m\tb\n\x7f", "a?[1m?b??");
    expect("\xc2\x80\xc2\x9b"
           "1m\xc2\x9f",
           "??1m?");
}

Test(printable, what_turns_or_separates_lines)
{
    expect("a\xe2\x80\xa8"
           "b\xe2\x80\xa9"
           "c\xe2\x80\xae"
           "d\xe2\x81\xa6"
           "e\xe2\x81\xa9",
           "a?b?c?d?e?");
    expect("\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f", "???");
    expect("\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa",
           "\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa");
}

Test(printable, what_is_no_utf8)
{
    expect("\xff\xc3x\xe2\x82", "??x??");
    expect("\xed\xa0\x80\xc0\xaf", "?????");
}

Test(printable, every_pair_of_bytes_becomes_utf8)
{
    for (unsigned a = 1; a < 256; a++)
        for (unsigned b = 1; b < 256; b++) {
            char text[] = {(char)a, (char)b, (char)0xa8, '\0'};
            printable_clean(text);
            cr_assert(json_is_utf8(text, strlen(text)), "%02x %02x", a, b);
            cr_assert_leq(strlen(text), 3u);
        }
}

Test(printable, an_error_text_is)
{
    struct errbuf err;
    errbuf_set(&err, "server: %s",
               "\xc2\x9b"
               "31m\xff");
    cr_assert_str_eq(err.text, "server: ?31m?");
    errbuf_prefix(&err, "%s", "a\xe2\x80\xae");
    cr_assert_str_eq(err.text, "a?: server: ?31m?");
}

Test(printable, a_reason_is)
{
    struct reject why;
    reject_set(&why, REJECT_BAD_VALUE, "value: %s",
               "\xc2\x9b"
               "31m\xff\xe2\x80\xa8");
    cr_assert_str_eq(why.detail, "value: ?31m??");
}

Test(printable, a_line_of_the_log_is)
{
    char path[64], text[256];
    struct errbuf err;
    snprintf(path, sizeof(path), "/tmp/test_printable.%ld", (long)getpid());
    struct log_options options = {.file = path, .level = LOG_LEVEL_INFO};
    cr_assert_eq(log_open(&options, &err), 0);
    log_info("tenant: %s", "a\xc2\x9b"
                           "31m\xff\xe2\x80\xaeg\xc3\xbc\n");
    FILE *f = fopen(path, "r");
    unlink(path);
    cr_assert_not_null(fgets(text, sizeof(text), f));
    fclose(f);
    cr_assert_not_null(strstr(text, " INFO: tenant: a?31m??g\xc3\xbc?\n"), "%s", text);
}
