# SPDX-License-Identifier: Apache-2.0
"""A persister's figures, read back through Monasca: what the mission's benchmark rests on.

The loop takes minutes; PERSISTER_TEST_LOOP=1 asks for it, as ./check --all does.
"""

import json
import os
import signal
import subprocess
import time
import unittest

from fixtures import monasca_api, proc
from fixtures.loop import BEGINNING, PASSWORD, PROJECT, READER, Loop

COUNTERS = {"received": "requests.received", "completed": "requests.completed",
            "rejected": "requests.rejected", "returned": "requests.returned",
            "bytes_in": "bytes.received", "batches": "store.batches"}
TIMINGS = {"request": "request_time", "delay": "delay", "write": "store_write_time"}
MESSAGES = 200000
WAVES = 8
PERF = os.path.join(proc.BUILD, "persister-perf")


class ApiTest(Loop):
    """The fixtures themselves: what is posted comes back, and only to whom it may."""

    seconds = 60

    def setUp(self):
        super().setUp()
        self.use_monasca(agent_seconds=1)

    def assert_refused(self, code, token, path="/metrics", **parameters):
        with self.assertRaises(monasca_api.HttpError) as caught:
            self.api.get(path, token, **parameters)
        self.assertEqual(caught.exception.code, code, caught.exception)

    def post(self, name, count, **dimensions):
        now = int(time.time() * 1000)
        self.api.post_metrics([{"name": name, "dimensions": dimensions, "timestamp": now - 1000 * i,
                                "value": float(i)} for i in range(count)],
                              self.keystone.token("agent"))

    def test_what_is_posted_comes_back(self):
        self.post("some.name", 5, host="one")
        self.post("some.name", 3, host="two")
        self.wait_drained(topic=monasca_api.TOPIC, group=self.told_group, partitions=1)
        token = self.keystone.token(READER)
        found = self.api.elements("/metrics", token, name="some.name")
        self.assertEqual([e["dimensions"] for e in found], [{"host": "one"}, {"host": "two"}])
        pages = self.api.elements("/metrics/measurements", token, name="some.name", start_time=BEGINNING,
                                  dimensions={"host": "one"}, limit=2)
        self.assertEqual(len(pages), 3)
        self.assertEqual([v for page in pages for _, v, _ in page["measurements"]], [4, 3, 2, 1, 0])
        self.assert_refused(409, token, "/metrics/measurements", name="some.name", start_time=BEGINNING)
        self.assertEqual(self.forwarder.complaints(), [])

    def test_tokens(self):
        token = self.keystone.token(READER)
        self.assertEqual(self.api.elements("/metrics", token), [])
        self.assert_refused(401, None)
        self.assert_refused(401, "unknown")
        self.assert_refused(401, self.keystone.token("agent"))  # it may only post
        self.keystone.expire_tokens()
        self.assert_refused(401, token)
        self.assertEqual(self.api.elements("/metrics", self.keystone.token(READER)), [])

    def test_keystone_gives_tokens_to_whom_it_knows(self):
        url = self.keystone.url + "/auth/tokens"

        def log_in(name, password, project="operators"):
            domain = {"name": "Default"}
            user = {"name": name, "password": password, "domain": domain}
            return self.api.request(url, None, json.dumps({"auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": project, "domain": domain}}}}).encode())["token"]

        token = log_in(READER, PASSWORD)
        urls = {e["type"]: e["endpoints"][0]["url"] for e in token["catalog"]}
        self.assertEqual(urls, {"identity": self.keystone.url, "monitoring": self.api.url})
        for wrong in ((READER, "no"), ("nobody", PASSWORD), (READER, PASSWORD, "another")):
            with self.assertRaises(monasca_api.HttpError) as caught:
                log_in(*wrong)
            self.assertEqual(caught.exception.code, 401, wrong)


