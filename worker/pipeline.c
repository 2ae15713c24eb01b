/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline.c - see pipeline.h. */
#include "worker/pipeline.h"

#include <stdlib.h>
#include <unistd.h>

#include "kafka/consume.h"
#include "kafka/kafka_conf.h"
#include "lib/array.h"
#include "lib/backoff.h"
#include "lib/clock.h"
#include "lib/fiber.h"
#include "lib/job.h"
#include "lib/log.h"
#include "record/decode.h"
#include "worker/dead_letter.h"

enum {
    RETRY_FIRST_MS = 200, /* backoff while the store is sick */
    RETRY_CAP_MS = 10000,
    HANGS_MS = 1000, /* a disk that takes longer may not come back */
    OPEN_MS = 1000   /* a transaction is held open so long for the dead letters */
};

/* Who writes or buries: a fiber, and what it has met with. */
struct hand {
    struct pipeline *p;
    struct fiber *fiber;
    struct store_hooks hooks; /* it waits by */
    struct jobs *jobs;        /* for what may block: looking up names, a disk */
    const char *name;         /* of whom it waits for */
    struct backoff backoff;
    int64_t retry_ms; /* not before then */
    bool sick;        /* the last attempt failed; said once until it succeeds */
    struct errbuf sickness;
};

/* Partitions to be taken over. */
struct claim {
    enum { CLAIM_NONE, CLAIM_WANTED, CLAIM_ENDED } state;
    const char *cluster_id;
    struct store_position *positions;
    size_t n;
    enum store_status status;
};

struct pipeline {
    const struct config *cfg;
    enum topic_kind kind;
    struct recorder *recorder;
    struct decoder *decoder;
    struct store *store;
    struct dead_letters *dead;
    struct window window;
    size_t load_bytes; /* a batch is closed when its load has so many */
    struct fibers *fibers;
    struct hand writer, burier;
    struct claim claim;
    size_t largest_bytes; /* the payload of the largest message that came last */
    int64_t give_up_ms; /* when waits have to end; INT64_MAX: never */
    bool writing;       /* an attempt is under way */
    bool fenced;        /* all in hand has to be given back, and claimed anew */
    bool broken; /* memory is out */
    struct store_position *ends; /* of a batch's partitions, for a store that keeps the offsets */
    size_t capacity_ends;
    struct log_limit reject_limit;
};

/* --- trouble --- */

/* What is waited for is shown: the store's trouble first. */
static void
show_wait(const struct pipeline *p)
{
    const struct hand *hand = p->writer.sick ? &p->writer : &p->burier;
    if (hand->sick)
        recorder_set_wait(p->recorder, hand->name, hand->sickness.text);
    else
        recorder_set_wait(p->recorder, NULL, NULL);
}

static void
note_sick(struct hand *hand, const struct errbuf *err)
{
    struct pipeline *p = hand->p;
    recorder_add(p->recorder, STAT_STORE_ERRORS, 1);
    if (!hand->sick || strcmp(hand->sickness.text, err->text) != 0)
        log_error("%s; waiting with %u messages in hand", err->text, window_rows(&p->window));
    hand->sick = true;
    hand->sickness = *err;
    hand->retry_ms = clock_mono_ms() + backoff_next(&hand->backoff);
    show_wait(p);
}

static void
note_recovered(struct hand *hand)
{
    if (hand->sick)
        log_notice("writing again, after %u tries", hand->backoff.tries + 1);
    hand->sick = false;
    hand->retry_ms = 0;
    backoff_reset(&hand->backoff);
    show_wait(hand->p);
}

/* store_hooks.wait */
static bool
wait_on_fiber(void *arg, struct pollfd *fds, size_t n, int64_t until_ms)
{
    const struct hand *hand = arg;
    int64_t give_up_ms = hand->p->give_up_ms;
    if (clock_mono_ms() >= give_up_ms)
        return false;
    fiber_wait(fds, n, until_ms < give_up_ms ? until_ms : give_up_ms);
    return clock_mono_ms() < hand->p->give_up_ms;
}

/* store_hooks.offload */
static bool
offload(void *arg, void (*run)(void *job_arg), void (*free_arg)(void *job_arg), void *job_arg)
{
    struct hand *hand = arg;
    return jobs_run(hand->jobs, run, free_arg, job_arg, wait_on_fiber, hand);
}

