/* SPDX-License-Identifier: Apache-2.0 */
/* statsd_transport.c - see statsd_transport.h. */
#include "master/statsd_transport.h"

#include <poll.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "statsd/statsd_socket.h"
#include "master/master_priv.h"

enum {
    GROUPS_WANTED = 16,      /* a load leaves in so many groups: each wakes the master */
    GROUP_MAX = 8,           /* packets; then there are more groups */
    GAP_MIN_MS = 20,         /* between two turns that send; more than a group leaves if need be */
    BURST_MAX = 64,          /* packets in a turn: the agent's buffer holds 92 of the usual size */
    LOOKUP_AGAIN_MS = 10000, /* after it failed, or the receiver refused: it may have moved */
    LOOKUP_FRESH_MS = 60000, /* a name's address is looked up again after that */
    POLL_MS = 10,            /* while waiting for an address */
    HURRY_GAP_MS = 1,        /* between packets in a hurry: the receiver's buffer is finite */
    LATE_REFUSAL_MS = 20     /* how long the last refusal is waited for, in a hurry */
};

/* --- what became of a packet --- */

static size_t
lines_of(const struct statsd_transport *c, size_t packet)
{
    return c->packets->packets[packet].n_lines;
}

static void
drop(struct statsd_transport *c, size_t packet)
{
    c->tally.packets_dropped++;
    c->tally.lines_dropped += lines_of(c, packet);
    c->lost(c->arg, packet);
}

static void
note_refused(struct statsd_transport *c)
{
    char text[LOOKUP_TEXT_BYTES];
    c->refused_now = true;
    if (!c->refused)
        log_notice("StatsD: nobody listens at %s; what is not taken is dropped and counted, and "
                   "counters catch up later",
                   lookup_describe(&c->address, text));
    c->refused = true;
}

static void
note_failed(struct statsd_transport *c, const char *what)
{
    c->failed_now = true;
    if (!c->failed)
        log_warning("StatsD to %s: %s; what is not sent is dropped and counted, and counters "
                    "catch up later",
                    c->host, what);
    c->failed = true;
}

/* The packet sent last has either met nobody, which is known by now, or is taken as received. */
static void
settle(struct statsd_transport *c)
{
    if (!c->on_its_way)
        return;
    c->on_its_way = false;
    if (statsd_socket_was_refused(c->fd)) {
        note_refused(c);
        drop(c, c->next - 1);
    } else {
        c->arrived_now = true;
        c->tally.packets++;
        c->tally.lines += lines_of(c, c->next - 1);
    }
}

/* --- where to --- */

static void
take_address(struct statsd_transport *c, const struct lookup_address *found)
{
    char text[LOOKUP_TEXT_BYTES];
    struct errbuf err;
    if (c->lookup_failed)
        log_notice("StatsD: %s is found again", c->host);
    c->lookup_failed = false;
    if (c->fd != STATSD_NO_SOCKET && lookup_same(found, &c->address))
        return;
    settle(c);
    statsd_socket_close(&c->fd);
    c->address = *found;
    c->refused = c->refused_now = false;
    c->fd = statsd_socket_open((const struct sockaddr *)&found->address, found->size, &err);
    if (c->fd == STATSD_NO_SOCKET)
        note_failed(c, err.text);
    else
        log_info("StatsD goes to %s", lookup_describe(found, text));
}

static void
take_lookup(struct statsd_transport *c, enum lookup_result result, const struct lookup_address *found,
            const struct errbuf *err, int64_t now_ms)
{
    if (result == LOOKUP_WAITING)
        return;
    c->looked_up = true;
    c->looked_up_ms = now_ms;
    if (result == LOOKUP_FOUND) {
        take_address(c, found);
        return;
    }
    /* An address that served so far goes on serving. */
    if (!c->lookup_failed)
        log_warning("StatsD: %s cannot be looked up: %s; it is tried again every %d s", c->host,
                    err->text, LOOKUP_AGAIN_MS / 1000);
    c->lookup_failed = true;
}

static int64_t
lookup_due_ms(const struct statsd_transport *c)
{
    bool well = c->fd != STATSD_NO_SOCKET && !c->lookup_failed && !c->refused;
    if (c->lookup.running)
        return c->lookup.until_ms;
    if (!c->looked_up)
        return 0;
    if (!c->is_name && c->fd != STATSD_NO_SOCKET)
        return INT64_MAX;
    return c->looked_up_ms + (well ? LOOKUP_FRESH_MS : LOOKUP_AGAIN_MS);
}

static void
look_up(struct statsd_transport *c, int64_t now_ms)
{
    struct lookup_address found;
    struct errbuf err;
    if (c->lookup.running) {
        take_lookup(c, lookup_poll(&c->lookup, now_ms, &found, &err), &found, &err, now_ms);
        return;
    }
    if (now_ms < lookup_due_ms(c))
        return;
    enum lookup_result result = lookup_start(&c->lookup, c->host, c->port, now_ms, &found, &err);
    c->is_name = result != LOOKUP_FOUND;
    take_lookup(c, result, &found, &err, now_ms);
}

/* --- life --- */

void
statsd_transport_init(struct statsd_transport *transport, const char *host, uint16_t port,
             void (*lost)(void *arg, size_t packet), void *arg)
{
    *transport = (struct statsd_transport){
        .host = host, .port = port, .fd = STATSD_NO_SOCKET, .lost = lost, .arg = arg};
}

void
statsd_transport_close(struct statsd_transport *transport)
{
    lookup_cancel(&transport->lookup);
    statsd_socket_close(&transport->fd);
}

