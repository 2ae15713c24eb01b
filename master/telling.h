/*
 * telling.h - tells the figures by StatsD: once an interval, out of the master's loop, without ever
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
 * Process: master.  Owner: whoever called telling_new.  Concurrency: one thread.
 */
#ifndef MASTER_TELLING_H
#define MASTER_TELLING_H

#include "lib/errbuf.h"
#include "shm/recorder.h"
#include "shm/snapshot.h"
#include "statsd/statsd_line.h"

struct config;

/* All texts are copied. */
struct telling_options {
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
void telling_options_from(struct telling_options *options, const struct config *cfg);

struct telling;

/*
 * Takes: options; a reader of the master's own segment and a recorder of its figures, both of which
 * outlive it.
 * Returns: a telling that has sent nothing yet, or NULL with a text if memory is out.
 */
struct telling *telling_new(const struct telling_options *options, struct shm_reader *reader,
                            struct recorder *recorder, struct errbuf *err) MUST_CHECK;

/* Ends it without a last word, and nulls the pointer. NULL is fine. */
void telling_free(struct telling **telling);

/* Takes other options from the next interval on. Returns: 0, or -1 if memory is out (none change).
 */
int telling_change(struct telling *telling, const struct telling_options *options,
                   struct errbuf *err) MUST_CHECK;

/* All following take the monotonic clock in ms. None waits, but telling_finish. */

/* Begins: looks the host up and tells a 0 of every counter. */
void telling_start(struct telling *telling, int64_t now_ms);

/* A period was closed just now. */
void telling_note_period(struct telling *telling, int64_t now_ms);

/* A turn of the loop: sends what is due. */
void telling_turn(struct telling *telling, int64_t now_ms);

/* Returns: when telling_turn wants to be called next, at the latest; INT64_MAX: not before the next
 * period or child's end. */
int64_t telling_due_ms(const struct telling *telling);

/*
 * A slot is about to be released or assigned to another process: what was counted there and not
 * told yet is kept under its name. To be called before ledger_release and ledger_assign.
 */
void telling_note_release(struct telling *telling, unsigned slot);

/*
 * The last word: an interval up to now, after the last worker was reaped and the last period
 * closed. Waits up to 3 s, for an address if there is none yet and so that the receiver's buffer
 * holds the packets. What it sends is told in the log only: the last period is closed.
 */
void telling_finish(struct telling *telling);

/* Writes the descriptors that children should close. Takes: room for TELLING_FDS; -1: none. */
enum { TELLING_FDS = 2 };
void telling_list_fds(const struct telling *telling, int fds[TELLING_FDS]);

#endif
