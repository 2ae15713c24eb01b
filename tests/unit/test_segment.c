/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_segment.c - recording, periods, folds and snapshots, step by step in one process. What needs
 * several at once is in tests/shm-*.c.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <time.h>

#include "lib/clock.h"
#include "shm/ledger.h"

static struct segment segment;
static struct ledger *ledger;
static struct shm_reader *reader;
static int64_t now_ms;

enum { SLOTS = 3 };
static const uint64_t ms = 1000000;

static void
prepare(void)
{
    struct errbuf err;
    cr_assert_eq(segment_create_private(&segment, "unit", SLOTS, 1000, &err), 0, "%s", err.text);
    ledger = ledger_new(&segment);
    reader = segment_reader(&segment);
    cr_assert(ledger != NULL && reader != NULL);
    ledger_assign(ledger, 1, "metrics-0", "metrics", 0);
    ledger_assign(ledger, 2, "metrics-1", "metrics", 1);
    now_ms = segment.header->started_mono_ms;
}

static void
clean_up(void)
{
    shm_reader_close(&reader);
    ledger_free(&ledger);
    segment_close(&segment);
}

TestSuite(segment, .init = prepare, .fini = clean_up);

static struct recorder *
start(unsigned slot)
{
    ledger_start(ledger, slot);
    ledger_started(ledger, slot, 4711);
    struct recorder *r = recorder_new(&segment, slot);
    cr_assert_not_null(r);
    return r;
}

static void
close_period(void)
{
    ledger_close_period(ledger, now_ms += 1000);
}

/* A snapshot that lasts until the next one is asked for; checks what always holds. */
static const struct snapshot *
look(void)
{
    static struct snapshot s;
    struct errbuf err;
    cr_assert_eq(snapshot_take(reader, &s, &err), 0, "%s", err.text);
    for (size_t i = 0; i <= s.n_processes; i++) {
        const uint64_t *v = i < s.n_processes ? s.processes[i].totals.values : s.totals.values;
        cr_assert_eq(v[STAT_RECEIVED],
                     v[STAT_COMPLETED] + v[STAT_REJECTED] + v[STAT_RETURNED] + v[STAT_IN_FLIGHT]);
    }
    return &s;
}

static const struct snapshot_process *
process(unsigned slot)
{
    const struct snapshot *s = look();
    for (size_t i = 0; i < s->n_processes; i++)
        if (s->processes[i].slot == slot)
            return &s->processes[i];
    return NULL;
}

/* A chunk of n messages that are all stored after `ns` each. */
static void
complete(struct recorder *r, uint64_t n, uint64_t ns)
{
    recorder_add(r, STAT_RECEIVED, n);
    recorder_add(r, STAT_COMPLETED, n);
    recorder_time(r, STAT_REQUEST, (int64_t)ns, n);
    recorder_publish(r);
}

Test(segment, a_chunk_is_seen_whole_and_only_when_published)
{
    struct recorder *r = start(1);
    recorder_add(r, STAT_RECEIVED, 10);
    recorder_set(r, STAT_IN_FLIGHT, 10);
    recorder_time(r, STAT_DECODE, 5000, 1);
    cr_assert_eq(look()->totals.values[STAT_RECEIVED], 0u);
    cr_assert_eq(look()->totals.times[STAT_DECODE].count, 0u);
    recorder_publish(r);
    cr_assert_eq(process(1)->totals.values[STAT_IN_FLIGHT], 10u);
    cr_assert_eq(look()->totals.times[STAT_DECODE].min_ns, 5000u);
    for (uint64_t i = 1; i <= 10; i++) { /* both copies get all changes */
        complete(r, 1, i * ms);
        cr_assert_eq(process(1)->totals.values[STAT_COMPLETED], i);
        cr_assert_eq(process(1)->totals.values[STAT_IN_FLIGHT], 10u);
        cr_assert_eq(process(1)->totals.times[STAT_REQUEST].min_ns, 1 * ms);
        cr_assert_eq(process(1)->totals.times[STAT_REQUEST].max_ns, i * ms);
    }
    cr_assert_eq(process(1)->totals.times[STAT_REQUEST].p50_ns / 100000, 49u + 0, "%llu",
                 (unsigned long long)process(1)->totals.times[STAT_REQUEST].p50_ns);
    recorder_free(&r);
}

