/*
 * message.h - one Kafka message in hand, without Kafka's headers.
 *
 * Process: workers.  Owner: whoever fetched it; consumer_release ends it.  Concurrency: one thread.
 */
#ifndef WORKER_MESSAGE_H
#define WORKER_MESSAGE_H

#include "lib/base.h"

struct message {
    struct slice payload; /* p is NULL for a tombstone */
    int64_t offset;
    int32_t partition;
    void *handle; /* the client library's, opaque */
};

#endif
