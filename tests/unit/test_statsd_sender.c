/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_statsd_sender.c - StatsD out of the master's loop: pacing, receivers that are away, full or come
 * back; with real sockets and a segment of its own.
 *
 * Time is simulated but for statsd_sender_finish.  send() is replaced for the whole test program, so that
 * it can say that the kernel's buffer is full.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none, but for the lookups' children.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/buf.h"
#include "conf/cfg.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/num.h"
#include "master/statsd_sender.h"
#include "shm/ledger.h"
#include "statsd/statsd_socket.h"

enum { PERIOD_MS = 10000, SLOTS = 40 };

/* --- the kernel, as far as it can be full --- */

static bool kernel_is_full;

ssize_t
send(int fd, const void *bytes, size_t n, int flags)
{
    if (kernel_is_full) {
        errno = EAGAIN;
        return -1;
    }
    return sendto(fd, bytes, n, flags, NULL, 0);
}

/* --- a receiver --- */

static int receiver = -1;
static uint16_t port;
static struct buf got; /* all that has come, a newline after each packet */
static size_t n_got, largest;

static void
listen_on(uint16_t wanted)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(wanted)};
    socklen_t size = sizeof(a);
    receiver = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(receiver, (struct sockaddr *)&a, size), 0, "%s", strerror(errno));
    cr_assert_eq(getsockname(receiver, (struct sockaddr *)&a, &size), 0);
    port = ntohs(a.sin_port);
}

static void
go_away(void)
{
    close(receiver);
    receiver = -1;
}

static void
receive(void)
{
    char bytes[65536];
    ssize_t n;
    while (receiver != -1 && (n = recv(receiver, bytes, sizeof(bytes), 0)) != -1) {
        buf_add(&got, bytes, (size_t)n);
        buf_add_char(&got, '\n');
        n_got++;
        largest = (size_t)n > largest ? (size_t)n : largest;
    }
}

/* Sums a counter's lines of one scope. Returns: -1 if there is none. */
static int64_t
sum(const char *name, const char *tail)
{
    int64_t all = -1;
    char start[64], number[24];
    snprintf(start, sizeof(start), "monasca.persister.%s:", name);
    for (size_t at = 0; at < got.size;) {
        const char *line = got.data + at;
        size_t n = (size_t)((const char *)memchr(line, '\n', got.size - at) - line);
        at += n + 1;
        if (n < strlen(start) || memcmp(line, start, strlen(start)) != 0 || n < strlen(tail) ||
            memcmp(line + n - strlen(tail), tail, strlen(tail)) != 0)
            continue;
        const char *digits = line + strlen(start);
        int64_t value;
        snprintf(number, sizeof(number), "%.*s", (int)strcspn(digits, "|"), digits);
        cr_assert_eq(num_parse_int(number, 0, INT64_MAX, &value), 0, "%s", number);
        all = (all == -1 ? 0 : all) + value;
    }
    return all;
}

static int64_t
of_instance(const char *name)
{
    return sum(name, "'scope': 'instance'}");
}

static bool
was_told(const char *text)
{
    return got.size > 0 && memmem(got.data, got.size, text, strlen(text)) != NULL;
}

/* --- the figures --- */

static struct segment segment;
static struct ledger *ledger;
static struct shm_reader *reader;
static struct recorder *workers[SLOTS + 1];
static struct statsd_sender *sender;
static struct statsd_sender_options options;
static int64_t now_ms;

static void
prepare(void)
{
    static const struct log_options quiet = {.level = LOG_LEVEL_ERROR};
    struct errbuf err;
    cr_assert_eq(log_open(&quiet, &err), 0);
    cr_assert_eq(segment_create_private(&segment, "unit", SLOTS, PERIOD_MS, &err), 0, "%s",
                 err.text);
    ledger = ledger_new(&segment);
    reader = segment_reader(&segment);
    cr_assert(ledger != NULL && reader != NULL);
    now_ms = segment.header->started_mono_ms;
    buf_init(&got, 64 << 20);
    listen_on(0);
    options = (struct statsd_sender_options){.instance = "unit",
                                       .host = "127.0.0.1",
                                       .port = port,
                                       .prefix = "monasca.persister.",
                                       .dimensions = "",
                                       .per_process = true,
                                       .max_packet_bytes = 1400,
                                       .period_ms = PERIOD_MS,
                                       .periods_an_interval = 1,
                                       .window_ms = 20000};
}

