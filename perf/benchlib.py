# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks in perf/ have in common: how they say on what they ran, and how they measure.

Each result begins with the same lines (describe): date, command, machine, versions, load average. CPU
is the operating system's account of processes (cpu_of_tree), memory the high-water mark that it keeps
of each (Tree), a rate the slope between steps of a counter (slope). Nothing here touches the figures
of the program under test.

Process: the benchmark's.  Owner: the caller.  Concurrency: one thread.
"""

import argparse
import datetime
import json
import os
import platform
import re
import resource
import shlex
import shutil
import signal
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICKS = os.sysconf("SC_CLK_TCK")


# --- the command line ---------------------------------------------------------------------------

def number(least, most=10**9):
    """An argparse type: a whole number within bounds."""
    def parse(text):
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"'{text}' is no number from {least} to {most}")
        return int(text)
    return parse


def arguments(doc):
    """A parser with the options that all have; the text of --help is the script's own."""
    parser = argparse.ArgumentParser(description=doc, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), metavar="DIR",
                        help="where it was built (%(default)s)")
    return parser


def set_up(options):
    """Makes the fixtures of the tests importable, for that build; TERM ends us as Ctrl-C does."""
    options.build = os.path.abspath(options.build)
    if not os.access(os.path.join(options.build, "monasca-persister"), os.X_OK):
        raise SystemExit(f"{os.path.basename(sys.argv[0])}: no monasca-persister in "
                         f"{options.build}; build it, and name that directory with --build")
    os.environ["BUILD"] = options.build
    sys.dont_write_bytecode = True
    sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "whole")]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


# --- on what it ran -----------------------------------------------------------------------------

def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def output(*argv):
    """What a program says, or "" if it cannot be run or fails."""
    try:
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def first(pattern, text, otherwise="unknown"):
    match = re.search(pattern, text, re.M)
    return match.group(1) if match else otherwise


def machine():
    memory = int(first(r"^MemTotal:\s+(\d+)", read("/proc/meminfo"), "0")) / 1048576
    model = first(r"^model name\s*:\s*(.+)$", read("/proc/cpuinfo"), platform.machine())
    system = first(r'^PRETTY_NAME="?([^"\n]+)', read("/etc/os-release"), platform.system())
    return (f"{os.cpu_count()} processors ({model}), {memory:.0f} GiB, {system}, "
            f"Linux {platform.release()}")


def revision():
    """The tree's commit, and whether there is more in it than was committed."""
    commit = output("git", "-C", ROOT, "rev-parse", "--short", "HEAD")
    if not commit:
        return ""
    changed = output("git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}, changed" if changed else commit


def our_version(build):
    makefile = read(os.path.join(build, "Makefile"))
    compiler = shlex.split(first(r"^CC = (.+)$", makefile, "cc"))
    flags = first(r"^CFLAGS = (.*)$", makefile)
    version = output(os.path.join(build, "monasca-persister"), "--version").split(" ")[-1]
    release = output(*compiler, "-dumpfullversion")
    return (f"{version} ({revision() or 'no git'}; {os.path.basename(compiler[-1])} {release} "
            f"{flags})")


def kafka_version():
    script = read(os.path.join(ROOT, "tests", "fixtures", "kafka-broker"))
    return os.environ.get("KAFKA_VERSION") or first(r"^version=\$\{KAFKA_VERSION:-([^}]+)\}", script)


def versions(build, *names):
    """{name: version} of the persister and of those that the benchmark uses."""
    from fixtures import postgres
    known = {
        "librdkafka": lambda: output("pkg-config", "--modversion", "rdkafka") or "unknown",
        "Apache Kafka": kafka_version,
        "InfluxDB": lambda: first(r"v(\S+)", output("influxd", "version")),
        "PostgreSQL": lambda: first(r"\) (\S+)", output(postgres.BIN + "/postgres", "--version")),
        "Python": platform.python_version,
    }
    return {"monasca-persister": our_version(build), **{name: known[name]() for name in names}}


def load_average():
    return os.getloadavg()


def describe(options, *names):
    """What every result begins with, as a dictionary."""
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "command": " ".join(["perf/" + os.path.basename(sys.argv[0]),
                                 *map(shlex.quote, sys.argv[1:])]),
            "machine": machine(), "versions": versions(options.build, *names),
            "load_average": list(load_average())}


