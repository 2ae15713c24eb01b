/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_letter.c - libFuzzer target: any bytes as a line of a dead letter file, and as the payload
 * of a letter that the worker writes.
 *
 * What is asserted of a line that is taken is what dead/letter.h promises; what the worker writes
 * has to be taken, with the same bytes.  A seed is made of a message of the corpus, one a file:
 *
 *   printf '{"topic":"metrics","partition":0,"offset":1,"time":"2026-09-21T14:13:20.123Z",
 *     "reason":"not_json","detail":"d","payload":"e30="}' >seeds/letter      (on one line)
 *   tests/tools/fuzz_letter -max_total_time=60 -max_len=4096 seeds
 *
 * Process: the fuzzer.  Owner: the reader lives as long as the process, as in the program.
 * Concurrency: one thread.
 */
#include <stdlib.h>

#include "dead/letter.h"
#include "dead/when.h"
#include "lib/json.h"
#include "lib/timestamp.h"
#include "worker/dead_letter.h"

static struct letter_reader reader;

/* The fuzzer must see a broken promise also in a build without asserts. */
static void
promise(bool kept)
{
    if (!kept)
        abort();
}

static void
check_letter(const struct letter *l)
{
    char time[TIMESTAMP_BYTES], hex[LETTER_ID_BYTES];
    int64_t again;
    struct letter_id id;
    promise(letter_is_topic(l->topic) && l->reason.n >= 1 && l->reason.n <= LETTER_REASON_MAX);
    promise(l->partition >= 0 && l->offset >= 0);
    promise(l->detail.n == 0 || json_is_utf8(l->detail.p, l->detail.n));
    timestamp_format(time, l->time_ms);
    promise(when_parse_iso((struct slice){time, strlen(time)}, &again) == 0 && again == l->time_ms);
    letter_format_id(l->id, hex);
    promise(letter_parse_id((struct slice){hex, strlen(hex)}, &id) == 0);
    promise(letter_same_id(id, l->id));
    promise(letter_same_id(id, letter_make_id(l->topic, l->partition, l->offset, l->payload)));
}

static void
check_line(struct slice line)
{
    struct letter letter;
    struct errbuf err = {.text = ""};
    if (letter_parse(&reader, line, &letter, &err) == 0)
        check_letter(&letter);
    else
        promise(err.text[0] != '\0');
}

static void
check_payload(struct slice payload)
{
    struct message message = {.partition = 3, .offset = 7, .payload = payload};
    struct letter letter;
    struct reject why;
    struct errbuf err;
    struct buf out;
    buf_init(&out, 1 << 24);
    (void)reject_set(&why, REJECT_NOT_JSON, "%.*s", (int)(payload.n < 100 ? payload.n : 100),
                     payload.p);
    dead_letter_format(&out, "metrics", &(struct dead_letter){&message, &why}, 1790000000123,
                       SIZE_MAX);
    promise(!out.failed && out.size > 0 && out.data[out.size - 1] == '\n');
    promise(letter_parse(&reader, (struct slice){out.data, out.size - 1}, &letter, &err) == 0);
    check_letter(&letter);
    promise(slice_equal(letter.payload, payload) && letter.time_ms == 1790000000123);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = {(const char *)data, size};
    check_line(bytes);
    check_payload(bytes);
    return 0;
}
