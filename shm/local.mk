## SPDX-License-Identifier: Apache-2.0
## The segment: who writes, who adds up, who reads.
noinst_LIBRARIES += shm/libshm.a
shm_libshm_a_SOURCES = \
	shm/barrier.c shm/barrier.h \
	shm/guarded_map.c shm/guarded_map.h \
	shm/hands.c shm/hands.h \
	shm/histogram.c shm/histogram.h \
	shm/history.c \
	shm/layout.c shm/layout.h \
	shm/ledger.c shm/ledger.h \
	shm/ledger_close.c \
	shm/ledger_priv.h \
	shm/pstats_find.c shm/pstats_find.h \
	shm/reader.c \
	shm/reader_priv.h \
	shm/recorder.c shm/recorder.h \
	shm/segment.c shm/segment.h \
	shm/snapshot.c shm/snapshot.h \
	shm/span.c shm/span.h \
	shm/stat.c shm/stat.def shm/stat.h \
	shm/state.h
