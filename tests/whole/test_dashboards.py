# SPDX-License-Identifier: Apache-2.0
"""contrib/dashboards: every query put to the real Prometheus and the real Monasca API."""

import json
import math
import os
import re
import signal
import subprocess
import time
import unittest

from fixtures import grafana, proc
from fixtures.loop import BEGINNING, Loop
from fixtures.prometheus import DASHBOARDS, Prometheus, is_here
from fixtures.scenario import Scenario

MESSAGES, BAD = 3000, 2


class Shape(unittest.TestCase):
    """What Grafana wants of a dashboard, and what would look odd."""

    def check(self, dashboard, plugin):
        panels = list(grafana.panels(dashboard))
        for key in "id", "title":
            names = [p[key] for p in panels if p["type"] != "text"]
            self.assertEqual(len(names), len(set(names)), key)
        for panel in panels:
            refs = [t["refId"] for t in panel.get("targets", [])]
            self.assertEqual(len(refs), len(set(refs)), panel["title"])
        variables = dashboard["templating"]["list"]
        self.assertEqual([v["query"] for v in variables if v["type"] == "datasource"], [plugin])
        known = {v["name"] for v in variables} | {"__rate_interval", "__range", "all", "__all"}
        self.assertLessEqual(set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard))), known)

    def test_by_prometheus(self):
        dashboard, taken = grafana.load("grafana-prometheus.json"), set()
        self.check(dashboard, "prometheus")
        for panel in dashboard["panels"]:
            g = panel["gridPos"]
            cells = {(x, y) for x in range(g["x"], g["x"] + g["w"])
                     for y in range(g["y"], g["y"] + g["h"])}
            self.assertFalse(taken & cells, panel["title"])
            self.assertLessEqual(g["x"] + g["w"], 24, panel["title"])
            taken |= cells
        self.assertEqual(len(taken) % 24, 0, "each line is full")

    def test_by_monasca(self):
        dashboard = grafana.load("grafana-monasca.json")
        self.check(dashboard, "monasca-datasource")
        for row in dashboard["rows"]:
            self.assertEqual(sum(p["span"] for p in row["panels"]) % 12, 0, row["title"])


