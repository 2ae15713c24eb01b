/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm-threads.c - the recorders, readers and the master of shm-torture as threads of one process,
 * for ThreadSanitizer: it tells of shared memory that is not reached by atomics.  Nobody can be
 * killed here; a recorder's generation ends between two chunks, with messages in hand.
 *
 *   shm-threads [SECONDS]
 *
 * ThreadSanitizer does not know fences (gcc says so: -Wno-tsan), so what the fences order is proved
 * elsewhere: by shm-litmus, shm-torture and doc/shm.pml.
 *
 * Process: tests.  Owner: itself.  Concurrency: the main thread is the master.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/num.h"
#include "tests/shm/shm-audit.h"

enum { RECORDERS = 4, READERS = 2, REST_US = 100, TURN_US = 500, CHUNKS_MAX = 2000 };

struct recorder_thread {
    pthread_t thread;
    struct segment *segment;
    struct play *play;
    unsigned slot;
    uint64_t max_chunks;
    _Atomic bool ended;
};

struct reader_thread {
    pthread_t thread;
    struct play *play;
    struct shm_reader *reader;
    unsigned number;
};

static void *
run_recorder(void *arg)
{
    struct recorder_thread *t = arg;
    struct recorder *recorder = recorder_new(t->segment, t->slot);
    if (recorder == NULL)
        abort();
    play_recorder(t->play, t->slot, recorder, REST_US, t->max_chunks);
    recorder_free(&recorder);
    atomic_store(&t->ended, true);
    return NULL;
}

static void *
run_reader(void *arg)
{
    struct reader_thread *t = arg;
    play_reader(t->play, t->number, t->reader);
    return NULL;
}

static void
start_recorder(struct audit *a, struct recorder_thread *t, uint64_t *rng)
{
    audit_start(a, t->slot);
    t->max_chunks = 1 + model_random(rng) % CHUNKS_MAX;
    atomic_store(&t->ended, false);
    if (pthread_create(&t->thread, NULL, run_recorder, t) != 0)
        abort();
    ledger_started(a->ledger, t->slot, (int32_t)getpid());
}

static void
end_recorder(struct audit *a, struct recorder_thread *t)
{
    pthread_join(t->thread, NULL);
    audit_reap(a, t->slot, LEDGER_ASKED);
}

static void
run_master(struct audit *a, struct recorder_thread *recorders, int64_t seconds)
{
    uint64_t rng = a->play->seed;
    int64_t end = clock_mono_ms() + seconds * 1000;
    for (unsigned turn = 1; clock_mono_ms() < end; turn++) {
        for (unsigned i = 0; i < RECORDERS; i++) {
            if (!atomic_load(&recorders[i].ended))
                continue;
            end_recorder(a, &recorders[i]);
            if (model_random(&rng) % 8 == 0)
                audit_hand_over(a, recorders[i].slot);
            start_recorder(a, &recorders[i], &rng);
        }
        ledger_turn(a->ledger);
        if (turn % 8 == 0)
            audit_close_period(a);
        usleep(TURN_US);
    }
}

static void
start_all(struct audit *a, struct recorder_thread *recorders, struct reader_thread *readers)
{
    uint64_t rng = a->play->seed ^ 1;
    for (unsigned i = 0; i < RECORDERS; i++) {
        recorders[i] =
            (struct recorder_thread){.segment = a->segment, .play = a->play, .slot = i + 1};
        audit_assign(a, i + 1);
        start_recorder(a, &recorders[i], &rng);
    }
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader_thread){
            .play = a->play, .reader = segment_reader(a->segment), .number = i};
        if (readers[i].reader == NULL ||
            pthread_create(&readers[i].thread, NULL, run_reader, &readers[i]) != 0)
            abort();
    }
}

static void
end_all(struct audit *a, struct recorder_thread *recorders, struct reader_thread *readers)
{
    atomic_store(&a->play->stop_recorders, true);
    for (unsigned i = 0; i < RECORDERS; i++)
        end_recorder(a, &recorders[i]);
    audit_finish(a);
    atomic_store(&a->play->stop_readers, true);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        shm_reader_close(&readers[i].reader);
    }
}

int
main(int argc, char **argv)
{
    static struct recorder_thread recorders[RECORDERS];
    static struct reader_thread readers[READERS];
    struct segment segment;
    struct errbuf err;
    struct audit audit;
    int64_t seconds = 10;
    if (argc > 2 || (argc == 2 && num_parse_int(argv[1], 1, 3600, &seconds) == -1)) {
        fprintf(stderr, "usage: shm-threads [SECONDS]\n");
        return 2;
    }
    struct play *play = calloc(1, play_bytes(RECORDERS));
    if (play == NULL || segment_create_private(&segment, "threads", RECORDERS, 5, &err) == -1)
        return 2;
    play->seed = 5;
    play->n_slots = RECORDERS;
    if (audit_open(&audit, &segment, play) == -1)
        return 2;
    start_all(&audit, recorders, readers);
    run_master(&audit, recorders, seconds);
    end_all(&audit, recorders, readers);
    bool good = audit_report(&audit, READERS);
    audit_close(&audit);
    segment_close(&segment);
    free(play);
    return good ? 0 : 1;
}