static void
clean_up(void)
{
    statsd_sender_free(&sender);
    for (size_t i = 0; i <= SLOTS; i++)
        recorder_free(&workers[i]);
    shm_reader_close(&reader);
    ledger_free(&ledger);
    segment_close(&segment);
    if (receiver != -1)
        go_away();
    buf_free(&got);
}

TestSuite(statsd_sender, .init = prepare, .fini = clean_up);

static void
start_worker(unsigned slot)
{
    char name[32];
    snprintf(name, sizeof(name), "metrics-%u", slot - 1);
    ledger_assign(ledger, slot, name, "metrics", slot - 1);
    ledger_start(ledger, slot);
    ledger_started(ledger, slot, 4711);
    workers[slot] = recorder_new(&segment, slot);
    cr_assert_not_null(workers[slot]);
}

static void
complete(unsigned slot, uint64_t n, uint64_t ns)
{
    recorder_add(workers[slot], STAT_RECEIVED, n);
    recorder_add(workers[slot], STAT_COMPLETED, n);
    if (n > 0)
        recorder_time(workers[slot], STAT_REQUEST, (int64_t)ns, n);
    recorder_publish(workers[slot]);
}

static void
begin(void)
{
    struct errbuf err;
    sender = statsd_sender_new(&options, reader, ledger_recorder(ledger), &err);
    cr_assert_not_null(sender, "%s", err.text);
    statsd_sender_start(sender, now_ms);
    receive();
}

/* Lets the simulated master's loop run; it wakes only when it has been told to. */
static void
run_until(int64_t until_ms)
{
    int64_t due_ms;
    while ((due_ms = statsd_sender_due_ms(sender)) <= until_ms) {
        now_ms = due_ms > now_ms ? due_ms : now_ms + 1;
        statsd_sender_turn(sender, now_ms);
        receive();
    }
    now_ms = until_ms;
}

static void
close_period(void)
{
    run_until(now_ms + PERIOD_MS);
    ledger_close_period(ledger, now_ms);
    statsd_sender_note_period(sender, now_ms);
    receive();
}

static uint64_t
own_figure(enum stat_value value)
{
    struct snapshot s = {.n_processes = 0};
    struct errbuf err;
    ledger_turn(ledger);
    cr_assert_eq(snapshot_take(reader, &s, &err), 0);
    uint64_t n = s.totals.values[value];
    snapshot_free(&s);
    return n;
}

Test(statsd_sender, zeros_first_then_differences)
{
    start_worker(1);
    begin();
    run_until(now_ms + 5000);
    cr_assert_eq(of_instance("requests.received"), 0);
    cr_assert_eq(sum("requests.completed", "'process': 'metrics-0'}"), 0);
    cr_assert(!was_told("|g|"));
    complete(1, 100, 5000000);
    close_period();
    run_until(now_ms + 9000);
    cr_assert_eq(of_instance("requests.completed"), 100);
    cr_assert(was_told("monasca.persister.request_time.avg_sec:0.005000000|g|"));
    complete(1, 11, 1000000);
    close_period();
    run_until(now_ms + 9000);
    cr_assert_eq(of_instance("requests.completed"), 111);
    cr_assert_eq(sum("requests.completed", "'process': 'metrics-0'}"), 111);
}

Test(statsd_sender, an_idle_interval_tells_zeros_and_no_timings)
{
    start_worker(1);
    begin();
    complete(1, 100, 5000000);
    close_period();
    run_until(now_ms + 9000);
    buf_clear(&got);
    close_period(); /* the window still has what was told before */
    run_until(now_ms + 9000);
    cr_assert_eq(of_instance("requests.completed"), 0);
    cr_assert(!was_told("request_time"));
    buf_clear(&got);
    complete(1, 1, 9000000);
    close_period(); /* the window: the idle period and this one */
    run_until(now_ms + 9000);
    cr_assert(was_told("request_time.min_sec:0.009000000|g|"));
}

