/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_http.h - GET and POST for the sources: with a deadline, a bounded answer, and no
 * surprises.
 *
 * store/http.h is another thing: it posts rows and lives on while it waits.
 *
 * Process: persister-perf.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef PERF_SOURCE_HTTP_H
#define PERF_SOURCE_HTTP_H

#include <signal.h>

#include "lib/buf.h"
#include "lib/errbuf.h"

enum { SOURCE_HTTP_ANSWER_MAX = 16 * 1024 * 1024 }; /* bytes; a page of the API has about one MiB */

struct source_http;

struct source_http_options {
    int64_t timeout_ms;                /* of a request, 1.. */
    const char *cacert;                /* NULL or "": the system's */
    bool insecure;                     /* a server's certificate is not looked at */
    const volatile sig_atomic_t *stop; /* once not 0, requests are given up; NULL: never */
};

struct source_http_request {
    const char *url;
    const char *accept; /* NULL: application/json */
    const char *token;  /* for X-Auth-Token; NULL: none */
    struct slice body;  /* JSON to be posted; p NULL: it is a GET */
};

/* Texts hold until the next request. */
struct source_http_answer {
    long status;
    struct slice body;
    const char *token; /* X-Subject-Token; "" if there is none */
};

/* Takes: options; what they point to outlives it. Returns: NULL with a text. */
struct source_http *source_http_new(const struct source_http_options *options,
                                    struct errbuf *err) MUST_CHECK;

/* Ends it and nulls the pointer. NULL is fine. */
void source_http_free(struct source_http **http);

/*
 * Sends a request, whose own texts may be wiped as soon as it returns.
 * Returns: 0 and an answer, whatever its status is; -1 with a text that names the URL (no route, a
 * timeout, a certificate, an answer that is too large, ...).
 */
int source_http_send(struct source_http *http, const struct source_http_request *request,
                     struct source_http_answer *answer, struct errbuf *err) MUST_CHECK;

/*
 * Checks that a URL is http or https, has a host, and no user, query or fragment.
 * Returns: 0, or -1 with a text, which shows no password.
 */
int source_http_check_url(const char *url, struct errbuf *err) MUST_CHECK;

/* Takes: a URL that was checked. Returns: true if there is more to its path than "/". */
bool source_http_has_path(const char *url);

/* Appends text, percent-escaped for a query as RFC 3986 section 2.1 has it. */
void source_http_escape(struct buf *out, const char *text);

/* Appends a URL without the slashes at its end. */
void source_http_add_base(struct buf *out, const char *url);

#endif
