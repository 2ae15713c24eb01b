# SPDX-License-Identifier: Apache-2.0
"""What an operator does and meets: bad configurations, rotated files, full disks, a second start."""

import os
import resource
import signal
import socket
import subprocess
import time
import unittest

from fixtures import batch, proc
from fixtures.kafka import unique
from fixtures.persister import LOAD, PROGRAM, PSTATS, check
from fixtures.scenario import Scenario


class BadConfiguration(Scenario):
    """Each stops the start with one line that names the file and what is wrong."""

    cases = [
        ("[kafka_metrics]\nbatch_sise = 5\n", "batch_size"),
        ("[kafka_metrics]\nbatch_size = many\n", "batch_size"),
        ("[kafka_metrics]\nbatch_size = 0\n", "batch_size"),
        ("[kafka_metricks]\nbatch_size = 5\n", "kafka_metrics"),
        ("[DEFAULT]\ndebug = perhaps\n", "debug"),
        ("[repositories]\nmetrics_driver = mongodb\n", "metrics_driver"),
        ("[kafka]\nlibrdkafka.no.such.thing = 1\n", "librdkafka.no.such.thing"),
        ("[kafka]\nlibrdkafka.session.timeout.ms = soon\n", "librdkafka.session.timeout.ms"),
        ("[kafka]\nlibrdkafka.enable.auto.commit = true\n", "librdkafka.enable.auto.commit"),
        ("[kafka]\nlibrdkafka.partition.assignment.strategy = cooperative-sticky\n",
         "cooperative-sticky"),
        ("[kafka_metrics]\ntopic = $kafka_metrics.topic\n", "topic"),
        ("[kafka_metrics]\nuri = http://kafka:9092\n", "uri: number 1 is a URL"),
        ("[admin]\nbind = 127.0.0.1:8091\n", "bind: '127.0.0.1:8091' has a port"),
        ("[repositories]\nmetrics_driver = postgresql\n[postgresql]\nconninfo = host=db:5432\n",
         "conninfo: host has a port"),
        ("[kafka]\nnum_processors = 0\n", "num_processors: 0 is taken as enabled = False"),
    ]

    def test_one_line_says_why(self):
        path = os.path.join(self.dir, "bad.conf")
        for text, named in self.cases:
            with self.subTest(text), open(path, "w", encoding="utf-8") as f:
                f.write(f"[influxdb]\nip_address = 127.0.0.1\n[persister]\nrun_directory = "
                        f"{self.dir}\n" + text)
                f.flush()
                code, lines = check(path)
                self.assertEqual(code, 78, lines)
                self.assertEqual(len(lines), 1, lines)
                self.assertIn(path, lines[0])
                self.assertIn(named, lines[0])
                done = subprocess.run([PROGRAM, "--config-file", path], capture_output=True,
                                      check=False, timeout=60)
                self.assertEqual(done.returncode, 78)

    def test_a_file_that_is_not_there(self):
        code, lines = check(os.path.join(self.dir, "none.conf"))
        self.assertEqual(code, 78)
        self.assertEqual(len(lines), 1, lines)