Test(statsd_sender, the_window_covers_what_was_before_the_last_period)
{
    start_worker(1);
    begin();
    complete(1, 1, 2000000);
    close_period();
    complete(1, 1, 4000000);
    close_period();
    run_until(now_ms + 9000);
    buf_clear(&got);
    complete(1, 1, 6000000);
    close_period();
    run_until(now_ms + 9000);
    cr_assert(was_told("request_time.min_sec:0.004000000|g|"));
    cr_assert(was_told("request_time.avg_sec:0.005000000|g|"));
    cr_assert(was_told("request_time.max_sec:0.006000000|g|"));
    cr_assert(!was_told("request_time.min_sec:0.002000000|g|"));
}

Test(statsd_sender, packets_are_whole_and_paced)
{
    for (unsigned i = 1; i <= SLOTS; i++)
        start_worker(i);
    begin();
    run_until(now_ms + PERIOD_MS - 1);
    for (unsigned i = 1; i <= SLOTS; i++)
        complete(i, 1, 1000000);
    ledger_close_period(ledger, now_ms);
    statsd_sender_note_period(sender, now_ms);
    receive();
    n_got = 0;
    size_t most = 0;
    for (unsigned i = 0; i < 100; i++) {
        size_t before = n_got;
        run_until(now_ms + 100);
        most = n_got - before > most ? n_got - before : most;
        if (i == 79)
            cr_assert_gt(n_got, 40u);
        if (i >= 81)
            cr_assert_eq(n_got, before, "80 %% of the interval are enough");
    }
    cr_assert_leq(most, 8u, "%zu of %zu packets in a hundredth of the interval", most, n_got);
    cr_assert_leq(largest, 1400u);
    cr_assert_gt(largest, 1000u);
    for (unsigned i = 0; i < SLOTS; i++) {
        char tail[64];
        snprintf(tail, sizeof(tail), "'process': 'metrics-%u'}", i);
        cr_assert_eq(sum("requests.completed", tail), 1, "%s", tail);
    }
}

Test(statsd_sender, an_interval_of_several_periods)
{
    options.periods_an_interval = 3;
    options.window_ms = 30000;
    start_worker(1);
    begin();
    run_until(now_ms + 5000);
    buf_clear(&got);
    for (unsigned i = 1; i <= 3; i++) {
        cr_assert_eq(got.size, 0u);
        complete(1, 10, i * 1000000);
        close_period();
    }
    run_until(now_ms + 9000);
    cr_assert_eq(of_instance("requests.completed"), 30);
    cr_assert(was_told("request_time.min_sec:0.001000000|g|"));
    cr_assert(was_told("request_time.max_sec:0.003000000|g|"));
}

Test(statsd_sender, a_receiver_that_is_away_is_counted_and_catches_up)
{
    start_worker(1);
    go_away();
    begin();
    complete(1, 100, 5000000);
    close_period();
    run_until(now_ms + 9000);
    close_period(); /* settles the last packet of the interval before */
    cr_assert_gt(own_figure(STAT_STATSD_PACKETS_DROPPED), 1u);
    cr_assert_gt(own_figure(STAT_STATSD_LINES_DROPPED), 10u);
    cr_assert_eq(own_figure(STAT_STATSD_PACKETS), 0u);
    complete(1, 10, 5000000);
    run_until(now_ms + 9000);
    listen_on(port);
    close_period();
    run_until(now_ms + 9000);
    cr_assert_eq(of_instance("requests.completed"), 110);
    cr_assert_eq(sum("requests.completed", "'process': 'metrics-0'}"), 110);
    close_period();
    uint64_t dropped = own_figure(STAT_STATSD_PACKETS_DROPPED);
    cr_assert_eq(own_figure(STAT_STATSD_PACKETS), n_got - 1,
                 "all that came, but the one on its way");
    go_away();
    run_until(now_ms + 9000);
    listen_on(port);
    complete(1, 1, 5000000);
    close_period();
    run_until(now_ms + 9000);
    cr_assert_eq(of_instance("requests.completed"), 111);
    cr_assert_gt(own_figure(STAT_STATSD_PACKETS_DROPPED), dropped);
}

