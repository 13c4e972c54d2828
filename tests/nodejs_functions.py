#!/usr/bin/env python3
"""Node functions on a real server: deployed by the vendor's tool and client, called through its API and HTTP triggers."""
import base64
import concurrent.futures
import json
import os
import pathlib
import tempfile
import unittest

import support

import requests  # from the libraries that support put on the path

FUN = os.path.join(support.CLIENTS, "node_modules/.bin/fun")

TEMPLATE = """
ROSTemplateFormatVersion: '2015-09-01'
Transform: 'Aliyun::Serverless-2018-04-03'
Resources:
  shop:
    Type: 'Aliyun::Serverless::Service'
    counter:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.handler, Initializer: index.initialize, Runtime: nodejs12, CodeUri: './counter', EnvironmentVariables: {STEP: '1'}}
    web:
      Type: 'Aliyun::Serverless::Function'
      Properties: {Handler: index.handler, Runtime: nodejs12, CodeUri: './web'}
      Events:
        open: {Type: HTTP, Properties: {AuthType: ANONYMOUS, Methods: [GET, POST]}}
"""
COUNTER = """
'use strict';
let counter = 1;
exports.initialize = (context, callback) => { counter += Number(process.env.STEP); callback(null, ''); };
exports.handler = (event, context, callback) => {
  console.log('event:', event.toString());
  callback(null, String(counter++));
};
"""
WEB = """
const getRawBody = require('raw-body');
exports.handler = (request, response, context) => {
  getRawBody(request, (error, body) => {
    response.setStatusCode(request.queries.status ? Number(request.queries.status) : 200);
    response.setHeader('Content-Type', 'application/json');
    response.setHeader('X-Request', context.requestId);
    response.send(JSON.stringify({ method: request.method, path: request.path, queries: request.queries, agent: request.headers['x-agent'], body: body.toString() }));
  });
};
"""