Test(segment, a_weight_is_so_many_messages)
{
    struct recorder *r = start(1);
    complete(r, 512, 3 * ms);
    complete(r, 1, 9 * ms);
    const struct stat_times *t = &look()->totals.times[STAT_REQUEST];
    cr_assert_eq(t->count, 513u);
    cr_assert_eq(t->sum_ns, 512 * 3 * ms + 9 * ms);
    cr_assert_eq(stat_average(t), (512 * 3 * ms + 9 * ms + 256) / 513);
    cr_assert_lt(t->p99_ns, 4 * ms);
    recorder_time(r, STAT_REQUEST, -5, 1); /* a clock that was set back */
    recorder_publish(r);
    cr_assert_eq(look()->totals.times[STAT_REQUEST].min_ns, 0u);
    recorder_free(&r);
}

Test(segment, a_period_has_what_was_recorded_in_it)
{
    struct recorder *r = start(1);
    complete(r, 3, 7 * ms);
    close_period();
    const struct snapshot *s = look();
    cr_assert_eq(s->period, 1u);
    cr_assert_eq(s->period_length_ms, 1000);
    cr_assert_eq(s->last_period.values[STAT_COMPLETED], 3u);
    cr_assert_eq(s->last_period.times[STAT_REQUEST].min_ns, 7 * ms);
    cr_assert_eq(process(1)->last_period.times[STAT_REQUEST].p50_ns, 7 * ms);
    cr_assert_eq(process(2)->last_period.values[STAT_COMPLETED], 0u);
    close_period(); /* idle: no min, no max */
    cr_assert_eq(look()->last_period.times[STAT_REQUEST].count, 0u);
    cr_assert_eq(look()->last_period.values[STAT_COMPLETED], 0u);
    complete(r, 1, 5 * ms);
    close_period();
    cr_assert_eq(look()->last_period.times[STAT_REQUEST].max_ns, 5 * ms, "not of periods before");
    cr_assert_eq(look()->totals.times[STAT_REQUEST].max_ns, 7 * ms);
    close_period();
    complete(r, 2, 6 * ms);
    close_period();
    close_period(); /* what the edge holds is of a period that was closed long ago */
    cr_assert_eq(look()->last_period.times[STAT_REQUEST].count, 0u);
    recorder_free(&r);
}

Test(segment, a_writer_stuck_in_a_publish_keeps_its_period_open)
{
    struct recorder *r = start(1), *other = start(2);
    complete(r, 1, 2 * ms);
    complete(other, 1, 4 * ms);
    atomic_fetch_or(&r->slot->seq, 1); /* stopped right after it said so */
    close_period();
    cr_assert_eq(look()->last_period.values[STAT_COMPLETED], 1u, "the other's");
    cr_assert_eq(look()->last_period.times[STAT_REQUEST].min_ns, 4 * ms);
    cr_assert_eq(look()->totals.values[STAT_COMPLETED], 2u, "totals do not wait");
    close_period();
    cr_assert_eq(look()->last_period.values[STAT_COMPLETED], 0u);
    atomic_fetch_and(&r->slot->seq, ~UINT64_C(1)); /* goes on, and takes the new epoch */
    complete(r, 1, 3 * ms);
    close_period();
    cr_assert_eq(look()->last_period.values[STAT_COMPLETED], 1u, "the edge");
    cr_assert_eq(look()->last_period.times[STAT_REQUEST].max_ns, 2 * ms);
    close_period();
    cr_assert_eq(look()->last_period.times[STAT_REQUEST].min_ns, 3 * ms);
    cr_assert_eq(look()->last_period.times[STAT_REQUEST].count, 1u);
    recorder_free(&r);
    recorder_free(&other);
}

