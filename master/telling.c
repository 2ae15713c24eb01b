/*
 * telling.c - see telling.h.  What to say is statsd/'s; here is when, where to, and what became of
 * it.
 *
 * Process: master.  Owner: struct telling.  Concurrency: one thread.
 */
#include "master/telling.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/cfg.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "master/lookup.h"
#include "statsd/statsd_dimensions.h"
#include "statsd/statsd_report.h"
#include "statsd/statsd_socket.h"
#include "master/master_priv.h"

enum {
    SPREAD_PERCENT = 80,     /* of an interval, over which its packets leave */
    GAP_MAX_MS = 200,        /* between two packets: figures should not be older than need be */
    GAP_MIN_MS = 20,         /* between two turns that send; more packets leave in one if need be */
    LOOKUP_AGAIN_MS = 10000, /* after it failed, or the receiver refused */
    LOOKUP_FRESH_MS = 60000, /* a name's address is looked up again after that */
    FINISH_ADDRESS_MS = 500, /* how long the last word waits for an address */
    FINISH_SEND_MS = 2000,   /* how long it may take to be sent */
    FINISH_GAP_MS = 1,
    FINISH_REFUSED_MS = 20 /* how long after it a refusal is waited for */
};

_Static_assert((int)CFG_STATSD_PERIODS == (int)SHM_PERIODS &&
                   (int)CFG_STATSD_DIMENSIONS <= (int)STATSD_DIMENSIONS_MAX,
               "what the configuration allows must be there");

/* What telling_new copies of the options. */
struct settings {
    struct telling_options options;
    char *host, *prefix, *instance;
    struct statsd_dimensions dimensions;
    char hostname[256];
};

/* What becomes of packets. */
struct tally {
    uint64_t packets, lines, packets_dropped, lines_dropped;
};

struct telling {
    struct settings settings;
    struct shm_reader *reader;
    struct recorder *recorder; /* NULL while the last word is said */
    struct statsd_report *report;
    struct snapshot snapshot;
    struct statsd_window *windows; /* one per process of the snapshot */
    size_t n_windows;
    uint64_t told_period;    /* the last period whose timings were told, all of them */
    uint64_t written_period; /* the last that is in the packets */
    bool lost;               /* one of them has not left */
    unsigned periods;        /* closed since the last interval */

    struct lookup lookup;
    struct lookup_address address; /* size 0: none yet */
    bool is_name;                  /* the host is no plain address: to be looked up again */
    bool looked_up;
    int64_t looked_up_ms; /* the last lookup's end, if there was one */
    int fd;

    struct statsd_packets packets;
    size_t next;       /* the packet to be sent next */
    bool sent_one;     /* packet next - 1 is on its way; a refusal may still come */
    int64_t begun_ms;  /* the first was due */
    int64_t spread_ms; /* the last is due so long after it */
    int64_t not_before_ms;

    struct tally tally;
    bool warned_texts, warned_size;
    bool refused;       /* the latest that is known of the receiver: said once */
    bool lookup_failed; /* said once */
    bool failed;        /* said once */
};

/* --- options --- */

static int64_t
choose_interval(const struct config *cfg)
{
    int64_t period = cfg->persister.period_seconds, interval = cfg->statsd.interval_seconds;
    return interval > period ? interval / period : 1;
}

void
telling_options_from(struct telling_options *options, const struct config *cfg)
{
    int64_t period_ms = cfg->persister.period_seconds * 1000, n = choose_interval(cfg);
    int64_t window_ms = cfg->statsd.gauge_window_seconds * 1000;
    *options = (struct telling_options){
        .instance = cfg->persister.instance,
        .host = cfg->statsd.host,
        .port = (uint16_t)cfg->statsd.port,
        .dialect =
            strcmp(cfg->statsd.dialect, "dogstatsd") == 0 ? STATSD_DOGSTATSD : STATSD_MONASCA,
        .prefix = cfg->statsd.prefix,
        .dimensions = cfg->statsd.dimensions,
        .per_process = cfg->statsd.per_process,
        .max_packet_bytes = (size_t)cfg->statsd.max_packet_bytes,
        .period_ms = period_ms,
        .periods_an_interval = (unsigned)n,
        /* Less than an interval, and what is between two windows would never be told. */
        .window_ms = window_ms > n * period_ms ? window_ms : n * period_ms};
}

