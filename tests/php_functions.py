#!/usr/bin/env python3
"""PHP functions on a real server, as the vendor's documentation shapes them."""
import json
import unittest

import support

import requests  # from the libraries that support put on the path

COUNTER = """<?php
$counter = 1;
function initialize($context) { global $counter; $counter++; }
function handler($event, $context) {
    global $counter;
    $GLOBALS['fcLogger']->info('event: ' . $event);
    if ($event === 'fail') throw new Exception('oops');
    return $counter++;
}
"""
WEB = """<?php
use RingCentral\\Psr7\\Response;
function handler($request, $context): Response {
    $answer = ['method' => $request->getMethod(), 'path' => $request->getAttribute('path'), 'queries' => $request->getQueryParams(), 'body' => $request->getBody()->getContents()];
    return new Response(202, ['X-Two' => ['a', 'b'], 'Content-Type' => 'application/json'], json_encode($answer, JSON_UNESCAPED_SLASHES));
}
"""


class PhpFunctions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("php")

    def create(self, name, code, **more):
        self.fc.create_function("php", name, "php7.2", "index.handler", timeout=30, memorySize=256, codeZipFile=support.zip_file({"index.php": code}), **more)

    def test_an_event_function_with_an_initializer_and_an_error(self):
        import fc2
        self.create("counter", COUNTER, initializer="index.initialize")
        self.assertEqual([self.fc.invoke_function("php", "counter", payload=b"x").data for _ in range(2)], [b"2", b"3"])
        with self.assertRaises(fc2.fc_exceptions.FcError) as caught:
            self.fc.invoke_function("php", "counter", payload=b"fail")
        error = json.loads(caught.exception.message)
        self.assertEqual((error["errorMessage"], error["stackTrace"]), ("oops", {"file": "/code/index.php", "line": 7, "traceString": ""}))

    def test_an_http_function(self):
        self.create("web", WEB)
        self.fc.create_trigger("php", "web", "http", "http", {"authType": "anonymous", "methods": ["GET", "POST"]}, "", "")
        reply = requests.post(self.server.endpoint + "/2016-08-15/proxy/php/web/a%20b?x=1", data="posted", timeout=60)
        self.assertEqual((reply.status_code, reply.headers["x-two"], reply.headers["content-type"]), (202, "a, b", "application/json"))
        self.assertEqual(reply.json(), {"method": "POST", "path": "/a%20b", "queries": {"x": "1"}, "body": "posted"})


if __name__ == "__main__":
    support.main()