Test(segment, a_dead_worker_is_folded_once_and_its_successor_starts_at_zero)
{
    struct recorder *r = start(1);
    complete(r, 5, 2 * ms);
    recorder_add(r, STAT_RECEIVED, 4);
    recorder_set(r, STAT_IN_FLIGHT, 4);
    recorder_set(r, STAT_MEMORY_BYTES, 1000);
    recorder_publish(r);
    recorder_add(r, STAT_RECEIVED, 100); /* never published */
    cr_assert_eq(ledger_reap(ledger, 1, LEDGER_SIGNAL, SLOT_DEAD), 4);
    const struct snapshot *s = look();
    cr_assert_eq(s->totals.values[STAT_RECEIVED], 9u);
    cr_assert_eq(s->totals.values[STAT_RETURNED_DIED], 4u);
    cr_assert_eq(s->totals.values[STAT_MEMORY_BYTES], 0u, "the dead hold nothing");
    cr_assert_eq(process(1)->totals.values[STAT_RETURNED], 4u, "its last word");
    cr_assert_eq(process(1)->totals.times[STAT_REQUEST].p50_ns, 2 * ms);
    cr_assert_eq(process(1)->lifetime.values[STAT_RECEIVED], 9u, "and not counted twice");
    cr_assert_eq(process(1)->state, SLOT_DEAD);
    cr_assert_eq(process(1)->pid, 0);
    recorder_free(&r);
    r = start(1);
    cr_assert_eq(process(1)->generation, 2u);
    cr_assert_eq(process(1)->restarts, 1u);
    cr_assert_eq(process(1)->totals.values[STAT_RECEIVED], 0u);
    complete(r, 1, 1 * ms);
    cr_assert_eq(process(1)->totals.values[STAT_RECEIVED], 1u);
    cr_assert_eq(process(1)->lifetime.values[STAT_RECEIVED], 10u);
    cr_assert_eq(process(1)->lifetime.times[STAT_REQUEST].max_ns, 2 * ms);
    cr_assert_eq(look()->totals.values[STAT_RECEIVED], 10u);
    cr_assert_eq(look()->totals.times[STAT_REQUEST].count, 6u);
    close_period(); /* spans both generations */
    cr_assert_eq(process(1)->last_period.values[STAT_RECEIVED], 10u);
    cr_assert_eq(process(1)->last_period.times[STAT_REQUEST].min_ns, 1 * ms);
    cr_assert_eq(process(1)->last_period.times[STAT_REQUEST].max_ns, 2 * ms);
    ledger_turn(ledger);
    cr_assert_eq(look()->totals.values[STAT_STARTS], 2u);
    cr_assert_eq(look()->totals.values[STAT_RESTARTS], 1u);
    cr_assert_eq(look()->totals.values[STAT_DEATHS_SIGNAL], 1u);
    recorder_free(&r);
}

Test(segment, killed_in_a_publish_is_undone)
{
    struct recorder *r = start(1);
    complete(r, 5, 2 * ms);
    uint64_t seq = atomic_load(&r->slot->seq);
    atomic_store(&r->slot->seq, seq | 1);
    /* It had begun to write the other copy, and the edge of an epoch that is not over. */
    atomic_store(&r->slot->copies[(seq >> 1 & 1) ^ 1][STAT_RECEIVED], 77);
    atomic_store(&r->slot->edge.scalars[SHM_WORD_TIMES(STAT_REQUEST) + SHM_TIME_PERIOD_MAX], 99);
    cr_assert_eq(look()->totals.values[STAT_RECEIVED], 5u);
    cr_assert_eq(ledger_reap(ledger, 1, LEDGER_SIGNAL, SLOT_DEAD), 0);
    cr_assert_eq(look()->totals.values[STAT_RECEIVED], 5u);
    recorder_free(&r);
    r = start(1);
    complete(r, 1, 1 * ms);
    cr_assert_eq(look()->totals.values[STAT_RECEIVED], 6u);
    close_period();
    cr_assert_eq(look()->last_period.times[STAT_REQUEST].max_ns, 2 * ms);
    recorder_free(&r);
}

