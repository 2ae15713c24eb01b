/* SPDX-License-Identifier: Apache-2.0 */
/* shm-audit.c - see shm-audit.h. */
#include "tests/shm/shm-audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "shm/reader_priv.h"

enum { FAILURES_SHOWN = 20 };

static void
note_failure(struct audit *a, const char *what, unsigned slot, const struct errbuf *err)
{
    a->failures++;
    if (a->failures_shown++ < FAILURES_SHOWN)
        fprintf(stderr, "audit: %s, slot %u: %s\n", what, slot, err->text);
}

int
audit_open(struct audit *audit, struct segment *segment, struct play *play)
{
    *audit = (struct audit){.segment = segment, .play = play};
    audit->ledger = ledger_new(segment);
    audit->reader = segment_reader(segment);
    audit->slots = calloc(play->n_slots + 1, sizeof(*audit->slots));
    if (audit->ledger == NULL || audit->reader == NULL || audit->slots == NULL)
        return -1;
    model_clear(&audit->total);
    stat_clear(&audit->periods);
    audit->now_ms = segment->header->started_mono_ms;
    return 0;
}

void
audit_close(struct audit *audit)
{
    ledger_free(&audit->ledger);
    shm_reader_close(&audit->reader);
    snapshot_free(&audit->snapshot);
    free(audit->slots);
    audit->slots = NULL;
}

/* Returns: the process in a slot in the snapshot just taken, NULL if there is none. */
static const struct snapshot_process *
find_process(const struct audit *a, unsigned slot)
{
    for (size_t i = 0; i < a->snapshot.n_processes; i++)
        if (a->snapshot.processes[i].slot == slot)
            return &a->snapshot.processes[i];
    return NULL;
}

static void
look(struct audit *a)
{
    struct errbuf err;
    if (snapshot_take(a->reader, &a->snapshot, &err) == -1)
        note_failure(a, "snapshot", 0, &err);
}

/* --- processes --- */

void
audit_assign(struct audit *audit, unsigned slot)
{
    struct audit_slot *s = &audit->slots[slot];
    char name[64];
    snprintf(name, sizeof(name), "torture-%u.%u", slot, s->assignments);
    ledger_assign(audit->ledger, slot, name, "torture", slot);
    s->assignments++;
    s->next = atomic_load(&audit->play->logs[slot].done) + 1;
    model_clear(&s->lifetime);
    stat_clear(&s->periods);
}

void
audit_hand_over(struct audit *audit, unsigned slot)
{
    ledger_release(audit->ledger, slot, 0);
    audit_assign(audit, slot);
    audit->left = true; /* its figures of this period are in the instance's alone */
    audit->handed_over++;
}

void
audit_start(struct audit *audit, unsigned slot)
{
    play_prepare(audit->play, slot, atomic_load(&audit->play->logs[slot].done));
    ledger_start(audit->ledger, slot);
    audit->started++;
}

/*
 * Finds out which chunk was the last: the log leaves two possibilities if the process died between
 * its two entries.
 * Returns: 0 and K, the figures added to the slot's; or -1 if neither fits.
 */
static int
settle_slot(struct audit *a, unsigned slot, int64_t returned, uint64_t *last, struct errbuf *err)
{
    static struct model dead, lifetime;
    const struct play_log *log = &a->play->logs[slot];
    uint64_t done = atomic_load(&log->done), intent = atomic_load(&log->intent);
    const struct snapshot_process *p = find_process(a, slot);
    if (p == NULL)
        return errbuf_set(err, "the process has vanished");
    for (uint64_t k = done; k <= intent; k++) {
        dead = log->after[k & 1];
        int64_t in_flight = (int64_t)dead.figures.values[STAT_IN_FLIGHT];
        model_settle(&dead);
        lifetime = a->slots[slot].lifetime;
        model_fold(&lifetime, &dead);
        if (in_flight != returned ||
            model_compare(&lifetime.figures, &p->lifetime, true, true, err) == -1)
            continue;
        model_fold(&a->slots[slot].lifetime, &dead);
        model_fold(&a->total, &dead);
        *last = k;
        a->undone += intent != done && k == done;
        a->completed += intent != done && k == intent;
        return 0;
    }
    return errbuf_prefix(err, "neither chunk %" PRIu64 " nor %" PRIu64 " (given back: %" PRId64 ")",
                         done, intent, returned);
}

