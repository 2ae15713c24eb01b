## SPDX-License-Identifier: Apache-2.0
## What runs it as a service (contrib/). Directories follow prefix and sysconfdir; a configuration that is
## there already is never overwritten, nor taken away.
initddir = $(sysconfdir)/init.d
initd_SCRIPTS = contrib/init.d/monasca-persister
defaultdir = $(sysconfdir)/default
default_DATA = contrib/default/monasca-persister
logrotatedir = $(sysconfdir)/logrotate.d
logrotate_DATA = contrib/logrotate/monasca-persister
sysusersdir = $(prefix)/lib/sysusers.d
dist_sysusers_DATA = contrib/sysusers.d/monasca-persister.conf
tmpfilesdir = $(prefix)/lib/tmpfiles.d
tmpfiles_DATA = contrib/tmpfiles.d/monasca-persister.conf
systemdsystemunitdir = @systemdsystemunitdir@
systemdsystemunit_DATA = contrib/systemd/monasca-persister.service
dist_doc_DATA = README.md LICENSE doc/monasca-persister.conf doc/STATSD.md
templates = contrib/init.d/monasca-persister.in contrib/default/monasca-persister.in \
	contrib/logrotate/monasca-persister.in contrib/systemd/monasca-persister.service.in \
	contrib/tmpfiles.d/monasca-persister.conf.in
EXTRA_DIST += $(templates)
from_templates = $(templates:.in=)
CLEANFILES += $(from_templates)

$(from_templates): Makefile
$(from_templates): %: %.in
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's|@bindir[@]|$(bindir)|g' -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
	  -e 's|@localstatedir[@]|$(localstatedir)|g' -e 's|@runstatedir[@]|$(runstatedir)|g' $< >$@.new && mv $@.new $@

install-data-hook:
	$(MKDIR_P) $(DESTDIR)$(sysconfdir)/monasca
	test -e $(DESTDIR)$(sysconfdir)/monasca/monasca-persister.conf || \
	  $(INSTALL) -m 0640 $(srcdir)/doc/monasca-persister.conf $(DESTDIR)$(sysconfdir)/monasca/monasca-persister.conf

uninstall-hook:
	! cmp -s $(srcdir)/doc/monasca-persister.conf $(DESTDIR)$(sysconfdir)/monasca/monasca-persister.conf || \
	  rm -f $(DESTDIR)$(sysconfdir)/monasca/monasca-persister.conf
	rmdir $(DESTDIR)$(sysconfdir)/monasca 2>/dev/null || true
	for directory in $(DESTDIR)$(docdir) $(DESTDIR)$(pkgdatadir)/dashboards \
	    $(DESTDIR)$(pkgdatadir)/monasca-agent/conf.d $(DESTDIR)$(pkgdatadir)/monasca-agent \
	    $(DESTDIR)$(pkgdatadir); do rmdir "$$directory" 2>/dev/null || true; done

## For the Monasca agent; its README.md says where the files go.
agentdir = $(pkgdatadir)/monasca-agent
dist_agent_DATA = contrib/monasca-agent/README.md contrib/monasca-agent/persister.py
agentconfdir = $(agentdir)/conf.d
dist_agentconf_DATA = contrib/monasca-agent/conf.d/http_check.yaml \
	contrib/monasca-agent/conf.d/http_metrics.yaml contrib/monasca-agent/conf.d/process.yaml

dashboardsdir = $(pkgdatadir)/dashboards
dist_dashboards_DATA = contrib/dashboards/README.md contrib/dashboards/alerts.yml \
	contrib/dashboards/alerts_test.yml contrib/dashboards/grafana-monasca.json \
	contrib/dashboards/grafana-prometheus.json contrib/dashboards/prometheus.yml
EXTRA_DIST += contrib/dashboards/make

