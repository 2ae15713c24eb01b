/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_log_sink.c - no line of the log is waited for: pipes, sockets, terminals, syslog and full
 * disks that take nothing; what was dropped is told when it flows again.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/log_sink.h"
#include "lib/log_syslog.h"

static char line[2000];

/* Writes until nothing more is taken. Returns: how many lines were. */
static unsigned
fill(struct log_sink sink)
{
    size_t done;
    unsigned n = 0;
    int why;
    memset(line, 'x', sizeof(line));
    while ((why = log_sink_write(sink, line, sizeof(line), &done)) == 0)
        cr_assert_lt(++n, 100000u);
    cr_assert_eq(why, EAGAIN, "%s", strerror(why));
    return n;
}

/* It is the description that others share: it must wait, as they expect. */
static void
check_is_blocking(int fd)
{
    cr_assert_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}

/* Nothing was torn: all that is in there is lines. Leaves room. */
static void
drain_pipe(int fd, unsigned lines)
{
    char *all = malloc(4 << 20);
    size_t n = 0;
    ssize_t m;
    cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    while ((m = read(fd, all + n, (4 << 20) - n)) > 0)
        n += (size_t)m;
    cr_assert_eq(n, lines * sizeof(line));
    free(all);
}

static void
check_pipe(const int *pipes, struct log_sink sink)
{
    size_t done;
    unsigned n = fill(sink);
    cr_assert_gt(n, 10u);
    check_is_blocking(pipes[1]);
    drain_pipe(pipes[0], n);
    cr_assert_eq(log_sink_write(sink, line, sizeof(line), &done), 0);
    cr_assert_eq(done, sizeof(line));
}

Test(log_sink, does_not_wait_for_a_pipe, .timeout = 60)
{
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    struct log_sink sink = log_sink_from(pipes[1]);
    cr_assert_eq(sink.kind, LOG_SINK_PLAIN);
    cr_assert_neq(sink.fd, pipes[1]);
    check_pipe(pipes, sink);
}

Test(log_sink, nor_for_one_that_it_may_not_open, .timeout = 60)
{
    int pipes[2], status;
    cr_assert_eq(pipe(pipes), 0);
    if (geteuid() != 0)
        cr_skip_test("only root can become somebody else");
    pid_t child = fork();
    if (child == 0) {
        if (setresuid(65534, 65534, 65534) == -1)
            _exit(3);
        struct log_sink sink = log_sink_from(pipes[1]);
        _exit(sink.kind == LOG_SINK_PIPE && fill(sink) > 10 ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    check_is_blocking(pipes[1]);
}

Test(log_sink, nor_where_the_kernel_has_no_nowait, .timeout = 60)
{
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    check_pipe(pipes, (struct log_sink){.kind = LOG_SINK_SPLICE, .fd = pipes[1]});
}

Test(log_sink, nor_for_a_socket, .timeout = 60)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        int fds[2];
        cr_assert_eq(socketpair(AF_UNIX, types[i], 0, fds), 0);
        struct log_sink sink = log_sink_from(fds[1]);
        cr_assert_eq(sink.kind, LOG_SINK_SOCKET);
        cr_assert_gt(fill(sink), 1u);
        check_is_blocking(fds[1]);
    }
}

Test(log_sink, nor_for_a_terminal, .timeout = 60)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master == -1 || grantpt(master) == -1 || unlockpt(master) == -1)
        cr_skip_test("no terminals here");
    int terminal = open(ptsname(master), O_WRONLY | O_NOCTTY);
    cr_assert_neq(terminal, -1);
    struct log_sink sink = log_sink_from(terminal);
    cr_assert_eq(sink.kind, LOG_SINK_PLAIN);
    cr_assert_gt(fill(sink), 1u);
    check_is_blocking(terminal);
}

Test(log_sink, knows_that_a_reader_has_gone)
{
    int pipes[2];
    size_t done;
    cr_assert_eq(pipe(pipes), 0);
    struct log_sink sink = log_sink_from(pipes[1]);
    close(pipes[0]);
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(log_sink_write(sink, "x\n", 2, &done), EPIPE);
}

/* --- the log over it --- */

