#!/usr/bin/env python3
"""The contract with a Node handler (aliyun-fc.md 5.3), as runtimes/nodejs keeps it: no server and no sandbox, frames over a stream."""
import json
import os
import re
import unittest

import worker_driver
from worker_driver import CHUNK, FAILED, HANDLED_ERROR, HEAD, OK, READY, REPLY

NODE = os.environ.get("MAYFLY_TEST_NODE", "/usr/bin/node")
MAIN = str(worker_driver.SOURCE / "runtimes/nodejs/main.js")


class NodeTest(worker_driver.WorkerTest):
    command = (NODE, MAIN)

    def package(self, code):
        return {"index.js": code}

    def error(self, code, payload=b"", **more):
        reply = self.started(code, **more).call(payload)
        self.assertEqual(reply.status, HANDLED_ERROR, reply.payload)
        return reply.json()


class Events(NodeTest):
    def test_a_callback_handler_answers_with_what_it_calls_back(self):
        worker = self.started("exports.handler = (event, context, callback) => callback(null, 'hello ' + event)")
        self.assertEqual(worker.call(b"world").payload, b"hello world")
        later = self.started("exports.handler = (event, context, callback) => { setTimeout(() => callback(null, event), 1) }")
        self.assertEqual(later.call(b"\x00\xff").payload, b"\x00\xff")

    def test_an_async_handler_answers_with_what_it_returns(self):
        self.assertEqual(self.answer("exports.handler = async (event) => { await null; return { got: JSON.parse(event).a } }", b'{"a":1}'), b'{"got":1}')

    def test_an_async_handler_may_call_back_instead_even_after_it_has_returned(self):
        self.assertEqual(self.answer("exports.handler = async function (event, context, callback) { callback(null, 'now') }"), b"now")
        self.assertEqual(self.answer("exports.handler = async (event, context, callback) => { setTimeout(() => callback(null, 'later'), 5) }"), b"later")
        self.assertEqual(self.answer("exports.handler = async (event, context, callback) => { }"), b"null")

    def test_an_async_handler_that_never_calls_back_has_answered_nothing_though_something_is_open(self):
        worker = self.started("""let calls = 0
            setInterval(() => {}, 60000)
            exports.handler = async (event, context, callback) => { calls++; if (String(event) === 'late') setTimeout(() => callback(null, calls), 50) }""")
        self.assertEqual([worker.call().payload, worker.call(b"late").payload], [b"null", b"2"])

    def test_a_handler_without_a_callback_parameter_may_just_return(self):
        self.assertEqual(self.answer("exports.handler = (event, context) => [context.requestId]"), b'["request-1"]')

    def test_text_and_bytes_go_raw_and_anything_else_as_json(self):
        worker = self.started("""
            const results = { text: 'gr\\u00fc\\u00df', bytes: Buffer.from([0, 255]), array: new Uint8Array([1, 2]), view: new ArrayBuffer(2), object: { a: [1, 'x'] },
                              number: 7, no: null, undef: undefined, truth: true, fun: () => 1 }
            exports.handler = async (event) => results[event]""")
        expected = {"text": "grüß".encode(), "bytes": b"\x00\xff", "array": b"\x01\x02", "view": b"\x00\x00", "object": b'{"a":[1,"x"]}', "number": b"7",
                    "no": b"null", "undef": b"null", "truth": b"true", "fun": b"null"}
        for name, payload in expected.items():
            self.assertEqual(worker.call(name.encode()).payload, payload, name)

    def test_the_event_is_a_buffer_that_the_function_may_keep(self):
        worker = self.started("let kept = []\nexports.handler = async (event) => { kept.push(event); return [Buffer.isBuffer(event), kept.map(String).join()] }")
        worker.call(b"first")
        self.assertEqual(worker.call(b"second").json(), [True, "first,second"])

    def test_state_stays_between_calls(self):
        worker = self.started("let count = 1\nexports.initializer = (context, callback) => { count++; callback() }\nexports.handler = async () => count++",
                              initializer="index.initializer")
        self.assertEqual([worker.call().payload for _ in range(2)], [b"2", b"3"])

    def test_large_bodies_pass_whole_both_ways(self):
        worker = self.started("exports.handler = async (event) => Buffer.concat([event, Buffer.from('!')])")
        for size in (65000, 65536, 200001, 32 << 20):
            body = os.urandom(1 << 16) * (size >> 16) + b"x" * (size & 0xFFFF)
            self.assertEqual(worker.call(body).payload, body + b"!", size)
        text = self.started("exports.handler = async (event) => event.toString()")
        body = ("grüß" * 300000).encode()
        self.assertEqual(text.call(body).payload, body)

    def test_frames_arrive_in_pieces_of_any_size(self):
        worker = self.started("exports.handler = async (event) => event.toString()")
        meta = b"request\1a\0b\0c\1"
        frames = b"".join(worker_driver.HEADER.pack(len(body), len(meta), worker_driver.CALL, 0, 0, i, 0) + meta + body for i, body in enumerate((b"", b"one", b"x" * 100000)))
        for at in [*range(0, 150), *range(150, len(frames), 7001)]:
            worker.socket.sendall(frames[at:at + (1 if at < 149 else 7001 if at >= 150 else 1)])
        self.assertEqual([worker.receive().payload for _ in range(3)], [b"", b"one", b"x" * 100000])

    def test_a_result_beyond_the_limit_is_an_error_that_says_so(self):
        self.assertEqual(self.error("exports.handler = async () => Buffer.alloc(34 << 20)")["errorType"], "ResultTooLarge")

    def test_a_second_answer_is_not_heard(self):
        worker = self.started("exports.handler = async (event, context, callback) => { callback(null, 'one'); callback(null, 'two'); callback(new Error('x')); return 'three' }")
        self.assertEqual([worker.call().payload for _ in range(2)], [b"one", b"one"])

    def test_the_context_is_the_vendors(self):
        worker = self.started("""exports.handler = async (event, c) => [c.requestId, c.credentials.accessKeyId, c.credentials.accessKeySecret, c.credentials.securityToken,
            c.function.name, c.function.handler, c.function.memory, c.function.timeout, c.service.name, c.service.qualifier, c.service.versionId, c.region,
            c.accountId, c.retryCount, c.tracing.jaegerEndpoint, process.env.ALIBABA_CLOUD_ACCESS_KEY_ID]""")
        rest = ["detect", "index.handler", 128, 5, "photos", "LATEST", "3", "cn-hangzhou", "1234567890"]
        self.assertEqual(worker.call().json(), ["request-1", "STS.key", "secret", "token", *rest, 0, "", "STS.key"])
        self.assertEqual(worker.call(request="r2", credentials=("other", "s", "t"), retries=2).json(), ["r2", "other", "s", "t", *rest, 2, "", "other"])

    def test_the_environment_is_the_functions_and_nothing_else(self):
        worker = self.started("exports.handler = async () => [process.env, process.cwd(), new Date(0).getHours()]", environment={"OSS_ENDPOINT": "https://oss", "TZ": "Asia/Shanghai"})
        environment, cwd, hours = worker.call().json()
        self.assertEqual((environment["OSS_ENDPOINT"], environment["FC_INSTANCE_ID"], environment["PATH"], cwd, hours), ("https://oss", "c-1", "/usr/bin:/bin", worker.code, 8))
        self.assertNotIn("HOME", environment)


