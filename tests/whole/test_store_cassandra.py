# SPDX-License-Identifier: Apache-2.0
"""The Cassandra store against a real node: what is written, in what order whatever, and what the
world does to it."""

import atexit
import base64
import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import unittest

from fixtures import cassandra, proc
from fixtures.cassandra import Node, SharedNode
from fixtures.kafka import unique
from fixtures.persister import PROGRAM
from fixtures.scenario import START_MS, Scenario, shared_broker
from fixtures.store import DRIVER, NOW_MS, FakeServer, Store, metric

HOUR_MS = 3600 * 1000
DAY_S = 86400
shared = {}


def shared_node():
    """The runner's node, or one that this process starts for all its tests."""
    if "node" not in shared:
        port = os.environ.get("PERSISTER_TEST_CASSANDRA")
        if port:
            shared["node"] = SharedNode(int(port))
        else:
            why = os.environ.get("PERSISTER_TEST_NO_CASSANDRA") or cassandra.unavailable()
            if why:
                raise unittest.SkipTest(f"no Cassandra: {why}")
            directory = tempfile.mkdtemp(prefix="persister-cassandra-")
            atexit.register(shutil.rmtree, directory, True)
            shared["node"] = Node(directory, env=cassandra.UNSAFE)
            atexit.register(shared["node"].stop)
            shared["node"].start()
    return shared["node"]


def corpus(name):
    with open(os.path.join(proc.CORPUS, name), "rb") as f:
        return f.read().splitlines()


def golden(table):
    """What the Python persister made of the corpus."""
    same = {"metrics_dimensions": "dimensions_metrics"}
    path = os.path.join(proc.CORPUS, "cassandra", same.get(table, table) + ".jsonl.gz")
    with gzip.open(path) as f:
        return [json.loads(line) for line in f]


# The key of each table, its other columns, and those whose TTL is looked at.
TABLES = {
    "measurements": (("metric_id", "time_stamp"),
                     ("value", "value_meta", "region", "tenant_id", "metric_name", "dimensions"),
                     ("value", "value_meta", "region")),
    "metrics": (("metric_id",),
                ("region", "tenant_id", "metric_name", "dimensions", "dimension_names",
                 "created_at", "updated_at"),
                ("created_at", "updated_at", "metric_id")),
    "dimensions": (("region", "tenant_id", "name", "value"), (), ()),
    "dimensions_metrics": (("region", "tenant_id", "dimension_name", "dimension_value",
                            "metric_name"), (), ()),
    "metrics_dimensions": (("region", "tenant_id", "metric_name", "dimension_name",
                            "dimension_value"), (), ()),
    "alarm_state_history": (("tenant_id", "alarm_id", "time_stamp"),
                            ("metric", "old_state", "new_state", "reason", "reason_data",
                             "sub_alarms"), ("metric", "reason")),
}
JSON_COLUMNS = ("value_meta", "metric", "sub_alarms", "reason_data")


@unittest.skipUnless(os.access(DRIVER, os.X_OK), f"{DRIVER} is not built")
class WithNode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = shared_node()
        cls.dir = tempfile.mkdtemp(prefix="store-cassandra-")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir, True)

    def setUp(self):
        self.keyspace = "k" + hashlib.sha1(unique("k").encode()).hexdigest()[:20]
        self.stores = []

    def tearDown(self):
        for store in self.stores:
            self.assertEqual(store.close(), 0, "the driver's exit code")

    def store(self, kind="metrics", **options):
        options = {"port": self.node.port, "keyspace": self.keyspace, **options}
        self.stores.append(Store(self.dir, kind, driver="cassandra", cassandra=options))
        return self.stores[-1]

    def rows(self, table, columns):
        return self.node.rows(f'SELECT {columns} FROM "{self.keyspace}".{table}')

    def assert_done(self, outcome, rows=None):
        self.assertEqual((outcome.status, outcome.text), ("done", ""))
        if rows is not None:
            self.assertEqual(outcome.stored, set(rows))

    def write_until_done(self, store, tries=60):
        """As the worker does: a write that is sick is tried again."""
        for _ in range(tries):
            outcome = store.write()
            if outcome.status == "done":
                return outcome
        self.fail(f"{outcome.status} {outcome.text}")


