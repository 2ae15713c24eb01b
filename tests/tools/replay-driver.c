/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay-driver.c - recorded batches through decoder, batch and store, with servers that say yes
 * at once, so that the instructions a message takes can be counted exactly (tests/check_instructions,
 * perf/instructions).
 *
 *   replay-driver --store discard|influxdb|postgresql [--series N] [--messages N] [--warm N] [--new] [--shuffle] [--full]
 *
 * Takes the messages that persister-load makes of a fixed seed: first `warm` of them, by default two
 * of each series, then `messages`.  --new makes each of the latter a series of its own;
 * --shuffle has the series come in another order each time; with --full what is remembered of series has
 * no more room than for some hundreds.  What is to be
 * counted happens in the function `replay`: valgrind --tool=callgrind --toggle-collect=replay.
 *
 * Process: the tests.  Owner: main.  Concurrency: one thread.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/cfg.h"
#include "lib/num.h"
#include "perf/load/payload.h"
#include "record/decode.h"
#include "store/store.h"
#include "tests/tools/replay.h"

enum {
    BATCH = 10000,
    NAMES = 15,
    DIMENSIONS = 2,
    REMEMBERED_BYTES = 16 << 20, /* as in a worker with memory_limit_mb = 128 */
    FULL_BYTES = 256 << 10
};

/* Whether what is counted is of interest. */
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static const bool is_optimized = true;
#else
static const bool is_optimized = false;
#endif

struct driver {
    struct config *cfg;
    struct decoder *decoder;
    struct store *store;
    struct store_load *load;
    struct batch batch;
    struct message *messages;
    size_t n_messages, bytes;
    uint64_t checked; /* rows that were stored */
};

static void
fail(const char *text)
{
    fprintf(stderr, "replay-driver: %s\n", text);
    exit(1);
}

static struct payload_options
describe_load(int64_t series)
{
    return (struct payload_options){.kind = PAYLOAD_METRICS,
                                    .seed = 17,
                                    .tenants = 3,
                                    .hosts = (uint32_t)((series + NAMES - 1) / NAMES),
                                    .names = NAMES,
                                    .dimensions = DIMENSIONS,
                                    .distinct = true,
                                    .start_ms = INT64_C(1600000000000),
                                    .run = "1"};
}

/* The i-th message's number: each series once in each round, by another stride. */
static uint64_t
shuffle_number(uint64_t i, uint64_t series)
{
    static const uint64_t strides[] = {7, 11, 13, 17, 19, 23};
    uint64_t round = i / series;
    return round * series + i % series * strides[round % COUNT_OF(strides)] % series;
}

/* Each message in memory of its own, as librdkafka has them, one behind the other. */
static void
record_messages(struct driver *d, const struct payload_options *old,
                const struct payload_options *new, size_t warm, size_t n, uint64_t shuffled)
{
    char *text = malloc((warm + n) * 1024);
    d->messages = calloc(warm + n, sizeof(*d->messages));
    if (text == NULL || d->messages == NULL)
        fail("out of memory");
    for (size_t i = 0; i < warm + n; i++) {
        char one[PAYLOAD_MAX];
        uint64_t number = shuffled > 0 ? shuffle_number(i, shuffled) : i;
        size_t size = payload_format(i < warm ? old : new, number, one);
        if (size > 1024)
            fail("a message is larger than was thought");
        memcpy(text, one, size);
        d->messages[i] = (struct message){.payload = {text, size},
                                          .offset = (int64_t)i,
                                          .time_ms = INT64_C(1600000000000) + (int64_t)i};
        text += size;
        d->bytes += i < warm ? 0 : size;
    }
    d->n_messages = warm + n;
}

static __attribute__((noinline)) void
end_batch(struct driver *d)
{
    struct errbuf err = {.text = ""};
    const struct batch_part *part = &d->batch.parts[0];
    struct store_position end = {
        .partition = part->partition, .next = part->end, .last_ms = part->last_ms};
    struct store_write write = {.batch = &d->batch, .positions = &end, .n_positions = 1};
    enum store_status status = d->store->ops->write(d->store, d->load, &write, &err);
    if (status == STORE_DONE && d->store->ops->commit != NULL)
        status = d->store->ops->commit(d->store, d->load, &write, &err);
    if (status != STORE_DONE)
        fail(err.text);
    d->checked += d->batch.in_state[ENTRY_STORED];
    d->store->ops->load_reset(d->store, d->load);
    batch_reset(&d->batch);
}