class CommandLine(Scenario):
    """What oslo.config and oslo.log take."""

    def dump(self, *arguments):
        done = subprocess.run([PROGRAM, *arguments, "--dump-config"], capture_output=True,
                              check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode(), done.stderr.decode()

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def test_what_is_read_later_wins(self):
        first = self.write("first.conf", "[influxdb]\nip_address = 10.0.0.1\nport = 8087\n"
                                         "[DEFAULT]\ndebug = False\n")
        second = self.write("second.conf", "[influxdb]\nip_address = 10.0.0.2\n")
        out, _ = self.dump("--config-file", first, f"--config-file={second}")
        self.assertIn("\nip_address = 10.0.0.2\nport = 8087\n", out)
        out, _ = self.dump("--config-file", second, "--config-file", first)
        self.assertIn("\nip_address = 10.0.0.1\n", out)
        out, _ = self.dump("--config-file", second, "--config-dir", self.dir)
        self.assertIn("\nip_address = 10.0.0.2\nport = 8087\n", out)  # second.conf is read again
        out, _ = self.dump("--config-file", first, "--debug")
        self.assertIn("\ndebug = True\n", out)
        out, _ = self.dump("--debug", "--config-file", first)
        self.assertIn("\ndebug = False\n", out)

    def test_options_of_oslo_log(self):
        path = self.write("a.conf", "[influxdb]\nip_address = db\n[DEFAULT]\nlog_file = /x/y\n")
        out, _ = self.dump("--config-file", path, "-d", "--log-file", "z", "--log-dir=/d",
                           "--use-syslog", "--nouse-syslog", "--syslog-log-facility", "LOG_LOCAL3")
        for line in ("debug = True", "log_file = /d/z", "use_syslog = False",
                     "syslog_log_facility = LOG_LOCAL3"):
            self.assertIn(f"\n{line}\n", out)
        ignored = ("--verbose", "--log-config-append=x", "--log-date-format=%s", "--log-format=%s",
                   "--use-journal", "--nouse-json", "--use-syslog-rfc-format", "--watch-log-file",
                   "--use-eventlog")
        _, said = self.dump("--config-file", path, *ignored)
        for option in ignored:
            self.assertIn(option.split("=")[0].replace("--no", "--") + ":",
                          said.replace("--no", "--"))
            self.assertIn("has no meaning here", said)
        done = subprocess.run([PROGRAM, "--shell_completion", "bash"], capture_output=True,
                              check=False, timeout=60)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (2, 1))
        self.assertIn(b"--shell_completion", done.stderr)


class SecondMaster(Scenario):
    def test_it_is_refused(self):
        self.use_shared()
        p = self.persister()
        second = subprocess.run([PROGRAM, "--config-file", p.config], capture_output=True,
                                check=False, timeout=60, stdin=subprocess.DEVNULL)
        self.assertEqual(second.returncode, 1)
        said = second.stderr.decode()
        self.assertIn(str(p.pid), said)
        self.assertIn(p.instance, said)
        self.assertEqual(len(said.splitlines()), 1, said)
        self.feed(500)
        self.assert_all_well(500)


class ClosedStandardFiles(Scenario):
    def test_nothing_else_gets_their_numbers(self):
        self.use_shared()
        p = self.persister(start=False)
        p.write_config()

        def close():
            proc.die_with_parent()
            os.closerange(0, 3)

        p.process = subprocess.Popen([PROGRAM, "--config-file", p.config], cwd=self.dir,
                                     preexec_fn=close)
        proc.wait_until(lambda: p.ended_early() or p.all_run(), 60, "the persister has started")
        for fd in range(3):
            self.assertEqual(os.readlink(f"/proc/{p.pid}/fd/{fd}"), "/dev/null")
        self.feed(500)
        self.assert_all_well(500)


class ClosedStandardFilesOfTools(Scenario):
    """Each is made to wait for something, and looked at meanwhile."""

    def look(self, *argv):
        tool = subprocess.Popen(argv, cwd=self.dir, close_fds=False,
                                preexec_fn=lambda: (proc.die_with_parent(), os.closerange(0, 3)))
        try:
            def has_begun():  # there is no sign of it but that it has opened something
                self.assertIsNone(tool.poll(), f"{argv[0]} has ended")
                return len(os.listdir(f"/proc/{tool.pid}/fd")) > 3

            proc.wait_until(has_begun, 60, f"{argv[0]} has begun")
            for fd in range(3):
                self.assertEqual(os.readlink(f"/proc/{tool.pid}/fd/{fd}"), "/dev/null", argv[0])
        finally:
            tool.kill()
            tool.wait()

    def test_nothing_else_gets_their_numbers(self):
        self.use_shared()
        p = self.persister()
        self.feed(100, bad=30)
        proc.wait_until(lambda: os.path.exists(p.dead), 60, "there are dead letters")
        nowhere = "127.0.0.1:1"
        self.look(PSTATS, "-f", p.segment, "-w", "1")
        self.look(LOAD, "--brokers", nowhere, "--topic", "t", "--messages", "1")
        self.look(os.path.join(proc.BUILD, "persister-dead"), "replay", "--yes", "--file",
                  p.dead, "--brokers", nowhere)
        self.look(os.path.join(proc.BUILD, "persister-perf"), "run", "--source",
                  "segment=" + p.instance, "--segment-directory",
                  os.path.dirname(p.segment), "-n", "1000")


