/* SPDX-License-Identifier: Apache-2.0 */
/* cql_tls.c - see cql_tls.h. */
#include "cql/cql_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

struct cql_tls {
    SSL_CTX *context;
    bool verify;
};

int
cql_tls_explain(const SSL *ssl, const char *doing, struct errbuf *err)
{
    char text[256] = "the connection was closed";
    unsigned long code = ERR_peek_error();
    long verdict = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;
    if (verdict != X509_V_OK)
        errbuf_set(err, "%s: the server's certificate: %s", doing,
                   X509_verify_cert_error_string(verdict));
    else {
        if (code != 0)
            ERR_error_string_n(code, text, sizeof(text));
        errbuf_set(err, "%s: %s", doing, text);
    }
    ERR_clear_error();
    return -1;
}

struct cql_tls *
cql_tls_new(bool verify, const char *ca_file, struct errbuf *err)
{
    struct cql_tls *tls = calloc(1, sizeof(*tls));
    ERR_clear_error();
    if (tls == NULL || (tls->context = SSL_CTX_new(TLS_client_method())) == NULL) {
        errbuf_set(err, "out of memory");
        cql_tls_free(&tls);
        return NULL;
    }
    tls->verify = verify;
    SSL_CTX_set_verify(tls->context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(tls->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) == 1 &&
        (!verify || (ca_file[0] != '\0'
                         ? SSL_CTX_load_verify_locations(tls->context, ca_file, NULL) == 1
                         : SSL_CTX_set_default_verify_paths(tls->context) == 1)))
        return tls;
    cql_tls_explain(NULL, ca_file[0] != '\0' ? ca_file : "TLS", err);
    cql_tls_free(&tls);
    return NULL;
}

void
cql_tls_free(struct cql_tls **tls)
{
    if (*tls == NULL)
        return;
    SSL_CTX_free((*tls)->context);
    free(*tls);
    *tls = NULL;
}

static bool
is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Returns: false if memory is out. */
static bool
expect_host(SSL *ssl, const char *host)
{
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

SSL *
cql_tls_begin(const struct cql_tls *tls, int fd, const char *host, struct errbuf *err)
{
    ERR_clear_error();
    SSL *ssl = SSL_new(tls->context);
    if (ssl != NULL && SSL_set_fd(ssl, fd) == 1 && (!tls->verify || expect_host(ssl, host))) {
        SSL_set_connect_state(ssl);
        return ssl;
    }
    cql_tls_explain(NULL, "TLS", err);
    SSL_free(ssl);
    return NULL;
}
