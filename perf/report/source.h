/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - where persister-perf gets its figures from.
 *
 *   dropwizard=http://HOST:PORT   the admin port, ours (/stats) or the Java persister's (/metrics):
 *                                 counters that grow, so only what happens between two polls can
 *                                 be told. With a path in the URL, that is read as DropWizard JSON
 *   monasca[=URL]                 the Monasca API, found in Keystone's catalogue unless given:
 *                                 remembers the past
 *   segment=INSTANCE              the shared memory of an instance on this host: remembers the
 *                                 last 60 periods
 *
 * HTTP goes through the proxies of the environment (http_proxy, no_proxy), as other clients of
 * OpenStack do; redirections are not followed, so a token goes nowhere else.
 *
 * Process: persister-perf.  Owner: the caller of source_open.  Concurrency: one thread.
 */
#ifndef PERF_SOURCE_H
#define PERF_SOURCE_H

#include <signal.h>

#include "lib/base.h"
#include "lib/errbuf.h"
#include "perf/report/reading.h"

struct source;

/* From OS_* or --os-*; NULL or "" where not given. Texts outlive the source. */
struct source_keystone {
    const char *auth_url, *username, *password, *project_name, *project_id;
    const char *user_domain_name, *user_domain_id, *project_domain_name, *project_domain_id;
    const char *region_name, *cacert, *token;
    bool insecure;
};

struct source_options {
    struct source_keystone keystone;
    int64_t timeout_ms; /* of a request, 1.. */
    int64_t period_ms; /* wanted for a source that can choose (statistics of the API); 0: its own */
    const char *prefix;                /* of the names in the API: "monasca.persister." */
    const char *segment_directory;     /* "" for the default ones */
    const volatile sig_atomic_t *stop; /* once not 0, requests are given up; NULL: never */
};

/*
 * Takes: "KIND=PLACE" as above; options, which outlive it.
 * Returns: a source that has asked nothing yet, or NULL with a text (bad specification).
 */
struct source *source_open(const char *specification, const struct source_options *options,
                           struct errbuf *err) MUST_CHECK;

/* Returns: true if it can tell of times before the first poll. */
bool source_remembers(const struct source *source);

/*
 * Takes a look now: a source that grows keeps what it saw, one that remembers checks that it can be
 * reached. Returns: 0, or -1 with a text that says what is wrong and of which source.
 */
int source_poll(struct source *source, struct errbuf *err) MUST_CHECK;

/*
 * All that is known of a span (wall clock, ms since 1970), by period: the rows that end in it,
 * since_ms < to_ms <= until_ms.  So spans that follow one another have each row once. Returns: 0
 * with a reading to be freed by reading_free; -1 with a text (no such metric yet, wrong
 * credentials, no route, ...).
 */
int source_read(struct source *source, int64_t since_ms, int64_t until_ms, struct reading *reading,
                struct errbuf *err) MUST_CHECK;

/* Ends it and nulls the pointer. NULL is fine. */
void source_close(struct source **source);

#endif
