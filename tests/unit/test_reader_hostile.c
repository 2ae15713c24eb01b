/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_reader_hostile.c - a segment whose every word may be wrong, which changes while it is read,
 * gets shorter, or is somebody else's: readers refuse it or show figures, in bounded time.
 *
 * Words are changed at random, from seeds that are said when a test fails.
 *
 * Process: the unit tests, and children that write.  Owner: each test.
 * Concurrency: a child changes words while the test reads.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/dropwizard.h"
#include "admin/health.h"
#include "admin/page.h"
#include "admin/threads.h"
#include "lib/json.h"
#include "shm/ledger.h"
#include "figures/openmetrics.h"
#include "shm/pstats_find.h"
#include "pstats/pstats_page.h"
#include "pstats/pstats_text.h"

enum { SLOTS = 4, WORKERS = 2, PERIODS = 5, SOMEBODY = 12345, TEST_SECONDS = 120 };

static char directory[64], path[128];
static struct segment segment;
static struct ledger *ledger;
static char *image; /* of the segment as it was made */
static struct errbuf err;
static const struct shm_trust ourselves;
static uint64_t random_state;

/* --- a segment with figures in it --- */

static void
fill_in(void)
{
    ledger = ledger_new(&segment);
    for (unsigned i = 1; i <= WORKERS; i++) {
        ledger_assign(ledger, i, i == 1 ? "metrics-0" : "metrics-1", "metrics", i - 1);
        cr_assert_eq(segment_reserve(&segment, i, &err), 0);
        ledger_start(ledger, i);
        ledger_started(ledger, i, 4711);
        struct recorder *r = recorder_new(&segment, i);
        for (unsigned k = 0; k < PERIODS; k++) {
            recorder_add(r, STAT_RECEIVED, 10);
            recorder_add(r, STAT_COMPLETED, 10);
            recorder_time(r, STAT_REQUEST, 5000000, 10);
            recorder_set_wait(r, "influxdb", "no route");
            recorder_publish(r);
            ledger_close_period(ledger, segment.header->started_mono_ms + 1000 * (k + 1) + i);
        }
        recorder_free(&r);
    }
    ledger_note_refused(ledger, "no such option");
    ledger_turn(ledger);
}

static void
prepare(void)
{
    cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
    snprintf(directory, sizeof(directory), "/tmp/test_hostile.XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/one.shm", directory);
    cr_assert_eq(segment_create(&segment, directory, "one", SLOTS, 1000, &err), 0, "%s", err.text);
    fill_in();
    image = malloc(segment.bytes);
    cr_assert_not_null(image);
    memcpy(image, segment.header, segment.bytes);
    alarm(TEST_SECONDS); /* what goes on for ever ends here */
}

static void
clean_up(void)
{
    alarm(0);
    ledger_free(&ledger);
    segment_close(&segment);
    free(image);
    unlink(path);
    rmdir(directory);
}

TestSuite(reader_hostile, .init = prepare, .fini = clean_up);

static void
restore(void)
{
    memcpy(segment.header, image, segment.bytes);
}

/* --- chance --- */

