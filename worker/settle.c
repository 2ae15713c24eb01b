/* SPDX-License-Identifier: Apache-2.0 */
/* settle.c - see settle.h. */
#include "worker/settle.h"

#include <stdlib.h>

#include "lib/clock.h"
#include "store/rows.h"
#include "worker/dead_letter.h"
#include "worker/figures.h"

static bool
keeps_offsets(const struct worker *w)
{
    return w->store->ops->claim != NULL;
}

void
settle_refused(struct worker *w, uint32_t row, const struct reject *why)
{
    if (batch_settle(&w->batch, row, why) == -1)
        w->broken = true; /* the row stays pending and is given back */
}

static void
log_reject(struct worker *w, const struct entry *entry)
{
    const struct reject *why = &w->batch.rejects[entry->why];
    uint64_t held_back;
    if (!log_limit_pass(&w->reject_limit, clock_mono_ms(), &held_back))
        return;
    if (held_back > 0)
        log_warning("%llu more messages rejected since", (unsigned long long)held_back);
    log_warning("rejected %s[%d]@%lld: %s: %s", w->cfg->topic[w->args->kind].topic,
                (int)entry->message.partition, (long long)entry->message.offset,
                reject_name(why->reason), why->detail);
}

/* Makes the refused rows durable in the dead letters. */
static enum store_status
bury(struct worker *w, struct errbuf *err)
{
    uint32_t n = w->batch.in_state[ENTRY_REFUSED];
    if (n == 0)
        return STORE_DONE;
    w->wait_on = "dead_letters";
    struct dead_letter *letters = calloc(n, sizeof(*letters));
    if (letters == NULL) {
        errbuf_set(err, "dead letters: out of memory");
        return STORE_SICK;
    }
    n = 0;
    for (uint32_t row = 0; row < w->batch.n; row++) {
        struct entry *entry = &w->batch.entries[row];
        if (entry->state == ENTRY_REFUSED)
            letters[n++] = (struct dead_letter){&entry->message, &w->batch.rejects[entry->why]};
    }
    enum store_status status = dead_letters_write(w->dead, letters, n, err);
    free(letters);
    if (status != STORE_DONE)
        return status;
    for (uint32_t row = 0; row < w->batch.n; row++)
        if (w->batch.entries[row].state == ENTRY_REFUSED)
            log_reject(w, &w->batch.entries[row]);
    batch_bury(&w->batch);
    return STORE_DONE;
}

static void
note_durable(void *arg, int32_t partition, int64_t next, int64_t last_ms)
{
    struct worker *w = arg;
    consumer_note_durable(w->consumer, partition, next, last_ms);
}

void
settle_end_batch(struct worker *w, enum stat_value why)
{
    struct batch *b = &w->batch;
    uint64_t returned = b->in_state[ENTRY_PENDING] + b->in_state[ENTRY_REFUSED];
    if (keeps_offsets(w) && returned > 0)
        returned = b->n; /* all or nothing: the buried come again, too */
    if (returned < b->n)
        figures_settle_batch(w->recorder, b, clock_wall_ns() - clock_mono_ns());
    recorder_add(w->recorder, STAT_RETURNED, returned);
    recorder_add(w->recorder, why, returned);
    recorder_set(w->recorder, STAT_IN_FLIGHT, 0);
    if (returned > 0)
        log_info("%llu messages given back", (unsigned long long)returned);
    for (uint32_t row = 0; row < b->n; row++)
        consumer_release(&b->entries[row].message);
    batch_reset(b);
    w->store->ops->load_reset(w->store, w->load);
    w->tries = 0;
    figures_show_batch(w->recorder, b, 0, 0, 0); /* empty: no age, so no clock */
    recorder_publish(w->recorder);
}