class Streams(NodeTest):
    def stream(self, code, http=None):
        worker = self.started(code)
        number = worker.send_call(b"event", http=http)
        frames = [worker.receive()]
        while frames[-1].kind != REPLY:
            frames.append(worker.receive())
        self.assertTrue(all(frame.call == number for frame in frames))
        return worker, frames

    def test_a_streamified_handler_streams(self):
        _, frames = self.stream("exports.handler = awslambda.streamifyResponse(async (event, stream, context) => { stream.write('one '); await null; stream.write(event); stream.end('!') })")
        self.assertEqual([frame.kind for frame in frames], [HEAD, CHUNK, CHUNK, CHUNK, REPLY])
        self.assertEqual(b"".join(frame.payload for frame in frames), b"one event!")

    def test_a_returned_stream_streams(self):
        code = "const { Readable } = require('stream')\nexports.handler = async function* () { yield 'a'; yield 'b' }\nconst made = exports.handler\nexports.handler = async () => made()"
        self.assertEqual(b"".join(frame.payload for frame in self.stream(code)[1]), b"ab")
        readable = "exports.handler = (event, context, callback) => callback(null, require('stream').Readable.from([Buffer.from('x'), Buffer.from('y')]))"
        self.assertEqual([frame.payload for frame in self.stream(readable)[1]], [b"", b"x", b"y", b""])

    def test_a_stream_that_breaks_off_says_so(self):
        _, frames = self.stream("exports.handler = async () => (async function* () { yield 'a'; throw new TypeError('torn') })()")
        self.assertEqual((frames[-1].kind, frames[-1].status, frames[-1].json()["errorType"]), (REPLY, HANDLED_ERROR, "TypeError"))

    def test_a_stream_waits_for_its_reader_and_loses_nothing(self):
        worker, frames = self.stream("""require('v8').setFlagsFromString('--expose-gc')
            const gc = require('vm').runInNewContext('gc')
            exports.handler = awslambda.streamifyResponse(async (event, stream) => {
            let most = 0
            for (let i = 0; i < 400; ++i) {
              if (!stream.write(Buffer.alloc(65536, i))) await new Promise((go) => stream.once('drain', go))
              if (i % 50 === 0) { gc(); most = Math.max(most, process.memoryUsage().arrayBuffers) }
            }
            stream.end(String(most)) })""")
        body = b"".join(frame.payload for frame in frames)
        self.assertEqual(body[:400 * 65536], b"".join(bytes([i & 255]) * 65536 for i in range(400)))
        self.assertLess(int(body[400 * 65536:]), 8 << 20)

    def test_the_head_of_a_streamed_http_reply_is_the_functions(self):
        _, frames = self.stream("""exports.handler = awslambda.streamifyResponse(async (request, stream) => {
            stream = awslambda.HttpResponseStream.from(stream, { statusCode: 206, headers: { 'Content-Type': 'text/x' }, cookies: ['a=1'] })
            stream.end(request.method) })""", {"method": "PUT", "path": "/", "headers": {}})
        self.assertEqual(json.loads(frames[0].meta), {"status": 206, "headers": {"Content-Type": ["text/x"], "Set-Cookie": ["a=1"]}})
        self.assertEqual(frames[1].payload, b"PUT")


