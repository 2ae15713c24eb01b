/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.c - the loop that joins consume, decode, batch, store and dead letters.
 *
 * A batch goes through settle_attempt() until all of it is settled: the store takes or refuses each
 * row, the refused go to the dead letters, and only then are the counters moved and the offsets
 * committed, in that order.  While the store or the dead letters are sick, the worker waits with
 * the batch in hand, serving Kafka's control events but fetching nothing.  Whenever partitions go
 * (rebalance, stop), what is settled is committed and the rest is given back: forgotten here, and
 * read again by whoever owns the partition next.
 *
 * Process: worker.  Owner: struct worker, on worker_run's stack.  Concurrency: one thread.
 */
#include "worker/worker.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/backoff.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "store/store.h"
#include "worker/autopsy.h"
#include "batch/batch.h"
#include "kafka/consume.h"
#include "worker/dead_letter.h"
#include "record/decode.h"
#include "worker/figures.h"
#include "kafka/kafka_conf.h"
#include "worker/memory.h"
#include "worker/settle.h"
#include "worker/signals.h"

enum {
    SERVE_MS = 100,       /* the longest the worker sleeps without looking around */
    RETRY_FIRST_MS = 200, /* backoff while the store is sick */
    RETRY_CAP_MS = 10000,
    REVOKE_MS = 20000, /* a batch is given back after that if it cannot be written on revoke */
    COMMIT_MS = 5000,  /* for the answer to a commit on revoke and stop */
    CLOSE_MS = 5000,   /* for leaving the group */
    LEVELS_MS = 100,   /* between two looks at what only has a level */
    MEMORY_MS = 1000
};

/* --- looking around --- */

static void
reopen_files(struct worker *w)
{
    struct errbuf err;
    if (log_reopen(&err) == -1)
        log_error("%s", err.text);
    dead_letters_reopen(w->dead);
}

static void
notice_stop(struct worker *w)
{
    unsigned stops = signals_stops();
    if (stops == 0)
        return;
    int64_t allowed_ms = w->cfg->persister.shutdown_timeout_seconds * 1000;
    if (w->stop_ms == INT64_MAX)
        w->stop_ms = clock_mono_ms() + allowed_ms;
    /* A fifth of the time is kept for committing and leaving the group. */
    int64_t write_until = stops > 1 ? 0 : w->stop_ms - allowed_ms / 5;
    w->give_up_ms = write_until < w->give_up_ms ? write_until : w->give_up_ms;
}

/* What only has a level is looked at now and then. */
static void
show_levels(struct worker *w)
{
    int64_t now = clock_mono_ms();
    if (now < w->levels_due_ms)
        return;
    w->levels_due_ms = now + LEVELS_MS;
    figures_show_batch(w->recorder, &w->batch, w->tries, now, clock_wall_ms());
    if (now >= w->memory_due_ms) {
        recorder_set(w->recorder, STAT_MEMORY_BYTES, memory_resident_bytes());
        w->memory_due_ms = now + MEMORY_MS;
    }
    if (w->consumer != NULL)
        consumer_update_lag(w->consumer, now, w->sick || w->in_write);
    recorder_publish(w->recorder);
}

/* Called all the time, also from within waits: tells the master that we live. */
static void
housekeep(struct worker *w)
{
    recorder_beat(w->recorder);
    show_levels(w);
    notice_stop(w);
}

static void
tick(void *arg)
{
    housekeep(arg);
}

static bool
keep_waiting(void *arg)
{
    struct worker *w = arg;
    housekeep(w);
    return clock_mono_ms() < w->give_up_ms;
}

static bool
must_leave(const struct worker *w)
{
    return w->broken || w->excused || signals_stops() > 0;
}

static void
show_state(struct worker *w)
{
    enum slot_state state = must_leave(w)                           ? SLOT_DRAINING
                            : !consumer_has_reached(w->consumer)    ? SLOT_STARTING
                            : !consumer_has_joined(w->consumer)     ? SLOT_JOINING
                            : w->sick && w->batch.n > 0             ? SLOT_RETRYING
                            : consumer_partitions(w->consumer) == 0 ? SLOT_IDLE
                                                                    : SLOT_CONSUMING;
    recorder_set_state(w->recorder, state);
}

