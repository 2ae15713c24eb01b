# SPDX-License-Identifier: Apache-2.0
"""StatsD: what real receivers make of it equals what pstats says; nothing there makes the master wait."""

import os
import re
import signal
import socket
import subprocess
import time
import unittest

from fixtures import agent, proc
from fixtures.persister import can_bind_mount
from fixtures.scenario import Scenario

PREFIX = "monasca.persister."
OURS = ["hostname", "service", "component", "instance", "scope"]
# The figures' names at pstats and at StatsD.
COUNTERS = {"received": "requests.received", "completed": "requests.completed",
            "rejected": "requests.rejected", "returned": "requests.returned",
            "bytes_in": "bytes.received", "batches": "store.batches",
            "store_retries": "store.retries", "store_errors": "store.errors",
            "restarts": "workers.restarts"}
LEVELS = {"in_flight": "in_flight", "workers_running": "workers.running"}
TIMINGS = {"request": "request_time", "delay": "delay", "write": "store_write_time"}
PARTS = ("avg", "min", "max", "p50", "p99")


def of_instance(values, name):
    """The one value of a series of the instance; None if it is not told yet."""
    found = [v for (n, d), v in values.items()
             if n == PREFIX + name and dict(d)["scope"] == "instance"]
    assert len(found) <= 1, (name, found)
    return found[0] if found else None


def by_process(values, name):
    return {dict(d)["process"]: v for (n, d), v in values.items()
            if n == PREFIX + name and dict(d)["scope"] == "process"}


class Telling(Scenario):
    """What these tests share."""

    def telling(self, port, start=True, **options):
        persister = {"period_seconds": 1, **options.pop("persister", {})}
        kafka = options.pop("kafka_metrics", {})
        return self.persister(persister=persister, start=start,
                              kafka_metrics={"topic": self.topic, "group_id": self.group, **kafka},
                              statsd={"enabled": True, "port": port, "gauge_window_seconds": 60,
                                      **options})

    def receiver(self, **options):
        r = agent.Receiver(**options)
        self.addCleanup(r.close)
        return r

    def use(self, server):
        self.addCleanup(server.kill)
        self.logs.append(server.log)
        return server.start()

    def lifetimes(self, p):
        """{"metrics-0": {"received": ...}} over all generations: the log's last words."""
        result = {}
        for line in p.lines(" process "):
            match = re.search(r": process (\S+): (.*)", line)
            result[match[1]] = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)(?= |$)", match[2])}
        return result

    def kill_one(self, p):
        worker = next(w for w in p.figures()["processes"] if w["pid"])
        os.kill(worker["pid"], signal.SIGKILL)
        proc.wait_until(lambda: p.totals()["restarts"] > 0, 60, "it is forked again")

    def assert_counters(self, p, sums, rename=lambda name: name):
        totals, lifetimes = p.totals(), self.lifetimes(p)
        self.assertEqual(len(lifetimes), 2)
        for ours, theirs in COUNTERS.items():
            name = rename(theirs)
            self.assertEqual(of_instance(sums, name), totals[ours], ours)
            of = by_process(sums, name)
            self.assertEqual(sum(of.values()), totals[ours], ours)
            for process, figures in lifetimes.items():
                if ours in figures:
                    self.assertEqual(of[process], figures[ours], (process, ours))


