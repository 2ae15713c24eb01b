/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_dead_tool_files.c - persister-dead's files: a dead letter file that a worker appends to and
 * rotates meanwhile, and the journal of what was replayed.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: some tests fork a writer.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dead/from_file.h"
#include "dead/journal.h"
#include "worker/dead_file.h"

static char directory[64], path[80], state[96];

static void
setup(void)
{
    snprintf(directory, sizeof(directory), "/tmp/test_dead_tool.XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/dead.jsonl", directory);
    snprintf(state, sizeof(state), "%s.replayed", path);
}

static void
teardown(void)
{
    for (int i = 0; i < 3000; i++) {
        char name[96];
        snprintf(name, sizeof(name), i == 0 ? "%s" : "%s.%d", path, i);
        if (unlink(name) == -1 && i > 20)
            break;
    }
    unlink(state);
    cr_expect_eq(rmdir(directory), 0);
}

static void
put(const char *name, const char *suffix, const char *text)
{
    char whole[128];
    snprintf(whole, sizeof(whole), "%s%s", name, suffix);
    FILE *f = fopen(whole, "a");
    cr_assert_not_null(f);
    cr_assert_geq(fputs(text, f), 0);
    cr_assert_eq(fclose(f), 0);
}

struct taken {
    char text[4096];
    size_t lines, faults;
};

static int
take(void *arg, const struct line *line, struct errbuf *err)
{
    struct taken *t = arg;
    size_t n = strlen(t->text);
    (void)err;
    t->lines++;
    t->faults += line->fault != NULL;
    snprintf(t->text + n, sizeof(t->text) - n, "%s:%lld=%.*s;", strrchr(line->where, '/') + 1,
             (long long)line->number, (int)(line->text.n < 100 ? line->text.n : 100),
             line->text.p == NULL ? "" : line->text.p);
    return 0;
}

Test(dead_from_file, reads_the_oldest_first_and_twice_the_same, .init = setup, .fini = teardown)
{
    struct errbuf err;
    put(path, "", "new\nnewer\ntor");
    put(path, ".1", "middle\n");
    put(path, ".10", "old\n\n");
    put(path, ".2", "older\n");
    put(path, ".02", "not ours\n");
    put(path, ".x", "not ours\n");
    put(path, ".replayed", "not ours\n");
    struct from_file *f = from_file_open(path, &err);
    cr_assert_not_null(f, "%s", err.text);
    put(path, "", "n line that was written later\n");
    for (int turn = 0; turn < 2; turn++) {
        struct taken t = {.lines = 0};
        cr_assert_eq(from_file_each(f, 1000, take, &t, &err), 0, "%s", err.text);
        cr_assert_str_eq(t.text, "dead.jsonl.10:1=old;dead.jsonl.10:2=;dead.jsonl.2:1=older;"
                                 "dead.jsonl.1:1=middle;dead.jsonl:1=new;dead.jsonl:2=newer;");
        cr_assert_eq(from_file_torn_bytes(f), 3);
    }
    cr_assert_eq(from_file_count(f), 4u);
    from_file_free(&f);
    cr_assert_null(f);
    for (size_t i = 0; i < 2; i++) {
        char name[96];
        snprintf(name, sizeof(name), "%s.%s", path, i == 0 ? "02" : "x");
        unlink(name);
    }
}

Test(dead_from_file, lets_huge_lines_pass, .init = setup, .fini = teardown)
{
    struct errbuf err;
    struct taken t = {.lines = 0};
    char *huge = malloc(1000001);
    memset(huge, 'x', 1000000);
    huge[1000000] = '\0';
    put(path, "", "one\n");
    put(path, "", huge);
    put(path, "", "\ntwo\n");
    put(path, "", huge);
    struct from_file *f = from_file_open(path, &err);
    cr_assert_eq(from_file_each(f, 100, take, &t, &err), 0);
    cr_assert_str_eq(t.text, "dead.jsonl:1=one;dead.jsonl:2=;dead.jsonl:3=two;");
    cr_assert_eq(t.faults, 1u);
    t = (struct taken){.lines = 0};
    cr_assert_eq(from_file_each(f, 1000000, take, &t, &err), 0);
    cr_assert_eq(t.faults, 0u);
    cr_assert_eq(t.lines, 3u);
    from_file_free(&f);
    free(huge);
}

