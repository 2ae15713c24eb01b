/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cfg_source.c - one configuration from several files, directories, and options of the command
 * line.
 *
 * Process: the unit tests.  Owner: each test; files are in a directory that the test removes.
 * Concurrency: none.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/cfg_fixture.h"

static char directory[64];

static void
set_up(void)
{
    cfg_set_up();
    snprintf(directory, sizeof(directory), "/tmp/test-cfg-source-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
}

static void
tear_down(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    cr_assert_eq(system(command), 0);
    cfg_tear_down();
}

TestSuite(cfg_source, .init = set_up, .fini = tear_down);

static const char *
path_of(const char *name)
{
    static char paths[32][128];
    static unsigned next;
    char *path = paths[next++ % COUNT_OF(paths)];
    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static const char *
write_file(const char *name, const char *text)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

static struct config *
load(size_t n, const struct cfg_source *sources)
{
    cfg_error.text[0] = '\0';
    return cfg_load_sources(sources, n, cfg_take_notice, &cfg_error);
}

#define LOAD(...)                                                                                  \
    load(sizeof((struct cfg_source[]){__VA_ARGS__}) / sizeof(struct cfg_source),                   \
         (struct cfg_source[]){__VA_ARGS__})
#define FROM_FILE(p) {.kind = CFG_FROM_FILE, .path = p}
#define FROM_DIRECTORY(p) {.kind = CFG_FROM_DIRECTORY, .path = p}
#define FROM_OPTION(p, n, v) {.kind = CFG_FROM_OPTION, .path = p, .name = n, .value = v}

Test(cfg_source, a_later_file_wins_option_by_option)
{
    const char *first = write_file("first.conf", "[influxdb]\nip_address = 10.0.0.1\nport = 8087\n");
    const char *second = write_file("second.conf", "# more\n[influxdb]\nip_address = 10.0.0.2\n");
    struct config *cfg = LOAD(FROM_FILE(first), FROM_FILE(second));
    cr_assert_not_null(cfg, "%s", cfg_error.text);
    cr_expect_str_eq(cfg->influxdb.ip_address, "10.0.0.2");
    cr_expect_eq(cfg->influxdb.port, 8087);
    char label[300];
    snprintf(label, sizeof(label), "%s, %s", first, second);
    cr_expect_str_eq(cfg->file, label);
    cfg_free(&cfg);
    cfg = LOAD(FROM_FILE(second), FROM_FILE(first));
    cr_expect_str_eq(cfg->influxdb.ip_address, "10.0.0.1");
    cfg_free(&cfg);
}

Test(cfg_source, references_go_across_files)
{
    const char *first = write_file("a", "[influxdb]\nip_address = $kafka.client_id\n");
    const char *second = write_file("b", "[kafka]\nclient_id = ${influxdb.database_name}x\n");
    const char *third = write_file("c", "[influxdb]\ndatabase_name = db\n");
    struct config *cfg = LOAD(FROM_FILE(first), FROM_FILE(second), FROM_FILE(third));
    cr_assert_not_null(cfg, "%s", cfg_error.text);
    cr_expect_str_eq(cfg->influxdb.ip_address, "dbx");
    cfg_free(&cfg);
}

Test(cfg_source, a_former_name_in_a_later_file_wins)
{
    const char *first = write_file("a", GOOD "[kafka_metrics]\nbatch_size = 1\n");
    const char *second = write_file("b", "[kafka_metrics]\ndatabase_batch_size = 2\n");
    struct config *cfg = LOAD(FROM_FILE(first), FROM_FILE(second));
    cr_expect_eq(cfg->topic[TOPIC_METRICS].batch_size, 2);
    cfg_free(&cfg);
}

Test(cfg_source, a_property_is_replaced)
{
    const char *first = write_file("a", GOOD "[kafka]\nlibrdkafka.a = 1\nlibrdkafka.b = 1\n");
    const char *second = write_file("b", "[kafka]\n\nlibrdkafka.a = 2\n");
    struct config *cfg = LOAD(FROM_FILE(first), FROM_FILE(second));
    cr_assert_eq(cfg->n_properties, 2u);
    cr_expect_str_eq(cfg->properties[0].value, "2");
    cr_expect_str_eq(cfg->properties[0].file, second);
    cr_expect_eq(cfg->properties[0].line, 3u);
    cr_expect_str_eq(cfg->properties[1].file, first);
    cfg_free(&cfg);
}

Test(cfg_source, a_directory_is_read_in_the_order_of_its_names)
{
    const char *file = write_file("main", GOOD "port = 1\n");
    write_file("20.conf", "[influxdb]\nport = 20\n");
    write_file("10.conf", "[influxdb]\nport = 10\nuser = ten\n");
    write_file("30.conf~", "[influxdb]\nport = 30\n");
    write_file(".40.conf", "[influxdb]\nport = 40\n");
    write_file(".conf", "[influxdb]\nport = 50\n");
    struct config *cfg = LOAD(FROM_FILE(file), FROM_DIRECTORY(directory));
    cr_assert_not_null(cfg, "%s", cfg_error.text);
    cr_expect_eq(cfg->influxdb.port, 20);
    cr_expect_str_eq(cfg->influxdb.user, "ten");
    cfg_free(&cfg);
    /* In the order of the command line, as with oslo.config. */
    cfg = LOAD(FROM_DIRECTORY(directory), FROM_FILE(file));
    cr_expect_eq(cfg->influxdb.port, 1);
    cr_expect_str_eq(cfg->influxdb.user, "ten");
    cfg_free(&cfg);
}

Test(cfg_source, an_empty_directory_is_one)
{
    const char *file = write_file("main", GOOD);
    cr_assert_eq(mkdir(path_of("d"), 0700), 0);
    struct config *cfg = LOAD(FROM_FILE(file), FROM_DIRECTORY(path_of("d")));
    cr_assert_not_null(cfg, "%s", cfg_error.text);
    cfg_free(&cfg);
    cr_expect_null(LOAD(FROM_FILE(file), FROM_DIRECTORY(path_of("none"))));
    cr_expect_not_null(strstr(cfg_error.text, "/none: No such file or directory"), "%s",
                       cfg_error.text);
}

static void
assert_error(struct config *cfg, const char *file, const char *error)
{
    cr_expect_null(cfg);
    size_t n = strlen(file);
    cr_expect(strncmp(cfg_error.text, file, n) == 0 &&
                  strncmp(cfg_error.text + n, error, strlen(error)) == 0,
              "%s\nis not\n%s%s", cfg_error.text, file, error);
}

Test(cfg_source, errors_name_the_right_file_and_line)
{
    const char *good = write_file("good.conf", "\n\n" GOOD "port = 1\n");
    const char *bad = write_file("bad.conf", "[influxdb]\nport = x\n");
    assert_error(LOAD(FROM_FILE(good), FROM_FILE(bad)), bad, ":2: [influxdb] port: 'x'");
    const char *unknown = write_file("u.conf", "\n[influxdb]\nprot = 1\n");
    assert_error(LOAD(FROM_FILE(unknown), FROM_FILE(good)), unknown, ":3: [influxdb] prot: unknown");
    const char *form = write_file("f.conf", "[influxdb]\n  port = 1\n");
    assert_error(LOAD(FROM_FILE(good), FROM_FILE(form)), form, ":2: Invalid space");
    /* What is wrong with two together is the one's that is looked at. */
    const char *events = write_file("e.conf", "[statsd]\n\ninterval_seconds = 15\n");
    assert_error(LOAD(FROM_FILE(events), FROM_FILE(good)), events, ":3: [statsd] interval_seconds");
    assert_error(LOAD(FROM_FILE(good), FROM_OPTION("--syslog-log-facility", "debug", "x")),
                 "--syslog-log-facility", ": [DEFAULT] debug: 'x'");
}

Test(cfg_source, an_overwritten_value_need_not_be_good)
{
    const char *bad = write_file("bad.conf", GOOD "port = x\n");
    const char *good = write_file("good.conf", "[influxdb]\nport = 2\n");
    struct config *cfg = LOAD(FROM_FILE(bad), FROM_FILE(good));
    cr_assert_not_null(cfg, "%s", cfg_error.text);
    cr_expect_eq(cfg->influxdb.port, 2);
    cfg_free(&cfg);
}

Test(cfg_source, notices_name_the_file)
{
    const char *first = write_file("a", GOOD "[DEFAULT]\nuse_json = 1\n");
    const char *second = write_file("b", "[DEFAULT]\nverbose = 1\n");
    char wanted[256];
    struct config *cfg = LOAD(FROM_FILE(first), FROM_FILE(second),
                              FROM_OPTION("--use-journal", "use_journal", "True"),
                              FROM_OPTION("--verbose", "verbose", "True"));
    snprintf(wanted, sizeof(wanted), "%s:4: [DEFAULT] use_json has no", first);
    cr_expect_not_null(strstr(cfg_notice_text(), wanted), "%s", cfg_notices.data);
    snprintf(wanted, sizeof(wanted), "%s:2: [DEFAULT] verbose has no", second);
    cr_expect_not_null(strstr(cfg_notices.data, wanted), "%s", cfg_notices.data);
    cr_expect_not_null(strstr(cfg_notices.data, "--use-journal: [DEFAULT] use_journal has no"));
    cr_expect_not_null(strstr(cfg_notices.data, "\n--verbose: [DEFAULT] verbose has no"));
    cfg_free(&cfg);
}

Test(cfg_source, options_count_where_they_stand)
{
    const char *file = write_file("a", GOOD "[DEFAULT]\ndebug = False\nlog_dir = /d\n");
    struct config *cfg = LOAD(FROM_FILE(file), FROM_OPTION("--debug", "debug", "True"),
                              FROM_OPTION("--log-file", "log_file", "x.log"));
    cr_expect(cfg->DEFAULT.debug);
    cr_expect_str_eq(cfg->DEFAULT.log_file, "/d/x.log");
    cr_expect_str_eq(cfg->file, file);
    cfg_free(&cfg);
    cfg = LOAD(FROM_OPTION("--debug", "debug", "True"), FROM_FILE(file));
    cr_expect_not(cfg->DEFAULT.debug);
    cfg_free(&cfg);
}

Test(cfg_source, many_files_have_a_label_of_some_length)
{
    struct cfg_source sources[200];
    const char *file = write_file("a", GOOD);
    for (size_t i = 0; i < COUNT_OF(sources); i++)
        sources[i] = (struct cfg_source){.kind = CFG_FROM_FILE, .path = file};
    struct config *cfg = load(COUNT_OF(sources), sources);
    cr_assert_not_null(cfg, "%s", cfg_error.text);
    cr_expect_lt(strlen(cfg->file), 4096u);
    cfg_free(&cfg);
}
