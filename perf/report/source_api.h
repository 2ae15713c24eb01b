/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_api.h - the answers of the Monasca API: series, points, pages. Pure.
 *
 * As monasca-api 11.0.0 gives them (tests/api has some, recorded); the specification is
 * https://github.com/openstack/monasca-api/blob/master/docs/monasca-api-spec.md
 *
 * Of a link to the next page only the offset is of use: what the request had quoted, the API quotes
 * a second time.  And only pages of one series are whole: over several, the offset of a page is a
 * time, the same for all of them.
 *
 * Process: persister-perf.  Owner: the caller.  Concurrency: none needed.
 */
#ifndef PERF_SOURCE_API_H
#define PERF_SOURCE_API_H

#include "lib/buf.h"
#include "lib/errbuf.h"

enum { API_OFFSET_BYTES = 256 };

/* One series of a name. */
struct api_series {
    char *dimensions; /* all of them, "k:v,k2:v2", by name: what the API wants to find it by */
    char *instance, *hostname, *process; /* of these; "" if it has no such dimension */
};

struct api_list {
    struct api_series *series;
    size_t n, capacity;
};

/* What there is beside the elements. */
struct api_page {
    bool more;                     /* there is a next page */
    char offset[API_OFFSET_BYTES]; /* of it, quoted as it was; "" if the link has none */
    size_t n;                      /* elements, or points, of this page */
    int64_t last_ms;               /* the time of the last point */
};

/*
 * Adds the series of an answer to GET /v2.0/metrics.
 * Returns: 0, or -1 with a text.
 */
int api_read_series(struct slice body, struct api_list *list, struct api_page *page,
                    struct errbuf *err) MUST_CHECK;

void api_list_free(struct api_list *list);

/* What to look for in an answer to GET /v2.0/metrics/measurements or /statistics. */
struct api_points {
    const char *elements; /* "measurements" or "statistics" */
    const char *column;   /* "value", "sum", ... */
    const char *only;     /* the dimensions of the one series meant, as in api_series; NULL: any */
    /* Called for each point, in the order of the answer. Returns: 0, or -1 to end with err's text.
     */
    int (*take)(void *arg, int64_t at_ms, double value, struct errbuf *err);
    void *arg;
};

/* Returns: 0, or -1 with a text. A point without a value (null) is left out. */
int api_read_points(struct slice body, const struct api_points *points, struct api_page *page,
                    struct errbuf *err) MUST_CHECK;

#endif
