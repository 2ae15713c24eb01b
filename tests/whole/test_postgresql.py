# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL: every row once, whatever dies, stops or is taken away meanwhile."""

import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from fixtures import proc
from fixtures.persister import can_bind_mount, check
from fixtures.postgres import BIN, Postgres
from fixtures.scenario import START_MS, Scenario, is_bad, shared_broker
from fixtures.store import FakeServer, NOW_MS, Store, metric

CORPUS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "corpus")

# A row for each event on measurements: a replay cannot hide behind an upsert.
AUDIT = """
CREATE TABLE monasca.audit (metric_id bigint, time timestamptz);
CREATE FUNCTION monasca.note() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO monasca.audit VALUES (NEW.metric_id, NEW.time); RETURN NULL; END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON monasca.measurements
FOR EACH ROW EXECUTE FUNCTION monasca.note();
"""


class Influxless:
    """In the place of a server that these tests do not need."""

    port = 1


@unittest.skipUnless(BIN, "no PostgreSQL server is installed")
class PostgresScenario(Scenario):
    def own_postgres(self, start=True, **options):
        self.postgres = Postgres(**options)
        self.addCleanup(self.postgres.remove)
        self.influx = Influxless()
        if start:
            self.postgres.start()

    def use_shared_broker(self):
        self.broker = shared_broker()
        self.make_topic()

    def pg_persister(self, name="a", start=True, **sections):
        conninfo = sections.pop("conninfo", self.postgres.conninfo)
        sections.setdefault("repositories", {}).update(
            metrics_driver="postgresql", alarm_state_history_driver="postgresql")
        sections["postgresql"] = {"conninfo": conninfo, **sections.get("postgresql", {})}
        return self.persister(name, start, **sections)

    def wait_tables(self):
        proc.wait_until(lambda: self.postgres.run_sql(
            "SELECT * FROM monasca.schema_version").stdout.strip() == "1", 30, "the tables are made")

    def audited(self, **sections):
        """Has the tables made before anything is fed, and puts the trigger on."""
        p = self.pg_persister(**sections)
        self.wait_tables()
        self.postgres.sql(AUDIT)
        return p

    def stored(self):
        numbers = []
        for ms, value in self.postgres.sql(
                "SELECT (extract(epoch from time) * 1000)::bigint, value::bigint"
                " FROM monasca.measurements"):
            self.assertEqual(int(ms) - START_MS, int(value))
            numbers.append(int(value))
        self.assertEqual(len(numbers), len(set(numbers)), "a message is stored twice")
        return set(numbers)

    def assert_exactly_once(self, messages, bad=0):
        self.assert_stored(messages, bad)
        good = sum(not is_bad(i, bad) for i in range(messages))
        self.assertEqual(int(self.postgres.value("SELECT count(*) FROM monasca.audit")), good,
                         "events on measurements")

    def assert_all_well(self, messages, bad=0, seconds=60):
        self.wait_drained(seconds)
        self.stop()
        self.assert_exactly_once(messages, bad)
        self.assert_dead(messages, bad)


class CorpusTest(PostgresScenario):
    seconds = 25

    def test_corpus_by_meaning(self):
        self.own_postgres()
        self.use_shared_broker()
        self.make_topic(self.alarm_topic, 2)
        p = self.pg_persister(kafka_alarm_history={"enabled": True})
        self.replay(os.path.join(CORPUS, "metrics.jsonl"))
        self.replay(os.path.join(CORPUS, "alarm-state-transitions.jsonl"), self.alarm_topic)
        self.wait_drained()
        self.wait_drained(topic=self.alarm_topic, group=self.alarm_group, partitions=2)
        self.stop()
        self.assertEqual(self.dead_letters(), [])
        expected = {}
        with open(os.path.join(CORPUS, "metrics.jsonl"), encoding="utf-8") as f:
            for line in f:
                m = json.loads(line)
                metric, meta = m["metric"], m["meta"]
                key = (meta["tenantId"], meta["region"], metric["name"],
                       json.dumps(metric.get("dimensions") or {}, sort_keys=True),
                       int(metric["timestamp"]))
                expected.setdefault(key, []).append(
                    (float(metric["value"]), json.dumps(metric.get("value_meta"), sort_keys=True)))
        rows = self.postgres.value(
            "SELECT json_agg(json_build_array(tenant_id, region, name, dimensions,"
            " (extract(epoch from time) * 1000)::bigint, value, value_meta))"
            " FROM monasca.measurements_named")
        found = {}
        for tenant, region, name, dimensions, ms, value, meta in json.loads(rows):
            key = (tenant, region, name, json.dumps(dimensions, sort_keys=True), ms)
            self.assertNotIn(key, found)
            found[key] = (value, json.dumps(meta, sort_keys=True))
        self.assertEqual(set(found), set(expected))
        for key, values in expected.items():
            # Of messages with the same key on several partitions, any may have come last.
            self.assertIn(found[key], values, key)
        self.assertEqual(self.postgres.value("SELECT count(*) FROM monasca.alarm_state_history"),
                         "150")
        with open(os.path.join(CORPUS, "alarm-state-transitions.jsonl"), encoding="utf-8") as f:
            alarms = [json.loads(line)["alarm-transitioned"] for line in f]
        rows = json.loads(self.postgres.value(
            "SELECT json_agg(json_build_array(tenant_id, alarm_id, new_state, old_state, reason,"
            " link, lifecycle_state, metrics, sub_alarms, (extract(epoch from time) * 1000)::bigint))"
            " FROM monasca.alarm_state_history"))
        self.assertEqual(
            sorted(json.dumps(r, sort_keys=True) for r in rows),
            sorted(json.dumps([a["tenantId"], a["alarmId"], a["newState"], a["oldState"],
                               a["stateChangeReason"], a.get("link") or "",
                               a.get("lifecycleState") or "", a["metrics"],
                               a.get("subAlarms") or [], int(a["timestamp"])], sort_keys=True)
                   for a in alarms))
        self.assertEqual([s["restarts"] for s in p.processes().values()], [0, 0, 0])

    def test_malformed_by_verdict(self):
        self.own_postgres()
        self.broker = shared_broker()
        self.make_topic(max_message_bytes=8000000)
        p = self.pg_persister()
        self.feed(200)
        self.replay(os.path.join(CORPUS, "malformed.jsonl"), form="--replay-base64")
        self.feed(200, first=200)
        self.wait_drained()
        self.stop()
        with open(os.path.join(CORPUS, "malformed.jsonl"), encoding="utf-8") as f:
            cases = [json.loads(line) for line in f]
        rejected = sum(c["verdict"] == "reject" for c in cases)
        self.assertEqual(len(self.dead_letters()), rejected)
        self.assertEqual(p.totals()["rejected"], rejected)
        self.assertEqual(p.totals()["completed"], 400 + len(cases) - rejected)
        self.assertEqual(self.postgres.value(
            "SELECT dimensions->>'path' FROM monasca.metrics WHERE dimensions ? 'path'"), "C:\\")
        self.assertEqual([s["restarts"] for s in p.processes().values()], [0, 0])

    def test_rows_the_database_refuses(self):
        """JSON that jsonb cannot hold is found among thousands, and nothing else with it."""
        self.own_postgres()
        self.use_shared_broker()
        self.pg_persister(kafka_metrics={"batch_size": 5000, "num_processors": 1})
        self.wait_tables()
        self.postgres.sql(AUDIT)
        path = os.path.join(self.dir, "bad.jsonl")
        metas = ['{"a":"\\u0000"}', '"\\ud800"', '1e1000000']
        with open(path, "w", encoding="utf-8") as f:
            for i in range(300):
                meta = metas[i % 3] if i % 10 == 0 else '{"n":%d}' % i
                f.write('{"metric":{"name":"x","timestamp":%d,"value":%d,"dimensions":{},'
                        '"value_meta":%s},"meta":{"tenantId":"t","region":"r"},"creation_time":1}\n'
                        % (START_MS + 100000 + i, 100000 + i, meta))
        self.feed(2000)
        self.replay(path)
        self.feed(2000, first=2000)
        self.wait_drained()
        self.stop()
        self.assertEqual(len(self.dead_letters()), 30)
        self.assertEqual({d["reason"] for d in self.dead_letters()}, {"unstorable"})
        expected = set(range(4000)) | {100000 + i for i in range(300) if i % 10}
        self.assertEqual(self.stored(), expected)
        self.assertEqual(int(self.postgres.value("SELECT count(*) FROM monasca.audit")),
                         len(expected))

    def test_a_tenants_text_is_not_the_servers(self):
        """What looks like COPY's own words stands in the row that it quotes."""
        self.own_postgres()
        self.use_shared_broker()
        self.make_topic(self.alarm_topic, 1)
        self.pg_persister(kafka_metrics={
            "topic": self.alarm_topic, "batch_size": 1000, "num_processors": 1})
        self.wait_tables()
        # What the program cannot foresee: a constraint that reads JSON within a text.
        self.postgres.sql("ALTER TABLE monasca.measurements ADD CONSTRAINT inner_json CHECK"
                          " (coalesce(value_meta->>'j', '1')::jsonb IS NOT NULL)")
        rows = [(i, '{"n":%d}' % i) for i in range(100)]
        for i, inner in ((60, '{"COPY , line 1": "\\u0000"}'),
                         (80, '{"a": "\\u0000 COPY measurements, line 2, column value_meta"}')):
            rows[i] = (i, json.dumps({"j": inner}))
        self.replay_values(rows)
        self.stop()
        self.assertEqual(len(self.dead_letters()), 2)
        self.assertEqual(self.postgres.value("SELECT count(*) FROM monasca.measurements"), "98")

    def test_bad_rows_of_one_key(self):
        """Each stands in the way of the one before it: the worker's stack does not grow."""
        self.own_postgres()
        self.use_shared_broker()
        self.make_topic(self.alarm_topic, 1)
        p = self.pg_persister(kafka_metrics={
            "topic": self.alarm_topic, "batch_size": 5000, "num_processors": 1})
        self.wait_tables()
        self.postgres.sql("ALTER TABLE monasca.measurements ADD CHECK (value_meta IS NULL)")
        self.replay_values([(1, '{"a": 1}')] * 5000)
        self.assertEqual(len(self.dead_letters()), 5000)
        self.assertEqual([s["restarts"] for s in p.processes().values()], [0])
        self.stop()

    def test_series_that_the_operator_refuses(self):
        """Each is found among the others, and takes only its own rows along."""
        self.own_postgres()
        self.use_shared_broker()
        self.make_topic(self.alarm_topic, 1)
        self.pg_persister(kafka_metrics={"topic": self.alarm_topic, "num_processors": 1})
        self.wait_tables()
        self.postgres.sql("ALTER TABLE monasca.metrics ADD CHECK (name NOT LIKE 'no%')")
        path = os.path.join(self.dir, "series.jsonl")
        with open(path, "w", encoding="utf-8") as f:
            for i in range(3000):
                f.write(json.dumps({
                    "metric": {"name": ("no" if i % 1000 < 7 else "yes") + str(i),
                               "timestamp": START_MS, "value": i},
                    "meta": {"tenantId": "t", "region": "r"}}) + "\n")
        self.replay(path, self.alarm_topic)
        proc.wait_until(lambda: self.lag(topic=self.alarm_topic, partitions=1) == 0, 60, "drained")
        self.stop()
        self.assertEqual(len(self.dead_letters()), 21)
        self.assertEqual(self.postgres.value("SELECT count(*) FROM monasca.measurements_named"),
                         "2979")

    def test_what_no_index_can_hold(self):
        """The longest that fits is stored, a longer one refused; the partition goes on."""
        self.own_postgres()
        self.use_shared_broker()
        self.make_topic(self.alarm_topic, 1)
        self.pg_persister(kafka_metrics={"topic": self.alarm_topic, "num_processors": 1})
        self.wait_tables()
        rng = random.Random(5)
        path = os.path.join(self.dir, "long.jsonl")
        with open(path, "w", encoding="utf-8") as f:
            for name, tenant in ((2599, 1), (2600, 1), (5000, 1), (1, 2599), (1, 5000), (5, 5)):
                word = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=n))
                        for n in (name, tenant)]
                f.write(json.dumps({"metric": {"name": word[0], "timestamp": START_MS, "value": 1,
                                               "dimensions": {"long": "x" * 3000 + word[0]}},
                                    "meta": {"tenantId": word[1], "region": "r"}}) + "\n")
        self.replay(path, self.alarm_topic)
        proc.wait_until(lambda: self.lag(topic=self.alarm_topic, partitions=1) == 0, 60, "drained")
        self.stop()
        self.assertEqual(self.postgres.sql(
            "SELECT length(name), length(tenant_id) FROM monasca.measurements_named"
            " ORDER BY length(name), length(tenant_id)"),
            [["1", "2599"], ["5", "5"], ["2599", "1"]])
        self.assertEqual([d["reason"] for d in self.dead_letters()], ["unstorable"] * 3)

    def test_later_message_wins(self):
        self.own_postgres()
        self.use_shared_broker()
        self.make_topic(self.alarm_topic, 1)
        self.pg_persister(kafka_metrics={"topic": self.alarm_topic, "num_processors": 1})
        self.replay_values([(1, "1"), (2, '"x"'), (1, "3")])
        self.replay_values([(1, "4"), (5, "6")])
        proc.wait_until(lambda: self.lag(topic=self.alarm_topic, partitions=1) == 0, 60, "drained")
        self.stop()
        self.assertEqual(
            self.postgres.sql("SELECT extract(epoch from time)::bigint, value, value_meta"
                              " FROM monasca.measurements ORDER BY time"),
            [["1", "4", ""], ["2", "0", '"x"'], ["5", "6", ""]])

    def replay_values(self, rows):
        path = os.path.join(self.dir, "rows.jsonl")
        with open(path, "w", encoding="utf-8") as f:
            for seconds, value in rows:
                text = value[0] in '"{'
                f.write('{"metric":{"name":"x","timestamp":%d,"value":%s,"value_meta":%s},'
                        '"meta":{"tenantId":"t","region":"r"}}\n'
                        % (seconds * 1000, 0 if text else value, value if text else "null"))
        self.replay(path, self.alarm_topic)
        proc.wait_until(lambda: self.lag(topic=self.alarm_topic, partitions=1) == 0, 60, "drained")


