/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_segment_file.c - the segment as a file: made aside, locked, succeeded; and what a reader
 * does with files that are none, or not for it.
 *
 * Process: the unit tests, and children for what a lock or a user id needs.  Owner: each test.
 * Concurrency: none.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "shm/ledger.h"

static char directory[64], path[128], old_path[128];
static struct segment segment;
static struct errbuf err;
static const struct shm_trust trust; /* root and ourselves */

static void
prepare(void)
{
    snprintf(directory, sizeof(directory), "/tmp/test_segment.XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/one.shm", directory);
    snprintf(old_path, sizeof(old_path), "%s.old", path);
    segment.fd = -1;
}

static void
clean_up(void)
{
    segment_close(&segment);
    unlink(path);
    unlink(old_path);
    rmdir(directory);
}

TestSuite(segment_file, .init = prepare, .fini = clean_up);

static void
create(void)
{
    cr_assert_eq(segment_create(&segment, directory, "one", 4, 1000, &err), 0, "%s", err.text);
}

/* Runs a check in a process of its own; its result is the exit code. */
static int
in_child(int (*check)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(check());
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "status 0x%x", (unsigned)status);
    return WEXITSTATUS(status);
}

/* Returns: 0 stale, 1 live, 2 not opened. */
static int
look(void)
{
    struct shm_reader *reader;
    if (shm_reader_open(path, &trust, &reader, &err) != SHM_OPENED)
        return 2;
    int lives = shm_reader_master_lives(reader);
    shm_reader_close(&reader);
    return lives;
}

Test(segment_file, its_space_is_reserved_when_needed_and_the_group_may_read)
{
    struct stat st;
    create();
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0640u);
    cr_assert_eq((size_t)st.st_size, segment.bytes);
    int64_t fixed = (int64_t)(segment.header->slots_at + segment.header->slot_bytes);
    cr_assert_geq(st.st_blocks * 512, fixed, "no holes before the slots");
    cr_assert_lt(st.st_blocks * 512, st.st_size, "nor memory for slots that nobody uses");
    for (unsigned slot = 1; slot <= segment.header->n_slots; slot++)
        cr_assert_eq(segment_reserve(&segment, slot, &err), 0, "%s", err.text);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_geq(st.st_blocks * 512, st.st_size, "no holes");
    char made[160];
    snprintf(made, sizeof(made), "%s.new", path);
    cr_assert_neq(access(made, F_OK), 0);
}

Test(segment_file, is_at_most_1_mib_and_64_kib_a_worker)
{
    for (uint32_t workers = 1; workers <= 256; workers++) {
        struct shm_header h = {0};
        cr_assert_leq(shm_lay_out(&h, 2 * workers), (1024u + 64 * 2 * workers) * 1024,
                      "slots for twice %u workers", workers);
        if (workers <= 5) /* then even with the spare slots within that of the workers alone */
            cr_assert_leq(shm_lay_out(&h, 2 * workers), (1024u + 64 * workers) * 1024, "%u",
                          workers);
    }
}

static int
let_child_inherit(void)
{
    /* A child has the mapping and the descriptor, and the lock is not its own. */
    close(segment.fd);
    return in_child(look);
}

Test(segment_file, its_masters_life_is_told_by_the_lock)
{
    create();
    cr_assert_eq(in_child(look), 1);
    cr_assert_eq(in_child(let_child_inherit), 1, "a child that closes it lets nothing go");
    segment_close(&segment);
    cr_assert_eq(in_child(look), 0);
}

Test(segment_file, a_worker_that_outlives_the_master_does_not_pass_for_it)
{
    int status, ready[2];
    pid_t outlives;
    cr_assert_eq(pipe(ready), 0);
    pid_t master = fork();
    if (master == 0) {
        create();
        pid_t worker = fork();
        if (worker == 0) {
            pause();
            _exit(0);
        }
        (void)!write(ready[1], &worker, sizeof(worker));
        pause();
    }
    cr_assert_eq(read(ready[0], &outlives, sizeof(outlives)), (ssize_t)sizeof(outlives));
    cr_assert_eq(look(), 1);
    kill(master, SIGKILL);
    waitpid(master, &status, 0);
    int alive = look();
    cr_assert_eq(kill(outlives, SIGKILL), 0, "it has outlived the master");
    cr_assert_eq(alive, 0);
}

