# SPDX-License-Identifier: Apache-2.0
"""HUP: another configuration while messages flow; nothing lost, nothing twice, no jump in the totals."""

import datetime
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time

from fixtures import proc
from fixtures.persister import PROGRAM, ask
from fixtures.scenario import Scenario, is_bad
from test_postgresql import PostgresScenario

HEARTBEAT_SECONDS = 2  # heartbeat.interval.ms in kafka/kafka_conf.c


class Watch(threading.Thread):
    """Looks at an instance's figures all the time, for what must hold in each snapshot."""

    def __init__(self, persister):
        super().__init__(daemon=True)
        self.p = persister
        self.faults, self.looks, self.side_by_side, self.ended = [], 0, 0, False
        self.last = {}

    def run(self):
        while not self.ended:
            figures = self.p.figures()
            if figures and figures["master"]["state"] == "running":
                self.look(figures)
            time.sleep(0.02)

    def look(self, figures):
        t = figures["totals"]
        self.looks += 1
        for name in ("received", "completed", "rejected", "returned", "starts", "reloads"):
            if t[name] < self.last.get(name, 0):
                self.faults.append(f"{name} fell from {self.last[name]} to {t[name]}")
        if t["received"] != t["completed"] + t["rejected"] + t["returned"] + t["in_flight"]:
            self.faults.append(f"accounts: {t}")
        names = [p["process"] for p in figures["processes"]]
        if len(set(names)) < len(names):
            self.side_by_side += 1
            if len({(p["process"], p["configuration"]) for p in figures["processes"]}) < len(names):
                self.faults.append(f"two of a name and a configuration: {names}")
        self.last = t

    def end(self):
        self.ended = True
        self.join()
        return self.faults


