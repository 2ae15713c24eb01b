/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - persister-load: what it is asked to do, and how far it is.
 *
 * Process: persister-load.  Owner: struct load, on main's stack.  Concurrency: one thread; delivery
 * reports are served by rd_kafka_poll in it.
 */
#ifndef PERF_LOAD_H
#define PERF_LOAD_H

#include <signal.h>

#include "lib/errbuf.h"
#include "perf/load/payload.h"

struct load_options {
    const char *brokers, *topic;
    const char *replay; /* file of messages, or NULL */
    bool replay_base64; /* of its lines the member "base64" */
    struct payload_options payload;
    int64_t messages;              /* to send; -1: no limit */
    int64_t first;                 /* number of the first message */
    int64_t seconds;               /* to send for; -1: no limit */
    int64_t rate;                  /* messages a second; 0: as fast as it goes */
    int64_t timeout_s;             /* for a delivery; 0: for ever */
    int64_t progress_s;            /* lines of progress so often; 0: never */
    bool bar;                      /* a bar on the terminal instead */
    const char *const *properties; /* librdkafka's, "name=value" */
    size_t n_properties;
};

struct load_counts {
    uint64_t sent, delivered, failed, bad, duplicates, series, bytes;
    double seconds;
};

/*
 * Sends what is asked for until it is done, or *stop is set, and waits for the delivery reports; no
 * longer once *stop is 2.
 * Returns: 0 if all that was sent was delivered; else -1 with a text. counts are filled in anyway.
 */
int load_run(const struct load_options *options, const volatile sig_atomic_t *stop,
             struct load_counts *counts, struct errbuf *err) MUST_CHECK;

/*
 * How many messages may have been sent by then. Pure.
 * Takes: messages a second, 1..; the time since the beginning in ns.
 * Returns: 1 at once, then one more each 1/rate seconds, however long it goes on.
 */
uint64_t load_due(int64_t rate, int64_t elapsed_ns);

/*
 * A line of progress, "[####----]  40 %  120,000 of 300,000, 5,012/s, 36 s left". Pure.
 * Takes: how many of how many (0: unknown); ms since the beginning; a share of the time instead of
 * the number if seconds > 0; whether with a bar.
 */
void load_describe(char *text, size_t size, uint64_t done, uint64_t all, int64_t elapsed_ms,
                   int64_t seconds, bool bar);

#endif
