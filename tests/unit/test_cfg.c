/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cfg.c - the configuration: upstream's rules, notices, files of real installations.
 *
 * Process: the unit tests.  Owner: each test; files are in memory (memfd).  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/cfg_fixture.h"

TestSuite(cfg, .init = cfg_set_up, .fini = cfg_tear_down);

/* --- values --- */

Test(cfg, defaults_are_upstreams)
{
    char host[256];
    struct config *cfg = cfg_load_good(GOOD);
    cr_assert_eq(gethostname(host, sizeof(host)), 0);
    cr_expect_str_eq(cfg->persister.instance, host);
    cr_expect_eq(cfg->persister.memory_limit_mb, 128);
    cr_expect_eq(cfg->influxdb.port, 8086);
    cr_expect_str_eq(cfg->influxdb.user, "mon_persister");
    cr_expect(cfg->topic[TOPIC_METRICS].enabled && cfg->topic[TOPIC_ALARM_HISTORY].enabled);
    cr_expect_not(cfg->topic[TOPIC_EVENTS].enabled);
    cr_expect_str_eq(cfg->topic[TOPIC_METRICS].topic, "metrics");
    cr_expect_str_eq(cfg->topic[TOPIC_ALARM_HISTORY].group_id, "1_alarm-state-transitions");
    cr_expect_eq(cfg->topic[TOPIC_METRICS].batch_size, 20000);
    cr_expect_eq(cfg->topic[TOPIC_ALARM_HISTORY].batch_size, 1);
    cr_expect_eq(cfg->metrics_driver, DRIVER_INFLUXDB);
    cr_expect_eq(cfg_topic_driver(cfg, TOPIC_ALARM_HISTORY), DRIVER_INFLUXDB);
    cr_expect_eq(cfg_notices.size, 0u);
    cfg_free(&cfg);
    cr_assert_null(cfg);
    cfg_free(&cfg);
}

Test(cfg, topics_inherit_from_kafka)
{
    struct config *cfg = cfg_load_good(GOOD "[kafka]\nnum_processors = 3\nclient_id = me\n"
                                            "[kafka_alarm_history]\nnum_processors = 2\n");
    cr_expect_eq(cfg->topic[TOPIC_METRICS].num_processors, 3);
    cr_expect_eq(cfg->topic[TOPIC_ALARM_HISTORY].num_processors, 2);
    cr_expect_eq(cfg->topic[TOPIC_ALARM_HISTORY].max_wait_time_seconds, 30);
    cr_expect_str_eq(cfg->topic[TOPIC_METRICS].client_id, "me");
    cfg_free(&cfg);
}

Test(cfg, no_processors_are_a_topic_that_is_not_enabled)
{
    struct config *cfg = cfg_load_good(GOOD "[kafka]\nnum_processors = 0\n"
                                            "[kafka_metrics]\nnum_processors = 2\n"
                                            "[kafka_events]\nenabled = True\n");
    cr_expect(cfg->topic[TOPIC_METRICS].enabled);
    cr_expect_not(cfg->topic[TOPIC_ALARM_HISTORY].enabled);
    cr_expect_not(cfg->topic[TOPIC_EVENTS].enabled);
    cr_expect_not_null(strstr(cfg_notice_text(), ":4: [kafka] num_processors = 0 is taken as "
                                                 "enabled = False in [kafka_alarm_history]"),
                       "%s", cfg_notices.data);
    cr_expect_null(strstr(cfg_notices.data, "[kafka_metrics]"));
    cfg_free(&cfg);
}

