/* SPDX-License-Identifier: Apache-2.0 */
/* pstats_list.c - see pstats_list.h. */
#include "pstats/pstats_list.h"

#include "lib/roff.h"

static const char *
nature_name(const struct stat_descriptor *d)
{
    switch (d->nature) {
    case STAT_COUNTER:
        return "counter";
    case STAT_GAUGE_SUM:
        return "gauge, sum";
    case STAT_GAUGE_MAX:
        return "gauge, max";
    default:
        return d < &stat_timings[STAT_HISTOGRAMS] ? "timing, histogram" : "timing";
    }
}

/* Returns: the figure of that number, values first, then timings. */
static const struct stat_descriptor *
figure(unsigned i)
{
    return i < STAT_VALUES ? &stat_values[i] : &stat_timings[i - STAT_VALUES];
}

void
pstats_write_list(struct buf *out, const struct figures_choice *choice)
{
    buf_printf(out, "%-24s %-17s %-10s %s\n", "FIGURE", "NATURE", "UNIT", "MEANING");
    for (unsigned i = 0; i < STAT_VALUES + STAT_TIMINGS; i++) {
        const struct stat_descriptor *d = figure(i);
        if (figures_is_chosen(choice, d->name))
            buf_printf(out, "%-24s %-17s %-10s %s\n", d->name, nature_name(d), d->unit, d->help);
    }
}

void
pstats_write_man(struct buf *out)
{
    for (unsigned i = 0; i < STAT_VALUES + STAT_TIMINGS; i++) {
        const struct stat_descriptor *d = figure(i);
        buf_add_text(out, ".TP\n.B ");
        roff_add(out, d->name);
        buf_printf(out, "\n(%s; %s) ", nature_name(d), d->unit);
        roff_add(out, d->help);
        buf_add_char(out, '\n');
    }
}