/* Returns: whether a hand may begin something now. */
static bool
may_begin(const struct hand *hand)
{
    int64_t now_ms = clock_mono_ms();
    return !hand->p->broken && !hand->p->fenced && now_ms >= hand->retry_ms &&
           now_ms < hand->p->give_up_ms;
}

/* Until there may be something to do: the time of a retry, or somebody wakes it. */
static void
rest(struct hand *hand)
{
    int64_t until_ms = hand->retry_ms > clock_mono_ms() ? hand->retry_ms : INT64_MAX;
    fiber_wait(NULL, 0, until_ms);
}

static bool
is_transactional(const struct pipeline *p)
{
    return p->store->ops->claim != NULL;
}

/* --- burying --- */

static void
log_reject(struct pipeline *p, const struct batch *batch, const struct entry *entry)
{
    const struct reject *why = &batch->rejects[entry->why];
    uint64_t held_back;
    if (!log_limit_pass(&p->reject_limit, clock_mono_ms(), &held_back))
        return;
    if (held_back > 0)
        log_warning("%llu more messages rejected since", (unsigned long long)held_back);
    log_warning("rejected %s[%d]@%lld: %s: %s", p->cfg->topic[p->kind].topic,
                (int)entry->message.partition, (long long)entry->message.offset,
                reject_name(why->reason), why->detail);
}

static enum store_status
write_letters(struct pipeline *p, struct batch *batch, struct errbuf *err)
{
    struct dead_letter *letters = calloc(batch->in_state[ENTRY_REFUSED], sizeof(*letters));
    size_t n = 0;
    if (letters == NULL) {
        errbuf_set(err, "dead letters: out of memory");
        return STORE_SICK;
    }
    for (uint32_t row = 0; row < batch->n; row++) {
        struct entry *entry = &batch->entries[row];
        if (entry->state == ENTRY_REFUSED)
            letters[n++] = (struct dead_letter){&entry->message, &batch->rejects[entry->why]};
    }
    enum store_status status = dead_letters_write(p->dead, letters, n, err);
    free(letters);
    return status;
}

/* Makes a batch's refused rows durable in the dead letters. */
static void
bury(struct pipeline *p, struct batch *batch)
{
    struct errbuf err = {.text = ""};
    recorder_add(p->recorder, STAT_STORE_RETRIES, p->burier.sick);
    batch->burying = true;
    enum store_status status = write_letters(p, batch, &err);
    batch->burying = false;
    if (status == STORE_SICK) {
        batch->tries++;
        note_sick(&p->burier, &err);
    }
    if (status != STORE_DONE)
        return;
    note_recovered(&p->burier);
    for (uint32_t row = 0; row < batch->n; row++)
        if (batch->entries[row].state == ENTRY_REFUSED)
            log_reject(p, batch, &batch->entries[row]);
    batch_bury(batch);
    if (!is_transactional(p))
        window_note(&p->window, batch, BATCH_DURABLE);
}

static void
run_burier(void *arg)
{
    struct pipeline *p = arg;
    for (;;) {
        struct batch *batch = may_begin(&p->burier) ? window_to_bury(&p->window) : NULL;
        if (batch != NULL) {
            bury(p, batch);
            fiber_wake(p->writer.fiber);
        } else {
            rest(&p->burier);
        }
    }
}

/* --- writing --- */

static enum store_status
finish_write(struct pipeline *p, struct batch *batch, enum store_status status, int64_t began_ns)
{
    int64_t ended_ns = clock_mono_ns();
    recorder_time(p->recorder, STAT_WRITE, ended_ns - began_ns, 1);
    batch_stamp_stored(batch, ended_ns);
    p->writing = false;
    bool unsettled = status == STORE_DONE && batch->in_state[ENTRY_PENDING] > 0;
    if (batch->starved || unsettled) { /* settling ran out of memory */
        p->broken = true;
        status = STORE_STOPPED;
    }
    return status;
}

static void
begin_write(struct pipeline *p, struct batch *batch)
{
    if (batch->tries > 0)
        recorder_add(p->recorder, STAT_STORE_RETRIES, 1);
    p->writing = true;
    window_note(&p->window, batch, BATCH_WRITING);
}

