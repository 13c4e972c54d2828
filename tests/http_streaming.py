#!/usr/bin/env python3
"""Functions that are web servers, behind HTTP triggers, as their clients see them: requests, curl, a WebSocket client; Flask, aiohttp and
Express unmodified as the function's program; bodies that stream both ways; what a client reads when the function dies."""
import io
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import unittest
import zipfile

import support

import requests

PYTHON_CLIENTS = pathlib.Path(support.CLIENTS, "python")
sys.path.insert(0, str(PYTHON_CLIENTS))
import websocket  # noqa: E402

SCRATCH = support.tempfile.TemporaryDirectory(prefix="mayfly-packages-")  # until this process ends

FLASK = """#!/usr/bin/python3
import os, sys
sys.path.insert(0, "/code/libraries")
from flask import Flask, Response, request
app = Flask(__name__)

@app.route("/hello/<name>", methods=["GET", "POST", "HEAD"])
def hello(name):
    return {"name": name, "method": request.method, "args": request.args.to_dict(), "body": request.get_data(as_text=True),
            "host": request.host, "base": request.headers.get("x-fc-base-path"), "path": request.headers.get("x-fc-control-path"),
            "for": request.headers.get("X-Forwarded-For"), "proto": request.headers.get("X-Forwarded-Proto")}

@app.route("/download")
def download():
    return Response((b"%07d\\n" % i * 1000 for i in range(3)), headers={"Content-Disposition": "inline", "Content-Type": "text/csv"})

@app.route("/missing")
def missing():
    return "nothing here", 404

@app.route("/invoke", methods=["POST"])
def invoke():
    return request.get_data() + b" " + request.headers["x-fc-request-id"].encode()

app.run("0.0.0.0", int(os.environ["FC_SERVER_PORT"]), threaded=True)
"""

AIOHTTP = """#!/usr/bin/python3
import asyncio, os, sys
sys.path.insert(0, "/code/libraries")
from aiohttp import web

async def events(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for i in range(int(request.query.get("count", "3"))):
        await response.write(b"data: %d\\n\\n" % i)
        await asyncio.sleep(float(request.query.get("pause", "0")))
    return response

async def forever(request):
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun\\n")
    try:
        while True:
            await asyncio.sleep(0.05)
            if request.transport is None or request.transport.is_closing():
                break
    finally:
        print("the client of forever went", flush=True)
    return response

async def count(request):
    size = 0
    async for chunk in request.content.iter_chunked(1 << 16):
        size += len(chunk)
    return web.Response(text=str(size))

async def echo(request):
    response = web.StreamResponse()
    await response.prepare(request)
    async for chunk in request.content.iter_any():
        await response.write(chunk.upper())
    return response

async def large(request):
    size = int(request.query["mb"]) << 20
    response = web.StreamResponse(headers={"Content-Length": str(size)})
    await response.prepare(request)
    piece = b"z" * (1 << 20)
    for _ in range(size >> 20):
        await response.write(piece)
    return response

async def chat(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        if message.type == web.WSMsgType.TEXT:
            if message.data == "die":
                os._exit(3)
            if message.data == "leave":
                await ws.close()
                break
            await ws.send_str("you said " + message.data)
        elif message.type == web.WSMsgType.BINARY:
            await ws.send_bytes(message.data[::-1])
    print("chat closed with", ws.close_code, flush=True)
    return ws

async def die(request):
    if request.query.get("after"):
        response = web.StreamResponse(headers={} if request.query.get("open") else {"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        await asyncio.sleep(0.1)
    os._exit(7)

async def sleep(request):
    await asyncio.sleep(60)

app = web.Application(client_max_size=1 << 40)
app.router.add_get("/events", events)
app.router.add_get("/forever", forever)
app.router.add_post("/count", count)
app.router.add_post("/echo", echo)
app.router.add_get("/large", large)
app.router.add_get("/chat", chat)
app.router.add_get("/die", die)
app.router.add_get("/sleep", sleep)
web.run_app(app, host="0.0.0.0", port=9000, print=None)
"""

EXPRESS = """#!/usr/bin/node
const express = require("express");
const app = express();
app.use(express.json());
app.get("/", (request, response) => response.send("hello from express"));
app.post("/json/", (request, response) => response.status(201).json({ got: request.body, url: request.originalUrl, ip: request.get("x-forwarded-for") }));
app.get("/stream", (request, response) => {
  let i = 0;
  const timer = setInterval(() => { response.write(`line ${i++}\\n`); if (i === 3) { clearInterval(timer); response.end(); } }, 10);
});
app.listen(process.env.PORT || 3000);
"""


