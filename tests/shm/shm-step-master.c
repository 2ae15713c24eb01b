/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm-step-master.c - a master is killed at every instruction of closing a period, reaping,
 * starting and handing a slot over: a reader finds what was before or what is after, never a
 * mixture and nothing twice, and once it is after, it stays so.
 *
 * The master runs once from mark to mark, to learn what is before and after; and once instruction
 * by instruction, with a reader's look after each.
 *
 * Process: tests.  Owner: itself.  Concurrency: the master stands still while it is looked at.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shm/ledger.h"
#include "shm/reader_priv.h"
#include "tests/shm/shm-step.h"

enum {
    SLOTS = 2,
    PERIODS_BEFORE = SHM_PERIODS + 2, /* so that the ring goes round */
    INSTRUCTIONS_A_NS = 4             /* at most, about: to kill before the end */
};

/* --- the master --- */

struct master {
    struct segment *segment;
    struct ledger *ledger;
    struct recorder *recorders[SLOTS + 1];
    struct model models[SLOTS + 1];
    uint64_t k;
    int64_t now_ms;
};

static void
record(struct master *m, unsigned slot)
{
    struct model_chunk chunk;
    uint64_t in_flight = m->models[slot].figures.values[STAT_IN_FLIGHT];
    model_plan(&chunk, STEP_SEED, slot, ++m->k, in_flight);
    model_apply(&m->models[slot], &chunk);
    model_seal(&m->models[slot]);
    model_record(m->recorders[slot], &chunk, &m->models[slot]);
    recorder_publish(m->recorders[slot]);
}

static void
begin(struct master *m, unsigned slot)
{
    recorder_free(&m->recorders[slot]);
    model_clear(&m->models[slot]);
    m->recorders[slot] = recorder_new(m->segment, slot);
    if (m->recorders[slot] == NULL)
        _exit(1);
}

static void
do_close(struct master *m)
{
    ledger_close_period(m->ledger, m->now_ms += 10);
}

static void
do_reap(struct master *m)
{
    ledger_reap(m->ledger, 1, LEDGER_SIGNAL, SLOT_DEAD);
}

static void
do_start(struct master *m)
{
    ledger_start(m->ledger, 1);
}

static void
do_record(struct master *m)
{
    begin(m, 1);
    record(m, 1);
    record(m, 2);
}

static void
do_hand_over(struct master *m)
{
    ledger_release(m->ledger, 1, 0);
    ledger_assign(m->ledger, 1, "later-0", "later", 0);
}

static const struct operation {
    const char *name;
    void (*run)(struct master *m);
    uint64_t look_every; /* instructions, and wherever a new state may begin; 0: not stepped */
    bool may_vanish;     /* slot 1 may be nobody's in between */
} operations[] = {
    {"close", do_close, 16, false}, /* most of it only computes percentiles */
    {"reap", do_reap, 1, false},
    {"start", do_start, 1, false},
    {"record", do_record, 0, false},
    {"close after a death", do_close, 16, false},
    {"reap the second generation", do_reap, 1, false},
    {"hand over", do_hand_over, 1, true},
    {"start another process", do_start, 1, false},
};

static void
run_master(struct segment *segment)
{
    static struct master m;
    m.segment = segment;
    m.now_ms = segment->header->started_mono_ms;
    m.ledger = ledger_new(segment);
    if (m.ledger == NULL)
        _exit(1);
    for (unsigned i = 1; i <= SLOTS; i++) {
        ledger_assign(m.ledger, i, i == 1 ? "first-0" : "second-0", "step", 0);
        ledger_start(m.ledger, i);
        ledger_started(m.ledger, i, getpid());
        begin(&m, i);
    }
    for (unsigned i = 0; i < PERIODS_BEFORE; i++) {
        record(&m, 1);
        record(&m, 2);
        do_close(&m);
    }
    record(&m, 1);
    for (size_t i = 0; i < COUNT_OF(operations); i++) {
        step_mark();
        operations[i].run(&m);
    }
    step_mark();
}

/* --- what a reader finds --- */

struct view_process {
    char name[SHM_PROCESS_BYTES]; /* "": nobody */
    uint32_t generation;
    struct stat_figures totals, lifetime, last_period;
};

struct view {
    uint64_t period;
    struct stat_figures totals, last_period;
    uint64_t buckets[SHM_BUCKET_WORDS];
    struct view_process processes[SLOTS + 1]; /* by slot */
    size_t n_periods;
    struct snapshot_period periods[SHM_PERIODS];
};

/* What the master counts of itself is published with its turns, on its own. */
static void
forget_masters(struct stat_figures *figures)
{
    for (unsigned v = STAT_STARTS; v <= STAT_PERIODS; v++)
        figures->values[v] = 0;
    figures->values[STAT_WORKERS_RUNNING] = figures->values[STAT_WORKERS_WANTED] = 0;
}

