/* SPDX-License-Identifier: Apache-2.0 */
/* shm-play.c - see shm-play.h. */
#include "tests/shm/shm-play.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/num.h"
#include "shm/reader_priv.h"

enum {
    REST_EVERY = 64,      /* chunks */
    STORM_EVERY = 512,    /* chunks */
    STORM = 4000,         /* publishes */
    LOOK_BACK_EVERY = 16, /* snapshots */
    WAIT_CYCLE = 8,       /* chunks: it says that it waits in one of them, ... */
    WAIT_FROM = 3,
    WAIT_UNTIL = 7 /* ... and that it does not any more in this one */
};

size_t
play_bytes(unsigned n_slots)
{
    return sizeof(struct play) + (n_slots + 1) * sizeof(struct play_log);
}

void
play_prepare(struct play *play, unsigned slot, uint64_t base)
{
    struct play_log *log = &play->logs[slot];
    log->base = base;
    model_clear(&log->after[0]);
    model_clear(&log->after[1]);
    atomic_store(&log->done, base);
    atomic_store(&log->intent, base);
}

/* --- recording --- */

static void
say_what_it_does(struct recorder *recorder, uint64_t k)
{
    char text[32];
    if (k % 5 == 0) /* published at once: nothing of the chunk has been recorded yet */
        recorder_set_state(recorder, SLOT_IDLE + k / 5 % (SLOT_DEAD - SLOT_IDLE));
    if (k % WAIT_CYCLE == WAIT_FROM) {
        snprintf(text, sizeof(text), "%" PRIu64, k);
        recorder_set_wait(recorder, "torture", text);
    } else if (k % WAIT_CYCLE == WAIT_UNTIL) {
        recorder_set_wait(recorder, NULL, NULL);
    }
}

/* Publishes faster than a reader can copy: he must give up and say that he is late. */
static void
storm(struct recorder *recorder)
{
    for (unsigned i = 0; i < STORM; i++)
        recorder_set_state(recorder, i % 2 == 0 ? SLOT_WRITING : SLOT_RETRYING);
}

void
play_recorder(struct play *play, unsigned slot, struct recorder *recorder, unsigned rest_us,
              uint64_t max_chunks)
{
    struct play_log *log = &play->logs[slot];
    struct model_chunk chunks[2];
    for (uint64_t k = log->base + 1; !atomic_load(&play->stop_recorders); k++) {
        struct model *before = &log->after[(k & 1) ^ 1], *after = &log->after[k & 1];
        struct model_chunk *chunk = &chunks[k & 1];
        if (max_chunks > 0 && k > log->base + max_chunks)
            break;
        model_plan(chunk, play->seed, slot, k, before->figures.values[STAT_IN_FLIGHT]);
        if (k > log->base + 1) /* this model is two chunks behind */
            model_apply(after, &chunks[(k & 1) ^ 1]);
        model_apply(after, chunk);
        model_seal(after);
        say_what_it_does(recorder, k);
        atomic_store(&log->intent, k);
        model_record(recorder, chunk, after);
        recorder_publish(recorder);
        atomic_store(&log->done, k);
        recorder_beat(recorder);
        if (k % STORM_EVERY == 0)
            storm(recorder);
        if (rest_us > 0 && k % REST_EVERY == 0)
            usleep(rest_us);
    }
}

/* --- reading --- */

struct seen_process {
    char name[SHM_PROCESS_BYTES];
    uint32_t generation;
    struct stat_figures totals, lifetime;
};

struct watch {
    struct play *play;
    struct play_result *result;
    struct shm_reader *reader;
    struct snapshot snapshot;
    struct stat_figures totals; /* of the instance, in the last snapshot */
    struct seen_process *seen;  /* by slot */
    uint64_t *done;             /* by slot: before the snapshot */
    uint64_t period;
};