def package(bootstrap, folders):
    """A zip with an executable bootstrap and whole folders of libraries, as a path."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o100755 << 16
        archive.writestr(entry, bootstrap)
        for name, folder in folders.items():
            for path in sorted(pathlib.Path(folder).rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    archive.write(path, f"{name}/{path.relative_to(folder)}")
    with support.tempfile.NamedTemporaryFile(dir=SCRATCH.name, suffix=".zip", delete=False) as file:
        file.write(buffer.getvalue())
    return file.name


def resident_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) >> 10
    return 0


class WebServers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = support.Mayfly()
        cls.addClassCleanup(cls.server.close)
        cls.fc = cls.server.fc()
        cls.fc.create_service("web")
        modules = os.path.join(support.CLIENTS, "node_modules")
        for name, bootstrap, folders in (("flask", FLASK, {"libraries": PYTHON_CLIENTS}), ("aio", AIOHTTP, {"libraries": PYTHON_CLIENTS}),
                                         ("express", EXPRESS, {"node_modules": modules})):
            if name == "express":
                folders = cls.needed_modules(modules)
            cls.fc.create_function("web", name, "custom", "none", timeout=60, initializationTimeout=60, memorySize=512, instanceConcurrency=20,
                                   codeZipFile=package(bootstrap, folders))
            cls.fc.create_trigger("web", name, "http", "http", {"authType": "anonymous", "methods": ["GET", "POST", "HEAD", "PUT", "DELETE"]}, "", "")
        cls.base = cls.server.endpoint + "/2016-08-15/proxy/web/"
        cls.host, cls.port = cls.server.endpoint.removeprefix("http://").split(":")

    @staticmethod
    def needed_modules(modules):
        """express and what it requires, found as node does: one flat folder."""
        wanted, folders = ["express"], {}
        while wanted:
            name = wanted.pop()
            folder = pathlib.Path(modules, name)
            if f"node_modules/{name}" in folders or not folder.exists():
                continue
            folders[f"node_modules/{name}"] = folder
            wanted += json.loads((folder / "package.json").read_text()).get("dependencies", {})
        return folders

    def test_a_flask_application_runs_unmodified(self):
        reply = requests.post(self.base + "flask/hello/mayfly?a=1%202", data="body", timeout=90)
        self.assertEqual(reply.status_code, 200, reply.text)
        seen = reply.json()
        self.assertEqual((seen["name"], seen["method"], seen["args"], seen["body"]), ("mayfly", "POST", {"a": "1 2"}, "body"))
        self.assertEqual((seen["base"], seen["path"], seen["for"], seen["proto"]), ("/2016-08-15/proxy/web/flask", "/http-invoke", "127.0.0.1", "http"))
        self.assertEqual(seen["host"], f"{self.host}:{self.port}")
        missing = requests.get(self.base + "flask/missing", timeout=60)
        self.assertEqual((missing.status_code, missing.text), (404, "nothing here"))
        self.assertNotIn("x-fc-error-type", missing.headers)
        self.assertEqual(requests.get(self.base + "flask/nowhere/", timeout=60).status_code, 404, "a trailing slash is the application's business")
        download = requests.get(self.base + "flask/download", timeout=60)
        self.assertEqual((len(download.content), download.headers["content-disposition"], download.headers["content-type"]), (24000, "inline", "text/csv"))

    def test_no_content_disposition_is_forced(self):
        self.assertNotIn("content-disposition", requests.get(self.base + "flask/hello/x", timeout=60).headers)

    def test_head_has_the_length_and_no_body(self):
        reply = requests.head(self.base + "flask/hello/x", timeout=60)
        self.assertEqual((reply.status_code, reply.content), (200, b""))
        self.assertGreater(int(reply.headers["content-length"]), 10)

    def test_an_event_is_posted_to_invoke(self):
        reply = self.fc.invoke_function("web", "flask", payload=b"event")
        self.assertEqual(reply.data, b"event " + reply.headers["x-fc-request-id"].encode())

    def test_an_express_application_runs_unmodified(self):
        self.assertEqual(requests.get(self.base + "express", timeout=90).text, "hello from express")
        reply = requests.post(self.base + "express/json/?q=1", json={"a": [1, 2]}, timeout=60)
        self.assertEqual((reply.status_code, reply.json()), (201, {"got": {"a": [1, 2]}, "url": "/json/?q=1", "ip": "127.0.0.1"}))
        self.assertEqual(requests.get(self.base + "express/stream", timeout=60).text, "line 0\nline 1\nline 2\n")

    def test_events_arrive_as_they_are_sent(self):
        requests.get(self.base + "aio/events?count=1", timeout=90)
        began = time.monotonic()
        with requests.get(self.base + "aio/events?count=4&pause=0.3", stream=True, timeout=60) as reply:
            self.assertEqual(reply.headers["content-type"], "text/event-stream")
            times = [time.monotonic() - began for line in reply.iter_lines() if line]
        self.assertEqual(len(times), 4)
        self.assertLess(times[0], 0.3, times)
        self.assertGreater(times[3] - times[0], 0.6, times)
        curl = subprocess.run(["curl", "-sN", "--max-time", "60", self.base + "aio/events?count=2"], capture_output=True, check=True)
        self.assertEqual(curl.stdout, b"data: 0\n\ndata: 1\n\n")

    def test_a_client_that_goes_ends_the_function_s_stream(self):
        with requests.get(self.base + "aio/forever", stream=True, timeout=60) as reply:
            self.assertEqual(next(reply.iter_lines()), b"begun")
        support.wait_until(lambda: "the client of forever went" in self.server.cli("logs", "web/aio").stdout, 30, "the function to see its client go")
        self.assertEqual(requests.get(self.base + "aio/events?count=1", timeout=60).status_code, 200, "the instance serves on")

    def old_client(self, path, until):
        """A socket that has asked as HTTP/1.0 does, to which the end of the connection is the end of the answer; and what it has read."""
        connection = socket.create_connection((self.host, int(self.port)), timeout=60)
        connection.sendall(f"GET /2016-08-15/proxy/web/{path} HTTP/1.0\r\nHost: h\r\n\r\n".encode())
        heard = b""
        while until not in heard:
            got = connection.recv(65536)
            self.assertTrue(got, heard)
            heard += got
        return connection, heard

    def test_an_old_client_that_breaks_off_ends_the_function_s_stream_at_once(self):
        gone = "the client of forever went"
        before = self.server.cli("logs", "web/aio").stdout.count(gone)
        connection, _ = self.old_client("aio/forever", b"begun\n")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        support.wait_until(lambda: self.server.cli("logs", "web/aio").stdout.count(gone) > before, 30, "the function to see its client go")

    def test_an_old_client_sees_whether_an_answer_was_whole(self):
        connection, heard = self.old_client("aio/events?count=2", b"data: 1\n\n")
        with connection:
            self.assertNotIn(b"chunked", heard)
            self.assertEqual(connection.recv(1), b"")
        connection, _ = self.old_client("aio/die?after=1&open=1", b"half")
        with connection, self.assertRaises(ConnectionResetError):
            connection.recv(1)

    def test_a_request_and_its_answer_stream_at_once(self):
        with socket.create_connection((self.host, int(self.port)), timeout=60) as connection:
            connection.sendall(b"POST /2016-08-15/proxy/web/aio/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
            heard = b""
            for word, expected in ((b"three", b"ONE"), (b"", b"THREE")):
                while expected not in heard:
                    heard += connection.recv(65536)
                connection.sendall(b"%x\r\n%s\r\n" % (len(word), word) if word else b"0\r\n\r\n")
            while not heard.endswith(b"0\r\n\r\n"):
                heard += connection.recv(65536)

    def test_large_bodies_pass_in_flat_memory(self):
        requests.get(self.base + "aio/events?count=1", timeout=90)
        megabytes = 200
        before = resident_mb(self.server.process.pid)
        peak = before
        stop = threading.Event()

        def watch():
            nonlocal peak
            while not stop.wait(0.02):
                peak = max(peak, resident_mb(self.server.process.pid))
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            sent = requests.post(self.base + "aio/count", data=(b"x" * (1 << 20) for _ in range(megabytes)), timeout=300)
            self.assertEqual(sent.text, str(megabytes << 20))
            known = io.BytesIO(b"y" * (50 << 20))
            self.assertEqual(requests.post(self.base + "aio/count", data=known, timeout=300).text, str(50 << 20))
            came = 0
            with requests.get(self.base + f"aio/large?mb={megabytes}", stream=True, timeout=300) as reply:
                self.assertEqual(reply.headers["content-length"], str(megabytes << 20))
                for piece in reply.iter_content(1 << 20):
                    came += len(piece)
            self.assertEqual(came, megabytes << 20)
        finally:
            stop.set()
            watcher.join()
        self.assertLess(peak - before, 40, f"resident memory grew from {before} to {peak} MB")

    def test_a_websocket_reaches_the_function(self):
        url = self.server.endpoint.replace("http://", "ws://") + "/2016-08-15/proxy/web/aio/chat"
        connection = websocket.create_connection(url, timeout=60)
        for i in range(3):
            connection.send(f"hello {i}")
            self.assertEqual(connection.recv(), f"you said hello {i}")
        connection.send_binary(bytes(range(256)) * 1000)
        self.assertEqual(connection.recv(), (bytes(range(256)) * 1000)[::-1])
        connection.close()
        support.wait_until(lambda: "chat closed with 1000" in self.server.cli("logs", "web/aio").stdout, 30, "the closing handshake to arrive")
        dying = websocket.create_connection(url, timeout=60)
        dying.send("die")
        with self.assertRaises((websocket.WebSocketException, OSError)):
            while True:
                if not dying.recv():
                    raise websocket.WebSocketConnectionClosedException("ended")

    def test_a_function_that_closes_its_websocket_ends_the_connection_over_tls_too(self):
        for endpoint in (self.server.endpoint, self.server.info["tls_endpoint"]):
            url = endpoint.replace("http", "ws", 1) + "/2016-08-15/proxy/web/aio/chat"
            connection = websocket.create_connection(url, timeout=60, sslopt={"cert_reqs": ssl.CERT_NONE})
            connection.send("leave")
            self.assertEqual(connection.recv_frame().opcode, websocket.ABNF.OPCODE_CLOSE)
            connection.send_close()
            began = time.monotonic()
            self.assertEqual(connection.sock.recv(1), b"", "the server hangs up")
            self.assertLess(time.monotonic() - began, 5, endpoint)
            connection.shutdown()

    def test_custom_domains_rewrite_stream_and_tunnel(self):
        route = {"path": "/*", "serviceName": "web", "functionName": "aio", "rewriteConfig": {
            "equalRules": [{"match": "/news", "replacement": "/events"}],
            "wildcardRules": [{"match": "/v1/*", "replacement": "/$1"}],
            "regexRules": [{"match": "^/old/([a-z]+)$", "replacement": "/$1"}]}}
        self.fc.create_custom_domain("live.example.com", "HTTP", {"routes": [route]})
        host = {"Host": "live.example.com"}
        for path in ("/news?count=1", "/v1/events?count=1", "/old/events?count=1", "/events?count=1"):
            reply = requests.get(self.server.endpoint + path, headers=host, timeout=60)
            self.assertEqual((reply.status_code, reply.text), (200, "data: 0\n\n"), path)
        connection = websocket.create_connection(self.server.endpoint.replace("http://", "ws://") + "/chat", host="live.example.com", timeout=60)
        connection.send("hi")
        self.assertEqual(connection.recv(), "you said hi")
        connection.close()

    def test_a_crash_is_502_before_the_head_and_a_cut_connection_after_it(self):
        reply = requests.get(self.base + "aio/die", timeout=60)
        self.assertEqual(reply.status_code, 502, reply.text)
        self.assertEqual(reply.headers["x-fc-error-type"], "UnhandledInvocationError")
        self.assertIn("exited unexpectedly", reply.json()["errorMessage"])
        with self.assertRaises(requests.exceptions.RequestException):
            requests.get(self.base + "aio/die?after=1", timeout=60)
        self.assertEqual(requests.get(self.base + "aio/events?count=1", timeout=60).status_code, 200)

    def test_a_program_that_never_listens_is_told_in_words(self):
        self.fc.create_function("web", "mute", "custom", "none", timeout=10, initializationTimeout=1, codeZipFile=package("#!/bin/sh\necho I am here\nexit 4\n", {}))
        self.fc.create_trigger("web", "mute", "http", "http", {"authType": "anonymous", "methods": ["GET"]}, "", "")
        reply = requests.get(self.base + "mute/", timeout=60)
        self.assertEqual(reply.status_code, 502)
        for words in ("status 4", "port 9000", "I am here"):
            self.assertIn(words, reply.json()["errorMessage"])

    def test_phases_and_records_are_kept(self):
        requests.get(self.base + "aio/events?count=3&pause=0.1", timeout=90)
        recent = self.server.cli_json("describe", "web/aio")["recent"]
        self.assertTrue(any(record["replyUs"] > 200_000 for record in recent), recent[-1])


if __name__ == "__main__":
    support.main()