/* A store that does not keep the offsets. */
static enum store_status
write_rows(struct pipeline *p, struct batch *batch, struct errbuf *err)
{
    struct store_write write = {.batch = batch};
    enum store_status status = STORE_DONE;
    int64_t began_ns = clock_mono_ns();
    begin_write(p, batch);
    if (batch->in_state[ENTRY_PENDING] > 0)
        status = p->store->ops->write(p->store, batch->load, &write, err);
    status = finish_write(p, batch, status, began_ns);
    if (status != STORE_DONE)
        window_note(&p->window, batch, BATCH_READY);
    else if (batch->in_state[ENTRY_REFUSED] > 0)
        window_note(&p->window, batch, BATCH_JUDGED);
    else
        window_note(&p->window, batch, BATCH_DURABLE);
    return status;
}

static int
find_ends(struct pipeline *p, struct batch *batch, struct store_write *write)
{
    if (array_reserve(&p->ends, &p->capacity_ends, batch->n_parts, sizeof(*p->ends)) == -1)
        return -1;
    for (uint32_t i = 0; i < batch->n_parts; i++)
        p->ends[i] = (struct store_position){.partition = batch->parts[i].partition,
                                             .next = batch->parts[i].end,
                                             .last_ms = batch->parts[i].last_ms};
    *write = (struct store_write){
        .batch = batch, .positions = p->ends, .n_positions = batch->n_parts};
    return 0;
}

/* Whoever is hurried does not wait until the dead letters are well again. */
static bool
are_letters_hopeless(const struct pipeline *p, const struct batch *batch)
{
    return p->burier.sick && !batch->burying && p->give_up_ms != INT64_MAX;
}

/*
 * Waits for the dead letters of a batch.
 * Returns: whether all are durable; not before until_ms, else, if they may be yet.
 */
static bool
wait_for_letters(struct pipeline *p, const struct batch *batch, int64_t until_ms)
{
    fiber_wake(p->burier.fiber);
    while (batch->in_state[ENTRY_REFUSED] > 0 || batch->burying) {
        int64_t now_ms = clock_mono_ms();
        if (now_ms >= until_ms || now_ms >= p->give_up_ms || p->broken ||
            are_letters_hopeless(p, batch))
            return false;
        fiber_wait(NULL, 0, until_ms < p->give_up_ms ? until_ms : p->give_up_ms);
    }
    return true;
}

/* Of a store that keeps the offsets: all at once, and only with what was refused durable, too. */
static enum store_status
commit_rows(struct pipeline *p, struct batch *batch, const struct store_write *write,
            struct errbuf *err)
{
    if (batch->starved) { /* a row is neither in the transaction nor to be buried */
        p->store->ops->abandon(p->store);
        return STORE_STOPPED;
    }
    window_note(&p->window, batch, BATCH_JUDGED);
    if (wait_for_letters(p, batch, clock_mono_ms() + OPEN_MS))
        return p->store->ops->commit(p->store, batch->load, write, err);
    /* The next owner may want what the transaction holds. It is written again, then. */
    p->store->ops->abandon(p->store);
    if (wait_for_letters(p, batch, INT64_MAX) || !are_letters_hopeless(p, batch))
        return STORE_STOPPED;
    *err = p->burier.sickness;
    return STORE_SICK;
}

/* A store that keeps the offsets. */
static enum store_status
write_transaction(struct pipeline *p, struct batch *batch, struct errbuf *err)
{
    struct store_write write;
    int64_t began_ns = clock_mono_ns();
    if (find_ends(p, batch, &write) == -1) {
        p->broken = true;
        return STORE_STOPPED;
    }
    begin_write(p, batch);
    enum store_status status = p->store->ops->write(p->store, batch->load, &write, err);
    if (status == STORE_DONE)
        status = commit_rows(p, batch, &write, err);
    status = finish_write(p, batch, status, began_ns);
    window_note(&p->window, batch, status == STORE_DONE ? BATCH_DURABLE : BATCH_READY);
    return status;
}

static void
write_batch(struct pipeline *p, struct batch *batch)
{
    struct errbuf err = {.text = ""};
    batch->held = true;
    enum store_status status =
        is_transactional(p) ? write_transaction(p, batch, &err) : write_rows(p, batch, &err);
    batch->held = false;
    if (status == STORE_DONE) {
        note_recovered(&p->writer);
    } else if (status == STORE_SICK) {
        batch->tries++;
        note_sick(&p->writer, &err);
    } else if (status == STORE_FENCED) {
        p->fenced = true;
    }
}

