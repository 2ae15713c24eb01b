/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_reload.c - a reload on its way: real children that check, a wiring that only counts; and
 * what of a configuration makes a difference to whom.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: none (Criterion forks for each).
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/cfg.h"
#include "master/reload.h"

enum { START = 1000000 };

static struct {
    int begun, taken, dropped;
    bool fail_begin, fail_take;
    const char *objection; /* the check's */
    bool sleeps;           /* the check never ends */
} wiring;

static struct reload reload;
static struct errbuf err;

static int
check(const void *arg, struct errbuf *e)
{
    (void)arg;
    while (wiring.sleeps)
        pause();
    return wiring.objection == NULL ? 0 : errbuf_set(e, "%s", wiring.objection);
}

static int
begin(void *arg, struct spawn_checking *checking, const int *fds, size_t n, struct errbuf *e)
{
    (void)arg;
    wiring.begun++;
    if (wiring.fail_begin)
        return errbuf_set(e, "no such file");
    return spawn_check_begin(checking, "check", check, NULL, fds, n, e);
}

static int
take(void *arg, struct errbuf *e)
{
    (void)arg;
    if (wiring.fail_take)
        return errbuf_set(e, "log file: no");
    wiring.taken++;
    return 0;
}

static void
drop(void *arg)
{
    (void)arg;
    wiring.dropped++;
}

static const struct reload_ops ops = {.begin = begin, .take = take, .drop = drop};

static void
prepare(void)
{
    reload_init(&reload, &ops);
}

TestSuite(reload, .init = prepare, .timeout = 60);

static void
ask(void)
{
    cr_assert_eq(reload_ask(&reload, NULL, 0, START, &err), RELOAD_NONE, "%s", err.text);
    cr_assert(reload_is_under_way(&reload));
}

/* Waits for the check's end. */
static enum reload_outcome
outcome(void)
{
    enum reload_outcome result = RELOAD_NONE;
    int status;
    pid_t pid = reload.checking.pid;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_not(reload_note_end(&reload, pid + 1, status, &result, &err), "another child");
    cr_assert(reload_note_end(&reload, pid, status, &result, &err));
    cr_assert_not(reload_is_under_way(&reload));
    return result;
}

Test(reload, a_good_one_is_taken)
{
    ask();
    cr_assert_eq(outcome(), RELOAD_TAKEN);
    cr_assert_eq(wiring.taken, 1);
    cr_assert_eq(wiring.dropped, 0);
}

Test(reload, what_the_file_lacks_refuses_it_at_once)
{
    wiring.fail_begin = true;
    cr_assert_eq(reload_ask(&reload, NULL, 0, START, &err), RELOAD_REFUSED);
    cr_assert_str_eq(err.text, "no such file");
    cr_assert_eq(wiring.dropped, 1);
    cr_assert_not(reload_is_under_way(&reload));
}

Test(reload, what_the_check_objects_to_is_told)
{
    wiring.objection = "metrics.conf: [kafka] librdkafka.x: no such property";
    ask();
    cr_assert_eq(outcome(), RELOAD_REFUSED);
    cr_assert_str_eq(err.text, wiring.objection);
    cr_assert_eq(wiring.taken, 0);
    cr_assert_eq(wiring.dropped, 1);
}

Test(reload, one_that_cannot_be_taken_is_dropped)
{
    wiring.fail_take = true;
    ask();
    cr_assert_eq(outcome(), RELOAD_REFUSED);
    cr_assert_eq(wiring.dropped, 1);
}

Test(reload, a_check_that_dies_refuses_it)
{
    wiring.sleeps = true;
    ask();
    kill(reload.checking.pid, SIGSEGV);
    cr_assert_eq(outcome(), RELOAD_REFUSED);
    cr_assert(strstr(err.text, "signal 11") != NULL, "%s", err.text);
}

Test(reload, a_check_that_takes_too_long_is_ended)
{
    wiring.sleeps = true;
    ask();
    reload_turn(&reload, START + RELOAD_CHECK_MS - 1);
    cr_assert_eq(kill(reload.checking.pid, 0), 0);
    reload_turn(&reload, START + RELOAD_CHECK_MS);
    cr_assert_eq(outcome(), RELOAD_REFUSED);
    cr_assert(strstr(err.text, "took longer") != NULL, "%s", err.text);
    wiring.sleeps = false;
    ask();
    cr_assert_eq(outcome(), RELOAD_TAKEN, "the next one is judged by itself");
}

Test(reload, several_that_come_meanwhile_are_one_more)
{
    ask();
    for (int i = 0; i < 5; i++)
        cr_assert_eq(reload_ask(&reload, NULL, 0, START, &err), RELOAD_NONE);
    cr_assert_eq(wiring.begun, 1);
    cr_assert_not(reload_take_again(&reload));
    cr_assert_eq(outcome(), RELOAD_TAKEN);
    cr_assert(reload_take_again(&reload));
    cr_assert_not(reload_take_again(&reload));
}

