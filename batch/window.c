/* SPDX-License-Identifier: Apache-2.0 */
/* window.c - see window.h. */
#include "batch/window.h"

void
window_init(struct window *window, unsigned depth, const struct batch_limits *limits,
            bool transactional)
{
    assert(depth >= 1 && depth <= WINDOW_DEPTH_MAX);
    *window = (struct window){.depth = depth, .transactional = transactional};
    for (unsigned i = 0; i < depth; i++)
        batch_init(&window->batches[i], limits);
}

void
window_free(struct window *window)
{
    for (unsigned i = 0; i < window->depth; i++)
        batch_free(&window->batches[i]);
    window->n = 0;
}

struct batch *
window_at(struct window *window, unsigned i)
{
    assert(i < window->depth);
    return &window->batches[(window->first + i) % window->depth];
}

static struct batch *
youngest(struct window *window)
{
    return window->n > 0 ? window_at(window, window->n - 1) : NULL;
}

static bool
is_empty(const struct batch *batch, enum entry_state state)
{
    return batch->in_state[state] == 0;
}

/* --- filling --- */

struct batch *
window_filling(struct window *window)
{
    struct batch *last = youngest(window);
    if (last != NULL && last->stage == BATCH_FILLING)
        return last;
    if (window->n == window->depth)
        return NULL;
    last = window_at(window, window->n++);
    assert(last->n == 0 && last->stage == BATCH_FILLING);
    return last;
}

bool
window_close_all(struct window *window)
{
    struct batch *last = youngest(window);
    if (last == NULL || last->stage != BATCH_FILLING || last->n == 0)
        return false;
    last->stage = BATCH_READY;
    return true;
}

bool
window_close_due(struct window *window, int64_t now_ms)
{
    const struct batch *last = youngest(window);
    return last != NULL && batch_due(last, now_ms) && window_close_all(window);
}

int64_t
window_wait_ms(struct window *window, int64_t now_ms)
{
    const struct batch *last = youngest(window);
    return last != NULL && last->stage == BATCH_FILLING ? batch_wait_ms(last, now_ms) : INT64_MAX;
}

/* --- what to do next --- */

struct batch *
window_to_write(struct window *window)
{
    for (unsigned i = 0; i < window->n; i++) {
        struct batch *batch = window_at(window, i);
        if (batch->stage == BATCH_READY) /* its letters point to its rejects, which may move */
            return batch->burying ? NULL : batch;
        if (batch->stage != BATCH_DURABLE &&
            (batch->stage != BATCH_JUDGED || window->transactional))
            return NULL;
    }
    return NULL;
}

struct batch *
window_to_bury(struct window *window)
{
    for (unsigned i = 0; i < window->n; i++) {
        struct batch *batch = window_at(window, i);
        if (batch->burying)
            return NULL;
        if (batch->stage == BATCH_JUDGED && !is_empty(batch, ENTRY_REFUSED))
            return batch;
    }
    return NULL;
}

static bool
may_follow(struct window *window, enum batch_stage from, enum batch_stage to)
{
    switch (to) {
    case BATCH_WRITING:
        return from == BATCH_READY;
    case BATCH_READY:
        return from == BATCH_WRITING || (from == BATCH_JUDGED && window->transactional);
    case BATCH_JUDGED:
        return from == BATCH_WRITING;
    case BATCH_DURABLE:
        return from == BATCH_WRITING || from == BATCH_JUDGED;
    case BATCH_FILLING:
        break;
    }
    return false;
}

void
window_note(struct window *window, struct batch *batch, enum batch_stage stage)
{
    assert(may_follow(window, batch->stage, stage));
    assert(stage != BATCH_DURABLE ||
           (is_empty(batch, ENTRY_PENDING) && is_empty(batch, ENTRY_REFUSED)));
    batch->stage = stage;
}

/* --- leaving --- */

struct batch *
window_to_retire(struct window *window)
{
    struct batch *oldest = window->n > 0 ? window_at(window, 0) : NULL;
    return oldest != NULL && oldest->stage == BATCH_DURABLE && !oldest->held ? oldest : NULL;
}

void
window_retire(struct window *window)
{
    struct batch *oldest = window_to_retire(window);
    assert(oldest != NULL);
    batch_reset(oldest);
    window->first = (window->first + 1) % window->depth;
    window->n--;
}

struct batch *
window_to_drop(struct window *window)
{
    struct batch *last = youngest(window);
    return last != NULL && !last->held && !last->burying ? last : NULL;
}

void
window_drop(struct window *window)
{
    struct batch *last = window_to_drop(window);
    assert(last != NULL);
    batch_reset(last);
    window->n--;
}

static void
break_runs(struct batch *batch)
{
    for (uint32_t k = 0; k < batch->n_parts; k++) {
        batch->parts[k].broken = true;
        batch->parts[k].run_end = batch->parts[k].run_ms = -1;
    }
}

void
window_find_runs(struct window *window)
{
    for (unsigned i = 0; i < window->n; i++) {
        struct batch *batch = window_at(window, i);
        batch_find_runs(batch);
        if (window->transactional && batch->stage != BATCH_DURABLE)
            break_runs(batch); /* all of it or nothing */
        for (uint32_t k = 0; k < batch->n_parts && i > 0; k++) {
            struct batch_part *part = &batch->parts[k];
            for (unsigned j = 0; j < i; j++) {
                const struct batch_part *before =
                    batch_find_part(window_at(window, j), part->partition);
                if (before == NULL || !before->broken)
                    continue;
                part->broken = true;
                part->run_end = part->run_ms = -1;
                break;
            }
        }
    }
}

uint32_t
window_rows(struct window *window)
{
    uint32_t rows = 0;
    for (unsigned i = 0; i < window->n; i++)
        rows += window_at(window, i)->n;
    return rows;
}

unsigned
window_batches(struct window *window)
{
    unsigned batches = 0;
    for (unsigned i = 0; i < window->n; i++)
        batches += window_at(window, i)->n > 0;
    return batches;
}
