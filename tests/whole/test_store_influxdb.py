# SPDX-License-Identifier: Apache-2.0
"""The InfluxDB store against a real InfluxDB 1.x, and against servers that misbehave; no Kafka."""

import base64
import functools
import itertools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from fixtures import fetched, influx, proc
from fixtures.influx import Influx
from fixtures.store import (DRIVER, NOW_MS, FakeServer, Store, answering, http, metric,
                            read_request)

HOUR_MS = 3600 * 1000


def corpus(name):
    with open(os.path.join(proc.CORPUS, name), "rb") as f:
        return f.read().splitlines()


def as_line_escapes(text):
    """What InfluxDB shows for a text that upstream and we write: backslashes come out doubled."""
    return text.replace("\\", "\\\\")


@unittest.skipUnless(shutil.which("influxd"), "influxd is not installed")
@unittest.skipUnless(os.access(DRIVER, os.X_OK), f"{DRIVER} is not built")
class WithInflux(unittest.TestCase):
    http = data = ""
    auth = False
    program = staticmethod(lambda: "influxd")

    @classmethod
    def setUpClass(cls):
        try:
            program = cls.program()
        except fetched.Unavailable as e:
            raise unittest.SkipTest(str(e)) from None
        cls.dir = tempfile.mkdtemp(prefix="store-influxdb-")
        cls.influx = Influx(os.path.join(cls.dir, "influx"), cls.auth, cls.http, cls.data, program)
        try:
            cls.influx.start()
        except BaseException:
            cls.influx.stop()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.influx.stop()
        shutil.rmtree(cls.dir, True)

    def setUp(self):
        self.database = self.id().rpartition(".")[2]
        self.stores = []

    def tearDown(self):
        for store in self.stores:
            self.assertEqual(store.close(), 0, "the driver's exit code")

    def store(self, **options):
        options = {"port": self.influx.port, "database_name": self.database, "held_seconds": 0,
                   **options}
        self.stores.append(Store(self.dir, **options))
        return self.stores[-1]

    def write_line(self, text, database=None):
        self.influx.query(f'CREATE DATABASE "{database or self.database}"')
        self.influx.request("/write", text.encode(), db=database or self.database, precision="ms")

    def rows(self, text, database=None):
        return self.influx.rows(text, database or self.database)

    def assert_done(self, outcome):
        self.assertEqual((outcome.status, outcome.text), ("done", ""))


