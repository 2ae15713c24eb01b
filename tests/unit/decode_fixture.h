/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode_fixture.h - one decoder for each test, and messages in blocks of exactly their size, so
 * that AddressSanitizer sees a byte too far.
 *
 * Process: the unit tests.  Owner: the test that runs.  Concurrency: one thread.
 */
#ifndef TESTS_DECODE_FIXTURE_H
#define TESTS_DECODE_FIXTURE_H

#include "record/decode.h"

enum { MAX_MESSAGE = 1048576 };

extern struct decoder *decoder;
extern struct record record; /* of the last decode, as is what follows */
extern struct reject why;
extern char *message;

/* A suite's .init and .fini. */
void decode_set_up(void);
void decode_tear_down(void);

/* Returns: a file of tests/corpus, NUL-terminated, n bytes; the caller frees it. */
char *decode_read_corpus(const char *name, size_t *n);

/* Decodes a copy. Returns: what decoder_decode returns. */
int decode(enum topic_kind kind, const char *text, size_t n);

#endif
