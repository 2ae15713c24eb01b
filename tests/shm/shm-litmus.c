/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm-litmus.c - what the barrier between the master and the writers is for, with two processes on
 * real processors: one publishes a unique value of "commit" after the other, the other one closes
 * periods as fast as it can. Every value must be between the minimum and the maximum of exactly one
 * period; as they are consecutive numbers, the periods must tile them.
 *
 *   shm-litmus [--membarrier | --fence | --none] [SECONDS]
 *
 *   --membarrier  the master asks the kernel for the fence, as in production (the default)
 *   --fence       the writer fences at each publish, as where the kernel has no membarrier
 *   --none        the writer does not, and nobody makes him: this must lose values, or else the
 * test has shown nothing
 *
 * Exit code 0: as expected; 1: values were lost or doubled with a barrier; 3: none were without
 * one.
 *
 * Process: tests.  Owner: itself.  Concurrency: the writer is a child; nothing is shared but the
 * segment, and a page that says how far it is.
 */
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/num.h"
#include "shm/ledger.h"
#include "tests/shm/shm-model.h"

enum { MODES = 3, PAUSE_MAX = 20000, PENDING_MAX = 16 };

/*
 * The slot that the master looks at first after the barrier.  For the others, the time he takes to
 * copy those before would do what the barrier is for, nearly always.  It is his own by rights, so
 * he gets another one elsewhere.
 */
enum { WRITER = 0 };

/* Of the writer's memory, larger than the caches: a store to it takes its time. */
#define FAR_BYTES ((size_t)1 << 28)

struct mode {
    const char *option;
    bool barrier, fence;
};

static const struct mode modes[MODES] = {
    {"--membarrier", true, false}, {"--fence", false, true}, {"--none", false, false}};

struct page {
    _Atomic bool stop;
    _Atomic uint64_t published;
};

struct tally {
    uint64_t closes, counted, idle; /* closes; values counted; periods without any */
    uint64_t lost, doubled;         /* values in no period's extremes; in two */
    uint64_t next;                  /* the value expected next */
};

/* --- the writer --- */

/*
 * The window is narrow: the writer's "in a publish" must still be in his processor's store buffer
 * when the master has stored the epoch and looks; and the publish must outlast the master's copy,
 * or else he looks again.  So the writer has other stores pending when he begins, to memory that is
 * far away, as one that handles messages may have; and publishes as much as there is.
 */
static void
widen_window(struct recorder *r, char *far, uint64_t *rng)
{
    for (unsigned i = 0; i < SHM_BUCKET_WORDS; i++)
        recorder_mark(r, SHM_SCALAR_WORDS + i);
    for (uint64_t n = model_random(rng) % PENDING_MAX; n > 0; n--)
        *(volatile char *)&far[model_random(rng) % FAR_BYTES] = 1;
}

static void
pause_for(uint64_t turns)
{
    for (; turns > 0; turns--)
        atomic_signal_fence(memory_order_seq_cst);
}

static void
run_writer(struct segment *segment, struct page *page, const struct mode *mode)
{
    uint64_t rng = 1;
    struct recorder *r = recorder_new(segment, WRITER);
    char *far = mmap(NULL, FAR_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (r == NULL || far == MAP_FAILED)
        _exit(1);
    r->fence = mode->fence;
    for (uint64_t k = 1; !atomic_load(&page->stop); k++) {
        recorder_time(r, STAT_COMMIT, (int64_t)k, 1);
        pause_for(model_random(&rng) % PAUSE_MAX);
        widen_window(r, far, &rng);
        recorder_publish(r);
        atomic_store_explicit(&page->published, k, memory_order_relaxed);
    }
    _exit(0);
}

/* Puts the two on different processors, if there are two. */
static void
pin_to(unsigned which)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof(all), &all) == -1)
        return;
    CPU_ZERO(&one);
    for (unsigned i = 0, seen = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all) && seen++ == which)
            CPU_SET(i, &one);
    if (CPU_COUNT(&one) == 1)
        (void)sched_setaffinity(0, sizeof(one), &one);
}

static pid_t
start_writer(struct segment *segment, struct page *page, const struct mode *mode)
{
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin_to(1);
    if (getppid() == parent)
        run_writer(segment, page, mode);
    _exit(1);
}

/* --- the master --- */

/*
 * Takes one period's extremes into account.  Values of a gap are in no period; should they turn up
 * in a later one after all, that is a second fault, and counted as doubled.
 */
