# SPDX-License-Identifier: Apache-2.0
"""contrib/monasca-agent with the real agent: its set-up finds the persister, its collector reads it."""

import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import unittest

from fixtures import agent, fetched, proc
from fixtures.agent_setup import CUSTOM
from fixtures.persister import PROGRAM, PSTATS
from fixtures.scenario import Scenario

CONTRIB = os.path.join(proc.ROOT, "contrib", "monasca-agent")
SETUP = os.path.join(proc.ROOT, "tests", "fixtures", "agent_setup.py")


def make_directories(path):
    """Like makedirs; returns those that were not there, the deepest last."""
    made = []
    while not os.path.isdir(path):
        made.insert(0, path)
        path = os.path.dirname(path)
    for directory in made:
        os.mkdir(directory)
    return made


def sink_measurements(sink):
    return [m for flush in list(sink.flushes) for m in flush]


class AgentPlugin(Scenario):
    seconds = 90

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("a PID namespace needs root")
        try:
            self.environment = os.path.dirname(fetched.environment("monasca-agent"))
        except fetched.Unavailable as e:
            self.skipTest(f"monasca-agent: {e}")

    def run_agent(self, p, port, meanwhile=lambda sink: None):
        """All of agent_setup.py, where p is the only program that runs. The collector runs until
        meanwhile(sink), which looks at what it posts, has returned."""
        for made in make_directories(CUSTOM):
            self.addCleanup(os.rmdir, made)
        sink = agent.Sink()
        self.addCleanup(sink.close)
        p.write_config()
        options = {"persister": [PROGRAM, "--config-file", p.config], "segment": p.segment,
                   "pstats": PSTATS, "plugin": CONTRIB, "directory": self.dir,
                   "forwarder": sink.port, "enough": os.path.join(self.dir, "enough"),
                   "ready": f"http://127.0.0.1:{port}/healthcheck"}
        # The agent takes the first process with "monasca-persister" in its command line for ours:
        # the script gets neither the cache's path nor the checkout's there.
        os.symlink(self.environment, os.path.join(self.dir, "env"))
        shutil.copy(SETUP, self.dir)
        with open(os.path.join(self.dir, "options"), "w", encoding="utf-8") as f:
            json.dump(options, f)
        argv = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "env/bin/python", "-B",
                os.path.basename(SETUP), "options"]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            running = pool.submit(subprocess.run, argv, stdin=subprocess.DEVNULL, text=True, timeout=280,
                                  capture_output=True, check=False, cwd=self.dir)
            try:
                meanwhile(sink)
            finally:
                with open(options["enough"], "w", encoding="ascii"):
                    pass
            done = running.result()
        self.assertEqual(done.returncode, 0, done.stderr[-4000:])
        return json.loads(done.stdout.splitlines()[-1]), sink

    def load_meanwhile(self, sink):
        """Once the collector posts; then until it has posted some rounds of what is at rest."""
        def rounds():
            return sum(m["name"] == "monasca.persister.completed_per_second"
                       for m in sink_measurements(sink))

        def some_rounds():
            before = rounds()
            proc.wait_until(lambda: rounds() >= before + 3, 120, "the collector posts")

        some_rounds()
        self.feed(3000, bad=5, rate=200)
        self.wait_drained()
        p, = self.persisters
        proc.wait_until(lambda: [p.totals()[name] for name in ("completed", "in_flight", "lag",
                                                               "lag_committed")] == [2850, 0, 0, 0],
                        60, "all is settled, and known to be")
        some_rounds()

    def test_set_up_and_collector(self):
        self.use_shared()
        port = proc.free_ports()
        p = self.persister(start=False, admin={"enabled": True, "port": port})
        result, sink = self.run_agent(p, port, self.load_meanwhile)
        self.check_stock(result)
        self.check_files(result, p, port)
        self.check_measurements(result, sink, p, port)

    def check_stock(self, result):
        """What README.md says of the agent without our plug-in."""
        for run in (result["stock"], result["stock alone"]):
            self.assertEqual((run["code"], run["files"]), (1, {}))
            self.assertIn("Exception: Cannot determine language implementation from process exe "
                          + PROGRAM, run["said"])

    def check_files(self, result, p, port):
        self.assertEqual(result["all"]["code"], 0, result["all"]["said"])
        self.assertEqual(result["ours"]["code"], 0, result["ours"]["said"])
        files = result["ours"]["files"]
        self.assertEqual(set(files), {"process", "http_check", "http_metrics"})
        for name, ours in files.items():
            for check in ours["instances"]:
                self.assertEqual(check.pop("built_by"), "Persister")
                self.assertIn({**check, "built_by": "Persister"},
                              result["all"]["files"][name]["instances"])
            self.assertEqual(self.ready_made(name, p, port), ours, f"conf.d/{name}.yaml")
        self.assertEqual(set(result["none"]["files"]), {"process", "http_check"})
        self.assertNotEqual(result["wrong"]["code"], 0)
        self.assertIn("figures=x: allowed: auto, admin, none", result["wrong"]["said"])
        self.assertIn("UnboundLocalError", result["remove"]["said"])  # README.md: without -json
        self.assertEqual(result["remove with -json"]["code"], 0, result["remove with -json"]["said"])
        left = {n: f["instances"] for n, f in result["remove with -json"]["files"].items()}
        self.assertFalse(any(left.values()), left)
        self.assertEqual((result["stopped"]["code"], result["stopped"]["files"]), (1, {}))

    def ready_made(self, name, p, port):
        """A file of contrib's conf.d, with the instance and port of this test put in."""
        with open(os.path.join(CONTRIB, "conf.d", name + ".yaml"), encoding="utf-8") as f:
            text = f.read().replace("INSTANCE", p.instance).replace(":8091/", f":{port}/")
        code = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))"
        done = subprocess.run([os.path.join(self.environment, "bin", "python"), "-c", code],
                              input=text, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def check_measurements(self, result, sink, p, port):
        """What the collector posted: the last of each is what pstats says."""
        # contrib/monasca-agent/README.md: what is not known yet is null.
        unknown = re.compile(r"Invalid value 'None' for metric 'monasca\.persister\.lag\w*'$")
        complaints = [line for line in result["log"].splitlines()
                      if ("ERROR" in line or "Could not find" in line or "Invalid" in line)
                      and not unknown.search(line)]
        self.assertEqual(complaints, [])
        got, totals = {}, result["figures"]["totals"]
        for m in sink_measurements(sink):
            got.setdefault(m["name"], []).append(m)
        wanted = [m["name"] for m in
                  result["ours"]["files"]["http_metrics"]["instances"][0]["whitelist"]]
        self.assertLessEqual(set(wanted), set(got))
        for name in wanted:
            figure = name.removeprefix("monasca.persister.")
            last = got[name][-1]
            self.assertEqual(last["dimensions"]["instance"], p.instance)
            self.assertEqual(last["dimensions"]["component"], "monasca-persister")
            if figure == "memory_bytes":  # moves by itself
                self.assertAlmostEqual(last["value"] / totals[figure], 1, delta=0.5)
            elif figure.endswith("_per_second"):
                self.assertEqual(last["value"], 0, name)  # nothing flows any more
            else:
                self.assertEqual(last["value"], totals[figure], name)
        top = {f: max(m["value"] for m in got[f"monasca.persister.{f}_per_second"])
               for f in ("received", "completed", "rejected", "bytes_in", "store_errors")}
        self.assertGreater(top["received"], 0)
        self.assertGreater(top["bytes_in"], 100 * top["received"])
        self.assertGreater(top["completed"], top["rejected"])
        self.assertGreater(top["rejected"], 0)
        self.assertEqual(top["store_errors"], 0)
        self.assertEqual({m["value"] for m in got["http_status"]}, {0})
        counts = {m["dimensions"]["process_name"]: m["value"] for m in got["process.pid_count"]}
        # Two workers and the admin process.
        self.assertEqual(counts, {"monasca-persister": 1, "monasca-persister-children": 3})
        self.assertEqual(got["http_status"][-1]["dimensions"]["url"],
                         f"http://127.0.0.1:{port}/healthcheck")

    def test_figures_come_once(self):
        """An instance that sends its figures by StatsD is not asked for them, too."""
        self.use_shared()
        port = proc.free_ports()
        p = self.persister(start=False, admin={"enabled": True, "port": port, "bind": "0.0.0.0"},
                           statsd={"enabled": True, "port": proc.free_ports()})
        result, _ = self.run_agent(p, port)
        files = result["ours"]["files"]
        self.assertEqual(set(files), {"process", "http_check"}, result["ours"]["said"])
        self.assertEqual(files["http_check"]["instances"][0]["url"],
                         f"http://127.0.0.1:{port}/healthcheck")


if __name__ == "__main__":
    unittest.main()