/* --- one turn --- */

static void
serve(struct worker *w, int wait_ms)
{
    struct errbuf err;
    if (consumer_serve(w->consumer, wait_ms, &err) == -1 && !w->broken) {
        log_error("%s", err.text);
        w->broken = true;
    }
    housekeep(w);
    if (signals_take_reopen())
        reopen_files(w);
    show_state(w);
}

/* Waits for the next try, as long as there is something to try again. */
static void
wait_to_retry(struct worker *w)
{
    int64_t until = clock_mono_ms() + backoff_next(&w->backoff);
    while (w->batch.n > 0 && !must_leave(w) && clock_mono_ms() < until)
        serve(w, SERVE_MS);
}

/* Writes the batch, however long it takes; ends early when it was given back or the worker leaves.
 */
static void
flush_batch(struct worker *w)
{
    while (w->batch.n > 0 && !must_leave(w)) {
        enum store_status status = settle_attempt(w);
        show_state(w);
        if (status == STORE_DONE) {
            settle_finish_batch(w, STAT_RETURNED_STOPPED);
            consumer_commit(w->consumer);
        } else if (status == STORE_SICK) {
            wait_to_retry(w);
        } else if (status == STORE_FENCED) {
            log_warning("claiming the partitions anew; giving %u messages back", w->batch.n);
            settle_end_batch(w, STAT_RETURNED_FENCED);
            consumer_claim_again(w->consumer);
        }
    }
}

/*
 * The partitions go: a last attempt unless the store is known to be sick, then what is settled is
 * committed (unless somebody else may own it already) and the rest is given back.
 */
static void
let_go(struct worker *w, bool lost, int64_t write_until)
{
    if (w->batch.n > 0 && !lost && !w->sick && !w->broken) {
        int64_t give_up = w->give_up_ms;
        w->give_up_ms = write_until < give_up ? write_until : give_up;
        (void)settle_attempt(w);
        show_state(w);
        w->give_up_ms = give_up;
        notice_stop(w); /* one that was asked for meanwhile */
    }
    if (lost) {
        settle_end_batch(w, STAT_RETURNED_LOST);
        return;
    }
    settle_finish_batch(w, must_leave(w) ? STAT_RETURNED_STOPPED : STAT_RETURNED_REVOKED);
    consumer_commit(w->consumer);
    int64_t commit_until = clock_mono_ms() + COMMIT_MS;
    if (!consumer_settle_commits(w->consumer,
                                 commit_until < w->stop_ms ? commit_until : w->stop_ms))
        log_warning("offsets could not be committed in time; messages will be read again");
}

static enum store_status
on_claim(void *arg, const char *cluster_id, struct store_position *positions, size_t n)
{
    struct worker *w = arg;
    struct errbuf err = {.text = ""};
    w->wait_on = w->store->ops->name;
    enum store_status status = w->store->ops->claim(w->store, cluster_id, positions, n, &err);
    if (status == STORE_DONE)
        settle_note_recovered(w);
    else if (status == STORE_SICK)
        settle_note_sick(w, &err);
    return status;
}

static bool
on_revoked(void *arg, bool lost)
{
    struct worker *w = arg;
    /* Before the batch is written: the master then has the others leave meanwhile. */
    if (signals_excused() && !w->excused) {
        log_info("others take over; leaving");
        w->excused = true;
        recorder_set_state(w->recorder, SLOT_DRAINING);
        recorder_publish(w->recorder);
    }
    let_go(w, lost, clock_mono_ms() + REVOKE_MS);
    return must_leave(w);
}

/* --- taking messages in --- */

/* Seconds since 1970 as ns; what no clock says is unknown. */
static int64_t
created_ns(double seconds)
{
    const double year_2200 = 7258118400;
    return seconds > 0 && seconds < year_2200 ? (int64_t)(seconds * 1e9) : ENTRY_TIME_UNKNOWN;
}

