## SPDX-License-Identifier: Apache-2.0
## What knows nothing of metrics: text, numbers, clocks, files, the log.
noinst_LIBRARIES += lib/liblib.a
lib_liblib_a_SOURCES = \
	lib/array.c lib/array.h \
	lib/backoff.c lib/backoff.h \
	lib/base.h \
	lib/base64.c lib/base64.h \
	lib/buf.c lib/buf.h \
	lib/clock.h \
	lib/errbuf.c lib/errbuf.h \
	lib/fiber.c lib/fiber.h lib/fiber_watch.h \
	lib/host.c lib/host.h \
	lib/job.c lib/job.h \
	lib/json.c lib/json.h \
	lib/json_text.c lib/json_text.h \
	lib/lined_file.c lib/lined_file.h \
	lib/log.c lib/log.h \
	lib/log_sink.c lib/log_sink.h \
	lib/log_syslog.c lib/log_syslog.h \
	lib/num.c lib/num.h \
	lib/printable.c lib/printable.h \
	lib/program.c lib/program.h \
	lib/regular_file.c lib/regular_file.h \
	lib/roff.c lib/roff.h \
	lib/spread.c lib/spread.h \
	lib/timestamp.c lib/timestamp.h