static void
note_failure(struct watch *w, const char *what, unsigned slot, const struct errbuf *err)
{
    if (atomic_fetch_add(&w->result->failures, 1) == 0)
        errbuf_set(&w->result->first, "%s, slot %u: %s", what, slot, err->text);
}

/* K, where the process has published anything. */
static uint64_t
last_chunk(const struct stat_figures *figures)
{
    const struct stat_times *commit = &figures->times[STAT_COMMIT];
    return commit->count == 0 ? 0 : commit->max_ns / MODEL_SLOTS;
}

/* "commit" counts the chunks; none of this generation may be left out. */
static int
check_chunks(const struct watch *w, const struct snapshot_process *p, struct errbuf *err)
{
    const struct stat_times *commit = &p->totals.times[STAT_COMMIT];
    uint64_t last = last_chunk(&p->totals), intent = atomic_load(&w->play->logs[p->slot].intent);
    if (commit->count == 0)
        return 0;
    if (commit->max_ns % MODEL_SLOTS != p->slot || commit->min_ns % MODEL_SLOTS != p->slot)
        return errbuf_set(err, "figures of slot %u in slot %u",
                          (unsigned)(commit->max_ns % MODEL_SLOTS), p->slot);
    if (last - commit->min_ns / MODEL_SLOTS + 1 != commit->count)
        return errbuf_set(err, "chunks %" PRIu64 "..%" PRIu64 ", but %" PRIu64 " of them",
                          commit->min_ns / MODEL_SLOTS, last, commit->count);
    if (last > intent || (!p->late && last < w->done[p->slot]))
        return errbuf_set(err,
                          "chunk %" PRIu64 " is the last, but %" PRIu64
                          " was published, and none begun after %" PRIu64,
                          last, w->done[p->slot], intent);
    return 0;
}

/* The text is published together with the figures of its chunk. */
static int
check_wait(const struct snapshot_process *p, struct errbuf *err)
{
    uint64_t last = last_chunk(&p->totals), expected = 0;
    int64_t found = 0;
    /* Only what the process says itself is of the same step. */
    if (last == 0 || p->late || p->state < SLOT_IDLE || p->state > SLOT_DRAINING)
        return 0;
    if (last % WAIT_CYCLE >= WAIT_FROM && last % WAIT_CYCLE < WAIT_UNTIL)
        expected = last - (last % WAIT_CYCLE - WAIT_FROM);
    if (expected < p->totals.times[STAT_COMMIT].min_ns / MODEL_SLOTS)
        expected = 0; /* that one was another generation's */
    if (p->wait_text[0] != '\0' && num_parse_int(p->wait_text, 1, INT64_MAX, &found) == -1)
        return errbuf_set(err, "waits for '%s'", p->wait_text);
    if ((uint64_t)found != expected || (expected != 0) != (p->wait_since_ms != 0))
        return errbuf_set(err, "chunk %" PRIu64 ": waits for %" PRId64 ", not %" PRIu64, last,
                          found, expected);
    return 0;
}

static int
check_living(struct watch *w, const struct snapshot_process *p, struct errbuf *err)
{
    const struct reader_slot *slot = &w->reader->slots[p->slot];
    const uint64_t *buckets = &slot->words[SHM_SCALAR_WORDS];
    if (model_check_process(&p->totals, err) == -1 || check_chunks(w, p, err) == -1)
        return -1;
    if (p->late) /* what the master had is without buckets */
        return 0;
    if (model_check_buckets(&p->totals, buckets, err) == -1)
        return -1;
    if (p->totals.values[STAT_BATCHES] > 0 &&
        p->totals.values[STAT_LAG_COMMITTED] != model_bucket_fingerprint(buckets))
        return errbuf_set(err, "the buckets are not those of chunk %" PRIu64,
                          last_chunk(&p->totals));
    return 0;
}