Test(statsd_sender, a_full_buffer_is_tried_again_and_then_dropped)
{
    start_worker(1);
    begin();
    run_until(now_ms + 9000);
    kernel_is_full = true;
    complete(1, 100, 5000000);
    size_t turns = 0;
    close_period();
    int64_t until_ms = now_ms + 9000;
    while (statsd_sender_due_ms(sender) <= until_ms) {
        cr_assert_gt(statsd_sender_due_ms(sender), now_ms, "it would spin");
        run_until(statsd_sender_due_ms(sender));
        turns++;
    }
    cr_assert_leq(turns, 9000 / 20 + 1);
    cr_assert_eq(own_figure(STAT_STATSD_PACKETS_DROPPED), 0u);
    now_ms = until_ms;
    close_period(); /* what is left is dropped, and told again */
    cr_assert_gt(own_figure(STAT_STATSD_PACKETS_DROPPED), 1u);
    cr_assert_eq(of_instance("requests.completed"), 0);
    kernel_is_full = false;
    run_until(now_ms + 9000);
    cr_assert_eq(of_instance("requests.completed"), 100);
}

Test(statsd_sender, the_last_word_makes_it_whole)
{
    start_worker(1);
    begin();
    complete(1, 100, 5000000);
    (void)ledger_reap(ledger, 1, LEDGER_SIGNAL, SLOT_DEAD);
    ledger_close_period(ledger, now_ms + 1000);
    int64_t begun_ms = clock_mono_ms();
    statsd_sender_finish(sender);
    cr_assert_lt(clock_mono_ms() - begun_ms, 2000); /* FINISH_SEND_MS: it has not waited to the end */
    receive();
    cr_assert_eq(of_instance("requests.completed"), 100);
    cr_assert_eq(sum("requests.completed", "'process': 'metrics-0'}"), 100);
    cr_assert(was_told("request_time.max_sec:0.005000000|g|"));
    cr_assert(was_told("workers.running:0|g|"));
}

Test(statsd_sender, the_last_word_tells_what_had_not_left_yet)
{
    start_worker(1);
    begin();
    complete(1, 100, 5000000);
    close_period();
    cr_assert(!was_told("request_time.max_sec")); /* only the first packet has left */
    ledger_close_period(ledger, now_ms + 100);    /* idle */
    statsd_sender_finish(sender);
    receive();
    cr_assert_eq(sum("requests.completed", "'process': 'metrics-0'}"), 100);
    cr_assert(was_told("request_time.max_sec:0.005000000|g|#{"));
    cr_assert_eq(own_figure(STAT_STATSD_PACKETS_DROPPED), 0u);
}

Test(statsd_sender, timings_that_were_lost_are_told_again)
{
    start_worker(1);
    begin();
    run_until(now_ms + 9000);
    go_away();
    complete(1, 100, 5000000);
    close_period();
    run_until(now_ms + 9000);
    listen_on(port);
    close_period(); /* idle, but its window has what was lost */
    run_until(now_ms + 9000);
    cr_assert(was_told("request_time.max_sec:0.005000000|g|"));
    buf_clear(&got);
    close_period();
    run_until(now_ms + 9000);
    cr_assert(!was_told("request_time"));
}

Test(statsd_sender, the_last_word_does_not_wait_for_ever)
{
    start_worker(1);
    begin();
    kernel_is_full = true;
    int64_t begun_ms = clock_mono_ms();
    statsd_sender_finish(sender);
    cr_assert_lt(clock_mono_ms() - begun_ms, 60000);
}

Test(statsd_sender, a_released_slot_is_told_under_its_old_name)
{
    start_worker(1);
    begin();
    complete(1, 7, 5000000);
    (void)ledger_reap(ledger, 1, LEDGER_ASKED, SLOT_FREE);
    statsd_sender_note_release(sender, 1);
    ledger_release(ledger, 1, 0);
    statsd_sender_note_release(sender, 1);
    ledger_assign(ledger, 1, "alarms-0", "alarms", 0);
    recorder_free(&workers[1]);
    ledger_start(ledger, 1);
    workers[1] = recorder_new(&segment, 1);
    complete(1, 2, 5000000);
    close_period();
    run_until(now_ms + 9000);
    cr_assert_eq(sum("requests.completed", "'process': 'metrics-0'}"), 7);
    cr_assert_eq(sum("requests.completed", "'process': 'alarms-0'}"), 2);
    cr_assert_eq(of_instance("requests.completed"), 9);
}

