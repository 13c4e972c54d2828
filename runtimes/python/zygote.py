"""The first process of a Python function's sandbox: imports what the function will need, then forks a worker whenever the server asks.

It is the only process inside with privileges (over its own namespaces), so it runs no byte of the tenant's code: it reads the imports of
the tenant's modules as text and imports those that the platform's own libraries folder provides.

Messages on descriptor 3 (sequenced packets; the server's side is src/runtime/zygote.h):
  server -> zygote   the configuration, JSON, once
  zygote -> server   b"R" when forks may be asked for
  server -> zygote   b"F" + token, descriptors          fork a worker, which enters its cgroup by writing "0" to each of them
                     b"A" + token, descriptors          the same, ahead of need: the worker rehearses before it waits for its start
                     b"S" or b"C" + token               a worker and its process group stop where they are, or go on
  zygote -> server   b"f" + token, three descriptors    its frame stream, its output, its pidfd
  zygote -> server   b"x" + token + wait status         a worker has ended
The server's end closing is the order to end."""
import array
import base64
import gc
import importlib
import json
import os
import re
import select
import signal
import socket
import struct
import sys

# The modules most handlers import; the worker uses the first of them itself.
import collections, datetime, functools, hashlib, io, logging, random, subprocess, tempfile, threading, time, traceback, urllib.parse, uuid  # noqa: E401,F401

import confine
import worker

CONTROL_FD = 3
MAX_ENTRIES = 8  # sys::kMaxPassedFds
MAX_CONFIGURATION = 128 << 10  # sandbox::kMaxPlanBytes
MAX_SCANNED_FILES, MAX_SCANNED_BYTES = 64, 1 << 20  # enough for any handler's own modules; the rest is imported by the worker

_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([A-Za-z_][\w.]*)[ \t]+import[ \t]+([^\n#]+)|import[ \t]+([^\n#]+))", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_SIGNALS = {b"S": signal.SIGSTOP, b"C": signal.SIGCONT}


def imported_names(source):
    """Dotted names a module's text imports, in order. `from a import b` gives a and a.b, which may be a module."""
    for match in _IMPORT.finditer(source):
        if match[1]:
            yield match[1]
            for part in match[2].strip("() ").split(","):
                if name := _NAME.match(part.strip()):
                    yield f"{match[1]}.{name[0]}"
        else:
            for part in match[3].split(","):
                if name := _NAME.match(part.strip()):
                    yield name[0]


def top_level_names(folder):
    """Importable top-level names of a folder."""
    try:
        entries = os.listdir(folder)
    except OSError:
        return set()
    return {entry.split(".")[0] for entry in entries if entry.endswith((".py", ".so")) or "." not in entry}


def import_libraries(configuration):
    """Imports what the function's modules name and the libraries folder has. Nothing at all when the function ships a library of the
    same name: its own must win, and it would find ours already imported."""
    libraries = configuration["libraries"]
    ours = top_level_names(libraries)
    shipped = set()
    for folder in worker.tenant_folders(configuration):
        shipped |= top_level_names(folder)
    if not ours or shipped & ours:
        return
    sys.path.append(libraries)
    sources = sorted(name for name in os.listdir(configuration["code"]) if name.endswith(".py"))[:MAX_SCANNED_FILES]
    for source in sources:
        with open(os.path.join(configuration["code"], source), encoding="utf-8", errors="replace") as file:
            text = file.read(MAX_SCANNED_BYTES)
        for name in imported_names(text):
            if name.split(".")[0] in ours and name not in sys.modules:
                try:
                    importlib.import_module(name)
                except Exception:  # noqa: BLE001  the worker will meet the same and report it to the caller
                    pass
    if "numpy" in sys.modules:
        importlib.import_module("numpy.random")  # numpy itself leaves that to its first use, which costs 8 ms
    sys.path.remove(libraries)


class Zygote:
    def __init__(self, control, configuration):
        self._control = control
        self._configuration = configuration
        self._workers = {}  # pidfd -> (pid, token)
        self._pids = {}  # token -> pid
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY) if configuration["isolated"] else -1

    def run(self):
        self._control.send(b"R")
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._control.fileno():
                    message, entries, _, _ = socket.recv_fds(self._control, 64, MAX_ENTRIES)
                    if not message:
                        return
                    if message[:1] in _SIGNALS:
                        self._signal(message[1:], _SIGNALS[message[:1]])
                    else:
                        self._fork(message[1:], entries, message[:1] == b"A")
                else:
                    self._ended(fd)

    def _fork(self, token, entries, ahead):
        frames, worker_frames = socket.socketpair()
        output, worker_output = os.pipe()
        if self._own_pids >= 0:
            confine.next_child_in_new_pid_namespace(self._own_pids)
        pid = os.fork()
        if pid == 0:
            worker.run_forked(self._configuration, worker_frames.detach(), worker_output, entries, ahead)
        worker_frames.close()
        for fd in (worker_output, *entries):
            os.close(fd)
        pidfd = os.pidfd_open(pid)
        self._workers[pidfd] = (pid, token)
        self._pids[token] = pid
        self._poll.register(pidfd, select.POLLIN)
        self._control.sendmsg(
            [b"f" + token],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [frames.fileno(), output, pidfd]))])
        frames.close()
        os.close(output)

    def _signal(self, token, number):
        if pid := self._pids.get(token):  # not waited for yet, so the number is still its own
            os.killpg(pid, number)

    def _ended(self, pidfd):
        pid, token = self._workers.pop(pidfd)
        del self._pids[token]
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        try:
            self._control.send(b"x" + token + struct.pack("<i", status))
        except BrokenPipeError:
            pass  # the server has gone; the next poll says so


def main():
    control = socket.socket(fileno=CONTROL_FD)
    message = control.recv(MAX_CONFIGURATION)
    if not message:
        return
    configuration = json.loads(message)
    configuration["seccomp"] = base64.b64decode(configuration["seccomp"])
    import_libraries(configuration)
    worker.prepare(configuration)
    gc.collect()
    gc.freeze()  # what is here now stays: collections in workers do not touch, and so do not copy, its pages
    Zygote(control, configuration).run()


if __name__ == "__main__":
    main()