class NodeFunctions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("node")

    def create(self, name, code, runtime="nodejs20", **more):
        files = code if isinstance(code, dict) else {"index.js": code}
        settings = {"timeout": 30, "memorySize": 256, **more}
        self.fc.create_function("node", name, runtime, "index.handler", codeZipFile=support.zip_file(files), **settings)

    def invoke(self, name, payload=b"", **headers):
        """Status, headers and body as they are on the wire; the client raises at function errors."""
        return self.fc.invoke_function("node", name, payload=payload, headers=headers)

    def failure(self, name, payload=b""):
        """The error's type and body."""
        path = f"/{self.fc.api_version}/services/node/functions/{name}/invocations"
        reply = self.fc._do_request("POST", path, self.fc._build_common_headers("POST", path, {}), body=payload)
        return reply.headers["x-fc-error-type"], reply.json()

    def test_fun_deploys_an_initialized_function_and_a_web_function(self):
        folder = tempfile.TemporaryDirectory(prefix="mayfly-node-")
        self.addCleanup(folder.cleanup)
        for name, text in {"template.yml": TEMPLATE, "counter/index.js": COUNTER, "web/index.js": WEB}.items():
            path = pathlib.Path(folder.name, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.server.cli("cloud", "--", "node", FUN, "deploy", "-y", cwd=folder.name, timeout=240)
        bodies = [self.fc.invoke_function("shop", "counter", payload=b"hello", headers={"x-fc-log-type": "Tail"}) for _ in range(2)]
        self.assertEqual([reply.data for reply in bodies], [b"2", b"3"])
        log = base64.b64decode(bodies[1].headers["x-fc-log-result"]).decode()
        self.assertRegex(log, rf"\d\dZ {bodies[1].headers['x-fc-request-id']} \[verbose\] event: hello\n")
        reply = requests.post(self.server.endpoint + "/2016-08-15/proxy/shop/web/a%20b?x=1&status=202", data="posted", headers={"X-Agent": "curl"}, timeout=60)
        self.assertEqual((reply.status_code, reply.headers["content-type"], len(reply.headers["x-request"])), (202, "application/json", 36))
        self.assertEqual(reply.json(), {"method": "POST", "path": "/a%20b", "queries": {"x": "1", "status": "202"}, "agent": "curl", "body": "posted"})

    def test_an_async_function_as_an_es_module(self):
        self.create("async", {"index.mjs": "export const handler = async (event, context) => ({ ...JSON.parse(event), region: context.region })"})
        self.assertEqual(json.loads(self.invoke("async", b'{"a":1}').data), {"a": 1, "region": support.REGION})

    def test_binary_in_and_out(self):
        self.create("reverse", "exports.handler = async (event) => event.reverse()")
        body = os.urandom(3 << 20)
        self.assertEqual(self.invoke("reverse", body).data, body[::-1])

    def test_errors_say_what_and_where(self):
        self.create("errors", """exports.handler = (event, context, callback) => {
          if (String(event) === 'handled') callback(new TypeError('no face'))
          else setTimeout(() => { throw new RangeError('later') }, 1)
        }""")
        kind, body = self.failure("errors", b"handled")
        self.assertEqual((kind, body["errorMessage"], body["errorType"], body["stackTrace"][0]), ("HandledInvocationError", "no face", "TypeError", "TypeError: no face"))
        kind, body = self.failure("errors", b"later")
        self.assertEqual((kind, body["errorMessage"], body["errorType"]), ("UnhandledInvocationError", "later", "RangeError"))
        self.assertEqual(self.failure("errors", b"handled")[1]["errorMessage"], "no face", "another instance takes over")

    def test_a_timeout_and_a_crash(self):
        self.create("slow", "exports.handler = (event, context, callback) => { if (String(event) === 'exit') process.exit(1); setTimeout(callback, 60000) }", timeout=1)
        self.assertEqual(self.failure("slow")[0], "FunctionTimedOut")
        kind, body = self.failure("slow", b"exit")
        self.assertEqual(kind, "UnhandledInvocationError")
        self.assertRegex(body["errorMessage"], r"^Process exited unexpectedly with status 1 before completing request \(duration: ")

    def test_ten_calls_share_one_instance(self):
        self.create("shared", """const id = Math.random(); let waiting = []
        exports.handler = (event, context, callback) => { waiting.push(callback); if (waiting.length === 10) { for (const go of waiting) go(null, String(id)); waiting = [] } }""", instanceConcurrency=10)
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            answers = {reply.data for reply in pool.map(lambda _: self.invoke("shared"), range(10))}
        self.assertEqual(len(answers), 1, answers)

    def test_a_streamed_reply_arrives_whole(self):
        self.create("streamed", "exports.handler = awslambda.streamifyResponse(async (event, stream) => { for (let i = 0; i < 100; ++i) stream.write(Buffer.alloc(20000, i)); stream.end() })")
        self.assertEqual(self.invoke("streamed").data, b"".join(bytes([i]) * 20000 for i in range(100)))
        self.create("page", "exports.handler = (request, response) => { response.setHeader('A', 'b'); response.write('one '); setTimeout(() => response.end('two'), 5) }")
        self.fc.create_trigger("node", "page", "http", "http", {"authType": "anonymous", "methods": ["GET"]}, "", "")
        reply = requests.get(self.server.endpoint + "/2016-08-15/proxy/node/page/", timeout=60)
        self.assertEqual((reply.status_code, reply.headers["a"], reply.content), (200, "b", b"one two"))

    def test_endpoints_of_the_vendor_written_into_the_code_are_trusted_and_answered(self):
        self.create("cloud", """const https = require('https')
        exports.handler = (event, context, callback) => https.get('https://oss-cn-hangzhou-internal.aliyuncs.com/', (reply) => {
          reply.resume().on('end', () => callback(null, [reply.statusCode, 'x-oss-request-id' in reply.headers])) }).on('error', callback)""")
        self.assertEqual(json.loads(self.invoke("cloud").data), [403, True])


if __name__ == "__main__":
    support.main()
