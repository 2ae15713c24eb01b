# SPDX-License-Identifier: Apache-2.0
"""The admin port, over real HTTP: what it serves, to whom it is kind, and that a browser shows it.

Without Kafka: tests/tools/admin-driver plays master and workers. Only the last class has a whole pipeline.
"""

import concurrent.futures
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from fixtures import agent_poll, proc, prometheus
from fixtures.admin import DRIVER, Driver
from fixtures.browser import BINARY, Browser
from fixtures.scenario import Scenario

WORKERS = ("metrics:2", "alarm-state-transitions:1")  # those of the capture
CAPTURE = os.path.join(proc.CORPUS, "dropwizard-metrics.json")
HANDLER = "monasca.persister.pipeline.event.MetricHandler[metric-0]."
PSTATS = os.path.join(proc.BUILD, "pstats", "pstats")
SCRAPER = ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
           "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")


class AdminTest(unittest.TestCase):
    mode = "play"
    env = {}

    def setUp(self):
        if not os.path.exists(DRIVER):
            self.skipTest(f"no {DRIVER}; set BUILD")
        self.dir = tempfile.mkdtemp(prefix="persister-admin-")
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.driver = Driver(self.dir, self.mode, *WORKERS, **self.env)
        self.addCleanup(self.driver.stop)

    def get(self, *args, **kwargs):
        return self.driver.get(*args, **kwargs)

    def stats(self):
        return self.get("/stats").json()


class Routes(AdminTest):
    def test_each_has_its_type(self):
        types = {"/": "text/html; charset=utf-8",
                 "/metrics": "application/json",
                 "/metrics?pretty=true": "application/json",
                 "/metrics/prometheus": "text/plain; version=0.0.4; charset=utf-8",
                 "/healthcheck": "application/json",
                 "/ping": "text/plain; charset=utf-8",
                 "/threads": "text/plain; charset=utf-8",
                 "/stats": "application/json",
                 "/config": "text/plain; charset=utf-8"}
        for path, kind in types.items():
            with self.subTest(path):
                answer = self.get(path)
                self.assertEqual((answer.status, answer.type), (200, kind))
                self.assertGreater(len(answer.body), 4)
                self.assertIn("no-store", answer.headers["Cache-Control"])
                head = self.get(path, "HEAD")
                self.assertEqual((head.status, head.body), (200, ""))
        self.assertEqual(self.get("/ping").body, "pong\n")
        self.assertEqual(self.get("/config").body, "[influxdb]\npassword = ****\n")

    def test_what_it_does_not_have(self):
        for path in ("/nothing", "/metrics/", "//", "/../etc/passwd", "/%2e%2e/x", "/stats/x"):
            self.assertEqual(self.get(path).status, 404, path)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            answer = self.get("/metrics", method)
            self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD"), method)

    def test_accept_chooses_the_form(self):
        for accept, kind in ((None, "application/json"), ("*/*", "application/json"),
                             ("application/json", "application/json"),
                             ("text/html,*/*;q=0.8", "application/json"),
                             ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
                             (SCRAPER, "application/openmetrics-text; version=1.0.0; "
                                       "charset=utf-8")):
            headers = {"Accept": accept} if accept else {}
            self.assertEqual(self.get("/metrics", **headers).type, kind, accept)
        self.assertTrue(self.get("/metrics", Accept=SCRAPER).body.endswith("# EOF\n"))

    def test_pretty(self):
        self.assertEqual(len(self.get("/metrics").body.splitlines()), 1)
        self.assertIn('\n  "gauges" : {\n', self.get("/metrics?pretty=true").body)

    def test_requests_on_one_connection(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.driver.port, timeout=60)
        for _ in range(50):
            connection.request("GET", "/ping")
            self.assertEqual(connection.getresponse().read(), b"pong\n")
        connection.close()

    def test_threads_tell_what_each_does(self):
        self.driver.do("state metrics-1 retrying", "wait metrics-1 influxdb connection refused")
        text = self.get("/threads").body
        self.assertRegex(text, r'"metrics-1" slot=2 generation=1 restarts=0 pid=\d+\n'
                               r"   state: retrying since 20\S+Z \(\d+ s\)\n"
                               r"   doing: holding a batch [^\n]*\n"
                               r"   waits: for influxdb since 20\S+Z \(\d+ s\): connection refused")


