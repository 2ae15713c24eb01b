/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accept.h - which form of the figures a client asks for.
 *
 * Pure.  Process: admin.  Owner: none.  Concurrency: none needed.
 */
#ifndef ADMIN_ACCEPT_H
#define ADMIN_ACCEPT_H

#include "lib/base.h"

enum accept_form { ACCEPT_JSON, ACCEPT_OPENMETRICS, ACCEPT_PROMETHEUS, ACCEPT_FORMS };

/*
 * Reads an Accept header (RFC 9110, 12.5.1): media ranges with their q; the most specific range
 * that fits a form says its q, and the form with the highest wins, the earlier one of the enum if
 * two are equal. Takes: the header's value; NULL if there is none. Returns: the form; JSON if there
 * is no header, it says that any will do, or it wants none of them.
 */
enum accept_form accept_choose(const char *header);

/* The same where JSON is not on offer: Prometheus' text unless OpenMetrics is wanted more. */
enum accept_form accept_choose_text(const char *header);

#endif
