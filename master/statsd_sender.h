/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statsd_sender.h - tells the figures by StatsD: once an interval, out of the master's loop, without ever
 * making it wait.
 *
 * An interval is a number of closed periods.  When one is over its lines are written into packets
 * at once, and the packets leave little by little over the time until the next (a burst overruns
 * the receiver's buffer: of 2,000 datagrams in 9 ms the Monasca agent kept 92).  A packet that
 * could not be sent, or that came back as refused, is counted as dropped, and the counters'
 * differences in it are told again with the next interval; so they add up to the totals exactly
 * wherever the kernel can know what was lost.
 *
 * The cost depends on the number of processes, not on the messages.
 *
 * Process: master.  Owner: whoever called statsd_sender_new.  Concurrency: one thread.
 */
#ifndef MASTER_STATSD_SENDER_H
#define MASTER_STATSD_SENDER_H

#include "lib/errbuf.h"
#include "shm/recorder.h"
#include "shm/snapshot.h"
#include "statsd/statsd_line.h"

struct config;

/* All texts are copied. */
struct statsd_sender_options {
    const char *instance;
    const char *host; /* a name or an address */
    uint16_t port;
    enum statsd_dialect dialect;
    const char *prefix;     /* "monasca.persister." */
    const char *dimensions; /* "k:v, k2:v2", as cfg_load has checked it */
    bool per_process;
    size_t max_packet_bytes;
    int64_t period_ms;            /* of the figures */
    unsigned periods_an_interval; /* 1.. */
    int64_t window_ms;            /* what averages and extremes cover, at least an interval */
};

/*
 * The options as the configuration has them; texts are its own.
 * Takes: a configuration whose [statsd] has been checked.
 */
void statsd_sender_options_from(struct statsd_sender_options *options, const struct config *cfg);

struct statsd_sender;

/*
 * Takes: options; a reader of the master's own segment and a recorder of its figures, both of which
 * outlive it.
 * Returns: a sender that has sent nothing yet, or NULL with a text if memory is out.
 */
struct statsd_sender *statsd_sender_new(const struct statsd_sender_options *options, struct shm_reader *reader,
                            struct recorder *recorder, struct errbuf *err) MUST_CHECK;

/* Ends it without a last word, and nulls the pointer. NULL is fine. */
void statsd_sender_free(struct statsd_sender **sender);

/* Takes other options from the next interval on. Returns: 0, or -1 if memory is out (none change).
 */
int statsd_sender_change(struct statsd_sender *sender, const struct statsd_sender_options *options,
                   struct errbuf *err) MUST_CHECK;

/* All following take the monotonic clock in ms. None waits, but statsd_sender_finish. */

/* Begins: looks the host up and tells a 0 of every counter. */
void statsd_sender_start(struct statsd_sender *sender, int64_t now_ms);

/* A period was closed just now. */
void statsd_sender_note_period(struct statsd_sender *sender, int64_t now_ms);

/* A turn of the loop: sends what is due. */
void statsd_sender_turn(struct statsd_sender *sender, int64_t now_ms);

/* Returns: when statsd_sender_turn wants to be called next, at the latest; INT64_MAX: not before the next
 * period or child's end. */
int64_t statsd_sender_due_ms(const struct statsd_sender *sender);

/*
 * A slot is about to be released or assigned to another process: what was counted there and not
 * told yet is kept under its name. To be called before ledger_release and ledger_assign.
 */
void statsd_sender_note_release(struct statsd_sender *sender, unsigned slot);

/*
 * The last word: an interval up to now, after the last worker was reaped and the last period
 * closed. Waits up to 3 s, for an address if there is none yet and so that the receiver's buffer
 * holds the packets. What it sends is told in the log only: the last period is closed.
 */
void statsd_sender_finish(struct statsd_sender *sender);

/* Writes the descriptors that children should close. Takes: room for STATSD_SENDER_FDS; -1: none. */
enum { STATSD_SENDER_FDS = 2 };
void statsd_sender_list_fds(const struct statsd_sender *sender, int fds[STATSD_SENDER_FDS]);

#endif
