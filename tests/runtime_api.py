#!/usr/bin/env python3
"""Programs that ask for their calls, with the vendors' own unmodified clients: Go programs of fc-runtime-go-sdk and aws-lambda-go, PyPI's
awslambdaric, npm's aws-lambda-ric, and the bash bootstraps of the vendors' guides. One class per contract; `runtime_api.py CLASS` runs one."""
import base64
import concurrent.futures
import io
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest
import zipfile

import support

import requests  # from the libraries that support put on the path

FUNCTIONS = support.SOURCE / "tests/functions"


def packed(files):
    """The name of a zip of {name: path or text}, each an executable; removed with the test run."""
    file = tempfile.NamedTemporaryFile(suffix=".zip", delete=False)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o755 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content.read_bytes() if isinstance(content, pathlib.Path) else content)
    file.close()
    unittest.addModuleCleanup(os.unlink, file.name)
    return file.name


def tree(folder, under=""):
    """{name: path} of all files of a folder."""
    folder = pathlib.Path(folder)
    return {under + str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def go_programs():
    """The folder with the built programs of tests/functions/go, from modules that were fetched before."""
    folder = tempfile.mkdtemp(prefix="mayfly-go-")
    unittest.addModuleCleanup(shutil.rmtree, folder)
    modules = os.path.join(support.CLIENTS, "go")
    environment = {**os.environ, "GOMODCACHE": modules + "/modules", "GOCACHE": modules + "/cache", "GOPATH": modules, "GOPROXY": "off", "GOSUMDB": "off",
                   "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-trimpath", "-ldflags=-s -w", "-o", folder + "/", "./..."], cwd=FUNCTIONS / "go", env=environment, check=True)
    return pathlib.Path(folder)


class Functions(unittest.TestCase):
    """One server for the tests of a class; `make` deploys, `call` gives (value, error type, tail of the log)."""

    @classmethod
    def setUpClass(cls):
        if cls is Functions:
            raise unittest.SkipTest("what the others share")
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("api")

    def make(self, name, runtime, handler, files, **options):
        options = {"timeout": 20, "memorySize": 256, "initializationTimeout": 20, **options}
        hooks = options.pop("instanceLifecycleConfig", None)
        self.fc.create_function("api", name, runtime, handler, codeZipFile=packed(files), **options)
        if hooks:  # the client's own parameters have no such thing
            path = f"/2016-08-15/services/api/functions/{name}"
            self.fc._do_request("PUT", path, self.fc._build_common_headers("PUT", path), body=json.dumps({"instanceLifecycleConfig": hooks}).encode())

    def http(self, name):
        """Makes it an HTTP function; its address."""
        self.fc.create_trigger("api", name, "http", "http", {"authType": "anonymous", "methods": ["GET", "POST"]}, "", "")
        return f"{self.server.endpoint}/2016-08-15/proxy/api/{name}/"

    def call(self, name, event=b""):
        payload = event if isinstance(event, bytes) else json.dumps(event).encode()
        path = f"/2016-08-15/services/api/functions/{name}/invocations"
        headers = self.fc._build_common_headers("POST", path, {"x-fc-log-type": "Tail"})  # signed; what the client says of errors leaves their type out
        reply = requests.post(self.server.endpoint + path, data=payload, headers={**headers, "content-length": str(len(payload))}, timeout=120)
        log = base64.b64decode(reply.headers.get("X-Fc-Log-Result", "")).decode()
        try:
            value = json.loads(reply.content)
        except ValueError:
            value = reply.text
        return value, reply.headers.get("X-Fc-Error-Type"), log

    def printed(self, name):
        return self.server.cli("logs", f"api/{name}").stdout


