/* SPDX-License-Identifier: Apache-2.0 */
/* progress.c - see progress.h. */
#include "admin/progress.h"

#include <stdlib.h>

struct progress {
    struct progress_topic *topics;
    size_t n;
};

struct progress *
progress_new(void)
{
    return calloc(1, sizeof(struct progress));
}

void
progress_free(struct progress **progress)
{
    if (*progress != NULL)
        free((*progress)->topics);
    free(*progress);
    *progress = NULL;
}

static const struct progress_topic *
find(const struct progress *p, const char *topic)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->topics[i].topic, topic) == 0)
            return &p->topics[i];
    return NULL;
}

/* Adds one of its processes. Levels of one that does not run are of the past. */
static void
add_process(struct progress_topic *t, const struct snapshot_process *p)
{
    const uint64_t *v = p->lifetime.values;
    t->n++;
    t->settled += v[STAT_COMPLETED] + v[STAT_REJECTED] + v[STAT_RETURNED];
    t->completed += v[STAT_COMPLETED];
    if (p->pid == 0)
        return;
    v = p->totals.values;
    t->in_flight += v[STAT_IN_FLIGHT];
    t->lag = stat_fold(STAT_GAUGE_SUM, t->lag, v[STAT_LAG]);
    t->partitions = stat_fold(STAT_GAUGE_SUM, t->partitions, v[STAT_PARTITIONS]);
}

/* Goes on from what was known before. */
static void
note_time(struct progress_topic *t, const struct progress_topic *before, int64_t now_ms)
{
    bool works = t->in_flight > 0 || (t->lag != STAT_UNKNOWN && t->lag > 0);
    t->moved_ms = before != NULL && before->settled == t->settled ? before->moved_ms : now_ms;
    if (works)
        t->working_from_ms =
            before != NULL && before->working_from_ms != 0 ? before->working_from_ms : now_ms;
}

int
progress_note(struct progress *p, const struct snapshot *s, int64_t now_ms)
{
    struct progress_topic *topics = calloc(s->n_processes + 1, sizeof(*topics));
    size_t n = 0;
    if (topics == NULL)
        return -1;
    for (size_t i = 0; i < s->n_processes; i++) {
        const char *topic = s->processes[i].topic;
        if (topic[0] == '\0') /* a helper, which has no messages */
            continue;
        if (n == 0 || strcmp(topics[n - 1].topic, topic) != 0) {
            memcpy(topics[n].topic, topic, sizeof(topics[n].topic));
            topics[n++].first = i;
        }
        add_process(&topics[n - 1], &s->processes[i]);
    }
    for (size_t i = 0; i < n; i++)
        note_time(&topics[i], find(p, topics[i].topic), now_ms);
    free(p->topics);
    *p = (struct progress){.topics = topics, .n = n};
    return 0;
}

const struct progress_topic *
progress_topics(const struct progress *progress, size_t *n)
{
    *n = progress->n;
    return progress->topics;
}

int64_t
progress_stalled_ms(const struct progress_topic *t, int64_t now_ms)
{
    if (t->working_from_ms == 0)
        return 0;
    int64_t from_ms = t->moved_ms > t->working_from_ms ? t->moved_ms : t->working_from_ms;
    return now_ms > from_ms ? now_ms - from_ms : 0;
}