class Formats(WithInflux):
    """Written is what is read back; what would not be is refused."""
    data = "max-values-per-tag = 0\nmax-series-per-database = 0"

    def golden_into(self, name, database):
        lines = [json.loads(line)["line"] for line in corpus(name)]
        self.influx.query(f'CREATE DATABASE "{database}"')
        self.influx.request("/write", "\n".join(lines).encode(), db=database, precision="ms")

    def contents(self, database):
        """Everything in a database, JSON by its meaning."""
        found = []
        for name, row in self.rows("SELECT * FROM /.*/", database):
            for column in ("value_meta", "metrics", "sub_alarms"):
                if isinstance(row.get(column), str):
                    row[column] = json.loads(row[column])
            row = {k: v for k, v in row.items() if v is not None}
            found.append(json.dumps([name, row], sort_keys=True))
        return sorted(found)

    def compare(self, corpus_name, kind):
        store = self.store(kind=kind)
        messages = corpus(corpus_name + ".jsonl")
        self.assertEqual(store.add_bytes(messages), {})
        outcome = store.write()
        self.assert_done(outcome)
        self.assertEqual(outcome.stored, set(range(len(messages))))
        self.golden_into(corpus_name + ".golden.jsonl", self.database + "_golden")
        ours, golden = self.contents(self.database), self.contents(self.database + "_golden")
        self.assertGreater(len(golden), len(messages) * 0.9)
        self.assertEqual(ours, golden)

    def test_metrics_as_the_python_persister_writes_them(self):
        self.compare("metrics", "metrics")

    def test_alarms_as_the_python_persister_writes_them(self):
        self.compare("alarm-state-transitions", "alarms")

    def test_malformed(self):
        store = self.store()
        cases = [json.loads(line) for line in corpus("malformed.jsonl")]
        rejected = store.add_bytes([base64.b64decode(c["base64"]) for c in cases])
        outcome = store.write()
        self.assert_done(outcome)
        for row, case in enumerate(cases):
            if case["case"] == "1 MiB value_meta":
                continue  # the worker's to reject
            wanted = case["verdict"]
            if case["case"] == "dimension trailing backslash":
                wanted = "reject"  # FORMATS: cannot be written
            self.assertEqual("store" if row in outcome.stored else "reject", wanted, case)
            self.assertEqual(row in rejected or row in outcome.refused, wanted == "reject", case)

    def odd_texts(self, longest):
        letters = "a\\, =\"#\t"
        return ["".join(t) for n in range(1, longest + 1)
                for t in itertools.product(letters, repeat=n)]

    def test_odd_names_are_found_again_or_refused(self):
        store, texts = self.store(), self.odd_texts(3)
        rejected = store.add(*(metric(t, value=i) for i, t in enumerate(texts)))
        self.assert_done(store.write())
        found = {row["value"]: name for name, row in self.rows("SELECT value FROM /.*/")}
        for i, text in enumerate(texts):
            if i in rejected:
                self.assertRegex(text, r'^[#\t]|\\$|\\[, ="]', rejected[i])
            else:
                self.assertEqual(found.get(i), as_line_escapes(text))

    def test_odd_tags_are_found_again_or_refused(self):
        store, texts = self.store(), self.odd_texts(3)
        messages = [metric("value", value=i, i=str(i), t=t) for i, t in enumerate(texts)]
        messages += [metric("name", value=i, i=str(i), **{t: "x"}) for i, t in enumerate(texts)]
        rejected = store.add(*messages)
        self.assert_done(store.write())
        values = {row["value"]: row["t"] for _, row in self.rows('SELECT value, t FROM "value"')}
        names = {row["value"]: [k for k, v in row.items() if v == "x"]
                 for _, row in self.rows('SELECT * FROM "name"')}
        for i, text in enumerate(texts):
            refused = text.endswith("\\")
            self.assertEqual((i in rejected, len(texts) + i in rejected), (refused, refused), text)
            if not refused:
                self.assertEqual(values.get(i), as_line_escapes(text))
                self.assertEqual(names.get(i), [as_line_escapes(text)])

    def test_control_characters(self):
        store = self.store()
        texts = [f"a{chr(c)}b" for c in [*range(1, 10), *range(11, 32), 127, 0x85, 0x2028, 0xfeff]]
        self.assertEqual(store.add(*(metric(t, value=i, i=str(i), **{t: t})
                                     for i, t in enumerate(texts))), {})
        self.assert_done(store.write())
        found = {row["value"]: (name, row) for name, row in self.rows("SELECT * FROM /.*/")}
        for i, text in enumerate(texts):
            self.assertEqual(found[i][0], text)
            self.assertEqual(found[i][1][text], text)

    def test_numbers(self):
        store = self.store()
        texts = ["1E+5", "-0", "1e-400", "-1E-400", "123456789012345678901234567890", "1e308",
                 "0.1e1", "4.9e-324", "1" + "0" * 300, "0." + "0" * 400 + "1", "1e0005",
                 "1" + "0" * 5000 + "e-5000", "2.2250738585072011e-308", "true", "false",
                 "0.30000000000000004", "9007199254740993", "1.7976931348623157e308"]
        for i, text in enumerate(texts):
            message = json.dumps(metric("n", NOW_MS + i, 4711)).replace("4711", text)
            self.assertEqual(store.add_bytes([message.encode()]), {})
        self.assert_done(store.write())
        values = [row["value"] for _, row in self.rows("SELECT value FROM n")]
        self.assertEqual(values, [float(json.loads(t)) for t in texts])

    def test_times(self):
        store = self.store()
        last = 9223372036854
        times = [last, last - 1, -last, -last + 1, 0, -1, NOW_MS]
        self.assertEqual(store.add(*(metric("n", t) for t in times)), {})
        self.assertEqual(set(store.add(metric("n", last + 1), metric("n", -last - 1))), {7, 8})
        self.assert_done(store.write())
        self.assertEqual([row["time"] for _, row in self.rows("SELECT value FROM n")],
                         sorted(times))

    def test_large_fields(self):
        store = self.store()
        text = 'x"\\é' * 60000
        self.assertEqual(store.add(metric("n", meta={"k": text})), {})
        self.assert_done(store.write())
        (_, row), = self.rows("SELECT value_meta FROM n")
        self.assertEqual(json.loads(row["value_meta"]), {"k": text})