static void
free_settings(struct settings *s)
{
    free(s->host);
    free(s->prefix);
    free(s->instance);
    statsd_dimensions_free(&s->dimensions);
    *s = (struct settings){.host = NULL};
}

static int
copy_settings(struct settings *s, const struct telling_options *options)
{
    *s = (struct settings){.options = *options,
                           .host = strdup(options->host),
                           .prefix = strdup(options->prefix),
                           .instance = strdup(options->instance)};
    int parsed = statsd_dimensions_parse(options->dimensions, &s->dimensions);
    if (gethostname(s->hostname, sizeof(s->hostname) - 1) == -1)
        s->hostname[0] = '\0'; /* is told as '_' */
    if (parsed == 0 && s->host != NULL && s->prefix != NULL && s->instance != NULL)
        return 0;
    free_settings(s);
    return -1;
}

/* --- life --- */

struct telling *
telling_new(const struct telling_options *options, struct shm_reader *reader,
            struct recorder *recorder, struct errbuf *err)
{
    struct telling *t = calloc(1, sizeof(*t));
    if (t != NULL) {
        t->fd = STATSD_NO_SOCKET;
        t->reader = reader;
        t->recorder = recorder;
        t->report = statsd_report_new();
        statsd_packets_init(&t->packets, options->max_packet_bytes);
        if (t->report == NULL || copy_settings(&t->settings, options) == -1)
            telling_free(&t);
    }
    if (t == NULL)
        errbuf_set(err, "no memory for StatsD");
    return t;
}

void
telling_free(struct telling **telling)
{
    struct telling *t = *telling;
    if (t != NULL) {
        lookup_cancel(&t->lookup);
        statsd_socket_close(&t->fd);
        statsd_packets_free(&t->packets);
        statsd_report_free(&t->report);
        snapshot_free(&t->snapshot);
        free(t->windows);
        free_settings(&t->settings);
        free(t);
    }
    *telling = NULL;
}

void
telling_list_fds(const struct telling *telling, int fds[TELLING_FDS])
{
    fds[0] = telling->fd;
    fds[1] = telling->lookup.running ? telling->lookup.fd : -1;
}

/* --- what became of a packet --- */

static void
count(struct telling *t, size_t packet, bool sent)
{
    uint64_t lines = t->packets.packets[packet].n_lines;
    *(sent ? &t->tally.packets : &t->tally.packets_dropped) += 1;
    *(sent ? &t->tally.lines : &t->tally.lines_dropped) += lines;
    if (t->recorder == NULL)
        return;
    recorder_add(t->recorder, sent ? STAT_STATSD_PACKETS : STAT_STATSD_PACKETS_DROPPED, 1);
    recorder_add(t->recorder, sent ? STAT_STATSD_LINES : STAT_STATSD_LINES_DROPPED, lines);
}

/* Has the next interval tell it: counters from the report, timings as still fresh. */
static void
take_back(struct telling *t, size_t packet)
{
    statsd_report_return(t->report, &t->packets, packet);
    t->lost = true;
}

static void
drop(struct telling *t, size_t packet)
{
    count(t, packet, false);
    take_back(t, packet);
}

static void
note_refused(struct telling *t, bool refused)
{
    char text[LOOKUP_TEXT_BYTES];
    if (refused != t->refused && refused)
        log_notice("StatsD: nobody listens at %s; what is not taken is dropped and counted, and "
                   "counters catch up later",
                   lookup_describe(&t->address, text));
    else if (refused != t->refused)
        log_notice("StatsD: somebody listens at %s again; %llu packets were dropped so far",
                   lookup_describe(&t->address, text),
                   (unsigned long long)t->tally.packets_dropped);
    t->refused = refused;
}

/* The packet sent last has either met nobody, which is known by now, or is taken as received. */
static void
settle(struct telling *t, bool refused)
{
    if (!t->sent_one)
        return;
    t->sent_one = false;
    if (refused)
        drop(t, t->next - 1);
    else
        count(t, t->next - 1, true);
    note_refused(t, refused);
}

