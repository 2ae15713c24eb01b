/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_log.c - log lines cannot be forged, limits hold, the file can be reopened.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"

static char path[64];

static void
read_log(const char *file, char *text, size_t size)
{
    FILE *f = fopen(file, "r");
    cr_assert_not_null(f);
    size_t n = fread(text, 1, size - 1, f);
    text[n] = '\0';
    fclose(f);
}

static void
open_temporary(void)
{
    snprintf(path, sizeof(path), "/tmp/test_log.%ld", (long)getpid());
    struct errbuf err;
    struct log_options options = {.file = path, .level = LOG_LEVEL_INFO};
    cr_assert_eq(log_open(&options, &err), 0);
}

Test(log, writes_one_line_with_its_process_and_level)
{
    char text[4096];
    cr_assert(log_reaches_stderr(), "before anything is opened");
    open_temporary();
    cr_assert_not(log_reaches_stderr());
    log_set_process("metrics-0");
    log_warning("hello\nERROR: forged %d", 7);
    log_debug("not wanted");
    read_log(path, text, sizeof(text));
    cr_assert(strstr(text, "metrics-0[") != NULL, "%s", text);
    cr_assert(strstr(text, "WARNING: hello?ERROR: forged 7\n") != NULL, "%s", text);
    cr_assert_null(strstr(text, "not wanted"));
    unlink(path);
}

/* Standard error is a file that JOURNAL_STREAM names, as systemd would; the right one or another.
 */
static void
log_to_journal(bool right, char *text, size_t size)
{
    struct stat st;
    struct errbuf err;
    char stream[64];
    snprintf(path, sizeof(path), "/tmp/test_log.%ld", (long)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), stderr_was = dup(STDERR_FILENO);
    cr_assert_eq(fstat(fd, &st), 0);
    snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)st.st_dev,
             (unsigned long)st.st_ino + !right);
    setenv("JOURNAL_STREAM", stream, 1);
    cr_assert_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    log_set_process("master");
    log_error("one");
    log_notice("two");
    struct log_options options = {.file = "/dev/null", .stderr_too = true, .level = LOG_LEVEL_INFO};
    cr_assert_eq(log_open(&options, &err), 0);
    cr_assert(log_reaches_stderr());
    log_warning("three");
    dup2(stderr_was, STDERR_FILENO);
    read_log(path, text, size);
    unlink(path);
}

Test(log, has_its_priority_in_the_journal)
{
    char text[4096], expected[256];
    long pid = getpid();
    log_to_journal(true, text, sizeof(text));
    snprintf(
        expected, sizeof(expected),
        "<3>master[%ld] ERROR: one\n<5>master[%ld] NOTICE: two\n<4>master[%ld] WARNING: three\n",
        pid, pid, pid);
    cr_assert_str_eq(text, expected);
}

Test(log, has_its_time_where_it_is_not_the_journal)
{
    char text[4096];
    log_to_journal(false, text, sizeof(text));
    cr_assert(strncmp(text, "20", 2) == 0 && text[4] == '-', "%s", text);
    cr_assert_null(strchr(text, '<'));
}

Test(log, cuts_long_lines)
{
    char text[8192], long_text[5000];
    open_temporary();
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    log_error("%s", long_text);
    read_log(path, text, sizeof(text));
    cr_assert_lt(strlen(text), 2049u);
    cr_assert_eq(text[strlen(text) - 1], '\n');
    unlink(path);
}

Test(log, reopens_after_rotation)
{
    char moved[80], text[4096];
    struct errbuf err;
    open_temporary();
    snprintf(moved, sizeof(moved), "%s.1", path);
    cr_assert_eq(rename(path, moved), 0);
    log_notice("to the old");
    cr_assert_eq(log_reopen(&err), 0);
    log_notice("to the new");
    read_log(path, text, sizeof(text));
    cr_assert(strstr(text, "to the new") != NULL && strstr(text, "to the old") == NULL);
    read_log(moved, text, sizeof(text));
    cr_assert_not_null(strstr(text, "to the old"));
    unlink(path);
    unlink(moved);
}

/* Each line of the child goes where its parent has opened the log last, once it is told to look. */
static void
follow(int asks, int answers)
{
    struct errbuf err;
    char word;
    while (read(asks, &word, 1) == 1) {
        word = log_reopen(&err) == 0 ? 'y' : 'n';
        log_info("child");
        if (write(answers, &word, 1) != 1)
            _exit(1);
    }
    _exit(0);
}

static char
ask_child(const int *asks, const int *answers)
{
    char word = '?';
    cr_assert_eq(write(asks[1], "?", 1), 1);
    cr_assert_eq(read(answers[0], &word, 1), 1);
    return word;
}

Test(log, a_child_follows_its_parent_to_another_file_also_at_the_second_try, .timeout = 60)
{
    char directory[80], other[128], text[4096];
    struct errbuf err;
    int asks[2], answers[2];
    cr_assert_eq(log_share(&err), 0);
    open_temporary();
    snprintf(directory, sizeof(directory), "%s.d", path);
    snprintf(other, sizeof(other), "%s/other", directory);
    cr_assert_eq(mkdir(directory, 0700), 0);
    cr_assert(pipe(asks) == 0 && pipe(answers) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(asks[1]);
        follow(asks[0], answers[1]);
    }
    struct log_options options = {.file = other, .level = LOG_LEVEL_INFO};
    cr_assert_eq(log_open(&options, &err), 0);
    cr_assert(unlink(other) == 0 && rmdir(directory) == 0);
    cr_assert_eq(ask_child(asks, answers), 'n', "it cannot open what is not there");
    cr_assert_eq(mkdir(directory, 0700), 0);
    cr_assert_eq(ask_child(asks, answers), 'y');
    read_log(other, text, sizeof(text));
    cr_assert_not_null(strstr(text, "child"), "%s", text);
    options.level = LOG_LEVEL_WARNING;
    cr_assert_eq(log_open(&options, &err), 0);
    unlink(other);
    cr_assert_eq(ask_child(asks, answers), 'y');
    read_log(other, text, sizeof(text));
    cr_assert_str_eq(text, "", "the level, too, is followed");
    close(asks[1]);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_assert(unlink(other) == 0 && rmdir(directory) == 0);
    unlink(path);
}

Test(log, says_what_cannot_be_opened)
{
    struct errbuf err;
    struct log_options options = {.file = "/nonexistent/x.log"};
    cr_assert_eq(log_open(&options, &err), -1);
    cr_assert_not_null(strstr(err.text, "/nonexistent/x.log"));
    options = (struct log_options){.syslog = true, .facility = "LOG_NONSENSE"};
    cr_assert_eq(log_open(&options, &err), -1);
}

Test(log, limit_passes_a_burst_and_counts_the_rest)
{
    struct log_limit limit = {.burst = 2, .interval_ms = 1000};
    uint64_t held = 99;
    cr_assert(log_limit_pass(&limit, 0, &held));
    cr_assert_eq(held, 0u);
    cr_assert(log_limit_pass(&limit, 1, &held));
    for (int i = 0; i < 5; i++)
        cr_assert(!log_limit_pass(&limit, 2, &held));
    cr_assert(log_limit_pass(&limit, 1000, &held));
    cr_assert_eq(held, 5u);
}