class Formats(WithNode):
    """Every table is the Python persister's, by meaning."""

    seconds = 120

    def found(self, table):
        key, others, expiring = TABLES[table]
        columns = [*key, *others, *(f"ttl({c})" for c in expiring)]
        found = {}
        for row in self.rows(table, ", ".join(columns)):
            if "metric_id" in row:
                row["metric_id"] = row["metric_id"].hex()
            found[tuple(row[c] for c in key)] = row
        return found

    def compare(self, table, left_out=()):
        key, others, expiring = TABLES[table]
        wanted = {tuple(row[c] for c in key): row for row in golden(table)}
        for k in left_out:
            del wanted[k]
        found = self.found(table)
        self.assertEqual(set(found), set(wanted), table)
        for k, row in wanted.items():
            for column in others:
                a, b = row[column], found[k][column]
                if column in JSON_COLUMNS:
                    a, b = json.loads(a), json.loads(b)
                if column == "updated_at":
                    a = a // HOUR_MS * HOUR_MS + HOUR_MS  # coarse: the end of its hour
                self.assertEqual(b, a, (table, k, column))
            for column in expiring:
                days = found[k][f"ttl({column})"] / DAY_S
                self.assertTrue(44.9 < days <= 45, (table, k, column, days))
        return found

    def test_metrics_as_the_python_persister_writes_them(self):
        store = self.store()
        messages = corpus("metrics.jsonl")
        rejected = store.add_bytes(messages)
        tabs = {i for i, m in enumerate(messages)
                if any("\t" in x for kv in (json.loads(m)["metric"].get("dimensions") or {}).items()
                       for x in kv)}
        self.assertEqual(set(rejected), tabs)
        self.assertEqual({why.split()[0] for why in rejected.values()}, {"unstorable"})
        self.assert_done(self.write_until_done(store))
        self.compare("measurements")
        # The Python persister drops such a message when it has written half of it.
        half = {(row["metric_id"],) for row in golden("metrics")
                if any(d.count("\t") > 1 for d in row["dimensions"])}
        self.assertEqual(len(half), len(tabs))
        self.compare("metrics", half)
        for table in ("dimensions", "dimensions_metrics", "metrics_dimensions"):
            self.compare(table)

    def test_alarms_as_the_python_persister_writes_them(self):
        store = self.store("alarms")
        messages = corpus("alarm-state-transitions.jsonl")
        self.assertEqual(store.add_bytes(messages), {})
        self.assert_done(self.write_until_done(store))
        self.compare("alarm_state_history")

    def test_malformed(self):
        store = self.store()
        cases = [json.loads(line) for line in corpus("malformed.jsonl")]
        rejected = store.add_bytes([base64.b64decode(c["base64"]) for c in cases])
        outcome = self.write_until_done(store)
        for row, case in enumerate(cases):
            if case["case"] == "1 MiB value_meta":
                continue  # the worker's to reject
            wanted = case["verdict"]
            self.assertEqual(row in rejected or row in outcome.refused, wanted == "reject", case)

    def test_texts_of_the_largest_and_the_smallest_kind(self):
        store = self.store()
        long = "x" * 20000
        good = [metric("m", region="", tenant="t", **{"d": ""}), metric("m"),
                metric(long, tenant=long, d="v"), metric("m", d=long + long + long),
                metric("n", meta={"k": "x" * 500000}), metric("é", **{"ключ": "☃"})]
        bad = [metric(long, tenant=long, region=long, d=long), metric("m", d="a\tb"),
               metric("m", **{"a\tb": "c"}), metric("x" * 70000)]
        rejected = store.add(*good, *bad)
        self.assertEqual(set(rejected), set(range(len(good), len(good) + len(bad))))
        self.assert_done(self.write_until_done(store))
        self.assertEqual(len(self.rows("measurements", "metric_id, time_stamp")), len(good))
        self.assertEqual(self.rows("dimensions", "value, name, region, tenant_id")[0].keys(),
                         {"value", "name", "region", "tenant_id"})

    def test_a_tab_leaves_nothing_behind(self):
        store = self.store()
        store.add(metric("m", a="b", c="d\te"), metric("other"))
        self.write_until_done(store)
        self.assertEqual([r["metric_name"] for r in self.rows("metrics", "metric_name")], ["other"])
        self.assertEqual(self.rows("dimensions", "name"), [])

    def test_ids_of_names_that_sort_otherwise_with_a_tab(self):
        """Python sorts NAME TAB VALUE: a\\x01 comes before a."""
        store = self.store()
        store.add(metric("m", **{"a": "1", "a\x01": "2"}))
        self.write_until_done(store)
        row, = self.rows("metrics", "metric_id, dimensions")
        self.assertEqual(row["dimensions"], ["a\x01\t2", "a\t1"])
        self.assertEqual(row["metric_id"],
                         hashlib.sha1(b"r\0t\0m\0a\x01\t2\0a\t1").digest())


