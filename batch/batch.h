/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - some messages that go to the store together, what became of each, when to flush, what
 * may be committed.  The batches in hand are a window (window.h).
 *
 * Pure: it is given the time and the verdicts, and touches neither Kafka nor the store.
 *
 * Process: workers.  Owner: the worker's loop; messages belong to whoever filled them in.
 * Concurrency: one thread.
 */
#ifndef BATCH_BATCH_H
#define BATCH_BATCH_H

#include "lib/base.h"
#include "conf/reject.h"
#include "batch/message.h"

enum entry_state {
    ENTRY_PENDING, /* not settled */
    ENTRY_STORED,  /* durable in the store */
    ENTRY_REFUSED, /* wrong in itself; has to go to the dead letters */
    ENTRY_BURIED,  /* durable in the dead letters */
    ENTRY_STATES
};

#define ENTRY_TIME_UNKNOWN INT64_MIN

struct entry {
    struct message message;
    enum entry_state state;
    uint32_t why;       /* index into rejects, if REFUSED or BURIED */
    int64_t created_ns; /* the message's creation_time, wall clock; or ENTRY_TIME_UNKNOWN */
    int64_t stored_ns;  /* when the write that stored it returned, clock_mono_ns; 0: not yet */
};

/* A partition's share of a batch. */
struct batch_part {
    int32_t partition;
    int64_t first_ms; /* Kafka's timestamp of its first message; -1 unknown */
    int64_t end;      /* the offset after its last message */
    int64_t last_ms;  /* that one's timestamp; -1 unknown */
    /* Of batch_find_runs: the same of its unbroken run of settled messages; -1: there is none. */
    int64_t run_end, run_ms;
    bool broken; /* it ends before the part does */
};

/* How far a batch has come. */
enum batch_stage {
    BATCH_FILLING, /* messages are added */
    BATCH_READY,   /* something of it is to be written */
    BATCH_WRITING, /* an attempt is under way */
    BATCH_JUDGED,  /* the store has taken or refused each row; the refused are to be buried, and
                      where the store keeps the offsets all is to be committed */
    BATCH_DURABLE  /* done with */
};

struct batch_limits {
    uint32_t count; /* messages, 1.. */
    size_t bytes;   /* of payload, 1.. */
    int64_t age_ms; /* from the first message, 0.. */
};

struct batch {
    struct batch_limits limits;
    struct entry *entries;
    uint32_t n;
    size_t capacity;
    uint32_t in_state[ENTRY_STATES]; /* how many are in each state */
    size_t bytes;
    int64_t first_ms; /* when the oldest came; meaningless while n is 0 */
    struct reject *rejects;
    uint32_t n_rejects;
    size_t rejects_capacity;
    uint32_t stamp_from, stamp_end; /* rows that were stored since the last stamp are in here */
    struct batch_part *parts; /* sorted by partition */
    uint32_t n_parts, last_part;
    size_t parts_capacity;
    enum batch_stage stage;
    bool held;    /* somebody works on it, who may wait meanwhile: it must not go */
    bool burying; /* its letters are being written */
    bool starved; /* a refusal could not be kept, for want of memory */
    unsigned tries;          /* attempts at it that failed */
    struct store_load *load; /* what the store made of its rows; the caller's */
};

struct store_load;

/* Takes: the limits. Allocates nothing yet. */
void batch_init(struct batch *batch, const struct batch_limits *limits);

/* Frees all; messages that are still in it are forgotten, not released. */
void batch_free(struct batch *batch);

/*
 * Adds a message, pending.
 * Takes: now on the monotonic clock in ms.
 * Returns: its row (0..), or -1 if memory is out.
 */
int64_t batch_add(struct batch *batch, const struct message *message, int64_t now_ms) MUST_CHECK;

/*
 * Settles a pending row: why == NULL is stored, else refused, and the reason is copied.
 * Returns: 0, or -1 if memory is out (the row stays pending).
 */
int batch_settle(struct batch *batch, uint32_t row, const struct reject *why) MUST_CHECK;

/* Stamps the rows that were stored since the last call. */
void batch_stamp_stored(struct batch *batch, int64_t now_ns);

/* Every refused row has become durable in the dead letters. */
void batch_bury(struct batch *batch);

/* Returns: true if it should be flushed now: it is full by count or bytes, or old enough. */
bool batch_due(const struct batch *batch, int64_t now_ms);

/* Returns: how many ms until age makes it due (0 if due); INT64_MAX if it is empty. */
int64_t batch_wait_ms(const struct batch *batch, int64_t now_ms);

/*
 * Returns: messages that still fit by count, and, but for the last of them, by bytes.
 * Takes: the bytes of payload that each is expected to have, 1..
 */
uint32_t batch_room(const struct batch *batch, size_t expected_bytes);

/*
 * Finds what may be committed: sets run_end and run_ms of each part to the end of the unbroken run
 * of stored and buried messages from its first.
 */
void batch_find_runs(struct batch *batch);

/* Returns: a partition's part, or NULL. */
struct batch_part *batch_find_part(const struct batch *batch, int32_t partition);

/* Empties it; memory is kept. */
void batch_reset(struct batch *batch);

#endif
