/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - what every store does: take decoded messages, make them durable, say which were
 * refused.
 *
 * A store collects rows (add), then writes them (write) until all are settled, each exactly once:
 * stored, or refused because the row itself is wrong.  Whatever is wrong with the world leaves the
 * rest unsettled, and write is called again later.  Nothing is ever dropped.
 *
 * Process: workers, after the fork.  Owner: the worker that opened it.  Concurrency: one thread.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <poll.h>

#include "lib/base.h"
#include "conf/cfg.h"
#include "lib/errbuf.h"
#include "conf/reject.h"
#include "record/record.h"

enum store_status {
    STORE_DONE, /* everything added is settled */
    STORE_SICK, /* something is unsettled: the world's trouble, text says which. Call write again.
                 */
    STORE_STOPPED, /* a wait was given up; unsettled rows stay. */
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

/* For long computing: lets others have their turn. Returns: false to give up. */
static inline bool
store_goes_on(const struct store_hooks *hooks)
{
    return hooks->wait(hooks->arg, NULL, 0, 0);
}

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

/* Told of each row as it is settled: why == NULL when it is durable, else the reason it was
 * refused. */
typedef void (*store_settle_fn)(void *arg, uint32_t row, const struct reject *why);

/* What one write is for. */
struct store_write {
    store_settle_fn settle;
    void *arg; /* for both functions */
    /*
     * For a store that keeps the offsets: where the partitions of the batch will stand, and what
     * has to be done after the last row was refused and before anything is committed: the refused
     * rows are made durable elsewhere. Anything but STORE_DONE makes the write end with it, undone.
     */
    const struct store_position *positions;
    size_t n_positions;
    enum store_status (*before_commit)(void *arg, struct errbuf *err);
};

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
     * Takes one decoded record in; copies or formats what it needs of it.
     * Takes: `row`, the caller's number for it, told back by settle; ascending since the last
     * reset. Returns: STORE_ADDED; STORE_REFUSED with the reason why this store can never take it,
     * or STORE_NO_MEMORY: it is then not in.
     */
    enum store_added (*add)(struct store *store, const struct record *record, uint32_t row,
                            struct reject *why);

    /* Returns: bytes of memory held for rows. */
    size_t (*bytes)(const struct store *store);

    /*
     * One attempt at making every unsettled row durable, within the configured deadlines.
     * Calls settle once for each row that got settled, also when it returns SICK or STOPPED. A row
     * may have reached the server and still be unsettled (an answer that was lost).
     * Returns: see enum store_status; for SICK, err has one line that says what is wrong.
     */
    enum store_status (*write)(struct store *store, const struct store_write *write,
                               struct errbuf *err);

    /*
     * For a store that keeps Kafka's offsets itself, in the transaction of the rows; NULL
     * otherwise. Takes partitions over, so that no former owner can write any more, and says where
     * to go on. Takes: the Kafka cluster's id; the positions, whose `next` is filled in.
     */
    enum store_status (*claim)(struct store *store, const char *cluster_id,
                               struct store_position *positions, size_t n, struct errbuf *err);

    /* Forgets all rows, settled or not. Memory is kept for the next batch, within bounds. */
    void (*reset)(struct store *store);

    /* Ends it without writing; nulls the pointer. */
    void (*close)(struct store **store);
};

extern const struct store_ops store_discard, store_influxdb, store_postgresql;

/* Returns: the ops of a driver, or NULL if this build has none. */
const struct store_ops *store_find(enum store_driver driver);

#endif