static uint64_t
any(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t
any_word(void)
{
    static const uint64_t words[] = {0,
                                     1,
                                     INT32_MAX,
                                     UINT32_MAX,
                                     INT64_MAX,
                                     UINT64_C(1) << 63,
                                     UINT64_MAX - 1,
                                     UINT64_MAX,
                                     UINT64_C(0x5d1b5b1b3fc29bc2), /* escape sequences */
                                     UINT64_C(0xaee280a880e2ff0a)};
    uint64_t which = any() % (COUNT_OF(words) + 2);
    return which < COUNT_OF(words) ? words[which] : any();
}

static void
put(size_t at, uint64_t word)
{
    memcpy((char *)segment.header + at, &word, sizeof(word));
}

static void
change(size_t from, size_t to)
{
    put(from + any() % ((to - from) / 8) * 8, any_word());
}

/* --- all that a reader does --- */

static void
check_text(const struct buf *out)
{
    cr_assert(!out->failed);
    cr_assert(json_is_utf8(out->data, out->size));
    for (size_t i = 0; i < out->size; i++)
        cr_assert((unsigned char)out->data[i] >= 0x20 || out->data[i] == '\n', "byte %d",
                  out->data[i]);
    cr_assert_null(memmem(out->data, out->size, "\xc2\x9b", 2), "U+009B");
}

static void
print(struct source *source)
{
    struct buf out;
    buf_init(&out, 16 << 20);
    figures_write_json(&out, &source->snapshot, &source->origin, source_window(source), NULL);
    check_text(&out);
    buf_clear(&out);
    openmetrics_write(&out, OPENMETRICS_1, &source->snapshot, source->reader, &source->origin,
                      NULL);
    check_text(&out);
    buf_clear(&out);
    pstats_write_text(&out, source, NULL);
    check_text(&out);
    buf_free(&out);
}

static void
draw(struct source *source, const struct snapshot_period *periods, size_t n)
{
    static struct rates rates;
    static struct page page;
    struct page_view view = {.columns = 120, .lines = 40, .utf8 = true, .interval_ms = 1000};
    const struct page_data data = {.source = source,
                                   .rates = &rates,
                                   .periods = periods,
                                   .n_periods = n,
                                   .buckets = snapshot_buckets(source->reader, STAT_REQUEST)};
    cr_assert_eq(rates_update(&rates, &source->snapshot), 0);
    page_init(&page);
    for (unsigned kind = PAGE_PROCESSES; kind <= PAGE_HELP; kind++) {
        view.kind = kind;
        page_draw(&page, &view, &data);
        cr_assert_leq(page.n, 40u);
    }
    page_free(&page);
    rates_free(&rates);
}

static void
look_back(struct shm_reader *reader)
{
    struct snapshot_process_period of_process[SHM_PERIODS + 1];
    uint64_t counts[HISTOGRAM_BUCKETS];
    of_process[SHM_PERIODS].number = 4711;
    for (unsigned slot = 0; slot <= SLOTS; slot++)
        cr_assert_leq(snapshot_process_periods(reader, slot, of_process, SHM_PERIODS), SHM_PERIODS);
    cr_assert_eq(of_process[SHM_PERIODS].number, 4711u, "written beyond its room");
    cr_assert_geq(snapshot_histogram(reader, STAT_REQUEST, 3600000, counts), 0);
}

/* Takes: a reader, which it closes. */
static void
read_all_of_it(struct shm_reader *reader)
{
    static struct snapshot_period periods[SHM_PERIODS + 1];
    struct source source;
    source_init(&source, path, reader, 3600000);
    if (source_refresh(&source, &err) == 0) {
        periods[SHM_PERIODS].number = 4711;
        size_t n = snapshot_periods(reader, periods, SHM_PERIODS);
        cr_assert_leq(n, SHM_PERIODS);
        cr_assert_eq(periods[SHM_PERIODS].number, 4711u, "written beyond its room");
        cr_assert_leq(source.snapshot.n_processes, SLOTS);
        print(&source);
        draw(&source, periods, n);
        look_back(reader);
    }
    (void)source_has_news(&source);
    source_free(&source);
}

static void
open_and_read(void)
{
    struct shm_reader *reader;
    err.text[0] = '\0';
    if (shm_reader_open(path, &ourselves, &reader, &err) == SHM_OPENED)
        read_all_of_it(reader);
    else
        cr_assert(err.text[0] != '\0');
}

/* --- words --- */

Test(reader_hostile, each_word_of_the_header)
{
    static const uint64_t words[] = {0, 1, UINT32_MAX, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t at = 0; at < sizeof(struct shm_header); at += 4)
        for (size_t i = 0; i < COUNT_OF(words); i++) {
            restore();
            memcpy((char *)segment.header + at, &words[i],
                   at + 8 > sizeof(*segment.header) ? 4 : 8);
            open_and_read();
        }
}

Test(reader_hostile, any_words_of_the_body)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
        restore();
        for (unsigned i = 0; i < (seed % 3 == 0 ? 20000 : 200); i++)
            change(offsetof(struct shm_header, fold), segment.bytes);
        segment.header->slots_used = SLOTS;
        open_and_read();
    }
}

Test(reader_hostile, every_word_of_the_body_is_the_same)
{
    for (unsigned i = 0; i < 40; i++) {
        random_state = i + 1;
        uint64_t word = any_word();
        restore();
        for (size_t at = offsetof(struct shm_header, fold); at + 8 <= segment.bytes; at += 8)
            put(at, word);
        open_and_read();
    }
}

/* What the admin port makes of it, where a period can be as long as a number. */
static void
make_pages(void)
{
    static const struct view_names names = {.kinds = {{"metrics", "influxdb"}, {"", ""}}};
    struct view_source *source = view_source_new(path, &names, 120000, &err);
    struct buf out;
    if (source == NULL)
        return;
    cr_assert_eq(view_source_tick(source, 1, &err), 0, "%s", err.text);
    const struct view *v = view_source_look(source, &err);
    cr_assert_not_null(v, "%s", err.text);
    buf_init(&out, 16 << 20);
    cr_assert_eq(page_write(&out, v, "nonce"), 0);
    cr_assert_eq(dropwizard_write(&out, v, &names, true), 0);
    threads_write(&out, v);
    check_text(&out);
    buf_free(&out);
    view_source_free(&source);
}