class RealAgentTest(Telling):
    """The real monasca-agent 10.0.0."""

    seconds = 90

    def setUp(self):
        super().setUp()
        try:
            self.agent = agent.Agent(os.path.join(self.dir, "agent"), interval=2)
        except agent.Unavailable as e:
            self.skipTest(f"no monasca-agent: {e}")
        self.addCleanup(self.agent.sink.close)
        self.use(self.agent)
        self.use_shared()

    def test_it_aggregates_what_pstats_says_over_a_run_with_a_kill(self):
        tap = self.receiver(forward=self.agent.port)
        p = self.telling(tap.port, dimensions="region:ea=st, rack: r 7")
        for part in range(4):
            self.feed(20000, first=part * 20000, bad=5)
            if part == 1:
                self.kill_one(p)
            time.sleep(1)
        self.wait_drained()
        proc.wait_until(lambda: p.totals()["in_flight"] == 0, 60, "all is settled")
        self.stop()
        sent = int(re.search(r"StatsD: (\d+) packets", p.lines("StatsD: ")[-1])[1])
        proc.wait_until(lambda: len(tap.packets) == sent and self.agent_has(tap), 60,
                        "the agent has flushed it all")
        self.assertEqual(self.agent.stop(), 0)
        self.assertEqual(self.agent.complaints(), [])
        self.check_dimensions()
        self.check_every_line(tap)
        self.assert_counters(p, self.agent.sums())
        self.check_levels(p)
        self.check_timings(p)

    def agent_has(self, tap):
        sums = self.agent.sums()
        return all(sums[s] == value for s, value in tap.sums().items())

    def check_every_line(self, tap):
        """What was sent is what the agent has: each counter's sum, each gauge's last value."""
        self.assertTrue(self.agent_has(tap))
        last, types = self.agent.last(), {}
        for line in tap.lines():
            name, value, kind, dimensions = agent.parse_line(line)
            types[agent.series(name, dimensions)] = kind, value
        self.assertEqual(set(types), set(last))
        for s, (kind, value) in types.items():
            if kind == "g":
                self.assertEqual(last[s], float(value), s)

    def check_dimensions(self):
        host = socket.gethostname()
        for m in self.agent.measurements():
            d = m["dimensions"]
            more = ["topic", "process"] if d["scope"] == "process" else []
            self.assertEqual(list(d), OURS + more + ["region", "rack"])
            self.assertEqual((d["hostname"], d["service"], d["component"], d["instance"]),
                             (host, "monitoring", "monasca-persister", self.persisters[0].instance))
            self.assertEqual((d["region"], d["rack"]), ("ea_st", "r 7"))
            self.assertTrue(m["name"].startswith(PREFIX))
            if more:
                self.assertRegex(d["process"], f"^{re.escape(self.topic)}-[01]$")
                self.assertEqual(d["topic"], self.topic)
        self.assertEqual(len(self.persisters[0].lines("characters that receivers do not take")), 1)

    def check_levels(self, p):
        last, totals = self.agent.last(), p.totals()
        for ours, theirs in LEVELS.items():
            self.assertEqual(of_instance(last, theirs), totals[ours], ours)

    def check_timings(self, p):
        """The window covers the whole run, so the last word is the totals', to the last digit."""
        last, totals = self.agent.last(), p.totals()
        for ours, theirs in TIMINGS.items():
            for part in PARTS:
                self.assertEqual(of_instance(last, f"{theirs}.{part}_sec"),
                                 totals[ours][part + "_s"], f"{ours}.{part}")
            mins = by_process(last, theirs + ".min_sec").values()
            maxs = by_process(last, theirs + ".max_sec").values()
            self.assertEqual((min(mins), max(maxs)),
                             (totals[ours]["min_s"], totals[ours]["max_s"]), ours)
            self.assertEqual(by_process(last, theirs + ".p99_sec"), {}, "of the instance only")

    def has_flushed(self, p):
        """Whether it has every counter, of the instance and of its processes, as pstats says it."""
        sums, totals = self.agent.sums(), p.totals()
        if not sums:
            return False
        told = {ours: (of_instance(sums, theirs), sum(by_process(sums, theirs).values()))
                for ours, theirs in COUNTERS.items()}
        return told == {ours: (totals[ours], totals[ours]) for ours in COUNTERS}

    def test_it_goes_away_and_comes_back(self):
        """What the agent did not get while it was down it gets afterwards; what it had got and not
        yet flushed would be lost with it."""
        p = self.telling(self.agent.port)
        self.feed(5000)
        self.wait_drained()
        sums = self.agent.sums
        proc.wait_until(lambda: self.has_flushed(p), 60, "the agent has the first part")
        self.agent.kill()
        self.feed(5000, first=5000)
        self.wait_drained()
        p.wait_log("nobody listens at 127.0.0.1")
        proc.wait_until(lambda: p.totals()["statsd_packets_dropped"] > 0, 60, "packets are dropped")
        self.assertGreater(p.totals()["statsd_lines_dropped"], p.totals()["statsd_packets_dropped"])
        self.agent.start()
        proc.wait_until(lambda: of_instance(sums(), "requests.completed") == 10000, 60,
                        "the agent has the second part")
        p.wait_log("somebody listens at 127.0.0.1")
        self.stop()
        proc.wait_until(lambda: self.has_flushed(p), 60, "the agent has what it was told last")
        self.assertEqual(self.agent.stop(), 0)
        self.assertEqual(self.agent.complaints(), [])
        self.assert_counters(p, sums())