@unittest.skipUnless(BIN, "no PostgreSQL server is installed")
class JsonbTest(unittest.TestCase):
    """What is refused beforehand is what the server would refuse."""

    seconds = 10

    strings = ["", "a", "\\u0000", "\\\\u0000", "\\u0001", "\\u0041", "\\uffff", "\\ud7ff", "\\ud800",
               "\\udbff", "\\udc00", "\\udfff", "\\uD83D\\uDE00", "\\n", "\\\"", "\\\\", "\\/", "u0000",
               "\u00e9", "\U0001f600"]
    exponents = ["", "e0", "e1", "e-1", "E+2", "e131070", "e131071", "e131072", "e131073", "e131074",
                 "e-16382", "e-16383", "e-16384", "e-16385", "e999999", "e-999999", "e2147483647",
                 "e-2147483649", "e99999999999999999999", "e-99999999999999999999"]
    wholes = ["0", "-0", "1", "9", "10", "123", "9999", "10000"]
    fractions = ["", ".0", ".1", ".00", ".001", ".0001", ".00001", ".12345"]

    def texts(self):
        chance = random.Random(1)
        texts = [f'"{a}{b}"' for a in self.strings for b in self.strings]
        texts += [w + f + e for w in self.wholes for f in self.fractions for e in self.exponents]
        for digits in (16382, 16383, 16384, 131071, 131072, 131073):
            texts += ["9" * digits, "-1" + "0" * (digits - 1), "0." + "0" * (digits - 1) + "1",
                      "0." + "9" * digits, "0." + "1" + "0" * (digits - 1), "1." + "0" * digits,
                      "0." + "0" * digits + "e" + str(digits - 16383)]
        for _ in range(1000):
            a, b, c = ("".join(chance.choices(self.strings, k=3)) for _ in range(3))
            number = chance.choice(self.wholes) + chance.choice(self.exponents)
            texts.append(f'[ {{"{a}" : ["{b}", {number}], "": {{}}}}, null,true , "{c}" ]')
        return texts

    def test_what_is_refused_is_what_the_server_refuses(self):
        postgres = Postgres()
        self.addCleanup(postgres.remove)
        postgres.start()
        postgres.sql("CREATE FUNCTION refuses(t text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN"
                     " PERFORM t::jsonb; RETURN ''; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;"
                     " END $$")
        texts = self.texts()
        path = os.path.join(tempfile.mkdtemp(dir=postgres.dir), "texts")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(t.encode().hex() + "\n" for t in texts)
        os.chmod(os.path.dirname(path), 0o755)
        postgres.sql("CREATE TABLE texts (n int GENERATED ALWAYS AS IDENTITY, t text);"
                     f"COPY texts (t) FROM '{path}'")
        answers = [row[0] for row in postgres.sql(
            "SELECT refuses(convert_from(decode(t, 'hex'), 'UTF8')) FROM texts ORDER BY n")]
        self.assertEqual(set(answers), {"", "22P02", "22P05", "22003"})
        store = Store(os.path.dirname(path), driver="postgresql",
                      postgresql={"conninfo": postgres.conninfo})
        message = ('{"metric":{"name":"m","timestamp":1,"value":1,"value_meta":%s},'
                   '"meta":{"tenantId":"t","region":"r"},"creation_time":1}')
        refused = store.add_bytes([(message % t).encode() for t in texts])
        self.assertEqual(store.close(), 0)
        self.assertEqual(len(answers), len(texts))
        for i, text in enumerate(texts):
            self.assertEqual(i in refused, answers[i] != "",
                             (text[:60], len(text), answers[i], refused.get(i)))
        self.assertEqual({r.split(" ")[0] for r in refused.values()}, {"unstorable"})


PARTITIONED = """
ALTER TABLE monasca.measurements RENAME TO was;
CREATE TABLE monasca.measurements (LIKE monasca.was INCLUDING DEFAULTS,
    PRIMARY KEY (metric_id, time)) PARTITION BY RANGE (time);
DROP TABLE monasca.was CASCADE;
CREATE TABLE monasca.today PARTITION OF monasca.measurements
    FOR VALUES FROM (now() - interval '1 day') TO (now() + interval '1 hour');
"""
HOUR, DAY = 3600 * 1000, 86400 * 1000


def refusing(condition):
    """A constraint that no program can foresee."""
    return f"ALTER TABLE monasca.measurements ADD CONSTRAINT ours CHECK (NOT ({condition}))"


STRANGE_SETTINGS = (
    "bytea_output = escape", "exit_on_error = on", "default_transaction_isolation = serializable",
    "datestyle = 'German, YMD'", "intervalstyle = sql_standard", "timezone = 'Asia/Kathmandu'",
    "standard_conforming_strings = off", "backslash_quote = off", "client_encoding = latin1",
    "search_path = ''", "extra_float_digits = -15", "statement_timeout = 1", "lock_timeout = 1",
    "idle_in_transaction_session_timeout = 1", "row_security = off", "array_nulls = off",
    "session_replication_role = replica", "synchronous_commit = off", "xmlbinary = hex",
    "transform_null_equals = on", "quote_all_identifiers = on", "client_min_messages = debug5",
    "default_transaction_deferrable = on", "escape_string_warning = on", "lc_numeric = 'C.UTF-8'")


class PgBouncer(proc.Server):
    """In transaction pooling, with the connections to the server in turn."""

    def __init__(self, postgres, user):
        super().__init__(tempfile.mkdtemp(dir=postgres.dir), "pgbouncer")
        self.postgres, self.user, self.port = postgres, user, proc.free_ports()
        self.conninfo = f"host=127.0.0.1 port={self.port} user={user} dbname=postgres"

    def start(self):
        os.chmod(self.dir, 0o755)
        config = os.path.join(self.dir, "pgbouncer.ini")
        with open(config, "w", encoding="ascii") as f:
            f.write(f"[databases]\npostgres = host=127.0.0.1 port={self.postgres.port}\n"
                    f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\n"
                    "unix_socket_dir =\npool_mode = transaction\nserver_round_robin = 1\n"
                    f"min_pool_size = 13\nauth_type = trust\nauth_file = {self.dir}/users\n")
        with open(os.path.join(self.dir, "users"), "w", encoding="ascii") as f:
            f.write(f'"{self.user}" ""\n')
        self.spawn(self.postgres.as_user(["pgbouncer", config]))
        proc.wait_until(lambda: self.postgres.run_sql("SELECT 1").returncode == 0
                        and is_open(self.port), 20, "pgbouncer answers")


