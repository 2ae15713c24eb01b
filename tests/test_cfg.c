/*
 * test_cfg.c - the configuration: upstream's rules, our errors, the dump, and hostile files.
 *
 * Process: the unit tests.  Owner: each test; files are in memory (memfd) or in a temporary
 * directory that the test removes.  Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cfg.h"

/* What makes the default configuration complete. */
#define GOOD "[influxdb]\nip_address = db\n"

static struct buf notices; /* one a line */
static struct errbuf err;

static void
take_notice(const char *text)
{
    buf_add_text(&notices, text);
    buf_add_char(&notices, '\n');
}

static const char *
notice_text(void)
{
    buf_add_char(&notices, '\0');
    return notices.data;
}

static void
set_up(void)
{
    buf_init(&notices, 1 << 20);
    err.text[0] = '\0';
}

static void
tear_down(void)
{
    buf_free(&notices);
}

TestSuite(cfg, .init = set_up, .fini = tear_down);

static struct config *
load_bytes(const char *bytes, size_t n)
{
    char path[64];
    int fd = memfd_create("cfg", MFD_CLOEXEC);
    cr_assert_neq(fd, -1);
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct config *cfg = cfg_load(path, take_notice, &err);
    close(fd);
    cr_assert(cfg != NULL || err.text[0] != '\0', "an error has a text");
    return cfg;
}

static struct config *
load(const char *text)
{
    return load_bytes(text, strlen(text));
}

static struct config *
load_good(const char *text)
{
    struct config *cfg = load(text);
    cr_assert_not_null(cfg, "%s", err.text);
    return cfg;
}

static char *
dump(const struct config *cfg)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    cfg_dump(cfg, f);
    fclose(f);
    return text;
}

/* The error is "/proc/self/fd/N" and what is given. */
static void
assert_refused(const char *text, const char *error)
{
    struct config *cfg = load(text);
    const char *shown = err.text + strcspn(err.text, ":");
    cr_expect_null(cfg, "accepted: %s", text);
    cr_expect(strncmp(shown, error, strlen(error)) == 0, "%s\nis not\n%s", shown, error);
    cfg_free(&cfg);
}

/* --- values --- */

Test(cfg, defaults_are_upstreams)
{
    char host[256];
    struct config *cfg = load_good(GOOD);
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
    cr_expect_eq(notices.size, 0u);
    cfg_free(&cfg);
    cr_assert_null(cfg);
    cfg_free(&cfg);
}

Test(cfg, topics_inherit_from_kafka)
{
    struct config *cfg = load_good(GOOD "[kafka]\nnum_processors = 3\nclient_id = me\n"
                                        "[kafka_alarm_history]\nnum_processors = 2\n");
    cr_expect_eq(cfg->topic[TOPIC_METRICS].num_processors, 3);
    cr_expect_eq(cfg->topic[TOPIC_ALARM_HISTORY].num_processors, 2);
    cr_expect_eq(cfg->topic[TOPIC_ALARM_HISTORY].max_wait_time_seconds, 30);
    cr_expect_str_eq(cfg->topic[TOPIC_METRICS].client_id, "me");
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
        struct config *cfg = load(text);
        cr_expect_not_null(cfg, "%s: %s", values[i].line, err.text);
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
        struct config *cfg = load_good(text);
        cr_expect_eq(cfg->influxdb.ssl, i / 6 == 1, "%s", words[i / 6][i % 6]);
        cfg_free(&cfg);
    }
}

