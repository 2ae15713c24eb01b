/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_client.h - asks the Monasca API: with a token, page by page.
 *
 * Process: persister-perf.  Owner: the caller of client_new.  Concurrency: one thread.
 */
#ifndef PERF_SOURCE_CLIENT_H
#define PERF_SOURCE_CLIENT_H

#include "perf/report/source.h"
#include "perf/report/source_api.h"

struct client;

/*
 * Takes: the API's URL, with or without a version, "" to find it in Keystone's catalogue; options,
 * which outlive it.
 * Returns: NULL with a text. Nothing is asked yet.
 */
struct client *client_new(const char *url, const struct source_options *options,
                          struct errbuf *err) MUST_CHECK;

/* Ends it and nulls the pointer. NULL is fine. */
void client_free(struct client **client);

/* Lists all series of a name. Returns: 0 (the list may be empty), or -1 with a text. */
int client_list(struct client *client, const char *name, struct api_list *list,
                struct errbuf *err) MUST_CHECK;

struct client_query {
    const char *name, *dimensions; /* of one series, as api_series has them */
    int64_t since_ms, until_ms;    /* since_ms <= a point's time < until_ms; since < until */
    const char *statistic;         /* NULL: measurements; "sum", "min", "max", "avg" */
    int64_t period_s;              /* of a statistic, 1.. */
    int (*take)(void *arg, int64_t at_ms, double value, struct errbuf *err);
    void *arg;
};

/* Reads all points of a series, of all pages, in order of time. Returns: 0, or -1 with a text. */
int client_read(struct client *client, const struct client_query *query,
                struct errbuf *err) MUST_CHECK;

#endif
