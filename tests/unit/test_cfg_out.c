/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cfg_out.c - the configuration as text: the dump and the sample.
 *
 * Process: the unit tests.  Owner: each test; files are in memory (memfd).  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/cfg_fixture.h"

TestSuite(cfg_out, .init = cfg_set_up, .fini = cfg_tear_down);

/* --- the dump and the sample --- */

Test(cfg_out, dump_masks_secrets)
{
    struct config *cfg =
        cfg_load_good(GOOD "password = geheim\n[postgresql]\nconninfo = password=geheim\n"
                           "[kafka]\nlibrdkafka.sasl.password = geheim\n"
                           "librdkafka.ssl.key.pem = geheim\nlibrdkafka.debug = offen\n");
    char *text = cfg_dump_text(cfg);
    cr_expect_null(strstr(text, "geheim"));
    cr_expect_not_null(strstr(text, "\npassword = ****\n"));
    cr_expect_not_null(strstr(text, "\nconninfo = ****\n"));
    cr_expect_not_null(strstr(text, "\nlibrdkafka.ssl.key.pem = ****\n"));
    cr_expect_not_null(strstr(text, "\nlibrdkafka.debug = offen\n"));
    free(text);
    cfg_free(&cfg);
}

Test(cfg_out, dump_reads_back_as_itself)
{
    static const char *const users[] = {
        "user = a$$b",     "user = \\\\$$$$$$",   "user = ' x'",      "user = \"'x'\"",
        "user = \"",       "user = \"\"\"\"",     "user = a\n  b,\n", "user = # ; = : %",
        "user = ${port}x", "user = $$$port \\$p", "user =",           "user = gr\xc3\xbc\xc3\x9f",
    };
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "[DEFAULT]\nlog_dir = rel\nlog_file = f\n[kafka]\nlibrdkafka.x = \" $y\"\n" GOOD
                 "%s\n",
                 users[i]);
        struct config *a = cfg_load_good(text);
        char *first = cfg_dump_text(a);
        struct config *b = cfg_load_good(first);
        char *second = cfg_dump_text(b);
        cr_expect_str_eq(first, second);
        cr_expect_str_eq(a->influxdb.user, b->influxdb.user, "%s", users[i]);
        cr_expect_str_eq(b->properties[0].value, " $y");
        cr_expect_str_eq(b->DEFAULT.log_file, "rel/f");
        free(first);
        free(second);
        cfg_free(&a);
        cfg_free(&b);
    }
}

static char *
sample(void)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    cfg_sample(f);
    fclose(f);
    return text;
}

Test(cfg_out, sample_file_is_the_sample)
{
    struct buf file;
    char chunk[4096], *text = sample();
    size_t n;
    buf_init(&file, 1 << 20);
    FILE *f = fopen(SRCDIR "/doc/monasca-persister.conf", "r");
    cr_assert_not_null(f);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(&file, chunk, n);
    fclose(f);
    cr_expect(file.size == strlen(text) && memcmp(file.data, text, file.size) == 0,
              "make it anew: monasca-persister --sample-config > doc/monasca-persister.conf");
    struct config *cfg =
        cfg_load(SRCDIR "/doc/monasca-persister.conf", cfg_take_notice, &cfg_error);
    cr_expect_not_null(cfg, "%s", cfg_error.text);
    cr_expect_eq(cfg_notices.size, 0u);
    cfg_free(&cfg);
    free(text);
    buf_free(&file);
}

/* Each "#option = default" line says what is so without it. */
Test(cfg_out, sample_shows_the_defaults)
{
    char *text = sample();
    struct config *plain = cfg_load_good(text);
    for (char *p = text; p != NULL && *p != '\0'; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (p[0] == '#' && p[1] != ' ')
            p[0] = strncmp(p, "#librdkafka.", 12) == 0 ? '#' : '\n';
    struct config *set = cfg_load_good(text);
    char *a = cfg_dump_text(plain), *b = cfg_dump_text(set);
    cr_expect_str_eq(a, b);
    free(a);
    free(b);
    free(text);
    cfg_free(&plain);
    cfg_free(&set);
}
