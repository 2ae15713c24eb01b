## SPDX-License-Identifier: Apache-2.0
## One Criterion program; check_* are scripts; tests/whole is run by ./check.
test_scripts = tests/check_banned tests/check_dashboards tests/check_dist tests/check_headers tests/check_includes tests/check_install tests/check_instructions tests/check_man tests/check_master_objects tests/check_waits
TESTS = $(test_scripts)
EXTRA_DIST += $(test_scripts) tests/check_shm tests/check_spin
EXTRA_DIST += tests/api tests/cfg tests/corpus tests/fixtures tests/whole tests/tools/fuzz_decode.dict tests/tools/fuzz_cql.seeds
AM_TESTS_ENVIRONMENT = CC='$(CC)'; NM='$(NM)'; \
	HEADER_FLAGS='$(DEFS) $(AM_CPPFLAGS) $(CPPFLAGS) $(PERSISTER_CFLAGS) $(RDKAFKA_CFLAGS) $(CURL_CFLAGS) $(LIBPQ_CFLAGS) $(SSL_CFLAGS) $(CRYPTO_CFLAGS) $(CJSON_CFLAGS) $(INI_CFLAGS) $(CURSES_CFLAGS) $(MICROHTTPD_CFLAGS) $(SYSTEMD_CFLAGS)'; \
	export CC NM HEADER_FLAGS;
if HAVE_CRITERION
check_PROGRAMS += tests/unit/unit
TESTS += tests/unit/unit
endif
tests_unit_unit_CFLAGS = $(AM_CFLAGS) $(LIBPQ_CFLAGS) $(CRITERION_CFLAGS) $(CJSON_CFLAGS) $(RDKAFKA_CFLAGS) -Wno-missing-prototypes
tests_unit_unit_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_top_srcdir)"'
tests_unit_unit_SOURCES = \
	tests/unit/cfg_fixture.c tests/unit/cfg_fixture.h \
	tests/unit/decode_fixture.c tests/unit/decode_fixture.h \
	tests/unit/man_page.h \
	tests/unit/test_admin_guard.c \
	tests/unit/test_admin_host.c \
	tests/unit/test_admin_page.c \
	tests/unit/test_admin_rates.c \
	tests/unit/test_admin_view.c \
	tests/unit/test_array.c \
	tests/unit/test_backoff.c \
	tests/unit/test_base64.c \
	tests/unit/test_batch.c tests/unit/test_fiber.c tests/unit/test_window.c \
	tests/unit/test_buf.c \
	tests/unit/test_cass.c \
	tests/unit/test_cfg.c \
	tests/unit/test_cfg_former.c \
	tests/unit/test_cfg_hostile.c \
	tests/unit/test_cfg_out.c \
	tests/unit/test_cfg_refused.c \
	tests/unit/test_cfg_source.c \
	tests/unit/test_consume.c \
	tests/unit/test_cql.c \
	tests/unit/test_dead_letter.c \
	tests/unit/test_dead_tool.c \
	tests/unit/test_dead_tool_files.c \
	tests/unit/test_decode.c \
	tests/unit/test_decode_corpus.c \
	tests/unit/test_decode_known.c \
	tests/unit/test_figures.c \
	tests/unit/test_hands.c \
	tests/unit/test_histogram.c \
	tests/unit/test_host.c \
	tests/unit/test_influx_answer.c \
	tests/unit/test_influx_line.c \
	tests/unit/test_influx_plan.c \
	tests/unit/test_influx_rows.c \
	tests/unit/test_job.c \
	tests/unit/test_json.c \
	tests/unit/test_kafka_conf.c \
	tests/unit/test_lag.c \
	tests/unit/test_lined_file.c \
	tests/unit/test_load.c \
	tests/unit/test_lock.c \
	tests/unit/test_log.c \
	tests/unit/test_log_sink.c \
	tests/unit/test_lookup.c \
	tests/unit/test_man_page.c \
	tests/unit/test_master.c \
	tests/unit/test_notify.c \
	tests/unit/test_perf.c \
	tests/unit/test_pg_fault.c \
	tests/unit/test_pg_jsonb.c \
	tests/unit/test_pg_plan.c \
	tests/unit/test_num.c \
	tests/unit/test_pg_row.c \
	tests/unit/test_pg_sort.c \
	tests/unit/test_pool.c \
	tests/unit/test_printable.c \
	tests/unit/test_pstats_format.c \
	tests/unit/test_pstats_page.c \
	tests/unit/test_reader_hostile.c \
	tests/unit/test_reload.c \
	tests/unit/test_roster.c \
	tests/unit/test_segment.c \
	tests/unit/test_series.c \
	tests/unit/test_segment_file.c \
	tests/unit/test_source.c \
	tests/unit/test_spawn.c \
	tests/unit/test_spread.c \
	tests/unit/test_statsd_line.c \
	tests/unit/test_statsd_report.c \
	tests/unit/test_statsd_sender.c \
	tests/unit/test_timestamp.c