static void
settle_last(struct telling *t)
{
    if (t->sent_one)
        settle(t, statsd_socket_was_refused(t->fd));
}

/* --- where to --- */

static void
note_failure(struct telling *t, const char *what)
{
    if (!t->failed)
        log_warning("StatsD to %s: %s; what is not sent is dropped and counted", t->settings.host,
                    what);
    t->failed = true;
}

static void
take_address(struct telling *t, const struct lookup_address *found)
{
    char text[LOOKUP_TEXT_BYTES];
    struct errbuf err;
    if (t->lookup_failed)
        log_notice("StatsD: %s is found again", t->settings.host);
    t->lookup_failed = false;
    if (t->fd != STATSD_NO_SOCKET && lookup_same(found, &t->address))
        return;
    settle_last(t);
    statsd_socket_close(&t->fd);
    t->address = *found;
    t->refused = false;
    t->fd = statsd_socket_open((const struct sockaddr *)&found->address, found->size, &err);
    if (t->fd == STATSD_NO_SOCKET)
        note_failure(t, err.text);
    else
        log_info("StatsD goes to %s", lookup_describe(found, text));
}

static void
take_lookup(struct telling *t, enum lookup_result result, const struct lookup_address *found,
            const struct errbuf *err, int64_t now_ms)
{
    if (result == LOOKUP_WAITING)
        return;
    t->looked_up = true;
    t->looked_up_ms = now_ms;
    if (result == LOOKUP_FOUND) {
        take_address(t, found);
        return;
    }
    /* An address that served so far goes on serving. */
    if (!t->lookup_failed)
        log_warning("StatsD: %s cannot be looked up: %s; it is tried again every %d s",
                    t->settings.host, err->text, LOOKUP_AGAIN_MS / 1000);
    t->lookup_failed = true;
}

/* A refusal may mean that a name has moved: it is looked up sooner. */
static int64_t
lookup_due_ms(const struct telling *t)
{
    bool well = t->fd != STATSD_NO_SOCKET && !t->lookup_failed && !t->refused;
    if (t->lookup.running)
        return t->lookup.until_ms;
    if (!t->looked_up)
        return 0;
    if (!t->is_name && t->fd != STATSD_NO_SOCKET)
        return INT64_MAX;
    return t->looked_up_ms + (well ? LOOKUP_FRESH_MS : LOOKUP_AGAIN_MS);
}

static void
look_up(struct telling *t, int64_t now_ms)
{
    struct lookup_address found;
    struct errbuf err;
    if (t->lookup.running) {
        take_lookup(t, lookup_poll(&t->lookup, now_ms, &found, &err), &found, &err, now_ms);
        return;
    }
    if (now_ms < lookup_due_ms(t))
        return;
    enum lookup_result result =
        lookup_start(&t->lookup, t->settings.host, t->settings.options.port, now_ms, &found, &err);
    t->is_name = result != LOOKUP_FOUND;
    take_lookup(t, result, &found, &err, now_ms);
}

/* --- sending --- */

/* Sends the next packet. Returns: false if it has to wait. */
static bool
send_next(struct telling *t)
{
    struct errbuf err;
    settle_last(t);
    enum statsd_sent sent = STATSD_FAILED;
    if (t->fd != STATSD_NO_SOCKET) {
        struct slice packet = statsd_packets_get(&t->packets, t->next);
        sent = statsd_socket_send(t->fd, packet, &err);
        if (sent == STATSD_REFUSED) /* the answer to an earlier one; that one is settled */
            sent = statsd_socket_send(t->fd, packet, &err);
        if (sent == STATSD_FAILED)
            note_failure(t, err.text);
    }
    if (sent == STATSD_LATER)
        return false;
    if (sent == STATSD_SENT) {
        t->failed = false;
        t->sent_one = true;
    } else {
        drop(t, t->next);
    }
    t->next++;
    return true;
}

static int64_t
packet_due_ms(const struct telling *t, size_t packet)
{
    return t->begun_ms + t->spread_ms * (int64_t)packet / (int64_t)t->packets.n;
}

