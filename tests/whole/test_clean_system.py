# SPDX-License-Identifier: Apache-2.0
"""A clean Debian 12 with a real systemd, by README's "Install and run", as an operator has it.

    PERSISTER_TEST_CLEAN_SYSTEM=1 tests/whole/run CleanSystem

Everything is real and where Debian has it: packages, InfluxDB, Prometheus, the unit, the init
script, logrotate. Needs root, debootstrap, and a mirror to fetch packages from;
what is committed is what it installs. The tests run in the order of their names, in one system;
each starts with the service stopped and the configuration as it was installed.
"""

import atexit
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from fixtures import debian, proc
from fixtures.fetched import Unavailable

UNIT = "monasca-persister"
CONFIG = "/etc/monasca/monasca-persister.conf"
AS_INSTALLED = "/root/monasca-persister.conf"
INIT = "/etc/init.d/monasca-persister"
LOAD = f"persister-load --brokers 127.0.0.1:{debian.KAFKA_PORT} --progress 0 --distinct"
PARTITIONS = 8
PACKAGES = ("influxdb", "logrotate", "man-db")  # beyond those that README has installed
PROGRAMS = ("monasca-persister", "persister-dead", "persister-load", "persister-perf", "pstats")
QUERY = "http://127.0.0.1:9090/api/v1/query?query=sum(monasca_persister_completed_total)"


def section():
    """README's text from "Install and run" to "Upgrade"."""
    with open(os.path.join(proc.ROOT, "README.md"), encoding="utf-8") as f:
        return f.read().partition("## Install and run\n")[2].partition("\n## Upgrade")[0]


def blocks():
    """The commands that stand indented there: a list of lines for each block."""
    text = re.sub(r"\\\n +", "", section())
    found = re.findall(r"(?:^    .*\n)+", text, re.M)
    return [[line[4:] for line in block.splitlines()] for block in found]


def packages():
    """What the tests and README's commands install."""
    lines = [line.split() for block in blocks() for line in block]
    named = [word for line in lines if line[:2] == ["apt-get", "install"] for word in line[2:]]
    return sorted({word for word in named if not word.startswith("-")} | {*PACKAGES})


