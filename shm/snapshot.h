/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - how anybody reads a segment: attach, take consistent snapshots, look back.
 *
 * A reader maps the file read-only, takes no lock, and never makes a writer wait. All figures of
 * one process belong together: they are what it published in one step.  The instance's are its dead
 * processes' plus those of the living, and each process is counted once, also in the middle of a
 * fold. Should a process publish faster than it can be copied, its figures are the last good ones
 * this reader or the master has (marked `late`).  See doc/SHM.md.
 *
 * Process: pstats, admin, tests, the master (for StatsD).  Owner: the caller.
 * Concurrency: a reader belongs to one thread; any number may read one segment.
 */
#ifndef SHM_SNAPSHOT_H
#define SHM_SNAPSHOT_H

#include <sys/types.h>

#include "lib/errbuf.h"
#include "shm/histogram.h"
#include "shm/stat.h"
#include "shm/state.h"

enum {
    SHM_INSTANCE_BYTES = 65, /* an instance's name, with NUL */
    SHM_PROCESS_BYTES = 264, /* TOPIC-N, with NUL */
    SHM_TOPIC_BYTES = 250,   /* Kafka's longest topic name has 249 */
    SHM_TEXT_BYTES = 192,    /* why a process waits, with NUL; cut to it */
    SHM_PERIODS = 60         /* that many are kept */
};

struct shm_reader;

enum shm_open {
    SHM_OPENED,
    SHM_NOT_THERE, /* no such file */
    SHM_REFUSED    /* not a segment, of another version, truncated, half-made, or no permission, or
                      made by a user who is not believed */
};

enum { SHM_TRUSTED_MAX = 4 };

/* Whose segments are believed, besides root's and those of the process's own user. */
struct shm_trust {
    bool anybody;
    size_t n;
    uid_t users[SHM_TRUSTED_MAX];
};

/*
 * Attaches to a segment. What is there is opened without waiting, is no symbolic link, belongs to a
 * user who is believed, and can be written by its owner only. Even so a reader goes by nothing that
 * the file says after it was checked, and bears any content: false figures are the worst of it.
 * Takes: the file's path; whom to believe.
 * Returns: SHM_OPENED and a reader, or why not, with a text for people that names the file.
 */
enum shm_open shm_reader_open(const char *path, const struct shm_trust *trust,
                              struct shm_reader **reader, struct errbuf *err) MUST_CHECK;

/*
 * Attaches to what is at the path of a reader by now, as that was attached to; of one who believes
 * anybody only if it is still the same user's.
 */
enum shm_open shm_reader_reopen(const struct shm_reader *reader, struct shm_reader **next,
                                struct errbuf *err) MUST_CHECK;

/* Unmaps and nulls the pointer. NULL is fine. */
void shm_reader_close(struct shm_reader **reader);

/*
 * Asks the kernel whether the master holds its lock on the segment.  A system call; neither pids
 * nor namespaces matter.
 * Returns: true if it lives.
 */
bool shm_reader_master_lives(const struct shm_reader *reader);

/*
 * The same, for who wants to send the master a signal: the kernel's word, while what the segment
 * says is no better than who wrote it.
 * Returns: its pid as we see it; 0: none lives; -1: one lives where we do not see its pid.
 */
pid_t shm_reader_find_master(const struct shm_reader *reader);

/* Returns: true if the path leads to another file by now (a new master), or to none. */
bool shm_reader_is_replaced(const struct shm_reader *reader);

struct snapshot_process {
    unsigned slot;
    char name[SHM_PROCESS_BYTES]; /* TOPIC-N */
    char topic[SHM_TOPIC_BYTES];  /* "" for a helper, which is not a worker (retention) */
    unsigned number;              /* N, 0.. */
    int32_t pid;                  /* 0: none runs */
    uint32_t generation;          /* forks of this slot so far: 1.. */
    uint32_t restarts;            /* of these: after a death */
    uint32_t configuration; /* the generation of the configuration that it was assigned under */
    bool leaving;           /* a later configuration has no use for it: it is to end */
    enum slot_state state;
    int64_t since_ms;     /* in this state: on the wall clock */
    int64_t heartbeat_ms; /* the last sign of life, on the wall clock; 0: none */
    /* Why it waits; "" if it does not. */
    char wait_class[32]; /* the store's or dead letters' name: "influxdb", "dead_letters" */
    char wait_text[SHM_TEXT_BYTES]; /* the error's text */
    int64_t wait_since_ms;          /* wall clock; 0: it does not wait */
    bool late; /* the figures could not be read just now and are a little older */
    /* Of this generation, also after its end: a worker that is forked again starts at 0. */
    struct stat_figures totals;
    struct stat_figures lifetime;    /* of all generations of this process; no percentiles */
    struct stat_figures last_period; /* spans generations */
};