/* What influxdb.password is read as. */
static const struct {
    const char *line, *value;
} values[] = {
    {"password = plain", "plain"},
    {"password=plain", "plain"},
    {"password : plain", "plain"},
    {"password: a=b", "a=b"},
    {"password =", ""},
    {"password = a%b=c;d#e : f", "a%b=c;d#e : f"},
    {"password = # no comment", "# no comment"},
    {"password = gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
    {"password = \"a b\"", "a b"},
    {"password = ' a '", " a "},
    {"password = \"a'", "\"a'"},
    {"password = \"", "\""},
    {"password = $$", "$"},
    {"password = a$$user", "a$user"},
    {"password = a\\$user", "a$user"},
    {"password = 5$ and $5 $", "5$ and $5 $"},
    {"password = $user", "mon_persister"},
    {"password = ${user}x", "mon_persisterx"},
    {"password = ${user", "${user"},
    {"password = $kafka.client_id.", "monasca-persister."},
    {"password = ${kafka.client_id}s", "monasca-persisters"},
    {"password = $kafka_metrics.topic", "metrics"},
    {"password = $syslog_log_facility", "LOG_USER"},
    {"password = $port", "8086"},
    {"password = $kafka_metrics.num_processors", "1"},
    {"password = one,\n  two,\n\tthree", "one, two, three"},
    {"password =\n  one\n", "one"},
    {"password = a\n  # not a comment\n# a comment", "a # not a comment"},
    {"password = a   \n   \n", "a"},
    {"password = a\r\nuser = b\r", "a"},
    {"password = a\n;c\n#c\npassword = b", "b"},
    {"password = a\n[kafka]\n[influxdb]\npassword = c", "c"},
    {"password = a\n# a comment in Latin-1: \xe9\n", "a"},
};

Test(cfg, values_are_read_as_oslo_reads_them)
{
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        char text[512];
        snprintf(text, sizeof(text), GOOD "%s\n", values[i].line);
        struct config *cfg = cfg_load_text(text);
        cr_expect_not_null(cfg, "%s: %s", values[i].line, cfg_error.text);
        if (cfg != NULL)
            cr_expect_str_eq(cfg->influxdb.password, values[i].value, "%s\nis read as %s",
                             values[i].line, cfg->influxdb.password);
        cfg_free(&cfg);
    }
}

Test(cfg, booleans_in_every_case)
{
    static const char *const words[2][6] = {{"False", "false", "0", "no", "OFF", "FALSE"},
                                            {"True", "true", "1", "Yes", "on", "TRUE"}};
    for (size_t i = 0; i < 12; i++) {
        char text[128];
        snprintf(text, sizeof(text), GOOD "ssl = %s\nverify_ssl = True", words[i / 6][i % 6]);
        struct config *cfg = cfg_load_good(text);
        cr_expect_eq(cfg->influxdb.ssl, i / 6 == 1, "%s", words[i / 6][i % 6]);
        cfg_free(&cfg);
    }
}

Test(cfg, byte_order_mark_crlf_and_sections_in_capitals)
{
    struct config *cfg = cfg_load_good("\xef\xbb\xbf[InfluxDB]\r\nip_address = db\r\nport = 1\r\n"
                                       "\r\n[DEFAULT]\r\ndebug = True\r\n");
    cr_expect_str_eq(cfg->influxdb.ip_address, "db");
    cr_expect_eq(cfg->influxdb.port, 1);
    cr_expect(cfg->DEFAULT.debug);
    cfg_free(&cfg);
}

Test(cfg, long_values_are_whole)
{
    enum { N = 1000 * 1000 };
    char *text = malloc(N + 100);
    int n = snprintf(text, N + 100, GOOD "password = ");
    memset(text + n, 'x', N);
    struct config *cfg = cfg_load_bytes(text, (size_t)n + N);
    cr_assert_not_null(cfg, "%s", cfg_error.text);
    cr_expect_eq(strlen(cfg->influxdb.password), (size_t)N);
    cfg_free(&cfg);
    free(text);
}

Test(cfg, librdkafka_properties_pass_through)
{
    struct config *cfg =
        cfg_load_good(GOOD "[kafka]\nlibrdkafka.security.protocol = ssl\n"
                           "librdkafka.sasl.password = $not.a.reference\n"
                           "librdkafka.debug = a\nlibrdkafka.debug = broker,topic\n");
    cr_assert_eq(cfg->n_properties, 3u);
    cr_expect_str_eq(cfg->properties[0].name, "security.protocol");
    cr_expect_str_eq(cfg->properties[0].value, "ssl");
    cr_expect_eq(cfg->properties[0].line, 4u);
    cr_expect_str_eq(cfg->properties[1].value, "$not.a.reference");
    cr_expect_str_eq(cfg->properties[2].value, "broker,topic");
    cr_expect_eq(cfg->properties[2].line, 7u);
    cfg_free(&cfg);
}

