# SPDX-License-Identifier: Apache-2.0
"""Upstream's own benchmark, perf/persister_perf.sh of monasca-persister 9.0.0, unchanged, with curl and jq:
what it says of our admin port is what was loaded.

The script starts JMeter, which posts metrics to a Monasca API, and then reads how many there are; the
`jmeter` that it finds here waits for that and puts the metrics on the topic.
"""

import os
import re
import shutil
import subprocess
import tarfile
import unittest

from fixtures import fetched, proc
from fixtures.persister import LOAD
from fixtures.scenario import Scenario

PROJECT, VERSION = "monasca-persister", "9.0.0"
SCRIPT = "perf/persister_perf.sh"
HOSTS = ["127.0.0.1", "127.0.0.2"]  # one port for all: the script knows no other way


class UpstreamsScriptTest(Scenario):
    seconds = 60

    def setUp(self):
        super().setUp()
        for program in ("bash", "curl", "jq"):
            if shutil.which(program) is None:
                self.skipTest(f"no {program}")
        try:
            archive = fetched.source_archive(PROJECT, VERSION)
        except fetched.Unavailable as e:
            self.skipTest(f"no {PROJECT} {VERSION}: {e}")
        self.script = os.path.join(self.dir, "persister_perf.sh")
        with tarfile.open(archive) as tar, open(self.script, "wb") as f:
            shutil.copyfileobj(tar.extractfile(f"{PROJECT}-{VERSION}/{SCRIPT}"), f)
        self.use_shared()
        self.port = proc.free_ports()
        for i, host in enumerate(HOSTS):
            self.persister(f"p{i}", admin={"enabled": True, "bind": host, "port": self.port})

        def shared():
            parts = [p.totals()["partitions"] for p in self.persisters]
            return all(parts) and sum(parts) == self.partitions

        proc.wait_until(shared, 30, "both have a part of the topic")

    def make_jmeter(self, first, messages):
        path = os.path.join(self.dir, "bin", "jmeter")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nuntil grep -q 'flushed metric count at start' */*_output.txt; do\n"
                    f"  sleep 0.1\ndone\nexec {LOAD} --brokers {self.broker.address} --topic {self.topic} "
                    f"--distinct --first {first} --messages {messages}\n")
        os.chmod(path, 0o755)
        return os.path.dirname(path)

    def run_script(self, first, messages):
        """{what it says: the number}."""
        path = self.make_jmeter(first, messages) + os.pathsep + os.environ["PATH"]
        where = os.path.join(self.dir, f"run-{first}")  # it makes a directory there
        os.mkdir(where)
        subprocess.run(["bash", self.script, "-s", ",".join(HOSTS), "-p", str(self.port), "-t", "plan",
                        "-n", str(messages), "-w", "1"], cwd=where, check=True, timeout=120,
                       stdin=subprocess.DEVNULL, env={**os.environ, "PATH": path, "no_proxy": "*"})
        directory, = os.listdir(where)
        with open(os.path.join(where, directory, "persister_perf_output.txt"), encoding="utf-8") as f:
            said = dict(re.findall(r"^(.*): *(\d+)$", f.read(), re.MULTILINE))
        return {what: int(number) for what, number in said.items()}

    def test_its_sums_are_what_was_loaded(self):
        for first, messages in ((0, 30000), (30000, 20000)):
            said = self.run_script(first, messages)
            for what in ("received", "flushed"):
                self.assertEqual(said[f"Total {what} metric count at start"], first)
                self.assertEqual(said[f"Total {what} metric count at end"], first + messages)
            elapsed = said["Total elapsed time"]
            self.assertEqual(said["Average received metrics/second"], messages // elapsed)
            self.assertEqual(said["Average persisted metrics/second"], messages // elapsed)
        counts = [(p.totals()["received"], p.totals()["completed"]) for p in self.persisters]
        self.assertEqual([sum(c) for c in zip(*counts)], [50000, 50000])
        self.assertTrue(all(received for received, _ in counts), "both had a part in it")
        self.assert_all_well(50000)


if __name__ == "__main__":
    unittest.main()
