/*
 * shm.pml - a model of the shared-memory figures for Spin (https://spinroot.com): publish, the change of
 * a period, fold and reap, and slots that change hands, with processes that are killed or stopped at
 * any step.  tests/check_spin runs it; doc/SHM.md says what the real thing looks like, and
 * shm/recorder.c, ledger*.c, snapshot.c are it. Names in the model are theirs where there is a
 * counterpart.
 *
 * What a figure is here.  Every chunk that a worker publishes records one timing.  Chunk n is the
 * digit 4^n, so a total is a number whose digit n says how often chunk n is in it: 0 or 1 if all
 * is well, 2 if it was counted twice.  Each copy of a slot has five words:
 *   A, B  the total, twice: they stand for all the words that belong together (count and buckets;
 *         received and completed). Where they differ somebody saw a state half-way.
 *   P     the chunks recorded in the period so far: the set of which the real slot keeps min and max
 *   E     the epoch, that is the number of the period, P belongs to
 *   G     the generation whose figures they are; the one in the slot beside them tells readers that
 *         could not copy it what to look for in the book
 * If P is exactly what the total grew by between two closes, in every period, then every timing is
 * in the min and max of just one period, and in the one that counts it.
 *
 * Memory.  A worker's stores go through a queue (SB entries) and reach memory later, in order; its
 * loads go past the queue: that is the store buffer of x86 (TSO), and the only reordering there is
 * on it.  membarrier() by the master waits for the queue to be empty.  Spin itself knows nothing but
 * sequential consistency, so what ARM or POWER may do beyond TSO is not shown here: there the
 * acquires and releases in the code must do, see doc/SHM.md and tests/shm-litmus.
 *
 * A worker is killed or stopped before any of its stores; between two stores it does nothing that
 * anybody else could see.  A killed one executes nothing more; what is in its store buffer still
 * reaches memory, and the master learns of the death after that (as waitpid gives it).  A stopped one
 * executes nothing more and is never reaped.  A killed master has no successor: the segment stays for
 * readers.  For what must never happen, runs with a master that is killed at some step are among
 * those in which it is not scheduled any more, and those are all looked at; that nobody waits for
 * it is looked at with KILL_MASTER.
 *
 * Sizes: SLOTS, GENS (how often a slot is forked), CHUNKS (by each), CLOSES (periods closed before the
 * last; 0: none is), KILLS (of each slot), SNAPS (snapshots the reader takes; 0: no reader), TRIES (its
 * tries at a slot), SB (0: stores reach memory at once).  All that a reader ever reads of what
 * closing a period writes is the book, and it writes nothing; so either can be left out when the
 * other is looked at, which allows larger sizes.  With HEIR, slot 0 is released after its first
 * generation, as a reload does: its sums go to slot 1, and another process gets it; what is proved
 * without HEIR, a publish, reading a slot and filling in a copy that nobody reads, is one step then,
 * and slot 1 has one generation.
 *
 * Defines that break it, each of which must be found:
 *   NO_BARRIER     the master closes a period without membarrier (and the writer has no fence)
 *   EPOCH_EARLY    the writer reads the epoch before it says that it is in a section
 *   RESET_LATE     the writer begins the new period's min and max one publish too late
 *   NO_EDGE        the master takes the current copy, though it is of the new epoch already
 *   NO_PENDING     the master takes the current copy of a writer in its section for the period's end
 *   PENDING_BUMP   a slot whose period stayed open is given a new epoch all the same
 *   REAP_FORGETS   the period's figures of a dead worker are not carried into the next close
 *   PUBLISH_EARLY  the new sequence is stored before the copy is whole
 *   PUBLISH_ONE    the writer publishes in place: one copy
 *   NO_RECHECK     a reader does not look at the sequence a second time
 *   FLIP_EARLY     the fold word is stored before the retired copy is whole
 *   FOLD_IN_PLACE  the fold adds to the copy that readers look at
 *   FOLD_STALE     the fold adds to what the other copy held, two folds ago
 *   ZERO_EARLY     the slot is zeroed before the fold word is stored
 *   BEGIN_EARLY    a generation begins with the sequence, before its empty copy is whole
 *   BEGIN_IN_PLACE it begins in the copy that readers look at
 *   NO_FOLD_CHECK  a reader does not look at the fold word a second time
 *   NO_GENERATION  a reader counts a slot that is in the retired totals already
 *   OTHERS_GENERATION  a reader goes by the generation that is beside the copies
 *   HEIR_LATE      the heir has the sums one fold after they left the slot
 *   NO_NOBODYS     a reader takes a slot for its process's though the fold says it is nobody's
 *   HIS_EARLY      a slot is its new process's before it has its name
 *   NO_BOOK_CHECK  a reader that is late does not look twice at which book it took
 *   READER_WAITS   a reader waits for a writer that is in its section
 *   MASTER_WAITS   the master does
 * WRITER_FENCE is right, too: the fallback without membarrier, a full fence in the writer.
 */
