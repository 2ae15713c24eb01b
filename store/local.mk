## SPDX-License-Identifier: Apache-2.0
## What every store does, and the stores.
noinst_LIBRARIES += store/libstore.a
store_libstore_a_CFLAGS = $(AM_CFLAGS) $(CURL_CFLAGS) $(LIBPQ_CFLAGS) $(SSL_CFLAGS) $(CRYPTO_CFLAGS)
store_libstore_a_SOURCES = \
	store/cassandra/cass_cache.c store/cassandra/cass_cache.h \
	store/cassandra/cass_define.c store/cassandra/cass_define.h \
	store/cassandra/cass_load.c store/cassandra/cass_load.h \
	store/cassandra/cass_row.c store/cassandra/cass_row.h \
	store/cassandra/cass_schema.c store/cassandra/cass_schema.h \
	store/cassandra/cass_send.c store/cassandra/cass_send.h \
	store/cassandra/cass_time.c store/cassandra/cass_time.h \
	store/cassandra/cassandra.c \
	store/discard.c \
	store/http.c store/http.h \
	store/influx/influx_answer.c store/influx/influx_answer.h \
	store/influx/influx_line.c store/influx/influx_line.h \
	store/influx/influx_plan.c store/influx/influx_plan.h \
	store/influx/influx_rows.c store/influx/influx_rows.h \
	store/influx/influx_server.c store/influx/influx_server.h \
	store/influx/influx_suspects.c store/influx/influx_suspects.h \
	store/influx/influxdb.c \
	store/pg/pg_conn.c store/pg/pg_conn.h \
	store/pg/pg_copy.c store/pg/pg_copy.h \
	store/pg/pg_dial.c store/pg/pg_dial.h \
	store/pg/pg_fault.c store/pg/pg_fault.h \
	store/pg/pg_generation.c store/pg/pg_generation.h \
	store/pg/pg_jsonb.c store/pg/pg_jsonb.h \
	store/pg/pg_offsets.c store/pg/pg_offsets.h \
	store/pg/pg_plan.c store/pg/pg_plan.h \
	store/pg/pg_retention.c store/pg/pg_retention.h \
	store/pg/pg_row.c store/pg/pg_row.h \
	store/pg/pg_schema.c store/pg/pg_schema.h \
	store/pg/pg_series.c store/pg/pg_series.h \
	store/pg/pg_sift.c store/pg/pg_sift.h \
	store/pg/pg_sort.c store/pg/pg_sort.h \
	store/pg/postgresql.c \
	store/store.c store/store.h \
	store/sub_alarms.c store/sub_alarms.h
