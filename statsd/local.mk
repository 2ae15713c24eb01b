## SPDX-License-Identifier: Apache-2.0
## Figures of an interval as StatsD packets.
noinst_LIBRARIES += statsd/libstatsd.a
statsd_libstatsd_a_SOURCES = \
	statsd/statsd_dimensions.c statsd/statsd_dimensions.h \
	statsd/statsd_line.c statsd/statsd_line.h \
	statsd/statsd_packet.c statsd/statsd_packet.h \
	statsd/statsd_report.c statsd/statsd_report.h \
	statsd/statsd_socket.c statsd/statsd_socket.h \
	statsd/statsd_window.c statsd/statsd_window.h
