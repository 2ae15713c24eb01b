/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.h - what this version's decoder says of a letter's payload: is it still wrong?
 *
 * It sees what the decoder sees; a store may refuse a message all the same.
 *
 * Process: persister-dead; the tests.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef DEAD_JUDGE_H
#define DEAD_JUDGE_H

#include "dead/letter.h"
#include "conf/cfg.h"
#include "conf/reject.h"

struct judge;

enum verdict { VERDICT_UNKNOWN, VERDICT_ACCEPTED, VERDICT_REJECTED };

/*
 * Takes: the configuration, which tells the topics' kinds and the largest message; NULL: their
 * defaults.
 * Returns: a judge, or NULL if memory is out.
 */
struct judge *judge_new(const struct config *cfg) MUST_CHECK;

/* Frees it and nulls the pointer. NULL is fine. */
void judge_free(struct judge **judge);

/* Returns: the kind of a topic's messages; TOPIC_KINDS: it is none that the persister reads. */
enum topic_kind judge_find_kind(const struct config *cfg, struct slice topic);

/* Returns: the verdict, and for VERDICT_REJECTED why. UNKNOWN: the topic is none of ours, or
 * the message is not in the letter. */
enum verdict judge_letter(struct judge *judge, const struct letter *letter,
                          struct reject *why) MUST_CHECK;

#endif