def is_open(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


@unittest.skipUnless(BIN, "no PostgreSQL server is installed")
class RowsTest(unittest.TestCase):
    """The store alone: which rows are refused, and what is waited for."""

    seconds = 60

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(log_statement="all", max_connections=20)
        cls.addClassCleanup(cls.postgres.remove)
        cls.postgres.start()

    def setUp(self):
        self.sql = self.postgres.sql
        self.sql("DROP SCHEMA IF EXISTS monasca CASCADE")
        self.dir = tempfile.mkdtemp(prefix="persister-rows-")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def store(self, kind="metrics", conninfo="", stderr=None, **options):
        store = Store(self.dir, kind, driver="postgresql", stderr=stderr, postgresql={
            "conninfo": conninfo or self.postgres.conninfo, **options})
        self.addCleanup(self.close, store)
        return store

    def close(self, store):
        self.assertEqual(store.close(), 0)

    def make_tables(self, store):
        self.assertEqual(store.write().status, "done")

    def values(self):
        return {int(row[0]) for row in self.sql("SELECT value FROM monasca.measurements")}

    def add(self, store, *rows, **options):
        """Rows of (value, time or None for its own ms, value_meta)."""
        self.assertEqual(store.add(*(metric(ms=NOW_MS + value if ms is None else ms, value=value,
                                            meta=meta, **options) for value, ms, meta in rows)), {})

    def assert_refused(self, outcome, rows, says=""):
        self.assertEqual(set(outcome.refused), set(rows))
        for why in outcome.refused.values():
            self.assertIn("refused PostgreSQL: ", why)
            self.assertIn(says, why)

    def test_a_missing_partition_is_waited_for(self):
        store = self.store()
        self.make_tables(store)
        self.sql(PARTITIONED)
        self.add(store, *((i, None, None) for i in range(300)))
        self.add(store, (300, NOW_MS + 12 * HOUR, None), (301, 10413792000000, None),
                 (302, NOW_MS + 2 * DAY, None))
        outcome = store.write()
        self.assertEqual(outcome.status, "sick")
        self.assertIn("no partition", outcome.text)
        self.assertIn("(23514)", outcome.text)
        self.assertIn(time.strftime(": of %Y-%m-%d %H:", time.gmtime(NOW_MS // 1000 + 43200)),
                      outcome.text)
        self.assertEqual(outcome.stored, set())
        refused = set(outcome.refused)
        self.assertLessEqual(refused, {301, 302}, "2300 and the day after tomorrow")
        self.assertEqual(self.values(), set())
        self.assertEqual(store.write().status, "sick", "as long as it is not there")
        self.sql("CREATE TABLE monasca.tomorrow PARTITION OF monasca.measurements"
                 " FOR VALUES FROM (now() + interval '1 hour') TO (now() + interval '40 hours')")
        outcome = store.write()
        self.assertEqual(outcome.status, "done")
        self.assertEqual(refused | set(outcome.refused), {301, 302})
        self.assertEqual(outcome.stored, set(range(301)))
        self.assertEqual(self.values(), set(range(301)))

    def test_a_partition_that_retention_dropped_is_not_waited_for(self):
        store = self.store(retention_days=7)
        self.make_tables(store)
        self.sql(PARTITIONED)
        self.add(store, (0, None, None), (1, NOW_MS - 8 * DAY, None), (2, None, None))
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.stored), ("done", {0, 2}))
        self.assert_refused(outcome, {1}, "no partition")
        store.reset()
        self.add(store, (3, NOW_MS - 6 * DAY, None))
        self.assertEqual(store.write().status, "sick")

    def test_what_is_older_than_all_partitions_is_not_waited_for(self):
        """Where there is no retention: nobody will make one for it, and a tenant can send it."""
        store = self.store()
        self.make_tables(store)
        self.sql(PARTITIONED)
        self.sql("CREATE TABLE monasca.before PARTITION OF monasca.measurements"
                 " FOR VALUES FROM (now() - interval '9 days') TO (now() - interval '5 days')")
        self.add(store, (0, None, None), (1, 1000000000000, None), (2, NOW_MS - 10 * DAY, None),
                 (3, NOW_MS - 6 * DAY, None))
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.stored), ("done", {0, 3}))
        self.assert_refused(outcome, {1, 2}, "no partition")
        store.reset()
        self.add(store, (4, NOW_MS - 3 * DAY, None))
        self.assertEqual(store.write().status, "sick", "it is between two")

    def test_what_is_older_than_all_partitions_of_alarms(self):
        store = self.store("alarms")
        self.make_tables(store)
        self.sql("DROP TABLE monasca.alarm_state_history;"
                 " CREATE TABLE monasca.alarm_state_history (time timestamptz(3) NOT NULL,"
                 " tenant_id text, alarm_id text, alarm_definition_id text, alarm_name text,"
                 " alarm_description text, metrics jsonb, new_state text, old_state text,"
                 " severity text, link text, lifecycle_state text, reason text, sub_alarms jsonb)"
                 " PARTITION BY RANGE (time)")
        self.sql("CREATE TABLE monasca.today PARTITION OF monasca.alarm_state_history"
                 " FOR VALUES FROM (now() - interval '1 day') TO (now() + interval '1 hour')")
        with open(os.path.join(CORPUS, "alarm-state-transitions.jsonl"), "rb") as f:
            message = json.loads(f.readline())
        alarms = []
        for ms in (NOW_MS, 1000000000000):
            message["alarm-transitioned"]["timestamp"] = ms
            alarms.append(json.dumps(message).encode())
        self.assertEqual(store.add_bytes(alarms), {})
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.stored), ("done", {0}))
        self.assert_refused(outcome, {1}, "no partition")

    def test_a_missing_partition_of_rows_that_are_there(self):
        """By way of the temporary table no line is named."""
        store = self.store()
        self.make_tables(store)
        self.sql(PARTITIONED)
        for _ in range(2):
            store.reset()
            self.add(store, *((i, None, None) for i in range(100)))
            self.add(store, (100, 10413792000000, None))
            outcome = store.write()
            self.assertEqual((outcome.status, outcome.stored), ("done", set(range(100))))
            self.assert_refused(outcome, {100}, "no partition")
        self.add(store, (101, None, None), (102, NOW_MS + 12 * HOUR, None))
        self.assertEqual(store.write().status, "sick")

    def test_a_constraint_refuses_rows(self):
        store = self.store()
        self.make_tables(store)
        self.sql(refusing("value >= 100 AND value < 110"))
        for _ in range(2):  # then by way of the temporary table
            store.reset()
            self.add(store, *((i, None, None) for i in range(200)))
            outcome = store.write()
            self.assertEqual((outcome.status, len(outcome.stored)), ("done", 190))
            self.assert_refused(outcome, range(100, 110), "ours")
        self.assertEqual(self.values(), set(range(100)) | set(range(110, 200)))

    def test_a_constraint_that_is_deferred_refuses_rows(self):
        store = self.store()
        self.make_tables(store)
        self.sql("CREATE FUNCTION monasca.judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                 " IF NEW.value = 50 THEN RAISE 'not this one'; END IF; RETURN NULL; END $$;"
                 "CREATE CONSTRAINT TRIGGER judge AFTER INSERT ON monasca.measurements DEFERRABLE"
                 " INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION monasca.judge()")
        self.add(store, *((i, None, None) for i in range(100)))
        outcome = store.write()
        self.assertEqual((outcome.status, len(outcome.stored)), ("done", 99))
        self.assert_refused(outcome, {50}, "not this one")

    def test_a_column_that_is_not_filled_is_waited_for(self):
        store = self.store()
        self.make_tables(store)
        self.sql("ALTER TABLE monasca.measurements ADD site text NOT NULL")
        self.add(store, (0, None, None), (1, None, None))
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.refused), ("sick", {}))
        self.assertIn("site", outcome.text)
        self.assertIn("(23502)", outcome.text)
        self.sql("ALTER TABLE monasca.measurements ALTER site SET DEFAULT ''")
        self.assertEqual(store.write().stored, {0, 1})

    def test_a_column_of_another_type_is_waited_for(self):
        store = self.store()
        self.make_tables(store)
        self.sql("DROP VIEW monasca.measurements_named;"
                 " ALTER TABLE monasca.measurements ALTER value TYPE real")
        self.add(store, (0, None, None), (1, None, None))
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.refused), ("sick", {}))
        self.sql("ALTER TABLE monasca.measurements ALTER value TYPE float8")
        self.assertEqual(store.write().stored, {0, 1})

    def test_rows_too_large_for_an_index(self):
        store = self.store()
        self.make_tables(store)
        self.sql("CREATE INDEX ON monasca.measurements ((value_meta->>'a'))")
        chance = random.Random(2)
        long = "".join(chance.choices("0123456789abcdefghijklmnopqrstuvwxyz", k=6000))
        for _ in range(2):
            store.reset()
            self.add(store, *((i, None, {"a": long} if i in (7, 70, 71) else {"a": "b"})
                              for i in range(100)))
            outcome = store.write()
            self.assertEqual((outcome.status, len(outcome.stored)), ("done", 97))
            self.assert_refused(outcome, {7, 70, 71}, "index")

    def test_an_alarm_that_a_rule_of_the_operators_refuses(self):
        store = self.store("alarms")
        self.make_tables(store)
        self.sql("CREATE UNIQUE INDEX ON monasca.alarm_state_history (tenant_id, alarm_id, time)")
        with open(os.path.join(CORPUS, "alarm-state-transitions.jsonl"), "rb") as f:
            alarms = [f.readline().strip() for _ in range(5)]
        self.assertEqual(store.add_bytes(alarms + alarms[2:3]), {})
        outcome = store.write()
        self.assertEqual(outcome.status, "done")
        self.assert_refused(outcome, {5}, "duplicate key")

    def test_what_bad_rows_cost(self):
        """Each second one: COPYs as the server has logged them, within their bound."""
        store = self.store()
        self.make_tables(store)
        self.sql(refusing("value_meta IS NOT NULL"))
        for way in ("named", "not named"):  # straight, then by way of the temporary table
            store.reset()
            with open(self.postgres.log, encoding="utf-8") as f:
                f.seek(0, os.SEEK_END)
                self.add(store, *((i, None, {"a": 1} if i % 2 else None) for i in range(2000)))
                outcome = store.write()
                copies = f.read().count(" statement: SAVEPOINT rows; ")
            self.assertEqual((outcome.status, len(outcome.stored)), ("done", 1000))
            self.assert_refused(outcome, range(1, 2000, 2))
            print(f"{way}: {copies} COPYs, {outcome.took_ms} ms")
            self.assertLessEqual(copies, 1 + 2 * 1000 * (1 + 1))

    def test_many_bad_rows_are_sifted_by_the_server(self):
        """A spell of them costs few requests; nothing else differs, also of rows of one key."""
        store = self.store()
        self.make_tables(store)
        self.sql(refusing("value_meta IS NOT NULL"))
        for _ in range(3):  # straight, by way of the temporary table, in a spell
            store.reset()
            self.add(store, *((i, None, {"a": 1} if i % 2 else None) for i in range(9000)),
                     (9000, NOW_MS - 1, None), (9001, NOW_MS - 1, {"a": 1}),
                     (9002, NOW_MS - 1, {"a": 1}))
            with open(self.postgres.log, encoding="utf-8") as f:
                f.seek(0, os.SEEK_END)
                outcome = store.write()
                copies = len(re.findall(r" statement: .*COPY ", f.read()))
            self.assertEqual((outcome.status, outcome.stored),
                             ("done", set(range(0, 9000, 2)) | {9000}))
            self.assert_refused(outcome, {*range(1, 9000, 2), 9001, 9002}, '"ours"')
            print(f"{copies} COPYs, {outcome.took_ms} ms")
            self.assertLess(copies, 100)

    def sift(self, rule, bad, schema="monasca"):
        """
        Has a table with a rule of the operator's take rows of which each second is bad(i), the
        value_meta of a good one being 0. Returns the outcome and how many transactions and
        subtransactions wrote.
        """
        store = self.store(schema=schema)
        self.make_tables(store)
        self.sql(rule)
        for start in range(0, 3000, 30):  # in series, or bad times would all come last
            self.add(store, *((i, *bad(i)) if i % 2 else (i, None, 0)
                              for i in range(start, start + 30)), name=f"m{start}")
        before = int(self.postgres.value("SELECT pg_current_xact_id()"))
        outcome = store.write()
        used = int(self.postgres.value("SELECT pg_current_xact_id()")) - before
        self.assertEqual(outcome.status, "done", outcome.text)
        print(f"{used} transactions and subtransactions, {outcome.took_ms} ms")
        return outcome, used

    def test_rules_are_applied_to_all_rows_at_once(self):
        """What CHECK, NOT NULL and partitions refuse costs no INSERT of its own."""
        cases = (
            ("check", refusing("value_meta = '1'"), lambda i: (None, 1), '"ours"'),
            ("the first of two checks", refusing("value_meta = '1'") +
             ", ADD CONSTRAINT \"a %s @\" CHECK (value_meta <> '1')", lambda i: (None, 1),
             'check constraint "a %s @"'),
            ("a stable function", refusing("time > now() + interval '10 days'"),
             lambda i: (NOW_MS + 20 * DAY + i, 0), '"ours"'),
            ("not null", "ALTER TABLE monasca.measurements ALTER value_meta SET NOT NULL",
             lambda i: (None, None), 'null value in column "value_meta"'),
            ("partitions", PARTITIONED + "CREATE TABLE monasca.adjoining PARTITION OF"
             " monasca.measurements FOR VALUES FROM (now() + interval '1 hour') TO ('2299-01-01');"
             "CREATE TABLE monasca.later PARTITION OF monasca.measurements"
             " FOR VALUES FROM ('2300-01-03') TO (MAXVALUE)",
             lambda i: (10413792000000 + i, 0), "no partition"),
            ("check of a partitioned table", PARTITIONED + refusing("value_meta = '1'"),
             lambda i: (None, 1), '"ours"'))
        for name, rule, bad, says in cases:
            with self.subTest(name):
                self.sql("DROP SCHEMA IF EXISTS monasca CASCADE")
                outcome, used = self.sift(rule, bad)
                self.assertEqual(outcome.stored, set(range(0, 3000, 2)))
                self.assert_refused(outcome, range(1, 3000, 2), says)
                self.assertEqual(self.values(), set(range(0, 3000, 2)))
                self.assertLess(used, 300)

    def test_rules_in_a_schema_of_any_name(self):
        name = "it's \"ours\""
        quoted = '"' + name.replace('"', '""') + '"'
        self.addCleanup(self.sql, f"DROP SCHEMA IF EXISTS {quoted} CASCADE")
        outcome, used = self.sift(refusing("value_meta = '1'").replace("monasca", quoted),
                                  lambda i: (None, 1), name)
        self.assertEqual(len(outcome.stored), 1500)
        self.assert_refused(outcome, range(1, 3000, 2), '"ours"')
        self.assertLess(used, 300)

    def test_what_rules_do_not_tell(self):
        """Where a row is changed first, or a rule cannot be evaluated, its own INSERT decides."""
        function = ("CREATE FUNCTION monasca.judge({}) RETURNS {} LANGUAGE plpgsql AS"
                    " $$ BEGIN {} END $$;")
        trigger = ("CREATE TRIGGER judge {} INSERT ON monasca.measurements FOR EACH ROW"
                   " EXECUTE FUNCTION monasca.judge();")
        third = lambda i: (None, 1 if i % 3 else 2)  # noqa: E731
        mended = function.format("", "trigger", "IF NEW.value_meta = '2' THEN NEW.value_meta = '0';"
                                 " END IF; RETURN NEW;") + trigger.format("BEFORE")
        cases = (
            ("mended by a trigger", mended + refusing("value_meta <> '0'"), third,
             lambda i: i % 3 and '"ours"'),
            ("mended by a partition's trigger", PARTITIONED +
             mended.replace("ON monasca.measurements", "ON monasca.today") +
             refusing("value_meta <> '0'"), third, lambda i: i % 3 and '"ours"'),
            ("a trigger besides", function.format("", "trigger", "IF NEW.value_meta = '2' THEN"
             " RAISE 'not this one'; END IF; RETURN NULL;") + trigger.format("AFTER") +
             refusing("value_meta = '1'"), third, lambda i: '"ours"' if i % 3 else "not this one"),
            ("volatile", "CREATE TABLE monasca.calls (n int);" +
             function.format("jsonb", "bool", "INSERT INTO monasca.calls VALUES (1);"
                             " RETURN $1 = '0';") +
             refusing("NOT monasca.judge(value_meta)"), third, lambda i: '"ours"'),
            ("errors", refusing("(value_meta #>> '{}')::int > 0"),
             lambda i: (None, 1 if i % 3 else "x"), lambda i: '"ours"' if i % 3 else "integer"),
            ("a column that is not sent", "ALTER TABLE monasca.measurements ADD n int DEFAULT 7,"
             " ADD CONSTRAINT ours CHECK (n = 7 AND value_meta = '0')", third,
             lambda i: '"ours"'),
            ("times that are not ISO", PARTITIONED +
             "ALTER DATABASE postgres SET datestyle = 'German'",
             lambda i: (10413792000000 + i, 0), lambda i: "no partition"))
        self.addCleanup(self.sql, "ALTER DATABASE postgres RESET datestyle")
        for name, rule, bad, why in cases:
            with self.subTest(name):
                self.sql("DROP SCHEMA IF EXISTS monasca CASCADE")
                outcome, _ = self.sift(rule, bad)
                refused = {i: why(i) for i in range(1, 3000, 2) if why(i)}
                self.assert_refused(outcome, refused)
                for i, says in refused.items():
                    self.assertIn(says, outcome.refused[i])
                self.assertEqual(outcome.stored, set(range(3000)) - set(refused))
                self.assertEqual(self.values(), outcome.stored)
                if name == "volatile":  # no more calls than INSERTs
                    calls = self.postgres.value("SELECT count(*) FROM monasca.calls")
                    self.assertEqual(calls, "1500")

    def test_sifting_waits_for_the_tables_trouble(self):
        store = self.store()
        self.make_tables(store)
        self.sql(PARTITIONED)
        rows = [(i, NOW_MS - 1000 * DAY - i, None) for i in range(300)]
        self.add(store, *rows[:200], (200, NOW_MS + 2 * HOUR, None), *rows[201:])
        outcome = store.write()
        self.assertEqual(outcome.status, "sick")
        self.assertIn("no partition", outcome.text)
        self.sql("CREATE TABLE monasca.tomorrow PARTITION OF monasca.measurements"
                 " FOR VALUES FROM (now() + interval '1 hour') TO (now() + interval '2 days')")
        again = store.write()
        self.assertEqual((again.status, again.stored), ("done", {200}))

    def test_many_bad_alarms_are_sifted(self):
        store = self.store("alarms")
        self.make_tables(store)
        self.sql("ALTER TABLE monasca.alarm_state_history ADD CONSTRAINT ours"
                 " CHECK (reason NOT LIKE 'bad%')")
        with open(os.path.join(CORPUS, "alarm-state-transitions.jsonl"), encoding="utf-8") as f:
            alarm = json.loads(f.readline())
        alarms = []
        for i in range(1000):
            alarm["alarm-transitioned"]["stateChangeReason"] = f"{'bad' if i % 3 else 'good'} {i}"
            alarms.append(json.dumps(alarm).encode())
        self.assertEqual(store.add_bytes(alarms), {})
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.stored), ("done", set(range(0, 1000, 3))))
        self.assertEqual(self.sql("SELECT count(*), count(DISTINCT reason) FROM"
                                  " monasca.alarm_state_history WHERE reason LIKE 'good%'"),
                         [["334", "334"]])

    def test_without_the_right_to_sift(self):
        """The batch is tried once more, without."""
        self.make_tables(self.store())
        self.sql(refusing("value_meta IS NOT NULL"))
        self.sql("REVOKE TEMPORARY ON DATABASE postgres FROM public; CREATE ROLE sifts LOGIN;"
                 "GRANT USAGE ON SCHEMA monasca TO sifts;"
                 "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA monasca TO sifts;"
                 "GRANT USAGE ON ALL SEQUENCES IN SCHEMA monasca TO sifts")
        self.addCleanup(self.sql, "GRANT TEMPORARY ON DATABASE postgres TO public;"
                        "DROP OWNED BY sifts; DROP ROLE sifts")
        store = self.store(conninfo=self.postgres.conninfo.replace("user=postgres",
                                                                 "user=sifts"))
        for tries in (2, 1):
            store.reset()
            now = NOW_MS - tries * HOUR
            self.add(store, *((i, now + i, {"a": 1} if i % 2 else None) for i in range(200)))
            for _ in range(tries - 1):
                outcome = store.write()
                self.assertEqual(outcome.status, "sick")
                self.assertIn("cannot have the rows sifted", outcome.text)
                self.assertIn("temporary", outcome.text)
            outcome = store.write()
            self.assertEqual((outcome.status, len(outcome.stored)), ("done", 100))

    def test_what_bad_rows_cost_on_the_wire(self):
        """A whole batch with bad ones anywhere: rows and COPYs as they pass by."""
        n, chance = 20000, random.Random(7)
        bad = set(chance.sample(range(n), 20))
        with Relay(self.postgres.port) as relay:
            store = self.store(conninfo=self.postgres.conninfo.replace(
                f"port={self.postgres.port}", f"port={relay.port} sslmode=disable"
                " gssencmode=disable"))
            self.make_tables(store)
            self.sql(refusing("value_meta->>'a' = '1'"))
            for way, columns in (("named", 4), ("both", 0), ("not named", 5)):
                store.reset()
                self.add(store, *((i, None, {"a": int(i in bad)}) for i in range(n)))
                relay.passed.clear()
                outcome = store.write()
                self.assertEqual((outcome.status, len(outcome.stored)), ("done", n - len(bad)))
                self.assert_refused(outcome, bad, "ours")
                if way == "both":  # until it is known that rows are there already
                    continue
                copies, size = count_copies(bytes(relay.passed))
                row = 2 + 12 * (columns - 1) + 4 + 1 + len('{"a":1}')
                rows = (size - 21 * copies) / row
                print(f"{way}: {rows:.0f} rows, {copies} COPYs, {outcome.took_ms} ms")
                self.assertGreaterEqual(rows, n)
                self.assertLessEqual(rows, n * (3 + 5))
                self.assertLessEqual(copies, 1 + 2 * len(bad) * (1 + 10))

    def test_an_uncovered_row_is_stored(self):
        """Of rows with one key the last that the database takes."""
        store = self.store()
        self.make_tables(store)
        self.sql(refusing("value >= 2"))
        self.add(store, *((i, NOW_MS, None) for i in range(6)), (0, NOW_MS + 1, None))
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.stored), ("done", {0, 1, 6}))
        self.assert_refused(outcome, {2, 3, 4, 5})
        self.assertEqual(self.values(), {0, 1})

    def test_an_id_that_is_another_series_by_now(self):
        """A series is meant by its key, whatever was done to the ids."""
        named = ("SELECT tenant_id, value::int FROM monasca.measurements_named ORDER BY 1, 2")
        one, other = self.store(), self.store()
        self.add(one, *((i, None, None) for i in range(3)), tenant="one", host="a")
        self.assertEqual(one.write().status, "done")
        one.reset()
        self.sql("TRUNCATE monasca.metrics, monasca.measurements RESTART IDENTITY")
        self.add(other, (10, None, None), tenant="other", host="b")
        self.assertEqual(other.write().status, "done")
        self.add(one, (3, None, None), tenant="one", host="a")
        self.assertEqual(one.write().status, "fenced", "to be read again")
        one.reset()
        self.add(one, (3, None, None), tenant="one", host="a")
        self.assertEqual(one.write().status, "done")
        self.assertEqual(self.sql(named), [["one", "3"], ["other", "10"]])

    def wait_event(self, kind, query):
        proc.wait_until(lambda: self.sql(
            f"SELECT 1 FROM pg_stat_activity WHERE wait_event_type = '{kind}'"
            f" AND query LIKE '%{query}%' AND pid <> pg_backend_pid()"), 20, query)

    def psql(self, text):
        session = subprocess.Popen([BIN + "/psql", "-XAtq", "-d", self.postgres.conninfo, "-c",
                                    text], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(session.wait)
        self.addCleanup(session.kill)
        return session

    def test_writers_do_not_overtake_a_deletion(self):
        """Else a few of them, who share the row, would keep it waiting for ever."""
        store = self.store()
        self.make_tables(store)
        hold = "SELECT generation FROM monasca.series_generation FOR SHARE"
        self.psql(f"BEGIN; {hold}; SELECT pg_sleep(600)")
        self.wait_event("Timeout", "pg_sleep(600)")
        deletion = self.psql("DELETE FROM monasca.metrics")
        self.wait_event("Lock", "DELETE FROM monasca.metrics")
        late = self.postgres.run_sql(f"SET lock_timeout = '300ms'; {hold}")
        self.assertIn("lock timeout", late.stderr)
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                 " WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()")
        self.assertEqual(deletion.wait(), 0)
        self.sql(hold)

    def test_a_table_that_an_administrator_has_put_in_the_place_of_ours(self):
        """What a former program's tables get later need not be done to it."""
        self.sql("DROP ROLE IF EXISTS owner; CREATE ROLE owner LOGIN;"
                 " GRANT CREATE, TEMPORARY ON DATABASE postgres TO owner")
        conninfo = self.postgres.conninfo.replace("user=postgres", "user=owner")
        self.make_tables(self.store(conninfo=conninfo))
        self.sql("DROP TABLE monasca.series_generation;"
                 " DROP FUNCTION monasca.series_raise_generation, monasca.series_keep_used CASCADE;"
                 " ALTER TABLE monasca.kafka_offsets DROP last_ms, DROP last_ms_of;"
                 " ALTER TABLE monasca.alarm_state_history OWNER TO postgres;"
                 " GRANT INSERT ON monasca.alarm_state_history TO owner")
        store = self.store(conninfo=conninfo)
        self.add(store, (1, None, None))
        self.assertEqual(store.write().status, "done")
        self.assertEqual(self.sql("SELECT generation FROM monasca.series_generation"), [["1"]])
        self.sql("DROP SCHEMA monasca CASCADE; DROP OWNED BY owner; DROP ROLE owner")

    def test_a_sequence_that_is_behind(self):
        """As on a replica that has taken over: new series are as good as they were."""
        store = self.store()
        self.add(store, *((i, None, None) for i in range(3000)), host="a")
        for i in range(300):
            self.assertEqual(store.add(metric(value=i, host=f"h{i}")), {})
        self.assertEqual(store.write().status, "done")
        self.sql("ALTER SEQUENCE monasca.metrics_id_seq RESTART")
        stores = [store, self.store()]
        for number, each in enumerate(stores):
            each.reset()
            for i in range(1500):
                self.assertEqual(each.add(metric(value=i, host=f"new{i}", of=str(number))), {})
            each.begin_write()
        for each in stores:
            outcome = each.end_write()
            while outcome.status == "sick":
                outcome = each.write()
            self.assertEqual((outcome.status, outcome.refused), ("done", {}))
            self.assertEqual(len(outcome.stored), 1500)
        self.assertEqual(self.sql("SELECT count(*), max(id) >= 3301 FROM monasca.metrics"),
                         [["3301", "t"]])

    def test_a_sequence_at_its_end(self):
        store = self.store()
        self.add(store, (0, None, None), host="a")
        self.add(store, (1, None, None), host="b")
        self.assertEqual(store.write().status, "done")
        self.sql("ALTER SEQUENCE monasca.metrics_id_seq MAXVALUE 2")
        store.reset()
        self.add(store, (2, None, None), host="c")
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.refused), ("sick", {}))
        self.assertIn("reached maximum value of sequence", outcome.text)

    def test_what_the_role_needs(self):
        """As monasca-persister(8) says; TEMPORARY only once rows come that are there already."""
        self.make_tables(self.store())
        self.sql("REVOKE TEMPORARY ON DATABASE postgres FROM public; CREATE ROLE least LOGIN;"
                 "GRANT USAGE ON SCHEMA monasca TO least;"
                 "GRANT SELECT ON monasca.schema_version TO least;"
                 "GRANT SELECT, INSERT ON monasca.metrics TO least;"
                 "GRANT SELECT, UPDATE ON monasca.series_generation TO least;"
                 "GRANT SELECT, INSERT, UPDATE ON monasca.measurements, monasca.kafka_offsets TO"
                 " least; GRANT INSERT ON monasca.alarm_state_history TO least")
        self.addCleanup(self.sql, "DROP OWNED BY least; DROP ROLE least;"
                                  "GRANT TEMPORARY ON DATABASE postgres TO public")
        conninfo = self.postgres.conninfo.replace("user=postgres", "user=least")
        store, alarms = self.store(conninfo=conninfo), self.store("alarms", conninfo=conninfo)
        with open(os.path.join(CORPUS, "alarm-state-transitions.jsonl"), "rb") as f:
            self.assertEqual(alarms.add_bytes([f.readline().strip()]), {})
        self.assertEqual(alarms.write().stored, {0})
        self.add(store, (0, None, None), (1, None, None))
        self.assertEqual(store.write().stored, {0, 1})
        store.reset()
        self.add(store, (1, None, None), (2, None, None))
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.refused), ("sick", {}))
        self.assertIn("cannot make the temporary table", outcome.text)
        self.assertIn("(42501)", outcome.text)
        self.sql("GRANT TEMPORARY ON DATABASE postgres TO least")
        self.assertEqual(store.write().stored, {0, 1})
        self.assertEqual(self.values(), {0, 1, 2})

    def test_settings_of_the_role(self):
        """Whatever ALTER ROLE sets: all is stored, in the same form, conflicts and bad rows too."""
        self.make_tables(self.store())
        self.sql("CREATE ROLE strange SUPERUSER LOGIN;" + "".join(
            f"ALTER ROLE strange SET {setting};" for setting in STRANGE_SETTINGS))
        self.addCleanup(self.sql, "DROP OWNED BY strange; DROP ROLE strange")
        store = self.store(conninfo=self.postgres.conninfo.replace("user=postgres", "user=strange"))
        self.sql(refusing("value = 50"))

        def connected():  # on a busy machine the role's 1 ms may be over before our settings count
            outcome = store.write()
            return "cannot connect" not in outcome.text and outcome

        for _ in range(2):
            store.reset()
            self.add(store, *((i, None, {"a": "\\'\\\\é"}) for i in range(100)),
                     (100, NOW_MS, None))
            outcome = proc.wait_until(connected, 60, "it is connected")
            self.assertEqual((outcome.status, outcome.text, len(outcome.stored)), ("done", "", 100))
            self.assert_refused(outcome, {50}, "ours")
        self.assertEqual(self.values(), set(range(1, 101)) - {50})
        self.assertEqual(self.sql(f"SELECT count(*) FROM monasca.measurements WHERE time ="
                                  f" to_timestamp({NOW_MS + 70} / 1000.0) AND value = 70"
                                  " AND value_meta->>'a' = E'\\\\''\\\\\\\\é'"), [["1"]])

    def test_behind_a_pooler(self):
        """Each transaction is on another connection, none of which has this program's settings."""
        if shutil.which("pgbouncer") is None:
            self.skipTest("no pgbouncer")
        self.make_tables(self.store())
        self.sql("CREATE ROLE pooled SUPERUSER LOGIN; ALTER ROLE pooled SET bytea_output = escape")
        bouncer = PgBouncer(self.postgres, "pooled")
        self.addCleanup(self.sql, "DROP OWNED BY pooled; DROP ROLE pooled")
        self.addCleanup(bouncer.stop)
        bouncer.start()
        log = tempfile.TemporaryFile()
        self.addCleanup(log.close)
        store = self.store(conninfo=bouncer.conninfo, stderr=log)
        self.make_tables(store)
        proc.wait_until(lambda: int(self.sql("SELECT count(*) FROM pg_stat_activity"
                                             " WHERE usename = 'pooled'")[0][0]) >= 13,
                        60, "there are several connections to choose from")
        for i in range(8):  # each but the first has rows that are there already
            store.reset()
            self.add(store, *((row, None, None) for row in range(i, i + 20)),
                     name=f"pooled.{i // 2}")
            outcome = store.write()
            self.assertEqual((outcome.status, outcome.text), ("done", ""))
            self.assertEqual(outcome.stored, set(range(20)))
        self.assertEqual(self.sql("SELECT count(*) FROM monasca.measurements"), [["84"]])
        log.seek(0)
        self.assertNotIn(b"PostgreSQL says", log.read(), "that the temporary table is there")

    def add_and_write(self, store, row):
        store.reset()
        self.add(store, (row, None, None))
        return store.write()

    def test_a_connection_that_was_cut_while_idle(self):
        """Nobody hears of it, whether it was noticed before the write or not."""
        store = self.store()
        self.make_tables(store)
        cut = ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
               " WHERE application_name = 'monasca-persister'")
        for i in range(3):
            self.assertEqual(self.sql(cut), [["t"]])
            proc.wait_until(lambda: self.sql("SELECT count(*) FROM pg_stat_activity WHERE"
                                             " application_name = 'monasca-persister'") == [["0"]],
                            60, "it is cut")
            outcome = self.add_and_write(store, i)
            self.assertEqual((outcome.status, outcome.stored), ("done", {0}))

    def test_a_connection_that_was_lost_without_a_word(self):
        """As by a firewall that forgot it: what is sent is answered with a reset."""
        with Relay(self.postgres.port) as relay:
            store = self.store(conninfo=self.postgres.conninfo.replace(
                f"port={self.postgres.port}", f"port={relay.port}"))
            self.make_tables(store)
            relay.forget()
            time.sleep(1.1)  # what was answered a moment ago is not asked again
            outcome = self.add_and_write(store, 1)
            self.assertEqual((outcome.status, outcome.stored), ("done", {0}))
            self.assertEqual(relay.connections, 2)

    def test_not_encrypted_with_a_password(self):
        """Said once, and not where the server is on this machine's loopback."""
        host = own_address()
        if host is None:
            self.skipTest("no address but the loopback's")
        postgres = Postgres(listen_addresses="*")
        self.addCleanup(postgres.remove)
        postgres.start()
        postgres.sql("CREATE ROLE known SUPERUSER LOGIN PASSWORD 'secret'")
        with open(os.path.join(postgres.data, "pg_hba.conf"), "r+", encoding="utf-8") as f:
            rules = f.read()
            f.seek(0)
            f.write("host all known all password\n" + rules)
        postgres.sql("SELECT pg_reload_conf()")
        conninfo = postgres.conninfo.replace("user=postgres", "user=known password=secret")
        for address, times in ((host, 1), ("127.0.0.1", 0)):
            with tempfile.TemporaryFile() as log:
                store = self.store(conninfo=conninfo.replace("127.0.0.1", address), stderr=log)
                for _ in range(2):
                    self.assertEqual(store.write().status, "done")
                    postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                 " WHERE usename = 'known'")
                    time.sleep(1.1)
                log.seek(0)
                said = log.read().decode()
            self.assertEqual(said.count("is not encrypted"), times, said)
            self.assertNotIn("secret", said)