/* A generation's figures only grow, except that they are gone between its end and the next. */
static int
check_progress(struct seen_process *seen, const struct snapshot_process *p, struct errbuf *err)
{
    int result = 0;
    bool same = strcmp(seen->name, p->name) == 0;
    bool over = p->totals.values[STAT_BATCHES] == 0;
    if (same && seen->generation > p->generation)
        result = errbuf_set(err, "generation %u after %u", p->generation, seen->generation);
    if (result == 0 && same && seen->generation == p->generation && !over)
        result = model_check_growth(&seen->totals, &p->totals, err);
    if (result == 0 && same)
        result = model_check_growth(&seen->lifetime, &p->lifetime, err) == -1
                     ? errbuf_prefix(err, "all generations of %s", p->name)
                     : 0;
    memcpy(seen->name, p->name, sizeof(seen->name));
    seen->generation = p->generation;
    seen->totals = p->totals;
    seen->lifetime = p->lifetime;
    return result;
}

static void
check_process(struct watch *w, const struct snapshot_process *p)
{
    struct errbuf err;
    if (model_check_sums(&p->totals, true, &err) == -1)
        note_failure(w, "totals", p->slot, &err);
    if (model_check_sums(&p->lifetime, true, &err) == -1)
        note_failure(w, "lifetime", p->slot, &err);
    if (model_check_sums(&p->last_period, false, &err) == -1)
        note_failure(w, "last period", p->slot, &err);
    if (w->reader->slots[p->slot].live && check_living(w, p, &err) == -1)
        note_failure(w, p->late ? "process (late)" : "process", p->slot, &err);
    if (w->reader->slots[p->slot].live && check_wait(p, &err) == -1)
        note_failure(w, "wait", p->slot, &err);
    if (check_progress(&w->seen[p->slot], p, &err) == -1)
        note_failure(w, "progress", p->slot, &err);
    w->result->processes++;
    w->result->late += p->late;
}

static uint64_t
sum_logs(const struct watch *w)
{
    uint64_t sum = 0;
    for (unsigned i = 1; i <= w->play->n_slots; i++)
        sum += atomic_load(&w->play->logs[i].intent);
    return sum;
}

/*
 * What a process counted in the last period is in the instance's, too; which has more, if a slot
 * was handed over in that period or since.
 */
static int
check_parts(const struct snapshot *s, struct errbuf *err)
{
    struct stat_figures sum;
    stat_clear(&sum);
    for (size_t i = 0; i < s->n_processes; i++)
        stat_add_span(&sum, &s->processes[i].last_period);
    if (model_check_growth(&sum, &s->last_period, err) == -1)
        return errbuf_prefix(err, "period %" PRIu64 ", processes and instance", s->period);
    return 0;
}

/* All chunks that were published before it, none that had not begun after it, none twice. */
static int
check_instance(struct watch *w, bool late, struct errbuf *err)
{
    const struct stat_figures *totals = &w->snapshot.totals;
    uint64_t done = 0, intent = sum_logs(w), batches = totals->values[STAT_BATCHES];
    for (unsigned i = 1; i <= w->play->n_slots; i++)
        done += w->done[i];
    if (model_check_sums(totals, true, err) == -1 ||
        model_check_growth(&w->totals, totals, err) == -1 ||
        model_check_sums(&w->snapshot.last_period, false, err) == -1 ||
        check_parts(&w->snapshot, err) == -1)
        return -1;
    w->totals = *totals;
    if (batches > intent || (!late && batches < done))
        return errbuf_set(
            err, "%" PRIu64 " chunks, but %" PRIu64 " published and no more than %" PRIu64 " begun",
            batches, done, intent);
    if (w->snapshot.period < w->period)
        return errbuf_set(err, "period %" PRIu64 " after %" PRIu64, w->snapshot.period, w->period);
    w->period = w->snapshot.period;
    return late ? 0 : model_check_buckets(totals, w->reader->sums.buckets, err);
}

/* --- looking back --- */