static int
create_again(void)
{
    struct segment second;
    return segment_create(&second, directory, "one", 4, 1000, &err) == -1 &&
                   strstr(err.text, "belongs to a master that runs") != NULL
               ? 0
               : 1;
}

Test(segment_file, a_live_masters_is_not_put_aside)
{
    create();
    cr_assert_eq(in_child(create_again), 0);
    cr_assert_eq(in_child(look), 1);
}

Test(segment_file, a_predecessor_is_kept_and_readers_notice)
{
    struct shm_reader *reader, *old;
    struct snapshot s = {.n_processes = 0};
    create();
    struct ledger *ledger = ledger_new(&segment);
    recorder_add(ledger_recorder(ledger), STAT_RELOADS, 42);
    ledger_turn(ledger);
    ledger_free(&ledger);
    segment_close(&segment);
    cr_assert_eq(shm_reader_open(path, &trust, &reader, &err), SHM_OPENED);
    cr_assert(!shm_reader_is_replaced(reader));
    create();
    cr_assert(shm_reader_is_replaced(reader));
    cr_assert_eq(shm_reader_open(old_path, &trust, &old, &err), SHM_OPENED);
    cr_assert_eq(snapshot_take(old, &s, &err), 0);
    cr_assert_eq(s.totals.values[STAT_RELOADS], 42u);
    cr_assert_eq(snapshot_take(reader, &s, &err), 0, "what it has mapped it can still read");
    shm_reader_close(&old);
    shm_reader_close(&reader);
    snapshot_free(&s);
}

static int
write_to_it(void)
{
    struct shm_reader *reader;
    if (shm_reader_open(path, &trust, &reader, &err) != SHM_OPENED)
        return 2;
    *(volatile char *)segment.header; /* ours may be read */
    char *p = *(char **)reader;       /* the mapping is the reader's first member */
    *(volatile char *)p = 1;
    return 0;
}

Test(segment_file, a_reader_cannot_write)
{
    int status;
    create();
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL); /* a sanitizer would make it an exit code */
        _exit(write_to_it());
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status 0x%x", (unsigned)status);
}

static int
look_as_nobody(void)
{
    struct shm_reader *reader;
    if (setgid(65534) == -1 || setuid(65534) == -1)
        return 77;
    return shm_reader_open(path, &trust, &reader, &err) == SHM_REFUSED ? 0 : 1;
}

static int
look_as_nobody_of_the_group(void)
{
    if (setgid(getegid()) == -1 || setuid(65534) == -1)
        return 77;
    return look();
}

Test(segment_file, others_may_not_read_the_group_may)
{
    if (geteuid() != 0)
        cr_skip_test("needs root to become somebody else");
    create();
    cr_assert_eq(chmod(directory, 0755), 0);
    cr_assert_eq(in_child(look_as_nobody), 0);
    cr_assert_eq(in_child(look_as_nobody_of_the_group), 1);
}

/* --- what is no segment, or not ours --- */

/* Writes to the file of a segment whose master is gone. */
static void
patch(size_t offset, const void *bytes, size_t n)
{
    int fd = open(path, O_RDWR);
    cr_assert_neq(fd, -1);
    cr_assert_eq(pwrite(fd, bytes, n, (off_t)offset), (ssize_t)n);
    close(fd);
}

static void
expect_refused(const char *why)
{
    struct shm_reader *reader;
    cr_assert_eq(shm_reader_open(path, &trust, &reader, &err), SHM_REFUSED, "wanted: %s", why);
    cr_assert_null(reader);
    cr_assert(strstr(err.text, why) != NULL, "'%s' for '%s'", err.text, why);
    cr_assert(strstr(err.text, path) != NULL, "'%s' does not name the file", err.text);
}

