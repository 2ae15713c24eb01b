# SPDX-License-Identifier: Apache-2.0
"""Workers and masters that are killed or hang; how an instance ends."""

import os
import signal
import time
import unittest

from fixtures import proc
from fixtures.scenario import Scenario

MESSAGES, RATE = 24000, 3000  # 8 s of feeding
REJOIN_SECONDS = 6  # session.timeout.ms - heartbeat.interval.ms


class Processes(Scenario):
    def someone_in_hand(self, p, pids):
        """Pid of one of these workers that holds messages, by the figures."""
        for s in p.processes().values():
            if s["in_flight"] > 0 and s["pid"] in pids:
                return s["pid"]
        return None

    def wait_consumed_again(self, seconds):
        """Every partition's commits pass where its messages end now."""
        ends = self.broker.client.offsets(self.topic, self.partitions)

        def passed():
            done = self.broker.client.committed(self.group, self.topic, self.partitions)
            return all(done[p] >= ends[p] for p in ends)

        proc.wait_until(passed, seconds, "all partitions are consumed again")


class WorkerKilled(Processes):
    seconds = 50

    def test_in_the_middle_of_a_batch(self):
        self.use_shared()
        p = self.persister(kafka={"max_wait_time_seconds": 2},
                           kafka_metrics={"batch_size": 100000})
        messages = 45000
        feed = self.feeding(messages, rate=1500)  # 30 s: longer than two kills and recoveries
        survivor, *_ = sorted(p.workers())
        for _ in range(2):
            victim = proc.wait_until(
                lambda: self.someone_in_hand(p, set(p.workers()) - {survivor}), 60,
                "a worker has messages in hand")
            os.kill(victim, signal.SIGKILL)
            proc.wait_until(lambda: victim not in p.workers() and len(p.workers()) == 2, 60,
                            "another worker runs")
            self.wait_consumed_again(15 + 2)  # and the age of a batch
        feed.wait()
        self.assert_all_well(messages)
        self.assertEqual(sorted(s["restarts"] for s in p.processes().values()), [0, 2])
        self.assertGreater(p.totals()["returned"], 0)


    def test_its_siblings_go_on(self):
        """Until its session is about to end; a successor that joined earlier would stop them."""
        self.use_shared()
        p = self.persister()
        feed = self.feeding(MESSAGES, rate=RATE)
        self.wait_flowing(p)
        # Or it would be the second one's joining that revokes.
        proc.wait_until(lambda: all(s["state"] in ("consuming", "writing")
                                    for s in p.processes().values()), 60, "both have partitions")
        (name, sibling), (_, victim) = sorted(p.processes().items())
        revocations = p.count_lines(" revoked")
        os.kill(victim["pid"], signal.SIGKILL)
        killed = time.monotonic()
        received = sibling["received"]
        p.wait_log(" revoked", 20, more_than=revocations)
        self.assertGreater(time.monotonic() - killed, REJOIN_SECONDS - 1)
        self.assertGreater(p.processes()[name]["received"], received)
        feed.wait()
        self.assert_all_well(MESSAGES)


class WorkerHung(Processes):
    seconds = 40

    def test_it_is_killed_and_replaced(self):
        self.use_shared()
        p = self.persister(persister={"hang_timeout_seconds": 5})
        feed = self.feeding(MESSAGES, rate=RATE)
        self.wait_flowing(p)
        victim = p.workers()[0]
        os.kill(victim, signal.SIGSTOP)
        p.wait_log("no sign of life")
        proc.wait_until(lambda: victim not in p.workers() and len(p.workers()) == 2, 60,
                        "another worker runs")
        feed.wait()
        self.assert_all_well(MESSAGES)
        self.assertEqual(sorted(s["restarts"] for s in p.processes().values()), [0, 1])


class HelperStopped(Processes):
    def test_it_does_not_hold_up_the_end(self):
        """Nothing is lost with it, so its KILL comes soon and is no failure."""
        self.use_shared()
        p = self.persister(admin={"enabled": True, "port": proc.free_ports()},
                           persister={"shutdown_timeout_seconds": 60})
        p.wait_log("INFO: admin port: http")
        admin = int(p.lines("INFO: admin port: http")[0].split("admin[")[1].split("]")[0])
        os.kill(admin, signal.SIGSTOP)
        self.feed(500)
        self.assert_all_well(500)
        self.assertTrue(p.lines("has not ended in time; killing it"))


class SegmentShortened(Processes):
    def test_the_master_says_why_it_ends_and_the_next_one_goes_on(self):
        self.use_shared()
        p = self.persister()
        self.feed(500)
        self.wait_drained()
        workers = p.workers()
        os.truncate(p.segment, 0)
        self.assertEqual(p.wait(60), 1)
        self.assertEqual(len(p.lines("somebody has made the file shorter")), 1)
        proc.wait_until(lambda: not any(map(proc.is_alive, workers)), 60, "the workers are gone")
        ready = p.count_lines("ready: all")
        p.start(wait=False)  # until the new one is in place pstats refuses the old one
        p.wait_log("ready: all", more_than=ready)
        self.feed(500, first=500)
        self.assert_all_well(1000)


