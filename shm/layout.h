/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - what is where in the segment, and who writes it. doc/SHM.md explains it at length.
 *
 *   header | descriptors | periods (ring) | retired, twice | book, twice | slot 0 .. slot n
 *
 *   header       the master writes it; `magic` last, when all the rest is there
 *   descriptors  what the figures are, from stat.def; constant
 *   periods      the last SHM_PERIODS closed periods of the instance; the master's
 *   retired      the sums of all dead processes; the copy that the low bit of `fold` names counts
 *   book         the state at the last close; the copy that the low bit of `book` names counts
 *   slot 0       the master's own figures; slots 1..n: a process each.  Memory is reserved for
 * those up to `slots_used` only
 *
 * Words of several bytes are in the machine's order: a segment never leaves its host.
 *
 * Process: all.  Owner: segment.c.  Concurrency: whatever changes while others look is a lock-free
 * atomic; each has one writer, named beside it.
 */
#ifndef SHM_LAYOUT_H
#define SHM_LAYOUT_H

#include <stdatomic.h>

#include "shm/snapshot.h"

#define SHM_MAGIC                                                                                  \
    UINT64_C(0x314d48535245504d) /* "MPERSHM1" in a file of a little-endian machine                \
                                  */
enum { SHM_LAYOUT_VERSION = 1 };

/* The words of one copy of a process's figures. */
enum shm_word {
    SHM_WORD_VALUES = 0, /* by enum stat_value */
    SHM_WORD_FIRST_TIME = STAT_VALUES,
    SHM_TIME_COUNT = 0, /* within a timing */
    SHM_TIME_SUM,
    SHM_TIME_MIN, /* UINT64_MAX if there is none */
    SHM_TIME_MAX,
    SHM_TIME_PERIOD_MIN, /* of the epoch in SHM_WORD_EPOCH */
    SHM_TIME_PERIOD_MAX,
    SHM_TIME_WORDS,
    SHM_WORD_EPOCH = SHM_WORD_FIRST_TIME + SHM_TIME_WORDS * STAT_TIMINGS,
    SHM_WORD_GENERATION, /* whose figures these are; live only if above the folded one */
    SHM_WORD_STATE,      /* enum slot_state */
    SHM_WORD_SINCE,      /* ms, wall clock */
    SHM_WORD_WAIT_SINCE, /* ms, wall clock; 0: it does not wait */
    SHM_WORD_WAIT_CLASS,
    SHM_WAIT_CLASS_WORDS = 4,
    SHM_WORD_WAIT_TEXT = SHM_WORD_WAIT_CLASS + SHM_WAIT_CLASS_WORDS,
    SHM_WAIT_TEXT_WORDS = SHM_TEXT_BYTES / 8,
    SHM_SCALAR_WORDS = SHM_WORD_WAIT_TEXT + SHM_WAIT_TEXT_WORDS,
    SHM_BUCKET_WORDS = STAT_HISTOGRAMS * HISTOGRAM_BUCKETS,
    SHM_COPY_WORDS = SHM_SCALAR_WORDS + SHM_BUCKET_WORDS
};

#define SHM_WORD_TIMES(timing) ((unsigned)SHM_WORD_FIRST_TIME + SHM_TIME_WORDS * (unsigned)(timing))
#define SHM_WORD_BUCKETS(timing)                                                                   \
    ((unsigned)SHM_SCALAR_WORDS + HISTOGRAM_BUCKETS * (unsigned)(timing))

/* The state at the end of an epoch, kept by the writer when it begins the next one. */
struct shm_edge {
    _Atomic uint64_t scalars[SHM_SCALAR_WORDS];
    _Atomic uint32_t buckets[SHM_BUCKET_WORDS]; /* the low halves: only differences are wanted */
};

/* What is kept of one closed period of a process. The master writes it. */
struct shm_slot_period {
    _Atomic uint64_t number; /* 0 while it is being written */
    _Atomic uint64_t received, completed, rejected, returned;
    struct {
        _Atomic uint64_t count, sum, min, max;
    } times[STAT_TIMINGS];
};

