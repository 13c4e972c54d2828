#!/usr/bin/env python3
"""Asynchronous calls to the end: stateful tasks through the vendor's own clients, idempotency keys, stops, redrive, and kill -9 at any moment."""
import json
import os
import random
import subprocess
import time
import unittest

import support

CODE = """
import json, os, time
def handler(event, context):
    ask = json.loads(event or b"{}")
    if ask.get("sleep"):
        time.sleep(ask["sleep"])
    if ask.get("raise"):
        raise ValueError(ask["raise"])
    if ask.get("die"):
        os._exit(3)
    return {"got": ask, "retry": context.retry_count if hasattr(context, "retry_count") else None}
"""
WAIT_S = 60
TASK_FIELDS = {"functionName", "serviceName", "qualifier", "invocationId", "status", "startedTime", "endTime", "destinationStatus", "invocationErrorMessage", "requestId",
               "alreadyRetriedTimes", "instanceId", "durationMs", "events", "invocationPayload", "returnPayload"}


class AsyncTasks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly("--max-instances", "6")
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("tasks")
        for name in ("encode", "plain", "after"):
            cls.fc.create_function("tasks", name, handler="index.handler", runtime="python3", codeZipFile=support.zip_file({"index.py": CODE}), memorySize=128, timeout=120,
                                   initializer="")
        cls.fc.put_function_async_invoke_config("tasks", "LATEST", "encode", {"statefulInvocation": True, "maxAsyncRetryAttempts": 1})

    def invoke(self, function, ask, **headers):
        headers = {"x-fc-invocation-type": "Async", **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.fc.invoke_function("tasks", function, json.dumps(ask), headers=headers)

    def task(self, function, task_id):
        return self.server.cli_json("tasks", "describe", f"tasks/{function}", task_id)

    def wait_for(self, function, task_id, *statuses):
        return support.wait_until(lambda: (lambda task: task if task["status"] in statuses else None)(self.task(function, task_id)), WAIT_S, f"{task_id} to be {statuses}")

    def test_the_vendors_node_clients_see_a_task_from_submission_to_stop(self):
        script = support.SOURCE / "tests/clients/node/fc_tasks.js"
        for client in ("open", "fc2"):
            with self.subTest(client=client):
                result = subprocess.run(["node", script, client], env=self.server.environment(), capture_output=True, text=True, timeout=180)
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_a_task_tells_everything_that_happened(self):
        reply = self.invoke("encode", {"n": 1}, x_fc_stateful_async_invocation_id="film-1")
        task = self.wait_for("encode", "film-1", "Succeeded")
        self.assertEqual(set(task), TASK_FIELDS)
        self.assertEqual([event["status"] for event in task["events"]], ["Enqueued", "Dequeued", "Running", "Succeeded"])
        self.assertEqual(task["requestId"], reply.headers["x-fc-request-id"])
        self.assertEqual(json.loads(task["invocationPayload"]), {"n": 1})
        self.assertEqual(json.loads(task["returnPayload"])["got"], {"n": 1})
        self.assertLessEqual(task["startedTime"], task["endTime"])
        self.assertTrue(task["instanceId"])
        with self.assertRaises(Exception) as refused:
            self.invoke("encode", {"n": 2}, x_fc_stateful_async_invocation_id="film-1")
        self.assertIn("StatefulAsyncInvocationAlreadyExists", str(refused.exception))

    def test_a_running_task_is_stopped_and_its_instance_ended(self):
        self.invoke("encode", {"sleep": 100}, x_fc_stateful_async_invocation_id="long-1")
        self.wait_for("encode", "long-1", "Running")
        begun = time.monotonic()
        told = self.server.cli_json("tasks", "stop", "tasks/encode", "long-1")
        self.assertEqual(told["id"], "long-1")
        self.assertIn(told["status"], ("Stopping", "Stopped"))
        task = self.wait_for("encode", "long-1", "Stopped")
        self.assertLess(time.monotonic() - begun, 20)
        self.assertEqual([event["status"] for event in task["events"]], ["Enqueued", "Dequeued", "Running", "Stopping", "Stopped"])
        described = self.server.cli_json("describe", "tasks/encode")
        self.assertNotIn(task["instanceId"], [each["id"] for each in described["instances"] if each["busy"]])
        self.assertEqual(self.server.cli("tasks", "stop", "tasks/encode", "long-1", check=False).returncode, 4)

    def test_a_plain_call_is_stopped_by_its_request_id(self):
        answer = self.server.cli_json("invoke", "tasks/plain", '{"sleep": 100}', "--async")
        self.assertEqual(answer["task"], "")
        support.wait_until(lambda: self.metric("mayfly_async_in_flight") > 0, WAIT_S, "the call to run")
        self.assertEqual(self.server.cli_json("tasks", "stop", "tasks/plain", answer["requestId"]), {"id": answer["requestId"], "status": "Stopping"})
        support.wait_until(lambda: self.metric("mayfly_async_stopped_total") > 0, WAIT_S, "the call to end")
        unknown = self.server.cli("--json", "tasks", "stop", "tasks/plain", "nobodys", check=False)
        self.assertEqual((unknown.returncode, json.loads(unknown.stdout)["error"]["code"]), (4, "CallNotFound"))

    def test_an_idempotency_key_queues_a_call_once(self):
        first = self.server.cli_json("invoke", "tasks/plain", '{"n": 1}', "--async", "--idempotency-key", "order-7")
        again = self.server.cli_json("invoke", "tasks/plain", '{"n": 1}', "--async", "--idempotency-key", "order-7")
        self.assertEqual((first["repeated"], again["repeated"]), (False, True))
        self.assertEqual(first["requestId"], again["requestId"])
        other = self.server.cli("invoke", "tasks/plain", '{"n": 2}', "--async", "--idempotency-key", "order-7", check=False)
        self.assertEqual(other.returncode, 4)
        self.assertIn("IdempotencyKeyMismatch", other.stderr)

    def test_dead_letters_are_redriven_by_function_and_purged(self):
        self.fc.put_function_async_invoke_config("tasks", "LATEST", "after", {"maxAsyncRetryAttempts": 0})
        for n in range(3):
            self.invoke("after", {"raise": f"no {n}"})
        letters = support.wait_until(lambda: (lambda found: found if len(found) == 3 else None)(self.letters("tasks/after")), WAIT_S, "three dead letters")
        self.assertEqual(letters[0]["attempts"], 1)
        self.assertIn("ValueError", letters[0]["firstError"])
        self.assertIn("ValueError", self.server.cli("dead-letters", "show", letters[0]["id"]).stdout)
        self.assertEqual(self.server.cli_json("dead-letters", "redrive", "--function", "tasks/after", "--limit", "2"), {"redriven": 2})
        again = support.wait_until(lambda: (lambda found: found if len(found) == 3 else None)(self.letters("tasks/after")), WAIT_S, "two to fail again")
        self.assertEqual(letters[2]["id"], again[0]["id"])
        self.assertEqual(self.server.cli("dead-letters", "redrive", check=False).returncode, 2)
        self.assertEqual(self.server.cli_json("dead-letters", "purge", "--function", "tasks/after", "--older-than", "1d"), {"purged": 0})
        self.assertEqual(self.server.cli_json("dead-letters", "purge", "--function", "tasks/after"), {"purged": 3})

    def test_an_empty_or_wrong_filter_ends_no_dead_letter(self):
        self.fc.create_function("tasks", "doomed", handler="index.handler", runtime="python3", codeZipFile=support.zip_file({"index.py": CODE}))
        self.fc.put_function_async_invoke_config("tasks", "LATEST", "doomed", {"maxAsyncRetryAttempts": 0})
        self.invoke("doomed", {"raise": "no"})
        letters = support.wait_until(lambda: self.letters("tasks/doomed"), WAIT_S, "a dead letter")
        empty = ({}, {"id": ""}, {"service": ""}, {"service": "tasks", "function": ""}, {"service": "tasks", "older_than_s": ""}, {"service": "", "all": "true"})
        wrong = ({"older_than_s": "1h"}, {"newer_than_s": "-1"}, {"older_than_s": "10000000000"}, {"limit": "many"}, {"limit": "0"})
        for query in (*empty, *({"service": "tasks", **each} for each in wrong)):
            for verb in ("redrive", "purge"):
                status, answer = self.native("POST", f"dead-letters/{verb}", query)
                self.assertEqual((status, answer["ErrorCode"]), (400, "InvalidArgument"), f"{verb} {query}")
        self.assertEqual(self.native("DELETE", "dead-letters/", {})[0], 400)
        self.assertEqual(self.native("POST", "dead-letters//redeliver", {})[0], 400)
        status, answer = self.native("GET", "dead-letters", {"limit": "5000"})
        self.assertEqual(status, 400)
        self.assertIn("limit must be a number from 1 to 1000, not '5000'", answer["ErrorMessage"])
        self.assertEqual(self.letters("tasks/doomed"), letters)
        self.assertEqual(self.native("POST", "dead-letters/purge", {"function": "doomed"}), (200, {"purged": 1}))

    def test_only_functions_are_destinations(self):
        with self.assertRaises(Exception) as refused:
            self.fc.put_function_async_invoke_config("tasks", "LATEST", "plain", {"destinationConfig": {"onSuccess": {"destination": "acs:mns:cn-hangzhou:1:/queues/q/messages"}}})
        self.assertIn("a destination is a function", str(refused.exception))

    def native(self, method, path, query):
        """A request to Mayfly's own API as any program may send it: the status and the answer."""
        import requests
        path = "/mayfly/v1/" + path
        headers = self.fc._build_common_headers(method, path, {}, query)
        reply = requests.request(method, self.server.endpoint + path, headers=headers, params=query, timeout=30)
        return reply.status_code, reply.json()

    def letters(self, function):
        return self.server.cli_json("dead-letters", "list", "--function", function)["deadLetters"]

    def metric(self, name):
        import requests
        for line in requests.get(self.server.endpoint + "/mayfly/v1/metrics", timeout=30).text.splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        self.fail(f"there is no metric {name}")


class Killed(unittest.TestCase):
    """Tasks on a server that is killed again and again: each comes to one end, the right one, and its events are in order."""
    KILLS = int(os.environ.get("MAYFLY_CRASH_KILLS", "3"))

    def test_every_acknowledged_task_ends_and_its_record_agrees(self):
        seed = int(os.environ.get("MAYFLY_CRASH_SEED", str(random.randrange(1 << 30))))
        chance = random.Random(seed)
        server = support.Mayfly()
        self.addCleanup(server.close)
        fc = server.fc()
        fc.create_service("tasks")
        fc.create_function("tasks", "encode", handler="index.handler", runtime="python3", codeZipFile=support.zip_file({"index.py": CODE}), memorySize=128, timeout=60, initializer="")
        fc.put_function_async_invoke_config("tasks", "LATEST", "encode", {"statefulInvocation": True, "maxAsyncRetryAttempts": 0})
        expected = {}
        stopped = set()
        for kill in range(self.KILLS):
            for n in range(12):
                name = f"t{kill}_{n}"
                kind = chance.choice(["ok", "raise", "stop"])
                ask = {"ok": {"sleep": 0.2}, "raise": {"raise": "asked"}, "stop": {"sleep": 50}}[kind]
                fc.invoke_function("tasks", "encode", json.dumps(ask), headers={"x-fc-invocation-type": "Async", "x-fc-stateful-async-invocation-id": name})
                expected[name] = {"ok": "Succeeded", "raise": "Failed", "stop": "Stopped"}[kind]
            time.sleep(chance.random())
            for name, end in expected.items():
                if end == "Stopped" and name not in stopped and chance.random() < 0.7:
                    server.cli("tasks", "stop", "tasks/encode", name)
                    stopped.add(name)
            server.kill()
            server.start()
            fc = server.fc()
        for name, end in expected.items():
            if end == "Stopped" and name not in stopped:
                server.cli("tasks", "stop", "tasks/encode", name)

        def settled():
            tasks = {task["invocationId"]: task for task in server.cli_json("tasks", "list", "tasks/encode", "-n", "1000")["invocations"]}
            return tasks if all(tasks[name]["status"] == end for name, end in expected.items()) else None
        tasks = support.wait_until(settled, 120, f"{len(expected)} tasks to end as they should (seed {seed})")
        self.assertEqual(set(tasks), set(expected), f"seed {seed}")
        for task in tasks.values():
            events = task["events"]
            self.assertEqual([event["eventId"] for event in events], list(range(1, len(events) + 1)), f"{task} (seed {seed})")
            self.assertEqual(events[0]["status"], "Enqueued")
            final = [event for event in events if event["status"] in ("Succeeded", "Failed", "Stopped", "Expired", "Invalid")]
            self.assertEqual(len(final), 1, f"{task} (seed {seed})")
        dead = {letter["task"] for letter in server.cli_json("dead-letters", "list", "-n", "1000")["deadLetters"]}
        self.assertEqual(dead, {name for name, end in expected.items() if end == "Failed"}, f"seed {seed}")


if __name__ == "__main__":
    support.main()
