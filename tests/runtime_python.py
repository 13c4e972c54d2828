#!/usr/bin/env python3
"""The contract with a Python handler (aliyun-fc.md 5.2), as runtimes/python keeps it: no server and no sandbox, frames over a stream. What
needs either is in src/runtime/instance_test.cc."""
import json
import os
import time
import unittest

import worker_driver
from worker_driver import CHUNK, HANDLED_ERROR, HEAD, MAX_PAYLOAD, OK, REPLY

WORKER = str(worker_driver.SOURCE / "runtimes/python/worker.py")


class PythonWorker(worker_driver.Worker):
    """Its program as it is when a zygote's fork has called exec: a configuration on descriptor 4."""
    descriptors = (3, 4)

    def give(self, stream, start):
        super().give(stream, start)
        file = os.memfd_create("configuration", 0)
        os.write(file, json.dumps({**start, "libraries": "/nowhere", "layers": "", "ahead": False, "cores": []}).encode())
        os.lseek(file, 0, os.SEEK_SET)
        os.dup2(file, 4)


class PythonTest(worker_driver.WorkerTest):
    command = ("/usr/bin/python3", "-S", "-s", "-B", WORKER)

    def package(self, code):
        return {"index.py": code}

    def launch(self, code, **more):
        return PythonWorker(list(self.command), self.package(code), **more)

    def error(self, code, payload=b"", **more):
        reply = self.started(code, **more).call(payload)
        self.assertEqual(reply.status, HANDLED_ERROR, reply.payload[:500])
        return reply.json()


class Results(PythonTest):
    def test_a_result_beyond_the_limit_is_an_error_that_says_so_and_the_instance_lives_on(self):
        worker = self.started("def handler(event, context): return b'x' * int(event)")
        self.assertEqual(len(worker.call(b"%d" % MAX_PAYLOAD).payload), MAX_PAYLOAD)
        reply = worker.call(b"%d" % (MAX_PAYLOAD + 1))
        self.assertEqual((reply.status, reply.json()["errorType"]), (HANDLED_ERROR, "ResultTooLarge"))
        self.assertEqual(reply.json()["errorMessage"], f"The result has {MAX_PAYLOAD + 1} bytes; at most {MAX_PAYLOAD} can be answered at once, stream it instead")
        self.assertEqual(worker.call(b"1").payload, b"x")

    def test_so_is_an_http_body_and_an_error_that_is_too_long(self):
        reply = self.started("def handler(environ, start_response):\n    start_response('200 OK', [])\n    return [b'x' * (34 << 20)]").call(
            http={"method": "GET", "path": "/", "headers": {}})
        self.assertEqual((reply.status, reply.meta, reply.json()["errorType"]), (HANDLED_ERROR, b"", "ResultTooLarge"))
        self.assertEqual(self.error("def handler(event, context): raise ValueError('x' * (34 << 20))")["errorType"], "ResultTooLarge")

    def test_pieces_of_a_generator_are_bytes_as_results_are(self):
        worker = self.started("def handler(event, context):\n    yield 5\n    yield 10**9\n    yield {'a': 1}\n    yield 'ü'\n    yield bytearray(b'!')\n    yield None")
        worker.send_call()
        pieces = worker.reply_frames()
        self.assertEqual(([piece.kind for piece in pieces], pieces[-1].status), ([HEAD] + [CHUNK] * 6 + [REPLY], OK))
        self.assertEqual([piece.payload for piece in pieces[1:-1]], [b"5", b"1000000000", b'{"a": 1}', "ü".encode(), b"!", b"null"])

    def test_a_large_piece_is_sent_in_parts(self):
        worker = self.started("def handler(event, context): yield b'x' * (2 << 20) + b'!'")
        worker.send_call()
        self.assertEqual([len(piece.payload) for piece in worker.reply_frames()], [0, 1 << 20, 1 << 20, 1, 0])


