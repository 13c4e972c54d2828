#!/usr/bin/env python3
"""Function Compute through the vendor's own Python and Node clients, unmodified."""
import base64
import json
import subprocess
import unittest

import support

COUNTER = """
count = 0
def init(context):
    global count
    count = 1
def handler(event, context):
    global count
    count += 1
    return str(count)
"""
SHAPES = """
import json, logging, os, sys
def handler(event, context):
    logging.getLogger().info("event has %d bytes", len(event))
    ask = json.loads(event or b"{}")
    if ask.get("raise"):
        raise ValueError(ask["raise"])
    if ask.get("exit"):
        sys.exit(1)
    if ask.get("hang"):
        while True: pass
    if ask.get("print_mb"):
        for _ in range(ask["print_mb"] * 16):
            print("x" * 65535)
    if ask.get("eat_mb"):
        hog = []
        for _ in range(ask["eat_mb"]):
            hog.append(bytearray(1 << 20))
    if ask.get("forks"):
        made = 0
        for _ in range(ask["forks"]):
            try:
                if os.fork() == 0:
                    import signal
                    signal.pause()
                made += 1
            except OSError:
                break
        return {"made": made}
    c = context.credentials
    return {"id": context.request_id, "function": context.function.name, "service": context.service.name, "region": context.region,
            "account": context.account_id, "sts": c.access_key_id.startswith("STS.") and bool(c.security_token), "cwd": os.getcwd()}
"""


class FunctionCompute(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("svc", description="一个服务")
        cls.function("shapes", SHAPES, timeout=10, memory=128)

    @classmethod
    def function(cls, name, code, timeout=10, memory=256, initializer=None):
        cls.fc.create_function("svc", name, "python3", "index.handler", initializer=initializer, memorySize=memory, timeout=timeout,
                               codeZipFile=support.zip_file({"index.py": code}))

    def invoke(self, function, payload=b"", **headers):
        return self.fc.invoke_function("svc", function, payload=payload, headers=headers)

    def test_state_is_kept_between_calls_and_the_initializer_runs_once(self):
        self.function("counter", COUNTER, initializer="index.init")
        self.assertEqual([self.invoke("counter").data for _ in range(3)], [b"2", b"3", b"4"])

    def test_the_context_is_complete(self):
        got = json.loads(self.invoke("shapes").data)
        self.assertEqual((got["function"], got["service"], got["region"], got["account"], got["sts"], got["cwd"]),
                         ("shapes", "svc", support.REGION, self.server.account, True, "/code"))

    def test_resources_carry_etags_and_if_match_is_held(self):
        service = self.fc.get_service("svc")
        self.assertTrue(service.headers["etag"])
        self.assertEqual(service.data["description"], "一个服务")
        with self.assertRaises(Exception):
            self.fc.update_service("svc", description="x", headers={"if-match": "invalid etag"})
        function = self.fc.get_function("svc", "shapes")
        for field in ("functionId", "runtime", "handler", "memorySize", "timeout", "codeSize", "codeChecksum", "createdTime", "lastModifiedTime"):
            self.assertIn(field, function.data)

    def test_an_exception_comes_back_in_the_vendors_shape(self):
        import fc2
        with self.assertRaises(Exception) as caught:
            self.invoke("shapes", json.dumps({"raise": "boom"}).encode())
        self.assertIn("boom", str(caught.exception))
        self.assertIn("ValueError", str(caught.exception))

    def test_a_process_that_exits_is_one_clear_error_and_the_next_call_works(self):
        with self.assertRaises(Exception) as caught:
            self.invoke("shapes", b'{"exit": true}')
        self.assertIn("Process exited unexpectedly", str(caught.exception))
        self.invoke("shapes")

    def test_a_timeout_says_how_long(self):
        self.function("slow", SHAPES, timeout=1)
        with self.assertRaises(Exception) as caught:
            self.invoke("slow", b'{"hang": true}')
        self.assertIn("1 second", str(caught.exception))

    def test_a_memory_hog_is_stopped_and_named(self):
        with self.assertRaises(Exception) as caught:
            self.invoke("shapes", b'{"eat_mb": 1000}')
        self.assertIn("memory", str(caught.exception).lower())
        self.invoke("shapes")

    def test_a_fork_bomb_is_bounded(self):
        self.function("forks", SHAPES, memory=2048)
        made = json.loads(self.invoke("forks", b'{"forks": 5000}').data)["made"]
        self.assertLess(made, 5000)

    def test_a_flood_of_output_harms_nobody(self):
        reply = self.invoke("shapes", b'{"print_mb": 100}', **{"x-fc-log-type": "Tail"})
        self.assertLessEqual(len(base64.b64decode(reply.headers["x-fc-log-result"])), 4096)

    def test_the_log_tail_has_the_log_line(self):
        reply = self.invoke("shapes", b"{}", **{"x-fc-log-type": "Tail"})
        self.assertIn("event has 2 bytes", base64.b64decode(reply.headers["x-fc-log-result"]).decode())

    def test_an_async_call_is_accepted_and_run(self):
        reply = self.invoke("shapes", b'{"a": 1}', **{"x-fc-invocation-type": "Async"})
        self.assertEqual(len(reply.headers["x-fc-request-id"]), 36)
        support.wait_until(lambda: "event has 8 bytes" in self.server.cli("logs", "svc/shapes").stdout, 20, "the async call's log line")

    def test_unknown_names_are_named(self):
        with self.assertRaises(Exception) as caught:
            self.invoke("nothing")
        self.assertIn("FunctionNotFound", str(caught.exception))

    def test_versions_and_aliases_pin_code(self):
        self.fc.create_service("pinned")
        code = lambda text: support.zip_file({"index.py": f"def handler(event, context):\n    return '{text}'\n"})
        self.fc.create_function("pinned", "f", "python3", "index.handler", codeZipFile=code("one"))
        version = self.fc.publish_version("pinned", "first").data["versionId"]
        self.fc.create_alias("pinned", "live", version)
        self.fc.update_function("pinned", "f", codeZipFile=code("two"))
        self.assertEqual(self.fc.invoke_function("pinned", "f").data, b"two")
        self.assertEqual(self.fc.invoke_function("pinned", "f", qualifier="live").data, b"one")
        with self.assertRaises(Exception):
            self.fc.delete_service("pinned")

    def test_triggers_round_trip_and_page(self):
        for n in range(5):
            self.fc.create_trigger("svc", "shapes", f"t{n}", "timer", {"payload": "p", "cronExpression": "0 0 0 1 1 *", "enable": True}, "", "")
        pages, token = 0, None
        while True:
            page = self.fc.list_triggers("svc", "shapes", limit=2, **({"nextToken": token} if token else {})).data
            pages, token = pages + 1, page.get("nextToken")
            if not token:
                break
        self.assertEqual(pages, 3)
        with self.assertRaises(Exception):
            self.fc.create_trigger("svc", "shapes", "bad", "timer", {"payload": "", "cronExpression": "every day", "enable": True}, "", "")

    def test_the_node_client_gets_the_same(self):
        script = support.SOURCE / "tests/clients/node/fc.js"
        result = subprocess.run(["node", script], env=self.server.environment(), capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


if __name__ == "__main__":
    support.main()
