/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line.h - one line of a dead letter file, or one record of a dead letter topic, as it is read.
 *
 * Process: persister-dead; the tests.  Owner: whoever reads; a line holds for the call it is passed
 * to.  Concurrency: one thread.
 */
#ifndef DEAD_LINE_H
#define DEAD_LINE_H

#include "lib/base.h"
#include "lib/errbuf.h"

struct line {
    const char *where; /* the file, or the topic */
    int32_t partition; /* of the topic; -1: a file */
    int64_t number;    /* of the line, from 1; or the record's offset */
    struct slice text; /* without a newline */
    struct slice key;  /* of the record; p is NULL if it has none */
    bool marker;       /* a record without value: what it was about has been replayed */
    const char *fault; /* why there is no text; NULL: there is */
};

/* Takes a line. Returns: 0 go on, -1 stop, with a text. */
typedef int (*line_taker)(void *arg, const struct line *line, struct errbuf *err);

#endif
