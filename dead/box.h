/* SPDX-License-Identifier: Apache-2.0 */
/*
 * box.h - all dead letters there are: of the file and its rotated ones, and of the topic; and which
 * of them were replayed.
 *
 * Process: persister-dead.  Owner: the caller; box_free ends it.  Concurrency: one thread.
 */
#ifndef DEAD_BOX_H
#define DEAD_BOX_H

#include "dead/kafka_client.h"
#include "dead/from_file.h"
#include "dead/from_topic.h"
#include "dead/idset.h"
#include "dead/letter.h"

enum { BOX_FAULTS = 10 }; /* so many are told one by one */

struct box_options {
    const char *path;                   /* of the file; NULL: none */
    bool path_given;                    /* it must be there */
    const char *state;                  /* of the journal; NULL only without path */
    const char *topic;                  /* NULL: none */
    struct kafka_client_options client; /* for the topic */
    const volatile sig_atomic_t *stop;
};

/* Beside the letters: what the last pass found. */
struct box_counts {
    uint64_t repeated;                /* letters that are there once more: left out */
    uint64_t unusable;                /* lines that are no dead letters */
    struct errbuf faults[BOX_FAULTS]; /* "FILE:LINE: why" of the first */
    size_t n_faults, files;
    int64_t torn_bytes;    /* of an unfinished line at a file's end */
    size_t journal_broken; /* lines of the journal that could not be read */
};

struct box {
    const struct box_options *options;
    struct from_file *files; /* NULL: none */
    struct from_topic *topic;
    struct idset replayed; /* ids of letters, also of such as are gone */
    struct idset seen;     /* ids of the last pass */
    struct letter_reader reader;
    struct box_counts counts;
};

struct box_item {
    const struct letter *letter;
    const struct line *line; /* where it was found */
    bool replayed;
};

typedef int (*box_taker)(void *arg, const struct box_item *item, struct errbuf *err);

/*
 * Opens what there is and reads what was replayed.
 * Takes: a box to fill in; the options, which outlive it.
 * Returns: 0, or -1 with a text. box_free in either case.
 */
int box_open(struct box *box, const struct box_options *options, struct errbuf *err) MUST_CHECK;

/*
 * Passes each letter to take() once, the file's first, the oldest first. May be called again, for
 * the same letters.
 * Returns: 0, or -1 with a text, take()'s or its own.
 */
int box_each(struct box *box, box_taker take, void *arg, struct errbuf *err) MUST_CHECK;

void box_free(struct box *box);

#endif
