/* SPDX-License-Identifier: Apache-2.0 */
/* pg_sift.c - see pg_sift.h. */
#include "store/pg/pg_sift.h"

#include "lib/num.h"
#include "store/pg/pg_schema.h"

/*
 * The table is temporary and never relied on (see pg_copy.c).  A message of the server's may quote
 * a whole row, so it is cut there already.  What is no fault of a row's, a full disk say, is listed
 * like any other refusal: pg_fault.c alone tells them apart.  (A statement that takes too long, or
 * is cancelled, is not caught by OTHERS.)
 */
#define MAKE(name, columns)                                                                        \
    "CREATE TEMPORARY TABLE IF NOT EXISTS " name " (n bigint, " columns ") ON COMMIT DELETE ROWS;"

#define EMPTY(name) "CLOSE persister_refused; TRUNCATE pg_temp." name ";"

/*
 * Which rules of the table's the server can apply to many rows at once, in the order in which it
 * applies them to one.
 *
 * That a row breaks one is worth as much as an INSERT of it alone that was refused for it, and
 * costs a tenth: it is the server that evaluates the table's own expression, in the same
 * transaction, and nothing that a tenant can write says which rule it was.  It holds where nothing
 * changes a row, or takes it elsewhere, before its rules are looked at: without BEFORE triggers,
 * without rules (of CREATE RULE) and foreign tables; and where the columns are of the types that
 * rows are sent with, which the temporary table has.  Elsewhere no rule is taken.  Left out are
 * those with columns that rows are not sent with, and with volatile functions, which would be
 * called twice.  (The kinds of an expression's nodes are listed, so that it has no functions but
 * those that it names; see PostgreSQL's primnodes.h.)
 */
#define FIND_RULES(name, table)                                                                    \
    " SELECT array_agg(attnum) FILTER (WHERE attrelid = root),"                                    \
    "  array_agg(attname ORDER BY attnum) FILTER (WHERE attrelid = root AND attnotnull)"           \
    "  INTO sent, filled FROM pg_catalog.pg_attribute"                                             \
    "  WHERE attrelid IN (root, 'pg_temp." name "'::regclass) AND attname = ANY (names)"           \
    "  AND attgenerated = '' HAVING count(*) = 2 * cardinality(names)"                             \
    "  AND count(DISTINCT (attname, atttypid, atttypmod, attcollation)) = cardinality(names);"     \
    " IF sent IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = ANY"         \
    "  (ARRAY(SELECT relid FROM pg_partition_tree(root)) || root::oid) AND (relkind NOT IN"        \
    "  ('r', 'p') OR relhasrules OR relhastriggers AND EXISTS (SELECT FROM pg_catalog.pg_trigger"  \
    "   WHERE tgrelid = pg_class.oid AND tgenabled <> 'D'"                                         \
    "   AND tgtype & 7 = 7))) THEN" /* FOR EACH ROW, BEFORE, INSERT */                             \
    FIND_GAPS                                                                                      \
    "  IF gaps IS NOT NULL THEN"                                                                   \
    ADD_RULE("gaps", "'no partition of relation \"" table "\" found for row'", "''", "''")         \
    "  END IF;"                                                                                    \
    "  FOREACH k IN ARRAY coalesce(filled, '{}') LOOP"                                             \
    ADD_RULE("format('%I IS NULL', k)", "format('null value in column \"%s\" of relation \"" table \
             "\" violates not-null constraint', k)", "k", "''")                                    \
    "  END LOOP;"                                                                                  \
    "  FOR r IN SELECT conname, pg_get_expr(conbin, conrelid) AS condition"                        \
    "   FROM pg_catalog.pg_constraint AS checks WHERE conrelid = root AND contype = 'c'"           \
    "   AND to_jsonb(checks) ->> 'conenforced' IS DISTINCT FROM 'false'" /* since 18 */            \
    "   AND arraycontained(coalesce(conkey, '{}'), sent)"                                          \
    "   AND conbin::text !~ '\\{(?!(VAR|CONST|OPEXPR|FUNCEXPR|BOOLEXPR|NULLTEST|BOOLEANTEST"       \
    "|DISTINCTEXPR|SCALARARRAYOPEXPR|ARRAY|ARRAYEXPR|RELABELTYPE|COERCEVIAIO|COALESCE"             \
    "|COALESCEEXPR|SUBSCRIPTINGREF) )'"                                                            \
    "   AND NOT EXISTS (SELECT"                                                                    \
    "    FROM regexp_matches(conbin::text, ':(?:op)?funcid (\\d+)', 'g') AS called"                \
    "    LEFT JOIN pg_catalog.pg_proc ON pg_proc.oid = called[1]::oid"                             \
    "    WHERE provolatile IS NULL OR provolatile = 'v')"                                          \
    "   ORDER BY conname LOOP"                                                                     \
    ADD_RULE("format('(%s) IS FALSE', r.condition)", "format('new row for relation \"" table       \
             "\" violates check constraint \"%s\"', r.conname)", "''", "r.conname")                \
    "  END LOOP;"                                                                                  \
    " END IF;"

