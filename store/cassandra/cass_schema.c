/* SPDX-License-Identifier: Apache-2.0 */
/* cass_schema.c - see cass_schema.h. */
#include "store/cassandra/cass_schema.h"

#include "lib/log.h"

static const struct {
    const char *name, *columns;
} tables[] = {
    {"measurements",
     "metric_id blob, region text static, tenant_id text static, metric_name text static, "
     "dimensions frozen<list<text>> static, time_stamp timestamp, value double, value_meta text, "
     "PRIMARY KEY (metric_id, time_stamp)"},
    {"metrics",
     "region text, tenant_id text, metric_name text, dimensions frozen<list<text>>, "
     "dimension_names frozen<list<text>>, metric_id blob, created_at timestamp, "
     "updated_at timestamp, "
     "PRIMARY KEY ((region, tenant_id, metric_name), dimensions, dimension_names)"},
    {"dimensions",
     "region text, tenant_id text, name text, value text, "
     "PRIMARY KEY ((region, tenant_id, name), value)"},
    {"dimensions_metrics",
     "region text, tenant_id text, dimension_name text, dimension_value text, metric_name text, "
     "PRIMARY KEY ((region, tenant_id, dimension_name, dimension_value), metric_name)"},
    {"metrics_dimensions",
     "region text, tenant_id text, dimension_name text, dimension_value text, metric_name text, "
     "PRIMARY KEY ((region, tenant_id, metric_name), dimension_name, dimension_value)"},
    {"alarm_state_history",
     "tenant_id text, alarm_id text, time_stamp timestamp, metric text, old_state text, "
     "new_state text, reason text, reason_data text, sub_alarms text, "
     "PRIMARY KEY ((tenant_id, alarm_id), time_stamp)"},
};

static const char *const indexed[] = {"created_at", "updated_at"};

struct making {
    struct cass_sender *sender;
    const struct cql_cluster *cluster;
    const char *keyspace;
    struct buf text;
    struct errbuf *err;
    unsigned n_centers;
};

/* Runs m->text. Returns: STORE_DONE, with *answer not an error, or why not. */
static enum store_status
run(struct making *m, const char *doing, struct cql_answer *answer)
{
    if (m->text.failed) {
        errbuf_set(m->err, "Cassandra: out of memory");
        return STORE_SICK;
    }
    enum store_status status =
        cass_ask(m->sender, (struct slice){m->text.data, m->text.size}, answer, m->err);
    buf_clear(&m->text);
    if (status != STORE_DONE || answer->kind != CQL_IS_ERROR || answer->fault == CQL_FAULT_EXISTS)
        return status;
    errbuf_set(m->err, "Cassandra: %s: %.*s", doing, (int)answer->message.n, answer->message.p);
    return STORE_SICK;
}

/* Which tables are there, a bit each. */
static enum store_status
find_tables(struct making *m, unsigned *found)
{
    struct cql_answer answer;
    struct slice name;
    *found = 0;
    buf_printf(&m->text,
               "SELECT table_name FROM system_schema.tables WHERE keyspace_name = '%s'",
               m->keyspace);
    enum store_status status = run(m, "cannot see the tables", &answer);
    while (status == STORE_DONE && cql_rows_next(&answer.rows, &name, 1))
        for (unsigned i = 0; i < COUNT_OF(tables); i++)
            if (slice_equal(name, (struct slice){tables[i].name, strlen(tables[i].name)}))
                *found |= 1u << i;
    return status;
}

static enum store_status
find_keyspace(struct making *m, bool *found)
{
    struct cql_answer answer;
    struct slice name;
    buf_printf(&m->text,
               "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = '%s'",
               m->keyspace);
    enum store_status status = run(m, "cannot see the keyspaces", &answer);
    *found = status == STORE_DONE && cql_rows_next(&answer.rows, &name, 1);
    return status;
}