Test(dead_from_file, no_file_is_an_empty_set_and_a_directory_is_an_error, .init = setup,
     .fini = teardown)
{
    struct errbuf err;
    struct from_file *f = from_file_open(path, &err);
    cr_assert_not_null(f);
    cr_assert_eq(from_file_count(f), 0u);
    from_file_free(&f);
    cr_assert_null(from_file_open(directory, &err));
    cr_assert_not_null(strstr(err.text, ": not a regular file"), "%s", err.text);
    cr_assert_null(from_file_open("/nonexistent/dead.jsonl", &err));
}

/* What is longer than what is read at once, as a letter may be. */
static void
put_long(char c, size_t n, const char *end)
{
    char *text = malloc(n + 1);
    memset(text, c, n);
    text[n] = '\0';
    put(path, "", text);
    put(path, "", end);
    free(text);
}

struct rewriting {
    size_t whole, mixed, faults;
    off_t keep;       /* after the first line was read so much stays, */
    const char *then; /* and these lines follow; NULL: nothing happens */
};

static int
take_and_rewrite(void *arg, const struct line *line, struct errbuf *err)
{
    struct rewriting *w = arg;
    (void)err;
    w->faults += line->fault != NULL;
    if (line->fault == NULL) {
        bool same = memchr(line->text.p, line->text.p[0] == 'a' ? 'b' : 'a', line->text.n) == NULL;
        w->whole += same;
        w->mixed += !same;
    }
    if (w->then != NULL) {
        cr_assert_eq(truncate(path, w->keep), 0);
        for (const char *c = w->then; *c != '\0'; c++)
            put_long(*c, 250000, "\n");
        w->then = NULL;
    }
    return 0;
}

/* keep = 0: the persister empties the file and fills it anew while it is read. */
Test(dead_from_file, an_emptied_file_makes_no_letter_of_two_halves, .init = setup, .fini = teardown)
{
    struct errbuf err;
    static const char *const fillings[] = {"", "b", "bb", "bbbbb"};
    for (size_t i = 0; i < sizeof(fillings) / sizeof(fillings[0]); i++) {
        struct rewriting w = {.then = fillings[i]};
        unlink(path);
        for (int n = 0; n < 3; n++)
            put_long('a', 300000, "\n");
        struct from_file *f = from_file_open(path, &err);
        cr_assert_not_null(f, "%s", err.text);
        cr_assert_eq(from_file_each(f, 1000000, take_and_rewrite, &w, &err), 0, "%s", err.text);
        cr_assert_eq(w.mixed, 0u, "%s", fillings[i]);
        cr_assert_eq(w.whole, 1u);
        cr_assert_eq(w.faults, 1u, "it is said");
        from_file_free(&f);
    }
}

/* The writer cuts off what is torn, and goes on there. */
Test(dead_from_file, a_torn_line_is_no_beginning_of_another, .init = setup, .fini = teardown)
{
    struct errbuf err;
    struct rewriting w = {.keep = 300001, .then = "b"};
    put_long('a', 300000, "\n");
    put_long('a', 300000, "");
    struct from_file *f = from_file_open(path, &err);
    cr_assert_not_null(f, "%s", err.text);
    cr_assert_eq(from_file_torn_bytes(f), 300000);
    cr_assert_eq(from_file_each(f, 1000000, take_and_rewrite, &w, &err), 0, "%s", err.text);
    cr_assert_eq(w.whole, 1u);
    cr_assert_eq(w.faults + w.mixed, 0u);
    from_file_free(&f);
}

Test(dead_from_file, a_fifo_among_the_rotated_does_not_stop_it, .init = setup, .fini = teardown,
     .timeout = 60)
{
    struct errbuf err;
    char name[96];
    snprintf(name, sizeof(name), "%s.7", path);
    cr_assert_eq(mkfifo(name, 0600), 0);
    cr_assert_null(from_file_open(path, &err));
    cr_assert_not_null(strstr(err.text, "dead.jsonl.7: not a regular file"), "%s", err.text);
}

/* Holds the file's lock in the middle of a line, says so, and ends the line a moment later. */
static void
write_slowly(int said)
{
    int fd = open(path, O_WRONLY | O_APPEND);
    if (fd == -1 || flock(fd, LOCK_EX) == -1 || write(fd, "half", 4) != 4 ||
        write(said, "", 1) != 1)
        _exit(1);
    usleep(200000);
    _exit(write(fd, " a line\n", 8) == 8 ? 0 : 1);
}

