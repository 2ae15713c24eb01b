/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source-driver.c - reads persister-perf's sources for the whole-program tests.
 *
 *   source-driver SPECIFICATION [PERIOD_MS [SEGMENT_DIRECTORY]]
 *
 * Takes commands on standard input, a line each, and answers each with a line of JSON: "poll" with
 * {} or {"error"}; "read SINCE_MS UNTIL_MS" with the reading or {"error"}.  Credentials come from
 * OS_*.
 *
 * Process: one of its own.  Owner: main.  Concurrency: one thread.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/json_text.h"
#include "lib/num.h"
#include "perf/report/source.h"
#include "figures/figures_json.h"

enum { OUTPUT_MAX = 1 << 28, TIMEOUT_MS = 10000 };

static struct source_keystone
keystone_from_environment(void)
{
    const char *insecure = getenv("OS_INSECURE");
    return (struct source_keystone){
        .auth_url = getenv("OS_AUTH_URL"),
        .username = getenv("OS_USERNAME"),
        .password = getenv("OS_PASSWORD"),
        .project_name = getenv("OS_PROJECT_NAME"),
        .project_id = getenv("OS_PROJECT_ID"),
        .user_domain_name = getenv("OS_USER_DOMAIN_NAME"),
        .user_domain_id = getenv("OS_USER_DOMAIN_ID"),
        .project_domain_name = getenv("OS_PROJECT_DOMAIN_NAME"),
        .project_domain_id = getenv("OS_PROJECT_DOMAIN_ID"),
        .region_name = getenv("OS_REGION_NAME"),
        .cacert = getenv("OS_CACERT"),
        .token = getenv("OS_TOKEN"),
        .insecure = insecure != NULL && insecure[0] != '\0',
    };
}

static void
print_error(const struct errbuf *err)
{
    struct buf b;
    buf_init(&b, OUTPUT_MAX);
    json_add_text(&b, err->text);
    printf("{\"error\": %.*s}\n", (int)b.size, b.data);
    buf_free(&b);
}

static void
add_number(struct buf *b, const char *name, double number)
{
    buf_printf(b, "\"%s\": ", name);
    if (isnan(number))
        buf_add_text(b, "null, ");
    else
        buf_printf(b, "%.17g, ", number);
}

static void
add_row(struct buf *b, const struct reading_row *row)
{
    buf_printf(b, "{\"from\": %" PRId64 ", \"to\": %" PRId64 ", ", row->from_ms, row->to_ms);
    add_number(b, "received", row->received);
    add_number(b, "completed", row->completed);
    add_number(b, "avg", row->time_avg_ms);
    add_number(b, "min", row->time_min_ms);
    add_number(b, "max", row->time_max_ms);
    add_number(b, "p99", row->time_p99_ms);
    add_number(b, "lag", row->lag);
    buf_printf(b, "\"restarted\": %s}", row->restarted ? "true" : "false");
}

static void
print_reading(const struct reading *reading)
{
    struct buf b;
    buf_init(&b, OUTPUT_MAX);
    buf_add_text(&b, "{\"source\": ");
    json_add_text(&b, reading->source);
    buf_add_text(&b, ", \"tracks\": [");
    for (size_t i = 0; i < reading->n; i++) {
        const struct reading_track *t = &reading->tracks[i];
        buf_add_text(&b, i > 0 ? ", {\"instance\": " : "{\"instance\": ");
        json_add_text(&b, t->instance);
        buf_add_text(&b, ", \"process\": ");
        json_add_text(&b, t->process);
        buf_add_text(&b, ", ");
        add_number(&b, "received_start", t->received_start);
        add_number(&b, "received_end", t->received_end);
        add_number(&b, "completed_start", t->completed_start);
        add_number(&b, "completed_end", t->completed_end);
        buf_add_text(&b, "\"rows\": [");
        for (size_t k = 0; k < t->n; k++) {
            buf_add_text(&b, k > 0 ? ", " : "");
            add_row(&b, &t->rows[k]);
        }
        buf_add_text(&b, "]}");
    }
    buf_add_text(&b, "]}\n");
    fwrite(b.data, 1, b.size, stdout);
    buf_free(&b);
}

/* Returns: false if there is no such command. */
static bool
obey(struct source *source, char *line)
{
    struct errbuf err;
    struct reading reading;
    int64_t since_ms, until_ms;
    char *word = strsep(&line, " \n"), *since = strsep(&line, " \n");
    const char *until = strsep(&line, " \n");
    if (strcmp(word, "poll") == 0) {
        if (source_poll(source, &err) == -1)
            print_error(&err);
        else
            puts("{}");
        return true;
    }
    if (strcmp(word, "read") != 0 || since == NULL || until == NULL ||
        num_parse_int(since, 0, INT64_MAX, &since_ms) == -1 ||
        num_parse_int(until, 0, INT64_MAX, &until_ms) == -1)
        return false;
    if (source_read(source, since_ms, until_ms, &reading, &err) == -1) {
        print_error(&err);
        return true;
    }
    print_reading(&reading);
    reading_free(&reading);
    return true;
}

int
main(int argc, char **argv)
{
    struct errbuf err;
    char line[256];
    struct source_options options = {.keystone = keystone_from_environment(),
                                     .timeout_ms = TIMEOUT_MS,
                                     .prefix = "monasca.persister.",
                                     .segment_directory = argc > 3 ? argv[3] : ""};
    if (argc < 2 ||
        (argc > 2 && num_parse_int(argv[2], 0, INT64_MAX / 2, &options.period_ms) == -1)) {
        fputs("usage: source-driver SPECIFICATION [PERIOD_MS [SEGMENT_DIRECTORY]]\n", stderr);
        return 2;
    }
    struct source *source = source_open(argv[1], &options, &err);
    if (source == NULL) {
        print_error(&err);
        return 1;
    }
    int result = 0;
    while (result == 0 && fgets(line, sizeof(line), stdin) != NULL) {
        result = obey(source, line) ? 0 : 2;
        fflush(stdout);
    }
    source_close(&source);
    return result;
}