void
audit_reap(struct audit *audit, unsigned slot, enum ledger_death death)
{
    struct play_log *log = &audit->play->logs[slot];
    struct errbuf err;
    uint64_t last = atomic_load(&log->intent);
    audit->in_publish += atomic_load(&segment_slot(audit->segment, slot)->seq) & 1;
    int64_t returned = ledger_reap(audit->ledger, slot, death, SLOT_DEAD);
    look(audit);
    errbuf_set(&err, "the number given back is wrong");
    if (settle_slot(audit, slot, returned, &last, &err) == -1)
        note_failure(audit, "reap", slot, &err);
    if (model_check_buckets(&audit->snapshot.totals, audit->reader->sums.buckets, &err) == -1)
        note_failure(audit, "after a reap", slot, &err);
    atomic_store(&log->done, last);
    atomic_store(&log->intent, last);
    audit->reaped++;
    audit->killed += death == LEDGER_SIGNAL;
}

/* --- periods --- */

/* The numbers of the period's chunks go on where those of the one before ended. */
static void
check_tile(struct audit *a, const struct snapshot_process *p)
{
    struct audit_slot *s = &a->slots[p->slot];
    const struct stat_times *commit = &p->last_period.times[STAT_COMMIT];
    struct errbuf err;
    if (commit->count == 0)
        return;
    if (commit->min_ns != model_commit_ns(s->next, p->slot) ||
        commit->max_ns != model_commit_ns(s->next + commit->count - 1, p->slot)) {
        errbuf_set(&err,
                   "%" PRIu64 " chunks from %" PRIu64 " on, but min is %" PRIu64 " (slot %" PRIu64
                   ") and max %" PRIu64,
                   commit->count, s->next, commit->min_ns / MODEL_SLOTS,
                   commit->min_ns % MODEL_SLOTS, commit->max_ns / MODEL_SLOTS);
        note_failure(a, "period", p->slot, &err);
    }
    s->next += commit->count;
}

/* The instance's period is the sum of its processes', if all of them are still there. */
static void
check_period(struct audit *a)
{
    struct stat_figures sum;
    struct errbuf err;
    stat_clear(&sum);
    for (size_t i = 0; i < a->snapshot.n_processes; i++) {
        const struct snapshot_process *p = &a->snapshot.processes[i];
        check_tile(a, p);
        stat_add_span(&a->slots[p->slot].periods, &p->last_period);
        stat_add_span(&sum, &p->last_period);
    }
    stat_add_span(&a->periods, &a->snapshot.last_period);
    if (!a->left && model_compare(&sum, &a->snapshot.last_period, false, true, &err) == -1)
        note_failure(a, "the instance's period", 0, &err);
    if (model_check_sums(&a->snapshot.last_period, false, &err) == -1)
        note_failure(a, "the instance's period", 0, &err);
}

/* A slot copied while it was published would have more in its buckets than it counts. */
static void
check_histograms(struct audit *a)
{
    static uint64_t buckets[SHM_BUCKET_WORDS];
    struct errbuf err;
    for (unsigned t = 0; t < STAT_HISTOGRAMS; t++)
        (void)snapshot_histogram(a->reader, t, 1, &buckets[t * HISTOGRAM_BUCKETS]);
    if (model_check_buckets(&a->snapshot.last_period, buckets, &err) == -1)
        note_failure(a, "the instance's period", 0, &err);
}

void
audit_close_period(struct audit *audit)
{
    struct errbuf err;
    for (unsigned i = 1; i <= audit->play->n_slots; i++)
        audit->open += atomic_load(&segment_slot(audit->segment, i)->seq) & 1;
    ledger_close_period(audit->ledger, ++audit->now_ms);
    audit->closes++;
    look(audit);
    if (audit->snapshot.period != audit->closes) {
        errbuf_set(&err, "it is number %" PRIu64 " after %" PRIu64 " closes",
                   audit->snapshot.period, audit->closes);
        note_failure(audit, "period", 0, &err);
    }
    check_period(audit);
    check_histograms(audit);
    audit->left = false;
}