static int
check_periods(struct watch *w, struct errbuf *err)
{
    static _Thread_local struct snapshot_period periods[SHM_PERIODS];
    struct stat_figures window;
    size_t n = snapshot_periods(w->reader, periods, SHM_PERIODS);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && periods[i].number <= periods[i - 1].number)
            return errbuf_set(err, "period %" PRIu64 " after %" PRIu64, periods[i].number,
                              periods[i - 1].number);
        if (model_check_sums(&periods[i].figures, false, err) == -1)
            return errbuf_prefix(err, "period %" PRIu64, periods[i].number);
    }
    if (snapshot_window(w->reader, 50, &window) > 0 && model_check_sums(&window, false, err) == -1)
        return errbuf_prefix(err, "window");
    return 0;
}

/* Neighbouring periods of a process: "commit" goes on where it ended. */
static int
check_process_periods(struct watch *w, unsigned slot, struct errbuf *err)
{
    struct snapshot_process_period periods[SHM_PERIODS];
    size_t n = snapshot_process_periods(w->reader, slot, periods, SHM_PERIODS);
    uint64_t next = 0, number = 0;
    for (size_t i = 0; i < n; i++) {
        const struct stat_times *commit = &periods[i].times[STAT_COMMIT];
        if (periods[i].number != number + 1)
            next = 0; /* one was just being written */
        number = periods[i].number;
        if (commit->count == 0)
            continue;
        uint64_t first = commit->min_ns / MODEL_SLOTS, last = commit->max_ns / MODEL_SLOTS;
        if (last - first + 1 != commit->count || (next != 0 && first != next))
            return errbuf_set(err,
                              "period %" PRIu64 " has chunks %" PRIu64 "..%" PRIu64 ", %" PRIu64
                              " of them; %" PRIu64 " was next",
                              number, first, last, commit->count, next);
        if (periods[i].times[STAT_REQUEST].count != periods[i].completed)
            return errbuf_set(err, "period %" PRIu64 " is torn", number);
        next = last + 1;
    }
    return 0;
}

static void
look_back(struct watch *w)
{
    struct errbuf err;
    unsigned slot = 1 + (unsigned)(w->result->looks_back % w->play->n_slots);
    if (check_periods(w, &err) == -1)
        note_failure(w, "periods", 0, &err);
    if (check_process_periods(w, slot, &err) == -1)
        note_failure(w, "periods", slot, &err);
    w->result->looks_back++;
}

/* --- the reader --- */

static void
watch_once(struct watch *w)
{
    struct errbuf err;
    bool late = false;
    for (unsigned i = 1; i <= w->play->n_slots; i++)
        w->done[i] = atomic_load(&w->play->logs[i].done);
    if (snapshot_take(w->reader, &w->snapshot, &err) == -1) {
        note_failure(w, "snapshot", 0, &err);
        return;
    }
    atomic_thread_fence(memory_order_acquire);
    for (size_t i = 0; i < w->snapshot.n_processes; i++)
        late |= w->snapshot.processes[i].late;
    if (check_instance(w, late, &err) == -1)
        note_failure(w, "instance", 0, &err);
    for (size_t i = 0; i < w->snapshot.n_processes; i++)
        check_process(w, &w->snapshot.processes[i]);
    w->result->snapshots++;
}

void
play_reader(struct play *play, unsigned number, struct shm_reader *reader)
{
    struct watch w = {.play = play, .result = &play->results[number], .reader = reader};
    struct errbuf err;
    stat_clear(&w.totals);
    w.seen = calloc(play->n_slots + 1, sizeof(*w.seen));
    w.done = calloc(play->n_slots + 1, sizeof(*w.done));
    if (w.seen == NULL || w.done == NULL) {
        errbuf_set(&err, "out of memory");
        note_failure(&w, "reader", number, &err);
    }
    while (w.seen != NULL && w.done != NULL && !atomic_load(&play->stop_readers)) {
        watch_once(&w);
        if (w.result->snapshots % LOOK_BACK_EVERY == 0)
            look_back(&w);
    }
    free(w.seen);
    free(w.done);
    snapshot_free(&w.snapshot);
}