class ReloadUnderLoad(PostgresScenario):
    """From 1 to 8 to 3 workers and on, with broken configurations in between, exactly once."""

    reloads = int(os.environ.get("PERSISTER_TEST_RELOADS", "10"))
    rate = 3000
    seconds = 60 + 6 * reloads
    partitions = 8

    def break_configuration(self, p):
        """Each is refused, and says why."""
        good = dict(p.sections["kafka_metrics"])
        section, options, says = random.choice([
            ("kafka_metrics", {"batch_size": "many"}, "batch_size"),
            ("kafka", {"librdkafka.no.such.thing": "1"}, "no.such.thing"),
            ("persister", {"instance": "another"}, "instance"),
            ("repositories", {"metrics_driver": "mongodb"}, "metrics_driver"),
            ("kafka_metrics", {"num_processors": 90}, "room for"),
        ])
        before = p.figures()["master"]
        kept = {name: dict(o) for name, o in p.sections.items()}
        p.reload(wait=False, **{section: options})
        proc.wait_until(lambda: p.answered(before), 60, "the reload is answered")
        now = p.figures()["master"]
        self.assertEqual(now["reloads_refused"], before["reloads_refused"] + 1)
        self.assertEqual(now["generation"], before["generation"])
        self.assertIn(says, now["reload_error"])
        p.sections = kept
        self.assertEqual(p.sections["kafka_metrics"], good)

    def test_exactly_once(self):
        seed = int(os.environ.get("PERSISTER_TEST_SEED", time.time_ns() % 10**9))
        print(f"PERSISTER_TEST_SEED={seed}")
        random.seed(seed)
        self.own_postgres()
        self.use_shared_broker()
        p = self.audited(kafka_metrics={"num_processors": 1, "batch_size": 1000})
        watch = Watch(p)
        watch.start()
        feed = self.feeding(10**9, rate=self.rate, bad=1)
        self.wait_flowing(p)
        sizes = [8, 3, 1] + [random.randint(1, 8) for _ in range(self.reloads)]
        for i in range(self.reloads):
            if i % 3 == 1:
                self.break_configuration(p)
            # Another batch size: everybody is replaced. The same: only the number changes.
            p.reload(kafka_metrics={"num_processors": sizes[i], "batch_size": 1000 + i // 2})
            self.assertEqual(len(p.workers()), sizes[i])
            time.sleep(random.uniform(0, 1))
        feed.process.send_signal(signal.SIGTERM)
        messages = feed.wait(60)["delivered"]
        self.wait_drained(60)
        self.assertEqual(watch.end(), [])
        self.assertGreater(watch.side_by_side, 0, "pstats shows old and new side by side")
        self.assertEqual(p.totals()["reloads"], self.reloads)
        self.assertIsNone(p.figures()["master"]["reload_error"])
        self.stop()
        self.assert_exactly_once(messages, bad=1)
        places = {(d["partition"], d["offset"]) for d in self.dead_letters()}
        self.assertEqual(len(places), sum(is_bad(i, 1) for i in range(messages)))
        print(f"{messages} messages, {watch.looks} looks, {watch.side_by_side} side by side")


class WhatChanges(Scenario):
    """What is replaced by a reload, and what goes on."""

    def start_one(self, **sections):
        self.use_shared()
        p = self.persister(kafka_metrics={"num_processors": 2}, **sections)
        proc.wait_until(p.is_settled, 60, "all have joined")
        return p

    def pids(self, p):
        return {name: s["pid"] for name, s in p.processes().items()}

    def test_nothing_has_changed(self):
        p = self.start_one()
        before = self.pids(p)
        p.reload()
        self.assertEqual(self.pids(p), before)
        self.assertEqual(p.figures()["master"]["generation"], 2)

    def test_the_group_is_disturbed_once(self):
        """Old workers leave without joining again, so that new ones are assigned theirs at once."""
        p = self.start_one()
        p.wait_log("ready: all 2")
        seen = []
        for i in range(8):  # a newcomer that is late, on a busy machine, disturbs it once more
            p.reload(kafka_metrics={"batch_size": 600 + i})
            time.sleep(HEARTBEAT_SECONDS + 1)  # that is when a member hears of one more
            seen.append([s["rebalances"] for s in p.processes().values()])
            if seen[-1] == [1, 1]:
                return
        self.fail(f"rebalances the new workers saw: {seen}")

    def test_more_and_fewer_leave_the_others_alone(self):
        p = self.start_one()
        before = self.pids(p)
        p.reload(kafka_metrics={"num_processors": 4})
        four = self.pids(p)
        self.assertEqual(len(four), 4)
        self.assertLessEqual(before.items(), four.items())
        p.reload(kafka_metrics={"num_processors": 1})
        self.assertEqual(list(self.pids(p).values()), [before[min(before)]])

    def test_an_address_where_no_broker_is(self):
        """The old workers go on, whatever happens, until others have reached Kafka."""
        p = self.start_one()
        right = p.sections["kafka_metrics"]["uri"]
        old = set(p.workers())
        feed = self.feeding(10**9, rate=500)

        def go_wrong():
            p.reload(wait=False, kafka_metrics={"uri": f"127.0.0.1:{proc.free_ports()}"})
            proc.wait_until(lambda: len(p.workers()) == 4 and p.count_lines("HUP: ")
                            == p.totals()["reloads"], 60, "old and new are there")

        def assert_old_go_on():
            before = p.totals()["received"]
            proc.wait_until(lambda: p.totals()["received"] > before, 60, "messages are received")
            self.assertLessEqual(old, set(p.workers()))

        go_wrong()
        b = self.persister("b")  # this is a rebalance
        proc.wait_until(lambda: sum(s["partitions"] for s in b.processes().values()) == 2, 60,
                        "they share")
        assert_old_go_on()
        go_wrong()
        p.wait_log("workers have not joined since the reload", 90)
        assert_old_go_on()
        p.reload(kafka_metrics={"uri": right})
        self.assertEqual(len(p.workers()), 2)
        self.assertTrue(old.isdisjoint(p.workers()))
        feed.process.send_signal(signal.SIGTERM)
        messages = feed.wait()["delivered"]
        self.assert_all_well(messages)

    def test_the_log_and_the_period_change_in_place(self):
        p = self.start_one()
        before = self.pids(p)
        other = os.path.join(self.dir, "other.log")
        p.reload(DEFAULT={"log_file": other}, persister={"period_seconds": 2})
        self.assertEqual(self.pids(p), before)
        self.assertEqual(p.figures()["period"]["seconds"], 2)
        self.feed(1000, bad=1)
        self.wait_drained()
        proc.wait_until(lambda: p.lines("rejected", other), 60, "a worker writes to the other log")
        self.assertTrue(p.lines(" master[", other))
        p.reload(DEFAULT={"debug": False})
        self.stop()
        self.assert_stored(1000, bad=1)

    def test_a_topic_on_and_off_again(self):
        p = self.start_one()
        self.make_topic(self.alarm_topic)
        before = self.pids(p)
        p.reload(kafka_alarm_history={"enabled": True})
        self.assertEqual(len(self.pids(p)), 3)
        self.assertLessEqual(before.items(), self.pids(p).items())
        p.reload(kafka_alarm_history={"enabled": False})
        self.assertEqual(self.pids(p), before)

    def test_asked_for_by_the_program_itself(self):
        """--reload waits for the answer and tells it."""
        p = self.start_one()
        pids = self.pids(p)
        self.assertEqual(ask(p.config, "--reload"), (0, ""))
        self.assertEqual(p.figures()["master"]["reloads"], 1)
        p.sections["kafka"]["num_processors"] = "many"
        p.write_config()
        code, said = ask(p.config, "--reload")
        self.assertEqual(code, 78)
        self.assertRegex(said, r"persister\.conf:\d+: \[kafka\] num_processors: 'many'.*\n$")
        del p.sections["kafka"]["num_processors"]
        # What only the instance's check finds out, with the library's help.
        p.sections["kafka"]["librdkafka.fetch.wait.max.ms"] = "soon"
        p.write_config()
        code, said = ask(p.config, "--reload")
        self.assertEqual(code, 1)
        self.assertIn("fetch.wait.max.ms", said)
        self.assertIn("everything goes on as it was", said)
        self.assertEqual(p.figures()["master"]["reloads_refused"], 1)
        del p.sections["kafka"]["librdkafka.fetch.wait.max.ms"]
        p.sections["persister"]["instance"] = "another"
        p.write_config()
        code, said = ask(p.config, "--reload")
        self.assertEqual(code, 1)
        self.assertIn("no instance 'another' runs", said)
        p.sections["persister"]["instance"] = p.instance
        p.write_config()
        self.assertEqual(self.pids(p), pids)
        self.stop()
        code, said = ask(p.config, "--reload")
        self.assertEqual(code, 1)
        self.assertIn("does not run", said)

    def test_the_lifetime_goes_on_under_the_same_name(self):
        p = self.start_one()
        self.feed(5000)
        self.wait_drained()
        received = {name: s["lifetime"]["received"] for name, s in p.processes().items()}
        pids = self.pids(p)
        self.assertEqual(sum(received.values()), 5000)
        p.reload(kafka_metrics={"batch_size": 999})
        after = p.processes()
        self.assertTrue(set(pids.values()).isdisjoint(self.pids(p).values()))
        self.assertEqual({name: s["lifetime"]["received"] for name, s in after.items()}, received)
        self.assertEqual({s["configuration"] for s in after.values()}, {2})
        self.assertEqual(p.totals()["received"], 5000)
        self.stop()


class Pauses(Scenario):
    """How long nothing is consumed: measured, and told; that it goes on with nothing lost is tested."""

    def pause_of(self, change):
        """At 5,000 messages a second; change: a function of the persister."""
        self.use_shared()
        p = self.persister(kafka_metrics={"num_processors": 2})
        feed = self.feeding(10**9, rate=5000)
        self.wait_flowing(p)
        times, end = [], threading.Event()

        def look():
            last = 0
            while not end.is_set():
                received = (p.totals() or {"received": 0})["received"]
                if received not in (0, last):
                    times.append(time.monotonic())
                last = received
                time.sleep(0.01)

        looker = threading.Thread(target=look)
        looker.start()
        proc.wait_until(lambda: len(times) > 10, 60, "it is looked at")
        change(p)
        before = len(times)
        proc.wait_until(lambda: len(times) > before + 10, 60, "it goes on")
        end.set()
        looker.join()
        feed.process.send_signal(signal.SIGTERM)
        messages = feed.wait()["delivered"]
        print(f"longest gap without a message received: "
              f"{max(b - a for a, b in zip(times, times[1:])):.2f} s")
        self.print_ownerless(p)
        self.wait_drained()
        self.stop()
        self.assert_stored(messages)

    def print_ownerless(self, p):
        """From the last time that partitions were taken away to their being assigned again."""
        def when(line):
            return datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00"))
        revoked = [when(line) for line in p.lines(" revoked")]
        assigned = [when(line) for line in p.lines(" assigned")]
        if revoked:
            first = min(t for t in revoked if (max(revoked) - t).total_seconds() < 1)
            print(f"without an owner: {(max(assigned) - first).total_seconds():.2f} s")

    def test_while_one_crew_takes_over(self):
        self.pause_of(lambda p: p.reload(kafka_metrics={"batch_size": 999}))

    def test_while_another_binary_takes_over(self):
        """An upgrade is a stop and a start."""
        def restart(p):
            self.stop(p)
            p.start()
        self.pause_of(restart)


class Insane(Scenario):
    """A HUP when nobody would expect one."""

    def test_two_on_each_others_heels(self):
        self.use_shared()
        p = self.persister()
        self.feed(2000)
        for i in range(6):
            p.reload(wait=False, kafka_metrics={"batch_size": 500 + i})
            time.sleep(0.05 * i)
        proc.wait_until(lambda: p.is_settled() and p.count_lines("reload done") > 0, 60, "it is done")
        p.reload(kafka_metrics={"batch_size": 777})
        self.assert_all_well(2000)

    def test_in_a_crash_loop(self):
        self.use_shared()
        p = self.persister(kafka_metrics={"num_processors": 1})
        for i in range(3):
            pids = []

            def running():
                pids[:] = p.workers()
                return pids
            proc.wait_until(running, 60, "a worker runs")
            os.kill(pids[0], signal.SIGKILL)
            proc.wait_until(lambda: p.totals()["deaths_signal"] > i, 60, "it died")
        p.reload(kafka_metrics={"batch_size": 555})
        self.assertEqual(len(p.workers()), 1)
        self.feed(1000)
        self.assert_all_well(1000)

    def test_while_the_store_is_down(self):
        self.use_shared()
        self.own_influx()
        p = self.persister()
        self.feed(1000)
        self.wait_drained()
        self.influx.kill()
        self.feed(1000, first=1000)
        proc.wait_until(lambda: any(s["waiting"] for s in p.processes().values()), 60, "it waits")
        p.reload(kafka_metrics={"batch_size": 555})
        self.influx.start()
        self.assert_all_well(2000)

    def test_during_the_stop(self):
        self.use_shared()
        p = self.persister()
        self.feed(1000)
        p.signal(signal.SIGTERM)
        p.signal(signal.SIGHUP)
        self.assertEqual(p.wait(60), 0)
        self.assertEqual(p.totals()["reloads"], 0)

    def test_a_stop_in_the_middle_of_a_take_over(self):
        self.use_shared()
        p = self.persister()
        self.feed(3000)
        p.reload(wait=False, kafka_metrics={"batch_size": 555})
        proc.wait_until(lambda: any(s["leaving"] for s in p.figures()["processes"])
                        or p.totals()["reloads"] == 1, 60, "it began")
        self.stop()
        q = self.persister("b")
        self.wait_drained()
        self.stop(q)
        self.assert_stored(3000)

    def test_one_is_killed_in_the_middle_of_a_take_over(self):
        """A newcomer, then an old one; the master goes on, and the figures stay true."""
        self.use_shared()
        p = self.persister(kafka_metrics={"num_processors": 3})
        watch = Watch(p)
        watch.start()
        feed = self.feeding(3000, rate=500)
        for i, newcomer in enumerate((True, False)):
            proc.wait_until(p.is_settled, 60, "all have joined")
            before, old = p.figures()["master"], set(p.workers())
            p.reload(wait=False, kafka_metrics={"batch_size": 555 + i})
            proc.wait_until(lambda b=before: p.answered(b), 60, "it is answered")
            pids = {s["pid"] for s in p.figures()["processes"] if s["pid"]}
            victims = pids - old if newcomer else pids & old
            self.assertTrue(victims or not newcomer, "the newcomers are there")
            for pid in list(victims)[:1]:
                os.kill(pid, signal.SIGKILL)
            proc.wait_until(p.is_settled, 60, "the new crew has taken over")
            self.assertEqual(len(p.workers()), 3)
        feed.wait()
        self.wait_drained(60)
        self.assertEqual(watch.end(), [])
        self.stop()
        self.assert_stored(3000)

    def test_a_storm_leaves_nothing_behind(self):
        self.use_shared()
        p = self.persister(statsd={"enabled": True})

        def look():
            directory = f"/proc/{p.pid}/fd"
            return (len(os.listdir(directory)), len(proc.children(p.pid)),
                    len(p.figures()["processes"]))

        p.reload(kafka_metrics={"batch_size": 555})
        before = look()
        for _ in range(100):
            p.signal(signal.SIGHUP)
            time.sleep(0.01)
        p.reload(kafka_metrics={"batch_size": 556})
        proc.wait_until(lambda: all(now <= then for now, then in zip(look(), before)), 60,
                        f"{look()} is no more than {before} again")
        self.assertEqual(p.totals()["reloads_refused"], 0)
        self.feed(1000)
        self.assert_all_well(1000)

    def test_a_file_that_is_not_there_any_more(self):
        self.use_shared()
        p = self.persister()
        os.unlink(p.config)
        before = p.figures()["master"]
        p.signal(signal.SIGHUP)
        proc.wait_until(lambda: p.answered(before), 60, "it is answered")
        self.assertIn(p.config, p.figures()["master"]["reload_error"])
        self.assertIn("reload    refused at ", p.pstats("-1")[1])
        p.reload()
        self.assertIsNone(p.figures()["master"]["reload_error"])
        self.stop()


class SeveralFiles(Scenario):
    """Two files, a directory and options: all are read again, and each error has its own name."""

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text)
        return f.name

    def start(self, p):
        p.write_config()
        self.second = self.write("second.conf", "[kafka_metrics]\nnum_processors = 1\n")
        os.mkdir(os.path.join(self.dir, "conf.d"))
        self.arguments = ["--config-file", p.config, "--config-file", self.second,
                          "--config-dir", os.path.join(self.dir, "conf.d"), "--nodebug"]
        with open(p.stderr, "ab") as log:
            p.process = subprocess.Popen([PROGRAM, *self.arguments], stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log, cwd=self.dir,
                                         preexec_fn=proc.die_with_parent)
        proc.wait_until(lambda: p.ended_early() or p.all_run(), 60, "the persister has started")

    def reload(self, p):
        """By --reload, with the same arguments. Returns (exit code, what it says)."""
        done = subprocess.run([PROGRAM, *self.arguments, "--reload"], capture_output=True,
                              check=False, timeout=60, cwd=self.dir)
        return done.returncode, (done.stdout + done.stderr).decode()

    def test_all_are_read_again(self):
        self.use_shared()
        p = self.persister(start=False)
        self.start(p)
        self.assertEqual(len(p.workers()), 1)
        self.assertEqual(len(p.lines(f"configuration {p.config}, {self.second}, {self.dir}/conf.d")), 1)
        self.feed(500)
        path = self.write("conf.d/10.conf", "[kafka_metrics]\nnum_processors = 2\n")
        code, said = self.reload(p)
        self.assertEqual(code, 0, said)
        proc.wait_until(p.all_run, 60, "there are two workers")
        self.assertEqual(len(p.workers()), 2)
        self.write("conf.d/20.conf", "\n[kafka_metrics]\nnum_processors = many\n")
        before = p.figures()["master"]
        p.signal(signal.SIGHUP)
        proc.wait_until(lambda: p.answered(before), 60, "it is answered")
        self.assertIn(f"{self.dir}/conf.d/20.conf:3: [kafka_metrics] num_processors",
                      p.figures()["master"]["reload_error"])
        for name in (path, os.path.join(self.dir, "conf.d/20.conf")):
            os.unlink(name)
        self.write("second.conf", "[kafka_metrics]\nnum_processors = 3\n")
        self.assertEqual(self.reload(p)[0], 0)
        proc.wait_until(lambda: p.all_run() and len(p.workers()) == 3, 60, "there are three")
        self.assertEqual(p.lines(" DEBUG: "), [])  # --nodebug is the last, also after a reload
        self.feed(500, first=500)
        self.assert_all_well(1000)


class Notify(Scenario):
    """What systemd and an init script are told."""

    def start_notified(self, p, watchdog=False):
        path = os.path.join(tempfile.mkdtemp(dir=self.dir), "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(path)
        self.pid_file = os.path.join(self.dir, "pid")
        p.write_config()
        env = dict(os.environ, NOTIFY_SOCKET=path)
        if watchdog:
            env["WATCHDOG_USEC"] = "400000"
        with open(p.stderr, "ab") as log:
            p.process = subprocess.Popen(
                [PROGRAM, "--config-file", p.config, "--pid-file", self.pid_file],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                preexec_fn=proc.die_with_parent)

    def hear(self, wanted, seconds=60):
        """Waits for a message that begins so; returns it."""
        self.socket.settimeout(seconds)
        while True:
            text = self.socket.recv(4096).decode()
            if text.startswith(wanted):
                return text

    def hears(self, wanted):
        """Whether a message that begins so is among those that are there."""
        self.socket.setblocking(False)
        try:
            while True:
                if self.socket.recv(4096).decode().startswith(wanted):
                    return True
        except BlockingIOError:
            return False

    def test_from_start_to_stop(self):
        self.use_shared()
        p = self.persister(start=False)
        self.start_notified(p, watchdog=True)
        self.hear("READY=1")
        with open(self.pid_file, encoding="ascii") as f:
            self.assertEqual(int(f.read()), p.pid)
        self.assertTrue(p.is_settled())
        self.hear("STATUS=2 of 2 workers")
        self.hear("WATCHDOG=1")
        self.hear("WATCHDOG=1")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        p.signal(signal.SIGHUP)
        reloading = dict(line.split("=") for line in self.hear("RELOADING=1").splitlines())
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.assertTrue(before <= int(reloading["MONOTONIC_USEC"]) <= now)
        self.hear("READY=1")
        p.sections["kafka"]["num_processors"] = "none"
        p.write_config()
        p.signal(signal.SIGHUP)
        self.hear("RELOADING=1")
        self.hear("READY=1")
        p.signal(signal.SIGTERM)
        self.hear("STOPPING=1")
        self.assertEqual(p.wait(60), 0)
        self.assertFalse(os.path.exists(self.pid_file))

    def test_not_ready_as_long_as_kafka_cannot_be_reached(self):
        self.own_broker(start=False)
        self.own_influx()
        p = self.persister(start=False)
        self.start_notified(p)
        proc.wait_until(lambda: any(s["waiting"] and "kafka" in s["waiting_for"]
                                    for s in p.processes().values()), 60, "it says what it waits for")
        self.assertEqual({s["state"] for s in p.processes().values()}, {"starting"})
        self.assertFalse(os.path.exists(self.pid_file))
        # A reload meanwhile, refused or taken, does not make it ready.
        for refused, options in ((1, {"num_processors": "none"}), (1, {"num_processors": 2})):
            p.reload(wait=False, kafka=options)
            proc.wait_until(lambda: p.totals()["reloads_refused"] == refused
                            and p.totals()["reloads"] == int(options["num_processors"] == 2), 60,
                            "it is answered")
        proc.wait_until(lambda: p.count_lines("reload done") == 1, 60, "the reload is done")
        self.assertFalse(self.hears("READY=1"))
        self.broker.start()
        self.make_topic()
        self.hear("READY=1")  # on a busy machine this is not to keep systemd waiting for long
        proc.wait_until(lambda: os.path.exists(self.pid_file), 60, "all workers have joined")
        self.stop()