Test(dead_from_file, waits_for_a_writer_in_the_middle_of_a_line, .init = setup, .fini = teardown)
{
    struct errbuf err;
    struct taken t = {.lines = 0};
    int said[2], status;
    char byte;
    put(path, "", "one\n");
    cr_assert_eq(pipe(said), 0);
    pid_t pid = fork();
    if (pid == 0)
        write_slowly(said[1]);
    cr_assert_eq(read(said[0], &byte, 1), 1);
    struct from_file *f = from_file_open(path, &err);
    cr_assert_not_null(f, "%s", err.text);
    cr_assert_eq(from_file_each(f, 1000, take, &t, &err), 0);
    cr_assert_str_eq(t.text, "dead.jsonl:1=one;dead.jsonl:2=half a line;");
    cr_assert_eq(from_file_torn_bytes(f), 0);
    from_file_free(&f);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
}

enum { LETTERS = 800 };

static void
write_letters(void)
{
    struct errbuf err;
    struct dead_file *file = dead_file_new(path, 4000, 100000);
    for (int i = 0; i < LETTERS; i++) {
        char line[64];
        snprintf(line, sizeof(line), "%d%*s\n", i, 1 + i % 40, "x");
        while (dead_file_try_begin(file, &err) == 0)
            usleep(100);
        if (dead_file_append(file, line, strlen(line), &err) == -1 ||
            dead_file_commit(file, &err) == -1)
            _exit(1);
        usleep(500); /* a worker consumes a batch meanwhile */
    }
    _exit(0);
}

static int
take_number(void *arg, const struct line *line, struct errbuf *err)
{
    int *next = arg;
    char text[64];
    (void)err;
    snprintf(text, sizeof(text), "%.*s", (int)line->text.n, line->text.p);
    cr_assert_eq((int)strtol(text, NULL, 10), *next, "%s:%lld", line->where,
                 (long long)line->number);
    cr_assert_eq(text[line->text.n - 1], 'x', "whole");
    ++*next;
    return 0;
}

/* Whenever it looks it sees the lines 0 to N, each once and whole, though they move. */
Test(dead_from_file, sees_a_whole_set_while_the_worker_appends_and_rotates, .init = setup,
     .fini = teardown)
{
    struct errbuf err;
    int status, seen = 0, looks = 0, partly = 0;
    put(path, "", "");
    pid_t pid = fork();
    if (pid == 0)
        write_letters();
    while (seen < LETTERS) {
        int next = 0;
        bool ended = waitpid(pid, &status, WNOHANG) == pid;
        struct from_file *f = from_file_open(path, &err);
        cr_assert_not_null(f, "%s", err.text);
        cr_assert_eq(from_file_each(f, 1000, take_number, &next, &err), 0);
        cr_assert_eq(from_file_torn_bytes(f), 0);
        cr_assert_geq(next, seen);
        partly += next > 0 && next < LETTERS && from_file_count(f) > 1;
        seen = next;
        looks++;
        from_file_free(&f);
        cr_assert(!ended || seen == LETTERS, "%d", seen);
    }
    cr_assert_gt(partly, 0, "%d looks", looks);
}

/* --- the journal --- */

static struct letter_id
make_id(int64_t offset)
{
    return letter_make_id(SLICE("m"), 0, offset, SLICE("p"));
}

static struct journal *
note(struct journal *j, int64_t from, int64_t to)
{
    struct errbuf err;
    for (int64_t i = from; i < to; i++)
        journal_add(j, SLICE("m"), 0, i, make_id(i), "to", 1790000000000);
    cr_assert_eq(journal_write(j, &err), 0, "%s", err.text);
    cr_assert_eq(journal_sync(j, &err), 0, "%s", err.text);
    return j;
}

Test(dead_journal, keeps_what_was_noted_and_mends_what_was_torn, .init = setup, .fini = teardown)
{
    struct errbuf err;
    struct idset set = {.n = 0};
    size_t broken = 99;
    cr_assert_eq(journal_load(state, &set, &broken, &err), 0);
    cr_assert_eq(set.n + broken, 0u);
    struct journal *j = note(journal_open(state, getuid(), getgid(), &err), 0, 10);
    journal_close(&j);
    put(state, "", "{\"topic\":\"m\",\"partition\":0,\"off");
    cr_assert_eq(journal_load(state, &set, &broken, &err), 0);
    cr_assert_eq(set.n, 10u);
    cr_assert_eq(broken, 0u);
    j = note(journal_open(state, getuid(), getgid(), &err), 10, 12);
    journal_close(&j);
    put(state, "", "nonsense\n{\"id\":\"12\"}\n{\"topic\":1}\n");
    idset_free(&set);
    cr_assert_eq(journal_load(state, &set, &broken, &err), 0);
    cr_assert_eq(set.n, 12u);
    cr_assert_eq(broken, 3u);
    cr_assert(idset_has(&set, make_id(11)));
    cr_assert_not(idset_has(&set, make_id(12)));
    idset_free(&set);
}