Test(segment, a_death_in_an_open_period_keeps_both_epochs)
{
    struct recorder *r = start(1);
    complete(r, 1, 2 * ms);
    atomic_fetch_or(&r->slot->seq, 1);
    close_period(); /* cannot be collected */
    atomic_fetch_and(&r->slot->seq, ~UINT64_C(1));
    complete(r, 1, 9 * ms); /* in the next epoch, the first is in the edge */
    ledger_reap(ledger, 1, LEDGER_HUNG, SLOT_DEAD);
    close_period();
    const struct stat_times *t = &look()->last_period.times[STAT_REQUEST];
    cr_assert_eq(t->count, 2u);
    cr_assert_eq(t->min_ns, 2 * ms);
    cr_assert_eq(t->max_ns, 9 * ms);
    recorder_free(&r);
}

Test(segment, a_death_after_a_close_does_not_tell_that_period_again)
{
    struct recorder *r = start(1);
    complete(r, 1, 2 * ms);
    close_period();
    ledger_reap(ledger, 1, LEDGER_EXIT, SLOT_DEAD);
    close_period();
    cr_assert_eq(look()->last_period.times[STAT_REQUEST].count, 0u);
    recorder_free(&r);
}

Test(segment, contradicting_counters_are_told)
{
    struct recorder *r = start(1);
    recorder_add(r, STAT_COMPLETED, 5);
    recorder_publish(r);
    cr_assert_eq(ledger_reap(ledger, 1, LEDGER_EXIT, SLOT_DEAD), -1);
    recorder_free(&r);
}

Test(segment, who_loses_his_slot_stays_in_the_totals)
{
    struct recorder *r = start(1);
    complete(r, 5, 2 * ms);
    ledger_reap(ledger, 1, LEDGER_ASKED, SLOT_FREE);
    ledger_release(ledger, 1, 0);
    cr_assert_null(process(1));
    cr_assert_eq(look()->totals.values[STAT_COMPLETED], 5u);
    ledger_assign(ledger, 1, "alarms-0", "alarms", 0);
    cr_assert_str_eq(process(1)->name, "alarms-0");
    cr_assert_eq(process(1)->totals.values[STAT_COMPLETED], 0u);
    cr_assert_eq(process(1)->lifetime.values[STAT_COMPLETED], 0u);
    cr_assert_eq(process(1)->restarts, 0u);
    close_period(); /* what the former one did in it is not lost */
    cr_assert_eq(look()->last_period.values[STAT_COMPLETED], 5u);
    cr_assert_eq(process(1)->last_period.values[STAT_COMPLETED], 0u);
    recorder_free(&r);
    r = start(1);
    complete(r, 1, 3 * ms);
    cr_assert_eq(look()->totals.values[STAT_COMPLETED], 6u);
    cr_assert_eq(process(1)->restarts, 0u, "the former one was asked to end");
    recorder_free(&r);
}

Test(segment, a_lifetime_passes_to_the_one_who_goes_on_under_the_name)
{
    struct recorder *r = start(1);
    complete(r, 5, 2 * ms);
    ledger_note_reload(ledger);
    ledger_assign(ledger, SLOTS, "metrics-0", "metrics", 0);
    struct recorder *heir = start(SLOTS);
    complete(heir, 3, 7 * ms);
    cr_assert_eq(process(1)->configuration, 1u);
    cr_assert_eq(process(SLOTS)->configuration, 2u);
    ledger_note_leaving(ledger, 1);
    cr_assert(process(1)->leaving && !process(SLOTS)->leaving);
    ledger_reap(ledger, 1, LEDGER_ASKED, SLOT_FREE);
    cr_assert_eq(process(SLOTS)->lifetime.values[STAT_COMPLETED], 3u);
    ledger_release(ledger, 1, SLOTS);
    cr_assert_null(process(1));
    cr_assert_eq(process(SLOTS)->totals.values[STAT_COMPLETED], 3u);
    cr_assert_eq(process(SLOTS)->lifetime.values[STAT_COMPLETED], 8u);
    cr_assert_eq(process(SLOTS)->lifetime.times[STAT_REQUEST].max_ns, 7u * ms);
    cr_assert_eq(process(SLOTS)->lifetime.times[STAT_REQUEST].min_ns, 2u * ms);
    cr_assert_eq(look()->totals.values[STAT_COMPLETED], 8u);
    recorder_free(&r);
    recorder_free(&heir);
}

