# SPDX-License-Identifier: Apache-2.0
"""One run of each case of perf/compare.

A case takes the messages of one topic (or the rows made of them) into an emptied store, and says what
that cost: {"rate": messages a second, "seconds": from start to the last row, "cpu": seconds of all its
processes, "store_cpu", "kafka_cpu": of the servers meanwhile, "mib": of its largest process,
"processes": [...], "rows": in the store, "void": why it does not count, or None}.

Process: perf/compare's.  Owner: struct World, which has the servers.  Concurrency: one thread, besides
that of Recorder.
"""

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import benchlib

LOOK_SECONDS = 0.1
WAIT_SECONDS = 3  # max_wait_time_seconds, of ours and of the Python one
BATCH = 20000     # batch_size, likewise: its default in both
PARTITIONS = 4
CEILING = os.path.join(benchlib.ROOT, "perf", "ceiling")


class World:
    """The servers, the topic and what all runs share."""

    def __init__(self, options, directory):
        from fixtures.influx import Influx
        from fixtures.kafka import Broker
        from fixtures.postgres import Postgres
        self.options, self.dir, self.messages = options, directory, options.messages
        # So that two workers find each other before they begin, as with Kafka's own default of 3 s.
        self.kafka = Broker(os.path.join(directory, "kafka"),
                            group_initial_rebalance_delay_ms=1000)
        self.influx = Influx(os.path.join(directory, "influx"))
        self.postgres = Postgres()
        self.batch = max([BATCH] + [int(value) for _, option, value in options.set
                                    if option == "batch_size" and value.isdecimal()])
        self.topic, self.python, self.series = "metrics", None, None
        self.lines = os.path.join(directory, "lines")
        self.copies = {n: [os.path.join(self.postgres.dir, f"rows-{n}-{i}") for i in range(n)]
                       for n in (1, 2)}

    def start(self):
        self.kafka.start()
        self.influx.start()
        self.postgres.start()

    def stop(self):
        self.kafka.stop()
        self.influx.kill()
        self.postgres.remove()

    def empty(self, store):
        if store == "influxdb":
            self.influx.query('DROP DATABASE "mon"')
        elif store == "postgresql":
            self.postgres.sql("DROP SCHEMA IF EXISTS monasca CASCADE")
            self.postgres.sql("CHECKPOINT")

    def rows(self, store):
        """(rows, sum of their values) in the store; the values are the messages' numbers."""
        if store == "influxdb":
            found = [row for _, row in self.influx.rows("SELECT count(value), sum(value) FROM /.*/",
                                                        "mon")]
            return sum(row["count"] for row in found), sum(row["sum"] for row in found)
        count, total = self.postgres.sql(
            "SELECT count(*), coalesce(sum(value), 0) FROM monasca.measurements")[0]
        return int(count), float(total)

    def check(self, store):
        """(rows, what is wrong with them or None): each message has to be there, once."""
        rows, total = self.rows(store)
        n = self.messages
        if rows != n:
            return rows, f"{rows} rows of {n} messages"
        if total != n * (n - 1) // 2:
            return rows, "as many rows as messages, but not of each message one"
        series = self.count_series(store)
        if series != self.series:
            return rows, f"{series} series, and {self.series} were sent"
        return rows, None

    def count_series(self, store):
        if store == "postgresql":
            return int(self.postgres.value("SELECT count(*) FROM monasca.metrics"))
        found = self.influx.rows("SHOW SERIES EXACT CARDINALITY", "mon")
        return sum(row["count"] for _, row in found)

    def server(self, store):
        return {"influxdb": self.influx, "postgresql": self.postgres}.get(store)

    def cpu(self, store):
        """Seconds of CPU that (the store, Kafka) have used so far."""
        server = self.server(store)
        return (None if server is None else benchlib.cpu_of_tree(server.pid),
                benchlib.cpu_of_tree(self.kafka.pid))