struct snapshot {
    char instance[SHM_INSTANCE_BYTES];
    char version[32];   /* of the program that made the segment */
    int64_t taken_ms;   /* wall clock */
    int32_t master_pid; /* as the master saw it */
    enum master_state master_state;
    int64_t started_ms;                /* the master, on the wall clock */
    uint32_t generation;               /* of the configuration: 1, and one more for each reload */
    int64_t heartbeat_ms;              /* the master's last turn, wall clock */
    int64_t refused_ms;                /* the last reload was refused: when, wall clock; 0: no */
    char refused_text[SHM_TEXT_BYTES]; /* why; "" if it was not */
    uint32_t restarts;                 /* of workers, all */
    int64_t period_ms;                 /* configured length */
    uint64_t period;                 /* number of the last closed period, 1..; 0: none closed yet */
    int64_t period_ended_ms;         /* wall clock; 0: none */
    int64_t period_length_ms;        /* what it really was */
    struct stat_figures totals;      /* since the master's start, with percentiles */
    struct stat_figures last_period; /* with percentiles */
    size_t n_processes;
    struct snapshot_process *processes; /* sorted by topic, number, age; helpers last */
    size_t capacity;                    /* internal */
};

/*
 * Takes a snapshot.
 * Takes: a snapshot that was zeroed once; memory is kept from call to call.
 * Returns: 0, or -1 with a text: memory is out, or the file has become shorter. Never waits.
 */
int snapshot_take(struct shm_reader *reader, struct snapshot *snapshot,
                  struct errbuf *err) MUST_CHECK;

/*
 * The counts of every bucket of one timing, as of the reader's last snapshot_take and until its
 * next call.
 * Takes: a timing below STAT_HISTOGRAMS.
 * Returns: the instance's since the start; a process's since its generation's start, NULL if none
 * lives in the slot.
 */
const uint64_t *snapshot_buckets(const struct shm_reader *reader, enum stat_timing timing);
const uint64_t *snapshot_process_buckets(const struct shm_reader *reader, unsigned slot,
                                         enum stat_timing timing);

/* Frees what a snapshot holds and zeroes it. */
void snapshot_free(struct snapshot *snapshot);

/* One closed period of the instance. */
struct snapshot_period {
    uint64_t number;
    int64_t ended_ms, length_ms; /* ended: wall clock */
    struct stat_figures figures; /* with percentiles */
};

/*
 * Looks back over the closed periods that are kept.
 * Takes: room for `max` periods.
 * Returns: how many there were, at most SHM_PERIODS; the newest comes last.
 */
size_t snapshot_periods(struct shm_reader *reader, struct snapshot_period *periods, size_t max);

/* One closed period of a process: what is kept of it. */
struct snapshot_process_period {
    uint64_t
        number; /* as in snapshot_period; periods in which the slot was not in use are left out */
    uint64_t received, completed, rejected, returned;
    struct stat_times times[STAT_TIMINGS]; /* no percentiles */
};

/* As snapshot_periods, for the process in a slot. */
size_t snapshot_process_periods(struct shm_reader *reader, unsigned slot,
                                struct snapshot_process_period *periods, size_t max);

/*
 * Folds the newest closed periods of the instance into one, with percentiles.
 * Takes: how many ms to cover, 1..; whole periods are taken until that is covered or none is left.
 * Returns: how many ms they cover really; 0 if no period is closed yet.
 */
int64_t snapshot_window(struct shm_reader *reader, int64_t span_ms, struct stat_figures *figures);

/*
 * Counts of every bucket of one timing of the instance.
 * Takes: a timing below STAT_HISTOGRAMS; span_ms as in snapshot_window, 0: since the start.
 * Returns: ms covered as in snapshot_window; for span_ms 0 the time since the start.
 */
int64_t snapshot_histogram(struct shm_reader *reader, enum stat_timing timing, int64_t span_ms,
                           uint64_t counts[HISTOGRAM_BUCKETS]);

#endif
