## SPDX-License-Identifier: Apache-2.0
## Supervision.
noinst_LIBRARIES += master/libmaster.a
master_libmaster_a_CFLAGS = $(AM_CFLAGS) $(SYSTEMD_CFLAGS)
master_libmaster_a_SOURCES = \
	master/bus_error.c master/bus_error.h \
	master/crew.c master/crew.h \
	master/directory.c master/directory.h \
	master/lock.c master/lock.h \
	master/lookup.c master/lookup.h \
	master/master.c master/master.h \
	master/master_priv.h \
	master/notify.c master/notify.h \
	master/pool.c master/pool.h \
	master/reload.c master/reload.h \
	master/roster.c master/roster.h \
	master/spawn.c master/spawn.h \
	master/statsd_sender.c master/statsd_sender.h \
	master/statsd_transport.c master/statsd_transport.h \
	master/title.c master/title.h \
	master/totals.c master/totals.h
