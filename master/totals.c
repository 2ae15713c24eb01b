/*
 * totals.c - see totals.h.
 *
 * Process: master.  Owner: the caller's slots.  Concurrency: reads atomics that workers write;
 * writes to a slot only after its worker was reaped.
 */
#include "master/totals.h"

#include <stdio.h>

#include "master/master_priv.h"

struct sums {
    uint64_t received, completed, rejected, returned, in_flight;
};

static struct sums
read_sums(const struct slot *slot)
{
    return (struct sums){.received = slot_get(&slot->received),
                         .completed = slot_get(&slot->completed),
                         .rejected = slot_get(&slot->rejected),
                         .returned = slot_get(&slot->returned),
                         .in_flight = slot_get(&slot->in_flight)};
}

static void
add_sums(struct sums *to, const struct sums *s)
{
    to->received += s->received;
    to->completed += s->completed;
    to->rejected += s->rejected;
    to->returned += s->returned;
    to->in_flight += s->in_flight;
}

static void
format_sums(const struct sums *s, char *text, size_t size)
{
    snprintf(text, size, "received=%llu completed=%llu rejected=%llu returned=%llu in_flight=%llu",
             (unsigned long long)s->received, (unsigned long long)s->completed,
             (unsigned long long)s->rejected, (unsigned long long)s->returned,
             (unsigned long long)s->in_flight);
}

static void
log_process(const char *name, const struct slot *slot, const struct sums *s, enum log_level level)
{
    char text[192];
    uint32_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    uint32_t forks = atomic_load_explicit(&slot->generation, memory_order_relaxed);
    int pid = atomic_load_explicit(&slot->pid, memory_order_relaxed);
    format_sums(s, text, sizeof(text));
    log_line(level, "process %s: state=%s pid=%d %s partitions=%llu restarts=%u", name,
             slot_state_name((enum slot_state)state), pid, text,
             (unsigned long long)slot_get(&slot->partitions), forks > 0 ? forks - 1 : 0);
}

void
totals_log(const char *const *names, const struct slot *slots, size_t n, enum log_level each_level)
{
    struct sums all = {0};
    size_t running = 0;
    char text[192];
    for (size_t i = 0; i < n; i++) {
        struct sums s = read_sums(&slots[i]);
        add_sums(&all, &s);
        running += atomic_load_explicit(&slots[i].pid, memory_order_relaxed) != 0;
        if (log_wants(each_level))
            log_process(names[i], &slots[i], &s, each_level);
    }
    format_sums(&all, text, sizeof(text));
    log_notice("totals: %s workers=%zu/%zu", text, running, n);
}

int64_t
totals_settle(struct slot *slot)
{
    struct sums s = read_sums(slot);
    uint64_t settled = s.completed + s.rejected + s.returned;
    slot_set(&slot->in_flight, 0);
    slot_set(&slot->partitions, 0);
    if (settled > s.received)
        return -1;
    slot_add(&slot->returned, s.received - settled);
    return (int64_t)(s.received - settled);
}
