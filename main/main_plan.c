/* SPDX-License-Identifier: Apache-2.0 */
/* main_plan.c - see main_plan.h. */
#include "main/main_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kafka/kafka_conf.h"
#include "worker/retention.h"

static unsigned
count_workers(const struct config *cfg, enum topic_kind kind)
{
    return cfg->topic[kind].enabled ? (unsigned)cfg->topic[kind].num_processors : 0;
}

static void
add_worker(struct main_plan *p, const struct config *cfg, enum topic_kind kind, unsigned number)
{
    struct seat *seat = &p->seats[p->plan.n++];
    *seat = (struct seat){.crew = kind, .number = number, .rejoin_ms = kafka_conf_rejoin_ms(cfg)};
    snprintf(seat->topic, sizeof(seat->topic), "%s", cfg->topic[kind].topic);
    snprintf(seat->name, sizeof(seat->name), "%s-%u", cfg->topic[kind].topic, number);
}

static void
add_helper(struct main_plan *p, unsigned crew, const char *name)
{
    struct seat *seat = &p->seats[p->plan.n++];
    *seat = (struct seat){.crew = crew, .alone = true, .silent = crew == CREW_ADMIN};
    snprintf(seat->name, sizeof(seat->name), "%s", name);
}

static void
add_seats(struct main_plan *p, const struct config *cfg)
{
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++)
        for (unsigned i = 0; i < count_workers(cfg, kind); i++)
            add_worker(p, cfg, kind, i);
    if (retention_is_wanted(cfg))
        add_helper(p, CREW_RETENTION, "retention");
    if (cfg->admin.enabled)
        add_helper(p, CREW_ADMIN, "admin");
}

/* Who may go on. The admin port shows the whole configuration. */
static void
compare(struct main_plan *p, const struct config *cfg, const struct config *before)
{
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++)
        p->same[kind] = cfg_same_for_workers(before, cfg, kind);
    /* Whether others may read its memory is inherited from the master at the fork. */
    p->same[CREW_RETENTION] = cfg_same_section(before, cfg, "postgresql") &&
                              before->persister.core_dumps == cfg->persister.core_dumps;
    p->same[CREW_ADMIN] = cfg_same(before, cfg);
}

int
main_plan_make(struct main_plan *plan, const struct config *cfg, const struct config *before,
               struct errbuf *err)
{
    size_t most = 2; /* the helpers */
    for (enum topic_kind kind = 0; kind < TOPIC_EVENTS; kind++)
        most += count_workers(cfg, kind);
    *plan = (struct main_plan){.seats = calloc(most, sizeof(*plan->seats))};
    if (plan->seats == NULL)
        return errbuf_set(err, "no memory for %zu processes: %s", most, strerror(errno));
    add_seats(plan, cfg);
    if (before != NULL)
        compare(plan, cfg, before);
    plan->plan.seats = plan->seats;
    plan->plan.same = plan->same;
    plan->plan.timing = pool_default_timing();
    plan->plan.timing.hang_ms = cfg->persister.hang_timeout_seconds * 1000;
    plan->plan.timing.shutdown_ms = cfg->persister.shutdown_timeout_seconds * 1000;
    plan->plan.period_ms = cfg->persister.period_seconds * 1000;
    return 0;
}

void
main_plan_free(struct main_plan *plan)
{
    free(plan->seats);
    *plan = (struct main_plan){.seats = NULL};
}