#define ADD_RULE(broken, why, field, rule)                                                         \
    "   whys := array_append(whys, " why ");"                                                      \
    "   fields := array_append(fields, " field "); rules := array_append(rules, " rule ");"        \
    "   whens := whens || format(' WHEN %s THEN %s', " broken ", cardinality(whys));"

/*
 * Of a table that is partitioned by its time: the condition of times that no partition takes.
 * Adjoining partitions are one range, of which there are few.  A default partition takes all.
 * (Times in another style than ISO may not mean what they say.)
 */
#define FIND_GAPS                                                                                  \
    "  IF pg_get_partkeydef(root) = 'RANGE (\"time\")'"                                            \
    "   AND current_setting('DateStyle') LIKE 'ISO%' THEN"                                         \
    "   SELECT format('NOT (%s)', coalesce(string_agg("                                            \
    "    format('time >= %L AND time < %L', starts, ends), ' OR '), 'false')) INTO gaps"           \
    "   FROM (SELECT min(starts) AS starts, max(ends) AS ends FROM (SELECT *,"                     \
    "    count(*) FILTER (WHERE apart) OVER (ORDER BY starts) AS spell FROM (SELECT *,"            \
    "     starts IS DISTINCT FROM lag(ends) OVER (ORDER BY starts) AS apart FROM (SELECT "         \
    BOUND("1") " AS starts, " BOUND("2") " AS ends"                                                \
    "      FROM pg_catalog.pg_inherits JOIN pg_catalog.pg_class ON pg_class.oid = inhrelid"        \
    "      LEFT JOIN regexp_match(pg_get_expr(relpartbound, inhrelid),"                            \
    "       '^FOR VALUES FROM \\((.*)\\) TO \\((.*)\\)$') AS bound ON true"                        \
    "      WHERE inhparent = root) AS each) AS marked) AS counted GROUP BY spell) AS ranges"       \
    "   HAVING count(*) <= 64 AND bool_and(starts IS NOT NULL AND ends IS NOT NULL) IS NOT FALSE;" \
    "  END IF;"

#define BOUND(group)                                                                               \
    "CASE bound[" group "] WHEN 'MINVALUE' THEN '-infinity' WHEN 'MAXVALUE' THEN 'infinity'"       \
    " ELSE trim('''' FROM bound[" group "]) END::timestamptz"

/*
 * First the rules, and all other rows at once, in one statement, since a rule may not say the same
 * twice.  Where an expression cannot be evaluated for some row, no rule is gone by.
 *
 * If that is refused, for a trigger say: in runs, and each row alone of those runs that are
 * refused.  Where of n rows one is bad, runs of the root of n cost the least (R. Dorfman, The
 * Detection of Defective Members of Large Populations, 1943); runs of one row are none.
 */
#define SIFT(name, table, columns, values, at_once, on_unique, alone)                              \
    "DO $persister$ DECLARE root regclass := $relation$@." table "$relation$;"                     \
    " names text[] := string_to_array('" columns "', ', '); sent int2[]; filled text[];"           \
    " gaps text; whens text := ''; whys text[] := '{}'; fields text[] := '{}';"                    \
    " rules text[] := '{}'; judged text;"                                                          \
    " list text := ' SELECT array_agg(n), array_agg(i) FROM judged WHERE i > 0';"                  \
    " ns bigint[]; broken int[]; first bigint; at bigint; last bigint; size bigint;"               \
    " upto bigint; stored boolean; r record; s text; m text; t text; c text; k text;"              \
    " nr bigint[] := '{}'; sr text[] := '{}'; mr text[] := '{}'; tr text[] := '{}';"               \
    " cr text[] := '{}'; kr text[] := '{}'; answer refcursor := 'persister_refused'; BEGIN"        \
    " BEGIN" FIND_RULES(name, table)                                                               \
    " EXCEPTION WHEN OTHERS THEN whens := ''; END;"                                                \
    " IF whens = '' THEN whens := ' WHEN false THEN 1'; END IF;"                                   \
    " judged := 'WITH judged AS MATERIALIZED (SELECT *, CASE' || whens || ' ELSE 0 END AS i"       \
    "  FROM pg_temp." name ")';"                                                                   \
    " BEGIN EXECUTE judged || ', stored AS (INSERT INTO ' || root || ' (" columns ")"              \
    "  SELECT " columns " FROM judged WHERE i = 0 ORDER BY n" at_once ")' || list"                 \
    "  INTO ns, broken;"                                                                           \
    " EXCEPTION " on_unique " WHEN OTHERS THEN"                                                    \
    "  BEGIN EXECUTE judged || list INTO ns, broken;"                                              \
    "  EXCEPTION WHEN OTHERS THEN ns := NULL; END;"                                                \
    "  DELETE FROM pg_temp." name " WHERE n IN (SELECT unnest(ns));"                               \
    "  CREATE INDEX IF NOT EXISTS " name "_n ON pg_temp." name " (n);"                             \
    "  SELECT min(n), min(n), max(n) INTO first, at, last FROM pg_temp." name ";"                  \
    "  WHILE at <= last LOOP"                                                                      \
    "   size := floor(sqrt((at - first + 64) / (cardinality(nr) + 1.0)));"                         \
    "   upto := at + CASE WHEN size > 1 THEN size ELSE 32 END - 1; stored := false;"               \
    "   IF size > 1 THEN BEGIN"                                                                    \
    "    INSERT INTO @." table " (" columns ") SELECT " columns " FROM pg_temp." name              \
    "    WHERE n BETWEEN at AND upto ORDER BY n" alone "; stored := true;"                         \
    "    EXCEPTION WHEN OTHERS THEN END; END IF;"                                                  \
    "   IF NOT stored THEN"                                                                        \
    "    FOR r IN SELECT * FROM pg_temp." name " WHERE n BETWEEN at AND upto ORDER BY n LOOP"      \
    "     BEGIN INSERT INTO @." table " (" columns ") VALUES (" values ")" alone ";"               \
    "     EXCEPTION WHEN OTHERS THEN"                                                              \
    "      GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, t = TABLE_NAME,"       \
    "      c = COLUMN_NAME, k = CONSTRAINT_NAME;"                                                  \
    "      nr := array_append(nr, r.n); sr := array_append(sr, s);"                                \
    "      mr := array_append(mr, left(m, 300)); tr := array_append(tr, t);"                       \
    "      cr := array_append(cr, c); kr := array_append(kr, k);"                                  \
    "     END; END LOOP; END IF;"                                                                  \
    "   at := upto + 1;"                                                                           \
    "  END LOOP; END;"                                                                             \
    " OPEN answer FOR SELECT u.n, CASE WHEN fields[u.i] = '' THEN '23514' ELSE '23502' END,"       \
    "  whys[u.i], '" table "', fields[u.i], rules[u.i] FROM unnest(ns, broken) AS u (n, i)"        \
    "  UNION ALL SELECT * FROM unnest(nr, sr, mr, tr, cr, kr) ORDER BY 1; END $persister$;"        \
    "FETCH ALL FROM persister_refused"

