# SPDX-License-Identifier: Apache-2.0
"""The figures are true: in every snapshot of a run with kills, at its end, and afterwards."""

import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
import unittest

from fixtures import proc
from fixtures.kafka import KafkaError
from fixtures.persister import LIVE, NOT_READABLE, PSTATS, STALE
from fixtures.scenario import Scenario

TIMINGS = ("request", "delay", "write", "decode", "commit")
WORKERS_COUNTERS = ("received", "completed", "rejected", "returned", "in_flight", "bytes_in",
                    "batches", "store_retries", "store_errors", "commits", "commits_failed",
                    "rebalances", "offset_resets", "offset_skipped", "kafka_errors")
COUNTERS = tuple(c for c in WORKERS_COUNTERS if c != "in_flight") + (
    "starts", "restarts", "deaths_exit", "deaths_signal", "deaths_hung", "deaths_late", "periods")
LAGS = ("lag", "lag_seconds", "lag_committed", "lag_committed_seconds")


def faults_of_timing(name, t):
    """What is wrong with one timing."""
    if t["count"] < 1:
        yield f"{name}: {t} with nothing counted is not null"
    if not t["min_s"] <= t["avg_s"] <= t["max_s"]:
        yield f"{name}: not min <= avg <= max: {t}"
    if t["p50_s"] is not None and not t["min_s"] <= t["p50_s"] <= t["p95_s"] <= t["p99_s"] <= t[
            "max_s"]:
        yield f"{name}: percentiles are not in order: {t}"


def faults_of(where, f):
    """What is wrong with the totals of a process or an instance."""
    if f["received"] != f["completed"] + f["rejected"] + f["returned"] + f["in_flight"]:
        yield (f"{where}: received {f['received']} != completed {f['completed']} + rejected "
               f"{f['rejected']} + returned {f['returned']} + in_flight {f['in_flight']}")
    for whole in ("rejected", "returned"):
        parts = sum(v for k, v in f.items() if k.startswith(whole + "_"))
        if parts != f[whole]:
            yield f"{where}: {whole} {f[whole]}, but {parts} by reasons"
    if (f["request"] or {"count": 0})["count"] != f["completed"]:
        yield f"{where}: {f['completed']} completed, request {f['request']}"
    for name in TIMINGS:
        if f[name] is not None:
            yield from faults_of_timing(f"{where}: {name}", f[name])


def went_back(where, before, after):
    """Counters that are less than they were."""
    for name in COUNTERS:
        if after[name] < before[name]:
            yield f"{where}: {name} went back from {before[name]} to {after[name]}"
    for name in TIMINGS:
        if before[name] and (not after[name] or after[name]["count"] < before[name]["count"]):
            yield f"{where}: {name} went back from {before[name]} to {after[name]}"


PERIOD = 3  # seconds: where none may be missed, as a look may take long on a busy machine


class Watch:
    """Takes snapshots all the time, in a thread, and looks for what cannot be."""

    def __init__(self, p):
        self.p = p
        self.snapshots, self.faults = 0, []
        self.periods = {}  # number: the instance's last_period
        self.lags = []     # what the processes said before they had received anything
        self.last, self.last_of = None, {}
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.ending.wait(0.005):
                self.look(self.p.figures())
        except Exception as e:  # pylint: disable=broad-except
            self.faults.append(f"{type(e).__name__}: {e}")

    def look(self, s):
        self.snapshots += 1
        totals = s["totals"]
        self.faults += faults_of("instance", totals)
        if self.last:
            self.faults += went_back("instance", self.last["totals"], totals)
        for p in s["processes"]:
            self.look_at_process(p)
        for name in WORKERS_COUNTERS:
            parts = sum(p["lifetime"][name] for p in s["processes"])
            if parts != totals[name]:
                self.faults.append(f"{name}: {totals[name]}, but its processes have {parts}")
        if s["period"]["number"]:
            self.periods[s["period"]["number"]] = s["last_period"]
        self.last = s

    def look_at_process(self, p):
        where = f"{p['process']}, generation {p['generation']}"
        self.faults += faults_of(where, p["totals"])
        self.faults += faults_of(where + ", lifetime", p["lifetime"])
        if p["pid"] is not None:
            before = self.last_of.get(where)
            if before:
                self.faults += went_back(where, before, p["totals"])
            self.last_of[where] = p["totals"]
        if p["totals"]["partitions"] and not p["totals"]["received"]:
            self.lags.append(p["totals"]["lag"])

    def stop(self):
        self.ending.set()
        self.thread.join(10)
        return self.last

    def sum_of_periods(self, name):
        """Of a counter, or the counts of a timing; None if a period was missed."""
        if set(self.periods) != set(range(1, max(self.periods) + 1)):
            return None
        return sum((f[name] or {"count": 0})["count"] if name in TIMINGS else f[name]
                   for f in self.periods.values())