class Http(NodeTest):
    ECHO = """
const getRawBody = require('raw-body')
exports.handler = (req, resp, context) => {
  getRawBody(req, (error, body) => {
    resp.setHeader('Content-Type', 'application/json')
    resp.setHeader('x-gone', '1')
    resp.deleteHeader('X-Gone')
    resp.setHeader('X-Two', ['a', 'b'])
    resp.setStatusCode(201)
    resp.send(JSON.stringify({ method: req.method, path: req.path, url: req.url, ip: req.clientIP, headers: req.headers, queries: req.queries,
                               raw: body.toString(), body: req.body.toString(), id: context.requestId }))
  })
}"""

    def test_request_and_response_are_the_vendors(self):
        worker = self.started(self.ECHO)
        status, headers, body = worker.http("POST", "/a b", b"posted", {"Content-Type": ["text/plain"], "X-Many": ["1", "2"]}, {"q": ["1"], "m": ["1", "2"]})
        self.assertEqual((status, headers), (201, {"Content-Type": ["application/json"], "X-Two": ["a", "b"]}))
        self.assertEqual(json.loads(body), {"method": "POST", "path": "/a b", "url": "/a b", "ip": "192.0.2.1", "headers": {"content-type": "text/plain", "x-many": "1, 2"},
                                            "queries": {"q": "1", "m": ["1", "2"]}, "raw": "posted", "body": "posted", "id": "request-1"})
        self.assertEqual(json.loads(worker.http()[2])["raw"], "")

    def test_send_takes_bytes_streams_and_nothing(self):
        worker = self.started("""const { Readable } = require('stream')
            exports.handler = async (req, resp) => { resp.send({ '/bytes': Buffer.from([0, 255]), '/none': undefined }[req.path]) }""")
        self.assertEqual(worker.http(path="/bytes")[2], b"\x00\xff")
        self.assertEqual(worker.http(path="/none"), (200, {}, b""))
        streamed = self.started("exports.handler = (req, resp) => { resp.setStatusCode(202); resp.send(require('stream').Readable.from(['a', 'b'])) }")
        streamed.send_call(http={"method": "GET", "path": "/", "headers": {}})
        frames = [streamed.receive() for _ in range(4)]
        self.assertEqual((json.loads(frames[0].meta)["status"], b"".join(frame.payload for frame in frames)), (202, b"ab"))

    def test_write_and_end_stream(self):
        worker = self.started("exports.handler = async (req, resp) => { resp.setHeader('A', 'b'); resp.write('one'); resp.end('two') }")
        worker.send_call(http={"method": "GET", "path": "/", "headers": {}})
        frames = [worker.receive() for _ in range(4)]
        self.assertEqual(([frame.kind for frame in frames], json.loads(frames[0].meta)), ([HEAD, CHUNK, CHUNK, REPLY], {"status": 200, "headers": {"A": ["b"]}}))

    def test_what_the_platform_controls_is_not_heard(self):
        worker = self.started("exports.handler = (req, resp) => { for (const n of ['Content-Length', 'Connection', 'x-fc-request-id', 'Date']) resp.setHeader(n, '1'); resp.send('ok') }")
        self.assertEqual(worker.http(), (200, {}, b"ok"))

    def test_an_exception_is_an_error(self):
        worker = self.started("exports.handler = async (req, resp) => { throw new RangeError('no') }")
        worker.send_call(http={"method": "GET", "path": "/", "headers": {}})
        reply = worker.receive()
        self.assertEqual((reply.status, reply.json()["errorType"]), (HANDLED_ERROR, "RangeError"))


