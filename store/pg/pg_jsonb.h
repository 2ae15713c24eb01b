/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_jsonb.h - which JSON texts PostgreSQL's jsonb cannot hold (pure).
 *
 * JSON may hold more than jsonb does.  Who sends value_meta or an alarm's metrics decides what is
 * in it, so what the server would refuse for it is refused beforehand: looking for such rows in a
 * batch costs the server, and everybody in the batch, far more.
 *
 * Source: PostgreSQL 15's json_lex_string (common/jsonapi.c), set_var_from_str and make_result
 * (utils/adt/numeric.c), jsonb_in_* and pushJsonbValue (utils/adt/jsonb.c, jsonb_util.c).  Versions
 * may differ in what one more or one less than a limit means; what is refused here is what all of
 * them refuse, and the rest is for the server to refuse.
 *
 * Process: workers; the tests.  Owner: none.  Concurrency: any thread.
 */
#ifndef STORE_PG_JSONB_H
#define STORE_PG_JSONB_H

#include "lib/base.h"

/*
 * Takes: one JSON value that json_scan_value (lib/json.h) has found to be one, of any size; n may
 * be 0.  It is walked once.
 * Returns: NULL if jsonb can hold it, else what it cannot hold; static.
 */
const char *pg_jsonb_find_flaw(struct slice text) MUST_CHECK;

#endif