static int
look(struct shm_reader *reader, struct snapshot *s, struct view *view, struct errbuf *err)
{
    if (snapshot_take(reader, s, err) == -1)
        return -1;
    memset(view, 0, sizeof(*view));
    view->period = s->period;
    view->totals = s->totals;
    view->last_period = s->last_period;
    forget_masters(&view->totals);
    forget_masters(&view->last_period);
    memcpy(view->buckets, reader->sums.buckets, sizeof(view->buckets));
    for (size_t i = 0; i < s->n_processes; i++) {
        const struct snapshot_process *p = &s->processes[i];
        struct view_process *v = &view->processes[p->slot];
        if (p->late)
            return errbuf_set(err, "slot %u is late", p->slot);
        memcpy(v->name, p->name, sizeof(v->name));
        v->generation = p->generation;
        v->totals = p->totals;
        v->lifetime = p->lifetime;
        v->last_period = p->last_period;
    }
    view->n_periods = snapshot_periods(reader, view->periods, SHM_PERIODS);
    for (size_t i = 0; i < view->n_periods; i++)
        forget_masters(&view->periods[i].figures);
    return model_check_sums(&view->totals, true, err) == -1 ||
                   model_check_sums(&view->last_period, false, err) == -1 ||
                   model_check_buckets(&view->totals, view->buckets, err) == -1
               ? -1
               : 0;
}

/* The part that changes in one step; the ring of periods is compared by itself. */
static bool
is_same(const struct view *a, const struct view *b, bool without_first)
{
    return a->period == b->period && memcmp(&a->totals, &b->totals, sizeof(a->totals)) == 0 &&
           memcmp(&a->last_period, &b->last_period, sizeof(a->last_period)) == 0 &&
           memcmp(a->buckets, b->buckets, sizeof(a->buckets)) == 0 &&
           (without_first ||
            memcmp(&a->processes[1], &b->processes[1], sizeof(a->processes[1])) == 0) &&
           memcmp(&a->processes[2], &b->processes[2], sizeof(a->processes[2])) == 0;
}

static const struct snapshot_period *
find_period(const struct view *view, uint64_t number)
{
    for (size_t i = 0; i < view->n_periods; i++)
        if (view->periods[i].number == number)
            return &view->periods[i];
    return NULL;
}

/* Kept periods never change; at most the oldest one is missing, which is being written over. */
static int
check_ring(const struct view *now, const struct view *before, const struct view *after,
           struct errbuf *err)
{
    if (now->n_periods + 1 < SHM_PERIODS || now->periods[now->n_periods - 1].number != now->period)
        return errbuf_set(err, "%zu periods are kept, the last is %" PRIu64, now->n_periods,
                          now->periods[now->n_periods - 1].number);
    for (size_t i = 0; i < now->n_periods; i++) {
        const struct snapshot_period *p = &now->periods[i];
        const struct snapshot_period *same = find_period(before, p->number);
        if (same == NULL)
            same = find_period(after, p->number);
        if (same == NULL || p->length_ms != same->length_ms ||
            memcmp(&p->figures, &same->figures, sizeof(p->figures)) != 0)
            return errbuf_set(err, "period %" PRIu64 " is not what it was", p->number);
    }
    return 0;
}

/* --- leading it --- */

struct world {
    struct segment segment;
    struct shm_reader *reader;
    struct snapshot snapshot;
    pid_t pid;
};

static struct view views[COUNT_OF(operations) + 1]; /* before each, and after the last */

static void
open_world(struct world *w)
{
    struct errbuf err;
    *w = (struct world){.pid = -1};
    if (segment_create_private(&w->segment, "step", SLOTS, 10, &err) == -1)
        abort();
    w->reader = segment_reader(&w->segment);
    w->pid = step_start(run_master, &w->segment);
    if (w->reader == NULL || w->pid == -1)
        abort();
}

static void
close_world(struct world *w)
{
    step_kill(w->pid);
    snapshot_free(&w->snapshot);
    shm_reader_close(&w->reader);
    segment_close(&w->segment);
}

static void
learn_views(struct step_tally *tally)
{
    struct world w;
    struct errbuf err;
    open_world(&w);
    for (size_t i = 0; i <= COUNT_OF(operations); i++) {
        if (i > 0 && step_to_mark(w.pid) != STEP_MARK)
            abort();
        if (look(w.reader, &w.snapshot, &views[i], &err) == -1)
            step_fail(tally, "at a mark", i, &err);
    }
    close_world(&w);
}

struct progress {
    bool after;        /* the step has been seen */
    uint64_t after_at; /* ... after so many instructions */
};

