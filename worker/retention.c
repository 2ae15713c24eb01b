/* SPDX-License-Identifier: Apache-2.0 */
/* retention.c - see retention.h. */
#include "worker/retention.h"

#include "lib/clock.h"
#include "lib/job.h"
#include "lib/log.h"
#include "shm/recorder.h"
#include "store/pg/pg_retention.h"
#include "worker/signals.h"
#include "worker/worker.h"

/* Pauses: after a step with more to do, and when all is done (or the database is sick). */
enum { STEP_PAUSE_MS = 200, LOOK_AGAIN_MS = 60000 };

struct retention {
    struct recorder *recorder;
    struct store_look look;
    struct jobs *jobs; /* for looking up names */
    struct pg_conn conn;
    struct errbuf trouble; /* what was last said, to say it once */
    uint64_t deleted;      /* since that was last said */
};

static bool
keep_waiting(void *arg)
{
    struct retention *r = arg;
    struct errbuf err;
    recorder_beat(r->recorder);
    if (signals_take_reopen() && log_reopen(&err) == -1)
        log_error("%s", err.text);
    return signals_stops() == 0;
}

/* store_hooks.wait */
static bool
wait_and_look(void *arg, struct pollfd *fds, size_t n, int64_t until_ms)
{
    struct retention *r = arg;
    return store_wait_and_look(&r->look, fds, n, until_ms);
}

/* store_hooks.offload */
static bool
offload(void *arg, void (*run)(void *job_arg), void (*free_arg)(void *job_arg), void *job_arg)
{
    struct retention *r = arg;
    return jobs_run(r->jobs, run, free_arg, job_arg, wait_and_look, r);
}

/* Returns: ms to pause. */
static int64_t
take_step(struct retention *r, const struct config *cfg)
{
    struct errbuf err = {.text = ""};
    int64_t deleted;
    recorder_set_state(r->recorder, SLOT_WRITING);
    enum pg_outcome outcome = pg_retention_step(&r->conn, cfg->postgresql.schema,
                                                cfg->postgresql.retention_days, &deleted, &err);
    recorder_set_state(r->recorder, SLOT_IDLE);
    r->deleted += (uint64_t)deleted;
    if (outcome != PG_OK && outcome != PG_STOPPED && strcmp(err.text, r->trouble.text) != 0) {
        log_error("%s; trying again every minute", err.text);
        r->trouble = err;
    }
    if (outcome == PG_OK)
        r->trouble.text[0] = '\0';
    if (outcome == PG_OK && deleted > 0)
        return STEP_PAUSE_MS;
    if (r->deleted > 0)
        log_info("%llu rows older than %lld days deleted", (unsigned long long)r->deleted,
                 (long long)cfg->postgresql.retention_days);
    r->deleted = 0;
    return LOOK_AGAIN_MS;
}

bool
retention_is_wanted(const struct config *cfg)
{
    if (cfg->postgresql.retention_days == 0)
        return false;
    for (enum topic_kind kind = TOPIC_METRICS; kind <= TOPIC_ALARM_HISTORY; kind++)
        if (cfg->topic[kind].enabled && cfg_topic_driver(cfg, kind) == DRIVER_POSTGRESQL)
            return true;
    return false;
}

int
retention_run(const struct config *cfg, struct segment *segment, unsigned slot)
{
    struct retention r = {.recorder = recorder_new(segment, slot), .jobs = jobs_new("names")};
    struct store_hooks hooks = {.wait = wait_and_look, .offload = offload, .arg = &r};
    r.look = (struct store_look){.look = keep_waiting, .arg = &r};
    r.conn = (struct pg_conn){.conninfo = cfg->postgresql.conninfo, .hooks = &hooks};
    if (r.recorder == NULL || r.jobs == NULL) {
        log_error("out of memory");
        return WORKER_EXIT_SICK;
    }
    signals_catch();
    while (keep_waiting(&r)) {
        int64_t pause_ms = take_step(&r, cfg);
        if (pause_ms == LOOK_AGAIN_MS)
            pg_conn_close(&r.conn); /* not to hold a connection for a minute of sleep */
        (void)wait_and_look(&r, NULL, 0, clock_mono_ms() + pause_ms);
    }
    pg_conn_close(&r.conn);
    jobs_abandon(&r.jobs);
    recorder_free(&r.recorder);
    return WORKER_EXIT_DONE;
}
