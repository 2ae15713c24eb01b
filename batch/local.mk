## SPDX-License-Identifier: Apache-2.0
## Which messages are in hand: pure.
noinst_LIBRARIES += batch/libbatch.a
batch_libbatch_a_SOURCES = \
	batch/account.c batch/account.h \
	batch/batch.c batch/batch.h \
	batch/message.h \
	batch/window.c batch/window.h
