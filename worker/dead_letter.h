/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_letter.h - where messages go that are wrong in themselves: a file of JSON lines, or a topic.
 *
 * One object a line: topic, partition, offset, time (of the rejection, ISO 8601 UTC), reason,
 * detail, payload (base64 of the exact bytes, RFC 4648 section 4). A letter of the reason
 * unreadable has an empty payload, and last_offset: it stands for all from offset to there.
 * Of a payload that is larger than both DEAD_LETTER_WHOLE and max_message_bytes a letter has the
 * first DEAD_LETTER_HEAD bytes, and payload_bytes: how large it is.
 *
 * Process: workers; all of an instance append to one file.  Owner: the worker that opened it.
 * Concurrency: one thread per process; processes exclude each other with flock(2) on the file,
 * which ends with its holder.
 */
#ifndef WORKER_DEAD_LETTER_H
#define WORKER_DEAD_LETTER_H

#include "lib/base.h"
#include "lib/buf.h"
#include "conf/cfg.h"
#include "lib/errbuf.h"
#include "conf/reject.h"
#include "store/store.h"
#include "batch/message.h"

enum { DEAD_LETTER_WHOLE = 16 << 20, DEAD_LETTER_HEAD = 1 << 16 };

struct dead_letter {
    const struct message *message;
    const struct reject *why;
};

struct dead_letters;

/*
 * Makes the writer; opens nothing before the first letter.
 * Takes: the configuration and hooks, which outlive it.
 * Returns: the writer, or NULL if memory is out.
 */
struct dead_letters *dead_letters_new(const struct config *cfg, enum topic_kind kind,
                                      const struct store_hooks *hooks) MUST_CHECK;

/*
 * Makes letters durable, all of them, in order.
 * Returns: STORE_DONE when they are on disk (or acknowledged by the topic); STORE_SICK with a line
 * that says why not (a full disk), or STORE_STOPPED if a wait was given up. Then none counts, and
 * writing them again may leave some of them twice.
 */
enum store_status dead_letters_write(struct dead_letters *dead, const struct dead_letter *letters,
                                     size_t n, struct errbuf *err) MUST_CHECK;

/* Opens the file anew at the next letter, after logrotate moved it. */
void dead_letters_reopen(struct dead_letters *dead);

/* Ends it and nulls the pointer. */
void dead_letters_free(struct dead_letters **dead);

/*
 * Formats one letter, with a newline (pure).
 * Takes: the buffer to append to; the time in ms since 1970; the size up to which a payload is kept
 * whole. b->failed tells if it did not fit.
 */
void dead_letter_format(struct buf *b, const char *topic, const struct dead_letter *letter,
                        int64_t time_ms, size_t whole);

#endif