static void
take_over(struct pipeline *p)
{
    struct errbuf err = {.text = ""};
    struct claim *claim = &p->claim;
    claim->status = p->store->ops->claim(p->store, claim->cluster_id, claim->positions, claim->n,
                                         &err);
    if (claim->status == STORE_DONE)
        note_recovered(&p->writer);
    else if (claim->status == STORE_SICK)
        note_sick(&p->writer, &err);
    claim->state = CLAIM_ENDED;
}

static void
run_writer(void *arg)
{
    struct pipeline *p = arg;
    for (;;) {
        struct batch *batch = may_begin(&p->writer) ? window_to_write(&p->window) : NULL;
        if (p->claim.state == CLAIM_WANTED) {
            take_over(p);
        } else if (batch != NULL) {
            write_batch(p, batch);
            fiber_wake(p->burier.fiber);
        } else {
            rest(&p->writer);
        }
    }
}

/* --- taking messages in --- */

/* A fetch that is larger than what the batch may hold would be in memory all the same. */
uint32_t
pipeline_room(struct pipeline *p)
{
    const struct batch *batch = p->broken || p->fenced ? NULL : window_filling(&p->window);
    return batch != NULL ? batch_room(batch, p->largest_bytes) : 0;
}

/* Seconds since 1970 as ns; what no clock says is unknown. */
static int64_t
created_ns(double seconds)
{
    const double year_2200 = 7258118400;
    return seconds > 0 && seconds < year_2200 ? (int64_t)(seconds * 1e9) : ENTRY_TIME_UNKNOWN;
}

/* Decodes one message and hands it to the store. */
static void
take(struct pipeline *p, struct batch *batch, struct message *message, int64_t now_ms)
{
    struct record record;
    struct reject why;
    const struct reject *unreadable = message->unreadable;
    message->unreadable = NULL; /* it holds no longer than this turn */
    int64_t row = p->broken ? -1 : batch_add(batch, message, now_ms);
    if (row == -1) { /* out of memory: nothing after it may be taken either */
        p->broken = true;
        consumer_release(message);
        recorder_add(p->recorder, STAT_RETURNED, 1);
        recorder_add(p->recorder, STAT_RETURNED_STOPPED, 1);
        return;
    }
    enum store_added added = STORE_REFUSED;
    if (unreadable != NULL)
        why = *unreadable;
    else if ((int64_t)message->payload.n > p->cfg->persister.max_message_bytes)
        reject_set(&why, REJECT_TOO_LARGE, "%zu bytes; max_message_bytes is %lld",
                   message->payload.n, (long long)p->cfg->persister.max_message_bytes);
    else if (decoder_decode(p->decoder, p->kind, message->payload, &record, &why) == 0) {
        added = p->store->ops->add(p->store, batch->load, &record, (uint32_t)row, &why);
        batch->entries[row].created_ns = created_ns(record.creation_time);
    }
    if (added == STORE_NO_MEMORY ||
        (added == STORE_REFUSED && batch_settle(batch, (uint32_t)row, &why) == -1))
        p->broken = true; /* the row stays pending and is given back */
}

void
pipeline_take(struct pipeline *p, struct message *messages, size_t n, int64_t polled_ns)
{
    struct batch *batch = window_filling(&p->window);
    uint64_t bytes = 0;
    p->largest_bytes = 1;
    for (size_t i = 0; i < n; i++) {
        messages[i].polled_ns = polled_ns;
        bytes += messages[i].payload.n;
        if (messages[i].payload.n > p->largest_bytes)
            p->largest_bytes = messages[i].payload.n;
        take(p, batch, &messages[i], polled_ns / 1000000);
    }
    recorder_add(p->recorder, STAT_BYTES_IN, bytes);
    recorder_time(p->recorder, STAT_DECODE, clock_mono_ns() - polled_ns, 1);
    recorder_add(p->recorder, STAT_RECEIVED, n);
    recorder_set(p->recorder, STAT_IN_FLIGHT, window_rows(&p->window));
    recorder_publish(p->recorder);
}

/* --- turns --- */

void
pipeline_flush(struct pipeline *p)
{
    if (window_close_all(&p->window))
        fiber_wake(p->writer.fiber);
}