Test(cfg, uri_is_a_list)
{
    struct config *cfg = cfg_load_good(GOOD "[kafka_metrics]\nuri = a:1 , b:2,,\n   c:3\n");
    cr_expect_str_eq(cfg->topic[TOPIC_METRICS].uri, "a:1,b:2,c:3");
    cfg_free(&cfg);
}

Test(cfg, brackets_around_addresses_are_understood)
{
    struct config *cfg =
        cfg_load_good("[influxdb]\nip_address = [2001:db8::1]\n[admin]\nbind = [::1]\n"
                      "[statsd]\nhost = [::1]\n[kafka_metrics]\nuri = [::1]:9092,ssl://k:1\n");
    cr_expect_str_eq(cfg->influxdb.ip_address, "2001:db8::1");
    cr_expect_str_eq(cfg->admin.bind, "::1");
    cr_expect_str_eq(cfg->statsd.host, "::1");
    cr_expect_str_eq(cfg->topic[TOPIC_METRICS].uri, "[::1]:9092,ssl://k:1");
    cfg_free(&cfg);
}

/* What is switched off need not be good. */
Test(cfg, hosts_that_nobody_asks_for_may_be_anything)
{
    struct config *cfg =
        cfg_load_good("[repositories]\nmetrics_driver = discard\n[influxdb]\nip_address = a:b\n"
                      "[admin]\nenabled = no\nbind = *\n[statsd]\nenabled = no\nhost = a:1\n"
                      "[kafka_alarm_history]\nenabled = no\nuri = http://x\n");
    cfg_free(&cfg);
}

static void
assert_log_file(const char *lines, const char *path)
{
    char text[256];
    snprintf(text, sizeof(text), GOOD "[DEFAULT]\n%s", lines);
    struct config *cfg = cfg_load_good(text);
    cr_expect_str_eq(cfg->DEFAULT.log_file, path, "%s: %s", lines, cfg->DEFAULT.log_file);
    cfg_free(&cfg);
}

Test(cfg, log_file_is_put_together)
{
    assert_log_file("", "");
    assert_log_file("log_file = a.log\n", "a.log");
    assert_log_file("logfile = a.log\nlogdir = /d\n", "/d/a.log");
    assert_log_file("log_file = a.log\nlogfile = b.log\nlog_dir = /d\nlogdir = /e\n", "/d/a.log");
    assert_log_file("log_file = /x/a.log\nlog_dir = /d\n", "/x/a.log");
    assert_log_file("log_dir = /d\n", "/d/monasca-persister.log");
}

Test(cfg, drivers_by_every_name)
{
    static const struct {
        const char *metrics, *alarms;
        enum store_driver a, b;
    } cases[] = {
        {"influxdb", "discard", DRIVER_INFLUXDB, DRIVER_DISCARD},
        {"postgresql", "influxdb", DRIVER_POSTGRESQL, DRIVER_INFLUXDB},
        {"cassandra", "discard", DRIVER_CASSANDRA, DRIVER_DISCARD},
        {"monasca_persister.repositories.cassandra.metrics_repository:MetricCassandraRepository",
         "monasca_persister.repositories.cassandra.alarm_state_history_repository:"
         "AlarmStateHistCassandraRepository",
         DRIVER_CASSANDRA, DRIVER_CASSANDRA},
        {"monasca_persister.repositories.influxdb.metrics_repository:MetricInfluxdbRepository",
         "monasca_persister.repositories.influxdb.alarm_state_history_repository:"
         "AlarmStateHistInfluxdbRepository",
         DRIVER_INFLUXDB, DRIVER_INFLUXDB},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 GOOD "[repositories]\nmetrics_driver = %s\nalarm_state_history_driver = %s\n",
                 cases[i].metrics, cases[i].alarms);
        struct config *cfg = cfg_load_good(text);
        cr_expect_eq(cfg_topic_driver(cfg, TOPIC_METRICS), cases[i].a);
        cr_expect_eq(cfg_topic_driver(cfg, TOPIC_ALARM_HISTORY), cases[i].b);
        cfg_free(&cfg);
    }
}

