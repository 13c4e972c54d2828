#!/usr/bin/env python3
"""The server as a process: what it says, what it refuses, how it ends, and that it serves an ordinary user as it serves root."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import unittest

import support

import requests  # from the libraries that support put on the path

NOBODY = 65534
HANDLER = """
import os, time
def handler(event, context):
    if event == b"wait":
        time.sleep(1)
    return {"uid": os.getuid(), "tmp": os.listdir("/tmp"), "sees": os.path.exists(event or b"/nothing")}
"""


def refused(data, port=0):
    command = [support.BINARY, "up", "--data-dir", str(data), "--port", str(port), "--tls-port", "0", "--runtimes", str(support.SOURCE / "runtimes")]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)


def children_of(pid):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int(entry.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found += [int(entry.name), *children_of(int(entry.name))]
    return found


class Up(unittest.TestCase):
    def server(self, *arguments):
        server = support.Mayfly(*arguments)
        self.addCleanup(server.close)
        return server

    def furnish(self, server):
        fc = server.fc()
        fc.create_service("s")
        fc.create_function("s", "f", "python3", "index.handler", timeout=30, memorySize=256, codeZipFile=support.zip_file({"index.py": HANDLER}))
        return fc

    def test_the_key_is_made_once_shown_once_and_kept_private(self):
        server = self.server()
        support.wait_until(lambda: server.key_secret in server.output(), 10, "the welcome")
        keys = pathlib.Path(server.data, "keys.json")
        self.assertEqual(stat.S_IMODE(keys.stat().st_mode), 0o600)
        first = keys.read_text()
        self.assertEqual(server.stop(), 0)
        before = len(server.output())
        server.start()
        self.assertEqual(keys.read_text(), first)
        self.assertNotIn(server.key_secret, server.output()[before:])

    def test_it_listens_on_loopback_only_unless_told(self):
        server = self.server()
        self.assertRegex(server.endpoint, r"^http://127\.0\.0\.1:\d+$")
        self.assertEqual(requests.get(server.endpoint + "/mayfly/v1/health", timeout=10).json(), {"status": "ok"})

    def test_a_second_server_on_the_folder_is_refused_and_the_first_goes_on(self):
        server = self.server()
        second = refused(server.data)
        self.assertNotEqual(second.returncode, 0)
        self.assertIn("used by another Mayfly", second.stderr)
        self.assertIn(str(server.process.pid), second.stderr)
        self.assertEqual(requests.get(server.endpoint + "/mayfly/v1/health", timeout=10).status_code, 200)
        self.assertTrue(pathlib.Path(server.data, "server.json").exists(), "clients still find the first one")

    def test_a_port_in_use_and_a_folder_it_cannot_write_are_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken, tempfile.TemporaryDirectory() as data:
            port = taken.getsockname()[1]
            result = refused(data, port)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(str(port), result.stderr)
        with tempfile.NamedTemporaryFile() as file:
            result = refused(file.name + "/below")
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(file.name, result.stderr)

    def test_term_lets_calls_end_and_leaves_nothing_running(self):
        server = self.server()
        fc = self.furnish(server)
        fc.invoke_function("s", "f")
        caller = subprocess.Popen([support.BINARY, "--data-dir", server.data, "invoke", "-q", "s/f", "wait"], stdout=subprocess.PIPE, text=True)
        support.wait_until(lambda: any(i["busy"] for i in server.cli_json("describe", "s/f")["instances"]), 20, "the call to run")
        processes = children_of(server.process.pid)
        self.assertTrue(processes)
        self.assertEqual(server.stop(), 0)
        self.assertIn("uid", caller.communicate(timeout=30)[0], "the call that was running got its answer")
        support.wait_until(lambda: not [pid for pid in processes if os.path.exists(f"/proc/{pid}")], 10, "every sandbox to end")
        self.assertFalse(pathlib.Path(server.data, "server.json").exists())

    def test_kill_leaves_no_sandbox_behind(self):
        server = self.server()
        self.furnish(server).invoke_function("s", "f")
        processes = children_of(server.process.pid)
        server.kill()
        support.wait_until(lambda: not [pid for pid in processes if os.path.exists(f"/proc/{pid}")], 10, "the sandboxes to end with the server")
        server.start()
        self.assertEqual(json.loads(server.fc().invoke_function("s", "f").data)["tmp"], [])

    def test_metrics_speak_of_every_room(self):
        server = self.server()
        self.furnish(server).invoke_function("s", "f")
        text = requests.get(server.endpoint + "/mayfly/v1/metrics", timeout=10).text
        for name in ("mayfly_invocations_total", "mayfly_http_requests_total", "mayfly_store_commits_total", "mayfly_instances", "mayfly_calls_queued",
                     "mayfly_async_in_flight", "mayfly_disk_free_bytes"):
            self.assertRegex(text, rf"(?m)^{name}[ {{]")
        self.assertEqual(re.findall(r'mayfly_invocations_total\{service="s",function="f"\} (\d+)', text), ["1"])

    def test_the_native_api_asks_for_the_root_key(self):
        server = self.server()
        for path in ("status", "logs", "functions/s/f"):
            self.assertEqual(requests.get(f"{server.endpoint}/mayfly/v1/{path}", timeout=10).status_code, 403, path)
        self.assertEqual(requests.post(f"{server.endpoint}/mayfly/v1/health", timeout=10).status_code, 405)

    def test_functions_run_without_a_sandbox_only_when_told_and_loudly(self):
        self.assertNotIn("without a sandbox", self.server().output().lower())
        server = self.server("--unsafe-no-sandbox")
        self.assertIn("without a sandbox", server.output().lower())
        self.furnish(server)
        self.assertTrue(json.loads(server.fc().invoke_function("s", "f", payload=server.data.encode()).data)["sees"])

    @unittest.skipUnless(os.getuid() == 0, "only root can become an ordinary user")
    def test_an_ordinary_user_gets_the_same(self):
        with tempfile.TemporaryDirectory() as place:
            place = pathlib.Path(place)
            place.chmod(0o755)
            data = place / "data"
            data.mkdir()
            os.chown(data, NOBODY, NOBODY)
            binary = place / "mayfly"  # others may not be able to read the checkout: what is needed is copied
            shutil.copy(support.BINARY, binary)
            binary.chmod(0o755)
            shutil.copytree(support.SOURCE / "runtimes", place / "runtimes")
            for path in (place / "runtimes").rglob("*"):
                path.chmod(0o755 if path.is_dir() else 0o644)
            command = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", str(binary), "up", "--data-dir", str(data), "--port", "0", "--tls-port", "0"]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=place)
            try:
                info = data / "server.json"
                support.wait_until(lambda: info.exists() or process.poll() is not None, 60, "the server to start")
                self.assertIsNone(process.poll(), "it ended")
                cli = lambda *arguments: subprocess.run([str(binary), "--data-dir", str(data), *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
                keys = json.loads((data / "keys.json").read_text())
                import fc2
                fc = fc2.Client(endpoint=json.loads(info.read_text())["endpoint"], accessKeyID=keys["accessKeyId"], accessKeySecret=keys["accessKeySecret"], Timeout=60)
                fc.create_service("s")
                fc.create_function("s", "f", "python3", "index.handler", timeout=30, memorySize=256, codeZipFile=support.zip_file({"index.py": HANDLER}))
                self.assertFalse(json.loads(fc.invoke_function("s", "f", payload=str(data).encode()).data)["sees"])
                self.assertEqual(cli("object", "mb", "mayfly://bucket").returncode, 0)
                fc.create_function("s", "hog", "python3", "index.handler", timeout=30, memorySize=256,
                                   codeZipFile=support.zip_file({"index.py": "def handler(event, context):\n    return len(bytearray(1 << 30))\n"}))
                with self.assertRaises(Exception) as caught:
                    fc.invoke_function("s", "hog")
                self.assertIn("memory", str(caught.exception).lower())
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=30)
            self.assertEqual(process.returncode, 0)


if __name__ == "__main__":
    support.main()
