/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - whether a request was meant for this machine, by its Host header. Pure.
 *
 * A page that somebody's browser has loaded may ask any address for anything, but may only read
 * what its own name answers. So its owner lets that name, for a moment, have the address of this
 * machine (DNS rebinding); the browser's request then comes here with the name of the page in its
 * Host header. An answer is given to names that cannot be had like that: an address itself,
 * localhost and what ends in .localhost, the machine's own name, the name in [admin] bind, and
 * those that [admin] allowed_hosts lists.
 *
 * Process: admin.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef ADMIN_HOST_H
#define ADMIN_HOST_H

#include "lib/base.h"

enum { HOST_NAME_BYTES = 256 };

struct host_names {
    char machine[HOST_NAME_BYTES]; /* of this machine; "" if it has none */
    const char *bind;              /* an address, or a name that has one */
    const char *allowed; /* names, separated by commas: "a.example.com", ".example.com" (all that
                            end in it), or "*" for any */
};

/* Asks for the machine's name. Takes: texts that outlive the names. */
void host_names_init(struct host_names *names, const char *bind, const char *allowed);

/* Takes: the header's value; NULL, as HTTP/1.0 may have none, is ours: browsers always send it. */
bool host_is_ours(const struct host_names *names, const char *header) MUST_CHECK;

#endif