class OwnProcess(AdminTest):
    def status(self):
        with open(f"/proc/{self.driver.admin}/status", encoding="ascii") as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f)

    def test_it_has_no_privileges(self):
        status = self.status()
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(int(status["CapEff"], 16) | int(status["CapPrm"], 16), 0)
        self.assertEqual(status["Threads"], "1")
        with open(f"/proc/{self.driver.admin}/limits", encoding="ascii") as f:
            limits = f.read()
        self.assertRegex(limits, r"Max open files +160 +160 ")
        if os.geteuid() == 0:
            for ids in (status["Uid"], status["Gid"]):
                self.assertNotIn("0", ids.split())
            self.assertEqual(status["Groups"].strip(), "")

    def test_it_cannot_write_the_segment(self):
        with open(f"/proc/{self.driver.admin}/maps", encoding="ascii") as f:
            maps = [line.split() for line in f if "test.shm" in line]
        self.assertEqual([m[1] for m in maps], ["r--s"])

    def test_it_dies_with_its_master(self):
        self.driver.process.kill()
        proc.wait_until(lambda: not proc.is_alive(self.driver.admin), 60, "the child has died")
        self.driver.process.wait(60)

    def test_term_ends_it(self):
        self.assertEqual(self.driver.stop(), 0)

    def test_its_death_harms_nobody(self):
        self.driver.do("take metrics-0 10")
        os.kill(self.driver.admin, signal.SIGKILL)
        self.driver.do("store metrics-0 10 5000", "admin")
        self.assertEqual(self.stats()["totals"]["completed"], 10)


class DropWizard(AdminTest):
    def shape(self, document):
        """Sections in order; for each name that is not our own its members in order, with types."""
        own = re.compile(r"monasca\.persister\.(?!pipeline\.|repository\.)")
        return [(section, [(name, [(m, type(v)) for m, v in members.items()])
                           for name, members in entries.items() if not own.match(name)]
                 if isinstance(entries, dict) else type(entries))
                for section, entries in document.items()]

    def test_the_shape_is_the_captures(self):
        with open(CAPTURE, encoding="utf-8") as f:
            capture = json.load(f)
        self.assertEqual(self.shape(self.get("/metrics").json()), self.shape(capture))

    def test_the_filter_of_persister_perf(self):
        """perf/persister_perf.sh of openstack/monasca-persister asks so, with curl and jq."""
        if not shutil.which("jq"):
            self.skipTest("no jq")
        self.driver.do("take metrics-0 100", "take metrics-1 50", "store metrics-0 70 1000",
                       "reject metrics-0 5", "store metrics-1 20 1000")
        for meter, count in (("events-processed-meter", 150), ("flush-meter", 90)):
            program = ("[.meters | with_entries(select(.key|match(\"monasca.persister.pipeline."
                       "event.MetricHandler\\\\[metric-[0-9]*\\\\]." + meter + "\";\"i\")))[] | "
                       ".count] | add")
            got = subprocess.run(["jq", program], input=self.get("/metrics?pretty=true").body,
                                 capture_output=True, text=True, check=True).stdout
            self.assertEqual(int(got), count, meter)

    def test_paths_that_monasca_agent_polls(self):
        """Those of its set-up plug-in (monasca_setup/detection/plugins/mon.py)."""
        self.driver.do("take metrics-0 10", "store metrics-0 8 1000", "reject metrics-0 2",
                       "set metrics-0 memory_bytes 1000000")
        document = self.get("/metrics").json()
        paths = {"gauges/jvm.memory.total.max/value": None,
                 "gauges/jvm.memory.total.used/value": 1000000,
                 "counters/monasca.persister.pipeline.event.AlarmStateTransitionHandler"
                 "[alarm-state-transition-0].alarm-state-transitions-added-to-batch-counter/count":
                 0,
                 "counters/" + HANDLER + "metrics-added-to-batch-counter/count": 8}
        for path, wanted in paths.items():
            value = document
            for part in path.split("/"):
                value = value[part]
            self.assertIsInstance(value, int)
            if wanted is not None:
                self.assertEqual(value, wanted, path)

    def test_counts_are_those_of_stats_over_a_death(self):
        self.driver.do("take metrics-0 100", "store metrics-0 60 2000", "die metrics-0 dead",
                       "start metrics-0", "take metrics-0 40", "store metrics-0 40 8000")
        metrics, stats = self.get("/metrics").json(), self.stats()
        worker = next(p for p in stats["processes"] if p["process"] == "metrics-0")["lifetime"]
        self.assertEqual(worker["received"], 140)
        self.assertEqual(metrics["meters"][HANDLER + "events-processed-meter"]["count"], 140)
        self.assertEqual(metrics["meters"][HANDLER + "flush-meter"]["count"], 100)
        self.assertEqual(metrics["counters"][HANDLER + "metrics-added-to-batch-counter"]["count"],
                         140)
        timer = metrics["timers"][HANDLER + "flush-timer"]
        self.assertEqual(timer["count"], worker["write"]["count"])
        self.assertEqual((timer["min"], timer["max"]), (0.008, 0.008))  # of the one that runs
        for name, counter in stats["totals"].items():
            if isinstance(counter, int):
                for section, member in (("counters", "count"), ("gauges", "value")):
                    entry = metrics[section].get("monasca.persister." + name)
                    if entry:
                        self.assertEqual(entry[member], counter, name)

    def test_stats_is_what_pstats_says(self):
        self.driver.do("take metrics-0 100", "store metrics-0 60 2000", "reject metrics-0 3", "close",
                       "wait metrics-1 influxdb connection refused")
        said = subprocess.run([PSTATS, "-j", "-f", self.driver.segment], capture_output=True,
                              check=True, timeout=60).stdout
        ours, theirs = self.stats(), json.loads(said)
        for document in (ours, theirs):
            for name in ("taken", "segment"):
                document.pop(name, None)
            document["master"].pop("heartbeat", None)
            for process in document["processes"]:
                process.pop("heartbeat", None)
        self.assertEqual(ours, theirs)

    def test_rates_move_every_five_seconds(self):
        meter = HANDLER + "events-processed-meter"

        def rate():
            return self.get("/metrics").json()["meters"][meter]["m1_rate"]

        # What was there at the port's first look is where it begins; it looks before it answers.
        self.assertEqual(rate(), 0)
        self.driver.do("take metrics-0 500")
        self.assertEqual(proc.wait_until(rate, 60, "a tick"), 100)


