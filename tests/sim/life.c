/* SPDX-License-Identifier: Apache-2.0 */
/* life.c - see life.h. */
#include "tests/sim/life.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "kafka/kafka_conf.h"
#include "lib/clock.h"
#include "lib/fiber.h"
#include "lib/log.h"
#include "shm/ledger.h"
#include "tests/sim/promise.h"
#include "tests/sim/services.h"
#include "tests/sim/topic.h"
#include "worker/autopsy.h"
#include "worker/memory.h"
#include "worker/signals.h"

enum { STACK_BYTES = 512 << 10, TOKENS_MAX = 300, TOKENS_A_SECOND = 40 };

#define MAGIC UINT64_C(0x73696d756c617465)

struct life *life_running;

static struct life *alive[AT_ONCE + 1];
static bool slot_used[AT_ONCE + 1]; /* of the segment; 0 is the master's */
static char *stacks[AT_ONCE + 1];
static unsigned n_lives;
static bool fd_ready[FDS_MAX];
static struct life *fd_owner[FDS_MAX];
static int n_fds;
static ucontext_t scheduler;
static struct segment segment;
static struct ledger *ledger;
static struct hands *hands;

/* --- memory --- */

struct block {
    struct block *next, **link;
    struct life *owner; /* NULL: the simulation's */
    uint64_t magic;
    bool simulated; /* in a worker's name only */
    _Alignas(16) char bytes[];
};

static bool tracking; /* what was given out before is not to be freed after that */

void *__real_malloc(size_t bytes);
void *__real_realloc(void *p, size_t bytes);
void __real_free(void *p);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t bytes);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *p);

static void
link_block(struct block *b)
{
    b->link = b->owner != NULL ? &b->owner->blocks : NULL;
    b->next = b->owner != NULL ? b->owner->blocks : NULL;
    if (b->link != NULL)
        *b->link = b;
    if (b->next != NULL)
        b->next->link = &b->next;
}

static void
unlink_block(struct block *b)
{
    if (b->magic != MAGIC)
        world_fail("memory is freed that nobody has asked for");
    if (b->link != NULL)
        *b->link = b->next;
    if (b->next != NULL)
        b->next->link = b->link;
}

static struct block *
block_of(void *p)
{
    return (struct block *)((char *)p - offsetof(struct block, bytes));
}

static void *
give(size_t bytes, struct life *owner, bool simulated)
{
    struct block *b = __real_malloc(sizeof(*b) + bytes);
    if (b == NULL)
        return NULL;
    *b = (struct block){.owner = owner, .magic = MAGIC, .simulated = simulated};
    link_block(b);
    return b->bytes;
}

/* Refuses once or twice in a life, at a request that was drawn. */
static bool
is_refused(void)
{
    struct life *l = life_running;
    if (l == NULL || l->refused_after == 0 || (l->refused_work && l->busy == 0) ||
        --l->refused_after > 0)
        return false;
    l->refused_after = l->refused++ == 0 && world_one_in(2) ? (unsigned)world_between(1, 5) : 0;
    l->may_break = true;
    world_tell("is refused memory");
    return true;
}

void *
__wrap_malloc(size_t bytes)
{
    if (!tracking)
        return __real_malloc(bytes);
    return is_refused() ? NULL : give(bytes, life_running, false);
}

void *
__wrap_calloc(size_t n, size_t size)
{
    void *p = __wrap_malloc(n * size);
    if (p != NULL)
        memset(p, 0, n * size);
    return p;
}

void *
__wrap_realloc(void *p, size_t bytes)
{
    if (!tracking)
        return __real_realloc(p, bytes);
    if (p == NULL)
        return __wrap_malloc(bytes);
    if (is_refused())
        return NULL;
    struct block *b = block_of(p);
    unlink_block(b);
    struct block *moved = __real_realloc(b, sizeof(*b) + bytes);
    if (moved == NULL)
        world_fail("the simulation itself is out of memory");
    link_block(moved);
    return moved->bytes;
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return __wrap_realloc(p, n * size);
}

char *
__wrap_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = __wrap_malloc(n);
    return copy != NULL ? memcpy(copy, text, n) : NULL;
}

void
__wrap_free(void *p)
{
    if (p == NULL)
        return;
    if (!tracking) {
        __real_free(p);
        return;
    }
    struct block *b = block_of(p);
    unlink_block(b);
    b->magic = 0;
    __real_free(b);
}

void *
life_alloc(size_t bytes)
{
    void *p = give(bytes, life_running, true);
    if (p == NULL)
        world_fail("the simulation itself is out of memory");
    return memset(p, 0, bytes);
}

void
life_free(void *p)
{
    __wrap_free(p);
}