class BadPoints(WithInflux):
    """Bad points are found, the good ones beside them stored."""
    data = 'max-values-per-tag = 300\nindex-version = "inmem"'

    def check(self, store, messages, bad, reason="refused"):
        """Writes; refused has to be exactly what is bad, and all the rest is to be read back."""
        self.assertEqual(store.add(*messages), {})
        outcome = store.write()
        self.assert_done(outcome)
        self.assertEqual(set(outcome.refused), set(bad))
        self.assertEqual(outcome.stored, set(range(len(messages))) - set(bad))
        for why in outcome.refused.values():
            self.assertTrue(why.startswith(reason + " "), why)
        there = {row["value"] for _, row in self.rows("SELECT value FROM /.*/")}
        self.assertLessEqual({messages[i]["metric"]["value"] for i in outcome.stored}, there)
        self.assertFalse({messages[i]["metric"]["value"] for i in bad} & there)
        return outcome

    def test_points_beyond_retention(self):
        store = self.store(default_retention_hours=24)
        bad = {i for i in range(5000) if i % 37 == 0}
        messages = [metric(f"m{i % 50}", NOW_MS - (48 if i in bad else 1) * HOUR_MS + i, i + 0.5)
                    for i in range(5000)]
        outcome = self.check(store, messages, bad)
        self.assertRegex(outcome.refused[0], "(beyond|outside) retention policy")

    def test_all_are_beyond_retention(self):
        store = self.store(default_retention_hours=24)
        self.check(store, [metric("m", NOW_MS - 48 * HOUR_MS + i, i + 0.5) for i in range(2000)],
                   range(2000))

    def test_type_conflicts(self):
        self.write_line("\n".join(f"m{i},x=y value=1i {NOW_MS}" for i in (3, 17, 44)))
        bad = {i for i in range(8000) if i % 50 in (3, 17, 44)}
        messages = [metric(f"m{i % 50}", NOW_MS + i, i + 0.5) for i in range(8000)]
        outcome = self.check(self.store(batch_size=2500), messages, bad)
        self.assertIn("field type conflict", outcome.refused[3])

    def test_type_conflicts_in_some_shards(self):
        week = 7 * 24 * HOUR_MS
        self.write_line("\n".join(f"m,x=y value=1i {NOW_MS - i * 2 * week}" for i in range(3)))
        messages = [metric("m", NOW_MS - i % 6 * week + i, i + 0.5, host="é, =\\x")
                    for i in range(1200)]
        self.check(self.store(), messages, {i for i in range(1200) if i % 6 % 2 == 0 and i % 6 < 5})

    def test_type_conflicts_of_odd_names(self):
        odd = 'a b,c=d\\e"f" is type '
        self.write_line('a\\ b\\,c\\=d\\\\e"f"\\ is\\ type\\ ,x=y value=1i ' + str(NOW_MS))
        messages = [metric(odd if i % 9 == 0 else "m", NOW_MS + i, i + 0.5) for i in range(900)]
        self.check(self.store(), messages, set(range(0, 900, 9)))

    def test_too_many_values_of_a_tag(self):
        store = self.store()
        self.assertEqual(store.add(*(metric("m", value=-i, h=f"h{i}") for i in range(300))), {})
        self.assert_done(store.write())
        store.reset()
        messages = [metric("m", NOW_MS + i, i + 0.5, h=f"h{i % 450}") for i in range(1800)]
        self.assertEqual(store.add(*messages), {})
        outcome = store.write()
        self.assert_done(outcome)
        self.assertEqual(set(outcome.refused), {i for i in range(1800) if i % 450 >= 300})
        there = {row["value"] for _, row in self.rows("SELECT value FROM m")}
        self.assertEqual({i for i in range(1800) if i + 0.5 in there}, outcome.stored)
        self.assertIn("max-values-per-tag", next(iter(outcome.refused.values())))

    def test_keys_that_are_too_long(self):
        """Foreseen to the byte: the longest is stored, one more is not sent."""
        rest = len("m,_region=r,_tenant_id=t,h=")
        store = self.store()
        rejected = store.add(metric("m", NOW_MS, 0.5, h="x" * (65521 - rest)),
                             metric("m", NOW_MS, 1.5, h="x" * (65522 - rest)),
                             metric("m", NOW_MS, 2.5, h=" " * 400000 + "x"),
                             metric("m", NOW_MS, 3.5))
        self.assertEqual(set(rejected), {1, 2})
        self.assertIn("too long", rejected[1])
        outcome = store.write()
        self.assert_done(outcome)
        self.assertEqual((outcome.stored, outcome.refused), ({0, 3}, {}))

    def requests(self):
        """How many write requests the server has had."""
        figures = json.loads(self.influx.request("/debug/vars")[1])
        return next(v["values"]["writeReq"] for k, v in figures.items() if k.startswith("httpd"))

    def test_every_second_has_one_value_too_many(self):
        """20,000 points; what is found out once is known when they come again."""
        store = self.store()
        self.assertEqual(store.add(*(metric("m", value=-i, h=f"h{i}") for i in range(300))), {})
        self.assert_done(store.write())
        messages = [metric("m", NOW_MS + i, i + 0.5, h=f"new{i}" if i % 2 else f"h{i % 300}")
                    for i in range(20000)]
        for name, most in (("first", 3000), ("again", 40)):
            store.reset()
            before = self.requests()
            self.assertEqual(store.add(*messages), {})
            outcome = store.write()
            self.assert_done(outcome)
            requests = self.requests() - before
            print(f"{name}: {requests} requests, {outcome.took_ms} ms")
            self.assertEqual(set(outcome.refused), {i for i in range(20000) if i % 2})
            self.assertLess(requests, most)
        self.assertTrue(all(why.startswith("capacity ") for why in outcome.refused.values()))

    def test_every_second_at_random(self):
        """Good and bad values in no order at all."""
        store = self.store()
        names = [f"{i * 7919 % 10007:05}" for i in range(5000)]
        self.assertEqual(store.add(*(metric("m", value=-i, h=h) for i, h in enumerate(names[:300]))),
                         {})
        self.assert_done(store.write())
        store.reset()
        messages = [metric("m", NOW_MS + i, i + 0.5, h=names[i * 1009 % 600]) for i in range(5000)]
        self.assertEqual(store.add(*messages), {})
        before = self.requests()
        outcome = store.write()
        self.assert_done(outcome)
        print(f"{self.requests() - before} requests, {outcome.took_ms} ms")
        self.assertEqual(outcome.stored, {i for i in range(5000) if i * 1009 % 600 < 300})
        self.assertLess(self.requests() - before, 1 + 2 * 300 * 2)

    def test_all_kinds_at_once(self):
        self.write_line(f"m3,x=y value=1i {NOW_MS}")
        self.influx.query(f'CREATE RETENTION POLICY p ON "{self.database}" DURATION 24h '
                          "REPLICATION 1 DEFAULT")
        self.write_line(f"m3,x=y value=1i {NOW_MS}")
        bad, messages = set(), []
        for i in range(4000):
            message = metric(f"m{i % 40}", NOW_MS + i, i + 0.5)
            if i % 40 == 3:
                bad.add(i)
            if i % 611 == 0:
                message["metric"]["timestamp"] -= 48 * HOUR_MS
                bad.add(i)
            messages.append(message)
        self.check(self.store(), messages, bad)

    def evil_texts(self, good, n):
        """Texts that look like answers about other points; n are sent."""
        line = f'{good},_region=r,_tenant_id=t value=7.5,value_meta="{{}}" {NOW_MS}'
        return [f"unable to parse '{line}': gotcha", f"x dropped={n}", f"x\" dropped={n}",
                f"x dropped={n} for database: {self.database} for retention policy: autogen",
                f"x\" is type float, already exists as type integer dropped={n}",
                f"points beyond retention policy dropped={n}", f"\t\" tag=\"h\" value=\"{good}",
                f"h\\, \" value=\"x\" dropped={n}", "max-series-per-database limit exceeded: (1)",
                f"max-series-per-database exceeded database={self.database} limit=1 series=1 "
                "keys=1"]

    def test_a_senders_tag_condemns_no_other_point(self):
        """An error repeats tag values: one of them may look like the error about another line."""
        first = self.store()
        self.assertEqual(first.add(*(metric("m", h=f"h{i}") for i in range(300))), {})
        self.assert_done(first.write())
        for i, text in enumerate(self.evil_texts("good", 3)):
            with self.subTest(text=text):
                store = self.store()
                self.check(store, [metric("good", NOW_MS, 7.5), metric("good2", NOW_MS, i),
                                   metric("m", NOW_MS, 8.5, h=text)], {2}, "capacity")

    def test_a_senders_name_condemns_no_other_point(self):
        for i, text in enumerate(self.evil_texts("good", 3)):
            text = text.lstrip("\t").replace("\\", "")
            if text.startswith("unable"):
                continue  # a quote before a space is nothing a name may have
            with self.subTest(text=text):
                escaped = text.replace(" ", "\\ ").replace(",", "\\,").replace("=", "\\=")
                self.write_line(f"{escaped},x=y value=1i {NOW_MS}")
                self.check(self.store(), [metric("good", NOW_MS, 100 + i), metric("good2", NOW_MS, i),
                                          metric(text, NOW_MS, 8.5)], {2})


