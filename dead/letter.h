/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letter.h - one dead letter, read from the line that worker/dead_letter.c wrote (pure).
 *
 * Format: see worker/dead_letter.h.  The file may have been edited or cut, so nothing in a line is
 * taken on trust: JSON (RFC 8259), the members' types and bounds, base64 (RFC 4648 section 4, with
 * padding, no other characters, unused bits zero).  Members that this version does not know are let
 * pass.
 *
 * Process: persister-dead; the tests.  Owner: the caller.  Concurrency: one thread per reader.
 */
#ifndef DEAD_LETTER_H
#define DEAD_LETTER_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/errbuf.h"

enum { LETTER_TOPIC_MAX = 249, LETTER_REASON_MAX = 64, LETTER_ID_BYTES = 33 };

/*
 * What a letter is known by: a hash of topic, partition, offset and payload, so that a topic that
 * was made anew, with offsets from 0 again, is told apart.  The same message rejected twice (its
 * persister was killed before the commit) has one id; a message that was replayed has another.
 */
struct letter_id {
    uint64_t high, low;
};

struct letter {
    struct slice topic;  /* 1..LETTER_TOPIC_MAX bytes, a legal name */
    struct slice reason; /* 1..LETTER_REASON_MAX of a-z 0-9 _ */
    struct slice detail; /* UTF-8, may be empty */
    struct slice payload;
    bool partial;        /* the payload is not the message: that is only in Kafka, if it still is */
    int64_t bytes;       /* of the message, or of its beginning in the letter; 0: not known */
    int64_t offset;      /* not negative */
    int64_t last_offset; /* the last that it stands for; the offset itself if it is one message */
    int64_t time_ms;     /* of the rejection, since 1970 */
    int32_t partition;   /* not negative */
    struct letter_id id;
};

/* Memory that letters' slices point into. Zero-initialize; letter_reader_free ends it. */
struct letter_reader {
    char *room;
    size_t size;
};

void letter_reader_free(struct letter_reader *reader);

/*
 * Reads a line, without its newline.
 * Returns: 0 and the letter, whose slices hold until the next call; or -1 with what is wrong.
 */
int letter_parse(struct letter_reader *reader, struct slice line, struct letter *letter,
                 struct errbuf *err) MUST_CHECK;

/* Computes an id from the parts it is made of: FNV-1a of 128 bits (draft-eastlake-fnv). */
struct letter_id letter_make_id(struct slice topic, int32_t partition, int64_t offset,
                                struct slice payload);

static inline bool
letter_same_id(struct letter_id a, struct letter_id b)
{
    return a.high == b.high && a.low == b.low;
}

/* Writes an id as 32 hexadecimal digits and a NUL. */
void letter_format_id(struct letter_id id, char out[LETTER_ID_BYTES]);

/* Returns: 0 and the id, or -1 if the text is no such digits. */
int letter_parse_id(struct slice text, struct letter_id *id) MUST_CHECK;

/*
 * Reads TOPIC/PARTITION/OFFSET.
 * Returns: 0, *topic pointing into the text; or -1.
 */
int letter_parse_place(const char *text, struct slice *topic, int32_t *partition,
                       int64_t *offset) MUST_CHECK;

/* Returns: whether Kafka allows a topic of that name (1 to 249 of A-Z a-z 0-9 . _ -). */
bool letter_is_topic(struct slice name) MUST_CHECK;

#endif
