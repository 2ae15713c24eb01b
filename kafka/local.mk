## SPDX-License-Identifier: Apache-2.0
## librdkafka and nothing else.
noinst_LIBRARIES += kafka/libkafka.a
kafka_libkafka_a_CFLAGS = $(AM_CFLAGS) $(RDKAFKA_CFLAGS)
kafka_libkafka_a_SOURCES = \
	kafka/consume.c kafka/consume.h \
	kafka/consume_ask.c \
	kafka/consume_commit.c \
	kafka/consume_fatal.c \
	kafka/consume_group.c \
	kafka/consume_join.c \
	kafka/consume_lag.c \
	kafka/consume_position.c \
	kafka/consume_priv.h \
	kafka/consume_unreadable.c kafka/consume_wake.c \
	kafka/kafka_conf.c kafka/kafka_conf.h \
	kafka/lag.c kafka/lag.h
