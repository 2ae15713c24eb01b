/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statsd_sender.c - see statsd_sender.h.  What to say is statsd/'s, taking it there the transport's; here is
 * when.
 */
#include "master/statsd_sender.h"

#include <stdlib.h>
#include <unistd.h>

#include "conf/cfg.h"
#include "lib/array.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "master/statsd_transport.h"
#include "statsd/statsd_dimensions.h"
#include "statsd/statsd_report.h"
#include "master/master_priv.h"

enum {
    SPREAD_PERCENT = 80,     /* of an interval, over which its packets leave */
    GAP_MAX_MS = 200,        /* between two packets: figures should not be older than need be */
    FINISH_ADDRESS_MS = 500, /* how long the last word waits for an address */
    FINISH_SEND_MS = 2000    /* how long it may take to be sent */
};

_Static_assert((int)CFG_STATSD_PERIODS == (int)SHM_PERIODS &&
                   (int)CFG_STATSD_DIMENSIONS <= (int)STATSD_DIMENSIONS_MAX,
               "what the configuration allows must be there");

/* What statsd_sender_new copies of the options. */
struct settings {
    struct statsd_sender_options options;
    char *host, *prefix, *instance;
    struct statsd_dimensions dimensions;
    char hostname[256];
};

struct statsd_sender {
    struct settings settings;
    struct shm_reader *reader;
    struct recorder *recorder;
    struct statsd_report *report;
    struct snapshot snapshot;
    struct statsd_window *windows; /* one per process of the snapshot */
    size_t capacity;
    uint64_t told_period;    /* the last period whose timings were told, all of them */
    uint64_t written_period; /* the last that is in the packets */
    bool lost;               /* one of them has not left */
    unsigned periods;        /* closed since the last interval */

    struct statsd_packets packets; /* the transport's load */
    struct statsd_transport transport;
    struct statsd_transport_tally recorded; /* what the recorder has of its tally */
    bool warned_texts, warned_size;
};

/* --- options --- */

static int64_t
choose_interval(const struct config *cfg)
{
    int64_t period = cfg->persister.period_seconds, interval = cfg->statsd.interval_seconds;
    return interval > period ? interval / period : 1;
}

