/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.c - the loop that joins Kafka's consumer and the pipeline.
 *
 * A turn serves Kafka, lets the pipeline go on, takes out what is durable, and takes messages in as
 * far as there is room.  A batch that is done with is counted, and only then its offsets are noted
 * and committed.  While the store is sick, the worker waits with what it has in hand, serving
 * Kafka's control events.  Whenever partitions go (rebalance, stop), what is settled is committed
 * and the rest is given back: forgotten here, and read again by whoever owns the partition next.
 *
 * Process: worker.  Owner: struct worker, on worker_run's stack.  Concurrency: one thread.
 */
#include "worker/worker.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "batch/window.h"
#include "kafka/consume.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "worker/autopsy.h"
#include "worker/figures.h"
#include "worker/memory.h"
#include "worker/pipeline.h"
#include "worker/signals.h"

enum {
    SERVE_MS = 100,    /* the longest the worker sleeps without looking around */
    SLICE = 256,       /* messages that are taken in one turn */
    REVOKE_MS = 20000, /* a batch is given back after that if it cannot be written on revoke */
    CLAIM_MS = 60000,  /* a claim is given up after that, and Kafka is served before the next */
    CLOSE_MS = 10000,  /* for the last commit's answer and leaving the group */
    LEVELS_MS = 100,   /* between two looks at what only has a level */
    MEMORY_MS = 1000
};

struct worker {
    const struct worker_args *args;
    const struct config *cfg;
    struct recorder *recorder;
    struct consumer *consumer;
    struct pipeline *pipeline;
    int64_t give_up_ms; /* when waits for the store have to end; INT64_MAX: never */
    int64_t stop_ms;    /* when everything has to have ended; INT64_MAX until a stop is asked for */
    int64_t levels_due_ms, memory_due_ms;
    bool excused; /* others have taken over: leave */
    bool careful; /* there are offsets ahead that no worker survives */
    bool broken;  /* out of memory or a fatal error: leave, the master starts another */
};

/* --- looking around --- */

