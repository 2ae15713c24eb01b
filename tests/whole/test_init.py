# SPDX-License-Identifier: Apache-2.0
"""The init script, as root, through every verb, with the real program and a real Kafka.

It touches nothing of the system: all its paths come from a file of defaults of the test's own.
"""

import concurrent.futures
import os
import pwd
import shutil
import signal
import subprocess
import unittest

from fixtures import proc
from fixtures.persister import PROGRAM, PSTATS
from fixtures.scenario import Scenario

SCRIPT = os.path.join(proc.BUILD, "contrib", "init.d", "monasca-persister")


def choose_user():
    """nobody, if he may run what was built (it may lie below a directory of root's)."""
    try:
        subprocess.run([PROGRAM, "--version"], user="nobody", check=True, capture_output=True,
                       cwd="/")
        return "nobody"
    except (OSError, subprocess.CalledProcessError):
        return "root"


@unittest.skipUnless(os.geteuid() == 0, "only root can")
@unittest.skipUnless(shutil.which("start-stop-daemon"), "there is no start-stop-daemon")
class InitScript(Scenario):
    seconds = 60

    def setUp(self):
        super().setUp()
        self.user = choose_user()
        directory = self.dir  # and those above it that the runner made for itself alone
        while os.path.basename(directory).startswith("persister-") or "test_" in directory:
            os.chmod(directory, 0o755)
            directory = os.path.dirname(directory)
        self.p = None
        self.addCleanup(lambda: self.p and self.verb("stop"))

    def prepare(self, start_timeout=60, **sections):
        self.p = p = self.persister(start=False, **sections)
        os.chmod(p.dir, 0o755)
        self.run_directory = os.path.dirname(p.segment)
        p.write_config()
        owner = pwd.getpwnam(self.user)
        for directory, _, files in os.walk(p.dir):
            for path in [directory] + [os.path.join(directory, f) for f in files]:
                os.chown(path, owner.pw_uid, owner.pw_gid)
        self.defaults = os.path.join(self.dir, "defaults")
        self.init_directory = os.path.join(self.dir, "init")
        with open(self.defaults, "w", encoding="ascii") as f:
            f.write(f"DAEMON={PROGRAM}\nPSTATS={PSTATS}\nCONFIG={p.config}\nUSER={self.user}\n"
                    f"RUN_DIRECTORY={self.run_directory}\nSTATE_DIRECTORY={p.dir}/lib\n"
                    f"INIT_DIRECTORY={self.init_directory}\n"
                    f"LOG_DIRECTORY={p.dir}/log\nSTART_TIMEOUT={start_timeout}\n")

    def verb(self, *words):
        """Returns (exit code, standard output, standard error)."""
        done = subprocess.run(["/bin/sh", SCRIPT, *words], capture_output=True, check=False,
                              timeout=180, stdin=subprocess.DEVNULL, cwd="/",
                              env={"INIT_DEFAULTS": self.defaults, "PATH": os.environ["PATH"]})
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def expect(self, verb, code, says=""):
        got, out, err = self.verb(verb)
        self.assertEqual(got, code, f"{verb}: {out}{err}")
        self.assertIn(says, out + err, verb)
        return out + err

    def master(self):
        with open(os.path.join(self.run_directory, "monasca-persister.pid"), encoding="ascii") as f:
            return int(f.read())

    def test_every_verb_and_each_twice(self):
        self.use_shared()
        self.prepare()
        self.expect("status", 3, "not running")
        self.expect("stop", 0, "not running")
        self.expect("reload", 7, "not running")
        self.expect("start", 0, "started")
        self.assertTrue(self.p.is_settled(), "it returns when all workers consume")
        master = self.master()
        self.assertEqual(os.stat(f"/proc/{master}").st_uid, pwd.getpwnam(self.user).pw_uid)
        self.expect("start", 0, "already running")
        self.expect("status", 0, "running (pid")
        self.feed(2000)
        for _ in range(2):
            self.expect("reload", 0, "is taken")
        self.assertEqual(self.master(), master)
        self.expect("force-reload", 0, "is taken")
        self.expect("restart", 0, "started")
        self.assertNotEqual(self.master(), master)
        self.wait_drained()
        self.expect("restart", 0, "started")
        self.expect("stop", 0, "stopped")
        self.expect("stop", 0, "not running")
        self.expect("status", 3, "not running")
        self.assertEqual([f for f in os.listdir(self.run_directory) if f.endswith(".pid")], [])
        self.expect("restart", 0, "started")
        self.expect("stop", 0, "stopped")
        self.assert_stored(2000)
        self.assertEqual(self.verb("dance")[0], 2)
        self.assertEqual(self.verb()[0], 2)

    def test_the_services_user_cannot_have_root_open_anything(self):
        """Whatever is in his directory: root writes to no link of it, and waits for no fifo."""
        self.use_shared()
        self.prepare()
        precious = os.path.join(self.dir, "precious")
        with open(precious, "w", encoding="ascii") as f:
            f.write("root's\n")
        os.chmod(precious, 0o600)
        os.makedirs(self.run_directory, exist_ok=True)
        names = ["monasca-persister." + name for name in ("start", "master", "pid")]
        for name in names:
            path = os.path.join(self.run_directory, name)
            os.symlink(precious, path)
            os.lchown(path, pwd.getpwnam(self.user).pw_uid, -1)
        self.expect("start", 0, "started")
        for name in names[:2]:
            path = os.path.join(self.run_directory, name)
            os.unlink(path)
            os.mkfifo(path, 0o666)
        self.expect("status", 0, "running (pid")
        self.expect("stop", 0, "stopped")
        with open(precious, encoding="ascii") as f:
            self.assertEqual(f.read(), "root's\n")
        self.assertEqual(os.stat(precious).st_mode & 0o777, 0o600)

    def test_a_directory_that_is_not_roots_alone_is_refused(self):
        self.use_shared()
        self.prepare()
        os.symlink(self.run_directory, self.init_directory)
        self.assertIn("is not a directory of root's", self.expect("start", 1))
        os.unlink(self.init_directory)
        os.mkdir(self.init_directory, 0o755)
        os.chown(self.init_directory, 65534, 65534)
        self.assertIn("is not a directory of root's", self.expect("start", 1))
        self.expect("status", 3, "not running")

    def test_several_at_once(self):
        """One starts it, and its pid file is that of the one that runs."""
        self.use_shared()
        self.prepare()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for _ in range(3):
                said = list(pool.map(self.verb, ["start"] * 6))
                self.assertEqual([code for code, _, _ in said], [0] * 6, said)
                self.assertEqual(sum("already running" not in out for _, out, _ in said), 1, said)
                self.expect("status", 0, f"running (pid {self.master()})")
                said = list(pool.map(self.verb, ["stop"] * 3))
                self.assertEqual([code for code, _, _ in said], [0] * 3, said)
                self.expect("status", 3)

    def test_a_wrong_configuration(self):
        self.use_shared()
        self.prepare()
        self.expect("start", 0, "started")
        master = self.master()
        with open(self.p.config, "a", encoding="ascii") as f:
            f.write("[kafka]\nnum_processors = many\n")
        self.expect("reload", 1, "num_processors: 'many'")
        text = self.expect("restart", 6, "num_processors: 'many'")
        self.assertNotIn("stopped", text)
        self.assertEqual(self.master(), master, "restart has looked before it stops anything")
        self.expect("status", 0)
        self.expect("stop", 0, "stopped")
        self.expect("start", 6, "num_processors: 'many'")
        self.expect("status", 3)

    def test_the_log_of_a_configuration_that_names_none(self):
        """It is in a file that can be rotated, also after a reload."""
        self.use_shared()
        self.prepare(DEFAULT={"log_file": ""})
        self.expect("start", 0, "started")
        log = os.path.join(self.p.dir, "log", "persister.log")
        self.assertTrue(self.p.lines("ready: all", log))
        os.rename(log, log + ".1")
        os.kill(self.master(), signal.SIGUSR1)
        proc.wait_until(lambda: os.path.exists(log), 60, "the log is opened anew")
        self.expect("reload", 0, "is taken")
        self.assertTrue(self.p.lines("reload", log))
        self.expect("stop", 0, "stopped")
        self.assertTrue(self.p.lines("stopped", log))

    def test_workers_that_cannot_consume(self):
        self.own_broker(start=False)
        self.own_influx()
        self.prepare(start_timeout=15)
        text = self.expect("start", 1, "not all workers consume")
        self.assertIn("waits for kafka", text)
        self.expect("status", 0, "not all workers consume yet")
        self.broker.start()
        self.make_topic()
        ready = os.path.join(self.run_directory, "monasca-persister.pid")
        proc.wait_until(lambda: os.path.exists(ready), 60, "it is ready after all")
        self.expect("stop", 0, "stopped")

    def test_a_master_that_was_killed(self):
        self.use_shared()
        self.prepare()
        self.expect("start", 0, "started")
        os.kill(self.master(), 9)
        proc.wait_until(lambda: self.verb("status")[0] == 1, 60, "it is dead with a pid file")
        self.expect("start", 0, "started")
        self.expect("status", 0)
        self.expect("stop", 0)
