# SPDX-License-Identifier: Apache-2.0
"""A limit of InfluxDB's on series, with the whole program: existing series go on, the rest is kept."""

import json
import os
import subprocess
import unittest
import urllib.error

from fixtures import proc
from fixtures.influx import OPENER
from fixtures.scenario import Scenario, shared_broker

DEAD = os.path.join(proc.BUILD, "persister-dead")


class Capacity(Scenario):
    def health(self, port):
        try:
            with OPENER.open(f"http://127.0.0.1:{port}/healthcheck", timeout=10) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as e:
            return json.loads(e.read())
        except OSError:
            return {}

    def test_letters_of_capacity_are_replayed_when_there_is_room(self):
        limit = 'index-version = "inmem"\nmax-series-per-database = '
        port = proc.free_ports(1)
        self.broker = shared_broker()
        self.make_topic()
        # InfluxDB counts the points of a request that are of new series, not these series.
        self.own_influx(data=limit + "100")
        p = self.persister(influxdb={"held_seconds": 2}, admin={"enabled": True, "port": port})
        self.feed(60, hosts=1, names=3)
        self.wait_drained()
        self.assert_stored(60)
        old = self.feeding(740, 60, hosts=1, names=3)
        new = self.feeding(400, 800, hosts=40, names=15)
        old.wait()
        new.wait()
        self.wait_drained()
        letters = self.dead_letters()
        refused = {json.loads(d["bytes"])["metric"]["value"] for d in letters}
        self.assertEqual({d["reason"] for d in letters}, {"capacity"})
        self.assertGreaterEqual(min(refused), 800, "existing series go on")
        self.assert_stored(1200, missing=refused)
        self.assertEqual(p.totals()["rejected_capacity"], len(letters))
        proc.wait_until(lambda: "store.capacity" in self.health(port), 60, "health says so")
        check = self.health(port)["store.capacity"]
        self.assertEqual((check["status"], check["healthy"]), ("degraded", True))
        self.assertIn("held, all others are stored", "".join(p.lines("held")))
        # The operator makes room, and sends them again.
        self.influx.stop()
        with open(self.influx.config, encoding="utf-8") as f:
            config = f.read()
        with open(self.influx.config, "w", encoding="utf-8") as f:
            f.write(config.replace(limit + "100", limit + "0"))
        self.influx.start()
        done = subprocess.run([DEAD, "replay", "--config-file", p.config, "--yes"], check=False,
                              capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        proc.wait_until(lambda: self.stored() == set(range(1200)), 60, "all are stored")
        self.stop()


if __name__ == "__main__":
    unittest.main()