class Order(WithNode):
    """What a message says is written with timestamps that are the message's own."""

    seconds = 60

    def state(self):
        found = {}
        for table, columns in {
                "measurements": "metric_id, time_stamp, value, writetime(value), region, "
                                "writetime(region)",
                "metrics": "metric_id, created_at, writetime(created_at), updated_at, "
                           "writetime(updated_at)",
                "dimensions": "region, tenant_id, name, value"}.items():
            found[table] = sorted(map(repr, self.rows(table, columns)))
        return found

    def messages(self):
        """Some of them of one series and time; their places in Kafka are told apart by offset."""
        chance = random.Random(1)
        placed = []
        for offset in range(300):
            ms = NOW_MS - chance.randrange(5) * HOUR_MS - chance.randrange(3) * 1000
            kafka_ms = NOW_MS - 4 * HOUR_MS + chance.randrange(4 * HOUR_MS)
            m = metric(f"m{chance.randrange(4)}", ms, offset, d=str(chance.randrange(3)))
            placed.append((offset % 3, offset, kafka_ms, m))
        return placed

    def play(self, placed, writers):
        """Each message by one of the stores, written now and then."""
        stores = [self.store() for _ in range(writers)]
        for i, (partition, offset, kafka_ms, m) in enumerate(placed):
            store = stores[i % writers]
            store.place(partition, offset, kafka_ms)
            self.assertEqual(store.add(m), {})
            if i % 40 == 39:
                for one in stores:
                    self.write_until_done(one)
                    one.reset()
        for one in stores:
            self.write_until_done(one)

    def test_a_replay_in_any_order_by_anybody_gives_the_same_state(self):
        placed = self.messages()
        self.play(placed, 1)
        once = self.state()
        newest = {}
        for partition, offset, kafka_ms, m in sorted(
                placed, key=lambda p: (p[2], (p[1] + 619 * p[0]) % 1000)):
            newest[(m["metric"]["name"], m["metric"]["dimensions"]["d"],
                    m["metric"]["timestamp"])] = float(m["metric"]["value"])
        found = {(r["metric_name"], r["dimensions"][0][2:], r["time_stamp"]): r["value"]
                 for r in self.rows("measurements", "metric_name, dimensions, time_stamp, value")}
        self.assertEqual(found, newest, "the newest of Kafka's wins")
        self.play(placed[::-1], 2)
        self.assertEqual(self.state(), once, "a replay, backwards")
        other, self.keyspace = self.keyspace, self.keyspace + "x"
        shuffled = list(placed)
        random.Random(2).shuffle(shuffled)
        self.play(shuffled, 2)
        fresh = self.state()
        self.node.rows(f'DROP KEYSPACE "{self.keyspace}"')
        self.keyspace = other
        self.assertEqual(fresh, once, "another order from the beginning")

    def test_created_at_is_the_earliest_whoever_comes_later(self):
        for ms in (NOW_MS, NOW_MS - 5000, NOW_MS + 5000):  # a store each: none knows of the others
            store = self.store()
            store.add(metric("m", ms))
            self.write_until_done(store)
        row, = self.rows("metrics", "created_at, updated_at")
        self.assertEqual(row["created_at"], NOW_MS - 5000)
        self.assertGreater(row["updated_at"], NOW_MS + 5000)

    def test_an_earlier_time_of_a_known_series(self):
        store = self.store()
        for ms in (NOW_MS, NOW_MS - 7000):
            store.add(metric("m", ms))
            self.write_until_done(store)
            store.reset()
        self.assertEqual(self.rows("metrics", "created_at"), [{"created_at": NOW_MS - 7000}])

    def test_the_description_is_written_once_an_hour(self):
        store = self.store()
        base = NOW_MS // HOUR_MS * HOUR_MS - 10 * HOUR_MS
        times = []
        for ms in (base, base + 1000, base + HOUR_MS - 1, base + HOUR_MS):
            store.add(metric("m", ms))
            self.write_until_done(store)
            store.reset()
            row, = self.rows("metrics", "updated_at, writetime(updated_at)")
            self.assertGreater(row["updated_at"], ms, "no reader misses it")
            times.append(row["writetime(updated_at)"])
        self.assertEqual(times, [base * 1000] * 3 + [(base + HOUR_MS) * 1000])

    def test_a_refresh_keeps_the_series(self):
        """The same value and timestamp again has the later expiry."""
        short = self.store(retention_policy=1)
        short.add(metric("m"))
        self.write_until_done(short)
        later = self.store(retention_policy=2)
        later.add(metric("m"))
        self.write_until_done(later)
        row, = self.rows("metrics", "ttl(created_at), ttl(updated_at)")
        self.assertGreater(row["ttl(created_at)"], 1.9 * DAY_S)
        self.assertGreater(row["ttl(updated_at)"], 1.9 * DAY_S)
        row, = self.rows("measurements", "ttl(region), ttl(value)")
        self.assertGreater(row["ttl(region)"], 1.9 * DAY_S)

    def test_what_is_deleted_stays_deleted(self):
        store = self.store()
        store.place(0, 5, NOW_MS - 60000)
        store.add(metric("m", NOW_MS - 60000, d="v"))
        self.write_until_done(store)
        for table in ("measurements", "metrics"):
            for row in self.rows(table, "*"):
                key = f"metric_id = 0x{row['metric_id'].hex()}"
                if table == "metrics":
                    key = "region = 'r' AND tenant_id = 't' AND metric_name = 'm'"
                self.node.rows(f'DELETE FROM "{self.keyspace}".{table} WHERE {key}')
        again = self.store()
        again.place(0, 5, NOW_MS - 60000)
        again.add(metric("m", NOW_MS - 60000, d="v"))
        self.write_until_done(again)
        self.assertEqual(self.rows("measurements", "value"), [])
        self.assertEqual(self.rows("metrics", "metric_name"), [])

    def test_a_retention_of_0_is_for_ever(self):
        store = self.store(retention_policy=0)
        store.add(metric("m"))
        self.write_until_done(store)
        self.assertEqual(self.rows("measurements", "ttl(value)"), [{"ttl(value)": None}])