class Others:
    """What everybody else on the machine takes of its processors, since this was made."""

    def __init__(self, world):
        self.world, self.started = world, time.monotonic()
        self.theirs = self.seconds()

    def seconds(self):
        servers = (self.world.kafka, self.world.influx, self.world.postgres)
        return benchlib.busy_seconds() - benchlib.own_seconds() - sum(
            benchlib.cpu_of_tree(server.pid) for server in servers)

    def percent(self):
        """Of one processor."""
        taken = self.seconds() - self.theirs  # the kernel's accounts may differ by a tick
        return max(0, 100 * taken / (time.monotonic() - self.started))


def result(world, store, before, **found):
    """What a run was, with the servers' CPU since `before`, as World.cpu gave it."""
    after = world.cpu(store)
    cpus = {name: None if b is None else a - b
            for name, b, a in zip(("store_cpu", "kafka_cpu"), before, after)}
    return {"rate": None, "seconds": None, "cpu": None, "mib": None, "processes": [], "rows": None,
            "void": None, **cpus, **found}


# --- the bare consumer --------------------------------------------------------------------------

def run_program(argv):
    """Runs it to its end: (exit code, its standard output, CPU, Tree)."""
    from fixtures import proc
    p = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, preexec_fn=proc.die_with_parent)
    tree = benchlib.Tree(p.pid)
    while not has_ended(p):
        tree.look()
        time.sleep(LOOK_SECONDS)
    said = p.stdout.read()  # one short line
    p.stdout.close()
    cpu = reap(p)
    return p.returncode, said, cpu, tree


def has_ended(p):
    """Whether it has; it can still be waited for."""
    return os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def reap(p):
    """Waits for the process; returns the CPU of it and of all that it has waited for."""
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def run_bare(world, name, _store, _workers):
    before = world.cpu(None)
    code, said, cpu, tree = run_program(
        [world.options.build + "/perf/bench/count-consumer", "--brokers", world.kafka.address, "--topic",
         world.topic, "--group", name, "--messages", str(world.messages), "--idle-seconds",
         str(world.options.timeout)])
    found = result(world, None, before, cpu=cpu, mib=tree.largest(), processes=tree.each())
    if code not in (0, 1):
        return {**found, "void": f"the bare consumer ended with {code}"}
    said = json.loads(said)
    found.update(rate=said["count"] / max(said["wall_seconds"], 0.001), rows=said["count"],
                 seconds=said["wall_seconds"],
                 void=None if code == 0 else f"{said['count']} of {world.messages} messages came")
    return found


# --- persisters ---------------------------------------------------------------------------------

class Ours:
    """Our persister, as it is shipped: with its figures, its admin port and its StatsD."""

    def __init__(self, world, name, store, workers, influx_port=None):
        from fixtures import proc
        from fixtures.persister import Persister
        self.p = Persister(
            os.path.join(world.dir, name), world.kafka.address, influx_port or world.influx.port,
            name, DEFAULT={"debug": False}, persister={"period_seconds": 10},
            kafka={"max_wait_time_seconds": WAIT_SECONDS},
            kafka_metrics={"topic": world.topic, "group_id": name, "num_processors": workers,
                           "batch_size": BATCH},
            influxdb={"database_name": "mon", "timeout_seconds": 60},
            postgresql={"conninfo": world.postgres.conninfo},
            repositories={"metrics_driver": store, "alarm_state_history_driver": "discard"},
            statsd={"enabled": True, "port": proc.free_ports()},
            admin={"enabled": True, "port": proc.free_ports()})
        for section, option, value in world.options.set:
            self.p.sections.setdefault(section, {})[option] = value

    def start(self):
        self.p.start(wait=False)
        return self.p.process

    def done(self):
        """Messages that are stored, and those that never will be."""
        totals = self.p.totals() or {}
        return totals.get("completed", 0), totals.get("rejected", 0)

    def complaint(self):
        """What a person has to know of this run, or None."""
        t = self.p.totals()
        return f"{t['rejected']} messages rejected" if t and t["rejected"] else None

    def log(self):
        from fixtures import proc
        return proc.tail(self.p.stderr, 20) + "\n" + proc.tail(self.p.log, 20)


