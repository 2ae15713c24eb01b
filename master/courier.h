/*
 * courier.h - takes packets to the StatsD receiver: finds where it is, sends them one by one over
 * some time, never waits, and knows what became of each as far as the kernel does.
 *
 * A packet is taken as received when the next one is sent and no refusal has come by then (ICMP
 * "port unreachable"; on the same host it comes at once).  One whose refusal comes later than that
 * is lost without being counted, as one is that gets lost on the way.
 *
 * Process: master.  Owner: whoever called courier_init.  Concurrency: one thread.
 */
#ifndef MASTER_COURIER_H
#define MASTER_COURIER_H

#include "master/lookup.h"
#include "statsd/statsd_packet.h"

/* What became of packets, and of the lines in them. */
struct courier_tally {
    uint64_t packets, lines, packets_dropped, lines_dropped;
};

struct courier {
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
    struct courier_tally tally;

    /* What has been said of the receiver, so that it is said once; what this load has met with. */
    bool lookup_failed, refused, failed;
    bool refused_now, failed_now, arrived_now;
};

/* Takes: where to; what to call. Looks nothing up yet. */
void courier_init(struct courier *courier, const char *host, uint16_t port,
                  void (*lost)(void *arg, size_t packet), void *arg);
void courier_close(struct courier *courier);

/* Another receiver, from the next packet on. There must be no load left. */
void courier_redirect(struct courier *courier, const char *host, uint16_t port);

/*
 * Takes a new load, which leaves evenly over spread_ms, the first packet at once: one by one if
 * they are few, in small groups if they are many, since each wakes the master.  What is left of the
 * last load is dropped. Takes: packets that stay as they are until the next load, or until no load
 * is left.
 */
void courier_load(struct courier *courier, const struct statsd_packets *packets, int64_t now_ms,
                  int64_t spread_ms);

/* Ends a load: what has not been sent is dropped; or called lost, but not counted. */
void courier_drop_load(struct courier *courier);
void courier_recall_load(struct courier *courier);

/* Sends what is due. Takes: the monotonic clock in ms. */
void courier_turn(struct courier *courier, int64_t now_ms);

/* Returns: when courier_turn wants to be called next, at the latest, but for a child's end. */
int64_t courier_due_ms(const struct courier *courier);

/* Waits, up to limit_ms, until there is an address, or sends the whole load in a hurry. */
void courier_wait_for_address(struct courier *courier, int64_t limit_ms);
void courier_hurry(struct courier *courier, int64_t limit_ms);

/* Counts lines that never came into a packet. */
void courier_note_refused_lines(struct courier *courier, size_t lines);

#endif