class Agent(AdminTest):
    """The real monasca-agent, from PyPI: its set-up plug-in for the Java persister, its checks."""

    seconds = 120

    def setUp(self):
        # First of all: meanwhile a master that stands still would be found unhealthy.
        if agent_poll.python() is None:
            self.skipTest("monasca-agent cannot be had from PyPI")
        super().setUp()

    def poll(self):
        got = agent_poll.poll(self.dir, self.driver.port, 2, 1)
        return got["metrics"], got["log"]

    def test_it_finds_all_it_looks_for(self):
        self.driver.do("take metrics-0 10", "store metrics-0 10 1000",
                       "set metrics-0 memory_bytes 1000000")
        got, log = self.poll()
        self.assertEqual(log, [])
        self.assertEqual(set(got), {
            "http_status", "jvm.memory.total.max", "jvm.memory.total.used",
            "alarm-state-transitions-added-to-batch-counter[0]",
            "metrics-added-to-batch-counter[0]", "metrics-added-to-batch-counter[1]"})
        self.assertEqual(got["http_status"], [0, 0])
        self.assertEqual(got["jvm.memory.total.used"], [1000000, 1000000])
        self.assertGreater(got["jvm.memory.total.max"][0], 1000000)
        self.assertEqual(got["metrics-added-to-batch-counter[0]"], [0])  # a rate: nothing came
        self.driver.do("die metrics-1 backoff")
        got, log = self.poll()
        self.assertEqual(got["http_status"], [1, 1])
        self.assertEqual(len(log), 1, log)
        self.assertIn("error code: 500", log[0])


