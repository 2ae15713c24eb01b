/* SPDX-License-Identifier: Apache-2.0 */
/* health.c - see health.h. */
#include "admin/health.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/format.h"
#include "admin/json_out.h"

const char *
health_status_name(enum health_status status)
{
    static const char *const names[] = {"healthy", "degraded", "unhealthy"};
    return names[status];
}

/* --- checks --- */

static struct health_check *
add_check(struct health *h, const char *owner, const char *what)
{
    struct health_check *c = &h->checks[h->n++];
    *c = (struct health_check){.status = HEALTH_GOOD, .healthy = true};
    snprintf(c->name, sizeof(c->name), "%s%s%s", owner, what[0] != '\0' ? "." : "", what);
    return c;
}

static void judge(struct health_check *c, enum health_status status, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void
judge(struct health_check *c, enum health_status status, const char *format, ...)
{
    va_list args;
    c->status = status;
    c->healthy = status != HEALTH_BAD;
    va_start(args, format);
    vsnprintf(c->message, sizeof(c->message), format, args);
    va_end(args);
}

static void
check_master(struct health *h, const struct view *v)
{
    struct health_check *c = add_check(h, "master", "");
    int64_t silent_ms = v->now.taken_ms - v->now.heartbeat_ms;
    if (v->origin.stale)
        judge(c, HEALTH_BAD, "the master has ended; its last word is of %s",
              format_time(v->now.heartbeat_ms).s);
    else if (silent_ms > HEALTH_MASTER_MS)
        judge(c, HEALTH_BAD, "the master has given no sign of life for %s",
              format_age(silent_ms).s);
    else
        judge(c, HEALTH_GOOD, "%s since %s", master_state_name(v->now.master_state),
              format_time(v->now.started_ms).s);
}

/* It runs on with the old one, so it is well; but somebody should know. */
static void
check_configuration(struct health *h, const struct view *v)
{
    struct health_check *c = add_check(h, "master", "configuration");
    if (v->now.refused_ms != 0)
        judge(c, HEALTH_DEGRADED, "generation %" PRIu32 "; a reload was refused at %s: %s",
              v->now.generation, format_time(v->now.refused_ms).s, v->now.refused_text);
    else
        judge(c, HEALTH_GOOD, "generation %" PRIu32, v->now.generation);
    c->healthy = true;
}

static void
check_progress(struct health *h, const struct view *v, const struct progress_topic *t)
{
    struct health_check *c = add_check(h, t->topic, "progress");
    int64_t stalled_ms = progress_stalled_ms(t, v->now_mono_ms);
    if (stalled_ms > v->stall_ms)
        judge(c, HEALTH_BAD, "nothing stored, rejected or given back for %s; in hand %s, lag %s",
              format_age(stalled_ms).s, format_count(t->in_flight).s, format_count(t->lag).s);
    else if (t->partitions == 0 && t->in_flight == 0)
        judge(c, HEALTH_GOOD, "standby: no partition is assigned to this instance");
    else if (t->working_from_ms == 0)
        judge(c, HEALTH_GOOD, "nothing to do; %s messages stored so far",
              format_count(t->completed).s);
    else
        judge(c, HEALTH_GOOD, "%s messages stored so far; in hand %s, lag %s",
              format_count(t->completed).s, format_count(t->in_flight).s, format_count(t->lag).s);
}

/* Of those that wait for Kafka, or for anything else: the one that has been for longest. */
static const struct snapshot_process *
find_waiting(const struct snapshot_process *p, size_t n, bool for_kafka, size_t *waiting)
{
    const struct snapshot_process *longest = NULL;
    *waiting = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i].pid == 0 || p[i].wait_text[0] == '\0' ||
            (strcmp(p[i].wait_class, "kafka") == 0) != for_kafka)
            continue;
        ++*waiting;
        if (longest == NULL || p[i].wait_since_ms < longest->wait_since_ms)
            longest = &p[i];
    }
    return longest;
}

static void
check_waiting(struct health *h, const struct view *v, const char *owner, const char *what,
              const struct snapshot_process *p, size_t n)
{
    struct health_check *c = add_check(h, owner, what);
    size_t waiting;
    const struct snapshot_process *longest =
        find_waiting(p, n, strcmp(what, "kafka") == 0, &waiting);
    if (longest == NULL) {
        judge(c, HEALTH_GOOD, "no worker waits for it");
        return;
    }
    int64_t waits_ms = v->now.taken_ms - longest->wait_since_ms;
    judge(c, HEALTH_DEGRADED, "%zu of %zu wait: %s for %s since %s (%s): %s", waiting, n,
          longest->name, longest->wait_class, format_time(longest->wait_since_ms).s,
          format_age(waits_ms).s, longest->wait_text);
    c->healthy = waits_ms < HEALTH_GRACE_MS;
}