class Refusals(WithNode):
    """A row is to blame only for what it is alone."""

    seconds = 60

    def metric_of(self, text, i):
        return json.dumps(metric(f"m{i % 5}", NOW_MS + i, i, meta={"k": text}),
                          ensure_ascii=False).encode()

    def test_a_row_that_the_server_refuses_goes_alone(self):
        """A column that takes ASCII only is one that refuses some rows."""
        self.node.rows(f'CREATE KEYSPACE "{self.keyspace}" WITH replication = '
                       "{'class': 'SimpleStrategy', 'replication_factor': 1}")
        self.node.rows(f'CREATE TABLE "{self.keyspace}".measurements (metric_id blob, region text '
                       "static, tenant_id text static, metric_name text static, dimensions "
                       "frozen<list<text>> static, time_stamp timestamp, value double, "
                       "value_meta ascii, PRIMARY KEY (metric_id, time_stamp))")
        store = self.store()
        bad = {7, 50, 51, 199}
        store.add_bytes([self.metric_of("é" if i in bad else "e", i) for i in range(200)])
        outcome = self.write_until_done(store)
        self.assertEqual(set(outcome.refused), bad)
        self.assertEqual(outcome.stored, set(range(200)) - bad)
        self.assertIn("refused Cassandra: ", next(iter(outcome.refused.values())))
        self.assertEqual(len(self.rows("measurements", "value")), 196)

    def test_all_rows_of_a_batch(self):
        self.test_a_row_that_the_server_refuses_goes_alone()
        store = self.store()
        store.add_bytes([self.metric_of("é", i) for i in range(20)])
        outcome = self.write_until_done(store)
        self.assertEqual(len(outcome.refused), 20)

    def test_a_level_that_cannot_be_reached_refuses_nobody(self):
        for level in ("TWO", "QUORUM"):
            replication = "{'class': 'NetworkTopologyStrategy', 'datacenter1': 3}"
            store = self.store(consistency_level=level, replication=replication)
            store.add(metric("m"), metric("n"))
            outcome = store.write()
            self.assertEqual((outcome.status, outcome.refused), ("sick", {}))
            self.assertIn("Cannot achieve consistency level", outcome.text)

    def test_a_level_that_the_keyspace_knows_nothing_of_refuses_nobody(self):
        store = self.store(consistency_level="EACH_QUORUM",
                           replication="{'class': 'SimpleStrategy', 'replication_factor': 1}")
        store.add(metric("m"))
        outcome = store.write()
        self.assertEqual(outcome.refused, {})

    def test_a_keyspace_that_is_dropped_is_made_again(self):
        store = self.store()
        store.add(metric("m", d="v"))
        self.write_until_done(store)
        store.reset()
        self.node.rows(f'DROP KEYSPACE "{self.keyspace}"')
        store.add(metric("m", NOW_MS + 1, d="v"))
        self.write_until_done(store)
        self.assertEqual(len(self.rows("measurements", "value, region")), 1)
        self.assertEqual(len(self.rows("metrics", "created_at")), 1)
        self.assertEqual(len(self.rows("dimensions", "value")), 1)

    def test_a_keyspace_that_is_there_is_left_as_it_is(self):
        self.node.rows(f'CREATE KEYSPACE "{self.keyspace}" WITH replication = '
                       "{'class': 'SimpleStrategy', 'replication_factor': 1}")
        store = self.store()
        store.add(metric("m"))
        self.write_until_done(store)
        row, = self.node.rows("SELECT replication FROM system_schema.keyspaces WHERE "
                              f"keyspace_name = '{self.keyspace}'")
        self.assertIn(b"SimpleStrategy", row["replication"])

    def test_several_contact_points_of_which_some_are_none(self):
        store = self.store(contact_points="127.0.0.9, no.such.host.invalid, 127.0.0.1")
        store.add(metric("m"))
        self.assert_done(self.write_until_done(store), {0})

    def test_a_data_centre_that_is_not_there(self):
        store = self.store(local_data_center="elsewhere")
        store.add(metric("m"))
        outcome = store.write()
        self.assertEqual(outcome.status, "sick")
        self.assertIn("no node of data centre elsewhere", outcome.text)


