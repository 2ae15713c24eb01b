/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cassandra.c - the store for Cassandra: series are described (cass_define.h), then measurements and
 * alarms are written, in batches by the node that they belong to (cass_send.h).
 *
 * A row is stored when the server has said so, at the configured level of consistency, of its
 * statement and of all that describes its series. What a message says is written with timestamps
 * that follow from the message (cass_time.h): to write it again changes nothing.
 *
 * Process: workers.  Owner: struct cassandra.  Concurrency: one thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cql/cql_cluster.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "store/cassandra/cass_define.h"
#include "store/cassandra/cass_load.h"
#include "store/cassandra/cass_schema.h"
#include "store/cassandra/cass_send.h"
#include "store/store.h"

enum { WARNINGS_MS = 600000, DAY_S = 86400 };

struct cassandra {
    struct store store;
    const struct config *cfg;
    struct cql_tls *tls;
    struct buf statements;
    struct slice texts[CASS_STATEMENTS];
    struct cql_cluster *cluster;
    struct cass_sender *sender;
    struct cass_cache *cache;
    struct cass_definer *definer;
    struct decoder *decoder; /* for messages whose series have to be described anew */
    bool has_tables;
    unsigned epoch; /* moves whenever what is known is void */
    uint64_t warnings; /* of the servers, told so far */
    struct log_limit warnings_limit;
};

/* --- loads --- */

static struct store_load *
cassandra_load_new(struct store *store)
{
    (void)store;
    return (struct store_load *)cass_load_new();
}

static void
cassandra_load_reset(struct store *store, struct store_load *load)
{
    (void)store;
    cass_load_reset((struct cass_load *)load);
}

static void
cassandra_load_free(struct store *store, struct store_load **load)
{
    (void)store;
    cass_load_free((struct cass_load **)load);
}

static size_t
cassandra_bytes(const struct store_load *load)
{
    return cass_load_bytes((const struct cass_load *)load);
}

static enum store_added
cassandra_add(struct store *store, struct store_load *load, const struct record *record,
              uint32_t row, struct reject *why)
{
    struct cassandra *c = (struct cassandra *)store;
    struct cass_load *l = (struct cass_load *)load;
    uint32_t now_s = (uint32_t)(clock_mono_ms() / 1000) + 1;
    if (l->n == 0)
        l->epoch = c->epoch;
    return cass_load_add(l, c->cache, now_s, record, row, why);
}

/* --- writing --- */

struct writing {
    struct cass_load *load;
    struct batch *batch;
};

/* Where memory is out a row stays pending, which whoever has the batch will see. */
static void
settle_row(struct writing *w, uint32_t i, const struct slice *refused)
{
    struct reject why;
    if (refused != NULL)
        reject_set(&why, REJECT_REFUSED, "Cassandra: %.*s",
                   refused->n < 200 ? (int)refused->n : 200, refused->p != NULL ? refused->p : "");
    (void)!batch_settle(w->batch, w->load->lines[i].row, refused != NULL ? &why : NULL);
}

static void
on_settled(void *arg, struct cass_item *item, const struct slice *why)
{
    settle_row(arg, item->number, why);
}

/* A series that the server refuses takes its rows with it. */
static void
refuse_series(struct writing *w)
{
    for (size_t i = 0; i < w->load->n; i++) {
        struct cass_item *item = &w->load->items[i];
        uint32_t fresh = w->load->lines[i].fresh;
        if (item->outcome != CASS_PENDING || fresh == 0 ||
            w->load->fresh[fresh - 1].refused == NULL)
            continue;
        const char *text = w->load->fresh[fresh - 1].refused;
        item->outcome = CASS_REFUSED;
        settle_row(w, (uint32_t)i, &(struct slice){text, strlen(text)});
    }
}

/* What the servers warn of, as of batches over many partitions, stands in their logs. */
static void
tell_warnings(struct cassandra *c)
{
    uint64_t now = cql_cluster_warnings(c->cluster), held_back;
    if (now <= c->warnings || !log_limit_pass(&c->warnings_limit, clock_mono_ms(), &held_back))
        return;
    log_info("Cassandra has warned of %llu requests; its log has the reasons",
             (unsigned long long)(now - c->warnings));
    c->warnings = now;
}

/* The tables may have gone, and come back empty: all is described anew, then. */
static void
forget_tables(struct cassandra *c)
{
    c->has_tables = false;
    cql_cluster_prepare(c->cluster, false);
    cass_cache_forget(c->cache);
    c->epoch++;
}

static enum store_status
get_ready(struct cassandra *c, struct errbuf *err)
{
    struct errbuf why;
    if (cql_cluster_refuses(c->cluster, &why))
        forget_tables(c);
    enum store_status status = cass_await(c->sender, false, err);
    if (status == STORE_DONE && !c->has_tables) {
        bool made;
        status = cass_schema_ensure(c->sender, c->cluster, c->cfg->cassandra.keyspace,
                                    c->cfg->cassandra.replication, &made, err);
        if (status != STORE_DONE)
            return status;
        c->has_tables = true;
        cql_cluster_prepare(c->cluster, true);
    }
    return status == STORE_DONE ? cass_await(c->sender, true, err) : status;
}

static enum store_status
write_all(struct cassandra *c, struct cass_load *load, struct batch *batch, struct errbuf *err)
{
    struct writing w = {.load = load, .batch = batch};
    struct cass_job job = {.items = load->items,
                           .n = load->n,
                           .values = load->values.data,
                           .settled = on_settled,
                           .arg = &w};
    enum store_status status = get_ready(c, err);
    if (status != STORE_DONE)
        return status;
    if (load->epoch != c->epoch && cass_load_forget(load, batch, c->decoder) == -1) {
        errbuf_set(err, "Cassandra: out of memory");
        return STORE_SICK;
    }
    load->epoch = c->epoch;
    cass_load_stamp(load, batch);
    status = cass_define(c->definer, load, err);
    refuse_series(&w);
    return status == STORE_DONE ? cass_send(c->sender, &job, err) : status;
}