#define METRIC_COLUMNS "metric_id, time, value, value_meta"
#define ALARM_COLUMNS                                                                              \
    "time, tenant_id, alarm_id, alarm_definition_id, alarm_name, alarm_description, new_state,"    \
    " old_state, severity, link, lifecycle_state, reason, metrics, sub_alarms"

#define COPY_METRICS                                                                               \
    "COPY pg_temp.persister_sift_metrics (n, " METRIC_COLUMNS ") FROM STDIN (FORMAT binary)"
#define COPY_ALARMS                                                                                \
    "COPY pg_temp.persister_sift_alarms (n, " ALARM_COLUMNS ") FROM STDIN (FORMAT binary)"

#define UPSERT                                                                                     \
    " ON CONFLICT (metric_id, time) DO UPDATE SET value = EXCLUDED.value,"                         \
    " value_meta = EXCLUDED.value_meta"
#define SIFT_METRICS(at_once, on_unique)                                                           \
    SIFT("persister_sift_metrics", "measurements", METRIC_COLUMNS,                                 \
         "r.metric_id, r.time, r.value, r.value_meta", at_once, on_unique, UPSERT)
#define SIFT_ALARMS                                                                                \
    SIFT("persister_sift_alarms", "alarm_state_history", ALARM_COLUMNS,                            \
         "r.time, r.tenant_id, r.alarm_id, r.alarm_definition_id, r.alarm_name,"                   \
         " r.alarm_description, r.new_state, r.old_state, r.severity, r.link,"                     \
         " r.lifecycle_state, r.reason, r.metrics, r.sub_alarms",                                  \
         "", "", "")

/* What a call begins with ends in a COPY, and `sift` in the list of what was refused. */
static const struct sql {
    const char *first, *again, *sift, *sift_upsert;
} metrics = {MAKE("persister_sift_metrics", "metric_id bigint, time timestamptz(3),"
                                            " value double precision, value_meta jsonb")
                 COPY_METRICS,
             EMPTY("persister_sift_metrics") COPY_METRICS,
             SIFT_METRICS("", "WHEN unique_violation THEN RAISE;"), SIFT_METRICS(UPSERT, "")},
  alarms = {MAKE("persister_sift_alarms",
                 "time timestamptz(3), tenant_id text, alarm_id text, alarm_definition_id text,"
                 " alarm_name text, alarm_description text, new_state text, old_state text,"
                 " severity text, link text, lifecycle_state text, reason text, metrics jsonb,"
                 " sub_alarms jsonb") COPY_ALARMS,
            EMPTY("persister_sift_alarms") COPY_ALARMS,
            SIFT_ALARMS, SIFT_ALARMS};

enum pg_outcome
pg_sift_rows(struct pg_conn *conn, const char *schema, enum topic_kind kind, bool upsert,
             struct buf *sql, const struct buf *stream, bool again, PGresult **refusals,
             struct pg_error *error)
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
    const char *text = pg_schema_fill(sql, schema, upsert ? of->sift_upsert : of->sift);
    if (text != NULL)
        return pg_conn_run(conn, text, 0, NULL, refusals, error);
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