class MasterKilled(Processes):
    seconds = 40

    def test_its_workers_go_with_it(self):
        self.use_shared()
        p = self.persister(kafka={"max_wait_time_seconds": 2},
                           kafka_metrics={"batch_size": 100000})
        feed = self.feeding(MESSAGES, rate=RATE)
        self.wait_flowing(p)
        workers = p.workers()
        self.assertEqual(len(workers), 2)
        p.kill()
        proc.wait_until(lambda: not any(map(proc.is_alive, workers)), 20, "the workers are gone")
        p.start()
        feed.wait()
        self.assert_all_well(MESSAGES)


class MasterHung(Processes):
    seconds = 40

    def test_workers_go_on_and_are_not_blamed(self):
        self.use_shared()
        p = self.persister(persister={"hang_timeout_seconds": 5})
        feed = self.feeding(MESSAGES, rate=RATE)
        workers = sorted(p.workers())
        p.pause()
        time.sleep(8)

        def committed():
            return sum(self.broker.client.committed(self.group, self.topic,
                                                    self.partitions).values())

        proc.wait_until(lambda: committed() > MESSAGES / 3, 60, "a third is committed")
        periods = p.totals()["periods"]
        p.resume()
        proc.wait_until(lambda: p.totals()["periods"] > periods + 2, 60, "the master goes on")
        self.assertEqual(sorted(p.workers()), workers)
        feed.wait()
        self.assert_all_well(MESSAGES)
        self.assertEqual([s["restarts"] for s in p.processes().values()], [0, 0])


class Stop(Processes):
    def test_term_writes_the_batch_and_leaves_the_group(self):
        self.use_shared()
        p = self.persister(kafka={"max_wait_time_seconds": 3600},
                           kafka_metrics={"batch_size": 100000})
        self.feed(5000)
        proc.wait_until(lambda: p.totals()["in_flight"] == 5000, 60, "all is in hand")
        self.assertEqual(self.lag(), 5000)
        p.signal(signal.SIGTERM)
        self.assertEqual(p.wait(10), 0)
        # Well before the session timeout would have ended their membership.
        self.assertEqual(self.broker.client.members(self.group), 0)
        self.assertEqual(self.lag(), 0)
        self.assert_accounts(p)
        self.assert_stored(5000)
        self.assertEqual(p.totals()["completed"], 5000)

    def test_ctrl_c_of_the_whole_process_group(self):
        self.use_shared()
        p = self.persister()
        self.wait_assigned(p)
        feed = self.feeding(8000, rate=2000)
        self.wait_flowing(p)
        for pid in [p.pid, *p.workers()]:
            os.kill(pid, signal.SIGINT)
        self.assertEqual(p.wait(30), 0)
        self.assert_accounts(p)
        feed.wait()
        # A batch that nothing had been done for was given back; what was stored is committed.
        self.assertEqual(self.lag(), 8000 - p.totals()["completed"])
        p.start()
        self.assert_all_well(8000)

    def test_term_in_the_middle_of_joining(self):
        """A worker that is given partitions while it leaves does not wait for anything."""
        self.use_shared()
        self.feed(1000)
        options = {"persister": {"shutdown_timeout_seconds": 40},
                   "kafka_metrics": {"num_processors": 1}}
        a = self.persister("a", start=False, **options)
        b = self.persister("b", start=False, **options)
        for tenths in (2, 5, 8):
            a.start()
            proc.wait_until(lambda: a.totals().get("in_flight") == 0 and self.lag() == 0, 60,
                            "the first instance has it all")
            b.start(wait=False)
            time.sleep(tenths / 10)  # it asks to join; the other one has not heard of it yet
            b.signal(signal.SIGTERM)
            self.assertEqual(a.stop(30), 0)
            self.assertEqual(b.wait(30), 0, f"TERM {tenths / 10} s after its start")
        a.start()
        self.assert_all_well(1000)

    def test_term_while_the_store_is_down_gives_back(self):
        self.use_shared()
        self.own_influx(start=False)
        p = self.persister(persister={"shutdown_timeout_seconds": 5})
        self.feed(3000)
        p.wait_log("messages in hand")
        p.signal(signal.SIGTERM)
        self.assertEqual(p.wait(20), 0)
        self.assert_accounts(p)
        self.assertEqual(p.totals()["completed"], 0)
        self.assertEqual(self.broker.client.members(self.group), 0)
        self.influx.start()
        p.start()
        self.assert_all_well(3000)

    def test_a_second_term_hurries(self):
        self.use_shared()
        self.own_influx()
        p = self.persister(persister={"shutdown_timeout_seconds": 60},
                           influxdb={"timeout_seconds": 60})
        self.influx.pause()
        self.feed(3000)
        proc.wait_until(lambda: any(s["state"] == "writing" for s in p.processes().values()), 60,
                        "a write is under way")
        p.signal(signal.SIGTERM)
        time.sleep(3)
        self.assertTrue(p.is_running())
        p.signal(signal.SIGTERM)
        self.assertIn(p.wait(30), (0, 1))
        self.assert_accounts(p)
        self.influx.resume()
        p.start()
        self.assert_all_well(3000)


del Processes

if __name__ == "__main__":
    unittest.main()