void
settle_finish_batch(struct worker *w, enum stat_value why)
{
    bool whole = w->batch.in_state[ENTRY_PENDING] + w->batch.in_state[ENTRY_REFUSED] == 0;
    recorder_add(w->recorder, STAT_BATCHES, whole && w->batch.n > 0);
    if ((whole || !keeps_offsets(w)) && batch_committable(&w->batch, note_durable, w) == -1)
        w->broken = true;
    settle_end_batch(w, why);
}

void
settle_note_sick(struct worker *w, const struct errbuf *err)
{
    recorder_add(w->recorder, STAT_STORE_ERRORS, 1);
    recorder_set_wait(w->recorder, w->wait_on, err->text);
    w->tries++;
    if (!w->sick || strcmp(w->sickness.text, err->text) != 0)
        log_error("%s; waiting with %u messages in hand", err->text, w->batch.n);
    w->sick = true;
    w->sickness = *err;
}

void
settle_note_recovered(struct worker *w)
{
    if (w->sick)
        log_notice("writing again, after %u tries", w->backoff.tries + 1);
    w->sick = false;
    w->tries = 0;
    recorder_set_wait(w->recorder, NULL, NULL);
    backoff_reset(&w->backoff);
}

static void
note_end(void *arg, int32_t partition, int64_t next, int64_t last_ms)
{
    struct worker *w = arg;
    struct store_position *ends =
        rows_reserve(w->ends, &w->capacity_ends, w->n_ends, sizeof(*ends));
    if (ends == NULL) {
        w->broken = true;
        return;
    }
    w->ends = ends;
    ends[w->n_ends++] =
        (struct store_position){.partition = partition, .next = next, .last_ms = last_ms};
}

/* Of a store that keeps the offsets: all at once, and only with what was refused durable, too. */
static enum store_status
commit_rows(struct worker *w, const struct store_write *write, struct errbuf *err)
{
    enum store_status status = bury(w, err);
    if (status != STORE_DONE) {
        w->store->ops->abandon(w->store);
        return status;
    }
    w->wait_on = w->store->ops->name;
    return w->store->ops->commit(w->store, w->load, write, err);
}

/* The store's part of an attempt, and for a store that keeps the offsets that of the dead letters.
 */
static enum store_status
write_rows(struct worker *w, struct errbuf *err)
{
    struct store_write write = {.batch = &w->batch};
    w->n_ends = 0;
    if (keeps_offsets(w) && batch_ends(&w->batch, note_end, w) == -1)
        w->broken = true;
    if (w->broken)
        return STORE_STOPPED;
    write.positions = w->ends;
    write.n_positions = w->n_ends;
    if (!keeps_offsets(w) && w->batch.in_state[ENTRY_PENDING] == 0)
        return STORE_DONE;
    enum store_status status = w->store->ops->write(w->store, w->load, &write, err);
    return status == STORE_DONE && keeps_offsets(w) ? commit_rows(w, &write, err) : status;
}

enum store_status
settle_attempt(struct worker *w)
{
    struct errbuf err = {.text = ""};
    if (w->tries > 0)
        recorder_add(w->recorder, STAT_STORE_RETRIES, 1);
    else
        recorder_set_state(w->recorder, SLOT_WRITING); /* else it goes on retrying */
    w->wait_on = w->store->ops->name;
    w->in_write = true;
    int64_t began_ns = clock_mono_ns();
    enum store_status status = write_rows(w, &err);
    int64_t ended_ns = clock_mono_ns();
    recorder_time(w->recorder, STAT_WRITE, ended_ns - began_ns, 1);
    batch_stamp_stored(&w->batch, ended_ns);
    if (status == STORE_DONE && w->batch.in_state[ENTRY_PENDING] > 0) {
        w->broken = true; /* settle ran out of memory */
        status = STORE_STOPPED;
    }
    if (status == STORE_DONE)
        status = bury(w, &err);
    if (status == STORE_DONE)
        settle_note_recovered(w);
    else if (status == STORE_SICK)
        settle_note_sick(w, &err);
    w->in_write = false;
    return status;
}
