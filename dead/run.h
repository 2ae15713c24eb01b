/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - what the three verbs share: where the letters are, which of them are meant, and how the
 * answer is printed.
 *
 * Process: persister-dead.  Owner: main.  Concurrency: one thread.
 */
#ifndef DEAD_RUN_H
#define DEAD_RUN_H

#include "dead/args.h"
#include "dead/box.h"
#include "dead/judge.h"
#include "lib/buf.h"

struct run {
    const struct arguments *a;
    const struct config *cfg; /* NULL: options say it all */
    struct judge *judge;
    struct box_options where;
    const volatile sig_atomic_t *stop;
    struct errbuf *err;
};

/* The verbs. Return: the exit code; with DEAD_FAILED a text is in run->err. */
enum dead_exit list_run(struct run *run) MUST_CHECK;
enum dead_exit show_run(struct run *run) MUST_CHECK;
enum dead_exit replay_run(struct run *run) MUST_CHECK;

/* Returns: whether the options mean this letter. */
bool run_means(const struct run *run, const struct letter *letter) MUST_CHECK;

/* Appends what a pass found beside letters: a line each, or members of a JSON object. */
void run_write_notes(const struct box_counts *counts, struct buf *out);
void run_write_notes_json(const struct box_counts *counts, struct buf *out);

/* Writes to standard output and clears the buffer. Returns: 0, or -1 with a text. */
int run_print(struct buf *out, struct errbuf *err) MUST_CHECK;

#endif