/* Decodes one message and hands it to the store. */
static void
take(struct worker *w, struct message *message, int64_t now_ms)
{
    struct record record;
    struct reject why;
    const struct reject *unreadable = message->unreadable;
    message->unreadable = NULL; /* it holds no longer than this turn */
    int64_t row = w->broken ? -1 : batch_add(&w->batch, message, now_ms);
    if (row == -1) { /* out of memory: nothing after it may be taken either */
        w->broken = true;
        consumer_release(message);
        recorder_add(w->recorder, STAT_RETURNED, 1);
        recorder_add(w->recorder, STAT_RETURNED_STOPPED, 1);
        return;
    }
    enum store_added added = STORE_REFUSED;
    if (unreadable != NULL)
        why = *unreadable;
    else if ((int64_t)message->payload.n > w->cfg->persister.max_message_bytes)
        reject_set(&why, REJECT_TOO_LARGE, "%zu bytes; max_message_bytes is %lld",
                   message->payload.n, (long long)w->cfg->persister.max_message_bytes);
    else if (decoder_decode(w->decoder, w->args->kind, message->payload, &record, &why) == 0) {
        added = w->store->ops->add(w->store, w->load, &record, (uint32_t)row, &why);
        w->batch.entries[row].created_ns = created_ns(record.creation_time);
    }
    if (added == STORE_REFUSED)
        settle_refused(w, (uint32_t)row, &why);
    else if (added == STORE_NO_MEMORY)
        w->broken = true;
}

static void
fetch(struct worker *w)
{
    struct message messages[CONSUMER_FETCH_MAX];
    int64_t now = clock_mono_ms();
    int64_t due = batch_wait_ms(&w->batch, now);
    uint32_t room = batch_room(&w->batch);
    size_t max = room < CONSUMER_FETCH_MAX ? room : CONSUMER_FETCH_MAX;
    size_t n = consumer_fetch(w->consumer, messages, max, due < SERVE_MS ? (int)due : SERVE_MS);
    if (n == 0)
        return;
    int64_t polled_ns = clock_mono_ns();
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        messages[i].polled_ns = polled_ns;
        bytes += messages[i].payload.n;
        take(w, &messages[i], polled_ns / 1000000);
    }
    recorder_add(w->recorder, STAT_BYTES_IN, bytes);
    recorder_time(w->recorder, STAT_DECODE, clock_mono_ns() - polled_ns, 1);
    recorder_add(w->recorder, STAT_RECEIVED, n);
    recorder_set(w->recorder, STAT_IN_FLIGHT, w->batch.n);
    recorder_publish(w->recorder);
}

static bool
is_due(const struct worker *w)
{
    size_t store_bytes = w->store->ops->bytes(w->load);
    return batch_due(&w->batch, clock_mono_ms()) ||
           (w->batch.n > 0 && store_bytes >= (size_t)w->cfg->persister.memory_limit_mb << 18);
}

static uint32_t
find_key(const struct worker *w)
{
    const struct cfg_topic *topic = &w->cfg->topic[w->args->kind];
    return hands_make_key(topic->uri, topic->topic, topic->group_id);
}

/* A careful worker is slow: once what it was careful for is passed, another takes its place. */
static void
end_care(struct worker *w)
{
    if (!w->careful || w->batch.n > 0 || hands_is_ahead(w->args->hands, find_key(w)))
        return;
    log_notice("what killed workers is reached or passed; leaving");
    w->broken = true;
}

static bool
goes_on(void *arg)
{
    return keep_waiting(arg) && signals_stops() == 0;
}

static void
look_for_killers(struct worker *w)
{
    if (w->args->hands == NULL)
        return;
    autopsy_run(w->args->hands, find_key(w), w->cfg, w->args->kind, goes_on, w);
    w->careful = hands_is_ahead(w->args->hands, find_key(w));
}

static void
run_loop(struct worker *w)
{
    while (!must_leave(w)) {
        serve(w, 0);
        if (is_due(w))
            flush_batch(w);
        else
            fetch(w);
        end_care(w);
    }
}