Test(reader_hostile, the_admin_ports_pages)
{
    segment.header->period_ms = INT64_MAX;
    make_pages();
    for (uint64_t seed = 1; seed <= 100; seed++) {
        random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
        restore();
        for (unsigned i = 0; i < (seed % 3 == 0 ? 20000 : 200); i++)
            change(offsetof(struct shm_header, fold), segment.bytes);
        segment.header->slots_used = SLOTS;
        make_pages();
    }
}

/* The last period is of a number beside which loops over numbers turn round. */
Test(reader_hostile, the_last_period_is_the_greatest_number)
{
    for (uint64_t which = 0; which < 2; which++) {
        struct shm_book *book = shm_book_at(segment.header, which);
        shm_store(&book->period, UINT64_MAX);
    }
    for (uint64_t i = 0; i < SHM_PERIODS; i++)
        shm_store(&shm_period_at(segment.header, i)->number, UINT64_MAX - SHM_PERIODS + 1 + i);
    open_and_read();
}

Test(reader_hostile, a_name_has_no_escape_sequences)
{
    struct shm_reader *reader;
    struct snapshot s = {.n_processes = 0};
    memcpy(segment.header->instance, "\x1b]0;x\x07\xc2\x9b\xe2\x80\xae\xff\xc3\xa4", 15);
    cr_assert_eq(shm_reader_open(path, &ourselves, &reader, &err), SHM_OPENED);
    cr_assert_eq(snapshot_take(reader, &s, &err), 0);
    cr_assert_str_eq(s.instance, "?]0;x????\xc3\xa4");
    snapshot_free(&s);
    shm_reader_close(&reader);
}

/* --- while it is read --- */

Test(reader_hostile, what_was_checked_is_not_read_again)
{
    struct shm_reader *reader;
    cr_assert_eq(shm_reader_open(path, &ourselves, &reader, &err), SHM_OPENED);
    memset((char *)segment.header + 8, 0xff, offsetof(struct shm_header, fold) - 8);
    read_all_of_it(reader);
}

static void
keep_changing(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (uint64_t i = 0;; i++) {
        for (unsigned slot = 0; slot <= SLOTS; slot++)
            atomic_fetch_add(&segment_slot(&segment, slot)->seq, 2);
        atomic_fetch_add(&segment.header->fold, 1);
        atomic_fetch_add(&segment.header->book, 1);
    }
}

Test(reader_hostile, one_that_changes_all_the_time_is_given_up)
{
    struct shm_reader *reader;
    struct snapshot s = {.n_processes = 0};
    cr_assert_eq(shm_reader_open(path, &ourselves, &reader, &err), SHM_OPENED);
    pid_t writer = fork();
    if (writer == 0)
        keep_changing();
    for (unsigned i = 0; i < 20; i++)
        if (snapshot_take(reader, &s, &err) == -1)
            cr_assert_not_null(strstr(err.text, "busy"), "%s", err.text);
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    snapshot_free(&s);
    shm_reader_close(&reader);
}

Test(reader_hostile, one_that_gets_shorter_is_said_to_be_truncated)
{
    static const off_t lengths[] = {0, 4096, 300000, 600000};
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        static struct snapshot_period periods[SHM_PERIODS];
        struct shm_reader *reader;
        struct snapshot s = {.n_processes = 0};
        restore();
        cr_assert_eq(shm_reader_open(path, &ourselves, &reader, &err), SHM_OPENED);
        cr_assert_eq(snapshot_take(reader, &s, &err), 0, "%s", err.text);
        cr_assert_eq(truncate(path, lengths[i]), 0);
        cr_assert_eq(snapshot_take(reader, &s, &err), -1);
        cr_assert_not_null(strstr(err.text, "truncated"), "%s", err.text);
        cr_assert_eq(snapshot_periods(reader, periods, SHM_PERIODS), 0u);
        snapshot_free(&s);
        read_all_of_it(reader);
        cr_assert_eq(truncate(path, (off_t)segment.bytes), 0);
    }
}

static int
touch_beyond(void)
{
    struct shm_reader *reader;
    int fd = open(path, O_RDONLY);
    if (fd == -1 || shm_reader_open(path, &ourselves, &reader, &err) != SHM_OPENED)
        return 1;
    const volatile char *p = mmap(NULL, segment.bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED || truncate(path, 0) == -1)
        return 1;
    return p[8192] + 2;
}

