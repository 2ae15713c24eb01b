/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_dead_letter.c - dead letters are whole JSON lines, whatever the message and whoever dies.
 *
 * Process: the unit tests.  Owner: each test.  Concurrency: some tests fork writers.
 */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/dead_file.h"
#include "worker/dead_letter.h"

static char directory[64], path[80];

static void
setup(void)
{
    snprintf(directory, sizeof(directory), "/tmp/test_dead.XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/dead.jsonl", directory);
}

static void
teardown(void)
{
    for (int i = 0; i < 5; i++) {
        char name[96];
        snprintf(name, sizeof(name), i == 0 ? "%s" : "%s.%d", path, i);
        unlink(name);
    }
    rmdir(directory);
}

static size_t
read_file(const char *name, char *text, size_t size)
{
    FILE *f = fopen(name, "r");
    if (f == NULL)
        return 0;
    size_t n = fread(text, 1, size - 1, f);
    text[n] = '\0';
    fclose(f);
    return n;
}

static void
write_line(struct dead_file *file, const char *line)
{
    struct errbuf err;
    int begun;
    while ((begun = dead_file_try_begin(file, &err)) == 0)
        usleep(100);
    cr_assert_eq(begun, 1, "%s", err.text);
    cr_assert_eq(dead_file_append(file, line, strlen(line), &err), 0, "%s", err.text);
    cr_assert_eq(dead_file_commit(file, &err), 0, "%s", err.text);
}

static cJSON *
format(struct slice payload, const char *detail)
{
    struct buf b;
    struct message message = {.payload = payload, .partition = 3, .offset = 1234567890123};
    struct reject why;
    buf_init(&b, 1 << 24);
    why.reason = REJECT_NOT_UTF8;
    snprintf(why.detail, sizeof(why.detail), "%s", detail);
    dead_letter_format(&b, "me\"trics", &(struct dead_letter){&message, &why},
                       1790000000123, SIZE_MAX);
    cr_assert(!b.failed);
    cr_assert_eq(memchr(b.data, '\n', b.size), b.data + b.size - 1, "one line, one newline");
    cJSON *json = cJSON_ParseWithLength(b.data, b.size);
    cr_assert_not_null(json);
    buf_free(&b);
    return json;
}

static const char *
text_of(const cJSON *json, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    cr_assert_not_null(text);
    return text;
}

Test(dead_letter, has_every_key_and_the_exact_bytes)
{
    cJSON *json = format((struct slice){"a\0\xff\n", 4}, "it's \"bad\"\\");
    cr_assert_str_eq(text_of(json, "topic"), "me\"trics");
    cr_assert_eq(cJSON_GetObjectItem(json, "partition")->valueint, 3);
    cr_assert_eq((int64_t)cJSON_GetObjectItem(json, "offset")->valuedouble, 1234567890123);
    cr_assert_str_eq(text_of(json, "time"), "2026-09-21T14:13:20.123Z");
    cr_assert_str_eq(text_of(json, "reason"), "not_utf8");
    cr_assert_str_eq(text_of(json, "detail"), "it's \"bad\"\\");
    cr_assert_str_eq(text_of(json, "payload"), "YQD/Cg==");
    cJSON_Delete(json);
}

Test(dead_letter, pads_base64_by_rfc_4648)
{
    static const char *const expected[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                           "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t n = 0; n < COUNT_OF(expected); n++) {
        cJSON *json = format((struct slice){"foobar", n}, "");
        cr_assert_str_eq(text_of(json, "payload"), expected[n]);
        cJSON_Delete(json);
    }
}

Test(dead_letter, makes_bad_utf8_in_the_detail_printable)
{
    cJSON *json = format(SLICE("x"), "h\xff\xfe");
    cr_assert_str_eq(text_of(json, "detail"), "h\xef\xbf\xbd\xef\xbf\xbd");
    cJSON_Delete(json);
    json = format(SLICE("x"), "caf\xc3\xa9");
    cr_assert_str_eq(text_of(json, "detail"), "caf\xc3\xa9");
    cJSON_Delete(json);
}

/* --- the writer --- */

static bool
go_on(void *arg)
{
    (void)arg;
    return true;
}

