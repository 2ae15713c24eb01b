/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm-step-publish.c - a recorder is killed at every instruction of recorder_publish, and a master
 * reaps it: the figures are those before the chunk or those after it, whole, and the closed periods
 * have every timing once.
 *
 * Process: tests.  Owner: struct world.  Concurrency: the recorder stands still while it is looked
 * at.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/ledger.h"
#include "shm/reader_priv.h"
#include "tests/shm/shm-step.h"

enum {
    SLOT = 1,
    CHUNKS_BEFORE = 3, /* published before the first mark */
    CHUNKS_MAX = 5,
    INTO_PUBLISH = 40, /* instructions after its beginning */
    KILLS = 12,      /* for good, of each scenario; with --all at every instruction of the first, */
    KILLS_ALL = 100, /* ... and so many of the others */
    KILL_ALL_BELOW = 3000,
    CHECK_FAILED = 1,
    CHECK_FOUND = 10 /* exit code of a check that found chunk K: 10 + K */
};

enum when { NEVER, AT_MARK, IN_PUBLISH };

static const struct scenario {
    const char *name;
    enum when close; /* when the master closes a period */
    uint64_t chunks; /* up to this one are published, all in all */
} scenarios[] = {
    {"publish", NEVER, CHUNKS_BEFORE + 1},
    {"publish into a new period", AT_MARK, CHUNKS_BEFORE + 1},
    {"publish over the end of a period, and the next", IN_PUBLISH, CHUNKS_BEFORE + 2},
};

static const struct scenario *scenario;     /* for the child */
static struct model models[CHUNKS_MAX + 1]; /* the figures after each chunk */

struct world {
    struct segment segment;
    struct ledger *ledger;
    struct shm_reader *reader;
    pid_t pid;
    uint64_t closed_chunks; /* of these the periods are closed */
    struct shm_slot *last;  /* the slot at the last check */
    uint64_t found;         /* the chunk that it was at */
};

static void
plan(struct model_chunk *chunk, uint64_t k)
{
    uint64_t in_flight = k > 1 ? models[k - 1].figures.values[STAT_IN_FLIGHT] : 0;
    model_plan(chunk, STEP_SEED, SLOT, k, in_flight);
}

static void
make_models(void)
{
    struct model_chunk chunk;
    model_clear(&models[0]);
    for (uint64_t k = 1; k <= CHUNKS_MAX; k++) {
        plan(&chunk, k);
        models[k] = models[k - 1];
        model_apply(&models[k], &chunk);
        model_seal(&models[k]);
    }
}

/* --- the recorder --- */

static void
run_recorder(struct segment *segment)
{
    struct recorder *recorder = recorder_new(segment, SLOT);
    struct model_chunk chunk;
    if (recorder == NULL)
        _exit(1);
    for (uint64_t k = 1; k <= scenario->chunks; k++) {
        plan(&chunk, k);
        model_record(recorder, &chunk, &models[k]);
        if (k == CHUNKS_BEFORE + 1)
            step_mark();
        recorder_publish(recorder);
    }
    step_mark();
}

/* --- checking a copy of the segment --- */

