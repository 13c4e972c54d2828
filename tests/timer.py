#!/usr/bin/env python3
"""Timer triggers against a real clock: ticks come, are not doubled by kill -9 and restart, stop when disabled, and carry their payload unchanged."""
import collections
import datetime
import json
import time
import unittest

import support

# Each tick writes an object named after its second and its call, so that a tick that ran twice is seen.
RECORDER = """
import json
import oss2
def handler(event, context):
    c = context.credentials
    bucket = oss2.Bucket(oss2.StsAuth(c.access_key_id, c.access_key_secret, c.security_token), "https://oss-cn-hangzhou-internal.aliyuncs.com", "ticks")
    tick = json.loads(event)
    bucket.put_object(tick["triggerName"] + "/" + tick["triggerTime"] + "/" + context.request_id, event)
"""
EVERY_SECOND = "@every 1s"
PAYLOAD = '{"quoted": "\\"人\\"", "n": 1.0}  '


class Timers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.server.bucket("ticks").create_bucket()
        fc = cls.server.fc()
        fc.create_service("clock", role=cls.server.role("ticker", "AliyunOSSFullAccess"))
        fc.create_function("clock", "recorder", "python3", "index.handler", timeout=30, memorySize=256, codeZipFile=support.zip_file({"index.py": RECORDER}))

    def timer(self, name, cron, payload="", enable=True):
        self.server.fc().create_trigger("clock", "recorder", name, "timer", {"payload": payload, "cronExpression": cron, "enable": enable}, "", "")
        self.addCleanup(lambda: self.server.fc().delete_trigger("clock", "recorder", name))

    def ticks(self, name):
        """{second: how many runs} of one timer."""
        import oss2
        bucket = self.server.bucket("ticks")
        return collections.Counter(item.key.split("/")[1] for item in oss2.ObjectIterator(bucket, prefix=name + "/"))

    def wait_for(self, name, count, timeout_s=30):
        return support.wait_until(lambda: (lambda seen: seen if len(seen) >= count else None)(self.ticks(name)), timeout_s, f"{count} ticks of {name}")

    def assert_regular(self, ticks):
        self.assertEqual(set(ticks.values()), {1}, f"a tick ran twice: {ticks}")

    def test_ticks_come_once_a_second_with_the_payload_unchanged(self):
        self.timer("plain", EVERY_SECOND, PAYLOAD)
        ticks = self.wait_for("plain", 3)
        self.assert_regular(ticks)
        times = sorted(datetime.datetime.strptime(tick, "%Y-%m-%dT%H:%M:%SZ") for tick in ticks)
        self.assertEqual((times[1] - times[0]).total_seconds(), 1)
        bucket = self.server.bucket("ticks")
        event = json.loads(bucket.get_object(bucket.list_objects("plain/").object_list[0].key).read())
        self.assertEqual((event["triggerName"], event["payload"]), ("plain", PAYLOAD))

    def test_kill_and_restart_neither_stop_nor_double_ticks(self):
        self.timer("killed", EVERY_SECOND)
        seen = 0
        for _ in range(3):
            seen = len(self.wait_for("killed", seen + 1))
            self.server.kill()
            self.server.start()
        ticks = self.wait_for("killed", seen + 2)
        self.assert_regular(ticks)  # a call that was cut is delivered again, as the same call
        times = sorted(datetime.datetime.strptime(tick, "%Y-%m-%dT%H:%M:%SZ") for tick in ticks)
        whole = [(b - a).total_seconds() for a, b in zip(times, times[1:])]
        self.assertTrue(all(gap >= 1 for gap in whole), whole)

    def test_a_disabled_timer_is_silent_and_an_enabled_one_goes_on(self):
        self.timer("off", EVERY_SECOND, enable=False)
        self.timer("on", EVERY_SECOND)
        self.wait_for("on", 2)
        self.assertEqual(len(self.ticks("off")), 0)
        config = lambda enable: {"payload": "", "cronExpression": EVERY_SECOND, "enable": enable}
        self.server.fc().update_trigger("clock", "recorder", "off", triggerConfig=config(True))
        self.wait_for("off", 1)
        self.server.fc().update_trigger("clock", "recorder", "on", triggerConfig=config(False))
        time.sleep(1.2)  # a tick already due when the change came may still run
        stopped = len(self.ticks("on"))
        self.wait_for("off", len(self.ticks("off")) + 3)
        self.assertEqual(len(self.ticks("on")), stopped)

    def test_cron_takes_a_time_zone_and_names_what_is_wrong(self):
        now = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8)))  # Asia/Shanghai has no summer time
        hours = f"{now.hour},{(now + datetime.timedelta(minutes=5)).hour}"
        self.timer("zoned", f"CRON_TZ=Asia/Shanghai * * {hours} * * *")
        self.timer("elsewhere", f"CRON_TZ=UTC * * {hours} * * *")
        self.wait_for("zoned", 2)
        self.assertEqual(len(self.ticks("elsewhere")), 0, "the same hours in another zone are other times")
        for wrong in ("* * * * *", "61 * * * * *", "CRON_TZ=Nowhere/City * * * * * *", "@every", "@every 0s", "@every -1s", "every day", ""):
            with self.assertRaises(Exception, msg=wrong) as caught:
                self.timer("wrong", wrong)
            self.assertIn("InvalidArgument", str(caught.exception), wrong)


if __name__ == "__main__":
    support.main()
