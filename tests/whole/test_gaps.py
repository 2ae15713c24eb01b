# SPDX-License-Identifier: Apache-2.0
"""Offsets that no message has: markers of transactions, aborted batches, compacted messages.

They must not look like work that nobody does: not in the figures, nor, where the group's offsets
are the only ones, in the group's.
"""

import os
import unittest

from fixtures import kafka, proc
from fixtures.scenario import Scenario
from fixtures.transactions import Producer, metric
from test_postgresql import BIN, PostgresScenario


class Gaps(Scenario):
    partitions = 1

    def producer(self, transactional=True):
        p = Producer(self.broker.address, kafka.unique("t") if transactional else None)
        self.addCleanup(p.close)
        return p

    def send(self, producer, first, n, **options):
        for number in range(first, first + n):
            producer.send(self.topic, metric(number), **options)

    def transact(self, producer, first, n, keep=True):
        """Returns when the marker is there: the broker writes it some time after it has answered."""
        end = self.end() + n + 1
        producer.begin()
        self.send(producer, first, n)
        producer.flush()
        (producer.commit if keep else producer.abort)()
        proc.wait_until(lambda: self.end() == end, 60, f"the partition ends at {end}")

    def end(self):
        return self.broker.client.offsets(self.topic, 1)[0]

    def committed(self):
        return self.broker.client.committed(self.group, self.topic, 1)[0]

    def wait_level(self, p, completed):
        """All is stored, and the figures know of nothing that waits."""
        def level():
            t = p.totals()
            return t["completed"] == completed and t["lag"] == t["lag_committed"] == 0

        proc.wait_until(level, 60, f"{completed} are stored and the lag is 0: "
                                   f"{p.totals()['completed']}, lag {p.totals()['lag']}, "
                                   f"committed {p.totals()['lag_committed']}")


class Transactions(Gaps):
    seconds = 40

    def test_markers_and_aborted_batches_are_no_lag(self):
        self.use_shared()
        p = self.persister()
        t = self.producer()
        self.transact(t, 0, 1)
        self.wait_level(p, 1)
        self.wait_drained()
        self.assertEqual(self.end(), 2, "a message and a marker")
        self.transact(t, 1000, 31, keep=False)
        self.assertEqual(self.end(), 34)
        self.wait_drained()  # nothing but gaps has come since the last commit
        self.wait_level(p, 1)
        self.transact(t, 1, 5)
        self.transact(t, 2000, 3, keep=False)
        self.wait_drained()
        self.wait_level(p, 6)
        self.stop()
        self.assert_stored(6)
        self.assertEqual(p.totals()["offset_resets"], 0)

    def test_a_partition_that_begins_with_an_aborted_batch(self):
        self.use_shared()
        t = self.producer()
        self.transact(t, 1000, 20, keep=False)
        p = self.persister()
        self.wait_drained()
        self.wait_level(p, 0)
        self.stop()
        # From behind the gap, where it was committed.
        p.start()
        self.transact(t, 0, 4)
        self.wait_drained()
        self.wait_level(p, 4)
        self.stop()
        self.assert_stored(4)

    def test_an_open_transaction_is_no_lag_until_it_is_committed(self):
        self.use_shared()
        p = self.persister()
        t, plain = self.producer(), self.producer(False)
        self.send(plain, 0, 3)
        plain.flush()
        self.wait_level(p, 3)
        t.begin()
        for number in range(3, 20):
            self.send(t, number, 1)
            t.flush()
            self.wait_level(p, 3)
        self.assertEqual(self.end(), 20)
        t.commit()
        self.wait_level(p, 20)
        self.wait_drained()
        self.stop()
        self.assert_stored(20)


class Compacted(Gaps):
    seconds = 40

    def test_what_is_compacted_away_is_no_lag(self):
        """A key that is sent again and again: of a segment that is not the last one its last stays."""
        self.own_broker(start=False, log_cleaner_backoff_ms=200)
        self.broker.start()
        self.own_influx()
        self.make_topic(cleanup_policy="compact", segment_bytes=1048576, segment_ms=1000,
                        min_cleanable_dirty_ratio="0.01", max_compaction_lag_ms=1000)
        plain = self.producer(False)
        directory = os.path.join(self.broker.dir, "data", self.topic + "-0")
        self.send(plain, 0, 2000, key=b"k")
        plain.flush()
        sent = 2000

        def size():
            """Of all segments: on a busy machine the first messages may be in several."""
            try:
                return sum(os.path.getsize(os.path.join(directory, name))
                           for name in os.listdir(directory) if name.endswith(".log"))
            except FileNotFoundError:  # one is being put in the place of others
                return None

        before = proc.wait_until(size, 60, "the segments are there")

        def compacted():
            nonlocal sent
            self.send(plain, sent, 1, key=b"k")  # begins a new segment, once the last is old
            plain.flush()
            sent += 1
            return (size() or before) < before / 10

        proc.wait_until(compacted, 90, "the segments are compacted")
        p = self.persister()
        self.wait_drained()
        proc.wait_until(lambda: p.totals()["lag"] == p.totals()["lag_committed"] == 0, 60, "no lag")
        self.assertLess(p.totals()["received"], 1000)
        self.stop()
        self.assertIn(sent - 1, self.stored())


@unittest.skipUnless(BIN, "no PostgreSQL server is installed")
class OffsetsInTheStore(Gaps, PostgresScenario):
    seconds = 30

    def test_gaps_are_no_lag_and_the_offsets_move_with_rows(self):
        self.own_postgres()
        self.use_shared_broker()
        p = self.pg_persister()
        t = self.producer()
        self.transact(t, 0, 3)
        self.wait_level(p, 3)
        self.transact(t, 1000, 30, keep=False)
        self.wait_level(p, 3)
        self.assertEqual((self.end(), self.committed()), (35, 3))
        self.transact(t, 3, 2)
        self.wait_level(p, 5)
        self.stop()
        self.assertEqual(self.committed(), 37)
        self.assert_stored(5)


del Gaps, PostgresScenario

if __name__ == "__main__":
    unittest.main()
