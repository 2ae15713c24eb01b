# SPDX-License-Identifier: Apache-2.0
"""The corpus through a real Kafka into a real InfluxDB, compared by meaning with the golden files."""

import base64
import json
import os
import unittest

from fixtures.proc import CORPUS
from fixtures.scenario import Scenario

# What malformed.jsonl has to be stored, but FORMATS.md says cannot be written to InfluxDB.
NOT_IN_INFLUXDB = {"dimension trailing backslash"}

JSON_FIELDS = {"value_meta", "metrics", "sub_alarms", "reason_data"}


def read_lines(name):
    with open(os.path.join(CORPUS, name), "rb") as f:
        return f.read().splitlines()


def by_meaning(field, value):
    return json.loads(value) if field in JSON_FIELDS else value


def expected_row(payload):
    """What a metric of malformed.jsonl that is to be stored looks like in InfluxDB."""
    message = json.loads(payload.decode("utf-8-sig"))
    metric, meta = message["metric"], message["meta"]
    tags = {k: str(v) for k, v in (metric.get("dimensions") or {}).items()}
    tags.update({"_tenant_id": meta["tenantId"], "_region": meta["region"]})
    tags = {k: v.replace("\\", "\\\\") for k, v in tags.items() if v != ""}
    time_ms = int(float(metric["timestamp"]))
    meta_value = metric.get("value_meta")
    return (metric["name"], frozenset(tags.items()), time_ms,
            (float(metric["value"]), json.dumps(meta_value if meta_value is not None else {})))


class Corpus(Scenario):
    seconds = 40
    partitions = 1  # one order: of two messages for one row, the last one wins

    def contents(self, database):
        """{(measurement, tags): {time: {field: value}}}"""
        result = {}
        for s in self.influx.query("SELECT * FROM /.*/ GROUP BY *", database):
            rows = result.setdefault((s["name"], frozenset(
                (k, v) for k, v in s["tags"].items() if v != "")), {})
            for values in s["values"]:
                row = {k: by_meaning(k, v) for k, v in zip(s["columns"], values) if v is not None}
                rows[row.pop("time")] = row
        return result

    def write_golden(self, *names):
        """The golden lines, read by InfluxDB itself, in a database of their own."""
        database = self.database + "_golden"
        self.influx.query(f'CREATE DATABASE "{database}"')
        for name in names:
            lines = [json.loads(line)["line"] for line in read_lines(name)]
            self.influx.request("/write", data="\n".join(lines).encode(), db=database,
                                precision="ms")
        return self.contents(database)

    def make_mixture(self):
        """The metrics with a malformed message after every fortieth; returns path and cases."""
        cases = [json.loads(line) for line in read_lines("malformed.jsonl")]
        path = os.path.join(self.dir, "mixture.jsonl")
        with open(path, "w", encoding="ascii") as f:
            left = list(cases)
            for i, line in enumerate(read_lines("metrics.jsonl")):
                f.write(json.dumps({"base64": base64.b64encode(line).decode()}) + "\n")
                if i % 40 == 39 and left:
                    f.write(json.dumps({"base64": left.pop(0)["base64"]}) + "\n")
            self.assertEqual(left, [])
        return path, cases

    def is_stored(self, case):
        return case["verdict"] == "store" and case["case"] not in NOT_IN_INFLUXDB

    def test_every_message_ends_where_its_verdict_says(self):
        self.use_shared()
        self.make_topic(self.alarm_topic, 1)
        path, cases = self.make_mixture()
        self.replay(path, form="--replay-base64")
        self.replay(os.path.join(CORPUS, "alarm-state-transitions.jsonl"), self.alarm_topic)
        p = self.persister(kafka_metrics={"num_processors": 1, "batch_size": 500},
                           kafka_alarm_history={"enabled": True})
        self.wait_drained()
        self.wait_drained(topic=self.alarm_topic, group=self.alarm_group)
        self.stop()
        self.check_dead(cases)
        self.check_rows(cases)
        self.check_figures(p, cases)

    def check_dead(self, cases):
        expected = sorted(base64.b64decode(c["base64"]) for c in cases if not self.is_stored(c))
        dead = self.dead_letters()
        self.assertEqual(sorted(d["bytes"] for d in dead), expected)
        self.assertEqual({d["topic"] for d in dead}, {self.topic})
        for d in dead:
            self.assertTrue(d["detail"], d)

    def check_rows(self, cases):
        golden = self.write_golden("metrics.golden.jsonl", "alarm-state-transitions.golden.jsonl")
        self.assertEqual(sum(len(rows) for rows in golden.values()) > 3000, True)
        contents = self.contents(self.database)
        expected = {}
        for case in filter(self.is_stored, cases):
            name, tags, time_ms, row = expected_row(base64.b64decode(case["base64"]))
            expected.setdefault((name, tags), {}).setdefault(time_ms, set()).add(row)
        for series, times in expected.items():
            self.assertIn(series, contents)
            found = contents.pop(series)
            self.assertEqual(set(found), set(times), series)
            for time_ms, row in found.items():
                self.assertIn((row["value"], json.dumps(row["value_meta"])), times[time_ms], series)
        self.assertEqual(set(contents), set(golden))
        for series, rows in golden.items():
            self.assertEqual(contents[series], rows, series)

    def check_figures(self, p, cases):
        t = p.totals()
        rejected = sum(not self.is_stored(c) for c in cases)
        self.assertEqual(t["rejected"], rejected)
        self.assertEqual(t["completed"], 3000 + 150 + len(cases) - rejected)
        self.assertEqual(t["returned"], 0)
        for name, s in p.processes().items():
            self.assertEqual(s["restarts"], 0, name)


if __name__ == "__main__":
    unittest.main()