class Output(PythonTest):
    """What is printed without an end of line is out before the frame that ends what printed it."""

    def test_a_calls_own_is_out_before_its_reply(self):
        worker = self.started("import sys\ndef handler(event, context):\n    print('out', end='')\n    print('err', end='', file=sys.stderr)")
        worker.call()
        self.assertEqual(worker.printed(), "outerr")

    def test_so_is_that_of_import_initializer_and_hooks(self):
        worker = self.started("print('import ', end='')\ndef init(context): print('init ', end='')\ndef bye(context): print('bye', end='')\ndef handler(event, context): pass",
                              initializer="index.init", pre_stop="index.bye")
        self.assertEqual(worker.printed(), "import init ")
        worker.hook("preStop")
        self.assertEqual(worker.printed(), "import init bye")

    def test_so_is_that_of_a_start_that_fails(self):
        worker = self.worker("print('nearly', end='')\nraise ValueError('no model')")
        self.assertEqual((worker.started.kind, worker.printed()), (worker_driver.FAILED, "nearly"))

    def test_so_is_that_of_a_thread_at_the_polite_end(self):
        worker = self.started("""
import os, threading, time
def late():
    while not os.path.exists('go'): time.sleep(0.01)
    print('late', end='')
    os.mkdir('printed')
def handler(event, context): threading.Thread(target=late, daemon=True).start()""")
        worker.call()
        open(worker.code + "/go", "w").close()
        while not os.path.exists(worker.code + "/printed"):
            time.sleep(0.01)
        self.assertEqual((worker.close(), worker.printed()), (0, "late"))

    def test_a_function_that_closed_or_replaced_its_output_is_served_all_the_same(self):
        for spoilt in ("sys.stdout.close()", "sys.stdout = None", "sys.stderr = object()"):
            worker = self.started(f"import sys\n{spoilt}\ndef handler(event, context): return 'served'")
            self.assertEqual(worker.call().payload, b"served", spoilt)

    def test_lines_that_the_functions_threads_log_carry_the_request(self):
        worker = self.started("import logging, threading\ndef handler(event, context):\n"
                              "    thread = threading.Thread(target=lambda: logging.getLogger().info('from a thread'))\n    thread.start()\n    thread.join()")
        worker.call()
        self.assertRegex(worker.printed(), r"^\S+Z request-1 \[INFO\] from a thread\n$")


class Hooks(PythonTest):
    CODE = """
import json, logging, os
def show(context):
    keys = context.credentials
    logging.getLogger().info(json.dumps([context.request_id, keys.access_key_id, keys.access_key_secret, keys.security_token, os.environ['ALIBABA_CLOUD_ACCESS_KEY_ID']]))
def broken(context): raise ValueError('too cold')
def handler(event, context): show(context)
"""

    def shown(self, worker):
        """[request id of the last line that was logged, what it shows]."""
        line = worker.printed().splitlines()[-1]
        return [line.split(" ")[1], *json.loads(line[line.index("["):].partition(" ")[2])]

    def test_initializers_and_hooks_have_the_request_and_the_credentials_that_are_sent(self):
        worker = self.started(self.CODE, initializer="index.show", pre_stop="index.show", pre_freeze="index.broken")
        self.assertEqual(self.shown(worker), ["init-1", "init-1", "STS.key", "secret", "token", "STS.key"])
        worker.call(credentials=("k2", "s2", "t2"))
        self.assertEqual(self.shown(worker), ["request-1", "request-1", "k2", "s2", "t2", "k2"])
        self.assertEqual(worker.hook("preStop", request="r3", credentials=("k3", "s3", "t3")).status, OK)
        self.assertEqual(self.shown(worker), ["r3", "r3", "k3", "s3", "t3", "k3"])
        self.assertEqual(worker.hook("preStop", credentials=None).kind, REPLY)
        self.assertEqual(self.shown(worker), ["", "", "k3", "s3", "t3", "k3"])

    def test_what_a_hook_raises_is_logged_and_changes_nothing(self):
        worker = self.started(self.CODE, pre_freeze="index.broken")
        self.assertEqual(worker.hook("preFreeze").kind, REPLY)
        self.assertIn("preFreeze failed: {\"errorMessage\": \"too cold\"", worker.printed())
        self.assertEqual(worker.call().status, OK)


if __name__ == "__main__":
    unittest.main()