class Figures(Scenario):
    def watch(self, p):
        watch = Watch(p)
        self.addCleanup(watch.stop)
        return watch

    def assert_true(self, watch, at_least):
        last = watch.stop()
        self.assertEqual(watch.faults[:5], [], f"{len(watch.faults)} faults in "
                         f"{watch.snapshots} snapshots")
        self.assertGreater(watch.snapshots, at_least)
        return last

    def wait_period(self, p, more=2):
        """Until so many periods have ended from now on."""
        number = p.figures()["period"]["number"] + more
        proc.wait_until(lambda: p.figures()["period"]["number"] >= number, 60,
                        "periods end")

    def assert_periods_add_up(self, watch):
        """Once nothing moves any more: the sum of all periods is the total."""
        for name in (*COUNTERS, *TIMINGS):
            total = watch.last["totals"][name]
            if name in TIMINGS:
                total = (total or {"count": 0})["count"]
            self.assertEqual(watch.sum_of_periods(name), total, f"{name}: sum of all periods")

    def wait_totals(self, p, name, value, seconds=60):
        proc.wait_until(lambda: p.totals()[name] == value, seconds,
                        f"{name} is {value}; it is {p.totals()[name]}")


class WithoutKills(Figures):
    seconds = 30

    def test_they_equal_what_was_produced(self):
        self.use_shared()
        p = self.persister(persister={"period_seconds": PERIOD}, kafka_metrics={"batch_size": 500})
        watch = self.watch(p)
        self.wait_assigned(p)
        messages, bad = 20000, 3
        self.feed(messages, bad=bad, rate=4000)
        self.wait_drained()
        self.wait_period(p)
        last = self.assert_true(watch, 100)
        self.assert_periods_add_up(watch)
        t = last["totals"]
        self.assertEqual(t["received"], messages)
        self.assertEqual(t["completed"], messages * (100 - bad) // 100)
        self.assertEqual(t["rejected"], messages * bad // 100)
        for name in ("returned", "in_flight", "restarts", "deaths_exit", "deaths_signal"):
            self.assertEqual(t[name], 0, name)
        self.assertEqual(t["request"]["count"], t["completed"])
        self.assertEqual(t["delay"]["count"], t["completed"])
        self.assertEqual(t["write"]["count"], t["batches"])
        self.assertEqual(t["commit"]["count"], t["commits"])
        for name in ("received", "completed", "rejected", "bytes_in", "batches", "commits"):
            self.assertEqual(sum(x["totals"][name] for x in last["processes"]), t[name], name)
        for name in TIMINGS:
            self.assertEqual(sum(x["totals"][name]["count"] for x in last["processes"]),
                             t[name]["count"], name)
            self.assertEqual(max(x["totals"][name]["max_s"] for x in last["processes"]),
                             t[name]["max_s"], name)
        self.assert_all_well(messages, bad)
        self.assertEqual(p.totals()["completed"], t["completed"], "after its end, too")


class Killed(Figures):
    seconds = 75

    def test_identity_in_every_snapshot(self):
        """Workers are killed and stopped at random all the time."""
        self.use_shared()
        p = self.persister(persister={"period_seconds": PERIOD},
                           kafka_metrics={"batch_size": 300, "num_processors": 3})
        watch = self.watch(p)
        self.wait_assigned(p)
        messages, seed = 45000, random.randrange(1 << 32)
        feed = self.feeding(messages, bad=2, rate=2000)
        kills = self.kill_and_stop(p, random.Random(seed), time.monotonic() + 24)
        feed.wait(90)
        self.wait_drained(60)
        self.wait_period(p)
        last = self.assert_true(watch, 500)
        self.assert_periods_add_up(watch)
        t = last["totals"]
        self.assertEqual(t["deaths_signal"], kills, f"seed {seed}")
        self.assertEqual(t["restarts"], kills)
        self.assertEqual(t["starts"], 3 + kills)
        self.assertGreater(t["returned_died"], 0, f"{kills} kills, seed {seed}")
        self.assertGreaterEqual(t["completed"] + t["rejected"], messages)
        self.assertEqual(t["in_flight"], 0)
        self.assert_all_well(messages, bad=2)

    def kill_and_stop(self, p, chance, until):
        """Returns how many it killed."""
        kills = 0
        while time.monotonic() < until:
            time.sleep(chance.uniform(0, 0.7))
            pids = p.workers()
            if not pids:
                continue
            victim = chance.choice(pids)
            if chance.random() < 0.4 and p.totals()["in_flight"] > 0:
                os.kill(victim, signal.SIGKILL)
                kills += 1
                proc.wait_until(lambda pid=victim: pid not in p.workers(), 60, "it is reaped")
            else:
                os.kill(victim, signal.SIGSTOP)
                time.sleep(chance.uniform(0, 1.2))
                os.kill(victim, signal.SIGCONT)
        return kills


class Timings(Figures):
    seconds = 25

    def test_a_database_that_is_held(self):
        self.use_shared()
        self.own_influx()
        p = self.persister(influxdb={"timeout_seconds": 60},
                           kafka_metrics={"num_processors": 1, "batch_size": 1000})
        self.feed(200, start_ms=self.now_ms())
        self.wait_totals(p, "completed", 200)
        watch = self.watch(p)
        self.wait_period(p)
        self.assertIsNone(p.figures()["last_period"]["request"], "an idle period has no request")
        self.influx.pause()
        began = time.monotonic()
        self.feed(1000, first=200, start_ms=self.now_ms() - 1200)
        proc.wait_until(lambda: self.is_writing(p), 60, "all is in the write")
        time.sleep(3)
        held = 3
        self.influx.resume()
        self.wait_totals(p, "completed", 1200)
        took = time.monotonic() - began
        self.wait_period(p, 3)
        last = self.assert_true(watch, 50)
        t = last["totals"]
        # A message's creation_time is up to 1.2 s before the feed, and has no fractions.
        for name, slack in (("request", 0), ("write", 0), ("delay", 2.2)):
            self.assertGreaterEqual(t[name]["max_s"], held, name)
            self.assertLess(t[name]["max_s"], took + slack, name)
        self.assertGreaterEqual(t["request"]["max_s"], t["write"]["max_s"])
        self.assertLess(t["request"]["p50_s"], took)
        self.assertGreater(t["request"]["p50_s"], held * 0.98, "1000 of 1200 waited")
        self.assert_in_one_period(watch, t)
        for name in TIMINGS:
            self.assertIsNone(last["last_period"][name], "an idle period has none")
            self.assertIsNone(last["processes"][0]["last_period"][name])

    @staticmethod
    def now_ms():
        return int(time.time() * 1000)

    def is_writing(self, p):
        return (p.totals()["in_flight"] == 1000 and
                [x["state"] for x in p.processes().values()] == ["writing"])

    def assert_in_one_period(self, watch, t):
        """The longest request is the max of exactly one period."""
        for name in ("request", "write", "delay"):
            held = [f[name] for f in watch.periods.values()
                    if f[name] and f[name]["max_s"] == t[name]["max_s"]]
            self.assertEqual(len(held), 1, name)


class Lag(Figures):
    seconds = 50

    def setUp(self):
        super().setUp()
        # So that the store's sickness stops the client's fetching ahead soon.
        self.options = {"kafka": {"max_wait_time_seconds": 1,
                                  "librdkafka.queued.min.messages": 100,
                                  "librdkafka.fetch.message.max.bytes": 4096}}

    def test_it_grows_while_the_store_is_down(self):
        self.use_shared()
        self.own_influx()
        p = self.persister(**self.options)
        self.wait_assigned(p)
        self.feed(2000)
        self.wait_drained()
        self.wait_lags(p, 0)
        self.influx.kill()
        rate, messages = 500, 10000
        began = time.monotonic()
        feed = self.feeding(messages, first=2000, rate=rate)
        self.wait_held(p)
        seen = []
        until = time.monotonic() + 18
        while time.monotonic() < until:
            asked, totals = time.monotonic(), p.totals()
            looked = time.monotonic()
            try:
                end = sum(self.broker.client.offsets(self.topic, self.partitions).values())
                seen.append((asked, looked, totals, end))
            except KafkaError:  # a broker that gets no processor is no leader for a moment
                pass
            time.sleep(0.5)
        self.assert_in_step(seen, rate, began)
        feed.wait()
        # Nothing more comes: once the brokers were asked again, the figures are exact.
        t = self.wait_exact(p)
        self.assertEqual(t["lag"], 12000 - t["received"])
        self.assertGreater(t["in_flight"], 0)
        self.assertGreater(t["lag"], messages / 2, "fetching was held back")
        self.assert_age_is_time(p)
        self.influx.start()
        self.wait_lags(p, 0)
        self.assert_all_well(12000)

    def assert_age_is_time(self, p):
        """Nothing is stored: both ages grow as the clock does, by whole seconds."""
        for figure in ("lag_seconds", "lag_committed_seconds"):
            began, first = time.monotonic(), p.totals()[figure]
            proc.wait_until(lambda f=figure, n=first: p.totals()[f] >= n + 5, 60, f"{figure} grows")
            # What was read first may be a second old, and the last second need not be over.
            self.assertGreater(time.monotonic() - began, 2.5, figure)

    def wait_held(self, p):
        """The window is full: nothing more is taken."""
        def held():
            t = p.totals()
            time.sleep(1.5)
            return t["batches_in_flight"] > 1 and p.totals()["received"] == t["received"]

        proc.wait_until(held, 60, "nothing is taken any more")

    def assert_in_step(self, seen, rate, began):
        """What the figures say is at most some seconds behind what was produced from then on."""
        last_seconds = 0
        for at, answered, t, ends in seen:
            self.assertIsNotNone(t["lag"])
            self.assertIsNotNone(t["lag_committed"])
            true_lag = ends - t["received"]
            self.assertLess(abs(true_lag - t["lag"]), 8 * rate, (at - began, t["lag"], true_lag))
            # The oldest came at most when the feed began.
            self.assertLessEqual(t["lag_seconds"], answered - began + 3)
            self.assertGreaterEqual(t["lag_seconds"], last_seconds)
            self.assertLessEqual(t["lag"], t["lag_committed"])
            last_seconds = t["lag_seconds"]
        self.assertGreater(last_seconds, seen[-1][0] - began - 8)
        self.assertGreaterEqual(seen[-1][2]["lag_committed_seconds"], last_seconds)

    def wait_exact(self, p):
        def exact():
            t = p.totals()
            return t["lag_committed"] == self.lag() and t

        return proc.wait_until(exact, 60, f"the lag is what Kafka says, {self.lag()}")

    def wait_lags(self, p, value):
        proc.wait_until(lambda: [p.totals()[n] for n in LAGS] == 4 * [value], 60,
                        f"no lag; it is {[p.totals()[n] for n in LAGS]}")

    def test_unknown_is_not_0(self):
        """A backlog whose first fetch takes its time: it is less than an answer is to have."""
        self.use_shared()
        self.feed(800)
        p = self.persister(start=False, kafka_metrics={"num_processors": 1}, kafka={
            "librdkafka.fetch.min.bytes": 50000000, "librdkafka.fetch.wait.max.ms": 5000})
        p.start(wait=False)
        proc.wait_until(p.figures, 60, "there is a segment")
        watch = self.watch(p)
        self.wait_drained()
        self.assert_true(watch, 20)
        self.assertGreater(watch.lags.count(None), 10)
        self.assertLessEqual(set(watch.lags), {None, 800})

    def test_a_broker_that_is_silent(self):
        """Its messages' end is unknown, after a while; then it speaks again."""
        self.own_broker()
        self.own_influx()
        # Or they would give their partitions up, and owe nothing.
        p = self.persister(kafka={"librdkafka.session.timeout.ms": 90000})
        self.wait_assigned(p)
        self.feed(1000)
        self.wait_drained()
        self.wait_lags(p, 0)
        until = time.monotonic() + 17
        while time.monotonic() < until:  # idling for long is no reason not to know
            self.assertEqual([p.totals()[n] for n in LAGS], 4 * [0])
            time.sleep(0.2)
        self.broker.pause()
        proc.wait_until(lambda: p.totals()["lag"] is None, 60, "the lag is unknown")
        t = p.totals()
        self.assertEqual(t["partitions"], self.partitions)
        self.assertEqual([t[n] for n in LAGS], 4 * [None])
        self.broker.resume()
        self.wait_assigned(p)
        self.wait_lags(p, 0)
        self.assert_all_well(1000)


class StoreDown(Figures):
    seconds = 25

    def test_waiting_for_says_what_and_why(self):
        self.use_shared()
        self.own_influx()
        p = self.persister(kafka_metrics={"num_processors": 1})
        self.feed(500)
        self.wait_totals(p, "completed", 500)
        self.assertIsNone(p.processes()[self.topic + "-0"]["waiting_for"])
        self.influx.kill()
        self.feed(500, first=500)
        one = proc.wait_until(lambda: self.waiting(p), 60, "it waits")
        self.assertEqual(one["waiting"]["whose"], "influxdb")
        self.assertIn(f"127.0.0.1:{self.influx.port}", one["waiting"]["text"])
        self.assertIn("influxdb", one["waiting_for"])
        self.assertIn(one["waiting"]["text"], one["waiting_for"])
        self.assertEqual(one["state"], "retrying")
        before = one["store_tries"]
        proc.wait_until(lambda: p.totals()["store_tries"] > before, 60, "it tries again")
        code, out, _ = p.pstats("-1")
        self.assertEqual(code, LIVE)
        self.assertIn("influxdb", out)
        self.influx.start()
        self.wait_totals(p, "completed", 1000)
        self.assertIsNone(p.processes()[self.topic + "-0"]["waiting_for"])
        self.assertEqual(p.totals()["store_tries"], 0)
        self.assert_all_well(1000)

    def waiting(self, p):
        """The worker, once it says why it waits and what it has in hand."""
        one = p.processes()[self.topic + "-0"]
        return one["waiting_for"] and one["in_flight"] == 500 and one


class MasterKilled(Figures):
    seconds = 25

    def read_lines(self, p):
        """What `pstats -w 1` says until it says stale, and its exit code if it ends by itself."""
        run = subprocess.Popen([PSTATS, "-f", p.segment, "-w", "1"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               preexec_fn=proc.die_with_parent)
        out = b""
        with run:
            for line in run.stdout:
                out += line
                if b"stale" in line or out.count(b"\n") > 20:
                    break
            run.kill()
        return run.returncode, out.decode()

    def test_its_figures_are_stale_and_its_successors_begin_anew(self):
        self.use_shared()
        p = self.persister()
        self.wait_assigned(p)
        self.feed(3000)
        self.wait_drained()
        self.wait_totals(p, "in_flight", 0)
        self.wait_period(p)
        code, out, _ = p.pstats("-1")
        self.assertEqual(code, LIVE)
        self.assertNotIn("stale", out)
        self.assertFalse(p.figures()["stale"])
        before = p.totals()
        p.kill()
        for option in ("-1", "-j", "-p"):
            code, out, _ = p.pstats(option)
            self.assertEqual(code, STALE, option)
            self.assertIn("stale", out, option)
        code, out = self.read_lines(p)
        self.assertIn(code, (STALE, -signal.SIGKILL))
        self.assertIn("stale", out)
        self.assertTrue(p.figures()["stale"])
        self.assertEqual(p.totals(), before, "the figures of the dead stand")
        p.start()
        self.assertEqual(p.totals()["received"], 0)
        self.assertFalse(p.figures()["stale"])
        kept = p.figures(p.segment + ".old")
        self.assertTrue(kept["stale"])
        self.assertEqual(kept["totals"], before)
        self.feed(500, first=3000)
        self.wait_totals(p, "completed", 500)
        self.assert_all_well(3500)


class Readers(Figures):
    def read_as(self, gid, directory, path):
        """pstats as the user nobody with one group; a copy, which that user can get at."""
        program = shutil.copy(PSTATS, directory)
        done = subprocess.run(
            ["setpriv", "--reuid=nobody", f"--regid={gid}", "--clear-groups", "--", program, "-j",
             "-f", path], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def test_the_group_reads_and_nobody_else(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        self.use_shared()
        directory = tempfile.mkdtemp(prefix="persister-readers-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory, True)
        os.chmod(directory, 0o755)
        p = self.persister(start=False, persister={"segment": directory})
        p.segment = os.path.join(directory, p.instance + ".shm")
        p.start()
        self.assertEqual(stat.S_IMODE(os.stat(p.segment).st_mode), 0o640)
        group = os.stat(p.segment).st_gid
        code, out, err = self.read_as(group, directory, p.segment)
        self.assertEqual(code, LIVE, err)
        self.assertEqual(json.loads(out)["instance"], p.instance)
        code, out, err = self.read_as(65534, directory, p.segment)
        self.assertEqual(code, NOT_READABLE, err)
        self.assertEqual(out, "")
        self.assertEqual(len(err.splitlines()), 1, err)
        self.assertTrue(re.search(r"[Pp]ermission", err), err)
        self.feed(500)
        self.wait_drained()
        self.stop()


del Figures

if __name__ == "__main__":
    unittest.main()