Test(statsd_sender, other_options_take_nothing_away)
{
    struct errbuf err;
    start_worker(1);
    begin();
    complete(1, 7, 5000000);
    close_period();
    struct statsd_sender_options other = options;
    other.dimensions = "region:east";
    other.host = "localhost";
    cr_assert_eq(statsd_sender_change(sender, &other, &err), 0);
    buf_clear(&got); /* whatever went out before */
    for (unsigned i = 0; i < 50 && statsd_sender_due_ms(sender) > now_ms + 1000; i++)
        (void)poll(NULL, 0, 1);
    statsd_sender_turn(sender, now_ms);
    (void)wait(NULL); /* the lookup's child; its pipe is full or closed by now */
    complete(1, 1, 5000000);
    close_period();
    run_until(now_ms + 9000);
    cr_assert(was_told("'scope': 'instance', 'region': 'east'}"));
    cr_assert_geq(sum("requests.completed", "'scope': 'instance', 'region': 'east'}"), 1);
}

Test(statsd_sender, the_options_of_the_configuration)
{
    static struct config cfg;
    struct statsd_sender_options o;
    cfg.statsd.dialect = (char *)(uintptr_t) "dogstatsd";
    cfg.statsd.gauge_window_seconds = 20;
    cfg.statsd.port = 8125;
    cfg.persister.period_seconds = 10;
    statsd_sender_options_from(&o, &cfg);
    cr_assert_eq(o.periods_an_interval, 1u);
    cr_assert_eq(o.window_ms, 20000);
    cr_assert_eq(o.dialect, STATSD_DOGSTATSD);
    cfg.statsd.interval_seconds = 30;
    statsd_sender_options_from(&o, &cfg);
    cr_assert_eq(o.periods_an_interval, 3u);
    cr_assert_eq(o.window_ms, 30000, "what is told is no less than what was timed");
}

Test(statsd_sender, it_goes_on_while_a_name_is_not_found)
{
    options.host = "a..b";
    start_worker(1);
    begin();
    complete(1, 3, 1000000);
    close_period();
    siginfo_t info;
    cr_assert_eq(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0); /* until the child has failed */
    statsd_sender_turn(sender, now_ms);
    (void)wait(NULL);
    run_until(now_ms + 5000);
    cr_assert_gt(own_figure(STAT_STATSD_PACKETS_DROPPED), 1u);
    cr_assert_eq(n_got, 0u);
}

/* --- the socket --- */

Test(statsd_socket, sent_refused_and_failed)
{
    struct errbuf err = {.text = ""};
    listen_on(0);
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = statsd_socket_open((struct sockaddr *)&a, sizeof(a), &err);
    cr_assert_neq(fd, -1);
    cr_assert_eq(statsd_socket_send(fd, SLICE("a"), &err), STATSD_SENT);
    cr_assert(!statsd_socket_was_refused(fd));
    go_away();
    cr_assert_eq(statsd_socket_send(fd, SLICE("b"), &err), STATSD_SENT);
    cr_assert(statsd_socket_was_refused(fd));
    cr_assert(!statsd_socket_was_refused(fd), "once");
    cr_assert_eq(statsd_socket_send(fd, SLICE("c"), &err), STATSD_SENT);
    cr_assert_eq(statsd_socket_send(fd, SLICE("d"), &err), STATSD_REFUSED);
    static const char large[70000];
    cr_assert_eq(statsd_socket_send(fd, (struct slice){large, sizeof(large)}, &err), STATSD_FAILED);
    cr_assert_neq(err.text[0], '\0');
    kernel_is_full = true;
    cr_assert_eq(statsd_socket_send(fd, SLICE("d"), &err), STATSD_LATER);
    statsd_socket_close(&fd);
    cr_assert_eq(fd, STATSD_NO_SOCKET);
    statsd_socket_close(&fd);
}
