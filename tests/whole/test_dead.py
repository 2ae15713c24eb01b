# SPDX-License-Identifier: Apache-2.0
"""persister-dead: dead letters of a real persister, listed, shown, and replayed through a real Kafka."""

import base64
import collections
import json
import os
import subprocess
import unittest

from fixtures import proc
from fixtures.scenario import START_MS, Scenario
from fixtures.kafka import unique

PROGRAM = os.path.join(proc.BUILD, "persister-dead")
DONE, FAILED, USAGE, PARTLY, NOTHING = range(5)  # its exit codes


class Dead(Scenario):
    """Messages of 50 dimensions have over 1024 bytes: too large for the persister, until the fix."""

    partitions = 2
    small = {"persister": {"max_message_bytes": 1024}, "dead_letter": {"keep": 100}}

    def argv(self, *arguments, p=None):
        return [PROGRAM, arguments[0], "--config-file", (p or self.persisters[0]).config,
                *map(str, arguments[1:])]

    def dead(self, *arguments, p=None):
        """Runs it with the persister's configuration: (exit code, standard output, standard error)."""
        done = subprocess.run(self.argv(*arguments, p=p), stdin=subprocess.DEVNULL,
                              capture_output=True, check=False, timeout=120)
        return done.returncode, done.stdout, done.stderr.decode()

    def list(self, *arguments, code=DONE):
        got, out, err = self.dead("list", "--json", *arguments)
        self.assertEqual(got, code, err)
        return json.loads(out)

    def replay(self, *arguments, code=DONE):
        got, out, err = self.dead("replay", "--json", "--yes", *arguments)
        self.assertEqual(got, code, err + out.decode())
        return json.loads(out)

    def reject(self, messages, **options):
        """A persister that finds all of these too large."""
        p = self.persister(**self.small, **options)
        self.feed(messages, dimensions=50)
        self.wait_drained()
        self.assertEqual(p.totals()["rejected_too_large"], messages)
        return p

    def fix(self, p):
        """The same instance, with a larger limit."""
        p.stop(30)
        p.sections["persister"]["max_message_bytes"] = 1048576
        p.start()

    def end(self, topic=None):
        """How many messages the topic has had."""
        ends = self.broker.client.offsets(topic or self.topic, self.partitions)
        return sum(ends.values())

    def letters(self, p):
        """The lines of all its dead letter files, read by other means than the program's."""
        letters = []
        directory = os.path.dirname(p.dead)
        for name in os.listdir(directory):
            if name.startswith("dead.jsonl") and not name.endswith(".replayed"):
                with open(os.path.join(directory, name), encoding="utf-8") as f:
                    letters += [json.loads(line) for line in f]
        return letters

    def journal(self, p):
        """(TOPIC, PARTITION, OFFSET) of what is noted as replayed."""
        with open(p.dead + ".replayed", encoding="utf-8") as f:
            return [(d["topic"], d["partition"], d["offset"]) for d in map(json.loads, f)]


