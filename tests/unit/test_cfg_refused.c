/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cfg_refused.c - what is wrong in a configuration is refused, with its place and what is
 * allowed.
 *
 * Process: the unit tests.  Owner: each test; files are in memory (memfd) or in a temporary
 * directory that the test removes.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/cfg_fixture.h"

TestSuite(cfg_refused, .init = cfg_set_up, .fini = cfg_tear_down);

/* The error is "/proc/self/fd/N" and what is given. */
static void
assert_refused(const char *text, const char *error)
{
    struct config *cfg = cfg_load_text(text);
    const char *shown = cfg_error.text + strcspn(cfg_error.text, ":");
    cr_expect_null(cfg, "accepted: %s", text);
    cr_expect(strncmp(shown, error, strlen(error)) == 0, "%s\nis not\n%s", shown, error);
    cfg_free(&cfg);
}

/* --- refusals --- */

#define CASSANDRA GOOD "[repositories]\nmetrics_driver = cassandra\n[cassandra]\n"

static const struct {
    const char *text, *error;
} refused[] = {
    /* form */
    {"x = 1\n", ":1: an option before the first section"},
    {"[influxdb\n", ":1: not a section"},
    {"[influxdb] # db\n", ":1: not a section"},
    {"[]\n", ":1: not a section"},
    {"\n[influxdb]\nport\n", ":3: neither a section, an option nor a comment"},
    {"[influxdb]\n= 1\n", ":2: neither a section, an option nor a comment"},
    {"[influxdb]\n  port = 1\n", ":2: Invalid space character"},
    {"[influxdb]\nuser = a\n\n  b\n", ":4: Invalid space character"},
    {"[influxdb]\nuser = a\n# c\n  b\n", ":4: Invalid space character"},
    {"[influxdb]\nuser = \xff\n", ":2: not UTF-8"},
    {"[influxdb]\nuser = a\x01\n", ":2: a control character"},
    /* names */
    {"[influxdb]\nprot = 1\n",
     ":2: [influxdb] prot: unknown option; the nearest known one is [influxdb] port"},
    {"[influxdb]\nPort = 1\n",
     ":2: [influxdb] Port: unknown option; the nearest known one is [influxdb] port"},
    {"[influxdb]\nport = 1\nPort = 2\n", ":3: [influxdb] Port: unknown option"},
    {"[DEFAULT]\nnum_processors = 1\n",
     ":2: [DEFAULT] num_processors: unknown option; the nearest known one is [kafka] num_proc"},
    {"[kafka_metrics]\nlibrdkafka.debug = all\n", ":2: [kafka_metrics] librdkafka.debug: unknown"},
    {"[kafka]\nlibrdkafka.Debug = all\n", ":2: [kafka] librdkafka.Debug: not a property's name"},
    {"[kafka]\nlibrdkafka. = all\n", ":2: [kafka] librdkafka.: not a property's name"},
    {"[influx]\n", ":1: [influx]: unknown section; the nearest known one is [influxdb]"},
    {"[default]\n", ":1: [default]: unknown section; the nearest known one is [DEFAULT]"},
    /* types and bounds */
    {"[influxdb]\nport = 0\n", ":2: [influxdb] port: '0' cannot be used; allowed: a whole number "
                               "from 1 to 65535"},
    {"[influxdb]\nport = 99999999999999999999\n", ":2: [influxdb] port: '99999"},
    {"[influxdb]\nport = 8086x\n", ":2: [influxdb] port: '8086x'"},
    {"[influxdb]\nport = \n", ":2: [influxdb] port: ''"},
    {"[influxdb]\nssl = maybe\n", ":2: [influxdb] ssl: 'maybe' is neither true nor false; allowed"},
    {"[kafka]\nnum_processors = -1\n", ":2: [kafka] num_processors: '-1'"},
    {"[kafka]\nnum_processors = 0\n", ":2: [kafka] num_processors: 0 is taken as enabled = False"},
    {GOOD "[kafka_metrics]\nnum_processors = 0\n[kafka_alarm_history]\nenabled = no\n",
     ":4: [kafka_metrics] num_processors: 0 is taken as enabled = False"},
    {"[kafka]\nnum_processors = 0\n[kafka_events]\nenabled = true\nnum_processors = 1\n" GOOD,
     ":4: [kafka_events] enabled: events are not supported, and no other topic is enabled "
     "(num_processors = 0 is enabled = False"},
    {"[kafka]\n\nnum_processors = $client_id\n", ":3: [kafka] num_processors: 'monasca-persister'"},
    /* references */
    {"[influxdb]\nuser = $nobody\n", ":2: [influxdb] user: refers to an option that does not"},
    {"[influxdb]\nuser = $kafka.nobody\n", ":2: [influxdb] user: refers to an option"},
    {"[influxdb]\nuser = $user\n", ":2: [influxdb] user: refers to itself"},
    {"[influxdb]\nuser = $password\npassword = a${influxdb.user}\n", ":2: [influxdb] user: refers"},
    /* how options fit together */
    {"", ": [influxdb] ip_address: must be set"},
    {GOOD "database_name =\n", ":3: [influxdb] database_name: must not be empty"},
    {GOOD "[repositories]\nmetrics_driver = mongodb\n",
     ":4: [repositories] metrics_driver: 'mongodb' is no store that is known here; allowed: "
     "influxdb, postgresql, cassandra, discard"},
    {CASSANDRA "consistency_level = SOME\n", ":6: [cassandra] consistency_level: allowed: ANY, ONE"},
    {CASSANDRA "keyspace = a-b\n", ":6: [cassandra] keyspace: allowed: 1 to 48 letters"},
    {CASSANDRA "keyspace =\n", ":6: [cassandra] keyspace: allowed: 1 to 48 letters"},
    {CASSANDRA "contact_points = a, b:9042\n", ":6: [cassandra] contact_points: number 2 has a port"},
    {CASSANDRA "contact_points = ,\n", ":6: [cassandra] contact_points: must be set"},
    {CASSANDRA "replication = 3\n", ":6: [cassandra] replication: allowed: a map of CQL's"},
    {CASSANDRA "replication = {'class': 'x'; }\n", ":6: [cassandra] replication: allowed"},
    {CASSANDRA "retention_policy = -1\n", ":6: [cassandra] retention_policy: "},
    {GOOD "[kafka_events]\nenabled = True\n", ":4: [kafka_events] enabled: events are not support"},
    {GOOD "[kafka_metrics]\nenabled = no\n[kafka_alarm_history]\nenabled = no\n",
     ":4: [kafka_metrics] enabled: no topic is enabled"},
    {GOOD "[kafka_metrics]\nuri = , ,\n", ":4: [kafka_metrics] uri: allowed: HOST:PORT"},
    {GOOD "[kafka_metrics]\ntopic =\n", ":4: [kafka_metrics] topic: allowed"},
    {GOOD "[kafka_metrics]\ntopic = a/b\n", ":4: [kafka_metrics] topic: allowed"},
    {GOOD "[kafka_metrics]\ngroup_id =\n", ":4: [kafka_metrics] group_id: allowed"},
    {GOOD "[kafka_alarm_history]\ntopic = metrics\ngroup_id = $kafka_metrics.group_id\n",
     ":5: [kafka_alarm_history] group_id: topic and group are those of [kafka_metrics]"},
    {GOOD "[dead_letter]\ntopic = metrics\n", ":4: [dead_letter] topic: rejected messages"},
    {GOOD "[dead_letter]\ntopic = a b\n", ":4: [dead_letter] topic: allowed"},
    {GOOD "[persister]\ninstance = a/b\n", ":4: [persister] instance: allowed"},
    {GOOD "[persister]\ninstance = ..\n", ":4: [persister] instance: allowed"},
    {GOOD "[persister]\ninstance = "
          "12345678901234567890123456789012345678901234567890123456789012345\n",
     ":4: [persister] instance: allowed"},
    {GOOD "[persister]\nmemory_limit_mb = 32\nmax_message_bytes = 4194305\n",
     ":5: [persister] max_message_bytes: allowed: at most an eighth"},
    {GOOD "[statsd]\ndialect = etsy\n", ":4: [statsd] dialect: allowed: monasca, dogstatsd"},
    {GOOD "[statsd]\nhost =\n", ":4: [statsd] host: must be set; allowed"},
    /* hosts */
    {"[influxdb]\nip_address = http://db:8086\n",
     ":2: [influxdb] ip_address: it is a URL; allowed: an address or a name; port"},
    {"[influxdb]\nip_address = db:8086\n", ":2: [influxdb] ip_address: 'db:8086' has a port"},
    {"[influxdb]\nip_address = [::1]:8086\n", ":2: [influxdb] ip_address: '[::1]:8086' has brack"},
    {"[influxdb]\nip_address = 10.0.0.1   # the database\n",
     ":2: [influxdb] ip_address: '10.0.0.1   # the database' has a blank in it (a comment"},
    {GOOD "[statsd]\nhost = 127.0.0.1:8125\n", ":4: [statsd] host: '127.0.0.1:8125' has a port"},
    {GOOD "[admin]\nbind = http://127.0.0.1\n", ":4: [admin] bind: it is a URL"},
    {GOOD "[admin]\nbind = 127.0.0.1:8091\n", ":4: [admin] bind: '127.0.0.1:8091' has a port"},
    {GOOD "[admin]\nbind = *\n", ":4: [admin] bind: '*' is neither an address nor a name"},
    {GOOD "[admin]\nbind =\n", ":4: [admin] bind: must be set; allowed"},
    {GOOD "[kafka_metrics]\nuri = a:9092, http://b:9092\n",
     ":4: [kafka_metrics] uri: number 2 is a URL; allowed: HOST:PORT, several"},
    {GOOD "[kafka_alarm_history]\nuri = kafka:port\n",
     ":4: [kafka_alarm_history] uri: 'kafka:port' has a port that is none"},
    {GOOD "[statsd]\ninterval_seconds = 15\n",
     ":4: [statsd] interval_seconds: allowed: a multiple of [persister] period_seconds, 10"},
    {GOOD "[statsd]\ninterval_seconds = 610\n",
     ":4: [statsd] interval_seconds: allowed: at most 60 periods, 600"},
    {GOOD "[statsd]\ngauge_window_seconds = 601\n",
     ":4: [statsd] gauge_window_seconds: allowed: at most 60 periods, 600"},
    {GOOD "[statsd]\nmax_packet_bytes = 8193\n",
     ":4: [statsd] max_packet_bytes: allowed: at most 8192"},
    {GOOD "[statsd]\ndimensions = a:b, c\n", ":4: [statsd] dimensions: allowed: KEY:VALUE"},
    {GOOD "[statsd]\ndimensions = a:\n", ":4: [statsd] dimensions: allowed: KEY:VALUE"},
    {GOOD "[statsd]\ndimensions = :b\n", ":4: [statsd] dimensions: allowed: keys of"},
    {GOOD "[statsd]\ndimensions = a:b,a : c\n", ":4: [statsd] dimensions: a key occurs twice"},
    {GOOD "[statsd]\ndimensions = scope:b\n", ":4: [statsd] dimensions: instance, scope, topic"},
};

