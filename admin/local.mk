## SPDX-License-Identifier: Apache-2.0
## The admin port.
noinst_LIBRARIES += admin/libadmin.a
admin_libadmin_a_CFLAGS = $(AM_CFLAGS) $(MICROHTTPD_CFLAGS)
admin_libadmin_a_SOURCES = \
	admin/accept.c admin/accept.h \
	admin/admin.c admin/admin.h \
	admin/bodies.c admin/bodies.h \
	admin/dropwizard.c admin/dropwizard.h \
	admin/ewma.c admin/ewma.h \
	admin/format.c admin/format.h \
	admin/guard.c admin/guard.h \
	admin/health.c admin/health.h \
	admin/host.c admin/host.h \
	admin/json_out.c admin/json_out.h \
	admin/meters.c admin/meters.h \
	admin/page.c admin/page.h \
	admin/plot.c admin/plot.h \
	admin/privileges.c admin/privileges.h \
	admin/progress.c admin/progress.h \
	admin/spread.c admin/spread.h \
	admin/threads.c admin/threads.h \
	admin/view.c admin/view.h \
	admin/web.c admin/web.h
nodist_admin_libadmin_a_SOURCES = admin/page_html.h

## The page as a C string.
admin/page_html.h: admin/page.html
	$(AM_V_GEN)$(MKDIR_P) admin && { \
	  echo '/* Made from admin/page.html. */' && echo 'static const char page_html[] =' && \
	  $(SED) -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/    "/' -e 's/$$/\\n"/' $(srcdir)/admin/page.html && \
	  echo '    ;'; } >$@.new && mv $@.new $@
admin/libadmin_a-page.$(OBJEXT): admin/page_html.h
CLEANFILES += admin/page_html.h
EXTRA_DIST += admin/page.html