void
statsd_transport_redirect(struct statsd_transport *transport, const char *host, uint16_t port)
{
    assert(transport->packets == NULL);
    struct statsd_transport_tally tally = transport->tally;
    statsd_transport_close(transport);
    statsd_transport_init(transport, host, port, transport->lost, transport->arg);
    transport->tally = tally;
}

/* --- a load --- */

static size_t
count_packets(const struct statsd_transport *c)
{
    return c->packets != NULL ? c->packets->n : 0;
}

/* The receiver is well again if something arrived, as far as we know, and nothing came back. */
static void
judge_receiver(struct statsd_transport *c)
{
    char text[LOOKUP_TEXT_BYTES];
    if (!c->refused_now && !c->failed_now && !c->arrived_now)
        return; /* nothing was tried */
    if (c->refused && !c->refused_now)
        log_notice("StatsD: somebody listens at %s again; %llu packets were dropped so far",
                   lookup_describe(&c->address, text),
                   (unsigned long long)c->tally.packets_dropped);
    c->refused = c->refused_now;
    c->failed = c->failed_now;
    c->refused_now = c->failed_now = c->arrived_now = false;
}

static void
end_load(struct statsd_transport *c)
{
    judge_receiver(c);
    c->packets = NULL;
    c->next = 0;
}

void
statsd_transport_drop_load(struct statsd_transport *transport)
{
    settle(transport);
    for (; transport->next < count_packets(transport); transport->next++)
        drop(transport, transport->next);
    end_load(transport);
}

void
statsd_transport_recall_load(struct statsd_transport *transport)
{
    settle(transport);
    for (; transport->next < count_packets(transport); transport->next++)
        transport->lost(transport->arg, transport->next);
    end_load(transport);
}

void
statsd_transport_load(struct statsd_transport *transport, const struct statsd_packets *packets, int64_t now_ms,
             int64_t spread_ms)
{
    statsd_transport_drop_load(transport);
    transport->packets = packets;
    transport->begun_ms = now_ms;
    transport->spread_ms = spread_ms;
}

void
statsd_transport_note_refused_lines(struct statsd_transport *transport, size_t lines)
{
    transport->tally.lines_dropped += lines;
}

/* --- sending --- */

static enum statsd_sent
try_to_send(struct statsd_transport *c, struct slice packet)
{
    struct errbuf err;
    if (c->fd == STATSD_NO_SOCKET)
        return STATSD_FAILED;
    enum statsd_sent sent = statsd_socket_send(c->fd, packet, &err);
    if (sent == STATSD_REFUSED) { /* it is about an earlier one; this one has not been tried */
        note_refused(c);
        sent = statsd_socket_send(c->fd, packet, &err);
    }
    if (sent == STATSD_FAILED)
        note_failed(c, err.text);
    return sent;
}

/* Sends the next packet, or drops it. Returns: false if it has to wait. */
static bool
send_next(struct statsd_transport *c)
{
    settle(c);
    enum statsd_sent sent = try_to_send(c, statsd_packets_get(c->packets, c->next));
    if (sent == STATSD_LATER)
        return false;
    c->on_its_way = sent == STATSD_SENT;
    if (!c->on_its_way)
        drop(c, c->next);
    c->next++;
    return true;
}

/* Packets of a group are due together. */
static int64_t
packet_due_ms(const struct statsd_transport *c)
{
    size_t n = c->packets->n, group = (n + GROUPS_WANTED - 1) / GROUPS_WANTED;
    group = group < GROUP_MAX ? group : GROUP_MAX;
    return c->begun_ms + c->spread_ms * (int64_t)(c->next - c->next % group) / (int64_t)n;
}

void
statsd_transport_turn(struct statsd_transport *transport, int64_t now_ms)
{
    struct statsd_transport *c = transport;
    look_up(c, now_ms);
    if (now_ms < c->not_before_ms)
        return;
    for (unsigned i = 0; i < BURST_MAX && c->next < count_packets(c) && packet_due_ms(c) <= now_ms;
         i++) {
        c->not_before_ms = now_ms + GAP_MIN_MS;
        if (!send_next(c))
            return;
    }
}

int64_t
statsd_transport_due_ms(const struct statsd_transport *transport)
{
    const struct statsd_transport *c = transport;
    int64_t due_ms = lookup_due_ms(c);
    if (c->next < count_packets(c)) {
        int64_t packet_ms = packet_due_ms(c);
        packet_ms = packet_ms > c->not_before_ms ? packet_ms : c->not_before_ms;
        due_ms = packet_ms < due_ms ? packet_ms : due_ms;
    }
    return due_ms;
}

/* --- in a hurry --- */

static void
sleep_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

void
statsd_transport_wait_for_address(struct statsd_transport *transport, int64_t limit_ms)
{
    int64_t until_ms = clock_mono_ms() + limit_ms;
    look_up(transport, clock_mono_ms());
    while (transport->fd == STATSD_NO_SOCKET && transport->lookup.running &&
           clock_mono_ms() < until_ms) {
        sleep_ms(POLL_MS);
        look_up(transport, clock_mono_ms());
    }
}

void
statsd_transport_hurry(struct statsd_transport *transport, int64_t limit_ms)
{
    struct statsd_transport *c = transport;
    int64_t until_ms = clock_mono_ms() + limit_ms;
    while (c->fd != STATSD_NO_SOCKET && c->next < count_packets(c) && clock_mono_ms() < until_ms) {
        (void)send_next(c);
        if (c->next < count_packets(c))
            sleep_ms(HURRY_GAP_MS);
    }
    if (c->on_its_way)
        sleep_ms(LATE_REFUSAL_MS);
    statsd_transport_drop_load(c);
}
