/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store-driver.c - one store without Kafka around it, for tests with a real server: reads commands
 * from stdin, a line each, and answers with lines on stdout.
 *
 *   store-driver CONFIG metrics|alarms
 *
 *   add HEX      decode the message (its bytes in hex) and add it as the next row
 *                -> added ROW, or rejected ROW REASON DETAIL
 *   write [MS]   write, and commit; give up waiting after so many ms
 *                -> stored ROW or refused ROW REASON DETAIL for each row that got settled, then
 *                   done|sick|stopped TEXT, preceded by "took MS gap MS": how long it was, and the
 *                   longest time in it during which the worker could not have lived on
 *   batch N      go on with the batch N (0, at first, or 1), each of which has rows of its own
 *                -> batch N
 *   from P O MS  the next message is of partition P, offset O, those after it of the following ones;
 *                Kafka's timestamp is MS (at first: partition 0, offset 0, the time of the start)
 *                -> from P O MS
 *   bytes        -> bytes N
 *   reset        -> reset
 *
 * Process: a tool of the tests.  Owner: itself.  Concurrency: one thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/num.h"
#include "store/store.h"
#include "record/decode.h"

enum { HANDS = 2, REMEMBERED_BYTES = 1 << 20 };

struct driver {
    struct config *cfg;
    enum topic_kind kind;
    struct decoder *decoder;
    struct store *store;
    struct hand {
        struct store_load *load;
        struct batch batch;
        bool *told; /* by row */
    } hands[HANDS], *hand;
    int64_t last_ms, gap_ms, until_ms;
    int64_t partition, offset, kafka_ms;
};

static void
note_sign_of_life(struct driver *d)
{
    int64_t now = clock_mono_ms();
    if (now - d->last_ms > d->gap_ms)
        d->gap_ms = now - d->last_ms;
    d->last_ms = now;
}

static bool
keep_waiting(void *arg)
{
    struct driver *d = arg;
    note_sign_of_life(d);
    return d->last_ms < d->until_ms;
}

static void
show_reject(const char *how, uint32_t row, const struct reject *why)
{
    printf("%s %u %s %s\n", how, row, reject_name(why->reason), why->detail);
}

/* Tells what has been settled since the last time. */
static void
show_settled(struct driver *d)
{
    for (uint32_t row = 0; row < d->hand->batch.n; row++) {
        const struct entry *entry = &d->hand->batch.entries[row];
        if (entry->state == ENTRY_PENDING || d->hand->told[row])
            continue;
        d->hand->told[row] = true;
        if (entry->state == ENTRY_STORED)
            printf("stored %u\n", row);
        else
            show_reject("refused", row, &d->hand->batch.rejects[entry->why]);
    }
}

static int
hex_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* Decodes hex in place. Returns: the number of bytes. */
static size_t
unhex(char *text)
{
    size_t n = 0;
    for (; hex_value(text[2 * n]) != -1 && hex_value(text[2 * n + 1]) != -1; n++)
        text[n] = (char)(hex_value(text[2 * n]) << 4 | hex_value(text[2 * n + 1]));
    return n;
}

/* The payloads are the messages', as Kafka's are. */
static void
forget_messages(struct batch *batch)
{
    for (uint32_t row = 0; row < batch->n; row++)
        free((void *)(uintptr_t)batch->entries[row].message.payload.p);
}

static void
add(struct driver *d, const char *hex)
{
    struct record record;
    struct reject why;
    char *payload = strdup(hex);
    if (payload == NULL)
        abort();
    struct message message = {.payload = {payload, unhex(payload)},
                              .partition = (int32_t)d->partition,
                              .offset = d->offset++,
                              .time_ms = d->kafka_ms};
    uint32_t row = (uint32_t)batch_add(&d->hand->batch, &message, 0);
    enum store_added added = STORE_REFUSED;
    d->hand->told = realloc(d->hand->told, d->hand->batch.n);
    d->hand->told[row] = false;
    if (decoder_decode(d->decoder, d->kind, message.payload, &record, &why) == 0)
        added = d->store->ops->add(d->store, d->hand->load, &record, row, &why);
    if (added == STORE_ADDED) {
        printf("added %u\n", row);
    } else if (added == STORE_NO_MEMORY) {
        printf("nomemory %u\n", row);
    } else {
        d->hand->told[row] = true;
        show_reject("rejected", row, &why);
        if (batch_settle(&d->hand->batch, row, &why) == -1)
            abort();
    }
}

