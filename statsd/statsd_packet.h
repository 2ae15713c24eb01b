/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statsd_packet.h - lines into datagrams: whole lines only, newlines between them, each datagram
 * within a limit.  Pure.
 *
 * Each line may carry a claim: which counter's difference it tells.  Should its packet be lost, the
 * claim says what has to be told again.
 *
 * Process: master, tests.  Owner: whoever called statsd_packets_init; statsd_packets_free ends it.
 * Concurrency: none needed.
 */
#ifndef STATSD_STATSD_PACKET_H
#define STATSD_STATSD_PACKET_H

#include "lib/buf.h"
#include "shm/stat.h"

/* A counter's difference; count 0: the line claims nothing. */
struct statsd_claim {
    size_t series; /* number in the report */
    enum stat_value value;
    uint64_t count;
};

struct statsd_packet {
    size_t at, size; /* its bytes */
    size_t first_line, n_lines;
};

struct statsd_packets {
    size_t max_bytes; /* of a packet */
    struct buf bytes;
    struct statsd_packet *packets;
    struct statsd_claim *claims; /* one per line */
    size_t n, capacity, n_lines, lines_capacity;
    size_t n_refused; /* lines that did not fit into a packet alone, or into memory */
};

/* Takes: the size of a packet, at most, 1.. */
void statsd_packets_init(struct statsd_packets *packets, size_t max_bytes);
void statsd_packets_free(struct statsd_packets *packets);

/* Forgets all packets; keeps the memory. Takes: the size of a packet, at most, 1.. */
void statsd_packets_clear(struct statsd_packets *packets, size_t max_bytes);

/*
 * Appends a line to the last packet, or to a new one if it does not fit there.
 * Takes: the line, 1.. bytes, without a newline.
 * Returns: 0, or -1 if it is longer than a packet or memory is out; n_refused then counts it.
 */
int statsd_packets_add(struct statsd_packets *packets, struct slice line,
                       const struct statsd_claim *claim) MUST_CHECK;

/* Returns: packet i, 0..n-1; valid until the next change. */
struct slice statsd_packets_get(const struct statsd_packets *packets, size_t i);

#endif