class Capacity(WithInflux):
    """A limit of the server's: existing series go on, and nobody waits for long."""
    data = 'max-series-per-database = 100\nindex-version = "inmem"'

    def fill(self, store):
        self.assertEqual(store.add(*(metric("m", NOW_MS, i, "b", h=f"h{i}") for i in range(100))),
                         {})
        self.assert_done(store.write())
        store.reset()

    def test_new_series_are_held_then_letters(self):
        store = self.store(held_seconds=3)
        self.fill(store)
        messages = [metric("m", NOW_MS + 1 + i, i, "ba"[i % 2], h=f"h{i % 100}")
                    for i in range(1000)]
        old, new = set(range(0, 1000, 2)), set(range(1, 1000, 2))
        self.assertEqual(store.add(*messages), {})
        start = time.monotonic()
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.stored, outcome.refused), ("sick", old, {}))
        self.assertRegex(outcome.text, "max-series-per-database (limit )?exceeded")
        self.assertIn("500 points of new series are held, all others are stored", outcome.text)
        while (outcome := store.write()).status == "sick":
            self.assertEqual((outcome.stored, outcome.refused), (set(), {}))
            self.assertLess(time.monotonic() - start, 60)
            time.sleep(0.2)
        self.assert_done(outcome)
        self.assertEqual(set(outcome.refused), new)
        self.assertGreater(time.monotonic() - start, 2.9)
        for why in outcome.refused.values():
            self.assertTrue(why.startswith("capacity InfluxDB: max-series-per-database"), why)
        # The next ones have nobody wait, and what existed goes on.
        store.reset()
        self.assertEqual(store.add(*(metric("m", NOW_MS + 2000 + i, i, "ba"[i % 2], h=f"h{i % 100}")
                                     for i in range(1000))), {})
        outcome = store.write()
        self.assert_done(outcome)
        self.assertEqual((outcome.stored, set(outcome.refused)), (old, new))

    def test_room_is_made_while_they_are_held(self):
        store = self.store(held_seconds=60)
        self.fill(store)
        self.assertEqual(store.add(metric("m", h="new"), metric("m", tenant="b", h="h1")), {})
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.stored), ("sick", {1}))
        self.influx.query("DROP SERIES FROM m WHERE h = 'h7'", self.database)
        outcome = store.write()
        self.assert_done(outcome)
        self.assertEqual((outcome.stored, outcome.refused), ({0}, {}))


class SmallRequests(WithInflux):
    """A server that takes no large request."""
    http = "max-body-size = 100000"

    def test_too_large(self):
        store = self.store()
        messages = [metric("m", NOW_MS + i, i + 0.5, h="x" * 200) for i in range(5000)]
        messages[77]["metric"]["value_meta"] = {"k": "y" * 120000}
        messages[78]["metric"]["value_meta"] = {"k": "y" * 900000}
        self.assertEqual(store.add(*messages), {})
        outcome = store.write()
        self.assert_done(outcome)
        self.assertEqual(set(outcome.refused), {77, 78})
        self.assertTrue(outcome.refused[77].startswith("too_large "), outcome.refused)
        self.assertEqual(len(self.rows("SELECT value FROM m")), 4998)

    def test_one_that_is_too_large_alone(self):
        store = self.store()
        self.assertEqual(store.add(metric("m", meta={"k": "y" * 1000000})), {})
        outcome = store.write()
        self.assert_done(outcome)
        self.assertEqual(set(outcome.refused), {0})


