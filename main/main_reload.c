/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main_reload.c - see main_reload.h.
 *
 * A reload is a load of the same files and directories into a fresh structure, everything that can
 * refuse it, and then a few steps that cannot fail.
 */
#include "main/main_reload.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/program.h"
#include "main/main_check.h"

struct log_options
main_reload_log_options(const struct config *cfg, const char *log_file)
{
    bool says = cfg->DEFAULT.log_file[0] != '\0' || cfg->DEFAULT.use_syslog || log_file == NULL;
    return (struct log_options){.file = says ? cfg->DEFAULT.log_file : log_file,
                                .syslog = cfg->DEFAULT.use_syslog,
                                .facility = cfg->DEFAULT.syslog_log_facility,
                                .syslog_absent = log_syslog_is_absent(),
                                .stderr_too = cfg->DEFAULT.use_stderr,
                                .level = cfg->DEFAULT.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO};
}

int
main_reload_log(const struct config *cfg, const char *log_file, struct errbuf *err)
{
    struct log_options options = main_reload_log_options(cfg, log_file);
    return log_open(&options, err);
}

int
main_reload_statsd(const struct persister *p, const struct config *cfg, struct master_plan *plan,
                    struct errbuf *err)
{
    struct statsd_sender_options options;
    if (!cfg->statsd.enabled) {
        statsd_sender_free(&plan->sender);
        return 0;
    }
    statsd_sender_options_from(&options, cfg);
    if (plan->sender != NULL)
        return statsd_sender_change(plan->sender, &options, err);
    plan->sender = statsd_sender_new(&options, p->reader, ledger_recorder(p->ledger), err);
    return plan->sender == NULL ? -1 : 0;
}

static void
log_text(const char *text)
{
    log_notice("%s", text);
}

/* --- the operations --- */

static void
drop(void *arg)
{
    struct persister *p = arg;
    cfg_free(&p->next);
    main_plan_free(&p->next_plan);
}

static int
begin(void *arg, struct spawn_checking *checking, const int *fds, size_t n_fds, struct errbuf *err)
{
    struct persister *p = arg;
    unsigned room = p->segment.header->n_slots;
    drop(p);
    p->next = cfg_load_sources(p->sources, p->n_sources, log_text, err);
    if (p->next == NULL || cfg_check_reload(p->cfg, p->next, err) == -1 ||
        main_check_drivers(p->next, err) == -1 ||
        main_plan_make(&p->next_plan, p->next, p->cfg, err) == -1)
        return -1;
    if (p->next_plan.plan.n > room)
        return errbuf_set(err,
                          "%s: asks for %zu processes; the segment made at the start has room for "
                          "%u, so this takes a restart",
                          p->next->file, p->next_plan.plan.n, room);
    return spawn_check_begin(checking, "check", main_check_libraries, p->next, fds, n_fds, err);
}

/* Another StatsD from now on begins as at the start. */
static int
take_telling(struct persister *p, struct errbuf *err)
{
    struct master_plan *plan = &p->plan.plan;
    bool was_told = plan->sender != NULL;
    if (cfg_same_section(p->cfg, p->next, "statsd") &&
        plan->period_ms == p->next_plan.plan.period_ms)
        return 0;
    if (main_reload_statsd(p, p->next, plan, err) == -1)
        return -1;
    if (!was_told && plan->sender != NULL)
        statsd_sender_start(plan->sender, clock_mono_ms());
    return 0;
}

static int
take(void *arg, struct errbuf *err)
{
    struct persister *p = arg;
    if (main_reload_log(p->next, p->log_file, err) == -1)
        return -1;
    if (take_telling(p, err) == -1) {
        struct errbuf other;
        if (main_reload_log(p->cfg, p->log_file, &other) == -1)
            log_error("the log stays where the refused configuration has it: %s", other.text);
        return -1;
    }
    program_allow_dumps(p->next->persister.core_dumps);
    p->next_plan.plan.sender = p->plan.plan.sender;
    main_plan_free(&p->plan);
    cfg_free(&p->cfg);
    p->plan = p->next_plan;
    p->plan.plan.same = p->plan.same;
    p->cfg = p->next;
    p->next_plan = (struct main_plan){.seats = NULL};
    p->next = NULL;
    return 0;
}

struct reload_ops
main_reload_ops(struct persister *p)
{
    return (struct reload_ops){.begin = begin, .take = take, .drop = drop, .arg = p};
}