Test(segment, why_a_reload_was_refused_is_told_until_the_next_one)
{
    cr_assert_eq(look()->refused_ms, 0);
    ledger_note_refused(ledger, "file:3: [kafka] x: unknown");
    cr_assert_gt(look()->refused_ms, 0);
    cr_assert_str_eq(look()->refused_text, "file:3: [kafka] x: unknown");
    ledger_turn(ledger);
    cr_assert_eq(look()->totals.values[STAT_RELOADS_REFUSED], 1u);
    ledger_note_reload(ledger);
    ledger_turn(ledger);
    cr_assert_eq(look()->refused_ms, 0);
    cr_assert_str_eq(look()->refused_text, "");
    cr_assert_eq(look()->generation, 2u);
}

Test(segment, all_periods_together_are_the_totals)
{
    struct recorder *r = start(1);
    uint64_t completed = 0, sum_ns = 0, of_process = 0;
    for (uint64_t i = 1; i <= 200; i++) {
        complete(r, i % 7, i * ms);
        if (i % 50 == 0) {
            recorder_add(r, STAT_RECEIVED, 1);
            recorder_set(r, STAT_IN_FLIGHT, 1);
            recorder_publish(r);
            ledger_reap(ledger, 1, LEDGER_EXIT, SLOT_DEAD);
            recorder_free(&r);
            r = start(1);
        }
        if (i % 3 == 0 || i == 200) {
            close_period();
            completed += look()->last_period.values[STAT_COMPLETED];
            sum_ns += look()->last_period.times[STAT_REQUEST].sum_ns;
            of_process += process(1)->last_period.values[STAT_COMPLETED];
        }
    }
    const struct snapshot *s = look();
    cr_assert_eq(s->totals.values[STAT_COMPLETED], completed);
    cr_assert_eq(s->totals.times[STAT_REQUEST].sum_ns, sum_ns);
    cr_assert_eq(process(1)->lifetime.values[STAT_COMPLETED], of_process);
    cr_assert_eq(s->totals.values[STAT_RETURNED], 4u);
    cr_assert_eq(s->totals.values[STAT_PERIODS], s->period);
    recorder_free(&r);
}

Test(segment, sixty_periods_are_kept)
{
    struct snapshot_period periods[SHM_PERIODS];
    struct snapshot_process_period own[SHM_PERIODS];
    struct stat_figures f;
    struct recorder *r = start(1);
    cr_assert_eq(snapshot_periods(reader, periods, SHM_PERIODS), 0u);
    cr_assert_eq(snapshot_window(reader, 5000, &f), 0);
    for (uint64_t i = 1; i <= 70; i++) {
        complete(r, i, i * ms);
        close_period();
    }
    cr_assert_eq(snapshot_periods(reader, periods, SHM_PERIODS), (size_t)SHM_PERIODS);
    cr_assert_eq(snapshot_process_periods(reader, 1, own, SHM_PERIODS), (size_t)SHM_PERIODS);
    for (unsigned i = 0; i < SHM_PERIODS; i++) {
        cr_assert_eq(periods[i].number, 11u + i);
        cr_assert_eq(periods[i].figures.values[STAT_COMPLETED], 11u + i);
        cr_assert_eq(own[i].completed, 11u + i);
        cr_assert_eq(own[i].times[STAT_REQUEST].max_ns, (11 + i) * ms);
    }
    cr_assert_eq(snapshot_periods(reader, periods, 2), 2u);
    cr_assert_eq(periods[1].number, 70u);
    cr_assert_eq(snapshot_window(reader, 2500, &f), 3000, "whole periods");
    cr_assert_eq(f.values[STAT_COMPLETED], 68u + 69 + 70);
    cr_assert_eq(f.times[STAT_REQUEST].min_ns, 68 * ms);
    cr_assert_eq(f.times[STAT_REQUEST].p50_ns / ms, 68u, "of the window's own histogram");
    cr_assert_eq(f.values[STAT_WORKERS_WANTED], 2u, "a level is not added up");
    recorder_free(&r);
}