class Databases(WithInflux):
    """Made if they are not there; one per tenant."""

    def policies(self, database):
        series, = self.influx.query(f'SHOW RETENTION POLICIES ON "{database}"')
        rows = [dict(zip(series["columns"], values)) for values in series["values"]]
        return {(row["name"], row["duration"], row["default"]) for row in rows}

    def test_created_with_retention(self):
        store = self.store(default_retention_hours=48)
        store.add(metric())
        self.assert_done(store.write())
        self.assertIn(("48h", "48h0m0s", True), self.policies(self.database))

    def test_created_without(self):
        store = self.store()
        store.add(metric())
        self.assert_done(store.write())
        self.assertEqual(self.policies(self.database), {("autogen", "0s", True)})

    def test_an_existing_one_is_left_alone(self):
        self.influx.query(f'CREATE DATABASE "{self.database}" WITH DURATION 99h NAME "mine"')
        store = self.store(default_retention_hours=48)
        store.add(metric())
        self.assert_done(store.write())
        self.assertEqual(self.policies(self.database), {("mine", "99h0m0s", True)})

    def test_dropped_while_running(self):
        store = self.store()
        store.add(metric())
        self.assert_done(store.write())
        self.influx.query(f'DROP DATABASE "{self.database}"')
        store.reset()
        store.add(metric("again"))
        self.assert_done(store.write())
        self.assertEqual([name for name, _ in self.rows("SELECT value FROM again")], ["again"])

    def test_many_create_it_at_once(self):
        stores = [self.store(default_retention_hours=hours) for hours in (48, 48, 48, 48)]
        for i, store in enumerate(stores):
            store.add(metric(value=i, h=str(i)))
            store.begin_write()
        for store in stores:
            self.assert_done(store.end_write())
        self.assertEqual(len(self.rows("SELECT value FROM m")), 4)

    def test_names_are_data(self):
        for name in ("a b", "it's", 'qu"ote', "x; DROP DATABASE _internal", "50%", "é&db=x#y"):
            store = self.store(database_name=name)
            store.add(metric())
            self.assert_done(store.write())
            self.assertEqual(len(self.rows("SELECT value FROM m", name)), 1)

    def test_a_name_of_ours_that_cannot_be(self):
        """The configuration's fault, so no message's."""
        for name in ("a/b", "..", "x" * 129):
            store = Store(self.dir, database_name=name, db_per_tenant=True)
            self.assertRaises(RuntimeError, store.read)
            self.assertEqual(store.close(), 1)
        store = self.store(database_name="a\u2028b", db_per_tenant=True)
        store.add(metric())
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.stored, outcome.refused), ("sick", set(), {}))
        self.assertIn("invalid name", outcome.text)

    def test_one_per_tenant(self):
        store = self.store(db_per_tenant=True)
        tenants = ["a", "b", "it's", 'x"; DROP DATABASE one_per_tenant_a; --', "é", "50%",
                   "a b", "../../etc/passwd", "a\\b", "\u2028", "tab\t", "..", "x" * 300]
        rejected = store.add(*(metric("m", NOW_MS + n, n * 100 + i, tenant)
                               for n in range(3) for i, tenant in enumerate(tenants)))
        outcome = store.write()
        self.assert_done(outcome)
        refused = {tenants[row % len(tenants)] for row in {*rejected, *outcome.refused}}
        wanted = {"../../etc/passwd", "a\\b", "\u2028", "tab\t", "x" * 300}
        self.assertEqual(refused, wanted)
        for why in [*rejected.values(), *outcome.refused.values()]:
            self.assertTrue(why.startswith("unstorable "), why)
        for i, tenant in enumerate(tenants):
            if tenant not in wanted:
                rows = self.rows("SELECT value FROM m", f"{self.database}_{tenant}")
                self.assertEqual([row["value"] for _, row in rows],
                                 [n * 100 + i for n in range(3)], tenant)

    def test_alarms_per_tenant(self):
        store = self.store(kind="alarms", db_per_tenant=True)
        messages = corpus("alarm-state-transitions.jsonl")
        self.assertEqual(store.add_bytes(messages), {})
        self.assert_done(store.write())
        tenants = {json.loads(m)["alarm-transitioned"]["tenantId"] for m in messages}
        self.assertEqual({d for d in self.influx.databases() if d.startswith(self.database)},
                         {f"{self.database}_{t}" for t in tenants})

    def test_known_databases_come_first(self):
        """And after a new one that the server has no room for it is not asked for another."""
        asked = []

        def serve(connection):
            while (request := read_request(connection)) is not None:
                head = request[0].split(b" ")[1].decode()
                asked.append(head.partition("db=")[2] or "create")
                if "/query" in head:
                    connection.sendall(http(b"200 OK", b'{"results":[{"statement_id":0,"error":'
                                            b'"open meta.dbtmp: too many open files"}]}'))
                elif head.endswith("_old"):
                    connection.sendall(http(b"204 No Content"))
                else:
                    connection.sendall(http(b"404 Not Found", b'{"error":"database not found"}'))
        server = FakeServer(serve)
        self.addCleanup(server.close)
        store = self.store(port=server.port, db_per_tenant=True, database_name="d")
        store.add(metric(tenant="old"))
        self.assert_done(store.write())
        store.reset()
        asked.clear()
        store.add(*(metric(tenant=t) for t in ("new1", "new2", "new3", "old")))
        outcome = store.write()
        self.assertEqual((outcome.status, outcome.stored, outcome.refused), ("sick", {3}, {}))
        self.assertIn("too many open files", outcome.text)
        self.assertEqual(asked, ["d_old", "d_new1", "create", "d_new2", "d_new3"])
        # Nothing is known after a start, and new ones keep nobody from being written.
        store = self.store(port=server.port, db_per_tenant=True, database_name="d")
        store.add(*(metric(tenant=t) for t in ("new1", "new2", "new3", "new4", "old")))
        self.assertEqual(store.write().stored, {4})

    def test_databases_that_are_in_trouble_keep_nobody_waiting(self):
        """500 for one after the other: an attempt is short, and the next begins behind them."""
        asked = []

        def serve(connection):
            while (request := read_request(connection)) is not None:
                database = request[0].split(b" ")[1].decode().partition("db=")[2]
                asked.append(database)
                connection.sendall(http(b"204 No Content") if database == "d_good" else
                                   http(b"500 Internal Server Error", b'{"error":"timeout"}'))
        server = FakeServer(serve)
        self.addCleanup(server.close)
        store = self.store(port=server.port, db_per_tenant=True, database_name="d")
        store.add(*(metric(tenant=f"bad{i}") for i in range(7)), metric(tenant="good"))
        stored = set()
        for _ in range(3):
            outcome = store.write()
            self.assertEqual(outcome.status, "sick")
            stored |= outcome.stored
        self.assertEqual(stored, {7})
        self.assertEqual(asked[:4], ["d_bad0", "d_bad1", "d_bad2", "d_bad3"])
        self.assertLessEqual(len(asked), 12)

    def test_many_tenants(self):
        store = self.store(db_per_tenant=True)
        messages = [metric("m", NOW_MS + i, i, f"t{i * 7 % 40}") for i in range(2000)]
        self.assertEqual(store.add(*messages), {})
        outcome = store.write()
        self.assert_done(outcome)
        self.assertEqual(len(outcome.stored), 2000)


