/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h - what the admin port tells of: one snapshot, what was computed from it, and what the
 * admin process remembers.
 *
 * The formatters (dropwizard, health, threads, page) are pure functions of a view; view.c alone
 * touches the segment.
 *
 * Process: admin.  Owner: the caller of view_new.  Concurrency: one thread.
 */
#ifndef ADMIN_VIEW_H
#define ADMIN_VIEW_H

#include "admin/meters.h"
#include "admin/progress.h"
#include "admin/spread.h"
#include "lib/errbuf.h"
#include "figures/figures.h"
#include "shm/snapshot.h"

/* The topics that have a name of their own in the Java persister's figures. */
enum view_kind { VIEW_METRICS, VIEW_ALARMS, VIEW_KINDS };

/* How the configuration calls them; texts outlive the view. */
struct view_names {
    struct {
        const char *topic; /* "metrics" */
        const char *store; /* "influxdb" */
    } kinds[VIEW_KINDS];
};

/* The store calls of a worker, or of all workers of a kind. */
struct view_writes {
    uint64_t count;       /* since the master's start */
    struct spread spread; /* since the start of each worker that runs */
};

/* A worker by its name; should two processes have it (during a reload), both together. */
struct view_worker {
    char name[SHM_PROCESS_BYTES];
    enum view_kind kind; /* VIEW_KINDS: another topic */
    unsigned number;
    uint64_t received, completed, rejected, returned; /* since the master's start */
    struct view_writes writes;
};

struct view {
    struct snapshot now;
    const struct shm_reader *reader; /* that it was taken from */
    struct figures_origin origin;
    int64_t now_mono_ms;      /* when it was taken */
    uint64_t instance_memory; /* bytes its processes are known to use */
    uint64_t machine_memory;  /* bytes they may use: the cgroup's limit, or all there is */
    int64_t stall_ms;         /* so long without progress is unhealthy */
    struct spread instance[STAT_TIMINGS]; /* since the master's start */
    struct view_worker *workers;
    size_t n_workers;
    struct view_writes kind_writes[VIEW_KINDS];
    uint64_t kind_completed[VIEW_KINDS];
    struct snapshot_period periods[SHM_PERIODS]; /* the newest last */
    size_t n_periods;
    struct meters *meters;
    struct progress *progress;
    uint64_t number; /* of the look at the segment: 1.. */
};

/*
 * Names of the meters: a figure of a worker ("metrics-0/received"), of a kind ("@0/writes"), of the
 * instance ("/received").
 * Returns: the averages; all 0 if there is no such.
 */
struct ewma view_worker_rates(const struct view *v, const struct view_worker *w,
                              const char *figure);
struct ewma view_kind_rates(const struct view *v, enum view_kind kind, const char *figure);
struct ewma view_instance_rates(const struct view *v, const char *figure);

/* --- with a segment --- */

struct view_source;

/*
 * Attaches to a segment.
 * Takes: its path; the names, copied but for the texts; ms without progress that are unhealthy.
 * Returns: a source, or NULL with a text.
 */
struct view_source *view_source_new(const char *path, const struct view_names *names,
                                    int64_t stall_ms, struct errbuf *err) MUST_CHECK;
void view_source_free(struct view_source **source);

/*
 * Looks at the segment, unless that was done less than VIEW_FRESH_MS ago.
 * Returns: the view, which the source owns; NULL with a text if memory is out or the segment
 * changes too fast to be read.
 */
enum { VIEW_FRESH_MS = 20 };
const struct view *view_source_look(struct view_source *source, struct errbuf *err) MUST_CHECK;

/*
 * Ticks the meters, to be called every EWMA_TICK_MS.
 * Takes: how many ticks are due.
 * Returns: 0, or -1 with a text.
 */
int view_source_tick(struct view_source *source, unsigned ticks, struct errbuf *err) MUST_CHECK;

#endif
