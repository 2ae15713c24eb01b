/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.h - one Kafka message (JSON, as monasca-api and monasca-thresh send it) to a record, or the reason why not.
 *
 * Strict where JSON is strict (RFC 8259, UTF-8 by RFC 3629), lenient where upstream is: a byte
 * order mark, numeric strings for value and timestamp, booleans as values, members in any order,
 * unknown members, the last of duplicate members wins (as in Python's json).  Depth is bounded (64)
 * and no stack is used per level.
 *
 * Process: workers.  Owner: the worker that made the decoder.  Concurrency: one thread per decoder.
 */
#ifndef WORKER_DECODE_H
#define WORKER_DECODE_H

#include "lib/base.h"
#include "conf/cfg.h"
#include "conf/reject.h"
#include "record/record.h"

struct decoder;

/*
 * Takes: the largest message it will be given, in bytes (its arena's bound follows from that).
 * Returns: a decoder, or NULL if memory is out.
 */
struct decoder *decoder_new(size_t max_message_bytes) MUST_CHECK;

/*
 * Has it remember the series of metrics (series.h), to be called once.
 * Takes: how many bytes that may take. Returns: 0, or -1 if memory is out.
 */
int decoder_remember(struct decoder *decoder, size_t max_bytes) MUST_CHECK;

/* Returns: bytes taken for that. */
size_t decoder_remembers(const struct decoder *decoder);

/* Frees it and nulls the pointer. */
void decoder_free(struct decoder **decoder);

/*
 * Decodes one message of a topic of the given kind (not TOPIC_EVENTS).
 * Takes: the bytes, any bytes; p may be NULL if n is 0 (a Kafka tombstone).
 * Returns: 0 and the record, whose slices point into the message and the decoder and hold until the
 * next call; or -1 and the reason.
 */
int decoder_decode(struct decoder *decoder, enum topic_kind kind, struct slice message,
                   struct record *record, struct reject *why) MUST_CHECK;

#endif