void
statsd_sender_options_from(struct statsd_sender_options *options, const struct config *cfg)
{
    int64_t period_ms = cfg->persister.period_seconds * 1000, n = choose_interval(cfg);
    int64_t window_ms = cfg->statsd.gauge_window_seconds * 1000;
    *options = (struct statsd_sender_options){
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
copy_settings(struct settings *s, const struct statsd_sender_options *options)
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

/* The next interval tells it: counters from the report, timings as still fresh. */
static void
take_back(void *arg, size_t packet)
{
    struct statsd_sender *t = arg;
    statsd_report_return(t->report, &t->packets, packet);
    t->lost = true;
}

struct statsd_sender *
statsd_sender_new(const struct statsd_sender_options *options, struct shm_reader *reader,
            struct recorder *recorder, struct errbuf *err)
{
    struct statsd_sender *t = calloc(1, sizeof(*t));
    if (t != NULL) {
        t->reader = reader;
        t->recorder = recorder;
        t->report = statsd_report_new();
        statsd_packets_init(&t->packets, options->max_packet_bytes);
        bool copied = copy_settings(&t->settings, options) == 0;
        statsd_transport_init(&t->transport, t->settings.host, options->port, take_back, t);
        if (t->report == NULL || !copied)
            statsd_sender_free(&t);
    }
    if (t == NULL)
        errbuf_set(err, "no memory for StatsD");
    return t;
}

void
statsd_sender_free(struct statsd_sender **sender)
{
    struct statsd_sender *t = *sender;
    if (t != NULL) {
        statsd_transport_close(&t->transport);
        statsd_packets_free(&t->packets);
        statsd_report_free(&t->report);
        snapshot_free(&t->snapshot);
        free(t->windows);
        free_settings(&t->settings);
        free(t);
    }
    *sender = NULL;
}

void
statsd_sender_list_fds(const struct statsd_sender *sender, int fds[STATSD_SENDER_FDS])
{
    fds[0] = sender->transport.fd;
    fds[1] = sender->transport.lookup.running ? sender->transport.lookup.fd : -1;
}

/* Moves on what the tally has grown by since the last time. */
static void
record_tally(struct statsd_sender *t)
{
    const struct statsd_transport_tally *now = &t->transport.tally;
    const uint64_t grown[][2] = {
        {STAT_STATSD_PACKETS, now->packets - t->recorded.packets},
        {STAT_STATSD_LINES, now->lines - t->recorded.lines},
        {STAT_STATSD_PACKETS_DROPPED, now->packets_dropped - t->recorded.packets_dropped},
        {STAT_STATSD_LINES_DROPPED, now->lines_dropped - t->recorded.lines_dropped}};
    for (size_t i = 0; i < COUNT_OF(grown); i++)
        if (grown[i][1] > 0)
            recorder_add(t->recorder, (enum stat_value)grown[i][0], grown[i][1]);
    t->recorded = *now;
}

/* --- an interval --- */

/* Looks at the closed periods. Returns: 0, or -1 if memory is out. */
static int
look_back(struct statsd_sender *t, struct statsd_window *instance)
{
    struct snapshot_period periods[SHM_PERIODS];
    struct snapshot_process_period of_process[SHM_PERIODS];
    struct stat_figures figures;
    int64_t window_ms = t->settings.options.window_ms;
    size_t n = snapshot_periods(t->reader, periods, SHM_PERIODS);
    uint64_t first = statsd_window_first(periods, n, window_ms);
    (void)snapshot_window(t->reader, window_ms, &figures);
    statsd_window_fill(instance, &figures, periods, n, t->told_period);
    if (array_reserve(&t->windows, &t->capacity, t->snapshot.n_processes,
                      sizeof(*t->windows)) == -1)
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
warn(struct statsd_sender *t, bool whole)
{
    if (!whole && !t->warned_texts)
        log_warning("StatsD: the prefix or a dimension has characters that receivers do not take; "
                    "they are told as '_'");
    t->warned_texts |= !whole;
    if (t->packets.n_refused > 0 && !t->warned_size)
        log_warning("StatsD: %zu lines of %zu are longer than max_packet_bytes and are not sent",
                    t->packets.n_refused, t->packets.n_refused + t->packets.n_lines);
    t->warned_size |= t->packets.n_refused > 0;
    statsd_transport_note_refused_lines(&t->transport, t->packets.n_refused);
}

static void
write_interval(struct statsd_sender *t, bool counters_only)
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
begin_interval(struct statsd_sender *t, bool counters_only, int64_t now_ms)
{
    struct errbuf err;
    statsd_transport_drop_load(&t->transport);
    t->told_period = t->lost ? t->told_period : t->written_period;
    t->lost = false;
    t->periods = 0;
    if (snapshot_take(t->reader, &t->snapshot, &err) == -1 ||
        statsd_report_take(t->report, &t->snapshot) == -1) {
        log_error("StatsD: out of memory; this interval is told with the next");
        statsd_packets_clear(&t->packets, t->settings.options.max_packet_bytes);
        return;
    }
    write_interval(t, counters_only);
    const struct statsd_sender_options *o = &t->settings.options;
    int64_t spread_ms = o->period_ms * o->periods_an_interval * SPREAD_PERCENT / 100;
    int64_t most_ms = (int64_t)t->packets.n * GAP_MAX_MS;
    statsd_transport_load(&t->transport, &t->packets, now_ms, spread_ms < most_ms ? spread_ms : most_ms);
}

void
statsd_sender_start(struct statsd_sender *sender, int64_t now_ms)
{
    begin_interval(sender, true, now_ms);
    statsd_sender_turn(sender, now_ms);
}

void
statsd_sender_note_period(struct statsd_sender *sender, int64_t now_ms)
{
    if (++sender->periods >= sender->settings.options.periods_an_interval)
        begin_interval(sender, false, now_ms);
    statsd_sender_turn(sender, now_ms);
}

void
statsd_sender_turn(struct statsd_sender *sender, int64_t now_ms)
{
    statsd_transport_turn(&sender->transport, now_ms);
    record_tally(sender);
}

int64_t
statsd_sender_due_ms(const struct statsd_sender *sender)
{
    return statsd_transport_due_ms(&sender->transport);
}

void
statsd_sender_note_release(struct statsd_sender *sender, unsigned slot)
{
    struct errbuf err;
    if (snapshot_take(sender->reader, &sender->snapshot, &err) == -1 ||
        statsd_report_take(sender->report, &sender->snapshot) == -1)
        log_error("StatsD: out of memory; what slot %u has counted lately is not told", slot);
    statsd_report_forget(sender->report, slot);
}

int
statsd_sender_change(struct statsd_sender *sender, const struct statsd_sender_options *options, struct errbuf *err)
{
    struct settings settings;
    if (copy_settings(&settings, options) == -1)
        return errbuf_set(err, "no memory for StatsD");
    statsd_transport_recall_load(&sender->transport); /* to be told by the new rules */
    free_settings(&sender->settings);
    sender->settings = settings;
    statsd_transport_redirect(&sender->transport, sender->settings.host, options->port);
    sender->warned_texts = sender->warned_size = false;
    return 0;
}

/* --- the last word --- */

void
statsd_sender_finish(struct statsd_sender *sender)
{
    struct statsd_sender *t = sender;
    const struct statsd_transport_tally *tally = &t->transport.tally;
    statsd_transport_wait_for_address(&t->transport, FINISH_ADDRESS_MS);
    statsd_transport_recall_load(&t->transport);
    begin_interval(t, false, clock_mono_ms());
    statsd_transport_hurry(&t->transport, FINISH_SEND_MS);
    log_info("StatsD: %llu packets with %llu lines sent, %llu with %llu dropped",
             (unsigned long long)tally->packets, (unsigned long long)tally->lines,
             (unsigned long long)tally->packets_dropped, (unsigned long long)tally->lines_dropped);
}
