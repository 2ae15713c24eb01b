# SPDX-License-Identifier: Apache-2.0
"""Brokers that cannot be spoken to, for reasons that somebody has to be told."""

import ctypes
import os
import resource
import shutil
import subprocess
import tempfile
import unittest

from fixtures import proc
from fixtures.kafka import Broker
from fixtures.persister import PROGRAM
from fixtures.scenario import Scenario


class Trouble(Scenario):
    partitions = 2

    def broker_with(self, ports=2, **properties):
        """properties: by the first port."""
        port = proc.free_ports(ports)
        settings = {k: v(port) if callable(v) else v for k, v in properties.items()}
        self.broker = Broker(os.path.join(self.dir, "kafka"), port, **settings)
        self.addCleanup(self.broker.stop)
        self.logs.append(self.broker.log)
        self.broker.start()
        self.make_topic()
        self.own_influx()

    def waits(self, p):
        """What the workers say they wait for."""
        return [w["waiting"]["text"] for w in p.figures()["processes"] if w["waiting"]]


class Unresolvable(Trouble):
    seconds = 30

    def test_the_listener_is_named(self):
        self.broker_with(**{"advertised.listeners": lambda port: f"PLAINTEXT://nobody.invalid:{port}"})
        # A topic that is not there, as what a broker like that has to say of a topic may be lost.
        p = self.persister(kafka={"librdkafka.topic.metadata.propagation.max.ms": 0},
                           kafka_metrics={"topic": "missing"})
        proc.wait_until(lambda: any("ubscribed topic" in w for w in self.waits(p)), 60,
                        "the topic is not there")
        for text in self.waits(p):
            self.assertIn(f"Failed to resolve 'nobody.invalid:{self.broker.port}'", text)


class Scram(Trouble):
    seconds = 30

    def test_what_the_library_cannot_do_is_said(self):
        lib = ctypes.CDLL("librdkafka.so.1")
        self.broker_with(3, **{
            "listeners": lambda port: f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 1},"
                                      f"SASL://127.0.0.1:{port + 2}",
            "advertised.listeners": lambda port: f"PLAINTEXT://127.0.0.1:{port},"
                                                 f"SASL://127.0.0.1:{port + 2}",
            "listener.security.protocol.map":
                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": "SCRAM-SHA-256",
            "listener.name.sasl.scram-sha-256.sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"})
        p = self.persister(
            kafka={"librdkafka.security.protocol": "sasl_plaintext",
                   "librdkafka.sasl.mechanism": "SCRAM-SHA-256",
                   "librdkafka.sasl.username": "nobody", "librdkafka.sasl.password": "wrong"},
            kafka_metrics={"uri": f"127.0.0.1:{self.broker.port + 2}"})
        proc.wait_until(lambda: any("uthentication" in w for w in self.waits(p)), 60,
                        "the brokers refuse us")
        old = lib.rd_kafka_version() < 0x02060100
        p.wait_log("SASL authentication error")
        for text in (*self.waits(p), *(line for line in p.lines("SASL authentication error")
                                            if "WARNING" in line)):
            self.assertEqual("librdkafka before 2.6.1 cannot do SCRAM" in text, old, text)


@unittest.skipUnless(os.geteuid() == 0, "another user's processes are to be limited")
class NoThreads(Trouble):
    """RLIMIT_NPROC: a client is made, and lacks the threads that speak to the brokers."""

    seconds = 40
    uid = 54000 + os.getpid() % 9999

    def become(self, limit=None):
        proc.die_with_parent()
        if limit:
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, 200))
        os.setgid(self.uid)
        os.setuid(self.uid)

    def limited(self, limit, **sections):
        """A persister whose user may have so many processes and threads."""
        self.use_shared()
        # Not below a directory of root's own.
        self.dir = tempfile.mkdtemp(prefix="persister-test-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.dir, True)
        program = os.path.join(self.dir, "program")
        shutil.copy(PROGRAM, program)
        p = self.persister(start=False, kafka_metrics={"num_processors": 1}, **sections)
        p.write_config()
        os.chmod(self.dir, 0o755)
        for path, _, files in os.walk(p.dir):
            for name in (path, *(os.path.join(path, f) for f in files)):
                os.chown(name, self.uid, self.uid)
        with open(p.stderr, "ab") as log:
            p.process = subprocess.Popen(
                [program, "--config-file", p.config], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd=p.dir, preexec_fn=lambda: self.become(limit))
        return p

    def lift(self, *pids):
        for pid in pids:
            subprocess.run(["prlimit", f"--pid={pid}", "--nproc=200"], check=True,
                           preexec_fn=self.become)

    def test_the_worker_is_started_again(self):
        p = self.limited(4)  # master, worker, and two threads: none for a broker
        self.feed(100)
        p.wait_log("a thread could not be made")
        proc.wait_until(lambda: p.figures()["totals"]["restarts"] > 0, 60, "it is started again")
        self.lift(p.pid)
        self.wait_drained()
        self.stop()
        self.assert_stored(100)

    def test_the_dead_letters_client_is_made_anew(self):
        letters = self.topic + "-dead"
        p = self.limited(8, dead_letter={"topic": letters})  # the producer's fourth is one too many
        self.make_topic(letters, 1)
        self.feed(100, bad=5)
        p.wait_log("dead letters: Kafka client")
        self.assertEqual(p.totals()["restarts"], 0)
        self.lift(p.pid, *p.workers())
        self.wait_drained()
        self.stop()
        self.assert_stored(100, bad=5)
        self.assertEqual(self.broker.client.offsets(letters, 1)[0], 5)


del Trouble

if __name__ == "__main__":
    unittest.main()