class Modules(NodeTest):
    def test_es_modules_by_ending_and_by_package(self):
        self.assertEqual(self.answer({"index.mjs": "import fs from 'node:fs'\nexport const handler = async (event) => typeof fs.readFileSync + import.meta.url.slice(-9)"}), b"functionindex.mjs")
        package = {"package.json": '{"type": "module"}', "index.js": "import { x } from './other.js'\nexport const handler = async () => await x", "other.js": "export const x = Promise.resolve('typed')"}
        self.assertEqual(self.answer(package), b"typed")
        self.assertEqual(self.answer({"index.mjs": "const late = await Promise.resolve('awaited')\nexport default { handler: async () => late }"}), b"awaited")

    def test_files_in_folders_with_dots_and_of_every_ending(self):
        code = "exports.handler = async () => __filename.slice(-8)"
        self.assertEqual(self.answer({"src/lib/main.js": code}, handler="src/lib/main.handler"), b"/main.js")
        self.assertEqual(self.answer({"my.index.js": code}, handler="my.index.handler"), b"index.js")
        self.assertEqual(self.answer({"index.cjs": code}), b"ndex.cjs")
        self.assertEqual(self.answer("exports.api = { v1: { get: async () => 'nested' } }", handler="index.api.v1.get"), b"nested")

    def test_modules_are_found_beside_the_code_and_in_node_path(self):
        files = {"index.js": "exports.handler = async () => [require('a'), require('b'), require('c/package.json').version, module.paths.length > 0]",
                 "node_modules/a/index.js": "module.exports = 'a'", "libs/b.js": "module.exports = 'b'", "libs/c/package.json": '{"version": "1.2.3"}'}
        worker = self.worker(files)
        again = self.started(files, environment={"NODE_PATH": worker.code + "/libs"})
        self.assertEqual(again.call().json(), ["a", "b", "1.2.3", True])

    def test_the_functions_own_raw_body_wins(self):
        self.assertEqual(self.answer({"index.js": "exports.handler = async () => require('raw-body')", "node_modules/raw-body/index.js": "module.exports = 'own'"}), b"own")

    def test_a_broken_import_is_told_in_the_dialects_shape(self):
        failure = self.failed("require('no-such-module')")
        self.assertEqual(failure["errorType"], "ImportModuleError")
        self.assertRegex(failure["errorMessage"], r"^Cannot find module 'no-such-module'\nRequire stack:\n- \S+/index\.js$")
        self.assertTrue(any("index.js:1" in line for line in failure["stackTrace"]), failure)
        self.assertFalse(any("runtimes/nodejs" in line or "node:internal" in line for line in failure["stackTrace"]), failure)
        self.assertEqual(self.failed({"index.mjs": "import x from 'no-such-module'"})["errorType"], "ImportModuleError")
        self.assertEqual(self.failed("this is no javascript")["errorType"], "SyntaxError")
        self.assertEqual(self.failed("throw new RangeError('at the top')")["errorType"], "RangeError")

    def test_a_missing_file_and_a_missing_handler_are_told(self):
        self.assertEqual(self.failed({"other.js": ""})["errorType"], "ImportModuleError")
        missing = self.failed("exports.other = 1")
        self.assertEqual((missing["errorType"], missing["errorMessage"]), ("HandlerNotFound", "Handler 'handler' is missing on module 'index.js'"))
        self.assertEqual(self.failed("exports.handler = 'text'")["errorType"], "HandlerNotFound")
        self.assertEqual(self.failed("exports.handler = 1", handler="handler")["errorMessage"], "Handler 'handler' must be 'file.function'")