/* From here on this process has a segment of its own, with the same contents. */
static void
detach(struct segment *segment)
{
    void *copy = malloc(segment->bytes);
    if (copy == NULL)
        _exit(CHECK_FAILED);
    memcpy(copy, segment->header, segment->bytes);
    if (mmap(segment->header, segment->bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        _exit(CHECK_FAILED);
    memcpy(segment->header, copy, segment->bytes);
    free(copy);
}

/* Returns: the chunk whose figures a reader finds; 0 with a text if they are none's. */
static uint64_t
find_chunk(struct world *w, struct snapshot *s, struct errbuf *err)
{
    if (snapshot_take(w->reader, s, err) == -1 || s->n_processes != 1 || s->processes[0].late)
        return 0;
    for (uint64_t k = CHUNKS_BEFORE; k <= scenario->chunks; k++) {
        const uint64_t *buckets = &w->reader->slots[SLOT].words[SHM_SCALAR_WORDS];
        const struct model *m = &models[k];
        if (model_compare(&m->figures, &s->processes[0].totals, true, true, err) == -1)
            continue;
        if (memcmp(m->buckets, buckets, sizeof(m->buckets)) == 0)
            return k;
        errbuf_set(err, "the buckets are not those of chunk %" PRIu64, k);
    }
    return 0;
}

/* The master reaps; all must be as after chunk K, with what was in flight given back. */
static int
check_reap(struct world *w, struct snapshot *s, uint64_t k, struct errbuf *err)
{
    struct model expected = models[k];
    int64_t in_flight = (int64_t)expected.figures.values[STAT_IN_FLIGHT];
    model_settle(&expected);
    if (ledger_reap(w->ledger, SLOT, LEDGER_SIGNAL, SLOT_DEAD) != in_flight)
        return errbuf_set(err, "the number given back is not that of chunk %" PRIu64, k);
    if (snapshot_take(w->reader, s, err) == -1 ||
        model_compare(&expected.figures, &s->processes[0].lifetime, true, true, err) == -1 ||
        model_compare(&expected.figures, &s->totals, true, true, err) == -1)
        return -1;
    if (memcmp(expected.buckets, w->reader->sums.buckets, sizeof(expected.buckets)) != 0)
        return errbuf_set(err, "the buckets are not those of chunk %" PRIu64, k);
    return 0;
}

/* The period that is closed next holds all chunks that are in none yet. */
static int
check_period(struct world *w, struct snapshot *s, uint64_t k, struct errbuf *err)
{
    const struct stat_times *commit = &s->last_period.times[STAT_COMMIT];
    uint64_t first = w->closed_chunks + 1;
    ledger_close_period(w->ledger, w->segment.header->started_mono_ms + 10);
    if (snapshot_take(w->reader, s, err) == -1)
        return -1;
    if (commit->count != k - w->closed_chunks)
        return errbuf_set(err, "%" PRIu64 " chunks in the period, not %" PRIu64, commit->count,
                          k - w->closed_chunks);
    if (commit->count > 0 && (commit->min_ns != model_commit_ns(first, SLOT) ||
                              commit->max_ns != model_commit_ns(k, SLOT)))
        return errbuf_set(err, "the period's extremes are chunks %" PRIu64 "..%" PRIu64,
                          commit->min_ns / MODEL_SLOTS, commit->max_ns / MODEL_SLOTS);
    return model_check_sums(&s->last_period, false, err);
}

static void
check_copy(struct world *w, const char *name, uint64_t instruction)
{
    struct snapshot s = {.n_processes = 0};
    struct step_tally tally = {0};
    struct errbuf err;
    errbuf_set(&err, "not one process with figures");
    detach(&w->segment);
    uint64_t k = find_chunk(w, &s, &err);
    if (k == 0 || check_reap(w, &s, k, &err) == -1 || check_period(w, &s, k, &err) == -1) {
        step_fail(&tally, name, instruction, &err);
        _exit(CHECK_FAILED);
    }
    _exit(CHECK_FOUND + (int)k);
}

/* Checks what a death at this instruction would leave, or has left. */
static void
check(struct world *w, struct step_tally *tally, uint64_t instruction)
{
    struct errbuf err;
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        check_copy(w, scenario->name, instruction);
    if (pid == -1 || waitpid(pid, &status, 0) != pid)
        status = CHECK_FAILED << 8;
    uint64_t found = WIFEXITED(status) ? (uint64_t)WEXITSTATUS(status) : 0;
    tally->checks++;
    if (found < CHECK_FOUND + w->found) {
        errbuf_set(&err, "a check ended with status %#x", (unsigned)status);
        step_fail(tally, scenario->name, instruction, &err);
        return;
    }
    w->found = found - CHECK_FOUND; /* never goes back */
}

/* Only a change of the segment can change the outcome; the recorder writes into its slot. */
static void
check_if_changed(struct world *w, struct step_tally *tally, uint64_t instruction)
{
    const struct shm_slot *slot = segment_slot(&w->segment, SLOT);
    if (memcmp(w->last, slot, sizeof(*slot)) == 0)
        return;
    memcpy(w->last, slot, sizeof(*slot));
    check(w, tally, instruction);
}

/* --- one life --- */

static void
open_world(struct world *w)
{
    struct errbuf err;
    *w = (struct world){.found = CHUNKS_BEFORE};
    if (segment_create_private(&w->segment, "step", 1, 10, &err) == -1)
        abort();
    w->ledger = ledger_new(&w->segment);
    w->reader = segment_reader(&w->segment);
    w->last = calloc(1, sizeof(*w->last));
    if (w->ledger == NULL || w->reader == NULL || w->last == NULL)
        abort();
    ledger_assign(w->ledger, SLOT, "step-0", "step", 0);
    ledger_start(w->ledger, SLOT);
    w->pid = step_start(run_recorder, &w->segment);
    if (w->pid == -1)
        abort();
    ledger_started(w->ledger, SLOT, w->pid);
}

static void
close_world(struct world *w)
{
    ledger_free(&w->ledger);
    shm_reader_close(&w->reader);
    segment_close(&w->segment);
    free(w->last);
}

static void
close_period(struct world *w)
{
    const struct shm_slot *slot = segment_slot(&w->segment, SLOT);
    bool open = (shm_load(&slot->seq) & 1) != 0;
    ledger_close_period(w->ledger, w->segment.header->started_mono_ms + 5);
    if (!open) /* else the slot's period stays open, with all that is in it */
        w->closed_chunks = CHUNKS_BEFORE;
}

/*
 * Leads a recorder through its publishes.
 * Takes: after how many instructions to kill it, 0: not at all, but check at each.
 * Returns: how many instructions it made.
 */
static uint64_t
lead_recorder(struct step_tally *tally, uint64_t kill_at)
{
    struct world w;
    uint64_t n = 0, in_publish = 0;
    open_world(&w);
    if (scenario->close == AT_MARK)
        close_period(&w);
    while ((kill_at == 0 || n < kill_at) && step_instruction(w.pid) == STEP_DONE) {
        n++;
        in_publish += (shm_load(&segment_slot(&w.segment, SLOT)->seq) & 1) != 0;
        if (scenario->close == IN_PUBLISH && in_publish == INTO_PUBLISH) {
            close_period(&w);
            in_publish++; /* once */
        }
        if (kill_at == 0)
            check_if_changed(&w, tally, n);
    }
    step_kill(w.pid);
    check(&w, tally, n);
    struct errbuf err;
    if (kill_at == 0 && w.found != scenario->chunks) {
        errbuf_set(&err, "chunk %" PRIu64 " is missing at the end", w.found + 1);
        step_fail(tally, scenario->name, n, &err);
    }
    close_world(&w);
    return n;
}

void
step_publish(struct step_tally *tally, bool all)
{
    make_models();
    for (size_t i = 0; i < COUNT_OF(scenarios); i++) {
        uint64_t checks = tally->checks, kills = 0;
        scenario = &scenarios[i];
        uint64_t n = lead_recorder(tally, 0);
        uint64_t every = all && n < KILL_ALL_BELOW ? 1 : n / (all ? KILLS_ALL : KILLS) + 1;
        checks = tally->checks - checks;
        for (uint64_t k = 1; k < n; k += every) {
            lead_recorder(tally, k);
            kills++;
        }
        printf("step       %s: %" PRIu64
               " instructions, the slot changed and was checked at %" PRIu64
               "; killed for good at %" PRIu64 "\n",
               scenario->name, n, checks, kills);
        tally->instructions += n;
        tally->kills += kills;
    }
}
