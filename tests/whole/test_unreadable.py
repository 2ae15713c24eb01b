# SPDX-License-Identifier: Apache-2.0
"""Batches that the Kafka client cannot read: a letter that names their offsets, and on."""

import glob
import json
import os
import struct
import subprocess
import unittest

from fixtures import batch, proc
from fixtures.scenario import START_MS, Scenario, shared_influx
from test_dead import NOTHING, PARTLY, PROGRAM

MIB = 1 << 20


def metric(number):
    """As persister-load's: stored() knows them by their number."""
    return json.dumps({"metric": {"name": "m", "timestamp": START_MS + number, "value": number,
                                  "dimensions": {"n": str(number)}},
                       "meta": {"tenantId": "t", "region": "r"},
                       "creation_time": START_MS // 1000}).encode()


class Unreadable(Scenario):
    seconds = 120
    partitions = 1

    def produce(self, values, codec=batch.NONE):
        return batch.produce(self.broker.client, self.topic, 0, batch.make(values, codec))

    def use_influx(self):
        self.influx = shared_influx()

    def letters(self):
        return [(d["offset"], d.get("last_offset")) for d in self.dead_letters()
                if d["reason"] == "unreadable"]


class Decompression(Unreadable):
    def test_is_passed_and_the_letter_names_its_offsets(self):
        self.use_shared()
        good = [metric(n) for n in range(10)]
        self.produce(good[:3])
        self.assertEqual(self.produce([40 * MIB] * 4, batch.ZSTD), 3)
        self.produce(good[3:5], batch.ZSTD)
        self.assertEqual(self.produce([160 * MIB], batch.ZSTD), 9)
        self.produce([120 * MIB] + [b"{}"] * 20, batch.ZSTD)
        p = self.persister(kafka_metrics={"num_processors": 1})
        self.wait_drained()
        self.produce(good[5:])
        self.wait_drained()
        self.assertEqual(self.letters(), [(3, 6), (9, 9), (10, 30)])
        letter = self.dead_letters()[0]
        self.assertEqual(letter["payload"], "")
        self.assertIn("offsets 3 to 6", letter["detail"])
        self.assertEqual(p.totals()["rejected_unreadable"], 3)
        self.assertEqual([s["restarts"] for s in p.processes().values()], [0] * len(p.processes()))
        self.stop()
        self.assertEqual(self.stored(), set(range(10)))

    def test_is_the_last_and_the_only_one(self):
        self.use_shared()
        self.produce([50 * MIB] * 3, batch.ZSTD)
        p = self.persister(kafka_metrics={"num_processors": 1})
        self.wait_drained()
        self.assertEqual(self.letters(), [(0, 2)])
        p.stop(30)
        p.start()
        self.produce([metric(0)])
        self.wait_drained()
        self.stop()
        self.assertEqual(self.stored(), {0})
        self.assertEqual(self.letters(), [(0, 2)], "once is enough")


class Letter(Unreadable):
    def test_cannot_be_replayed_and_says_so(self):
        self.use_shared()
        self.produce([160 * MIB], batch.ZSTD)
        self.produce([b"{}"])
        p = self.persister(kafka_metrics={"num_processors": 1})
        self.wait_drained()
        self.stop()

        def dead(verb, *arguments):
            done = subprocess.run([PROGRAM, verb, "--config-file", p.config, *arguments],
                                  stdin=subprocess.DEVNULL, capture_output=True, check=False,
                                  timeout=60)
            return done.returncode, done.stdout.decode(), done.stderr.decode()

        code, out, err = dead("show", f"{self.topic}/0/0")
        self.assertEqual(code, 0, err)
        self.assertIn("offsets    0 to 0; Kafka has them", out)
        code, out, err = dead("replay", "--yes", "--json")
        self.assertEqual((code, err), (PARTLY, ""))
        said = json.loads(out)
        self.assertEqual((said["sent"], said["delivered"], said["incomplete"]), (1, 1, 1))
        code, out, err = dead("replay", "--yes", f"{self.topic}/0/0")
        self.assertEqual(code, NOTHING, out)
        self.assertIn("is not whole in the letter", err)


class Checksum(Unreadable):
    def flip_byte(self, first):
        """Changes a byte of the batch that begins with that offset, on the broker's disk."""
        path, = glob.glob(os.path.join(self.dir, "kafka", "**", self.topic + "-0",
                                       "00000000000000000000.log"), recursive=True)
        with open(path, "r+b") as f:
            data = f.read()
            at = 0
            while struct.unpack_from(">q", data, at)[0] != first:
                at += 12 + struct.unpack_from(">i", data, at + 8)[0]
            end = at + 12 + struct.unpack_from(">i", data, at + 8)[0]
            f.seek(end - 20)
            f.write(bytes([data[end - 20] ^ 1]))

    def test_is_passed_wherever_it_stands(self):
        self.own_broker()
        self.use_influx()
        good = [metric(n) for n in range(8)]
        for values in good[:2], good[2:5], good[5:6], good[6:]:
            self.produce(values)
        self.broker.stop()
        self.flip_byte(2)
        self.flip_byte(6)
        self.broker.start()
        p = self.persister(kafka_metrics={"num_processors": 1},
                           kafka={"librdkafka.check.crcs": "true"})
        self.wait_drained()
        self.produce([metric(8)])
        self.wait_drained()
        self.assertEqual(self.letters(), [(2, 4), (6, 7)])
        self.stop()
        self.assertEqual(self.stored(), {0, 1, 5, 8})


if __name__ == "__main__":
    unittest.main()
