## SPDX-License-Identifier: Apache-2.0
## The decoded message, and its decoder.
noinst_LIBRARIES += record/librecord.a
record_librecord_a_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS)
record_librecord_a_SOURCES = \
	record/decode.c record/decode.h \
	record/decode_dimensions.c \
	record/decode_hole.h \
	record/decode_known.c \
	record/decode_number.c record/decode_number.h \
	record/decode_priv.h \
	record/decode_scan.c \
	record/decode_skim.c \
	record/decode_text.c \
	record/record.h \
	record/series.c record/series.h
