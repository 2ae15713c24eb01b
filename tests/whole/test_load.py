# SPDX-License-Identifier: Apache-2.0
"""persister-load against a real Kafka: what it says is what Kafka has."""

import json
import os
import signal
import subprocess
import time

from fixtures import proc
from fixtures.persister import LOAD
from fixtures.scenario import Feed, Scenario, is_bad


class Load(Scenario):
    def load(self, *arguments, check=True):
        """Runs it; returns its summary, or (exit code, standard error)."""
        done = subprocess.run([LOAD, "--json", *map(str, arguments)], capture_output=True,
                              check=False, timeout=60, stdin=subprocess.DEVNULL)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr.decode())
            return json.loads(done.stdout)
        return done.returncode, done.stderr.decode()

    def here(self):
        return ["--brokers", self.broker.address, "--topic", self.topic]


    def test_its_count_is_what_kafka_has(self):
        self.use_shared()
        said = self.load(*self.here(), "--messages", 30000, "--bad", 3, "--hosts", 10, "--names", 7,
                         "--duplicates", 2)
        ends = self.broker.client.offsets(self.topic, self.partitions)
        self.assertEqual(sum(ends.values()), 30000)
        self.assertEqual((said["sent"], said["delivered"], said["failed"]), (30000, 30000, 0))
        self.assertEqual(said["bad"], sum(is_bad(i, 3) for i in range(30000)))
        self.assertEqual(said["series"], 70)
        self.assertGreater(said["duplicates"], 300)

    def test_the_bad_are_rejected_and_the_rest_stored(self):
        self.use_shared()
        p = self.persister()
        said = self.load(*self.here(), "--messages", 20000, "--bad", 10, "--distinct",
                         "--duplicates", 5)
        self.wait_drained()
        t = p.totals()
        self.stop()
        self.assertEqual(t["rejected"], said["bad"])
        self.assertEqual(t["completed"], said["good"])
        self.assertEqual(len(self.stored()), said["good"] - said["duplicates"])
        self.assert_dead(20000, 10)

    def test_it_holds_the_rate(self):
        self.use_shared()
        for rate, seconds in ((1, 3), (500, 4), (20000, 4)):
            said = self.load(*self.here(), "--rate", rate, "--seconds", seconds)
            # A message is sent at the beginning of each of its intervals.
            self.assertAlmostEqual(said["sent"], rate * seconds, delta=1 + rate * seconds // 100)

    def wait_some_there(self):
        proc.wait_until(
            lambda: sum(self.broker.client.offsets(self.topic, self.partitions).values()) > 0, 60,
            "messages are in the topic")

    def test_term_ends_it_with_all_delivered(self):
        self.use_shared()
        feed = Feed([*self.here(), "--rate", "1000", "--seconds", "60"],
                    os.path.join(self.dir, "load.log"))
        self.wait_some_there()
        feed.process.send_signal(signal.SIGTERM)
        said = feed.wait()
        self.assertGreater(said["sent"], 0)
        self.assertEqual(said["delivered"], said["sent"])

    def test_a_second_term_ends_the_wait_for_a_dead_broker(self):
        self.own_broker()
        feed = Feed([*self.here(), "--rate", "1000", "--seconds", "60", "--timeout", "0"],
                    os.path.join(self.dir, "load.log"))
        self.wait_some_there()
        self.broker.kill()
        time.sleep(1)
        feed.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        self.assertIsNone(feed.process.poll(), "it waits for what is on its way")
        feed.process.send_signal(signal.SIGTERM)
        out, _ = feed.process.communicate(timeout=60)
        self.assertEqual(feed.process.returncode, 1)
        said = json.loads(out)
        self.assertLess(said["delivered"], said["sent"])

    def test_what_it_cannot_do(self):
        self.use_shared()
        for arguments, code, says in (
                (["--topic", "x"], 2, "--brokers"),
                ([*self.here(), "--bad", "101"], 2, "0 to 100"),
                ([*self.here(), "--kind", "events"], 2, "metrics, alarms"),
                ([*self.here(), "left"], 2, "left"),
                ([*self.here(), "-X", "no.such=1"], 1, "no.such"),
                ([*self.here(), "--replay", "/no/such"], 1, "/no/such"),
                (["--brokers", f"127.0.0.1:{proc.free_ports()}"], 1, "no broker at")):
            status, text = self.load(*arguments, check=False)
            self.assertEqual(status, code, text)
            self.assertIn(says, text)
            self.assertLessEqual(len(text.splitlines()), 2, text)