PYTHON_CONFIG = """[DEFAULT]
debug = False
log_file = {log}
[kafka]
num_processors = {workers}
max_wait_time_seconds = {wait}
legacy_kafka_client_enabled = False
[kafka_metrics]
enabled = True
uri = {kafka}
group_id = {name}
topic = {topic}
batch_size = {batch}
[kafka_alarm_history]
enabled = False
[kafka_events]
enabled = False
[influxdb]
ip_address = 127.0.0.1
port = {influx}
user = mon_persister
password = none
database_name = mon
batch_size = 10000
[repositories]
metrics_driver = \
monasca_persister.repositories.influxdb.metrics_repository:MetricInfluxdbRepository
"""


class Python:
    """The Python persister. How far it is, is what its group has committed."""

    def __init__(self, world, name, _store, workers):
        self.world, self.name, self.dir = world, name, os.path.join(world.dir, name)
        os.makedirs(self.dir)
        self.file = os.path.join(self.dir, "log")
        self.config = os.path.join(self.dir, "persister.conf")
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(PYTHON_CONFIG.format(
                log=self.file, workers=workers, wait=WAIT_SECONDS, kafka=world.kafka.address,
                name=name, topic=world.topic, batch=BATCH, influx=world.influx.port))

    def start(self):
        from fixtures import proc
        with open(os.path.join(self.dir, "stderr"), "wb") as err:
            return subprocess.Popen(
                [self.world.python + "/monasca-persister", "--config-file", self.config],
                stdin=subprocess.DEVNULL, stdout=err, stderr=err, cwd=self.dir,
                preexec_fn=proc.die_with_parent)

    def done(self):
        from fixtures.kafka import KafkaError
        client = self.world.kafka.client
        try:
            return sum(max(n, 0) for n in client.committed(
                self.name, self.world.topic, PARTITIONS).values()), 0
        except (KafkaError, OSError):
            return 0, 0

    def complaint(self):
        lines = re.findall(r"^.*(?: ERROR | CRITICAL |dropped).*$", benchlib.read(self.file), re.M)
        return f"{len(lines)} errors in its log; the first: {lines[0][:200]}" if lines else None

    def log(self):
        from fixtures import proc
        return proc.tail(os.path.join(self.dir, "stderr"), 20) + "\n" + proc.tail(self.file, 20)


def watch(world, persister, p):
    """Looks until all is done or it ends or the time is up: ([(seconds, done)], Tree, CPU)."""
    started, tree, looks, cpu, rejected = time.monotonic(), benchlib.Tree(p.pid), [(0, 0)], 0, 0
    while looks[-1][0] < world.options.timeout and looks[-1][1] + rejected < world.messages:
        if has_ended(p):
            break
        time.sleep(LOOK_SECONDS)
        tree.look()
        cpu = max(cpu, benchlib.cpu_of_tree(p.pid))
        done, rejected = persister.done()
        looks.append((time.monotonic() - started, done))
    return looks, tree, cpu


def end(p):
    """TERM, and KILL to all of it if that does not help. Returns the CPU as wait4 tells it."""
    timer = threading.Timer(60, kill_tree, [p.pid])
    timer.start()
    p.send_signal(signal.SIGTERM)
    usage = reap(p)
    timer.cancel()
    return usage


def kill_tree(pid):
    for one in reversed(benchlib.tree_of(pid)):
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            pass


def run_persister(kind, world, name, store, workers):
    world.empty(store)
    persister, before = kind(world, name, store, workers), world.cpu(store)
    p = persister.start()
    try:
        looks, tree, seen = watch(world, persister, p)
        found = result(world, store, before)  # the servers' CPU, before counting rows costs some
    except BaseException:
        kill_tree(p.pid)
        raise
    last = looks[-1][1]
    complaint = persister.complaint()
    # wait4 does not know of a worker that its parent did not wait for; /proc did.
    cpu = max(end(p), seen)
    void = None
    if last < world.messages:
        void = f"stopped at {last} of {world.messages} after {looks[-1][0]:.0f} s"
        sys.stderr.write(f"perf/compare: {name}: the end of its log:\n{persister.log()}\n")
    rows, wrong = (last, None) if store == "discard" else world.check(store)
    # The last batch of each worker waits for others to fill it up.
    rate = benchlib.slope(looks, world.messages - workers * world.batch)
    found.update(rate=rate, seconds=looks[-1][0], cpu=cpu, mib=tree.largest(),
                 processes=tree.each(), rows=rows, looks=[(round(t, 2), n) for t, n in looks],
                 void="; ".join(filter(None, [void, wrong, complaint])) or None)
    shutil.rmtree(os.path.join(world.dir, name), True)
    return found


