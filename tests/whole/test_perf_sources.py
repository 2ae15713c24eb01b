# SPDX-License-Identifier: Apache-2.0
"""What persister-perf reads from: the real monasca-api, the admin port and the segment of the real
persister, and the Java persister's admin port as it was recorded."""

import http.server
import os
import shutil
import signal
import tempfile
import threading
import time
import unittest

from fixtures import fetched, monasca_api, proc
from fixtures.influx import Influx
from fixtures.keystone import Keystone
from fixtures.perf_sources import (DRIVER, Source, SourceError, dimensions, point, total,
                                   write_points)
from fixtures.scenario import Scenario

PROJECT, READER, PASSWORD = "operators", "an-operator", "what he types"
START = 1790000000123  # ms; not on a whole second
FLUSH = 20000


def now_ms():
    return time.time_ns() // 1000000


class Sources(Scenario):
    def source(self, specification, period_ms=0, directory="", **env):
        s = Source(specification, period_ms, directory, **env)
        self.addCleanup(s.process.kill)
        # 1: it could not be opened. A sanitizer has another code.
        self.addCleanup(lambda: self.assertIn(s.close(), (0, 1)))
        return s

    def assert_refused(self, wanted, source, command="poll"):
        with self.assertRaises(SourceError) as caught:
            source.do(command)
        self.assertIn(wanted, str(caught.exception))


