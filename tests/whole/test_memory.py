# SPDX-License-Identifier: Apache-2.0
"""What memory_limit_mb bounds: the peak of a worker that reads what is large, or becomes large."""

import json
import os
import unittest

from fixtures import batch
from fixtures.scenario import START_MS, Scenario

LIMIT_MB = 128
SIZE = 1000000


def metric():
    """A metric of 1 MB that becomes about a 20th of it when it is compressed."""
    text = json.dumps({"metric": {"name": "m", "timestamp": START_MS, "value": 0},
                       "meta": {"tenantId": "t", "region": "r"}, "creation_time": START_MS // 1000,
                       "unknown": os.urandom(40000).hex()})
    return (text[:-1] + " " * (SIZE - len(text)) + "}").encode()


class Compressed(Scenario):
    seconds = 100
    partitions = 16

    def peak_mb(self, pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) // 1024

    def test_batches_become_no_more_than_there_is_room_for(self):
        """160 batches of 10 MB in 16 partitions; a broker would send many in one answer."""
        self.use_shared()
        data = batch.make([metric() for _ in range(10)], batch.ZSTD)
        for number in range(160):
            batch.produce(self.broker.client, self.topic, number % self.partitions, data)
        p = self.persister(kafka_metrics={"num_processors": 1},
                           persister={"memory_limit_mb": LIMIT_MB})
        self.wait_drained(80)
        (worker,) = p.processes().values()
        self.assertLess(self.peak_mb(worker["pid"]), 1.1 * LIMIT_MB)
        self.stop()
        self.assertEqual(p.totals()["completed"], 1600)


if __name__ == "__main__":
    unittest.main()
