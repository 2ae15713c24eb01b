/* SPDX-License-Identifier: Apache-2.0 */
/* statsd_packet.c - see statsd_packet.h. */
#include "statsd/statsd_packet.h"

#include <stdlib.h>

#include "lib/array.h"

enum {
    BYTES_MAX = 64 << 20 /* of all packets; 256 workers need some MiB */
};

void
statsd_packets_init(struct statsd_packets *packets, size_t max_bytes)
{
    assert(max_bytes > 0);
    *packets = (struct statsd_packets){.max_bytes = max_bytes};
    buf_init(&packets->bytes, BYTES_MAX);
}

void
statsd_packets_free(struct statsd_packets *packets)
{
    buf_free(&packets->bytes);
    free(packets->packets);
    free(packets->claims);
    statsd_packets_init(packets, packets->max_bytes);
}

void
statsd_packets_clear(struct statsd_packets *packets, size_t max_bytes)
{
    assert(max_bytes > 0);
    buf_clear(&packets->bytes);
    packets->max_bytes = max_bytes;
    packets->n = packets->n_lines = packets->n_refused = 0;
}

static int
make_room(struct statsd_packets *p, size_t line_bytes)
{
    bool fits = array_reserve(&p->packets, &p->capacity, p->n + 1, sizeof(*p->packets)) == 0 &&
                array_reserve(&p->claims, &p->lines_capacity, p->n_lines + 1,
                              sizeof(*p->claims)) == 0 &&
                buf_grow(&p->bytes, line_bytes + 1) == 0;
    return fits ? 0 : -1;
}

int
statsd_packets_add(struct statsd_packets *packets, struct slice line,
                   const struct statsd_claim *claim)
{
    struct statsd_packets *p = packets;
    assert(line.n > 0);
    if (line.n > p->max_bytes || make_room(p, line.n) == -1) {
        p->n_refused++;
        return -1;
    }
    struct statsd_packet *last = p->n > 0 ? &p->packets[p->n - 1] : NULL;
    if (last != NULL && last->size + 1 + line.n <= p->max_bytes) {
        buf_add_char(&p->bytes, '\n');
        last->size += 1 + line.n;
    } else {
        last = &p->packets[p->n++];
        *last =
            (struct statsd_packet){.at = p->bytes.size, .size = line.n, .first_line = p->n_lines};
    }
    buf_add_slice(&p->bytes, line);
    last->n_lines++;
    p->claims[p->n_lines++] = *claim;
    return 0;
}

struct slice
statsd_packets_get(const struct statsd_packets *packets, size_t i)
{
    assert(i < packets->n);
    return (struct slice){packets->bytes.data + packets->packets[i].at, packets->packets[i].size};
}