@unittest.skipUnless(os.environ.get("PERSISTER_TEST_LOOP"), "takes minutes; set PERSISTER_TEST_LOOP")
class LoopTest(Loop):
    """Loaded = what the segment says = what comes back through the API."""

    seconds = 200

    def load_in_waves(self):
        """Over several of the agent's flushes, so that those and the windows differ."""
        part = MESSAGES // WAVES
        for wave in range(WAVES):
            self.feed(part, first=wave * part)
            time.sleep(4 + wave % 4 * 3)

    def end(self, p):
        """Ends all who have a part in the telling, each when it has heard the last."""
        self.wait_drained(90)
        proc.wait_until(lambda: p.totals()["in_flight"] == 0, 60, "all is settled")
        self.stop(p)
        self.assert_all_rows_are_there(self.settle())

    def lifetimes(self, p):
        """{"metrics-0": its figures over all generations}."""
        return {f"{self.topic}-{w['process'].rpartition('-')[2]}": w["lifetime"]
                for w in p.figures()["processes"] if w["process"].startswith("metrics-")}

    def assert_all_rows_are_there(self, told):
        """None took the place of another."""
        counts = self.influx.query("SELECT count(value) FROM /.*/", self.told_database)
        self.assertEqual(sum(s["values"][0][1] for s in counts), told)

    def assert_counters(self, p):
        totals, lifetimes = p.totals(), self.lifetimes(p)
        for ours, theirs in COUNTERS.items():
            told = self.told(theirs, p)
            self.assertEqual(sum(told.pop(None)), totals[ours], ours)
            self.assertEqual(sum(map(sum, told.values())), totals[ours], ours)
            self.assertEqual({process: sum(values) for process, values in told.items()},
                             {process: figures[ours] for process, figures in lifetimes.items()}, ours)

    def assert_statistics(self, p):
        """The API's own sums say the same."""
        for name in ("requests.received", "requests.completed"):
            found = self.read(
                "/metrics/statistics", name="monasca.persister." + name,
                statistics="sum", period=3600, start_time=BEGINNING,
                dimensions={"instance": p.instance, "scope": "instance"}, merge_metrics="true")
            self.assertEqual(sum(s[1] for e in found for s in e["statistics"]),
                             sum(self.told(name, p, scope="instance")[None]), name)

    def assert_extremes(self, p):
        """Over the run, to the last digit."""
        totals, lifetimes = p.totals(), self.lifetimes(p)
        for ours, theirs in TIMINGS.items():
            for part, of in (("min", min), ("max", max)):
                told = self.told(f"{theirs}.{part}_sec", p)
                self.assertGreater(len(told[None]), 2, "several flushes")
                self.assertEqual(of(told.pop(None)), totals[ours][part + "_s"], (ours, part))
                self.assertEqual(of(map(of, told.values())), totals[ours][part + "_s"], (ours, part))
                self.assertEqual({process: of(values) for process, values in told.items()},
                                 {process: figures[ours][part + "_s"]
                                  for process, figures in lifetimes.items()}, (ours, part))

    def perf_report(self, p, since, *options):
        """What persister-perf, which is told no more than an operator's openrc says, makes of it."""
        keystone = {"OS_AUTH_URL": self.keystone.url, "OS_USERNAME": READER, "OS_PASSWORD": PASSWORD,
                    "OS_PROJECT_NAME": PROJECT, "OS_USER_DOMAIN_NAME": "Default",
                    "OS_PROJECT_DOMAIN_NAME": "Default", "OS_REGION_NAME": self.keystone.region}
        done = subprocess.run([PERF, "report", "--source", "monasca", "--since", str(int(since)),
                               "--until", "now", "--format", "json", *options],
                              env={**os.environ, **keystone, "no_proxy": "*"}, capture_output=True,
                              text=True, check=False, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        report = json.loads(done.stdout)
        self.assertEqual((report["complete"], report["errors"], report["disagreements"]),
                         (True, [], []))
        source, = report["sources"]
        instance, = source["instances"]
        self.assertEqual(instance["instance"], p.instance)
        return instance

    def assert_reported(self, p, instance):
        totals, lifetimes = p.totals(), self.lifetimes(p)
        tracks = [(instance["totals"], totals)]
        self.assertEqual({t["process"] for t in instance["processes"]}, set(lifetimes))
        tracks += [(t["totals"], lifetimes[t["process"]]) for t in instance["processes"]]
        for told, ours in tracks:
            for name in ("received", "completed"):
                self.assertEqual(told[name], ours[name], name)
            for part in ("min", "max"):
                self.assertEqual(f"{told[f'request_{part}_ms'] / 1000:.9f}",
                                 f"{ours['request'][f'{part}_s']:.9f}", part)
        for name in ("received", "completed"):
            self.assertEqual(instance["processes_sum"][name], totals[name], name)

    def assert_perf_reads_it(self, p, since):
        for options in ((), ("--period", "20")):
            self.assert_reported(p, self.perf_report(p, since, *options))

    def test_what_was_loaded_comes_back(self):
        self.use_monasca()
        since = time.time()
        p = self.telling()
        self.load_in_waves()
        self.end(p)
        totals = p.totals()
        self.assertEqual((totals["received"], totals["completed"]), (MESSAGES, MESSAGES))
        for name in ("requests.received", "requests.completed"):
            told = self.told(name, p)
            self.assertEqual(sum(told.pop(None)), MESSAGES, name)
            self.assertEqual(sum(map(sum, told.values())), MESSAGES, name)
            self.assertEqual(len(told), 2)
        self.assert_counters(p)
        self.assert_statistics(p)
        self.assert_extremes(p)
        self.assert_perf_reads_it(p, since)
        self.assert_stored(MESSAGES)

    def kill_one(self, p):
        """A worker that has messages in its hands."""
        def killed():
            for name, worker in p.processes().items():
                os.kill(worker["pid"], signal.SIGSTOP)
                holds = p.processes()[name]["in_flight"] > 0
                os.kill(worker["pid"], signal.SIGKILL if holds else signal.SIGCONT)
                if holds:
                    return True
            return False

        proc.wait_until(killed, 60, "a worker has messages in its hands")
        proc.wait_until(lambda: p.totals()["restarts"] > 0, 60, "it is forked again")

    def test_nothing_is_told_twice_over_a_kill(self):
        """What the dead worker had counted is told once, what it had in its hands is `returned`, and
        received anew by whoever gets its partitions; what it had stored and not committed is stored
        and counted again, in the same rows."""
        self.use_monasca(agent_seconds=5)
        since = time.time()
        p = self.telling()
        feed = self.feeding(MESSAGES, bad=5, rate=8000)
        self.wait_flowing(p)
        self.kill_one(p)
        feed.wait(180)
        self.end(p)
        totals = p.totals()
        self.assertGreater(totals["returned"], 0)
        self.assertGreaterEqual(totals["completed"] + totals["rejected"], MESSAGES)
        self.assertEqual(sum(self.told("workers.restarts", p)[None]), 1)
        self.assert_counters(p)
        self.assert_extremes(p)
        self.assert_perf_reads_it(p, since)
        self.assert_stored(MESSAGES, bad=5)
        self.assert_dead(MESSAGES, bad=5)


if __name__ == "__main__":
    unittest.main()
