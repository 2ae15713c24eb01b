/* SPDX-License-Identifier: Apache-2.0 */
/* totals.c - see totals.h. */
#include "master/totals.h"

#include <stdio.h>

#include "master/master_priv.h"

static unsigned long long
value(const struct stat_figures *figures, enum stat_value number)
{
    return figures->values[number];
}

static void
format_counters(const struct stat_figures *f, char *text, size_t size)
{
    snprintf(text, size, "received=%llu completed=%llu rejected=%llu returned=%llu in_flight=%llu",
             value(f, STAT_RECEIVED), value(f, STAT_COMPLETED), value(f, STAT_REJECTED),
             value(f, STAT_RETURNED), value(f, STAT_IN_FLIGHT));
}

static void
log_process(const struct snapshot_process *p, enum log_level level)
{
    char text[192];
    format_counters(&p->lifetime, text, sizeof(text));
    log_line(level, "process %s: state=%s pid=%d %s partitions=%llu restarts=%u", p->name,
             slot_state_name(p->state), (int)p->pid, text, value(&p->totals, STAT_PARTITIONS),
             p->restarts);
}

void
totals_log(const struct snapshot *snapshot, enum log_level each_level)
{
    char text[192];
    for (size_t i = 0; i < snapshot->n_processes; i++)
        if (log_wants(each_level))
            log_process(&snapshot->processes[i], each_level);
    format_counters(&snapshot->totals, text, sizeof(text));
    log_notice("totals: %s workers=%llu/%llu", text, value(&snapshot->totals, STAT_WORKERS_RUNNING),
               value(&snapshot->totals, STAT_WORKERS_WANTED));
}
