## SPDX-License-Identifier: Apache-2.0
## The options, and the reasons for which messages are rejected.
noinst_LIBRARIES += conf/libconf.a
conf_libconf_a_CFLAGS = $(AM_CFLAGS) $(INI_CFLAGS)
conf_libconf_a_SOURCES = \
	conf/cfg.c conf/cfg.def conf/cfg.h \
	conf/cfg_cassandra.c conf/cfg_check.c \
	conf/cfg_file.c \
	conf/cfg_former.c conf/cfg_former.def \
	conf/cfg_hosts.c \
	conf/cfg_lines.c \
	conf/cfg_man.c \
	conf/cfg_out.c \
	conf/cfg_priv.h \
	conf/cfg_same.c \
	conf/cfg_source.c \
	conf/cfg_statsd.c \
	conf/cfg_topic.def \
	conf/reject.c conf/reject.def conf/reject.h
