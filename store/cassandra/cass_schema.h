/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cass_schema.h - the keyspace and its tables: looked for, and made if they are missing and the role
 * may.
 *
 * They are the Python persister's, as monasca-api reads them. The indices on created_at and
 * updated_at are of SASI, which a server does not make unless it is told to (sasi_indexes_enabled,
 * off by default since 4.0): then a notice says so, and nothing else depends on them here.
 *
 * Process: workers.  Owner: the store.  Concurrency: one thread.
 */
#ifndef STORE_CASSANDRA_CASS_SCHEMA_H
#define STORE_CASSANDRA_CASS_SCHEMA_H

#include "store/cassandra/cass_send.h"

/*
 * Takes: the keyspace's name; its replication as CQL has it, "" for NetworkTopologyStrategy with up
 * to three replicas in each data centre that is known.
 * Returns: STORE_DONE, and whether anything was made; STORE_SICK with a text; STORE_STOPPED.
 */
enum store_status cass_schema_ensure(struct cass_sender *sender, const struct cql_cluster *cluster,
                                     const char *keyspace, const char *replication, bool *made,
                                     struct errbuf *err) MUST_CHECK;

#endif