Test(cfg_refused, statsd_as_it_may_be)
{
    struct config *cfg = cfg_load_good(GOOD "[persister]\nperiod_seconds = 5\n"
                                            "[statsd]\ninterval_seconds = 300\n"
                                            "gauge_window_seconds = 300\n"
                                            "dialect = dogstatsd\nmax_packet_bytes = 65507\n"
                                            "dimensions = a:b:c, hostname : h h,,\nprefix =\n");
    cr_assert_str_eq(cfg->statsd.prefix, "");
    cr_assert_eq(cfg->statsd.interval_seconds, 300);
    cfg_free(&cfg);
}

Test(cfg_refused, what_is_wrong_is_refused_with_its_place)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        assert_refused(refused[i].text, refused[i].error);
}

Test(cfg_refused, every_integer_keeps_its_bounds)
{
    static const struct {
        const char *section, *name;
        int64_t min, max;
    } ints[] = {
#define is_int(section, name, min, max) {section, name, min, max},
#define is_bool(section, name, min, max)
#define is_string(section, name, min, max)
#define SECTION(name)
#define END_SECTION(name)
#define OPTION(section, name, type, min, max, text, flags, help)                                   \
    is_##type(#section, #name, min, max)
#define TOPIC_OPTION(name, type, min, max, text, flags, help)                                      \
    is_##type("kafka_metrics", #name, min, max)
#include "conf/cfg.def"
#include "conf/cfg_topic.def"
    };
    for (size_t i = 0; i < COUNT_OF(ints); i++) {
        char text[256], error[256];
        cr_expect_lt(ints[i].min, ints[i].max, "%s", ints[i].name);
        for (int above = 0; above < 2; above++) {
            snprintf(text, sizeof(text), "[%s]\n%s = %lld\n", ints[i].section, ints[i].name,
                     (long long)(above ? ints[i].max + 1 : ints[i].min - 1));
            snprintf(error, sizeof(error), ":2: [%s] %s: ", ints[i].section, ints[i].name);
            assert_refused(text, error);
        }
    }
}

