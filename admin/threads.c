/* SPDX-License-Identifier: Apache-2.0 */
/* threads.c - see threads.h. */
#include "admin/threads.h"

#include <inttypes.h>
#include <stdio.h>

#include "admin/format.h"

void
threads_describe(char *text, size_t size, const struct snapshot *s,
                 const struct snapshot_process *p)
{
    const uint64_t *v = p->totals.values;
    switch (p->state) {
    case SLOT_FREE:
        snprintf(text, size, "nothing: it has left, its figures stay");
        break;
    case SLOT_STARTING:
        snprintf(text, size, "starting: its brokers have not answered yet");
        break;
    case SLOT_JOINING:
        snprintf(text, size, "joining its consumer group");
        break;
    case SLOT_IDLE:
        snprintf(text, size, "standing by: no partition is assigned to it");
        break;
    case SLOT_CONSUMING:
        snprintf(text, size, "collecting a batch: %s messages, %s",
                 format_count(v[STAT_BATCH_SIZE]).s, format_bytes(v[STAT_BATCH_BYTES]).s);
        break;
    case SLOT_WRITING:
        snprintf(text, size, "writing a batch of %s messages", format_count(v[STAT_BATCH_SIZE]).s);
        break;
    case SLOT_RETRYING:
        snprintf(text, size, "holding a batch of %s messages that could not be written, tries: %s",
                 format_count(v[STAT_BATCH_SIZE]).s, format_count(v[STAT_STORE_TRIES]).s);
        break;
    case SLOT_DRAINING:
        snprintf(text, size, "stopping: %s messages in hand", format_count(v[STAT_IN_FLIGHT]).s);
        break;
    case SLOT_DEAD:
        snprintf(text, size, "dead; about to be started again");
        break;
    case SLOT_BACKOFF:
        snprintf(text, size, "dead repeatedly: the next start is delayed for %s already",
                 format_age(s->taken_ms - p->since_ms).s);
        break;
    default:
        snprintf(text, size, "unknown");
    }
}

static void
write_process(struct buf *b, const struct snapshot *s, const struct snapshot_process *p)
{
    char doing[256];
    threads_describe(doing, sizeof(doing), s, p);
    buf_printf(b, "\"%s\" slot=%u generation=%" PRIu32 " restarts=%" PRIu32, p->name, p->slot,
               p->generation, p->restarts);
    if (p->pid != 0)
        buf_printf(b, " pid=%" PRId32, p->pid);
    buf_printf(b, "\n   state: %s since %s (%s)\n   doing: %s\n", slot_state_name(p->state),
               format_time(p->since_ms).s, format_age(s->taken_ms - p->since_ms).s, doing);
    if (p->wait_text[0] != '\0')
        buf_printf(b, "   waits: for %s since %s (%s): %s\n", p->wait_class,
                   format_time(p->wait_since_ms).s, format_age(s->taken_ms - p->wait_since_ms).s,
                   p->wait_text);
    if (p->heartbeat_ms != 0)
        buf_printf(b, "   alive: last sign of life %s ago\n",
                   format_age(s->taken_ms - p->heartbeat_ms).s);
    buf_add_char(b, '\n');
}

void
threads_write(struct buf *b, const struct view *v)
{
    const struct snapshot *s = &v->now;
    buf_printf(b, "Processes of monasca-persister %s, instance %s, at %s\n\n", s->version,
               s->instance, format_time(s->taken_ms).s);
    buf_printf(b,
               "\"master\" pid=%" PRId32 "\n   state: %s since %s (%s)\n   alive: last sign of "
               "life %s ago\n\n",
               s->master_pid, v->origin.stale ? "ended" : master_state_name(s->master_state),
               format_time(s->started_ms).s, format_age(s->taken_ms - s->started_ms).s,
               format_age(s->taken_ms - s->heartbeat_ms).s);
    for (size_t i = 0; i < s->n_processes; i++)
        write_process(b, s, &s->processes[i]);
}
