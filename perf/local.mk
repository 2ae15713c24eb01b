## SPDX-License-Identifier: Apache-2.0
## Load and benchmark: what can be tested apart from the programs.
noinst_LIBRARIES += perf/libperf.a
perf_libperf_a_CFLAGS = $(AM_CFLAGS) $(RDKAFKA_CFLAGS) $(CJSON_CFLAGS) $(CURL_CFLAGS)
perf_libperf_a_SOURCES = \
	perf/load/load.h \
	perf/load/load_describe.c \
	perf/load/load_run.c \
	perf/load/payload.c perf/load/payload.h \
	perf/load/payload_bad.c \
	perf/load/payload_priv.h \
	perf/option.c perf/option.h \
	perf/report/perf_args.c perf/report/perf_args.h \
	perf/report/perf_json.c \
	perf/report/perf_plot.c \
	perf/report/perf_print.h \
	perf/report/perf_run.c perf/report/perf_run.h \
	perf/report/perf_sum.c perf/report/perf_sum.h \
	perf/report/perf_text.c \
	perf/report/reading.c perf/report/reading.h \
	perf/report/source.c perf/report/source.h \
	perf/report/source_api.c perf/report/source_api.h \
	perf/report/source_client.c perf/report/source_client.h \
	perf/report/source_counters.c perf/report/source_counters.h \
	perf/report/source_dropwizard.c \
	perf/report/source_growth.c perf/report/source_growth.h \
	perf/report/source_http.c perf/report/source_http.h \
	perf/report/source_join.c perf/report/source_join.h \
	perf/report/source_json.c perf/report/source_json.h \
	perf/report/source_keystone.c perf/report/source_keystone.h \
	perf/report/source_monasca.c \
	perf/report/source_priv.h \
	perf/report/source_segment.c \
	perf/report/source_time.c perf/report/source_time.h \
	perf/stop.c perf/stop.h
bin_PROGRAMS += persister-load persister-perf
persister_perf_SOURCES = perf/report/persister-perf.c
persister_perf_CFLAGS = $(AM_CFLAGS) $(CURL_CFLAGS)
persister_perf_LDADD = perf/libperf.a $(pstats_libs) $(CURL_LIBS) $(CJSON_LIBS) $(CURSES_LIBS) -lm
persister_load_SOURCES = perf/load/load.c
persister_load_CFLAGS = $(AM_CFLAGS) $(RDKAFKA_CFLAGS)
persister_load_LDADD = perf/libperf.a lib/liblib.a $(RDKAFKA_LIBS) -lm

## Tools of the tests, the demo and the benchmarks. Not installed.
noinst_PROGRAMS += perf/bench/count-consumer perf/bench/mock-broker perf/bench/record perf/bench/snapshot perf/bench/statsd-sender
perf_bench_record_SOURCES = perf/bench/record.c
perf_bench_record_LDADD = shm/libshm.a lib/liblib.a
perf_bench_snapshot_SOURCES = perf/bench/snapshot.c
perf_bench_snapshot_LDADD = shm/libshm.a lib/liblib.a
perf_bench_count_consumer_SOURCES = perf/bench/count-consumer.c
perf_bench_count_consumer_CFLAGS = $(AM_CFLAGS) $(RDKAFKA_CFLAGS)
perf_bench_count_consumer_LDADD = lib/liblib.a $(RDKAFKA_LIBS)
perf_bench_mock_broker_SOURCES = perf/bench/mock-broker.c
perf_bench_mock_broker_CFLAGS = $(AM_CFLAGS) $(RDKAFKA_CFLAGS)
perf_bench_mock_broker_LDADD = perf/libperf.a lib/liblib.a $(RDKAFKA_LIBS)
perf_bench_statsd_sender_SOURCES = perf/bench/statsd-sender.c
perf_bench_statsd_sender_LDADD = master/libmaster.a statsd/libstatsd.a $(base_libs) $(INI_LIBS) -lm
EXTRA_DIST += perf/README.md perf/RESULTS.md perf/admin-flood perf/bad-rows perf/benchlib.py perf/ceiling perf/compare perf/compare_runs.py perf/example.svg perf/figures perf/instructions perf/instructions.json perf/load-rate perf/local.mk perf/request-times perf/statsd-master