static void
free_blocks(struct life *l, bool leaks)
{
    while (l->blocks != NULL) {
        PROMISE(leaks || l->blocks->simulated, "it left memory behind that was not freed");
        __wrap_free(l->blocks->bytes);
    }
}

/* --- the clock, the log, who it is --- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
pid_t __wrap_getpid(void);
void __wrap_log_line(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
struct fibers *__wrap_fibers_new(const struct fibers_os *os);
struct fibers *__real_fibers_new(const struct fibers_os *os);
void __wrap_fibers_free(struct fibers **fibers);
void __real_fibers_free(struct fibers **fibers);

int
__wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    const int64_t wall_ns = INT64_C(1790000000) * SECOND;
    int64_t ns = world.now_ns + (clock == CLOCK_REALTIME ? wall_ns : 0);
    t->tv_sec = ns / SECOND;
    t->tv_nsec = ns % SECOND;
    return 0;
}

/* Backoffs are seeded with it. */
pid_t
__wrap_getpid(void)
{
    return life_running != NULL ? (pid_t)life_running->number : 1;
}

void
__wrap_log_line(enum log_level level, const char *format, ...)
{
    char text[256];
    va_list args;
    if (!world_verbose)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    world_tell("log %d: %s", (int)level, text);
}

static int sleep_in_world(void *arg, struct pollfd *fds, size_t n, int wait_ms);

static int64_t
now_of_world(void *arg)
{
    (void)arg;
    return world_now_ms();
}

struct fibers *
__wrap_fibers_new(const struct fibers_os *os)
{
    struct fibers_os in_world = {.poll = sleep_in_world, .now_ms = now_of_world};
    assert(os == NULL && life_running->fibers == NULL);
    life_running->fibers = __real_fibers_new(&in_world);
    return life_running->fibers;
}

void
__wrap_fibers_free(struct fibers **fibers)
{
    if (life_running != NULL)
        life_running->fibers = NULL;
    __real_fibers_free(fibers);
}

const char *
life_name(void)
{
    static char text[32];
    if (life_running == NULL)
        return "world";
    snprintf(text, sizeof(text), "worker-%u.%u", life_running->slot, life_running->number);
    return text;
}

/* --- modules in the place of others --- */

void
signals_catch(void)
{
}

unsigned
signals_stops(void)
{
    return life_running->stops;
}

bool
signals_excused(void)
{
    return life_running->excused;
}

bool
signals_take_reopen(void)
{
    bool asked = life_running->reopen;
    life_running->reopen = false;
    return asked;
}

void
memory_return_large(void)
{
}

uint64_t
memory_resident_bytes(void)
{
    return 1 << 20;
}

void
autopsy_run(struct hands *map, uint32_t key, const struct config *cfg, enum topic_kind kind,
            bool (*go_on)(void *arg), void *arg)
{
    struct hands_suspect suspects[PARTITIONS_MAX];
    size_t n = hands_list_suspects(map, key, suspects, COUNT_OF(suspects));
    (void)cfg, (void)kind;
    for (size_t i = 0; i < n && go_on(arg); i++) {
        const struct topic_message *m =
            topic_killer(suspects[i].partition, suspects[i].next, MESSAGES_MAX);
        struct hands_verdict verdict = {0};
        if (m != NULL)
            verdict = (struct hands_verdict){.first = m->offset, .end = m->offset + m->more + 1};
        hands_judge(map, suspects[i].id, m != NULL ? &verdict : NULL, clock_mono_ms());
        world_tell("looks at what kills in %d: %s", (int)suspects[i].partition,
                   m != NULL ? "found" : "nothing");
    }
    life_running->careful = hands_is_ahead(map, key, clock_mono_ms());
}

size_t
kafka_conf_batch_bytes(const struct config *cfg)
{
    (void)cfg;
    return world.plan.batch_bytes;
}

/* --- descriptors --- */

int
life_fd(void)
{
    assert(n_fds < FDS_MAX);
    fd_ready[n_fds] = false;
    fd_owner[n_fds] = life_running;
    return n_fds++;
}

void
life_set_fd(int fd, bool ready)
{
    if (ready && !fd_ready[fd])
        life_give(fd_owner[fd], 3);
    fd_ready[fd] = ready;
}

static bool
has_ready_fd(const struct life *l)
{
    for (size_t i = 0; i < l->n_fds; i++)
        if (fd_ready[l->fds[i].fd])
            return true;
    return false;
}

/* --- steps --- */

/* From the worker's stack to the scheduler's. */
static void
give_way(struct life *l)
{
    fiber_watch_leave(&l->watch, l->ended);
    if (swapcontext(&l->context, &scheduler) == -1)
        abort();
    fiber_watch_entered(&l->watch);
}

