#!/usr/bin/env python3
"""New versions of a function are deployed again and again while clients call it: no call fails, none is answered by a version older than the
last one that was acknowledged before the call, none by one that was not deployed yet. Over the API, over the HTTP trigger, and by slow calls."""
import http.client
import os
import threading
import time
import unittest
import urllib.parse

import support

DEPLOYS = int(os.environ.get("MAYFLY_UPDATE_DEPLOYS", "12"))
CLIENTS = int(os.environ.get("MAYFLY_UPDATE_CLIENTS", "8"))
PAUSE_S = 0.25  # between deploys: some hundred calls

HANDLER = """
import time
def handler(environ, start_response):
    if "slow" in environ.get("QUERY_STRING", ""):
        time.sleep(0.4)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"VERSION"]
"""


class Client(threading.Thread):
    """Calls as fast as answers come, on one connection; keeps what went wrong."""

    def __init__(self, world, query):
        super().__init__(daemon=True)
        self.world, self.query = world, query
        self.calls, self.failures, self.versions = 0, [], set()

    def run(self):
        address = urllib.parse.urlsplit(self.world.server.endpoint)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        while not self.world.ended.is_set():
            oldest = self.world.acknowledged
            connection.request("GET", "/2016-08-15/proxy/deploys/f/" + self.query)
            reply = connection.getresponse()
            body = reply.read()
            newest = self.world.sent
            self.calls += 1
            if reply.status != 200:
                self.failures.append((reply.status, body[:300]))
            elif not oldest <= int(body) <= newest:
                self.failures.append(("version", int(body), "not in", oldest, newest))
            else:
                self.versions.add(int(body))
        connection.close()


class UpdateUnderLoad(unittest.TestCase):
    def setUp(self):
        self.server = support.Mayfly()
        self.addCleanup(self.server.close)
        self.fc = self.server.fc()
        self.fc.create_service("deploys")
        self.sent = self.acknowledged = 1
        self.ended = threading.Event()
        self.fc.create_function("deploys", "f", "python3", "index.handler", timeout=30, memorySize=128, codeZipFile=self.code(1))
        self.fc.create_trigger("deploys", "f", "http", "http", {"authType": "anonymous", "methods": ["GET"]}, "", "")

    def code(self, version):
        return support.zip_file({"index.py": HANDLER.replace("VERSION", str(version))})

    def deploy(self, version):
        code = self.code(version)
        self.sent = version
        self.fc.update_function("deploys", "f", codeZipFile=code)
        self.acknowledged = version

    def test_no_call_fails_and_none_is_answered_by_an_older_version(self):
        clients = [Client(self, "?slow" if n % 4 == 3 else "") for n in range(CLIENTS)]
        for client in clients:
            client.start()
        for version in range(2, 2 + DEPLOYS):
            time.sleep(PAUSE_S)
            self.deploy(version)
        time.sleep(PAUSE_S)
        self.ended.set()
        for client in clients:
            client.join(60)
            self.assertFalse(client.is_alive(), "a call was never answered")
        failures = [failure for client in clients for failure in client.failures]
        self.assertEqual(failures, [], f"{len(failures)} of {sum(client.calls for client in clients)} calls")
        seen = set().union(*(client.versions for client in clients))
        self.assertIn(1 + DEPLOYS, seen)
        self.assertGreater(len(seen), DEPLOYS // 2, "the load was too thin to see the versions")
        support.wait_until(lambda: self.server.cli_json("describe", "deploys/f")["starting"] == 0, 10, "instances to settle")


if __name__ == "__main__":
    support.main()
