## Which messages are in hand: pure.
noinst_LIBRARIES += batch/libbatch.a
batch_libbatch_a_SOURCES = \
	batch/batch.c batch/batch.h \
	batch/message.h
