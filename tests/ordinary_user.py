#!/usr/bin/env python3
"""A server of an ordinary user, without cgroups: functions run, and one that wants more memory than it has is ended alone."""
import json
import os
import subprocess
import sys
import unittest

import support

SKIPPED = 77
NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env", "HOME=/tmp", "PATH=/usr/bin:/bin")

PYTHON = """
def handler(event, context):
    kept = []
    while event == b'hog': kept.append(bytearray(1 << 20))
    return event
"""
NODE = """
exports.handler = (event, context, callback) => {
  const kept = []
  while (String(event) === 'hog') kept.push(new Array(100000).fill(Math.random()))
  while (String(event) === 'buffers') kept.push(Buffer.alloc(1 << 20, 1))
  callback(null, event)
}
"""
PHP = """<?php
function handler($event, $context) {
    $kept = [];
    while ($event === 'hog') $kept[] = str_repeat('x', 1 << 20);
    return $event;
}
"""
SERVER = """#!/usr/bin/python3
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body, kept = self.rfile.read(int(self.headers['Content-Length'])), []
        while body == b'hog': kept.append(bytearray(1 << 20))
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(('', int(os.environ['FC_SERVER_PORT'])), Handler).serve_forever()
"""


class OrdinaryServer(support.Mayfly):
    if os.geteuid() == 0:
        runner = AS_NOBODY

    def make_data(self):
        data = super().make_data()
        if os.geteuid() == 0:
            os.chown(data, NOBODY, NOBODY)
        return data


class OrdinaryUser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = OrdinaryServer()
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("mine")
        for name, runtime, file, code in (("python", "python3", "index.py", PYTHON), ("node", "nodejs20", "index.js", NODE), ("php", "php8.2", "index.php", PHP),
                                          ("server", "custom", "bootstrap", SERVER)):
            cls.fc.create_function("mine", name, runtime, "index.handler", codeZipFile=support.zip_file({file: code}), memorySize=128, timeout=60)

    def test_functions_run(self):
        for name in ("python", "node", "php", "server"):
            self.assertEqual(self.fc.invoke_function("mine", name, payload=b"hello").data, b"hello", name)

    def test_who_wants_more_memory_than_it_has_is_refused_and_told(self):
        for name, event in (("python", "hog"), ("node", "hog"), ("node", "buffers"), ("php", "hog"), ("server", "hog")):
            failed = self.server.cli("--json", "invoke", f"mine/{name}", event, check=False)
            self.assertEqual(failed.returncode, 1, f"{name} {event}: {failed.stdout}{failed.stderr}")
            error = json.loads(failed.stdout)["errorType"]
            self.assertIn(error, ("HandledInvocationError", "UnhandledInvocationError"), f"{name} {event}: {failed.stdout}")
            self.assertEqual(self.fc.invoke_function("mine", name, payload=b"hello").data, b"hello", name)


if __name__ == "__main__":
    if os.geteuid() == 0 and subprocess.run([*AS_NOBODY, "test", "-x", os.path.abspath(support.BINARY), "-a", "-r", support.SOURCE / "runtimes"], capture_output=True).returncode != 0:
        print("skipped: another user cannot read this folder")
        sys.exit(SKIPPED)
    support.main()