def own_address():
    """An address of this machine that is not the loopback's; None if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            return s.getsockname()[0]
        except OSError:
            return None


class Relay:
    """A TCP relay to a port of this machine that may forget its connections."""

    def __init__(self, port):
        self.to, self.open, self.connections = port, [], 0
        self.passed = bytearray()  # from the clients
        self.server = FakeServer(self.serve)
        self.port = self.server.port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()

    def serve(self, connection):
        self.connections += 1
        with socket.create_connection(("127.0.0.1", self.to)) as there:
            self.open.append(there)
            threading.Thread(target=self.back, args=(there, connection), daemon=True).start()
            while data := connection.recv(65536):
                self.passed += data
                if there in self.open:
                    there.sendall(data)
                else:  # with a reset
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                          struct.pack("ii", 1, 0))
                    return

    def back(self, there, connection):
        try:
            while data := there.recv(65536):
                connection.sendall(data)
        except OSError:
            pass

    def forget(self):
        self.open.clear()


def count_copies(data):
    """Of what a client sent, which begins with a message: COPYs, and bytes of their rows."""
    at, copies, size = 0, 0, 0
    while at < len(data):
        length = struct.unpack_from(">I", data, at + 1)[0]
        if data[at:at + 1] == b"d":
            size += length - 4
        elif data[at:at + 1] == b"c":
            copies += 1
        at += 1 + length
    return copies, size


def pg_message(kind, body=b""):
    return kind + struct.pack(">I", len(body) + 4) + body


READY = pg_message(b"Z", b"I")
COLUMN = pg_message(b"T", struct.pack(">H", 1) + b"x\0" + struct.pack(">IHIhIH", 0, 0, 25, -1, 0, 0))


def strange_server(answer):
    """For FakeServer: a PostgreSQL that lets everybody in and gives such answers to SHOW."""
    def take(connection, n):
        data = b""
        while len(data) < n:
            more = connection.recv(n - len(data))
            if not more:
                raise OSError("gone")
            data += more
        return data

    def serve(connection):
        body = b""
        while body[:4] != struct.pack(">I", 196608):
            body = take(connection, struct.unpack(">I", take(connection, 4))[0] - 4)
            if body[:4] != struct.pack(">I", 196608):
                connection.sendall(b"N")
        connection.sendall(pg_message(b"R", struct.pack(">I", 0)) + READY)
        while True:
            kind = take(connection, 1)
            body = take(connection, struct.unpack(">I", take(connection, 4))[0] - 4)
            if kind == b"Q" and body.startswith(b"SHOW"):
                answer(connection)
            elif kind == b"Q":
                connection.sendall(pg_message(b"C", b"SET\0") + READY)
    return serve


class StrangeServerTest(unittest.TestCase):
    """What a server answers is its own affair: no answer harms the worker."""

    seconds = 10

    def ask(self, answer, give_up_ms=20000):
        server = FakeServer(strange_server(answer))
        self.addCleanup(server.close)
        directory = tempfile.mkdtemp(prefix="persister-strange-")
        self.addCleanup(shutil.rmtree, directory, True)
        store = Store(directory, driver="postgresql", postgresql={
            "conninfo": f"host=127.0.0.1 port={server.port} user=x dbname=x"})
        outcome = store.write(give_up_ms)
        with open(f"/proc/{store.process.pid}/status", encoding="ascii") as f:
            peak_kb = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
        self.assertEqual(store.close(), 0)
        self.assertEqual(outcome.status, "sick", outcome.text)
        return outcome.text, peak_kb

    def test_nothing(self):
        text, _ = self.ask(lambda c: c.sendall(pg_message(b"C", b"SHOW\0") + READY))
        self.assertIn("encoding", text)

    def test_no_row_and_no_column(self):
        for columns in (COLUMN, pg_message(b"T", struct.pack(">H", 0))):
            row = pg_message(b"D", struct.pack(">H", 0)) if columns != COLUMN else b""
            text, _ = self.ask(lambda c, a=columns + row: c.sendall(
                a + pg_message(b"C", b"SHOW\0") + READY))
            self.assertIn("encoding", text)

    def test_rows_without_end(self):
        row = pg_message(b"D", struct.pack(">HI", 1, 10) + b"0123456789")

        def answer(connection):
            connection.sendall(COLUMN)
            for _ in range(300 * 1000):  # 300 MB
                connection.sendall(row * 48)
        text, peak_kb = self.ask(answer)
        self.assertIn("too large", text)
        self.assertLess(peak_kb, 150 * 1024)

    def test_many_notices(self):
        """They are not kept, so their number is no trouble."""
        notice = pg_message(b"N", b"SNOTICE\0Mnotice of nobody's\0\0")

        def answer(connection):
            for _ in range(200):  # 14 MB
                connection.sendall(notice * 2000)
            connection.sendall(pg_message(b"C", b"SHOW\0") + READY)
        text, peak_kb = self.ask(answer)
        self.assertIn("encoding", text)
        self.assertLess(peak_kb, 150 * 1024)

    def test_a_copy_that_nobody_asked_for(self):
        for kind in (b"H", b"W", b"G"):
            self.ask(lambda c, k=kind: c.sendall(pg_message(k, struct.pack(">bH", 0, 0)) + READY))


@unittest.skipUnless(BIN and os.path.exists(BIN + "/pg_resetwal"), "no pg_resetwal")
class NoTransactionIdsTest(unittest.TestCase):
    """A server that takes nobody's rows, with an SQLSTATE that else is a row's fault."""

    seconds = 20

    def wear_out(self, server):
        """Leaves it a few ids; nobody vacuums."""
        oldest = int(server.value("SELECT min(datfrozenxid::text::bigint) FROM pg_database"))
        server.signal(signal.SIGINT)
        server.process.wait(30)
        xid = oldest + 2**31 - 1 - 3000000 - 40
        segment = os.path.join(server.data, "pg_xact", f"{xid >> 20:04X}")
        with open(segment, "wb") as f:
            f.write(bytes(262144))
        if os.getuid() == 0:
            shutil.chown(segment, "postgres", "postgres")
        subprocess.run(server.as_user([BIN + "/pg_resetwal", "-x", str(xid), "-D", server.data]),
                       check=True, stdout=subprocess.DEVNULL)
        server.options["autovacuum_naptime"] = "2000000"
        server.start()
        while server.run_sql("SELECT txid_current()").returncode == 0:
            pass

    def test_new_series_are_no_letters(self):
        server = Postgres()
        self.addCleanup(server.remove)
        server.start()
        directory = tempfile.mkdtemp(prefix="persister-rows-")
        self.addCleanup(shutil.rmtree, directory, True)
        store = Store(directory, driver="postgresql", postgresql={"conninfo": server.conninfo})
        self.addCleanup(store.close)
        store.add(metric(host="old"))
        self.assertEqual(store.write().status, "done")
        store.reset()
        self.wear_out(server)
        store.add(metric(ms=NOW_MS + 1, host="old"), metric(host="new"))
        outcome = store.write()
        while "connect" in outcome.text:
            outcome = store.write()
        self.assertIn("(54000)", outcome.text)
        self.assertEqual((outcome.status, outcome.stored, outcome.refused), ("sick", set(), {}))


class ChaosTest(PostgresScenario):
    """Everybody is killed and stopped at random, several times, while the load runs."""

    messages = int(os.environ.get("PERSISTER_TEST_CHAOS_MESSAGES", "200000"))
    rate = 5000
    seconds = 30 + 2 * messages // rate

    def instance(self, name):
        # Two workers each; the fixture's defaults for the rest.
        return self.pg_persister(name, kafka_metrics={"batch_size": 3000},
                                 persister={"hang_timeout_seconds": 15})

    @staticmethod
    def choose_worker(p):
        return random.choice(proc.wait_until(p.workers, 60, "there is a worker"))

    def pause_worker(self, p):
        victim = self.choose_worker(p)
        os.kill(victim, signal.SIGSTOP)
        # Beyond the session's timeout: its partitions go to somebody else meanwhile.
        threading.Timer(11, self.resume, [victim]).start()

    @staticmethod
    def resume(pid):
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def kill_worker(self, p):
        os.kill(self.choose_worker(p), signal.SIGKILL)

    @staticmethod
    def kill_master(p):
        p.kill()
        time.sleep(0.5)
        p.start(wait=False)

    def crash_broker(self, _):
        self.broker.kill()
        time.sleep(1)
        self.broker.start()

    def crash_database(self, _):
        self.postgres.crash()
        time.sleep(1)
        self.postgres.start()

    def test_exactly_once(self):
        seed = int(os.environ.get("PERSISTER_TEST_SEED", time.time_ns() % 10**9))
        print(f"PERSISTER_TEST_SEED={seed}")
        random.seed(seed)
        self.own_postgres()
        self.own_broker()
        instances = [self.instance("a")]
        self.wait_tables()
        self.postgres.sql(AUDIT)
        instances.append(self.instance("b"))
        feed = self.feeding(10**9, rate=self.rate, bad=1)
        deeds = [self.kill_worker, self.pause_worker, self.kill_master, self.crash_broker,
                 self.crash_database]
        end = time.monotonic() + self.messages / self.rate - 5
        done = []
        # Each has its turn before any has a second one; on a busy machine a round may take longer.
        while len(done) < len(deeds) or time.monotonic() < end:
            for deed in random.sample(deeds, len(deeds)):
                if len(done) >= len(deeds) and time.monotonic() >= end:
                    break
                time.sleep(random.uniform(1, 3))
                deed(random.choice(instances))
                done.append(deed.__name__)
        feed.process.send_signal(signal.SIGTERM)
        messages = feed.wait(180)["delivered"]
        self.assertEqual(set(done), {deed.__name__ for deed in deeds})
        self.wait_drained(120)
        self.stop()
        self.assert_exactly_once(messages, bad=1)
        places = {(d["partition"], d["offset"]) for d in self.dead_letters()}
        self.assertEqual(len(places), sum(is_bad(i, 1) for i in range(messages)))
        print("deeds:", done)


class WarningTest(PostgresScenario):
    def test_what_the_server_says_goes_to_the_log_alone(self):
        self.own_postgres()
        self.use_shared_broker()
        p = self.audited()
        self.postgres.sql("CREATE FUNCTION monasca.warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                          " RAISE WARNING E'seen \\u009b31m %', NEW.value; RETURN NEW; END $$;"
                          "CREATE TRIGGER warn BEFORE INSERT ON monasca.measurements FOR EACH ROW"
                          " EXECUTE FUNCTION monasca.warn()")
        self.feed(500)
        self.assert_all_well(500)
        self.assertTrue(p.lines("PostgreSQL says: WARNING:  seen ?31m "))
        self.assertLessEqual(len(p.lines("PostgreSQL says: ")), 20, "ten a minute of each worker")
        self.assertEqual(p.lines("seen", p.stderr), [])


class TroubleTest(PostgresScenario):
    """The world's trouble is waited out with the batch in hand; nothing goes to the dead letters."""

    seconds = 60

    def run_with_trouble(self, begin, end, says, seconds=4, flowing=True, **persister):
        """flowing: whether it begins when messages are stored already."""
        self.use_shared_broker()
        p = self.audited(**persister)
        if not flowing:
            begin()
        feed = self.feeding(10**9, rate=1500)
        if flowing:
            self.wait_flowing(p)
            begin()
        p.wait_log(says)
        time.sleep(seconds)  # so long it lasts
        end()
        feed.process.send_signal(signal.SIGTERM)
        self.assert_all_well(feed.wait()["delivered"], seconds=90)
        self.assertEqual([s["restarts"] for s in p.processes().values()], [0, 0])

    def test_read_only_after_failover(self):
        self.own_postgres()
        db = self.postgres

        def begin():
            db.sql("ALTER SYSTEM SET default_transaction_read_only = on")
            db.sql("SELECT pg_reload_conf()")

        def end():
            db.sql("ALTER SYSTEM RESET default_transaction_read_only")
            db.sql("SELECT pg_reload_conf()")

        self.run_with_trouble(begin, end, "25006")

    def test_crash_and_return(self):
        self.own_postgres()
        self.run_with_trouble(self.postgres.crash, self.postgres.start, "waiting with")

    def test_stopped_server(self):
        self.own_postgres()
        self.run_with_trouble(lambda: self.postgres.signal_all(signal.SIGSTOP),
                              lambda: self.postgres.signal_all(signal.SIGCONT), "metrics", 8)

    def test_disk_full(self):
        if os.geteuid() != 0:
            self.skipTest("only root can mount a tmpfs")
        self.own_postgres()
        small = os.path.join(self.postgres.dir, "small")
        os.mkdir(small)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k,mode=777", "tmpfs", small],
                              capture_output=True, check=False)
        if done.returncode != 0:
            self.skipTest("cannot mount a tmpfs: " + done.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", small], check=False)
        os.mkdir(small + "/space")
        shutil.chown(small + "/space", "postgres", "postgres")
        self.postgres.sql(f"CREATE TABLESPACE small LOCATION '{small}/space'")

        def begin():
            # The table is empty yet; what comes fills the rest.
            self.postgres.sql("ALTER TABLE monasca.measurements SET TABLESPACE small")

        def end():
            subprocess.run(["mount", "-o", "remount,size=200m", small], check=True)

        self.run_with_trouble(begin, end, "(53100)", flowing=False)

    def test_connection_limit(self):
        self.own_postgres()
        db = self.postgres
        db.sql("CREATE ROLE few LOGIN CONNECTION LIMIT 10; GRANT ALL ON DATABASE postgres TO few;"
               "GRANT pg_write_all_data, pg_read_all_data TO few")

        def begin():
            db.sql("ALTER ROLE few CONNECTION LIMIT 0")
            db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'few'")

        self.run_with_trouble(begin, lambda: db.sql("ALTER ROLE few CONNECTION LIMIT 10"),
                              "too many connections",
                              conninfo=db.conninfo.replace("user=postgres", "user=few"))

    def test_lock_held_by_somebody(self):
        self.own_postgres()
        holder = self.postgres.session()
        self.addCleanup(holder.communicate)

        def begin():
            holder.stdin.write("BEGIN; LOCK TABLE monasca.measurements IN EXCLUSIVE MODE;\n"
                               "\\echo locked\n")
            holder.stdin.flush()
            self.assertEqual(holder.stdout.readline(), "locked\n")

        self.run_with_trouble(begin, holder.communicate, "55P03", 1)

    def test_password_changed(self):
        self.own_postgres()
        db = self.postgres
        db.sql("ALTER ROLE postgres PASSWORD 'first'")
        with open(os.path.join(db.data, "pg_hba.conf"), "r+", encoding="utf-8") as f:
            rules = f.read()
            f.seek(0)
            f.write("host all sesame all scram-sha-256\n" + rules)
        db.sql("CREATE ROLE sesame SUPERUSER LOGIN PASSWORD 'first'; SELECT pg_reload_conf()")

        def begin():
            db.sql("ALTER ROLE sesame PASSWORD 'second'")
            db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                   " WHERE usename = 'sesame'")

        conninfo = db.conninfo.replace("user=postgres", "user=sesame password=first")
        self.run_with_trouble(begin, lambda: db.sql("ALTER ROLE sesame PASSWORD 'first'"),
                              "password authentication failed", conninfo=conninfo)

    def test_newer_schema_is_refused(self):
        self.own_postgres()
        self.use_shared_broker()
        self.postgres.sql("CREATE SCHEMA monasca;"
                          "CREATE TABLE monasca.schema_version (version int NOT NULL);"
                          "INSERT INTO monasca.schema_version VALUES (7)")
        p = self.pg_persister()
        p.wait_log("made by a newer program")
        self.feed(100)
        self.assertEqual(p.totals().get("completed", 0), 0)
        self.stop()


