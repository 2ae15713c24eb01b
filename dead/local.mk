## SPDX-License-Identifier: Apache-2.0
## Dead letters by hand.
noinst_LIBRARIES += dead/libdead.a
dead_libdead_a_CFLAGS = $(AM_CFLAGS) $(RDKAFKA_CFLAGS)
dead_libdead_a_SOURCES = \
	dead/args.c dead/args.h \
	dead/box.c dead/box.h \
	dead/filter.c dead/filter.h \
	dead/from_file.c dead/from_file.h \
	dead/from_topic.c dead/from_topic.h \
	dead/idset.c dead/idset.h \
	dead/journal.c dead/journal.h \
	dead/judge.c dead/judge.h \
	dead/kafka_client.c dead/kafka_client.h \
	dead/letter.c dead/letter.h \
	dead/line.h \
	dead/list.c \
	dead/pace.h \
	dead/replay.c \
	dead/run.c dead/run.h \
	dead/sender.c dead/sender.h \
	dead/show.c dead/show.h \
	dead/tally.c dead/tally.h \
	dead/when.c dead/when.h
bin_PROGRAMS += persister-dead
persister_dead_SOURCES = dead/persister-dead.c
persister_dead_CFLAGS = $(AM_CFLAGS) $(RDKAFKA_CFLAGS)
persister_dead_LDADD = dead/libdead.a $(worker_libs) $(base_libs) $(RDKAFKA_LIBS) $(INI_LIBS) -lm
