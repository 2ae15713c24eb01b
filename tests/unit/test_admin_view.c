/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_admin_view.c - DropWizard's document, health and the page, of real segments in a directory
 * of the test's own.
 *
 * The shape of the document is compared with a capture from the Java persister
 * (tests/corpus/dropwizard-metrics.json): both go through shape_of.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin/dropwizard.h"
#include "admin/health.h"
#include "admin/page.h"
#include "admin/threads.h"
#include "lib/clock.h"
#include "shm/ledger.h"

enum { MAX = 8, STALL_MS = 1000 };

static const struct view_names names = {
    .kinds = {{"metrics", "influxdb"}, {"alarm-state-transitions", "influxdb"}}};

struct stage {
    char directory[64];
    struct segment segment;
    struct ledger *ledger;
    struct recorder *recorders[MAX + 1];
    struct view_source *source;
};

static void
assign(struct stage *s, unsigned slot, const char *topic, unsigned number)
{
    char name[64];
    snprintf(name, sizeof(name), "%s-%u", topic, number);
    ledger_assign(s->ledger, slot, name, topic, number);
    ledger_start(s->ledger, slot);
    ledger_started(s->ledger, slot, (int32_t)(4000 + slot));
    s->recorders[slot] = recorder_new(&s->segment, slot);
    cr_assert_not_null(s->recorders[slot]);
    recorder_set_state(s->recorders[slot], SLOT_CONSUMING);
}

/* The capture's workers: two of metrics, one of alarms. */
static void
open_stage(struct stage *s)
{
    struct errbuf err;
    *s = (struct stage){.directory = "/tmp/persister-admin-XXXXXX"};
    cr_assert_not_null(mkdtemp(s->directory));
    cr_assert_eq(segment_create(&s->segment, s->directory, "test", MAX, 1000, &err), 0, "%s",
                 err.text);
    s->ledger = ledger_new(&s->segment);
    cr_assert_not_null(s->ledger);
    ledger_set_master(s->ledger, MASTER_RUNNING);
    ledger_turn(s->ledger);
    assign(s, 1, "metrics", 0);
    assign(s, 2, "metrics", 1);
    assign(s, 3, "alarm-state-transitions", 0);
    s->source = view_source_new(s->segment.path, &names, STALL_MS, &err);
    cr_assert_not_null(s->source, "%s", err.text);
}

static void
close_stage(struct stage *s)
{
    view_source_free(&s->source);
    for (unsigned i = 1; i <= MAX; i++)
        recorder_free(&s->recorders[i]);
    ledger_free(&s->ledger);
    unlink(s->segment.path);
    segment_close(&s->segment);
    rmdir(s->directory);
}

/*
 * A tick looks at the segment whenever it is called.  A process never sees its own lock, so the
 * master, which is this process, seems dead: that is put right.
 */
static const struct view *
look(struct stage *s)
{
    static struct view copy;
    struct errbuf err;
    cr_assert_eq(view_source_tick(s->source, 1, &err), 0, "%s", err.text);
    const struct view *v = view_source_look(s->source, &err);
    cr_assert_not_null(v, "%s", err.text);
    copy = *v;
    copy.origin.stale = false;
    return &copy;
}

static void
work(struct stage *s, unsigned slot, uint64_t received, uint64_t completed, uint64_t rejected)
{
    struct recorder *r = s->recorders[slot];
    recorder_add(r, STAT_RECEIVED, received);
    recorder_add(r, STAT_COMPLETED, completed);
    recorder_add(r, STAT_REJECTED, rejected);
    recorder_set(r, STAT_IN_FLIGHT, received - completed - rejected);
    recorder_time(r, STAT_WRITE, 5000000, 1);
    if (completed > 0)
        recorder_time(r, STAT_REQUEST, 7000000, completed);
    recorder_publish(r);
}

static void
set(struct stage *s, unsigned slot, enum stat_value value, uint64_t level)
{
    recorder_set(s->recorders[slot], value, level);
    recorder_publish(s->recorders[slot]);
}

/* --- DropWizard --- */

static cJSON *
write_dropwizard(struct stage *s, bool pretty)
{
    struct buf b;
    buf_init(&b, 1000000);
    cr_assert_eq(dropwizard_write(&b, look(s), &names, pretty), 0);
    buf_add_char(&b, '\0');
    cJSON *all = cJSON_Parse(b.data);
    cr_assert_not_null(all, "%s", b.data);
    buf_free(&b);
    return all;
}

static cJSON *
read_capture(void)
{
    static char text[65536];
    FILE *f = fopen(SRCDIR "/tests/corpus/dropwizard-metrics.json", "r");
    cr_assert_not_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    cJSON *all = cJSON_Parse(text);
    cr_assert_not_null(all);
    return all;
}