#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef GENS
#define GENS 2
#endif
#ifndef CHUNKS
#define CHUNKS 2
#endif
#ifndef CLOSES
#define CLOSES 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef SNAPS
#define SNAPS 2
#endif
#ifndef TRIES
#define TRIES 1
#endif
#ifndef SB
#define SB 0
#endif

/* The words that a worker writes in its slot. */
#define SEQ 0            /* bit 0: in a section; the rest: publishes so far */
#define A 0
#define B 1
#define P 2
#define E 3
#define G 4
#define COPY(n, w) (1 + (n) * 5 + (w))
#define EDGE(w) (11 + (w))
#define WORDS 15
#ifdef PUBLISH_ONE
#define CURRENT(seq) 0
#else
#define CURRENT(seq) (((seq) >> 1) & 1)
#endif

/* What is one step with HEIR. */
#ifdef HEIR
#define ONE_STEP atomic
#define GENS_OF(i) ((i) == 0 -> GENS : 1)
#else
#define ONE_STEP
#define GENS_OF(i) GENS
#endif

#define DIGIT(i, g, k) (1 << (2 * (((i) * GENS + (g) - 1) * CHUNKS + (k))))
#define HOLDS(all, some) (((all) & (some)) == (some))

typedef Slot {
    int word[WORDS];
    byte epoch, generation; /* the master's */
#ifdef HEIR
    bool assigned;
    byte name;
#endif
};
typedef Retired {
    int a, b;
    byte folded[SLOTS]; /* the last generation of each slot that is in it */
#ifdef HEIR
    int mine[SLOTS];    /* of a and b, what belongs to the process in each slot */
    bool released[SLOTS];
#endif
};

typedef Book {
    byte whose[SLOTS]; /* generation */
    int a[SLOTS], b[SLOTS];
};

Slot slot[SLOTS];
Retired retired[2]; /* fold & 1 names the one that counts */
byte fold;
Book book[2];       /* books & 1 names the one that counts */
byte books;
#if SB
chan sb[SLOTS] = [SB] of { byte, int };
#endif

/* What becomes of the processes. */
#define NONE 0    /* not forked yet, or reaped */
#define RUNS 1
#define STOPPED 2 /* for good */
#define DEAD 3    /* not reaped yet */
#define GONE 4    /* reaped for the last time */
byte fate[SLOTS];
bool readers_done;
#ifdef KILL_MASTER
bool master_killed;
#endif

/* Ghosts, which only the assertions look at. */
int published;    /* the chunks whose publish has reached memory */
byte base[SLOTS]; /* publishes of the generations before */

/* A worker: recorder_publish ------------------------------------------------------------------- */

/* A store reaches memory. Its last one of a publish, an even sequence, is the one that counts. */
inline land(w, v) {
    slot[i].word[w] = v;
    if
    :: w == SEQ && ((v) & 1) == 0 ->
        published = published | DIGIT(i, slot[i].generation, ((v) >> 1) - base[i] - 1)
    :: else
    fi
}

/* Any store can be the one that it does not come to: there it is killed or stopped. */
#define OR_DIES                                                                                    \
    :: deaths < KILLS -> deaths++; goto died                                                       \
    :: deaths < KILLS -> deaths = KILLS; goto stopped

#if SB
#define DRAINED(n) empty(sb[n])
inline store(w, v) {
    if
    :: sb[i]!w, v
    OR_DIES
    fi
}
#else
#define DRAINED(n) true
inline store(w, v) {
    if
    :: d_step { true -> land(w, v) }
    OR_DIES
    fi
}
#endif

