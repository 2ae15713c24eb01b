/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cfg_former.c - the names that the Python persister's file had in the course of time, what
 * nobody ever had, and bytes in values that mean nothing here.
 *
 * Process: the unit tests.  Owner: each test; files are in memory (memfd).  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/cfg_priv.h"
#include "tests/unit/cfg_fixture.h"

TestSuite(cfg_former, .init = cfg_set_up, .fini = cfg_tear_down);

/*
 * Every name that was ever in upstream's options, sample files, container images and deployment
 * tools' templates, or in oslo.log's, oslo.service's and oslo.config's options for the file, and
 * that the last release does not know any more.  Written down apart from the program's table.
 */
static const struct {
    const char *section, *name, *value;
    const char *means; /* a line of the dump that follows from it; NULL: nothing does */
} formers[] = {
    {"DEFAULT", "verbose", "True", NULL},
    {"DEFAULT", "log_format", "%(message)s", NULL},
    {"DEFAULT", "log_level", "DEBUG", NULL},
    {"DEFAULT", "general_log", "1", NULL},
    {"DEFAULT", "logfile", "/x", "log_file = /x"},
    {"DEFAULT", "logdir", "/x", "log_file = /x/monasca-persister.log"},
    {"DEFAULT", "logfile_mode", "0644", NULL},
    {"DEFAULT", "use_syslog_rfc_format", "True", NULL},
    {"DEFAULT", "backdoor_port", "1", NULL},
    {"DEFAULT", "backdoor_socket", "/x", NULL},
    {"DEFAULT", "disable_process_locking", "True", NULL},
    {"DEFAULT", "lock_path", "/x", NULL},
    {"DEFAULT", "log_options", "True", NULL},
    {"DEFAULT", "graceful_shutdown_timeout", "60", NULL},
    {"DEFAULT", "run_external_periodic_tasks", "True", NULL},
    {"DEFAULT", "config_file", "/x", NULL},
    {"DEFAULT", "config_dir", "/x", NULL},
    {"DEFAULT", "config_source", "x", NULL},
    {"DEFAULT", "shell_completion", "bash", NULL},
    {"DEFAULT", "migrate_time_unit", "w", NULL},
    {"DEFAULT", "migrate_start_time_offset", "0", NULL},
    {"DEFAULT", "migrate_end_time_offset", "520", NULL},
    {"DEFAULT", "migrate_retention_policy", "a:2w", NULL},
    {"DEFAULT", "migrate_skip_regex", "^x", NULL},
    {"kafka", "uri", "k:1", "[kafka_metrics]|uri = k:1"},
    {"kafka", "uri", "k:1", "[kafka_alarm_history]|uri = k:1"},
    {"kafka", "metrics_topic", "t", "[kafka_metrics]|topic = t"},
    {"kafka", "metrics_group_id", "g", "[kafka_metrics]|group_id = g"},
    {"kafka", "metrics_client_id", "c", "[kafka_metrics]|client_id = c"},
    {"kafka", "metrics_consumer_id", "c", NULL},
    {"kafka", "metrics_batch_size", "7", "[kafka_metrics]|batch_size = 7"},
    {"kafka", "metrics_max_wait_time_seconds", "7", "[kafka_metrics]|max_wait_time_seconds = 7"},
    {"kafka", "alarm_history_topic", "t", "[kafka_alarm_history]|topic = t"},
    {"kafka", "alarm_history_group_id", "g", "[kafka_alarm_history]|group_id = g"},
    {"kafka", "alarm_history_client_id", "c", "[kafka_alarm_history]|client_id = c"},
    {"kafka", "alarm_history_consumer_id", "c", NULL},
    {"kafka", "alarm_batch_size", "7", "[kafka_alarm_history]|batch_size = 7"},
    {"kafka", "alarm_max_wait_time_seconds", "7",
     "[kafka_alarm_history]|max_wait_time_seconds = 7"},
    {"kafka_metrics", "database_batch_size", "7", "[kafka_metrics]|batch_size = 7"},
    {"kafka_alarm_history", "database_batch_size", "7", "[kafka_alarm_history]|batch_size = 7"},
    {"kafka_events", "database_batch_size", "7", "[kafka_events]|batch_size = 7"},
    {"database", "database_type", "influxdb", "metrics_driver = influxdb"},
    {"database", "database_type", "influxdb", "alarm_state_history_driver = influxdb"},
    {"cassandra", "cluster_ip_addresses", "10.0.0.1", "[cassandra]|contact_points = 10.0.0.1"},
    {"influxdb", "cluster_ip_addresses", "127.0.0.1", NULL},
    {"influxdb", "keyspace", "monasca", NULL},
};

/* "[section]|line" or "line": whether the dump has it (there). */
static bool
dump_has(const char *dump, const char *line)
{
    char wanted[256];
    const char *bar = strchr(line, '|'), *from = dump;
    if (bar != NULL) {
        snprintf(wanted, sizeof(wanted), "%.*s\n", (int)(bar - line), line);
        from = strstr(dump, wanted);
        line = bar + 1;
    }
    snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    const char *at = from != NULL ? strstr(from, wanted) : NULL;
    const char *next = from != NULL ? strstr(from + 1, "\n[") : NULL;
    return at != NULL && (bar == NULL || next == NULL || at < next);
}

