/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bodies.h - the answers of the admin port, made at most once per view.
 *
 * Process: admin.  Owner: the caller of bodies_new.  Concurrency: one thread.
 */
#ifndef ADMIN_BODIES_H
#define ADMIN_BODIES_H

#include "admin/view.h"

enum bodies_kind {
    BODIES_PAGE,
    BODIES_DROPWIZARD,
    BODIES_DROPWIZARD_PRETTY,
    BODIES_OPENMETRICS,
    BODIES_PROMETHEUS,
    BODIES_HEALTH,
    BODIES_HEALTH_PRETTY,
    BODIES_THREADS,
    BODIES_STATS,
    BODIES_CONFIG,
    BODIES_PING,
    BODIES_NOT_FOUND,
    BODIES_BAD_METHOD,
    BODIES_BAD_HOST,
    BODIES_FAILED, /* the figures could not be had: 503 */
    BODIES_KINDS
};

struct MHD_Response;

struct bodies_answer {
    unsigned status;               /* HTTP's */
    struct MHD_Response *response; /* owned by the bodies, valid until the next call; may be NULL */
};

struct bodies;

/* Takes: what outlives it. Returns: NULL if memory is out. */
struct bodies *bodies_new(struct view_source *source, const struct view_names *names,
                          const char *config_text) MUST_CHECK;
void bodies_free(struct bodies **bodies);

/*
 * Returns: the answer of that kind, not older than VIEW_FRESH_MS; if it cannot be made, that of
 * BODIES_FAILED, with a text in err.
 */
struct bodies_answer bodies_get(struct bodies *bodies, enum bodies_kind kind,
                                struct errbuf *err) MUST_CHECK;

#endif
