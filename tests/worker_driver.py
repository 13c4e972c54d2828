"""What src/runtime does to a worker of runtimes/, without a server: starts its program with a stream on descriptor 3 and speaks frames
(src/runtime/frame.h) with it."""
import atexit
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent
HEADER = struct.Struct("<IIBBHIQ")
START, READY, CALL, REPLY, FAILED, HEAD, CHUNK, HOOK, IMPORTED = range(1, 10)
OK, HANDLED_ERROR = 0, 1
IN_MEMFD = 0x80
MAX_PAYLOAD = 33 << 20
PATIENCE_S = 60  # a loaded machine
CREDENTIALS = ("STS.key", "secret", "token")


class Frame:
    def __init__(self, kind, status, call, duration_us, meta, payload):
        self.kind, self.status, self.call, self.duration_us, self.meta, self.payload = kind, status, call, duration_us, meta, payload

    def json(self):
        return json.loads(self.payload)


class Worker:
    """One process. `files` are the function's code; `start` changes members of the start frame."""
    descriptors = (3,)  # that it finds open

    def __init__(self, command, files, environment=None, **start):
        self.code = tempfile.mkdtemp(prefix="mayfly-code-")
        atexit.register(shutil.rmtree, self.code, True)
        for name, text in files.items():
            path = pathlib.Path(self.code, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text) if isinstance(text, str) else path.write_bytes(text)
        self.output = tempfile.TemporaryFile()
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(PATIENCE_S)
        self.files = []  # descriptors that came and belong to frames not read yet
        self.next_call = 1
        function = {"name": "detect", "handler": "index.handler", "memory": 128, "timeout": 5, **start.pop("function", {})}
        service = {"name": "photos", "log_project": "", "log_store": "", "qualifier": "LATEST", "version_id": "3"}
        start = {
            "instance_id": "c-1", "memory_bytes": 0, "credentials": CREDENTIALS, "code": self.code, "handler": "index.handler", "initializer": "",
            "request_id": "init-1" if start.get("initializer") else "",
            "environment": {"PATH": "/usr/bin:/bin", "TZ": "UTC", **(environment or {})}, "concurrency": 1, "region": "cn-hangzhou", "account": "1234567890",
            "function": function, "service": service, "pre_stop": "", "pre_freeze": "", "http_trigger": False, **start}
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output, pass_fds=self.descriptors,
                                        preexec_fn=lambda: self.give(theirs.fileno(), start))
        theirs.close()
        self.send(START, payload=json.dumps(start).encode())
        self.started = self.receive()
        self.imported = self.started.kind == IMPORTED  # it has an initializer
        if self.imported:
            self.started = self.receive()

    def give(self, stream, start):
        """Runs in the process before it is the program."""
        os.dup2(stream, 3)
        os.set_inheritable(3, True)

    def send(self, kind, call=0, retries=0, meta=b"", payload=b""):
        self.socket.sendall(HEADER.pack(len(payload), len(meta), kind, 0, retries, call, 0) + meta + payload)

    def send_call(self, payload=b"", request="request-1", http=None, credentials=CREDENTIALS, retries=0):
        """The call's number; its answer comes by receive()."""
        number, self.next_call = self.next_call, self.next_call + 1
        meta = f"{request}\1{chr(0).join(credentials)}\1{json.dumps(http) if http else ''}".encode()
        self.send(CALL, number, retries, meta, payload)
        return number

    def call(self, payload=b"", **more):
        number = self.send_call(payload, **more)
        reply = self.receive()
        assert (reply.kind, reply.call) == (REPLY, number), (reply.kind, reply.call, reply.payload[:500])
        return reply

    def http(self, method="GET", path="/", body=b"", headers=None, queries=None):
        about = {"method": method, "path": path, "requestURI": path, "clientIP": "192.0.2.1", "host": "127.0.0.1", "headers": headers or {}, "queries": queries or {}}
        reply = self.call(body, http=about)
        head = json.loads(reply.meta) if reply.meta else {}
        return head.get("status"), head.get("headers"), reply.payload

    def hook(self, name, request="hook-1", credentials=CREDENTIALS):
        """Without credentials: as an older server asks, by the name alone."""
        self.send(HOOK, 77, meta=(f"{name}\1{request}\1{chr(0).join(credentials)}" if credentials else name).encode())
        return self.receive()

    def _exactly(self, size):
        data = bytearray()
        while len(data) < size:
            piece, files, _, _ = socket.recv_fds(self.socket, min(size - len(data), 1 << 20), 8)
            if not piece:
                raise EOFError(f"the worker has ended\n{self.printed()}")
            data += piece
            self.files += files
        return bytes(data)

    def receive(self):
        payload_size, meta_size, kind, status, _, call, duration_us = HEADER.unpack(self._exactly(HEADER.size))
        meta = self._exactly(meta_size)
        if not status & IN_MEMFD:
            return Frame(kind, status, call, duration_us, meta, self._exactly(payload_size))
        with os.fdopen(self.files.pop(0), "rb") as file:
            return Frame(kind, status & ~IN_MEMFD, call, duration_us, meta, os.pread(file.fileno(), payload_size, 0))

    def reply_frames(self):
        """What comes until the reply that ends an answer, with it."""
        frames = [self.receive()]
        while frames[-1].kind != REPLY:
            frames.append(self.receive())
        return frames

    def printed(self):
        self.output.seek(0)
        return self.output.read().decode(errors="replace")

    def close(self):
        """The polite end: the server closes the stream. The exit status."""
        self.socket.close()
        status = self.process.wait(PATIENCE_S)
        return status


class WorkerTest(unittest.TestCase):
    """For tests of one language: `command` starts its runtime, package() makes a function's files of what a test gives as code."""
    command = ()

    def package(self, code):
        raise NotImplementedError

    def launch(self, code, **more):
        return Worker(list(self.command), code if isinstance(code, dict) else self.package(code), **more)

    def worker(self, code, **more):
        worker = self.launch(code, **more)
        self.addCleanup(worker.output.close)
        self.addCleanup(worker.process.wait)
        self.addCleanup(worker.process.kill)
        self.addCleanup(worker.socket.close)
        return worker

    def started(self, code, **more):
        worker = self.worker(code, **more)
        self.assertEqual(worker.started.kind, READY, (worker.started.payload, worker.printed()))
        return worker

    def failed(self, code, **more):
        worker = self.worker(code, **more)
        self.assertEqual(worker.started.kind, FAILED, worker.started.meta)
        return worker.started.json()

    def answer(self, code, payload=b"", **more):
        reply = self.started(code, **more).call(payload)
        self.assertEqual(reply.status, OK, reply.payload)
        return reply.payload