/* Looks once: before, or after, and never before again. */
static void
check(struct world *w, struct step_tally *tally, size_t i, uint64_t n, struct progress *progress)
{
    static struct view now;
    const struct view *before = &views[i], *after = &views[i + 1];
    struct errbuf err;
    tally->checks++;
    if (look(w->reader, &w->snapshot, &now, &err) == -1 ||
        check_ring(&now, before, after, &err) == -1) {
        step_fail(tally, operations[i].name, n, &err);
        return;
    }
    bool nobody = operations[i].may_vanish && now.processes[1].name[0] == '\0';
    if (nobody && (is_same(&now, before, true) || is_same(&now, after, true)))
        return;
    if (is_same(&now, after, false)) {
        if (!progress->after)
            progress->after_at = n;
        progress->after = true;
        return;
    }
    if (progress->after || !is_same(&now, before, false)) {
        errbuf_set(&err, progress->after ? "it is not as after any more"
                                         : "it is neither as before nor as after");
        step_fail(tally, operations[i].name, n, &err);
    }
}

/* The words whose change can begin a new state. */
struct switches {
    uint64_t fold, book, period, seq[SLOTS + 1], generation[SLOTS + 1], assigned[SLOTS + 1];
};

static void
read_switches(const struct segment *segment, struct switches *s)
{
    const struct shm_header *h = segment->header;
    s->fold = shm_load(&h->fold);
    s->book = shm_load(&h->book);
    s->period = shm_load(&shm_period_at(h, PERIODS_BEFORE + 1)->number);
    for (unsigned i = 0; i <= SLOTS; i++) {
        const struct shm_slot *slot = segment_slot(segment, i);
        s->seq[i] = shm_load(&slot->seq);
        s->generation[i] = shm_load(&slot->generation);
        s->assigned[i] = shm_load(&slot->assigned);
    }
}

/* Returns: true if any has changed since the last call. */
static bool
has_switched(const struct segment *segment, struct switches *before)
{
    struct switches now;
    read_switches(segment, &now);
    bool changed = memcmp(&now, before, sizeof(now)) != 0;
    *before = now;
    return changed;
}

/* Lets it go on at the beginning of an operation, and kills it so many ns later. */
static void
kill_somewhere(struct step_tally *tally, size_t i, uint64_t ns)
{
    struct world w;
    struct progress progress = {.after = false};
    open_world(&w);
    for (size_t mark = 0; mark < i; mark++)
        if (step_to_mark(w.pid) != STEP_MARK)
            abort();
    step_release_and_kill(w.pid, ns);
    check(&w, tally, i, 0, &progress);
    tally->kills++;
    tally->killed_after += progress.after;
    snapshot_free(&w.snapshot);
    shm_reader_close(&w.reader);
    segment_close(&w.segment);
}

/* Returns: how many instructions it has. */
static uint64_t
step_operation(struct world *w, struct step_tally *tally, size_t i, bool all)
{
    struct progress progress = {.after = false};
    struct switches switches;
    struct errbuf err;
    uint64_t n = 0, every = all ? 1 : operations[i].look_every, looks = tally->checks;
    bool changes = !is_same(&views[i], &views[i + 1], false);
    read_switches(&w->segment, &switches);
    while (step_instruction(w->pid) == STEP_DONE)
        if (++n % every == 0 || has_switched(&w->segment, &switches))
            check(w, tally, i, n, &progress);
    check(w, tally, i, n, &progress);
    if (!progress.after) {
        errbuf_set(&err, "the change was never seen");
        step_fail(tally, operations[i].name, n, &err);
    }
    looks = tally->checks - looks;
    printf("step       %s: %" PRIu64 " instructions, looked after %" PRIu64 "; %s %" PRIu64 "\n",
           operations[i].name, n, looks, changes ? "the new state shows after" : "no change shows;",
           changes ? progress.after_at : 0);
    fflush(stdout);
    tally->instructions += n;
    return n;
}

void
step_master(struct step_tally *tally, uint64_t kills, bool all)
{
    struct world w;
    uint64_t rng = STEP_SEED, killed = tally->kills, n[COUNT_OF(operations)] = {0};
    learn_views(tally);
    open_world(&w);
    for (size_t i = 0; i < COUNT_OF(operations); i++) {
        if (operations[i].look_every > 0)
            n[i] = step_operation(&w, tally, i, all);
        else if (step_to_mark(w.pid) != STEP_MARK)
            abort();
    }
    close_world(&w);
    for (uint64_t k = 0; k < kills; k++)
        for (size_t i = 0; i < COUNT_OF(operations); i++)
            if (operations[i].look_every > 0)
                kill_somewhere(tally, i, model_random(&rng) % (n[i] / INSTRUCTIONS_A_NS));
    printf("step       master killed for good %" PRIu64 " times, %" PRIu64
           " of these after the step\n",
           tally->kills - killed, tally->killed_after);
}