class Authentication(WithInflux):
    auth = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.influx.create_admin("root", "secret")

    def test_wrong_then_right(self):
        self.influx.query(f'CREATE DATABASE "{self.database}"')
        store = self.store(user="persister", password="pa$$ss:wörd")
        store.add(metric())
        for _ in range(2):
            outcome = store.write()
            self.assertEqual((outcome.status, outcome.stored, outcome.refused),
                             ("sick", set(), {}))
            self.assertIn("401", outcome.text)
            self.assertNotIn("wörd", outcome.text)
        self.influx.query("CREATE USER persister WITH PASSWORD 'pa$ss:wörd'")
        self.assertIn("403", store.write().text)
        self.influx.query(f'GRANT WRITE ON "{self.database}" TO persister')
        self.assert_done(store.write())

    def test_one_tenants_trouble(self):
        self.influx.query("CREATE USER p2 WITH PASSWORD 'p2'")
        for tenant in "abc":
            self.influx.query(f'CREATE DATABASE "{self.database}_{tenant}"')
            if tenant != "b":
                self.influx.query(f'GRANT WRITE ON "{self.database}_{tenant}" TO p2')
        store = self.store(user="p2", password="p2", db_per_tenant=True)
        self.assertEqual(store.add(*(metric("m", NOW_MS + i, i, "abcd"[i % 4])
                                     for i in range(40))), {})
        outcome = store.write()
        self.assertEqual(outcome.status, "sick")
        self.assertEqual(outcome.stored, {i for i in range(40) if i % 4 in (0, 2)})
        self.assertEqual(outcome.refused, {})
        self.assertIn("403", outcome.text)
        self.assertEqual(store.write().stored, set(), "others are not written again")
        self.influx.query("GRANT ALL PRIVILEGES TO p2")
        outcome = store.write()
        self.assert_done(outcome)
        self.assertEqual(outcome.stored, {i for i in range(40) if i % 4 in (1, 3)})