Test(cfg_refused, files_that_cannot_be_read)
{
    char directory[] = "/tmp/test-cfg-XXXXXX", path[64];
    cr_assert_not_null(mkdtemp(directory));
    cr_expect_null(cfg_load(directory, NULL, &cfg_error));
    cr_expect_not_null(strstr(cfg_error.text, ": Is a directory"), "%s", cfg_error.text);
    snprintf(path, sizeof(path), "%s/none", directory);
    cr_expect_null(cfg_load(path, NULL, &cfg_error));
    cr_expect_not_null(strstr(cfg_error.text, "/none: No such file or directory"), "%s",
                       cfg_error.text);
    FILE *f = fopen(path, "w");
    fputs(GOOD, f);
    fclose(f);
    cr_expect_eq(chmod(path, 0), 0);
    if (geteuid() != 0) { /* root reads it all the same */
        cr_expect_null(cfg_load(path, NULL, &cfg_error));
        cr_expect_not_null(strstr(cfg_error.text, "/none: Permission denied"), "%s",
                           cfg_error.text);
    }
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_null(cfg_load(path, NULL, &cfg_error));
    cr_expect_not_null(strstr(cfg_error.text, "/none: not a regular file"), "%s", cfg_error.text);
    unlink(path);
    rmdir(directory);
}