class Health(AdminTest):
    env = {"STALL_MS": "6000"}

    def health(self):
        answer = self.get("/healthcheck")
        return answer.status, answer.json()

    def wait_unhealthy(self, check):
        """The master goes on all the while, since one that stands still is unhealthy itself."""
        def is_so():
            self.driver.do("set metrics-1 lag 0")
            status, checks = self.health()
            return status == 500 and not checks[check]["healthy"]

        proc.wait_until(is_so, 60, f"{check} is an alarm")

    def settle(self):
        for p in ("metrics-0", "metrics-1", "alarm-state-transitions-0"):
            self.driver.do(f"set {p} partitions 2", f"set {p} lag 0")

    def test_a_crash_loop_is_500(self):
        self.settle()
        status, checks = self.health()
        self.assertEqual(status, 200, checks)
        self.assertTrue(all(c["healthy"] for c in checks.values()))
        self.driver.do("die metrics-1 dead", "start metrics-1", "die metrics-1 backoff")
        status, checks = self.health()
        self.assertEqual(status, 500)
        self.assertFalse(checks["metrics.workers"]["healthy"])
        self.assertIn("metrics-1", checks["metrics.workers"]["message"])
        self.driver.do("start metrics-1")
        self.assertEqual(self.health()[0], 200)

    def test_a_sick_store_is_told_at_once_and_500_later(self):
        self.settle()
        self.driver.do("wait metrics-0 influxdb connection refused")
        status, checks = self.health()
        self.assertEqual(status, 200)
        self.assertEqual(checks["metrics.store"]["status"], "degraded")
        self.assertIn("influxdb", checks["metrics.store"]["message"])
        self.assertIn("connection refused", checks["metrics.store"]["message"])
        self.wait_unhealthy("metrics.store")
        self.driver.do("wait metrics-0")
        self.assertEqual(self.health()[0], 200)

    def test_work_without_progress_is_500_until_there_is(self):
        self.settle()
        self.driver.do("take metrics-0 10")
        self.assertEqual(self.health()[0], 200)
        self.wait_unhealthy("metrics.progress")
        self.driver.do("store metrics-0 1 1000")
        self.assertEqual(self.health()[0], 200)


