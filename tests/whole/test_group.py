# SPDX-License-Identifier: Apache-2.0
"""Several instances in one group, and positions that are not there any more."""

import re
import time
import unittest

from fixtures import proc
from fixtures.leader import Leader
from fixtures.scenario import Scenario


class Rebalance(Scenario):
    seconds = 60

    partitions = 6  # one for each worker

    def wait_share(self, p):
        proc.wait_until(lambda: all(s["partitions"] > 0 for s in p.processes().values()), 60,
                        "its workers have their share")

    def test_while_writing(self):
        """Instances come and go, one of them by force, one while the database hangs."""
        self.use_shared()
        self.own_influx()
        messages = 40000
        options = {"kafka": {"max_wait_time_seconds": 2}, "kafka_metrics": {"batch_size": 5000}}
        a = self.persister("a", **options)
        feed = self.feeding(messages, rate=2500)
        b = self.persister("b", **options)
        self.wait_share(b)
        c = self.persister("c", **options)
        self.wait_share(c)
        self.stop(b)
        self.influx.pause()
        b.start()
        time.sleep(4)
        self.influx.resume()
        self.wait_share(b)
        self.wait_share(c)
        c.kill()
        self.stop(a)
        feed.wait()
        self.assert_all_well(messages, seconds=60)


class TwoInstances(Scenario):
    seconds = 45

    def test_they_share_and_take_over(self):
        self.use_shared()
        a, b = self.persister("a"), self.persister("b")

        def share():
            owned = [sum(s["partitions"] for s in p.processes().values()) for p in (a, b)]
            return owned == [2, 2]

        proc.wait_until(share, 60, "each instance owns two partitions")
        feed = self.feeding(16000, rate=2000)
        self.wait_flowing(a)
        a.kill()
        killed = time.monotonic()
        proc.wait_until(lambda: sum(s["partitions"] for s in b.processes().values()) == 4, 60,
                        "the other instance owns all")
        self.assertLess(time.monotonic() - killed, 30)  # librdkafka's own session is 45 s
        feed.wait()
        self.assert_all_well(16000)
        self.assertGreater(b.totals()["completed"], 4000)


class LostPositions(Scenario):
    seconds = 40
    partitions = 2

    def test_deleted_records_are_told_and_counted(self):
        self.use_shared()
        p = self.persister()
        self.feed(2000)
        self.wait_drained()
        self.stop(p)
        ends = self.broker.client.offsets(self.topic, self.partitions)
        self.feed(2000, first=2000)
        self.broker.client.delete_records(self.topic, {n: e + 100 for n, e in ends.items()})
        p.start()
        self.wait_drained()
        self.stop(p)
        told = [int(re.search(r": (\d+) messages", line)[1]) for line in p.lines("offset reset")]
        self.assertEqual(told, [100, 100])
        stored = self.stored()
        self.assertEqual(len(stored), 4000 - 200)
        self.assertEqual(len(stored & set(range(2000))), 2000)
        self.assertEqual(self.dead_letters(), [])

    def test_deleted_records_are_counted_once_though_its_reader_is_killed(self):
        """Before anything behind them could be stored: where it goes on is committed by itself."""
        self.use_shared()
        self.own_influx()
        p = self.persister(kafka_metrics={"num_processors": 1})
        self.feed(200)
        self.wait_drained()
        self.stop(p)
        self.influx.stop()
        ends = self.broker.client.offsets(self.topic, self.partitions)
        self.feed(2000, first=200)
        begins = {n: e + 100 for n, e in ends.items()}
        self.broker.client.delete_records(self.topic, begins)
        p.start()
        proc.wait_until(lambda: len(p.lines("offset reset")) == 2, 60, "it is told")
        proc.wait_until(lambda: self.broker.client.committed(self.group, self.topic,
                                                             self.partitions) == begins,
                        60, "where they begin is committed")
        t = p.totals()
        self.assertEqual((t["completed"], t["offset_skipped"]), (0, 200))
        p.kill()
        self.influx.start()
        p.start()
        self.wait_drained()
        self.stop(p)
        self.assertEqual(len(p.lines("offset reset")), 2)
        self.assertEqual(p.totals()["offset_skipped"], 0)
        self.assertEqual(len(self.stored()), 2200 - 200)

    def test_a_topic_made_anew_is_read_from_its_beginning(self):
        self.use_shared()
        p = self.persister()
        self.feed(3000)
        self.wait_drained()
        self.broker.client.delete_topic(self.topic)
        proc.wait_until(lambda: not self.broker.client.has_leaders(self.topic, self.partitions), 60,
                        "it is gone")
        self.make_topic()
        self.feed(1000, first=3000)
        self.wait_drained()
        self.assertGreater(p.count_lines("offset reset") + p.count_lines("no committed offset"), 2)
        self.stop()
        self.assert_stored(4000)
        self.assert_dead(4000, 0)


class NothingShared(Scenario):
    """Partitions that are there, and nobody's.

    A leader that looks while the topic is made anew shares out nothing, and no librdkafka since 2.12
    hears of it. That is a matter of milliseconds; so here the leader is one of the test's own.
    """

    seconds = 45

    def lead(self, share):
        self.use_shared()
        leader = Leader(self.broker.port, self.group, self.topic, share)
        self.addCleanup(leader.leave)
        return leader

    def test_a_member_that_owns_nothing_joins_again(self):
        def share(number, others):
            return {others[0]: range(self.partitions)} if number > 0 else {}

        leader = self.lead(share)
        p = self.persister(kafka_metrics={"num_processors": 1})
        self.feed(500)
        p.wait_log("that nobody in the group owns")
        self.wait_drained()
        self.assertIsNone(leader.trouble)
        self.stop()
        self.assert_stored(500)

    def test_a_standby_disturbs_nobody(self):
        """One has all there is: the other asks (after 10 s), and leaves it at that."""
        owner, members = [], []

        def share(_, others):
            owner.extend(others[:1] if not owner else [])
            members.append(len(others))
            return {owner[0]: range(self.partitions)}

        leader = self.lead(share)
        p = self.persister()
        proc.wait_until(lambda: members[-1:] == [2], 60, "both have joined")
        proc.wait_until(lambda: sorted(w["partitions"] for w in p.processes().values())
                        == [0, self.partitions], 60, "one worker has all")
        rounds = leader.rounds
        p.wait_log("others own what there is")
        self.feed(500)
        self.wait_drained()
        self.assertEqual((leader.rounds, leader.trouble), (rounds, None))
        self.assertEqual(p.count_lines("joining again"), 0)
        self.stop()
        self.assert_stored(500)


if __name__ == "__main__":
    unittest.main()