@unittest.skipUnless(is_here(), "no prometheus")
class ByPrometheus(Scenario):
    seconds = 60

    def setUp(self):
        super().setUp()
        self.use_shared()
        self.admin = proc.free_ports()
        self.p = self.persister(admin={"enabled": True, "port": self.admin},
                                kafka_metrics={"num_processors": 2})
        self.prometheus = Prometheus(self.dir, self.admin)
        self.addCleanup(self.prometheus.kill)
        self.logs.append(self.prometheus.log)
        self.prometheus.start()

    def value(self, expression):
        found = self.prometheus.query(expression)
        return found[0][1] if len(found) == 1 else None

    def ask(self, target):
        return self.prometheus.query(grafana.fill(
            target["expr"], {"__rate_interval": "10s", "__range": "5m", "process": ".*",
                             "instance": self.p.instance}))

    def gives_numbers(self, title, target):
        """And the legend tells its series apart."""
        found = self.ask(target)
        named = re.findall(r"{{(\w+)}}", target["legendFormat"])
        legends = [tuple(labels[name] for name in named) for labels, _ in found]
        self.assertEqual(len(legends), len(set(legends)), title)
        return any(math.isfinite(value) for _, value in found)

    def kill_one(self):
        os.kill(min(self.p.processes().items())[1]["pid"], signal.SIGKILL)
        proc.wait_until(lambda: self.p.totals()["restarts"] == 1 and self.p.all_run(), 60,
                        "it is forked again")

    def test_every_panel_has_data(self):
        """Each at some time while it works, with bad messages and a worker that dies."""
        self.feed(MESSAGES, bad=BAD)
        self.kill_one()
        feed = self.feeding(10**9, first=MESSAGES, bad=BAD, rate=500)
        waiting = grafana.targets(grafana.load("grafana-prometheus.json"))
        self.assertGreater(len(waiting), 70)

        def all_seen():
            waiting[:] = [(title, t) for title, t in waiting if not self.gives_numbers(title, t)]
            return not waiting

        try:
            proc.wait_until(all_seen, 60, "every query gives numbers")
        except AssertionError:
            self.fail([(title, t["expr"]) for title, t in waiting])
        feed.process.send_signal(signal.SIGTERM)
        feed.wait()
        self.wait_drained()
        self.assert_agrees()
        self.stop()

    def assert_agrees(self):
        """At rest Prometheus says what the segment says, once it has seen the last of it."""
        proc.wait_until(lambda: [self.p.totals()[name] for name in
                                 ("in_flight", "lag", "lag_committed")] == [0, 0, 0], 60, "it rests")
        totals = self.p.totals()
        expected = {f"monasca_persister_{name}_total": totals[name] for name in
                    ("received", "completed", "rejected", "returned", "restarts", "batches")}
        expected |= {f"sum(monasca_persister_process_{name}_total)": totals[name]
                     for name in ("received", "completed", "rejected")}
        expected |= {f"monasca_persister_{name}": totals[name] for name in
                     ("lag", "in_flight", "lag_committed", "workers_running", "workers_wanted")}
        found = {}

        def agrees():
            found.update({expression: self.value(expression) for expression in expected})
            return found == expected

        try:
            proc.wait_until(agrees, 60, "it agrees")
        except AssertionError:
            self.assertEqual(found, expected)
        self.assertGreater(totals["rejected"], 0)
        firing = {labels["alertname"] for labels, _ in
                  self.prometheus.query('ALERTS{alertstate="firing"}')}
        self.assertLessEqual(firing, {"PersisterRejects"})

    def test_variables_find_what_there_is(self):
        """label_values(SERIES, LABEL) is a request for the series, or for one label's values."""
        found = {}
        for name, variable in grafana.variables(grafana.load("grafana-prometheus.json")).items():
            series, label = re.fullmatch(r"label_values\((.+), (\w+)\)",
                                         variable["query"]["query"]).groups()
            series = grafana.fill(series, {"instance": self.p.instance})
            found[name] = sorted({s[label] for s in
                                  self.prometheus.get("series", **{"match[]": series})})
        self.assertEqual(found, {"instance": [self.p.instance],
                                 "process": [f"{self.topic}-0", f"{self.topic}-1"]})

    def test_the_readmes_query(self):
        self.feed(100)
        with open(os.path.join(DASHBOARDS, "README.md"), encoding="utf-8") as f:
            expression, = re.findall(r"'query=(.+)'", f.read())
        proc.wait_until(lambda: self.prometheus.query(expression), 60, "there is an answer")
        (labels, _), = self.prometheus.query(expression)
        self.assertEqual(labels, {"instance": self.p.instance})

    def test_the_alerts(self):
        for words in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]):
            done = subprocess.run(["promtool", *words], cwd=DASHBOARDS, capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rules = self.prometheus.get("rules")["groups"][0]["rules"]
        self.assertEqual({r["name"]: r.get("lastError", "") for r in rules},
                         {r["name"]: "" for r in rules})
        self.p.kill()
        proc.wait_until(lambda: self.prometheus.query('ALERTS{alertname="PersisterNotScraped"}'), 60,
                        "it is noticed")


class ByMonasca(Loop):
    """As the data source asks; the figures came from the real agent."""

    seconds = 90

    def setUp(self):
        super().setUp()
        self.use_monasca(agent_seconds=2)

    def points(self, path, parameters):
        return [point for element in self.read(path, **parameters)
                for point in element["measurements" if "measurements" in path else "statistics"]]

    def test_every_panel_has_data(self):
        started = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime(time.time() - 60))
        p = self.telling(kafka_metrics={"num_processors": 2})
        self.wait_assigned(p)  # so that each process has requests
        for part in range(3):
            self.feed(MESSAGES // 3, bad=BAD, first=part * MESSAGES // 3)
            flushed = self.agent.flushed()
            proc.wait_until(lambda n=flushed: self.agent.flushed() > n, 60, "the agent flushes")
        self.wait_drained()
        self.stop(p)
        self.settle()
        dashboard = grafana.load("grafana-monasca.json")
        values = {name: [e["dimension_value"] for e in
                         self.read("/metrics/dimensions/names/values", dimension_name=v["query"])]
                  for name, v in grafana.variables(dashboard).items()}
        self.assertEqual(values, {"instance": [p.instance],
                                  "process": [f"{self.topic}-0", f"{self.topic}-1"]})
        for title, target in grafana.targets(dashboard):
            for path, parameters in grafana.monasca_requests(target, values, started):
                with self.subTest(title, path=path, **parameters):
                    self.assertTrue(self.points(path, parameters))
        self.assert_sums(dashboard, p.totals(), values, started)

    def assert_sums(self, dashboard, totals, values, started):
        """What the panels of the throughput show, added up, is what the segment says."""
        sums = {}
        for _, target in grafana.targets(dashboard):
            if target["metric"].startswith("monasca.persister.requests."):
                for path, parameters in grafana.monasca_requests(target, values, started):
                    what = target["metric"].rpartition(".")[2], parameters["dimensions"]["scope"]
                    sums[what] = sums.get(what, 0) + sum(v for _, v in self.points(path, parameters))
        self.assertEqual(sums, {(name, scope): totals[name]
                                for name in ("received", "completed", "rejected", "returned")
                                for scope in ("instance", "process")
                                if (name, scope) != ("returned", "process")})
        self.assertGreater(totals["rejected"], 0)

    def test_all_as_older_data_sources_ask(self):
        """These list the series of a metric, and ask for each that has the dimension."""
        p = self.telling(kafka_metrics={"num_processors": 2})
        self.feed(100)
        self.wait_drained()
        self.stop(p)
        self.settle()
        grouped = [t for _, t in grafana.targets(grafana.load("grafana-monasca.json"))
                   if any(d["value"] == "$all" for d in t["dimensions"])]
        self.assertTrue(grouped)
        for target in grouped:
            series = self.read("/metrics", name=target["metric"], start_time=BEGINNING)
            processes = sorted({s["dimensions"]["process"] for s in series
                                if "process" in s["dimensions"]})
            self.assertEqual(processes, [f"{self.topic}-0", f"{self.topic}-1"])
            single = {**target, "dimensions": [
                {**d, "value": "$process"} if d["value"] == "$all" else d for d in target["dimensions"]]}
            for path, parameters in grafana.monasca_requests(
                    single, {"instance": [p.instance], "process": processes}, BEGINNING):
                self.assertTrue(self.points(path, parameters), parameters)


if __name__ == "__main__":
    unittest.main()