static bool
is_own(const char *name)
{
    static const char *const theirs[] = {"monasca.persister.pipeline.",
                                         "monasca.persister.repository.", "jvm."};
    for (size_t i = 0; i < COUNT_OF(theirs); i++)
        if (strncmp(name, theirs[i], strlen(theirs[i])) == 0)
            return false;
    return true;
}

/* Sections in order, and for each entry that is not our own its members in order, with types. */
static void
shape_of(const cJSON *document, struct buf *b)
{
    for (const cJSON *section = document->child; section != NULL; section = section->next) {
        buf_printf(b, "%s %d\n", section->string, section->type);
        for (const cJSON *entry = section->child; entry != NULL; entry = entry->next) {
            if (is_own(entry->string))
                continue;
            buf_printf(b, "  %s:", entry->string);
            for (const cJSON *member = entry->child; member != NULL; member = member->next)
                buf_printf(b, " %s(%d%s)", member->string, member->type,
                           cJSON_IsString(member) ? member->valuestring : "");
            buf_add_char(b, '\n');
        }
    }
    buf_add_char(b, '\0');
    cr_assert_not(b->failed);
}

Test(admin_dropwizard, has_the_shape_of_the_java_persisters)
{
    struct stage s;
    struct buf ours, theirs;
    open_stage(&s);
    buf_init(&ours, 100000);
    buf_init(&theirs, 100000);
    work(&s, 1, 100, 100, 0);
    cJSON *document = write_dropwizard(&s, false), *capture = read_capture();
    shape_of(document, &ours);
    shape_of(capture, &theirs);
    cr_assert_gt(theirs.size, 1000);
    cr_assert_str_eq(ours.data, theirs.data);
    cJSON_Delete(document);
    cJSON_Delete(capture);
    buf_free(&ours);
    buf_free(&theirs);
    close_stage(&s);
}

static double
find(const cJSON *document, const char *section, const char *entry, const char *member)
{
    const cJSON *e = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(document, section), entry);
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(e, member);
    cr_assert(cJSON_IsNumber(m), "%s/%s/%s", section, entry, member);
    return m->valuedouble;
}

#define HANDLER "monasca.persister.pipeline.event.MetricHandler[metric-0]."

Test(admin_dropwizard, counts_over_all_lives_of_a_worker)
{
    struct stage s;
    open_stage(&s);
    look(&s); /* the meters begin */
    work(&s, 1, 100, 70, 10);
    cr_assert_eq(ledger_reap(s.ledger, 1, LEDGER_SIGNAL, SLOT_DEAD), 20);
    recorder_free(&s.recorders[1]);
    ledger_start(s.ledger, 1);
    ledger_started(s.ledger, 1, 77);
    s.recorders[1] = recorder_new(&s.segment, 1);
    work(&s, 1, 30, 25, 5);
    ledger_turn(s.ledger);
    cJSON *d = write_dropwizard(&s, true);
    cr_assert_eq(find(d, "meters", HANDLER "events-processed-meter", "count"), 130);
    cr_assert_eq(find(d, "meters", HANDLER "flush-meter", "count"), 95);
    /* accepted: those stored and the 20 that were given back */
    cr_assert_eq(find(d, "counters", HANDLER "metrics-added-to-batch-counter", "count"), 115);
    cr_assert_eq(find(d, "timers", HANDLER "flush-timer", "count"), 2);
    cr_assert_eq(find(d, "timers", HANDLER "flush-timer", "p99"), 0.005);
    cr_assert_eq(find(d, "meters", HANDLER "events-processed-meter", "m1_rate"), 26);
    cr_assert_gt(find(d, "meters", HANDLER "events-processed-meter", "mean_rate"), 0);
    cr_assert_eq(find(d, "counters", "monasca.persister.received", "count"), 130);
    cr_assert_eq(find(d, "counters", "monasca.persister.restarts", "count"), 1);
    cr_assert_eq(find(d, "meters", "monasca.persister.rejected-meter", "count"), 15);
    cr_assert_eq(find(d, "timers", "monasca.persister.request", "max"), 0.007);
    cr_assert_eq(find(d, "timers",
                      "monasca.persister.repository.influxdb.InfluxV9MetricRepo.flush-timer",
                      "count"),
                 2);
    cJSON_Delete(d);
    close_stage(&s);
}

/* --- health --- */

static const struct health_check *
check(const struct health *h, const char *name)
{
    for (size_t i = 0; i < h->n; i++)
        if (strcmp(h->checks[i].name, name) == 0)
            return &h->checks[i];
    cr_assert_fail("no check %s", name);
    return NULL;
}