static void
assert_accepted(size_t i)
{
    char text[512], notice[128];
    buf_clear(&cfg_notices);
    snprintf(text, sizeof(text), "%s[%s]\n%s = %s\n", GOOD, formers[i].section, formers[i].name,
             formers[i].value);
    struct config *cfg = cfg_load_text(text);
    cr_assert_not_null(cfg, "%s", cfg_error.text);
    snprintf(notice, sizeof(notice), ":4: [%s] %s %s", formers[i].section, formers[i].name,
             formers[i].means != NULL ? "is a former name of " : "");
    cr_expect_not_null(strstr(cfg_notice_text(), notice), "%s: %s", notice, cfg_notices.data);
    char *dump = cfg_dump_text(cfg);
    if (formers[i].means != NULL)
        cr_expect(dump_has(dump, formers[i].means), "%s: not %s", formers[i].name,
                  formers[i].means);
    free(dump);
    cfg_free(&cfg);
}

Test(cfg_former, every_name_of_any_release_is_accepted_with_a_notice)
{
    for (size_t i = 0; i < COUNT_OF(formers); i++)
        assert_accepted(i);
}

/* So that a line of the program's table is not without a test, nor names what is not there. */
Test(cfg_former, the_table_has_nothing_else)
{
    for (size_t i = 0; i < cfg_n_formers; i++) {
        const struct cfg_former *f = &cfg_formers[i];
        bool found = false;
        for (size_t k = 0; k < COUNT_OF(formers); k++)
            found |=
                strcmp(formers[k].section, f->section) == 0 && strcmp(formers[k].name, f->name) == 0;
        cr_expect(found, "[%s] %s", f->section, f->name);
        cr_expect_eq(cfg_find_option(f->section, f->name), -1, "%s", f->name);
        cr_expect(f->now_name == NULL || cfg_find_option(f->now_section, f->now_name) != -1);
    }
}

Test(cfg_former, a_file_of_an_earlier_release)
{
    struct config *cfg = cfg_load_good(
        "[DEFAULT]\nverbose = true\ndebug = false\n"
        "[kafka_metrics]\nuri = kafka:9092\nconsumer_id = 1\ndatabase_batch_size = 1000\n"
        "max_wait_time_seconds = 15\n"
        "[kafka_alarm_history]\nuri = kafka:9092\ndatabase_batch_size = 1000\n"
        "[influxdb]\nip_address = influxdb\ndatabase_name = mon\n"
        "[cassandra]\ncluster_ip_addresses: 127.0.0.1\nkeyspace: monasca\n");
    cr_expect_eq(cfg->topic[TOPIC_METRICS].batch_size, 1000);
    cr_expect_eq(cfg->topic[TOPIC_ALARM_HISTORY].batch_size, 1000);
    cr_expect_not_null(strstr(cfg_notice_text(), ":2: [DEFAULT] verbose has no meaning here"));
    cr_expect_not_null(strstr(cfg_notices.data, "database_batch_size is a former name of "
                                                "[kafka_metrics] batch_size"));
    cfg_free(&cfg);
}

/* As with oslo.config: within a file the new name wins wherever it stands. */
Test(cfg_former, the_new_name_wins)
{
    static const char *const texts[] = {"batch_size = 1\ndatabase_batch_size = 2\n",
                                        "database_batch_size = 2\nbatch_size = 1\n"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char text[256];
        snprintf(text, sizeof(text), GOOD "[kafka_metrics]\n%s", texts[i]);
        struct config *cfg = cfg_load_good(text);
        cr_expect_eq(cfg->topic[TOPIC_METRICS].batch_size, 1, "%s", texts[i]);
        cfg_free(&cfg);
    }
    struct config *cfg =
        cfg_load_good(GOOD "[kafka_alarm_history]\nuri = b:2\n[kafka]\nuri = a:1\n");
    cr_expect_str_eq(cfg->topic[TOPIC_METRICS].uri, "a:1");
    cr_expect_str_eq(cfg->topic[TOPIC_ALARM_HISTORY].uri, "b:2");
    cr_expect_not_null(strstr(cfg_notice_text(), "which is set as well: ignored"));
    cfg_free(&cfg);
}

Test(cfg_former, a_value_is_judged_by_the_option_that_it_is_of)
{
    cr_expect_null(cfg_load_text(GOOD "[kafka_metrics]\ndatabase_batch_size = many\n"));
    cr_expect_not_null(strstr(cfg_error.text, ":4: [kafka_metrics] batch_size: 'many'"), "%s",
                       cfg_error.text);
    cr_expect_null(cfg_load_text(GOOD "[database]\ndatabase_type = vertica\n"));
    cr_expect_not_null(strstr(cfg_error.text, "no store that is known here"), "%s",
                       cfg_error.text);
}

