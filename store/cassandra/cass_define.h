/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cass_define.h - what describes series is written before their measurements: the rows of metrics,
 * the static columns, the tables of dimensions.
 *
 * A series that is new to this process, or was described a day ago (or a quarter of the TTL), is
 * described anew, so that neither a TTL that runs out nor a table that was emptied leaves it
 * undescribed for long; its row of metrics and its static columns also once an hour. created_at is
 * asked for before it is written, so that the earliest time stays, with a new TTL.
 *
 * Process: workers.  Owner: the caller's structures.  Concurrency: one thread.
 */
#ifndef STORE_CASSANDRA_CASS_DEFINE_H
#define STORE_CASSANDRA_CASS_DEFINE_H

#include "store/cassandra/cass_load.h"

struct cass_definer; /* room to work */

/* Takes: the TTL in seconds, 0 for none. Returns: NULL if memory is out. */
struct cass_definer *cass_definer_new(struct cass_sender *sender, struct cass_cache *cache,
                                      int64_t ttl_s) MUST_CHECK;
void cass_definer_free(struct cass_definer **definer);

/*
 * Describes the fresh series of a load that was stamped (cass_load_stamp).
 * Returns: STORE_DONE: each is described, or refused, which it says; STORE_SICK with a text, or
 * STORE_STOPPED: some are neither.
 */
enum store_status cass_define(struct cass_definer *definer, struct cass_load *load,
                              struct errbuf *err) MUST_CHECK;

#endif
