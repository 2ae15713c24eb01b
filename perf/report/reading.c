/* SPDX-License-Identifier: Apache-2.0 */
/* reading.c - see reading.h. */
#include "perf/report/reading.h"

#include <math.h>
#include <stdlib.h>

#include "lib/array.h"

struct reading_track *
reading_find(const struct reading *reading, const char *instance, const char *process)
{
    for (size_t i = 0; i < reading->n; i++)
        if (strcmp(reading->tracks[i].instance, instance) == 0 &&
            strcmp(reading->tracks[i].process, process) == 0)
            return &reading->tracks[i];
    return NULL;
}

struct reading_track *
reading_track(struct reading *reading, const char *instance, const char *process)
{
    struct reading_track *found = reading_find(reading, instance, process);
    if (found != NULL)
        return found;
    if (array_append(&reading->tracks, reading->n, sizeof(*reading->tracks)) == -1)
        return NULL;
    struct reading_track *t = &reading->tracks[reading->n];
    *t = (struct reading_track){.instance = strdup(instance),
                                .process = strdup(process),
                                .received_start = NAN,
                                .received_end = NAN,
                                .completed_start = NAN,
                                .completed_end = NAN};
    if (t->instance == NULL || t->process == NULL) {
        free(t->instance);
        free(t->process);
        return NULL;
    }
    reading->n++;
    return t;
}

int
reading_add(struct reading_track *track, const struct reading_row *row)
{
    assert(row->from_ms < row->to_ms);
    assert(track->n == 0 || row->from_ms >= track->rows[track->n - 1].to_ms);
    if (array_append(&track->rows, track->n, sizeof(*track->rows)) == -1)
        return -1;
    track->rows[track->n++] = *row;
    return 0;
}

struct reading_row
reading_row(int64_t from_ms, int64_t to_ms)
{
    return (struct reading_row){.from_ms = from_ms,
                                .to_ms = to_ms,
                                .received = NAN,
                                .completed = NAN,
                                .time_avg_ms = NAN,
                                .time_min_ms = NAN,
                                .time_max_ms = NAN,
                                .time_p99_ms = NAN,
                                .lag = NAN};
}

void
reading_free(struct reading *reading)
{
    for (size_t i = 0; i < reading->n; i++) {
        free(reading->tracks[i].instance);
        free(reading->tracks[i].process);
        free(reading->tracks[i].rows);
    }
    free(reading->tracks);
    free(reading->source);
    *reading = (struct reading){.source = NULL};
}
