/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - one Kafka message in hand, without Kafka's headers.
 *
 * Process: workers.  Owner: whoever fetched it; consumer_release ends it.  Concurrency: one thread.
 */
#ifndef WORKER_MESSAGE_H
#define WORKER_MESSAGE_H

#include "lib/base.h"

struct reject;

struct message {
    struct slice payload; /* p is NULL for a tombstone */
    int64_t offset;
    int64_t more; /* offsets after it that it stands for as well: of an unreadable batch; else 0 */
    int32_t partition;
    unsigned assignment; /* the consumer's, by which it was fetched */
    int64_t time_ms;   /* when it was put into Kafka, wall clock; -1 if unknown */
    int64_t polled_ns; /* when the poll that brought it returned, clock_mono_ns */
    void *handle;      /* the client library's, opaque; NULL: nothing to be released */
    /* Why the client library could not read what is at these offsets; holds until the next fetch.
     * NULL: it could. */
    const struct reject *unreadable;
};

#endif
