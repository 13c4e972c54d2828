#!/usr/bin/env python3
"""Mixed functions under load while instances are killed at random: every answer is right or says what happened, and nothing is left over.

soak.py [--seconds 20] [--functions PROGRAM] [--seed N] [--json FILE]

Python functions always; C++ ones when PROGRAM (bench_functions) is given; Node ones when Mayfly has a runtime for it and the machine a node.
Counted before the load and after it, both times with every instance gone: processes, network namespaces, cgroups, mounts, descriptors and
memory of the server, folders of its state. The whole proof takes 30 minutes, --seconds 1800; CI runs a short one.
"""
import argparse
import atexit
import base64
import collections
import email.utils
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

import support

FUNCTIONS = support.SOURCE / "bench" / "functions"
CLIENTS = 8
KILL_EVERY_S = 0.25
KEEP_ALIVE_S = 2
ANSWER_S = 45            # more than any timeout of the functions: who waits longer waits for ever
SETTLE_S = 60            # at most, until what is idle is gone
LANGUAGES = {"python": ("python3", "index.echo"), "cpp": ("cpp", "functions.echo"), "node": ("nodejs20", "index.echo")}
# What may be more afterwards than before: pools that happen to be fuller, connections of the last request. A leak grows with the kills.
ALLOWED = {"processes": (4, ""), "network namespaces": (4, ""), "cgroups": (4, ""), "mounts": (4, ""), "open files of the server": (16, ""), "entries of the state folder": (16, ""),
           "resident memory of the server": (24, "MB")}


def read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def children():
    """{pid: [children]} of the whole machine."""
    found = collections.defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := read(f"/proc/{entry}/stat")):
            found[int(stat.rsplit(")", 1)[1].split()[1])].append(int(entry))
    return found


def descendants(pid):
    below, found, todo = children(), [], [pid]
    while todo:
        for child in below[todo.pop()]:
            found.append(child)
            todo.append(child)
    return found, below


def link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def counts(server):
    pid = server.process.pid
    every, _ = descendants(pid)
    own_network = link("/proc/self/ns/net")
    networks = {link(f"/proc/{each}/ns/net") for each in every} | {target for each in [pid, *every] for fd in list_of(f"/proc/{each}/fd") if (target := link(f"/proc/{each}/fd/{fd}")).startswith("net:")}
    status = dict(line.split(":", 1) for line in read(f"/proc/{pid}/status").splitlines())
    return {
        "processes": len(every),
        "network namespaces": len(networks - {own_network, ""}),
        "cgroups": sum(f"mayfly-{pid}/" in folder for folder, _, _ in os.walk("/sys/fs/cgroup")),
        "mounts": read(f"/proc/{pid}/mountinfo").count("\n"),
        "open files of the server": len(list_of(f"/proc/{pid}/fd")),
        "entries of the state folder": sum(len(folders) + len(files) for _, folders, files in os.walk(os.path.join(server.data, "run"))),
        "resident memory of the server": int(status["VmRSS"].split()[0]) / 1024,
    }


def list_of(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []


def killable(server):
    """Processes that run functions: leaves of the server's tree that are not its own program."""
    every, below = descendants(server.process.pid)
    return [pid for pid in every if not below[pid] and not read(f"/proc/{pid}/comm").startswith("mayfly")]


def package(language, program):
    """The path of a zip with the functions of a language."""
    file = tempfile.NamedTemporaryFile(suffix=".zip", delete=False)
    atexit.register(os.unlink, file.name)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        if language == "cpp":
            entry = zipfile.ZipInfo("functions")
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, pathlib.Path(program).read_bytes(), zipfile.ZIP_DEFLATED)
        else:
            name = "index.py" if language == "python" else "index.js"
            archive.writestr(name, (FUNCTIONS / name).read_text())
    file.close()
    return file.name


def absent(options):
    """{language: why it does not take part}."""
    out = {}
    if not options.functions:
        out["cpp"] = "no --functions PROGRAM"
    if not (support.SOURCE / "runtimes" / "nodejs" / "main.js").exists():
        out["node"] = "Mayfly has no Node runtime"
    elif not shutil.which("node"):
        out["node"] = "no node on this machine"
    return out


