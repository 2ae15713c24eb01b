/* SPDX-License-Identifier: Apache-2.0 */
/* cfg_fixture.c - see cfg_fixture.h. */
#include "tests/unit/cfg_fixture.h"

#include <criterion/criterion.h>
#include <sys/mman.h>
#include <unistd.h>

struct buf cfg_notices;
struct errbuf cfg_error;

void
cfg_set_up(void)
{
    buf_init(&cfg_notices, 1 << 20);
    cfg_error.text[0] = '\0';
}

void
cfg_tear_down(void)
{
    buf_free(&cfg_notices);
}

void
cfg_take_notice(const char *text)
{
    buf_add_text(&cfg_notices, text);
    buf_add_char(&cfg_notices, '\n');
}

const char *
cfg_notice_text(void)
{
    buf_add_char(&cfg_notices, '\0');
    return cfg_notices.data;
}

struct config *
cfg_load_bytes(const char *bytes, size_t n)
{
    char path[64];
    int fd = memfd_create("cfg", MFD_CLOEXEC);
    cr_assert_neq(fd, -1);
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    cfg_error.text[0] = '\0';
    struct config *cfg = cfg_load(path, cfg_take_notice, &cfg_error);
    close(fd);
    cr_assert(cfg != NULL || cfg_error.text[0] != '\0', "an error has a text");
    return cfg;
}

struct config *
cfg_load_text(const char *text)
{
    return cfg_load_bytes(text, strlen(text));
}

struct config *
cfg_load_good(const char *text)
{
    struct config *cfg = cfg_load_text(text);
    cr_assert_not_null(cfg, "%s", cfg_error.text);
    return cfg;
}

char *
cfg_dump_text(const struct config *cfg)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    cfg_dump(cfg, f);
    fclose(f);
    return text;
}