static void
send_due(struct telling *t, int64_t now_ms)
{
    if (now_ms < t->not_before_ms)
        return;
    while (t->next < t->packets.n && packet_due_ms(t, t->next) <= now_ms) {
        t->not_before_ms = now_ms + GAP_MIN_MS;
        if (!send_next(t))
            return;
    }
}

/* What the last interval could not get rid of: the next one is here. */
static void
drop_rest(struct telling *t)
{
    settle_last(t);
    for (; t->next < t->packets.n; t->next++)
        drop(t, t->next);
}

/* What is not due yet is told anew instead. */
static void
take_back_rest(struct telling *t)
{
    settle_last(t);
    for (; t->next < t->packets.n; t->next++)
        take_back(t, t->next);
}

/* --- an interval --- */

static int
make_windows(struct telling *t, size_t n)
{
    if (n <= t->n_windows)
        return 0;
    struct statsd_window *bigger = realloc(t->windows, n * sizeof(*bigger));
    if (bigger == NULL)
        return -1;
    t->windows = bigger;
    t->n_windows = n;
    return 0;
}

/* Looks at the closed periods. Returns: 0, or -1 if memory is out. */
static int
look_back(struct telling *t, struct statsd_window *instance)
{
    struct snapshot_period periods[SHM_PERIODS];
    struct snapshot_process_period of_process[SHM_PERIODS];
    struct stat_figures figures;
    int64_t window_ms = t->settings.options.window_ms;
    size_t n = snapshot_periods(t->reader, periods, SHM_PERIODS);
    uint64_t first = statsd_window_first(periods, n, window_ms);
    (void)snapshot_window(t->reader, window_ms, &figures);
    statsd_window_fill(instance, &figures, periods, n, t->told_period);
    if (make_windows(t, t->snapshot.n_processes) == -1)
        return -1;
    size_t wanted = n == 0 ? 0 : (size_t)(periods[n - 1].number - first + 1);
    for (size_t i = 0; i < t->snapshot.n_processes; i++) {
        size_t found =
            snapshot_process_periods(t->reader, t->snapshot.processes[i].slot, of_process, wanted);
        statsd_window_clear(&t->windows[i]);
        statsd_window_add(&t->windows[i], of_process, found, first, t->told_period);
    }
    return 0;
}

static void
warn(struct telling *t, bool whole)
{
    if (!whole && !t->warned_texts)
        log_warning("StatsD: the prefix or a dimension has characters that receivers do not take; "
                    "they are told as '_'");
    t->warned_texts |= !whole;
    if (t->packets.n_refused > 0 && !t->warned_size)
        log_warning("StatsD: %zu lines of %zu are longer than max_packet_bytes and are not sent",
                    t->packets.n_refused, t->packets.n_refused + t->packets.n_lines);
    t->warned_size |= t->packets.n_refused > 0;
    t->tally.lines_dropped += t->packets.n_refused;
    if (t->recorder != NULL)
        recorder_add(t->recorder, STAT_STATSD_LINES_DROPPED, t->packets.n_refused);
}

static void
write_interval(struct telling *t, bool counters_only)
{
    const struct settings *s = &t->settings;
    struct statsd_style style = {.dialect = s->options.dialect,
                                 .prefix = s->prefix,
                                 .hostname = s->hostname,
                                 .instance = s->instance,
                                 .dimensions = s->dimensions.list,
                                 .n_dimensions = s->dimensions.n,
                                 .per_process = s->options.per_process};
    struct statsd_window window;
    struct statsd_content content = {.snapshot = &t->snapshot};
    if (!counters_only && look_back(t, &window) == 0) {
        content.instance = &window;
        content.processes = t->windows;
        t->written_period = t->snapshot.period;
    }
    statsd_packets_clear(&t->packets, s->options.max_packet_bytes);
    warn(t, statsd_report_write(t->report, &style, &content, &t->packets));
}

