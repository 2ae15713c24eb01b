/* SPDX-License-Identifier: Apache-2.0 */
/*
 * web.h - the routes of the admin port, on libmicrohttpd.
 *
 *   /                     the page for people
 *   /metrics              DropWizard's JSON; OpenMetrics or Prometheus' text if Accept asks for it
 *   /metrics/prometheus   OpenMetrics if Accept asks for it, else Prometheus' text
 *   /healthcheck          200 or 500
 *   /ping  /threads  /stats  /config
 *
 * GET and HEAD only, and only by a name that is ours (host.h): any other gets 421.  An answer is
 * made once for all who ask within VIEW_FRESH_MS.  No thread is started: the caller polls web_fd
 * and calls web_turn.
 *
 * How clients are kept from harm to others: at most GUARD_CONNECTIONS, 16 KiB for a request's head,
 * no bodies, the deadlines of guard.h; and over any HTTP_WINDOW_MS the process takes at most
 * HTTP_BUDGET_MS of processor time: when it has, it sleeps until the window is over, and who asks
 * too often waits.
 *
 * Process: admin.  Owner: the caller of web_new.  Concurrency: one thread.
 */
#ifndef ADMIN_WEB_H
#define ADMIN_WEB_H

#include "admin/host.h"
#include "admin/view.h"

enum { HTTP_WINDOW_MS = 100, HTTP_BUDGET_MS = 25 };

struct web;

/*
 * Takes: a listening socket, which it owns from then on; where views come from, the names, by which
 * hosts' names it may be asked, and the text for /config, which all outlive it.
 * Returns: NULL with a text if it cannot.
 */
struct web *web_new(int listen_fd, struct view_source *source, const struct view_names *names,
                    const struct host_names *hosts, const char *config_text,
                    struct errbuf *err) MUST_CHECK;
void web_free(struct web **http);

/* Returns: what to poll for input. */
int web_fd(const struct web *http);

/*
 * Does what is to be done now; may sleep for the rest of a window (see above).
 * Returns: ms after which it should be called again even without input; -1: none.
 */
int64_t web_turn(struct web *http);

#endif
