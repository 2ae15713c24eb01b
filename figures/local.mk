## SPDX-License-Identifier: Apache-2.0
## Figures as JSON and OpenMetrics, for pstats, the admin port and persister-perf.
noinst_LIBRARIES += figures/libfigures.a
figures_libfigures_a_SOURCES = \
	figures/figures.c figures/figures.h \
	figures/figures_json.c figures/figures_json.h \
	figures/openmetrics.c figures/openmetrics.h