class Prometheus(AdminTest):
    seconds = 40

    def work(self):
        self.driver.do("take metrics-0 1000", "store metrics-0 900 1500", "reject metrics-0 10",
                       "take metrics-1 100", "store metrics-1 100 40000000",
                       "set metrics-0 lag 77", "set metrics-1 lag 0",
                       "set alarm-state-transitions-0 lag 0", "close")

    def test_promtool_has_no_objection(self):
        if not shutil.which("promtool"):
            self.skipTest("no promtool")
        self.work()
        done = subprocess.run(["promtool", "check", "metrics"], capture_output=True, text=True,
                              input=self.get("/metrics/prometheus").body, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_a_real_one_scrapes_it(self):
        if not prometheus.is_here():
            self.skipTest("no prometheus")
        self.work()
        server = prometheus.Prometheus(self.dir, self.driver.port)
        self.addCleanup(server.kill)
        query = server.start().query
        totals = self.stats()["totals"]
        for figure in ("received", "completed", "rejected"):
            (_, value), = query(f"monasca_persister_{figure}_total")
            self.assertEqual(value, totals[figure], figure)
            (_, value), = query(f"sum(monasca_persister_process_{figure}_total)")
            self.assertEqual(value, totals[figure], figure)
        (labels, value), = query("monasca_persister_lag")
        self.assertEqual(value, 77)
        self.assertNotIn("pid", labels)
        buckets = {m["le"]: v for m, v in query("monasca_persister_request_seconds_bucket")}
        self.assertEqual(buckets["+Inf"], 1000)
        self.assertGreaterEqual(len(buckets), 20)
        below = [v for le, v in sorted(buckets.items(), key=lambda b: float(b[0]))]
        self.assertEqual(below, sorted(below))
        (_, half), = query("histogram_quantile(0.5, monasca_persister_request_seconds_bucket)")
        self.assertTrue(0.001 <= half <= 0.0026, half)
        (_, scraped), = query('scrape_samples_scraped{job="monasca-persister"}')
        self.assertGreater(scraped, 100)


@unittest.skipUnless(BINARY, "no chromium")
class Page(AdminTest):
    seconds = 40

    def setUp(self):
        super().setUp()
        for i in range(65):
            self.driver.do(f"take metrics-0 {100 + i % 7 * 30}",
                           f"store metrics-0 {90 + i % 7 * 30} {2000 + i * i * 10}",
                           "reject metrics-0 10", f"set metrics-0 lag {1000 - 10 * i}", "close")
        self.driver.do("set metrics-1 lag 0", "set alarm-state-transitions-0 lag 20", "close",
                       "state alarm-state-transitions-0 retrying",
                       "wait alarm-state-transitions-0 influxdb <b>connection</b> refused & more")
        self.browser = Browser(self.dir)
        self.addCleanup(self.browser.close)
        self.browser.resize(1280, 900)
        self.url = f"http://127.0.0.1:{self.driver.port}/"

    def text(self):
        return self.browser.run("document.body.innerText")

    def keep(self, name):
        """With ADMIN_SCREENSHOTS=DIR the pictures stay, to be looked at."""
        directory = os.environ.get("ADMIN_SCREENSHOTS", self.dir)
        return self.browser.screenshot(os.path.join(directory, name))

    def assert_no_complaints(self):
        events = self.browser.drain()
        wrong = [e for e in events if e["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]
        self.assertEqual(wrong, [])
        asked = {e["params"]["request"]["url"] for e in events
                 if e["method"] == "Network.requestWillBeSent"}
        strange = [u for u in asked if not u.startswith((self.url, "data:"))]
        self.assertEqual(strange, [], "it asks others")

    def test_it_is_live_in_light_and_dark(self):
        self.browser.prefer("light")
        self.browser.open(self.url)
        self.assertIn("metrics-0", self.text())
        self.assertIn("<b>connection</b> refused & more", self.text())  # as text
        self.assertEqual(self.browser.run("document.querySelectorAll('figure > svg').length"), 3)
        self.assertEqual(self.browser.run("document.querySelectorAll('b b').length"), 0)
        paths = self.browser.run("[...document.querySelectorAll('figure > svg > path')]"
                                 ".map(p => p.getBoundingClientRect().width)")
        self.assertGreater(max(paths), 100, "nothing is drawn")
        light = self.keep("light.png")
        self.browser.run("window.mark = 1")
        self.driver.do("take metrics-1 1234567")
        proc.wait_until(lambda: "1,234,567" in self.text(), 60, "the page shows what is new")
        self.assertEqual(self.browser.run("window.mark"), 1, "without being loaded anew")
        self.assert_no_complaints()
        self.browser.prefer("dark")
        self.assertNotEqual(self.keep("dark.png"), light)
        luminance = self.browser.run(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3)"
            ".reduce((a, b) => a + +b, 0)")
        self.assertLess(luminance, 150)

    def test_it_says_when_the_admin_port_is_gone(self):
        self.browser.open(self.url)
        os.kill(self.driver.admin, signal.SIGKILL)
        proc.wait_until(lambda: "No answer from the admin port since" in self.text(), 60,
                        "the page says so")
        self.driver.do("admin")  # takes the same port
        proc.wait_until(lambda: "No answer" not in self.text(), 60, "the page is live again")

    def test_it_works_without_scripts(self):
        self.browser.disable_scripts()
        self.browser.open(self.url)
        for word in ("metrics-0", "metrics-1", "Health", "Timings", "request time"):
            self.assertIn(word, self.text())
        self.assertEqual(self.browser.run(
            "document.querySelector('meta[http-equiv=refresh]').content"), "10")
        self.keep("without-scripts.png")
        self.assert_no_complaints()

    def test_it_fits_a_narrow_window(self):
        self.browser.resize(420, 900)
        self.browser.open(self.url)
        self.assertLessEqual(self.browser.run("document.documentElement.scrollWidth"), 420)
        self.keep("narrow.png")


class Loris:
    """Connections that send a byte now and then, and come again when they are shut."""

    def __init__(self, port, count, text=b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: "):
        self.port, self.text = port, text
        self.sockets = [None] * count
        self.shut = self.turns = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def turn(self, i):
        try:
            if self.sockets[i] is None:
                self.sockets[i] = socket.create_connection(("127.0.0.1", self.port), 2)
                self.sockets[i].sendall(self.text)
            else:
                self.sockets[i].sendall(b"a")
        except OSError:
            self.shut += 1
            if self.sockets[i] is not None:
                self.sockets[i].close()
            self.sockets[i] = None

    def run(self):
        while not self.stopping.wait(0.5):
            for i in range(len(self.sockets)):
                self.turn(i)
            self.turns += 1

    def stop(self):
        self.stopping.set()
        self.thread.join()
        for s in self.sockets:
            if s is not None:
                s.close()


class Flood:
    """Clients that ask as fast as they are answered."""

    def __init__(self, port, count, path):
        self.port, self.path = port, path
        self.answers = 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run) for _ in range(count)]
        for t in self.threads:
            t.start()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self.stopping.is_set():
            try:
                connection.request("GET", self.path)
                connection.getresponse().read()
                self.answers += 1
            except (OSError, http.client.HTTPException):
                connection.close()
        connection.close()

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join()


class Hostile(AdminTest):
    seconds = 60

    def send(self, data, seconds=60):
        """What comes back for these bytes, until the other end closes; None: it did not."""
        with socket.create_connection(("127.0.0.1", self.driver.port), 60) as s:
            s.settimeout(seconds)
            got = b""
            try:
                s.sendall(data)
                while True:
                    more = s.recv(65536)
                    if not more:
                        return got
                    got += more
            except socket.timeout:
                return None
            except OSError:
                return got

    def assert_well(self):
        started = time.monotonic()
        self.assertEqual(self.get("/ping").body, "pong\n")
        return time.monotonic() - started

    def test_what_is_no_http(self):
        texts = (b"\0\1\2\3\r\n\r\n", b"GET\r\n\r\n", b"\r\n" * 1000,
                 b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                 b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
                 b"GET / HTTP/1.1\r\nX: " + b"y" * 1000000 + b"\r\n\r\n",
                 b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\nabc",
                 b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
                 b"GET /ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
                 b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 500)
        with concurrent.futures.ThreadPoolExecutor(len(texts)) as pool:
            answers = list(pool.map(self.send, texts))
        for text, answer in zip(texts, answers):
            with self.subTest(text[:40]):
                self.assertIsNotNone(answer, "it is still connected")
                self.assertNotIn(b" 200 ", answer[:20])
        self.assert_well()

    def test_a_name_that_is_not_ours_gets_no_answer(self):
        """A web page whose name has our address for a moment would read what a browser here gets."""
        for path in "/config", "/", "/stats", "/ping":
            with self.subTest(path):
                got = self.send(f"GET {path} HTTP/1.1\r\nHost: evil.example:8091\r\n"
                                "Connection: close\r\n\r\n".encode())
                self.assertTrue(got.startswith(b"HTTP/1.1 421 "), got[:100])
                self.assertIn(b"[admin] allowed_hosts", got)
                self.assertNotIn(b"password", got)
                self.assertNotIn(b"evil", got)
        for host in "localhost", "127.0.0.1:1", "[::1]", socket.gethostname():
            got = self.send(f"GET /ping HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                            .encode())
            self.assertTrue(got.startswith(b"HTTP/1.1 200 "), (host, got[:100]))

    def test_a_slow_request_is_ended(self):
        with socket.create_connection(("127.0.0.1", self.driver.port), 60) as s:
            s.settimeout(0.5)
            started = time.monotonic()
            s.sendall(b"GET /ping HTTP/1.1\r\nX: ")
            while time.monotonic() - started < 60:
                try:
                    s.sendall(b"a")
                    if s.recv(10) == b"":
                        break
                except socket.timeout:
                    continue
                except OSError:
                    break
            self.assertTrue(6 < time.monotonic() - started < 30)

    def test_slow_readers_and_slow_senders_harm_only_themselves(self):
        lorises = [Loris(self.driver.port, 300),
                   Loris(self.driver.port, 50, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 40)]
        try:
            proc.wait_until(lambda: all(loris.turns > 2 for loris in lorises), 60, "they are at it")
            waits = []
            for _ in range(20):
                waits.append(self.assert_well())
                time.sleep(0.2)
            # Whoever had to wait for one of them to be shut would do so for up to 7 s.
            self.assertLess(sorted(waits)[10], 3, waits)
        finally:
            for loris in lorises:
                loris.stop()
        self.assertGreater(lorises[0].shut, 0)
        self.assertLess(self.driver.rss_mb(), 64)
        self.assert_well()

    def test_a_flood_gets_a_quarter_of_a_processor(self):
        before, cpu = time.monotonic(), self.driver.cpu_seconds()
        flood = Flood(self.driver.port, 8, "/")
        try:
            time.sleep(5)  # what it takes over a time is measured
            self.assert_well()
            proc.wait_until(lambda: flood.answers > 20, 60, "the flood is answered, too")
            share = (self.driver.cpu_seconds() - cpu) / (time.monotonic() - before)
        finally:
            flood.stop()
        self.assertLess(share, 0.35)
        self.assertLess(self.driver.rss_mb(), 64)


class Pipeline(Scenario):
    """A real pipeline whose admin port is under attack."""

    seconds = 60

    def test_it_stores_all_the_same(self):
        self.use_shared()
        p = self.persister()
        self.wait_assigned(p)
        driver = Driver(self.dir, "attach", p.segment)
        self.addCleanup(driver.stop)
        loris, flood = Loris(driver.port, 100), Flood(driver.port, 4, "/metrics")
        try:
            self.feed(20000, bad=5)
            self.wait_drained()
            proc.wait_until(lambda: flood.answers > 20, 60, "the flood is answered, too")
        finally:
            loris.stop()
            flood.stop()
        self.assert_stored(20000, bad=5)
        totals = driver.get("/stats").json()["totals"]
        proc.wait_until(lambda: driver.get("/stats").json()["totals"]["completed"] == 19000, 60,
                        f"19000 completed: {totals}")
        self.assertEqual(driver.get("/stats").json()["totals"]["received"], 20000)
