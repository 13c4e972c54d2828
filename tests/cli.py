#!/usr/bin/env python3
"""Every command of `mayfly` as a person and as a program uses it: tables, --json, exit codes, help with an example, errors with a way out."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import support

HANDLER = """
import json
def handler(event, context):
    print("handling", len(event), "bytes")
    if event == b"fail":
        raise ValueError("asked to")
    return {"got": event.decode()}
"""
TEMPLATE = """
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  told:
    Type: 'Aliyun::Serverless::Service'
    echo:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.handler, Runtime: python3, CodeUri: ./code, Timeout: 30}
      Events:
        nightly:
          Type: Timer
          Properties: {CronExpression: '0 0 3 * * *', Enable: true}
  once:
    Type: 'Aliyun::Serverless::Flow'
    Properties:
      Description: calls echo once
      DefinitionUri: flow.yml
"""
FLOW = """
version: v1
type: flow
steps:
  - type: task
    name: call
    resourceArn: !Ref told/echo
    inputMappings: [{target: n, source: $input.n}]
  - type: choice
    name: small
    choices: [{condition: $.got == "fail", goto: bad}]
    default: {goto: good}
  - {type: fail, name: bad, error: Asked, cause: to}
  - {type: succeed, name: good}
"""
# What the commands promise: 0 done, 1 the function or flow failed, 2 wrong usage, 3 no server, 4 refused, 5 something local is broken.
DONE, FAILED, USAGE, NO_SERVER, REFUSED, LOCAL = 0, 1, 2, 3, 4, 5
COMMANDS = ("up", "deploy", "invoke", "logs", "ls", "describe", "object", "object cp", "object ls", "object rm", "object cat", "object mb", "object rb", "flow",
            "flow start", "flow ls", "flow show", "flow history", "flow stop", "dead-letters list",
            "dead-letters show", "dead-letters redrive", "dead-letters drop", "dead-letters purge", "tasks list", "tasks describe", "tasks stop", "deps",
            "layer", "layer list", "layer publish", "layer delete", "egress", "scale", "doctor", "cloud")


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        (cls.folder / "code").mkdir()
        for name, text in (("template.yml", TEMPLATE), ("flow.yml", FLOW), ("code/index.py", HANDLER)):
            (cls.folder / name).write_text(text)
        cls.server.cli("deploy", str(cls.folder), "-y")

    def run_cli(self, expected, *arguments, **options):
        result = self.server.cli(*arguments, check=False, **options)
        self.assertEqual(result.returncode, expected, f"{arguments}\n{result.stdout}\n{result.stderr}")
        return result

    def log(self, *arguments):
        """Entries of `logs --json`: one document a line, so that following can print each as it comes."""
        return [json.loads(line) for line in self.run_cli(DONE, "--json", "logs", *arguments).stdout.splitlines()]

    def refused(self, expected, *arguments):
        """The failure of a command: a sentence on stderr and, with --json, an error object on stdout."""
        plain = self.run_cli(expected, *arguments)
        self.assertTrue(plain.stderr.startswith("mayfly: "), plain.stderr)
        error = json.loads(self.run_cli(expected, "--json", *arguments).stdout)["error"]
        self.assertTrue(error["message"])
        return plain.stderr, error

    def test_every_command_has_help_with_an_example(self):
        listed = self.run_cli(DONE, "--help").stdout
        for command in COMMANDS:
            text = self.run_cli(DONE, *command.split(), "--help").stdout
            self.assertIn("Example", text, command)
            self.assertIn("mayfly " + command.split()[0], text, command)
            self.assertIn(command.split()[0], listed)

    def test_deploy_shows_a_plan_does_it_and_then_has_nothing_to_do(self):
        fresh = support.Mayfly()
        self.addCleanup(fresh.close)
        dry = fresh.cli("deploy", str(self.folder), "--dry-run").stdout
        self.assertIn("+ function told/echo", dry)
        self.assertEqual(fresh.cli_json("ls", "functions")["functions"], [])
        done = fresh.cli("deploy", str(self.folder / "template.yml"), "-y").stdout  # a file works as well as its folder
        self.assertIn("created function told/echo", done)
        again = fresh.cli_json("deploy", str(self.folder), "-y")
        self.assertEqual({step["action"] for step in again["steps"]}, {"same"})
        self.assertFalse(again["applied"])
        (self.folder / "code/index.py").write_text(HANDLER + "\n# changed\n")
        self.addCleanup((self.folder / "code/index.py").write_text, HANDLER)
        changed = fresh.cli_json("deploy", str(self.folder), "-y")
        self.assertEqual([step["name"] for step in changed["steps"] if step["action"] != "same"], ["told/echo"])

    def test_deploy_says_what_is_wrong_with_a_template(self):
        with tempfile.TemporaryDirectory() as folder:
            self.refused(USAGE, "deploy", folder, "-y")
            pathlib.Path(folder, "template.yml").write_text(TEMPLATE.replace("CodeUri", "CodeURI"))
            text, _ = self.refused(USAGE, "deploy", folder, "-y")
            self.assertIn("CodeURI", text)

    def test_invoke_takes_its_event_from_everywhere(self):
        self.assertEqual(json.loads(self.run_cli(DONE, "invoke", "told/echo", "words").stdout), {"got": "words"})
        (self.folder / "event.json").write_text("from a file")
        self.assertEqual(json.loads(self.run_cli(DONE, "invoke", "told/echo", "-f", str(self.folder / "event.json")).stdout), {"got": "from a file"})
        piped = subprocess.run([support.BINARY, "--data-dir", self.server.data, "invoke", "told/echo", "-"], input="piped", capture_output=True, text=True)
        self.assertEqual(json.loads(piped.stdout), {"got": "piped"})
        for sample, mark in (("oss", "ObjectCreated"), ("timer", "triggerTime"), ("http", "requestContext"), ("mns", "MessageMD5")):
            self.assertIn(mark, self.run_cli(DONE, "invoke", "told/echo", "--sample", sample).stdout)

    def test_invoke_keeps_the_result_and_the_log_apart(self):
        result = self.run_cli(DONE, "invoke", "told/echo", "x")
        self.assertIn("handling 1 bytes", result.stderr)
        self.assertNotIn("handling", result.stdout)
        self.assertEqual(self.run_cli(DONE, "invoke", "-q", "told/echo", "x").stderr, "")
        told = json.loads(self.run_cli(DONE, "--json", "invoke", "told/echo", "x").stdout)
        self.assertRegex(json.dumps(told), r"[0-9a-f]{8}-[0-9a-f]{4}")

    def test_invoke_ends_with_the_outcome(self):
        failed = self.run_cli(FAILED, "invoke", "told/echo", "fail")
        self.assertIn("asked to", failed.stdout + failed.stderr)
        text, error = self.refused(REFUSED, "invoke", "told/nothing")
        self.assertEqual(error["code"], "FunctionNotFound")
        self.refused(USAGE, "invoke", "told")
        self.run_cli(DONE, "invoke", "told/echo", "later", "--async")
        support.wait_until(lambda: "handling 5 bytes" in self.server.cli("logs", "told/echo").stdout, 20, "the queued call")

    def test_logs_show_follow_and_filter(self):
        self.run_cli(DONE, "invoke", "told/echo", "first")
        one = next(entry["requestId"] for entry in self.log("told") if "handling" in entry["text"])
        self.assertEqual({entry["requestId"] for entry in self.log("told", "--request", one)}, {one})
        self.assertEqual(len(self.log("told", "-n", "1")), 1)
        self.assertEqual(self.refused(REFUSED, "logs", "told/typo")[1]["code"], "FunctionNotFound")
        self.refused(USAGE, "logs", "told/")
        follower = subprocess.Popen([support.BINARY, "--data-dir", self.server.data, "logs", "-f", "told/echo"], stdout=subprocess.PIPE, text=True)
        try:
            self.run_cli(DONE, "invoke", "told/echo", "x" * 7777)
            for line in follower.stdout:
                if "handling 7777 bytes" in line:
                    break
            else:
                self.fail("the follower ended without the new line")
        finally:
            follower.kill()
            follower.wait()
            follower.stdout.close()

    def test_ls_and_describe_answer_people_and_programs(self):
        for what, mark in (("services", "told"), ("functions", "told/echo"), ("triggers", "nightly"), ("flows", "once")):
            self.assertIn(mark, self.run_cli(DONE, "ls", what).stdout)
            self.assertTrue(self.server.cli_json("ls", what)[what])
        self.run_cli(USAGE, "ls", "nonsense")
        self.run_cli(DONE, "invoke", "told/echo", "x")
        self.assertTrue(self.server.cli_json("describe", "told/echo")["can_invoke"])
        self.assertIn("told/echo", self.run_cli(DONE, "describe", "told/echo").stdout)
        self.run_cli(FAILED, "invoke", "told/echo", "fail")
        self.assertIn("asked to", self.server.cli_json("describe", "told/echo")["last_error"])
        self.refused(REFUSED, "describe", "told/nothing")

    def test_a_function_may_be_called_like_a_part_of_the_api(self):
        for name in ("scaling", "egress"):
            self.server.fc().create_function("told", name, "python3", "index.handler", codeZipFile=support.zip_file({"index.py": HANDLER}))
            self.assertEqual(self.server.cli_json("describe", f"told/{name}")["handler"], "index.handler")
            self.assertEqual(self.server.cli_json("scale", f"told/{name}")["function"], name)
            self.assertEqual(self.server.cli_json("egress", f"told/{name}")["egress"], [])

    def test_describe_says_why_a_function_cannot_be_called(self):
        self.server.fc().create_function("told", "broken", "python3", "missing.handler", codeZipFile=support.zip_file({"index.py": "x = 1\n"}))
        unread = self.server.cli_json("describe", "told/broken")  # before it was ever called
        self.assertFalse(unread["can_invoke"])
        self.assertIn("the package has no file 'missing.py'", unread["why_not"])
        self.run_cli(FAILED, "invoke", "told/broken", "x")
        described = self.server.cli_json("describe", "told/broken")
        self.assertFalse(described["can_invoke"])
        self.assertIn("missing", described["why_not"])

    def test_objects_go_there_and_back(self):
        self.run_cli(DONE, "object", "mb", "mayfly://files")
        tree = self.folder / "tree"
        (tree / "sub").mkdir(parents=True)
        (tree / "a.txt").write_bytes(b"a" * 100_000)
        (tree / "sub" / "人 b.txt").write_bytes(b"b")
        self.run_cli(DONE, "object", "cp", "-r", str(tree), "mayfly://files/up/")
        names = sorted(item["key"] for item in self.server.cli_json("object", "ls", "-r", "mayfly://files/")["objects"])
        self.assertEqual(names, ["up/a.txt", "up/sub/人 b.txt"])
        shallow = self.server.cli_json("object", "ls", "mayfly://files/up/")["objects"]
        self.assertEqual([(item["key"], item["prefix"]) for item in shallow], [("up/a.txt", False), ("up/sub/", True)])
        self.run_cli(DONE, "object", "cp", "-r", "mayfly://files/up/", str(self.folder / "back"))
        self.assertEqual((self.folder / "back/sub/人 b.txt").read_bytes(), b"b")
        self.assertEqual((self.folder / "back/a.txt").stat().st_size, 100_000)
        self.run_cli(DONE, "object", "cp", "mayfly://files/up/a.txt", "mayfly://files/copy.txt")
        self.assertEqual(self.run_cli(DONE, "object", "cat", "mayfly://files/up/sub/人 b.txt").stdout, "b")
        self.refused(REFUSED, "object", "rb", "mayfly://files")
        self.run_cli(DONE, "object", "rm", "-r", "mayfly://files/up/")
        self.run_cli(DONE, "object", "rm", "mayfly://files/copy.txt")
        self.assertEqual(self.server.cli_json("object", "ls", "-r", "mayfly://files/")["objects"], [])
        self.run_cli(DONE, "object", "rb", "mayfly://files")
        self.assertEqual(self.refused(REFUSED, "object", "ls", "mayfly://files/")[1]["code"], "NoSuchBucket")

    def test_flows_start_wait_and_tell(self):
        done = self.run_cli(DONE, "flow", "start", "once", '{"n": 1}', "--name", "first", "--wait")
        self.assertIn("Succeeded", done.stdout + done.stderr)
        self.assertEqual(self.server.cli_json("flow", "show", "once", "first")["Status"], "Succeeded")
        self.assertIn("once", self.run_cli(DONE, "flow", "ls").stdout)
        self.assertIn("first", self.run_cli(DONE, "flow", "ls", "once").stdout)
        self.assertIn("type: flow", self.run_cli(DONE, "flow", "show", "once").stdout)
        events = self.server.cli_json("flow", "history", "once", "first")
        self.assertEqual((events[0]["Type"], events[-1]["Type"]), ("ExecutionStarted", "ExecutionSucceeded"))
        self.assertIn("TaskSucceeded", self.run_cli(DONE, "flow", "history", "once", "first").stdout)
        self.refused(REFUSED, "flow", "start", "once", '{"n": 2}', "--name", "first")
        self.assertEqual(self.refused(REFUSED, "flow", "start", "once", "{broken")[1]["code"], "InvalidArgument")
        self.refused(REFUSED, "flow", "show", "nothing")

    def test_a_flow_that_fails_ends_with_one(self):
        from aliyunsdkfnf.request.v20190315 import CreateFlowRequest
        self.server.fnf(CreateFlowRequest.CreateFlowRequest, Name="fails", Description="", Type="FDL",
                        Definition="version: v1\ntype: flow\nsteps:\n  - {type: fail, name: no, error: Asked, cause: to}\n")
        self.assertIn("Asked", "".join([(r := self.run_cli(FAILED, "flow", "start", "fails", "--wait")).stdout, r.stderr]))

    def test_dead_letters_are_listed_run_again_and_dropped(self):
        fc = self.server.fc()
        fc.create_function("told", "dying", "python3", "index.handler", codeZipFile=support.zip_file({"index.py": HANDLER}))
        fc.put_function_async_invoke_config("told", "LATEST", "dying", {"maxAsyncRetryAttempts": 0})
        self.assertEqual(self.server.cli_json("dead-letters", "ls")["deadLetters"], [])
        self.run_cli(DONE, "invoke", "told/dying", "fail", "--async")
        first = support.wait_until(lambda: self.server.cli_json("dead-letters", "ls")["deadLetters"], 30, "the call to be given up")[0]
        self.assertEqual((first["service"], first["function"]), ("told", "dying"))
        self.assertIn("told/dying", self.run_cli(DONE, "dead-letters", "ls", "--limit", "5000").stdout)
        for unset in ("/", "told/", ""):  # what "$SVC/$FN" and "$FN" come to
            for verb in ("purge", "redrive"):
                self.refused(USAGE, "dead-letters", verb, "--function", unset)
        self.refused(USAGE, "dead-letters", "drop", "")
        self.assertEqual(self.server.cli_json("dead-letters", "ls")["deadLetters"], [first])
        self.run_cli(DONE, "dead-letters", "redeliver", first["id"])
        again = support.wait_until(lambda: [each for each in self.server.cli_json("dead-letters", "ls")["deadLetters"] if each["id"] != first["id"]], 30, "it to fail again")
        self.run_cli(DONE, "dead-letters", "drop", again[0]["id"])
        self.assertEqual(self.server.cli_json("dead-letters", "ls")["deadLetters"], [])
        self.refused(REFUSED, "dead-letters", "drop", again[0]["id"])

    def test_what_is_wrong_on_this_machine_ends_with_five(self):
        self.refused(LOCAL, "invoke", "told/echo", "-f", str(self.folder))
        with tempfile.TemporaryDirectory() as folder:
            requirements = pathlib.Path(folder, "requirements.txt")
            requirements.write_text("six==1.17.0\n")
            self.refused(LOCAL, "deps", folder, "--output", "/nonexistent/x.zip")
            requirements.write_text("# none yet\n")
            self.assertIn("nothing to install", self.run_cli(USAGE, "deps", folder, "--output", folder + "/x.zip").stderr)

    def test_doctor_finds_this_machine_fit(self):
        checks = json.loads(self.run_cli(DONE, "--json", "doctor", "--libraries", support.LIBRARIES).stdout)
        self.assertNotIn("broken", json.dumps(checks["checks"]))
        self.assertIn("user namespace", self.run_cli(DONE, "doctor").stdout)

    def test_without_a_server_or_with_a_wrong_key_it_says_so(self):
        with tempfile.TemporaryDirectory() as nothing:
            result = subprocess.run([support.BINARY, "--data-dir", nothing, "ls"], capture_output=True, text=True)
            self.assertEqual(result.returncode, USAGE, result.stderr)
            self.assertIn("mayfly up", result.stderr)
        gone = support.Mayfly()
        self.addCleanup(gone.close)
        gone.stop()
        result = gone.cli("ls", check=False)
        self.assertEqual(result.returncode, NO_SERVER, result.stderr)
        self.assertIn("mayfly up", result.stderr)
        self.refused(USAGE, "--access-key-secret", "wrong", "ls", "functions")  # the data folder's id with another secret is nobody's wish
        _, error = self.refused(REFUSED, "--access-key-id", self.server.key_id, "--access-key-secret", "wrong", "--account", self.server.account, "ls", "functions")
        self.assertTrue(error["code"])
        elsewhere = dict(os.environ, MAYFLY_ENDPOINT=self.server.endpoint, MAYFLY_ACCESS_KEY_ID=self.server.key_id,
                         MAYFLY_ACCESS_KEY_SECRET=self.server.key_secret, MAYFLY_ACCOUNT_ID=self.server.account, MAYFLY_DATA_DIR="/nonexistent")
        listed = subprocess.run([support.BINARY, "ls", "functions"], capture_output=True, text=True, env=elsewhere)
        self.assertEqual(listed.returncode, DONE, listed.stderr)

    def test_wrong_usage_is_told_with_the_help(self):
        for arguments in ((), ("nonsense",), ("invoke",), ("object", "cp", "only-one"), ("up", "--port", "many")):
            result = self.server.cli(*arguments, check=False)
            self.assertEqual(result.returncode, USAGE, f"{arguments}: {result.stderr}")
        self.assertTrue(re.match(r"\d+\.\d+\.\d+", self.run_cli(DONE, "--version").stdout))


if __name__ == "__main__":
    support.main()