class Initializers(NodeTest):
    def test_it_runs_once_before_the_first_call_and_may_be_async(self):
        code = "let n = 0\nexports.init = async (context) => { await null; n += context.region.length }\nexports.handler = async () => n"
        worker = self.started(code, initializer="index.init")
        self.assertEqual([worker.call().payload for _ in range(2)], [b"11", b"11"])
        self.assertTrue(worker.imported, "it says when its initializer begins")
        self.assertFalse(self.started("exports.handler = async () => 1").imported)
        phases = json.loads(worker.started.meta)
        self.assertGreater(phases["import_us"], 0)
        self.assertGreaterEqual(worker.started.duration_us, phases["import_us"] + phases["init_us"])

    def test_its_failures_are_the_starts(self):
        self.assertEqual(self.failed("exports.init = (c, cb) => cb(new Error('no model'))\nexports.handler = 1", initializer="index.init")["errorType"], "HandlerNotFound")
        code = "exports.init = %s\nexports.handler = async () => 1"
        for init in ("(c, cb) => cb(new TypeError('no model'))", "async () => { throw new TypeError('no model') }", "() => { throw new TypeError('no model') }",
                     "(c, cb) => { setTimeout(() => { throw new TypeError('no model') }, 1) }", "(c, cb) => { Promise.reject(new TypeError('no model')); setTimeout(cb, 9999) }"):
            failure = self.failed(code % init, initializer="index.init")
            self.assertEqual((failure["errorType"], failure["errorMessage"]), ("TypeError", "no model"), init)

    def test_one_that_forgets_its_callback_is_told_so(self):
        code = "exports.init = (context, callback) => { %s }\nexports.handler = async () => 1"
        failure = self.failed(code % "", initializer="index.init")
        self.assertEqual(failure["errorType"], "FunctionTimedOut")
        self.assertIn("'index.init' returned without calling its callback", failure["errorMessage"])
        busy = self.failed(code % "setInterval(() => {}, 1000)", initializer="index.init", function={"initialization_timeout": 1})
        self.assertEqual(busy["errorMessage"], "Function initialization timed out after 1 seconds: the initializer 'index.init' has not called its callback")


class Errors(NodeTest):
    def test_errors_have_the_vendors_shape_without_our_frames(self):
        for code in ("exports.handler = (event, context, callback) => callback(oops())", "exports.handler = async () => { throw oops() }",
                     "exports.handler = () => { throw oops() }", "exports.handler = async () => { await null; await null; throw oops() }"):
            error = self.error(code + "\nfunction oops() { return new TypeError('no face') }")
            self.assertEqual((error["errorMessage"], error["errorType"], error["stackTrace"][0]), ("no face", "TypeError", "TypeError: no face"), code)
            self.assertTrue(re.fullmatch(r"    at oops \(.*/index\.js:2:\d+\)", error["stackTrace"][1]), error)
            self.assertFalse(any("runtimes/nodejs" in line or "node:" in line for line in error["stackTrace"]), error)

    def test_what_is_no_error_is_its_message(self):
        self.assertEqual(self.error("exports.handler = (e, c, cb) => cb('went wrong')"), {"errorMessage": "went wrong"})
        self.assertEqual(self.error("exports.handler = (e, c, cb) => cb({ code: 7 })"), {"errorMessage": '{"code":7}'})
        self.assertEqual(self.error("exports.handler = async () => { throw undefined }"), {"errorMessage": "undefined"})

    def test_a_result_that_json_cannot_hold_is_an_error(self):
        self.assertEqual(self.error("exports.handler = async () => { const a = {}; a.a = a; return a }")["errorType"], "TypeError")
        self.assertEqual(self.error("exports.handler = (e, c, cb) => cb(null, 1n)")["errorType"], "TypeError")

    def test_an_error_nobody_catches_is_the_last_word_of_the_process(self):
        for thrower in ("setTimeout(() => { throw new RangeError('later') }, 1)", "Promise.reject(new RangeError('later'))", "new Promise(() => { throw new RangeError('later') })"):
            worker = self.started(f"exports.handler = (event, context, callback) => {{ {thrower} }}")
            worker.send_call()
            last = worker.receive()
            self.assertEqual((last.kind, last.call, last.json()["errorType"]), (FAILED, 0, "RangeError"), thrower)
            self.assertEqual(worker.process.wait(60), 1)
            self.assertRegex(worker.printed(), r"^\S+Z request-1 \[error\] \w+: RangeError: later\n")

    def test_a_listener_of_the_functions_own_is_heard_instead(self):
        worker = self.started("""let seen = 0
            process.on('uncaughtException', () => { seen++ })
            exports.handler = (event, context, callback) => { setTimeout(() => callback(null, seen), 5); setTimeout(() => { throw new Error('x') }, 1) }""")
        self.assertEqual(worker.call().payload, b"1")
        self.assertEqual(worker.call().payload, b"2")

    def test_a_handler_that_can_never_answer_is_told_so_at_once(self):
        for code in ("exports.handler = (event, context, callback) => { }", "exports.handler = () => new Promise(() => {})", "exports.handler = (req, resp, context) => { }"):
            worker = self.started(code)
            reply = worker.call()
            self.assertEqual((reply.status, reply.json()["errorType"]), (HANDLED_ERROR, "HandlerNeverAnswered"), code)
            self.assertEqual(worker.call().json()["errorType"], "HandlerNeverAnswered", "the instance lives on")

    def test_process_exit_ends_the_process(self):
        worker = self.started("exports.handler = () => process.exit(7)")
        worker.send_call()
        self.assertEqual(worker.process.wait(60), 7)
        with self.assertRaises(EOFError):
            worker.receive()