class FirstProcess(Scenario):
    """The kernel keeps from process 1 of a container what it has no handler for."""

    def test_term_while_it_starts(self):
        unshare = ["unshare", "--pid", "--fork", "--kill-child"]
        if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no process namespaces here")
        self.use_shared()
        p = self.persister(start=False)
        p.write_config()
        for _ in range(3):
            p.process = subprocess.Popen([*unshare, PROGRAM, "--config-file", p.config],
                                         cwd=self.dir, preexec_fn=proc.die_with_parent)
            deadline = time.monotonic() + 60
            while not os.path.exists(p.log):  # it comes before the loop that takes signals
                self.assertLess(time.monotonic(), deadline, "the log is open")
            os.kill(proc.children(p.pid)[0], signal.SIGTERM)
            self.assertEqual(p.wait(60), 0)
            p.wait_log(" stopped")
            os.unlink(p.log)


class FileLimit(Scenario):
    """RLIMIT_FSIZE: what has reached it is a full disk, for the master as for the workers."""

    def limit(self, p, most):
        for pid in [p.pid, *p.workers()]:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def test_all_live_on(self):
        self.use_shared()
        p = self.persister(kafka_metrics={"batch_size": 500})
        everyone = sorted([p.pid, *p.workers()])
        self.limit(p, os.path.getsize(p.log) + 50)  # which no line fits into
        self.feed(6000, bad=30)
        proc.wait_until(lambda: "File too large" in p.pstats("-j")[1], 60,
                        "a worker waits for room for its dead letters")
        self.limit(p, resource.RLIM_INFINITY)
        self.wait_drained()
        p.wait_log("dropped here: File too large")
        self.assertEqual(sorted([p.pid, *p.workers()]), everyone)
        self.assert_all_well(6000, bad=30)