Test(cfg, byte_order_mark_crlf_and_sections_in_capitals)
{
    struct config *cfg = load_good("\xef\xbb\xbf[InfluxDB]\r\nip_address = db\r\nport = 1\r\n"
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
    struct config *cfg = load_bytes(text, (size_t)n + N);
    cr_assert_not_null(cfg, "%s", err.text);
    cr_expect_eq(strlen(cfg->influxdb.password), (size_t)N);
    cfg_free(&cfg);
    free(text);
}

Test(cfg, librdkafka_properties_pass_through)
{
    struct config *cfg = load_good(GOOD "[kafka]\nlibrdkafka.security.protocol = ssl\n"
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
    struct config *cfg = load_good(GOOD "[kafka_metrics]\nuri = a:1 , b:2,,\n   c:3\n");
    cr_expect_str_eq(cfg->topic[TOPIC_METRICS].uri, "a:1,b:2,c:3");
    cfg_free(&cfg);
}

static void
assert_log_file(const char *lines, const char *path)
{
    char text[256];
    snprintf(text, sizeof(text), GOOD "[DEFAULT]\n%s", lines);
    struct config *cfg = load_good(text);
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
        struct config *cfg = load_good(text);
        cr_expect_eq(cfg_topic_driver(cfg, TOPIC_METRICS), cases[i].a);
        cr_expect_eq(cfg_topic_driver(cfg, TOPIC_ALARM_HISTORY), cases[i].b);
        cfg_free(&cfg);
    }
}

Test(cfg, discard_needs_no_influxdb)
{
    struct config *cfg = load_good("[repositories]\nmetrics_driver = discard\n"
                                   "alarm_state_history_driver = discard\n");
    cfg_free(&cfg);
}

/* --- refusals --- */

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
    {"[kafka]\nnum_processors = 0\n", ":2: [kafka] num_processors: '0'"},
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
     "influxdb, postgresql, discard"},
    {GOOD "[repositories]\nalarm_state_history_driver = monasca_persister.repositories.cassandra."
          "alarm_state_history_repository:AlarmStateHistCassandraRepository\n",
     ":4: [repositories] alarm_state_history_driver: 'monasca_persister.repositories.cassandra."
     "alarm_state_history_repository:AlarmStateHistCassandraRepository' is Cassandra, which is not "
     "supported; allowed"},
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
    {GOOD "[statsd]\nhost =\n", ":4: [statsd] host: allowed"},
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

Test(cfg, statsd_as_it_may_be)
{
    struct config *cfg = load_good(GOOD "[persister]\nperiod_seconds = 5\n"
                                        "[statsd]\ninterval_seconds = 300\n"
                                        "gauge_window_seconds = 300\n"
                                        "dialect = dogstatsd\nmax_packet_bytes = 65507\n"
                                        "dimensions = a:b:c, hostname : h h,,\nprefix =\n");
    cr_assert_str_eq(cfg->statsd.prefix, "");
    cr_assert_eq(cfg->statsd.interval_seconds, 300);
    cfg_free(&cfg);
}

Test(cfg, what_is_wrong_is_refused_with_its_place)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        assert_refused(refused[i].text, refused[i].error);
}

Test(cfg, every_integer_keeps_its_bounds)
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
#include "lib/cfg.def"
#include "lib/cfg_topic.def"
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

Test(cfg, files_that_cannot_be_read)
{
    char directory[] = "/tmp/test-cfg-XXXXXX", path[64];
    cr_assert_not_null(mkdtemp(directory));
    cr_expect_null(cfg_load(directory, NULL, &err));
    cr_expect_not_null(strstr(err.text, ": Is a directory"), "%s", err.text);
    snprintf(path, sizeof(path), "%s/none", directory);
    cr_expect_null(cfg_load(path, NULL, &err));
    cr_expect_not_null(strstr(err.text, "/none: No such file or directory"), "%s", err.text);
    FILE *f = fopen(path, "w");
    fputs(GOOD, f);
    fclose(f);
    cr_expect_eq(chmod(path, 0), 0);
    if (geteuid() != 0) { /* root reads it all the same */
        cr_expect_null(cfg_load(path, NULL, &err));
        cr_expect_not_null(strstr(err.text, "/none: Permission denied"), "%s", err.text);
    }
    unlink(path);
    rmdir(directory);
}

Test(cfg, secrets_are_not_in_errors)
{
    /* The value that is quoted comes from a secret by way of a reference. */
    assert_refused("[influxdb]\nport = $password\npassword = geheim\n", ":2: [influxdb] port: ");
    cr_expect_null(strstr(err.text, "geheim"), "%s", err.text);
}

/* --- notices --- */

Test(cfg, what_means_nothing_here_is_noticed_once)
{
    struct config *cfg =
        load_good(GOOD "[zookeeper]\nuri = zk:2181\n[kafka]\nbuffer_size = $no.such\n"
                       "[DEFAULT]\nuse_json = perhaps\nuse_json = True\n");
    cr_expect_not_null(strstr(notice_text(), ":4: [zookeeper] uri has no meaning here"));
    const char *json = strstr(notices.data, ":9: [DEFAULT] use_json has no meaning here");
    cr_assert_not_null(json, "%s", notices.data);
    cr_expect_null(strstr(strchr(json, '\n'), "use_json"));
    cr_expect_null(strstr(notices.data, ":8:"));
    cr_expect_not_null(strstr(notices.data, ":6: [kafka] buffer_size has"));
    cfg_free(&cfg);
}

Test(cfg, unverified_tls_is_noticed)
{
    struct config *cfg = load_good(GOOD "ssl = True\n");
    cr_expect_not_null(strstr(notice_text(), "verify_ssl is off"), "%s", notices.data);
    cfg_free(&cfg);
}

/* --- the dump and the sample --- */

