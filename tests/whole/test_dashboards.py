"""contrib/dashboards: every query put to the real Prometheus and the real Monasca API."""

import os
import re
import subprocess
import time
import unittest

from fixtures import grafana, proc
from fixtures.loop import BEGINNING, Loop
from fixtures.prometheus import DASHBOARDS, Prometheus, is_here
from fixtures.scenario import Scenario

MESSAGES, BAD = 3000, 2


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

    def work(self):
        """For some scrapes on end, then until Prometheus has seen the last of it."""
        feed = self.feeding(MESSAGES, bad=BAD, rate=500)
        feed.wait()
        self.wait_drained()
        totals = self.p.totals()
        proc.wait_until(lambda: self.value("monasca_persister_received_total") == totals["received"],
                        20, "it has seen all")
        return self.p.totals()

    def value(self, expression):
        found = self.prometheus.query(expression)
        return found[0][1] if len(found) == 1 else None

    def test_every_panel_has_data(self):
        totals = self.work()
        values = {"__rate_interval": "30s", "instance": self.p.instance, "process": ".*"}
        dashboard = grafana.load("grafana-prometheus.json")
        for title, target in grafana.targets(dashboard):
            with self.subTest(title, expr=target["expr"]):
                found = self.prometheus.query(grafana.fill(target["expr"], values))
                self.assertTrue(found)
                for labels, _ in found:
                    for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                        self.assertIn(label, labels, "what the legend shows")
        for name in ("received", "completed", "rejected"):
            self.assertEqual(self.value(f"monasca_persister_{name}_total"), totals[name])
            self.assertEqual(self.value(f"sum(monasca_persister_process_{name}_total)"), totals[name])
        self.assertGreater(totals["rejected"], 0)
        firing = {labels["alertname"] for labels, _ in
                  self.prometheus.query('ALERTS{alertstate="firing"}')}
        self.assertLessEqual(firing, {"PersisterRejects"})
        self.stop()

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
        self.work()
        with open(os.path.join(DASHBOARDS, "README.md"), encoding="utf-8") as f:
            expression, = re.findall(r"'query=(.+)'", f.read())
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
        proc.wait_until(lambda: self.prometheus.query('ALERTS{alertname="PersisterNotScraped"}'), 30,
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
        for part in range(3):
            self.feed(MESSAGES // 3, bad=BAD, first=part * MESSAGES // 3)
            time.sleep(2)
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