Test(segment, levels_fold_by_their_nature_and_unknown_is_not_zero)
{
    struct recorder *a = start(1), *b = start(2);
    cr_assert_eq(look()->totals.values[STAT_LAG], STAT_UNKNOWN, "nobody has said anything");
    recorder_set(a, STAT_LAG, 10);
    recorder_set(a, STAT_LAG_SECONDS, 3);
    recorder_publish(a);
    cr_assert_eq(look()->totals.values[STAT_LAG], STAT_UNKNOWN);
    recorder_set(b, STAT_LAG, 5);
    recorder_set(b, STAT_LAG_SECONDS, 8);
    recorder_publish(b);
    cr_assert_eq(look()->totals.values[STAT_LAG], 15u);
    cr_assert_eq(look()->totals.values[STAT_LAG_SECONDS], 8u);
    close_period();
    cr_assert_eq(look()->last_period.values[STAT_LAG], 15u);
    close_period();
    cr_assert_eq(look()->last_period.values[STAT_LAG], 15u, "a level stays");
    cr_assert_eq(look()->last_period.values[STAT_WORKERS_RUNNING], 2u);
    recorder_free(&a);
    recorder_free(&b);
}

Test(segment, says_what_a_process_does_and_why_it_waits)
{
    struct recorder *r = start(1);
    char text[600];
    cr_assert_eq(process(1)->state, SLOT_STARTING);
    recorder_set_state(r, SLOT_RETRYING);
    recorder_set_wait(r, "influxdb", "connection refused");
    recorder_publish(r);
    int64_t since = process(1)->wait_since_ms;
    cr_assert_eq(process(1)->state, SLOT_RETRYING);
    cr_assert_str_eq(process(1)->wait_class, "influxdb");
    cr_assert_str_eq(process(1)->wait_text, "connection refused");
    cr_assert_geq(since, clock_wall_ms() - 10000);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (unsigned i = 0; i < 2; i++) { /* cut within a two-byte sequence, and before one */
        memcpy(&text[SHM_TEXT_BYTES - 2 + i], "\xc3\xa4", 2);
        recorder_set_wait(r, "influxdb", text);
        recorder_publish(r);
        cr_assert_eq(strlen(process(1)->wait_text), SHM_TEXT_BYTES - 2u + i);
        text[SHM_TEXT_BYTES - 2] = 'x';
    }
    cr_assert_eq(process(1)->wait_since_ms, since, "it has been waiting all the time");
    recorder_set_wait(r, NULL, NULL);
    recorder_publish(r);
    cr_assert_eq(process(1)->wait_since_ms, 0);
    cr_assert_str_eq(process(1)->wait_text, "");
    recorder_free(&r);
}

Test(segment, consuming_and_writing_by_turns_are_one_state_in_time)
{
    struct recorder *r = start(1);
    recorder_set_state(r, SLOT_CONSUMING);
    int64_t since = process(1)->since_ms;
    cr_assert_geq(since, clock_wall_ms() - 10000);
    for (unsigned i = 0; i < 3; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
        recorder_set_state(r, i % 2 == 0 ? SLOT_WRITING : SLOT_CONSUMING);
        cr_assert_eq(process(1)->state, i % 2 == 0 ? SLOT_WRITING : SLOT_CONSUMING);
        cr_assert_eq(process(1)->since_ms, since);
    }
    recorder_set_state(r, SLOT_RETRYING);
    cr_assert_gt(process(1)->since_ms, since, "another state");
    recorder_free(&r);
}

Test(segment, a_helper_is_no_worker)
{
    ledger_assign(ledger, 3, "retention", "", 0);
    struct recorder *r = start(3), *worker = start(1);
    recorder_set(worker, STAT_LAG, 5);
    recorder_publish(worker);
    ledger_turn(ledger);
    cr_assert_eq(look()->totals.values[STAT_WORKERS_WANTED], 2u);
    cr_assert_eq(look()->totals.values[STAT_WORKERS_RUNNING], 1u);
    cr_assert_eq(look()->totals.values[STAT_LAG], 5u, "it has no lag, not even an unknown one");
    const struct snapshot *s = look();
    cr_assert_str_eq(s->processes[s->n_processes - 1].name, "retention");
    recorder_free(&r);
    recorder_free(&worker);
}
