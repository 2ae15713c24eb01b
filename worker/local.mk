## SPDX-License-Identifier: Apache-2.0
## After the fork: from Kafka to the store.
noinst_LIBRARIES += worker/libworker.a
worker_libworker_a_CFLAGS = $(AM_CFLAGS) $(RDKAFKA_CFLAGS) $(LIBPQ_CFLAGS)
worker_libworker_a_SOURCES = \
	worker/autopsy.c worker/autopsy.h \
	worker/dead_file.c worker/dead_file.h \
	worker/dead_letter.c worker/dead_letter.h \
	worker/dead_topic.c worker/dead_topic.h \
	worker/figures.c worker/figures.h \
	worker/memory.c worker/memory.h \
	worker/retention.c worker/retention.h \
	worker/pipeline.c worker/pipeline.h \
	worker/signals.c worker/signals.h \
	worker/worker.c worker/worker.h