/* Takes up what was counted and writes it down. */
static void
begin_interval(struct telling *t, bool counters_only, int64_t now_ms)
{
    struct errbuf err;
    drop_rest(t);
    t->told_period = t->lost ? t->told_period : t->written_period;
    t->lost = false;
    t->next = 0;
    t->periods = 0;
    if (snapshot_take(t->reader, &t->snapshot, &err) == -1 ||
        statsd_report_take(t->report, &t->snapshot) == -1) {
        log_error("StatsD: out of memory; this interval is told with the next");
        statsd_packets_clear(&t->packets, t->settings.options.max_packet_bytes);
        return;
    }
    write_interval(t, counters_only);
    const struct telling_options *o = &t->settings.options;
    int64_t interval_ms = o->period_ms * o->periods_an_interval;
    int64_t most_ms = (int64_t)t->packets.n * GAP_MAX_MS;
    t->begun_ms = now_ms;
    t->spread_ms = interval_ms * SPREAD_PERCENT / 100;
    if (t->spread_ms > most_ms)
        t->spread_ms = most_ms;
}

void
telling_start(struct telling *telling, int64_t now_ms)
{
    look_up(telling, now_ms);
    begin_interval(telling, true, now_ms);
    send_due(telling, now_ms);
}

void
telling_note_period(struct telling *telling, int64_t now_ms)
{
    if (++telling->periods >= telling->settings.options.periods_an_interval)
        begin_interval(telling, false, now_ms);
    telling_turn(telling, now_ms);
}

void
telling_turn(struct telling *telling, int64_t now_ms)
{
    look_up(telling, now_ms);
    send_due(telling, now_ms);
}

int64_t
telling_due_ms(const struct telling *telling)
{
    const struct telling *t = telling;
    int64_t due_ms = lookup_due_ms(t);
    if (t->next < t->packets.n) {
        int64_t packet_ms = packet_due_ms(t, t->next);
        packet_ms = packet_ms > t->not_before_ms ? packet_ms : t->not_before_ms;
        due_ms = packet_ms < due_ms ? packet_ms : due_ms;
    }
    return due_ms;
}

void
telling_note_release(struct telling *telling, unsigned slot)
{
    struct errbuf err;
    if (snapshot_take(telling->reader, &telling->snapshot, &err) == -1 ||
        statsd_report_take(telling->report, &telling->snapshot) == -1)
        log_error("StatsD: out of memory; what slot %u has counted lately is not told", slot);
    statsd_report_forget(telling->report, slot);
}

int
telling_change(struct telling *telling, const struct telling_options *options, struct errbuf *err)
{
    struct settings settings;
    if (copy_settings(&settings, options) == -1)
        return errbuf_set(err, "no memory for StatsD");
    take_back_rest(telling); /* to be told by the new rules */
    lookup_cancel(&telling->lookup);
    statsd_socket_close(&telling->fd);
    free_settings(&telling->settings);
    telling->settings = settings;
    telling->looked_up = false;
    telling->lookup_failed = telling->failed = telling->refused = false;
    telling->warned_texts = telling->warned_size = false;
    return 0;
}

/* --- the last word --- */

static void
sleep_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

static void
wait_for_address(struct telling *t)
{
    int64_t until_ms = clock_mono_ms() + FINISH_ADDRESS_MS;
    look_up(t, clock_mono_ms());
    while (t->fd == STATSD_NO_SOCKET && t->lookup.running && clock_mono_ms() < until_ms) {
        sleep_ms(FINISH_GAP_MS * 10);
        look_up(t, clock_mono_ms());
    }
}

void
telling_finish(struct telling *telling)
{
    struct telling *t = telling;
    int64_t begun_ms = clock_mono_ms();
    wait_for_address(t);
    take_back_rest(t);
    t->recorder = NULL;
    begin_interval(t, false, begun_ms);
    while (t->fd != STATSD_NO_SOCKET && t->next < t->packets.n &&
           clock_mono_ms() - begun_ms < FINISH_SEND_MS) {
        (void)send_next(t);
        if (t->next < t->packets.n)
            sleep_ms(FINISH_GAP_MS);
    }
    if (t->sent_one)
        sleep_ms(FINISH_REFUSED_MS);
    drop_rest(t);
    log_info("StatsD: %llu packets with %llu lines sent, %llu with %llu dropped",
             (unsigned long long)t->tally.packets, (unsigned long long)t->tally.lines,
             (unsigned long long)t->tally.packets_dropped,
             (unsigned long long)t->tally.lines_dropped);
}