class RetentionTest(PostgresScenario):
    seconds = 15

    def test_deletes_what_is_too_old_and_nothing_else(self):
        self.own_postgres()
        self.use_shared_broker()
        p = self.pg_persister(postgresql={"retention_days": 7})
        p.wait_log("retention started as pid")
        self.wait_tables()
        self.stop()  # or it may find some of them
        self.postgres.sql("INSERT INTO monasca.measurements SELECT 1, now() - interval '8 days'"
                          " - n * interval '1 ms', n FROM generate_series(1, 12000) AS n")
        self.postgres.sql("INSERT INTO monasca.measurements SELECT 1, now() - interval '6 days'"
                          " + n * interval '1 ms', n FROM generate_series(1, 1000) AS n")
        p = self.pg_persister("b", postgresql={"retention_days": 7})
        proc.wait_until(lambda: self.postgres.value(
            "SELECT count(*) FROM monasca.measurements") == "1000", 60, "the old rows are gone")
        p.wait_log("12000 rows older than 7 days deleted")
        self.stop()


    def test_a_partition_of_its_own_for_the_old_rows(self):
        """Rows of two partitions may have the same ctid."""
        self.own_postgres()
        self.use_shared_broker()
        p = self.pg_persister(postgresql={"retention_days": 7})
        self.wait_tables()
        self.stop()
        for table, key in (("measurements", ", PRIMARY KEY (metric_id, time)"),
                           ("alarm_state_history", "")):
            self.postgres.sql(
                "ALTER TABLE monasca.{0} RENAME TO {0}_was;"
                " CREATE TABLE monasca.{0} (LIKE monasca.{0}_was INCLUDING DEFAULTS{1})"
                " PARTITION BY RANGE (time);"
                " DROP TABLE monasca.{0}_was CASCADE;"
                " CREATE TABLE monasca.{0}_old PARTITION OF monasca.{0}"
                " FOR VALUES FROM ('2000-01-01') TO (now() - interval '1 day');"
                " CREATE TABLE monasca.{0}_new PARTITION OF monasca.{0}"
                " FOR VALUES FROM (now() - interval '1 day') TO ('2100-01-01')"
                .format(table, key))
        for age, rows in (("20 days", 200), ("1 hour", 500)):
            self.postgres.sql("INSERT INTO monasca.measurements SELECT 1, now() - interval '%s'"
                              " + n * interval '1 ms', n FROM generate_series(1, %d) AS n"
                              % (age, rows))
        p = self.pg_persister("b", postgresql={"retention_days": 7})
        p.wait_log("rows older than 7 days deleted")
        self.stop()
        self.assertEqual(self.postgres.value("SELECT count(*) FROM monasca.measurements_new"),
                         "500")
        self.assertEqual(self.postgres.value("SELECT count(*) FROM monasca.measurements_old"), "0")
        p.wait_log("200 rows older than 7 days deleted")


    def test_is_replaced_where_core_dumps_change(self):
        """It would be readable as before: that is the master's at the fork."""
        self.own_postgres()
        self.use_shared_broker()
        p = self.pg_persister(postgresql={"retention_days": 7}, persister={"core_dumps": True})
        p.wait_log("retention started")
        p.reload(persister={"core_dumps": False})
        self.assertEqual(len(p.lines("retention started")), 2)

    def test_a_publication_of_all_tables(self):
        """Which lets nothing be deleted that it could not name."""
        self.own_postgres(wal_level="logical")
        self.use_shared_broker()
        p = self.pg_persister()
        self.wait_tables()
        self.stop()
        self.postgres.sql("CREATE PUBLICATION all_tables FOR ALL TABLES")
        self.postgres.sql("INSERT INTO monasca.alarm_state_history (time, tenant_id, alarm_id,"
                          " alarm_definition_id, alarm_name, alarm_description, metrics, new_state,"
                          " old_state, severity, link, lifecycle_state, reason, sub_alarms)"
                          " VALUES (now() - interval '8 days', '', '', '', '', '', '[]', '', '', '',"
                          " '', '', '', '[]')")
        self.postgres.sql("INSERT INTO monasca.metrics (key, tenant_id, region, name, dimensions)"
                          " VALUES ('x', '', '', 'x', '{}')")
        self.postgres.sql("DELETE FROM monasca.metrics")
        p = self.pg_persister("b", postgresql={"retention_days": 7})
        p.wait_log("1 rows older than 7 days deleted")
        self.stop()
        self.assertEqual(self.postgres.value("SELECT count(*) FROM monasca.alarm_state_history"),
                         "0")


