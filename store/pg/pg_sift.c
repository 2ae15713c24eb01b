/* SPDX-License-Identifier: Apache-2.0 */
/* pg_sift.c - see pg_sift.h. */
#include "store/pg/pg_sift.h"

#include "lib/num.h"
#include "store/pg/pg_schema.h"

/*
 * All tables are temporary and never relied on (see pg_copy.c).  A message of the server's may quote
 * a whole row, so it is cut there already.  What is no fault of a row's, a full disk say, is listed
 * like any other refusal: pg_fault.c alone tells them apart.  (A statement that takes too long, or
 * is cancelled, is not caught by OTHERS.)
 */
#define MAKE(name, columns)                                                                        \
    "CREATE TEMPORARY TABLE IF NOT EXISTS " name " (n bigint, " columns ") ON COMMIT DELETE ROWS;"  \
    "CREATE TEMPORARY TABLE IF NOT EXISTS persister_refused (n bigint, sqlstate text,"             \
    " message text, of_table text, of_column text, of_constraint text) ON COMMIT DELETE ROWS;"

#define EMPTY(name) "TRUNCATE pg_temp." name ", pg_temp.persister_refused;"

#define EACH(name, insert)                                                                         \
    "DO $persister$ DECLARE r record; s text; m text; t text; c text; k text; BEGIN"               \
    " FOR r IN SELECT * FROM pg_temp." name " ORDER BY n LOOP"                                     \
    " BEGIN " insert ";"                                                                           \
    " EXCEPTION WHEN OTHERS THEN"                                                                  \
    " GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, t = TABLE_NAME,"            \
    " c = COLUMN_NAME, k = CONSTRAINT_NAME;"                                                       \
    " INSERT INTO pg_temp.persister_refused VALUES (r.n, s, left(m, 300), t, c, k);"               \
    " END; END LOOP; END $persister$;"                                                             \
    "SELECT n, sqlstate, message, of_table, of_column, of_constraint"                              \
    " FROM pg_temp.persister_refused ORDER BY n"

#define ALARM_COLUMNS                                                                              \
    "time, tenant_id, alarm_id, alarm_definition_id, alarm_name, alarm_description, new_state,"    \
    " old_state, severity, link, lifecycle_state, reason, metrics, sub_alarms"

#define COPY_METRICS                                                                               \
    "COPY pg_temp.persister_sift_metrics (n, metric_id, time, value, value_meta)"                  \
    " FROM STDIN (FORMAT binary)"
#define COPY_ALARMS                                                                                \
    "COPY pg_temp.persister_sift_alarms (n, " ALARM_COLUMNS ") FROM STDIN (FORMAT binary)"

/* What a call begins with ends in a COPY, and `each` in the list of what was refused. */
static const struct sql {
    const char *first, *again, *each;
} metrics = {MAKE("persister_sift_metrics", "metric_id bigint, time timestamptz(3),"
                                            " value double precision, value_meta jsonb")
                 COPY_METRICS,
             EMPTY("persister_sift_metrics") COPY_METRICS,
             EACH("persister_sift_metrics",
                  "INSERT INTO @.measurements (metric_id, time, value, value_meta)"
                  " VALUES (r.metric_id, r.time, r.value, r.value_meta)"
                  " ON CONFLICT (metric_id, time) DO UPDATE SET value = EXCLUDED.value,"
                  " value_meta = EXCLUDED.value_meta")},
  alarms = {MAKE("persister_sift_alarms",
                 "time timestamptz(3), tenant_id text, alarm_id text, alarm_definition_id text,"
                 " alarm_name text, alarm_description text, new_state text, old_state text,"
                 " severity text, link text, lifecycle_state text, reason text, metrics jsonb,"
                 " sub_alarms jsonb") COPY_ALARMS,
            EMPTY("persister_sift_alarms") COPY_ALARMS,
            EACH("persister_sift_alarms",
                 "INSERT INTO @.alarm_state_history (" ALARM_COLUMNS ")"
                 " VALUES (r.time, r.tenant_id, r.alarm_id, r.alarm_definition_id, r.alarm_name,"
                 " r.alarm_description, r.new_state, r.old_state, r.severity, r.link,"
                 " r.lifecycle_state, r.reason, r.metrics, r.sub_alarms)")};

enum pg_outcome
pg_sift_rows(struct pg_conn *conn, const char *schema, enum topic_kind kind, struct buf *sql,
             const struct buf *stream, bool again, PGresult **refusals, struct pg_error *error)
{
    const struct sql *of = kind == TOPIC_METRICS ? &metrics : &alarms;
    *refusals = NULL;
    enum pg_outcome outcome = pg_conn_copy_begin(conn, again ? of->again : of->first, error);
    if (outcome == PG_OK)
        outcome = pg_conn_copy_send(conn, stream->data, stream->size, error);
    if (outcome == PG_OK)
        outcome = pg_conn_copy_end(conn, error);
    if (outcome != PG_OK)
        return outcome;
    const char *each = pg_schema_fill(sql, schema, of->each);
    if (each != NULL)
        return pg_conn_run(conn, each, 0, NULL, refusals, error);
    pg_error_set(error, "", "out of memory");
    return PG_WORLD;
}

int
pg_sift_refusal(const PGresult *result, int i, struct pg_sift_refusal *refusal)
{
    *refusal = (struct pg_sift_refusal){.sqlstate = pg_conn_value(result, i, 1),
                                        .message = pg_conn_value(result, i, 2),
                                        .table = pg_conn_value(result, i, 3),
                                        .column = pg_conn_value(result, i, 4),
                                        .constraint = pg_conn_value(result, i, 5)};
    return num_parse_int(pg_conn_value(result, i, 0), 0, UINT32_MAX, &refusal->row);
}
