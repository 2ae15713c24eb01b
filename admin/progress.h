/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - since when a topic with work to do has settled nothing.
 *
 * The segment says what was counted, not when it last changed; this remembers it from look to look.
 * It begins with the admin process: until then nothing is held against anybody.
 *
 * Pure.  Process: admin.  Owner: the caller of progress_new.  Concurrency: one thread.
 */
#ifndef ADMIN_PROGRESS_H
#define ADMIN_PROGRESS_H

#include "shm/snapshot.h"

struct progress;

/* What is known about a topic. */
struct progress_topic {
    char topic[SHM_TOPIC_BYTES];
    size_t first, n;         /* its processes in the snapshot */
    uint64_t settled;        /* completed, rejected and returned, since the master's start */
    uint64_t completed;      /* of these: stored */
    uint64_t in_flight;      /* messages in hand */
    uint64_t lag;            /* messages not yet taken; STAT_UNKNOWN if a part of it is */
    uint64_t partitions;     /* owned by its workers; STAT_UNKNOWN if a part of it is */
    int64_t moved_ms;        /* when `settled` was last seen to change; monotonic */
    int64_t working_from_ms; /* since when there has always been something to do; 0: there is not */
};

/* Returns: NULL if memory is out. */
struct progress *progress_new(void) MUST_CHECK;
void progress_free(struct progress **progress);

/*
 * Looks at a snapshot.
 * Takes: the snapshot; the time by clock_mono_ms.
 * Returns: 0, or -1 if memory is out: then it stays as it was.
 */
int progress_note(struct progress *progress, const struct snapshot *s, int64_t now_ms) MUST_CHECK;

/* Returns: the topics by name, n of them; valid until the next look. */
const struct progress_topic *progress_topics(const struct progress *progress, size_t *n);

/* Returns: for how many ms the topic has had work and settled nothing; 0 if it has none. */
int64_t progress_stalled_ms(const struct progress_topic *topic, int64_t now_ms);

#endif