Test(cfg, dump_masks_secrets)
{
    struct config *cfg =
        load_good(GOOD "password = geheim\n[postgresql]\nconninfo = password=geheim\n"
                       "[kafka]\nlibrdkafka.sasl.password = geheim\n"
                       "librdkafka.ssl.key.pem = geheim\nlibrdkafka.debug = offen\n");
    char *text = dump(cfg);
    cr_expect_null(strstr(text, "geheim"));
    cr_expect_not_null(strstr(text, "\npassword = ****\n"));
    cr_expect_not_null(strstr(text, "\nconninfo = ****\n"));
    cr_expect_not_null(strstr(text, "\nlibrdkafka.ssl.key.pem = ****\n"));
    cr_expect_not_null(strstr(text, "\nlibrdkafka.debug = offen\n"));
    free(text);
    cfg_free(&cfg);
}

Test(cfg, dump_reads_back_as_itself)
{
    static const char *const users[] = {
        "user = a$$b",     "user = \\\\$$$$$$",   "user = ' x'",      "user = \"'x'\"",
        "user = \"",       "user = \"\"\"\"",     "user = a\n  b,\n", "user = # ; = : %",
        "user = ${port}x", "user = $$$port \\$p", "user =",           "user = gr\xc3\xbc\xc3\x9f",
    };
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "[DEFAULT]\nlog_dir = rel\nlog_file = f\n[kafka]\nlibrdkafka.x = \" $y\"\n" GOOD
                 "%s\n",
                 users[i]);
        struct config *a = load_good(text);
        char *first = dump(a);
        struct config *b = load_good(first);
        char *second = dump(b);
        cr_expect_str_eq(first, second);
        cr_expect_str_eq(a->influxdb.user, b->influxdb.user, "%s", users[i]);
        cr_expect_str_eq(b->properties[0].value, " $y");
        cr_expect_str_eq(b->DEFAULT.log_file, "rel/f");
        free(first);
        free(second);
        cfg_free(&a);
        cfg_free(&b);
    }
}

static char *
sample(void)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    cfg_sample(f);
    fclose(f);
    return text;
}

Test(cfg, sample_file_is_the_sample)
{
    struct buf file;
    char chunk[4096], *text = sample();
    size_t n;
    buf_init(&file, 1 << 20);
    FILE *f = fopen(SRCDIR "/doc/monasca-persister.conf", "r");
    cr_assert_not_null(f);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(&file, chunk, n);
    fclose(f);
    cr_expect(file.size == strlen(text) && memcmp(file.data, text, file.size) == 0,
              "make it anew: monasca-persister --sample-config > doc/monasca-persister.conf");
    struct config *cfg = cfg_load(SRCDIR "/doc/monasca-persister.conf", take_notice, &err);
    cr_expect_not_null(cfg, "%s", err.text);
    cr_expect_eq(notices.size, 0u);
    cfg_free(&cfg);
    free(text);
    buf_free(&file);
}

/* Each "#option = default" line says what is so without it. */
Test(cfg, sample_shows_the_defaults)
{
    char *text = sample();
    struct config *plain = load_good(text);
    for (char *p = text; p != NULL && *p != '\0'; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (p[0] == '#' && p[1] != ' ')
            p[0] = strncmp(p, "#librdkafka.", 12) == 0 ? '#' : '\n';
    struct config *set = load_good(text);
    char *a = dump(plain), *b = dump(set);
    cr_expect_str_eq(a, b);
    free(a);
    free(b);
    free(text);
    cfg_free(&plain);
    cfg_free(&set);
}

/* --- upstream's files --- */

Test(cfg, files_of_real_installations)
{
    static const char *const files[] = {"kolla-ansible.conf", "devstack.conf"};
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char path[512];
        snprintf(path, sizeof(path), SRCDIR "/tests/cfg/%s", files[i]);
        struct config *cfg = cfg_load(path, take_notice, &err);
        cr_assert_not_null(cfg, "%s", err.text);
        cr_expect_str_eq(cfg->influxdb.database_name, i == 0 ? "monasca" : "mon");
        cr_expect_str_eq(cfg->topic[TOPIC_METRICS].uri,
                         i == 0 ? "192.0.2.11:9092,192.0.2.12:9092,192.0.2.13:9092"
                                : "192.0.2.5:9092");
        cr_expect_str_eq(cfg->DEFAULT.log_file, i == 0
                                                    ? "/var/log/kolla/monasca/persister.log"
                                                    : "/var/log/monasca/persister/persister.log");
        cfg_free(&cfg);
    }
    cr_expect_not_null(strstr(notice_text(), "[zookeeper] uri has no meaning"));
}
