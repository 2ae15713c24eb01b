/* SPDX-License-Identifier: Apache-2.0 */
/* lag.c - see lag.h. */
#include "kafka/lag.h"

#define UNKNOWN UINT64_MAX

static const struct lag_side nothing_known = {.time_ms = -1, .level_ms = -1};

void
lag_begin(struct lag *lag, int64_t cached, int64_t now_ms)
{
    *lag = (struct lag){.end = -1,
                        .heard_ms = now_ms,
                        .cached = cached,
                        .looked_ms = now_ms,
                        .next = -1,
                        .gap = -1,
                        .gap_end = -1,
                        .reached_ms = -1,
                        .taken = nothing_known,
                        .committed = nothing_known,
                        .oldest_at = -1,
                        .oldest_time_ms = -1};
    for (size_t i = 0; i < LAG_MARKS; i++)
        lag->marks[i] = (struct lag_mark){.next = -1, .time_ms = -1};
}

void
lag_take(struct lag *lag, int64_t offset, int64_t time_ms, bool first)
{
    lag->next = offset + 1;
    lag->reached_ms = -1;
    lag->taken.time_ms = time_ms;
    if (first) {
        lag->oldest_at = offset;
        lag->oldest_time_ms = time_ms;
    }
}

void
lag_note_durable(struct lag *lag, int64_t next, int64_t time_ms)
{
    lag->marks[lag->n_marks++ % LAG_MARKS] = (struct lag_mark){next, time_ms};
}

void
lag_note_committed(struct lag *lag, int64_t next)
{
    /* The last one before it: a commit may go on to the end of a gap. */
    int64_t best = -1;
    for (size_t i = 0; i < LAG_MARKS; i++) {
        if (lag->marks[i].next <= best || lag->marks[i].next > next)
            continue;
        best = lag->marks[i].next;
        lag->committed.time_ms = lag->marks[i].time_ms;
    }
    if (lag->oldest_at < next)
        lag->oldest_at = lag->oldest_time_ms = -1;
}

void
lag_rewind(struct lag *lag)
{
    lag->next = lag->gap = lag->gap_end = lag->reached_ms = -1;
    lag->taken = lag->committed;
    lag->oldest_at = lag->oldest_time_ms = -1;
}

/* --- where the end is --- */

void
lag_look(struct lag *lag, int64_t cached, int64_t now_ms)
{
    if (cached != lag->cached && lag->reached_ms != -1)
        return; /* it stays news, for when a message has come */
    /* It came at some time since the last look: the earliest counts. */
    if (cached != lag->cached && cached >= 0)
        lag_hear(lag, cached, lag->looked_ms);
    lag->cached = cached;
    lag->looked_ms = now_ms;
}

void
lag_hear(struct lag *lag, int64_t end, int64_t now_ms)
{
    lag->end = end;
    lag->heard_ms = now_ms;
}

void
lag_reach(struct lag *lag, int64_t position, int64_t end, int64_t since_ms)
{
    if (position != lag->gap_end) /* else one gap goes on from the other */
        lag->gap = position;
    lag->gap_end = lag->cached = end;
    lag->reached_ms = since_ms;
    lag->looked_ms = since_ms > lag->looked_ms ? since_ms : lag->looked_ms;
    /* What was heard of a later end may be as true. */
    if (end >= lag->end)
        lag_hear(lag, end, since_ms > lag->heard_ms ? since_ms : lag->heard_ms);
}

int64_t
lag_pass_gap(const struct lag *lag, int64_t next)
{
    return next >= lag->gap && next < lag->gap_end ? lag->gap_end : next;
}

bool
lag_is_stale(const struct lag *lag, int64_t now_ms, bool holding_back)
{
    /* An end further away than the one that was reached, and no message comes from between. */
    if (lag->reached_ms != -1 && lag->end > lag->gap_end)
        return now_ms - lag->reached_ms >= LAG_STALE_HELD_MS;
    return now_ms - lag->heard_ms >= (holding_back ? LAG_STALE_HELD_MS : LAG_STALE_MS);
}

/* --- adding up --- */

void
lag_levels_clear(struct lag_levels *levels)
{
    *levels = (struct lag_levels){0};
}

static void
bound(int64_t *age_ms, int64_t since_ms, int64_t now_ms)
{
    if (since_ms >= 0 && now_ms - since_ms < *age_ms)
        *age_ms = now_ms > since_ms ? now_ms - since_ms : 0;
}

/* Rounded up, since it is a bound, and so that what waits never shows 0. */
static uint64_t
to_seconds(int64_t age_ms)
{
    if (age_ms == INT64_MAX)
        return UNKNOWN;
    return age_ms > 0 ? ((uint64_t)age_ms + 999) / 1000 : 1;
}

static void
add_unknown(uint64_t *messages, uint64_t *seconds)
{
    *messages = *seconds = UNKNOWN;
}

static void
add_known(uint64_t *messages, uint64_t *seconds, uint64_t behind, uint64_t age)
{
    *messages = *messages == UNKNOWN ? UNKNOWN : *messages + behind;
    *seconds = age > *seconds ? age : *seconds; /* unknown is the largest */
}

/* Takes: an age that is known to be enough otherwise, or INT64_MAX. */
static void
add_side(const struct lag *lag, struct lag_side *side, int64_t position, int64_t age_ms,
         int64_t now_ms, int64_t wall_ms, uint64_t *messages, uint64_t *seconds)
{
    if (lag->end == -1 || position == -1 || now_ms - lag->heard_ms > LAG_FORGET_MS) {
        add_unknown(messages, seconds);
        return;
    }
    if (position >= lag->end) {
        side->level_ms = lag->heard_ms;
        add_known(messages, seconds, 0, 0);
        return;
    }
    bound(&age_ms, side->time_ms, wall_ms);
    bound(&age_ms, side->level_ms, now_ms);
    add_known(messages, seconds, (uint64_t)(lag->end - position), to_seconds(age_ms));
}

void
lag_add(struct lag *lag, int64_t position, int64_t committed, int64_t now_ms, int64_t wall_ms,
        struct lag_levels *levels)
{
    int64_t oldest_ms = INT64_MAX;
    position = lag_pass_gap(lag, position);
    committed = lag_pass_gap(lag, committed);
    add_side(lag, &lag->taken, position, INT64_MAX, now_ms, wall_ms, &levels->taken,
             &levels->taken_seconds);
    bound(&oldest_ms, lag->oldest_time_ms, wall_ms);
    add_side(lag, &lag->committed, committed, oldest_ms, now_ms, wall_ms, &levels->committed,
             &levels->committed_seconds);
}
