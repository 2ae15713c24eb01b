/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_keystone.h - Keystone, Identity API v3: a token, and where the Monasca API is.
 *
 * https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management
 *
 * Process: persister-perf.  Owner: the caller of keystone_new.  Concurrency: one thread.
 */
#ifndef PERF_SOURCE_KEYSTONE_H
#define PERF_SOURCE_KEYSTONE_H

#include "perf/report/source.h"
#include "perf/report/source_http.h"

struct keystone;

/*
 * Takes: what is known, and the HTTP to use, both outlive it; whether the catalogue has to say
 * where the API is. Returns: NULL with a text that says which setting is missing. Nothing is asked
 * yet.
 */
struct keystone *keystone_new(const struct source_keystone *settings, struct source_http *http,
                              bool wants_endpoint, struct errbuf *err) MUST_CHECK;

/* Ends it and nulls the pointer. NULL is fine. */
void keystone_free(struct keystone **keystone);

/*
 * Returns: the token, asked for if there is none yet; NULL with a text (wrong credentials, no
 * route, no such endpoint, ...).  It holds until keystone_forget.
 */
const char *keystone_token(struct keystone *keystone, struct errbuf *err) MUST_CHECK;

/*
 * The token was refused: the next call of keystone_token gets another.
 * Returns: false if there is no way to get another, for no password is known.
 */
bool keystone_forget(struct keystone *keystone);

/* Returns: the API's address as the catalogue has it, once there was a token; "" if not wanted. */
const char *keystone_endpoint(const struct keystone *keystone);

/* --- the pure parts --- */

/* Appends the body of POST /v3/auth/tokens. */
void keystone_write_request(struct buf *out, const struct source_keystone *settings);

/* Appends where tokens are to be had: OS_AUTH_URL with /v3/auth/tokens, whether it has the /v3 or
 * not. */
void keystone_write_url(struct buf *out, const char *auth_url);

/*
 * Finds the endpoint of type monitoring, interface public, of the region, if one is named.
 * Takes: the body of Keystone's answer.
 * Returns: it, to be freed; NULL with a text.
 */
char *keystone_find_endpoint(struct slice body, const char *region, struct errbuf *err) MUST_CHECK;

/*
 * Appends what an error's body says, cut, as ": TEXT": Keystone's {"error": {"message"}}, the API's
 * {"title", "description"}.  Nothing if it says nothing.
 */
void keystone_add_reason(struct buf *out, struct slice body);

#endif