/* One chunk, the k-th of generation g. Mirrors recorder_publish. */
inline publish() {
#ifdef EPOCH_EARLY
    e = slot[i].epoch;
#endif
    store(SEQ, seq | 1);
#ifdef WRITER_FENCE
    DRAINED(i);
#endif
#ifndef EPOCH_EARLY
    e = slot[i].epoch;
#endif
    if
    :: e != epoch ->
        /* the first publish of a period: keep the end of the one before */
        store(EDGE(A), total);
        store(EDGE(B), total);
        store(EDGE(P), period);
        store(EDGE(E), epoch);
#ifndef RESET_LATE
        period = 0
#endif
    :: else
    fi;
    d_step {
        total = total + DIGIT(i, g, k);
        period = period + DIGIT(i, g, k);
        seq = seq + 2
    };
#ifdef PUBLISH_EARLY
    store(SEQ, seq);
#endif
    store(COPY(CURRENT(seq), A), total);
    store(COPY(CURRENT(seq), B), total);
    store(COPY(CURRENT(seq), P), period);
    store(COPY(CURRENT(seq), E), e);
#ifndef PUBLISH_EARLY
    store(SEQ, seq);
#endif
    d_step {
#ifdef RESET_LATE
        if :: e != epoch -> period = 0 :: else fi;
#endif
        epoch = e;
        e = 0
    }
}

proctype Worker(byte i) {
    byte seq, e, epoch, k, g, deaths;
    int total, period;
end_fork:
    do
    :: atomic {
        fate[i] == RUNS -> /* recorder_new */
        d_step {
            g = slot[i].generation;
            total = 0;
            period = 0;
            seq = slot[i].word[SEQ];
            epoch = slot[i].word[COPY(CURRENT(seq), E)]
        }
    };
        k = 0;
        do
        :: k < CHUNKS -> ONE_STEP { publish() }; k++
        :: else -> break
        od;
died:
        fate[i] = DEAD
    :: fate[i] == GONE -> break
    od;
    goto ended;
stopped:
    fate[i] = STOPPED;
ended:
    skip
}

#if SB
/* Its store buffer: what it stored reaches memory some time, in order. */
proctype StoreBuffer(byte i) {
    byte w;
    int v;
end_empty:
    do
    :: d_step {
        sb[i]?w, v;
        land(w, v);
        w = 0;
        v = 0
    }
    od
}
#endif

/* The master ----------------------------------------------------------------------------------- */

#define W(w) slot[i].word[w]

/* What it knows of a slot. */
typedef Ledger {
    byte epoch;   /* the one it gave the slot */
    bool live;    /* a generation runs that is not folded yet */
    bool pending; /* the epoch before that is not collected yet */
    int last;     /* the total when it last collected */
    int growth, period; /* of dead generations, for the next close */
};

#define L ledger[i]

/* Closes slot i's period. Mirrors what ledger_close_period does for each slot. */
inline collect() {
    if
    :: !L.live -> goto settle
    :: else
    fi;
look:
#ifdef MASTER_WAITS
    (W(SEQ) & 1) == 0;
#endif
    seq = W(SEQ);
    if
#ifndef NO_PENDING
    :: (seq & 1) == 1 -> L.pending = 1; goto open
#endif
    :: else
    fi;
    e = W(COPY(CURRENT(seq), E));
    t = W(COPY(CURRENT(seq), A));
    b = W(COPY(CURRENT(seq), B));
    p = W(COPY(CURRENT(seq), P));
    if
    :: (W(SEQ) >> 1) != (seq >> 1) -> goto look
    :: else
    fi;
#ifndef NO_EDGE
    if
    :: e == L.epoch ->
        /* it has gone on to the new epoch; the edge stays as it is until there is another */
        t = W(EDGE(A));
        b = W(EDGE(B));
        p = W(EDGE(P));
        e = W(EDGE(E))
    :: else
    fi;
#endif
    assert(t == b);
#ifndef NO_EDGE
    if
    :: e != L.epoch - 1 -> p = 0 /* nothing was published in the period */
    :: else
    fi;
#endif
settle:
    skip;
    d_step {
        L.pending = 0;
        /* what the period is about to say: the growth of the total, and its min and max */
        assert(t - L.last + L.growth == p + L.period);
        periods = periods + t - L.last + L.growth;
        L.last = t;
        L.growth = 0;
        L.period = 0
    };
open:
    skip;
    d_step { seq = 0; e = 0; t = 0; b = 0; p = 0 }
}

/* What the master has seen of each slot, for readers that cannot copy the slot itself. */
inline write_book() {
    i = 0;
    do
    :: i < SLOTS ->
        book[1 - (books & 1)].whose[i] = slot[i].generation;
        book[1 - (books & 1)].a[i] = L.last;
        book[1 - (books & 1)].b[i] = L.last;
        i++
    :: else -> break
    od;
    i = 0;
    books++
}

