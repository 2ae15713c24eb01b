/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline.h - from messages to what is durable: decoded into the batch that is being filled while
 * the batches before it are written, and what is refused is buried.
 *
 * Writing and burying are fibers (lib/fiber.h): where they wait, all else goes on.  The owner hands
 * messages in, takes batches out that are done with, and says how long it can wait; nothing is
 * called back.  What goes wrong is tried again for ever, until the owner hurries.
 *
 * Process: workers.  Owner: the worker.  Concurrency: one thread.
 */
#ifndef WORKER_PIPELINE_H
#define WORKER_PIPELINE_H

#include "batch/window.h"
#include "conf/cfg.h"
#include "lib/errbuf.h"
#include "shm/recorder.h"
#include "store/store.h"

struct pipeline;

/*
 * Takes: the configuration, which outlives it; the recorder of its figures; whether each message is
 * to be durable before the next is taken.
 * Returns: the pipeline, or NULL with a text.
 */
struct pipeline *pipeline_new(const struct config *cfg, enum topic_kind kind,
                              struct recorder *recorder, bool careful,
                              struct errbuf *err) MUST_CHECK;

/* What is in hand is forgotten. */
void pipeline_free(struct pipeline **pipeline);

/* Returns: how many messages may be handed in now; 0: the window is full, or nothing goes any more. */
uint32_t pipeline_room(struct pipeline *p);

/*
 * Hands messages in, which are the pipeline's from then on.
 * Takes: up to pipeline_room() of them; when they came, clock_mono_ns.
 */
void pipeline_take(struct pipeline *p, struct message *messages, size_t n, int64_t polled_ns);

/* Goes on with whatever need not wait. To be called before each sleep. */
void pipeline_turn(struct pipeline *p);

/* Writes what is in hand without waiting for more of it. */
void pipeline_flush(struct pipeline *p);

/*
 * Sleeps until there is something to do, one of the caller's descriptors is ready, or it is time.
 * Takes: descriptors as poll(2); the latest time by clock_mono_ms.
 */
void pipeline_sleep(struct pipeline *p, struct pollfd *own, size_t n_own, int64_t until_ms);

/* Writing and burying are given up at that time, clock_mono_ms; INT64_MAX: never. */
void pipeline_hurry(struct pipeline *p, int64_t until_ms);

/*
 * Returns: the oldest batch if it is done with: every message stored, or buried. The owner counts
 * it and notes what may be committed (the ends of its parts), then calls pipeline_retire.
 */
struct batch *pipeline_done(struct pipeline *p);
void pipeline_retire(struct pipeline *p);

/*
 * Gives back what nobody works on, the youngest first.
 * Returns: the batch, of which anything may be settled, or NULL. The owner counts it, then calls
 * pipeline_dropped. What may be committed of the window has to be found before (window_find_runs).
 */
struct batch *pipeline_to_drop(struct pipeline *p);
void pipeline_dropped(struct pipeline *p);

/* Returns: whether nothing is under way, and nothing will be by itself soon: the store is sick, or
 * fenced, or it was hurried, or nothing is left. */
bool pipeline_rests(struct pipeline *p);

/* Returns: what is in hand. */
struct window *pipeline_window(struct pipeline *p);

/* Returns: whether an attempt has failed and none has succeeded since. */
bool pipeline_is_sick(const struct pipeline *p);

/* Returns: whether something has been blocking for a second: no sign of life is due, then. */
bool pipeline_hangs(const struct pipeline *p, int64_t now_ms);

/* Returns: whether an attempt at writing is under way. */
bool pipeline_is_writing(const struct pipeline *p);

/* Returns: whether the store keeps Kafka's offsets: then partitions have to be claimed. */
bool pipeline_claims(const struct pipeline *p);

/*
 * Has the store take partitions over, as struct store_ops says; nothing is in hand then.
 * Takes: all of which stay as they are until pipeline_claimed tells.
 */
void pipeline_claim(struct pipeline *p, const char *cluster_id, struct store_position *positions,
                    size_t n);
/* Returns: whether it has ended; *status is then how. */
bool pipeline_claimed(struct pipeline *p, enum store_status *status);

/* Returns: whether the store said since the last call that all in hand has to be given back, and
 * claimed anew. */
bool pipeline_take_fenced(struct pipeline *p);

/* Returns: whether memory is out: the process should end. */
bool pipeline_is_broken(const struct pipeline *p);

/* The dead letters' file is opened anew. */
void pipeline_reopen(struct pipeline *p);

#endif