struct shm_slot {
    /* the process that lives here writes these */
    _Alignas(128) _Atomic uint64_t seq; /* bit 0: in a publish; the rest: publishes so far */
    _Atomic int64_t heartbeat_ms;       /* clock_mono_ms of the last sign of life */
    /* the master writes these */
    _Alignas(128) _Atomic uint64_t epoch; /* what the next publish counts into */
    _Atomic uint32_t generation;          /* forks so far */
    _Atomic uint32_t restarts;            /* of these: after a death */
    _Atomic int32_t pid;                  /* 0: none runs */
    _Atomic uint32_t state;   /* enum slot_state, or SLOT_STATES: the process itself says it */
    _Atomic int64_t since_ms; /* that state; wall clock */
    _Atomic uint32_t number, assigned; /* assigned: somebody is meant to live here */
    _Atomic uint32_t assigned_from;    /* the generation before his first */
    _Atomic uint32_t configuration;    /* the generation of the configuration it was forked with */
    _Atomic uint32_t leaving;          /* another configuration has no use for it: it is to end */
    _Atomic uint64_t name[SHM_PROCESS_BYTES / 8], topic[256 / 8];
    struct shm_slot_period periods[SHM_PERIODS];
    /* the process's again */
    _Alignas(128) _Atomic uint64_t copies[2][SHM_COPY_WORDS];
    struct shm_edge edge;
};

/* The sums of the dead in one slot, since it was assigned. */
struct shm_retired_slot {
    _Atomic uint64_t generation; /* the last that is in the sums */
    _Atomic uint64_t released;    /* 1: the slot was released, whatever its `assigned` still says */
    _Atomic uint64_t words[SHM_WORD_EPOCH];
};

struct shm_retired {
    _Alignas(128) _Atomic uint64_t words[SHM_WORD_EPOCH]; /* the instance's; gauges are 0 */
    _Atomic uint64_t buckets[SHM_BUCKET_WORDS];
    struct shm_retired_slot slots[]; /* 0..n_slots */
};

enum { SHM_FIGURES_WORDS = sizeof(struct stat_figures) / 8 };

/* A process at the last close. */
struct shm_book_slot {
    _Atomic uint64_t generation;
    _Atomic uint64_t totals[SHM_FIGURES_WORDS]; /* struct stat_figures, word by word */
    _Atomic uint64_t last_period[SHM_FIGURES_WORDS];
};

struct shm_book {
    _Alignas(128) _Atomic uint64_t period; /* number of the last closed period */
    _Atomic int64_t ended_ms, length_ms;
    _Atomic uint64_t totals[SHM_FIGURES_WORDS];
    _Atomic uint64_t last_period[SHM_FIGURES_WORDS];
    struct shm_book_slot slots[];
};

/* One closed period of the instance. */
struct shm_period {
    _Atomic uint64_t number; /* 0 while it is being written */
    _Atomic int64_t ended_ms, length_ms;
    _Atomic uint64_t figures[SHM_FIGURES_WORDS];
    _Atomic uint32_t buckets[SHM_BUCKET_WORDS];
};

struct shm_descriptor {
    char name[32], unit[16], statsd[32], help[160];
    uint32_t nature;    /* enum stat_nature */
    uint32_t word;      /* in a slot's copy */
    uint32_t histogram; /* first bucket's word, 0 if it has none */
    uint32_t reserved;
};