static int
sleep_in_world(void *arg, struct pollfd *fds, size_t n, int wait_ms)
{
    struct life *l = life_running;
    int ready = 0;
    (void)arg;
    l->fds = fds;
    l->n_fds = n;
    l->wake_ns = (world_now_ms() + wait_ms) * MS; /* the clock's milliseconds are whole */
    if (wait_ms == 0 || l->wake_ns < world.now_ns)
        l->wake_ns = world.now_ns;
    give_way(l);
    for (size_t i = 0; i < n; i++) {
        fds[i].revents = fd_ready[fds[i].fd] ? fds[i].events : 0;
        ready += fds[i].revents != 0;
    }
    l->n_fds = 0;
    return ready;
}

static void
live(void)
{
    struct life *l = life_running;
    fiber_watch_entered(&l->watch);
    l->result = worker_run(&l->args);
    l->ended = true;
    give_way(l);
    abort();
}

bool
life_is_paused(const struct life *life)
{
    return life->paused_until_ns > world.now_ns;
}

bool
life_was_paused(const struct life *life, int64_t since_ns)
{
    return life->paused_until_ns > since_ns;
}

static int64_t
ready_ns(const struct life *l)
{
    int64_t at = l->interrupted || has_ready_fd(l) ? world.now_ns : l->wake_ns;
    return at < l->paused_until_ns ? l->paused_until_ns : at;
}

struct life *
life_next(int64_t *at_ns)
{
    struct life *next = NULL;
    unsigned same = 1;
    for (int i = 0; alive[i] != NULL; i++) {
        int64_t at = ready_ns(alive[i]);
        if (at < world.now_ns)
            at = world.now_ns;
        same = next == NULL || at < *at_ns ? 1 : at == *at_ns ? same + 1 : same;
        if (next == NULL || at < *at_ns || (at == *at_ns && world_one_in(same))) {
            next = alive[i];
            *at_ns = at;
        }
    }
    return next;
}

/* A step that nothing called for costs; who makes too many of them goes round in circles. */
static void
pay(struct life *l)
{
    double seconds = (double)(world.now_ns - l->tokens_ns) / 1e9;
    l->tokens += seconds * TOKENS_A_SECOND - 1;
    l->tokens = l->tokens > TOKENS_MAX ? TOKENS_MAX : l->tokens;
    l->tokens_ns = world.now_ns;
    PROMISE(l->tokens > 0, "it is awake all the time, and nothing comes of it");
}

void
life_give(struct life *life, unsigned steps)
{
    life->tokens += steps;
}

void
life_step(struct life *life)
{
    world.now_ns += world_between(5, 50) * 1000; /* what the processor takes */
    life_running = life;
    pay(life);
    life->interrupted = false;
    life->steps++;
    fiber_watch_enter(&life->watch);
    if (swapcontext(&scheduler, &life->context) == -1)
        abort();
    fiber_watch_left(&life->watch);
    promise_check_step(life);
    life_running = NULL;
}

/* --- from beginning to end --- */

void
life_set_up(void)
{
    struct errbuf err;
    if (segment_create_private(&segment, "sim", AT_ONCE, 60000, &err) == -1) {
        fprintf(stderr, "sim: %s\n", err.text);
        exit(2);
    }
    segment.header->fence = 1; /* in place of a system call for each worker */
    ledger = ledger_new(&segment);
    for (unsigned i = 1; i <= AT_ONCE && ledger != NULL; i++) {
        ledger_assign(ledger, i, "metrics-0", "metrics", 0);
        stacks[i] = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                         -1, 0);
        if (stacks[i] == MAP_FAILED)
            exit(2);
    }
    tracking = true;
}

void
life_begin(void)
{
    hands_free(&hands);
    hands = hands_new(AT_ONCE);
    if (hands == NULL)
        exit(2);
}

bool
life_is_danger_ahead(void)
{
    const struct cfg_topic *t = &world.cfg->topic[TOPIC_METRICS];
    return hands_is_ahead(hands, hands_make_key(t->uri, t->topic, t->group_id), clock_mono_ms());
}

static unsigned
take_slot(void)
{
    unsigned slot = 1;
    while (slot <= AT_ONCE && slot_used[slot])
        slot++;
    assert(slot <= AT_ONCE);
    slot_used[slot] = true;
    return slot;
}

struct life *const *
life_all(void)
{
    return alive;
}

