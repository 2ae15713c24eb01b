/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_man_page.c - see man_page.h; and the lists of the configuration and of the reasons.
 *
 * Process: the unit tests.  Owner: a static buffer.  Concurrency: one thread.
 */
#include "tests/unit/man_page.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "conf/cfg.h"
#include "conf/reject.h"

const char *
man_page_find_list(const char *page, const char *name)
{
    static char text[1 << 17];
    char path[512], begin[64], end[64];
    snprintf(path, sizeof(path), SRCDIR "/doc/%s", page);
    snprintf(begin, sizeof(begin), ".\\\" %s: begin\n", name);
    snprintf(end, sizeof(end), ".\\\" %s: end\n", name);
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    char *from = strstr(text, begin), *to = strstr(text, end);
    if (from == NULL || to == NULL)
        return "";
    *to = '\0';
    return from + strlen(begin);
}

static void
check(const char *page, const char *name, void (*write)(struct buf *))
{
    struct buf out;
    buf_init(&out, 1 << 20);
    write(&out);
    buf_add_char(&out, '\0');
    cr_assert_not(out.failed);
    cr_expect_str_eq(man_page_find_list(page, name), out.data, "make it anew: doc/make-lists");
    buf_free(&out);
}

Test(man_page, has_the_options_of_now)
{
    check("monasca-persister.conf.5", "options", cfg_write_man);
}

Test(man_page, has_the_reasons_of_now)
{
    check("monasca-persister.8", "reasons", reject_write_man);
}
