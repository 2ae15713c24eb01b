/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfg_fixture.h - configuration files that are only in memory (memfd).
 *
 * Process: the unit tests.  Owner: the test that runs.  Concurrency: one thread.
 */
#ifndef TESTS_CFG_FIXTURE_H
#define TESTS_CFG_FIXTURE_H

#include "lib/buf.h"
#include "conf/cfg.h"

/* What makes the default configuration complete. */
#define GOOD "[influxdb]\nip_address = db\n"

extern struct buf cfg_notices;  /* one a line */
extern struct errbuf cfg_error; /* of the last load */

/* A suite's .init and .fini. */
void cfg_set_up(void);
void cfg_tear_down(void);

/* Loads them. Returns: as cfg_load; a refusal has a text. */
struct config *cfg_load_bytes(const char *bytes, size_t n);
struct config *cfg_load_text(const char *text);

/* The same, and it has to be good. */
struct config *cfg_load_good(const char *text);

/* Keeps a notice. */
void cfg_take_notice(const char *text);

/* Returns: the notices so far, until the next one. */
const char *cfg_notice_text(void);

/* Returns: cfg_dump's text, for free(). */
char *cfg_dump_text(const struct config *cfg);

#endif