class ApiTest(Sources):
    """The servers are the same for all, the series are not."""

    seconds = 60

    @classmethod
    def setUpClass(cls):
        try:
            fetched.environment("monasca-api")
        except fetched.Unavailable as e:
            raise unittest.SkipTest(f"no Monasca: {e}") from None
        directory = tempfile.mkdtemp(prefix="persister-api-")
        cls.addClassCleanup(shutil.rmtree, directory, True)
        cls.server = Influx(directory + "/influx")
        cls.addClassCleanup(cls.server.kill)
        cls.server.start()
        cls.keystone = Keystone()
        cls.addClassCleanup(cls.keystone.close)
        cls.keystone.add_user(READER, PASSWORD, PROJECT, monasca_api.READER)
        cls.keystone.add_user("agent", "of the agent", PROJECT, monasca_api.POSTER)
        cls.api = monasca_api.MonascaApi(directory + "/api", cls.keystone, cls.server)
        cls.addClassCleanup(cls.api.kill)
        cls.api.start()

    def setUp(self):
        super().setUp()
        self.influx = self.server
        self.logs += [self.influx.log, self.api.log]
        self.influx.query("DROP SERIES FROM /.*/", "mon")

    def credentials(self, **changes):
        return {"OS_AUTH_URL": self.keystone.url, "OS_USERNAME": READER, "OS_PASSWORD": PASSWORD,
                "OS_PROJECT_NAME": PROJECT, **changes}

    def monasca(self, period_ms=0, specification="monasca", **changes):
        return self.source(specification, period_ms, **self.credentials(**changes))

    def issued(self):
        """Tokens of the one who reads; the API has some of its own."""
        return sum(t["token"]["user"]["name"] == READER for t in self.keystone.tokens.values())

    def write(self, lines):
        write_points(self.influx, "mon", lines)

    def flushes(self, n, instance="a", process=None, host="one", start=START, **more):
        """n flushes of an agent: flush i has received 100 + i, completed 90 + i, and times."""
        d = dimensions(instance, process, host, **more)
        lines = []
        for i in range(n):
            at = start + (i + 1) * FLUSH
            # Each series has the time of its own last sample.
            for k, (name, value) in enumerate((
                    ("requests.received", 100 + i), ("requests.completed", 90 + i),
                    ("workers.restarts", int(i == 1)), ("request_time.avg_sec", (i + 1) / 8),
                    ("request_time.min_sec", 0.012345678 + i), ("request_time.max_sec", 10.5 + i),
                    ("request_time.p99_sec", 9.25 + i), ("lag", 7 * i))):
                lines.append(point(name, d, at + k, value, PROJECT))
        return lines

    def test_flushes_become_rows(self):
        self.write(self.flushes(4) + self.flushes(4, process="metrics-0") +
                   self.flushes(4, "another"))
        tracks = self.monasca().read(START, START + 10 * FLUSH)
        self.assertEqual(set(tracks), {("a", ""), ("a", "metrics-0"), ("another", "")})
        rows = tracks["a", "metrics-0"]["rows"]
        self.assertEqual([r["received"] for r in rows], [100, 101, 102, 103])
        self.assertEqual([r["completed"] for r in rows], [90, 91, 92, 93])
        self.assertEqual([r["min"] for r in rows], [12.345678, 1012.345678, 2012.345678, 3012.345678])
        self.assertEqual([r["max"] for r in rows], [10500, 11500, 12500, 13500])
        self.assertEqual([r["avg"] for r in rows], [125, 250, 375, 500])
        self.assertEqual([r["p99"] for r in rows], [9250, 10250, 11250, 12250])
        self.assertEqual([r["lag"] for r in rows], [0, 7, 14, 21])
        self.assertEqual([r["restarted"] for r in rows], [False, True, False, False])
        ends = [START + (i + 1) * FLUSH + 1 for i in range(4)]  # of the completed
        self.assertEqual([(r["from"], r["to"]) for r in rows], [(e - FLUSH, e) for e in ends])
        self.assertIsNone(tracks["a", ""]["received_start"])

    def test_spans_that_abut_have_each_row_once(self):
        self.write(self.flushes(6))
        source = self.monasca()
        middle = START + 3 * FLUSH + 1  # the time of a point of the grid
        parts = [source.read(START, middle), source.read(middle, START + 9 * FLUSH)]
        self.assertEqual([len(p["a", ""]["rows"]) for p in parts], [3, 3])
        self.assertEqual(sum(total(p["a", ""], "completed") for p in parts), sum(range(90, 96)))

    def test_periods(self):
        self.write(self.flushes(7))
        since, until = START - START % 60000, START + 10 * FLUSH
        rows = self.monasca(60000).read(since, until)["a", ""]["rows"]
        self.assertEqual(sum(r["received"] for r in rows), sum(range(100, 107)))
        self.assertEqual(sum(r["completed"] for r in rows), sum(range(90, 97)))
        self.assertEqual(min(r["min"] for r in rows), 12.345678)
        self.assertEqual(max(r["max"] for r in rows), 16500)
        for r in rows:
            self.assertEqual(r["from"] % 60000, 0)
            flushes = [i for i in range(7) if r["from"] <= START + (i + 1) * FLUSH < r["to"]]
            done = sum(90 + i for i in flushes)
            self.assertEqual(r["completed"], done)
            self.assertAlmostEqual(r["avg"], sum((90 + i) * (i + 1) * 125 for i in flushes) / done)
            self.assertEqual(r["lag"], 7 * max(flushes))
        self.assertEqual(sum(r["restarted"] for r in rows), 1)

    def test_pages(self):
        """The API gives 10000 points at a time."""
        n = 25000
        d = dimensions("a")
        lines = [point(name, d, START + 1000 * i, 1, PROJECT) for i in range(n)
                 for name in ("requests.received", "requests.completed")]
        self.write(lines)
        track = self.monasca().read(START - 1, START + 1000 * n)["a", ""]
        self.assertEqual((len(track["rows"]), total(track, "received"), total(track, "completed")),
                         (n, n, n))
        # Of statistics, too, with points on the very instants at which periods and pages begin.
        start = START + 877
        self.influx.query('DELETE FROM /.*/', "mon")
        self.write([point(name, d, start + 500 * i, 1, PROJECT) for i in range(n)
                    for name in ("requests.received", "requests.completed")])
        track = self.monasca(1000).read(start, start + 1000 * n)["a", ""]
        self.assertEqual((len(track["rows"]), total(track, "received")), (n // 2, n))

    def test_more_than_a_page_of_several_series(self):
        """Pages over several series are not whole; so each is read alone."""
        n = 6000
        lines = [point(name, d, START + 1000 * i, 1, PROJECT) for i in range(n)
                 for d in (dimensions("a"), dimensions("a", "metrics-0"), dimensions("a", "metrics-1"))
                 for name in ("requests.received", "requests.completed")]
        self.write(lines)
        tracks = self.monasca().read(START - 1, START + 1000 * n)
        self.assertEqual({p: (len(t["rows"]), total(t, "received")) for (_, p), t in tracks.items()},
                         {p: (n, n) for p in ("", "metrics-0", "metrics-1")})

    def test_the_same_instance_with_other_dimensions_later(self):
        """The first series' dimensions are a part of the second's: asked for alone, it is refused."""
        self.write(self.flushes(2) + self.flushes(2, start=START + 2 * FLUSH, rack="r1"))
        track = self.monasca().read(START, START + 9 * FLUSH)["a", ""]
        self.assertEqual([r["received"] for r in track["rows"]], [100, 101, 100, 101])

    def test_series_that_cannot_be_told_apart_page_by_page(self):
        n = 6000
        self.write([point("requests.completed", dimensions("a", **more), START + 1000 * i, 1, PROJECT)
                    for i in range(n) for more in ({}, {"rack": "r1"})])
        source = self.monasca()
        self.assert_refused("several series have the dimensions", source,
                            f"read {START} {START + 1000 * n}")
        tracks = source.read(START - 1, START + 1000 * 1000)
        self.assertEqual(total(tracks["a", ""], "completed"), 2 * 1001)

    def test_two_hosts(self):
        self.write(self.flushes(1) + self.flushes(1, host="two") + self.flushes(1, "b", host="two"))
        tracks = self.monasca().read(START, START + 2 * FLUSH)
        self.assertEqual(set(tracks), {("a@one", ""), ("a@two", ""), ("b", "")})

    def test_a_token_that_ended_is_renewed(self):
        self.write(self.flushes(1))
        source = self.monasca()
        source.poll()
        issued = self.issued()
        source.poll()
        self.assertEqual(self.issued(), issued)
        self.keystone.expire_tokens()
        source.poll()
        self.assertEqual(self.issued(), issued + 1)
        self.keystone.expire_tokens()
        self.assertEqual(total(source.read(START, START + 2 * FLUSH)["a", ""], "received"), 100)

    def test_a_token_instead_of_a_password(self):
        self.write(self.flushes(1))
        token = self.keystone.token(READER)
        scoped = self.monasca(OS_TOKEN=token, OS_PASSWORD="", OS_USERNAME="")
        scoped.poll()
        alone = self.source("monasca=" + self.api.url, OS_TOKEN=token)
        alone.poll()
        self.keystone.expire_tokens()
        self.assert_refused("answered 401 (the token is refused", alone)
        self.assert_refused("answered 401 (the token is not valid", scoped)

    def test_addresses(self):
        for url in (self.api.url, self.api.url + "/", self.api.url.removesuffix("/v2.0")):
            self.monasca(specification="monasca=" + url).poll()
        self.monasca(OS_AUTH_URL=self.keystone.url.removesuffix("/v3") + "/").poll()
        self.monasca(OS_REGION_NAME="RegionOne").poll()

    def test_what_goes_wrong_is_said(self):
        span = f"read {START} {START + FLUSH}"
        self.assert_refused("no metric monasca.persister.requests.completed yet", self.monasca(), span)
        self.assert_refused("answered 401 (wrong user", self.monasca(OS_PASSWORD="no"))
        self.assert_refused("interface public, region Elsewhere",
                            self.monasca(OS_REGION_NAME="Elsewhere"))
        self.assert_refused("OS_PASSWORD is missing", self.monasca(OS_PASSWORD=""))
        self.assert_refused("OS_AUTH_URL", self.monasca(OS_AUTH_URL=""))
        self.assert_refused("OS_PROJECT_NAME", self.monasca(OS_PROJECT_NAME=""))
        self.assert_refused("may not read", self.monasca(OS_USERNAME="agent",
                                                         OS_PASSWORD="of the agent"))
        closed = f"http://127.0.0.1:{proc.free_ports()}"
        self.assert_refused("Connection refused", self.monasca(OS_AUTH_URL=closed))
        self.assert_refused("Connection refused", self.monasca(specification="monasca=" + closed))
        self.assert_refused("answered 404 (is it the Monasca API?)",
                            self.monasca(specification=f"monasca={self.api.url}/v2.0"))
        self.addCleanup(self.influx.start)
        self.influx.kill()
        self.assert_refused("answered 500", self.monasca())


class AdminTest(Sources):
    seconds = 40

    def start(self, **sections):
        self.use_shared()
        self.port = proc.free_ports()
        self.p = self.persister(admin={"enabled": True, "port": self.port}, **sections)
        proc.wait_until(lambda: proc.is_open(self.port), 60, "the admin port is there")
        self.url = f"dropwizard=http://127.0.0.1:{self.port}"

    @staticmethod
    def answers(source):
        try:
            source.poll()
        except SourceError:
            return False
        return True

    def load(self, first, messages, *sources):
        """Polls all the while, which is three seconds at least."""
        feed = self.feeding(messages, first, rate=messages // 3)
        while feed.process.poll() is None:
            for source in sources:
                source.poll()
            time.sleep(0.2)
        feed.wait()
        self.wait_drained()
        proc.wait_until(lambda: (self.p.totals()["in_flight"], self.p.totals()["lag"]) == (0, 0), 60,
                        "all is settled, and known to be")
        for source in sources:
            source.poll()

    def test_what_is_loaded_is_what_is_read(self):
        self.start()
        self.wait_assigned(self.p)  # nothing is read twice
        self.feed(1000)
        self.wait_drained()
        proc.wait_until(lambda: self.p.totals()["completed"] == 1000, 60, "all is stored")
        ours, theirs = self.source(self.url), self.source(self.url + "/metrics")
        since = now_ms() - 1
        ours.poll()
        theirs.poll()
        self.load(1000, 30000, ours, theirs)
        tracks, java = ours.read(since, now_ms()), theirs.read(since, now_ms())
        instance = tracks.pop((self.p.instance, ""))
        for figure in ("received", "completed"):
            self.assertEqual((instance[figure + "_start"], instance[figure + "_end"]), (1000, 31000))
            self.assertEqual(total(instance, figure), 30000)
            self.assertEqual(sum(total(t, figure) for t in tracks.values()), 30000)
        self.assertGreater(len(instance["rows"]), 3)
        self.assertEqual(instance["rows"][-1]["lag"], 0)
        self.assertEqual({p for _, p in tracks}, {w["process"] for w in
                                                  self.p.figures()["processes"]})
        for figure in ("received", "completed"):
            self.assertEqual(total(java["", ""], figure), 30000)
            self.assertEqual({p: total(t, figure) for (_, p), t in java.items() if p},
                             {f"metric-{p.rpartition('-')[2]}": total(t, figure)
                              for (_, p), t in tracks.items()})

    def test_restarts_are_seen_through(self):
        self.start()
        source = self.source(self.url)
        since = now_ms() - 1
        source.poll()
        self.load(0, 5000, source)
        rows = source.read(since, now_ms())[self.p.instance, ""]["rows"]
        for extreme, of in (("min", min), ("max", max)):
            self.assertEqual(of(r[extreme] for r in rows if r[extreme] is not None),
                             round(self.p.totals()["request"][extreme + "_s"] * 1e9) / 1e6)
        pid = self.p.workers()[0]
        name = next(n for n, w in self.p.processes().items() if w["pid"] == pid)
        os.kill(pid, signal.SIGKILL)
        proc.wait_until(lambda: self.p.totals()["restarts"] == 1 and self.p.all_run(), 60, "is back")
        self.load(5000, 5000, source)
        tracks = source.read(since, now_ms())
        self.assertEqual(total(tracks[self.p.instance, ""], "completed"), 10000)
        self.assertEqual(sum(r["restarted"] for r in tracks[self.p.instance, name]["rows"]), 1)
        self.assertEqual(sum(r["restarted"] for r in tracks[self.p.instance, ""]["rows"]), 0)
        self.stop(self.p)
        self.assert_refused("Connection refused", source)
        self.p.start()
        proc.wait_until(lambda: self.answers(source), 60, "the admin port is there again")
        self.load(10000, 3000, source)
        track = source.read(since, now_ms())[self.p.instance, ""]
        self.assertEqual(total(track, "completed"), 13000)
        self.assertEqual(sum(r["restarted"] for r in track["rows"]), 1)
        self.assertEqual((track["completed_start"], track["completed_end"]), (0, 3000))


class Answers:
    """A server that gives the answers it is told to."""

    def __init__(self, answers):
        self.answers = answers  # {path: (status, body)}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, body = outer.answers.get(self.path, (404, b""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass  # the client has had enough

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class StrangersTest(Sources):
    """Ports that are not ours."""

    def setUp(self):
        super().setUp()
        self.server = Answers({})
        self.addCleanup(self.server.close)

    def test_the_java_persister(self):
        with open(os.path.join(proc.CORPUS, "dropwizard-metrics.json"), "rb") as f:
            recorded = f.read()
        source = self.source("dropwizard=" + self.server.url)
        self.assert_refused("/metrics answered 404", source)
        since = now_ms() - 1
        self.server.answers["/metrics"] = (200, recorded)
        source.poll()
        self.server.answers["/metrics"] = (200, recorded.replace(b"62000", b"62500"))
        source.poll()
        tracks = source.read(since, now_ms() + 10)
        self.assertEqual({p: (total(t, "received"), total(t, "completed"))
                          for (_, p), t in tracks.items()},
                         {"": (1000, 1000), "metric-0": (500, 500), "metric-1": (500, 500),
                          "alarm-state-transition-0": (0, 0)})
        self.assertEqual(tracks["", ""]["received_start"], 124008)
        # It was started anew, and has counted 100 for each since.
        self.server.answers["/metrics"] = (200, recorded.replace(b"62000", b"100"))
        source.poll()
        track = source.read(since, now_ms() + 20)["", ""]
        self.assertEqual([r["received"] for r in track["rows"]], [1000, 200])
        self.assertEqual([r["restarted"] for r in track["rows"]], [False, True])

    def test_hostile_answers(self):
        source = self.source("dropwizard=" + self.server.url)
        for body, wanted in (
                (b"", "not JSON"), (b"<html>", "not JSON"), (b"[" * 100000, "not JSON"),
                (b"null", "no number"), (b'{"version": 1}', "not a persister's"),
                (b'{"version": NaN}', "not JSON"), (b'{"version": 1e999}', "no number"),
                (b"\xff\xfe", "not JSON"),
                (b'{"version": 1, "instance": "a\\u0000b", "totals": {}, "processes": []}', "NUL"),
                (b'{"version": 1, "instance": "a", "totals": {"received": -1}, "processes": []}',
                 "no number from 0 up"),
                (b'{"version": 1, "instance": "a", "totals": {"received": 1.5}, "processes": []}',
                 "no count"),
                (b'[' + b'0,' * (9 << 20) + b'0]', "larger than")):
            self.server.answers["/stats"] = (200, body)
            self.assert_refused(wanted, source)
        self.server.answers["/stats"] = (503, b"no")
        self.assert_refused("/stats answered 503", source)
        self.server.answers["/stats"] = (302, b"")
        self.assert_refused("/stats answered 302", source)

    def test_specifications(self):
        for specification, wanted in (
                ("", "no known kind"), ("ftp=x", "no known kind"), ("dropwizard", "wanted is"),
                ("dropwizard=", "wanted is"), ("dropwizard=ftp://x", "no URL like"),
                ("dropwizard=http://u:secret@h:1", "do not go into a URL"),
                ("dropwizard=http://h:1/?x=1", "has no place"), ("monasca=", "wanted is"),
                ("segment=", "wanted is"), ("segment=a/b", "no '/'")):
            self.assert_refused(wanted, self.source(specification, OS_AUTH_URL="http://127.0.0.1"))
        self.assert_refused("no instance 'there-is-none'", self.source("segment=there-is-none", directory=self.dir))


class SegmentTest(Sources):
    seconds = 100

    def start(self):
        self.use_shared()
        self.p = self.persister()
        self.segment = self.source("segment=" + self.p.instance,
                                   directory=os.path.dirname(self.p.segment))
        proc.wait_until(lambda: self.p.is_settled() and self.p.totals()["lag"] is not None, 60,
                        "all have joined, and the lag is known")
        self.lag_known = now_ms()

    def load(self, first, messages):
        self.feed(messages, first)
        self.wait_drained()
        proc.wait_until(lambda: self.p.totals()["in_flight"] == 0, 60, "all is settled")
        closed = self.p.figures()["period"]["number"]
        proc.wait_until(lambda: self.p.figures()["period"]["number"] > closed + 1, 60, "it is closed")

    def test_periods_and_restarts(self):
        self.start()
        since = now_ms() - 60000
        self.load(0, 20000)
        # Without any poll before.
        tracks = self.segment.read(since, now_ms())
        figures = self.p.figures()
        instance = tracks.pop((self.p.instance, ""))
        for figure in ("received", "completed"):
            self.assertEqual(total(instance, figure), 20000)
            self.assertEqual({p: total(t, figure) for (_, p), t in tracks.items()},
                             {w["process"]: w["lifetime"][figure] for w in figures["processes"]})
        for extreme, of in (("min", min), ("max", max)):
            self.assertEqual(of(r[extreme] for r in instance["rows"] if r[extreme] is not None),
                             round(figures["totals"]["request"][extreme + "_s"] * 1e9) / 1e6)
        lags = [r["lag"] for r in instance["rows"] if r["from"] >= self.lag_known]
        self.assertGreater(len(lags), 0)
        self.assertNotIn(None, lags)
        name, worker = next(iter(self.p.processes().items()))
        os.kill(worker["pid"], signal.SIGKILL)
        proc.wait_until(lambda: self.p.totals()["restarts"] == 1 and self.p.all_run(), 60, "is back")
        self.load(20000, 5000)
        self.segment.poll()
        tracks = self.segment.read(since, now_ms())
        self.assertEqual(total(tracks[self.p.instance, ""], "completed"), 25000)
        self.assertEqual({p: sum(r["restarted"] for r in t["rows"])
                          for (_, p), t in tracks.items() if p},
                         {p: int(p == name) for p in self.p.processes()})
        self.stop(self.p)
        self.assert_refused("stopped at", self.segment)
        rows = self.segment.read(since, now_ms())[self.p.instance, ""]["rows"]
        self.p.start()
        self.load(25000, 3000)
        self.segment.poll()
        track = self.segment.read(since, now_ms())[self.p.instance, ""]
        self.assertEqual(track["rows"][:len(rows)], rows)
        self.assertEqual(total(track, "completed"), 28000)
        self.assertEqual([i for i, r in enumerate(track["rows"]) if r["restarted"]], [len(rows)])

    def test_more_periods_than_are_kept(self):
        """Polls keep what the segment forgets; one that comes late finds the last 60."""
        self.use_shared()
        self.p = self.persister(persister={"period_seconds": 1})
        polled, late = (self.source("segment=" + self.p.instance,
                                    directory=os.path.dirname(self.p.segment)) for _ in range(2))
        since = now_ms() - 60000
        feed = self.feeding(70 * 500, rate=500)
        while feed.process.poll() is None:
            polled.poll()
            time.sleep(5)
        feed.wait()
        self.load(35000, 100)
        tracks = polled.read(since, now_ms())
        self.assertEqual(total(tracks.pop((self.p.instance, "")), "completed"), 35100)
        self.assertEqual(sum(total(t, "completed") for t in tracks.values()), 35100)
        track = late.read(since, now_ms())[self.p.instance, ""]
        self.assertLessEqual(len(track["rows"]), 60)
        self.assertGreater(len(track["rows"]), 55)
        self.assertLess(total(track, "completed"), 35100)


if __name__ == "__main__":
    if not os.path.exists(DRIVER):
        raise SystemExit(f"no {DRIVER}")
    unittest.main()