/* Writes one letter to the file. Takes: the largest payload that is kept whole. */
static void
write_letter(struct slice payload, int64_t max_message_bytes)
{
    static struct store_look look = {.look = go_on};
    static const struct store_hooks hooks = {.wait = store_wait_and_look, .arg = &look};
    struct config cfg = {.dead_letter = {.file = path, .topic = (char[]){""}, .max_size_mb = 1000},
                         .persister.max_message_bytes = max_message_bytes};
    struct message message = {.payload = payload, .partition = 1, .offset = 2};
    struct reject why = {.reason = REJECT_TOO_LARGE};
    struct errbuf err;
    cfg.topic[TOPIC_METRICS].topic = (char[]){"metrics"};
    struct dead_letters *dead = dead_letters_new(&cfg, TOPIC_METRICS, &hooks);
    cr_assert_eq(dead_letters_write(dead, &(struct dead_letter){&message, &why}, 1, &err),
                 STORE_DONE, "%s", err.text);
    dead_letters_free(&dead);
}

static struct slice
make_payload(size_t n)
{
    char *bytes = malloc(n);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * 7 + i / 1000);
    return (struct slice){bytes, n};
}

Test(dead_letter, in_pieces_is_what_it_is_in_one, .init = setup, .fini = teardown)
{
    static const size_t sizes[] = {0, 1, 786431, 786432, 786433, 5000000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct slice payload = make_payload(sizes[i] + 1);
        payload.n = sizes[i];
        struct message message = {.payload = payload, .partition = 1, .offset = 2};
        struct reject why = {.reason = REJECT_TOO_LARGE};
        struct buf b;
        buf_init(&b, SIZE_MAX / 2);
        unlink(path);
        write_letter(payload, 1024);
        dead_letter_format(&b, "metrics", &(struct dead_letter){&message, &why}, 0, SIZE_MAX);
        char *text = malloc(b.size + 10);
        cr_assert_eq(read_file(path, text, b.size + 10), b.size, "%zu", sizes[i]);
        size_t time = (size_t)(strstr(text, "\"time\"") - text) + 36;
        cr_assert_eq(memcmp(text + time, b.data + time, b.size - time), 0, "%zu", sizes[i]);
        free(text);
        free((void *)(uintptr_t)payload.p);
        buf_free(&b);
    }
}

Test(dead_letter, has_the_head_of_what_is_too_large_for_a_letter, .init = setup, .fini = teardown)
{
    struct slice payload = make_payload(DEAD_LETTER_WHOLE + 1);
    char *text = malloc(1 << 20);
    write_letter(payload, 1024);
    size_t n = read_file(path, text, 1 << 20);
    cr_assert_lt(n, (size_t)100000);
    cr_assert_not_null(strstr(text, ",\"payload_bytes\":16777217,\"payload\":\""));
    cr_assert_str_eq(text + n - 3, "\"}\n");
    unlink(path);
    write_letter(payload, DEAD_LETTER_WHOLE + 1);
    cr_assert_eq(read_file(path, text, 1 << 20), (size_t)(1 << 20) - 1, "it is whole");
    cr_assert_null(strstr(text, "payload_bytes"));
    free(text);
    free((void *)(uintptr_t)payload.p);
}

Test(dead_file, cuts_off_a_torn_line, .init = setup, .fini = teardown)
{
    char text[100];
    FILE *f = fopen(path, "w");
    fputs("{\"whole\":1}\n{\"to", f);
    fclose(f);
    struct dead_file *file = dead_file_new(path, 1 << 20, 2);
    write_line(file, "{\"next\":1}\n");
    read_file(path, text, sizeof(text));
    cr_assert_str_eq(text, "{\"whole\":1}\n{\"next\":1}\n");
    dead_file_free(&file);
    cr_assert_null(file);
}

Test(dead_file, a_place_where_nothing_can_be_written_is_found_beforehand, .init = setup,
     .fini = teardown)
{
    struct errbuf err = {.text = ""};
    char text[128];
    cr_assert_eq(dead_file_check(path, &err), 0, "%s", err.text);
    cr_assert_neq(access(path, F_OK), 0, "nothing was made");
    snprintf(text, sizeof(text), "%s/none/x", directory);
    cr_assert_eq(dead_file_check(text, &err), -1);
    snprintf(text, sizeof(text), "directory %s/none: No such file or directory", directory);
    cr_assert_str_eq(err.text, text);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_eq(dead_file_check(path, &err), -1);
    snprintf(text, sizeof(text), "%s is no regular file", path);
    cr_assert_str_eq(err.text, text);
    snprintf(text, sizeof(text), "%s/x", path);
    cr_assert_eq(dead_file_check(text, &err), 0);
    rmdir(path);
    if (geteuid() != 0)
        return;
    chmod(directory, 0555);
    cr_assert_eq(seteuid(65534), 0);
    cr_assert_eq(dead_file_check(path, &err), -1, "its directory is another's");
    cr_assert_eq(seteuid(0), 0);
}

