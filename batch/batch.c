/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c - see batch.h. */
#include "batch/batch.h"

#include <stdlib.h>

#include "lib/array.h"

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
    free(batch->parts);
    *batch = (struct batch){.limits = batch->limits};
}

/* --- parts --- */

/* Returns: the index of a partition's part, or where it is to be. */
static uint32_t
place_of(const struct batch *batch, int32_t partition)
{
    uint32_t low = 0, high = batch->n_parts;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (batch->parts[middle].partition < partition)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct batch_part *
batch_find_part(const struct batch *batch, int32_t partition)
{
    uint32_t i = place_of(batch, partition);
    return i < batch->n_parts && batch->parts[i].partition == partition ? &batch->parts[i] : NULL;
}

/* Messages of a partition come in runs. */
static struct batch_part *
take_part(struct batch *batch, const struct message *message)
{
    if (batch->last_part < batch->n_parts &&
        batch->parts[batch->last_part].partition == message->partition)
        return &batch->parts[batch->last_part];
    uint32_t i = place_of(batch, message->partition);
    batch->last_part = i;
    if (i < batch->n_parts && batch->parts[i].partition == message->partition)
        return &batch->parts[i];
    if (array_reserve(&batch->parts, &batch->parts_capacity, batch->n_parts + 1,
                      sizeof(*batch->parts)) == -1)
        return NULL;
    struct batch_part *parts = batch->parts;
    memmove(&parts[i + 1], &parts[i], (batch->n_parts++ - i) * sizeof(*parts));
    parts[i] = (struct batch_part){.partition = message->partition,
                                   .first_ms = message->time_ms,
                                   .run_end = -1,
                                   .run_ms = -1};
    return &parts[i];
}

void
batch_find_runs(struct batch *batch)
{
    bool whole = batch->in_state[ENTRY_PENDING] + batch->in_state[ENTRY_REFUSED] == 0;
    for (uint32_t i = 0; i < batch->n_parts; i++) {
        struct batch_part *part = &batch->parts[i];
        part->run_end = whole ? part->end : -1;
        part->run_ms = whole ? part->last_ms : -1;
        part->broken = false;
    }
    for (uint32_t row = 0; row < batch->n && !whole; row++) {
        const struct entry *entry = &batch->entries[row];
        struct batch_part *part = batch_find_part(batch, entry->message.partition);
        part->broken =
            part->broken || entry->state == ENTRY_PENDING || entry->state == ENTRY_REFUSED;
        if (part->broken)
            continue;
        part->run_end = entry->message.offset + entry->message.more + 1;
        part->run_ms = entry->message.time_ms;
    }
}

/* --- rows --- */

int64_t
batch_add(struct batch *batch, const struct message *message, int64_t now_ms)
{
    if (array_reserve(&batch->entries, &batch->capacity, batch->n + 1,
                      sizeof(*batch->entries)) == -1)
        return -1;
    struct batch_part *part = take_part(batch, message);
    if (part == NULL)
        return -1;
    part->end = message->offset + message->more + 1;
    part->last_ms = message->time_ms;
    if (batch->n == 0)
        batch->first_ms = now_ms;
    batch->entries[batch->n] = (struct entry){
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
        if (batch->stamp_from == batch->stamp_end)
            batch->stamp_from = row;
        batch->stamp_from = row < batch->stamp_from ? row : batch->stamp_from;
        batch->stamp_end = row < batch->stamp_end ? batch->stamp_end : row + 1;
        return 0;
    }
    if (array_reserve(&batch->rejects, &batch->rejects_capacity, batch->n_rejects + 1,
                      sizeof(*batch->rejects)) == -1) {
        batch->starved = true;
        return -1;
    }
    entry->why = batch->n_rejects;
    batch->rejects[batch->n_rejects++] = *why;
    move(batch, entry, ENTRY_REFUSED);
    return 0;
}

void
batch_stamp_stored(struct batch *batch, int64_t now_ns)
{
    for (uint32_t row = batch->stamp_from; row < batch->stamp_end; row++)
        if (batch->entries[row].state == ENTRY_STORED && batch->entries[row].stored_ns == 0)
            batch->entries[row].stored_ns = now_ns;
    batch->stamp_from = batch->stamp_end = 0;
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
batch_room(const struct batch *batch, size_t expected_bytes)
{
    uint32_t room = batch->n < batch->limits.count ? batch->limits.count - batch->n : 0;
    size_t left = batch->bytes < batch->limits.bytes ? batch->limits.bytes - batch->bytes : 0;
    size_t fit = left / expected_bytes + 1;
    return fit < room ? (uint32_t)fit : room;
}

void
batch_reset(struct batch *batch)
{
    batch->n = 0;
    batch->n_rejects = 0;
    batch->n_parts = 0;
    batch->stamp_from = batch->stamp_end = 0;
    batch->bytes = 0;
    batch->stage = BATCH_FILLING;
    batch->tries = 0;
    batch->starved = false;
    memset(batch->in_state, 0, sizeof(batch->in_state));
}