static void
write_rows(struct driver *d, int64_t allowed_ms)
{
    static const char *const names[] = {
        [STORE_DONE] = "done",
        [STORE_SICK] = "sick",
        [STORE_STOPPED] = "stopped",
        [STORE_FENCED] = "fenced",
    };
    struct errbuf err = {.text = ""};
    struct store_write write = {.batch = &d->hand->batch};
    int64_t start = clock_mono_ms();
    d->last_ms = start;
    d->gap_ms = 0;
    d->until_ms = allowed_ms == 0 ? INT64_MAX : start + allowed_ms;
    enum store_status status = d->store->ops->write(d->store, d->hand->load, &write, &err);
    if (status == STORE_DONE && d->store->ops->commit != NULL)
        status = d->store->ops->commit(d->store, d->hand->load, &write, &err);
    note_sign_of_life(d);
    show_settled(d);
    printf("took %lld gap %lld\n", (long long)(d->last_ms - start), (long long)d->gap_ms);
    printf("%s %s\n", names[status], status == STORE_DONE ? "" : err.text);
}

/* Takes: "P O MS". Returns: 0, or -1 if it is not that. */
static int
set_place(struct driver *d, char *text)
{
    int64_t *const places[] = {&d->partition, &d->offset, &d->kafka_ms};
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        size_t n = strcspn(text, " ");
        bool last = text[n] == '\0';
        text[n] = '\0';
        if (num_parse_int(text, -1, INT64_MAX, places[i]) == -1 || last != (i == 2))
            return -1;
        text += n + !last;
    }
    printf("from %lld %lld %lld\n", (long long)d->partition, (long long)d->offset,
           (long long)d->kafka_ms);
    return 0;
}

static int
run_command(struct driver *d, char *line)
{
    int64_t ms = 0;
    if (strncmp(line, "add ", 4) == 0) {
        add(d, line + 4);
    } else if (strcmp(line, "write") == 0) {
        write_rows(d, 0);
    } else if (strncmp(line, "write ", 6) == 0 && num_parse_int(line + 6, 1, 100000, &ms) == 0) {
        write_rows(d, ms);
    } else if (strcmp(line, "batch 0") == 0 || strcmp(line, "batch 1") == 0) {
        d->hand = &d->hands[line[6] - '0'];
        printf("%s\n", line);
    } else if (strncmp(line, "from ", 5) == 0) {
        if (set_place(d, line + 5) == -1)
            return -1;
    } else if (strcmp(line, "bytes") == 0) {
        printf("bytes %zu\n", d->store->ops->bytes(d->hand->load));
    } else if (strcmp(line, "reset") == 0) {
        d->store->ops->load_reset(d->store, d->hand->load);
        forget_messages(&d->hand->batch);
        batch_reset(&d->hand->batch);
        printf("reset\n");
    } else {
        fprintf(stderr, "store-driver: what is \"%.40s\"?\n", line);
        return -1;
    }
    fflush(stdout);
    return 0;
}

static int
run(struct driver *d)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    int result = 0;
    while (result == 0 && (n = getline(&line, &size, stdin)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        result = run_command(d, line);
    }
    free(line);
    return result;
}

static int
open_all(struct driver *d, const struct store_hooks *hooks, const char *file, struct errbuf *err)
{
    d->cfg = cfg_load(file, NULL, err);
    if (d->cfg == NULL)
        return -1;
    const struct store_ops *ops = store_find(cfg_topic_driver(d->cfg, d->kind));
    d->decoder = decoder_new((size_t)d->cfg->persister.max_message_bytes);
    if (d->decoder == NULL || decoder_remember(d->decoder, REMEMBERED_BYTES) == -1)
        return -1;
    d->store = ops->open(d->cfg, d->kind, hooks, err);
    for (int i = 0; i < HANDS; i++) {
        d->hand = &d->hands[i];
        batch_init(&d->hand->batch,
                   &(struct batch_limits){.count = UINT32_MAX, .bytes = SIZE_MAX});
        if (d->store != NULL)
            d->hand->load = ops->load_new(d->store);
    }
    d->hand = &d->hands[0];
    return d->decoder != NULL && d->hands[0].load != NULL && d->hands[1].load != NULL ? 0 : -1;
}

int
main(int argc, char **argv)
{
    struct driver d = {.kind = TOPIC_METRICS, .kafka_ms = clock_wall_ms()};
    struct store_look look = {.look = keep_waiting, .arg = &d};
    struct store_hooks hooks = {.wait = store_wait_and_look, .arg = &look};
    struct errbuf err = {.text = "out of memory"};
    if (argc != 3) {
        fprintf(stderr, "usage: store-driver CONFIG metrics|alarms\n");
        return 2;
    }
    if (strcmp(argv[2], "alarms") == 0)
        d.kind = TOPIC_ALARM_HISTORY;
    int result = open_all(&d, &hooks, argv[1], &err);
    if (result == -1)
        fprintf(stderr, "store-driver: %s\n", err.text);
    else
        result = run(&d);
    for (int i = 0; i < HANDS; i++) {
        if (d.hands[i].load != NULL)
            d.store->ops->load_free(d.store, &d.hands[i].load);
        forget_messages(&d.hands[i].batch);
        batch_free(&d.hands[i].batch);
        free(d.hands[i].told);
    }
    if (d.store != NULL)
        d.store->ops->close(&d.store);
    decoder_free(&d.decoder);
    cfg_free(&d.cfg);
    return result == 0 ? 0 : 1;
}