inline close_period() {
    i = 0;
    do
    :: i < SLOTS ->
        if
#ifndef PENDING_BUMP
        :: !L.live || L.pending
#else
        :: !L.live
#endif
        :: else -> d_step { L.epoch++; slot[i].epoch = L.epoch }
        fi;
        i++
    :: else -> break
    od;
#if !defined(NO_BARRIER) && !defined(WRITER_FENCE)
    i = 0;
    do
    :: i < SLOTS -> DRAINED(i); i++ /* membarrier */
    :: else -> break
    od;
#endif
    i = 0;
    do
    :: i < SLOTS -> collect(); i++
    :: else -> break
    od;
    i = 0;
#if SNAPS
    write_book()
#endif
}

/* Adds the dead worker's total to the retired ones, in one step. Mirrors the fold of ledger_reap. */
#if defined(FOLD_IN_PLACE) || defined(FLIP_EARLY)
#define TO (fold & 1)
#else
#define TO (1 - (fold & 1))
#endif
#if defined(FOLD_STALE)
#define FROM TO
#elif defined(FLIP_EARLY)
#define FROM (1 - (fold & 1))
#else
#define FROM (fold & 1)
#endif

/* The copy that nobody reads is made equal to the one that counts; what of it readers could see half-way
 * is what is added then. */
inline begin_fold() {
    d_step {
        retired[TO].a = retired[FROM].a;
        retired[TO].b = retired[FROM].b;
        j = 0;
        do
        :: j < SLOTS ->
            retired[TO].folded[j] = retired[FROM].folded[j];
#ifdef HEIR
            retired[TO].mine[j] = retired[FROM].mine[j];
            retired[TO].released[j] = retired[FROM].released[j];
#endif
            j++
        :: else -> break
        od;
        j = 0
    }
}

inline fold_dead() {
#ifdef FLIP_EARLY
    fold++;
#endif
    begin_fold();
    retired[TO].a = retired[TO].a + t;
    retired[TO].b = retired[TO].b + t;
#ifdef HEIR
    retired[TO].mine[i] = retired[TO].mine[i] + t;
#endif
    retired[TO].folded[i] = slot[i].generation;
#if !defined(FLIP_EARLY) && !defined(FOLD_IN_PLACE)
    fold++
#else
    skip
#endif
}

/* An empty copy. */
inline clear(n, whose) {
    ONE_STEP {
        slot[i].word[COPY(n, A)] = 0;
        slot[i].word[COPY(n, B)] = 0;
        d_step {
            slot[i].word[COPY(n, P)] = 0;
            slot[i].word[COPY(n, E)] = L.epoch;
            slot[i].word[COPY(n, G)] = whose
        }
    }
}

/* Both copies are the new generation's, and it becomes true with the first of them. */
inline begin_generation(next) {
    slot[i].word[SEQ] = slot[i].word[SEQ] | 1;
    j = 1 - CURRENT(slot[i].word[SEQ]);
#ifdef BEGIN_IN_PLACE
    j = 1 - j;
#endif
#ifndef BEGIN_EARLY
    clear(j, next);
#endif
    d_step {
        slot[i].word[SEQ] = slot[i].word[SEQ] + 1;
        base[i] = slot[i].word[SEQ] >> 1
    };
#ifdef BEGIN_EARLY
    clear(j, next);
#endif
    clear(1 - j, next);
    j = 0
}

#ifdef HEIR
/* The slot is nobody's, and the heir has its sums, in one step. Mirrors ledger_release. */
inline release(heir) {
    begin_fold();
#ifdef HEIR_LATE
    t = retired[TO].mine[i];
#else
    retired[TO].mine[heir] = retired[TO].mine[heir] + retired[TO].mine[i];
#endif
    retired[TO].mine[i] = 0;
    retired[TO].released[i] = 1;
    fold++;
#ifdef HEIR_LATE
    begin_fold();
    retired[TO].mine[heir] = retired[TO].mine[heir] + t;
    fold++;
    t = 0;
#endif
    slot[i].assigned = 0
}

inline his() {
    begin_fold();
    retired[TO].released[i] = 0;
    fold++
}

/* Mirrors ledger_assign; the slot's sums are the heir's already. */
inline assign(n) {
    slot[i].assigned = 0;
    begin_fold();
    retired[TO].mine[i] = 0;
    retired[TO].released[i] = 1;
    fold++;
#ifdef HIS_EARLY
    slot[i].assigned = 1;
    his();
#endif
    slot[i].name = n;
    slot[i].assigned = 1;
#ifndef HIS_EARLY
    his()
#else
    skip
#endif
}
#endif