Test(segment_file, what_is_not_there_is_told_apart)
{
    struct shm_reader *reader;
    cr_assert_eq(shm_reader_open(path, &trust, &reader, &err), SHM_NOT_THERE);
    cr_assert(strstr(err.text, path) != NULL);
}

Test(segment_file, another_versions_are_refused)
{
    uint32_t version = SHM_LAYOUT_VERSION + 1;
    uint64_t hash = 1;
    create();
    segment_close(&segment);
    patch(offsetof(struct shm_header, version), &version, sizeof(version));
    expect_refused("made by another version: its layout is 2, this program reads 1");
    version = SHM_LAYOUT_VERSION;
    patch(offsetof(struct shm_header, version), &version, sizeof(version));
    patch(offsetof(struct shm_header, table_hash), &hash, sizeof(hash));
    expect_refused("its figures are not those");
}

Test(segment_file, a_damaged_header_is_refused)
{
    static const size_t offsets[] = {
        offsetof(struct shm_header, header_bytes), offsetof(struct shm_header, file_bytes),
        offsetof(struct shm_header, n_slots),      offsetof(struct shm_header, periods_at),
        offsetof(struct shm_header, retired_at),   offsetof(struct shm_header, retired_bytes),
        offsetof(struct shm_header, book_at),      offsetof(struct shm_header, book_bytes),
        offsetof(struct shm_header, slots_at),     offsetof(struct shm_header, slot_bytes)};
    for (size_t i = 0; i < COUNT_OF(offsets); i++) {
        static const uint32_t values[] = {0, UINT32_MAX};
        for (size_t v = 0; v < COUNT_OF(values); v++) {
            create();
            segment_close(&segment);
            patch(offsets[i], &values[v], sizeof(values[v]));
            expect_refused("damaged");
        }
    }
}

Test(segment_file, half_made_foreign_empty_and_cut_ones_are_refused)
{
    static const uint64_t nothing = 0;
    create();
    segment_close(&segment);
    cr_assert_eq(truncate(path, (off_t)segment.bytes + 70000), 0);
    expect_refused("truncated");
    cr_assert_eq(truncate(path, 100), 0);
    expect_refused("too short");
    cr_assert_eq(truncate(path, 0), 0);
    expect_refused("empty");
    create();
    segment_close(&segment);
    patch(offsetof(struct shm_header, magic), &nothing, sizeof(nothing));
    expect_refused("half-made");
    cr_assert_eq(truncate(path, 0), 0);
    cr_assert_eq(truncate(path, 100000), 0);
    expect_refused("no segment");
    unlink(path);
    cr_assert_eq(mkdir(path, 0700), 0);
    expect_refused("not a regular file");
    rmdir(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_refused("not a regular file");
}

Test(segment_file, every_cut_is_refused_without_a_crash)
{
    create();
    size_t bytes = segment.bytes;
    segment_close(&segment);
    for (size_t cut = bytes - 1; cut > 0; cut -= cut > 20000 ? 9973 : cut > 64 ? 61 : 1) {
        struct shm_reader *reader;
        cr_assert_eq(truncate(path, (off_t)cut), 0);
        cr_assert_eq(shm_reader_open(path, &trust, &reader, &err), SHM_REFUSED, "%zu bytes", cut);
    }
}

Test(segment_file, a_full_file_system_is_told_at_the_start)
{
    if (geteuid() != 0)
        cr_skip_test("needs root to mount a small file system");
    char mounted[160];
    snprintf(mounted, sizeof(mounted), "mount -t tmpfs -o size=256k tmpfs %s 2>/dev/null",
             directory);
    if (system(mounted) != 0)
        cr_skip_test("cannot mount here");
    int result = segment_create(&segment, directory, "one", 4, 1000, &err);
    snprintf(mounted, sizeof(mounted), "umount %s", directory);
    int umounted = system(mounted);
    cr_assert_eq(umounted, 0);
    cr_assert_eq(result, -1);
    cr_assert(strstr(err.text, "No space left") != NULL, "%s", err.text);
}
