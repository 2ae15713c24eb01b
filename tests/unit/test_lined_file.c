/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_lined_file.c - the end of the last whole line, and whether a file is still that of its name.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: one thread.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/lined_file.h"

static char path[64], other[80];
static int fd;

static void
setup(void)
{
    snprintf(path, sizeof(path), "/tmp/test_lined_file.XXXXXX");
    fd = mkstemp(path);
    cr_assert_neq(fd, -1);
    snprintf(other, sizeof(other), "%s.other", path);
}

static void
teardown(void)
{
    close(fd);
    unlink(path);
    unlink(other);
}

static off_t
end_of(const char *bytes, size_t n)
{
    off_t end = -1;
    cr_assert_eq(ftruncate(fd, 0), 0);
    cr_assert_eq(pwrite(fd, bytes, n, 0), (ssize_t)n);
    cr_assert_eq(lined_file_find_end(fd, (off_t)n, &end), 0);
    return end;
}

Test(lined_file, finds_the_last_newline_wherever_it_is, .init = setup, .fini = teardown)
{
    static char bytes[20000];
    cr_assert_eq(end_of("", 0), 0);
    cr_assert_eq(end_of("\n", 1), 1);
    cr_assert_eq(end_of("torn", 4), 0);
    cr_assert_eq(end_of("a\nb\ntorn", 8), 4);
    for (size_t at = 0; at < sizeof(bytes); at += at % 4096 < 3 || at % 4096 > 4092 ? 1 : 7) {
        memset(bytes, 'x', sizeof(bytes));
        cr_assert_eq(end_of(bytes, sizeof(bytes)), 0);
        bytes[at] = '\n';
        bytes[at / 2] = '\n';
        cr_assert_eq(end_of(bytes, sizeof(bytes)), (off_t)at + 1, "%zu", at);
    }
}

Test(lined_file, looks_no_further_than_it_is_told_and_tells_what_is_missing, .init = setup,
     .fini = teardown)
{
    off_t end;
    end_of("a\nb\nc\n", 6);
    cr_assert_eq(lined_file_find_end(fd, 5, &end), 0);
    cr_assert_eq(end, 4);
    cr_assert_eq(lined_file_find_end(fd, 7, &end), -1);
    cr_assert_eq(errno, EIO);
    cr_assert_eq(lined_file_find_end(-1, 7, &end), -1);
    cr_assert_eq(errno, EBADF);
}

Test(lined_file, knows_a_file_that_was_renamed, .init = setup, .fini = teardown)
{
    cr_assert(lined_file_is_current(fd, path));
    cr_assert_eq(rename(path, other), 0);
    cr_assert_not(lined_file_is_current(fd, path), "gone");
    fclose(fopen(path, "w"));
    cr_assert_not(lined_file_is_current(fd, path), "another one");
    cr_assert(lined_file_is_current(fd, other));
    cr_assert_eq(lined_file_sync_directory(path), 0);
    cr_assert_eq(lined_file_sync_directory("/nonexistent/x"), -1);
    cr_assert_eq(errno, ENOENT);
}
