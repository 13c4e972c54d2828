"""The servers that instances are measured beside. Each is started alone, answers POST / with JSON, and says its version.

Found here: the raw epoll loop of this folder (the floor: it looks at nothing and answers a constant), node's own http server, and workerd,
whose npm package is installed into the scratch folder when npm can have it. Given by path, --peer NAME=FILE, because no package that the
machine's package managers offer holds them: of-watchdog and classic-watchdog (in front of node_http.js and of cat), nuclio (its processor;
its Python handler also needs NUCLIO_PYTHON_WRAPPER_PATH, the _nuclio_wrapper.py of its sources).
Those listen on every interface, so they run in a network namespace of their own and are loaded from inside it.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import languages
import measure

HERE = pathlib.Path(__file__).resolve().parent
POST = measure.raw("POST", "/", {"Host": "127.0.0.1", "Content-Type": "application/json"}, languages.BODY)
START_SECONDS = 20
GIVEN = ("of-watchdog", "classic-watchdog", "nuclio")


class Unavailable(Exception):
    """Why a peer cannot be had here."""


class Peer:
    """A running server."""

    def __init__(self, name, version, command, *, port=None, request=POST, apart=False, environment=(), folder=None):
        self.name, self.version, self.request = name, version, request
        self.log = tempfile.TemporaryFile()
        if apart:  # a network of its own
            command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=self.log if port else subprocess.PIPE, stderr=self.log,
                                        env={**os.environ, **{name: str(value) for name, value in dict(environment).items()}}, cwd=folder, start_new_session=True)
        self.before = ["nsenter", "-t", str(self.process.pid), "-n"] if apart else []
        self.port = port or int(self.process.stdout.readline())

    def wait(self, program):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return measure.load(program, self.port, 1, 0, [self.request], before=self.before, complaints=subprocess.DEVNULL)
            except subprocess.CalledProcessError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.log.seek(0)
                    raise Unavailable(f"it did not start: {self.log.read().decode(errors='replace')[-300:]}") from None
                time.sleep(0.1)

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()


def said(*command, **options):
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, **options)
    if result.returncode != 0:
        raise Unavailable(f"{command[0]}: {result.stdout.strip()[-200:]}")
    return result.stdout.strip()


def needed(program, package):
    found = shutil.which(program)
    if not found:
        raise Unavailable(f"no {program} on this machine (Debian: {package})")
    return found


def raw_epoll(context):
    return Peer("raw epoll loop", "bench/raw_epoll.cc", [context.bin / "raw_epoll"], request=b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")


def node_http(context):
    node = needed("node", "nodejs")
    return Peer("node http", said(node, "--version"), [node, HERE / "peers" / "node_http.js"])


def workerd(context):
    npm, folder = needed("npm", "npm"), context.scratch / "workerd"
    program = folder / "node_modules" / ".bin" / "workerd"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        said(npm, "install", "--no-audit", "--no-fund", "--prefix", folder, "workerd")
    package = json.loads((folder / "node_modules" / "workerd" / "package.json").read_text())
    port = measure.free_port()
    return Peer("workerd", package["version"], [program, "serve", HERE / "peers" / "workerd.capnp", f"--socket-addr=http=127.0.0.1:{port}"], port=port)


def given(context, name):
    if name not in context.given:
        raise Unavailable(f"no package here offers it; give the program with --peer {name}=FILE")
    if os.geteuid() != 0:
        raise Unavailable("it listens on every interface, and only root can give it a network of its own")
    return pathlib.Path(context.given[name]).resolve()


def watchdog_version(program, environment):
    """They print it when they start: "Version: 0.9.1  SHA: unknown"."""
    lines = subprocess.run(["unshare", "--net", program, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10,
                           env={**os.environ, **environment}).stdout.splitlines()
    return next((line.split("Version:")[1].split("SHA")[0].strip() for line in lines if "Version:" in line), "unknown")


def of_watchdog(context):
    program = given(context, "of-watchdog")
    settings = {"mode": "http", "fprocess": f"{needed('node', 'nodejs')} {HERE / 'peers' / 'node_http.js'}", "upstream_url": "http://127.0.0.1:3000", "PORT": "3000", "port": "8080"}
    return Peer("of-watchdog, node behind it", watchdog_version(program, settings), [program], port=8080, apart=True, environment=settings)


def classic_watchdog(context):
    program = given(context, "classic-watchdog")
    settings = {"fprocess": "/bin/cat", "port": "8080", "write_debug": "false"}
    return Peer("classic-watchdog, a process of cat per request", watchdog_version(program, settings), [program], port=8080, apart=True, environment=settings)


def nuclio_processor(context, what, configuration, environment=()):
    program = given(context, "nuclio")
    folder = context.scratch / "nuclio"
    folder.mkdir(parents=True, exist_ok=True)
    platform = folder / "platform.yaml"
    platform.write_text("kind: local\nlogger:\n  sinks:\n    quiet:\n      kind: stdout\n  system:\n  - level: error\n    sink: quiet\n  functions:\n  - level: error\n    sink: quiet\n")
    return Peer(f"nuclio processor, {what}", context.versions.get("nuclio", "unknown"), [program, "--config", HERE / "peers" / configuration, "--platform-config", platform],
                port=8080, apart=True, folder=folder, environment=environment)


def nuclio(context):
    return nuclio_processor(context, "its built-in Go handler", "nuclio.yaml")


def nuclio_python(context):
    wrapper = os.environ.get("NUCLIO_PYTHON_WRAPPER_PATH")
    if not wrapper:
        raise Unavailable("NUCLIO_PYTHON_WRAPPER_PATH names no _nuclio_wrapper.py")
    libraries = context.scratch / "nuclio-python"
    if not (libraries / "nuclio_sdk").exists():
        said(needed("python3", "python3"), "-m", "pip", "install", "--quiet", "--target", libraries, "nuclio-sdk", "msgpack")
    return nuclio_processor(context, "a Python handler", "nuclio_python.yaml",
                            {"NUCLIO_PYTHON_PATH": HERE / "peers", "NUCLIO_PYTHON_EXE_PATH": needed("python3", "python3"), "PYTHONPATH": libraries})


EVERY = {"raw epoll loop": raw_epoll, "node http": node_http, "workerd": workerd, "of-watchdog": of_watchdog, "classic-watchdog": classic_watchdog, "nuclio": nuclio,
         "nuclio with Python": nuclio_python}
