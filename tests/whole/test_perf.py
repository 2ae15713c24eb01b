# SPDX-License-Identifier: Apache-2.0
"""persister-perf against the real persister: what it says is what was loaded."""

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET

from fixtures import proc
from fixtures.scenario import Scenario

PERF = os.path.join(proc.BUILD, "persister-perf")


class Perf(Scenario):
    def start_one(self, **sections):
        """One whose admin port answers."""
        self.use_shared()
        self.port = proc.free_ports()
        p = self.persister(kafka_metrics={"num_processors": 2, "batch_size": 500},
                           admin={"enabled": True, "port": self.port}, **sections)
        proc.wait_until(lambda: proc.is_open(self.port), 60, "the admin port is there")
        self.wait_assigned(p)  # or a rebalance has messages read twice
        return p

    def perf(self, *arguments, code=0, seconds=200):
        done = subprocess.run([PERF, *map(str, arguments)], capture_output=True, check=False,
                              timeout=seconds, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, code, done.stderr.decode() + done.stdout.decode())
        return done.stdout.decode(), done.stderr.decode()

    def running(self, *arguments):
        """Starts one that counts messages at the admin port, by upstream's options."""
        self.said = os.path.join(self.dir, "perf.err")
        with open(self.said, "wb") as err:
            return subprocess.Popen([PERF, "run", "-s", "127.0.0.1", "-p", str(self.port), "-w", "1",
                                     *map(str, arguments)], stdout=subprocess.PIPE, stderr=err,
                                    preexec_fn=proc.die_with_parent)

    def wait_counted(self, messages):
        """Until it has seen that so many are stored."""
        def counted():
            with open(self.said, encoding="utf-8") as f:
                return f"received {messages}, completed {messages} of" in f.read()

        proc.wait_until(counted, 60, f"persister-perf has counted {messages}")

    def segment_of(self, p):
        return ["--source", f"segment={p.instance}", "--segment-directory",
                os.path.dirname(p.segment)]

    def load(self, messages, **options):
        argv = ["--", "--brokers", self.broker.address, "--topic", self.topic, "--messages",
                messages, "--distinct"]
        for name, value in options.items():
            argv += ["--" + name, value]
        return argv

    def test_a_run_with_a_load_of_its_own(self):
        p = self.start_one()
        plot = os.path.join(self.dir, "plot.svg")
        drawing = ["--plot", plot] if shutil.which("gnuplot") else []
        out, _ = self.perf("run", "-s", "127.0.0.1", "-p", self.port, "-w", 1,
                           *self.segment_of(p), "--format", "json", *drawing,
                           *self.load(30000, rate=10000, bad=2))
        said = json.loads(out)
        good = p.totals()["completed"]
        self.assertTrue(said["complete"])
        self.assertEqual(len(said["sources"]), 2)
        for source in said["sources"]:
            instance, = source["instances"]
            self.assertEqual(instance["instance"], p.instance)
            self.assertEqual(len(instance["processes"]), 2)
            if source["source"].startswith("dropwizard"):
                self.assertEqual(instance["totals"]["received"], 30000)
                self.assertEqual(instance["totals"]["completed"], good)
                self.assertEqual(instance["processes_sum"]["completed"], good)
                self.assertEqual(instance["totals"]["completed_end"]
                                 - instance["totals"]["completed_start"], good)
        if drawing:
            texts = [t.text or "" for t in ET.parse(plot).iter("{http://www.w3.org/2000/svg}text")]
            self.assertTrue(any("completed" in t and p.instance in t for t in texts), texts)
            self.assertTrue(any("lag" in t for t in texts))
        else:
            print("no gnuplot: nothing was drawn")
        self.stop()

    def test_a_load_made_elsewhere_and_upstreams_options(self):
        p = self.start_one()
        run = self.running("-n", 5000)
        self.wait_counted(0)
        self.feed(5000)
        out, _ = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0)
        text = out.decode()
        self.assertIn("received 5000, completed 5000", text)
        self.assertIn("flushed: start, end", text)
        self.assertIn("sum over processes", text)
        self.assertNotIn("disagreements", text)
        self.stop()

    def test_a_restart_in_the_middle(self):
        p = self.start_one()
        self.feed(1000)
        self.wait_drained()
        run = self.running("-n", 2000, "--format", "json")
        self.wait_counted(0)
        self.feed(1000, first=1000)
        self.wait_counted(1000)
        self.stop(p)
        p.start()
        self.feed(1000, first=2000)
        out, _ = run.communicate(timeout=120)
        said = json.loads(out)
        self.assertEqual(run.returncode, 0)
        self.assertTrue(said["restarts"], "it is said that it began anew")
        self.assertEqual(said["sources"][0]["instances"][0]["totals"]["completed"], 2000)
        self.stop()

    def test_a_report_of_the_past(self):
        p = self.start_one()
        self.feed(7000)
        self.wait_drained()
        periods = p.figures()["period"]["number"]
        proc.wait_until(lambda: p.figures()["period"]["number"] > periods + 1, 60, "it is closed")
        out, _ = self.perf("report", *self.segment_of(p), "--last", "1m", "--format", "json")
        instance, = json.loads(out)["sources"][0]["instances"]
        self.assertEqual(instance["totals"]["received"], 7000)
        self.assertEqual(instance["totals"]["completed"], 7000)
        self.assertEqual(instance["processes_sum"]["completed"], 7000)
        request = p.figures()["totals"]["request"]
        self.assertAlmostEqual(instance["totals"]["request_max_ms"], request["max_s"] * 1000,
                               places=6)
        out, _ = self.perf("report", *self.segment_of(p), "--last", "1m", "--format", "csv")
        rows = [line.split(",") for line in out.splitlines()[1:]]
        self.assertEqual(sum(float(r[6]) for r in rows if r[2] == '""'), 7000)
        self.stop()

    def test_what_cannot_be_read(self):
        self.use_shared()
        port = proc.free_ports()
        _, err = self.perf("run", "-s", "127.0.0.1", "-p", port, "-n", 1, code=1)
        self.assertIn(f"127.0.0.1:{port}", err)
        _, err = self.perf("report", "--source", f"dropwizard=http://127.0.0.1:{port}", code=2)
        self.assertIn("remembers nothing", err)
        _, err = self.perf("report", "--source", "segment=nobody", "--segment-directory", self.dir,
                           code=1)
        self.assertIn("nobody", err)
        _, err = self.perf("report", "--source", "carrier-pigeon=x", code=2)
        self.assertIn("carrier-pigeon", err)


