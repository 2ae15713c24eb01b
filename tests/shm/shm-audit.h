/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm-audit.h - the master's side of the shm tests: it drives a real ledger and compares, at every
 * death and every close of a period, what the segment says with what the recorders' logs say.
 *
 * Process: tests, the one with the ledger.  Owner: the caller.  Concurrency: one thread.
 */
#ifndef TESTS_SHM_AUDIT_H
#define TESTS_SHM_AUDIT_H

#include "shm/ledger.h"
#include "tests/shm/shm-play.h"

/* One process: a slot since it was assigned. */
struct audit_slot {
    unsigned assignments;
    uint64_t next;               /* the chunk whose "commit" must be the next period's least */
    struct model lifetime;       /* of the dead generations, by the logs */
    struct stat_figures periods; /* the sum of all closed periods */
};

struct audit {
    struct segment *segment;
    struct ledger *ledger;
    struct play *play;
    struct shm_reader *reader;
    struct snapshot snapshot;
    struct audit_slot *slots;
    struct model total;          /* of all dead generations, by the logs */
    struct stat_figures periods; /* the sum of all closed periods of the instance */
    int64_t now_ms;              /* of the ledger's clock */
    bool left;                   /* somebody lost his slot since the last close */
    uint64_t started, reaped, killed, failures, failures_shown;
    uint64_t undone, completed; /* deaths in the middle of a chunk: before, after its publish */
    uint64_t in_publish;        /* deaths with the slot's sequence odd */
    uint64_t closes, open, handed_over;
};

/* Takes: a fresh segment and play of as many slots. Returns: 0, or -1 if memory is out. */
int audit_open(struct audit *audit, struct segment *segment, struct play *play) MUST_CHECK;
void audit_close(struct audit *audit);

/* Gives a slot to a process of a new name; nobody lives there. */
void audit_assign(struct audit *audit, unsigned slot);

/* The same, after the one before has been removed: its figures stay in the instance's. */
void audit_hand_over(struct audit *audit, unsigned slot);

/* Before the fork. */
void audit_start(struct audit *audit, unsigned slot);

/* After the end: reaps, and compares the slot's figures with its log. */
void audit_reap(struct audit *audit, unsigned slot, enum ledger_death death);

/* Closes a period, and compares it with what ought to be in it. */
void audit_close_period(struct audit *audit);

/* When all are dead and reaped: closes the last period, and compares all sums. */
void audit_finish(struct audit *audit);

/* Returns: true if neither the audit nor any reader found anything wrong; prints what they found.
 */
bool audit_report(const struct audit *audit, unsigned n_readers);

#endif