class SeriesOfTwoBatchesTest(unittest.TestCase):
    """Two batches in flight: what one learns of the series does not speak for the other."""

    def setUp(self):
        self.postgres = Postgres()
        self.addCleanup(self.postgres.remove)
        self.postgres.start()
        directory = tempfile.mkdtemp(prefix="persister-batches-")
        self.addCleanup(shutil.rmtree, directory, True)
        self.store = Store(directory, driver="postgresql",
                           postgresql={"conninfo": self.postgres.conninfo})
        self.addCleanup(self.store.close)
        # Both series are remembered.
        self.store.add(metric("a", value=1), metric("b", value=2))
        self.assertEqual(self.store.write().status, "done")
        self.store.reset()
        # A batch of each, before either is written.
        self.store.add(metric("a", value=3))
        self.store.batch(1)
        self.store.add(metric("b", value=4))
        self.store.batch(0)

    def delete(self, name):
        self.postgres.sql(f"BEGIN; DELETE FROM monasca.measurements WHERE metric_id IN"
                          f" (SELECT id FROM monasca.metrics WHERE name = '{name}');"
                          f" DELETE FROM monasca.metrics WHERE name = '{name}'; COMMIT")

    def orphans(self):
        return self.postgres.value(PrunedSeriesTest.ORPHANS)

    def test_a_series_of_the_second_is_deleted(self):
        self.delete("b")
        self.assertEqual(self.store.write().status, "done")
        self.store.batch(1)
        self.assertEqual(self.store.write().status, "fenced")
        self.assertEqual(self.orphans(), "0")

    def test_a_series_of_the_first_is_deleted(self):
        self.delete("a")
        self.assertEqual(self.store.write().status, "fenced")
        self.store.batch(1)
        self.assertEqual(self.store.write().status, "done")
        self.assertEqual(self.orphans(), "0")

    def test_the_first_finds_another_connection(self):
        self.delete("b")
        self.postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                          " WHERE application_name = 'monasca-persister'")
        outcome = self.store.write()
        if outcome.status == "sick":  # its connection went while it was using it
            outcome = self.store.write()
        self.assertEqual(outcome.status, "done")
        self.store.batch(1)
        self.assertEqual(self.store.write().status, "fenced")
        self.assertEqual(self.orphans(), "0")

    def test_a_new_series_of_both_is_made_once(self):
        for number in (0, 1):
            self.store.batch(number)
            self.store.add(metric("c", value=5 + number, ms=NOW_MS + number))
        self.store.batch(0)
        self.assertEqual(self.store.write().status, "done")
        self.store.batch(1)
        self.assertEqual(self.store.write().status, "done")
        # Those of a and b have the same time as before, and take their places.
        self.assertEqual(self.postgres.value("SELECT count(*) FROM monasca.measurements"), "4")
        self.assertEqual(self.postgres.value(
            "SELECT count(*) FROM monasca.metrics WHERE name = 'c'"), "1")