static void
tally_period(struct tally *t, const struct stat_times *commit)
{
    t->counted += commit->count;
    if (commit->count == 0) {
        t->idle++;
        return;
    }
    if (commit->max_ns < commit->min_ns) { /* counted, but without extremes at all */
        t->lost += commit->count;
        return;
    }
    if (commit->min_ns > t->next)
        t->lost += commit->min_ns - t->next;
    if (commit->min_ns < t->next)
        t->doubled += t->next - commit->min_ns;
    t->next = commit->max_ns + 1;
}

/* Closes a period and adds it up. The newest one is in the book's slot. */
static void
close_once(struct segment *segment, struct ledger *ledger, int64_t now_ms, struct tally *t)
{
    const struct shm_header *h = segment->header;
    struct stat_figures period;
    ledger_close_period(ledger, now_ms);
    const struct shm_book *book = shm_book_at(h, shm_load(&h->book));
    shm_copy_out((uint64_t *)&period, book->slots[WRITER].last_period, SHM_FIGURES_WORDS);
    tally_period(t, &period.times[STAT_COMMIT]);
    t->closes++;
}

static void
run_master(struct segment *segment, struct ledger *ledger, int64_t seconds, struct tally *t)
{
    int64_t now_ms = segment->header->started_mono_ms, end = clock_mono_ms() + seconds * 1000;
    uint64_t rng = 2;
    while (clock_mono_ms() < end) {
        close_once(segment, ledger, ++now_ms, t);
        pause_for(model_random(&rng) % PAUSE_MAX); /* not in step with the writer */
    }
}

static int
judge(const struct mode *mode, const struct tally *t, uint64_t published)
{
    printf("litmus     %-12s %" PRIu64 " closes (%" PRIu64 " without a value), %" PRIu64
           " values; in no period's extremes: %" PRIu64 ", in two: %" PRIu64 "\n",
           mode->option, t->closes, t->idle, published, t->lost, t->doubled);
    bool wrong = t->lost + t->doubled > 0;
    if (t->counted != published || t->next != published + 1) {
        printf("litmus     counted %" PRIu64 " of %" PRIu64 ", the last %" PRIu64 "\n", t->counted,
               published, t->next - 1);
        return 1;
    }
    if (mode->barrier || mode->fence)
        return wrong ? 1 : 0;
    if (!wrong)
        printf("litmus     nothing was lost without a barrier either: nothing shown\n");
    return wrong ? 0 : 3;
}

static int
run(const struct mode *mode, int64_t seconds)
{
    static struct shm_slot own_slot;
    struct segment segment;
    struct errbuf err;
    struct tally t = {.next = 1};
    int status;
    struct page *page =
        mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || segment_create_private(&segment, "litmus", 1, 1, &err) == -1)
        return 2;
    if (mode->barrier && segment.header->fence != 0) {
        printf("litmus     this kernel has no membarrier\n");
        return 77;
    }
    struct ledger *ledger = ledger_new(&segment);
    if (ledger == NULL)
        return 2;
    ledger_set_barrier(ledger, mode->barrier);
    ledger_recorder(ledger)->slot = &own_slot;
    pid_t pid = start_writer(&segment, page, mode);
    pin_to(0);
    run_master(&segment, ledger, seconds, &t);
    atomic_store(&page->stop, true);
    if (waitpid(pid, &status, 0) == -1 || status != 0)
        return 2;
    for (unsigned i = 0; i < 2; i++) /* the last may be the end of one that stayed open */
        close_once(&segment, ledger, segment.header->started_mono_ms + INT32_MAX + i, &t);
    int result = judge(mode, &t, atomic_load(&page->published));
    ledger_free(&ledger);
    segment_close(&segment);
    munmap(page, sizeof(*page));
    return result;
}

int
main(int argc, char **argv)
{
    const struct mode *mode = &modes[0];
    int64_t seconds = 5;
    for (int i = 1; i < argc; i++) {
        bool known = num_parse_int(argv[i], 1, 3600, &seconds) == 0;
        for (unsigned m = 0; m < MODES; m++) {
            if (strcmp(argv[i], modes[m].option) != 0)
                continue;
            mode = &modes[m];
            known = true;
        }
        if (!known) {
            fprintf(stderr, "usage: shm-litmus [--membarrier | --fence | --none] [SECONDS]\n");
            return 2;
        }
    }
    return run(mode, seconds);
}
