/* SPDX-License-Identifier: Apache-2.0 */
/* figures.c - see figures.h. */
#include "figures/figures.h"

#include <fnmatch.h>
#include <stdio.h>

#include "lib/json.h"
#include "lib/timestamp.h"

void
figures_tell_origin(struct figures_origin *origin, const char *path,
                    const struct shm_reader *reader, const struct snapshot *snapshot)
{
    char when[TIMESTAMP_BYTES];
    *origin = (struct figures_origin){.path = path};
    if (snapshot->heartbeat_ms > 0 && snapshot->taken_ms > snapshot->heartbeat_ms)
        origin->age_ms = snapshot->taken_ms - snapshot->heartbeat_ms;
    origin->stale = !shm_reader_master_lives(reader);
    if (!origin->stale)
        return;
    timestamp_format(when, snapshot->heartbeat_ms);
    snprintf(origin->stale_reason, sizeof(origin->stale_reason), "master %ld %s%s",
             (long)snapshot->master_pid,
             snapshot->master_state == MASTER_STOPPED ? "stopped at "
                                                      : "died; its last sign of life was at ",
             when);
}

bool
figures_is_chosen(const struct figures_choice *choice, const char *name)
{
    if (choice == NULL || choice->n_globs == 0)
        return true;
    for (size_t i = 0; i < choice->n_globs; i++)
        if (fnmatch(choice->globs[i], name, 0) == 0)
            return true;
    return false;
}

bool
figures_is_worker(const struct snapshot_process *process)
{
    return process->topic[0] != '\0';
}

void
figures_add_seconds(struct buf *out, uint64_t ns)
{
    buf_printf(out, "%llu.%09llu", (unsigned long long)(ns / 1000000000),
               (unsigned long long)(ns % 1000000000));
}