Test(reload, nothing_is_taken_after_a_stop)
{
    wiring.sleeps = true;
    ask();
    reload_stop(&reload);
    cr_assert_neq(outcome(), RELOAD_TAKEN);
    cr_assert_eq(wiring.taken, 0);
    cr_assert_eq(reload_ask(&reload, NULL, 0, START, &err), RELOAD_REFUSED);
}

Test(reload, one_that_came_meanwhile_is_forgotten_at_a_stop)
{
    ask();
    cr_assert_eq(reload_ask(&reload, NULL, 0, START, &err), RELOAD_NONE);
    reload_stop(&reload);
    (void)outcome();
    cr_assert_not(reload_take_again(&reload));
}

/* --- what makes a difference --- */

static struct config *
load(const char *text)
{
    char path[64];
    snprintf(path, sizeof(path), "/tmp/test_reload.%ld", (long)getpid());
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fprintf(f,
            "[persister]\ninstance = a\n[repositories]\nmetrics_driver = discard\n"
            "alarm_state_history_driver = postgresql\n[postgresql]\nconninfo = dbname=a\n%s",
            text);
    fclose(f);
    struct config *cfg = cfg_load(path, NULL, &err);
    unlink(path);
    cr_assert_not_null(cfg, "%s", err.text);
    return cfg;
}

Test(cfg_same, each_option_concerns_those_that_go_by_it)
{
    static const struct {
        const char *text;
        bool metrics, alarms, all;
    } cases[] = {
        {"", true, true, true},
        {"[DEFAULT]\ndebug = True\n", true, true, false},
        {"[statsd]\nport = 1\n", true, true, false},
        {"[persister]\nperiod_seconds = 3\n", true, true, false},
        {"[persister]\nmemory_limit_mb = 300\n", false, false, false},
        {"[persister]\nshutdown_timeout_seconds = 3\n", false, false, false},
        {"[kafka_metrics]\nnum_processors = 3\n", true, true, false},
        {"[kafka_metrics]\nbatch_size = 3\n", false, true, false},
        {"[kafka_alarm_history]\nenabled = False\n", true, true, false},
        {"[kafka]\nmax_wait_time_seconds = 3\n", false, false, false},
        {"[kafka]\nlibrdkafka.socket.keepalive.enable = true\n", false, false, false},
        {"[influxdb]\nip_address = 127.0.0.1\n", true, true, false},
        {"[postgresql]\nschema = other\n", true, false, false},
        {"[postgresql]\nretention_days = 3\n", true, true, false},
        {"[dead_letter]\nkeep = 3\n", false, false, false},
        {"[repositories]\nmetrics_driver = postgresql\n", false, true, false},
    };
    struct config *before = load("");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct config *after = load(cases[i].text);
        cr_assert_eq(cfg_same_for_workers(before, after, TOPIC_METRICS), cases[i].metrics, "%s",
                     cases[i].text);
        cr_assert_eq(cfg_same_for_workers(before, after, TOPIC_ALARM_HISTORY), cases[i].alarms,
                     "%s", cases[i].text);
        cr_assert_eq(cfg_same(before, after), cases[i].all, "%s", cases[i].text);
        cr_assert_eq(cfg_check_reload(before, after, &err), 0);
        cfg_free(&after);
    }
    cfg_free(&before);
}

Test(cfg_same, properties_differ_by_name_and_by_value)
{
    static const struct {
        const char *text;
        bool same;
    } cases[] = {
        {"[kafka]\nlibrdkafka.fetch.wait.max.ms = 7\nlibrdkafka.fetch.error.backoff.ms = 7\n",
         true},
        {"[kafka]\nlibrdkafka.fetch.wait.max.ms = 7\nlibrdkafka.fetch.min.bytes = 7\n", false},
        {"[kafka]\nlibrdkafka.fetch.wait.max.ms = 7\nlibrdkafka.fetch.error.backoff.ms = 8\n",
         false},
        {"[kafka]\nlibrdkafka.fetch.wait.max.ms = 7\n", false},
    };
    struct config *before = load(cases[0].text);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct config *after = load(cases[i].text);
        cr_assert_eq(cfg_same(before, after), cases[i].same, "%s", cases[i].text);
        cr_assert_eq(cfg_same(after, before), cases[i].same, "%s", cases[i].text);
        cfg_free(&after);
    }
    cfg_free(&before);
}

Test(cfg_same, what_the_lock_and_the_segment_hang_on_cannot_change)
{
    static const char *const options[] = {"run_directory", "segment", "instance"};
    struct config *before = load("");
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        char text[64];
        snprintf(text, sizeof(text), "[persister]\n%s = %s\n", options[i],
                 i == 2 ? "other" : "/run/other");
        struct config *after = load(text);
        cr_assert_eq(cfg_check_reload(before, after, &err), -1);
        cr_assert(strstr(err.text, options[i]) != NULL, "%s", err.text);
        cfg_free(&after);
    }
    cfg_free(&before);
}