class Trouble(WithInflux):
    """The world's: nothing is refused, nothing is lost, and the worker lives on."""

    def assert_sick(self, outcome, *words):
        self.assertEqual((outcome.status, outcome.stored, outcome.refused), ("sick", set(), {}))
        for word in words:
            self.assertIn(word, outcome.text)
        self.assertLess(outcome.gap_ms, 3000, "the time without a sign of life")

    def against(self, server, **options):
        self.addCleanup(server.close)
        store = self.store(port=server.port, **options)
        store.add(metric("secret", h="hidden"))
        outcome = store.write()
        self.assertNotIn("hidden", outcome.text)
        return outcome

    def test_down_killed_paused_restarted(self):
        influx = Influx(os.path.join(self.dir, "another"))
        self.addCleanup(influx.stop)
        store = self.store(port=influx.port, timeout_seconds=6)  # more than to the next sign of life
        store.add(*(metric("m", NOW_MS + i) for i in range(100)))
        self.assert_sick(store.write(), "refused")
        influx.start()
        self.assert_done(store.write())
        store.reset()
        store.add(*(metric("n", NOW_MS + i) for i in range(100)))
        influx.pause()
        outcome = store.write()
        self.assert_sick(outcome)
        self.assertTrue(5900 < outcome.took_ms < 15000, outcome.took_ms)
        influx.resume()
        self.assert_done(store.write())
        influx.kill()
        store.reset()
        store.add(*(metric("o", NOW_MS + i) for i in range(100)))
        self.assert_sick(store.write())
        influx.start()
        self.assert_done(store.write())
        for name in "mno":
            self.assertEqual(len(influx.rows(f'SELECT value FROM "{name}"', self.database)), 100)

    def test_killed_while_writing(self):
        influx = Influx(os.path.join(self.dir, "killed")).start()
        self.addCleanup(influx.stop)
        store = self.store(port=influx.port, batch_size=200)
        store.add(*(metric("m", NOW_MS + i, i) for i in range(20000)))
        store.begin_write()

        def is_half_way():
            store.process.send_signal(signal.SIGSTOP)
            if influx.rows("SELECT value FROM m LIMIT 1", self.database):
                return True
            store.process.send_signal(signal.SIGCONT)
            return False

        proc.wait_until(is_half_way, 60, "some are written")
        influx.kill()
        store.process.send_signal(signal.SIGCONT)
        outcome = store.end_write()
        self.assertEqual((outcome.status, outcome.refused), ("sick", {}))
        self.assertTrue(outcome.stored)
        influx.start()
        again = store.write()
        self.assert_done(again)
        self.assertEqual(outcome.stored | again.stored, set(range(20000)))
        self.assertFalse(outcome.stored & again.stored)
        self.assertEqual(len(influx.rows("SELECT value FROM m", self.database)), 20000)

    def test_stopped_while_waiting(self):
        influx = Influx(os.path.join(self.dir, "stopped")).start()
        self.addCleanup(influx.stop)
        store = self.store(port=influx.port, timeout_seconds=30)
        store.add(metric())
        influx.pause()
        outcome = store.write(700)
        self.assertEqual((outcome.status, outcome.stored), ("stopped", set()))
        self.assertLess(outcome.took_ms, 15000)
        influx.resume()
        self.assert_done(store.write())

    def test_answers_that_mean_nothing(self):
        answers = {
            "500": http(b"500 Internal Server Error", b'{"error":"engine is closed"}'),
            "503": http(b"503 Service Unavailable", b"<html>no backend</html>"),
            "200": http(b"200 OK", b"<html>welcome</html>"),
            "200 ": http(b"200 OK", b'{"results":[{"statement_id":0}]}'),
            "302": http(b"302 Found", b"", b"Location: http://127.0.0.1:1/\r\n"),
            "401": http(b"401 Unauthorized", b'{"error":"unable to parse authentication"}'),
            "400": http(b"400 Bad Request", b'{"error":"database is required"}'),
            "400 ": http(b"400 Bad Request", b"partial write: x dropped=1"),
            "404": http(b"404 Not Found", b"404 page not found"),
            "413": http(b"413 Request Entity Too Large", b"<html>413</html>"),
            "429": http(b"429 Too Many Requests", b"{}"),
        }
        for words, answer in answers.items():
            with self.subTest(answer=answer):
                self.assert_sick(self.against(FakeServer(answering(answer))), words.strip())

    def test_servers_that_are_no_influxdb(self):
        """What they answer counts for nothing: they lose points and say 204."""
        refuses = b'{"error":"partial write: x dropped=1"}'
        for answer, words in (
                (http(b"204 No Content", version=b""), "no X-Influxdb-Version"),
                (http(b"204 No Content", version=b"v2.7.1"), "2.7.1"),
                (http(b"204 No Content", version=b"10.1"), "10.1"),
                (http(b"400 Bad Request", refuses, version=b""), "HTTP 400"),
                (http(b"404 Not Found", b'{"error":"database not found"}', version=b""), "404"),
                (http(b"204 No Content", b"", b"Server: VictoriaMetrics\r\n", b""),
                 "VictoriaMetrics")):
            with self.subTest(answer=answer):
                self.assert_sick(self.against(FakeServer(answering(answer))), words, "accept_any")

    def test_a_relay_that_says_nothing(self):
        self.assert_done(self.against(
            FakeServer(answering(http(b"204 No Content", version=b""))), accept_any=True))

    def test_versions_that_are_believed(self):
        for version in (b"1.6.7~rc0", b"1.8.10", b"v1.12.0", b"1.9.7-c1.9.7"):
            self.assert_done(self.against(
                FakeServer(answering(http(b"204 No Content", version=version)))))

    def test_a_database_that_never_comes(self):
        def serve(connection):
            while (request := read_request(connection)) is not None:
                body = b'{"error":"database not found: \\"x\\""}'
                connection.sendall(http(b"404 Not Found", body) if b"/write" in request[0]
                                   else http(b"200 OK", b'{"results":[{"statement_id":0}]}'))
        server = FakeServer(serve)
        self.assert_sick(self.against(server), "not found")
        self.assertLess(server.connections, 10)

    def test_garbage(self):
        for garbage in (b"\0\1\2\3\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"", b"HTTP/1.1 204",
                        b"HTTP/1.1 204 No Content\r\nX: " + b"y" * 1000000):
            def serve(connection, garbage=garbage):
                read_request(connection)
                connection.sendall(garbage)
            with self.subTest(garbage=garbage[:20]):
                self.assert_sick(self.against(FakeServer(serve)))

    def test_a_body_that_does_not_end(self):
        def serve(connection):
            read_request(connection)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            while True:
                connection.sendall(b"x" * 65536)
        outcome = self.against(FakeServer(serve), timeout_seconds=1)
        self.assert_sick(outcome)
        self.assertLess(outcome.took_ms, 15000)

    def test_a_slow_drip(self):
        def serve(connection):
            read_request(connection)
            for byte in b"HTTP/1.1 204 No Content\r\n" + b"X: y\r\n" * 1000:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)
        outcome = self.against(FakeServer(serve), timeout_seconds=1)
        self.assert_sick(outcome)
        self.assertLess(outcome.took_ms, 15000)

    def test_a_name_that_does_not_resolve(self):
        store = self.store(ip_address="no-such-host.invalid")
        store.add(metric())
        self.assert_sick(store.write(), "no-such-host.invalid")

    def test_no_proxy_from_the_environment(self):
        env = {name: "http://127.0.0.1:1" for name in ("http_proxy", "HTTP_PROXY", "all_proxy")}
        store = self.store(env=env)
        store.add(metric())
        self.assert_done(store.write())

    def test_many_requests_use_one_connection(self):
        server = FakeServer(answering(http(b"204 No Content")))
        self.addCleanup(server.close)
        store = self.store(port=server.port, batch_size=10)
        store.add(*(metric("m", NOW_MS + i) for i in range(1000)))
        self.assert_done(store.write())
        self.assertEqual(server.connections, 1)

    def test_a_kept_connection_that_was_closed(self):
        given, closed = threading.Semaphore(0), threading.Semaphore(0)

        def serve(connection):
            read_request(connection)
            connection.sendall(http(b"204 No Content"))
            given.acquire()  # and close, as servers do with idle connections
            connection.close()
            closed.release()
        server = FakeServer(serve)
        self.addCleanup(server.close)
        store = self.store(port=server.port)
        for _ in range(3):
            store.add(*(metric("m", NOW_MS + i) for i in range(100)))
            self.assert_done(store.write())
            store.reset()
            given.release()
            self.assertTrue(closed.acquire(timeout=60))
        self.assertEqual(server.connections, 3)


@unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
class Tls(WithInflux):
    """A TLS server in front of a real InfluxDB."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cert, cls.other = cls.make("127.0.0.1"), cls.make("127.0.0.2")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cls.cert, cls.cert + ".key")

        def serve(connection):
            with context.wrap_socket(connection, server_side=True) as client, \
                    socket_to(cls.influx.port) as influx:
                threading.Thread(target=copy, args=(influx, client), daemon=True).start()
                copy(client, influx)
        cls.server = FakeServer(serve)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        super().tearDownClass()

    @classmethod
    def make(cls, address):
        path = os.path.join(cls.dir, address + ".pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=influx", "-addext", f"subjectAltName=IP:{address}",
                        "-keyout", path + ".key", "-out", path], check=True, capture_output=True)
        return path

    def attempt(self, **options):
        store = self.store(port=self.server.port, ssl=True, **options)
        store.add(*(metric("m", NOW_MS + i) for i in range(5000)))
        return store.write()

    def test_with_its_ca(self):
        self.assert_done(self.attempt(verify_ssl=True, ca_file=self.cert))
        self.assertEqual(len(self.rows("SELECT value FROM m")), 5000)

    def test_unverified(self):
        self.assert_done(self.attempt(verify_ssl=False))

    def test_unknown_ca(self):
        outcome = self.attempt(verify_ssl=True)
        self.assertEqual((outcome.status, outcome.stored), ("sick", set()))
        self.assertIn("certificate", outcome.text)

    def test_other_ca(self):
        outcome = self.attempt(verify_ssl=True, ca_file=self.other)
        self.assertEqual((outcome.status, outcome.stored), ("sick", set()))

    def test_ca_file_that_is_not_there(self):
        store = Store(self.dir, port=self.server.port, ssl=True, verify_ssl=True,
                      ca_file="/no/such/file")
        self.assertRaises(RuntimeError, store.read)
        self.assertEqual(store.close(), 1)

    def test_plain_text_to_tls_and_back(self):
        store = self.store(port=self.server.port)
        store.add(metric())
        self.assertEqual(store.write().status, "sick")
        store = self.store(port=self.influx.port, ssl=True)
        store.add(metric())
        self.assertEqual(store.write().status, "sick")


def again(base, suffix, program):
    """The same tests with another InfluxDB."""
    name = base.__name__ + suffix
    globals()[name] = type(name, (base,), {"program": staticmethod(program),
                                           "__module__": __name__})


OWN = os.environ.get("PERSISTER_TEST_INFLUXD")  # one that somebody has built
for each in (Formats, BadPoints, Capacity, SmallRequests, Databases, Authentication):
    again(each, "OnNewer", influx.newer)
    for v in influx.NEWEST:
        again(each, "On" + v.replace(".", "_"), functools.partial(influx.newest, v))
    if OWN:
        again(each, "OnOwn", lambda: OWN)
del each, v


def socket_to(port):
    return socket.create_connection(("127.0.0.1", port))


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(1)
    except OSError:
        pass


if __name__ == "__main__":
    unittest.main()