tests_unit_unit_LDADD = dead/libdead.a perf/libperf.a admin/libadmin.a $(all_libs) $(external_libs) $(CURSES_LIBS) \
	$(MICROHTTPD_LIBS) $(CRITERION_LIBS)

noinst_PROGRAMS += tests/tools/admin-driver tests/tools/figures-driver tests/tools/replay-driver tests/tools/source-driver tests/tools/store-driver
tests_tools_admin_driver_SOURCES = tests/tools/admin-driver.c
tests_tools_admin_driver_LDADD = admin/libadmin.a master/libmaster.a figures/libfigures.a $(base_libs) $(MICROHTTPD_LIBS) $(SYSTEMD_LIBS) -lm
tests_tools_source_driver_SOURCES = tests/tools/source-driver.c
tests_tools_source_driver_LDADD = perf/libperf.a $(pstats_libs) $(CURL_LIBS) $(CURSES_LIBS) -lm
tests_tools_figures_driver_SOURCES = tests/tools/figures-driver.c
tests_tools_figures_driver_LDADD = figures/libfigures.a shm/libshm.a lib/liblib.a
tests_tools_replay_driver_SOURCES = tests/tools/replay-driver.c tests/tools/replay-http.c \
	tests/tools/replay-pg.c tests/tools/replay.h
tests_tools_replay_driver_CFLAGS = $(AM_CFLAGS) $(LIBPQ_CFLAGS)
tests_tools_replay_driver_LDADD = perf/libperf.a $(worker_libs) $(base_libs) $(external_libs)
tests_tools_store_driver_SOURCES = tests/tools/store-driver.c
tests_tools_store_driver_LDADD = $(worker_libs) $(base_libs) $(external_libs)

## The proofs of the segment (doc/SHM.md): tests/check_shm runs them, shm-threads in a build for
## ThreadSanitizer, which does not know fences (hence -Wno-tsan there).
shm_model = tests/shm/shm-model.c tests/shm/shm-model.h
shm_play = $(shm_model) tests/shm/shm-play.c tests/shm/shm-play.h tests/shm/shm-audit.c tests/shm/shm-audit.h
shm_libs = shm/libshm.a lib/liblib.a
check_PROGRAMS += tests/shm/shm-litmus tests/shm/shm-step tests/shm/shm-threads tests/shm/shm-torture
tests_shm_shm_litmus_SOURCES = tests/shm/shm-litmus.c $(shm_model)
tests_shm_shm_litmus_LDADD = $(shm_libs) -lpthread
tests_shm_shm_step_SOURCES = tests/shm/shm-step.c tests/shm/shm-step.h tests/shm/shm-step-master.c \
	tests/shm/shm-step-publish.c $(shm_model)
tests_shm_shm_step_LDADD = $(shm_libs) -lpthread
tests_shm_shm_threads_SOURCES = tests/shm/shm-threads.c $(shm_play)
tests_shm_shm_threads_LDADD = $(shm_libs) -lpthread
tests_shm_shm_torture_SOURCES = tests/shm/shm-torture.c $(shm_play)
tests_shm_shm_torture_LDADD = $(shm_libs) -lpthread

## Needs clang: ./check configures a build of its own for it.
EXTRA_PROGRAMS = tests/tools/fuzz_cql tests/tools/fuzz_decode tests/tools/fuzz_letter
tests_tools_fuzz_decode_SOURCES = tests/tools/fuzz_decode.c
tests_tools_fuzz_decode_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer-no-link
tests_tools_fuzz_decode_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_tools_fuzz_decode_LDADD = $(worker_libs) $(base_libs) $(external_libs)
tests_tools_fuzz_letter_SOURCES = tests/tools/fuzz_letter.c
tests_tools_fuzz_letter_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer-no-link
tests_tools_fuzz_letter_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_tools_fuzz_letter_LDADD = dead/libdead.a $(tests_tools_fuzz_decode_LDADD)
tests_tools_fuzz_cql_SOURCES = tests/tools/fuzz_cql.c
tests_tools_fuzz_cql_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer-no-link
tests_tools_fuzz_cql_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_tools_fuzz_cql_LDADD = cql/libcql.a lib/liblib.a $(SSL_LIBS) $(CRYPTO_LIBS) -lm