static void
check_workers(struct health *h, const struct view *v, const char *owner,
              const struct snapshot_process *p, size_t n)
{
    struct health_check *c = add_check(h, owner, "workers");
    const struct snapshot_process *looping = NULL;
    size_t running = 0, loops = 0;
    for (size_t i = 0; i < n; i++) {
        running += p[i].pid != 0;
        if (p[i].state != SLOT_BACKOFF)
            continue;
        looping = loops++ == 0 ? &p[i] : looping;
    }
    if (looping != NULL)
        judge(c, HEALTH_BAD,
              "%zu of %zu in a crash loop: %s, started again %" PRIu32 " times, waits since %s",
              loops, n, looping->name, looping->restarts, format_time(looping->since_ms).s);
    else if (running == 0 && v->now.master_state == MASTER_RUNNING)
        judge(c, HEALTH_BAD, "none of %zu runs", n);
    else
        judge(c, HEALTH_GOOD, "%zu of %zu run", running, n);
}

/*
 * A limit of the store's was met lately: what it refused is in the dead letters, all else goes on.
 * Only there when there is something to say.
 */
static void
check_capacity(struct health *h, const struct view *v)
{
    uint64_t refused = 0;
    int64_t since_ms = v->now.taken_ms;
    for (size_t i = v->n_periods; i-- > 0;) {
        const struct snapshot_period *p = &v->periods[i];
        if (p->ended_ms < v->now.taken_ms - HEALTH_CAPACITY_MS)
            break;
        refused += p->figures.values[STAT_REJECTED_CAPACITY];
        since_ms = p->ended_ms - p->length_ms;
    }
    if (refused > 0)
        judge(add_check(h, "store", "capacity"), HEALTH_DEGRADED,
              "a limit on series is reached: %s messages went to the dead letters since %s; they "
              "can be replayed when there is room",
              format_count(refused).s, format_time(since_ms).s);
}

/* --- all --- */

static void
set_worst(struct health *h)
{
    h->healthy = true;
    for (size_t i = 0; i < h->n; i++) {
        h->worst = h->checks[i].status > h->worst ? h->checks[i].status : h->worst;
        h->healthy = h->healthy && h->checks[i].healthy;
    }
}

int
health_judge(struct health *h, const struct view *v)
{
    size_t n;
    const struct progress_topic *topics = progress_topics(v->progress, &n);
    *h = (struct health){.n = 0};
    h->checks = calloc(3 + 4 * n + 2 * v->now.n_processes, sizeof(*h->checks));
    if (h->checks == NULL)
        return -1;
    check_master(h, v);
    check_configuration(h, v);
    check_capacity(h, v);
    for (size_t i = 0; i < n; i++) {
        const struct snapshot_process *p = &v->now.processes[topics[i].first];
        check_progress(h, v, &topics[i]);
        check_waiting(h, v, topics[i].topic, "kafka", p, topics[i].n);
        check_waiting(h, v, topics[i].topic, "store", p, topics[i].n);
        check_workers(h, v, topics[i].topic, p, topics[i].n);
    }
    for (size_t i = 0; i < v->now.n_processes; i++) {
        const struct snapshot_process *p = &v->now.processes[i];
        if (p->topic[0] != '\0')
            continue;
        check_waiting(h, v, p->name, "store", p, 1);
        check_workers(h, v, p->name, p, 1);
    }
    set_worst(h);
    return 0;
}

void
health_free(struct health *h)
{
    free(h->checks);
    *h = (struct health){.n = 0};
}

void
health_write(struct buf *b, const struct health *h, bool pretty)
{
    struct json_out j;
    json_out_init(&j, b, pretty);
    json_out_open(&j, NULL);
    for (size_t i = 0; i < h->n; i++) {
        json_out_open(&j, h->checks[i].name);
        json_out_bool(&j, "healthy", h->checks[i].healthy);
        json_out_text(&j, "message", h->checks[i].message);
        json_out_text(&j, "status", health_status_name(h->checks[i].status));
        json_out_close(&j);
    }
    json_out_close(&j);
}
