## SPDX-License-Identifier: Apache-2.0
## The program: the only files that know all the others.
bin_PROGRAMS += monasca-persister
monasca_persister_SOURCES = \
	main/main.c \
	main/main_admin.c main/main_admin.h \
	main/main_ask.c main/main_ask.h \
	main/main_check.c main/main_check.h \
	main/main_options.c main/main_options.h \
	main/main_plan.c main/main_plan.h \
	main/main_reload.c main/main_reload.h
monasca_persister_LDADD = admin/libadmin.a $(all_libs) $(external_libs) $(MICROHTTPD_LIBS)
