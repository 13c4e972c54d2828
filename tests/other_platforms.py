#!/usr/bin/env python3
"""Web servers and programs of Knative, OpenFaaS and SCF as they are, deployed through FC's API: the contract that each finds around itself,
events and HTTP triggers. What the contracts say in detail is in src/runtime/http_executor_test.cc, http_contract_test.cc and stdio_test.cc."""
import json

import runtime_api
import support

import requests  # from the libraries that support put on the path

# Answers what it was sent, with the variables and headers that are named.
SERVER = """#!/usr/bin/python3
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        answer = json.dumps({"method": self.command, "path": self.path, "body": body, "cwd": os.getcwd(),
                             "variables": {name: os.environ.get(name) for name in %s}, "headers": {name: self.headers.get(name) for name in %s}}).encode()
        self.send_response(201)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    do_GET = do_POST
    def log_message(self, *arguments): pass
http.server.ThreadingHTTPServer(("0.0.0.0", %s), Handler).serve_forever()
"""
OWN_PORT = 'int(os.environ["PORT"])'


class OtherPlatforms(runtime_api.Functions):
    def test_a_knative_server_listens_on_its_port_and_knows_its_service(self):
        self.make("service", "knative", "server", {"bootstrap": SERVER % (["PORT", "K_SERVICE"], ["X-Forwarded-Proto"], OWN_PORT)}, instanceConcurrency=10)
        answer = requests.post(self.http("service") + "a/b?c=1", data="body", timeout=60)
        self.assertEqual(answer.status_code, 201)
        seen = answer.json()
        self.assertEqual((seen["method"], seen["path"], seen["body"], seen["headers"]), ("POST", "/a/b?c=1", "body", {"X-Forwarded-Proto": "http"}))
        self.assertEqual(seen["variables"], {"PORT": "8080", "K_SERVICE": "service"})

    def test_an_scf_web_function_begins_with_scf_bootstrap_and_is_told_the_request(self):
        self.make("web", "scf-web", "server", {"scf_bootstrap": SERVER % ([], ["X-Scf-Name", "X-Scf-Request-Id"], 9000)})
        seen = requests.get(self.http("web") + "page", timeout=60).json()
        self.assertEqual((seen["path"], seen["cwd"], seen["headers"]["X-Scf-Name"]), ("/page", "/var/user", "web"))
        self.assertEqual(len(seen["headers"]["X-Scf-Request-Id"]), 36)

    def test_a_server_behind_of_watchdog_is_the_upstream(self):
        self.make("upstream", "of-watchdog", "server", {"serve": SERVER % (["mode"], ["X-Call-Id"], 5000)},
                  environmentVariables={"mode": "http", "fprocess": "./serve", "upstream_url": "http://127.0.0.1:5000"})
        answer = requests.post(self.http("upstream"), data="to the upstream", timeout=60)
        self.assertEqual((answer.json()["body"], answer.json()["cwd"], answer.json()["variables"]), ("to the upstream", "/home/app", {"mode": "http"}))
        self.assertEqual(len(answer.json()["headers"]["X-Call-Id"]), 36)
        self.assertGreater(float(answer.headers["X-Duration-Seconds"]), 0)

    def test_a_program_behind_a_watchdog_is_started_for_each_request(self):
        for runtime in ("classic-watchdog", "of-watchdog"):
            name = runtime.replace("-", "_")
            self.make(name, runtime, "upper", {"upper": "#!/bin/sh\ntr a-z A-Z\n"}, environmentVariables={"fprocess": "./upper"})
            self.assertEqual(self.call(name, b"an event")[:2], ("AN EVENT", None))
            answer = requests.post(self.http(name), data="a request", timeout=60)
            self.assertEqual((answer.status_code, answer.text), (200, "A REQUEST"))

    def test_a_program_that_fails_is_500(self):
        self.make("fails", "classic-watchdog", "fails", {"fails": "#!/bin/sh\necho no photo\nexit 3\n"}, environmentVariables={"fprocess": "./fails"})
        answer = requests.post(self.http("fails"), data="", timeout=60)
        self.assertEqual(answer.status_code, 500)
        self.assertIn("no photo", answer.text)

    def test_what_is_missing_is_said(self):
        self.make("bare", "classic-watchdog", "bare", {"any": "file"})
        self.assertIn("fprocess is not set", json.dumps(self.call("bare")[0]))
        self.make("empty", "knative", "server", {"any": "file"})
        self.assertIn("bootstrap", json.dumps(self.call("empty")[0]))
        with self.assertRaisesRegex(Exception, "none of python, .*classic-watchdog"):
            self.make("unknown", "cobol", "main", {"any": "file"})


if __name__ == "__main__":
    support.main()