class DogstatsdTest(Telling):
    """Prometheus's statsd_exporter, which reads DogStatsD."""

    seconds = 60

    def test_it_aggregates_what_pstats_says(self):
        try:
            exporter = agent.Exporter(os.path.join(self.dir, "exporter"))
        except agent.Unavailable as e:
            self.skipTest(f"no statsd_exporter: {e}")
        self.use(exporter)
        self.use_shared()
        p = self.telling(exporter.port, dialect="dogstatsd", dimensions="region:east")
        self.feed(20000, bad=5)
        self.kill_one(p)
        self.feed(20000, first=20000)
        self.wait_drained()
        proc.wait_until(lambda: p.totals()["in_flight"] == 0, 60, "all is settled")
        self.stop()

        def to_their_name(name):
            return name.replace(".", "_")

        def ours_of(samples):
            return {(name.replace("monasca_persister_", PREFIX), labels): v
                    for (name, labels), v in samples.items()
                    if name.startswith("monasca_persister_")}

        def assert_it_has_all():
            ours, totals = ours_of(exporter.samples()), p.totals()
            self.assert_counters(p, ours, to_their_name)
            for name, theirs in TIMINGS.items():
                for part in PARTS:
                    self.assertEqual(of_instance(ours, to_their_name(f"{theirs}.{part}_sec")),
                                     totals[name][part + "_s"], f"{name}.{part}")

        # All is sent; on a busy machine the exporter may have something of it still to read.
        proc.wait_agrees(assert_it_has_all)
        all_samples = exporter.samples()
        ours = ours_of(all_samples)
        for _, labels in ours:
            self.assertLessEqual({("region", "east"), ("component", "monasca-persister")}, labels)
        for cause in ("statsd_exporter_sample_errors_total", "statsd_exporter_tag_errors_total"):
            self.assertEqual(sum(v for (n, _), v in all_samples.items() if n == cause), 0, cause)


class TelltaleTest(Telling):
    """When and how it is sent."""

    seconds = 60

    def setUp(self):
        super().setUp()
        self.use_shared()

    def test_zeros_at_the_start_and_while_idle(self):
        r = self.receiver()
        p = self.telling(r.port)
        proc.wait_until(lambda: len(r.packets) > 20, 60, "some intervals have come")
        lines = [agent.parse_line(line) for line in r.lines()]
        self.stop()
        first_gauge = next(i for i, line in enumerate(lines) if line[2] == "g")
        start = lines[:first_gauge]
        for name in COUNTERS.values():
            scopes = {d.get("process", "instance") for n, _, _, d in start if n == PREFIX + name}
            self.assertLessEqual({"instance", f"{self.topic}-0", f"{self.topic}-1"}, scopes)
        for name, value, kind, _ in lines:
            if kind == "c" and "bytes" not in name and "rebalances" not in name:
                self.assertEqual(value, "0", name)
        timed = {n for n, _, _, _ in lines if n.endswith("_sec") and "lag" not in n}
        self.assertEqual(timed, set())
        self.assertEqual(p.lines("nobody listens"), [])

    def test_packets_are_whole_and_paced(self):
        r = self.receiver()
        self.telling(r.port, max_packet_bytes=600, persister={"period_seconds": 2},
                     kafka_metrics={"num_processors": 8})
        self.feed(5000)
        self.wait_drained()
        r.packets.clear()
        time.sleep(8)
        packets = list(r.packets)
        self.stop()
        self.assertGreater(len(packets), 60)
        for _, data in packets:
            self.assertLessEqual(len(data), 600)
            for line in data.decode().split("\n"):
                agent.parse_line(line)
        start, most = packets[0][0], 0
        for at, _ in packets:
            most = max(most, sum(at <= t < at + 0.2 for t, _ in packets))
        self.assertLess(most, len(packets) / 4, "a tenth of an interval had too many of 4")

    def test_an_interval_of_several_periods(self):
        r = self.receiver()
        p = self.telling(r.port, interval_seconds=3, per_process=False)
        self.feed(3000)
        self.wait_drained()
        name = PREFIX + "requests.completed"

        def values_told():
            return [int(v) for n, v, _, _ in map(agent.parse_line, r.lines()) if n == name]

        proc.wait_until(lambda: sum(values_told()) == 3000, 60, "all is told")
        self.stop()
        values = values_told()
        self.assertEqual(sum(values), 3000)
        lived = p.figures()["totals"]["periods"]
        self.assertLessEqual(len(values), lived / 3 + 2)
        self.assertEqual({d["scope"] for _, _, _, d in map(agent.parse_line, r.lines())},
                         {"instance"})

    def test_a_full_receiver_stops_nobody(self):
        """It reads nothing and its buffer is tiny: the kernel drops, the messages flow."""
        r = self.receiver(buffer=1)
        r.reading = False
        p = self.telling(r.port)
        self.feed(20000)
        self.wait_drained()
        proc.wait_until(lambda: p.totals()["completed"] == 20000, 60, "all is stored")
        self.assertEqual(p.lines("did not run for"), [])
        self.stop()

    def test_off(self):
        r = self.receiver()
        p = self.telling(r.port, enabled=False)
        self.feed(100)
        self.wait_drained()
        time.sleep(2)
        self.stop()
        self.assertEqual(r.packets, [])
        self.assertEqual(p.totals()["statsd_packets"], 0)


