# SPDX-License-Identifier: Apache-2.0
"""perf/compare and what it measures with: the whole of it in small, a run that does not count, and the
arithmetic of perf/benchlib.py.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from fixtures import proc
from fixtures.persister import PROGRAM

PERF = os.path.join(proc.ROOT, "perf")
sys.path.append(PERF)
import benchlib  # noqa: E402 (its path comes first)


def compare(*arguments):
    """(exit code, standard output, standard error)."""
    done = subprocess.run([sys.executable, PERF + "/compare", "--build", proc.BUILD,
                           *map(str, arguments)], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=340)
    return done.returncode, done.stdout, done.stderr


class CompareTest(unittest.TestCase):
    seconds = 90

    def setUp(self):
        if not os.path.exists(PROGRAM):
            self.skipTest(f"no {PROGRAM}; set BUILD")

    def test_each_case_has_all_its_rows(self):
        cases = ["bare", "discard-2", "influxdb-1", "postgresql-2", "raw-influxdb-2",
                 "raw-postgresql-1"]
        code, out, err = compare("--messages", 10000, "--hosts", 40, "--runs", 2, "--json",
                                 "--only", ",".join(cases))
        self.assertEqual(code, 0, err)
        said = json.loads(out)
        self.assertEqual(list(said["runs"]), cases)
        self.assertGreater(said["series"], 1)
        for case, runs in said["runs"].items():
            self.assertEqual([run["rows"] for run in runs], [10000, 10000], case)
            self.assertTrue(all(run["cpu"] > 0 and run["void"] is None for run in runs), case)
            self.assertEqual(said["summary"][case]["runs"], 2, case)
        for case in cases[2:]:
            self.assertGreater(said["runs"][case][0]["store_cpu"], 0, case)
        titles = [p["title"] for p in said["runs"]["discard-2"][0]["processes"]]
        self.assertEqual([sum(word in title for title in titles)
                          for word in ("metrics-0", "metrics-1", "admin")], [1, 1, 1], titles)
        self.assertEqual(said["summary"]["raw-influxdb-2"]["rate_to_ceiling"], 1)
        self.assertEqual(said["summary"]["bare"]["cpu_to_bare"], 1)

    def test_a_run_that_loses_messages_is_void(self):
        # Without these points' retention, InfluxDB drops them and each goes to the dead letters.
        code, out, _ = compare("--messages", 10000, "--hosts", 40, "--runs", 1, "--only",
                               "influxdb-1,bare", "--timeout", 200, "--set", "influxdb.default_retention_hours=1")
        self.assertEqual(code, 1)
        self.assertRegex(out, r"influxdb-1 .* void: .*0 rows of 10000 messages")
        self.assertRegex(out, r"(?m)^influxdb-1 +-")
        self.assertNotRegex(out, r"bare .* void")

    def test_wrong_options(self):
        for arguments, text in (
                (["--only", "influx"], "no case 'influx'; there are bare, discard-1"),
                (["--messages", "many"], "'many' is no number from 10000"),
                (["--set", "memory=1"], "'memory=1' is not SECTION.OPTION=VALUE")):
            code, out, err = compare(*arguments)
            self.assertEqual((code, out), (2, ""), arguments)
            self.assertIn(text, err)


class CeilingTest(unittest.TestCase):
    """perf/ceiling at a server that is not there; one that is, CompareTest has."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="persister-ceiling-")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def test_nobody_there(self):
        path = os.path.join(self.dir, "lines")
        with open(path, "w", encoding="ascii") as f:
            f.write("a value=1 1\n" * 3)
        done = subprocess.run([PERF + "/ceiling", "influxdb", "--port", str(proc.free_ports()),
                               "--database", "x", path], capture_output=True, text=True,
                              check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("Connection refused", done.stderr)


class ArithmeticTest(unittest.TestCase):
    def test_slope_is_that_of_the_steps(self):
        # 100 a second from 2 s on; before it starts up, after it the last batch waits.
        looks = [(0, 0), (1, 0), (2, 100), (2.5, 100), (3, 200), (4, 300), (4.5, 300), (9, 320),
                 (10, 400)]
        self.assertEqual(benchlib.slope(looks, 300), 100)
        self.assertEqual(benchlib.slope(looks, 400), 37.5)

    def test_slope_of_too_little(self):
        for looks in ([], [(0, 0)], [(0, 0), (1, 50)], [(0, 0), (1, 100)],
                      [(0, 0), (1, 50), (2, 50)]):
            self.assertIsNone(benchlib.slope(looks, 99), looks)

    def test_spread(self):
        self.assertEqual(benchlib.spread([3, None, 1, 5, 4]),
                         {"least": 1, "median": 3.5, "most": 5})
        self.assertIsNone(benchlib.spread([None]))

    def test_table(self):
        self.assertEqual(benchlib.table(["a", "b"], [["long", 1], ["x", 200]]),
                         ["a       b", "long    1", "x     200"])

    def test_cpu_and_memory_are_those_of_the_whole_tree(self):
        # The shell waits for one child that burns, then sleeps beside one that holds memory.
        burn = "import time\nwhile time.process_time() < 0.6: pass"
        hold = "x = bytearray(60 << 20); import time; print(flush=True); time.sleep(60)"
        p = subprocess.Popen(["sh", "-c", f"{sys.executable} -c '{burn}'; "
                              f"{sys.executable} -c '{hold}'; true"], stdout=subprocess.PIPE,
                             preexec_fn=os.setsid)
        try:
            p.stdout.readline()
            tree = benchlib.Tree(p.pid)
            tree.look()
            self.assertGreaterEqual(benchlib.cpu_of_tree(p.pid), 0.55)
            self.assertGreater(tree.largest(), 60)
            self.assertEqual(len(tree.each()), 2)
        finally:
            os.killpg(p.pid, 9)
            p.wait()
            p.stdout.close()
        self.assertEqual(benchlib.cpu_of_tree(p.pid), 0)


if __name__ == "__main__":
    unittest.main()