/* Carries what the dead worker recorded since the last close: all of it belongs to the open period.
 * Nobody else writes the slot any more, so this is one step. Its sequence may be odd: the current
 * copy is whole all the same, and what was in the other one is lost with the worker. */
inline carry() {
    d_step {
        seq = W(SEQ);
        t = W(COPY(CURRENT(seq), A));
        assert(t == W(COPY(CURRENT(seq), B)));
        e = W(COPY(CURRENT(seq), E));
#ifndef REAP_FORGETS
        L.growth = L.growth + t - L.last;
        if
        :: e == L.epoch || (L.pending && e == L.epoch - 1) ->
            L.period = L.period + W(COPY(CURRENT(seq), P))
        :: else
        fi;
        if
        :: L.pending && e == L.epoch && W(EDGE(E)) == L.epoch - 1 ->
            L.period = L.period + W(EDGE(P))
        :: else
        fi;
#endif
        L.last = 0;
        L.pending = 0;
        L.live = 0;
        seq = 0;
        e = 0
    }
}

inline reap() {
    carry();
#ifdef ZERO_EARLY
    begin_generation(slot[i].generation + 1);
#endif
    fold_dead();
    t = 0;
#ifdef HEIR
    if
    :: i == 0 && slot[i].generation == 1 -> release(1); assign(2)
    :: else
    fi;
#endif
    if
    :: slot[i].generation < GENS_OF(i) -> fate[i] = NONE
    :: else -> fate[i] = GONE
    fi
}

inline start() {
    slot[i].epoch = L.epoch;
    slot[i].generation++;
    begin_generation(slot[i].generation);
    L.live = 1;
    fate[i] = RUNS
}

#define ENDED(n) (fate[n] == GONE || fate[n] == STOPPED)
#if SLOTS == 2
#define ALL_ENDED (ENDED(0) && ENDED(1))
#define ALL_GONE (fate[0] == GONE && fate[1] == GONE)
#else
#define ALL_ENDED ENDED(0)
#define ALL_GONE (fate[0] == GONE)
#endif

proctype Master() {
    Ledger ledger[SLOTS];
    byte i, j, closes, seq, e;
    int t, b, p;
    int periods; /* ghost: the sum of all closed periods */
#ifdef KILL_MASTER
    {
#endif
        do
        :: i < SLOTS -> L.epoch = 1; i++
        :: else -> break
        od;
        i = 0;
        do
        :: closes < CLOSES -> close_period(); closes++
        :: fate[0] == NONE -> i = 0; start()
        :: fate[0] == DEAD && DRAINED(0) -> i = 0; reap(); i = 0
#if SLOTS == 2
        :: fate[1] == NONE -> i = 1; start(); i = 0
        :: fate[1] == DEAD && DRAINED(1) -> i = 1; reap(); i = 0
#endif
        :: ALL_ENDED && closes == CLOSES -> break
        od;
#if CLOSES
        /* the last close: now all periods together are the totals */
        close_period();
        assert(!ALL_GONE || periods == published);
#endif
        assert(!ALL_GONE || retired[fold & 1].a == published);
#ifdef KILL_MASTER
    } unless { master_killed }
#endif
}

/* A reader: snapshot_take ---------------------------------------------------------------------- */

#if CLOSES
inline read_book() {
    do
    :: seq = books;
        if
        :: book[seq & 1].whose[i] == g -> x = book[seq & 1].a[i]; y = book[seq & 1].b[i]
        :: else -> x = 0; y = 0
        fi;
        if
#ifdef NO_BOOK_CHECK
        :: true -> break
#else
        :: books == seq -> break
        :: else
#endif
        fi
    od
}
#endif

#ifdef HEIR
/* Whether a process is shown in slot i, and the chunks that may be its own, by its name. */
#ifdef NO_NOBODYS
#define SHOWN slot[i].assigned
#else
#define SHOWN (slot[i].assigned && !retired[f & 1].released[i])
#endif
#define MAY_HAVE(n)                                                                                \
    ((n) == 0 -> DIGIT(0, 1, 0)                                                                    \
              : ((n) == 2 -> DIGIT(0, 2, 0) : DIGIT(0, 1, 0) + DIGIT(1, 1, 0)))
#endif

