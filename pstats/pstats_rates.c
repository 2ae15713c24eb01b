/* SPDX-License-Identifier: Apache-2.0 */
/* pstats_rates.c - see pstats_rates.h. */
#include "pstats/pstats_rates.h"

#include <stdlib.h>

static const double unknown = -1;

/* Takes: two totals, and the ms between them. */
static double
rate(uint64_t before, uint64_t now, int64_t ms)
{
    return ms > 0 && now >= before ? (double)(now - before) * 1000 / (double)ms : unknown;
}

/* What it was in the last period. */
static double
rate_of_period(uint64_t counted, const struct snapshot *s)
{
    return s->period > 0 ? rate(0, counted, s->period_length_ms) : unknown;
}

const struct rates_process *
rates_find(const struct rates *rates, const struct snapshot_process *process)
{
    for (size_t i = 0; i < rates->n; i++)
        if (rates->processes[i].slot == process->slot &&
            strcmp(rates->processes[i].name, process->name) == 0)
            return &rates->processes[i];
    return NULL;
}

static void
rate_process(struct rates_process *to, const struct rates *before, const struct snapshot *s,
             const struct snapshot_process *p, int64_t ms)
{
    const struct rates_process *old = before != NULL ? rates_find(before, p) : NULL;
    to->slot = p->slot;
    memcpy(to->name, p->name, sizeof(to->name));
    to->received = p->lifetime.values[STAT_RECEIVED];
    to->completed = p->lifetime.values[STAT_COMPLETED];
    if (before == NULL) {
        to->received_per_second = rate_of_period(p->last_period.values[STAT_RECEIVED], s);
        to->completed_per_second = rate_of_period(p->last_period.values[STAT_COMPLETED], s);
    } else if (old == NULL) {
        to->received_per_second = to->completed_per_second = unknown;
    } else {
        to->received_per_second = rate(old->received, to->received, ms);
        to->completed_per_second = rate(old->completed, to->completed, ms);
    }
}

static void
rate_instance(struct rates *r, const struct snapshot *s, bool same_master, int64_t ms)
{
    for (unsigned v = 0; v < STAT_VALUES; v++) {
        if (stat_values[v].nature != STAT_COUNTER)
            r->per_second[v] = unknown;
        else if (same_master)
            r->per_second[v] = rate(r->values[v], s->totals.values[v], ms);
        else
            r->per_second[v] = rate_of_period(s->last_period.values[v], s);
        r->values[v] = s->totals.values[v];
    }
}

int
rates_update(struct rates *rates, const struct snapshot *snapshot)
{
    bool same = rates->taken_ms != 0 && rates->started_ms == snapshot->started_ms &&
                rates->master_pid == snapshot->master_pid;
    int64_t ms = snapshot->taken_ms - rates->taken_ms;
    struct rates next = *rates;
    next.n = snapshot->n_processes;
    next.processes = calloc(next.n > 0 ? next.n : 1, sizeof(*next.processes));
    if (next.processes == NULL)
        return -1;
    for (size_t i = 0; i < next.n; i++)
        rate_process(&next.processes[i], same ? rates : NULL, snapshot, &snapshot->processes[i],
                     ms);
    free(rates->processes);
    *rates = next;
    rate_instance(rates, snapshot, same, ms);
    rates->taken_ms = snapshot->taken_ms;
    rates->started_ms = snapshot->started_ms;
    rates->master_pid = snapshot->master_pid;
    return 0;
}

void
rates_free(struct rates *rates)
{
    free(rates->processes);
    *rates = (struct rates){0};
}