class ListAndShow(Dead):
    def test_counts_are_the_persisters_own_and_payloads_the_exact_bytes(self):
        self.use_shared()
        p = self.persister()
        self.feed(2000, bad=10)
        self.wait_drained()
        letters, totals = self.letters(p), p.totals()
        listed = self.list()
        self.assertEqual(listed["letters"], 200)
        self.assertEqual({g["reason"]: g["letters"] for g in listed["groups"]},
                         {k.removeprefix("rejected_"): v for k, v in totals.items()
                          if k.startswith("rejected_") and v})
        self.assertEqual((listed["first"], listed["last"]),
                         (min(d["time"] for d in letters), max(d["time"] for d in letters)))
        self.assertEqual(listed["bytes"],
                         sum(len(base64.b64decode(d["payload"])) for d in letters))
        self.check_filters(letters)
        self.check_places(letters)
        self.stop()

    def check_filters(self, letters):
        reasons = collections.Counter(d["reason"] for d in letters)
        (one, n), (other, m) = reasons.most_common(2)
        self.assertEqual(self.list("--reason", one)["letters"], n)
        self.assertEqual(self.list("--reason", one, "--reason", other)["letters"], n + m)
        self.assertEqual(self.list("--topic", "elsewhere")["letters"], 0)
        self.assertEqual(self.list("--topic", self.topic)["letters"], 200)
        middle = sorted(d["time"] for d in letters)[100]
        before = sum(d["time"] < middle for d in letters)
        self.assertEqual(self.list("--until", middle)["letters"], before)
        self.assertEqual(self.list("--since", middle)["letters"], 200 - before)
        self.assertEqual(self.list("--since", "1h")["letters"], 200)
        self.assertEqual(self.list("--accepted")["letters"], 0)

    def check_places(self, letters):
        """Each letter is found by the place that --each gives it; those of several reasons shown."""
        each = self.list("--each")["each"]
        self.assertEqual({(d["topic"], d["partition"], d["offset"], d["time"], d["reason"])
                          for d in each},
                         {(d["topic"], d["partition"], d["offset"], d["time"], d["reason"])
                          for d in letters})
        for letter in {d["reason"]: d for d in letters}.values():
            place = f"{letter['topic']}/{letter['partition']}/{letter['offset']}"
            code, raw, err = self.dead("show", place, "--raw")
            self.assertEqual((code, raw), (DONE, base64.b64decode(letter["payload"])), err)
            shown = json.loads(self.dead("show", place, "--json")[1])
            self.assertEqual(shown["letter"], letter)
            self.assertEqual(shown["now"], {"reason": letter["reason"], "detail": letter["detail"]})
            text = self.dead("show", place)[1]
            self.assertIn(letter["reason"].encode(), text)
            self.assertFalse(set(text) & (set(range(32)) - {9, 10}), "control characters")
        code, _, err = self.dead("show", f"{self.topic}/0/99999999")
        self.assertEqual(code, NOTHING)
        self.assertIn("99999999", err)


