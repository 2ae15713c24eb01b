## SPDX-License-Identifier: Apache-2.0
## The live view.
noinst_LIBRARIES += pstats/libpstats.a
pstats_libpstats_a_CFLAGS = $(AM_CFLAGS) $(CURSES_CFLAGS)
pstats_libpstats_a_SOURCES = \
	pstats/pstats_format.c pstats/pstats_format.h \
	pstats/pstats_histogram.c \
	pstats/pstats_list.c pstats/pstats_list.h \
	pstats/pstats_live.c pstats/pstats_live.h \
	pstats/pstats_page.c pstats/pstats_page.h \
	pstats/pstats_page_priv.h \
	pstats/pstats_rates.c pstats/pstats_rates.h \
	pstats/pstats_source.c pstats/pstats_source.h \
	pstats/pstats_table.c \
	pstats/pstats_terminal.c pstats/pstats_terminal.h \
	pstats/pstats_text.c pstats/pstats_text.h \
	pstats/pstats_watch.c pstats/pstats_watch.h
bin_PROGRAMS += pstats/pstats
pstats_pstats_SOURCES = pstats/pstats.c
pstats_pstats_LDADD = $(pstats_libs) $(CURSES_LIBS)