proctype Reader() {
    byte i, f, g, h, folded, seq, tries, snaps;
    int a, b, x, y, before, least;
    bool late;
    int kept[SLOTS]; /* the last good ones, and of which generation */
    byte kept_of[SLOTS];
#ifdef HEIR
    bool shown[SLOTS];
    byte name[SLOTS];
    int lifetime[SLOTS];
#endif
    do
    :: snaps < SNAPS ->
again:
        skip;
        d_step { least = published; f = fold };
        a = retired[f & 1].a;
        b = retired[f & 1].b;
        i = 0;
        do
        :: i < SLOTS ->
            folded = retired[f & 1].folded[i];
#ifdef HEIR
            shown[i] = SHOWN;
            lifetime[i] = retired[f & 1].mine[i];
#endif
            g = slot[i].generation;
            x = 0;
            y = 0;
            tries = 0;
            ONE_STEP {
                do
                :: tries < TRIES ->
#ifdef READER_WAITS
                    (W(SEQ) & 1) == 0;
#endif
                    seq = W(SEQ);
                    x = W(COPY(CURRENT(seq), A));
                    y = W(COPY(CURRENT(seq), B));
                    h = W(COPY(CURRENT(seq), G));
                    if
#ifdef NO_RECHECK
                    :: true -> break
#endif
                    :: (W(SEQ) >> 1) == (seq >> 1) ->
#ifndef OTHERS_GENERATION
                        g = h;
#endif
                        break
                    :: else -> tries++
                    fi
                :: else -> /* it publishes faster than can be copied: the last good ones */
                    late = 1;
                    x = (kept_of[i] == g -> kept[i] : 0);
                    y = x;
#if CLOSES
                    if
                    :: kept_of[i] != g -> read_book()
                    :: else
                    fi;
#endif
                    break
                od;
            }
            kept[i] = x;
            kept_of[i] = g;
            if
#ifndef NO_GENERATION
            :: g <= folded -> x = 0; y = 0
#endif
            :: else
            fi;
#ifdef HEIR
            name[i] = slot[i].name;
            lifetime[i] = lifetime[i] + x;
#endif
            d_step { a = a + x; b = b + y; x = 0; y = 0; h = 0; tries = 0; seq = 0; g = 0; folded = 0 };
            i++
        :: else -> break
        od;
        i = 0;
#ifndef NO_FOLD_CHECK
        if
        :: fold != f -> d_step { late = 0; a = 0; b = 0 }; goto again
        :: else
        fi;
#endif
        d_step {
            assert(a == b);                     /* all of a process's figures belong together */
            assert(HOLDS(published, a));        /* nothing that was not published; nothing twice */
            assert(late || HOLDS(a, least));    /* nothing missing that was there when it began */
            assert(HOLDS(a, before));           /* totals never go back */
#ifdef HEIR
            /* Nobody has another's, nobody lacks his own, and all of it is somebody's: a slot that is
             * changing hands is empty. */
            assert(!shown[0] || HOLDS(MAY_HAVE(name[0]), lifetime[0]));
            assert(!shown[1] || HOLDS(MAY_HAVE(name[1]), lifetime[1]));
            assert(!shown[0] || name[0] == 2 || HOLDS(lifetime[0], least & DIGIT(0, 1, 0)));
            assert(!shown[1] || HOLDS(lifetime[1], least & DIGIT(1, 1, 0)));
            assert((shown[0] -> lifetime[0] : 0) + (shown[1] -> lifetime[1] : 0) == a);
            shown[0] = 0; shown[1] = 0; name[0] = 0; name[1] = 0; lifetime[0] = 0; lifetime[1] = 0;
#endif
            before = a;
            a = 0;
            b = 0;
            f = 0;
            least = 0;
            late = 0;
            snaps++
        }
    :: else -> break
    od;
    readers_done = 1
}

#ifdef KILL_MASTER
proctype Killer() { master_killed = 1 }
#endif

init {
    atomic {
        slot[0].epoch = 1;
#ifdef HEIR
        slot[0].assigned = 1;
        slot[1].assigned = 1;
        slot[1].name = 1;
#endif
#if SB
        run StoreBuffer(0);
#endif
        run Worker(0);
#if SLOTS == 2
        slot[1].epoch = 1;
#if SB
        run StoreBuffer(1);
#endif
        run Worker(1);
#endif
        run Master();
#if SNAPS
        run Reader();
#endif
#ifdef KILL_MASTER
        run Killer()
#endif
    }
}

/* Nobody waits for anybody: whoever is killed or stopped, and wherever, a reader gets its snapshots
 * and the master its turns. */
ltl nobody_waits { <> readers_done }
