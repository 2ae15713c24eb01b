# SPDX-License-Identifier: Apache-2.0
"""pstats on segments with known figures (tests/tools/figures-driver): forms, exit codes, the live view."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from fixtures import proc

try:
    from fixtures.screen import Screen
except ImportError:  # no pyte
    Screen = None
try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
except ImportError:
    text_string_to_metric_families = None

PSTATS = os.path.join(proc.BUILD, "pstats", "pstats")
DRIVER = os.path.join(proc.BUILD, "tests", "tools", "figures-driver")
LIVE, USAGE, STALE, NOT_THERE, REFUSED = 0, 2, 3, 4, 5
NOBODY = 65534


class Driver:
    """A master and workers that do what they are told."""

    def __init__(self, directory, instance="test", workers=3, period_ms=1000):
        self.path = os.path.join(directory, instance + ".shm")
        self.process = subprocess.Popen(
            [DRIVER, directory, instance, str(workers), str(period_ms)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, preexec_fn=proc.die_with_parent)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline().rstrip("\n")
        if not line.startswith("ok"):
            raise AssertionError(f"figures-driver: {line}")
        return line[3:]

    def say(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.answer()

    @property
    def pid(self):
        return self.process.pid

    def end(self, how="stop"):
        """how: stop, or die by KILL."""
        if self.process.poll() is None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(how + "\n")
                self.process.stdin.flush()
            self.process.wait(60)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="pstats-")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def driver(self, *arguments, **options):
        driver = Driver(options.pop("directory", self.dir), *arguments, **options)
        self.addCleanup(driver.end)
        return driver

    def pstats(self, *arguments, place=True, **options):
        where = ["-f", self.dir] if place else []
        done = subprocess.run([PSTATS, *where, *map(str, arguments)], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False, timeout=60, **options)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def json(self, *arguments, code=LIVE):
        got, out, err = self.pstats("-j", *arguments)
        self.assertEqual(got, code, err)
        return json.loads(out)

    def busy_driver(self, **options):
        """metrics-0 with all that there is, metrics-1 killed, the last period closed."""
        driver = self.driver(**options)
        for slot in 1, 2, 3:
            driver.say("start", slot)
        driver.say("receive", 1, 100)
        driver.say("complete", 1, 60, 7_000_000)
        driver.say("reject", 1, 5)
        driver.say("return", 1, 15)
        driver.say("receive", 2, 30)
        driver.say("complete", 2, 10, 11_000_000)
        driver.say("close")
        driver.say("complete", 1, 4, 500_000)
        self.assertEqual(driver.say("kill", 2), "20")
        driver.say("set", 1, "lag", 4711)
        driver.say("set", 3, "lag", "unknown")
        return driver


class FormsTest(Case):
    seconds = 15

    def check_times(self, times):
        if times is None:
            return
        self.assertGreater(times["count"], 0)
        self.assertLessEqual(times["min_s"], times["avg_s"])
        self.assertLessEqual(times["avg_s"], times["max_s"])
        self.assertEqual(set(times), {"count", "sum_s", "min_s", "max_s", "avg_s", "p50_s",
                                      "p95_s", "p99_s"})

    def check_figures(self, f):
        for name in "request", "delay", "write", "decode", "commit":
            self.check_times(f[name])

    def test_json_has_the_figures(self):
        driver = self.busy_driver()
        j = self.json()
        self.assertEqual((j["version"], j["instance"], j["stale"], j["stale_reason"]),
                         (1, "test", False, None))
        self.assertEqual(j["segment"], driver.path)
        self.assertEqual((j["master"]["pid"], j["master"]["state"]), (driver.pid, "running"))
        self.assertEqual((j["period"]["seconds"], j["period"]["number"]), (1, 1))
        totals, last = j["totals"], j["last_period"]
        self.assertEqual([totals[n] for n in ("received", "completed", "rejected", "returned",
                                              "in_flight", "returned_died", "deaths_signal")],
                         [130, 74, 5, 35, 16, 20, 1])
        self.assertEqual([last[n] for n in ("received", "completed", "rejected", "returned")],
                         [130, 70, 5, 15])
        self.assertEqual(totals["request"]["min_s"], 0.0005)
        self.assertEqual(last["request"]["min_s"], 0.007)
        self.assertEqual(last["request"]["max_s"], 0.011)
        self.assertEqual(last["request"]["sum_s"], 0.53)
        self.assertAlmostEqual(last["request"]["p99_s"], 0.011, delta=0.011 * 0.02)
        self.assertIsNone(totals["lag"], "one of its parts is not known")
        processes = {p["process"]: p for p in j["processes"]}
        self.assertEqual(list(processes), ["alarm-state-transitions-0", "metrics-0", "metrics-1"])
        self.assertEqual(processes["metrics-0"]["totals"]["lag"], 4711)
        self.assertEqual(processes["metrics-0"]["topic"], "metrics")
        self.assertEqual((processes["metrics-1"]["pid"], processes["metrics-1"]["state"],
                          processes["metrics-1"]["lifetime"]["returned"]), (None, "dead", 20))
        self.check_figures(totals)
        self.check_figures(last)
        for p in j["processes"]:
            self.check_figures(p["totals"])
            self.check_figures(p["last_period"])
            for f in p["totals"], p["lifetime"]:
                self.assertEqual(f["received"], f["completed"] + f["rejected"] + f["returned"]
                                 + f["in_flight"])

    def test_a_worker_that_waits(self):
        driver = self.busy_driver()
        driver.say("state", 1, "retrying")
        driver.say("wait", 1, "influxdb", "connection refused: 127.0.0.1:8086")
        p = {p["process"]: p for p in self.json()["processes"]}["metrics-0"]
        self.assertEqual(p["waiting_for"], "influxdb: connection refused: 127.0.0.1:8086")
        self.assertEqual((p["waiting"]["whose"], p["waiting"]["text"], p["state"]),
                         ("influxdb", "connection refused: 127.0.0.1:8086", "retrying"))
        self.assertRegex(p["since"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertIn("influxdb: connection refused", self.pstats("-1")[1])
        driver.say("go", 1)
        p = {p["process"]: p for p in self.json()["processes"]}["metrics-0"]
        self.assertIsNone(p["waiting_for"])

    def test_a_worker_begins_again_at_zero_and_the_instance_does_not(self):
        driver = self.busy_driver()
        driver.say("start", 2)
        j = self.json()
        p = {p["process"]: p for p in j["processes"]}["metrics-1"]
        self.assertEqual((p["totals"]["received"], p["lifetime"]["received"], p["generation"]),
                         (0, 30, 2))
        self.assertEqual(j["totals"]["received"], 130)

    def test_a_window_adds_periods_up(self):
        driver = self.busy_driver()
        driver.say("receive", 1, 7)
        driver.say("close")
        window = self.json("--window", "5m")["window"]
        self.assertEqual((window["received"], window["completed"]), (137, 74))
        self.assertEqual(window["request"]["count"], 74)
        self.assertIn("LAST ", self.pstats("-1", "--window", "90s")[1])
        for wrong in "0", "5x", "", "-1m", "61h", "m":
            self.assertEqual(self.pstats("-j", "--window", wrong)[0], USAGE, wrong)

    def test_text_has_the_same_figures(self):
        self.busy_driver()
        code, out, _ = self.pstats("-1")
        self.assertEqual(code, LIVE)
        self.assertRegex(out, r"(?m)^state +running$")
        self.assertRegex(out, r"(?m)^received +130 +130 ")
        self.assertRegex(out, r"(?m)^in_flight +16$")
        self.assertRegex(out, r"(?m)^lag +\?$")
        self.assertRegex(out, r"(?m)^request +70 +7\.571 ms +7\.000 ms +11\.00 ms ")
        self.assertRegex(out, r"(?m)^metrics-0 +1 +\d+ consuming +\ds +0 +100 +64 +5 +15 +16 +4711 ")
        # Not a terminal and no form: the same.
        self.assertRegex(self.pstats()[1], r"(?m)^received +130 +130 ")

    def test_figures_can_be_chosen(self):
        self.busy_driver()
        j = self.json("-F", "rec*", "-F", "write")
        self.assertEqual(list(j["totals"]), ["received", "write"])
        self.assertEqual(list(j["processes"][0]["totals"]), ["received", "write"])
        code, out, _ = self.pstats("-1", "-F", "rec*")
        self.assertEqual((code, "received" in out, "completed" in out), (LIVE, True, False))
        code, out, _ = self.pstats("-l", "-F", "l?g")
        self.assertEqual((code, len(out.splitlines())), (LIVE, 2))

    def test_list_and_help_need_no_instance(self):
        code, out, _ = self.pstats("-l", place=False)
        self.assertEqual(code, LIVE)
        self.assertRegex(out, r"(?m)^received +counter +messages +\w")
        self.assertRegex(out, r"(?m)^request +timing, histogram +seconds +\w")
        self.assertEqual(self.pstats("--help", place=False)[0], LIVE)
        self.assertEqual(self.pstats("--version", place=False)[0], LIVE)
        for wrong in ["-x"], ["-1", "-j"], ["-w"], ["-w", "0"], ["-i", "x"], ["more"], ["-1", "2"]:
            self.assertEqual(self.pstats(*wrong)[0], USAGE, wrong)

    @unittest.skipUnless(text_string_to_metric_families, "python3-prometheus-client is missing")
    def test_openmetrics_is_openmetrics(self):
        self.busy_driver()
        code, out, _ = self.pstats("-p")
        self.assertEqual(code, LIVE)
        samples = {}
        for family in text_string_to_metric_families(out):  # raises if it is none
            self.assertTrue(family.name.startswith("monasca_persister_"), family.name)
            self.assertTrue(family.documentation, family.name)
            for s in family.samples:
                key = (s.name, s.labels.get("process"), s.labels.get("le"), s.labels.get("state"))
                self.assertNotIn(key, samples)
                samples[key] = s.value
                self.assertEqual("_process_" in s.name, "process" in s.labels, s.name)
        name = "monasca_persister_"
        self.assertEqual(samples[name + "received_total", None, None, None], 130)
        self.assertEqual(samples[name + "process_received_total", "metrics-1", None, None], 30)
        self.assertEqual(samples[name + "request_seconds_bucket", None, "+Inf", None], 74)
        self.assertEqual(samples[name + "request_seconds_count", None, None, None], 74)
        self.assertNotIn((name + "lag", None, None, None), samples)
        self.assertEqual(samples[name + "process_lag", "metrics-0", None, None], 4711)

    def test_links_libc_and_curses_alone(self):
        out = subprocess.run(["readelf", "-d", PSTATS], capture_output=True, text=True,
                             check=True).stdout
        libraries = set(re.findall(r"NEEDED.*\[(\w+)\.so", out))
        allowed = {"libc", "libncursesw", "libtinfo", "libasan", "libubsan", "libm"}
        self.assertLessEqual(libraries, allowed)

    def test_output_that_cannot_be_written_is_told(self):
        self.busy_driver()
        with open("/dev/full", "wb") as full:
            done = subprocess.run([PSTATS, "-f", self.dir, "-j"], stdout=full, check=False,
                                  stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot write", done.stderr)


class FindTest(Case):
    seconds = 15

    def test_no_instance(self):
        code, out, err = self.pstats("-j")
        self.assertEqual((code, out), (NOT_THERE, ""))
        self.assertIn("no instance in", err)
        for options in ["-n", "other"], ["-f", self.dir + "/nothing.shm"]:
            self.assertEqual(self.pstats("-1", *options)[0], NOT_THERE, options)
        self.assertEqual(self.pstats("-w", 1)[0], NOT_THERE)

    def test_by_name_and_by_file(self):
        one, two = self.driver("one"), self.driver("two")
        for options, pid in ((["-n", "one"], one.pid), (["-n", "two"], two.pid),
                             (["-f", one.path], one.pid)):
            self.assertEqual(self.json(*options)["master"]["pid"], pid)

    def test_several_are_listed(self):
        self.driver("one")
        two = self.driver("two")
        code, out, err = self.pstats("-j")
        self.assertEqual((code, out), (NOT_THERE, ""))
        for words in "one +live", rf"two +live +{two.pid} .*/two\.shm":
            self.assertRegex(err, words)
        two.end()
        self.assertEqual(self.json()["instance"], "one")  # the only one that lives
        code, _, err = self.pstats("-n", "two", "-1")
        self.assertEqual(code, STALE)

    def test_the_old_one_is_no_instance_but_can_be_read(self):
        first = self.driver("one")
        first.end("die")
        second = self.driver("one")
        self.assertEqual(self.json()["master"]["pid"], second.pid)
        j = self.json("-f", second.path + ".old", code=STALE)
        self.assertEqual(j["master"]["pid"], first.pid)

    def test_what_is_no_segment_is_refused_with_a_sentence(self):
        driver = self.driver()
        with open(driver.path, "rb") as f:
            good = f.read()
        other_version = bytearray(good)
        other_version[8] += 1
        cases = {"empty": b"", "short": b"x" * 100, "foreign": b"x" * len(good),
                 "cut": good[:len(good) // 2], "half-made": b"\0" * 8 + good[8:],
                 "version": bytes(other_version), "table": good[:24] + b"\1" * 8 + good[32:]}
        path = os.path.join(self.dir, "bad.shm")
        for name, data in cases.items():
            with open(path, "wb") as f:
                f.write(data)
            for form in ["-1"], ["-j"], ["-p"], ["-w", "1"]:
                code, out, err = self.pstats(*form, "-f", path)
                self.assertEqual((code, out), (REFUSED, ""), (name, form))
                self.assertRegex(err, r"^pstats: \S*bad\.shm: \w.*\n$")
                self.assertEqual(err.count("\n"), 1)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_another_user_reads_only_what_the_group_allows(self):
        driver = self.driver()
        os.chmod(self.dir, 0o755)
        above = os.path.dirname(self.dir)
        while above != "/":
            if not os.stat(above).st_mode & 0o001:  # the runner's own directory is private
                os.chmod(above, 0o711)
            above = os.path.dirname(above)
        program = os.path.join(self.dir, "pstats")
        shutil.copy(PSTATS, program)  # the build may be in a directory that others cannot read

        def as_nobody(path, group):
            return subprocess.run([program, "-j", "-f", path], user=NOBODY, group=group,
                                  extra_groups=[], capture_output=True, check=False,
                                  timeout=60).returncode
        self.assertEqual(as_nobody(driver.path, NOBODY), REFUSED)
        self.assertEqual(as_nobody(driver.path, 0), LIVE)
        os.chmod(self.dir, 0o700)
        self.assertEqual(self.pstats("-1")[0], LIVE)


@unittest.skipUnless(os.geteuid() == 0, "needs root to be somebody else")
class OthersTest(Case):
    """Anybody can make /dev/shm/monasca-persister-UID/INSTANCE.shm."""
    seconds = 15
    user = 54321
    place = f"/dev/shm/monasca-persister-{user}"
    instance = "pstats-others"

    def setUp(self):
        super().setUp()
        os.mkdir(self.place, 0o755)
        self.addCleanup(shutil.rmtree, self.place, True)
        os.chown(self.place, self.user, self.user)
        self.segment = self.driver(self.instance, directory=self.place)
        os.chown(self.segment.path, self.user, self.user)
        self.program = os.path.join(self.dir, "pstats")
        shutil.copy(PSTATS, self.program)
        os.chmod(self.dir, 0o755)

    def look(self, *options, user=0):
        done = subprocess.run([self.program, "-j", *options], user=user, group=user,
                              extra_groups=[], stdin=subprocess.DEVNULL, capture_output=True,
                              check=False, timeout=60)
        return done.returncode, done.stderr.decode()

    def test_are_not_looked_for_and_can_be_named(self):
        code, err = self.look("-n", self.instance)
        self.assertEqual(code, NOT_THERE)
        self.assertIn("; other users' are not looked for: -f /dev/shm/monasca-persister-", err)
        for where in self.place, self.segment.path:
            self.assertEqual(self.look("-n", self.instance, "-f", where)[0], LIVE)

    def test_ones_own_is_found(self):
        self.assertEqual(self.look("-n", self.instance, user=self.user)[0], LIVE)

    def test_ones_own_place_is_not_anothers(self):
        os.chown(self.place, self.user + 1, self.user + 1)
        code, err = self.look("-n", self.instance, user=self.user)
        self.assertEqual(code, REFUSED)
        self.assertIn("is not a directory that only you can write to", err)

    def test_a_name_has_no_escape_sequences(self):
        with open(self.segment.path, "r+b") as f:
            f.seek(f.read().index(b"pstats-others\0"))
            f.write(b"\x1b]0;x\x07\xc2\x9b1m\0")
        for form in "-1", "-j", "-p":
            code, out, err = self.pstats(form, "-f", self.segment.path, place=False)
            self.assertEqual(code, LIVE, err)
            self.assertIn("?]0;x??1m", out)
            self.assertNotRegex(out, "[\x00-\x09\x0b-\x1f\x7f-\x9f]")

    def test_a_file_that_gets_shorter_ends_it_with_a_sentence(self):
        watch = subprocess.Popen([PSTATS, "-f", self.segment.path, "-w", "1"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.stderr.close)
        watch.stdout.readline()
        self.segment.process.kill()
        os.truncate(self.segment.path, 0)
        self.assertEqual(watch.wait(60), 1)
        self.assertRegex(watch.stderr.read(), r"^pstats: \S+: truncated while it was read\n$")


class StaleTest(Case):
    seconds = 20

    def test_every_form_says_it_at_once(self):
        driver = self.busy_driver()
        driver.end("die")
        j = self.json(code=STALE)
        self.assertTrue(j["stale"])
        self.assertRegex(j["stale_reason"], rf"^master {driver.pid} died")
        self.assertEqual(j["totals"]["received"], 130)
        code, out, _ = self.pstats("-1")
        self.assertEqual(code, STALE)
        self.assertRegex(out, r"(?m)^state +stale: master \d+ died")
        code, out, _ = self.pstats("-p")
        self.assertEqual((code, 'monasca_persister_stale{instance="test"} 1' in out), (STALE, True))
        code, out, _ = self.pstats("-w", 1, 1)
        self.assertEqual(code, STALE)
        self.assertIn(" stale: master", out)

    def test_one_that_stopped_is_stale_too(self):
        driver = self.busy_driver()
        driver.end("stop")
        self.assertRegex(self.json(code=STALE)["stale_reason"], "stopped at 2")

    def test_a_master_that_is_stopped_by_a_signal_lives(self):
        driver = self.busy_driver()
        os.kill(driver.pid, signal.SIGSTOP)
        self.addCleanup(os.kill, driver.pid, signal.SIGCONT)
        self.assertFalse(self.json()["stale"])


class WatchTest(Case):
    seconds = 30

    def watch(self, *arguments):
        process = subprocess.Popen([PSTATS, "-f", self.dir, *map(str, arguments)],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                   preexec_fn=proc.die_with_parent)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait, 60)
        self.addCleanup(process.kill)
        return process

    def test_rates_are_since_the_line_before(self):
        driver = self.driver(workers=1)
        driver.say("start", 1)
        driver.say("receive", 1, 1000)
        started = time.monotonic()
        w = self.watch("-w", 3, 3)
        _, header, first = (w.stdout.readline().split() for _ in range(3))
        self.assertEqual(header[0], "TIME")
        # The first line is there: what happens now is in the second, as we have 3 s for it.
        driver.say("receive", 1, 200)
        driver.say("complete", 1, 100, 3_000_000)
        first, line, idle = (dict(zip(header, words)) for words in
                             (first, w.stdout.readline().split(), w.stdout.readline().split()))
        rate = float(line["received"])
        self.assertTrue(200 / (time.monotonic() - started) < rate < 200 / 0.5, rate)
        self.assertAlmostEqual(float(line["completed"]), rate / 2, delta=0.2)
        self.assertEqual((line["in_flight"], line["avg"]), ("1100", "3.0ms"))
        self.assertRegex(line["max"], "^(2.9|3.0)ms$")
        for other in first, idle:
            self.assertEqual((other["received"], other["avg"], other["min"]), ("0.0", "-", "-"))
        self.assertEqual(w.wait(60), LIVE)

    def test_goes_on_with_the_next_master(self):
        first = self.busy_driver()
        w = self.watch("-w", 1)
        for _ in range(3):
            w.stdout.readline()
        first.end("die")
        lines = iter(w.stdout.readline, "")
        self.assertIn(f"stale: master {first.pid} died",
                      next(line for line in lines if re.match(r"\S+ stale", line)))
        second = self.busy_driver()
        line = w.stdout.readline()
        while "stale" in line:
            line = w.stdout.readline()
        self.assertIn(f"new master: pid {second.pid}", line)
        line = w.stdout.readline()
        self.assertNotIn("-", line.split()[1], line)


@unittest.skipUnless(Screen, "python3-pyte is missing")
class LiveTest(Case):
    seconds = 60

    def screen(self, *arguments, columns=80, lines=24, **env):
        screen = Screen([PSTATS, "-f", self.dir, *arguments], columns, lines, env)
        self.addCleanup(screen.close)
        return screen

    def test_shows_the_instance_and_its_workers_and_quits(self):
        driver = self.busy_driver()
        s = self.screen()
        text = s.wait_for(lambda t: "q quit" in t, 60, "the screen is drawn")
        self.assertIn(f"test  running  pid {driver.pid}  up ", text)
        self.assertRegex(text, r"request  avg 7\.5ms  min 7\.0ms  max 11ms ")
        self.assertRegex(text, r"(?m)^ 1 metrics-0 +\d+ consuming .* 4711 7\.0ms 7\.0ms 7\.0ms +0$")
        self.assertRegex(text, r"(?m)^ 2 metrics-1 +- dead ")
        s.type("q")
        self.assertEqual(s.wait(60), LIVE)

    def test_keys(self):
        driver = self.driver(workers=40)
        for slot in range(1, 41):
            driver.say("start", slot)
            driver.say("set", slot, "lag", slot)
        driver.say("receive", 7, 1000)
        driver.say("complete", 7, 1000, 3_000_000)
        driver.say("close")
        s = self.screen()
        s.wait_for(lambda t: "q quit" in t, 60, "the screen is drawn")
        for key, condition in (
                ("\x1bOF", lambda t: "38 metrics-37" in t),       # End
                ("\x1bOH", lambda t: " 1 metrics-0" in t),        # Home
                ("\x1b[6~", lambda t: " 1 metrics-0" not in t),    # Page Down
                ("ssssss", lambda t: "by LAG" in t),
                ("S", lambda t: "by LAG, reversed" in t),
                ("talarm", lambda t: "topic contains: alarm_" in t and "metrics-" not in t),
                ("\r", lambda t: "q quit" in t and "metrics-" not in t),
                ("t\x1b", lambda t: "metrics-" in t),
                ("p", lambda t: "PAUSED" in t),
                ("p", lambda t: "PAUSED" not in t),
                ("+", lambda t: "+/- 2s" in t),
                ("--", lambda t: "+/- 0.5s" in t),
                ("h", lambda t: "1000 100.00%" in t and "request  avg 3.0ms" in t),
                ("w", lambda t: "write  avg 1.5ms" in t),
                ("d", lambda t: "delay  avg 6.0ms" in t),
                ("\x1b", lambda t: "PROCESS" in t),
                ("?", lambda t: "sort by the next, reverse" in t),
                ("x", lambda t: "PROCESS" in t)):
            s.type(key)
            s.wait_for(condition, 60, f"what {key!r} does")
        s.type("q")
        self.assertEqual(s.wait(60), LIVE)

    def test_follows_the_size_of_the_terminal(self):
        driver = self.driver(workers=40)
        driver.say("start", 1)
        s = self.screen("-i", "300")
        s.wait_for(lambda t: "q quit" in t, 60, "the screen is drawn")
        for columns, lines in (132, 50), (80, 24), (20, 5), (5, 2), (100, 30):
            s.resize(columns, lines)
            s.wait_for(lambda t, n=lines: s.lines()[n - 1].startswith("q qui"), 60,
                       f"{columns}x{lines}")
        s.type("q")
        self.assertEqual(s.wait(60), LIVE)

    def test_says_stale_and_goes_on_with_the_next_master(self):
        first = self.busy_driver()
        s = self.screen("-i", "300")  # does not wait for that
        s.wait_for(lambda t: "running" in t, 60, "the screen is drawn")
        first.end("die")
        text = s.wait_for(lambda t: "STALE for " in t, 60, "stale")
        self.assertIn(f"master {first.pid} died", text)
        self.assertIn("metrics-0", text)
        second = self.busy_driver()
        text = s.wait_for(lambda t: f"running  pid {second.pid}" in t, 60, "the next one is shown")
        self.assertNotRegex(text, r"received -\d")
        second.end("stop")
        s.wait_for(lambda t: "stopped at" in t, 60, "the reason")
        s.type("q")
        self.assertEqual(s.wait(60), STALE)

    def test_shows_what_is_stale_already(self):
        self.busy_driver().end("die")
        s = self.screen()
        s.wait_for(lambda t: "STALE" in t and "metrics-0" in t, 60, "stale")
        s.type("q")
        self.assertEqual(s.wait(60), STALE)

    def test_colours_are_an_addition(self):
        driver = self.busy_driver()
        driver.say("state", 1, "retrying")
        driver.say("wait", 1, "influxdb", "refused")
        colour = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-7]|38;|9[0-7])[\d;]*m")
        texts = []
        for env in {}, {"NO_COLOR": "1"}, {"TERM": "vt100"}:
            s = self.screen(**env)
            texts.append(s.wait_for(lambda t: "waits " in t, 60, "the screen is drawn"))
            self.assertEqual(bool(colour.search(s.bytes)), not env, env)
            s.type("q")
            self.assertEqual(s.wait(60), LIVE)
        for text in texts:
            self.assertRegex(text, " retrying .*\n +waits .*influxdb: refused")

    def test_ascii_in_an_ascii_locale(self):
        self.busy_driver()
        s = self.screen(LC_ALL="C")
        s.wait_for(lambda t: "q quit" in t, 60, "the screen is drawn")
        self.assertTrue(s.bytes.isascii())
        with self.screen() as s:
            s.wait_for(lambda t: "█" in t, 60, "bars")

    def test_a_terminal_that_curses_does_not_know_gets_text(self):
        self.busy_driver()
        s = self.screen(TERM="no-such-terminal")
        self.assertEqual(s.wait(60), LIVE)
        self.assertIn(b"received", s.bytes)

    def test_ends_with_its_terminal_and_by_signals(self):
        self.busy_driver()
        s = self.screen()
        s.wait_for(lambda t: "q quit" in t, 60, "the screen is drawn")
        os.close(s.fd)
        s.fd = -1
        proc.wait_until(lambda: not proc.is_alive(s.pid), 60, "it ended")
        for number in signal.SIGINT, signal.SIGTERM:
            s = self.screen()
            s.wait_for(lambda t: "q quit" in t, 60, "the screen is drawn")
            os.kill(s.pid, number)
            self.assertEqual(s.wait(60), LIVE)

    def test_sleeps_without_a_keyboard(self):
        self.busy_driver()
        s = self.screen()
        s.close()
        command = ["sh", "-c", f"exec {PSTATS} -f {self.dir} </dev/null"]
        with Screen(command) as s:
            s.wait_for(lambda t: "q quit" in t, 60, "the screen is drawn")
            s.read(2)
            with open(f"/proc/{s.pid}/stat", encoding="ascii") as f:
                ticks = sum(map(int, f.read().rpartition(")")[2].split()[11:13]))
            self.assertLess(ticks / os.sysconf("SC_CLK_TCK"), 0.5)
            os.kill(s.pid, signal.SIGTERM)
            self.assertEqual(s.wait(60), LIVE)


if __name__ == "__main__":
    sys.exit(unittest.main())