class FcGo(Functions):
    """github.com/aliyun/fc-runtime-go-sdk v0.2.7."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.programs = go_programs()

    def go(self, name, program, **options):
        self.make(name, "go1", "main", {"main": self.programs / program}, **options)

    def test_an_event_function_has_context_credentials_and_deadline(self):
        self.go("event", "fc_event")
        answer, error, log = self.call("event", {"name": "Anna"})
        self.assertIsNone(error, answer)
        self.assertEqual({k: answer[k] for k in ("hello", "function", "service", "handler", "memory", "timeout", "region", "account")},
                         {"hello": "Anna", "function": "event", "service": "api", "handler": "main", "memory": "256", "timeout": 20,
                          "region": support.REGION, "account": self.server.account})
        self.assertRegex(answer["request"], "^[0-9a-f-]{36}$")
        self.assertTrue(0 < answer["leftMs"] <= 20_000, answer)
        self.assertIn("hello from Anna", log)
        self.assertEqual(log.count(f"FC Invoke Start RequestId: {answer['request']}"), 1, log)
        self.assertEqual(log.count(f"FC Invoke End RequestId: {answer['request']}"), 1, log)

    def test_errors_and_panics_are_the_sdks_own_and_the_instance_goes_on(self):
        self.go("errors", "fc_event")
        answer, error, _ = self.call("errors", {"do": "error", "name": "Bob"})
        self.assertEqual((answer, error), ({"errorMessage": "no such face: Bob", "errorType": "errorString"}, "HandledInvocationError"))
        answer, error, _ = self.call("errors", {"do": "panic"})
        self.assertEqual(error, "HandledInvocationError")
        self.assertIn("nil pointer dereference", answer["errorMessage"])
        self.assertTrue(any(set(frame) == {"path", "line", "label"} and frame["label"] == "handle" for frame in answer["stackTrace"]), answer)
        self.assertEqual(self.call("errors", {"name": "Eve"})[0]["hello"], "Eve")

    def test_a_timeout_ends_it_and_the_next_call_has_another(self):
        self.go("slow", "fc_event", timeout=1)
        answer, error, _ = self.call("slow", {"do": "sleep", "sleepMs": 60_000})
        self.assertIn("timed out after 1 seconds", answer["errorMessage"])
        self.assertEqual(self.call("slow", {"name": "x"})[0]["hello"], "x")

    def test_one_instance_runs_several_calls_at_once(self):
        self.go("together", "fc_event", instanceConcurrency=10)
        self.call("together", {"name": "warm"})
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            clients = [self.server.fc() for _ in range(4)]
            replies = list(pool.map(lambda client: json.loads(client.invoke_function("api", "together", payload=b'{"do":"together"}').data), clients))
        self.assertEqual([reply["running"] for reply in replies], [4] * 4)

    def test_an_http_function_gets_and_gives_http(self):
        self.go("page", "fc_http")
        base = self.http("page")
        reply = requests.post(base + "a%20b?q=1&x=2", data="body", headers={"X-Asked": "yes"}, timeout=60)
        self.assertEqual((reply.status_code, reply.text), (202, "POST /a b q=1 body"))
        self.assertEqual((reply.headers["x-seen"], reply.headers["x-twice"], reply.headers["content-type"]), ("yes", "1, 2", "text/plain"))
        failed = requests.get(base + "?fail=1", timeout=60)
        self.assertEqual(failed.json(), {"errorMessage": "no page today", "errorType": "errorString"})

    def test_initializer_pre_freeze_and_pre_stop_run_in_their_time(self):
        hooks = {"preStop": {"handler": "stop", "timeout": 5}, "preFreeze": {"handler": "freeze", "timeout": 5}}
        self.go("life", "fc_lifecycle", initializer="init", instanceLifecycleConfig=hooks)
        self.assertEqual([self.call("life")[0] for _ in range(2)], [1001, 1002])
        support.wait_until(lambda: "freezing after 1002" in self.printed("life"), 30, "the pre-freeze hook")
        self.fc.update_function("api", "life", description="a new revision ends the old one's instances")
        self.assertEqual(self.call("life")[0], 1001)
        support.wait_until(lambda: "stopping after 1002" in self.printed("life"), 60, "the pre-stop hook")
        self.assertEqual(self.printed("life").count("initializing life"), 2)

    def test_an_initializer_that_panics_fails_the_call_with_its_stack(self):
        self.go("broken", "fc_lifecycle", initializer="init", environmentVariables={"FAIL": "1"})
        answer, error, _ = self.call("broken")
        self.assertEqual((answer["errorMessage"], error), ("no model", "UnhandledInvocationError"))
        self.assertTrue(any(frame["label"] == "initialize" for frame in answer["stackTrace"]), answer)


class LambdaGo(Functions):
    """github.com/aws/aws-lambda-go v1.53.0."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.programs = go_programs()

    def go(self, name, program, **options):
        self.make(name, "provided.al2023", "bootstrap", {"bootstrap": self.programs / program}, **options)

    def test_an_event_function_has_its_context(self):
        self.go("event", "lambda_event")
        answer, error, log = self.call("event", {"name": "Anna"})
        self.assertIsNone(error, answer)
        self.assertTrue(0 < answer.pop("leftMs") <= 20_000, answer)
        self.assertRegex(answer.pop("request"), "^[0-9a-f-]{36}$")
        self.assertEqual(answer, {"hello": "Anna", "arn": f"arn:aws:lambda:{support.REGION}:{self.server.account}:function:event", "name": "event",
                                  "version": "$LATEST", "memory": 256, "group": "/aws/lambda/event", "folder": "/var/task", "trace": True})
        self.assertIn("hello from Anna", log)

    def test_a_go1_program_is_named_by_its_handler(self):
        self.make("old", "go1.x", "main", {"main": self.programs / "lambda_event"})
        self.assertEqual(self.call("old", {"name": "Old"})[0]["hello"], "Old")

    def test_errors_panics_and_exits(self):
        self.go("errors", "lambda_event")
        self.assertEqual(self.call("errors", {"do": "error", "name": "Bob"})[:2],
                         ({"errorMessage": "no such face: Bob", "errorType": "errorString"}, "HandledInvocationError"))
        answer, error, _ = self.call("errors", {"do": "panic"})
        self.assertEqual(error, "HandledInvocationError")
        self.assertTrue(any(frame["label"] == "handle" for frame in answer["stackTrace"]), answer)
        # The client ends its program after a panic: the next call finds another.
        self.assertEqual(self.call("errors", {"name": "Eve"})[0]["hello"], "Eve")
        answer, error, _ = self.call("errors", {"do": "exit"})
        self.assertEqual((answer["errorType"], error), ("Runtime.ExitError", "UnhandledInvocationError"))
        self.assertRegex(answer["errorMessage"], "^RequestId: [0-9a-f-]{36} Error: Runtime exited with error: exit status 3$")
        self.assertEqual(self.call("errors", {"name": "Eve"})[0]["hello"], "Eve")

    def test_a_timeout_is_told_in_the_vendors_words(self):
        self.go("slow", "lambda_event", timeout=1)
        answer, _, _ = self.call("slow", {"do": "sleep"})
        self.assertRegex(answer["errorMessage"], "Task timed out after 1.00 seconds$")

    def test_a_function_url_handler_answers_http(self):
        self.go("page", "lambda_url")
        base = self.http("page")
        reply = requests.get(base + "a/b?q=1", timeout=60)
        self.assertEqual((reply.status_code, reply.headers["content-type"]), (202, "text/plain"), reply.text)
        self.assertEqual(reply.text, "GET /a/b q=1\nline 0\nline 1\nline 2\n")