class NotANode(unittest.TestCase):
    """Whatever answers there, nothing hangs and nothing is lost."""

    seconds = 60

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="store-cassandra-")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def try_with(self, serve, **options):
        server = FakeServer(serve)
        self.addCleanup(server.close)
        store = Store(self.dir, driver="cassandra",
                      cassandra={"port": server.port, "connection_timeout": 1, **options})
        self.addCleanup(store.close)
        store.add(metric("m"))
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.refused, outcome.stored), ("sick", {}, set()))
        return outcome

    def test_silence(self):
        outcome = self.try_with(lambda c: c.recv(1) and c.recv(100000) and c.recv(100000))
        self.assertIn("not connected in time", outcome.text)

    def test_what_does_not_speak_cql(self):
        outcome = self.try_with(lambda c: c.recv(1000) and c.sendall(b"HTTP/1.1 400 Bad Request\r\n"))
        self.assertIn("does not speak version 4", outcome.text)

    def test_an_answer_without_end(self):
        outcome = self.try_with(
            lambda c: c.recv(1000) and c.sendall(b"\x84\0\0\0\x02\x7f\xff\xff\xff") or c.recv(1000))
        self.assertIn("an answer of 2147483647 bytes", outcome.text)

    def test_a_node_that_hangs_up(self):
        outcome = self.try_with(lambda c: c.recv(1000))
        self.assertIn("closed the connection", outcome.text)

    def test_nobody(self):
        store = Store(self.dir, driver="cassandra", cassandra={"port": 1})
        self.addCleanup(store.close)
        store.add(metric("m"))
        outcome = store.write()
        self.assertEqual(outcome.status, "sick")
        self.assertIn("Connection refused", outcome.text)


@unittest.skipUnless(os.environ.get("PERSISTER_TEST_RING"), "set PERSISTER_TEST_RING, as ./check "
                     "--all does")
