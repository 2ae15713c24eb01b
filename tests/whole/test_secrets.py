# SPDX-License-Identifier: Apache-2.0
"""Passwords stay where they are needed: who can read which process's memory, and what is in it."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from fixtures import proc
from fixtures.persister import PROGRAM
from fixtures.scenario import Scenario

SOMEBODY = 42424  # a user that nothing else runs as
SECRET = b"kept-to-itself-7f3a"
PTRACE_ATTACH, PTRACE_DETACH = 16, 17


def find_in_memory(pid, text):
    """Names of the mappings of a process that hold the text."""
    found = []
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            begin, end, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if mode[0] != "r":
                continue
            begin, end = int(begin, 16), int(end, 16)
            try:
                if text in os.pread(memory.fileno(), end - begin, begin):
                    found.append(line.strip())
            except OSError:
                pass  # [vvar] and the like
    return found


def become_somebody():
    os.setgroups([])
    os.setresgid(SOMEBODY, SOMEBODY, SOMEBODY)
    os.setresuid(SOMEBODY, SOMEBODY, SOMEBODY)


def try_one(pid):
    """What this process can do to that one."""
    able = []
    try:
        with open(f"/proc/{pid}/mem", "rb"):
            able.append("memory")
    except OSError:
        pass
    if proc.LIBC.ptrace(PTRACE_ATTACH, pid, None, None) == 0:
        os.waitpid(pid, 0)
        proc.LIBC.ptrace(PTRACE_DETACH, pid, None, None)
        able.append("trace")
    return able


class Secrets(Scenario):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root can look into the processes of others, and become others")
        self.use_shared()

    def name(self, pid):
        with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
            return f.read().strip()

    def admin_child(self, p):
        """Its pid, once it serves: then it has set its name and has all that it will have."""
        pids = proc.wait_until(lambda: [pid for pid in p.workers() if self.name(pid) == "admin"],
                               20, "the admin port's process runs")
        p.wait_log("admin[%d] INFO: admin port" % pids[0])
        return pids[0]


class AdminChild(Secrets):
    def test_it_has_none(self):
        secret = SECRET.decode()
        p = self.persister(
            start=False, admin={"enabled": True, "port": proc.free_ports()},
            influxdb={"user": "somebody", "password": secret + "-i"},
            postgresql={"conninfo": f"host=127.0.0.1 password={secret}-p"},
            kafka={"librdkafka.sasl.password": secret + "-k"})
        p.start()
        admin = self.admin_child(p)
        worker = [pid for pid in p.workers() if pid != admin][0]
        self.assertTrue(find_in_memory(worker, SECRET), "so they can be found")
        self.assertEqual(find_in_memory(admin, SECRET), [])
        self.assertTrue(find_in_memory(admin, self.database.encode()), "what it shows is there")
        p.reload(DEFAULT={"debug": False})
        self.assertEqual(find_in_memory(self.admin_child(p), SECRET), [])
        p.signal(signal.SIGTERM)
        self.assertEqual(p.wait(20), 0)


class NoProc(Secrets):
    def test_the_admin_port_is_served_all_the_same(self):
        """Where the program cannot be run once more, its process says what it keeps."""
        hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$0" "$@"']
        if subprocess.run([*hide, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no mounts of our own here")
        p = self.persister(start=False, admin={"enabled": True, "port": proc.free_ports()})
        p.write_config()
        p.spawn([*hide, PROGRAM, "--config-file", p.config])
        p.wait_log("INFO: admin port: http")
        self.assertEqual(len(p.lines("cannot be run once more")), 1)
        self.feed(500)
        self.assert_all_well(500)


class SameUser(Secrets):
    """What another process of the service's user can do to its processes."""

    def setUp(self):
        super().setUp()
        self.dir = tempfile.mkdtemp(prefix="persister-test-", dir="/tmp")  # where all may go
        self.addCleanup(shutil.rmtree, self.dir, True)

    def start_as_somebody(self, **sections):
        program = shutil.copy(PROGRAM, self.dir)
        p = self.persister(start=False, admin={"enabled": True, "port": proc.free_ports()},
                           **sections)
        p.write_config()
        for directory, _, files in os.walk(self.dir):
            for path in [directory, *(os.path.join(directory, f) for f in files)]:
                os.chown(path, SOMEBODY, SOMEBODY)

        def become():
            become_somebody()
            proc.die_with_parent()  # a change of user clears it

        with open(p.stderr, "ab") as log:
            p.process = subprocess.Popen([program, "--config-file", p.config], cwd=p.dir,
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         preexec_fn=become)
        proc.wait_until(lambda: p.ended_early() or p.all_run(), 60, "the persister has started")
        self.admin_child(p)
        return p

    def try_all(self, p):
        """{pid of a process: what somebody was able to do}."""
        pids = [p.pid, *p.workers()]
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            become_somebody()
            os.write(writer, "\n".join(" ".join(try_one(pid)) for pid in pids).encode())
            os._exit(0)
        os.close(writer)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        with open(reader, encoding="utf-8") as f:
            return dict(zip(pids, map(str.split, f.read().split("\n"))))

    def test_it_reads_nothing(self):
        p = self.start_as_somebody()
        self.assertEqual(self.try_all(p), {pid: [] for pid in [p.pid, *p.workers()]})
        self.assertEqual(p.pstats("-1")[0], 0)
        self.feed(500)
        self.assert_all_well(500)

    def test_it_may_if_the_operator_says_so(self):
        try:
            with open("/proc/sys/kernel/yama/ptrace_scope", encoding="ascii") as f:
                if int(f.read()) > 0:
                    self.skipTest("this kernel lets nobody trace but a parent")
        except FileNotFoundError:
            pass
        p = self.start_as_somebody(persister={"core_dumps": True})
        admin = self.admin_child(p)
        self.assertEqual(self.try_all(p), {pid: [] if pid == admin else ["memory", "trace"]
                                           for pid in [p.pid, *p.workers()]})


if __name__ == "__main__":
    unittest.main()
