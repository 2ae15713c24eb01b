## SPDX-License-Identifier: Apache-2.0
## Cassandra's wire protocol; knows nothing of metrics.
noinst_LIBRARIES += cql/libcql.a
cql_libcql_a_CFLAGS = $(AM_CFLAGS) $(SSL_CFLAGS) $(CRYPTO_CFLAGS)
cql_libcql_a_SOURCES = \
	cql/cql_cluster.c cql/cql_cluster.h \
	cql/cql_cluster_own.c cql/cql_cluster_priv.h \
	cql/cql_conn.c cql/cql_conn.h \
	cql/cql_frame.c cql/cql_frame.h \
	cql/cql_murmur.c cql/cql_murmur.h \
	cql/cql_names.c cql/cql_names.h \
	cql/cql_ring.c cql/cql_ring.h \
	cql/cql_tls.c cql/cql_tls.h