def print_description(about):
    rest = dict(about)
    print(f"{rest.pop('date')}, {rest.pop('command')}\n")
    for name, value in rest.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        elif isinstance(value, list):
            value = " ".join(f"{v:.2f}" for v in value)
        print(f"{name.replace('_', ' ')}: {value}")
    print(flush=True)


# --- CPU and memory -----------------------------------------------------------------------------

def stat_of(pid):
    """The fields of /proc/PID/stat from the state on, or None."""
    text = read(f"/proc/{pid}/stat")
    return text.rpartition(")")[2].split() or None


def threads_of(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:  # it has ended
        return []


def tree_of(pid):
    """The process and all that descend from it."""
    found, i = [pid], 0
    while i < len(found):
        for thread in threads_of(found[i]):
            found += map(int, read(f"/proc/{found[i]}/task/{thread}/children").split())
        i += 1
    return found


def cpu_of_tree(pid):
    """Seconds of CPU of a process, its descendants, and those of them that it has waited for."""
    ticks = 0
    for one in tree_of(pid):
        fields = stat_of(one)
        if fields:
            ticks += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return ticks / TICKS


def busy_seconds():
    """Seconds that all processors were busy since boot, or taken away from this machine."""
    fields = list(map(int, first(r"^cpu +(.+)$", read("/proc/stat"), "0").split()))
    return sum(fields[0:3] + fields[5:8]) / TICKS  # not idle and iowait; guests are in user


def own_seconds():
    """CPU of this process and of all children that it has waited for."""
    return sum(u.ru_utime + u.ru_stime for u in map(
        resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


class Tree:
    """The largest resident set that each process below a pid ever had, by /proc."""

    def __init__(self, pid):
        self.pid, self.peaks = pid, {}

    def look(self):
        for pid in tree_of(self.pid):
            peak = first(r"^VmHWM:\s+(\d+)", read(f"/proc/{pid}/status"), "")
            title = read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
            if peak and title:
                self.peaks[pid] = (title, int(peak) / 1024)

    def largest(self):
        """MiB of the largest."""
        return max((mib for _, mib in self.peaks.values()), default=None)

    def each(self):
        return [{"pid": pid, "title": title[:200], "mib": round(mib, 1)}
                for pid, (title, mib) in sorted(self.peaks.items())]


# --- arithmetic ---------------------------------------------------------------------------------

def slope(looks, total):
    """The rate of a counter that rises from 0, or None if that was too quick to see.

    looks: [(seconds, count)], in order; total: the most that counts. Only the moments count at which
    it was first seen to have risen, without the start and what is beyond total: starting up, joining
    a group and waiting for a last batch that does not fill up are not what is asked.
    """
    steps = [looks[i] for i in range(len(looks))
             if 0 < looks[i][1] <= total and (i == 0 or looks[i][1] > looks[i - 1][1])]
    if len(steps) < 2:
        return None
    (t0, n0), (t1, n1) = steps[0], steps[-1]
    return (n1 - n0) / (t1 - t0)


def spread(values):
    """{least, median, most}, or None of nothing."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    return {"least": min(values), "median": statistics.median(values), "most": max(values)}


# --- tables -------------------------------------------------------------------------------------

def cell(value, digits=0):
    return "-" if value is None else f"{value:.{digits}f}"


def table(head, rows):
    """Lines with aligned columns, the first to the left and the others to the right."""
    cells = [list(map(str, row)) for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return ["  ".join(c.ljust(w) if i == 0 else c.rjust(w)
                      for i, (c, w) in enumerate(zip(row, widths))).rstrip() for row in cells]


# --- the load -----------------------------------------------------------------------------------

def load(build, broker, topic, messages, hosts=40, partitions=4, *more):
    """Makes the topic and puts so many distinct metrics on it; returns what persister-load says."""
    broker.client.create_topic(topic, partitions)
    done = subprocess.run([os.path.join(build, "persister-load"), "--json", "--progress", "0",
                           "--brokers", broker.address, "--topic", topic, "--kind", "metrics",
                           "--distinct", "--hosts", str(hosts), "--messages", str(messages),
                           *more],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{os.path.basename(sys.argv[0])}: the load could not be put on the topic")
    return json.loads(done.stdout)


def have(*programs):
    """Ends with one clear line if a program is missing."""
    for program in programs:
        if shutil.which(program) is None:
            raise SystemExit(f"{os.path.basename(sys.argv[0])}: no {program} here; ./check installs "
                             "what is needed")