class Concurrency(NodeTest):
    def test_calls_run_side_by_side_and_answer_in_their_own_order(self):
        worker = self.started("""const open = new Map()
            exports.handler = (event, context, callback) => {
              open.set(String(event), callback)
              if (open.size === 10) for (const [name, answer] of [...open].reverse()) answer(null, name)
            }""", concurrency=10)
        numbers = [worker.send_call(str(i).encode(), request=f"r{i}") for i in range(10)]
        replies = [worker.receive() for _ in range(10)]
        self.assertEqual([reply.call for reply in replies], numbers[::-1])
        self.assertEqual([reply.payload for reply in replies], [str(i).encode() for i in range(9, -1, -1)])

    def test_a_call_may_be_answered_by_the_code_of_another(self):
        worker = self.started("""let first
            exports.handler = (event, context, callback) => { if (!first) first = callback; else { first(null, 'by another'); callback(null, 'itself') } }""", concurrency=3)
        worker.send_call(request="r1")
        self.assertEqual(worker.hook("preFreeze").status, OK)  # the first has begun, and nothing runs
        worker.send_call(request="r2")
        self.assertEqual([worker.receive().payload for _ in range(2)], [b"by another", b"itself"])

    def test_log_lines_carry_the_request_that_printed_them(self):
        worker = self.started("""exports.handler = async (event, context) => {
              await new Promise((go) => setTimeout(go, Number(event)))
              console.log('slept', context.requestId)
              context.logger.warn('warned', context.requestId)
            }""", concurrency=10)
        for i in range(10):
            worker.send_call(str((i * 7) % 10).encode(), request=f"r{i}")
        for _ in range(10):
            worker.receive()
        lines = worker.printed().splitlines()
        self.assertEqual(len(lines), 20)
        for line in lines:
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (r\d) \[(verbose\] slept|warn\] warned) \1$")

    def test_an_error_nobody_catches_is_that_calls_alone(self):
        worker = self.started("""exports.handler = (event, context, callback) => {
              if (String(event) === 'bad') setTimeout(() => { throw new RangeError('mine') }, 5)
              else setTimeout(callback, 60000)
            }""", concurrency=3)
        worker.send_call(b"good", request="r1")
        bad = worker.send_call(b"bad", request="r2")
        worker.send_call(b"good", request="r3")
        last = worker.receive()
        self.assertEqual((last.kind, last.call, last.json()["errorType"]), (FAILED, bad, "RangeError"))
        with self.assertRaises(EOFError):
            worker.receive()


class Cores(NodeTest):
    def test_long_calls_may_use_all_cores(self):
        home, cores = min(os.sched_getaffinity(0)), sorted(os.sched_getaffinity(0))
        self.assertGreater(len(cores), 1, "this test needs two cores")
        everywhere = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {home})
        try:
            worker = self.started("""exports.handler = async (event) => { const end = Date.now() + Number(event); while (Date.now() < end); }""", cores=cores)
        finally:
            os.sched_setaffinity(0, everywhere)

        def threads():
            return {tuple(sorted(os.sched_getaffinity(int(thread)))) for thread in os.listdir(f"/proc/{worker.process.pid}/task")}

        self.assertEqual(threads(), {(home,)})
        for _ in range(3):
            worker.call(b"5")
        while threads() != {tuple(cores)}:  # the move is not waited for by any call
            worker.call(b"5")


