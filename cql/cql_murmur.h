/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cql_murmur.h - the token of a partition key by Cassandra's Murmur3Partitioner (pure).
 *
 * Source: MurmurHash3_x64_128 of Austin Appleby, in the variant of Apache Cassandra's
 * org.apache.cassandra.utils.MurmurHash, which takes the bytes of the tail as signed.
 *
 * Process: workers.  Owner: none.  Concurrency: any thread.
 */
#ifndef CQL_CQL_MURMUR_H
#define CQL_CQL_MURMUR_H

#include "lib/base.h"

/* Returns: the token; never INT64_MIN, which Cassandra keeps for itself. */
int64_t cql_murmur_token(struct slice key);

#endif