void
pipeline_turn(struct pipeline *p)
{
    const struct batch *last = p->window.n > 0 ? window_at(&p->window, p->window.n - 1) : NULL;
    if (last != NULL && last->stage == BATCH_FILLING &&
        p->store->ops->bytes(last->load) >= p->load_bytes)
        pipeline_flush(p);
    else if (window_close_due(&p->window, clock_mono_ms()))
        fiber_wake(p->writer.fiber);
    fibers_run(p->fibers);
}

void
pipeline_sleep(struct pipeline *p, struct pollfd *own, size_t n_own, int64_t until_ms)
{
    int64_t now_ms = clock_mono_ms();
    int64_t wait_ms = window_wait_ms(&p->window, now_ms);
    if (wait_ms != INT64_MAX && now_ms + wait_ms < until_ms)
        until_ms = now_ms + wait_ms;
    fibers_sleep(p->fibers, own, n_own, until_ms);
}

void
pipeline_hurry(struct pipeline *p, int64_t until_ms)
{
    if (until_ms == p->give_up_ms)
        return;
    p->give_up_ms = until_ms;
    fiber_wake(p->writer.fiber);
    fiber_wake(p->burier.fiber);
}

static bool
is_held(struct pipeline *p)
{
    for (unsigned i = 0; i < p->window.n; i++)
        if (window_at(&p->window, i)->held || window_at(&p->window, i)->burying)
            return true;
    return false;
}

bool
pipeline_rests(struct pipeline *p)
{
    if (is_held(p) || p->claim.state == CLAIM_WANTED)
        return false;
    bool goes_on = !p->broken && !p->fenced && clock_mono_ms() < p->give_up_ms;
    return !goes_on || ((p->writer.sick || window_to_write(&p->window) == NULL) &&
                        (p->burier.sick || window_to_bury(&p->window) == NULL));
}

/* --- batches that leave --- */

struct batch *
pipeline_done(struct pipeline *p)
{
    return window_to_retire(&p->window);
}

void
pipeline_retire(struct pipeline *p)
{
    struct batch *batch = window_to_retire(&p->window);
    p->store->ops->load_reset(p->store, batch->load);
    window_retire(&p->window);
    fiber_wake(p->writer.fiber);
}

struct batch *
pipeline_to_drop(struct pipeline *p)
{
    return window_to_drop(&p->window);
}

void
pipeline_dropped(struct pipeline *p)
{
    struct batch *batch = window_to_drop(&p->window);
    p->store->ops->load_reset(p->store, batch->load);
    window_drop(&p->window);
}

/* --- claims --- */

void
pipeline_claim(struct pipeline *p, const char *cluster_id, struct store_position *positions,
               size_t n)
{
    assert(p->claim.state == CLAIM_NONE);
    p->claim = (struct claim){CLAIM_WANTED, cluster_id, positions, n, STORE_STOPPED};
    fiber_wake(p->writer.fiber);
}

bool
pipeline_claimed(struct pipeline *p, enum store_status *status)
{
    if (p->claim.state != CLAIM_ENDED)
        return false;
    *status = p->claim.status;
    p->claim.state = CLAIM_NONE;
    return true;
}

bool
pipeline_take_fenced(struct pipeline *p)
{
    bool fenced = p->fenced && !is_held(p);
    if (fenced)
        p->fenced = false;
    return fenced;
}

/* --- what it is doing --- */

struct window *
pipeline_window(struct pipeline *p)
{
    return &p->window;
}

bool
pipeline_is_sick(const struct pipeline *p)
{
    return p->writer.sick || p->burier.sick;
}

bool
pipeline_hangs(const struct pipeline *p, int64_t now_ms)
{
    return jobs_busy_ms(p->burier.jobs, now_ms) > HANGS_MS;
}

bool
pipeline_is_writing(const struct pipeline *p)
{
    return p->writing;
}

bool
pipeline_claims(const struct pipeline *p)
{
    return is_transactional(p);
}

bool
pipeline_is_broken(const struct pipeline *p)
{
    return p->broken;
}

void
pipeline_reopen(struct pipeline *p)
{
    dead_letters_reopen(p->dead);
}

/* --- life --- */

