#!/usr/bin/env python3
"""The contract with a PHP handler (aliyun-fc.md 5.4), as runtimes/php keeps it: no server and no sandbox, frames over a stream."""
import json
import os
import re
import unittest

import worker_driver
from worker_driver import FAILED, HANDLED_ERROR, HEAD, OK, READY, REPLY

MAIN = str(worker_driver.SOURCE / "runtimes/php/main.php")


class PhpTest(worker_driver.WorkerTest):
    command = ("/usr/bin/php", MAIN)

    def package(self, code):
        return {"index.php": "<?php\n" + code}


class Events(PhpTest):
    def test_text_goes_raw_and_anything_else_as_json(self):
        worker = self.started("""function handler($event, $context) {
            return ['text' => "gr\\xc3\\xbc\\xc3\\x9f", 'bytes' => "\\x00\\xff", 'array' => ['a' => [1, 'x/y'], 'b' => 1.0], 'number' => 7, 'none' => null][$event]; }""")
        for name, payload in {"text": "grüß".encode(), "bytes": b"\x00\xff", "array": b'{"a":[1,"x/y"],"b":1.0}', "number": b"7", "none": b"null"}.items():
            self.assertEqual(worker.call(name.encode()).payload, payload, name)

    def test_state_stays_between_calls_and_the_top_level_is_global(self):
        worker = self.started("$count = 1;\nfunction init($context) { global $count; $count++; }\nfunction handler($event, $context) { global $count; return $count++; }", initializer="index.init")
        self.assertTrue(worker.imported, "it says when its initializer begins")
        self.assertEqual([worker.call().payload for _ in range(2)], [b"2", b"3"])
        self.assertGreater(json.loads(worker.started.meta)["import_us"], 0)

    def test_large_bodies_pass_whole_both_ways(self):
        worker = self.started("function handler($event, $context) { return $event . '!'; }")
        for size in (65000, 65536, 200001, 32 << 20):
            body = os.urandom(1 << 16) * (size >> 16) + b"x" * (size & 0xFFFF)
            self.assertEqual(worker.call(body).payload, body + b"!", size)

    def test_the_context_is_the_vendors(self):
        worker = self.started("function handler($event, $context) { return [$context, getenv('ALIBABA_CLOUD_ACCESS_KEY_ID')]; }")
        context, key = worker.call(retries=2).json()
        self.assertEqual((context["requestId"], context["region"], context["accountId"], context["retryCount"], key), ("request-1", "cn-hangzhou", "1234567890", 2, "STS.key"))
        self.assertEqual(context["credentials"], {"accessKeyId": "STS.key", "accessKeySecret": "secret", "securityToken": "token"})
        self.assertEqual((context["function"]["name"], context["function"]["memory"], context["service"]["name"], context["service"]["versionId"]), ("detect", 128, "photos", "3"))
        context, key = worker.call(credentials=("other", "s", "t")).json()
        self.assertEqual((context["credentials"]["accessKeyId"], key), ("other", "other"))

    def test_the_environment_is_the_functions_and_nothing_else(self):
        worker = self.started("function handler($event, $context) { return [getenv(), $_ENV['OSS_ENDPOINT'], getcwd(), date('H', 0), isset($_SERVER['HOME'])]; }",
                              environment={"OSS_ENDPOINT": "https://oss", "TZ": "Asia/Shanghai"})
        environment, endpoint, cwd, hour, home = worker.call().json()
        self.assertEqual((endpoint, cwd, hour, home), ("https://oss", worker.code, "08", False))
        self.assertEqual(set(environment), {"OSS_ENDPOINT", "TZ", "PATH", "FC_INSTANCE_ID", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"})

    def test_files_in_folders_and_includes(self):
        files = {"src/main.php": "<?php\nrequire_once 'lib/tool.php';\nfunction run($event, $context) { return tool(); }", "lib/tool.php": "<?php\nfunction tool() { return 'tool'; }"}
        self.assertEqual(self.answer(files, handler="src/main.run"), b"tool")

    def test_a_generator_streams(self):
        worker = self.started("function handler($event, $context) { return pieces($event); }\nfunction pieces($event) { yield 'one '; yield $event; yield ['a' => 1]; }")
        worker.send_call(b"two ")
        frames = [worker.receive() for _ in range(5)]
        self.assertEqual((frames[0].kind, frames[4].kind), (HEAD, REPLY))
        self.assertEqual(b"".join(frame.payload for frame in frames), b'one two {"a":1}')
        torn = self.started("function handler($event, $context) { yield 'a'; throw new DomainException('torn'); }")
        torn.send_call()
        frames = [torn.receive() for _ in range(3)]
        self.assertEqual((frames[2].status, frames[2].json()["errorType"]), (HANDLED_ERROR, "DomainException"))


class Http(PhpTest):
    ECHO = """use RingCentral\\Psr7\\Response;
function handler($request, $context): Response {
    return new Response(201, ['X-One' => 'v1', 'X-Two' => ['v2', 'v3'], 'Content-Type' => 'application/json'], json_encode([
        'method' => $request->getMethod(), 'body' => $request->getBody()->getContents(), 'queries' => $request->getQueryParams(), 'headers' => $request->getHeaders(),
        'line' => $request->getHeaderLine('x-many'), 'path' => $request->getAttribute('path'), 'uri' => $request->getAttribute('requestURI'),
        'ip' => $request->getAttribute('clientIP'), 'psr' => $request instanceof Psr\\Http\\Message\\ServerRequestInterface]));
}"""

    def test_request_and_response_are_psr_7(self):
        worker = self.started(self.ECHO)
        status, headers, body = worker.http("POST", "/a", b"posted", {"Content-Type": ["text/plain"], "X-Many": ["1", "2"]}, {"q": ["1"], "m": ["1", "2"]})
        self.assertEqual((status, headers), (201, {"X-One": ["v1"], "X-Two": ["v2", "v3"], "Content-Type": ["application/json"]}))
        self.assertEqual(json.loads(body), {"method": "POST", "body": "posted", "queries": {"q": "1", "m": ["1", "2"]}, "headers": {"Content-Type": ["text/plain"], "X-Many": ["1", "2"]},
                                            "line": "1, 2", "path": "/a", "uri": "/a", "ip": "192.0.2.1", "psr": True})

    def test_messages_are_values(self):
        worker = self.started("""use GuzzleHttp\\Psr7\\Response;
function handler($request, $context) {
    $one = new Response(200, ['A' => 'b'], 'body');
    $two = $one->withStatus(404)->withHeader('a', 'c')->withAddedHeader('A', 'd')->withHeader('Gone', '1')->withoutHeader('gone');
    assert($one->getStatusCode() === 200 && $one->getHeaderLine('a') === 'b');
    return $two->withBody(new GuzzleHttp\\Psr7\\Stream($request->getUri()->getQuery() . $request->getRequestTarget()));
}""")
        self.assertEqual(worker.http(path="//x?q=1"), (404, {"A": ["c", "d"]}, b"q=1//x?q=1"))

    def test_a_body_of_unknown_length_streams(self):
        worker = self.started("""function handler($request, $context) {
    return new RingCentral\\Psr7\\Response(206, [], new RingCentral\\Psr7\\Stream(popen('printf one; printf two', 'r'))); }""")
        worker.send_call(http={"method": "GET", "path": "/", "headers": {}})
        frames = [worker.receive()]
        while frames[-1].kind != REPLY:
            frames.append(worker.receive())
        self.assertEqual((json.loads(frames[0].meta)["status"], b"".join(frame.payload for frame in frames)), (206, b"onetwo"))

    def test_classes_that_a_function_ships_win(self):
        own = """<?php
namespace RingCentral\\Psr7;
class ServerRequest { public array $a = []; function __construct(public $m, public $u) {} function withQueryParams($q) { return $this; } function withAttribute($n, $v) { $this->a[$n] = $v; return $this; } }
"""
        files = {"index.php": "<?php\nspl_autoload_register(function ($name) { if ($name === 'RingCentral\\\\Psr7\\\\ServerRequest') require 'own.php'; }, prepend: true);\n"
                              "function handler($request, $context) { return 'own ' . $request->m . $request->a['path']; }", "own.php": own}
        self.assertEqual(self.started(files).http("PUT", "/p"), (200, {}, b"own PUT/p"))


class Errors(PhpTest):
    def test_errors_have_the_vendors_shape_without_our_frames(self):
        worker = self.started("function handler($event, $context) {\n  return deeper(1);\n}\nfunction deeper($x) {\n  throw new DomainException('oops');\n}")
        reply = worker.call()
        self.assertEqual(reply.status, HANDLED_ERROR)
        file = worker.code + "/index.php"
        self.assertEqual(reply.json(), {"errorMessage": "oops", "errorType": "DomainException",
                                        "stackTrace": {"file": file, "line": 6, "traceString": f"#0 {file}(3): deeper()"}})
        self.assertEqual(worker.call().json()["errorMessage"], "oops", "the instance lives on")

    def test_php_s_own_errors_are_errors_too(self):
        worker = self.started("function handler($event, $context) { return match ($event) { 'undefined' => nothing(), 'type' => strlen([]), 'json' => NAN, 'big' => str_repeat('x', 34 << 20) }; }")
        for event, kind in {"undefined": "Error", "type": "TypeError", "json": "JsonException", "other": "UnhandledMatchError", "big": "LengthException"}.items():
            self.assertEqual(worker.call(event.encode()).json()["errorType"], kind, event)

    def test_a_fatal_error_is_the_calls_answer_and_the_end_of_the_process(self):
        worker = self.started("ini_set('memory_limit', '16M');\nfunction handler($event, $context) { return strlen(str_repeat('x', 64 << 20)); }")
        number = worker.send_call()
        last = worker.receive()
        self.assertEqual((last.kind, last.call, last.json()["errorType"]), (FAILED, number, "FatalError"))
        self.assertIn("Allowed memory size", last.json()["errorMessage"])
        self.assertNotEqual(worker.process.wait(60), 0)

    def test_a_broken_start_is_told(self):
        for code, kind in (("function other() {}", "HandlerNotFound"), ("this is no php", "ParseError"), ("throw new RangeException('top');", "RangeException"),
                           ("require 'absent.php';", "Error"), ({"other.php": ""}, "ImportModuleError")):
            self.assertEqual(self.failed(code)["errorType"], kind, code)
        missing = self.failed("function other() {}", handler="index")
        self.assertEqual((missing["errorMessage"], missing["stackTrace"]["file"]), ("Handler 'index' must be 'file.function'", ""))
        failed = self.failed("function init($context) { throw new LogicException('no model'); }\nfunction handler($event, $context) {}", initializer="index.init")
        self.assertEqual((failed["errorType"], failed["errorMessage"]), ("LogicException", "no model"))

    def test_exit_ends_the_process(self):
        worker = self.started("function handler($event, $context) { exit(7); }")
        worker.send_call()
        self.assertEqual(worker.process.wait(60), 7)


class Cores(PhpTest):
    def test_long_calls_may_use_all_cores(self):
        everywhere = os.sched_getaffinity(0)
        self.assertGreater(len(everywhere), 1, "this test needs two cores")
        os.sched_setaffinity(0, {min(everywhere)})
        try:
            worker = self.started("function handler($event, $context) { usleep((int)$event); }", cores=sorted(everywhere))
        finally:
            os.sched_setaffinity(0, everywhere)
        self.assertEqual(os.sched_getaffinity(worker.process.pid), {min(everywhere)})
        for _ in range(4):  # the move is over before the fourth is taken
            worker.call(b"5000")
        self.assertEqual(os.sched_getaffinity(worker.process.pid), everywhere)


class LogsAndHooks(PhpTest):
    def test_the_logger_and_prints(self):
        worker = self.started("function handler($event, $context) { $GLOBALS['fcLogger']->info('hello {name}', ['name' => 'you']); echo \"printed\\n\"; $GLOBALS['fcLogger']->error('bad'); }")
        worker.call(request="r1")
        self.assertRegex(worker.printed(), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z r1 \[INFO\] hello you\nprinted\n\S+Z r1 \[ERROR\] bad\n$")

    def test_hooks_run_and_are_answered(self):
        worker = self.started("function bye($context) { echo 'bye ' . $context['function']['name']; }\nfunction handler($event, $context) { return 1; }", pre_stop="index.bye")
        reply = worker.hook("preStop")
        self.assertEqual((reply.kind, reply.status, reply.call), (REPLY, OK, 77))
        self.assertEqual(worker.hook("preFreeze").status, OK)
        self.assertEqual(worker.printed(), "bye detect")
        self.assertEqual(worker.call().payload, b"1")

    def test_what_a_hook_throws_is_printed_and_changes_nothing(self):
        worker = self.started("function freeze($context) { throw new LogicException('too cold'); }\nfunction handler($event, $context) { return 1; }", pre_freeze="index.freeze")
        reply = worker.hook("preFreeze")
        self.assertEqual((reply.status, reply.json()["errorMessage"]), (HANDLED_ERROR, "too cold"))
        self.assertRegex(worker.printed(), r"^preFreeze failed: LogicException: too cold in \S+/index\.php:2\nStack trace:\n#0 ")
        self.assertEqual(worker.call().payload, b"1")

    def test_initializers_and_hooks_have_the_request_and_the_credentials_that_are_sent(self):
        worker = self.started("""function show($context) { $c = $context['credentials'];
            $GLOBALS['fcLogger']->info([$context['requestId'], $c['accessKeyId'], $c['accessKeySecret'], $c['securityToken'], getenv('ALIBABA_CLOUD_ACCESS_KEY_ID')]); }
            function handler($event, $context) { show($context); }""", initializer="index.show", pre_stop="index.show")
        worker.call(credentials=("k2", "s2", "t2"))
        worker.hook("preStop", request="r3", credentials=("k3", "s3", "t3"))
        worker.hook("preStop", credentials=None)
        shown = [[line.split(" ")[1], *json.loads(line.split(" ", 3)[3])] for line in worker.printed().splitlines()]
        self.assertEqual(shown, [["init-1", "init-1", "STS.key", "secret", "token", "STS.key"], ["request-1", "request-1", "k2", "s2", "t2", "k2"],
                                 ["r3", "r3", "k3", "s3", "t3", "k3"], ["", "", "k3", "s3", "t3", "k3"]])

    def test_the_end_of_the_stream_is_the_end(self):
        self.assertEqual(self.started("function handler($event, $context) { return 1; }").close(), 0)


if __name__ == "__main__":
    unittest.main()
