#!/usr/bin/env python3
"""How many instances there are, as a person and the vendor's client see it: provisioned before the first call, reserved, suspended and why,
refusals that say when to come back, timeouts that say where the time went."""
import json
import threading
import time
import unittest

import support

import requests  # from the libraries that support put on the path

HANDLER = """
import json, os, time
MADE = time.time()
def begin(context):
    time.sleep(600)
def handler(event, context):
    wish = json.loads(event or b"{}")
    if wish.get("die"):
        print("about to fall over")
        os._exit(7)
    time.sleep(wish.get("sleep", 0))
    return json.dumps({"made": MADE})
"""
WEB = """
import time
def handler(environ, start_response):
    time.sleep(0.05)
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()[:2]]
"""


class Scaling(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly("--max-instances", "2")
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("scale")
        cls.code = support.zip_file({"index.py": HANDLER})

    def make(self, name, **more):
        self.fc.create_function("scale", name, "python3", "index.handler", **{"timeout": 30, "memorySize": 128, "codeZipFile": self.code, **more})

    def failure(self, name, payload):
        """What the vendor's client raises for a call that must fail."""
        import fc2
        with self.assertRaises(fc2.FcError) as raised:
            self.fc.invoke_function("scale", name, payload=payload)
        return str(raised.exception)

    def describe(self, name):
        return self.server.cli_json("describe", f"scale/{name}")

    def test_provisioned_instances_are_there_before_their_calls(self):
        self.make("ahead")
        answer = self.fc.put_provision_config("scale", "LATEST", "ahead", 2).data
        self.assertEqual((answer["resource"], answer["target"]), (f"{self.server.account}#scale#LATEST#ahead", 2))
        support.wait_until(lambda: self.fc.get_provision_config("scale", "LATEST", "ahead").data["current"] == 2, 30, "two instances")
        asked = time.time()
        reply = json.loads(self.fc.invoke_function("scale", "ahead", payload=b"{}").data)
        self.assertLess(reply["made"], asked, "it ran in an instance that was there")
        self.assertEqual(self.describe("ahead")["coldStarts"], 0)
        self.assertIn(2, [each["target"] for each in self.fc.list_provision_configs("scale", "LATEST").data["provisionConfigs"]])
        self.fc.put_provision_config("scale", "LATEST", "ahead", 0)
        self.assertEqual(self.fc.get_provision_config("scale", "LATEST", "ahead").data["current"], 0)

    def test_the_command_line_sets_and_shows(self):
        self.make("cli")
        about = self.server.cli_json("scale", "scale/cli", "--min", "1", "--max", "2", "--reserved", "1")
        self.assertEqual((about["min"], about["max"], about["reserved"]), (1, 2, 1))
        support.wait_until(lambda: self.server.cli_json("scale", "scale/cli")["now"]["instances"] == 1, 30, "the instance")
        self.assertIn("1 ready before calls, at most 2, 128 MB reserved", self.server.cli("describe", "scale/cli").stdout)  # both reached the dispatcher
        about = self.server.cli_json("scale", "scale/cli", "--min", "0", "--reserved", "0", "--kpa", "target=5", "--kpa", "window=30s")
        self.assertEqual(about["annotations"]["autoscaling.knative.dev/window"], "30s")
        support.wait_until(lambda: len(self.server.cli_json("scale", "scale/cli")["now"]["scalers"]) == 1, 10, "the scaler")
        mistyped = self.server.cli("scale", "scale/cli", "--kpa", "tarjet=1", check=False)
        self.assertIn("tarjet is no annotation", mistyped.stderr)
        refused = self.server.cli("scale", "scale/cli", "--kpa", "window=1s", check=False)
        self.assertIn("must be a duration from 6s to 3600s", refused.stderr)
        refused = self.server.cli("scale", "scale/cli", "--reserved", "9000", check=False)
        self.assertIn("cannot be reserved", refused.stderr)
        self.assertEqual(self.server.cli_json("scale", "scale/cli", "--by-calls")["annotations"], {})

    def test_a_function_that_crashes_in_a_row_is_suspended_and_says_why(self):
        self.make("falls")
        self.fc.create_trigger("scale", "falls", "http", "http", {"authType": "anonymous", "methods": ["POST"]}, "", "")
        path = self.server.endpoint + "/2016-08-15/proxy/scale/falls/"
        for _ in range(5):
            self.assertIn("Process exited unexpectedly with status 7", self.failure("falls", b'{"die": true}'))
        reply = requests.post(path, timeout=30)
        self.assertEqual(reply.status_code, 503, reply.text)
        self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
        for part in ("is suspended until 20", "after 5 failures in a row", "with status 7", "it last printed: about to fall over"):
            self.assertIn(part, reply.json()["ErrorMessage"])
        shown = self.server.cli("describe", "scale/falls").stdout
        self.assertIn("CANNOT be called now", shown)
        self.assertIn("suspended until 20", shown)
        self.fc.update_function("scale", "falls", description="a new version is tried at once")
        self.assertIn("made", json.loads(self.fc.invoke_function("scale", "falls", payload=b"{}").data))
        self.assertTrue(self.describe("falls")["can_invoke"])

    def test_a_timeout_says_where_the_time_went(self):
        self.make("slow", timeout=1)
        self.assertRegex(self.failure("slow", b'{"sleep": 5}'), r"Function timed out after 1 seconds \(queued \d+ ms, starting \d+ ms, run 1\d\d\d ms\)")

    def test_a_start_that_takes_too_long_says_where_its_time_went(self):
        self.make("endless", initializer="index.begin", initializationTimeout=1)
        phases = r"\(sandbox \d+ ms, runtime \d+ ms, import \d+ ms, init 1\d\d\d ms\)"
        self.assertRegex(self.failure("endless", b"{}"), "Function initialization timed out after 1 seconds: its initializer has not returned " + phases)
        line = next(line for line in self.server.cli("logs", "scale/endless").stdout.splitlines() if "REPORT RequestId" in line)
        self.assertRegex(line, r"Cold Start: \d+\.\d\d ms \(sandbox .*, runtime .*, import .*, init 1\d\d\d\.\d\d\)")
        self.assertGreaterEqual(self.describe("endless")["recent"][0]["initUs"], 1_000_000)

    def test_the_log_reports_every_call(self):
        self.make("reports")
        self.fc.invoke_function("scale", "reports", payload=b"{}")
        self.fc.invoke_function("scale", "reports", payload=b"{}")
        reports = [line for line in self.server.cli("logs", "scale/reports").stdout.splitlines() if "REPORT RequestId" in line]
        self.assertEqual(len(reports), 2)
        self.assertRegex(reports[0], r"Duration: \d+\.\d\d ms, Queued: \d+\.\d\d ms, Max Memory Used: \d+ MB, Cold Start: \d+\.\d\d ms \(sandbox .*, runtime .*, import .*, init .*\)")
        self.assertNotIn("Cold Start", reports[1])
        metrics = requests.get(self.server.endpoint + "/mayfly/v1/metrics", timeout=30).text
        self.assertIn('mayfly_phase_seconds_total{service="scale",function="reports",phase="run"}', metrics)

    def test_beyond_the_queue_calls_are_refused_with_the_time_to_come_back(self):
        self.fc.create_function("scale", "busy", "python3", "index.handler", timeout=30, memorySize=128, codeZipFile=support.zip_file({"index.py": WEB}))
        self.fc.create_trigger("scale", "busy", "http", "http", {"authType": "anonymous", "methods": ["POST"]}, "", "")
        self.server.cli("scale", "scale/busy", "--kpa", "max-scale=1", "--kpa", "target=1")  # ten may wait
        path, replies = self.server.endpoint + "/2016-08-15/proxy/scale/busy/", []
        requests.post(path, data=b"ok", timeout=60)

        def call():
            replies.append(requests.post(path, data=b"x" * 100_000, timeout=60))
        threads = [threading.Thread(target=call) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [reply for reply in replies if reply.status_code != 200]
        self.assertGreater(len(refused), 0)
        self.assertGreaterEqual(len(replies) - len(refused), 11)
        for reply in refused:
            self.assertEqual(reply.status_code, 503)
            self.assertIn("pending request queue full", reply.json()["ErrorMessage"])
            self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)


if __name__ == "__main__":
    support.main()
