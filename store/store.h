/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - what every store does: take decoded messages, make them durable, say which were
 * refused.
 *
 * Rows are collected in a load (add), which is written (write) until all are settled in its batch,
 * each exactly once: stored, or refused because the row itself is wrong.  Whatever is wrong with
 * the world leaves the rest pending, and write is called again later.  Nothing is ever dropped.
 *
 * Process: workers, after the fork.  Owner: the worker that opened it.  Concurrency: one thread.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <poll.h>

#include "lib/base.h"
#include "batch/batch.h"
#include "conf/cfg.h"
#include "lib/errbuf.h"
#include "conf/reject.h"
#include "record/record.h"

enum store_status {
    STORE_DONE, /* everything in the load is settled */
    STORE_SICK, /* something is pending: the world's trouble, text says which. Call write again.
                 */
    STORE_STOPPED, /* a wait was given up; pending rows stay. */
    STORE_FENCED,  /* keeps_offsets: somebody else owns a partition now, or what the batch was
                      resolved to is gone; give the batch back, claim anew */
};

enum store_added { STORE_ADDED, STORE_REFUSED, STORE_NO_MEMORY };

/* How a store waits: whoever opened it goes on with other things meanwhile. */
struct store_hooks {
    /*
     * Waits until one of the descriptors is ready or it is time.
     * Takes: descriptors as poll(2), whose revents are set (0: not ready), n may be 0; the latest
     * time by clock_mono_ms, which may be past: then it only lets others have their turn.
     * Returns: false to give up (the caller stops, or wants its batch back). It may return early.
     */
    bool (*wait)(void *arg, struct pollfd *fds, size_t n, int64_t until_ms);
    /*
     * Waits for a function that may block, and runs on a thread beside (lib/job.h).
     * Takes: the function; its argument, which holds all that it uses; what frees that if it is
     * left behind.
     * Returns: true if the function has run; false if the wait was given up: the argument is left
     * behind, nobody's but the function's. NULL: functions are run here.
     */
    bool (*offload)(void *arg, void (*run)(void *job_arg), void (*free_arg)(void *job_arg),
                    void *job_arg);
    void *arg;
};

/*
 * A wait for those who have nothing else to do: poll(2), which ends every 100 ms for a look around.
 * Takes: arg, a struct store_look; all else as `wait` above, which this can be.
 */
struct store_look {
    bool (*look)(void *arg); /* false: give up */
    void *arg;
};
bool store_wait_and_look(void *arg, struct pollfd *fds, size_t n, int64_t until_ms);

/* Where a partition's stream stands. */
struct store_position {
    int32_t partition;
    int64_t next; /* the offset of the first message that is not dealt with; -1: unknown */
    /*
     * Kafka's timestamp of the last message before it, in ms since 1970; -1: unknown. By that a
     * topic that was made anew is told from the one that these offsets are of.
     */
    int64_t last_ms;
};

/* What one write is for. */
struct store_write {
    struct batch *batch; /* whose rows are settled (batch_settle) */
    /* For a store that keeps the offsets: where the partitions of the batch will stand. */
    const struct store_position *positions;
    size_t n_positions;
};

/* A batch's rows in the form of the store that made it: the store's own structure. */
struct store_load;

/* Every store's own structure begins with this. */
struct store {
    const struct store_ops *ops;
};

struct store_ops {
    const char *name; /* "influxdb" */

    /*
     * Makes the store; does not need its server yet.
     * Takes: the configuration and hooks, which outlive the store; the kind of records it will get.
     * Returns: the store, or NULL with a text (out of memory, a CA file that is not there).
     */
    struct store *(*open)(const struct config *cfg, enum topic_kind kind,
                          const struct store_hooks *hooks, struct errbuf *err);

    /*
     * A load is what a batch is to the store. There may be several, one for each batch in flight.
     * Returns: an empty one, or NULL if memory is out. To be freed before the store is closed;
     * free nulls the pointer; reset forgets all rows and keeps memory for the next batch, within
     * bounds.
     */
    struct store_load *(*load_new)(struct store *store);
    void (*load_reset)(struct store *store, struct store_load *load);
    void (*load_free)(struct store *store, struct store_load **load);

    /*
     * Takes one decoded record into a load; copies or formats what it needs of it. May be called
     * while another load is being written, in between its waits.
     * Takes: `row`, its number in the batch; ascending since the last reset. Returns: STORE_ADDED;
     * STORE_REFUSED with the reason why this store can never take it, or STORE_NO_MEMORY: it is
     * then not in.
     */
    enum store_added (*add)(struct store *store, struct store_load *load,
                            const struct record *record, uint32_t row, struct reject *why);

    /* Returns: bytes of memory held for a load's rows. */
    size_t (*bytes)(const struct store_load *load);

    /*
     * One attempt at making every pending row durable, within the configured deadlines; of a store
     * that keeps the offsets, at having all in a transaction that only waits for `commit`.
     * Each row that got settled is settled in the batch, also when it returns SICK or STOPPED. A
     * row may have reached the server and still be pending (an answer that was lost).  Where memory
     * is out a row may stay pending although it returns DONE.
     * Returns: see enum store_status; for SICK, err has one line that says what is wrong.
     */
    enum store_status (*write)(struct store *store, struct store_load *load,
                               const struct store_write *write, struct errbuf *err);

    /*
     * For a store that keeps the offsets; NULL otherwise. After a write that returned DONE: makes
     * all of it durable at once, when what was refused is durable elsewhere; or undoes the write
     * (rows that were refused stay so). Nothing else may be asked of the store in between.
     * Takes and returns: as `write`.
     */
    enum store_status (*commit)(struct store *store, struct store_load *load,
                                const struct store_write *write, struct errbuf *err);
    void (*abandon)(struct store *store);

    /*
     * For a store that keeps Kafka's offsets itself, in the transaction of the rows; NULL
     * otherwise. Takes partitions over, so that no former owner can write any more, and says where
     * to go on. Takes: the Kafka cluster's id; the positions, whose `next` is filled in.
     */
    enum store_status (*claim)(struct store *store, const char *cluster_id,
                               struct store_position *positions, size_t n, struct errbuf *err);

    /* Ends it without writing; nulls the pointer. */
    void (*close)(struct store **store);
};

extern const struct store_ops store_discard, store_influxdb, store_postgresql,
    store_cassandra;

/* Returns: the ops of a driver, or NULL if this build has none. */
const struct store_ops *store_find(enum store_driver driver);

#endif