class PrunedSeriesTest(PostgresScenario):
    """Rows never refer to a series that is not there."""

    seconds = 40

    ORPHANS = ("SELECT count(*) FROM monasca.measurements AS m WHERE NOT EXISTS"
               " (SELECT 1 FROM monasca.metrics AS s WHERE s.id = m.metric_id)")
    PRUNE = ("DELETE FROM monasca.metrics AS s WHERE NOT EXISTS"
             " (SELECT 1 FROM monasca.measurements AS m WHERE m.metric_id = s.id)")

    def test_a_series_that_a_worker_remembers(self):
        self.own_postgres()
        self.use_shared_broker()
        p = self.pg_persister()
        self.wait_assigned(p)  # whoever takes partitions over forgets the series
        self.feed(2000)
        self.wait_drained()
        before = int(self.postgres.value("SELECT count(*) FROM monasca.metrics"))
        self.postgres.sql(self.PRUNE)
        self.postgres.sql("DELETE FROM monasca.metrics")
        self.assertEqual(int(self.postgres.value("SELECT count(*) FROM monasca.metrics")), before,
                         "those that have rows are kept")
        self.postgres.sql("BEGIN; DELETE FROM monasca.measurements WHERE value < 2000;"
                          " DELETE FROM monasca.metrics; COMMIT")
        self.assertEqual(self.postgres.value("SELECT count(*) FROM monasca.metrics"), "0")
        self.feed(2000, first=2000)
        self.wait_drained()
        self.stop()
        self.assertEqual(self.postgres.value(self.ORPHANS), "0")
        self.assertEqual(self.stored(), set(range(2000, 4000)))
        self.assertEqual([s["restarts"] for s in p.processes().values()], [0, 0])
        self.assertTrue(p.lines("were deleted; it is read again"))

    def test_under_load(self):
        """Whoever deletes and prunes all the time leaves no orphan, and stops nobody for long."""
        self.own_postgres()
        self.use_shared_broker()
        p = self.pg_persister(kafka_metrics={"batch_size": 200})
        self.wait_tables()
        feed = self.feeding(10**9, rate=1500)
        rounds, until = 0, time.monotonic() + 10
        while rounds < 4 or time.monotonic() < until:
            self.postgres.sql("DELETE FROM monasca.measurements")
            self.postgres.sql(self.PRUNE)
            self.assertEqual(self.postgres.value(self.ORPHANS), "0")
            rounds += 1
        feed.process.send_signal(signal.SIGTERM)
        messages = feed.wait()["delivered"]
        self.wait_drained()
        self.stop()
        self.assertEqual(self.postgres.value(self.ORPHANS), "0")
        self.assertEqual(p.totals()["completed"], messages)

    def test_a_dump_is_restored_under_it(self):
        """With it come offsets and a generation of then, and series that came later are gone."""
        self.own_postgres()
        self.use_shared_broker()
        self.pg_persister()
        self.feed(500)
        self.wait_drained()
        dump = subprocess.run([BIN + "/pg_dump", "--clean", "-n", "monasca", "-d",
                               self.postgres.conninfo], capture_output=True, check=True).stdout
        self.feed(500, first=500, tenants=7)
        self.wait_drained()
        subprocess.run([BIN + "/psql", "-Xq1", "-v", "ON_ERROR_STOP=1", "-d",
                        self.postgres.conninfo], input=dump, capture_output=True, check=True)
        self.feed(500, first=1000, tenants=7)
        proc.wait_until(lambda: len(self.stored()) == 1500, 60, "all are stored, those between, too")
        self.stop()
        self.assertEqual(self.postgres.value(self.ORPHANS), "0")

    def test_tables_of_a_former_program(self):
        """What came later is added to them; without the right to, the rest works as before."""
        self.own_postgres()
        self.use_shared_broker()
        self.pg_persister()
        self.wait_tables()
        self.stop()
        self.postgres.sql("DROP TABLE monasca.series_generation;"
                          " DROP FUNCTION monasca.series_raise_generation CASCADE;"
                          " DROP FUNCTION monasca.series_keep_used CASCADE")
        self.postgres.sql("CREATE ROLE lesser LOGIN; GRANT USAGE ON SCHEMA monasca TO lesser;"
                          " GRANT ALL ON ALL TABLES IN SCHEMA monasca TO lesser;"
                          " GRANT ALL ON ALL SEQUENCES IN SCHEMA monasca TO lesser")
        p = self.pg_persister("b", conninfo=self.postgres.conninfo + " user=lesser",
                              postgresql={"retention_days": 7})
        self.feed(1000)
        self.wait_drained()
        self.stop()
        says = p.lines("has no table series_generation")
        self.assertTrue(says)
        self.assertEqual([line for line in says if " retention[" in line], [], "it goes by nothing")
        self.assertEqual(self.stored(), set(range(1000)))
        self.pg_persister("c")
        self.feed(1000, first=1000)
        self.wait_drained()
        self.stop()
        p = self.pg_persister("d", conninfo=self.postgres.conninfo + " user=lesser")
        self.feed(1000, first=2000)
        self.wait_drained()
        self.stop()
        self.assertTrue(p.lines("has no table series_generation"), "it may not use it")
        self.assertEqual(self.postgres.value("SELECT count(*) FROM monasca.series_generation"), "1")
        self.assertEqual(self.stored(), set(range(3000)))