class Soak:
    def __init__(self, server, names, seed):
        self.server, self.names, self.seed = server, names, seed
        self.tally, self.died_in, self.wrong, self.kills = collections.Counter(), collections.Counter(), [], 0
        self.lock, self.end = threading.Lock(), threading.Event()

    def invoke(self, connection, name, event):
        path = f"/2016-08-15/services/soak/functions/{name}/invocations"
        date = email.utils.formatdate(usegmt=True)
        text = f"POST\n\napplication/octet-stream\n{date}\n{path}".encode()
        signature = base64.b64encode(hmac.new(self.server.key_secret.encode(), text, hashlib.sha256).digest()).decode()
        connection.request("POST", path, event, {"Date": date, "Content-Type": "application/octet-stream", "Authorization": f"FC {self.server.key_id}:{signature}"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")

    def client(self, number):
        chance = random.Random(f"{self.seed}/{number}")
        host, port = self.server.endpoint.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=ANSWER_S)
        while not self.end.is_set():
            nonce = f"{chance.getrandbits(64):016x}"
            name = chance.choice(self.names)
            try:
                status, body = self.invoke(connection, name, json.dumps({"nonce": nonce, "ms": chance.choice((0, 0, 0, 1, 5, 20))}))
            except (OSError, http.client.HTTPException) as error:  # the server is silent, or gone
                self.end.set()
                with self.lock:
                    self.tally["silent"] += 1
                    self.wrong.append(f"{name}: {type(error).__name__} {error}")
                return
            with self.lock:
                self.note(name, status, body, nonce)

    def note(self, name, status, body, nonce):
        if status == 200 and '"nonce"' in body:
            self.tally["right" if json.loads(body) == {"nonce": nonce} else "wrong"] += 1
            if json.loads(body) != {"nonce": nonce}:
                self.wrong.append(body)
        elif "exited unexpectedly" in body:
            self.tally["died"] += 1
            self.died_in[name] += 1
        elif status in (429, 503):
            self.tally["refused"] += 1
        else:
            self.tally["strange"] += 1
            self.wrong.append(f"{status} {body[:300]}")

    def killer(self):
        chance = random.Random(f"{self.seed}/killer")
        while not self.end.wait(KILL_EVERY_S):
            if victims := killable(self.server):
                try:
                    os.kill(chance.choice(victims), signal.SIGKILL)
                    self.kills += 1
                except ProcessLookupError:
                    pass

    def run(self, seconds, kill):
        threads = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)] + ([threading.Thread(target=self.killer)] if kill else [])
        for thread in threads:
            thread.start()
        self.end.wait(seconds)
        self.end.set()
        for thread in threads:
            thread.join()


def settled(server, limits=None):
    """Counts when idle instances are gone: after some keep-alives, or, given limits, as soon as nothing is beyond them."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        now = counts(server)
        if (limits is not None and all(now[what] <= limits[what] for what in now)) or time.monotonic() > deadline:
            return now
        if limits is None and time.monotonic() > deadline - SETTLE_S + 3 * KEEP_ALIVE_S:
            return now
        time.sleep(0.2)


def end(server):
    try:
        server.close()
    except subprocess.TimeoutExpired:  # it hangs, which the clients have seen before
        server.kill()
        server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--functions", help="the C++ program of the benches' functions")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--json")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    skipped = absent(options)
    server = support.Mayfly("--keep-alive", str(KEEP_ALIVE_S))
    try:
        fc, names = server.fc(), []
        fc.create_service("soak")
        for language, (runtime, handler) in LANGUAGES.items():
            if language in skipped:
                continue
            for concurrency in (1,) if language == "python" else (1, 4):
                names.append(f"{language}{concurrency}")
                fc.create_function("soak", names[-1], runtime, handler, timeout=30, memorySize=128, instanceConcurrency=concurrency,
                                   codeZipFile=package(language, options.functions))
        Soak(server, names, options.seed).run(3, kill=False)  # zygotes, pools and buffers are there from here on
        before = settled(server)
        soak = Soak(server, names, options.seed)
        soak.run(options.seconds, kill=True)
        after = settled(server, {what: before[what] + ALLOWED[what][0] for what in before})
    finally:
        end(server)
    table = {what: {"before": before[what], "after": after[what], "allowed": allowed, "unit": unit} for what, (allowed, unit) in ALLOWED.items()}
    over = [what for what, row in table.items() if row["after"] - row["before"] > row["allowed"]]
    faults = over + [f"{count} answers {kind}: {soak.wrong[:3]}" for kind in ("wrong", "strange", "silent") if (count := soak.tally[kind])]
    if soak.tally["right"] < sum(soak.tally.values()) / 2 or soak.kills == 0:
        faults.append("fewer than half of the answers are right, or nothing was killed")
    for what, row in table.items():
        print(f"{what:32} before {row['before']:8.1f}  after {row['after']:8.1f}  allowed +{row['allowed']}{' LEAK' if what in over else ''}")
    print(f"{dict(soak.tally)}, {soak.kills} kills, calls that died in {dict(soak.died_in)}, functions {names}, left out {skipped}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"counts": table, "calls": sum(soak.tally.values()), "kills": soak.kills, "tally": soak.tally, "seconds": options.seconds, "skipped": skipped,
                                                          "faults": faults, "passed": not faults}))
    for fault in faults:
        print("FAULT:", fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