Test(cfg, discard_needs_no_influxdb)
{
    struct config *cfg = cfg_load_good("[repositories]\nmetrics_driver = discard\n"
                                       "alarm_state_history_driver = discard\n");
    cfg_free(&cfg);
}

/* --- notices --- */

Test(cfg, what_means_nothing_here_is_noticed_once)
{
    struct config *cfg =
        cfg_load_good(GOOD "[zookeeper]\nuri = zk:2181\n[kafka]\nbuffer_size = $no.such\n"
                           "[DEFAULT]\nuse_json = perhaps\nuse_json = True\n");
    cr_expect_not_null(strstr(cfg_notice_text(), ":4: [zookeeper] uri has no meaning here"));
    const char *json = strstr(cfg_notices.data, ":9: [DEFAULT] use_json has no meaning here");
    cr_assert_not_null(json, "%s", cfg_notices.data);
    cr_expect_null(strstr(strchr(json, '\n'), "use_json"));
    cr_expect_null(strstr(cfg_notices.data, ":8:"));
    cr_expect_not_null(strstr(cfg_notices.data, ":6: [kafka] buffer_size has"));
    cfg_free(&cfg);
}

Test(cfg, unverified_tls_is_noticed)
{
    struct config *cfg = cfg_load_good(GOOD "ssl = True\n");
    cr_expect_not_null(strstr(cfg_notice_text(), "verify_ssl is off"), "%s", cfg_notices.data);
    cfg_free(&cfg);
}

Test(cfg, a_password_in_clear_is_noticed)
{
    static const struct {
        const char *text;
        bool noticed;
    } cases[] = {{"ip_address = 192.0.2.1\npassword = p\n", true},
                 {"ip_address = localhost.example\npassword = p\n", true},
                 {"ip_address = 192.0.2.1\npassword = p\nuser =\n", false},
                 {"ip_address = 192.0.2.1\n", false},
                 {"ip_address = 192.0.2.1\npassword = p\nssl = True\nverify_ssl = True\n", false},
                 {"ip_address = ::1\npassword = p\n", false},
                 {"ip_address = 127.0.0.2\npassword = p\n", false},
                 {"ip_address = localhost\npassword = p\n", false}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[256];
        buf_clear(&cfg_notices);
        snprintf(text, sizeof(text), "[influxdb]\n%s", cases[i].text);
        struct config *cfg = cfg_load_good(text);
        bool noticed = strstr(cfg_notice_text(), "password goes to") != NULL;
        cr_expect_eq(noticed, cases[i].noticed, "%s", text);
        cfg_free(&cfg);
    }
}

/* --- upstream's files --- */

Test(cfg, files_of_real_installations)
{
    static const char *const files[] = {"kolla-ansible.conf", "devstack.conf"};
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char path[512];
        snprintf(path, sizeof(path), SRCDIR "/tests/cfg/%s", files[i]);
        struct config *cfg = cfg_load(path, cfg_take_notice, &cfg_error);
        cr_assert_not_null(cfg, "%s", cfg_error.text);
        cr_expect_str_eq(cfg->influxdb.database_name, i == 0 ? "monasca" : "mon");
        cr_expect_str_eq(cfg->topic[TOPIC_METRICS].uri,
                         i == 0 ? "192.0.2.11:9092,192.0.2.12:9092,192.0.2.13:9092"
                                : "192.0.2.5:9092");
        cr_expect_str_eq(cfg->DEFAULT.log_file, i == 0
                                                    ? "/var/log/kolla/monasca/persister.log"
                                                    : "/var/log/monasca/persister/persister.log");
        cfg_free(&cfg);
    }
    cr_expect_not_null(strstr(cfg_notice_text(), "[zookeeper] uri has no meaning"));
}