Test(dead_journal, one_process_writes, .init = setup, .fini = teardown)
{
    struct errbuf err;
    struct journal *j = journal_open(state, getuid(), getgid(), &err);
    cr_assert_not_null(j);
    cr_assert_null(journal_open(state, getuid(), getgid(), &err));
    cr_assert_not_null(strstr(err.text, "another replay"), "%s", err.text);
    journal_close(&j);
    j = journal_open(state, getuid(), getgid(), &err);
    cr_assert_not_null(j);
    journal_close(&j);
    cr_assert_null(journal_open("/nonexistent/x", 0, 0, &err));
}

Test(dead_journal, forgets_letters_that_are_gone, .init = setup, .fini = teardown)
{
    struct errbuf err;
    struct idset present = {.n = 0}, left = {.n = 0};
    size_t dropped, broken;
    struct journal *j = note(journal_open(state, getuid(), getgid(), &err), 0, 100);
    cr_assert_eq(chmod(state, 0600), 0);
    for (int64_t i = 90; i < 110; i++)
        cr_assert_eq(idset_add(&present, make_id(i)), 1);
    cr_assert_eq(journal_compact(j, &present, &dropped, &err), 0, "%s", err.text);
    cr_assert_eq(dropped, 90u);
    journal_close(&j);
    cr_assert_eq(journal_load(state, &left, &broken, &err), 0);
    cr_assert_eq(left.n, 10u);
    cr_assert(idset_has(&left, make_id(99)));
    struct stat st;
    cr_assert_eq(stat(state, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600u);
    idset_free(&present);
    idset_free(&left);
}

/* What has no end, or no writer, would be read for ever. */
Test(dead_journal, is_a_regular_file, .init = setup, .fini = teardown, .timeout = 60)
{
    struct errbuf err;
    struct idset set = {.n = 0};
    size_t broken;
    cr_assert_eq(mkfifo(state, 0600), 0);
    const char *const wrong[] = {state, "/dev/full", "/dev/zero", directory};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *why = wrong[i] == directory ? ": Is a directory" : ": not a regular file";
        cr_assert_eq(journal_load(wrong[i], &set, &broken, &err), -1, "%s", wrong[i]);
        cr_assert_not_null(strstr(err.text, why), "%s", err.text);
        cr_assert_null(journal_open(wrong[i], getuid(), getgid(), &err), "%s", wrong[i]);
        cr_assert_not_null(strstr(err.text, wrong[i]), "%s", err.text);
    }
}

/* A full disk: nothing is lost, and no line is cut in two, once there is room again. */
Test(dead_journal, what_could_not_be_written_is_written_later, .init = setup, .fini = teardown)
{
    struct errbuf err;
    struct idset set = {.n = 0};
    size_t broken;
    struct rlimit old, small;
    struct journal *j = note(journal_open(state, getuid(), getgid(), &err), 0, 10);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = 1500, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int64_t i = 10; i < 20; i++)
        journal_add(j, SLICE("m"), 0, i, make_id(i), "to", 1790000000000);
    int result = journal_write(j, &err);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    cr_assert_eq(result, -1);
    cr_assert_not_null(strstr(err.text, "cannot write to"), "%s", err.text);
    j = note(j, 20, 21);
    cr_assert_eq(journal_load(state, &set, &broken, &err), 0);
    cr_assert_eq(set.n, 21u);
    cr_assert_eq(broken, 0u);
    idset_free(&set);
    journal_close(&j);
}

Test(dead_journal, made_by_root_it_is_the_letters_owners, .init = setup, .fini = teardown)
{
    struct errbuf err;
    struct stat st;
    if (geteuid() != 0)
        cr_skip("only root can give files away");
    struct journal *j = note(journal_open(state, 65534, 65533, &err), 0, 1);
    journal_close(&j);
    cr_assert_eq(stat(state, &st), 0);
    cr_assert_eq(st.st_uid, 65534u);
    cr_assert_eq(st.st_gid, 65533u);
    cr_assert_eq(st.st_mode & 0777, 0640u);
    j = note(journal_open(state, 0, 0, &err), 1, 2);
    cr_assert_eq(stat(state, &st), 0);
    cr_assert_eq(st.st_uid, 65534u, "one that is there stays whose it is");
    struct idset present = {.n = 0};
    size_t dropped;
    cr_assert_eq(journal_compact(j, &present, &dropped, &err), 0, "%s", err.text);
    journal_close(&j);
    cr_assert_eq(stat(state, &st), 0);
    cr_assert_eq(st.st_uid, 65534u);
    cr_assert_eq(st.st_gid, 65533u);
}