/* --- life --- */

static int
open_parts(struct worker *w, struct errbuf *err)
{
    const struct store_ops *ops = store_find(cfg_topic_driver(w->cfg, w->args->kind));
    if (ops == NULL)
        return errbuf_set(err, "this build has no such store");
    struct batch_limits limits = {.count = (uint32_t)w->cfg->topic[w->args->kind].batch_size,
                                  .bytes = kafka_conf_batch_bytes(w->cfg),
                                  .age_ms =
                                      w->cfg->topic[w->args->kind].max_wait_time_seconds * 1000};
    if (w->careful)
        limits.age_ms = 0; /* durable before more is fetched */
    batch_init(&w->batch, &limits);
    w->decoder = decoder_new((size_t)w->cfg->persister.max_message_bytes);
    w->dead = dead_letters_new(w->cfg, w->args->kind, &w->store_hooks);
    if (w->decoder == NULL || w->dead == NULL)
        return errbuf_set(err, "out of memory");
    w->store = ops->open(w->cfg, w->args->kind, &w->store_hooks, err);
    if (w->store == NULL)
        return -1;
    w->load = ops->load_new(w->store);
    if (w->load == NULL)
        return errbuf_set(err, "out of memory");
    struct consumer_hooks hooks = {.revoked = on_revoked,
                                   .claim = ops->claim != NULL ? on_claim : NULL,
                                   .hands = w->args->hands,
                                   .slot = w->args->slot,
                                   .key = find_key(w),
                                   .careful = w->careful,
                                   .tick = tick,
                                   .arg = w};
    w->consumer = consumer_open(w->cfg, w->args->kind, w->recorder, &hooks, w->args->hold_ms, err);
    return w->consumer == NULL ? -1 : 0;
}

static void
close_parts(struct worker *w)
{
    if (w->consumer != NULL) {
        recorder_set_state(w->recorder, SLOT_DRAINING);
        let_go(w, false, w->give_up_ms);
        /* Not up to the last moment, when the master would kill us. */
        int64_t until = clock_mono_ms() + CLOSE_MS;
        int64_t last = w->stop_ms == INT64_MAX
                           ? until
                           : w->stop_ms - w->cfg->persister.shutdown_timeout_seconds * 100;
        if (!consumer_close(&w->consumer, until < last ? until : last))
            log_warning("did not leave the group in time");
    }
    if (w->load != NULL)
        w->store->ops->load_free(w->store, &w->load);
    if (w->store != NULL)
        w->store->ops->close(&w->store);
    dead_letters_free(&w->dead);
    decoder_free(&w->decoder);
    batch_free(&w->batch);
    free(w->ends);
}

int
worker_run(const struct worker_args *args)
{
    struct worker w = {.args = args,
                       .cfg = args->cfg,
                       .recorder = recorder_new(args->segment, args->slot),
                       .give_up_ms = INT64_MAX,
                       .stop_ms = INT64_MAX,
                       .reject_limit = {.burst = 10, .interval_ms = 10000}};
    struct errbuf err = {.text = ""};
    w.look = (struct store_look){.look = keep_waiting, .arg = &w};
    w.store_hooks = (struct store_hooks){.wait = store_wait_and_look, .arg = &w.look};
    backoff_init(&w.backoff, RETRY_FIRST_MS, RETRY_CAP_MS,
                 (uint64_t)clock_mono_ns() ^ (uint64_t)getpid() << 32);
    if (w.recorder == NULL) {
        log_error("out of memory");
        return WORKER_EXIT_SICK;
    }
    housekeep(&w);
    signals_catch();
    memory_return_large();
    look_for_killers(&w);
    if (open_parts(&w, &err) == -1) {
        log_error("%s", err.text);
        w.broken = true;
    } else {
        log_info("started");
        run_loop(&w);
    }
    close_parts(&w);
    recorder_publish(w.recorder);
    recorder_free(&w.recorder);
    log_info("stopped");
    return w.broken ? WORKER_EXIT_SICK : WORKER_EXIT_DONE;
}
