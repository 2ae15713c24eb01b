/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - POST requests with a deadline on everything, over one kept-alive connection.
 *
 * libcurl's multi interface, which waits by its owner's hook (store_hooks).  Redirects are not followed and proxies of the environment are not used: a persister talks to the server it was
 * told.
 *
 * Process: workers, made after the fork.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef STORE_HTTP_H
#define STORE_HTTP_H

#include "lib/base.h"
#include "lib/buf.h"
#include "lib/errbuf.h"
#include "store/store.h"

struct http;

struct http_options {
    const char *user, *password; /* basic authentication; user "" for none */
    bool verify;                 /* the server's certificate and name */
    const char *ca_file;         /* "" for the system's */
    int timeout_ms;              /* for a whole request */
};

/* Takes: options and hooks; texts are copied. Returns: NULL with a text. */
struct http *http_new(const struct http_options *options, const struct store_hooks *hooks,
                      struct errbuf *err) MUST_CHECK;

void http_free(struct http **http);

enum http_result {
    HTTP_ANSWERED, /* *status and *answer are set */
    HTTP_FAILED,   /* no answer; err says why */
    HTTP_STOPPED   /* the wait was given up */
};

/*
 * Sends one POST.
 * Takes: the URL, already escaped; the body, which must stay until it returns; its content type.
 * Returns: see enum http_result. The answer's body is kept up to a MiB; the rest is read and
 * dropped. It holds until the next call.
 */
enum http_result http_post(struct http *http, const char *url, struct slice body, const char *type,
                           long *status, struct slice *answer, struct errbuf *err) MUST_CHECK;

/*
 * Takes: a header's name, in any case.
 * Returns: what the last answer says in it, "" if it has none; it holds until the next call.
 */
const char *http_header(struct http *http, const char *name);

/* Appends text, percent-escaped as RFC 3986 section 2.1 wants it in a query. */
void http_escape(struct buf *b, struct slice text);

#endif