static enum store_status
cassandra_write(struct store *store, struct store_load *load, const struct store_write *write,
                struct errbuf *err)
{
    struct cassandra *c = (struct cassandra *)store;
    enum store_status status = write_all(c, (struct cass_load *)load, write->batch, err);
    tell_warnings(c);
    return status;
}

/* --- life --- */

static void
cassandra_close(struct store **store)
{
    struct cassandra *c = (struct cassandra *)*store;
    decoder_free(&c->decoder);
    cass_definer_free(&c->definer);
    cass_sender_free(&c->sender);
    cql_cluster_free(&c->cluster);
    cql_tls_free(&c->tls);
    cass_cache_free(&c->cache);
    buf_free(&c->statements);
    free(c);
    *store = NULL;
}

static int
make_statements(struct cassandra *c)
{
    size_t starts[CASS_STATEMENTS + 1] = {0};
    for (unsigned i = 0; i < CASS_STATEMENTS; i++) {
        cass_row_statement(&c->statements, (enum cass_statement)i, c->cfg->cassandra.keyspace,
                           c->cfg->cassandra.retention_policy * DAY_S);
        starts[i + 1] = c->statements.size;
    }
    for (unsigned i = 0; i < CASS_STATEMENTS && !c->statements.failed; i++)
        c->texts[i] = (struct slice){c->statements.data + starts[i], starts[i + 1] - starts[i]};
    return c->statements.failed ? -1 : 0;
}

static int
make_cluster(struct cassandra *c)
{
    const struct config *cfg = c->cfg;
    struct cql_cluster_options options = {
        .contact_points = cfg->cassandra.contact_points,
        .port = (int)cfg->cassandra.port,
        .data_center = cfg->cassandra.local_data_center,
        .login = {.user = cfg->cassandra.user,
                  .password = cfg->cassandra.password,
                  .tls = c->tls,
                  .connect_ms = (int)cfg->cassandra.connection_timeout * 1000,
                  .answer_ms = (int)cfg->cassandra.read_timeout * 1000},
        .statements = c->texts,
        .n_statements = CASS_STATEMENTS};
    c->cluster = cql_cluster_new(&options);
    return c->cluster != NULL ? 0 : -1;
}

static size_t
cache_entries(const struct config *cfg)
{
    size_t fit = ((size_t)cfg->persister.memory_limit_mb << 17) / CASS_CACHE_ENTRY_BYTES;
    size_t most = (size_t)cfg->cassandra.max_definition_cache_size;
    return most < fit ? most : fit;
}

static int
make_parts(struct cassandra *c, const struct store_hooks *hooks)
{
    const struct config *cfg = c->cfg;
    struct cass_sender_options options = {
        .cluster = c->cluster,
        .hooks = hooks,
        .keyspace = cfg->cassandra.keyspace,
        .consistency =
            (enum cql_consistency)cql_consistency_find(cfg->cassandra.consistency_level),
        .max_batch = (unsigned)cfg->cassandra.max_batches};
    c->cache = cass_cache_new(cache_entries(cfg));
    c->sender = cass_sender_new(&options);
    c->decoder = decoder_new((size_t)cfg->persister.max_message_bytes);
    if (c->cache == NULL || c->sender == NULL || c->decoder == NULL)
        return -1;
    c->definer =
        cass_definer_new(c->sender, c->cache, cfg->cassandra.retention_policy * DAY_S);
    return c->definer != NULL ? 0 : -1;
}

static int
make_tls(struct cassandra *c, struct errbuf *err)
{
    const struct config *cfg = c->cfg;
    const char *ca = cfg->cassandra.ca_file;
    if (!cfg->cassandra.tls)
        return 0;
    if (ca[0] != '\0' && access(ca, R_OK) == -1)
        return errbuf_set(err, "[cassandra] ca_file %s: %s", ca, strerror(errno));
    c->tls = cql_tls_new(cfg->cassandra.verify, ca, err);
    return c->tls != NULL ? 0 : -1;
}

static struct store *
cassandra_open(const struct config *cfg, enum topic_kind kind, const struct store_hooks *hooks,
               struct errbuf *err)
{
    struct cassandra *c = calloc(1, sizeof(*c));
    (void)kind; /* a worker of the other topic uses other statements */
    errbuf_set(err, "out of memory");
    if (c == NULL)
        return NULL;
    c->store.ops = &store_cassandra;
    c->cfg = cfg;
    c->warnings_limit = (struct log_limit){.burst = 1, .interval_ms = WARNINGS_MS};
    buf_init(&c->statements, 1 << 16);
    struct store *store = &c->store;
    if (cql_consistency_find(cfg->cassandra.consistency_level) == -1)
        errbuf_set(err, "[cassandra] consistency_level: no such level");
    else if (make_tls(c, err) == 0 && make_statements(c) == 0 && make_cluster(c) == 0 &&
             make_parts(c, hooks) == 0)
        return store;
    cassandra_close(&store);
    return NULL;
}

const struct store_ops store_cassandra = {.name = "cassandra",
                                          .open = cassandra_open,
                                          .load_new = cassandra_load_new,
                                          .load_reset = cassandra_load_reset,
                                          .load_free = cassandra_load_free,
                                          .add = cassandra_add,
                                          .bytes = cassandra_bytes,
                                          .write = cassandra_write,
                                          .close = cassandra_close};