def run_ours(world, name, store, workers):
    return run_persister(Ours, world, name, store, workers)


def run_python(world, name, store, workers):
    return run_persister(Python, world, name, store, workers)


# --- the raw ceiling ----------------------------------------------------------------------------

class Recorder:
    """Takes what our persister writes for InfluxDB's, and keeps the lines in a file."""

    def __init__(self, path):
        recorder = self
        self.file = open(path, "wb")
        self.lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                if self.path.startswith("/write"):
                    recorder.keep(body)
                self.send_response(204)
                # Nothing else is believed to have stored anything.
                self.send_header("X-Influxdb-Version", "1.8.10")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keep(self, body):
        with self.lock:
            self.file.write(body if body.endswith(b"\n") else body + b"\n")

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.file.close()


def drain_once(world, persister):
    """Lets a persister take all messages, outside of what is measured."""
    p = persister.start()
    try:
        looks, _, _ = watch(world, persister, p)
    finally:
        end(p)
    if looks[-1][1] < world.messages:
        raise SystemExit("perf/compare: the rows for the ceiling could not be made:\n"
                         + persister.log())


def record_lines(world):
    """The lines that one worker of ours sends for this topic, in its order."""
    recorder = Recorder(world.lines)
    try:
        drain_once(world, Ours(world, "recorded", "influxdb", 1, recorder.port))
    finally:
        recorder.close()


def record_rows(world):
    """The rows that one worker of ours stores of it, in its order; for two, page by page in turn."""
    world.empty("postgresql")
    drain_once(world, Ours(world, "copied", "postgresql", 1))
    for n, files in world.copies.items():
        for i, file in enumerate(files):
            world.postgres.sql(
                "COPY (SELECT metric_id, time, value, value_meta FROM monasca.measurements"
                f" WHERE (ctid::text::point)[0]::bigint % {n} = {i} ORDER BY ctid)"
                f" TO '{file}' (FORMAT binary)")
    world.postgres.sql("CREATE TABLE public.metrics_kept AS SELECT * FROM monasca.metrics")


def prepare_raw(world, store):
    """An empty store with what the first message would have made: database, tables, series."""
    if store == "influxdb":
        world.empty(store)
        world.influx.query('CREATE DATABASE "mon"')
        return ["influxdb", "--port", str(world.influx.port), "--database", "mon"]
    # The last run's tables, if it was of PostgreSQL at all, are the persister's own.
    world.postgres.sql("TRUNCATE monasca.measurements, monasca.metrics")
    world.postgres.sql("INSERT INTO monasca.metrics SELECT * FROM public.metrics_kept")
    world.postgres.sql("CHECKPOINT")
    from fixtures.postgres import BIN
    return ["postgresql", "--conninfo", world.postgres.conninfo, "--psql", BIN + "/psql"]


def run_raw(world, _name, store, connections):
    argv = [sys.executable, CEILING, *prepare_raw(world, store)]
    if store == "influxdb":
        argv += ["--connections", str(connections), world.lines]
    else:
        argv += world.copies[connections]
    before = world.cpu(store)
    code, said, _, tree = run_program(argv)
    found = result(world, store, before, mib=tree.largest(), processes=tree.each())
    if code != 0:
        return {**found, "void": "the store refused rows"}
    said = json.loads(said)
    found["rows"], found["void"] = world.check(store)
    # Its own account of the CPU: without starting up and finding the ends of lines.
    found.update(seconds=said["seconds"], cpu=said["cpu_seconds"],
                 rate=world.messages / said["seconds"])
    return found
