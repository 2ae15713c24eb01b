/* SPDX-License-Identifier: Apache-2.0 */
/* figures.c - see figures.h. */
#include "figures/figures.h"

#include <fnmatch.h>
#include <stdio.h>
#include <time.h>

#include "lib/json.h"

void
figures_tell_origin(struct figures_origin *origin, const char *path,
                    const struct shm_reader *reader, const struct snapshot *snapshot)
{
    char when[FIGURES_TIME_BYTES];
    *origin = (struct figures_origin){.path = path};
    if (snapshot->heartbeat_ms > 0 && snapshot->taken_ms > snapshot->heartbeat_ms)
        origin->age_ms = snapshot->taken_ms - snapshot->heartbeat_ms;
    origin->stale = !shm_reader_master_lives(reader);
    if (!origin->stale)
        return;
    figures_write_time(when, snapshot->heartbeat_ms);
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

const char *
figures_write_time(char text[FIGURES_TIME_BYTES], int64_t wall_ms)
{
    struct tm tm;
    time_t seconds = (time_t)(wall_ms / 1000);
    int ms = (int)(wall_ms % 1000);
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    /* A damaged segment can say any time; years that have no four digits say nothing to anybody. */
    if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year < 0 || tm.tm_year > 9999 - 1900)
        memset(&tm, 0, sizeof(tm)), tm.tm_mday = 1;
    snprintf(text, FIGURES_TIME_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ms);
    return text;
}

void
figures_add_seconds(struct buf *out, uint64_t ns)
{
    buf_printf(out, "%llu.%09llu", (unsigned long long)(ns / 1000000000),
               (unsigned long long)(ns % 1000000000));
}

void
figures_add_utf8(struct buf *out, const char *text, const char *(*escape)(unsigned char c))
{
    for (size_t n = strlen(text); n > 0;) {
        size_t size = json_utf8_size(text, n);
        const char *instead = size == 1 ? escape((unsigned char)*text) : NULL;
        if (size == 0)
            instead = "\xef\xbf\xbd";
        if (instead != NULL)
            buf_add_text(out, instead);
        else
            buf_add(out, text, size);
        text += size > 0 ? size : 1;
        n -= size > 0 ? size : 1;
    }
}