NAME = "persister-statsd-test"


class NameTest(Telling):
    """A receiver known by a name."""

    seconds = 90

    def setUp(self):
        super().setUp()
        if not can_bind_mount():
            self.skipTest("no mount namespace for an /etc/hosts of its own")
        self.use_shared()
        self.hosts = os.path.join(self.dir, "hosts")
        self.set_hosts()

    def set_hosts(self, *lines):
        """In place: the file is mounted over /etc/hosts."""
        with open(self.hosts, "w", encoding="ascii") as f:
            f.write("\n".join(["127.0.0.1 localhost", *lines, ""]))

    def in_namespace(self, p):
        """Has the program find its own /etc/hosts."""
        p.mounts = {"/etc/hosts": self.hosts}
        return p.start()

    def test_it_moves_to_another_address(self):
        first = self.receiver(address="127.0.0.2")
        p = self.telling(first.port, start=False, host=NAME)
        self.set_hosts(f"127.0.0.2 {NAME}")
        self.in_namespace(p)
        self.feed(1000)
        name = PREFIX + "requests.completed"

        def completed(*receivers):
            return sum(v for r in receivers for (n, d), v in r.sums().items()
                       if n == name and dict(d)["scope"] == "instance")

        proc.wait_until(lambda: completed(first) == 1000, 60, "the first has it")
        first.close()
        self.feed(1000, first=1000)
        second = self.receiver(address="127.0.0.3", port=first.port)
        self.set_hosts(f"127.0.0.3 {NAME}")
        proc.wait_until(lambda: completed(first, second) == 2000, 90, "the second has the rest")
        self.stop()
        self.assertEqual(completed(first, second), 2000)

    def test_a_name_that_is_found_only_later(self):
        r = self.receiver(address="127.0.0.2")
        p = self.telling(r.port, start=False, host=NAME)
        self.in_namespace(p)
        self.feed(1000)
        self.wait_drained()
        p.wait_log("cannot be looked up")
        self.assertEqual(p.lines("did not run for"), [])
        proc.wait_until(lambda: p.totals()["statsd_packets_dropped"] > 0, 60, "drops are counted")
        self.set_hosts(f"127.0.0.2 {NAME}")
        p.wait_log("is found again")
        self.stop()
        name = PREFIX + "requests.completed"
        self.assertEqual(sum(v for (n, d), v in r.sums().items()
                             if n == name and dict(d)["scope"] == "instance"), 1000)


if __name__ == "__main__":
    unittest.main()
