/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.h - what was replayed from a dead letter file: a file beside it, FILE.replayed.
 *
 * A JSON object a line: topic, partition, offset (the letter's), time (of the replay), to (the
 * topic it went to), id (letter.h).  A line is written once Kafka has acknowledged the message, so
 * what was under way when the program was killed is sent again, and nothing is taken for sent that
 * was not. It follows the letter, not its place in the file, so that appending and rotating do not
 * matter.
 *
 * Process: persister-dead; the tests.  Owner: the caller.  Concurrency: one thread; one process at
 * a time writes, by flock(2).
 */
#ifndef DEAD_JOURNAL_H
#define DEAD_JOURNAL_H

#include "dead/idset.h"

struct journal;

/*
 * Reads the ids into the set.  A journal that is not there is empty; a last line without newline is
 * let pass.
 * Returns: 0 and how many lines could not be read (*broken; their letters count as not replayed);
 * -1 with a text.
 */
int journal_load(const char *path, struct idset *set, size_t *broken,
                 struct errbuf *err) MUST_CHECK;

/*
 * Opens it for writing, makes it if need be, takes its lock, cuts off an unfinished line.
 * Takes: the path; the user and group it belongs to if it is made by root.
 * Returns: the journal; or NULL with a text, also if another process writes to it.
 */
struct journal *journal_open(const char *path, unsigned user, unsigned group,
                             struct errbuf *err) MUST_CHECK;

/* Adds a line, to memory only. Takes: the letter's place and id; where it went; now. */
void journal_add(struct journal *journal, struct slice topic, int32_t partition, int64_t offset,
                 struct letter_id id, const char *to, int64_t now_ms);

/*
 * Hands what was added to the kernel: it outlives this process. -1 with a text; what was not
 * written is kept, and the next call goes on with it.
 */
int journal_write(struct journal *journal, struct errbuf *err) MUST_CHECK;

/* Makes what was written durable: it outlives the machine's fall. -1 with a text. The file's name
 * is durable since journal_open. */
int journal_sync(struct journal *journal, struct errbuf *err) MUST_CHECK;

/*
 * Leaves out the lines whose ids are not in the set: their letters are gone from the dead letter
 * file.  The new file takes the place of the old one in one step.
 * Returns: 0 and how many were left out; -1 with a text, the old file is as it was.
 */
int journal_compact(struct journal *journal, const struct idset *present, size_t *dropped,
                    struct errbuf *err) MUST_CHECK;

/* Closes it, which lets go of the lock, and nulls the pointer. NULL is fine. */
void journal_close(struct journal **journal);

#endif