class Logs(NodeTest):
    def test_each_console_call_is_a_line_with_level_time_and_request(self):
        worker = self.started("""exports.handler = async (event, context) => {
              console.log('a %s', 'b', { c: 1 }); console.info('i'); console.warn('w'); console.error(new Error('e').message); console.debug('d'); console.table
              context.logger.info('logged'); process.stdout.write('raw\\n'); console.assert(1 > 2, 'maths'); console.table([[1]]) }""")
        worker.call()
        printed = worker.printed()
        without_time = re.sub(r"^\S+Z ", "", printed, flags=re.M)
        self.assertTrue(without_time.startswith("request-1 [verbose] a b { c: 1 }\nrequest-1 [info] i\nrequest-1 [warn] w\nrequest-1 [error] e\nrequest-1 [debug] d\n"
                                                "request-1 [info] logged\nraw\nrequest-1 [warn] Assertion failed: maths\nrequest-1 [verbose] ┌"), printed)

    def test_the_log_level_can_be_raised(self):
        worker = self.started("console.setLogLevel('warn')\nexports.handler = async (e, context) => { console.log('no'); console.error('yes'); context.logger.setLogLevel('error'); console.warn('no') }")
        worker.call()
        self.assertRegex(worker.printed(), r"^\S+ request-1 \[error\] yes\n$")


class Hooks(NodeTest):
    def test_hooks_run_and_are_answered(self):
        worker = self.started("""exports.stop = (context, callback) => { console.log('stopping', context.function.name); setTimeout(callback, 1) }
            exports.freeze = async () => { throw new Error('too cold') }
            exports.handler = async () => 1""", pre_stop="index.stop", pre_freeze="index.freeze")
        reply = worker.hook("preStop")
        self.assertEqual((reply.kind, reply.status, reply.call, reply.payload), (REPLY, OK, 77, b""))
        self.assertIn("stopping detect", worker.printed())
        self.assertEqual(worker.hook("preFreeze").json()["errorMessage"], "too cold")
        self.assertRegex(worker.printed(), r"(?m)^\S+Z hook-1 \[error\] preFreeze: Error: too cold\n    at .*index\.js:2:")
        self.assertEqual(worker.call().payload, b"1")

    def test_initializers_and_hooks_have_the_request_and_the_credentials_that_are_sent(self):
        code = """const show = (context) => { const c = context.credentials
              console.log(JSON.stringify([context.requestId, c.accessKeyId, c.accessKeySecret, c.securityToken, process.env.ALIBABA_CLOUD_ACCESS_KEY_ID])) }
            exports.show = async (context) => { await null; show(context) }
            exports.handler = async (event, context) => show(context)"""
        for concurrency in (1, 2):
            worker = self.started(code, initializer="index.show", pre_stop="index.show", concurrency=concurrency)
            worker.call(credentials=("k2", "s2", "t2"))
            worker.hook("preStop", request="r3", credentials=("k3", "s3", "t3"))
            worker.hook("preStop", credentials=None)
            shown = [[line.split(" ")[1], *json.loads(line.split(" ", 3)[3])] for line in worker.printed().splitlines()]
            self.assertEqual(shown, [["init-1", "init-1", "STS.key", "secret", "token", "STS.key"], ["request-1", "request-1", "k2", "s2", "t2", "k2"],
                                     ["r3", "r3", "k3", "s3", "t3", "k3"], ["", "", "k3", "s3", "t3", "k3"]])

    def test_a_function_without_hooks_answers_them_at_once(self):
        self.assertEqual(self.started("exports.handler = async () => 1").hook("preStop").status, OK)

    def test_the_end_of_the_stream_is_the_end(self):
        worker = self.started("setInterval(() => {}, 1000)\nexports.handler = async () => 1")
        worker.call()
        self.assertEqual(worker.close(), 0)
        self.assertEqual(self.started("exports.handler = (e, c, callback) => setTimeout(callback, 1e6)").close(), 0)


if __name__ == "__main__":
    unittest.main()