class StalledLog(Scenario):
    """Whoever reads standard error does not: docker attach, a shipper that hangs."""

    def start(self, p):
        """Its standard error is a pipe that is full from the beginning; returns the reader's end."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        p.sections["DEFAULT"] = {"debug": True}
        p.write_config()
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"#" * 1023 + b"\n")
        except BlockingIOError:
            os.set_blocking(writer, True)
        p.process = subprocess.Popen([PROGRAM, "--config-file", p.config], cwd=self.dir,
                                     stdin=subprocess.DEVNULL, stdout=writer, stderr=writer,
                                     preexec_fn=proc.die_with_parent)
        os.close(writer)
        proc.wait_until(lambda: p.ended_early() or p.all_run(), 60, "the persister has started")
        os.set_blocking(reader, False)
        return reader

    def read(self, reader):
        text = b""
        try:
            while more := os.read(reader, 65536):
                text += more
        except BlockingIOError:
            pass
        return [line for line in text.decode().splitlines() if not line.startswith("#")]

    def test_it_stops_nothing(self):
        self.use_shared()
        p = self.persister(start=False)
        self.start(p)
        self.feed(2000)
        self.assert_all_well(2000)

    def test_what_was_dropped_is_told(self):
        self.use_shared()
        p = self.persister(start=False)
        reader = self.start(p)
        self.feed(500)
        self.wait_drained()
        self.assertEqual(self.read(reader), [])
        p.signal(signal.SIGUSR1)
        lines = []

        def told():
            lines.extend(self.read(reader))
            return [line for line in lines if line.endswith("dropped here: nobody took them")]

        proc.wait_until(lambda: any(" master[" in line for line in told()), 60, "the master tells")
        self.feed(100, first=500, bad=100)  # a worker logs what it rejects
        proc.wait_until(lambda: any(" metrics-" in line for line in told()), 60,
                        "a worker tells")
        self.wait_drained()
        self.stop()
        self.assert_stored(500)
        self.assertEqual(len(self.dead_letters()), 100)


class AbsentSyslog(Scenario):
    """A container mostly has no /dev/log."""

    PATH = "/dev/log"

    def setUp(self):
        super().setUp()
        if os.path.lexists(self.PATH):
            self.skipTest(f"there is a {self.PATH} here")

    def said(self, p):
        return p.lines("syslog cannot be reached (/dev/log: No such file or directory)", p.stderr)

    def test_it_is_said_once_where_the_lines_are(self):
        self.use_shared()
        p = self.persister(start=False, DEFAULT={"use_syslog": True},
                           admin={"enabled": True, "port": proc.free_ports()})
        p.start()
        self.feed(500, bad=10)  # workers log what they reject
        self.wait_drained()
        proc.wait_until(lambda: p.lines("rejected", p.stderr), 20, "a worker's line is there")
        proc.wait_until(lambda: p.lines(" admin[", p.stderr), 20, "the admin port's is, too")
        self.assertEqual(len(self.said(p)), 1)
        if os.geteuid() != 0:
            self.skipTest("only root can be a daemon at /dev/log")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
            daemon.bind(self.PATH)
            self.addCleanup(os.unlink, self.PATH)
            self.stop()
            daemon.settimeout(20)
            lines = []
            while not any(line.endswith(": stopped") for line in lines):
                lines.append(daemon.recv(8192).decode())
        self.assertEqual(p.lines("master: stopped", p.stderr), [])
        self.assertEqual(len(self.said(p)), 1)

    def test_a_refusal_is_printed_once(self):
        path = os.path.join(self.dir, "refused.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write("[DEFAULT]\nuse_syslog = True\n[influxdb]\nip_address = 127.0.0.1\n"
                    "[dead_letter]\nfile = /no/such/directory/x\n")
        done = subprocess.run([PROGRAM, "--config-file", path], capture_output=True, check=False,
                              timeout=60)
        lines = [line for line in done.stderr.decode().splitlines() if "/no/such" in line]
        self.assertEqual(len(lines), 1, done.stderr)


class Reopen(Scenario):
    def test_usr1_opens_log_and_dead_letters_anew(self):
        self.use_shared()
        p = self.persister()
        self.feed(1000, bad=10)
        self.wait_drained()
        for path in (p.log, p.dead):
            os.rename(path, path + ".1")
        p.signal(signal.SIGUSR1)
        proc.wait_until(lambda: os.path.exists(p.log), 60, "there is a new log")
        proc.wait_until(lambda: not any(proc.has_open(pid, path + ".1") for pid in p.workers()
                                        for path in (p.log, p.dead)), 60, "the workers have it, too")
        old = [os.path.getsize(path + ".1") for path in (p.log, p.dead)]
        self.feed(1000, first=1000, bad=10)
        self.wait_drained()
        self.assertEqual([os.path.getsize(path + ".1") for path in (p.log, p.dead)], old)
        with open(p.dead, "rb") as f:
            self.assertEqual(len(f.readlines()), 100)
        self.stop()
        self.assertTrue(p.lines("rejected"))
        self.assert_stored(2000, bad=10)
        self.assert_dead(2000, 10)


class FullDisk(Scenario):
    seconds = 40

    def tmpfs(self, size):
        path = os.path.join(self.dir, "small")
        os.mkdir(path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path],
                              capture_output=True, check=False)
        if done.returncode != 0:
            self.skipTest("cannot mount a tmpfs: " + done.stderr.decode().strip())
        self.addCleanup(subprocess.run, ["umount", "-l", path], check=False)
        return path

    def test_dead_letters_wait_for_room(self):
        if os.geteuid() != 0:
            self.skipTest("only root can mount a tmpfs")
        small = self.tmpfs("256k")
        self.use_shared()
        p = self.persister(start=False, kafka_metrics={"batch_size": 500})
        p.dead = p.sections["dead_letter"]["file"] = os.path.join(small, "dead.jsonl")
        p.start()
        self.feed(6000, bad=30)
        p.wait_log("No space left")
        time.sleep(4)
        self.assertGreater(self.lag(), 0)
        waiting = p.totals()
        self.assertLess(waiting["rejected"], 1800)
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        self.assert_all_well(6000, bad=30)
        self.assertEqual(p.totals()["rejected"], 1800)
        self.assertEqual([s["restarts"] for s in p.processes().values()], [0, 0])


class DeadLetterTopic(Scenario):
    def test_bad_messages_go_to_a_topic(self):
        self.use_shared()
        dead = unique("dead")
        self.make_topic(dead, 1)
        p = self.persister(dead_letter={"topic": dead})
        self.feed(3000, bad=5)
        self.wait_drained()
        self.stop()
        self.assert_stored(3000, bad=5)
        self.assertEqual(self.broker.client.offsets(dead, 1), {0: 150})
        self.assertFalse(os.path.exists(p.dead))

    def test_only_what_is_too_large_for_it_goes_to_the_file(self):
        self.use_shared()
        dead = unique("dead")
        self.make_topic(dead, 1, max_message_bytes=2000)  # many letters are in a batch of its producer
        for n in range(20):
            self.produce_bad(100, 50 if n % 4 else 3000)
        p = self.persister(dead_letter={"topic": dead}, kafka_metrics={"num_processors": 1})
        self.wait_drained()
        self.stop()
        self.assertEqual(self.broker.client.offsets(dead, 1), {0: 1500})
        self.assertEqual(len(self.dead_letters(p)), 500)
        self.assertEqual({len(d["bytes"]) for d in self.dead_letters(p)}, {3000})

    def produce_bad(self, messages, size):
        batch.produce(self.broker.client, self.topic, 0, batch.make([b"x" * size] * messages))


class Single(Scenario):
    def test_one_worker_without_a_fork(self):
        self.use_shared()
        p = self.persister(start=False)
        p.write_config()
        self.feed(1000, bad=3)
        p.spawn([PROGRAM, "--config-file", p.config, "--single", "kafka_metrics"])
        self.wait_drained()
        self.assertEqual(proc.children(p.pid), [])
        self.assertEqual(p.stop(), 0)
        self.assert_stored(1000, bad=3)
        self.assert_dead(1000, 3)


class Discard(Scenario):
    def test_it_counts_and_forgets(self):
        self.use_shared()
        p = self.persister(repositories={"metrics_driver": "discard"})
        self.feed(20000, bad=1)
        self.wait_drained()
        self.stop()
        self.assertEqual(p.totals()["completed"], 19800)
        self.assert_dead(20000, 1)
        self.assertNotIn(self.database, self.influx.databases())


class BothTopics(Scenario):
    def test_alarms_and_metrics_side_by_side(self):
        self.use_shared()
        self.make_topic(self.alarm_topic, 2)
        p = self.persister(kafka_alarm_history={"enabled": True, "batch_size": 1})
        feeds = [self.feeding(2000, rate=1000, bad=4),
                 self.feeding(200, topic=self.alarm_topic, kind="alarms", rate=100, bad=4)]
        for feed in feeds:
            feed.wait()
        self.wait_drained()
        self.wait_drained(topic=self.alarm_topic, group=self.alarm_group, partitions=2)
        self.stop()
        alarms = [row["alarm_id"] for _, row in self.influx.rows(
            "SELECT alarm_id FROM alarm_state_history", self.database)]
        self.influx.query("DROP MEASUREMENT alarm_state_history", self.database)
        self.assertEqual(sorted(int(a[-12:]) for a in alarms),
                         [i for i in range(200) if i % 100 * 37 % 100 >= 4])
        self.assert_stored(2000, bad=4)
        self.assertEqual(p.totals()["rejected"], 88)


if __name__ == "__main__":
    unittest.main()