class Bash(Functions):
    """The bootstraps of the vendors' guides: bash and curl."""

    def test_scfs_plain_sample(self):
        self.make("plain", "CustomRuntime", "index.main", {
            "bootstrap": (FUNCTIONS / "bash/scf_bootstrap").read_text(),
            "index.sh": 'function main() { EVENT_DATA=$1; echo "$EVENT_DATA" 1>&2; RESPONSE="Echoing request: \'$EVENT_DATA\'"; echo $RESPONSE; }\n'})
        answer, error, log = self.call("plain", b'{"key1": "a=b&c+d"}')
        self.assertEqual((answer, error), ("""Echoing request: '{"key1": "a=b&c+d"}'""", None))
        self.assertIn("a=b&c+d", log)
        self.assertEqual(self.call("plain", b"2")[0], "Echoing request: '2'")

    def test_scfs_module_runner_loses_what_bash_loses_and_ends_with_its_module(self):
        self.make("module", "CustomRuntime", "scf.so", {
            "bootstrap": (FUNCTIONS / "bash/scf_module_bootstrap").read_text(),
            # Stands for the WebAssembly runner of the vendor's sample: the event and a newline on stdin, its answer on stdout.
            "runner": '#!/bin/bash\nread -r event\n[ "$event" != trap ] || exit 134\nprintf "%s got %s\\n\\n" "$1" "$event"\n'})
        self.assertEqual(self.call("module", b"photo\n\n")[0], "scf.so got photo")
        answer, error, _ = self.call("module", b"trap")
        self.assertEqual((answer["statusCode"], answer["errorType"], error), (405, "ContainerStateExited", "UnhandledInvocationError"))
        self.assertEqual(self.call("module", b"again")[0], "scf.so got again", "the next event has another instance")

    def test_lambdas_sample_of_a_custom_runtime(self):
        self.make("sample", "provided.al2", "function.handler", {
            "bootstrap": (FUNCTIONS / "bash/lambda_bootstrap").read_text(),
            "function.sh": 'function handler () {\n  EVENT_DATA=$1\n  echo "$EVENT_DATA" 1>&2;\n  RESPONSE="Echoing request: \'$EVENT_DATA\'"\n\n  echo $RESPONSE\n}\n'})
        answer, error, log = self.call("sample", b'{"text":"Hello"}')
        self.assertEqual((answer, error), ("""Echoing request: '{"text":"Hello"}'""", None))
        self.assertIn('{"text":"Hello"}', log)
        self.assertEqual(self.call("sample", b"2")[0], "Echoing request: '2'")