@unittest.skipUnless(os.environ.get("PERSISTER_TEST_CLEAN_SYSTEM"), "takes minutes; --all does it")
class CleanSystem(unittest.TestCase):
    seconds = 1500

    @classmethod
    def setUpClass(cls):
        why = debian.why_not()
        if not os.path.exists(os.path.join(proc.ROOT, ".git")):
            why = "it installs a clone of the repository, and this is none"
        if why:
            raise unittest.SkipTest(why)
        directory = tempfile.mkdtemp(prefix="persister-clean-")
        cls.addClassCleanup(shutil.rmtree, directory, True)
        atexit.register(shutil.rmtree, directory, True)
        cls.d = d = debian.Debian(directory)
        cls.addClassCleanup(d.close)
        try:
            d.unpack()
            d.download(packages())
        except Unavailable as e:
            raise unittest.SkipTest(str(e)) from None
        subprocess.run(["git", "clone", "-q", proc.ROOT, os.path.join(d.root, "src")], check=True)
        cls.boot()
        cls.install()

    @classmethod
    def boot(cls):
        cls.d.boot()
        cls.d.kafka("start", debian.KAFKA_PORT)
        for topic in "metrics", "alarm-state-transitions":
            cls.d.kafka("topic", topic, PARTITIONS)

    @classmethod
    def install(cls):
        """All that README says; the times it took are printed."""
        d = cls.d
        d.run(f"apt-get install -q {' '.join(PACKAGES)}; systemctl enable --now influxdb")
        cls.before = d.files("/var/cache", "/var/lib", "/var/log", "/run")
        build, start, dashboard = blocks()[:3]
        for command in build + start:
            begun = time.monotonic()
            d.run("cd /src\n" + command, seconds=600)
            print(f"{time.monotonic() - begun:6.1f} s  {command[:100]}", flush=True)
            if command == "make install":
                d.run(f"cp -p {CONFIG} {AS_INSTALLED}")
        cls.answer = d.says("\n".join(dashboard) + "\nkill $!")

    def setUp(self):
        self.d.run(f"{INIT} stop; systemctl stop {UNIT}", check=False)
        self.d.run(f"systemctl reset-failed {UNIT}", check=False)
        self.d.run(f"cat {AS_INSTALLED} >{CONFIG}; rm -rf /var/lib/{UNIT}/* /var/log/{UNIT}/*")
        self.influx("DROP DATABASE mon")

    # --- asking it

    def influx(self, query):
        said = self.d.says("curl -sS http://127.0.0.1:8086/query --data-urlencode 'db=mon' "
                           f"--data-urlencode 'q={query}'")
        return json.loads(said)["results"][0].get("series", [])

    def stored(self):
        """Points of all series; --distinct makes each message one."""
        return sum(s["values"][0][1] for s in self.influx("SELECT count(value) FROM /.*/"))

    def figures(self):
        return json.loads(self.d.says("pstats -j"))

    def property(self, name):
        return self.d.says(f"systemctl show -p {name} --value {UNIT}")

    def is_new(self, old):
        """The unit runs, with another master; its pid."""
        pid = self.property("MainPID")
        return pid if pid not in ("0", old) and self.property("ActiveState") == "active" else None

    def quick(self):
        """Batches are written after a second."""
        self.set_option("kafka", "max_wait_time_seconds = 1")

    def consumes(self, count):
        """Puts so many messages on the topic, of which each is stored."""
        before = self.stored()
        self.d.run(f"{LOAD} --messages {count} --first {before}")
        proc.wait_until(lambda: self.stored() == before + count, 60, f"{count} more are stored")

    def set_option(self, section_name, line):
        self.d.run(f"printf '\\n[{section_name}]\\n{line}\\n' >>{CONFIG}")

    # --- the tests

    def test_0_as_readme_says(self):
        """Each of its commands has succeeded; its last one is the dashboard's query."""
        self.assertIn('"status":"success"', self.answer)
        self.assertIn('"instance":', self.answer)

    def test_1_a_figure_where_prometheus_has_it(self):
        d = self.d
        d.run("cp /usr/share/monasca-persister/dashboards/prometheus.yml "
              "/usr/share/monasca-persister/dashboards/alerts.yml /etc/prometheus/; "
              f"systemctl restart prometheus; systemctl start {UNIT}")
        d.run(f"{LOAD} --messages 1000")

        def figure():
            said = d.says(f"curl -sS '{QUERY}'", check=False)
            result = json.loads(said)["data"]["result"] if said.startswith("{") else []
            return result and float(result[0]["value"][1]) == 1000
        proc.wait_until(figure, 90, "Prometheus has the figure")
        self.assertEqual(self.stored(), 1000)
        self.assertIn('"healthy":true', d.says("curl -sS http://127.0.0.1:8091/healthcheck"))

    def test_2_the_manual(self):
        for page in (*PROGRAMS, "monasca-persister.conf"):
            self.assertIn("NAME", self.d.says(f"man {page} | cat"))
        for program in PROGRAMS:
            self.d.run(f"{program} --help >/dev/null; {program} --version >/dev/null")

    def test_3_the_unit(self):
        d = self.d
        self.quick()
        d.run(f"systemctl start {UNIT}")
        states = {p["state"] for p in self.figures()["processes"]}
        self.assertTrue(states.isdisjoint(("starting", "joining")), "start returns when all consume")
        self.assertIn("workers have joined", self.property("StatusText"))
        master = self.property("MainPID")
        d.run(f"systemctl reload {UNIT}")
        self.consumes(500)
        self.set_option("kafka", "num_processors = many")
        self.assertNotEqual(d.run(f"systemctl reload {UNIT}", check=False)[0], 0)
        self.assertEqual(self.property("MainPID"), master)
        self.assertIn("num_processors: 'many'", d.says(f"journalctl -u {UNIT} --no-pager"))
        d.run(f"cat {AS_INSTALLED} >{CONFIG}")
        self.quick()
        d.run(f"systemctl reload {UNIT}; systemctl restart {UNIT}")
        self.consumes(500)
        master = self.property("MainPID")
        d.run(f"systemctl kill -s KILL --kill-who=main {UNIT}")
        master = proc.wait_until(lambda: self.is_new(master), 60, "it comes back after KILL")
        self.consumes(500)
        d.run(f"kill -STOP {master}")
        proc.wait_until(lambda: self.is_new(master), 120, "the watchdog finds it")
        self.consumes(500)
        d.run(f"systemctl stop {UNIT}")
        self.assertEqual(self.property("Result"), "success")
        self.assertEqual(d.says(f"pgrep -u {UNIT} . | wc -l"), "0")

    def test_4_in_its_sandbox(self):
        """Dead letters, the log file and the segment are where they belong, and rotate."""
        d = self.d
        self.quick()
        self.set_option("DEFAULT", f"log_file = /var/log/{UNIT}/persister.log")
        d.run(f"systemctl start {UNIT}; {LOAD} --messages 1000 --bad 10")
        proc.wait_until(lambda: self.figures()["totals"]["rejected"] == 100, 60, "100 are rejected")
        self.assertEqual(d.says(f"cat /var/lib/{UNIT}/dead*/*.jsonl /var/lib/{UNIT}/*.jsonl "
                                "2>/dev/null | wc -l", check=False), "100")
        self.assertEqual(d.says(f"stat -c %U:%a /run/{UNIT}/*.shm"), f"{UNIT}:640")
        log = f"/var/log/{UNIT}/persister.log"
        first = d.says(f"stat -c %i {log}")
        d.run("logrotate --force /etc/logrotate.d/monasca-persister")
        proc.wait_until(lambda: d.says(f"stat -c %i {log} 2>/dev/null || true") not in ("", first),
                        20, "there is a new log")
        self.assertEqual(d.says(f"stat -c %i {log}.1"), first)
        d.run(f"systemctl reload {UNIT}")
        proc.wait_until(lambda: "HUP" in d.says(f"cat {log}"), 60, "it writes into the new one")

    def test_5_the_init_script(self):
        d = self.d
        self.quick()
        self.assertEqual(d.run(f"{INIT} status", check=False)[0], 3)
        d.run(f"{INIT} start; {INIT} status; {INIT} start")
        self.consumes(500)
        d.run(f"{INIT} reload; {INIT} force-reload; {INIT} restart")
        self.consumes(500)
        self.set_option("kafka", "num_processors = many")
        code, said = d.run(f"{INIT} reload", check=False)
        self.assertEqual(code, 1)
        self.assertIn("num_processors: 'many'", said)
        self.assertEqual(d.run(f"{INIT} restart", check=False)[0], 6)
        d.run(f"{INIT} status; {INIT} stop; {INIT} stop")
        self.assertEqual(d.run(f"{INIT} status", check=False)[0], 3)

    def test_6_an_upgrade_loses_nothing(self):
        """make install and a restart, while messages come, by the unit and by the init script."""
        for start, restart in ((f"systemctl start {UNIT}", f"systemctl restart {UNIT}"),
                               (f"systemctl stop {UNIT}; {INIT} start", f"{INIT} restart")):
            with self.subTest(restart):
                self.quick()
                self.d.run(start)
                before = self.stored()
                self.d.run(f"{LOAD} --messages 30000 --rate 5000 --first {before}"
                           " & load=$!; make -s -C /src install >/dev/null; "
                           f"{restart}; sleep 1; {restart}; wait $load")
                proc.wait_until(lambda: self.stored() == before + 30000, 60, "all are stored")

    def test_7_from_boot(self):
        """Enabled, it consumes after a loss of power, when Kafka is there at last."""
        self.quick()
        self.d.run(f"systemctl enable {UNIT}; systemctl start {UNIT}")
        self.consumes(500)
        before = self.stored()
        self.d.run(f"{LOAD} --messages 500 --first {before}; sync")
        # Not Kafka's power: how it comes back is its own affair. [k]: not the shell itself.
        self.d.run("pkill -f '[k]afka.Kafka'; while pgrep -f '[k]afka.Kafka'; do sleep 0.1; done")
        self.d.power_off()
        self.boot()
        proc.wait_until(lambda: self.d.says(f"systemctl is-active {UNIT}", check=False) == "active",
                        120, "it is ready, without being asked")
        proc.wait_until(lambda: self.stored() == before + 500, 60, "what came before is stored")

    def test_8_nothing_is_left_of_it(self):
        d = self.d
        d.run(f"systemctl disable --now {UNIT}; make -s -C /src uninstall")
        # systemctl has made links for the init script, too, which only this takes away.
        d.run(f"update-rc.d {UNIT} remove; rm {AS_INSTALLED}")
        left = d.files("/var/cache", "/var/lib", "/var/log", "/run") - self.before
        self.assertEqual(sorted(p for p in left if "persister" in p or "monasca" in p), [])
