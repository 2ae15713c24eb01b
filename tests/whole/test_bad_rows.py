# SPDX-License-Identifier: Apache-2.0
"""perf/bad-rows in small: each message is a row or a letter, what makes a run void, the verdict."""

import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import unittest

from fixtures import proc
from fixtures.persister import PROGRAM
from fixtures.postgres import BIN

PERF = os.path.join(proc.ROOT, "perf")
sys.path.append(PERF)


def bad_rows(*arguments):
    """(exit code, standard output, standard error)."""
    done = subprocess.run([sys.executable, PERF + "/bad-rows", "--build", proc.BUILD,
                           *map(str, arguments)], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=200)
    return done.returncode, done.stdout, done.stderr


def load():
    """The script as a module."""
    loader = importlib.machinery.SourceFileLoader("bad_rows", PERF + "/bad-rows")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("bad_rows", loader))
    loader.exec_module(module)
    return module


class BadRowsTest(unittest.TestCase):
    seconds = 20

    @unittest.skipUnless(BIN, "no PostgreSQL server is installed")
    def test_each_message_is_a_row_or_a_letter(self):
        if not os.path.exists(PROGRAM):
            self.skipTest(f"no {PROGRAM}; set BUILD")
        # A kind of which no rate is asked, so that the exit code does not depend on the speed.
        code, out, err = bad_rows("--messages", 1000, "--batch", 200, "--runs", 1, "--fractions",
                                  "2", "--only", "pg-deferred", "--json")
        self.assertEqual(code, 0, err)
        said = json.loads(out)
        found = said["runs"]["pg-deferred"]
        self.assertEqual([(run["percent"], run["rows"], run["letters"], run["void"])
                          for run in found],
                         [(0, 1000, 0, None), (2, 980, 20, None)])
        self.assertTrue(all(run["rate"] > 0 for run in found))
        self.assertEqual(said["summary"]["pg-deferred"]["0"]["of_clean"], 1)

    def test_wrong_options(self):
        for arguments, text in (
                (["--only", "pg"], "no kind 'pg'; there are not-json, wrong-type"),
                (["--messages", "1"], "'1' is no number from 1000"),
                (["--fractions", "0,101"], "'101' is no number from 0 to 100")):
            code, out, err = bad_rows(*arguments)
            self.assertEqual((code, out), (2, ""), arguments)
            self.assertIn(text, err)


class VerdictTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.script = load()

    def summary(self, clean, half, void=None):
        return self.script.summarize(
            [{"percent": 0, "rate": clean, "cpu_us": 1, "void": None},
             {"percent": 50, "rate": half, "cpu_us": 1, "void": void}], [0, 50])

    def test_half_the_rate_is_asked_of_what_is_foreseen_or_named(self):
        for kind, half, expected in (("pg-nul", 49, True), ("pg-nul", 50, False),
                                     ("pg-check", 49, True), ("influx-values", 1, False)):
            self.assertEqual(self.script.is_too_slow(kind, self.summary(100, half)), expected,
                             (kind, half))

    def test_a_void_run_has_no_rate(self):
        summary = self.summary(100, 1, "stopped")
        self.assertEqual((summary[50]["rate"], summary[50]["of_clean"], summary[50]["runs"]),
                         (None, None, 0))
        self.assertFalse(self.script.is_too_slow("pg-nul", summary))

    def test_what_makes_a_run_void(self):
        class World:
            messages = 4

        class Stream:
            bad, good = {1, 2}, [0, 3]

        kind, looks = self.script.KINDS["pg-nul"], [(0, 0), (1, 4)]
        for found, letters, last, says in (
                ((2, 3), [1, 2], looks, None), ((2, 3), [2, 2], looks, "2 letters, not one of"),
                ((2, 3), [1], looks, "1 letters"), ((1, 3), [1, 2], looks, "1 rows of 2 good"),
                ((2, 4), [1, 2], looks, "not of each message one"),
                ((2, 3), [1, 2], [(0, 0), (9, 3)], "stopped at 3 of 4 after 9 s")):
            why = self.script.judge(World, kind, Stream, last, (0, 0), found, letters)
            if says is None:
                self.assertIsNone(why)
            else:
                self.assertIn(says, why)


if __name__ == "__main__":
    unittest.main()
