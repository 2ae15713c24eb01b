/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cql_tls.h - TLS for connections: OpenSSL's settings, made once.
 *
 * Process: workers.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef CQL_CQL_TLS_H
#define CQL_CQL_TLS_H

#include <openssl/ssl.h>

#include "lib/base.h"
#include "lib/errbuf.h"

struct cql_tls; /* its settings */

/*
 * Takes: whether the server's certificate and its name or address are to be checked; the
 * certificates to check it with, "" for the system's.
 * Returns: the settings, or NULL with a text.
 */
struct cql_tls *cql_tls_new(bool verify, const char *ca_file, struct errbuf *err) MUST_CHECK;
void cql_tls_free(struct cql_tls **tls);

/*
 * Begins a connection's TLS over a socket that does not block.
 * Takes: the server's name or address, as it was given.
 * Returns: for SSL_free; NULL with a text.
 */
SSL *cql_tls_begin(const struct cql_tls *tls, int fd, const char *host,
                   struct errbuf *err) MUST_CHECK;

/* Says what went wrong last, and forgets it. Returns -1. */
int cql_tls_explain(const SSL *ssl, const char *doing, struct errbuf *err);

#endif