class Replay(Dead):
    def test_what_was_fixed_arrives_and_what_was_not_comes_back_once(self):
        self.use_shared()
        p = self.reject(60)
        self.feed(100, first=1000, bad=20)  # 20 that stay wrong
        self.wait_drained()
        self.assertEqual(self.list("--accepted")["letters"], 0)
        self.fix(p)
        self.assertEqual(self.list("--accepted")["letters"], 60)
        code, out, err = self.dead("replay", "--dry-run")
        self.assertEqual((code, self.end()), (DONE, 160), err)
        self.assertIn(b"would be sent: 80", out)
        self.assertFalse(os.path.exists(p.dead + ".replayed"))
        code, _, err = self.dead("replay")
        self.assertEqual((code, self.end()), (USAGE, 160))
        self.assertIn("--yes", err)
        done = self.replay("--accepted")
        self.assertEqual((done["before"]["letters"], done["before"]["replayed"], done["sent"],
                          done["delivered"], done["after"]["letters"], done["after"]["replayed"]),
                         (80, 0, 60, 60, 80, 60))
        self.wait_drained()
        self.assertEqual(self.stored() & set(range(60)), set(range(60)))
        self.assertEqual((self.replay("--accepted")["sent"], self.end()), (0, 220))
        self.check_still_wrong(p)

    def accepted(self):
        """Payloads, in base64, of the letters that the decoder takes now."""
        for d in self.list("--accepted", "--each")["each"]:
            place = f"{d['topic']}/{d['partition']}/{d['offset']}"
            yield base64.b64encode(self.dead("show", place, "--raw")[1]).decode()

    def check_still_wrong(self, p):
        """Replayed as they are they are rejected again: a new letter each, and nothing by itself."""
        old = collections.Counter(d["payload"] for d in self.letters(p))
        wrong = old - collections.Counter(dict.fromkeys(self.accepted(), 1))
        self.assertEqual((self.replay()["delivered"], wrong.total()), (20, 20))
        self.wait_drained()
        self.assertEqual((len(self.letters(p)), self.end()), (100, 240))  # of 240 that are settled
        listed = self.list()
        self.assertEqual((listed["letters"], listed["replayed"]), (100, 80))
        payloads = collections.Counter(d["payload"] for d in self.letters(p))
        self.assertEqual(payloads, old + wrong, "the same bytes, once more")
        self.stop()

    def test_one_into_another_topic_and_once_more(self):
        self.use_shared()
        self.make_topic(other := unique("other"))
        p = self.reject(3)
        letter = self.letters(p)[1]
        place = f"{letter['topic']}/{letter['partition']}/{letter['offset']}"
        self.assertEqual(self.replay(place, "--to", other)["delivered"], 1)
        self.assertEqual((self.end(), self.end(other)), (3, 1))
        code, _, err = self.dead("replay", place, "--yes")
        self.assertEqual(code, NOTHING, err)
        self.assertIn("replayed before", err)
        code, _, err = self.dead("replay", place + "9", "--yes")
        self.assertEqual((code, err), (NOTHING, "persister-dead: no such letter\n"))
        self.assertEqual(self.replay(place, "--to", other, "--again")["delivered"], 1)
        self.assertEqual(self.replay("--to", other, "--limit", 1)["delivered"], 1)
        b = self.persister("b", kafka_metrics={"topic": other})
        number = json.loads(base64.b64decode(letter["payload"]))["metric"]["timestamp"] - START_MS
        proc.wait_until(lambda: b.totals()["completed"] == 3, 60, "all are stored")
        self.assertIn(int(number), stored := self.stored())
        self.assertEqual(len(stored), 2)
        self.stop()

    def test_what_cannot_be_sent_is_said_and_nothing_is_noted(self):
        self.use_shared()
        self.make_topic(narrow := unique("narrow"), max_message_bytes=1100)
        p = self.reject(5)
        missing = unique("missing")
        done = self.replay("--to", missing, code=FAILED)
        self.assertEqual((done["sent"], done["after"]["replayed"]), (0, 0))
        with self.assertRaises(Exception):
            self.end(missing)  # and it was not made
        code, _, err = self.dead("replay", "--yes", "--brokers", "127.0.0.1:1")
        self.assertEqual(code, FAILED)
        self.assertIn("127.0.0.1:1", err)
        done = self.replay("--to", narrow, code=PARTLY)
        self.assertEqual((done["too_large"], done["delivered"], done["after"]["replayed"]), (5, 0, 0))
        with open(p.dead, "ab") as f:  # a line that is none, and one whose writer was killed
            f.write(b'{"topic":\n{"topic":"metrics","part')
        done = self.replay(code=PARTLY)
        self.assertEqual((done["delivered"], done["unusable"], done["torn_bytes"]), (5, 1, 24))
        self.assertIn("dead.jsonl:6: not JSON", done["faults"][0])
        self.stop()


    def test_what_is_too_large_does_not_use_up_the_limit(self):
        """Else a replay in portions would stand still at letters that the topic never takes. Small
        ones that Kafka refuses with the batch that they are in are not too large."""
        self.use_shared()
        self.make_topic(narrow := unique("narrow"), max_message_bytes=1100)
        self.reject(5)
        self.feed(100, first=1000, bad=20)
        self.wait_drained()
        self.feed(5, first=2000, dimensions=50)
        self.wait_drained()
        sizes = [d["bytes"] for d in self.list("--each")["each"]]
        small = sum(n < 1000 for n in sizes)
        for portion in range(2):
            done = self.replay("--to", narrow, "--limit", 4, code=PARTLY)
            self.assertEqual((done["delivered"], done["after"]["replayed"]), (4, 4 * portion + 4))
            self.assertGreaterEqual(done["too_large"], 5)
            self.assertEqual(done["sent"], 4 + done["too_large"])
        done = self.replay("--to", narrow, "--limit", 1000, code=PARTLY)
        self.assertEqual((done["delivered"], self.end(narrow)), (small - 8, small))
        self.assertEqual(done["too_large"], len(sizes) - small)
        self.stop()

    def test_notes_of_letters_that_are_gone_are_forgotten_when_they_are_many(self):
        self.use_shared()
        path, state = os.path.join(self.dir, "x.jsonl"), os.path.join(self.dir, "x.state")
        where = ["--yes", "--json", "--file", path, "--state", state, "--brokers",
                 f"127.0.0.1:{self.broker.port}"]
        letter = {"topic": self.topic, "partition": 0, "offset": 1, "reason": "not_json",
                  "time": "2026-09-21T14:13:20.123Z", "detail": "", "payload": "e30="}
        for gone, more, left in ((9999, b"", 10000), (10000, b"no letter\n", 10001), (10000, b"", 1)):
            with open(path, "wb") as f:
                f.write(json.dumps(letter).encode() + b"\n" + more)
            with open(state, "w", encoding="ascii") as f:
                f.writelines(f'{{"id":"{i:032x}"}}\n' for i in range(1, gone + 1))
            done = subprocess.run([PROGRAM, "replay", *where], stdin=subprocess.DEVNULL,
                                  capture_output=True, check=False, timeout=60)
            self.assertEqual(done.returncode, PARTLY if more else DONE, done.stderr)
            self.assertEqual(json.loads(done.stdout)["after"]["replayed"], 1)
            with open(state, "rb") as f:
                self.assertEqual(len(f.readlines()), left, (gone, more))
        done = subprocess.run([PROGRAM, "replay", *where], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False, timeout=60)
        self.assertEqual(json.loads(done.stdout)["chosen"], 0, "that it was replayed is still known")

    def test_what_it_could_not_count_it_does_not_say(self):
        self.use_shared()
        p = self.reject(60)
        p.stop(30)
        with subprocess.Popen(self.argv("replay", "--yes", "--json", "--rate", 10),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as replay:
            proc.wait_until(lambda: self.end() > 60, 60, "it sends")
            os.rename(p.dead, p.dead + ".moved")
            os.mkdir(p.dead)
            self.assertIsNone(replay.poll(), "it is still at it")
            out, err = replay.communicate(timeout=60)
        self.assertEqual(replay.returncode, FAILED)
        self.assertIn(b": not a regular file", err)
        done = json.loads(out)
        self.assertEqual((done["sent"], done["delivered"]), (60, 60), "what is open is read on")
        self.assertNotIn("after", done)
        self.assertEqual(len(set(self.journal(p))), 60)


class Interrupted(Dead):
    messages = 3000
    seconds = 60

    def kill_at(self, p, count):
        """Starts a replay and kills it when so many letters are noted."""
        replay = subprocess.Popen(self.argv("replay", "--yes", "--rate", 500),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            proc.wait_until(lambda: len(self.journal_of_whole_lines(p)) > count, 60,
                            f"{count} letters")
            self.assertIsNone(replay.poll(), "it had ended before it was to be killed")
        finally:
            replay.kill()
            replay.wait()

    def test_killed_twice_and_run_again_nothing_is_lost_and_little_is_doubled(self):
        self.use_shared()
        p = self.reject(self.messages)
        self.fix(p)
        self.kill_at(p, 500)
        with open(p.dead + ".replayed", "ab") as f:
            f.write(b'{"topic":"half a li')
        first = len(self.journal_of_whole_lines(p))
        self.kill_at(p, first + 400)
        second = len(self.journal_of_whole_lines(p))
        self.assertTrue(500 < first < second < self.messages, (first, second))
        done = self.replay()
        self.assertEqual((done["before"]["replayed"], done["delivered"]),
                         (second, self.messages - second))
        self.assertEqual(done["after"]["replayed"], self.messages)
        self.assertEqual(done["unreadable_state"], 0)
        self.assertEqual(len(set(self.journal(p))), self.messages)
        # Only what was under way at a kill is there twice: some hundredths of a second each.
        self.assertLess(self.end() - 2 * self.messages, 600)
        self.wait_drained()
        self.assertEqual(self.stored(), set(range(self.messages)))
        self.stop()

    def test_a_broker_that_goes_away_ends_it_and_it_goes_on_later(self):
        self.own_broker()
        self.own_influx()
        p = self.reject(self.messages)
        self.fix(p)
        with subprocess.Popen(self.argv("replay", "--yes", "--json", "--rate", 500,
                                        "-X", "message.timeout.ms=2000"),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as replay:
            proc.wait_until(lambda: self.end() > self.messages + 200, 60, "it sends")
            self.broker.pause()
            self.assertIsNone(replay.poll(), "it is still at it")
            out, err = replay.communicate(timeout=120)
        self.broker.resume()
        done = json.loads(out)
        self.assertEqual(replay.returncode, FAILED)
        self.assertRegex(err.decode(), rf"persister-dead: {self.topic}/\d+/\d+ to {self.topic}: .+\n")
        self.assertGreater(done["undelivered"], 0)
        self.assertEqual(done["sent"], done["delivered"] + done["undelivered"])
        self.assertEqual(done["after"]["replayed"], done["delivered"])
        proc.wait_until(lambda: self.lag() >= 0, 120, "the broker is itself again")
        again = self.replay()
        self.assertEqual(again["delivered"], self.messages - done["delivered"])
        self.wait_drained()
        self.assertEqual(self.stored(), set(range(self.messages)))
        self.stop()

    def journal_of_whole_lines(self, p):
        try:
            with open(p.dead + ".replayed", "rb") as f:
                return [line for line in f if line.endswith(b"\n")]
        except FileNotFoundError:
            return []

    def test_term_ends_it_with_all_notes_and_two_at_once_are_one_too_many(self):
        self.use_shared()
        p = self.reject(self.messages)
        with subprocess.Popen(self.argv("replay", "--yes", "--json", "--rate", 200),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as replay:
            proc.wait_until(lambda: self.end() > self.messages, 60, "it sends")
            code, _, err = self.dead("replay", "--yes")
            self.assertEqual(code, FAILED)
            self.assertIn("another replay is under way", err)
            replay.terminate()
            out, err = replay.communicate(timeout=60)
        self.assertEqual((replay.returncode, err), (FAILED, b"persister-dead: interrupted\n"))
        done = json.loads(out)
        self.assertEqual(done["sent"], done["delivered"])
        self.assertEqual(done["after"]["replayed"], done["sent"])
        self.assertEqual(self.end() - self.messages, done["sent"])
        self.stop()


class Rotation(Dead):
    messages = 4000

    def test_the_persister_appends_and_rotates_while_its_letters_are_replayed(self):
        """It still finds them too large: each that is replayed comes back, into the same files."""
        self.use_shared()
        p = self.reject(self.messages)
        p.stop(30)
        p.sections["dead_letter"]["max_size_mb"] = 1
        p.start()
        before = self.list()
        done = self.replay("--rate", 2000)
        self.assertEqual(done["delivered"], self.messages)
        self.wait_drained()
        listed = self.list()
        self.assertGreater(listed["files"], before["files"] + 3, "it has rotated meanwhile")
        self.assertEqual((listed["letters"], listed["replayed"], listed["unusable"]),
                         (2 * self.messages, self.messages, 0))
        self.assertEqual(self.end(), 2 * self.messages)
        places = [(d["topic"], d["partition"], d["offset"]) for d in self.letters(p)]
        self.assertEqual(len(set(places)), 2 * self.messages)
        self.assertEqual(collections.Counter(self.journal(p)).most_common(1)[0][1], 1)
        self.assertLessEqual(set(self.journal(p)), set(places))
        self.fix(p)
        self.assertEqual(self.replay()["delivered"], self.messages)
        self.wait_drained()
        self.assertEqual(self.stored(), set(range(self.messages)))
        self.stop()


class TopicForm(Dead):
    messages = 2000

    def test_from_a_topic_that_keeps_what_was_replayed(self):
        self.use_shared()
        self.make_topic(dead := unique("dead"))
        p = self.persister(**{**self.small, "dead_letter": {"topic": dead}})
        self.feed(self.messages, dimensions=50)
        self.wait_drained()
        self.assertFalse(os.path.exists(p.dead))
        self.assertEqual(self.list()["letters"], self.messages)
        each = self.list("--each")["each"][7]
        place = f"{each['topic']}/{each['partition']}/{each['offset']}"
        _, raw, _ = self.dead("show", place, "--raw")
        self.assertEqual(len(raw), each["bytes"])
        self.assertIn(f"in         {dead}/".encode(), self.dead("show", place)[1])
        self.fix(p)
        self.assertEqual(self.replay("--limit", 300)["after"]["replayed"], 300)
        self.assertEqual(self.end(dead), self.messages + 300)
        self.kill_and_go_on(dead)
        self.assertEqual(self.replay()["sent"], 0)
        code, _, err = self.dead("replay", "--yes", "--again", "--to", dead)
        self.assertEqual(code, FAILED)
        self.assertIn("is the dead letter topic", err)
        self.wait_drained()
        self.assertEqual(self.stored(), set(range(self.messages)))
        self.assertFalse(os.path.exists(p.dead + ".replayed"))
        self.stop()

    def kill_and_go_on(self, dead):
        with subprocess.Popen(self.argv("replay", "--yes", "--rate", 400),
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as replay:
            proc.wait_until(lambda: self.end(dead) > self.messages + 700, 60, "marks")
            replay.kill()
        noted = self.list()["replayed"]
        self.assertTrue(700 < noted < self.messages, noted)
        done = self.replay()
        self.assertEqual((done["before"]["replayed"], done["delivered"]),
                         (noted, self.messages - noted))
        self.assertEqual(done["after"]["replayed"], self.messages)


class Options(Dead):
    def test_wrong_ones_are_named_with_what_is_allowed(self):
        for arguments, expected in (
                ([], "list, show, replay"),
                (["lost"], "allowed: list, show, replay"),
                (["show"], "TOPIC/PARTITION/OFFSET"),
                (["show", "metrics/0"], "allowed: TOPIC/PARTITION/OFFSET"),
                (["show", "metrics/0/-1"], "allowed: TOPIC/PARTITION/OFFSET"),
                (["list", "--reason", "odd"], "allowed: not_json, not_utf8"),
                (["list", "--since", "yesterday"], "allowed: a time in UTC"),
                (["list", "--topic", "a b"], "allowed: the name of a Kafka topic"),
                (["list", "--since", "1h", "--until", "2h"], "--until is not after --since"),
                (["list", "--to", "x"], "are for replay"),
                (["replay", "--rate", "0"], "allowed: a whole number from 1"),
                (["replay", "--section", "kafka_events"], "allowed: kafka_metrics"),
                (["replay", "--to", "d", "--dead-topic", "d"], "dead letter topic"),
                (["list", "--file", "x.jsonl.3"], "read together with x.jsonl"),
                (["replay", "-X", "acks"], "-X acks: allowed: NAME=VALUE"),
                (["replay", "--brokers", ""], "allowed: HOST:PORT"),
                (["list", "--config-file", "/nonexistent"], "/nonexistent")):
            done = subprocess.run([PROGRAM, *arguments], stdin=subprocess.DEVNULL,
                                  capture_output=True, check=False, text=True, timeout=60)
            self.assertEqual(done.returncode, USAGE, arguments)
            self.assertEqual(done.stdout, "")
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(expected, done.stderr)

    def test_what_cannot_be_printed_is_an_error(self):
        for arguments, code in ((["--help"], USAGE), (["list", "--file", "/dev/null"], FAILED)):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE,
                                      check=False, timeout=60)
            self.assertEqual(done.returncode, code)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_a_file_without_any_configuration(self):
        path = os.path.join(self.dir, "copied.jsonl")
        done = subprocess.run([PROGRAM, "list", "--file", path], capture_output=True, check=False,
                              text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr),
                         (FAILED, f"persister-dead: no file {path}\n"))
        letter = {"topic": "metrics", "partition": 0, "offset": 1, "reason": "not_json",
                  "time": "2026-09-21T14:13:20.123Z", "detail": "", "payload": "e30="}
        with open(path, "w", encoding="ascii") as f:
            f.write(json.dumps(letter) + "\n")
        done = subprocess.run([PROGRAM, "list", "--file", path, "--topic", "other"], check=False,
                              capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout),
                         (DONE, b"no dead letters that the options mean; there are 1 others\n"))
        done = subprocess.run([PROGRAM, "show", "metrics/0/1", "--raw", "--file", path],
                              capture_output=True, check=False, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (DONE, b"{}"))
        with open(path, "a", encoding="ascii") as f:
            f.write(json.dumps(dict(letter, payload="e319")) + "\n")
        done = subprocess.run([PROGRAM, "show", "metrics/0/1", "--raw", "--file", path],
                              capture_output=True, check=False, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (FAILED, b""))
        self.assertIn(b"several letters have this place", done.stderr)



if __name__ == "__main__":
    unittest.main()