struct shm_header {
    _Atomic uint64_t magic; /* last of all: ready */
    uint32_t version;       /* SHM_LAYOUT_VERSION */
    uint32_t header_bytes;
    uint64_t file_bytes, table_hash;
    uint32_t n_slots; /* besides slot 0 */
    uint32_t n_descriptors;
    uint64_t descriptors_at, periods_at, retired_at, retired_bytes, book_at, book_bytes, slots_at,
        slot_bytes;
    char instance[72], program[32], boot_id[40];
    int64_t started_ms, started_mono_ms; /* wall and monotonic clock */
    uint32_t fence; /* 1: writers use a full fence, since the kernel has no membarrier */
    uint32_t reserved;
    /* these change, by the master */
    _Alignas(128) _Atomic uint64_t fold; /* folds so far; the low bit names the retired copy */
    _Atomic uint64_t book;               /* closes so far; the low bit names the book */
    _Atomic int64_t heartbeat_ms;        /* clock_mono_ms of the master's last turn */
    _Atomic int64_t period_ms;
    _Atomic int32_t master_pid;
    _Atomic uint32_t master_state, generation, restarts;
    _Atomic uint32_t slots_used; /* the highest slot that was ever assigned; those above it may have
                                    no memory behind them and must not be looked at */
    _Atomic int64_t refused_ms;  /* wall clock: when the last reload was refused, if that was the
                                    last reload; 0: it was not, or the text is being written */
    _Atomic uint64_t refused_text[SHM_TEXT_BYTES / 8];
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
               "words of the segment must be lock-free");
_Static_assert(offsetof(struct shm_header, fold) == 384 && sizeof(struct shm_header) == 640 &&
                   sizeof(struct shm_descriptor) == 256,
               "the layout must not depend on the compiler");
_Static_assert(offsetof(struct shm_slot, epoch) == 128 && sizeof(struct shm_slot) % 128 == 0,
               "slots and their writers must not share cache lines");
_Static_assert(sizeof(struct shm_slot) + 2 * sizeof(struct shm_retired_slot) +
                       2 * sizeof(struct shm_book_slot) <=
                   64 * 1024,
               "at most 64 KiB a process");
_Static_assert(sizeof(struct stat_figures) % 8 == 0, "figures are words");

/* Relaxed loads and stores: what orders them is said where they are used. */
#define shm_load(object) atomic_load_explicit((object), memory_order_relaxed)
#define shm_store(object, value) atomic_store_explicit((object), (value), memory_order_relaxed)

/* Returns: the highest slot that may be looked at. */
static inline unsigned
shm_slots_used(const struct shm_header *h)
{
    uint32_t used = atomic_load_explicit(&h->slots_used, memory_order_acquire);
    return used < h->n_slots ? used : h->n_slots;
}

/* Fills in the sizes and offsets that follow from n_slots. Returns: the file's size. */
uint64_t shm_lay_out(struct shm_header *header, uint32_t n_slots);

static inline void *
shm_at(const struct shm_header *header, uint64_t offset)
{
    return (char *)(uintptr_t)header + offset;
}

static inline struct shm_slot *
shm_slot_at(const struct shm_header *h, unsigned slot)
{
    return shm_at(h, h->slots_at + slot * h->slot_bytes);
}

static inline struct shm_retired *
shm_retired_at(const struct shm_header *h, uint64_t fold)
{
    return shm_at(h, h->retired_at + (fold & 1) * h->retired_bytes);
}

static inline struct shm_book *
shm_book_at(const struct shm_header *h, uint64_t book)
{
    return shm_at(h, h->book_at + (book & 1) * h->book_bytes);
}

static inline struct shm_period *
shm_period_at(const struct shm_header *h, uint64_t number)
{
    return (struct shm_period *)shm_at(h, h->periods_at) + number % SHM_PERIODS;
}

/* Copies words out of, or into, the segment. */
void shm_copy_out(uint64_t *to, const _Atomic uint64_t *from, size_t n);
void shm_copy_in(_Atomic uint64_t *to, const uint64_t *from, size_t n);

/* Fills in the id of this boot of the machine; "" if it cannot be read. */
void shm_read_boot_id(char *text, size_t size);

/* The figures that a copy's words say, without percentiles. */
void shm_words_to_figures(const uint64_t *words, struct stat_figures *figures);

/* Fills in the percentiles from the buckets of all histograms. */
void shm_fill_percentiles(struct stat_figures *figures, const uint64_t *buckets);

#endif