class Ring(unittest.TestCase):
    """Three nodes on loopback, of which one is killed, then one hangs, under load."""

    seconds = 300
    rows_a_batch = 3000

    def setUp(self):
        why = os.environ.get("PERSISTER_TEST_NO_CASSANDRA") or cassandra.unavailable()
        if why:
            self.skipTest(f"no Cassandra: {why}")
        self.dir = tempfile.mkdtemp(prefix="persister-ring-")
        self.addCleanup(shutil.rmtree, self.dir, True)
        first = proc.free_ports(2)
        self.nodes = []
        for i in range(3):
            token = -(1 << 63) + i * ((1 << 64) // 3)
            node = Node(os.path.join(self.dir, f"node-{i}"), first,
                        lines=[f"initial_token: {token}"],
                        env={"CASSANDRA_ADDRESS": f"127.0.0.{i + 1}",
                             "CASSANDRA_STORAGE_PORT": str(first + 1),
                             "CASSANDRA_SEEDS": f"127.0.0.1:{first + 1}"})
            self.addCleanup(node.stop)
            node.start()
            self.nodes.append(node)
        proc.wait_until(lambda: len(self.nodes[0].rows("SELECT peer FROM system.peers_v2")) == 2,
                        60, "the nodes know each other")
        self.store = Store(self.dir, driver="cassandra",
                           cassandra={"port": first, "consistency_level": "QUORUM",
                                      "read_timeout": 10})
        self.addCleanup(self.store.close)
        self.batches = 0

    def write(self):
        """A batch, until it is done. Returns: how long that took, in ms."""
        n = self.rows_a_batch
        self.store.add(*(metric(f"m{i % 10}", NOW_MS + self.batches * n + i, i, h=str(i % 100))
                         for i in range(n)))
        self.batches += 1
        outcome, took_ms = None, 0
        while outcome is None or outcome.status != "done":
            outcome = self.store.write()
            self.assertEqual(outcome.refused, {})
            took_ms += outcome.took_ms
        self.store.reset()
        return took_ms

    def test_a_node_is_killed_and_another_one_hangs(self):
        self.write()
        replication, = self.nodes[0].rows("SELECT replication FROM system_schema.keyspaces "
                                          "WHERE keyspace_name = 'monasca'")
        self.assertIn(b"\x0bdatacenter1\0\0\0\x013", replication["replication"])
        threading.Timer(0.2, self.nodes[1].kill).start()
        for _ in range(5):
            self.write()
        self.nodes[1].start()
        for _ in range(3):
            self.write()
        self.nodes[2].pause()
        self.addCleanup(self.nodes[2].resume)
        self.assertLess(self.write(), 60000, "not much longer than the deadline of 10 s")
        self.nodes[2].resume()
        self.write()
        # Some replica may have missed any of them; two of the three have each.
        found = self.nodes[0].rows("SELECT value FROM monasca.measurements", cassandra.Client.QUORUM)
        self.assertEqual(len(found), self.batches * self.rows_a_batch)


def make_certificates(directory, address="127.0.0.1"):
    """A CA, and what a node at that address shows: ca.pem, node.pem, node.key, node.p12."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
            "-days", "2", "-subj", "/CN=test CA")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "node.key", "-out", "node.csr",
            "-subj", "/CN=node")
    with open(os.path.join(directory, "san"), "w", encoding="ascii") as f:
        f.write(f"subjectAltName = IP:{address}\n")
    openssl("x509", "-req", "-in", "node.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-out", "node.pem", "-extfile", "san")
    openssl("pkcs12", "-export", "-in", "node.pem", "-inkey", "node.key", "-out", "node.p12",
            "-passout", "pass:secret", "-name", "node")


@unittest.skipUnless(shutil.which("openssl"), "no openssl")
class Certificates(NotANode):
    """Whoever cannot show a certificate for the name is told nothing."""

    seconds = 30
    test_silence = test_what_does_not_speak_cql = test_an_answer_without_end = None
    test_a_node_that_hangs_up = test_nobody = None

    def setUp(self):
        super().setUp()
        self.heard = []

    def talk(self, address="127.0.0.1", **options):
        """What a store says to a server with a certificate for that address."""
        make_certificates(self.dir, address)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(self.dir, "node.pem"),
                                os.path.join(self.dir, "node.key"))

        def serve(connection):
            with context.wrap_socket(connection, server_side=True) as secure:
                self.heard.append(secure.recv(1000))
                secure.sendall(b"\x84\0\0\0\0\0\0\0\x08\0\0\x01\0\0\x02no")

        return self.try_with(serve, tls=True, **options)

    def test_one_that_is_trusted(self):
        outcome = self.talk(ca_file=os.path.join(self.dir, "ca.pem"))
        self.assertIn(b"CQL_VERSION", self.heard[0])
        self.assertTrue(outcome.text.endswith(": no"), outcome.text)

    def test_one_of_another_name(self):
        outcome = self.talk("127.0.0.2", ca_file=os.path.join(self.dir, "ca.pem"))
        self.assertIn("IP address mismatch", outcome.text)
        self.assertEqual(self.heard, [])

    def test_one_that_nobody_vouches_for(self):
        outcome = self.talk()
        self.assertIn("the server's certificate: ", outcome.text)
        self.assertEqual(self.heard, [])

    def test_one_that_is_not_looked_at(self):
        self.talk("127.0.0.2", verify=False)
        self.assertIn(b"CQL_VERSION", self.heard[0])


class World(Scenario):
    """The whole program, while workers and the node die."""

    seconds = 150
    partitions = 4

    def setUp(self):
        super().setUp()
        if not os.path.exists(PROGRAM):
            self.skipTest(f"no {PROGRAM}; set BUILD")
        why = os.environ.get("PERSISTER_TEST_NO_CASSANDRA") or cassandra.unavailable()
        if why:
            self.skipTest(f"no Cassandra: {why}")

    def own_node(self, **options):
        self.node = Node(os.path.join(self.dir, "cassandra"), **options)
        self.addCleanup(self.node.stop)
        self.logs.append(os.path.join(self.dir, "cassandra", "system.log"))
        self.node.start()

    def cass_persister(self, **options):
        self.broker = shared_broker()
        self.make_topic()
        self.influx = type("Influxless", (), {"port": 1})
        return self.persister(repositories={"metrics_driver": "cassandra"},
                              cassandra={"port": self.node.port, "read_timeout": 20, **options})

    def stored(self):
        numbers = []
        for row in self.node.rows("SELECT time_stamp, value FROM monasca.measurements"):
            self.assertEqual(row["time_stamp"] - START_MS, row["value"])
            numbers.append(int(row["value"]))
        self.assertEqual(len(numbers), len(set(numbers)))
        return set(numbers)

    def test_a_worker_and_the_node_are_killed(self):
        self.own_node()
        p = self.cass_persister()
        self.wait_assigned(p)
        feeding = self.feeding(6000, rate=500)
        self.wait_flowing(p)
        os.kill(next(iter(p.processes().values()))["pid"], signal.SIGKILL)
        proc.wait_until(lambda: (p.totals() or {}).get("completed", 0) > 1000, 90, "more flow")
        self.node.kill()
        p.wait_log("Cassandra: ")
        self.node.start()
        feeding.wait()
        self.assert_all_well(6000, seconds=150)

    def test_a_wrong_password_that_becomes_right(self):
        """With TLS."""
        make_certificates(self.dir)
        self.own_node(lines=["authenticator: PasswordAuthenticator",
                             "authorizer: CassandraAuthorizer",
                             "client_encryption_options: {enabled: true, optional: false, "
                             f"keystore: {self.dir}/node.p12, keystore_password: secret, "
                             "store_type: PKCS12, require_client_auth: false}"],
                      user="cassandra", password="cassandra", tls=True)
        p = self.cass_persister(user="monasca", password="secret", tls=True,
                                ca_file=os.path.join(self.dir, "ca.pem"))
        self.feed(100)
        p.wait_log("Provided username monasca and/or password are incorrect")
        self.node.rows("CREATE ROLE monasca WITH PASSWORD = 'secret' AND LOGIN = true")
        p.wait_log("cannot make the keyspace")
        self.node.rows("GRANT CREATE ON ALL KEYSPACES TO monasca")
        self.node.rows("GRANT MODIFY ON ALL KEYSPACES TO monasca")
        self.node.rows("GRANT SELECT ON ALL KEYSPACES TO monasca")
        self.assert_all_well(100)
        self.assertEqual(p.lines("secret"), [])
