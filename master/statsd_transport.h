/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statsd_transport.h - takes packets to the StatsD receiver: finds where it is, sends them one by one over
 * some time, never waits, and knows what became of each as far as the kernel does.
 *
 * A packet is taken as received when the next one is sent and no refusal has come by then (ICMP
 * "port unreachable"; on the same host it comes at once).  One whose refusal comes later than that
 * is lost without being counted, as one is that gets lost on the way.
 *
 * Process: master.  Owner: whoever called statsd_transport_init.  Concurrency: one thread.
 */
#ifndef MASTER_STATSD_TRANSPORT_H
#define MASTER_STATSD_TRANSPORT_H

#include "master/lookup.h"
#include "statsd/statsd_packet.h"

/* What became of packets, and of the lines in them. */
struct statsd_transport_tally {
    uint64_t packets, lines, packets_dropped, lines_dropped;
};

struct statsd_transport {
    const char *host; /* a name or an address; the caller's */
    uint16_t port;
    struct lookup lookup;
    struct lookup_address address; /* size 0: none yet */
    bool is_name;                  /* the host is no plain address: to be looked up again */
    bool looked_up;
    int64_t looked_up_ms; /* the last lookup's end, if there was one */
    int fd;

    const struct statsd_packets *packets; /* the load; NULL: none */
    size_t next;                          /* to be sent next */
    bool on_its_way;                      /* packet next - 1: a refusal may still come */
    int64_t begun_ms, spread_ms;          /* the first is due, and the last so long after it */
    int64_t not_before_ms;

    /* Called for each packet of the load that has not arrived. */
    void (*lost)(void *arg, size_t packet);
    void *arg;
    struct statsd_transport_tally tally;

    /* What has been said of the receiver, so that it is said once; what this load has met with. */
    bool lookup_failed, refused, failed;
    bool refused_now, failed_now, arrived_now;
};

/* Takes: where to; what to call. Looks nothing up yet. */
void statsd_transport_init(struct statsd_transport *transport, const char *host, uint16_t port,
                  void (*lost)(void *arg, size_t packet), void *arg);
void statsd_transport_close(struct statsd_transport *transport);

/* Another receiver, from the next packet on. There must be no load left. */
void statsd_transport_redirect(struct statsd_transport *transport, const char *host, uint16_t port);

/*
 * Takes a new load, which leaves evenly over spread_ms, the first packet at once: one by one if
 * they are few, in small groups if they are many, since each wakes the master.  What is left of the
 * last load is dropped. Takes: packets that stay as they are until the next load, or until no load
 * is left.
 */
void statsd_transport_load(struct statsd_transport *transport, const struct statsd_packets *packets, int64_t now_ms,
                  int64_t spread_ms);

/* Ends a load: what has not been sent is dropped; or called lost, but not counted. */
void statsd_transport_drop_load(struct statsd_transport *transport);
void statsd_transport_recall_load(struct statsd_transport *transport);

/* Sends what is due. Takes: the monotonic clock in ms. */
void statsd_transport_turn(struct statsd_transport *transport, int64_t now_ms);

/* Returns: when statsd_transport_turn wants to be called next, at the latest, but for a child's end. */
int64_t statsd_transport_due_ms(const struct statsd_transport *transport);

/* Waits, up to limit_ms, until there is an address, or sends the whole load in a hurry. */
void statsd_transport_wait_for_address(struct statsd_transport *transport, int64_t limit_ms);
void statsd_transport_hurry(struct statsd_transport *transport, int64_t limit_ms);

/* Counts lines that never came into a packet. */
void statsd_transport_note_refused_lines(struct statsd_transport *transport, size_t lines);

#endif