static void
expect(struct stage *s, const char *name, enum health_status status, bool healthy,
       const char *words)
{
    struct health h;
    cr_assert_eq(health_judge(&h, look(s)), 0);
    const struct health_check *c = check(&h, name);
    cr_assert_eq(c->status, status, "%s: %s: %s", name, health_status_name(c->status), c->message);
    cr_assert_eq(c->healthy, healthy, "%s: %s", name, c->message);
    cr_assert_not_null(strstr(c->message, words), "%s: %s", name, c->message);
    cr_assert_eq(h.healthy, healthy);
    cr_assert_eq(h.worst, status);
    health_free(&h);
}

static void
set_partitions(struct stage *s)
{
    for (unsigned i = 1; i <= 3; i++) {
        set(s, i, STAT_PARTITIONS, 2);
        set(s, i, STAT_LAG, 0);
    }
}

Test(admin_health, idle_and_standby_are_healthy)
{
    struct stage s;
    open_stage(&s);
    set_partitions(&s);
    expect(&s, "metrics.progress", HEALTH_GOOD, true, "nothing to do");
    set(&s, 1, STAT_PARTITIONS, 0);
    set(&s, 2, STAT_PARTITIONS, 0);
    usleep((STALL_MS + 100) * 1000);
    expect(&s, "metrics.progress", HEALTH_GOOD, true, "standby");
    expect(&s, "metrics.workers", HEALTH_GOOD, true, "2 of 2 run");
    expect(&s, "master", HEALTH_GOOD, true, "running");
    close_stage(&s);
}

Test(admin_health, work_without_progress_is_not)
{
    struct stage s;
    open_stage(&s);
    set_partitions(&s);
    usleep((STALL_MS + 100) * 1000); /* idle for long: not held against it when work comes */
    work(&s, 2, 10, 0, 0);
    expect(&s, "metrics.progress", HEALTH_GOOD, true, "in hand 10");
    usleep((STALL_MS + 100) * 1000);
    expect(&s, "metrics.progress", HEALTH_BAD, false, "nothing stored");
    recorder_add(s.recorders[2], STAT_COMPLETED, 1);
    set(&s, 2, STAT_IN_FLIGHT, 9);
    expect(&s, "metrics.progress", HEALTH_GOOD, true, "in hand 9");
    usleep((STALL_MS + 100) * 1000);
    expect(&s, "metrics.progress", HEALTH_BAD, false, "nothing stored");
    close_stage(&s);
}

Test(admin_health, lag_alone_is_work)
{
    struct stage s;
    open_stage(&s);
    set_partitions(&s);
    set(&s, 3, STAT_LAG, 12345);
    expect(&s, "alarm-state-transitions.progress", HEALTH_GOOD, true, "lag 12,345");
    usleep((STALL_MS + 100) * 1000);
    expect(&s, "alarm-state-transitions.progress", HEALTH_BAD, false, "lag 12,345");
    close_stage(&s);
}

Test(admin_health, a_sick_store_degrades_then_alarms)
{
    struct stage s;
    struct health h;
    open_stage(&s);
    set_partitions(&s);
    recorder_set_wait(s.recorders[1], "influxdb", "connection refused");
    recorder_publish(s.recorders[1]);
    expect(&s, "metrics.store", HEALTH_DEGRADED, true,
           "1 of 2 wait: metrics-0 for influxdb since 20");
    expect(&s, "metrics.store", HEALTH_DEGRADED, true, "connection refused");
    struct view late = *look(&s); /* the same, seen later */
    late.now.taken_ms += HEALTH_GRACE_MS + 1000;
    cr_assert_eq(health_judge(&h, &late), 0);
    cr_assert_not(check(&h, "metrics.store")->healthy);
    cr_assert_eq(h.worst, HEALTH_DEGRADED);
    cr_assert_not(h.healthy);
    health_free(&h);
    recorder_set_wait(s.recorders[1], NULL, NULL);
    recorder_publish(s.recorders[1]);
    expect(&s, "metrics.store", HEALTH_GOOD, true, "no worker waits");
    close_stage(&s);
}

Test(admin_health, a_limit_that_is_reached_is_told)
{
    struct stage s;
    struct health h;
    open_stage(&s);
    set_partitions(&s);
    struct view v = *look(&s);
    struct snapshot_period *p = &v.periods[0];
    v.n_periods = 1;
    *p = (struct snapshot_period){.ended_ms = v.now.taken_ms - 5000, .length_ms = 1000};
    cr_assert_eq(health_judge(&h, &v), 0);
    for (size_t i = 0; i < h.n; i++)
        cr_assert_neq(strcmp(h.checks[i].name, "store.capacity"), 0);
    health_free(&h);
    p->figures.values[STAT_REJECTED_CAPACITY] = 1234;
    cr_assert_eq(health_judge(&h, &v), 0);
    cr_assert_eq(check(&h, "store.capacity")->status, HEALTH_DEGRADED);
    cr_assert_not_null(strstr(check(&h, "store.capacity")->message, "1,234 messages"));
    cr_assert(h.healthy);
    health_free(&h);
    p->ended_ms -= HEALTH_CAPACITY_MS;
    cr_assert_eq(health_judge(&h, &v), 0);
    cr_assert_eq(h.worst, HEALTH_GOOD);
    health_free(&h);
    close_stage(&s);
}

