#!/usr/bin/env python3
"""Bad input of every kind gets a clear error in its dialect's own shape, and the server goes on unharmed."""
import base64
import email.utils
import io
import json
import os
import pathlib
import socket
import stat
import unittest
import zipfile

import support

HELLO = "def handler(event, context):\n    return 'hello'\n"


def zip_with(add):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.py", HELLO)
        add(archive)
    return buffer.getvalue()


def link(archive, name, target):
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(entry, target)


def bomb(archive):
    with archive.open("zeros", "w", force_zip64=True) as entry:
        block = bytes(1 << 20)
        for _ in range(2100):  # past the 2 GiB of unpacked code that a package may have
            entry.write(block)


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("svc")
        cls.function("hello", support.zip_bytes({"index.py": HELLO}))

    def tearDown(self):
        self.assertEqual(self.fc.invoke_function("svc", "hello").data, b"hello")
        self.assertIsNone(self.server.process.poll())

    @classmethod
    def call(cls, method, path, body, content_type="application/json"):
        """A signed FC request with any body."""
        import hashlib
        import hmac
        import requests
        date = email.utils.formatdate(usegmt=True)
        text = f"{method}\n\n{content_type}\n{date}\n{path}"
        signature = base64.b64encode(hmac.new(cls.server.key_secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
        return requests.request(method, cls.server.endpoint + path, data=body, timeout=120,
                                headers={"Date": date, "Content-Type": content_type, "Authorization": f"FC {cls.server.key_id}:{signature}"})

    @classmethod
    def function(cls, name, package, **fields):
        body = {"functionName": name, "runtime": "python3", "handler": "index.handler", "timeout": 10, "code": {"zipFile": base64.b64encode(package).decode()}, **fields}
        return cls.call("POST", "/2016-08-15/services/svc/functions", json.dumps(body))

    def assert_error(self, response, status, code, words=""):
        self.assertEqual(response.status_code, status, response.text)
        body = response.json()
        self.assertEqual(body["ErrorCode"], code, body)
        self.assertIn(words, body["ErrorMessage"])
        self.assertTrue(response.headers["x-fc-request-id"])

    def test_packages_that_would_leave_their_folder_or_fill_the_disk(self):
        outside = pathlib.Path(self.server.data, "escaped")
        for add, words in ((lambda a: a.writestr("../../../escaped", "x"), "outside"),
                           (lambda a: a.writestr(str(outside), "x"), "outside"),
                           (lambda a: link(a, "link", "/etc/passwd"), "link"),
                           (lambda a: (link(a, "out", "../.."), a.writestr("out/escaped", "x")), ""),
                           (bomb, "")):
            response = self.function("bad", zip_with(add))
            self.assertEqual(response.status_code, 400, response.text)
            self.assertIn(words, response.json()["ErrorMessage"])
        self.assertFalse(outside.exists())
        self.assertEqual([str(p) for p in pathlib.Path(self.server.data).rglob("escaped")], [])
        self.assert_error(self.function("bad", b"this is no zip"), 400, "InvalidArgument")
        self.assert_error(self.call("GET", "/2016-08-15/services/svc/functions/bad", ""), 404, "FunctionNotFound")

    def test_malformed_and_wrong_json(self):
        for body, words in (("{", "JSON"), ("[1]", ""), ("[" * 10_000, ""), (json.dumps({"serviceName": 7}), "serviceName"), (json.dumps({"serviceName": "a b"}), "")):
            self.assert_error(self.call("POST", "/2016-08-15/services", body), 400, "InvalidArgument", words)
        package = support.zip_bytes({"index.py": HELLO})
        for fields in ({"runtime": 10}, {"runtime": "cobol"}, {"timeout": -1}, {"memorySize": "big"}, {"environmentVariables": {"A": {"b": 1}}}, {"code": {"zipFile": "***"}}):
            self.assertEqual(self.function("bad", package, **fields).status_code, 400, fields)

    def test_unknown_paths_names_and_methods(self):
        self.assert_error(self.call("GET", "/2016-08-15/nothing/here", ""), 400, "PathNotSupported")
        self.assert_error(self.call("GET", "/2016-08-15/services/none", ""), 404, "ServiceNotFound")
        self.assert_error(self.call("POST", "/2016-08-15/services/svc/functions/none/invocations", "x"), 404, "FunctionNotFound")

    def test_wrong_signatures_and_dates(self):
        import requests
        path = "/2016-08-15/services/svc"
        for headers, code in (({}, None), ({"Authorization": "FC nobody:xxx"}, None), ({"Authorization": f"FC {self.server.key_id}:xxx", "Date": email.utils.formatdate(usegmt=True)}, "SignatureNotMatch"),
                              ({"Authorization": f"FC {self.server.key_id}:xxx", "Date": "Fri, 20 Nov 2020 10:00:00 GMT"}, None),
                              ({"Authorization": "Bearer x"}, None), ({"Authorization": f"FC {self.server.key_id}:xxx", "Date": "yesterday"}, None)):
            response = requests.get(self.server.endpoint + path, headers=headers, timeout=10)
            self.assertIn(response.status_code, (400, 403), headers)
            self.assertNotIn(self.server.key_secret, response.text)
            if code:
                self.assertEqual(response.json()["ErrorCode"], code)

    def test_bodies_over_the_limit(self):
        response = self.call("POST", "/2016-08-15/services/svc/functions/hello/invocations", b"x" * (40 << 20), "application/octet-stream")
        self.assertIn(response.status_code, (400, 413), response.text)

    def test_handlers_that_cannot_be_run_or_fail(self):
        cases = {"missing": ("x = 1\n", "handler"), "syntax": ("def handler(:\n", "SyntaxError"), "import": ("import nothing_like_it\n", "nothing_like_it"),
                 "raises": ("def handler(e, c):\n    raise KeyError('oops')\n", "oops"), "exits": ("import os\ndef handler(e, c):\n    os._exit(3)\n", "exited"),
                 "unjson": ("def handler(e, c):\n    return {1, 2}\n", "JSON")}
        for name, (code, words) in cases.items():
            self.function(name, support.zip_bytes({"index.py": code}))
            response = self.call("POST", f"/2016-08-15/services/svc/functions/{name}/invocations", "{}")
            self.assertEqual(response.status_code, 200, response.text)
            self.assertTrue(response.headers["x-fc-error-type"], name)
            self.assertIn(words, response.text, name)
            self.assertIn("errorMessage", response.json())

    def test_raw_garbage_on_the_socket(self):
        port = int(self.server.endpoint.rsplit(":", 1)[1])
        for data in (b"\0" * 1000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", os.urandom(5000),
                     b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"b" * 200_000 + b"\r\n\r\n",
                     b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                try:
                    connection.sendall(data)
                    connection.shutdown(socket.SHUT_WR)
                    answer = connection.recv(65536)
                except ConnectionError:
                    answer = b""
            self.assertTrue(answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505")), answer[:100])

    def test_flow_definitions_that_cannot_work(self):
        from aliyunsdkfnf.request.v20190315.CreateFlowRequest import CreateFlowRequest
        step = "version: v1\ntype: flow\nsteps:\n"
        cases = {"malformed": "steps: [", "unknown goto": step + "- {type: choice, name: c, choices: [{condition: '$.a > 1', goto: nowhere}]}\n",
                 "unknown type": step + "- {type: dance, name: c}\n", "bad condition": step + "- {type: choice, name: c, choices: [{condition: '$.a >', goto: c}]}\n",
                 "bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{c}: &{c} [*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p}]\n" for p, c in zip("abcdefghi", "bcdefghij"))}
        for name, definition in cases.items():
            with self.assertRaises(Exception) as caught:
                self.server.fnf(CreateFlowRequest, Name="bad", Definition=definition, Description="", Type="FDL", RoleArn="x")
            self.assertIn("InvalidArgument", str(caught.exception), name)

    def test_a_flow_that_goes_round_without_progress_ends_failed(self):
        from aliyunsdkfnf.request.v20190315.CreateFlowRequest import CreateFlowRequest
        from aliyunsdkfnf.request.v20190315.DescribeExecutionRequest import DescribeExecutionRequest
        from aliyunsdkfnf.request.v20190315.StartExecutionRequest import StartExecutionRequest
        definition = ("version: v1\ntype: flow\nsteps:\n- {type: pass, name: p}\n"
                      "- {type: choice, name: c, choices: [{condition: '$.go == true', goto: p}]}\n- {type: succeed, name: s}\n")
        self.server.fnf(CreateFlowRequest, Name="spin", Definition=definition, Description="", Type="FDL", RoleArn="x")
        self.server.fnf(StartExecutionRequest, FlowName="spin", ExecutionName="e", Input='{"go": true}')
        ended = self.server.fnf(DescribeExecutionRequest, FlowName="spin", ExecutionName="e", WaitTimeSeconds=30)
        self.assertEqual(ended["Status"], "Failed", ended)


if __name__ == "__main__":
    support.main()