static size_t
read_some(int fd, char *text, size_t size)
{
    size_t n = 0;
    ssize_t m;
    while (n < size - 1 && (m = read(fd, text + n, size - 1 - n)) > 0)
        n += (size_t)m;
    text[n] = '\0';
    return n;
}

Test(log_sink, what_a_stalled_reader_did_not_take_is_told_later, .timeout = 60)
{
    int pipes[2];
    static char text[1 << 20];
    cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
    cr_assert_eq(dup2(pipes[1], STDERR_FILENO), STDERR_FILENO);
    (void)fill(log_sink_from(pipes[1]));
    unsigned full = 0;
    for (int i = 0; i < 100;
         i++) /* a few may fit in: they are shorter than what it was filled with */
        log_warning("line %d", i);
    cr_assert_eq(fcntl(pipes[0], F_SETFL, O_NONBLOCK), 0);
    read_some(pipes[0], text, sizeof(text));
    for (const char *p = text; (p = strstr(p, ": line ")) != NULL; p++)
        full++;
    cr_assert_lt(full, 100u);
    log_warning("it flows");
    log_warning("and goes on");
    size_t n = read_some(pipes[0], text, sizeof(text));
    char expected[128];
    snprintf(expected, sizeof(expected),
             "WARNING: %u log lines before this one were dropped here: nobody took them\n",
             100 - full);
    char *told = strstr(text, expected);
    cr_assert_not_null(told, "%s", text);
    cr_assert_not_null(strstr(told, "WARNING: it flows\n"), "%s", text);
    cr_assert_null(strstr(told + 80, "dropped"), "once: %s", text);
    cr_assert_eq(text[n - 1], '\n');
}

static void
open_log(const char *path)
{
    struct errbuf err;
    struct log_options options = {.file = path, .level = LOG_LEVEL_INFO};
    cr_assert_eq(log_open(&options, &err), 0, "%s", err.text);
}

/* As after a reload: it was in a file before. */
Test(log_sink, standard_error_is_not_waited_for_after_a_file_either, .timeout = 60)
{
    int pipes[2];
    char path[64], text[4096];
    struct errbuf err;
    struct log_options options = {.level = LOG_LEVEL_INFO};
    cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
    cr_assert_eq(dup2(pipes[1], STDERR_FILENO), STDERR_FILENO);
    (void)fill(log_sink_from(pipes[1]));
    snprintf(path, sizeof(path), "/tmp/test_log_sink.%ld", (long)getpid());
    open_log(path);
    log_info("in the file");
    cr_assert_eq(log_open(&options, &err), 0, "%s", err.text);
    cr_assert(log_reaches_stderr());
    for (int i = 0; i < 100; i++)
        log_info("full");
    cr_assert_eq(fcntl(pipes[0], F_SETFL, O_NONBLOCK), 0);
    while (read(pipes[0], line, sizeof(line)) > 0)
        ;
    log_info("on standard error");
    read_some(pipes[0], text, sizeof(text));
    cr_assert_not_null(strstr(text, "on standard error"));
    int fd = open(path, O_RDONLY);
    unlink(path);
    read_some(fd, text, sizeof(text));
    cr_assert(strstr(text, "in the file") != NULL && strstr(text, "full") == NULL, "%s", text);
}

static void
limit_files(rlim_t bytes)
{
    struct rlimit r;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &r), 0);
    r.rlim_cur = bytes;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &r), 0);
}

Test(log_sink, a_file_at_its_limit_tears_no_line)
{
    char path[64], text[4096];
    unsigned dropped = 0;
    signal(SIGXFSZ, SIG_IGN);
    snprintf(path, sizeof(path), "/tmp/test_log_sink.%ld", (long)getpid());
    open_log(path);
    limit_files(200);
    for (int i = 0; i < 20; i++)
        log_warning("line %d", i);
    limit_files(RLIM_INFINITY);
    log_warning("room again");
    int fd = open(path, O_RDONLY);
    unlink(path);
    cr_assert_eq(read_some(fd, text, sizeof(text)) > 200, true);
    const char *told =
        strstr(text, " log lines before this one were dropped here: File too large\n");
    cr_assert_not_null(told, "%s", text);
    while (told > text && told[-1] != ' ')
        told--;
    dropped = (unsigned)strtoul(told, NULL, 10);
    for (const char *p = strstr(text, ": line "); p != NULL; p = strstr(p + 1, ": line "))
        dropped++;
    cr_assert(dropped == 20 || dropped == 21, "21 with the one that is torn: %s", text);
    cr_assert_not_null(strstr(text, " WARNING: room again\n"));
    for (const char *p = text; *p != '\0'; p = strchr(p, '\n') + 1)
        cr_assert(strncmp(p, "20", 2) == 0, "each line begins with its time: %s", text);
}

