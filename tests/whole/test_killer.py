# SPDX-License-Identifier: Apache-2.0
"""Messages that no worker survives: looked for after three deaths, passed over, and named in a letter."""

import os
import resource
import signal
import time
import unittest

from fixtures import batch, proc
from test_postgresql import PostgresScenario
from test_unreadable import MIB, Unreadable, metric

CAP_MB = 350


class Killer(Unreadable):
    """A batch that gzip makes 400 times as large as it came, under a limit on memory."""

    seconds = 200
    partitions = 2

    def send(self, partition, values, codec=batch.NONE):
        return batch.produce(self.broker.client, self.topic, partition, batch.make(values, codec))

    def capped(self, **sections):
        """A persister whose workers die where they need more."""
        p = self.persister(kafka_metrics={"num_processors": 1}, **sections)
        cap = (CAP_MB * MIB, CAP_MB * MIB)
        for pid in (p.pid, *(s["pid"] for s in p.processes().values())):
            resource.prlimit(pid, resource.RLIMIT_DATA, cap)
        return p

    def assert_passed(self, p, first, last):
        self.assertEqual(self.letters(), [(first, last)])
        self.assertIn("no worker survives", self.dead_letters()[0]["detail"])
        self.assertEqual(p.totals()["rejected_unreadable"], 1)

    def test_that_comes_while_it_reads(self):
        self.use_shared()
        p = self.capped()
        self.send(0, [metric(n) for n in range(3)])
        self.send(1, [metric(n) for n in range(3, 6)])
        self.wait_drained()
        self.assertEqual(self.send(0, [200 * MIB, 200 * MIB], batch.GZIP), 3)
        self.send(0, [metric(6)])
        self.send(1, [metric(7)])
        self.wait_drained(150)
        self.assert_passed(p, 3, 4)
        self.stop()
        self.assertEqual(self.stored(), set(range(8)))

    def test_that_lies_behind_what_was_not_read_yet(self):
        self.use_shared()
        for n in range(4):
            self.send(n % 2, [metric(n)])
        self.send(0, [400 * MIB], batch.GZIP)
        self.send(0, [metric(4)])
        p = self.persister(start=False, kafka_metrics={"num_processors": 1})
        before = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (CAP_MB * MIB, before[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_DATA, before)
        p.start()
        resource.setrlimit(resource.RLIMIT_DATA, before)
        self.wait_drained(180)
        self.assert_passed(p, 2, 2)
        self.stop()
        self.assertEqual(self.stored(), set(range(5)))


class StoreAway(Killer):
    test_that_comes_while_it_reads = test_that_lies_behind_what_was_not_read_yet = None

    def test_when_it_is_passed(self):
        """A batch that holds what was passed is not given back for ever."""
        self.use_shared()
        self.own_influx()
        p = self.capped(kafka={"max_wait_time_seconds": 10})
        self.send(0, [metric(0)])
        self.wait_drained()
        self.send(0, [400 * MIB], batch.GZIP)
        self.send(0, [metric(1)])
        p.wait_log("no worker survives", 100)
        self.influx.stop()
        self.send(1, [metric(2)])
        p.wait_log("waiting with")
        self.influx.start()
        self.wait_drained()
        self.assert_passed(p, 1, 1)
        self.stop()
        self.assertEqual(self.stored(), {0, 1, 2})


class OffsetsInTheStore(PostgresScenario, Killer):
    test_that_lies_behind_what_was_not_read_yet = None

    def use_shared(self):
        self.own_postgres()
        self.use_shared_broker()

    def persister(self, *arguments, **sections):
        if "postgresql" in sections:
            return super().persister(*arguments, **sections)
        return self.pg_persister(*arguments, **sections)


class KilledByHand(Unreadable):
    seconds = 120

    def test_buries_nothing(self):
        """Four times at the same offsets, with the store away."""
        self.use_shared()
        self.own_influx()
        self.produce([metric(n) for n in range(5)])
        self.influx.stop()
        p = self.persister(kafka_metrics={"num_processors": 1})
        for _ in range(4):
            proc.wait_until(lambda: self.worker(p)["in_flight"] == 5, 60, "they are in hand")
            pid = self.worker(p)["pid"]
            os.kill(pid, signal.SIGKILL)
            proc.wait_until(lambda: self.worker(p)["pid"] != pid, 60, "it is dead")
        proc.wait_until(lambda: p.count_lines("nothing found from offset 0 on"), 60, "it has looked")
        self.influx.start()
        self.wait_drained()
        self.assertEqual(self.letters(), [])
        self.stop()
        self.assertEqual(self.stored(), set(range(5)))

    def test_who_looks_is_killed_for_others(self):
        """As by the kernel, which takes it first; it was small, so that is no verdict."""
        self.use_shared()
        self.own_influx()
        self.produce([metric(n) for n in range(5)])
        self.influx.stop()
        p = self.persister(kafka_metrics={"num_processors": 1})
        for _ in range(3):
            proc.wait_until(lambda: self.worker(p)["in_flight"] == 5, 60, "they are in hand")
            pid = self.worker(p)["pid"]
            os.kill(pid, signal.SIGKILL)
            proc.wait_until(lambda: self.worker(p)["pid"] != pid, 60, "it is dead")
        killed, since = set(), time.monotonic()
        while time.monotonic() - since < (2 if killed else 60):
            children = [c for worker in p.workers() for c in proc.children(worker)]
            for child in set(children) - killed:
                os.kill(child, signal.SIGKILL)
                killed.add(child)
                since = time.monotonic()
        self.assertGreater(len(killed), 0)
        self.influx.start()
        self.wait_drained()
        self.assertEqual(self.letters(), [])
        self.stop()
        self.assertEqual(self.stored(), set(range(5)))

    def worker(self, p):
        (worker,) = p.processes().values()
        return worker


if __name__ == "__main__":
    unittest.main()