Test(dead_file, undo_leaves_what_was_there, .init = setup, .fini = teardown)
{
    char text[100];
    struct errbuf err;
    struct dead_file *file = dead_file_new(path, 1 << 20, 2);
    write_line(file, "one\n");
    cr_assert_eq(dead_file_try_begin(file, &err), 1);
    cr_assert_eq(dead_file_append(file, "two\nthr", 7, &err), 0);
    dead_file_undo(file);
    read_file(path, text, sizeof(text));
    cr_assert_str_eq(text, "one\n");
    dead_file_free(&file);
}

Test(dead_file, rotates_and_keeps_a_few, .init = setup, .fini = teardown)
{
    char text[100], name[96];
    struct dead_file *file = dead_file_new(path, 4, 2);
    write_line(file, "aaaa\n");
    write_line(file, "bbbb\n");
    write_line(file, "cccc\n");
    write_line(file, "dddd\n");
    read_file(path, text, sizeof(text));
    cr_assert_str_eq(text, "dddd\n");
    snprintf(name, sizeof(name), "%s.1", path);
    read_file(name, text, sizeof(text));
    cr_assert_str_eq(text, "cccc\n");
    snprintf(name, sizeof(name), "%s.2", path);
    read_file(name, text, sizeof(text));
    cr_assert_str_eq(text, "bbbb\n");
    snprintf(name, sizeof(name), "%s.3", path);
    cr_assert_eq(read_file(name, text, sizeof(text)), 0u);
    dead_file_free(&file);
}

Test(dead_file, does_not_wait_for_a_stopped_holder, .init = setup, .fini = teardown)
{
    struct errbuf err;
    struct dead_file *file = dead_file_new(path, 1 << 20, 2);
    write_line(file, "one\n");
    int other = open(path, O_RDWR);
    cr_assert_eq(flock(other, LOCK_EX), 0);
    cr_assert_eq(dead_file_try_begin(file, &err), 0);
    close(other);
    cr_assert_eq(dead_file_try_begin(file, &err), 1);
    dead_file_undo(file);
    dead_file_free(&file);
}

Test(dead_file, says_what_is_wrong_with_the_disk)
{
    struct errbuf err;
    struct dead_file *file = dead_file_new("/dev/full", 1 << 20, 2);
    cr_assert_eq(dead_file_try_begin(file, &err), 1, "%s", err.text);
    cr_assert_eq(dead_file_append(file, "x\n", 2, &err), -1);
    cr_assert_not_null(strstr(err.text, "/dev/full"));
    cr_assert_not_null(strstr(err.text, "No space left"));
    dead_file_undo(file);
    dead_file_free(&file);
    file = dead_file_new("/nonexistent/dead.jsonl", 1, 2);
    cr_assert_eq(dead_file_try_begin(file, &err), -1);
    dead_file_free(&file);
}

enum { WRITERS = 4, LINES = 60 };

static void
write_many(int writer)
{
    struct dead_file *file = dead_file_new(path, 2000, 100000);
    for (int i = 0; i < LINES; i++) {
        char line[128];
        snprintf(line, sizeof(line), "{\"writer\":%d,\"line\":%d,\"pad\":\"%040d\"}\n", writer, i,
                 0);
        write_line(file, line);
    }
    dead_file_free(&file);
}

/* Several processes append and rotate at once: every line is there once and whole. */
Test(dead_file, keeps_lines_of_several_writers_apart, .init = setup, .fini = teardown)
{
    bool seen[WRITERS][LINES] = {{false}};
    for (int i = 0; i < WRITERS; i++)
        if (fork() == 0) {
            write_many(i);
            _exit(0);
        }
    for (int i = 0; i < WRITERS; i++) {
        int status;
        cr_assert_gt(wait(&status), 0);
        cr_assert_eq(status, 0);
    }
    int lines = 0;
    for (int i = 0; i < 1000; i++) {
        char name[96], text[8192];
        snprintf(name, sizeof(name), i == 0 ? "%s" : "%s.%d", path, i);
        if (read_file(name, text, sizeof(text)) == 0)
            break;
        for (char *line = text; *line != '\0'; lines++) {
            char *end = strchr(line, '\n');
            cr_assert_not_null(end);
            cJSON *json = cJSON_ParseWithLength(line, (size_t)(end - line));
            cr_assert_not_null(json);
            int writer = cJSON_GetObjectItem(json, "writer")->valueint;
            int number = cJSON_GetObjectItem(json, "line")->valueint;
            cr_assert(!seen[writer][number]);
            seen[writer][number] = true;
            cJSON_Delete(json);
            line = end + 1;
        }
        unlink(name);
    }
    cr_assert_eq(lines, WRITERS * LINES);
}