/* --- what nobody ever had --- */

Test(cfg_former, unknown_names_are_errors_that_name_the_nearest)
{
    cr_expect_null(cfg_load_text(GOOD "verify_sll = True\n"));
    cr_expect_not_null(strstr(cfg_error.text, ":3: [influxdb] verify_sll: unknown option; the "
                                              "nearest known one is [influxdb] verify_ssl"),
                       "%s", cfg_error.text);
    cr_expect_null(cfg_load_text(GOOD "[database]\ndatabase_typ = influxdb\n"));
    cr_expect_not_null(strstr(cfg_error.text, ":4: [database] database_typ: unknown option"), "%s",
                       cfg_error.text);
    cr_expect_null(cfg_load_text(GOOD "[oslo_messaging]\nx = y\n"));
    cr_expect_not_null(strstr(cfg_error.text, ":3: [oslo_messaging]: unknown section; the nearest"),
                       "%s", cfg_error.text);
    cr_expect_null(cfg_load_text(GOOD "[persister]\nunknown_options = perhaps\n"));
    cr_expect_not_null(strstr(cfg_error.text, "allowed: refuse, warn"), "%s", cfg_error.text);
}

Test(cfg_former, unknown_names_are_notices_if_asked)
{
    struct config *cfg =
        cfg_load_good("[oslo_messaging]\nx = y\n  and more \xff\n\nssl: $nothing\n[influxdb]\n"
                      "ip_address = db\ncolour = \x1b[1m\n  \x1b[0m\nport = 1\n"
                      "[persister]\nunknown_options = warn\n");
    cr_expect_eq(cfg->influxdb.port, 1);
    cr_expect_not_null(strstr(cfg_notice_text(), ":1: [oslo_messaging]: unknown section"));
    cr_expect_not_null(strstr(cfg_notices.data, ":8: [influxdb] colour: unknown option"));
    cr_expect_not_null(strstr(cfg_notices.data, "2 unknown sections and options are ignored"));
    cr_expect_null(strstr(cfg_notices.data, "[oslo_messaging] x"));
    cfg_free(&cfg);
}

/* A file of another kind must not fill the log, nor lose the other notices. */
Test(cfg_former, many_unknown_names_are_counted)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_add_text(&text, GOOD "[persister]\nunknown_options = warn\n[DEFAULT]\nverbose = 1\n");
    for (int i = 0; i < 5000; i++)
        buf_printf(&text, "name_%d = 1\n", i);
    struct config *cfg = cfg_load_bytes(text.data, text.size);
    cr_assert_not_null(cfg, "%s", cfg_error.text);
    cr_expect_not_null(strstr(cfg_notice_text(), "5000 unknown sections and options are ignored"));
    cr_expect_not_null(strstr(cfg_notices.data, "[DEFAULT] verbose"));
    cr_expect_lt(cfg_notices.size, 10000u);
    cfg_free(&cfg);
    buf_free(&text);
}

/* --- bytes --- */

Test(cfg_former, values_that_mean_nothing_may_hold_any_bytes)
{
    static const char bytes[] =
        "[DEFAULT]\nlogging_exception_prefix = E \x1b[01;35m%(instance)s\x1b[00m\n"
        "logging_default_format_string = %(color)s\xff\0\n  \x7f\x1b more\n"
        "verbose = \x1b[1m\n" GOOD;
    struct config *cfg = cfg_load_bytes(bytes, sizeof(bytes) - 1);
    cr_assert_not_null(cfg, "%s", cfg_error.text);
    cr_expect_str_eq(cfg->influxdb.ip_address, "db");
    cr_expect_not_null(strstr(cfg_notice_text(), ":2: [DEFAULT] logging_exception_prefix"));
    cr_expect_null(strchr(cfg_notices.data, '\x1b'));
    cfg_free(&cfg);
}

Test(cfg_former, elsewhere_bytes_are_errors_that_name_the_option)
{
    cr_expect_null(cfg_load_text(GOOD "user = a\x1b[1m\n"));
    cr_expect_not_null(
        strstr(cfg_error.text, ":3: a control character (0x1b) in [influxdb] user; allowed"), "%s",
        cfg_error.text);
    cr_expect_null(cfg_load_text(GOOD "user = a\n  b\xff\n"));
    cr_expect_not_null(strstr(cfg_error.text, ":4: not UTF-8 in [influxdb] user; allowed"), "%s",
                       cfg_error.text);
    cr_expect_null(cfg_load_text(GOOD "[kafka_metrics]\ndatabase_batch_size = 1\x01\n"));
    cr_expect_not_null(strstr(cfg_error.text, "in [kafka_metrics] database_batch_size"), "%s",
                       cfg_error.text);
    cr_expect_null(cfg_load_text(GOOD "\x1b[1muser = a\n"));
    cr_expect_not_null(strstr(cfg_error.text, ":3: a control character (0x1b); allowed"), "%s",
                       cfg_error.text);
}