struct life *
life_start(unsigned slot)
{
    struct life *l = world_alloc(sizeof(*l));
    unsigned place = take_slot();
    unsigned i = 0;
    *l = (struct life){.number = ++n_lives,
                       .slot = slot,
                       .stack = stacks[place],
                       .wake_ns = world.now_ns,
                       .tokens_ns = world.now_ns,
                       .tokens = TOKENS_MAX,
                       .heartbeat_ms = world_now_ms()};
    l->args = (struct worker_args){.cfg = world.cfg,
                                   .kind = TOPIC_METRICS,
                                   .number = slot,
                                   .segment = &segment,
                                   .slot = place,
                                   .hands = hands};
    l->args.hold_ms = world_one_in(3) ? world_between(0, 3000) : 0;
    if (world_chance(CHANCE_NO_MEMORY)) {
        l->refused_work = world_one_in(3);
        l->refused_after = (unsigned)world_between(1, l->refused_work ? 4 : 60);
    }
    if (world_chance(CHANCE_CLIENT_FATAL))
        l->fatal_ns = world.now_ns + world_between(0, 30) * SECOND;
    ledger_start(ledger, place);
    if (getcontext(&l->context) == -1)
        abort();
    l->context.uc_stack = (stack_t){.ss_sp = l->stack, .ss_size = STACK_BYTES};
    makecontext(&l->context, live, 0);
    fiber_watch_add(&l->watch, l->stack, STACK_BYTES);
    while (alive[i] != NULL)
        i++;
    alive[i] = l;
    world_tell("worker-%u.%u starts", l->slot, l->number);
    return l;
}

static void
forget_life(struct life *l, enum ledger_death death)
{
    int i = 0;
    while (alive[i] != l)
        i++;
    for (; alive[i] != NULL; i++)
        alive[i] = alive[i + 1];
    world_cancel_of(l);
    hands_note_end(hands, l->args.slot, death == LEDGER_SIGNAL);
    int64_t in_hand = ledger_reap(ledger, l->args.slot, death, SLOT_DEAD);
    PROMISE(in_hand >= 0, "worker-%u.%u left counters that contradict each other", l->slot,
            l->number);
    fiber_watch_remove(&l->watch);
    slot_used[l->args.slot] = false;
    l->ended = true;
}

/* What it held is gone; what it had asked others for may happen all the same. */
void
life_kill(struct life *life)
{
    world_tell("worker-%u.%u is killed", life->slot, life->number);
    life->killed = true;
    services_note_end(life);
    forget_life(life, LEDGER_SIGNAL);
    if (life->fibers != NULL)
        __real_fibers_free(&life->fibers);
    free_blocks(life, true);
}

void
life_bury(struct life *life)
{
    world_tell("worker-%u.%u ends with %d", life->slot, life->number, life->result);
    promise_check_end(life);
    services_note_end(life);
    forget_life(life, LEDGER_ASKED);
    free_blocks(life, false);
}

void
life_end_all(void)
{
    while (alive[0] != NULL)
        life_kill(alive[0]);
    n_lives = 0;
    n_fds = 0;
}

/* --- what it is told --- */

/* As the handler in worker/signals.c: two within half a second are one. */
void
life_stop(struct life *life)
{
    if (life->stops == 1 && world.now_ns - life->stopped_ns >= SECOND / 2)
        life->hurried_ns = world.now_ns;
    if (life->stops == 0)
        life->stopped_ns = world.now_ns;
    life->stops += life->stops == 0 || (life->stops == 1 && life->hurried_ns != 0);
    life_give(life, 10);
    life->interrupted = true;
    world_tell("worker-%u.%u is told to stop", life->slot, life->number);
}

void
life_excuse(struct life *life)
{
    life->excused = true;
    life_give(life, 10);
    life->interrupted = true;
    world_tell("worker-%u.%u is excused", life->slot, life->number);
}

void
life_reopen(struct life *life)
{
    life->reopen = true;
    life->interrupted = true;
}

void
life_pause(struct life *life, int64_t until_ns)
{
    life->paused_ns = world.now_ns;
    life->paused_until_ns = until_ns;
    world_tell("worker-%u.%u stands still for %.1f s", life->slot, life->number,
               (double)(until_ns - world.now_ns) / 1e9);
}

void
life_begin_work(struct life *life)
{
    life->busy++;
}

void
life_end_work(struct life *life)
{
    if (--life->busy == 0)
        life->idle_ns = world.now_ns;
}

void
life_note_settled(struct life *life, uint64_t n)
{
    life->settled += n;
    life->settled_ns = world.now_ns;
}

uint64_t
life_figure(const struct life *life, enum stat_value value)
{
    const struct shm_slot *slot = segment_slot(&segment, life->args.slot);
    return shm_load(&slot->copies[shm_load(&slot->seq) >> 1 & 1][SHM_WORD_VALUES + value]);
}

int64_t
life_heartbeat_ms(const struct life *life)
{
    return ledger_heartbeat_ms(ledger, life->args.slot);
}