static void
reopen_files(struct worker *w)
{
    struct errbuf err;
    if (log_reopen(&err) == -1)
        log_error("%s", err.text);
    if (w->pipeline != NULL)
        pipeline_reopen(w->pipeline);
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

/* Nothing more can be taken in until a batch is done with. */
static bool
is_full(const struct worker *w)
{
    return pipeline_room(w->pipeline) == 0;
}

/* What only has a level is looked at now and then. */
static void
show_levels(struct worker *w)
{
    int64_t now = clock_mono_ms();
    if (now < w->levels_due_ms)
        return;
    w->levels_due_ms = now + LEVELS_MS;
    if (w->pipeline != NULL)
        figures_show_window(w->recorder, pipeline_window(w->pipeline), now, clock_wall_ms());
    if (now >= w->memory_due_ms) {
        recorder_set(w->recorder, STAT_MEMORY_BYTES, memory_resident_bytes());
        w->memory_due_ms = now + MEMORY_MS;
    }
    if (w->consumer != NULL)
        consumer_update_lag(w->consumer, now, is_full(w));
    recorder_publish(w->recorder);
}

/* A disk, or librdkafka, keeps us from working: perhaps another process fares better. */
static bool
hangs(struct worker *w)
{
    int64_t now_ms = clock_mono_ms();
    return (w->pipeline != NULL && pipeline_hangs(w->pipeline, now_ms)) ||
           (w->consumer != NULL && consumer_hangs(w->consumer, now_ms));
}

/* Called all the time: tells the master that we live. */
static void
housekeep(struct worker *w)
{
    if (!hangs(w))
        recorder_beat(w->recorder);
    show_levels(w);
    notice_stop(w);
}

static bool
must_leave(const struct worker *w)
{
    return w->broken || w->excused || signals_stops() > 0;
}

static void
show_state(struct worker *w)
{
    struct pipeline *p = w->pipeline;
    bool busy = window_rows(pipeline_window(p)) > 0;
    enum slot_state state = must_leave(w)                              ? SLOT_DRAINING
                            : !consumer_has_reached(w->consumer)       ? SLOT_STARTING
                            : !consumer_has_joined(w->consumer)        ? SLOT_JOINING
                            : pipeline_is_sick(p) && busy              ? SLOT_RETRYING
                            : pipeline_is_writing(p)                   ? SLOT_WRITING
                            : consumer_partitions(w->consumer) == 0    ? SLOT_IDLE
                                                                       : SLOT_CONSUMING;
    recorder_set_state(w->recorder, state);
}

/* --- batches that leave the window --- */

/*
 * Moves the counters and releases the messages of a batch that leaves.
 * Takes: why unsettled messages are returned, if there are any.
 * Returns: how many are.
 */
static uint64_t
end_batch(struct worker *w, struct batch *b, enum stat_value why)
{
    struct account account = account_of(b, pipeline_claims(w->pipeline));
    figures_end_batch(w->recorder, b, &account, why, clock_wall_ns() - clock_mono_ns());
    recorder_set(w->recorder, STAT_IN_FLIGHT, window_rows(pipeline_window(w->pipeline)) - b->n);
    recorder_publish(w->recorder);
    for (uint32_t row = 0; row < b->n; row++)
        consumer_release(&b->entries[row].message);
    return account.returned;
}

/* All of a batch is of one assignment: another begins when everything was given back. */
static void
note_durable(struct worker *w, const struct batch *b, int32_t partition, int64_t next,
             int64_t last_ms)
{
    consumer_note_durable(w->consumer, b->entries[0].message.assignment, partition, next, last_ms);
}

/* What is durable is counted, and only then Kafka hears of it. */
static void
take_done(struct worker *w)
{
    struct batch *batch;
    bool any = false;
    while ((batch = pipeline_done(w->pipeline)) != NULL) {
        (void)end_batch(w, batch, STAT_RETURNED_STOPPED);
        for (uint32_t i = 0; i < batch->n_parts; i++)
            note_durable(w, batch, batch->parts[i].partition, batch->parts[i].end,
                         batch->parts[i].last_ms);
        pipeline_retire(w->pipeline);
        any = true;
    }
    if (any) {
        consumer_commit(w->consumer);
        figures_show_window(w->recorder, pipeline_window(w->pipeline), clock_mono_ms(),
                            clock_wall_ms());
        recorder_publish(w->recorder);
    }
    if (pipeline_is_broken(w->pipeline))
        w->broken = true;
}

/*
 * Everything in hand is given back, the youngest first; nobody works on it any more.
 * Takes: whether what is settled of it may be committed.
 */
static void
give_back(struct worker *w, enum stat_value why, bool commits)
{
    struct window *window = pipeline_window(w->pipeline);
    struct batch *batch;
    uint64_t returned = 0;
    window_find_runs(window);
    for (unsigned i = 0; i < window->n && commits; i++) {
        batch = window_at(window, i);
        for (uint32_t k = 0; k < batch->n_parts; k++)
            if (batch->parts[k].run_end >= 0)
                note_durable(w, batch, batch->parts[k].partition, batch->parts[k].run_end,
                             batch->parts[k].run_ms);
    }
    while ((batch = pipeline_to_drop(w->pipeline)) != NULL) {
        returned += end_batch(w, batch, why);
        pipeline_dropped(w->pipeline);
    }
    if (returned > 0)
        log_info("%llu messages given back", (unsigned long long)returned);
    figures_show_window(w->recorder, window, 0, 0); /* empty: no age, so no clock */
    recorder_publish(w->recorder);
}

/* --- one turn --- */

/* What Kafka sends; what the consumer needs then is another matter. */
static void
take_events(struct worker *w)
{
    struct errbuf err;
    if (consumer_serve(w->consumer, &err) == -1 && !w->broken) {
        log_error("%s", err.text);
        w->broken = true;
    }
}

/* The partitions are gone already: somebody else may own them. */
static bool
is_lost(const struct worker *w)
{
    return consumer_need(w->consumer) == CONSUMER_NEEDS_BACK_LOST;
}

/* Lets the pipeline go on while nothing else is to happen. */
static void
go_on(struct worker *w)
{
    pipeline_turn(w->pipeline);
    take_done(w);
    housekeep(w);
    show_state(w);
    if (!pipeline_rests(w->pipeline))
        pipeline_sleep(w->pipeline, NULL, 0, clock_mono_ms() + SERVE_MS);
}

/* Nothing has been done for it yet. (What is stored of a batch may be committed with what is before
 * it.) One that nothing has come into yet is behind all others. */
static bool
is_unbegun(const struct batch *batch)
{
    return batch->n == 0 || (batch->stage == BATCH_READY && batch->in_state[ENTRY_STORED] == 0);
}

/*
 * Finishes what is under way, and the oldest batch in any case, as far as there is time: whoever is
 * revoked again and again should get on all the same.  What is behind that is not begun.
 */
static void
finish_some(struct worker *w, int64_t until_ms)
{
    struct pipeline *p = w->pipeline;
    struct window *window = pipeline_window(p);
    struct batch *last;
    pipeline_flush(p);
    pipeline_hurry(p, until_ms);
    pipeline_turn(p); /* the oldest is begun, if nothing was under way */
    while (window->n > 1 && (last = pipeline_to_drop(p)) != NULL && is_unbegun(last)) {
        (void)end_batch(w, last, must_leave(w) ? STAT_RETURNED_STOPPED : STAT_RETURNED_REVOKED);
        pipeline_dropped(p);
    }
    while (!pipeline_rests(p)) {
        go_on(w);
        take_events(w);
        if (is_lost(w) || w->broken)
            until_ms = 0;
        pipeline_hurry(p, until_ms < w->give_up_ms ? until_ms : w->give_up_ms);
    }
    take_done(w);
}

/*
 * The partitions go: a last attempt unless the store is known to be sick, then what is settled is
 * committed (unless somebody else may own it already) and the rest is given back.
 */
static void
let_go(struct worker *w, int64_t write_until)
{
    if (is_lost(w) || w->broken || pipeline_is_sick(w->pipeline))
        write_until = 0;
    if (write_until > w->give_up_ms)
        write_until = w->give_up_ms;
    finish_some(w, write_until);
    bool fenced = pipeline_take_fenced(w->pipeline);
    notice_stop(w); /* one that was asked for meanwhile */
    if (is_lost(w)) /* it may have turned out so */
        give_back(w, STAT_RETURNED_LOST, false);
    else
        give_back(w, must_leave(w) ? STAT_RETURNED_STOPPED : STAT_RETURNED_REVOKED, true);
    if (fenced)
        consumer_claim_again(w->consumer); /* should they not go, but start anew */
    pipeline_hurry(w->pipeline, w->give_up_ms);
}

/* Kafka is not served meanwhile, since the positions are the consumer's; so it has a bound. */
static void
claim(struct worker *w)
{
    const char *cluster_id;
    size_t n;
    enum store_status status;
    unsigned assignment = consumer_assignment(w->consumer);
    struct store_position *positions = consumer_claims(w->consumer, &n, &cluster_id);
    int64_t until_ms = clock_mono_ms() + CLAIM_MS;
    pipeline_claim(w->pipeline, cluster_id, positions, n);
    while (!pipeline_claimed(w->pipeline, &status)) {
        go_on(w);
        pipeline_hurry(w->pipeline, until_ms < w->give_up_ms ? until_ms : w->give_up_ms);
    }
    pipeline_hurry(w->pipeline, w->give_up_ms);
    if (status == STORE_DONE)
        consumer_claimed(w->consumer, assignment, positions, n);
    else
        consumer_claim_failed(w->consumer, assignment);
}

static void
notice_excuse(struct worker *w)
{
    if (w->excused || !signals_excused())
        return;
    log_info("others take over; leaving");
    w->excused = true;
    recorder_set_state(w->recorder, SLOT_DRAINING);
    recorder_publish(w->recorder);
}

static void
on_revoked(struct worker *w)
{
    notice_excuse(w); /* before the batch is written: the master then has the others leave */
    let_go(w, clock_mono_ms() + REVOKE_MS);
    notice_excuse(w); /* one that came meanwhile: those who take over may be in this rebalance */
    consumer_give_back(w->consumer, must_leave(w));
}

/* What Kafka's consumer cannot go on without. */
static void
serve_need(struct worker *w)
{
    enum consumer_need need = consumer_need(w->consumer);
    if (need == CONSUMER_NEEDS_CLAIM)
        claim(w);
    else if (need != CONSUMER_NEEDS_NOTHING)
        on_revoked(w);
}

static void
serve(struct worker *w)
{
    take_events(w);
    serve_need(w);
    housekeep(w);
    if (signals_take_reopen())
        reopen_files(w);
    show_state(w);
}

/* Returns: whether any came. */
static bool
fetch(struct worker *w)
{
    struct message messages[SLICE];
    uint32_t room = pipeline_room(w->pipeline);
    if (room == 0)
        return false;
    size_t n = consumer_fetch(w->consumer, messages, room < SLICE ? room : SLICE);
    if (n > 0)
        pipeline_take(w->pipeline, messages, n, clock_mono_ns());
    return n > 0;
}

/* Sleeps until something comes; where there is more to be taken it only looks. */
static void
rest(struct worker *w, bool more)
{
    struct pollfd fds[] = {{.fd = consumer_fd(w->consumer), .events = POLLIN},
                           {.fd = consumer_messages_fd(w->consumer), .events = POLLIN}};
    int64_t until = clock_mono_ms() + SERVE_MS, due = consumer_due_ms(w->consumer);
    if (due < until)
        until = due;
    if (more || must_leave(w) || (!is_full(w) && consumer_may_have_messages(w->consumer)))
        until = 0;
    pipeline_sleep(w->pipeline, fds, is_full(w) ? 1 : 2, until);
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
    if (!w->careful || window_rows(pipeline_window(w->pipeline)) > 0 ||
        hands_is_ahead(w->args->hands, find_key(w), clock_mono_ms()))
        return;
    log_notice("what killed workers is reached or passed; leaving");
    w->broken = true;
}

static bool
goes_on(void *arg)
{
    struct worker *w = arg;
    housekeep(w);
    return signals_stops() == 0;
}

static void
look_for_killers(struct worker *w)
{
    if (w->args->hands == NULL)
        return;
    autopsy_run(w->args->hands, find_key(w), w->cfg, w->args->kind, goes_on, w);
    w->careful = hands_is_ahead(w->args->hands, find_key(w), clock_mono_ms());
}

static void
claim_again(struct worker *w)
{
    log_warning("claiming the partitions anew; giving %u messages back",
                window_rows(pipeline_window(w->pipeline)));
    give_back(w, STAT_RETURNED_FENCED, false);
    consumer_claim_again(w->consumer);
}

static void
run_loop(struct worker *w)
{
    while (!must_leave(w)) {
        serve(w);
        pipeline_turn(w->pipeline);
        take_done(w);
        if (pipeline_take_fenced(w->pipeline))
            claim_again(w);
        rest(w, fetch(w));
        end_care(w);
    }
}

/* --- life --- */

static int
open_parts(struct worker *w, struct errbuf *err)
{
    w->pipeline = pipeline_new(w->cfg, w->args->kind, w->recorder, w->careful, err);
    if (w->pipeline == NULL)
        return -1;
    struct consumer_options options = {.claims = pipeline_claims(w->pipeline),
                                       .hands = w->args->hands,
                                       .slot = w->args->slot,
                                       .key = find_key(w),
                                       .careful = w->careful};
    w->consumer = consumer_open(w->cfg, w->args->kind, w->recorder, &options, w->args->hold_ms,
                                err);
    return w->consumer == NULL ? -1 : 0;
}

/* Not up to the last moment of a stop, when the master would kill us; it may come meanwhile. */
static int64_t
leave_until(const struct worker *w, int64_t until_ms)
{
    int64_t kept_ms = w->cfg->persister.shutdown_timeout_seconds * 100;
    return w->stop_ms - kept_ms < until_ms ? w->stop_ms - kept_ms : until_ms;
}

static void
leave_group(struct worker *w)
{
    struct errbuf err;
    int64_t until = clock_mono_ms() + CLOSE_MS;
    consumer_leave(w->consumer);
    while (!consumer_has_left(w->consumer) && clock_mono_ms() < leave_until(w, until)) {
        if (consumer_serve(w->consumer, &err) == -1)
            log_debug("leaving all the same: %s", err.text);
        housekeep(w);
        pipeline_turn(w->pipeline); /* else one that was woken keeps us from sleeping */
        struct pollfd fd = {.fd = consumer_fd(w->consumer), .events = POLLIN};
        int64_t look = clock_mono_ms() + SERVE_MS, due = consumer_due_ms(w->consumer);
        pipeline_sleep(w->pipeline, &fd, 1, due < look ? due : look);
    }
    if (!consumer_has_left(w->consumer))
        log_warning("did not leave the group in time");
    consumer_close(&w->consumer);
}

static void
close_parts(struct worker *w)
{
    if (w->consumer != NULL) {
        recorder_set_state(w->recorder, SLOT_DRAINING);
        let_go(w, w->give_up_ms);
        leave_group(w);
    }
    pipeline_free(&w->pipeline);
}

int
worker_run(const struct worker_args *args)
{
    struct worker w = {.args = args,
                       .cfg = args->cfg,
                       .recorder = recorder_new(args->segment, args->slot),
                       .give_up_ms = INT64_MAX,
                       .stop_ms = INT64_MAX};
    struct errbuf err = {.text = ""};
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