Test(cfg_refused, secrets_are_not_in_errors)
{
    /* The value that is quoted comes from a secret by way of a reference. */
    assert_refused("[influxdb]\nport = $password\npassword = geheim\n", ":2: [influxdb] port: ");
    cr_expect_null(strstr(cfg_error.text, "geheim"), "%s", cfg_error.text);
}

Test(cfg_refused, nor_is_what_may_be_a_password)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"[influxdb]\nip_address = http://u:geheim@db:8086\n",
         ":2: [influxdb] ip_address: it is a URL; allowed: an address or a name; port, ssl, user and"},
        {"[influxdb]\nip_address = u:geheim@db\n",
         ":2: [influxdb] ip_address: it has something before the host ('@'); allowed"},
        {"[influxdb]\nip_address = $password\npassword = geheim!:1\n",
         ":2: [influxdb] ip_address: it has a port; allowed"},
        {GOOD "[kafka_metrics]\nuri = a:1,SASL_SSL://u:ge,heim@b:2\n",
         ":4: [kafka_metrics] uri: number 2 has a port that is none; allowed"},
        {GOOD "[kafka_metrics]\nuri = u:geheim@b:2\n",
         ":4: [kafka_metrics] uri: number 1 has something before the host"},
        {GOOD "[statsd]\nhost = udp://u:geheim@s\n", ":4: [statsd] host: it is a URL; allowed"},
        {GOOD "[admin]\nbind = u:geheim@s\n", ":4: [admin] bind: it has something before"},
        {GOOD "[repositories]\nmetrics_driver = postgresql://u:geheim@db/mon\n",
         ":4: [repositories] metrics_driver: it is no store that is known here; allowed"},
        {"[influxdb]\nport = u:geheim@db:8086\n", ":2: [influxdb] port: '****' cannot be used"},
        {"[influxdb]\nssl = https://u:geheim@db\n", ":2: [influxdb] ssl: '****' is neither"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_refused(cases[i].text, cases[i].error);
        cr_expect_null(strstr(cfg_error.text, "heim"), "%s", cfg_error.text);
    }
}

/* U+009B begins an escape sequence, U+202E turns the direction of writing. */
Test(cfg_refused, a_value_is_shown_without_what_a_terminal_obeys)
{
    assert_refused("[influxdb]\nip_address = d\xc2\x9b""2Jb:8\xe2\x80\xae""6\n",
                   ":2: [influxdb] ip_address: 'd?2Jb:8?6' has a port");
    assert_refused("[influxdb]\nport = \xc2\x9b""2J\n", ":2: [influxdb] port: '?2J' cannot");
    assert_refused("[influxdb]\nip_address = d\033[2J\n", ":2: a control character (0x1b)");
}