/* As worker/pipeline.c:take, and what becomes of a batch that is full. */
static void
feed(struct driver *d, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        struct record record;
        struct reject why;
        int64_t row = batch_add(&d->batch, &d->messages[i], 0);
        if (row == -1 ||
            decoder_decode(d->decoder, TOPIC_METRICS, d->messages[i].payload, &record, &why) ==
                -1 ||
            d->store->ops->add(d->store, d->load, &record, (uint32_t)row, &why) != STORE_ADDED)
            fail("a message was not taken");
        if (batch_due(&d->batch, 0) || i + 1 == to)
            end_batch(d);
    }
}

void replay(struct driver *d, size_t from, size_t to);

__attribute__((noinline)) void
replay(struct driver *d, size_t from, size_t to)
{
    feed(d, from, to);
}

static void
open_store(struct driver *d, const char *driver, size_t remembered)
{
    static const struct store_hooks hooks = {.wait = NULL};
    char path[] = "/tmp/replay-driver.XXXXXX";
    struct errbuf err = {.text = "out of memory"};
    int fd = mkstemp(path);
    if (fd == -1)
        fail("no temporary file can be made");
    dprintf(fd,
            "[kafka]\nuri = 127.0.0.1:9\n[repositories]\nmetrics_driver = %s\n"
            "alarm_state_history_driver = discard\n[postgresql]\nconninfo = host=127.0.0.1\n"
            "[influxdb]\nip_address = 127.0.0.1\n",
            driver);
    d->cfg = cfg_load(path, NULL, &err);
    close(fd);
    unlink(path);
    if (d->cfg == NULL)
        fail(err.text);
    d->decoder = decoder_new((size_t)d->cfg->persister.max_message_bytes);
    const struct store_ops *ops = store_find(cfg_topic_driver(d->cfg, TOPIC_METRICS));
    if (d->decoder == NULL || decoder_remember(d->decoder, remembered) == -1 ||
        (d->store = ops->open(d->cfg, TOPIC_METRICS, &hooks, &err)) == NULL ||
        (d->load = ops->load_new(d->store)) == NULL)
        fail(err.text);
    struct store_position position = {.partition = 0};
    if (ops->claim != NULL && ops->claim(d->store, "cluster", &position, 1, &err) != STORE_DONE)
        fail(err.text);
    batch_init(&d->batch, &(struct batch_limits){
                   .count = BATCH, .bytes = SIZE_MAX, .age_ms = INT64_MAX});
}

static void
close_store(struct driver *d)
{
    d->store->ops->load_free(d->store, &d->load);
    d->store->ops->close(&d->store);
    batch_free(&d->batch);
    decoder_free(&d->decoder);
    cfg_free(&d->cfg);
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {{"store", required_argument, NULL, 's'},
                                            {"series", required_argument, NULL, 'n'},
                                            {"messages", required_argument, NULL, 'm'},
                                            {"warm", required_argument, NULL, 'w'},
                                            {"new", no_argument, NULL, 'N'},
                                            {"shuffle", no_argument, NULL, 'S'},
                                            {"full", no_argument, NULL, 'F'},
                                            {NULL, 0, NULL, 0}};
    struct driver d = {.n_messages = 0};
    int64_t series = 20000, messages = 20000, warm = -1;
    const char *store = "discard";
    bool new = false, shuffle = false, full = false;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int64_t *number = c == 'n' ? &series : c == 'm' ? &messages : c == 'w' ? &warm : NULL;
        if (c == '?' || (number != NULL && num_parse_int(optarg, 0, 10000000, number) == -1))
            fail("usage: --store NAME [--series N] [--messages N] [--warm N] [--new] [--shuffle] [--full]");
        store = c == 's' ? optarg : store;
        new = new || c == 'N';
        shuffle = shuffle || c == 'S';
        full = full || c == 'F';
    }
    warm = warm == -1 ? 2 * series : warm;
    struct payload_options old = describe_load(series), fresh = describe_load(messages);
    fresh.run = new ? "2" : "1";
    record_messages(&d, &old, new ? &fresh : &old, (size_t)warm, (size_t)messages,
                    shuffle ? (uint64_t)payload_series(&old) : 0);
    open_store(&d, store, full ? FULL_BYTES : REMEMBERED_BYTES);
    feed(&d, 0, (size_t)warm);
    replay(&d, (size_t)warm, d.n_messages);
    printf("%llu rows, %zu bytes a message%s\n", (unsigned long long)d.checked,
           d.bytes / (size_t)(messages > 0 ? messages : 1), is_optimized ? ", optimized" : "");
    close_store(&d);
    return d.checked == d.n_messages && replay_rows() == (strcmp(store, "discard") == 0 ? 0 : d.checked)
               ? 0
               : 1;
}
