#!/usr/bin/env python3
"""Where and how instances run: short calls on one core, the shard's; long ones wherever the server may, so that one function can use the machine;
all of them as batch work, which does not interrupt the server when it is woken."""
import json
import os
import unittest

import support

# The event is how many microseconds a call takes; the answer, on which cores it may run. An empty event asks how it is scheduled.
HANDLER = """
import json, os, time
def handler(event, context):
    if not event:
        return json.dumps(os.sched_getscheduler(0))
    end = time.monotonic_ns() + int(event) * 1000
    while time.monotonic_ns() < end:
        pass
    return json.dumps(sorted(os.sched_getaffinity(0)))
"""
SHORT_US, LONG_US = b"0", b"5000"


class Cores(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("cores")
        for name in ("where", "how"):
            cls.fc.create_function("cores", name, "python3", "index.handler", timeout=30, memorySize=256, codeZipFile=support.zip_file({"index.py": HANDLER}))

    def where(self, event):
        return json.loads(self.fc.invoke_function("cores", "where", event).data)

    def test_short_calls_stay_on_one_core_and_long_ones_get_all(self):
        every = sorted(os.sched_getaffinity(self.server.process.pid))
        self.assertEqual(self.where(SHORT_US), every, "an instance starts wherever there is room")
        # A busy machine makes some short calls long: one of several counts.
        self.assertIn(1, [len(self.where(SHORT_US)) for _ in range(20)])
        self.where(LONG_US)
        self.assertEqual(self.where(LONG_US), every)

    def test_instances_are_batch_work(self):
        self.assertEqual(json.loads(self.fc.invoke_function("cores", "how", b"").data), os.SCHED_BATCH)


if __name__ == "__main__":
    support.main()