Test(admin_health, a_crash_loop_is_told)
{
    struct stage s;
    open_stage(&s);
    set_partitions(&s);
    ledger_reap(s.ledger, 2, LEDGER_EXIT, SLOT_DEAD);
    recorder_free(&s.recorders[2]);
    expect(&s, "metrics.workers", HEALTH_GOOD, true, "1 of 2 run"); /* about to be forked */
    ledger_start(s.ledger, 2);
    ledger_reap(s.ledger, 2, LEDGER_EXIT, SLOT_BACKOFF);
    expect(&s, "metrics.workers", HEALTH_BAD, false,
           "crash loop: metrics-1, started again 1 times");
    close_stage(&s);
}

Test(admin_health, a_silent_master_is_told)
{
    struct stage s;
    struct health h;
    open_stage(&s);
    set_partitions(&s);
    struct view late = *look(&s);
    late.now.taken_ms += HEALTH_MASTER_MS + 1000;
    cr_assert_eq(health_judge(&h, &late), 0);
    cr_assert_not_null(strstr(check(&h, "master")->message, "no sign of life for 3"));
    cr_assert_not(h.healthy);
    health_free(&h);
    late.origin.stale = true;
    cr_assert_eq(health_judge(&h, &late), 0);
    cr_assert_not_null(strstr(check(&h, "master")->message, "has ended"));
    health_free(&h);
    close_stage(&s);
}

/* --- the page and the threads --- */

Test(admin_page, is_whole_and_escapes_what_others_wrote)
{
    struct stage s;
    struct buf b;
    open_stage(&s);
    set_partitions(&s);
    recorder_set_wait(s.recorders[1], "influxdb", "<script>alert('x')</script> & more");
    for (int i = 0; i < SHM_PERIODS + 5; i++) {
        work(&s, 2, 50, 50, 0);
        ledger_close_period(s.ledger, clock_mono_ms() + 1000 * (i + 1));
    }
    recorder_publish(s.recorders[1]);
    buf_init(&b, 1000000);
    cr_assert_eq(page_write(&b, look(&s), "0123abcd"), 0);
    buf_add_char(&b, '\0');
    cr_assert_null(strstr(b.data, "{{"));
    cr_assert_null(strstr(b.data, "<script>alert"));
    cr_assert_not_null(
        strstr(b.data, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; more"));
    cr_assert_not_null(strstr(b.data, "<script nonce=\"0123abcd\">"));
    cr_assert_not_null(strstr(b.data, "metrics-1"));
    cr_assert_null(strstr(b.data, "http://")); /* no outside assets */
    cr_assert_null(strstr(b.data, "https://"));
    buf_free(&b);
    close_stage(&s);
}

Test(admin_page, without_any_period_says_so)
{
    struct stage s;
    struct buf b;
    open_stage(&s);
    buf_init(&b, 1000000);
    cr_assert_eq(page_write(&b, look(&s), "0"), 0);
    buf_add_char(&b, '\0');
    cr_assert_not_null(strstr(b.data, "No period has ended yet."));
    buf_free(&b);
    close_stage(&s);
}

Test(admin_page, that_does_not_fit_is_not_served)
{
    struct stage s;
    struct buf b;
    open_stage(&s);
    buf_init(&b, 5000);
    cr_assert_eq(page_write(&b, look(&s), "0"), -1);
    buf_free(&b);
    close_stage(&s);
}

Test(admin_threads, tell_what_each_process_does)
{
    struct stage s;
    struct buf b;
    open_stage(&s);
    set(&s, 1, STAT_BATCH_SIZE, 1234);
    recorder_set_state(s.recorders[1], SLOT_WRITING);
    recorder_set_wait(s.recorders[3], "influxdb", "no route");
    recorder_publish(s.recorders[3]);
    buf_init(&b, 100000);
    threads_write(&b, look(&s));
    buf_add_char(&b, '\0');
    cr_assert_not_null(strstr(b.data, "\"master\" pid="));
    cr_assert_not_null(strstr(b.data, "\"metrics-0\" slot=1 generation=1 restarts=0 pid=4001\n"));
    cr_assert_not_null(strstr(b.data, "doing: writing a batch of 1,234 messages"));
    cr_assert_not_null(strstr(b.data, "waits: for influxdb since "));
    buf_free(&b);
    close_stage(&s);
}