static void
init_hand(struct pipeline *p, struct hand *hand, const char *name, const char *jobs)
{
    *hand = (struct hand){.p = p, .name = name, .jobs = jobs_new(jobs)};
    hand->hooks = (struct store_hooks){.wait = wait_on_fiber, .offload = offload, .arg = hand};
    backoff_init(&hand->backoff, RETRY_FIRST_MS, RETRY_CAP_MS,
                 (uint64_t)clock_mono_ns() ^ (uint64_t)getpid() << 32);
}

static void
init_window(struct pipeline *p, bool careful)
{
    unsigned depth = careful ? 1 : (unsigned)p->cfg->persister.batches_in_flight;
    struct batch_limits limits = {
        .count = (uint32_t)p->cfg->topic[p->kind].batch_size,
        .bytes = kafka_conf_batch_bytes(p->cfg) / depth,
        .age_ms = careful ? 0 : p->cfg->topic[p->kind].max_wait_time_seconds * 1000};
    window_init(&p->window, depth, &limits, is_transactional(p));
    p->largest_bytes = limits.bytes; /* until it is known: one by one */
    p->load_bytes = ((size_t)p->cfg->persister.memory_limit_mb << 16) * 3 / depth;
}

static int
make_loads(struct pipeline *p)
{
    for (unsigned i = 0; i < p->window.depth; i++) {
        p->window.batches[i].load = p->store->ops->load_new(p->store);
        if (p->window.batches[i].load == NULL)
            return -1;
    }
    return 0;
}

static int
make_fibers(struct pipeline *p)
{
    p->fibers = fibers_new(NULL);
    if (p->fibers == NULL)
        return -1;
    p->writer.fiber = fibers_add(p->fibers, run_writer, p);
    p->burier.fiber = fibers_add(p->fibers, run_burier, p);
    return p->writer.fiber == NULL || p->burier.fiber == NULL ? -1 : 0;
}

/* An eighth of the memory is for the series of metrics. */
static struct decoder *
make_decoder(const struct config *cfg, enum topic_kind kind)
{
    struct decoder *decoder = decoder_new((size_t)cfg->persister.max_message_bytes);
    if (decoder != NULL && kind == TOPIC_METRICS &&
        decoder_remember(decoder, (size_t)cfg->persister.memory_limit_mb << 17) == -1)
        decoder_free(&decoder);
    return decoder;
}

struct pipeline *
pipeline_new(const struct config *cfg, enum topic_kind kind, struct recorder *recorder,
             bool careful, struct errbuf *err)
{
    struct pipeline *p = calloc(1, sizeof(*p));
    const struct store_ops *ops = store_find(cfg_topic_driver(cfg, kind));
    errbuf_set(err, "out of memory");
    if (p == NULL)
        return NULL;
    p->cfg = cfg;
    p->kind = kind;
    p->recorder = recorder;
    p->give_up_ms = INT64_MAX;
    p->reject_limit = (struct log_limit){.burst = 10, .interval_ms = 10000};
    init_hand(p, &p->writer, ops != NULL ? ops->name : "", "names");
    init_hand(p, &p->burier, "dead_letters", "disk");
    p->decoder = make_decoder(cfg, kind);
    p->dead = dead_letters_new(cfg, kind, &p->burier.hooks);
    if (ops == NULL)
        errbuf_set(err, "this build has no such store");
    else if (p->decoder != NULL && p->dead != NULL && p->writer.jobs != NULL &&
             p->burier.jobs != NULL)
        p->store = ops->open(cfg, kind, &p->writer.hooks, err);
    if (p->store != NULL) {
        init_window(p, careful);
        if (make_loads(p) == 0 && make_fibers(p) == 0)
            return p;
        errbuf_set(err, "out of memory");
    }
    pipeline_free(&p);
    return NULL;
}

void
pipeline_free(struct pipeline **pipeline)
{
    struct pipeline *p = *pipeline;
    if (p == NULL)
        return;
    fibers_free(&p->fibers);
    for (unsigned i = 0; p->store != NULL && i < p->window.depth; i++)
        if (p->window.batches[i].load != NULL)
            p->store->ops->load_free(p->store, &p->window.batches[i].load);
    if (p->store != NULL)
        p->store->ops->close(&p->store);
    window_free(&p->window);
    dead_letters_free(&p->dead);
    jobs_abandon(&p->writer.jobs);
    jobs_abandon(&p->burier.jobs);
    decoder_free(&p->decoder);
    free(p->ends);
    free(p);
    *pipeline = NULL;
}
