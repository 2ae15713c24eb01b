/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_base64.c - base64 both ways. The vectors are those of RFC 4648 section 10.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>

#include "lib/base64.h"

static const char *const vectors[][2] = {{"", ""},           {"f", "Zg=="},       {"fo", "Zm8="},
                                         {"foo", "Zm9v"},    {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
                                         {"foobar", "Zm9vYmFy"}, {"\xff\xfe\xfb", "//77"}};

Test(base64, of_the_rfc)
{
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct buf b;
        char back[16];
        size_t n;
        buf_init(&b, 1000);
        base64_add(&b, (struct slice){vectors[i][0], strlen(vectors[i][0])});
        cr_assert_eq(b.size, strlen(vectors[i][1]));
        cr_assert(b.size == 0 || memcmp(b.data, vectors[i][1], b.size) == 0, "%zu", i);
        cr_assert_eq(base64_decode((struct slice){vectors[i][1], strlen(vectors[i][1])}, back, &n), 0);
        cr_assert_eq(n, strlen(vectors[i][0]));
        cr_assert_eq(memcmp(back, vectors[i][0], n), 0);
        buf_free(&b);
    }
}

Test(base64, is_decoded_where_it_is)
{
    char text[] = "Zm9vYmE=";
    size_t n;
    cr_assert_eq(base64_decode((struct slice){text, 8}, text, &n), 0);
    cr_assert_eq(n, 5u);
    cr_assert_eq(memcmp(text, "fooba", 5), 0);
}

Test(base64, what_is_none_is_refused)
{
    static const char *const bad[] = {"Z",    "Zg",   "Zg=",  "Zg=a", "Z===", "====", "Zm9v\n",
                                      "Zh==", "Zm9=", "Zm-v", "Zg==Zg=="};
    char out[16];
    size_t n;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        cr_assert_eq(base64_decode((struct slice){bad[i], strlen(bad[i])}, out, &n), -1, "%s",
                     bad[i]);
}
