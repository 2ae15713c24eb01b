/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tally.h - letters counted by reason and topic, and written as text or JSON (pure).
 *
 * Process: persister-dead; the tests.  Owner: the caller; tally_free ends it.
 * Concurrency: one thread.
 */
#ifndef DEAD_TALLY_H
#define DEAD_TALLY_H

#include "dead/letter.h"

enum { TALLY_GROUPS_MAX = 1000 }; /* letters of more are counted together */

struct tally_count {
    uint64_t letters, replayed, bytes; /* bytes: of payloads */
    int64_t first_ms, last_ms;         /* of the rejections; of no use if letters is 0 */
};

struct tally_group {
    char *topic, *reason;
    struct tally_count count;
};

/* Zero-initialize. */
struct tally {
    struct tally_group *groups;
    size_t n;
    struct tally_count total;
};

/* Counts a letter. -1: memory is out. */
int tally_add(struct tally *tally, const struct letter *letter, bool replayed) MUST_CHECK;

/* Appends a table, the most frequent first, with a line for the sum; or "no dead letters". */
void tally_write_text(struct tally *tally, struct buf *out);

/* Appends "groups":[...],"letters":N,... without braces around it. */
void tally_write_json(struct tally *tally, struct buf *out);

void tally_free(struct tally *tally);

#endif