/* A data centre's name is the server's, and may have a quote in it. */
static void
add_center(void *arg, const char *name, unsigned nodes)
{
    struct making *m = arg;
    buf_add_text(&m->text, ", '");
    for (const char *p = name; *p != '\0'; p++) {
        if (*p == '\'')
            buf_add_char(&m->text, '\'');
        buf_add_char(&m->text, *p);
    }
    buf_printf(&m->text, "': %u", nodes < 3 ? nodes : 3);
    m->n_centers++;
}

static enum store_status
make_keyspace(struct making *m, const char *replication)
{
    struct cql_answer answer;
    buf_printf(&m->text, "CREATE KEYSPACE IF NOT EXISTS \"%s\" WITH replication = ", m->keyspace);
    if (replication[0] != '\0') {
        buf_add_text(&m->text, replication);
    } else {
        buf_add_text(&m->text, "{'class': 'NetworkTopologyStrategy'");
        cql_cluster_centers(m->cluster, add_center, m);
        buf_add_char(&m->text, '}');
        if (m->n_centers == 0) { /* the nodes were not told of yet: no guess */
            buf_clear(&m->text);
            errbuf_set(m->err, "Cassandra: the nodes of the cluster are not known yet, so how often "
                               "keyspace %s is to be replicated is not, either",
                       m->keyspace);
            return STORE_SICK;
        }
    }
    log_notice("Cassandra: there is no keyspace %s: %.*s", m->keyspace, (int)m->text.size,
               m->text.data);
    return run(m, "cannot make the keyspace", &answer);
}

static enum store_status
make_table(struct making *m, unsigned i)
{
    struct cql_answer answer;
    buf_printf(&m->text, "CREATE TABLE IF NOT EXISTS \"%s\".%s (%s)", m->keyspace, tables[i].name,
               tables[i].columns);
    return run(m, "cannot make a table", &answer);
}

/* Nothing here needs them; monasca-api asks with ALLOW FILTERING. */
static enum store_status
make_indices(struct making *m)
{
    for (unsigned i = 0; i < COUNT_OF(indexed); i++) {
        struct cql_answer answer;
        buf_printf(&m->text,
                   "CREATE CUSTOM INDEX IF NOT EXISTS metrics_%s_index ON \"%s\".metrics (%s) "
                   "USING 'org.apache.cassandra.index.sasi.SASIIndex'",
                   indexed[i], m->keyspace, indexed[i]);
        enum store_status status = run(m, "cannot make an index", &answer);
        if (status == STORE_STOPPED)
            return status;
        if (status == STORE_SICK) {
            log_notice("%s; monasca-api asks metrics by %s all the same (SASI is off by default "
                       "since Cassandra 4.0: sasi_indexes_enabled in cassandra.yaml)",
                       m->err->text, indexed[i]);
            break;
        }
    }
    return STORE_DONE;
}

static enum store_status
make_missing(struct making *m, const char *replication, unsigned found)
{
    bool there = found != 0;
    enum store_status status = there ? STORE_DONE : find_keyspace(m, &there);
    if (status == STORE_DONE && !there)
        status = make_keyspace(m, replication);
    for (unsigned i = 0; i < COUNT_OF(tables) && status == STORE_DONE; i++)
        if ((found & 1u << i) == 0)
            status = make_table(m, i);
    if (status == STORE_DONE && (found & 2u) == 0)
        status = make_indices(m);
    return status;
}

enum store_status
cass_schema_ensure(struct cass_sender *sender, const struct cql_cluster *cluster,
                   const char *keyspace, const char *replication, bool *made, struct errbuf *err)
{
    struct making m = {.sender = sender, .cluster = cluster, .keyspace = keyspace, .err = err};
    unsigned found;
    buf_init(&m.text, 1 << 16);
    enum store_status status = find_tables(&m, &found);
    *made = found != (1u << COUNT_OF(tables)) - 1;
    if (status == STORE_DONE && *made)
        status = make_missing(&m, replication, found);
    buf_free(&m.text);
    return status;
}
