/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c - see batch.h. */
#include "batch/batch.h"

#include <stdlib.h>

void
batch_init(struct batch *batch, const struct batch_limits *limits)
{
    assert(limits->count > 0 && limits->bytes > 0);
    *batch = (struct batch){.limits = *limits};
}

void
batch_free(struct batch *batch)
{
    free(batch->entries);
    free(batch->rejects);
    *batch = (struct batch){.limits = batch->limits};
}

/* Doubles an array until it holds `need`; NULL if memory is out. */
static void *
grow(void *array, uint32_t *capacity, uint32_t need, size_t size)
{
    if (need <= *capacity)
        return array;
    uint32_t n = *capacity < 64 ? 64 : *capacity * 2;
    if (n < need)
        n = need;
    void *bigger = realloc(array, n * size);
    if (bigger != NULL)
        *capacity = n;
    return bigger;
}

int64_t
batch_add(struct batch *batch, const struct message *message, int64_t now_ms)
{
    struct entry *entries = grow(batch->entries, &batch->capacity, batch->n + 1, sizeof(*entries));
    if (entries == NULL)
        return -1;
    batch->entries = entries;
    if (batch->n == 0)
        batch->first_ms = now_ms;
    entries[batch->n] = (struct entry){
        .message = *message, .state = ENTRY_PENDING, .created_ns = ENTRY_TIME_UNKNOWN};
    batch->in_state[ENTRY_PENDING]++;
    batch->bytes += message->payload.n;
    return batch->n++;
}

static void
move(struct batch *batch, struct entry *entry, enum entry_state state)
{
    batch->in_state[entry->state]--;
    batch->in_state[state]++;
    entry->state = state;
}

int
batch_settle(struct batch *batch, uint32_t row, const struct reject *why)
{
    assert(row < batch->n && batch->entries[row].state == ENTRY_PENDING);
    struct entry *entry = &batch->entries[row];
    if (why == NULL) {
        move(batch, entry, ENTRY_STORED);
        return 0;
    }
    struct reject *rejects =
        grow(batch->rejects, &batch->rejects_capacity, batch->n_rejects + 1, sizeof(*rejects));
    if (rejects == NULL)
        return -1;
    batch->rejects = rejects;
    entry->why = batch->n_rejects;
    rejects[batch->n_rejects++] = *why;
    move(batch, entry, ENTRY_REFUSED);
    return 0;
}

void
batch_stamp_stored(struct batch *batch, int64_t now_ns)
{
    for (uint32_t row = 0; row < batch->n; row++)
        if (batch->entries[row].state == ENTRY_STORED && batch->entries[row].stored_ns == 0)
            batch->entries[row].stored_ns = now_ns;
}

void
batch_bury(struct batch *batch)
{
    for (uint32_t row = 0; row < batch->n && batch->in_state[ENTRY_REFUSED] > 0; row++)
        if (batch->entries[row].state == ENTRY_REFUSED)
            move(batch, &batch->entries[row], ENTRY_BURIED);
}

int64_t
batch_wait_ms(const struct batch *batch, int64_t now_ms)
{
    if (batch->n == 0)
        return INT64_MAX;
    if (batch->n >= batch->limits.count || batch->bytes >= batch->limits.bytes)
        return 0;
    int64_t age = now_ms - batch->first_ms;
    return age >= batch->limits.age_ms ? 0 : batch->limits.age_ms - age;
}

bool
batch_due(const struct batch *batch, int64_t now_ms)
{
    return batch_wait_ms(batch, now_ms) == 0;
}

uint32_t
batch_room(const struct batch *batch)
{
    return batch->n < batch->limits.count ? batch->limits.count - batch->n : 0;
}

/* One partition's run, while batch_committable walks the batch. */
struct run {
    int64_t next; /* 0: none yet */
    int64_t last_ms;
    bool broken;
};

static int32_t
highest_partition(const struct batch *batch)
{
    int32_t highest = -1;
    for (uint32_t row = 0; row < batch->n; row++)
        if (batch->entries[row].message.partition > highest)
            highest = batch->entries[row].message.partition;
    return highest;
}

/* Tells each partition's run; with `all`, as if every message were settled. */
static int
tell_runs(const struct batch *batch, bool all, batch_tell_fn tell, void *arg)
{
    int32_t highest = highest_partition(batch);
    if (highest < 0)
        return 0;
    struct run *runs = calloc((size_t)highest + 1, sizeof(*runs));
    if (runs == NULL)
        return -1;
    for (uint32_t row = 0; row < batch->n; row++) {
        const struct entry *entry = &batch->entries[row];
        struct run *run = &runs[entry->message.partition];
        if (!all && (entry->state == ENTRY_PENDING || entry->state == ENTRY_REFUSED))
            run->broken = true;
        else if (!run->broken)
            *run = (struct run){.next = entry->message.offset + entry->message.more + 1,
                                .last_ms = entry->message.time_ms};
    }
    for (int32_t partition = 0; partition <= highest; partition++)
        if (runs[partition].next > 0)
            tell(arg, partition, runs[partition].next, runs[partition].last_ms);
    free(runs);
    return 0;
}

int
batch_committable(const struct batch *batch, batch_tell_fn tell, void *arg)
{
    return tell_runs(batch, false, tell, arg);
}

int
batch_ends(const struct batch *batch, batch_tell_fn tell, void *arg)
{
    return tell_runs(batch, true, tell, arg);
}

void
batch_reset(struct batch *batch)
{
    batch->n = 0;
    batch->n_rejects = 0;
    batch->bytes = 0;
    memset(batch->in_state, 0, sizeof(batch->in_state));
}
