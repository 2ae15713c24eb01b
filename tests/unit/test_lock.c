/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_lock.c - one holder per name, gone with it; no help for those who would mislead us.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/directory.h"
#include "master/lock.h"

static char directory[64], file[128];

static void
make_directory(void)
{
    snprintf(directory, sizeof(directory), "/tmp/test_lock.XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(file, sizeof(file), "%s/one.lock", directory);
}

static void
remove_directory(void)
{
    unlink(file);
    rmdir(directory);
}

TestSuite(lock, .init = make_directory, .fini = remove_directory);

/* Returns: the exit code of a process that tries to take the lock: 0 if it could. */
static int
try_elsewhere(const char *instance, const char *expected)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct lock lock;
        struct errbuf err = {.text = ""};
        if (lock_acquire(directory, instance, &lock, &err) == 0)
            _exit(0);
        if (strstr(err.text, expected) == NULL)
            fprintf(stderr, "not expected: %s\n", err.text);
        _exit(strstr(err.text, expected) != NULL ? 1 : 2);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
acquire(struct lock *lock)
{
    struct errbuf err = {.text = ""};
    cr_assert_eq(lock_acquire(directory, "one", lock, &err), 0, "%s", err.text);
}

Test(lock, second_is_told_who_holds_it_and_since_when)
{
    struct lock lock;
    char expected[256];
    acquire(&lock);
    cr_assert_str_eq(lock.path, file);
    snprintf(expected, sizeof(expected),
             "instance 'one' runs already: %s is held by pid %ld, since 20", file, (long)getpid());
    cr_assert_eq(try_elsewhere("one", expected), 1);
    cr_assert_eq(try_elsewhere("two", ""), 0, "another name is another lock");
    lock_release(&lock);
    cr_assert_eq(try_elsewhere("one", ""), 0);
    snprintf(file, sizeof(file), "%s/two.lock", directory);
    unlink(file);
    snprintf(file, sizeof(file), "%s/one.lock", directory);
}

Test(lock, the_files_word_alone_holds_nothing)
{
    struct lock lock;
    FILE *f = fopen(file, "w");
    fprintf(f, "%ld 2026-01-01T00:00:00Z\n", (long)getppid());
    fclose(f);
    acquire(&lock);
}

Test(lock, dies_with_its_holder_and_not_with_its_children)
{
    int ready[2];
    pid_t pid, child = 0;
    cr_assert_eq(pipe(ready), 0);
    if ((pid = fork()) == 0) {
        struct lock lock;
        struct errbuf err;
        if (lock_acquire(directory, "one", &lock, &err) == -1)
            _exit(1);
        if ((child = fork()) == 0) {
            close(lock.fd); /* as spawn_fork does: must not let go of the parent's lock */
            child = getpid();
            if (write(ready[1], &child, sizeof(child)) == -1)
                _exit(1);
            for (;;)
                pause();
        }
        for (;;)
            pause();
    }
    cr_assert_eq(read(ready[0], &child, sizeof(child)), (ssize_t)sizeof(child));
    cr_assert_eq(try_elsewhere("one", "runs already"), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    cr_assert_eq(try_elsewhere("one", ""), 0, "the orphan does not hold it");
    kill(child, SIGKILL);
}

Test(lock, refuses_links_and_what_is_no_file)
{
    char other[128];
    struct stat st;
    snprintf(other, sizeof(other), "%s/other", directory);
    cr_assert_eq(symlink(other, file), 0);
    cr_assert_eq(try_elsewhere("one", "a symbolic link"), 1);
    cr_assert_eq(stat(other, &st), -1, "nothing was made through the link");
    unlink(file);
    fclose(fopen(other, "w"));
    cr_assert_eq(link(other, file), 0);
    cr_assert_eq(try_elsewhere("one", "not a regular file with one name"), 1);
    unlink(file);
    unlink(other);
    cr_assert_eq(mkfifo(file, 0600), 0);
    cr_assert_eq(try_elsewhere("one", "not a regular file with one name"), 1);
}

Test(lock, refuses_directories_that_others_can_change)
{
    char real[64];
    snprintf(real, sizeof(real), "%s", directory);
    cr_assert_eq(chmod(directory, 0777), 0);
    cr_assert_eq(try_elsewhere("one", "can be written by others"), 1);
    cr_assert_eq(chmod(directory, 0700), 0);
    snprintf(directory, sizeof(directory), "%s.link", real);
    cr_assert_eq(symlink(real, directory), 0);
    cr_assert_eq(try_elsewhere("one", "a symbolic link"), 1);
    unlink(directory);
    snprintf(directory, sizeof(directory), "%s", real);
}

/* The error names a directory, which does, whether the program makes it or somebody else. */
Test(lock, the_way_out_of_a_shared_directory)
{
    char outer[64], shown[192];
    snprintf(outer, sizeof(outer), "%s", directory);
    cr_assert_eq(chmod(directory, 0775), 0);
    snprintf(shown, sizeof(shown), "run_directory = %s/monasca-persister, which is made", outer);
    cr_assert_eq(try_elsewhere("one", shown), 1);
    snprintf(directory, sizeof(directory), "%s//", outer);
    cr_assert_eq(try_elsewhere("one", shown), 1);
    snprintf(directory, sizeof(directory), "%s/monasca-persister", outer);
    cr_assert_eq(try_elsewhere("one", ""), 0);
    snprintf(file, sizeof(file), "%s/one.lock", directory);
    unlink(file);
    cr_assert_eq(rmdir(directory), 0);
    cr_assert_eq(mkdir(directory, 0750), 0);
    cr_assert_eq(try_elsewhere("one", ""), 0);
    unlink(file);
    rmdir(directory);
    snprintf(directory, sizeof(directory), "%s", outer);
}

Test(lock, makes_a_directory_that_is_not_there)
{
    cr_assert_eq(rmdir(directory), 0);
    struct lock lock;
    acquire(&lock);
    struct stat st;
    cr_assert_eq(stat(directory, &st), 0);
    cr_assert_eq(st.st_mode & 022, 0);
}

/* Run as a user who owns nothing: root cannot test this on itself. */
Test(lock, refuses_another_users_directory)
{
    if (geteuid() != 0)
        cr_skip_test("needs root to become somebody else");
    cr_assert_eq(chmod(directory, 0755), 0);
    cr_assert_eq(chown(directory, 4711, 4711), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (setuid(4712) == -1)
            _exit(3);
        _exit(try_elsewhere("one", "it must be ours or root's"));
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    /* Root meets the user's lock instead of making one elsewhere, and does not lock the user out.
     */
    struct lock lock;
    struct stat st;
    acquire(&lock);
    cr_assert_eq(fstat(lock.fd, &st), 0);
    cr_assert_eq(st.st_uid, 4711u);
}

/* A machine of our own, where nothing can be made in /run. */
static void
hide_system(void)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNS) == -1 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
        mount("tmpfs", "/run", "tmpfs", MS_RDONLY, NULL) == -1 ||
        mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777") == -1)
        cr_skip_test("only root can have mounts of its own");
}

Test(lock, a_fallback_directory_that_somebody_has_made_for_root_is_refused)
{
    static const char squatted[] = "/dev/shm/monasca-persister-0";
    char path[128];
    struct errbuf err;
    hide_system();
    int fd = directory_open("", path, sizeof(path), &err);
    cr_assert_neq(fd, -1, "%s", err.text);
    cr_assert_str_eq(path, squatted);
    close(fd);
    cr_assert_eq(chown(squatted, 42424, 42424), 0);
    cr_assert_eq(directory_open("", path, sizeof(path), &err), -1);
    cr_assert_not_null(strstr(err.text, "belongs to user 42424"), "%s", err.text);
    fd = directory_open(squatted, path, sizeof(path), &err);
    cr_assert_neq(fd, -1, "one that is configured may be a service's: %s", err.text);
    close(fd);
}