Test(log_sink, a_fifo_that_nobody_reads_is_refused, .timeout = 60)
{
    char path[64];
    struct errbuf err;
    snprintf(path, sizeof(path), "/tmp/test_log_sink.%ld", (long)getpid());
    cr_assert_eq(mkfifo(path, 0600), 0);
    struct log_options options = {.file = path, .level = LOG_LEVEL_INFO};
    cr_assert_eq(log_open(&options, &err), -1);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    cr_assert_eq(log_open(&options, &err), 0, "%s", err.text);
    for (int i = 0; i < 10000; i++)
        log_warning("more than there is room for");
    close(reader);
    unlink(path);
}

/* --- syslog --- */

static int
listen_at(const char *path, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    if (type == SOCK_STREAM)
        cr_assert_eq(listen(fd, 1), 0);
    return fd;
}

static void
check_message(const char *text, size_t n, const char *last)
{
    char expected[128];
    snprintf(expected, sizeof(expected), " monasca-persister[%ld]: metrics-0: %s", (long)getpid(),
             last);
    cr_assert(strncmp(text, "<28>", 4) == 0 && text[7] == ' ' && text[13] == ':', "%s", text);
    cr_assert_eq(n, 4 + strlen("Nov 27 11:22:33") + strlen(expected), "%s", text);
    cr_assert_not_null(strstr(text, expected), "%s", text);
}

Test(log_sink, nor_for_the_syslog_daemon, .timeout = 60)
{
    char path[64], text[4096];
    int why;
    const int priority = LOG_DAEMON | LOG_WARNING;
    snprintf(path, sizeof(path), "/tmp/test_log_sink.%ld", (long)getpid());
    why = log_syslog_send(path, priority, "metrics-0", "nobody");
    cr_assert(log_syslog_means_absent(why), "%s", strerror(why));
    int fd = listen_at(path, SOCK_DGRAM);
    cr_assert_eq(log_syslog_send(path, priority, "metrics-0", "hello"), 0);
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
    cr_assert_gt(n, 0);
    text[n] = '\0';
    check_message(text, (size_t)n, "hello");
    for (unsigned i = 0; (why = log_syslog_send(path, priority, "metrics-0", "more")) == 0; i++)
        cr_assert_lt(i, 100000u);
    cr_assert_eq(why, EAGAIN, "%s", strerror(why));
    cr_assert_not(log_syslog_means_absent(why));
    close(fd);
    why = log_syslog_send(path, priority, "metrics-0", "it has gone");
    cr_assert(log_syslog_means_absent(why), "%s", strerror(why));
    unlink(path);
}

Test(log_sink, a_syslog_daemon_may_want_a_stream, .timeout = 60)
{
    char path[64], text[4096];
    snprintf(path, sizeof(path), "/tmp/test_log_sink.%ld", (long)getpid());
    int fd = listen_at(path, SOCK_STREAM);
    cr_assert_eq(log_syslog_send(path, LOG_DAEMON | LOG_WARNING, "metrics-0", "hello"), 0);
    int client = accept(fd, NULL, NULL);
    size_t n = read_some(client, text, sizeof(text));
    check_message(text, n - 1, "hello");
    int why;
    for (unsigned i = 0; (why = log_syslog_send(path, LOG_USER, "metrics-0", "more")) == 0; i++)
        cr_assert_lt(i, 100000u);
    cr_assert_eq(why, EAGAIN, "%s", strerror(why));
    unlink(path);
}
