/* SPDX-License-Identifier: Apache-2.0 */
/* pstats_source.c - see pstats_source.h. */
#include "pstats/pstats_source.h"

enum { SILENT_MS = 5000 };

void
source_init(struct source *source, const char *path, struct shm_reader *reader, int64_t window_ms)
{
    *source =
        (struct source){.path = path, .reader = reader, .window_ms = window_ms, .attached = 1};
}

static void
follow(struct source *source)
{
    struct shm_reader *next;
    source->trouble.text[0] = '\0';
    if (!shm_reader_is_replaced(source->reader) ||
        shm_reader_reopen(source->reader, &next, &source->trouble) != SHM_OPENED)
        return;
    shm_reader_close(&source->reader);
    source->reader = next;
    source->attached++;
}

int
source_refresh(struct source *source, struct errbuf *err)
{
    follow(source);
    if (snapshot_take(source->reader, &source->snapshot, err) == -1)
        return -1;
    figures_tell_origin(&source->origin, source->path, source->reader, &source->snapshot);
    if (source->window_ms > 0)
        source->window.covered_ms =
            snapshot_window(source->reader, source->window_ms, &source->window.figures);
    return 0;
}

bool
source_has_news(const struct source *source)
{
    if (shm_reader_is_replaced(source->reader))
        return source->trouble.text[0] == '\0'; /* else that has been told */
    return shm_reader_master_lives(source->reader) == source->origin.stale;
}

const struct figures_window *
source_window(const struct source *source)
{
    return source->window_ms > 0 ? &source->window : NULL;
}

bool
source_master_is_silent(const struct source *source)
{
    int64_t limit_ms = 3 * source->snapshot.period_ms;
    if (limit_ms < SILENT_MS)
        limit_ms = SILENT_MS;
    return !source->origin.stale && source->origin.age_ms > limit_ms;
}

void
source_free(struct source *source)
{
    shm_reader_close(&source->reader);
    snapshot_free(&source->snapshot);
}
