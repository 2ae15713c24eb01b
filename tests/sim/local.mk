## SPDX-License-Identifier: Apache-2.0
## Whole workers in simulated time. What is not here is the product's; what is here takes the place
## of its modules, as the linker finds it first.
check_PROGRAMS += tests/sim/sim
tests_sim_sim_SOURCES = \
	tests/sim/consumer.c tests/sim/consumer.h \
	tests/sim/group.c tests/sim/group.h \
	tests/sim/letters.c \
	tests/sim/life.c tests/sim/life.h \
	tests/sim/load.c tests/sim/load.h \
	tests/sim/master.c tests/sim/master.h \
	tests/sim/promise.c tests/sim/promise.h \
	tests/sim/rows.c \
	tests/sim/services.c tests/sim/services.h \
	tests/sim/sim.c \
	tests/sim/topic.c tests/sim/topic.h \
	tests/sim/transactions.c tests/sim/transactions.h \
	tests/sim/world.c tests/sim/world.h
tests_sim_sim_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=strdup,--wrap=free \
	-Wl,--wrap=clock_gettime,--wrap=getpid,--wrap=log_line,--wrap=fibers_new,--wrap=fibers_free
tests_sim_sim_LDADD = worker/libworker.a batch/libbatch.a record/librecord.a $(base_libs) $(INI_LIBS) $(CRYPTO_LIBS) -lm
