/* SPDX-License-Identifier: Apache-2.0 */
/* figures.c - see figures.h. */
#include "worker/figures.h"

/* Stored messages in a row that share a duration. */
struct same {
    int64_t ns;
    uint64_t n;
};

static void
end_run(struct recorder *recorder, enum stat_timing timing, struct same *same)
{
    if (same->n > 0)
        recorder_time(recorder, timing, same->ns, same->n);
    same->n = 0;
}

static void
add_to_run(struct recorder *recorder, enum stat_timing timing, struct same *same, int64_t ns)
{
    if (same->n > 0 && same->ns != ns)
        end_run(recorder, timing, same);
    same->ns = ns;
    same->n++;
}

static void
record_times(struct recorder *recorder, const struct batch *batch, int64_t mono_to_wall_ns)
{
    struct same request = {0}, delay = {0};
    for (uint32_t row = 0; row < batch->n; row++) {
        const struct entry *entry = &batch->entries[row];
        if (entry->state != ENTRY_STORED)
            continue;
        add_to_run(recorder, STAT_REQUEST, &request, entry->stored_ns - entry->message.polled_ns);
        if (entry->created_ns != ENTRY_TIME_UNKNOWN)
            add_to_run(recorder, STAT_DELAY, &delay,
                       entry->stored_ns + mono_to_wall_ns - entry->created_ns);
    }
    end_run(recorder, STAT_REQUEST, &request);
    end_run(recorder, STAT_DELAY, &delay);
}

void
figures_end_batch(struct recorder *recorder, const struct batch *batch,
                  const struct account *account, enum stat_value why, int64_t mono_to_wall_ns)
{
    if (account->completed > 0)
        record_times(recorder, batch, mono_to_wall_ns);
    for (unsigned reason = 0; reason < REJECT_REASONS; reason++)
        recorder_add(recorder, (enum stat_value)(STAT_REJECTED_NOT_JSON + reason),
                     account->reasons[reason]);
    recorder_add(recorder, STAT_COMPLETED, account->completed);
    recorder_add(recorder, STAT_REJECTED, account->rejected);
    recorder_add(recorder, STAT_RETURNED, account->returned);
    recorder_add(recorder, why, account->returned);
    recorder_add(recorder, STAT_BATCHES, account->whole);
}

void
figures_show_window(struct recorder *recorder, struct window *window, int64_t now_ms,
                    int64_t wall_ms)
{
    static const struct batch none = {.n = 0};
    const struct batch *batch = window->n > 0 ? window_at(window, 0) : &none;
    int64_t age_ms = batch->n > 0 ? now_ms - batch->first_ms : 0;
    int64_t put_ms = batch->n > 0 ? batch->entries[0].message.time_ms : 0;
    uint64_t unstored = put_ms == -1 ? STAT_UNKNOWN : 0;
    if (put_ms > 0)
        unstored = put_ms < wall_ms ? (uint64_t)(wall_ms - put_ms) : 0;
    recorder_set(recorder, STAT_BATCHES_IN_FLIGHT, window_batches(window));
    recorder_set(recorder, STAT_BATCH_SIZE, batch->n);
    recorder_set(recorder, STAT_BATCH_BYTES, batch->bytes);
    recorder_set(recorder, STAT_BATCH_AGE_MS, age_ms > 0 ? (uint64_t)age_ms : 0);
    recorder_set(recorder, STAT_UNSTORED_AGE_MS, unstored);
    recorder_set(recorder, STAT_STORE_TRIES, batch->tries);
}
