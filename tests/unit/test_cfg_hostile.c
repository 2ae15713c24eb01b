/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cfg_hostile.c - the configuration file as an enemy or an accident would write it.
 *
 * Process: the unit tests.  Owner: each test; files are in memory (memfd).  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/cfg_fixture.h"

TestSuite(cfg_hostile, .init = cfg_set_up, .fini = cfg_tear_down);

Test(cfg_hostile, hostile_files_are_refused_in_peace)
{
    static const char nul[] = "[influxdb]\nuser = a\0b\n", utf16[] = "\xff\xfe[\0a\0]\0\n\0";
    cr_expect_null(cfg_load_bytes(nul, sizeof(nul) - 1));
    cr_expect_not_null(strstr(cfg_error.text, ":2: a control character"), "%s", cfg_error.text);
    cr_expect_null(cfg_load_bytes(utf16, sizeof(utf16) - 1));
    enum { N = 5 << 20 };
    char *text = malloc(N);
    memset(text, '#', N);
    cr_expect_null(cfg_load_bytes(text, N));
    cr_expect_not_null(strstr(cfg_error.text, "too large"), "%s", cfg_error.text);
    memset(text, 'x', N);
    cr_expect_null(cfg_load_bytes(text, 1 << 20));
    memcpy(text, "[influxdb]\n", 11);
    text[1000] = '=';
    cr_expect_null(cfg_load_bytes(text, 1 << 20));
    cr_expect_not_null(strstr(cfg_error.text, ":2: [influxdb] xxx"), "%s", cfg_error.text);
    text[0] = '[';
    memset(text + 1, 'x', N - 1);
    text[2000] = ']';
    cr_expect_null(cfg_load_bytes(text, 2001));
    free(text);
}

Test(cfg_hostile, too_many_lines_are_refused_at_once)
{
    enum { N = 100 * 1000 };
    char *text = malloc(N);
    memset(text, '\n', N);
    cr_expect_null(cfg_load_bytes(text, N));
    cr_expect_not_null(strstr(cfg_error.text, ":20001: too many lines"), "%s", cfg_error.text);
    free(text);
}

/* References that double at every step must neither fill the memory nor take for ever. */
Test(cfg_hostile, references_that_multiply_end)
{
    static const char *const names[] = {"user", "password", "database_name", "ip_address",
                                        "ca_file"};
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_add_text(&text, "[influxdb]\n");
    for (size_t i = 0; i + 1 < COUNT_OF(names); i++) {
        buf_printf(&text, "%s = ", names[i]);
        for (int k = 0; k < 30; k++)
            buf_printf(&text, "$%s ", names[i + 1]);
        buf_add_char(&text, '\n');
    }
    cr_expect_null(cfg_load_bytes(text.data, text.size));
    cr_expect_not_null(strstr(cfg_error.text, "too many references"), "%s", cfg_error.text);
    buf_free(&text);
}

/* Bytes changed, removed and doubled: an answer each time, and whatever is accepted dumps well. */
Test(cfg_hostile, mutations_get_an_answer)
{
    static const char seed[] =
        "[influxdb]\nip_address = db\npassword = a$$b\nport = "
        "$kafka.num_processors\n[kafka]\nlibrdkafka.debug = \"x\"\n"
        "num_processors = 4\n# c\n[kafka_metrics]\nuri = a:1,\n  b:2\ntopic: ${client_id}m\n";
    static const char letters[] = "[]=:#;\n\r\t $\\\"'{}.a0\0\xff";
    uint64_t state = 1;
    unsigned accepted = 0;
    FILE *out = fopen("/dev/null", "w");
    cr_assert_not_null(out);
    for (int round = 0; round < 4000; round++) {
        char text[512];
        size_t n = sizeof(seed) - 1;
        memcpy(text, seed, n);
        for (int change = 0; change < 1 + round % 3; change++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            size_t at = (state >> 33) % n;
            if ((state >> 20) % 3 == 0)
                memmove(text + at, text + at + 1, --n - at);
            else
                text[at] = letters[(state >> 40) % (sizeof(letters) - 1)];
        }
        struct config *cfg = cfg_load_bytes(text, n);
        if (cfg != NULL) {
            cfg_dump(cfg, out);
            accepted++;
        }
        cfg_free(&cfg);
    }
    fclose(out);
    cr_expect_gt(accepted, 0u);
}