class Rics(Functions):
    """The runtime interface clients of AWS for interpreted languages, as a container or a custom runtime uses them."""

    def python(self, name, code, **options):
        files = tree(os.path.join(support.CLIENTS, "awslambdaric"))
        files |= {"bootstrap": "#!/bin/sh\nexec /usr/bin/python3 -m awslambdaric \"$_HANDLER\"\n", "index.py": code}
        self.make(name, "provided.al2023", "index.handler", files, **options)

    def node(self, name, code, **options):
        modules = pathlib.Path(support.CLIENTS, "aws-lambda-ric/node_modules")
        files = {"bootstrap": "#!/bin/sh\nexec node node_modules/aws-lambda-ric/index.mjs \"$_HANDLER\"\n", "index.js": code}
        for package in ("aws-lambda-ric", "@aws/lambda-invoke-store"):
            files |= tree(modules / package, f"node_modules/{package}/")
        self.make(name, "provided.al2023", "index.handler", files, **options)

    def test_awslambdaric_runs_events_errors_and_http(self):
        self.python("python", """
import json, os
count = 0
def handler(event, context):
    global count
    count += 1
    print("called", count)
    if event.get("do") == "raise":
        raise KeyError("no such face")
    if "rawPath" in event:
        return {"statusCode": 202, "headers": {"x-path": event["rawPath"]}, "body": event.get("body", "")}
    left = context.get_remaining_time_in_millis()
    return [count, event, context.function_name, context.memory_limit_in_mb, context.aws_request_id == os.environ.get("nothing", context.aws_request_id), 0 < left <= 20000]
""")
        answer, error, log = self.call("python", {"a": "ä"})
        self.assertEqual((answer, error), ([1, {"a": "ä"}, "python", "256", True, True], None))
        self.assertIn("called 1", log)
        answer, error, _ = self.call("python", {"do": "raise"})
        self.assertEqual((answer["errorMessage"], answer["errorType"], error), ("'no such face'", "KeyError", "HandledInvocationError"))
        self.assertIn("index.py", "".join(answer["stackTrace"]))
        self.assertEqual(self.call("python", {})[0][0], 3, "a handled error leaves the instance")
        reply = requests.post(self.http("python") + "x/y", data="body", timeout=60)
        self.assertEqual((reply.status_code, reply.headers["x-path"], reply.text), (202, "/x/y", "body"))

    def test_awslambdaric_tells_why_it_cannot_begin(self):
        self.python("broken", "import nothing_of_the_kind\ndef handler(event, context): pass\n")
        answer, error, _ = self.call("broken", {})
        self.assertEqual((answer["errorType"], error), ("Runtime.ImportModuleError", "UnhandledInvocationError"))
        self.assertIn("nothing_of_the_kind", answer["errorMessage"])

    def test_aws_lambda_ric_runs_events_errors_and_streams(self):
        self.node("node", """
exports.handler = async (event, context) => {
  console.log("called");
  if (event.do === "throw") throw new RangeError("no such face");
  return [event, context.functionName, context.getRemainingTimeInMillis() > 0, process.version];
};
""")
        answer, error, log = self.call("node", {"a": 1})
        self.assertIsNone(error, answer)
        self.assertEqual(answer[:3], [{"a": 1}, "node", True])
        self.assertIn("called", log)
        answer, error, _ = self.call("node", {"do": "throw"})
        self.assertEqual((answer["errorMessage"], answer["errorType"], error), ("no such face", "RangeError", "HandledInvocationError"))
        self.node("stream", """
exports.handler = awslambda.streamifyResponse(async (event, out) => {
  out = awslambda.HttpResponseStream.from(out, {statusCode: 201, headers: {"content-type": "text/plain", "x-streamed": "yes"}});
  for (let i = 0; i < 5; ++i) {
    out.write(`line ${i} `);
    await new Promise((done) => setTimeout(done, 20));
  }
  out.end();
});
""")
        reply = requests.get(self.http("stream"), timeout=60)
        self.assertEqual((reply.status_code, reply.headers.get("x-streamed"), reply.text), (201, "yes", "line 0 line 1 line 2 line 3 line 4 "))


if __name__ == "__main__":
    support.main()
