#!/usr/bin/env python3
"""Function Flow through the vendor's own Python and Node clients, unmodified."""
import json
import subprocess
import unittest

import support

FLOW = """
version: v1
type: flow
steps:
  - type: pass
    name: start
    outputMappings:
      - target: count
        source: 0
  - type: foreach
    name: each
    iterationMapping:
      collection: $.words
      item: word
    steps:
      - type: task
        name: shout
        resourceArn: acs:fc:::services/words/functions/shout
        inputMappings:
          - target: word
            source: $input.word
    outputMappings:
      - target: shouted
        source: $local[*].text
  - type: succeed
    name: end
"""
SHOUT = """
import json
def handler(event, context):
    return {"text": json.loads(event)["word"].upper()}
"""


class FunctionFlow(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        fc = cls.server.fc()
        fc.create_service("words")
        fc.create_function("words", "shout", "python3", "index.handler", timeout=10, codeZipFile=support.zip_file({"index.py": SHOUT}))

    def call(self, action, **parameters):
        module = __import__(f"aliyunsdkfnf.request.v20190315.{action}Request", fromlist=[action])
        return self.server.fnf(getattr(module, action + "Request"), **parameters)

    def create(self, name, definition):
        return self.call("CreateFlow", Name=name, Definition=definition, Description="test", Type="FDL", RoleArn=f"acs:ram::{self.server.account}:role/x")

    def test_a_flow_runs_functions_and_tells_its_history(self):
        self.create("shout", FLOW)
        started = self.call("StartExecution", FlowName="shout", ExecutionName="one", Input=json.dumps({"words": ["a", "b c*~", "é"]}))
        self.assertEqual(started["Name"], "one")
        ended = self.call("DescribeExecution", FlowName="shout", ExecutionName="one", WaitTimeSeconds=30)
        self.assertEqual(ended["Status"], "Succeeded", ended)
        self.assertEqual(json.loads(ended["Output"])["shouted"], ["A", "B C*~", "É"])
        events, token = [], None
        while True:
            page = self.call("GetExecutionHistory", FlowName="shout", ExecutionName="one", Limit=7, **({"NextToken": token} if token else {}))
            events += page["Events"]
            token = page.get("NextToken")
            if not token:
                break
        self.assertEqual([e["EventId"] for e in events], list(range(1, len(events) + 1)))
        types = [e["Type"] for e in events]
        self.assertEqual((types[0], types[-1], types.count("TaskSucceeded")), ("ExecutionStarted", "ExecutionSucceeded", 3))
        with self.assertRaises(Exception) as caught:
            self.call("StartExecution", FlowName="shout", ExecutionName="one")
        self.assertIn("ExecutionAlreadyExists", str(caught.exception))

    def test_bad_definitions_say_where(self):
        for definition, where in ((FLOW.replace("type: foreach", "type: forever"), "steps[1]"), ("a: [", ""), (FLOW.replace("steps:", "stepz:", 1), "steps")):
            with self.assertRaises(Exception) as caught:
                self.create("bad", definition)
            self.assertIn("InvalidArgument", str(caught.exception))
            self.assertIn(where, str(caught.exception))

    def test_unknown_flows_and_wrong_secrets_are_named(self):
        with self.assertRaises(Exception) as caught:
            self.call("DescribeFlow", Name="nothing")
        self.assertIn("FlowNotExists", str(caught.exception))
        secret, self.server.key_secret = self.server.key_secret, "wrong"
        try:
            with self.assertRaises(Exception) as caught:
                self.call("DescribeFlow", Name="shout")
        finally:
            self.server.key_secret = secret
        self.assertIn("InvalidAccessKeySecret", str(caught.exception))  # what the SDK makes of SignatureDoesNotMatch when both strings agree

    def test_the_node_client_gets_the_same(self):
        script = support.SOURCE / "tests/clients/node/fnf.js"
        result = subprocess.run(["node", script], env=self.server.environment(), capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


if __name__ == "__main__":
    support.main()