/* --- the end --- */

static void
check_slot(struct audit *a, const struct snapshot_process *p)
{
    struct audit_slot *s = &a->slots[p->slot];
    struct errbuf err;
    if (model_compare(&s->lifetime.figures, &p->lifetime, true, true, &err) == -1)
        note_failure(a, "lifetime at the end", p->slot, &err);
    if (model_compare(&p->lifetime, &s->periods, false, false, &err) == -1)
        note_failure(a, "the sum of all periods", p->slot, &err);
    if (s->next != atomic_load(&a->play->logs[p->slot].done) + 1) {
        errbuf_set(&err, "chunk %" PRIu64 " is in no period", s->next);
        note_failure(a, "periods", p->slot, &err);
    }
}

static void
check_own(struct audit *a, enum stat_value value, uint64_t expected)
{
    struct errbuf err;
    if (a->snapshot.totals.values[value] == expected)
        return;
    errbuf_set(&err, "%s: expected %" PRIu64 ", found %" PRIu64, stat_values[value].name, expected,
               a->snapshot.totals.values[value]);
    note_failure(a, "the master's own", 0, &err);
}

void
audit_finish(struct audit *audit)
{
    struct errbuf err;
    audit_close_period(audit);
    for (size_t i = 0; i < audit->snapshot.n_processes; i++)
        check_slot(audit, &audit->snapshot.processes[i]);
    const struct stat_figures *totals = &audit->snapshot.totals;
    if (model_compare(&audit->total.figures, totals, true, true, &err) == -1)
        note_failure(audit, "totals at the end", 0, &err);
    if (model_compare(totals, &audit->periods, false, false, &err) == -1)
        note_failure(audit, "the sum of all periods", 0, &err);
    errbuf_set(&err, "a bucket is not what the logs say");
    if (memcmp(audit->total.buckets, audit->reader->sums.buckets, sizeof(audit->total.buckets)) !=
        0)
        note_failure(audit, "buckets at the end", 0, &err);
    check_own(audit, STAT_STARTS, audit->started);
    check_own(audit, STAT_DEATHS_SIGNAL, audit->killed);
    check_own(audit, STAT_PERIODS, audit->closes);
}

bool
audit_report(const struct audit *audit, unsigned n_readers)
{
    const struct stat_figures *totals = &audit->total.figures;
    uint64_t failures = audit->failures;
    printf("recorders  %" PRIu64 " chunks, %" PRIu64 " messages, %" PRIu64 " timings; %" PRIu64
           " generations; %" PRIu64 " slots handed over\n",
           totals->values[STAT_BATCHES], totals->values[STAT_RECEIVED],
           totals->times[STAT_REQUEST].count + totals->times[STAT_DELAY].count +
               totals->times[STAT_DECODE].count + totals->times[STAT_WRITE].count +
               totals->times[STAT_COMMIT].count,
           audit->started, audit->handed_over);
    printf("deaths     %" PRIu64 ", of these %" PRIu64 " with the sequence odd; chunk in progress "
           "undone %" PRIu64 ", complete %" PRIu64 "\n",
           audit->reaped, audit->in_publish, audit->undone, audit->completed);
    printf("periods    %" PRIu64 " closed; a slot in its section when one began to close: %" PRIu64
           "\n",
           audit->closes, audit->open);
    for (unsigned i = 0; i < n_readers; i++) {
        const struct play_result *r = &audit->play->results[i];
        printf("reader %-3u %" PRIu64 " snapshots, %" PRIu64 " processes (late: %" PRIu64
               "), looked back %" PRIu64 " times; %" PRIu64 " failures\n",
               i, r->snapshots, r->processes, r->late, r->looks_back, r->failures);
        if (r->failures > 0)
            fprintf(stderr, "reader %u: %" PRIu64 " failures, the first: %s\n", i, r->failures,
                    r->first.text);
        failures += r->failures;
    }
    printf("failures   %" PRIu64 "\n", failures);
    fflush(stdout);
    return failures == 0;
}