class OffsetsTest(PostgresScenario):
    seconds = 30

    def test_starts_where_the_python_persister_stopped(self):
        """No row yet: the group's committed offset."""
        self.own_postgres()
        self.use_shared_broker()
        self.feed(1000)
        discard = self.persister("d", kafka_metrics={"num_processors": 1},
                                 repositories={"metrics_driver": "discard"})
        self.wait_drained()
        self.stop(discard)
        self.feed(500, first=1000)
        self.pg_persister()
        self.wait_drained()
        self.stop()
        self.assertEqual(self.stored(), set(range(1000, 1500)))

    def test_database_knows_better_than_kafka(self):
        """The group's offset was lost; the database's counts."""
        self.own_postgres()
        self.use_shared_broker()
        p = self.audited()
        self.feed(1000)
        self.wait_drained()
        self.stop(p)
        self.group += "-renamed"
        self.postgres.sql(f"UPDATE monasca.kafka_offsets SET group_id = '{self.group}'")
        self.pg_persister("b", kafka_metrics={"group_id": self.group})
        self.feed(1000, first=1000)
        self.wait_drained()
        self.stop()
        self.assert_exactly_once(2000)

    def test_an_offset_set_in_the_table(self):
        """As the manual says it is done: the topic is still the same."""
        self.own_postgres()
        self.use_shared_broker()
        p = self.pg_persister()
        self.feed(1000, rate=1000)
        self.wait_drained()
        self.stop(p)
        self.postgres.sql("UPDATE monasca.kafka_offsets SET next_offset = next_offset - 100")
        p = self.pg_persister("b")
        self.feed(1000, first=1000)
        proc.wait_until(lambda: len(self.stored()) == 2000, 60, "all are stored")
        self.wait_drained()
        self.stop()
        self.assertEqual(p.lines("offset reset"), [])
        self.assertEqual(p.totals()["received"], 1000 + self.partitions * 100)

    def test_topic_made_anew(self):
        self.own_postgres()
        self.use_shared_broker()
        p = self.pg_persister()
        self.feed(4000)
        self.wait_drained()
        self.stop(p)
        self.make_topic_anew()
        self.feed(400, first=4000)
        p = self.pg_persister("b")
        p.wait_log("offset reset", 30)
        proc.wait_until(lambda: len(self.stored()) == 4400, 60, "all are stored")
        self.feed(400, first=4400)
        proc.wait_until(lambda: len(self.stored()) == 4800, 60, "and those that come later")
        self.stop()


    def test_topic_made_anew_with_more_in_it(self):
        """The offset is there again, but it is another message's."""
        self.own_postgres()
        self.use_shared_broker()
        p = self.pg_persister()
        self.feed(400)
        self.wait_drained()
        self.stop(p)
        self.make_topic_anew()
        self.feed(4000, first=400)
        p = self.pg_persister("b")
        proc.wait_until(lambda: len(self.stored()) == 4400, 60, "all are stored")
        self.stop()
        self.assertTrue(p.lines("the topic was made anew"))
        self.assertGreater(p.totals()["offset_resets"], 0)
        p = self.pg_persister("c")
        self.feed(400, first=4400)
        self.wait_drained()
        self.stop()
        self.assertEqual(self.stored(), set(range(4800)))
        self.assertFalse(p.lines("offset reset"))

    def test_topic_made_anew_while_it_is_read(self):
        self.own_postgres()
        self.use_shared_broker()
        p = self.pg_persister()
        self.feed(400)
        self.wait_drained()
        self.make_topic_anew()
        self.feed(4000, first=400)
        proc.wait_until(lambda: len(self.stored()) == 4400, 60, "all are stored")
        self.stop()
        self.assertTrue(p.lines("offset reset"))

    def make_topic_anew(self):
        self.broker.client.delete_topic(self.topic)
        proc.wait_until(lambda: not self.broker.client.has_leaders(self.topic, self.partitions), 20,
                        "the topic is gone")
        self.make_topic()

    def test_an_offset_set_in_the_group(self):
        """The database's counts, and that is said."""
        self.own_postgres()
        self.use_shared_broker()
        p = self.pg_persister()
        self.feed(1000)
        self.wait_drained()
        self.stop(p)
        self.broker.client.commit(self.group, self.topic, {n: 0 for n in range(self.partitions)})
        p = self.pg_persister("b")
        self.feed(1000, first=1000)
        proc.wait_until(lambda: len(self.stored()) == 2000, 60, "all are stored")
        self.stop()
        self.assertEqual(p.totals()["received"], 1000)
        self.assertEqual(len(p.lines("was set to 0 by somebody else")), self.partitions)


class NameTest(PostgresScenario):
    """A server known by a name."""

    seconds = 20

    def test_a_name_that_nobody_answers_for(self):
        """libpq waits for the answer; the worker does not."""
        if not can_bind_mount():
            self.skipTest("no mount namespace for an /etc/resolv.conf of its own")
        self.own_postgres(start=False)
        self.use_shared_broker()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.66", 53))
            silent.settimeout(60)
            resolver = os.path.join(self.dir, "resolv.conf")
            with open(resolver, "w", encoding="ascii") as f:
                f.write("nameserver 127.0.0.66\noptions timeout:30 attempts:1\n")
            p = self.pg_persister(start=False, conninfo="host=silent.example dbname=x user=x",
                                  kafka_metrics={"num_processors": 1},
                                  postgresql={"retention_days": 30})
            p.mounts = {"/etc/resolv.conf": resolver}
            p.start(wait=False)
            asking = set()
            while len(asking) < 2:  # a worker and retention
                asking.add(silent.recvfrom(4096)[1])
            self.assertEqual(p.stop(20), 0)
        self.assertEqual(len(p.lines("ended with exit code 0")), 2, "neither was killed")


class ConfigurationTest(PostgresScenario):
    seconds = 2

    def test_connection_string_is_checked_at_start(self):
        self.own_postgres(start=False)
        self.broker = shared_broker()
        p = self.pg_persister(start=False, conninfo="hots=127.0.0.1 password=secret")
        p.write_config()
        code, lines = check(p.config)
        self.assertEqual(code, 78)
        self.assertIn("[postgresql] conninfo", lines[-1])
        self.assertNotIn("secret", "".join(lines))