Test(reader_hostile, a_bus_error_elsewhere_still_ends_the_process)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGBUS, SIG_DFL); /* a sanitizer would make it an exit code */
        _exit(touch_beyond());
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "status 0x%x", (unsigned)status);
    cr_assert_eq(truncate(path, (off_t)segment.bytes), 0);
}

/* --- whose it is --- */

static enum shm_open
try_with(const struct shm_trust *trust)
{
    struct shm_reader *reader;
    enum shm_open opened = shm_reader_open(path, trust, &reader, &err);
    shm_reader_close(&reader);
    return opened;
}

Test(reader_hostile, others_are_not_believed_unless_that_is_said)
{
    const struct shm_trust him = {.n = 1, .users = {SOMEBODY}}, all = {.anybody = true};
    if (geteuid() != 0)
        cr_skip_test("needs root to make a file of another user");
    cr_assert_eq(chown(path, SOMEBODY, (gid_t)-1), 0);
    cr_assert_eq(try_with(&ourselves), SHM_REFUSED);
    cr_assert_not_null(strstr(err.text, "belongs to user 12345"), "%s", err.text);
    cr_assert_eq(try_with(&him), SHM_OPENED);
    cr_assert_eq(try_with(&all), SHM_OPENED);
}

Test(reader_hostile, what_others_can_write_and_links_are_refused)
{
    const struct shm_trust all = {.anybody = true};
    char moved[sizeof(path) + 8];
    cr_assert_eq(chmod(path, 0660), 0);
    cr_assert_eq(try_with(&all), SHM_REFUSED);
    cr_assert_not_null(strstr(err.text, "can be written by others"), "%s", err.text);
    cr_assert_eq(chmod(path, 0602), 0);
    cr_assert_eq(try_with(&all), SHM_REFUSED);
    cr_assert_eq(chmod(path, 0640), 0);
    cr_assert_eq(try_with(&all), SHM_OPENED);
    snprintf(moved, sizeof(moved), "%s.moved", path);
    cr_assert_eq(rename(path, moved), 0);
    cr_assert_eq(symlink(moved, path), 0);
    cr_assert_eq(try_with(&all), SHM_REFUSED);
    cr_assert_not_null(strstr(err.text, "a symbolic link"), "%s", err.text);
    unlink(moved);
}

/* Returns: what a search in the directory comes to. */
static enum pstats_exit
find(void)
{
    char found[PSTATS_PATH_BYTES];
    struct shm_reader *reader;
    enum pstats_exit result = pstats_find("one", directory, found, &reader, &err);
    shm_reader_close(&reader);
    return result;
}

Test(reader_hostile, a_named_directory_is_believed_as_far_as_its_owner_alone_fills_it)
{
    if (geteuid() != 0)
        cr_skip_test("needs root to make a file of another user");
    cr_assert_eq(find(), PSTATS_LIVE);
    cr_assert_eq(chown(path, SOMEBODY, (gid_t)-1), 0);
    cr_assert_eq(find(), PSTATS_REFUSED, "root's directory, somebody's file");
    cr_assert_eq(chown(directory, SOMEBODY, (gid_t)-1), 0);
    cr_assert_eq(find(), PSTATS_LIVE, "both are his");
    cr_assert_eq(chmod(directory, 01777), 0);
    cr_assert_eq(find(), PSTATS_REFUSED, "anybody can make files there");
    cr_assert_eq(chown(path, 0, (gid_t)-1), 0);
    cr_assert_eq(find(), PSTATS_LIVE, "root's file is root's wherever it is");
}

Test(reader_hostile, who_was_believed_by_name_has_no_other_follow_him)
{
    const struct shm_trust all = {.anybody = true};
    struct shm_reader *reader, *next;
    if (geteuid() != 0)
        cr_skip_test("needs root to make a file of another user");
    cr_assert_eq(chown(path, SOMEBODY, (gid_t)-1), 0);
    cr_assert_eq(shm_reader_open(path, &all, &reader, &err), SHM_OPENED);
    cr_assert_eq(shm_reader_reopen(reader, &next, &err), SHM_OPENED);
    shm_reader_close(&next);
    cr_assert_eq(chown(path, SOMEBODY + 1, (gid_t)-1), 0);
    cr_assert_eq(shm_reader_reopen(reader, &next, &err), SHM_REFUSED);
    shm_reader_close(&reader);
}
